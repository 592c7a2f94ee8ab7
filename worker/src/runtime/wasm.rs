//! WebAssembly modules in a runner process of their own: getting modules, running leaves.
//!
//! ```text
//! prepare:  have it? -> fetch the module, hash-checked -> let a runner validate and compile it
//! run:      runner, request -> hear what the app prints -> report -> ask for the declared output, read it -> kill the group
//! ```
//!
//! The runner (`runner/`) cages itself and does what is the same on every machine; here its report becomes an outcome. Nothing
//! it says is trusted further than a container engine's word: frames are bounded, the output is read by the same rules.

mod cpu;
mod process;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alloy::primitives::keccak256;
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use sunwork_protocol::image::{WASM_MAGIC, WASM_PLATFORM};
use sunwork_protocol::leaf::{LeafRecord, Outcome};
use sunwork_runner_wire::{
    COMPILE_SECS, Computed, Ended, MAX_MODULE_BYTES, Mode, PATIENCE, PROGRAM, Report, Request, TRAP_STATUS, fuel,
};
use tokio::sync::Mutex;

use super::cage::OUTPUT_INODES;
use super::classify::{self, COMPUTED_JSON};
use super::folders::fresh_folders;
use super::output::{OutputError, TreeReader};
use super::room::{Disk, Excess, Quota};
use super::{
    BlobSource, BlobSourceError, ErrorClass, ImageRef, LeafJob, LeafRun, OUTPUT_DIR, Printed, Printing, Runtime,
    RuntimeError,
};
use cpu::Running;
use process::{Output, Process};

/// Platform of modules; the class is named after it.
pub const PLATFORM: &str = WASM_PLATFORM;
/// Modules that are kept; the one not used for longest goes first.
pub const MAX_MODULES: usize = 64;
/// What the runner may take beyond the times it keeps itself.
const SLACK: Duration = Duration::from_secs(30);
/// Most memory of a module: what 32 bits address.
const MAX_MEMORY_BYTES: u64 = 4 << 30;
/// Bytes of what an app printed in which its last words are looked for.
const MAX_LAST_WORDS_BYTES: usize = 16 * 1024;

/// Where the runner is, and where modules are kept.
#[derive(Clone, Debug)]
pub struct WasmConfig {
    /// The program; by default it lies beside this one, or on the search path.
    pub runner: Option<PathBuf>,
    /// Folder in which modules are kept.
    pub work_dir: PathBuf,
    /// How much of them.
    pub quota: Quota,
}

/// A [`Runtime`] for WebAssembly modules.
#[derive(Clone, Debug)]
pub struct Wasm {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    runner: PathBuf,
    modules: PathBuf,
    quota: Quota,
    /// Modules that were found good in this run of the worker.
    checked: Mutex<HashSet<[u8; 32]>>,
    running: Running,
}

/// Finds the runner: where the settings say, beside this program (or in the folder above it: a test), on the search path.
pub fn find_runner(setting: Option<&Path>) -> Option<PathBuf> {
    if let Some(path) = setting {
        return path.is_file().then(|| path.to_owned());
    }
    let own = std::env::current_exe().ok()?;
    let beside = own.ancestors().skip(1).take(2).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.chain(std::env::split_paths(&path)).map(|dir| dir.join(PROGRAM)).find(|path| path.is_file())
}

impl Wasm {
    /// Checks that there is a runner and makes the folder.
    ///
    /// # Errors
    /// When either is not there.
    pub fn open(config: WasmConfig) -> Result<Self, RuntimeError> {
        let runner = find_runner(config.runner.as_deref()).ok_or_else(|| RuntimeError::Runner {
            doing: "looking for the WebAssembly runner".into(),
            reason: match &config.runner {
                Some(path) => format!("{} is no file", path.display()),
                None => format!("no {PROGRAM} lies beside this program or on the search path"),
            },
        })?;
        let modules = config.work_dir.join("modules");
        std::fs::create_dir_all(&modules).map_err(RuntimeError::io(format!("making {}", modules.display())))?;
        Ok(Self {
            inner: Arc::new(Inner {
                runner,
                modules,
                quota: config.quota,
                checked: Mutex::default(),
                running: Running::default(),
            }),
        })
    }

    /// The runner's program file.
    pub fn runner(&self) -> &Path {
        &self.inner.runner
    }

    /// Runs one leaf, and says with it what the runner measured.
    ///
    /// # Errors
    /// See [`Runtime::run`].
    pub async fn run_measured(&self, job: &LeafJob) -> Result<(LeafRun, Report), RuntimeError> {
        self.inner.run(job).await
    }
}

impl Runtime for Wasm {
    fn prepare<'a>(
        &'a self,
        image: &'a ImageRef,
        fetch: &'a dyn BlobSource,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(self.inner.prepare(image, fetch))
    }

    fn run<'a>(&'a self, job: &'a LeafJob) -> BoxFuture<'a, Result<LeafRun, RuntimeError>> {
        Box::pin(async move {
            let (run, report) = self.inner.run(job).await?;
            tracing::debug!(
                leaf = job.name,
                fuel = report.fuel_used,
                cpu_ms = report.cpu_ms,
                compile_ms = report.compile_ms,
                peak_kib = report.peak_kib,
                walls = ?report.walls,
                "a module ended"
            );
            Ok(run)
        })
    }

    fn cpu_time<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move { self.inner.running.cpu_micros(name) })
    }

    fn make_room(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (modules, quota) = (self.inner.modules.clone(), self.inner.quota);
            let looked = blocking("keeping modules", move || {
                let crowded = Disk::of(&modules).is_some_and(|disk| disk.above(quota.disk_percent) > 0);
                if crowded { evict(&modules, &quota) } else { Ok(()) }
            });
            // A module that is being prepared is the newest, and stays.
            if let Err(error) = looked.await {
                tracing::warn!(%error, "cannot make room");
            }
        })
    }
}

impl Inner {
    async fn prepare(&self, image: &ImageRef, fetch: &dyn BlobSource) -> Result<(), RuntimeError> {
        if image.platform != PLATFORM || image.name.is_some() {
            return Err(RuntimeError::ImageUnusable {
                reason: format!(
                    "it is {image} for {}, expected a module for {PLATFORM}, named by its SHA-256",
                    image.platform
                ),
            });
        }
        // One at a time: a slow link is not shared by two, and compiling takes a core.
        let mut checked = self.checked.lock().await;
        let path = self.path(&image.digest);
        let there = {
            let (path, digest) = (path.clone(), image.digest);
            let known = checked.contains(&digest);
            blocking("reading a module", move || Ok(path.is_file() && (known || hash(&path)? == digest))).await?
        };
        if !there {
            let digest = hex::encode(image.digest);
            fetch.fetch(image.digest, MAX_MODULE_BYTES, &path).await.map_err(|error| match error {
                BlobSourceError::Unknown(reason) => RuntimeError::ImageUnknown { image: image.to_string(), reason },
                BlobSourceError::Temporary(reason) => RuntimeError::Fetch { digest, reason },
            })?;
        }
        if !(there && checked.contains(&image.digest)) {
            if let Err(error) = self.check(&path).await {
                if error.class() == ErrorClass::Refuse {
                    let _ = tokio::fs::remove_file(&path).await;
                }
                return Err(error);
            }
            checked.insert(image.digest);
        }
        let (modules, quota) = (self.modules.clone(), self.quota);
        blocking("keeping modules", move || {
            std::fs::File::options().append(true).open(&path)?.set_modified(SystemTime::now())?;
            evict(&modules, &quota)
        })
        .await
    }

    fn path(&self, digest: &[u8; 32]) -> PathBuf {
        self.modules.join(format!("{}.wasm", hex::encode(digest)))
    }

    /// Lets a runner compile it, so that what cannot run is refused before anything is promised.
    async fn check(&self, path: &Path) -> Result<(), RuntimeError> {
        let file = path.to_owned();
        let start = blocking("reading a module", move || {
            use std::io::Read;
            let mut start = Vec::new();
            std::fs::File::open(file)?.take(WASM_MAGIC.len() as u64).read_to_end(&mut start)?;
            Ok(start)
        });
        if start.await? != WASM_MAGIC {
            return Err(RuntimeError::ImageUnusable {
                reason:
                    "it does not begin like a WebAssembly module; expected a core module, not a component or a text"
                        .into(),
            });
        }
        let limits = sunwork_runner_wire::Limits { memory_bytes: 0, disk_bytes: 0, entries: 0, fuel: 0, cpu_ms: 0 };
        let request = Request {
            mode: Mode::Check,
            module: path.to_owned(),
            args: vec![],
            env: vec![],
            input_dir: None,
            limits,
            seed: [0; 32],
        };
        let mut process = Process::start(&self.runner, &request).await?;
        let most = Duration::from_secs(PATIENCE * COMPILE_SECS) + SLACK;
        match process.report(&Printing::new(0), most).await {
            Ok(Report { ended: Ended::Usable, .. }) => Ok(()),
            Ok(Report { ended: Ended::Unusable { reason }, .. }) => Err(RuntimeError::ImageUnusable { reason }),
            Ok(report) => Err(runner("checking a module", format!("{:?}", report.ended))),
            // Its limits ended it, and they would again.
            Err(RuntimeError::Runner { reason, .. }) => Err(RuntimeError::ImageUnusable {
                reason: format!("the runner did not survive compiling it: {reason}"),
            }),
            Err(error) => Err(error),
        }
    }

    async fn run(&self, job: &LeafJob) -> Result<(LeafRun, Report), RuntimeError> {
        let path = self.path(&job.image.digest);
        let checked = self.checked.lock().await.contains(&job.image.digest);
        if !(checked && tokio::fs::try_exists(&path).await.unwrap_or(false)) {
            return Err(RuntimeError::NotPrepared { image: job.image.to_string() });
        }
        fresh_folders(job).await?;
        job.printing.restart();
        let mut process = Process::start(&self.runner, &request(job, path)).await?;
        let _running = self.running.enter(&job.name, process.id());
        let most = Duration::from_secs(PATIENCE * (COMPILE_SECS + u64::from(job.limits.leaf_secs))) + SLACK;
        let report = process.report(&job.printing, most).await?;
        let log = job.printing.printed();
        let words = classify::last_words(&log.last_bytes(MAX_LAST_WORDS_BYTES));
        let words = words.map(|words| format!("; its last words: {words:?}")).unwrap_or_default();
        let run = conclude(&mut process, job, &report, &words).await?;
        // It waits to be asked for its output: what it used is still told.
        let run = LeafRun { log, cpu_micros: process.cpu_micros(), ..run };
        Ok((run, report))
    }
}

/// What the runner is asked. A pure function of the job, so that all workers ask the same.
fn request(job: &LeafJob, module: PathBuf) -> Request {
    let limits = &job.limits;
    let task_id = job.env.iter().find(|(name, _)| name == "IEXEC_TASK_ID").map_or("", |(_, value)| value.as_str());
    Request {
        mode: Mode::Run,
        module,
        args: job.args.clone(),
        env: job.env.clone(),
        input_dir: Some(job.input_dir.clone()),
        limits: sunwork_runner_wire::Limits {
            memory_bytes: (u64::from(limits.memory_mib) << 20).min(MAX_MEMORY_BYTES),
            disk_bytes: u64::from(limits.disk_mib) << 20,
            entries: OUTPUT_INODES,
            fuel: fuel(limits.leaf_secs, limits.milli_cpu),
            cpu_ms: u64::from(limits.leaf_secs) * 1000,
        },
        seed: keccak256([b"sunwork.wasm.seed.v1", task_id.as_bytes()].concat()).0,
    }
}

/// From the report to the record; the log is added by the caller.
async fn conclude(process: &mut Process, job: &LeafJob, report: &Report, words: &str) -> Result<LeafRun, RuntimeError> {
    let limits = &job.limits;
    let ran = |record, message| LeafRun { record, message, output: None, log: Printed::default(), cpu_micros: None };
    let bare = |outcome, message| Ok(ran(LeafRecord::bare(outcome), message));
    let full = || format!("the app filled its {} MiB of disk{words}", limits.disk_mib);
    let failed = |status: i32, message: String| {
        let record = classify::failed(status, report.disk_full);
        Ok(ran(record, if report.disk_full { full() } else { message }))
    };
    match &report.ended {
        Ended::Exited { status: 0 } => {}
        Ended::Exited { status } => {
            let status = (*status & 0xff) as i32;
            return failed(status, format!("the app ended with exit status {status}{words}"));
        }
        Ended::Trapped { reason } => return failed(TRAP_STATUS, format!("the app trapped: {reason}{words}")),
        Ended::OutOfMemory => {
            let message = format!("the app needed more than its {} MiB of memory{words}", limits.memory_mib);
            return bare(Outcome::MemoryLimit, message);
        }
        Ended::OutOfFuel => {
            let fuel = fuel(limits.leaf_secs, limits.milli_cpu);
            let message = format!("the app used up its {fuel} instructions, those of {} s{words}", limits.leaf_secs);
            return bare(Outcome::TimeLimit, message);
        }
        Ended::OutOfTime => {
            let message = format!("the app used more than its {} s of CPU time{words}", limits.leaf_secs);
            return bare(Outcome::TimeLimit, message);
        }
        Ended::Unusable { reason } => return Err(RuntimeError::ImageUnusable { reason: reason.clone() }),
        Ended::Failed { reason } => return Err(runner("running a module", reason.clone())),
        Ended::Usable => return Err(runner("running a module", "it only checked it".into())),
    }
    let none = |found: &str| {
        let expected = format!("expected a file {OUTPUT_DIR}/{COMPUTED_JSON} that names the output");
        let message = format!("the app ended well but {found}, {expected}");
        if report.disk_full { bare(Outcome::OutputLimit, full()) } else { bare(Outcome::NoComputedJson, message) }
    };
    let declared = match &report.computed {
        Computed::Missing => return none(&format!("wrote no {COMPUTED_JSON}")),
        Computed::Odd(found) => return none(found),
        Computed::Bytes(json) => match classify::declared(json) {
            Ok(declared) => declared,
            Err((Outcome::NoComputedJson, _)) if report.disk_full => return bare(Outcome::OutputLimit, full()),
            Err((outcome, message)) => return bare(outcome, message),
        },
    };
    let path = declared.path();
    let mut tree = TreeReader::new(&job.out_dir, declared.parts.last().map_or("iexec_out", String::as_str), limits);
    let read = process.output(&declared.parts, |chunk| tree.feed(chunk)).await;
    let broken = match read? {
        Output::None(found) => (Outcome::OutputInvalid, format!("the declared path {path:?}: {found}")),
        Output::Stopped(error) => rule(job, error)?,
        Output::Whole => match tree.finish() {
            Ok(tree) => {
                let files = if tree.files == 1 { "1 file".to_owned() } else { format!("{} files", tree.files) };
                let message = format!("the app completed with {files}, {} bytes", tree.bytes);
                return Ok(LeafRun { output: Some(tree.path), ..ran(tree.record, message) });
            }
            Err(error) => rule(job, error)?,
        },
    };
    // Half an output is no output.
    let folder = &job.out_dir;
    tokio::fs::remove_dir_all(folder).await.map_err(RuntimeError::io(format!("removing {}", folder.display())))?;
    bare(broken.0, broken.1)
}

fn rule(job: &LeafJob, error: OutputError) -> Result<(Outcome, String), RuntimeError> {
    match error {
        OutputError::Rule { outcome, message } => Ok((outcome, message)),
        OutputError::Io(source) => {
            Err(RuntimeError::Io { doing: format!("writing the output of leaf {}", job.name), source })
        }
        OutputError::Archive(error) => Err(runner("reading an output", error.to_string())),
    }
}

fn runner(doing: &str, reason: String) -> RuntimeError {
    RuntimeError::Runner { doing: doing.to_owned(), reason }
}

async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::from).and_then(|result| result);
    done.map_err(RuntimeError::io(doing))
}

fn hash(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Removes the modules not used for longest, as far as the quota or the disk asks for it. One that a leaf still wants is fetched
/// again; one that a runner has open runs to its end.
fn evict(modules: &Path, quota: &Quota) -> std::io::Result<()> {
    let mut kept: Vec<(SystemTime, PathBuf, u64)> = std::fs::read_dir(modules)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
        .filter_map(|path| {
            let meta = path.metadata().ok()?;
            Some((meta.modified().ok()?, path, meta.len()))
        })
        .collect();
    kept.sort();
    let sizes: Vec<u64> = kept.iter().map(|(_, _, bytes)| *bytes).collect();
    let mut excess = Excess::of(&sizes, quota, Disk::of(modules));
    for (_, path, bytes) in kept.iter().take(kept.len().saturating_sub(1)) {
        if excess.is_none() {
            break;
        }
        tracing::info!(module = %path.display(), bytes, "removing a module not used for long");
        std::fs::remove_file(path)?;
        excess.gone(*bytes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn modules_make_room_oldest_first_and_the_newest_stays() {
        let folder = tempfile::tempdir().unwrap();
        for (index, name) in ["a", "b", "c"].into_iter().enumerate() {
            let path = folder.path().join(format!("{name}.wasm"));
            std::fs::write(&path, vec![0; 1000]).unwrap();
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + index as u64);
            std::fs::File::options().append(true).open(&path).unwrap().set_modified(then).unwrap();
        }
        let left = || {
            let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let all = Quota { bytes: 3000, count: 3, disk_percent: 100 };
        evict(folder.path(), &all).unwrap();
        assert_eq!(left().len(), 3);
        evict(folder.path(), &Quota { bytes: 2999, ..all }).unwrap();
        assert_eq!(left(), ["b.wasm", "c.wasm"]);
        // A disk that is above any mark: everything goes but what was used last.
        evict(folder.path(), &Quota { disk_percent: 0, ..all }).unwrap();
        assert_eq!(left(), ["c.wasm"]);
    }
}
