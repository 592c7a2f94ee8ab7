//! The way out: frames to the worker, from the app's thread and from the one that watches the time.

use std::io::{self, Stdout};
use std::sync::{Arc, Mutex, PoisonError};

use sunwork_runner_wire::{Kind, Report, write_frame};

/// Shared by both threads. Once the report is out nothing follows it but what its sender sends.
#[derive(Clone)]
pub struct Sink {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    out: Stdout,
    reported: bool,
}

impl Sink {
    /// To standard output.
    pub fn new() -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { out: io::stdout(), reported: false })) }
    }

    /// What the app prints.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn print(&self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.reported { Ok(()) } else { write_frame(&mut inner.out, kind, bytes) }
    }

    /// The report. Only the first counts; false for another.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn report(&self, report: &Report) -> io::Result<bool> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.reported {
            return Ok(false);
        }
        inner.reported = true;
        write_frame(&mut inner.out, Kind::Report, &serde_json::to_vec(report)?)?;
        Ok(true)
    }

    /// A frame after the report.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn send(&self, kind: Kind, bytes: &[u8]) -> io::Result<()> {
        write_frame(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner).out, kind, bytes)
    }
}
