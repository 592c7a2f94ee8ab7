//! The sun's day at the place in half-hour slots, and the clear sky over each.
use super::{DAWN, Forecaster, SLOT_SECONDS, SLOTS, Site, UnixSeconds};

impl Forecaster {
    /// Clear sky at the middle of a slot, W/m²; nothing below [`DAWN`].
    pub(super) fn global(&self, slot: i64) -> f64 {
        let known = usize::try_from(slot - self.skies.0).ok().and_then(|index| self.skies.1.get(index));
        known.copied().unwrap_or_else(|| self.compute_global(slot))
    }

    pub(super) fn compute_global(&self, slot: i64) -> f64 {
        let Site::At(place) = self.site else { return 1000.0 };
        let sky = place.clear_sky(UnixSeconds(slot * SLOT_SECONDS + SLOT_SECONDS / 2)).global;
        if sky > DAWN { sky } else { 0.0 }
    }

    /// Clear sky of a slot's second half as a share of its middle's.
    pub(super) fn quarter_share(&self, slot: i64) -> f64 {
        let Site::At(place) = self.site else { return 1.0 };
        let at = |seconds: i64| place.clear_sky(UnixSeconds(slot * SLOT_SECONDS + seconds)).global;
        at(SLOT_SECONDS * 3 / 4) / at(SLOT_SECONDS / 2).max(DAWN)
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most 24 either way")]
    pub(super) fn offset(&self) -> i64 {
        let east = match self.site {
            Site::At(place) => place.longitude_degrees,
            Site::Longitude(east) => east,
        };
        (east / 7.5).round() as i64
    }

    pub(super) fn day_of(&self, slot: i64) -> i64 {
        (slot + self.offset()).div_euclid(SLOTS as i64)
    }

    pub(super) fn slot_of_day(&self, slot: i64) -> usize {
        usize::try_from((slot + self.offset()).rem_euclid(SLOTS as i64)).unwrap_or(0)
    }

    pub(super) fn first_slot(&self, day: i64) -> i64 {
        day * SLOTS as i64 - self.offset()
    }
}
