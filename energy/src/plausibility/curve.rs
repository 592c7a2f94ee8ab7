//! Reported production with the panel that it is said to come from: what the checks of night and clock are asked about.
use super::Hour;
use crate::{sun::Place, units::MilliWattHours};

/// A sample with more than this share of the peak has light, in thousandths.
const LIGHT_PERMILLE: i64 = 3;

/// Samples of one length, and what they are held against.
#[derive(Clone, Copy, Debug)]
pub struct Curve<'a> {
    /// Where the panel is said to stand.
    pub place: &'a Place,
    /// What the panel gives in one hour at its declared peak.
    pub peak_wh: MilliWattHours,
    /// Most that a sample may have carried over from before it, where counts are whole steps; zero where they are not.
    pub rest: MilliWattHours,
    /// Length of each sample, seconds: an hour or a part of one.
    pub seconds: i64,
    /// The samples, oldest first.
    pub samples: &'a [Hour],
}

impl<'a> Curve<'a> {
    /// Other samples of the same panel, as long as these.
    #[must_use]
    pub const fn of(&self, samples: &'a [Hour]) -> Self {
        Self { samples, ..*self }
    }

    /// Whether a sample has light, whatever was left from before it.
    pub(super) fn is_lit(&self, sample: &Hour) -> bool {
        (sample.energy.0 - self.rest.0) * 3600 * 1000 > self.peak_wh.0 * self.seconds * LIGHT_PERMILLE
    }

    /// Seconds from the beginning of a sample at which the sun is looked at: its beginning, middle and end.
    pub(super) const fn looks(&self) -> [i64; 3] {
        [0, self.seconds / 2, self.seconds]
    }
}
