//! A Docker Engine of the test's own, which it may kill: own data, own sockets, own containerd namespaces, no network of its own.
use std::{path::Path, process::Command, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker};
use eyre::{WrapErr, bail};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use xtask::process::Process;

/// It starts a containerd, too, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_GRACE: Duration = Duration::from_secs(20);

pub struct Engine {
    process: Process,
    dir: TempDir,
}

impl Engine {
    pub async fn start() -> eyre::Result<Self> {
        // Short: containerd's socket is several folders below.
        let dir = tempfile::Builder::new().prefix("sw").tempdir_in("/tmp")?;
        let process = spawn(dir.path())?;
        let mut engine = Self { process, dir };
        engine.wait_until_up().await?;
        Ok(engine)
    }

    /// What workers are told.
    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("s").display())
    }

    /// Also waits until the containerd that dies with it is gone.
    pub async fn kill(&mut self) {
        let pid = self.containerd();
        self.process.kill();
        for _ in 0..100 {
            if pid.is_none_or(|pid| rustix::process::test_kill_process(pid).is_err()) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn containerd(&self) -> Option<rustix::process::Pid> {
        let pid = std::fs::read_to_string(self.dir.path().join("x/containerd/containerd.pid")).ok()?;
        pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw)
    }

    /// As a service manager does: also when it ended by itself. One that finds the containerd of its killed predecessor still
    /// dying waits for it in vain and gives up.
    pub fn keep_up(&mut self) -> eyre::Result<()> {
        if self.process.ended().is_some() {
            self.process = spawn(self.dir.path())?;
        }
        Ok(())
    }

    pub async fn wait_until_up(&mut self) -> eyre::Result<()> {
        let until = Instant::now() + START_LIMIT;
        loop {
            self.keep_up()?;
            let socket = self.dir.path().join("s");
            let docker = Docker::connect_with_unix(&socket.display().to_string(), 5, API_DEFAULT_VERSION);
            if let Ok(docker) = docker
                && docker.ping().await.is_ok()
            {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("the test's own dockerd did not come up:\n{}", self.process.last_lines());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // In order it ends its containerd, which it may have taken over from one that was killed.
        self.process.stop();
        if let Some(pid) = self.containerd() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        end_below(self.dir.path());
        unmount_below(self.dir.path());
    }
}

fn spawn(dir: &Path) -> eyre::Result<Process> {
    let namespace = format!("sunwork-{}", std::process::id());
    // In a network of its own: without a bridge, an engine removes the docker0 that belongs to the machine's.
    let mut command = Command::new("unshare");
    command
        .args(["--net", "dockerd"])
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--log-level=warn"])
        .arg("--data-root")
        .arg(dir.join("d"))
        .arg("--exec-root")
        .arg(dir.join("x"))
        .arg("--pidfile")
        .arg(dir.join("pid"))
        .args(["-H", &format!("unix://{}", dir.join("s").display())])
        // Where the machine has a containerd that it shares with others.
        .args(["--containerd-namespace", &namespace])
        .args(["--containerd-plugins-namespace", &format!("{namespace}-plugins")]);
    Process::spawn("the test's dockerd", command, &dir.join("log"), STOP_GRACE)
        .wrap_err("starting an engine of our own")
}

/// Keepers of containers that a killed engine left, and what they keep: they name our folder, which nobody else has.
fn end_below(dir: &Path) {
    let name = dir.display().to_string();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if !String::from_utf8_lossy(&words).contains(&name) {
            continue;
        }
        let kept = std::fs::read_to_string(entry.path().join(format!("task/{pid}/children"))).unwrap_or_default();
        for pid in kept.split_whitespace().filter_map(|pid| pid.parse().ok()).chain([pid]) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// Layers of containers that a killed engine left mounted.
fn unmount_below(dir: &Path) {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let ours =
        mounts.lines().filter_map(|line| line.split_whitespace().nth(1)).filter(|at| Path::new(at).starts_with(dir));
    for at in ours {
        let _ = Command::new("umount").args(["-l", at]).output();
    }
}
