//! From the history's quarter hours to a record's counts. Pure, in integers.
use sunwork_energy::{
    keeper::{Mode, Row},
    units::MilliWatts,
};
use sunwork_protocol::energy::{Counts, DAY_SECS, SLOTS};

/// Seconds of a slot; the same as those of a [`Row`].
const SLOT_SECS: i64 = 900;

/// What goes on from record to record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carry {
    /// Epoch of the counter: grows when its memory was lost.
    pub epoch: u16,
    /// The meter's running total of production in this epoch, milliwatt hours. A record has its whole watt hours, the rest goes on.
    pub counter_mwh: u64,
    /// Consumption below a watt hour that no record has yet, milliwatt hours.
    pub used_rest_mwh: u64,
}

impl Carry {
    /// The counter as a record has it.
    pub const fn counter_wh(&self) -> u64 {
        self.counter_mwh / 1000
    }

    /// The counter's memory was lost. `None`: the epochs of this key are used up, only a new key begins anew.
    #[must_use]
    pub fn anew(epoch_before: u16) -> Option<Self> {
        Some(Self { epoch: epoch_before.checked_add(1)?, ..Self::default() })
    }
}

/// What a quarter hour without a row is taken to have used; made it has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The history says that the board slept.
    pub asleep: MilliWatts,
    /// Nobody knows what it did: the most that it can draw.
    pub unknown: MilliWatts,
}

/// A day's counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayCounts {
    /// Made.
    pub production: Counts,
    /// Used.
    pub consumption: Counts,
    /// What goes on.
    pub after: Carry,
}

/// Whether the history knows anything of a day.
#[must_use]
pub fn is_known(rows: &[Row], day: u16) -> bool {
    rows.iter().any(|row| day_of(row) == Some(day))
}

/// The counts of a day. `rows`, oldest first, may begin before it: a sleep that began the evening before goes on.
///
/// Whole watt hours, rounded down, the rest carried into the next slot and day: the counts sum to what the counter grows by.
#[must_use]
pub fn of_day(rows: &[Row], day: u16, before: Carry, missing: Missing) -> DayCounts {
    let begin = midnight(day);
    let mut asleep = rows.iter().rev().find(|row| row.start.0 < begin).is_some_and(sleeps);
    let mut counts =
        DayCounts { production: Counts::default(), consumption: Counts::default(), after: Carry { ..before } };
    for slot in 0..SLOTS {
        let start = begin + slot as i64 * SLOT_SECS;
        let row = rows.iter().find(|row| row.start.0 == start);
        let (made, used) = match row {
            Some(row) => (row.made.0, row.used.0),
            None => (0, if asleep { missing.asleep } else { missing.unknown }.over(SLOT_SECS).0),
        };
        asleep = row.map_or(asleep, sleeps);
        let whole = counts.after.counter_wh();
        counts.after.counter_mwh += made.max(0).unsigned_abs();
        counts.production.0[slot] = clamp(counts.after.counter_wh() - whole);
        counts.after.used_rest_mwh += used.max(0).unsigned_abs();
        counts.consumption.0[slot] = clamp(counts.after.used_rest_mwh / 1000);
        counts.after.used_rest_mwh %= 1000;
    }
    counts
}

/// The counter over days of which nothing is claimed.
#[must_use]
pub fn over_gap(rows: &[Row], first: u16, last: u16, before: Carry) -> Carry {
    let covered = rows.iter().filter(|row| day_of(row).is_some_and(|day| (first..=last).contains(&day)));
    let made: u64 = covered.map(|row| row.made.0.max(0).unsigned_abs()).sum();
    Carry { counter_mwh: before.counter_mwh + made, used_rest_mwh: 0, ..before }
}

/// Midnight, UTC.
pub(super) fn midnight(day: u16) -> i64 {
    i64::from(day) * DAY_SECS as i64
}

fn day_of(row: &Row) -> Option<u16> {
    u16::try_from(row.start.0.div_euclid(DAY_SECS as i64)).ok()
}

const fn sleeps(row: &Row) -> bool {
    matches!(row.mode, Mode::Sleep { .. })
}

/// What does not fit is far above every cap, and refused there.
fn clamp(wh: u64) -> u16 {
    u16::try_from(wh).unwrap_or(u16::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use sunwork_energy::units::{MilliWattHours, UnixSeconds};

    pub const DAY: u16 = 20_605;
    pub const MISSING: Missing = Missing { asleep: MilliWatts(150), unknown: MilliWatts(8_000) };

    /// A quarter hour of a day.
    pub fn row(day: u16, slot: i64, made: i64, used: i64) -> Row {
        Row {
            start: UnixSeconds(midnight(day) + slot * SLOT_SECS),
            made: MilliWattHours(made),
            used: MilliWattHours(used),
            expected: MilliWattHours(0),
            low: MilliWattHours(0),
            charge_permille: None,
            bound_permille: 0,
            measured_seconds: 900,
            curtailed: false,
            mode: Mode::Run,
        }
    }

    /// A whole day of the same.
    pub fn whole(day: u16, made: i64, used: i64) -> Vec<Row> {
        (0..96).map(|slot| row(day, slot, made, used)).collect()
    }

    #[test]
    fn the_rest_is_carried_from_slot_to_slot_and_from_day_to_day() {
        let rows = [whole(DAY, 1_300, 900), whole(DAY + 1, 1_300, 900)].concat();
        let first = of_day(&rows, DAY, Carry::default(), MISSING);
        assert_eq!(first.production.0[..4], [1, 1, 1, 2]);
        assert_eq!((first.production.sum_wh(), first.consumption.sum_wh()), (124, 86));
        assert_eq!(first.after, Carry { epoch: 0, counter_mwh: 124_800, used_rest_mwh: 400 });
        let second = of_day(&rows, DAY + 1, first.after, MISSING);
        assert_eq!((second.after.counter_wh(), second.production.sum_wh()), (249, 125));
    }

    #[test]
    fn what_is_not_known_was_not_made_and_used_the_most_unless_the_board_slept() {
        let mut rows = vec![row(DAY, 0, 5_000, 1_000)];
        let unknown = of_day(&rows, DAY, Carry::default(), MISSING);
        assert_eq!((unknown.production.sum_wh(), unknown.consumption.sum_wh()), (5, 1 + 95 * 2));
        rows[0].mode = Mode::Sleep { wake: UnixSeconds(0) };
        // 95 quarter hours at 0.15 W are 3.5 Wh.
        assert_eq!(of_day(&rows, DAY, Carry::default(), MISSING).consumption.sum_wh(), 1 + 3);
        // The sleep goes on over midnight.
        assert_eq!(of_day(&rows, DAY + 1, Carry::default(), MISSING).consumption.sum_wh(), 3);
        assert!(is_known(&rows, DAY) && !is_known(&rows, DAY + 1));
    }

    #[test]
    fn a_gap_carries_the_counter_over_what_it_forfeits() {
        let rows = [whole(DAY, 1_000, 0), whole(DAY + 1, 2_000, 0), whole(DAY + 2, 4_000, 0)].concat();
        let before = Carry { epoch: 3, counter_mwh: 500, used_rest_mwh: 7 };
        let after = over_gap(&rows, DAY, DAY + 1, before);
        assert_eq!(after, Carry { epoch: 3, counter_mwh: 500 + 96 * 3_000, used_rest_mwh: 0 });
    }

    proptest! {
        /// Whatever the history holds, the counts of production sum to what the counter grew by, and nothing is invented.
        #[test]
        fn counts_are_what_the_counter_grew_by(energy in prop::collection::vec((0i64..40_000, 0i64..10_000), 96), rest in 0u64..1000) {
            let rows: Vec<Row> =
                (0..).zip(&energy).map(|(slot, (made, used))| row(DAY, slot, *made, *used)).collect();
            let before = Carry { epoch: 1, counter_mwh: 7_000 + rest, used_rest_mwh: rest };
            let counted = of_day(&rows, DAY, before, MISSING);
            let grown = counted.after.counter_wh() - before.counter_wh();
            prop_assert_eq!(u64::from(counted.production.sum_wh()), grown);
            let used: i64 = energy.iter().map(|(_, used)| used).sum();
            let told = u64::from(counted.consumption.sum_wh()) * 1000 + counted.after.used_rest_mwh;
            prop_assert_eq!(told, used.unsigned_abs() + rest);
        }
    }
}
