//! The picture: rows of solar panels on a meadow at sunset, with three balls that mirror them.

use crate::vector::V;

/// What a ray hits.
pub struct Hit {
    pub distance: f64,
    pub normal: V,
    pub surface: Surface,
}

#[derive(Clone, Copy)]
pub struct Surface {
    pub colour: V,
    /// Share of light that is mirrored when looked at straight.
    pub mirror: f64,
    /// Mirrored light is tinted by the colour (metal) or not (glass, lacquer).
    pub metal: bool,
}

struct Ball {
    centre: V,
    radius: f64,
    surface: Surface,
}

/// A rectangle from `corner` along two perpendicular edges.
struct Panel {
    corner: V,
    right: V,
    up: V,
    normal: V,
}

/// A box along the axes: posts.
struct Post {
    min: V,
    max: V,
}

pub struct Scene {
    balls: Vec<Ball>,
    panels: Vec<Panel>,
    posts: Vec<Post>,
    /// Towards the sun.
    pub sun: V,
}

const NEAR: f64 = 1e-6;

impl Scene {
    pub fn new() -> Self {
        let ball = |x, z, radius, colour, mirror, metal| Ball {
            centre: V(x, radius, z),
            radius,
            surface: Surface { colour, mirror, metal },
        };
        let balls = vec![
            ball(-1.55, 1.1, 0.62, V(1.00, 0.77, 0.34), 0.82, true),
            ball(0.15, 0.35, 0.42, V(0.93, 0.94, 0.96), 0.90, true),
            ball(1.55, 1.25, 0.55, V(0.75, 0.08, 0.06), 0.10, false),
            ball(-0.55, -0.35, 0.2, V(0.10, 0.35, 0.75), 0.12, false),
        ];
        let (mut panels, mut posts) = (Vec::new(), Vec::new());
        for row in 0..5 {
            let z = 3.4 + f64::from(row) * 2.7;
            for column in -4..=4 {
                let x = f64::from(column) * 2.3 + if row % 2 == 0 { 0.0 } else { 0.55 };
                // Tilted by the 3-4-5 triangle towards the camera, which looks away from the sun's side.
                let (right, up) = (V(2.0, 0.0, 0.0), V(0.0, 0.78, 1.04));
                let corner = V(x - 1.0, 0.55, z);
                panels.push(Panel { corner, right, up, normal: up.cross(right).unit() });
                posts.push(Post { min: V(x - 0.05, 0.0, z + 0.45), max: V(x + 0.05, 0.88, z + 0.55) });
            }
        }
        Self { balls, panels, posts, sun: V(-0.42, 0.22, 0.88).unit() }
    }

    pub fn hit(&self, from: V, towards: V) -> Option<Hit> {
        let mut best: Option<Hit> = None;
        let mut keep = |hit: Hit| {
            if hit.distance > NEAR && best.as_ref().is_none_or(|b| hit.distance < b.distance) {
                best = Some(hit);
            }
        };
        if towards.1 < 0.0 {
            let distance = -from.1 / towards.1;
            let at = from + towards * distance;
            keep(Hit { distance, normal: V(0.0, 1.0, 0.0), surface: ground(at) });
        }
        for ball in &self.balls {
            let offset = from - ball.centre;
            let b = offset.dot(towards);
            let discriminant = b * b - (offset.dot(offset) - ball.radius * ball.radius);
            if discriminant < 0.0 {
                continue;
            }
            let root = discriminant.sqrt();
            let distance = if -b - root > NEAR { -b - root } else { -b + root };
            let normal = (from + towards * distance - ball.centre) * (1.0 / ball.radius);
            keep(Hit { distance, normal, surface: ball.surface });
        }
        for panel in &self.panels {
            if let Some((distance, u, v)) = panel.hit(from, towards) {
                let faces_us = panel.normal.dot(towards) < 0.0;
                let normal = if faces_us { panel.normal } else { -panel.normal };
                keep(Hit { distance, normal, surface: if faces_us { cells(u, v) } else { BACK } });
            }
        }
        for post in &self.posts {
            if let Some((distance, normal)) = post.hit(from, towards) {
                keep(Hit { distance, normal, surface: STEEL });
            }
        }
        best
    }

    /// Light from the sky in a direction, with the sun's disc and glow.
    pub fn sky(&self, towards: V) -> V {
        let height = towards.1.max(0.0);
        let haze = 1.0 - height;
        let haze = haze * haze * haze * haze;
        let base = V(0.13, 0.26, 0.55).mix(V(0.98, 0.56, 0.28), haze);
        let facing = towards.dot(self.sun).max(0.0);
        let glow8 = power(facing, 8);
        let glow64 = power(facing, 64);
        let mut light = base + V(0.55, 0.28, 0.08) * glow8 + V(1.0, 0.72, 0.35) * glow64;
        if facing > 0.99978 {
            light = light + V(20.0, 15.0, 9.0);
        }
        light.mix(V(0.9, 0.55, 0.35), clouds(towards) * 0.55)
    }
}

impl Panel {
    fn hit(&self, from: V, towards: V) -> Option<(f64, f64, f64)> {
        let slope = self.normal.dot(towards);
        if slope > -1e-9 && slope < 1e-9 {
            return None;
        }
        let distance = self.normal.dot(self.corner - from) / slope;
        let at = from + towards * distance - self.corner;
        let u = at.dot(self.right) / self.right.dot(self.right);
        let v = at.dot(self.up) / self.up.dot(self.up);
        ((0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v)).then_some((distance, u, v))
    }
}

impl Post {
    /// Slab test; the entering side gives the normal.
    fn hit(&self, from: V, towards: V) -> Option<(f64, V)> {
        let (mut near, mut far, mut normal) = (f64::NEG_INFINITY, f64::INFINITY, V::ZERO);
        let axes = [
            (from.0, towards.0, self.min.0, self.max.0, V(1.0, 0.0, 0.0)),
            (from.1, towards.1, self.min.1, self.max.1, V(0.0, 1.0, 0.0)),
            (from.2, towards.2, self.min.2, self.max.2, V(0.0, 0.0, 1.0)),
        ];
        for (start, slope, min, max, axis) in axes {
            let (a, b) = ((min - start) / slope, (max - start) / slope);
            let (enter, leave, side) = if a < b { (a, b, -axis) } else { (b, a, axis) };
            if enter > near {
                (near, normal) = (enter, side);
            }
            far = far.min(leave);
        }
        (near < far && near > NEAR).then_some((near, normal))
    }
}

const BACK: Surface = Surface { colour: V(0.55, 0.56, 0.58), mirror: 0.0, metal: false };
const STEEL: Surface = Surface { colour: V(0.62, 0.63, 0.66), mirror: 0.15, metal: true };

/// Silicon cells between silver lines in an aluminium frame.
fn cells(u: f64, v: f64) -> Surface {
    let edge = u.min(1.0 - u).min((v.min(1.0 - v)) * 0.65);
    if edge < 0.022 {
        return Surface { colour: V(0.80, 0.81, 0.83), mirror: 0.25, metal: true };
    }
    let line = |t: f64, n: f64| {
        let f = t * n - (t * n).floor();
        f < 0.045 || f > 0.955
    };
    let colour = if line(u, 10.0) || line(v, 6.0) { V(0.42, 0.46, 0.55) } else { V(0.015, 0.035, 0.13) };
    Surface { colour, mirror: 0.10, metal: false }
}

/// A meadow with a pale paved square around the balls.
fn ground(at: V) -> Surface {
    let paved = at.0 > -2.9 && at.0 < 2.9 && at.2 > -1.6 && at.2 < 2.5;
    if paved {
        let (x, z) = ((at.0 * 1.6).floor() as i64, (at.2 * 1.6).floor() as i64);
        let colour = if (x + z) & 1 == 0 { V(0.60, 0.56, 0.52) } else { V(0.27, 0.25, 0.26) };
        return Surface { colour, mirror: 0.06, metal: false };
    }
    let shade = 0.75 + 0.5 * noise(at.0 * 2.3, at.2 * 2.3) * noise(at.0 * 0.4 + 9.0, at.2 * 0.4);
    Surface { colour: V(0.13, 0.22, 0.05) * shade, mirror: 0.0, metal: false }
}

fn clouds(towards: V) -> f64 {
    if towards.1 < 0.03 {
        return 0.0;
    }
    let (x, z) = (towards.0 / towards.1, towards.2 / towards.1);
    let n = 0.6 * noise(x * 0.35, z * 1.1) + 0.4 * noise(x * 0.9 + 5.0, z * 2.3);
    let fade = (towards.1 * 6.0).min(1.0);
    ((n - 0.52) * 3.0).clamp(0.0, 1.0) * fade
}

/// Smooth value noise in 0..1 from hashed lattice points.
fn noise(x: f64, y: f64) -> f64 {
    let (fx, fy) = (x.floor(), y.floor());
    let smooth = |t: f64| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - fx), smooth(y - fy));
    let (ix, iy) = (fx as i64, fy as i64);
    let at = |dx, dy| lattice(ix + dx, iy + dy);
    let (top, bottom) = (at(0, 0) * (1.0 - u) + at(1, 0) * u, at(0, 1) * (1.0 - u) + at(1, 1) * u);
    top * (1.0 - v) + bottom * v
}

fn lattice(x: i64, y: i64) -> f64 {
    let mut h = (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    h = (h ^ (h >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    h ^= h >> 32;
    (h & 0xFFFF) as f64 / 65535.0
}

/// Integer power by squaring: exact steps, the same everywhere.
pub fn power(mut base: f64, mut exponent: u32) -> f64 {
    let mut result = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    result
}
