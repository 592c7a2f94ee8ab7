//! Docker Engine through its socket: getting images, running leaves.
//!
//! ```text
//! prepare:  have it? -> fetch archive, read it, load it without tags | pull by digest -> check platform and ID
//! run:      sweep the name -> volume -> holder -> app, listen -> wait or kill -> read the output from the holder -> remove all
//! ```

mod cpu;
mod images;
mod leaf;
mod listen;
mod seccomp;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptionsBuilder,
};
use futures::future::BoxFuture;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::sleep;

pub use images::MAX_KEPT_IMAGES;

use super::cage::{self, ImageFacts};
use super::room::Quota;
use super::{BlobSource, ImageRef, LeafJob, LeafRun, Runtime, RuntimeError};

/// Longest time that the engine may take for one small request; a Pi with a slow card needs a while for a start.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for an engine of which it is not known whether it is there.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A sweep looks at most so many times, so long apart: an engine with much to do takes seconds to remove a container.
const MAX_ROUNDS: u32 = 40;
const ROUND_PAUSE: Duration = Duration::from_millis(250);
/// After leaves were cut short, nothing must be found so many times in a row.
const CLEAN_ROUNDS: u32 = 3;
/// Longest silence while an image is loaded or pulled.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(1800);

/// How to reach the engine, and whose things in it are ours.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    /// `unix:///…` or `tcp://…`; by default `DOCKER_HOST`, else the usual socket. The engine must be on this machine, since
    /// inputs are mounted from its file system.
    pub host: Option<String>,
    /// Folder for image archives on their way and for the IDs of those loaded.
    pub work_dir: PathBuf,
    /// Name of this worker, unique on the engine: what carries it as a label is ours to remove.
    pub label: String,
    /// Images that are kept: those that this worker brought in.
    pub quota: Quota,
}

/// A [`Runtime`] on a Docker Engine.
#[derive(Clone, Debug)]
pub struct Docker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    engine: bollard::Docker,
    /// The same with more patience.
    slow: bollard::Docker,
    config: DockerConfig,
    facts: EngineFacts,
    images: Mutex<HashMap<ImageRef, ImageFacts>>,
    /// One image is fetched at a time: a slow link is not shared by two.
    preparing: Mutex<()>,
    holder_image: OnceCell<String>,
    /// A leaf was dropped in the middle: the engine may still be at what it had asked for.
    cut_short: AtomicBool,
}

#[derive(Clone, Debug)]
struct EngineFacts {
    platform: String,
    arch: String,
    cpus: u64,
    /// Folder of the engine's own, whose disk holds the images; none where the engine does not say.
    root: Option<PathBuf>,
    /// Security options of every container: no way to more rights, and which system calls there are.
    security: Vec<String>,
}

impl Docker {
    /// Connects and checks that the engine can keep the cage's promises.
    ///
    /// # Errors
    /// When it does not answer, or cannot limit memory or processes.
    pub async fn connect(config: DockerConfig) -> Result<Self, RuntimeError> {
        let (engine, facts) = meet(config.host.as_deref()).await?;
        std::fs::create_dir_all(config.work_dir.join("images"))
            .map_err(RuntimeError::io(format!("making {}", config.work_dir.display())))?;
        let slow = engine.clone().with_timeout(IMAGE_TIMEOUT);
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                slow,
                config,
                facts,
                images: Mutex::default(),
                preparing: Mutex::default(),
                holder_image: OnceCell::new(),
                cut_short: AtomicBool::new(false),
            }),
        })
    }

    /// The platform of an engine that could be connected to. Nothing is made.
    ///
    /// # Errors
    /// As [`Docker::connect`].
    pub async fn check(host: Option<&str>) -> Result<String, RuntimeError> {
        meet(host).await.map(|(_, facts)| facts.platform)
    }

    /// True when there is an engine that answers.
    pub async fn answers(host: Option<&str>) -> bool {
        let Ok(engine) = reach(host) else { return false };
        matches!(tokio::time::timeout(ANSWER_TIMEOUT, engine.ping()).await, Ok(Ok(_)))
    }

    /// Platform of the engine, "linux/arm64".
    pub fn platform(&self) -> &str {
        &self.inner.facts.platform
    }

    /// Removes every container and volume that carries this worker's label: what a killed worker left. Gives their number.
    /// Call it before the first run, never while leaves run.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn sweep(&self) -> Result<usize, RuntimeError> {
        // The engine goes on with what a leaf that was cut short had asked of it: what it makes then is found a little later.
        let wanted = if self.inner.cut_short.load(Ordering::Relaxed) { CLEAN_ROUNDS } else { 1 };
        let (mut removed, mut clean) = (0, 0);
        for round in 1.. {
            match self.sweep_once().await {
                Ok(0) => clean += 1,
                Ok(some) => (removed, clean) = (removed + some, 0),
                // A container that was made since the list still holds its volume, or one is just being removed.
                Err(Swept::Removing(error)) if round < MAX_ROUNDS => {
                    tracing::debug!(%error, "removing it once more");
                    clean = 0;
                }
                Err(Swept::Listing(error) | Swept::Removing(error)) => return Err(error),
            }
            if clean >= wanted || round >= MAX_ROUNDS {
                break;
            }
            sleep(ROUND_PAUSE).await;
        }
        Ok(removed)
    }

    async fn sweep_once(&self) -> Result<usize, Swept> {
        let listing = |error| Swept::Listing(unavailable("removing what an earlier run left")(error));
        let filter = HashMap::from([("label", vec![format!("{}={}", cage::LABEL, self.inner.config.label)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let containers = self.inner.engine.list_containers(Some(options)).await.map_err(listing)?;
        let mut removed = 0;
        for id in containers.into_iter().filter_map(|c| c.id) {
            self.inner.remove_container(&id).await.map_err(Swept::Removing)?;
            removed += 1;
        }
        let options = ListVolumesOptionsBuilder::default().filters(&filter).build();
        let volumes = self.inner.engine.list_volumes(Some(options)).await.map_err(listing)?;
        for volume in volumes.volumes.unwrap_or_default() {
            self.inner.remove_volume(&volume.name).await.map_err(Swept::Removing)?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// Where sweeping ended.
enum Swept {
    Listing(RuntimeError),
    Removing(RuntimeError),
}

impl Inner {
    async fn remove_container(&self, name: &str) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        gone_is_fine(self.engine.remove_container(name, Some(options)).await)
            .map_err(unavailable(format!("removing container {name}")))
    }

    async fn remove_volume(&self, name: &str) -> Result<(), RuntimeError> {
        let options = RemoveVolumeOptionsBuilder::default().force(true).build();
        gone_is_fine(self.engine.remove_volume(name, Some(options)).await)
            .map_err(unavailable(format!("removing volume {name}")))
    }

    /// Removes the three things of a job, whichever are there.
    async fn remove_leaf(&self, job_name: &str) -> Result<(), RuntimeError> {
        let holder = cage::holder_name(job_name);
        let (app, holder) = tokio::join!(self.remove_container(job_name), self.remove_container(&holder));
        app.and(holder)?;
        self.remove_volume(&cage::volume_name(job_name)).await
    }
}

impl Runtime for Docker {
    fn prepare<'a>(
        &'a self,
        image: &'a ImageRef,
        fetch: &'a dyn BlobSource,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(self.inner.prepare(image, fetch))
    }

    fn run<'a>(&'a self, job: &'a LeafJob) -> BoxFuture<'a, Result<LeafRun, RuntimeError>> {
        Box::pin(leaf::run(&self.inner, job))
    }

    fn cpu_time<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<u64>> {
        Box::pin(cpu::time(&self.inner, name))
    }

    fn make_room(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if self.inner.disk().is_some_and(|disk| disk.above(self.inner.config.quota.disk_percent) > 0) {
                let _one_at_a_time = self.inner.preparing.lock().await;
                self.inner.evict().await;
            }
        })
    }
}

/// The engine, if it can keep the cage's promises, and what it says of itself.
async fn meet(host: Option<&str>) -> Result<(bollard::Docker, EngineFacts), RuntimeError> {
    let doing = "connecting to the container engine";
    let engine = reach(host)
        .map_err(unavailable(doing))?
        .with_timeout(REQUEST_TIMEOUT)
        .negotiate_version()
        .await
        .map_err(unavailable(doing))?;
    let info = engine.info().await.map_err(unavailable(doing))?;
    for (can, missing) in [(info.memory_limit, "memory"), (info.pids_limit, "the number of processes")] {
        if can == Some(false) {
            return Err(RuntimeError::EngineUnfit {
                missing: missing.into(),
                remedy: "turn the kernel's control group on (Raspberry Pi: add \
                         \"cgroup_enable=memory cgroup_memory=1\" to cmdline.txt and reboot)",
            });
        }
    }
    if info.swap_limit == Some(false) {
        tracing::warn!("the engine cannot limit swap: apps may push the host into its swap space");
    }
    let os = info.os_type.unwrap_or_else(|| "linux".into());
    let arch = oci_arch(&info.architecture.unwrap_or_default());
    let mut security = vec!["no-new-privileges".to_owned()];
    let filters = info.security_options.iter().flatten().any(|option| option.contains("seccomp"));
    match seccomp::profile(&arch).filter(|_| filters) {
        Some(profile) => security.push(format!("seccomp={profile}")),
        None => {
            tracing::warn!("the engine filters no system calls (its kernel lacks seccomp): the cage has one wall less")
        }
    }
    let facts = EngineFacts {
        platform: format!("{os}/{arch}"),
        arch,
        root: info.docker_root_dir.map(PathBuf::from),
        security,
        cpus: info.ncpu.and_then(|n| u64::try_from(n).ok()).unwrap_or(1).max(1),
    };
    Ok((engine, facts))
}

fn reach(host: Option<&str>) -> Result<bollard::Docker, EngineError> {
    let host = host.map(str::to_owned).or_else(|| std::env::var("DOCKER_HOST").ok().filter(|h| !h.is_empty()));
    match &host {
        Some(host) => bollard::Docker::connect_with_host(host),
        None => bollard::Docker::connect_with_unix_defaults(),
    }
}

/// OCI's word for what the kernel calls the machine.
fn oci_arch(machine: &str) -> String {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" | "armhf" => "arm",
        "i386" | "i686" => "386",
        other => other,
    }
    .to_owned()
}

fn unavailable(doing: impl Into<String>) -> impl FnOnce(EngineError) -> RuntimeError {
    let doing = doing.into();
    move |error| RuntimeError::Unavailable { doing, reason: error.to_string() }
}

/// HTTP status of the engine's answer, if it answered.
fn status(error: &EngineError) -> Option<u16> {
    match error {
        EngineError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// 404: it is not there; 409: its removal is under way.
fn gone_is_fine(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        Err(EngineError::DockerResponseServerError { status_code: 409, message })
            if message.contains("already in progress") =>
        {
            Ok(())
        }
        other => other,
    }
}
