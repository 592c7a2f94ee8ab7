//! Series with steps longer than an hour: the mean power of each interval is spread over its half hours, by the height of the sun
//! where the place is known, evenly where it is not. The energy of the interval stays what it is.
use eyre::bail;
use sunwork_energy::{
    forecast::SLOT_SECONDS,
    sun::Place,
    trace::{Sample, csv::Series},
    units::{MilliWatts, UnixSeconds},
};

/// Longer samples are spread.
const LONG_SECONDS: i64 = 3600;
/// Without a place: a quarter of a day has a sunny and a dark side at least; a longer mean would shine at night.
const LONGEST_EVEN_SECONDS: i64 = 6 * 3600;

/// Spreads the long samples of a series in place, and says so; `None` where there are none.
pub fn spread(series: &mut Series, place: Option<&Place>) -> eyre::Result<Option<String>> {
    let step = series.step_seconds;
    if step <= LONG_SECONDS {
        return Ok(None);
    }
    if place.is_none() && step > LONGEST_EVEN_SECONDS {
        bail!(
            "samples are {step} s apart, expected at most {LONGEST_EVEN_SECONDS} s without a place: say where it was recorded with \
             --latitude and --longitude, so that the sun's height can spread them over the day"
        );
    }
    series.samples = series.samples.iter().flat_map(|sample| pieces(sample, place)).collect();
    let how = if place.is_some() { "as a clear sky at the place would have it" } else { "evenly" };
    Ok(Some(format!(
        "samples are {step} s apart: the mean power of each was spread over its half hours, {how}. Forecasts are made at \
         the end of a step; the baselines see within it, so at distances below it they are flattered, and the plan's sun is \
         smoother than the real one"
    )))
}

/// A sample in half hours of the clock, with the same energy but for rounding to milliwatts.
fn pieces(sample: &Sample, place: Option<&Place>) -> Vec<Sample> {
    let mut cuts = vec![sample.start.0];
    while let Some(last) = cuts.last().copied().filter(|last| *last < sample.end().0) {
        cuts.push(((last.div_euclid(SLOT_SECONDS) + 1) * SLOT_SECONDS).min(sample.end().0));
    }
    let height =
        |from: i64, to: i64| place.map_or(1.0, |place| place.clear_sky(UnixSeconds(i64::midpoint(from, to))).global);
    let heights: Vec<f64> = cuts.windows(2).map(|cut| height(cut[0], cut[1])).collect();
    let whole: f64 = heights.iter().zip(cuts.windows(2)).map(|(height, cut)| height * (cut[1] - cut[0]) as f64).sum();
    let mean = whole / f64::from(sample.seconds);
    heights
        .iter()
        .zip(cuts.windows(2))
        .map(|(height, cut)| {
            // What a panel gave in the dark is spread evenly.
            let share = if mean > 0.0 { height / mean } else { 1.0 };
            let power = MilliWatts((sample.power.0 as f64 * share).round() as i64);
            Sample { start: UnixSeconds(cut[0]), seconds: (cut[1] - cut[0]) as u32, power }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of a step from 2026-06-01T00:00:00Z on, 50 W each.
    fn of_step(step_seconds: u32) -> Series {
        let samples = (0..8)
            .map(|index| Sample {
                start: UnixSeconds(1_780_272_000 + index * i64::from(step_seconds)),
                seconds: step_seconds,
                power: MilliWatts(50_000),
            })
            .collect();
        Series { samples, step_seconds: step_seconds.into(), repeated_lines: 0 }
    }

    fn joules(samples: &[Sample]) -> f64 {
        samples.iter().map(|sample| sample.power.0 as f64 / 1000.0 * f64::from(sample.seconds)).sum()
    }

    #[test]
    fn long_steps_are_spread_evenly_or_as_the_sun_stands_and_keep_their_energy() {
        let (mut even, mut shaped) = (of_step(10_800), of_step(86_400));
        let (before, day_before) = (joules(&even.samples), joules(&shaped.samples));
        let note = spread(&mut even, None).unwrap().unwrap();
        assert!(note.contains("10800 s apart") && note.contains("evenly"), "{note}");
        assert!(even.samples.iter().all(|sample| sample.power.0 == 50_000 && sample.seconds == 1800));
        assert!((joules(&even.samples) - before).abs() < 1.0);
        let place = Place::new(45.0, 0.0, 0.0).unwrap();
        spread(&mut shaped, Some(&place)).unwrap().unwrap();
        assert_eq!((shaped.samples[0].power.0, shaped.samples.len()), (0, 8 * 48), "midnight");
        assert!(shaped.samples[24].power.0 > 100_000, "noon");
        assert!((joules(&shaped.samples) / day_before - 1.0).abs() < 1e-5);
    }

    #[test]
    fn hours_are_left_as_they_are_and_days_without_a_place_are_refused() {
        let mut hours = of_step(3600);
        let before = hours.clone();
        assert_eq!(spread(&mut hours, None).unwrap(), None);
        assert_eq!(hours, before);
        let error = spread(&mut of_step(86_400), None).unwrap_err().to_string();
        assert!(error.contains("--latitude"), "{error}");
    }
}
