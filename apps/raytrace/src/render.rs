//! Light along a ray, and the pixels of a tile.

use crate::scene::{Scene, power};
use crate::vector::V;

const MAX_DEPTH: u32 = 4;
const SUNLIGHT: V = V(2.6, 1.75, 1.05);
/// Half the width of the sun as seen by shadows; wider than the real one, for soft edges.
const SUN_BLUR: f64 = 0.035;

/// xorshift64*: small, and seeded by the pixel, so that a pixel looks the same in every tiling.
pub struct Dice(u64);

impl Dice {
    pub fn new(x: u32, y: u32) -> Self {
        let seed = (u64::from(x) << 32 | u64::from(y)).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(seed | 1)
    }

    /// In 0..1.
    pub fn roll(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// In the unit ball.
    pub fn ball(&mut self) -> V {
        loop {
            let v = V(self.roll() * 2.0 - 1.0, self.roll() * 2.0 - 1.0, self.roll() * 2.0 - 1.0);
            if v.dot(v) <= 1.0 {
                return v;
            }
        }
    }
}

fn light(scene: &Scene, from: V, towards: V, depth: u32, dice: &mut Dice) -> V {
    let Some(hit) = scene.hit(from, towards) else { return scene.sky(towards) };
    let at = from + towards * hit.distance;
    let above = at + hit.normal * 1e-5;
    let surface = hit.surface;

    let to_sun = (scene.sun + dice.ball() * SUN_BLUR).unit();
    let facing = hit.normal.dot(to_sun);
    let direct = if facing > 0.0 && scene.hit(above, to_sun).is_none() { SUNLIGHT * facing } else { V::ZERO };
    // Sky light: one ray of a cosine-weighted half sphere, only the first two bounces carry it.
    let bounce = (hit.normal + dice.ball()).unit();
    let ambient = if depth < 2 && scene.hit(above, bounce).is_none() {
        scene.sky(bounce)
    } else {
        V(0.06, 0.06, 0.08)
    };
    let diffuse = surface.colour.filter(direct + ambient * 0.75);

    // Schlick: everything mirrors at a grazing angle.
    let cosine = (-towards.dot(hit.normal)).clamp(0.0, 1.0);
    let share = if surface.mirror > 0.0 {
        surface.mirror + (1.0 - surface.mirror) * power(1.0 - cosine, 5)
    } else {
        0.0
    };
    let seen = if share > 0.0 && depth < MAX_DEPTH {
        let mirrored = light(scene, above, towards.reflect(hit.normal).unit(), depth + 1, dice);
        let tint = if surface.metal { surface.colour } else { V(1.0, 1.0, 1.0) };
        diffuse * (1.0 - share) + mirrored.filter(tint) * share
    } else {
        diffuse
    };
    // Haze with distance, towards the colour of the horizon.
    let haze = (hit.distance / 60.0).min(1.0);
    seen.mix(scene.sky(V(towards.0, 0.02, towards.2).unit()), haze * haze)
}

/// Tile of the picture, in pixels.
pub struct Tile {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

/// Tile `index` of `count` in a grid; the last column and row take what does not divide.
pub fn tile(index: u32, count: u32, width: u32, height: u32) -> Tile {
    let columns = (1..=count).take_while(|c| c * c <= count).filter(|c| count % c == 0).last().unwrap_or(1);
    let rows = count / columns;
    let (column, row) = (index % columns, index / columns);
    let edge = |i: u32, n: u32, size: u32| (u64::from(i) * u64::from(size) / u64::from(n)) as u32;
    let (x, y) = (edge(column, columns, width), edge(row, rows, height));
    Tile { x, y, w: edge(column + 1, columns, width) - x, h: edge(row + 1, rows, height) - y }
}

/// The tile's pixels, 3 bytes each.
pub fn render(tile: &Tile, width: u32, height: u32, samples: u32) -> Vec<u8> {
    let scene = Scene::new();
    let eye = V(0.3, 1.75, -5.2);
    let forward = (V(0.0, 1.05, 3.0) - eye).unit();
    let right = V(0.0, 1.0, 0.0).cross(forward).unit();
    let up = forward.cross(right);
    let zoom = 0.5;
    let mut pixels = Vec::with_capacity((tile.w * tile.h * 3) as usize);
    for y in tile.y..tile.y + tile.h {
        for x in tile.x..tile.x + tile.w {
            let mut dice = Dice::new(x, y);
            let mut sum = V::ZERO;
            for _ in 0..samples {
                let u = (f64::from(x) + dice.roll() - f64::from(width) * 0.5) / f64::from(height) * 2.0;
                let v = (f64::from(height) * 0.5 - f64::from(y) - dice.roll()) / f64::from(height) * 2.0;
                let towards = (forward + right * (u * zoom) + up * (v * zoom)).unit();
                sum = sum + light(&scene, eye, towards, 0, &mut dice);
            }
            let mean = sum * (1.0 / f64::from(samples));
            pixels.extend([mean.0, mean.1, mean.2].map(byte));
        }
    }
    pixels
}

/// Tone curve x/(1+x) with some gain, then gamma 2 (a square root, which is exact everywhere).
fn byte(linear: f64) -> u8 {
    let x = linear * 1.35;
    let toned = x * (1.0 + x / 9.0) / (1.0 + x);
    (toned.clamp(0.0, 1.0).sqrt() * 255.0 + 0.5) as u8
}
