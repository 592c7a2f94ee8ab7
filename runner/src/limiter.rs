//! Memory: a module that asks for more than it may have is at its end, there and then, on every machine.

use std::fmt;

use wasmtime::{Error, ResourceLimiter, Result};

/// Entries that all tables of a module may have together.
const MAX_TABLE_ELEMENTS: usize = 1 << 20;
/// Tables of a module.
const MAX_TABLES: usize = 64;

/// The app asked for more than its memory.
#[derive(Debug)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the app asked for more memory than it may have")
    }
}

impl std::error::Error for OutOfMemory {}

/// This machine did not do what it must.
#[derive(Debug)]
pub struct HostFailed(pub String);

impl fmt::Display for HostFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for HostFailed {}

/// Limits of one instance.
#[derive(Debug)]
pub struct Limiter {
    memory_bytes: usize,
    table_elements: usize,
    /// The last growth was allowed: if it fails now, it is this machine's doing.
    granted: bool,
}

impl Limiter {
    /// With this much memory.
    pub fn new(memory_bytes: u64) -> Self {
        Self {
            memory_bytes: usize::try_from(memory_bytes).unwrap_or(usize::MAX),
            table_elements: MAX_TABLE_ELEMENTS,
            granted: false,
        }
    }
}

impl Limiter {
    /// Told -1, an app would go on, and end differently than on a machine that has the memory.
    fn must_grow(&self, error: &Error) -> Result<()> {
        if self.granted { Err(Error::new(HostFailed(format!("growing the app's memory: {error:#}")))) } else { Ok(()) }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.granted = false;
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own limit: it is told -1, as the standard says.
            return Ok(false);
        }
        if desired > self.memory_bytes {
            return Err(Error::new(OutOfMemory));
        }
        self.granted = true;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.must_grow(&error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.granted = false;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        match self.table_elements.checked_sub(desired.saturating_sub(current)) {
            Some(left) => {
                (self.table_elements, self.granted) = (left, true);
                Ok(true)
            }
            None => Err(Error::new(OutOfMemory)),
        }
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.must_grow(&error)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        1
    }
}
