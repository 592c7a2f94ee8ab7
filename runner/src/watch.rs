//! The thread that watches the time, and whether the worker is still there: it listens on standard input, which the worker
//! keeps open as long as it lives.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sunwork_runner_wire::{Computed, Ended, PATIENCE, Report, Walls};

use crate::sink::Sink;
use crate::usage::Usage;

/// How often it looks at the time.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// When to end what is under way, and as what. Shared with the app's thread.
#[derive(Clone)]
pub struct Deadline {
    inner: Arc<Mutex<Option<Due>>>,
}

struct Due {
    /// CPU time of the process.
    cpu_ms: u64,
    as_what: Ended,
    /// And for a machine that does not give it.
    at: Option<Instant>,
}

impl Deadline {
    /// None yet.
    pub fn new() -> Self {
        Self { inner: Arc::default() }
    }

    /// From now on: so much CPU time.
    pub fn set(&self, usage: &Usage, cpu_time: Duration, as_what: Ended) {
        let cpu_ms = usage.cpu_ms().saturating_add(cpu_time.as_millis() as u64);
        let at = cpu_time.checked_mul(PATIENCE as u32).and_then(|wait| Instant::now().checked_add(wait));
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = Some(Due { cpu_ms, as_what, at });
    }

    fn passed(&self, usage: &Usage) -> Option<Ended> {
        let due = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let due = due.as_ref()?;
        if usage.cpu_ms() >= due.cpu_ms {
            return Some(due.as_what.clone());
        }
        let late = due.at.is_some_and(|at| at <= Instant::now());
        late.then(|| Ended::Failed { reason: "this machine is too busy: it had little CPU for long".into() })
    }
}

/// Starts it.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(deadline: Deadline, sink: Sink, usage: Arc<Usage>, walls: Walls) -> std::io::Result<()> {
    std::thread::Builder::new().name("watch".into()).stack_size(128 * 1024).spawn(move || {
        loop {
            let stdin = rustix::stdio::stdin();
            let mut fds = [PollFd::new(&stdin, PollFlags::empty())];
            // Hung up: nobody is there to hear a result.
            if poll(&mut fds, Some(&LOOK)).is_ok_and(|ready| ready > 0) {
                std::process::exit(3);
            }
            if let Some(ended) = deadline.passed(&usage) {
                let report = usage.report(ended, walls.clone());
                match sink.report(&report) {
                    // The app's thread was quicker.
                    Ok(false) => return,
                    _ => std::process::exit(0),
                }
            }
        }
    })?;
    Ok(())
}

impl Usage {
    /// A report without anything that only the app's thread knows.
    pub fn report(&self, ended: Ended, walls: Walls) -> Report {
        Report {
            ended,
            disk_full: false,
            computed: Computed::Missing,
            fuel_used: None,
            cpu_ms: self.cpu_ms(),
            compile_ms: self.compile_ms(),
            peak_kib: self.peak_kib(),
            walls: Walls { seccomp: self.is_sealed(), ..walls },
        }
    }
}
