//! Series as text: a line per sample, RFC 3339 time and watts. The time is where the sample begins; it lasts until the next one,
//! or as long as is usual in the file where a line is missing.
use jiff::Timestamp;

use super::Sample;
use crate::units::{MilliWatts, UnixSeconds};

/// Lines read at most: seven years of minutes.
pub const MAX_LINES: usize = 4_000_000;
/// Shortest and longest usual step.
const STEP_SECONDS: std::ops::RangeInclusive<i64> = 1..=7200;
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
    #[error("samples are {found} s apart, expected 1 s to 7200 s")]
    Step {
        /// The median.
        found: i64,
    },
}

/// Reads a series. A heading (the first line that is no comment), a byte order mark, empty lines and lines that start with `#` are
/// left out; an empty or `NaN` power is a gap; small negative powers (an inverter's own use at night: down to a twentieth of the peak or 10 W) count as zero.
///
/// # Errors
/// Names the line and what was expected.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "powers are bounded when they are read"
)]
pub fn parse(text: &str) -> Result<Vec<Sample>, TraceError> {
    let mut rows: Vec<(i64, Option<i64>)> = Vec::new();
    let mut lowest: Option<(usize, f64)> = None;
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
        if rows.last().is_some_and(|last| last.0 >= row.start) {
            return Err(TraceError::Order { line: index + 1 });
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
        return Err(TraceError::Step { found: usual });
    }
    let ends = rows.iter().skip(1).map(|row| row.0).chain([i64::MAX]);
    let samples = rows.iter().zip(ends).filter_map(|(&(start, power), next)| {
        let seconds = u32::try_from(usual.min(next - start)).ok()?;
        Some(Sample { start: UnixSeconds(start), seconds, power: MilliWatts(power?) })
    });
    Ok(samples.collect())
}

/// A line.
struct Row {
    /// Unix seconds.
    start: i64,
    /// `None`: a gap.
    watts: Option<f64>,
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
        let error = parse("time,watts\n2011-04-15T10:00:00Z,1\n2011-04-15T10:00:00Z,1\n").expect_err("twice");
        assert_eq!(error, TraceError::Order { line: 3 });
        assert_eq!(parse("").expect_err("empty"), TraceError::Length { found: 0 });
        assert!(parse("2011-04-15T10:00:00Z,inf\n2011-04-15T10:15:00Z,1\n").is_err());
    }
}
