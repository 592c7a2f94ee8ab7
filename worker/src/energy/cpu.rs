//! CPU time of the machine (/proc/stat) and of the leaves that run, by which the board's energy is split.
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use sunwork_energy::work::Share;

/// Kernel ticks a second: a constant of Linux's interface to user space.
pub const TICK_MICROS: u64 = 10_000;

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
    /// Its runtime tells the CPU time of every run: none is made up for it.
    tells: bool,
    /// Number of its run; a leaf may be run again to be sure.
    run: u32,
    /// CPU time of this run that was told at the last look.
    told: Option<u64>,
    /// Of runs that ended since the last look.
    ended_micros: u64,
}

impl Leaf {
    /// CPU time since the last look of the run under way, where nobody tells it: what it reserved.
    fn not_told(&self) -> u64 {
        if self.tells {
            return 0;
        }
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        micros.saturating_mul(self.milli_cpu.into()) / 1000
    }
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

/// What was told of leaves: by name, the run that was meant and its CPU time since its start, microseconds.
pub type Told = BTreeMap<String, (u32, u64)>;

impl Leaves {
    /// A leaf begins; it ends with [`Leaves::end`]. `tells`: its runtime tells the CPU time of every run.
    pub fn begin(&self, agreement: &str, name: &str, milli_cpu: u32, tells: bool) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        let agreement = agreement.to_owned();
        let leaf = Leaf { agreement, milli_cpu, since: Instant::now(), tells, run: 0, told: None, ended_micros: 0 };
        inner.running.insert(id, (name.to_owned(), leaf));
        id
    }

    /// One of its runs has ended, with this CPU time in all where that is told.
    pub fn ran(&self, name: &str, cpu_micros: Option<u64>) {
        let mut inner = self.lock();
        let Some((_, leaf)) = inner.running.values_mut().find(|(known, _)| known == name) else { return };
        let told = leaf.told.take().unwrap_or(0);
        let micros = cpu_micros.map_or_else(|| leaf.not_told(), |micros| micros.saturating_sub(told));
        leaf.ended_micros = leaf.ended_micros.saturating_add(micros);
        leaf.run += 1;
        leaf.since = Instant::now();
    }

    /// It has ended.
    pub fn end(&self, id: u64) {
        let mut inner = self.lock();
        if let Some((_, leaf)) = inner.running.remove(&id) {
            let micros = leaf.ended_micros.saturating_add(leaf.not_told());
            inner.ended.push((leaf.agreement, micros, leaf.milli_cpu));
        }
    }

    /// Names of those that run and the number of their run, for the engines that tell CPU time.
    pub fn names(&self) -> Vec<(String, u32)> {
        self.lock().running.values().map(|(name, leaf)| (name.clone(), leaf.run)).collect()
    }

    /// Shares since the last look. `told`: what the engines tell; for the others what they reserved stands in. `threads`: of the
    /// machine.
    pub fn shares(&self, told: &Told, threads: u32) -> Vec<Share> {
        let mut inner = self.lock();
        let mut by: BTreeMap<String, (u64, u32)> = BTreeMap::new();
        let mut add = |agreement: &str, micros: u64, milli_cpu: u32| {
            let share = by.entry(agreement.to_owned()).or_default();
            *share = (share.0.saturating_add(micros), share.1 + milli_cpu / threads.max(1));
        };
        for (agreement, micros, milli_cpu) in std::mem::take(&mut inner.ended) {
            add(&agreement, micros, milli_cpu);
        }
        for (name, leaf) in inner.running.values_mut() {
            // What was told of a run that has ended meanwhile is in the sum of that run.
            let micros = match told.get(name).filter(|(run, _)| *run == leaf.run) {
                Some(&(_, total)) => total.saturating_sub(leaf.told.replace(total).unwrap_or(0)),
                None => leaf.not_told(),
            };
            leaf.since = Instant::now();
            let micros = micros.saturating_add(std::mem::take(&mut leaf.ended_micros));
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
        let a = leaves.begin("0xa", "a-0", 1000, false);
        leaves.begin("0xb", "b-0", 500, false);
        leaves.begin("0xa", "a-1", 1000, false);
        let told = |micros: u64| Told::from([("b-0".to_owned(), (0, micros))]);
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

    #[test]
    fn every_run_of_a_leaf_counts_to_its_last_microsecond_and_waiting_counts_nothing() {
        let leaves = Leaves::default();
        let id = leaves.begin("0xc", "c-0", 1000, true);
        let micros = |told: &Told| leaves.shares(told, 2).first().map(|share| share.cpu_microseconds);
        let told = |run, micros| Told::from([("c-0".to_owned(), (run, micros))]);
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert_eq!(micros(&Told::new()), Some(0), "it waits for its module");
        assert_eq!(micros(&told(0, 40_000)), Some(40_000));
        leaves.ran("c-0", Some(100_000));
        // Told before the run ended, taken after: it is in the run's own sum.
        assert_eq!(micros(&told(0, 90_000)), Some(60_000));
        assert_eq!(leaves.names(), [("c-0".to_owned(), 1)]);
        assert_eq!(micros(&told(1, 30_000)), Some(30_000), "the second run begins at zero");
        leaves.ran("c-0", Some(110_000));
        leaves.end(id);
        assert_eq!((micros(&Told::new()), micros(&Told::new())), (Some(80_000), None));
    }
}
