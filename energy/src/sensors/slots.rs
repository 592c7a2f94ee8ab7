//! Metered energy in quarter hours of a day, as a device's daily record has it: 96 counts of whole watt hours.
use serde::{Deserialize, Serialize};

use super::Stamp;
use crate::units::{MilliWattHours, UnixSeconds};

/// Quarter hours of a day (UTC).
pub const SLOTS: usize = 96;
const SLOT_SECONDS: i64 = 900;
const DAY_SECONDS: i64 = 86_400;

/// One finished day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Midnight, UTC.
    pub begin: UnixSeconds,
    /// Whole watt hours of each quarter hour.
    pub watt_hours: Vec<u16>,
}

/// Puts what a meter counts into quarter hours.
///
/// Watt hours are rounded down and the rest goes into the next slot, so that over time nothing is lost and nothing invented. Energy
/// of readings without a date (clock not set) is kept apart and never claimed. A clock that went back puts nothing into days that
/// are closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    last_total: Option<MilliWattHours>,
    day: Option<Day>,
    rest: MilliWattHours,
    undated: MilliWattHours,
    too_late: MilliWattHours,
}

impl Slots {
    /// Energy that was counted while the clock was not set.
    #[must_use]
    pub const fn undated(&self) -> MilliWattHours {
        self.undated
    }

    /// Energy with a date in a day that was already closed.
    #[must_use]
    pub const fn too_late(&self) -> MilliWattHours {
        self.too_late
    }

    /// Takes the running total of a meter or counter. Returns the day that this reading closed.
    pub fn take(&mut self, at: Stamp, total: MilliWattHours) -> Option<Day> {
        let last = self.last_total.replace(total)?;
        let grown = MilliWattHours((total - last).0.max(0));
        let Some(unix) = at.unix else {
            self.undated = self.undated + grown;
            return None;
        };
        // A total seen exactly at a border belongs to the slot that ends there.
        let moment = unix.0 - 1;
        let begin = UnixSeconds(moment.div_euclid(DAY_SECONDS) * DAY_SECONDS);
        if self.day.as_ref().is_some_and(|day| begin < day.begin) {
            self.too_late = self.too_late + grown;
            return None;
        }
        let closed = self.day.take_if(|day| day.begin < begin);
        let day = self.day.get_or_insert_with(|| Day { begin, watt_hours: vec![0; SLOTS] });
        let slot = usize::try_from((moment - begin.0) / SLOT_SECONDS).unwrap_or(0).min(SLOTS - 1);
        self.rest = self.rest + grown;
        let room = i64::from(u16::MAX - day.watt_hours[slot]);
        let whole = (self.rest.0 / 1000).clamp(0, room);
        day.watt_hours[slot] += u16::try_from(whole).unwrap_or(0);
        self.rest = self.rest - MilliWattHours(whole * 1000);
        closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::MonoMillis;
    use proptest::prelude::*;

    const DAY: UnixSeconds = UnixSeconds(1_780_272_000);

    fn at(second: i64) -> Stamp {
        Stamp::dated(DAY + UnixSeconds(second))
    }

    #[test]
    fn energy_goes_into_its_quarter_hour_and_a_day_is_closed_once() {
        let mut slots = Slots::default();
        assert_eq!(slots.take(at(0), MilliWattHours(500_000)), None, "the first total is only a base");
        slots.take(at(900), MilliWattHours(501_700));
        slots.take(at(1_800), MilliWattHours(503_000));
        slots.take(at(86_400), MilliWattHours(510_000));
        let day = slots.take(at(86_401), MilliWattHours(510_999)).expect("the day is over");
        assert_eq!((day.begin, day.watt_hours[0], day.watt_hours[1], day.watt_hours[95]), (DAY, 1, 2, 7));
        assert_eq!(slots.take(at(86_402), MilliWattHours(511_000)), None);
    }

    #[test]
    fn energy_without_a_date_is_never_claimed() {
        let mut slots = Slots::default();
        let undated = |mono| Stamp { mono: MonoMillis(mono), unix: None };
        slots.take(undated(0), MilliWattHours(0));
        slots.take(undated(1), MilliWattHours(5_000));
        slots.take(at(10), MilliWattHours(6_000));
        let day = slots.take(at(90_000), MilliWattHours(6_000)).expect("closed");
        assert_eq!((slots.undated(), day.watt_hours[0]), (MilliWattHours(5_000), 1));
    }

    #[test]
    fn a_clock_that_went_back_changes_no_closed_day() {
        let mut slots = Slots::default();
        slots.take(at(100_000), MilliWattHours(0));
        slots.take(at(100_001), MilliWattHours(0));
        assert_eq!(slots.take(at(5_000), MilliWattHours(9_000)), None);
        assert_eq!(slots.too_late(), MilliWattHours(9_000));
    }

    proptest! {
        /// Whatever comes, the slots and what is kept apart sum to what the meter counted.
        #[test]
        fn nothing_is_lost_or_invented(steps in prop::collection::vec((-2_000i64..20_000, 0i64..50_000, any::<bool>()), 1..100)) {
            let (mut slots, mut second, mut total, mut closed) = (Slots::default(), 200_000, 0, 0);
            slots.take(at(second), MilliWattHours(0));
            for (seconds, energy, dated) in steps {
                second += seconds;
                total += energy;
                let mut stamp = at(second);
                if !dated {
                    stamp.unix = None;
                }
                let day = slots.take(stamp, MilliWattHours(total));
                closed += day.map_or(0, |d| d.watt_hours.iter().map(|wh| i64::from(*wh)).sum::<i64>());
            }
            let open: i64 = slots.day.iter().flat_map(|d| &d.watt_hours).map(|wh| i64::from(*wh)).sum();
            let sum = (closed + open) * 1000 + slots.rest.0 + slots.undated.0 + slots.too_late.0;
            prop_assert_eq!(sum, total);
        }
    }
}
