//! Where the sun is, and what a clear sky would give. The position comes from the `solar-positioning` crate (Reda and
//! Andreas, 0.0003°); the clear-sky models are the textbook ones that need no weather data.
use serde::{Deserialize, Serialize};
use solar_positioning::{Location, SolarPosition, SolarPositions, time::JulianDate};

use crate::units::UnixSeconds;

/// Seconds by which terrestrial time leads universal time, 2011 to 2026 (66 to 70); a second of it moves the sun by 0.004°.
const DELTA_T_SECONDS: f64 = 69.0;
/// Julian date of 1970-01-01T00:00:00Z.
const UNIX_EPOCH_JULIAN_DAY: f64 = 2_440_587.5;
/// Mean distance irradiance outside of the atmosphere used by the Laue-Meinel formula, W/m².
const SOLAR_CONSTANT: f64 = 1353.0;

/// Where a panel stands. A coarse place will do: 0.1° moves the sun by 0.1°.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Degrees north.
    pub latitude_degrees: f64,
    /// Degrees east.
    pub longitude_degrees: f64,
    /// Metres above the sea.
    pub altitude_metres: f64,
}

/// A place that is none.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "no such place: latitude {latitude_degrees}, longitude {longitude_degrees}, altitude {altitude_metres} m \
     (expected -90 to 90, -180 to 180, -500 to 9000)"
)]
pub struct NoSuchPlace {
    latitude_degrees: f64,
    longitude_degrees: f64,
    altitude_metres: f64,
}

/// What a clear sky gives, W/m².
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClearSky {
    /// On a level plane, from everywhere.
    pub global: f64,
    /// From the sun's disc, on a plane that faces it.
    pub direct: f64,
    /// From the rest of the sky, on a level plane.
    pub diffuse: f64,
}

impl Place {
    /// Checked.
    ///
    /// # Errors
    /// When a number is not finite or out of range.
    pub fn new(latitude_degrees: f64, longitude_degrees: f64, altitude_metres: f64) -> Result<Self, NoSuchPlace> {
        let fits = latitude_degrees.abs() <= 90.0
            && longitude_degrees.abs() <= 180.0
            && (-500.0..=9000.0).contains(&altitude_metres);
        if fits {
            Ok(Self { latitude_degrees, longitude_degrees, altitude_metres })
        } else {
            Err(NoSuchPlace { latitude_degrees, longitude_degrees, altitude_metres })
        }
    }

    /// Sine of the sun's elevation, without refraction; negative at night. Zero when no position can be computed (times outside
    /// of any calendar), which reads as "no sun".
    #[must_use]
    pub fn sine_of_elevation(&self, at: UnixSeconds) -> f64 {
        self.position(at).map_or(0.0, |sun| sun.elevation_angle().to_radians().sin())
    }

    fn position(&self, at: UnixSeconds) -> Option<SolarPosition> {
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit into 53 bits")]
        let day = at.0 as f64 / 86_400.0 + UNIX_EPOCH_JULIAN_DAY;
        let location = Location { latitude: self.latitude_degrees, longitude: self.longitude_degrees };
        JulianDate::new(day, DELTA_T_SECONDS)
            .and_then(|time| SolarPositions::new().at_from_julian(time, location, 0.0, None))
            .ok()
    }

    /// Direction to the sun: east, north, up, a vector of length one; straight down when no position can be computed.
    #[must_use]
    pub fn to_the_sun(&self, at: UnixSeconds) -> [f64; 3] {
        self.position(at).map_or([0.0, 0.0, -1.0], |sun| {
            let (elevation, azimuth) = (sun.elevation_angle().to_radians(), sun.azimuth().to_radians());
            [elevation.cos() * azimuth.sin(), elevation.cos() * azimuth.cos(), elevation.sin()]
        })
    }

    /// Degrees above the horizon.
    #[must_use]
    pub fn elevation_degrees(&self, at: UnixSeconds) -> f64 {
        self.sine_of_elevation(at).asin().to_degrees()
    }

    /// Irradiance of a clear sky.
    #[must_use]
    pub fn clear_sky(&self, at: UnixSeconds) -> ClearSky {
        clear_sky(self.sine_of_elevation(at), self.altitude_metres)
    }

    /// Mean of the clear sky over `[start, start + seconds)`, by `samples` midpoints. A bound that is evaluated once in the middle
    /// of an hour is wrong around sunrise.
    #[must_use]
    pub fn mean_clear_sky(&self, start: UnixSeconds, seconds: i64, samples: u32) -> ClearSky {
        let samples = samples.max(1);
        let mut sum = ClearSky::default();
        for index in 0..i64::from(samples) {
            let at = UnixSeconds(start.0 + seconds * (2 * index + 1) / (2 * i64::from(samples)));
            let sky = self.clear_sky(at);
            sum.global += sky.global;
            sum.direct += sky.direct;
            sum.diffuse += sky.diffuse;
        }
        let n = f64::from(samples);
        ClearSky { global: sum.global / n, direct: sum.direct / n, diffuse: sum.diffuse / n }
    }
}

/// Clear sky from the sine of the sun's elevation.
///
/// Global: Haurwitz (1945), `1098 sin h exp(-0.057 / sin h)`. Direct: Laue (1970) after Meinel and Meinel (1976),
/// `1353 ((1 - 0.14 a) 0.7^(AM^0.678) + 0.14 a)`, `a` the altitude in km, `AM` by Kasten and Young (1989); the second term, which
/// knows no air mass, is faded out below 5.7° (sine 0.1). Diffuse: what is left of the global, and at least a tenth of the direct.
#[must_use]
pub fn clear_sky(sine_of_elevation: f64, altitude_metres: f64) -> ClearSky {
    if sine_of_elevation <= 0.0 {
        return ClearSky::default();
    }
    let sine = sine_of_elevation.min(1.0);
    let global = 1098.0 * sine * (-0.057 / sine).exp();
    let degrees = sine.asin().to_degrees();
    let air_mass = 1.0 / (sine + 0.505_72 * (degrees + 6.079_95).powf(-1.6364));
    let a = 0.14 * (altitude_metres / 1000.0).clamp(0.0, 6.0);
    let direct = SOLAR_CONSTANT * ((1.0 - a) * 0.7_f64.powf(air_mass.powf(0.678)) + a * sine.min(0.1) * 10.0);
    let diffuse = (global - direct * sine).max(0.1 * direct);
    ClearSky { global, direct, diffuse }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: Place = Place { latitude_degrees: 39.742, longitude_degrees: -105.178, altitude_metres: 1829.0 };

    /// Reda and Andreas, "Solar position algorithm" (NREL/TP-560-34302), table A5.1: 2003-10-17 12:30:30 -7 h at 39.742476 N,
    /// 105.1786 W: zenith 50.11162° with a refraction of 0.01636°, seen from 1830 m.
    #[test]
    fn the_sun_is_where_nrel_says() {
        let elevation = GOLDEN.elevation_degrees(UnixSeconds(1_066_419_030));
        assert!((elevation - (90.0 - 50.111_62 - 0.016)).abs() < 0.005, "{elevation}");
    }

    #[test]
    fn the_sun_goes_from_east_by_south_to_west() {
        // 2003-10-17 in Golden; NREL's example has an azimuth of 194.34° at 12:30:30.
        let [morning, noon, evening] = [-4, 0, 4].map(|h| GOLDEN.to_the_sun(UnixSeconds(1_066_419_030 + h * 3600)));
        assert!(morning[0] > 0.5 && evening[0] < -0.5, "{morning:?} {evening:?}");
        assert!((noon[0].atan2(noon[1]).to_degrees().rem_euclid(360.0) - 194.34).abs() < 0.01, "{noon:?}");
        assert!(GOLDEN.to_the_sun(UnixSeconds(i64::MAX)).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn a_clear_sky_is_dark_at_night_and_bright_at_noon() {
        assert_eq!(clear_sky(-0.1, 0.0), ClearSky::default());
        let noon = clear_sky(1.0, 0.0);
        assert!((noon.global - 1037.2).abs() < 0.5, "Haurwitz at zenith: {noon:?}");
        assert!((noon.direct - 947.1).abs() < 1.0, "Meinel at air mass 1: {noon:?}");
        assert!(clear_sky(1.0, 1829.0).direct > 1030.0, "thinner air");
    }

    #[test]
    fn the_sky_only_brightens_as_the_sun_rises() {
        let all: Vec<ClearSky> = (0..=100).map(|i| clear_sky(f64::from(i) / 100.0, 1829.0)).collect();
        assert!(all.windows(2).all(|w| w[0].global <= w[1].global && w[0].direct <= w[1].direct), "{all:?}");
    }

    #[test]
    fn no_sun_in_the_polar_night_nor_at_impossible_times() {
        let alert = Place::new(82.5, -62.3, 30.0).expect("a place");
        let noon_of_december = UnixSeconds(1_324_584_000);
        assert!((0..24).all(|h| alert.sine_of_elevation(UnixSeconds(noon_of_december.0 + h * 3600)) < 0.0));
        assert!(!GOLDEN.sine_of_elevation(UnixSeconds(i64::MAX)).is_nan());
    }

    #[test]
    fn impossible_places_are_refused_with_their_numbers() {
        let error = Place::new(f64::NAN, 0.0, 0.0).expect_err("not a latitude").to_string();
        assert!(error.contains("NaN") && error.contains("-90 to 90"), "{error}");
        assert!(Place::new(0.0, 181.0, 0.0).is_err());
    }
}
