//! Where a meter stands and what its panels can give at most, as its device signed it.
use alloy::primitives::FixedBytes;
use serde::{Deserialize, Serialize};
use sunwork_energy::{
    sun::Place,
    trace::DAY_SECONDS,
    units::{MilliWatts, UnixSeconds},
};

/// The registration says nothing of the altitude; so high is assumed, since thinner air gives more. It is above most roofs, and the
/// margin of an hour covers 4,000 m.
const ASSUMED_ALTITUDE_METRES: f64 = 2000.0;
/// Mean radius, WGS 84.
const EARTH_KILOMETRES: f64 = 6371.0;

/// Place and size of a meter's panels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Site {
    /// Peak power of the panels.
    pub nameplate_watts: u32,
    /// ISO 3166-1 alpha-2; hex where the two bytes are no letters.
    pub country: String,
    /// Tenths of a degree, north positive.
    pub latitude_decidegrees: i16,
    /// Tenths of a degree, east positive.
    pub longitude_decidegrees: i16,
}

impl Site {
    /// From a registration.
    pub fn new(
        nameplate_watts: u32,
        country: FixedBytes<2>,
        latitude_decidegrees: i16,
        longitude_decidegrees: i16,
    ) -> Self {
        let letters = core::str::from_utf8(country.as_slice()).ok();
        let letters = letters.filter(|text| text.bytes().all(|byte| byte.is_ascii_uppercase()));
        let country = letters.map_or_else(|| country.to_string(), str::to_owned);
        Self { nameplate_watts, country, latitude_decidegrees, longitude_decidegrees }
    }

    /// Where that is, if it is a place at all: ledgers of before `CoordinatesOutOfRange` took any numbers.
    pub fn place(&self) -> Option<Place> {
        let [latitude, longitude] =
            [self.latitude_decidegrees, self.longitude_decidegrees].map(|tenths| f64::from(tenths) / 10.0);
        Place::new(latitude, longitude, ASSUMED_ALTITUDE_METRES).ok()
    }

    /// Peak power.
    pub fn peak(&self) -> MilliWatts {
        MilliWatts(i64::from(self.nameplate_watts) * 1000)
    }

    /// What a clear sky gives on a level plane on a day, Wh/m²; 0 where there is no such place.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 24 times 1.1 kW")]
    pub fn clear_wh(&self, day: u16) -> u32 {
        let start = UnixSeconds(i64::from(day) * DAY_SECONDS);
        self.place().map_or(0, |place| (place.mean_clear_sky(start, DAY_SECONDS, 96).global * 24.0) as u32)
    }

    /// Whole kilometres between two sites along the surface.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most half of the Earth's girth")]
    pub fn distance_kilometres(&self, other: &Self) -> u32 {
        let radians = |tenths: i16| (f64::from(tenths) / 10.0).to_radians();
        let [a, b] = [self, other].map(|site| radians(site.latitude_decidegrees));
        let [x, y] = [self, other].map(|site| radians(site.longitude_decidegrees));
        // Haversine.
        let half = ((b - a) / 2.0).sin().powi(2) + a.cos() * b.cos() * ((y - x) / 2.0).sin().powi(2);
        (2.0 * EARTH_KILOMETRES * half.clamp(0.0, 1.0).sqrt().asin()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(latitude: i16, longitude: i16) -> Site {
        Site::new(100, FixedBytes(*b"AT"), latitude, longitude)
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        // Vienna and Graz, 145 km; across the date line; poles.
        assert!((140..150).contains(&site(482, 164).distance_kilometres(&site(471, 154))));
        assert_eq!(site(0, 1799).distance_kilometres(&site(0, -1799)), 22);
        assert_eq!(site(900, 0).distance_kilometres(&site(900, 1200)), 0);
        assert_eq!(site(482, 164).distance_kilometres(&site(482, 164)), 0);
    }

    #[test]
    fn any_numbers_are_taken_and_only_places_are_places() {
        assert!(site(482, 164).place().is_some());
        for (latitude, longitude) in [(i16::MIN, 0), (901, 0), (0, 1801), (i16::MAX, i16::MAX)] {
            assert!(site(latitude, longitude).place().is_none());
            assert!(site(latitude, longitude).distance_kilometres(&site(0, 0)) < 20_100);
        }
        assert_eq!(Site::new(1, FixedBytes([0xff, 0]), 0, 0).country, "0xff00");
        assert_eq!(site(0, 0).country, "AT");
    }
}
