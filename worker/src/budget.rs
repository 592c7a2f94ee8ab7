//! What leaves use together: each takes its share before it runs and gives it back after. First come, first served.
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::{policy::hardware::Caps, runtime::Limits};

/// The shares.
pub struct Budget {
    /// A std mutex: held for a few instructions.
    inner: Mutex<Inner>,
    /// Held while waiting, so that a large leaf is not overtaken for ever.
    turn: tokio::sync::Mutex<()>,
    freed: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Inner {
    caps: Caps,
    slots: u32,
    /// Part of the cores that may be used now, per mille: the energy's word.
    cores_permille: u32,
    used: Need,
}

/// What one leaf takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Need {
    milli_cpu: u64,
    memory_mib: u64,
    disk_mib: u64,
    slots: u64,
}

impl Need {
    fn of(limits: Limits) -> Self {
        Self {
            milli_cpu: limits.milli_cpu.into(),
            memory_mib: limits.host_memory_mib(),
            // The output folder is memory; what reaches the disk is the declared output.
            disk_mib: limits.output_mib.into(),
            slots: 1,
        }
    }
}

/// A leaf's share; given back when it is dropped.
pub struct Share<'a> {
    budget: &'a Budget,
    need: Need,
}

impl Budget {
    /// Shares of these caps, for at most so many leaves at a time.
    pub fn new(caps: Caps, slots: u32) -> Self {
        let inner = Inner { caps, slots, cores_permille: 1000, used: Need::default() };
        Self { inner: Mutex::new(inner), turn: tokio::sync::Mutex::default(), freed: Notify::new() }
    }

    /// Other caps from now on; leaves that run keep what they have.
    pub fn resize(&self, caps: Caps, slots: u32) {
        let mut inner = self.lock();
        (inner.caps, inner.slots) = (caps, slots);
        drop(inner);
        self.freed.notify_waiters();
    }

    /// Only a part of the cores from now on, per mille; one leaf may always run.
    pub fn throttle(&self, cores_permille: u32) {
        let before = std::mem::replace(&mut self.lock().cores_permille, cores_permille);
        if before < cores_permille {
            self.freed.notify_waiters();
        }
    }

    /// The share of a leaf, once there is room. A leaf that is larger than everything runs alone.
    pub async fn take(&self, limits: Limits) -> Share<'_> {
        let need = Need::of(limits);
        let _turn = self.turn.lock().await;
        loop {
            let freed = self.freed.notified();
            if self.try_take(need) {
                return Share { budget: self, need };
            }
            freed.await;
        }
    }

    /// How many leaves of this size run at the same time where nothing else does; at least one.
    pub fn fitting(&self, limits: Limits) -> u32 {
        let (Inner { caps, slots, .. }, need) = (*self.lock(), Need::of(limits));
        let times = |cap: u32, need: u64| u64::from(cap).checked_div(need).unwrap_or(u64::MAX);
        let by_caps = times(caps.milli_cpu, need.milli_cpu)
            .min(times(caps.memory_mib, need.memory_mib))
            .min(times(caps.disk_mib, need.disk_mib));
        u32::try_from(by_caps).map_or(slots, |fitting| fitting.min(slots)).max(1)
    }

    /// Thousandths of a core that running leaves may use.
    pub fn used_milli_cpu(&self) -> u64 {
        self.lock().used.milli_cpu
    }

    /// Leaves that run.
    pub fn running(&self) -> u64 {
        self.lock().used.slots
    }

    fn try_take(&self, need: Need) -> bool {
        let mut inner = self.lock();
        let Inner { caps, slots, cores_permille, used } = *inner;
        let milli_cpu = u64::from(caps.milli_cpu) * u64::from(cores_permille.min(1000)) / 1000;
        let fits = used.milli_cpu + need.milli_cpu <= milli_cpu
            && used.memory_mib + need.memory_mib <= caps.memory_mib.into()
            && used.disk_mib + need.disk_mib <= caps.disk_mib.into()
            && used.slots < slots.into();
        if fits || used.slots == 0 {
            inner.used = Need {
                milli_cpu: used.milli_cpu + need.milli_cpu,
                memory_mib: used.memory_mib + need.memory_mib,
                disk_mib: used.disk_mib + need.disk_mib,
                slots: used.slots + 1,
            };
            return true;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut inner = self.budget.lock();
        let (used, need) = (inner.used, self.need);
        inner.used = Need {
            milli_cpu: used.milli_cpu - need.milli_cpu,
            memory_mib: used.memory_mib - need.memory_mib,
            disk_mib: used.disk_mib - need.disk_mib,
            slots: used.slots - 1,
        };
        drop(inner);
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn leaf(milli_cpu: u32) -> Limits {
        Limits { milli_cpu, memory_mib: 64, disk_mib: 1, max_pids: 1, leaf_secs: 1, output_mib: 1 }
    }

    const CAPS: Caps = Caps { milli_cpu: 3000, memory_mib: 10_000, disk_mib: 100 };

    #[tokio::test]
    async fn leaves_share_the_caps_and_wait_in_order() {
        let budget = Budget::new(CAPS, 8);
        let first = budget.take(leaf(1000)).await;
        let _second = budget.take(leaf(1000)).await;
        let mut large = Box::pin(budget.take(leaf(2000)));
        assert!((&mut large).now_or_never().is_none());
        let mut small = Box::pin(budget.take(leaf(1000)));
        assert!((&mut small).now_or_never().is_none(), "the large one is not overtaken");
        drop(first);
        let large = large.await;
        assert!((&mut small).now_or_never().is_none());
        drop(large);
        let _small = small.await;
        assert_eq!((budget.running(), budget.used_milli_cpu()), (2, 2000));
    }

    #[test]
    fn leaves_at_a_time_follow_the_scarcest_cap() {
        let budget = Budget::new(CAPS, 8);
        assert_eq!(budget.fitting(leaf(1000)), 3);
        assert_eq!(budget.fitting(leaf(100)), 8, "as many as run at a time");
        assert_eq!(budget.fitting(leaf(4000)), 1, "a larger one runs alone");
        assert_eq!(budget.fitting(Limits { output_mib: 50, ..leaf(100) }), 2);
    }

    #[tokio::test]
    async fn a_leaf_larger_than_everything_runs_alone_and_new_caps_count_at_once() {
        let budget = Budget::new(Caps { milli_cpu: 500, ..CAPS }, 8);
        let alone = budget.take(leaf(1000)).await;
        let mut next = Box::pin(budget.take(leaf(100)));
        assert!((&mut next).now_or_never().is_none());
        budget.resize(CAPS, 8);
        let next = next.await;
        drop((alone, next));
        assert_eq!(budget.running(), 0);
    }
}
