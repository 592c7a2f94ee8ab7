//! One runner process, from its start to the end of its group.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use sunwork_protocol::logs::Stream;
use sunwork_runner_wire::{HEAD_BYTES, Kind, OutputRequest, Report, Request, read_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout_at};

use super::super::output::OutputError;
use super::super::{Printing, RuntimeError};
use super::cpu::cpu_micros;

/// Longest time for handing over an output.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of the runner's own words that are kept.
const MAX_WORDS_BYTES: u64 = 4096;

/// A runner under way. Dropped, it is killed with its group.
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

/// How handing over an output went.
pub(super) enum Output {
    /// All of it came.
    Whole,
    /// There is none, for this reason.
    None(String),
    /// Who took it wants no more.
    Stopped(OutputError),
}

impl Process {
    /// Starts a runner without environment and tells it what to do.
    pub(super) async fn start(program: &Path, request: &Request) -> Result<Self, RuntimeError> {
        let failed = |what: &str, error: std::io::Error| RuntimeError::Runner {
            doing: format!("{what} {}", program.display()),
            reason: error.to_string(),
        };
        let mut command = Command::new(program);
        // It makes itself a session, and with it a group.
        command.env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed("starting", error))?;
        let group = child.id().and_then(|id| Pid::from_raw(id as i32));
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("starting", std::io::Error::other("it has no pipes")));
        };
        let mut process = Self { child, group, stdin, stdout };
        process.tell(request).await.map_err(|error| failed("writing to", error))?;
        Ok(process)
    }

    /// Its number with the kernel, while it is not waited for.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// CPU time that it has used, by the kernel's word.
    pub(super) fn cpu_micros(&self) -> Option<u64> {
        cpu_micros(self.child.id()?)
    }

    async fn tell(&mut self, what: &impl serde::Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(what)?;
        line.push(b'\n');
        match self.stdin.write_all(&line).await {
            // It ended before it read all; its own words say why.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Hears what the app prints until the report comes.
    pub(super) async fn report(&mut self, printing: &Printing, most: Duration) -> Result<Report, RuntimeError> {
        let until = Instant::now() + most;
        loop {
            match self.frame(until).await? {
                (Kind::Stdout, bytes) => printing.push(Stream::Stdout, &bytes),
                (Kind::Stderr, bytes) => printing.push(Stream::Stderr, &bytes),
                (Kind::Report, bytes) => {
                    return serde_json::from_slice(&bytes).map_err(|error| broken(format!("its report: {error}")));
                }
                (kind, _) => return Err(broken(format!("it sent {kind:?} before its report"))),
            }
        }
    }

    /// Asks for an output and hands it on, piece by piece.
    pub(super) async fn output(
        &mut self,
        parts: &[String],
        mut take: impl FnMut(&[u8]) -> Result<(), OutputError>,
    ) -> Result<Output, RuntimeError> {
        let until = Instant::now() + OUTPUT_TIMEOUT;
        let asked = OutputRequest { parts: parts.to_vec() };
        self.tell(&asked).await.map_err(|error| broken(format!("asking for the output: {error}")))?;
        loop {
            match self.frame(until).await? {
                (Kind::Output, bytes) => {
                    if let Err(error) = take(&bytes) {
                        return Ok(Output::Stopped(error));
                    }
                }
                (Kind::OutputEnd, _) => return Ok(Output::Whole),
                (Kind::NoOutput, why) => return Ok(Output::None(String::from_utf8_lossy(&why).into_owned())),
                (kind, _) => return Err(broken(format!("it sent {kind:?} as output"))),
            }
        }
    }

    async fn frame(&mut self, until: Instant) -> Result<(Kind, Vec<u8>), RuntimeError> {
        let read = async {
            let mut head = [0; HEAD_BYTES];
            self.stdout.read_exact(&mut head).await?;
            let (kind, length) = read_head(head)?;
            let mut payload = vec![0; length];
            self.stdout.read_exact(&mut payload).await?;
            Ok::<_, std::io::Error>((kind, payload))
        };
        match timeout_at(until, read).await {
            Ok(Ok(frame)) => Ok(frame),
            Ok(Err(error)) => Err(self.ended(&error).await),
            Err(_) => Err(broken("it did not end within its limits".into())),
        }
    }

    /// Why it is gone, in its own words.
    async fn ended(&mut self, error: &std::io::Error) -> RuntimeError {
        self.kill();
        let status = self.child.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string());
        let mut words = Vec::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(MAX_WORDS_BYTES).read_to_end(&mut words).await;
        }
        let words = super::classify::last_words(&words).unwrap_or_else(|| error.to_string());
        broken(format!("it ended with {status} and no report: {words}"))
    }

    fn kill(&self) {
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn broken(reason: String) -> RuntimeError {
    RuntimeError::Runner { doing: "running a module".into(), reason }
}
