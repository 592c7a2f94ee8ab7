//! CPU time of the machine (/proc/stat) and of the leaves that run, by which the board's energy is split.
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use sunwork_energy::work::Share;

/// Kernel ticks a second: a constant of Linux's interface to user space.
const TICK_MICROS: u64 = 10_000;

/// Busy and whole CPU time since boot, microseconds over all cores.
#[must_use]
pub fn parse_stat(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
    let busy = user + nice + system + irq + softirq + steal;
    Some((busy * TICK_MICROS, (busy + idle + iowait) * TICK_MICROS))
}

/// Use between two looks.
#[derive(Debug, Default)]
pub struct Machine {
    last: Option<(u64, u64)>,
}

impl Machine {
    /// Use of all cores since the last look, per mille, and busy time, microseconds.
    pub fn look(&mut self) -> (u32, u64) {
        let now = std::fs::read_to_string("/proc/stat").ok().and_then(|text| parse_stat(&text));
        let (Some((busy, whole)), Some((busy0, whole0))) = (now, std::mem::replace(&mut self.last, now)) else {
            return (0, 0);
        };
        let (busy, whole) = (busy.saturating_sub(busy0), whole.saturating_sub(whole0));
        let permille = (busy * 1000).checked_div(whole).unwrap_or(0).min(1000);
        (u32::try_from(permille).unwrap_or(1000), busy)
    }
}

struct Leaf {
    agreement: String,
    milli_cpu: u32,
    since: Instant,
    /// CPU time that was told at the last look, where an engine tells it.
    told: Option<u64>,
}

/// Leaves that run, and those that ended since the last look.
#[derive(Default)]
pub struct Leaves {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    running: BTreeMap<u64, (String, Leaf)>,
    ended: Vec<(String, u64, u32)>,
}

impl Leaves {
    /// A leaf begins; it ends with [`Leaves::end`].
    pub fn begin(&self, agreement: &str, name: &str, milli_cpu: u32) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        let leaf = Leaf { agreement: agreement.to_owned(), milli_cpu, since: Instant::now(), told: None };
        inner.running.insert(id, (name.to_owned(), leaf));
        id
    }

    /// It has ended.
    pub fn end(&self, id: u64) {
        let mut inner = self.lock();
        if let Some((_, leaf)) = inner.running.remove(&id) {
            let micros = by_reservation(&leaf);
            inner.ended.push((leaf.agreement, micros, leaf.milli_cpu));
        }
    }

    /// Names of those that run, for the engines that tell CPU time.
    pub fn names(&self) -> Vec<String> {
        self.lock().running.values().map(|(name, _)| name.clone()).collect()
    }

    /// Shares since the last look. `told`: CPU time since its start of each leaf that an engine tells, by name; for the others what
    /// they reserved stands in. `threads`: of the machine.
    pub fn shares(&self, told: &BTreeMap<String, u64>, threads: u32) -> Vec<Share> {
        let mut inner = self.lock();
        let mut by: BTreeMap<String, (u64, u32)> = BTreeMap::new();
        let mut add = |agreement: &str, micros: u64, milli_cpu: u32| {
            let share = by.entry(agreement.to_owned()).or_default();
            *share = (share.0 + micros, share.1 + milli_cpu / threads.max(1));
        };
        for (agreement, micros, milli_cpu) in std::mem::take(&mut inner.ended) {
            add(&agreement, micros, milli_cpu);
        }
        for (name, leaf) in inner.running.values_mut() {
            let micros = match told.get(name) {
                Some(&total) => total.saturating_sub(leaf.told.replace(total).unwrap_or(0)),
                None => by_reservation(leaf),
            };
            leaf.since = Instant::now();
            add(&leaf.agreement, micros, leaf.milli_cpu);
        }
        let share = |(agreement, (cpu_microseconds, reserved)): (String, (u64, u32))| Share {
            agreement,
            cpu_microseconds,
            reserved_permille: reserved.min(1000),
        };
        by.into_iter().map(share).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// CPU time that a leaf may have used since the last look.
fn by_reservation(leaf: &Leaf) -> u64 {
    let micros = u64::try_from(leaf.since.elapsed().as_micros()).unwrap_or(u64::MAX);
    micros.saturating_mul(leaf.milli_cpu.into()) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_is_all_but_idle_and_waiting() {
        let text = "cpu  100 5 20 800 60 1 4 10 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(parse_stat(text), Some((1_400_000, 10_000_000)));
        assert_eq!(parse_stat("intr 5"), None);
        let mut machine = Machine::default();
        machine.look();
        assert!(machine.look().0 <= 1000);
    }

    #[test]
    fn leaves_are_summed_by_agreement_and_told_times_count_once() {
        let leaves = Leaves::default();
        let (a, _b) = (leaves.begin("0xa", "a-0", 1000), leaves.begin("0xb", "b-0", 500));
        leaves.begin("0xa", "a-1", 1000);
        let told = |micros: u64| BTreeMap::from([("b-0".to_owned(), micros)]);
        let first = leaves.shares(&told(7_000), 4);
        assert_eq!(first.len(), 2);
        assert_eq!((first[0].agreement.as_str(), first[0].reserved_permille), ("0xa", 500));
        assert_eq!((first[1].cpu_microseconds, first[1].reserved_permille), (7_000, 125));
        leaves.end(a);
        let second = leaves.shares(&told(9_500), 4);
        assert_eq!(second[1].cpu_microseconds, 2_500);
        // The ended leaf counts once more, and then no more.
        assert_eq!((second[0].reserved_permille, leaves.shares(&told(9_500), 4)[0].reserved_permille), (500, 250));
    }
}
