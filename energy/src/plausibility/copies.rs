//! Two devices with the same curve: real panels differ in every hour; a copy, even a scaled one, does not.
use super::{Finding, Hour};
use crate::units::MilliWattHours;

/// Hours with sun that a comparison needs.
pub const NEEDED_HOURS: usize = 24;
/// Share of the hours that may differ in a copy.
const SAME_PERCENT: usize = 95;
/// Hours are the same when they differ by less than this, in thousandths, after the common factor.
const SAME_PERMILLE: i128 = 2;
/// Two milliwatt hours, for rounding.
const ROUNDING_PERMILLE: i128 = 2000;

/// Hours of counts below so many steps are left out: small numbers are often the same by chance.
const LEAST_STEPS: i64 = 10;

/// Compares hours of the same time.
#[must_use]
pub fn check(one: &[Hour], other: &[Hour]) -> Option<Finding> {
    check_counts(one, other, MilliWattHours(0))
}

/// [`check`] of hours that were counted in whole steps. A scaled copy is rounded to steps again, so it is found only where an hour
/// has some hundreds of them; an exact copy always is.
#[must_use]
pub fn check_counts(one: &[Hour], other: &[Hour], step: MilliWattHours) -> Option<Finding> {
    let telling = |hour: &Hour| hour.energy.0 > 0 && hour.energy.0 >= LEAST_STEPS * step.0;
    let mut both = Vec::new();
    let mut second = other.iter().peekable();
    for hour in one {
        while second.next_if(|candidate| candidate.start < hour.start).is_some() {}
        if let Some(twin) = second.peek().filter(|candidate| candidate.start == hour.start)
            && telling(hour)
            && telling(twin)
        {
            both.push((hour.energy.0, twin.energy.0));
        }
    }
    let start = one.first()?.start;
    if both.len() < NEEDED_HOURS {
        return None;
    }
    let sum = both.iter().fold((0i128, 0i128), |sum, (a, b)| (sum.0 + i128::from(*a), sum.1 + i128::from(*b)));
    // a / b is the common factor if a * sum.1 is b * sum.0.
    let alike = |(a, b): &&(i64, i64)| {
        let (left, right) = (i128::from(*a) * sum.1, i128::from(*b) * sum.0);
        (left - right).abs() * 1000 <= left.max(right) * SAME_PERMILLE + ROUNDING_PERMILLE * sum.0.max(sum.1)
    };
    let same = both.iter().filter(alike).count();
    (same * 100 >= both.len() * SAME_PERCENT).then_some(Finding::Copied { start, hours: both.len(), same })
}
