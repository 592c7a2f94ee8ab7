//! Ends our children when we cannot: after a `kill -9` of this process, too.
//!
//! A tiny shell reads pids from a pipe that only we hold. When we die, however, the pipe closes, and the shell ends what is
//! still on its list. It lies in a process group of its own, so that what kills us does not kill it.
use std::{
    io::Write,
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use eyre::WrapErr;

const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=
while read -r op pid; do
  kept=
  for p in $pids; do [ "$p" = "$pid" ] || kept="$kept $p"; done
  pids=$kept
  [ "$op" = + ] && pids="$pids $pid"
done
[ -z "$pids" ] && exit 0
kill -TERM $pids 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do
  kill -0 $pids 2>/dev/null || exit 0
  sleep 0.5
done
kill -KILL $pids 2>/dev/null
"#;

/// The shell and the pipe to it.
#[derive(Debug)]
pub struct Watchdog {
    shell: Child,
    pipe: Mutex<Option<ChildStdin>>,
}

impl Watchdog {
    /// The one of this process; started when it is first needed, and again after its last user has gone.
    ///
    /// # Errors
    /// When no shell can be started.
    pub fn shared() -> eyre::Result<Arc<Self>> {
        // A std mutex: held for a moment, never over an await.
        static SHARED: OnceLock<Mutex<Weak<Watchdog>>> = OnceLock::new();
        let mut shared = SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watchdog) = shared.upgrade() {
            return Ok(watchdog);
        }
        let watchdog = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&watchdog);
        Ok(watchdog)
    }

    /// One more.
    pub(crate) fn start() -> eyre::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .wrap_err("cannot start `sh` to guard the child processes")?;
        let pipe = Mutex::new(shell.stdin.take());
        Ok(Self { shell, pipe })
    }

    /// From now on `pid` ends with us.
    pub fn guard(&self, pid: u32) {
        self.tell('+', pid);
    }

    /// `pid` has ended; its number may be somebody else's soon.
    pub fn forget(&self, pid: u32) {
        self.tell('-', pid);
    }

    fn tell(&self, op: char, pid: u32) {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = pipe.as_mut() {
            // The shell ignores signals and reads until the end: only its kill -9 makes this fail, and then nothing helps.
            let _ = writeln!(pipe, "{op} {pid}").and_then(|()| pipe.flush());
        }
    }

    /// What the kernel does when we die.
    pub(crate) fn close(&self) {
        drop(self.pipe.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Lets the shell end what is left, which is nothing after an orderly stop.
        self.close();
        let _ = self.shell.wait();
    }
}
