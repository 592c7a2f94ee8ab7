//! Irradiance on a tilted plane from that on a level one, and the plane that explains what a panel gave.
//!
//! The level series is split into direct and diffuse by Erbs, Klein and Duffie (1982), and turned by Hay and Davies (1980) with a
//! ground that reflects a fifth. The plane is found on a grid by least absolute deviations: snow and outages do not move it.
use serde::{Deserialize, Serialize};

use crate::{sun::Place, units::UnixSeconds};

/// Irradiance outside of the atmosphere at the mean distance of the sun, W/m².
const SOLAR_CONSTANT: f64 = 1361.0;
/// Sine of the elevation below which all light counts as diffuse: the quotients below have no meaning there.
const LOWEST_SINE: f64 = 0.05;
const GROUND: f64 = 0.2;
/// Steps of the grid, degrees.
const TILT_STEP: u32 = 5;
const AZIMUTH_STEP: u32 = 15;
/// Irradiance on the plane below which a slot says nothing of it, W/m².
const TELLING: f64 = 20.0;
/// Slots that a fit needs (a month of half hours with sun).
const NEEDED_SLOTS: usize = 600;
/// At most so many are looked at: three years of half hours.
const MAX_SLOTS: usize = 60_000;

/// Where a panel faces.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plane {
    /// From level (0) to upright (90).
    pub tilt_degrees: f64,
    /// Of the direction that it faces: east of north (90 is east, 180 south).
    pub azimuth_degrees: f64,
}

/// Reported power and the reference's irradiance at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Middle of the time that both are means over.
    pub middle: UnixSeconds,
    /// Reported, watts.
    pub watts: f64,
    /// The reference on a level plane, W/m².
    pub global: f64,
}

/// The light of a time: what does not depend on the plane.
#[derive(Clone, Copy, Debug)]
pub struct Light {
    sun: [f64; 3],
    direct: f64,
    diffuse: f64,
    global: f64,
    /// Share of the diffuse light that comes from around the sun.
    around: f64,
}

impl Light {
    /// From irradiance on a level plane, W/m².
    #[must_use]
    pub fn new(place: &Place, middle: UnixSeconds, global: f64) -> Self {
        let sun = place.to_the_sun(middle);
        let global = if global.is_finite() { global.max(0.0) } else { 0.0 };
        if sun[2] <= LOWEST_SINE {
            return Self { sun, direct: 0.0, diffuse: global, global, around: 0.0 };
        }
        #[allow(clippy::cast_precision_loss, reason = "a day of the year")]
        let year = (middle.0 as f64 / 86_400.0 / 365.25).fract() * core::f64::consts::TAU;
        let outside = SOLAR_CONSTANT * (1.0 + 0.033 * year.cos());
        let diffuse = global * diffuse_share(global / (outside * sun[2]));
        let direct = ((global - diffuse) / sun[2]).min(outside);
        Self { sun, direct, diffuse, global, around: direct / outside }
    }

    /// On a plane, W/m².
    #[must_use]
    pub fn on(&self, plane: &Plane) -> f64 {
        let (tilt, azimuth) = (plane.tilt_degrees.to_radians(), plane.azimuth_degrees.to_radians());
        let normal = [tilt.sin() * azimuth.sin(), tilt.sin() * azimuth.cos(), tilt.cos()];
        let facing = self.sun.iter().zip(normal).map(|(a, b)| a * b).sum::<f64>().max(0.0);
        let sky = (1.0 + tilt.cos()) / 2.0;
        let turned = if self.around > 0.0 { facing / self.sun[2] } else { 0.0 };
        self.direct * facing
            + self.diffuse * (self.around * turned + (1.0 - self.around) * sky)
            + GROUND * self.global * (1.0 - tilt.cos()) / 2.0
    }
}

/// Erbs, Klein and Duffie (1982): diffuse share of the level irradiance by its share of what arrives outside of the atmosphere.
fn diffuse_share(k: f64) -> f64 {
    if k <= 0.22 {
        1.0 - 0.09 * k.max(0.0)
    } else if k <= 0.8 {
        0.9511 - 0.1604 * k + 4.388 * k * k - 16.638 * k.powi(3) + 12.336 * k.powi(4)
    } else {
        0.165
    }
}

impl Plane {
    /// The plane that explains the slots best. `None` when there are too few with sun.
    #[must_use]
    pub fn fit(place: &Place, slots: &[Slot]) -> Option<Self> {
        let lit = |slot: &&Slot| slot.global > TELLING && slot.watts.is_finite() && slot.watts >= 0.0;
        let lights: Vec<(Light, f64)> = slots
            .iter()
            .take(MAX_SLOTS)
            .filter(lit)
            .map(|slot| (Light::new(place, slot.middle, slot.global), slot.watts))
            .collect();
        if lights.len() < NEEDED_SLOTS {
            return None;
        }
        let mut best: Option<(f64, Self)> = None;
        for tilt in (0..=90).step_by(TILT_STEP as usize) {
            for azimuth in (0..360).step_by(AZIMUTH_STEP as usize) {
                let plane = Self { tilt_degrees: f64::from(tilt), azimuth_degrees: f64::from(azimuth) };
                let error = plane.error(&lights);
                if best.is_none_or(|(least, _)| error < least) {
                    best = Some((error, plane));
                }
                if tilt == 0 {
                    break;
                }
            }
        }
        best.map(|(_, plane)| plane)
    }

    /// Sum of the absolute errors of power, with the yield that makes it least (the weighted median).
    fn error(&self, lights: &[(Light, f64)]) -> f64 {
        let both: Vec<(f64, f64)> = lights.iter().map(|(light, watts)| (light.on(self), *watts)).collect();
        let mut yields: Vec<(f64, f64)> =
            both.iter().filter(|(light, _)| *light > TELLING).map(|(light, watts)| (watts / light, *light)).collect();
        let per_light = super::ratio::weighted_median(&mut yields);
        both.iter().map(|(light, watts)| (watts - per_light * light).abs()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_on_a_level_plane_is_what_it_was_made_of() {
        let place = Place::new(40.0, -105.0, 1600.0).expect("a place");
        let level = Plane { tilt_degrees: 0.0, azimuth_degrees: 0.0 };
        // 2011-06-15T19:00:00Z is noon there.
        for global in [0.0, 50.0, 400.0, 900.0, 1100.0] {
            let light = Light::new(&place, UnixSeconds(1_308_164_400), global);
            assert!((light.on(&level) - global).abs() < 1e-9, "{global}: {}", light.on(&level));
        }
        assert_eq!(Light::new(&place, UnixSeconds(1_308_164_400), f64::NAN).on(&level), 0.0);
    }

    #[test]
    fn the_diffuse_share_joins_at_its_edges() {
        assert!((diffuse_share(0.22) - diffuse_share(0.220_01)).abs() < 2e-3);
        assert!((diffuse_share(0.8) - diffuse_share(0.800_01)).abs() < 2e-3);
    }
}
