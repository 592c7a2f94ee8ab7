//! Three numbers: a point, a direction, or a colour (linear light).

use std::ops::{Add, Mul, Neg, Sub};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct V(pub f64, pub f64, pub f64);

impl V {
    pub const ZERO: V = V(0.0, 0.0, 0.0);

    pub fn dot(self, o: V) -> f64 {
        self.0 * o.0 + self.1 * o.1 + self.2 * o.2
    }

    pub fn cross(self, o: V) -> V {
        V(self.1 * o.2 - self.2 * o.1, self.2 * o.0 - self.0 * o.2, self.0 * o.1 - self.1 * o.0)
    }

    pub fn length(self) -> f64 {
        self.dot(self).sqrt()
    }

    pub fn unit(self) -> V {
        self * (1.0 / self.length())
    }

    /// Component by component: a colour through a filter.
    pub fn filter(self, o: V) -> V {
        V(self.0 * o.0, self.1 * o.1, self.2 * o.2)
    }

    pub fn mix(self, o: V, share: f64) -> V {
        self * (1.0 - share) + o * share
    }

    pub fn reflect(self, normal: V) -> V {
        self - normal * (2.0 * self.dot(normal))
    }
}

impl Add for V {
    type Output = V;
    fn add(self, o: V) -> V {
        V(self.0 + o.0, self.1 + o.1, self.2 + o.2)
    }
}

impl Sub for V {
    type Output = V;
    fn sub(self, o: V) -> V {
        V(self.0 - o.0, self.1 - o.1, self.2 - o.2)
    }
}

impl Mul<f64> for V {
    type Output = V;
    fn mul(self, k: f64) -> V {
        V(self.0 * k, self.1 * k, self.2 * k)
    }
}

impl Neg for V {
    type Output = V;
    fn neg(self) -> V {
        self * -1.0
    }
}
