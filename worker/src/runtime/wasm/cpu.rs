//! CPU time of the runners, by the kernel's word and not by theirs.
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::energy::cpu::TICK_MICROS;

/// The runners under way, by the names of their leaves.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<BTreeMap<String, u32>>);

impl Running {
    /// A runner is known by its leaf's name for as long as what comes back lives.
    pub(super) fn enter<'a>(&'a self, name: &str, process: Option<u32>) -> Entry<'a> {
        if let Some(process) = process {
            self.lock().insert(name.to_owned(), process);
        }
        Entry { running: self, name: name.to_owned() }
    }

    /// CPU time of a leaf that runs, microseconds.
    pub(super) fn cpu_micros(&self, name: &str) -> Option<u64> {
        // Held while the kernel is asked: a number that left the list may be another process's.
        let running = self.lock();
        cpu_micros(*running.get(name)?)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Running::enter`].
pub(super) struct Entry<'a> {
    running: &'a Running,
    name: String,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.name);
    }
}

/// CPU time of a process with all of its threads, to a tick of the kernel's (10 ms).
pub(super) fn cpu_micros(process: u32) -> Option<u64> {
    parse(&std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// Fields 14 and 15 of proc_pid_stat(5), user and system time; the name before them may hold anything.
fn parse(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()?.checked_add(times.next()?.ok()?)?;
    ticks.checked_mul(TICK_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_behind_a_name_that_may_hold_anything() {
        let stat = "42 (a) b (c) R 1 42 42 0 -1 4194304 100 0 0 0 37 5 9 9 20 0 3 0 12345 0 0";
        assert_eq!(parse(stat), Some(420_000));
        assert_eq!((parse("42 (a) R 1"), parse("")), (None, None));
        assert!(cpu_micros(std::process::id()).is_some());
    }

    #[test]
    fn a_leaf_is_known_while_it_runs() {
        let running = Running::default();
        let entry = running.enter("a-0", Some(std::process::id()));
        assert!(running.cpu_micros("a-0").is_some() && running.cpu_micros("a-1").is_none());
        drop(entry);
        assert_eq!(running.cpu_micros("a-0"), None);
    }
}
