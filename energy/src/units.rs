//! Quantities with their unit in the type. Integers: sums of counts are exact, and no platform rounds otherwise.
use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl core::ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl core::ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl core::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Self(0), |a, b| a + b)
            }
        }
    };
}

quantity! {
    /// Seconds since 1970-01-01T00:00:00Z.
    UnixSeconds
}
quantity! {
    /// Millivolts.
    MilliVolts
}
quantity! {
    /// Milliamperes; positive into the device that is measured (a battery: charging).
    MilliAmps
}
quantity! {
    /// Milliwatts.
    MilliWatts
}
quantity! {
    /// Milliwatt hours.
    MilliWattHours
}
quantity! {
    /// Milliampere hours.
    MilliAmpHours
}
quantity! {
    /// Thousandths of a degree Celsius.
    MilliCelsius
}

quantity! {
    /// Microvolts.
    MicroVolts
}
quantity! {
    /// Microamperes; the sign as in [`MilliAmps`].
    MicroAmps
}
quantity! {
    /// Microwatts.
    MicroWatts
}
quantity! {
    /// Microwatt hours.
    MicroWattHours
}
quantity! {
    /// Thousandths of a pascal.
    MilliPascal
}
quantity! {
    /// Thousandths of a percent.
    MilliPercent
}
quantity! {
    /// Milliseconds of a clock that never jumps (since boot), whatever the wall clock does.
    MonoMillis
}

impl MilliWatts {
    /// Energy of this power over `seconds`, rounded toward zero.
    #[must_use]
    pub const fn over(self, seconds: i64) -> MilliWattHours {
        MilliWattHours(self.0 * seconds / 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_hour_at_four_watts_is_one_watt_hour() {
        assert_eq!(MilliWatts(4000).over(900), MilliWattHours(1000));
    }
}
