//! Generated weather for tests and demonstrations: seeded, so the same everywhere. Not meant to be like any climate; it has clear,
//! mixed and dark spells that last for days, and cloud edges within the hour.
use super::{DAY_SECONDS, Sample};
use crate::{
    sun::Place,
    units::{MilliWatts, UnixSeconds},
};

/// What is to be generated.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Where the panel stands.
    pub place: Place,
    /// Peak of the panel, watts.
    pub panel_watts: f64,
    /// The same seed, the same weather.
    pub seed: u64,
}

/// Which spells of weather there are, and how long they last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climate {
    /// Chance of another spell on each day.
    pub change: f64,
    /// Clearness of the spells, equally likely; zero is a covered panel.
    pub spells: [f64; 5],
}

impl Climate {
    /// Clear, mixed and dark spells in turn.
    pub const MIXED: Self = Self { change: 0.45, spells: [0.95, 0.9, 0.6, 0.35, 0.08] };
    /// Mostly clear, with a dull day now and then.
    pub const DRY: Self = Self { change: 0.6, spells: [0.97, 0.97, 0.95, 0.9, 0.25] };
    /// Rarely clear; dull spells last.
    pub const DULL: Self = Self { change: 0.3, spells: [0.85, 0.5, 0.35, 0.2, 0.1] };
    /// Clear or covered with snow.
    pub const SNOWY: Self = Self { change: 0.35, spells: [0.95, 0.95, 0.7, 0.3, 0.0] };
}

/// Quarter hours of a level panel from `start` on.
#[must_use]
pub fn days(weather: &Weather, start: UnixSeconds, days: u32) -> Vec<Sample> {
    days_in(&Climate::MIXED, weather, start, days)
}

/// The same in another climate.
#[must_use]
pub fn days_in(climate: &Climate, weather: &Weather, start: UnixSeconds, days: u32) -> Vec<Sample> {
    let mut random = SplitMix(weather.seed);
    let mut regime = 0.8;
    let mut out = Vec::new();
    for day in 0..i64::from(days) {
        if random.unit() < climate.change {
            regime = climate.spells[random.index(5)];
        }
        let mut cloud = 0.0;
        for quarter in 0..96 {
            cloud = 0.85 * cloud + 0.3 * (random.unit() - 0.5);
            let at = UnixSeconds(start.0 + day * DAY_SECONDS + quarter * 900);
            let sky = weather.place.mean_clear_sky(at, 900, 1).global / 1000.0;
            let seen = (regime + cloud * (1.1 - regime)).clamp(0.02, 1.0);
            let clearness = if regime > 0.0 { seen } else { 0.0 };
            #[allow(clippy::cast_possible_truncation, reason = "a panel's power in milliwatts")]
            let power = MilliWatts((weather.panel_watts * sky * clearness * 1000.0) as i64);
            out.push(Sample { start: at, seconds: 900, power });
        }
    }
    out
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    #[allow(clippy::cast_precision_loss, reason = "53 bits are kept")]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn index(&mut self, below: u64) -> usize {
        usize::try_from(self.next() % below).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_covered_panel_gives_nothing_for_whole_days_in_the_snow_alone() {
        let place = Place::new(40.0, -105.0, 1600.0).expect("a place");
        let dark = |climate| {
            let weather = Weather { place, panel_watts: 100.0, seed: 5 };
            let all = days_in(climate, &weather, UnixSeconds(1_300_000_000), 60);
            all.chunks(96).filter(|day| day.iter().all(|sample| sample.power.0 == 0)).count()
        };
        assert_eq!([&Climate::MIXED, &Climate::DRY, &Climate::DULL].map(dark), [0, 0, 0]);
        assert!(dark(&Climate::SNOWY) > 3);
    }

    #[test]
    fn the_same_seed_gives_the_same_days_and_another_seed_others() {
        let place = Place::new(40.0, -105.0, 1600.0).expect("a place");
        let of = |seed| days(&Weather { place, panel_watts: 100.0, seed }, UnixSeconds(1_300_000_000), 3);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(of(1).iter().any(|sample| sample.power.0 > 10_000) && of(1).iter().any(|sample| sample.power.0 == 0));
    }
}
