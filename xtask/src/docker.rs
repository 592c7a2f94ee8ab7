//! Docker Engine: found, started, installed, or a clear word on what to do.
use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    query_parameters::{
        ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
        RemoveVolumeOptionsBuilder,
    },
};
use eyre::{WrapErr, bail, eyre};
use sunwork_worker::runtime::cage::LABEL;
use tokio::time::{sleep, timeout};

use crate::{
    apt::{self, on_path},
    command::{capture, program},
    paths,
    process::Process,
};

/// An engine that does not answer by then does not count as one.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// `dockerd` on a slow SD card.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Containers of a stopping engine need their time.
const STOP_GRACE: Duration = Duration::from_secs(20);

const HOW_TO: &str = "Sunwork runs its work in containers. Install Docker Engine (https://docs.docker.com/engine/install) and let this \
                      user reach it (`docker info` must answer), or run this as root on Debian or Ubuntu to have it installed";

/// An engine that answers. If it was started here it stops when this is dropped.
#[derive(Debug)]
pub struct Engine {
    version: String,
    ours: Option<Process>,
}

impl Engine {
    /// Finds an engine; where there is none and we may, installs and starts one.
    ///
    /// # Errors
    /// What to install or to start.
    pub async fn ensure() -> eyre::Result<Self> {
        match Self::find().await {
            Ok(engine) => return Ok(engine),
            Err(error) if !rustix::process::geteuid().is_root() || std::env::var_os("DOCKER_HOST").is_some() => {
                return Err(error.wrap_err(HOW_TO));
            }
            Err(_) => {}
        }
        // Two setups at once (test processes, say) must not install or start two engines.
        let _lock = Lock::take().await?;
        if let Ok(engine) = Self::find().await {
            return Ok(engine);
        }
        if !on_path("dockerd") {
            install().await.wrap_err(HOW_TO)?;
        }
        start().await.wrap_err(HOW_TO)
    }

    /// The engine that answers now.
    ///
    /// # Errors
    /// When none does.
    pub async fn find() -> eyre::Result<Self> {
        let docker = Docker::connect_with_defaults().wrap_err("no Docker Engine to connect to")?;
        let version = timeout(ANSWER_LIMIT, docker.version())
            .await
            .map_err(|_| eyre!("Docker Engine did not answer within {} s", ANSWER_LIMIT.as_secs()))?
            .wrap_err("Docker Engine does not answer")?;
        Ok(Self { version: version.version.unwrap_or_else(|| "of unknown version".into()), ours: None })
    }

    /// One sentence for people.
    pub fn describe(&self) -> String {
        match &self.ours {
            Some(process) => format!("Docker Engine {} started (log: {})", self.version, process.log().display()),
            None => format!("Docker Engine {} answers", self.version),
        }
    }
}

/// Removes containers and volumes that carry the label of a worker: what it left when it was killed.
///
/// # Errors
/// When the engine refuses. No engine, nothing to remove.
pub async fn remove_labelled(workers: &[String]) -> eyre::Result<()> {
    if workers.is_empty() {
        return Ok(());
    }
    let Ok(docker) = Docker::connect_with_defaults() else { return Ok(()) };
    if timeout(ANSWER_LIMIT, docker.ping()).await.is_ok_and(|answer| answer.is_ok()) {
        for worker in workers {
            let label = format!("{LABEL}={worker}");
            // The engine may still be making what a worker asked for before it was killed, and then holds its volume.
            let until = Instant::now() + ANSWER_LIMIT;
            while let Err(error) = remove_of(&docker, &label).await {
                if Instant::now() >= until {
                    return Err(error);
                }
                sleep(Duration::from_millis(250)).await;
            }
        }
    }
    Ok(())
}

async fn remove_of(docker: &Docker, label: &str) -> eyre::Result<()> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let list = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(list)).await.wrap_err("listing left containers")? {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let id = container.id.unwrap_or_default();
        docker.remove_container(&id, Some(options)).await.wrap_err_with(|| format!("removing container {id}"))?;
    }
    let list = ListVolumesOptionsBuilder::default().filters(&filters).build();
    for volume in docker.list_volumes(Some(list)).await.wrap_err("listing left volumes")?.volumes.unwrap_or_default() {
        let options = RemoveVolumeOptionsBuilder::default().force(true).build();
        let removed = docker.remove_volume(&volume.name, Some(options)).await;
        removed.wrap_err_with(|| format!("removing volume {}", volume.name))?;
    }
    Ok(())
}

/// Only one process at a time installs or starts.
struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    async fn take() -> eyre::Result<Self> {
        let dir = paths::state_dir();
        fs::create_dir_all(&dir).wrap_err_with(|| format!("making {}", dir.display()))?;
        let path = dir.join("docker.lock");
        let file = File::create(&path).wrap_err_with(|| format!("opening {}", path.display()))?;
        let until = Instant::now() + apt::LIMIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(_) if Instant::now() < until => sleep(Duration::from_millis(200)).await,
                Err(error) => {
                    return Err(eyre!("{error}").wrap_err("another process has been setting up Docker for too long"));
                }
            }
        }
    }
}

async fn install() -> eyre::Result<()> {
    apt::install("Docker Engine", &["docker.io", "iptables"]).await
}

async fn start() -> eyre::Result<Engine> {
    if Path::new("/run/systemd/system").exists() {
        let mut command = program("systemctl");
        command.args(["start", "docker"]);
        capture(command, START_LIMIT).await?;
        return wait_until_up(None).await;
    }
    let log = log_path()?;
    let dockerd = Process::spawn("dockerd", Command::new("dockerd"), &log, STOP_GRACE)?;
    wait_until_up(Some(dockerd)).await
}

async fn wait_until_up(mut ours: Option<Process>) -> eyre::Result<Engine> {
    let until = Instant::now() + START_LIMIT;
    loop {
        if let Ok(engine) = Engine::find().await {
            return Ok(Engine { ours, ..engine });
        }
        if let Some(process) = &mut ours {
            process.expect_alive()?;
        }
        if Instant::now() > until {
            bail!("Docker Engine was started but did not answer within {} s", START_LIMIT.as_secs());
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn log_path() -> eyre::Result<PathBuf> {
    let dir = paths::state_dir();
    fs::create_dir_all(&dir).wrap_err_with(|| format!("making {}", dir.display()))?;
    Ok(dir.join("dockerd.log"))
}
