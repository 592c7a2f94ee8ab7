//! Counters of the devices, kept over restarts: what a device counted while nobody looked is neither lost nor counted twice.
//!
//! ```text
//!   read counters.json ──first look with an open device──► resumed: same epoch, or a new one if the device was reset meanwhile
//!                                                             │ each quarter hour, at each new epoch, before sleep and at the end
//!                                                             ▼
//!                                             written whole and synced (a draft, renamed): old or new, never half
//! ```
//! Sum and last reading stand in one file: whichever version a power cut leaves, what the device counted since is added once.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sunwork_energy::{
    sensors::{Stamp, counter::EpochCounter},
    units::{MonoMillis, UnixSeconds},
};

/// The counters of all devices by [`super::SensorSpec::counts_as`], as they are saved. Those of devices that are no longer named stay:
/// a sensor that is taken out comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counters(BTreeMap<String, Kept>);

/// One counter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    counter: EpochCounter,
    /// When it was saved, by a clock that was set.
    saved_at: Option<UnixSeconds>,
    /// The same by the clock of that run, in which the counter's own times are.
    saved_mono: MonoMillis,
}

/// Counters that are remembered.
const MAX_COUNTERS: usize = 64;

impl Counters {
    /// The counter of a device that is opened for the first time in this run.
    #[must_use]
    pub fn resumed(&self, device: &str, now: Stamp) -> EpochCounter {
        let Kept { mut counter, saved_at, saved_mono } = self.0.get(device).cloned().unwrap_or_default();
        // A clock that is behind the time of saving knows nothing of how long it was.
        let away = now.unix.zip(saved_at).map(|(now, saved)| now.0.saturating_sub(saved.0)).filter(|away| *away >= 0);
        let age = counter.age(saved_mono).0;
        counter.restarted(now.mono, away.map(|seconds| MonoMillis(seconds.saturating_mul(1000).saturating_add(age))));
        counter
    }

    /// Takes the counters of the open devices as they stand. Beyond so many, all others go.
    pub fn take(&mut self, now: Stamp, standing: impl Iterator<Item = (String, EpochCounter)>) {
        let kept = |counter| Kept { counter, saved_at: now.unix, saved_mono: now.mono };
        let standing: BTreeMap<String, Kept> = standing.map(|(device, counter)| (device, kept(counter))).collect();
        if self.0.len() + standing.len() > MAX_COUNTERS {
            self.0.clear();
        }
        self.0.extend(standing);
    }

    /// Epochs of all, to see that one began.
    #[must_use]
    pub fn epochs(&self) -> Vec<u32> {
        self.0.values().map(|kept| kept.counter.epoch()).collect()
    }

    /// The counter of a device, as it was saved.
    #[must_use]
    pub fn get(&self, device: &str) -> Option<&EpochCounter> {
        self.0.get(device).map(|kept| &kept.counter)
    }
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
