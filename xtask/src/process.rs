//! Processes that run in the background, each with a log file.
use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use eyre::{WrapErr, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{command::tail, watchdog::Watchdog};

/// How often a stopping process is looked at.
const POLL: Duration = Duration::from_millis(20);
/// Lines of the log that a report of a dead process carries.
const TAIL_LINES: usize = 25;
/// Only the end of a log is read for that.
const TAIL_BYTES: usize = 64 << 10;

/// A running process. Dropping it stops it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
    ended: Option<ExitStatus>,
    stop_grace: Duration,
    watchdog: Arc<Watchdog>,
}

impl Process {
    /// Starts `command` with both outputs appended to `log`. It gets a process group of its own, so that a Ctrl-C at the
    /// terminal reaches only us and we stop everything in order.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not be started.
    pub fn spawn(name: &str, command: Command, log: &Path, stop_grace: Duration) -> eyre::Result<Self> {
        Self::spawn_guarded(name, command, log, stop_grace, Watchdog::shared()?)
    }

    fn spawn_guarded(
        name: &str,
        mut command: Command,
        log: &Path,
        stop_grace: Duration,
        watchdog: Arc<Watchdog>,
    ) -> eyre::Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .wrap_err_with(|| format!("cannot open the log {} of {name}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().wrap_err("cannot share a log file")?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .wrap_err_with(|| format!("cannot start {name} ({})", command.get_program().to_string_lossy()))?;
        watchdog.guard(child.id());
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child, ended: None, stop_grace, watchdog })
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it logs.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            // An error means that somebody else reaped it, which nobody does.
            self.ended = self.child.try_wait().ok().flatten();
            if self.ended.is_some() {
                self.watchdog.forget(self.child.id());
            }
        }
        self.ended
    }

    /// Is it still there?
    ///
    /// # Errors
    /// When it is not: says which, how it ended, and its last lines.
    pub fn expect_alive(&mut self) -> eyre::Result<()> {
        if let Some(status) = self.ended() {
            bail!("{} has ended ({status}); the end of {}:\n{}", self.name, self.log.display(), self.last_lines());
        }
        Ok(())
    }

    /// The end of its log.
    pub fn last_lines(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        tail(&String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]), TAIL_LINES)
    }

    /// Waits up to `limit` for its end.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + limit;
        while self.ended().is_none() && Instant::now() < until {
            sleep(POLL);
        }
        self.ended
    }

    /// Asks it to stop (SIGTERM).
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    /// Kills it at once (SIGKILL) and reaps it.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(5));
    }

    /// Asks it to stop and waits; kills it when it does not.
    pub fn stop(&mut self) {
        self.terminate();
        if self.wait(self.stop_grace).is_none() {
            eprintln!("{} did not stop within {} s: killing it", self.name, self.stop_grace.as_secs());
            self.kill();
        }
    }

    fn signal(&mut self, signal: Signal) {
        // An ended process is not signalled: its number may be another's by now.
        if self.ended().is_none()
            && let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            let _ = kill_process(pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Stops many at once: all are asked first, so they end side by side.
pub fn stop_all<'a>(processes: impl IntoIterator<Item = &'a mut Process>) {
    let mut processes: Vec<_> = processes.into_iter().collect();
    for process in &mut processes {
        process.terminate();
    }
    for process in &mut processes {
        process.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_dead_process_tells_its_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let mut process =
            Process::spawn("the thing", sh("echo out of cheese; exit 7"), &log, Duration::from_secs(1)).unwrap();
        assert!(process.wait(Duration::from_secs(5)).is_some());
        let error = process.expect_alive().unwrap_err().to_string();
        assert!(error.contains("the thing has ended (exit status: 7)") && error.contains("out of cheese"), "{error}");
    }

    #[test]
    fn a_stubborn_process_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
        let mut process =
            Process::spawn("stubborn", sh(script), &dir.path().join("x.log"), Duration::from_millis(200)).unwrap();
        while !process.last_lines().contains("ready") {
            assert!(process.ended().is_none());
            sleep(POLL);
        }
        process.stop();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&process.ended().unwrap()), Some(9));
    }

    #[test]
    fn the_watchdog_ends_what_we_leave_behind() {
        let dir = tempfile::tempdir().unwrap();
        let watchdog = Arc::new(Watchdog::start().unwrap());
        let log = dir.path().join("x.log");
        let mut orphan =
            Process::spawn_guarded("orphan", sh("exec sleep 60"), &log, Duration::ZERO, watchdog.clone()).unwrap();
        watchdog.close();
        assert!(orphan.wait(Duration::from_secs(10)).is_some(), "the watchdog ended it");
    }
}
