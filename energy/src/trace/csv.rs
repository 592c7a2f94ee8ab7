//! Series as text: a line per sample, RFC 3339 time and watts. The time is where the sample begins; it lasts until the next one,
//! or as long as is usual in the file where a line is missing.
use jiff::Timestamp;

use super::Sample;
use crate::units::{MilliWatts, UnixSeconds};

/// Lines read at most: seven years of minutes.
pub const MAX_LINES: usize = 4_000_000;
/// Shortest and longest usual step: a day. Whoever reads steps longer than [`LONGEST_SAMPLE_SECONDS`] has to spread them.
const STEP_SECONDS: std::ops::RangeInclusive<i64> = 1..=super::DAY_SECONDS;
/// Longest sample that a forecaster takes.
pub const LONGEST_SAMPLE_SECONDS: i64 = 7200;
/// No panel of a worker gives more (a gigawatt, in milliwatts); it keeps every sum far from overflow.
const MAX_MILLIWATTS: f64 = 1e12;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TraceError {
    /// A line that is no sample.
    #[error(
        "line {line}: {found:?} is not a sample; expected an RFC 3339 time, a comma, and watts, like 2013-06-01T12:00:00Z,63.5"
    )]
    Line {
        /// Counted from one.
        line: usize,
        /// Its beginning.
        found: String,
    },
    /// Times have to increase.
    #[error(
        "line {line}: the time is not after that of the line before; sort the file, and write times with their offset"
    )]
    Order {
        /// Counted from one.
        line: usize,
    },
    /// One time, two powers.
    #[error(
        "line {line}: {watts} at the time for which the line before has {before}; one time has one power: keep the line that is right"
    )]
    Twice {
        /// Counted from one.
        line: usize,
        /// What the line before says, in watts.
        before: String,
        /// What this one says.
        watts: String,
    },
    /// Nothing to work with.
    #[error("{found} samples, expected 2 to {MAX_LINES}")]
    Length {
        /// How many there are.
        found: usize,
    },
    /// Far below zero: not a panel's power.
    #[error(
        "line {line}: {watts:.1} W; a panel gives no less than nothing, and an inverter's own use is a few watts: is it the battery's \
         or the meter's column?"
    )]
    Negative {
        /// Counted from one.
        line: usize,
        /// What stands there.
        watts: f64,
    },
    /// The usual distance of two samples.
    #[error("samples are {found} s apart, expected 1 s to {most} s")]
    Step {
        /// The median.
        found: i64,
        /// Most that is taken.
        most: i64,
    },
}

/// A series with what was found while reading it.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// In order of time.
    pub samples: Vec<Sample>,
    /// Usual distance of two samples (the median), seconds.
    pub step_seconds: i64,
    /// Lines that said the same as the one before, and were dropped.
    pub repeated_lines: usize,
}

/// Reads a series of samples that a forecaster takes as they are: at most [`LONGEST_SAMPLE_SECONDS`] apart. See [`read`].
///
/// # Errors
/// Names the line and what was expected.
pub fn parse(text: &str) -> Result<Vec<Sample>, TraceError> {
    let series = read(text)?;
    if series.step_seconds > LONGEST_SAMPLE_SECONDS {
        return Err(TraceError::Step { found: series.step_seconds, most: LONGEST_SAMPLE_SECONDS });
    }
    Ok(series.samples)
}

/// Reads a series. A heading (the first line that is no comment), a byte order mark, empty lines and lines that start with `#` are
/// left out, as is a line that repeats time and power of the one before; an empty or `NaN` power is a gap; small negative powers (an inverter's own use at night: down to a twentieth of the peak or 10 W) count as zero.
///
/// # Errors
/// Names the line and what was expected.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "powers are bounded when they are read"
)]
pub fn read(text: &str) -> Result<Series, TraceError> {
    let mut rows: Vec<(i64, Option<i64>)> = Vec::new();
    let mut lowest: Option<(usize, f64)> = None;
    let mut before: Option<Row> = None;
    let mut repeated_lines = 0;
    let mut heading_may_come = true;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let may_be_heading = std::mem::take(&mut heading_may_come);
        // Times may stand in quotes; words are a heading.
        if may_be_heading && !trimmed.trim_start_matches('"').starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        if rows.len() >= MAX_LINES {
            return Err(TraceError::Length { found: MAX_LINES + 1 });
        }
        let row = row(trimmed)
            .ok_or_else(|| TraceError::Line { line: index + 1, found: trimmed.chars().take(60).collect() })?;
        match before.replace(row) {
            Some(last) if last == row => {
                repeated_lines += 1;
                continue;
            }
            Some(last) if last.start == row.start => {
                return Err(TraceError::Twice { line: index + 1, before: last.words(), watts: row.words() });
            }
            Some(last) if last.start > row.start => return Err(TraceError::Order { line: index + 1 }),
            _ => {}
        }
        let Row { start, watts } = row;
        if let Some(watts) = watts.filter(|watts| *watts < lowest.map_or(0.0, |(_, lowest)| lowest)) {
            lowest = Some((index + 1, watts));
        }
        // Bounded by `row`; below zero is zero.
        rows.push((start, watts.map(|watts| (watts * 1000.0).round().max(0.0) as i64)));
    }
    let peak = rows.iter().filter_map(|row| row.1).max().unwrap_or(0) as f64 / 1000.0;
    if let Some((line, watts)) = lowest.filter(|(_, watts)| *watts < -(peak / 20.0).max(10.0)) {
        return Err(TraceError::Negative { line, watts });
    }
    if rows.len() < 2 {
        return Err(TraceError::Length { found: rows.len() });
    }
    let mut steps: Vec<i64> = rows.windows(2).map(|w| w[1].0 - w[0].0).collect();
    steps.sort_unstable();
    let usual = steps[steps.len() / 2];
    if !STEP_SECONDS.contains(&usual) {
        return Err(TraceError::Step { found: usual, most: *STEP_SECONDS.end() });
    }
    let ends = rows.iter().skip(1).map(|row| row.0).chain([i64::MAX]);
    let samples = rows.iter().zip(ends).filter_map(|(&(start, power), next)| {
        let seconds = u32::try_from(usual.min(next - start)).ok()?;
        Some(Sample { start: UnixSeconds(start), seconds, power: MilliWatts(power?) })
    });
    Ok(Series { samples: samples.collect(), step_seconds: usual, repeated_lines })
}

/// A line.
#[derive(Clone, Copy, PartialEq)]
struct Row {
    /// Unix seconds.
    start: i64,
    /// `None`: a gap.
    watts: Option<f64>,
}

impl Row {
    fn words(&self) -> String {
        self.watts.map_or_else(|| "no power".to_owned(), |watts| format!("{watts} W"))
    }
}

/// `None`: no sample.
fn row(line: &str) -> Option<Row> {
    let (time, watts) = line.split_once(',')?;
    let start = time.trim().trim_matches('"').parse::<Timestamp>().ok()?.as_second();
    let watts = watts.split(',').next()?.trim();
    if watts.is_empty() {
        return Some(Row { start, watts: None });
    }
    let watts: f64 = watts.parse().ok()?;
    if watts.is_nan() {
        return Some(Row { start, watts: None });
    }
    (watts.abs() * 1000.0 <= MAX_MILLIWATTS).then_some(Row { start, watts: Some(watts) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_and_gaps_are_left_out() {
        let text =
            "time,watts\n2011-04-15T10:00:00-07:00,2.5\n# note\n2011-04-15T17:15:00Z,\n2011-04-15T17:30:00Z,-0.1,x\n";
        let all = parse(text).expect("a series");
        assert_eq!(all.len(), 2);
        assert_eq!(all[0], Sample { start: UnixSeconds(1_302_886_800), seconds: 900, power: MilliWatts(2500) });
        assert_eq!(all[1].power, MilliWatts(0));
    }

    #[test]
    fn a_heading_may_follow_comments_and_a_byte_order_mark_hides_no_sample() {
        let samples = "2011-04-15T10:00:00Z,1\n2011-04-15T10:15:00Z,2\n";
        let plain = parse(samples).expect("a series");
        assert_eq!(parse(&format!("# of my roof\n\ntime,watts\n{samples}")), Ok(plain.clone()));
        assert_eq!(parse(&format!("\u{feff}{samples}")), Ok(plain.clone()), "the first sample is one");
        assert_eq!(parse(&format!("\u{feff}\"time\",\"watts\"\r\n{samples}")), Ok(plain.clone()));
        assert_eq!(parse(&samples.replace("2011-04-15T10:00:00Z", "\"2011-04-15T10:00:00Z\"")), Ok(plain));
        let two = parse(&format!("# x\ntime,watts\ntime,watts\n{samples}")).expect_err("two headings");
        assert!(two.to_string().starts_with("line 3"), "{two}");
    }

    #[test]
    fn a_panel_that_takes_power_is_refused_and_an_inverters_own_use_is_not() {
        let series =
            |night: f64| format!("2011-04-15T10:00:00Z,3000\n2011-04-15T10:15:00Z,{night}\n2011-04-15T10:30:00Z,-9\n");
        assert_eq!(parse(&series(-140.0)).expect("a large inverter")[1].power, MilliWatts(0));
        assert_eq!(parse(&series(-160.0)), Err(TraceError::Negative { line: 2, watts: -160.0 }));
        let small = "2011-04-15T10:00:00Z,50\n2011-04-15T10:15:00Z,-9\n2011-04-15T10:30:00Z,-500\n";
        let error = parse(small).expect_err("a battery");
        assert!(error.to_string().contains("line 3: -500.0 W"), "{error}");
    }

    #[test]
    fn a_wall_clock_without_offset_is_refused_with_its_line() {
        let error = parse("2011-04-15 10:00:00,2.5\n2011-04-15 10:15:00,2.5\n").expect_err("no offset");
        assert!(error.to_string().contains("line 1") && error.to_string().contains("RFC 3339"), "{error}");
        let error = parse("time,watts\n2011-04-15T10:00:00Z,1\n2011-04-15T09:00:00Z,1\n").expect_err("back");
        assert_eq!(error, TraceError::Order { line: 3 });
        assert_eq!(parse("").expect_err("empty"), TraceError::Length { found: 0 });
        assert!(parse("2011-04-15T10:00:00Z,inf\n2011-04-15T10:15:00Z,1\n").is_err());
    }

    #[test]
    fn a_line_that_repeats_the_one_before_is_dropped_and_a_second_power_for_a_time_is_refused() {
        let plain = "2011-04-15T10:00:00Z,1\n2011-04-15T10:15:00Z,2\n2011-04-15T10:30:00Z,\n";
        let repeated = plain.lines().flat_map(|line| [line, "\n", line, "\n"]).collect::<String>();
        let (once, twice) = (read(plain).expect("a series"), read(&repeated).expect("a series"));
        assert_eq!((once.samples, once.repeated_lines), (twice.samples, 0));
        assert_eq!((twice.repeated_lines, twice.step_seconds), (3, 900));
        let error = read("2011-04-15T10:00:00Z,1\n2011-04-15T10:00:00Z,2.5\n").expect_err("two powers");
        assert!(
            error.to_string().starts_with("line 2: 2.5 W at the time for which the line before has 1 W"),
            "{error}"
        );
        assert!(read("2011-04-15T10:00:00Z,1\n2011-04-15T10:00:00Z,\n").is_err(), "a power and none");
    }

    #[test]
    fn steps_up_to_a_day_are_read_by_those_who_spread_them() {
        let series = |second: &str| format!("2011-04-15T00:00:00Z,1\n{second},2\n");
        let three_hours = series("2011-04-15T03:00:00Z");
        assert_eq!(read(&three_hours).expect("a series").samples[0].seconds, 10_800);
        assert_eq!(parse(&three_hours), Err(TraceError::Step { found: 10_800, most: 7200 }));
        assert_eq!(read(&series("2011-04-17T00:00:00Z")), Err(TraceError::Step { found: 172_800, most: 86_400 }));
    }
}
