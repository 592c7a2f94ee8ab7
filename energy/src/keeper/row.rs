//! One quarter hour of the history, as a line of a file: what the forecast is learned from anew, and what plots are drawn of.
use serde::{Deserialize, Serialize};

use super::Mode;
use crate::{
    trace::Sample,
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

/// Length of a row.
pub const ROW_SECONDS: i64 = 900;

/// A quarter hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its beginning, a multiple of 900 s.
    pub start: UnixSeconds,
    /// Made at the panel.
    pub made: MilliWattHours,
    /// Used by the board.
    pub used: MilliWattHours,
    /// Forecast at its beginning.
    pub expected: MilliWattHours,
    /// The pessimistic forecast at its beginning.
    pub low: MilliWattHours,
    /// State of charge at its end, per mille; `None` when unknown.
    pub charge_permille: Option<i64>,
    /// Bound of that, per mille.
    pub bound_permille: i64,
    /// Seconds in which the panel was measured.
    pub measured_seconds: i64,
    /// The battery was full, so that the panel was not asked for all that it could give.
    pub curtailed: bool,
    /// What the worker did at its end.
    pub mode: Mode,
}

impl Row {
    /// First line of a file of rows.
    pub const HEADING: &'static str =
        "time,made_mwh,used_mwh,expected_mwh,low_mwh,charge_permille,bound_permille,measured_s,curtailed,mode";

    /// As a line, without its end.
    #[must_use]
    pub fn line(&self) -> String {
        let time = jiff::Timestamp::from_second(self.start.0).unwrap_or_default();
        let charge = self.charge_permille.map(|permille| permille.to_string()).unwrap_or_default();
        format!(
            "{time},{},{},{},{},{charge},{},{},{},{}",
            self.made.0,
            self.used.0,
            self.expected.0,
            self.low.0,
            self.bound_permille,
            self.measured_seconds,
            u8::from(self.curtailed),
            self.mode.name()
        )
    }

    /// Reads a line; `None` for the heading, a torn line or anything else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let [time, made, used, expected, low, charge, bound, measured, curtailed, mode] = fields[..] else {
            return None;
        };
        let energy = |text: &str| text.parse().ok().filter(|x| (0..=1_000_000_000).contains(x)).map(MilliWattHours);
        let permille = |text: &str| text.parse().ok().filter(|x| (0..=1000).contains(x));
        let start = time.parse::<jiff::Timestamp>().ok()?.as_second();
        (start % ROW_SECONDS == 0).then_some(())?;
        Some(Self {
            start: UnixSeconds(start),
            made: energy(made)?,
            used: energy(used)?,
            expected: energy(expected)?,
            low: energy(low)?,
            charge_permille: if charge.is_empty() { None } else { Some(permille(charge)?) },
            bound_permille: permille(bound)?,
            measured_seconds: measured.parse().ok().filter(|x| (0..=ROW_SECONDS).contains(x))?,
            curtailed: curtailed == "1",
            mode: Mode::of_name(mode.trim_end())?,
        })
    }

    /// What the forecast learns of it; nothing where less than half was measured. A panel in front of a full battery gives less than
    /// it could: there the forecast stands in, where it says more.
    #[must_use]
    pub fn sample(&self) -> Option<Sample> {
        if self.measured_seconds * 2 < ROW_SECONDS {
            return None;
        }
        let measured = self.made.0 * 3600 / self.measured_seconds;
        let could = if self.curtailed { self.expected.0 * 3600 / ROW_SECONDS } else { 0 };
        Some(Sample { start: self.start, seconds: 900, power: MilliWatts(measured.max(could)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            start: UnixSeconds(1_780_272_900),
            made: MilliWattHours(5_250),
            used: MilliWattHours(900),
            expected: MilliWattHours(6_000),
            low: MilliWattHours(2_000),
            charge_permille: Some(640),
            bound_permille: 21,
            measured_seconds: 900,
            curtailed: false,
            mode: Mode::Lower { permille: 500 },
        }
    }

    #[test]
    fn a_row_is_read_as_it_was_written_and_a_torn_one_is_none() {
        let line = row().line();
        let read = Row::parse(&line).expect("a row");
        assert_eq!(Row { mode: Mode::Lower { permille: 500 }, ..read }, row());
        let unknown = Row { charge_permille: None, ..row() };
        assert_eq!(Row::parse(&unknown.line()).expect("a row").charge_permille, None);
        for end in 1..line.len() - 3 {
            assert_eq!(Row::parse(&line[..end]), None, "{}", &line[..end]);
        }
        assert_eq!(Row::parse(Row::HEADING), None);
        assert_eq!(Row::parse("2026-06-01T00:15:00Z,-1,0,0,0,0,0,0,0,run"), None);
    }

    #[test]
    fn a_full_battery_hides_the_sun_and_a_gap_teaches_nothing() {
        assert_eq!(row().sample().expect("measured").power, MilliWatts(21_000));
        assert_eq!(Row { curtailed: true, ..row() }.sample().expect("measured").power, MilliWatts(24_000));
        assert_eq!(Row { measured_seconds: 449, ..row() }.sample(), None);
        let half = Row { measured_seconds: 450, made: MilliWattHours(2_625), ..row() };
        assert_eq!(half.sample().expect("half").power, MilliWatts(21_000));
    }
}
