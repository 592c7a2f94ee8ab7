//! One leaf in Docker, from an empty name to an empty name.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bollard::errors::Error as EngineError;
use bollard::models::ContainerState;
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptions, KillContainerOptionsBuilder, StartContainerOptions, WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use sunwork_protocol::leaf::{LeafRecord, Outcome};
use sunwork_protocol::tar::{Event, Kind, Reader, TarError};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::cage::{self, ImageFacts};
use super::super::classify::{self, COMPUTED_JSON, Declared, Ended, MAX_COMPUTED_JSON_BYTES, Next};
use super::super::folders::fresh_folders;
use super::super::network::Proxy;
use super::super::output::{OutputError, TreeReader, UseReader, kind_name};
use super::super::{LeafJob, LeafRun, OUTPUT_DIR, Printed, RuntimeError};
use super::listen::Listener;
use super::{Inner, status, unavailable};

/// Longest time from SIGKILL to the end of a container; one that hangs longer sits in the kernel.
const KILL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest silence of the engine while an output is read.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// How often an engine that stopped talking is asked again, and how long between.
const ASK_AGAIN: u32 = 20;
const ASK_AGAIN_PAUSE: Duration = Duration::from_millis(250);
/// Bytes of what an app printed in which its last words are looked for.
const MAX_LAST_WORDS_BYTES: usize = 16 * 1024;
/// Bit of a folder in the engine's file modes (Go's `os.ModeDir`).
const MODE_DIR: u32 = 1 << 31;

/// See [`super::Runtime::run`].
pub(super) async fn run(inner: &Arc<Inner>, job: &LeafJob) -> Result<LeafRun, RuntimeError> {
    let mut guard = Guard { inner: inner.clone(), name: Some(job.name.clone()) };
    let result = async {
        let (first, suspicious) = run_once(inner, job).await?;
        if !suspicious {
            return Ok(first);
        }
        tracing::warn!(
            leaf = job.name,
            ended = ?first.record.outcome,
            "running the leaf once more: it may have been disturbed"
        );
        run_once(inner, job).await.map(|(second, _)| second)
    }
    .await;
    // Nothing is left behind, whatever came out; what the engine does not remove now is swept at the next start.
    if let Err(error) = inner.remove_leaf(&job.name).await {
        tracing::warn!(leaf = job.name, %error, "leftovers of the leaf stay until the next start");
    }
    guard.name = None;
    result
}

/// Cleans up when the run is dropped in the middle (shutdown, cancelled agreement).
struct Guard {
    inner: Arc<Inner>,
    name: Option<String>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let (Some(name), Ok(handle)) = (self.name.take(), tokio::runtime::Handle::try_current()) {
            let inner = self.inner.clone();
            inner.cut_short.store(true, Ordering::Relaxed);
            handle.spawn(async move {
                if let Err(error) = inner.remove_leaf(&name).await {
                    tracing::warn!(leaf = name, %error, "leftovers of a cancelled leaf stay until the next start");
                }
            });
        }
    }
}

/// One try, and whether its end looks like somebody else's doing.
async fn run_once(inner: &Inner, job: &LeafJob) -> Result<(LeafRun, bool), RuntimeError> {
    let image = inner.images.lock().await.get(&job.image).cloned();
    let image = image.ok_or_else(|| RuntimeError::NotPrepared { image: job.image.to_string() })?;
    if job.args.is_empty() && !image.has_command {
        return Err(RuntimeError::ImageUnusable {
            reason: "it has no entrypoint and no command, and no arguments are given".into(),
        });
    }
    inner.remove_leaf(&job.name).await?;
    fresh_folders(job).await?;
    // Ends with the app: what is read afterwards is nobody's to change.
    let proxy = match &job.network {
        Some(network) => {
            let doing = format!("making the way out of leaf {}", job.name);
            Some(Proxy::start(network, &job.name).map_err(RuntimeError::io(doing))?)
        }
        None => None,
    };
    let listener = start(inner, job, &image).await?;
    let (ended, oom_killed) = wait(inner, job).await?;
    drop(proxy);
    listener.finish().await;
    still_held(inner, job).await?;
    let log = job.printing.printed();
    let words = classify::last_words(&log.last_bytes(MAX_LAST_WORDS_BYTES));
    let words = words.map(|words| format!("; its last words: {words:?}")).unwrap_or_default();
    let run = LeafRun { log, ..conclude(inner, job, ended, &words).await? };
    Ok((run, ended.is_suspicious(oom_killed)))
}

/// Without its holder the output folder is gone, and an empty one would look like an app that wrote nothing.
async fn still_held(inner: &Inner, job: &LeafJob) -> Result<(), RuntimeError> {
    if state(inner, &cage::holder_name(&job.name)).await?.running == Some(true) {
        return Ok(());
    }
    Err(RuntimeError::Unavailable {
        doing: format!("reading the output of leaf {}", job.name),
        reason: "the container that holds its output folder has ended".into(),
    })
}

/// Volume, holder, app, in this order: the holder must have the volume before the app can lose it.
async fn start(inner: &Inner, job: &LeafJob, image: &ImageFacts) -> Result<Listener, RuntimeError> {
    let engine = &inner.engine;
    let doing = |what: &str| format!("{what} of leaf {}", job.name);
    let (label, security) = (&inner.config.label, &inner.facts.security);
    let holder_image = inner.holder_image().await?;
    engine
        .create_volume(cage::volume(&job.name, &job.limits, label))
        .await
        .map_err(unavailable(doing("making the output folder")))?;
    let holder = cage::holder_name(&job.name);
    // One after the other: side by side they are 0.1 s quicker, but in one of 400 runs the two then saw different folders.
    let hold = async {
        let named = CreateContainerOptionsBuilder::default().name(&holder).build();
        engine.create_container(Some(named), cage::holder(&job.name, holder_image, label, security)).await?;
        engine.start_container(&holder, None::<StartContainerOptions>).await
    };
    hold.await.map_err(unavailable(doing("holding the output folder")))?;
    let named = CreateContainerOptionsBuilder::default().name(&job.name).build();
    let app = engine.create_container(Some(named), cage::app(job, image, label, inner.facts.cpus, security)).await;
    let image_error = |error: EngineError| match status(&error) {
        Some(400) => RuntimeError::ImageUnusable { reason: error.to_string() },
        _ => unavailable(doing("starting the app"))(error),
    };
    match app {
        Err(error) if status(&error) == Some(404) => {
            inner.images.lock().await.remove(&job.image);
            return Err(RuntimeError::NotPrepared { image: job.image.to_string() });
        }
        created => created.map_err(image_error)?,
    };
    // Before the start, so that nothing is missed.
    let listener = Listener::start(inner, &job.name, &job.printing).await;
    engine.start_container(&job.name, None::<StartContainerOptions>).await.map_err(image_error)?;
    Ok(listener)
}

/// Waits for the end, or makes it at the limit.
async fn wait(inner: &Inner, job: &LeafJob) -> Result<(Ended, bool), RuntimeError> {
    let deadline = Instant::now() + Duration::from_secs(u64::from(job.limits.leaf_secs));
    let timed_out = tokio::select! {
        ended = stopped(inner, &job.name) => { ended?; false }
        () = sleep_until(deadline) => true,
    };
    if timed_out {
        let kill = KillContainerOptionsBuilder::default().signal("SIGKILL").build();
        match inner.engine.kill_container(&job.name, Some(kill)).await {
            // 409: it ended in this moment.
            Err(error) if status(&error) != Some(409) => {
                return Err(unavailable(format!("killing leaf {}", job.name))(error));
            }
            _ => {}
        }
        timeout(KILL_TIMEOUT, stopped(inner, &job.name)).await.map_err(|_| RuntimeError::Unavailable {
            doing: format!("killing leaf {}", job.name),
            reason: format!("it still runs {} s after SIGKILL", KILL_TIMEOUT.as_secs()),
        })??;
    }
    let state = state(inner, &job.name).await?;
    let exit_status = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
    Ok((Ended { timed_out, exit_status }, state.oom_killed.unwrap_or(false)))
}

/// Resolves when the container does not run any more. The engine's own word counts, not the end of a stream.
async fn stopped(inner: &Inner, name: &str) -> Result<(), RuntimeError> {
    loop {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut waiting = std::pin::pin!(inner.engine.wait_container(name, Some(options)));
        let said_so = matches!(waiting.next().await, Some(Ok(_) | Err(EngineError::DockerContainerWaitError { .. })));
        if state(inner, name).await?.running != Some(true) {
            return Ok(());
        }
        if !said_so {
            sleep(ASK_AGAIN_PAUSE).await;
        }
    }
}

async fn state(inner: &Inner, name: &str) -> Result<ContainerState, RuntimeError> {
    let mut tries = 0;
    loop {
        match inner.engine.inspect_container(name, None::<InspectContainerOptions>).await {
            Ok(inspected) => return Ok(inspected.state.unwrap_or_default()),
            Err(error) if tries == ASK_AGAIN || status(&error) == Some(404) => {
                return Err(unavailable(format!("asking how leaf {name} is"))(error));
            }
            Err(_) => {
                tries += 1;
                sleep(ASK_AGAIN_PAUSE).await;
            }
        }
    }
}

/// From the end of the app to its record; the log is added by the caller.
async fn conclude(inner: &Inner, job: &LeafJob, ended: Ended, words: &str) -> Result<LeafRun, RuntimeError> {
    let limits = &job.limits;
    let ran = |record, message| LeafRun { record, message, output: None, log: Printed::default(), cpu_micros: None };
    let bare = |outcome, message| ran(LeafRecord::bare(outcome), message);
    let disk_full = || {
        let message = format!("the app filled its {} MiB of disk{words}", limits.disk_mib);
        bare(Outcome::OutputLimit, message)
    };
    match ended.next() {
        Next::Final(Outcome::TimeLimit) => {
            let message = format!("the app ran longer than its {} s{words}", limits.leaf_secs);
            return Ok(bare(Outcome::TimeLimit, message));
        }
        Next::Final(outcome) => {
            let message = format!("the app needed more than its {} MiB of memory{words}", limits.memory_mib);
            return Ok(bare(outcome, message));
        }
        Next::Failed(exit_status) => {
            let full = is_disk_full(inner, job).await?;
            let record = classify::failed(exit_status, full);
            if full {
                return Ok(disk_full());
            }
            return Ok(ran(record, format!("the app ended with exit status {exit_status}{words}")));
        }
        Next::ReadOutput => {}
    }
    let declared = match computed_json(inner, job).await? {
        Ok(declared) => declared,
        Err((Outcome::NoComputedJson, _)) if is_disk_full(inner, job).await? => return Ok(disk_full()),
        Err((outcome, message)) => return Ok(bare(outcome, message)),
    };
    match read_tree(inner, job, &declared).await? {
        Ok(run) => Ok(run),
        Err((outcome, message)) => {
            // Half an output is no output.
            let folder = job.out_dir.clone();
            tokio::fs::remove_dir_all(&folder)
                .await
                .map_err(RuntimeError::io(format!("removing {}", folder.display())))?;
            Ok(bare(outcome, message))
        }
    }
}

/// What the app broke, with a sentence.
type Broken = (Outcome, String);

async fn computed_json(inner: &Inner, job: &LeafJob) -> Result<Result<Declared, Broken>, RuntimeError> {
    let none = |found: String| {
        let expected = format!("expected a file {OUTPUT_DIR}/{COMPUTED_JSON} that names the output");
        Ok(Err((Outcome::NoComputedJson, format!("the app ended well but {found}, {expected}"))))
    };
    let mut json = Vec::new();
    let mut odd = None;
    let mut reader = Reader::new();
    let mut download = Download::start(inner, job, &format!("{OUTPUT_DIR}/{COMPUTED_JSON}"));
    loop {
        let chunk = match download.next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(ReadError::Missing) => return none(format!("wrote no {COMPUTED_JSON}")),
            Err(ReadError::Failed(error)) => return Err(error),
        };
        let fed = reader.feed(&chunk, &mut |event| -> Result<(), TarError> {
            match event {
                Event::Entry(entry) if entry.kind != Kind::File => {
                    odd = Some(format!("{COMPUTED_JSON} is {}", kind_name(entry.kind)));
                }
                Event::Entry(entry) if entry.size > MAX_COMPUTED_JSON_BYTES => {
                    odd = Some(format!("{COMPUTED_JSON} has {} bytes", entry.size));
                }
                Event::Data(bytes) if odd.is_none() => json.extend_from_slice(bytes),
                _ => {}
            }
            Ok(())
        });
        fed.map_err(|error| download.broken(error))?;
        if let Some(found) = odd {
            return none(found);
        }
    }
    reader.finish_closed().map_err(|error| download.broken(error))?;
    Ok(classify::declared(&json))
}

async fn read_tree(inner: &Inner, job: &LeafJob, declared: &Declared) -> Result<Result<LeafRun, Broken>, RuntimeError> {
    let path = declared.path();
    let missing = || (Outcome::OutputInvalid, format!("the declared path {path:?} does not exist"));
    // The engine follows links on the way to what it is asked for; so every folder on the way must be one.
    for parent in declared.parents() {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(&parent).build();
        let holder = cage::holder_name(&job.name);
        match inner.engine.get_container_archive_info(&holder, Some(options)).await {
            Ok(found) if found.file_mode & MODE_DIR != 0 => {}
            Ok(_) => {
                let message = format!("{parent:?} on the declared path is not a folder");
                return Ok(Err((Outcome::OutputInvalid, message)));
            }
            Err(error) if status(&error) == Some(404) => return Ok(Err(missing())),
            Err(error) => return Err(unavailable(format!("looking for {parent:?}"))(error)),
        }
    }
    let name = declared.parts.last().map_or("iexec_out", String::as_str);
    if name.len() > 255 || Path::new(name).file_name().is_none_or(|n| n != name) {
        return Ok(Err(missing()));
    }
    // Writing goes to a thread of its own, a few chunks ahead at most.
    let (chunks, mut received) = tokio::sync::mpsc::channel::<Bytes>(4);
    let mut reader = TreeReader::new(&job.out_dir, name, &job.limits);
    let writing = tokio::task::spawn_blocking(move || {
        while let Some(chunk) = received.blocking_recv() {
            reader.feed(&chunk)?;
        }
        reader.finish()
    });
    let mut download = Download::start(inner, job, &path);
    let sent = loop {
        match download.next().await {
            Ok(Some(chunk)) => {
                // Nobody receives any more when the writer has seen enough.
                if chunks.send(chunk).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(chunks);
    let written =
        writing.await.map_err(|e| RuntimeError::Io { doing: "writing an output".into(), source: e.into() })?;
    match (written, sent) {
        (Err(OutputError::Rule { outcome, message }), _) => Ok(Err((outcome, message))),
        (Err(OutputError::Io(source)), _) => {
            Err(RuntimeError::Io { doing: format!("writing the output of leaf {}", job.name), source })
        }
        (_, Err(ReadError::Missing)) => Ok(Err(missing())),
        (_, Err(ReadError::Failed(error))) => Err(error),
        (Err(OutputError::Archive(error)), Ok(())) => Err(download.broken(error)),
        (Ok(tree), Ok(())) => {
            let files = if tree.files == 1 { "1 file".to_owned() } else { format!("{} files", tree.files) };
            let message = format!("the app completed with {files}, {} bytes", tree.bytes);
            let log = Printed::default();
            Ok(Ok(LeafRun { record: tree.record, message, output: Some(tree.path), log, cpu_micros: None }))
        }
    }
}

async fn is_disk_full(inner: &Inner, job: &LeafJob) -> Result<bool, RuntimeError> {
    let mut reader = UseReader::new(job.limits);
    let mut download = Download::start(inner, job, OUTPUT_DIR);
    loop {
        match download.next().await {
            Ok(Some(chunk)) => {
                if reader.feed(&chunk).map_err(|error| download.broken(error))? {
                    return Ok(true);
                }
            }
            Ok(None) => return reader.finish().map_err(|error| download.broken(error)),
            Err(ReadError::Failed(error)) => return Err(error),
            Err(ReadError::Missing) => return Err(download.broken(TarError::Truncated { at: 0 })),
        }
    }
}

/// The archive of a path of the output folder, as the holder's engine sends it.
struct Download<'a> {
    chunks: BoxStream<'a, Result<Bytes, EngineError>>,
    doing: String,
}

impl<'a> Download<'a> {
    fn start(inner: &'a Inner, job: &LeafJob, path: &str) -> Self {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let chunks = inner.engine.download_from_container(&cage::holder_name(&job.name), Some(options)).boxed();
        Self { chunks, doing: format!("reading {path} of leaf {}", job.name) }
    }

    /// The next piece, `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        match timeout(READ_TIMEOUT, self.chunks.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            Ok(Some(Err(error))) if status(&error) == Some(404) => Err(ReadError::Missing),
            Ok(Some(Err(error))) => Err(self.failed(error)),
            Err(_) => Err(self.failed(format!("nothing came for {} s", READ_TIMEOUT.as_secs()))),
        }
    }

    /// What came is no archive.
    fn broken(&self, error: TarError) -> RuntimeError {
        RuntimeError::Unavailable { doing: self.doing.clone(), reason: error.to_string() }
    }

    fn failed(&self, reason: impl ToString) -> ReadError {
        let (doing, reason) = (self.doing.clone(), reason.to_string());
        ReadError::Failed(RuntimeError::Unavailable { doing, reason })
    }
}

/// Why nothing was read.
enum ReadError {
    /// There is nothing of that name.
    Missing,
    /// The engine failed.
    Failed(RuntimeError),
}
