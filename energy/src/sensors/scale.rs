//! Exact conversion of a count into a unit.
use serde::{Deserialize, Serialize};

/// A count times `num / den` is the value in the unit that the name of the scale tells. No floats: what is paid for must be the
/// same on every platform, and a 40-bit counter does not fit into an `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    num: u64,
    den: u64,
}

impl Scale {
    /// `num / den`, reduced. A zero denominator is taken as one.
    #[must_use]
    pub const fn new(num: u64, den: u64) -> Self {
        let den = if den == 0 { 1 } else { den };
        let common = gcd(num, den);
        Self { num: num / common, den: den / common }
    }

    /// Numerator and denominator in lowest terms.
    #[must_use]
    pub const fn parts(self) -> (u64, u64) {
        (self.num, self.den)
    }

    /// Value of a count, rounded to nearest, halves away from zero; saturates at the ends of `i64`.
    #[must_use]
    pub fn nearest(self, count: i64) -> i64 {
        let exact = i128::from(count) * i128::from(self.num);
        let den = i128::from(self.den);
        let half = if exact < 0 { -(den / 2) } else { den / 2 };
        clamp((exact + half) / den)
    }

    /// Value of a count, rounded down in magnitude; for energy, which is never rounded up. Counts beyond 2^100 saturate.
    #[must_use]
    pub fn floor(self, count: u128) -> i64 {
        let value = count.checked_mul(u128::from(self.num)).map_or(u128::MAX, |exact| exact / u128::from(self.den));
        i64::try_from(value).unwrap_or(i64::MAX)
    }

    /// The value if it is a whole number, else `None`.
    #[must_use]
    pub fn exact(self, count: i64) -> Option<i64> {
        let exact = i128::from(count) * i128::from(self.num);
        (exact % i128::from(self.den) == 0).then(|| clamp(exact / i128::from(self.den)))
    }
}

fn clamp(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { if a == 0 { 1 } else { a } } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_nearest_on_both_sides_of_zero() {
        let half = Scale::new(5, 10);
        assert_eq!((half.nearest(3), half.nearest(-3), half.nearest(4)), (2, -2, 2));
        assert_eq!((half.exact(3), half.exact(4)), (None, Some(2)));
        assert_eq!(half.floor(3), 1);
    }
}
