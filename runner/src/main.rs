//! Runs one WebAssembly app for one leaf and ends. Started by the worker, one process for each leaf; see `sunwork_runner_wire`
//! for what the two say to each other.
//!
//! ```text
//! leave session, descriptors, network -> read the request, open module and inputs -> limits, Landlock
//!   -> start the watch and the app's thread -> seccomp -> validate, compile, run -> report -> send the declared output
//! ```

mod cage;
mod engine;
mod errno;
mod limiter;
mod meter;
mod output;
mod sink;
mod state;
mod usage;
mod vfs;
mod wasi;
mod watch;

use std::fs::{self, File};
use std::io::{self, BufRead, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sunwork_runner_wire::{
    COMPILE_SECS, Computed, Ended, MAX_MODULE_BYTES, Mode, OutputRequest, Report, Request, Walls,
};

use crate::engine::App;
use crate::limiter::Limiter;
use crate::sink::Sink;
use crate::state::State;
use crate::usage::Usage;
use crate::vfs::{Room, Vfs};
use crate::watch::Deadline;

/// Longest line from the worker; a specification has 16 KiB.
const MAX_LINE_BYTES: u64 = 4 << 20;
/// Most inputs: each is an open file.
const MAX_INPUTS: usize = 4000;
/// Stack of the app's thread: the app's, and ours on top.
const THREAD_STACK_BYTES: usize = meter::STACK_BYTES + (4 << 20);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", sunwork_runner_wire::PROGRAM);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut walls = Walls::default();
    cage::leave_everything(&mut walls);
    let request: Request = line("a request")?;
    let module = read_module(&request).map_err(|e| format!("reading the module {}: {e}", request.module.display()))?;
    let inputs = open_inputs(&request).map_err(|e| format!("opening the inputs: {e}"))?;
    let usage = Arc::new(Usage::new());
    // The first question for a time looks for the kernel's clock page, in a file where the kernel is old: not once the cage is shut.
    let _ = usage.cpu_ms();
    cage::limit(&request.limits, &mut walls)?;

    let (sink, deadline) = (Sink::new(), Deadline::new());
    watch::start(deadline.clone(), sink.clone(), usage.clone(), walls.clone())
        .map_err(|e| format!("starting a thread: {e}"))?;
    let job = Job { request, module, inputs, usage, walls, sink, deadline };
    let thread = std::thread::Builder::new().name("app".into()).stack_size(THREAD_STACK_BYTES);
    let thread = thread.spawn(move || job.run()).map_err(|e| format!("starting a thread: {e}"))?;
    thread.join().map_err(|_| "the app's thread panicked".to_owned())?
}

/// A line of JSON from the worker.
fn line<T: serde::de::DeserializeOwned>(what: &str) -> Result<T, String> {
    let mut text = String::new();
    io::stdin().lock().take(MAX_LINE_BYTES).read_line(&mut text).map_err(|e| format!("reading {what}: {e}"))?;
    serde_json::from_str(&text).map_err(|e| format!("standard input holds no {what}: {e}"))
}

fn read_module(request: &Request) -> io::Result<Vec<u8>> {
    let mut file = File::open(&request.module)?;
    let length = file.metadata()?.len();
    if length > MAX_MODULE_BYTES {
        return Err(io::Error::other(format!("it has {length} bytes, expected at most {MAX_MODULE_BYTES}")));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.by_ref().take(MAX_MODULE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Plain files only, and nothing behind a link.
fn open_inputs(request: &Request) -> io::Result<Vec<(String, File, u64)>> {
    let Some(dir) = &request.input_dir else { return Ok(vec![]) };
    let mut inputs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let name = entry.file_name().into_string().map_err(|name| io::Error::other(format!("the name {name:?}")))?;
        let nofollow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let file = fs::OpenOptions::new().read(true).custom_flags(nofollow).open(entry.path())?;
        let size = file.metadata()?.len();
        inputs.push((name, file, size));
        if inputs.len() > MAX_INPUTS {
            return Err(io::Error::other(format!("there are more than {MAX_INPUTS}")));
        }
    }
    Ok(inputs)
}

struct Job {
    request: Request,
    module: Vec<u8>,
    inputs: Vec<(String, File, u64)>,
    usage: Arc<Usage>,
    walls: Walls,
    sink: Sink,
    deadline: Deadline,
}

impl Job {
    fn run(mut self) -> Result<(), String> {
        self.usage.seal(cage::only_compute());
        let heard = |e: io::Error| format!("reporting to the worker: {e}");
        let too_long = Ended::Unusable { reason: format!("compiling it takes longer than {COMPILE_SECS} s") };
        self.deadline.set(&self.usage, Duration::from_secs(COMPILE_SECS), too_long);
        let started = Instant::now();
        let compiled = App::compile(&std::mem::take(&mut self.module));
        self.usage.compiled(started.elapsed());
        let app = match compiled {
            Ok(app) if self.request.mode == Mode::Run => app,
            other => {
                let ended = other.err().unwrap_or(Ended::Usable);
                self.sink.report(&self.usage.report(ended, self.walls)).map_err(heard)?;
                return Ok(());
            }
        };
        let Request { args, env, limits, seed, .. } = self.request;
        let vfs = Vfs::new(self.inputs, Room::new(limits.disk_bytes, limits.entries));
        let args = std::iter::once("app".to_owned()).chain(args).collect();
        let env = env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let state = State::new(vfs, args, env, seed, Limiter::new(limits.memory_bytes), self.sink.clone());

        self.deadline.set(&self.usage, Duration::from_millis(limits.cpu_ms), Ended::OutOfTime);
        let (ended, fuel_used, state) = app.run(state, &limits);
        let ended_well = ended == Ended::Exited { status: 0 };
        let report = Report {
            disk_full: state.vfs.room.was_refused(),
            computed: if ended_well { engine::computed(&state) } else { Computed::Missing },
            fuel_used: Some(fuel_used),
            ..self.usage.report(ended, self.walls)
        };
        // The app's memory is not needed any more.
        drop(app);
        if !self.sink.report(&report).map_err(heard)? || !ended_well {
            return Ok(());
        }
        let asked: OutputRequest = match line("an output request") {
            Ok(asked) => asked,
            // The worker knows enough.
            Err(_) => return Ok(()),
        };
        output::send(&state.vfs, &asked, &self.sink).map_err(|e| format!("sending the output: {e}"))
    }
}
