//! A counter that only the device increments, with epochs.
use serde::{Deserialize, Serialize};

use crate::units::MonoMillis;

/// Longest time for which a device may have counted while nobody knows how long nobody looked.
const LONGEST_AWAY: MonoMillis = MonoMillis(366 * 86_400_000);

/// What an observation of a counter meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// First sight: it is the base, nothing is counted.
    First,
    /// The counter went on by so many counts.
    Grew(u64),
    /// It stands lower than before (chip reset, rollover, battery pulled): a new epoch begins here.
    NewEpoch,
    /// The first reading after a restart of unknown length: counted when a second one agrees.
    Held,
    /// More than can have happened in the time: nothing is counted until a second reading agrees; then a new epoch begins.
    Implausible(u64),
}

/// Follows a counter of a device through resets, and sums what it counted.
///
/// ```text
///   First ──► Following ──lower──────────────► NewEpoch ──► Following
///                 │  ▲
///    jump too big │  │ next reading fits the last good one
///                 ▼  │
///               Doubt ──next reading fits the jump──► NewEpoch ──► Following
///
///   restarted, nobody knows how long ago ──► Adrift ──two readings that agree──► Following (what was counted meanwhile is kept)
///                                              └─────lower, or a year's worth──► NewEpoch ──► Following
/// ```
/// Counts between the last reading and a reset are lost, never guessed: the sum never holds what was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochCounter {
    epoch: u32,
    last: Option<(u64, MonoMillis)>,
    doubt: Option<(u64, MonoMillis)>,
    total: u128,
    /// The time of `last` is not known.
    #[serde(default)]
    adrift: bool,
}

impl EpochCounter {
    /// Number of the epoch, from 0.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Counts seen over all epochs.
    #[must_use]
    pub const fn total(&self) -> u128 {
        self.total
    }

    /// Takes a reading. `most_per_second`: counts that the plant can make in a second at the very most.
    pub fn observe(&mut self, raw: u64, at: MonoMillis, most_per_second: u64) -> Step {
        let Some((last, since)) = self.last else {
            self.last = Some((raw, at));
            return Step::First;
        };
        if let Some((doubted, when)) = self.doubt.take() {
            // Believed when the next reading went on from it as the plant can.
            if raw >= doubted && raw - doubted <= most(when, at, most_per_second) {
                let away = raw.checked_sub(last).filter(|_| self.adrift);
                return match away.filter(|grown| *grown <= most(MonoMillis(0), LONGEST_AWAY, most_per_second)) {
                    Some(grown) => self.grow(raw, grown, at),
                    None => self.open(raw, at),
                };
            }
        }
        if raw < last {
            return self.open(raw, at);
        }
        let grown = raw - last;
        if self.adrift {
            // A flipped bit does not come twice; the first reading is compared with the second.
            self.doubt = Some((raw, at));
            return Step::Held;
        }
        if grown > most(since, at, most_per_second) {
            self.doubt = Some((raw, at));
            return Step::Implausible(grown);
        }
        self.grow(raw, grown, at)
    }

    /// How old the last reading is.
    #[must_use]
    pub fn age(&self, now: MonoMillis) -> MonoMillis {
        self.last.map_or_else(MonoMillis::default, |(_, at)| now - at)
    }

    /// The worker was restarted and its monotonic clock began anew; the device went on counting. `down` is how long ago that
    /// reading was, where it is known: no more is believed than the plant can have made in it.
    pub fn restarted(&mut self, now: MonoMillis, down: Option<MonoMillis>) {
        if let Some((_, at)) = &mut self.last {
            *at = now - down.unwrap_or_default();
            self.adrift = down.is_none();
        }
        self.doubt = None;
    }

    /// The device is known to have lost its memory: whatever it shows next is a new base.
    pub const fn device_was_reset(&mut self) {
        if self.last.is_some() {
            self.epoch += 1;
        }
        self.last = None;
        self.doubt = None;
        self.adrift = false;
    }

    fn grow(&mut self, raw: u64, grown: u64, at: MonoMillis) -> Step {
        self.last = Some((raw, at));
        self.adrift = false;
        self.total += u128::from(grown);
        Step::Grew(grown)
    }

    const fn open(&mut self, raw: u64, at: MonoMillis) -> Step {
        self.epoch += 1;
        self.last = Some((raw, at));
        self.doubt = None;
        self.adrift = false;
        Step::NewEpoch
    }
}

/// Bound on the counts of an interval; two seconds of slack for the device's own cadence.
fn most(since: MonoMillis, at: MonoMillis, per_second: u64) -> u64 {
    let seconds = u64::try_from((at - since).0.max(0)).unwrap_or(0).div_ceil(1000) + 2;
    per_second.saturating_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(seconds: i64) -> MonoMillis {
        MonoMillis(seconds * 1000)
    }

    #[test]
    fn a_lower_value_opens_a_new_epoch_and_counts_nothing() {
        let mut counter = EpochCounter::default();
        assert_eq!(counter.observe(1000, s(0), 100), Step::First);
        assert_eq!(counter.observe(1050, s(1), 100), Step::Grew(50));
        assert_eq!(counter.observe(30, s(2), 100), Step::NewEpoch);
        assert_eq!(counter.observe(60, s(3), 100), Step::Grew(30));
        assert_eq!((counter.epoch(), counter.total()), (1, 80));
    }

    #[test]
    fn one_flipped_high_bit_is_neither_counted_nor_an_epoch() {
        let mut counter = EpochCounter::default();
        counter.observe(1000, s(0), 100);
        assert_eq!(counter.observe(1010 | 1 << 38, s(1), 100), Step::Implausible((1010 | 1 << 38) - 1000));
        assert_eq!(counter.observe(1020, s(2), 100), Step::Grew(20));
        assert_eq!((counter.epoch(), counter.total()), (0, 20));
    }

    #[test]
    fn a_jump_that_stays_is_a_new_base() {
        let mut counter = EpochCounter::default();
        counter.observe(1000, s(0), 100);
        counter.observe(900_000, s(1), 100);
        assert_eq!(counter.observe(900_050, s(2), 100), Step::NewEpoch);
        assert_eq!((counter.epoch(), counter.total()), (1, 0));
    }

    #[test]
    fn what_the_device_counted_while_the_worker_was_down_is_kept() {
        let mut counter = EpochCounter::default();
        counter.observe(1000, s(90_000), 100);
        counter.restarted(s(5), Some(s(3600)));
        assert_eq!(counter.observe(200_000, s(6), 100), Step::Grew(199_000));
    }

    #[test]
    fn without_a_clock_what_was_counted_meanwhile_waits_for_a_second_reading() {
        let mut counter = EpochCounter::default();
        counter.observe(1000, s(90_000), 100);
        counter.restarted(s(5), None);
        // A flipped bit first: two readings that agree come after it.
        assert_eq!(counter.observe(200_000 | 1 << 38, s(6), 100), Step::Held);
        assert_eq!(counter.observe(200_000, s(7), 100), Step::Held);
        assert_eq!((counter.observe(200_050, s(8), 100), counter.epoch()), (Step::Grew(199_050), 0));
        assert_eq!(counter.observe(200_060, s(9), 100), Step::Grew(10));
        counter.restarted(s(0), None);
        assert_eq!((counter.observe(7, s(1), 100), counter.epoch()), (Step::NewEpoch, 1), "reset meanwhile");
        counter.restarted(s(0), None);
        let beyond = 100 * 400 * 86_400;
        assert_eq!(counter.observe(beyond, s(1), 100), Step::Held);
        assert_eq!((counter.observe(beyond, s(2), 100), counter.total()), (Step::NewEpoch, 199_060), "another device");
    }

    proptest! {
        /// Whatever the device shows, the sum never falls and never grows faster than the plant can.
        #[test]
        fn the_sum_is_bounded_by_the_plant(raws in prop::collection::vec(0u64..1 << 40, 1..50)) {
            let mut counter = EpochCounter::default();
            let mut before = 0;
            for (i, raw) in raws.iter().enumerate() {
                counter.observe(*raw, s(i as i64), 10);
                prop_assert!(counter.total() >= before);
                before = counter.total();
            }
            prop_assert!(before <= (raws.len() as u128) * 10 * 4);
        }
    }
}
