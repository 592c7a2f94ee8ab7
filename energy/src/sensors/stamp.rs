//! Time of a reading: a clock that never jumps, and the wall clock where it can be believed.
use serde::{Deserialize, Serialize};

use crate::units::{MonoMillis, UnixSeconds};

/// When something was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Since boot; energy is integrated over this one.
    pub mono: MonoMillis,
    /// Wall clock; `None` while it is not set (a Raspberry Pi has no clock of its own). Undated energy is never claimed.
    pub unix: Option<UnixSeconds>,
}

impl Stamp {
    /// A dated stamp; both clocks in step. For simulations and tests.
    #[must_use]
    pub const fn dated(unix: UnixSeconds) -> Self {
        Self { mono: MonoMillis(unix.0 * 1000), unix: Some(unix) }
    }
}

/// Decides whether the wall clock can be believed.
///
/// ```text
///            unix < floor                 unix >= floor
///   [*] ──────────────────► Unset ──────────────────────► Set
///                             ▲   back by > 2 s, or ahead    │
///                             └── by > 1 h of the monotonic ─┘
/// ```
/// After such a jump the clock is believed again once it went along with the monotonic clock for ten seconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    floor: UnixSeconds,
    last: Option<(MonoMillis, UnixSeconds)>,
    distrust_until: MonoMillis,
}

impl Clock {
    /// `floor`: a time that has certainly passed, for example of the newest block or of this software's release.
    #[must_use]
    pub const fn new(floor: UnixSeconds) -> Self {
        Self { floor, last: None, distrust_until: MonoMillis(i64::MIN) }
    }

    /// Stamps a reading.
    pub fn stamp(&mut self, mono: MonoMillis, unix: UnixSeconds) -> Stamp {
        let undated = Stamp { mono, unix: None };
        if unix < self.floor {
            self.last = None;
            return undated;
        }
        if let Some((mono0, unix0)) = self.last.replace((mono, unix)) {
            let drift = (unix - unix0).0 - (mono - mono0).0 / 1000;
            if !(-2..=3600).contains(&drift) {
                self.distrust_until = mono + MonoMillis(10_000);
            }
        }
        if mono < self.distrust_until { undated } else { Stamp { mono, unix: Some(unix) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const FLOOR: UnixSeconds = UnixSeconds(1_767_225_600); // 2026-01-01

    #[test]
    fn readings_before_the_clock_is_set_are_undated() {
        let mut clock = Clock::new(FLOOR);
        assert_eq!(clock.stamp(MonoMillis(1000), UnixSeconds(12)).unix, None, "1970: no network time yet");
        assert_eq!(clock.stamp(MonoMillis(2000), FLOOR).unix, Some(FLOOR));
    }

    #[test]
    fn a_clock_that_jumps_back_is_not_believed_until_it_runs_steadily() {
        let mut clock = Clock::new(FLOOR);
        let later = FLOOR + UnixSeconds(86_400);
        assert!(clock.stamp(MonoMillis(0), later).unix.is_some());
        assert_eq!(clock.stamp(MonoMillis(1000), FLOOR).unix, None);
        assert_eq!(clock.stamp(MonoMillis(5000), FLOOR + UnixSeconds(4)).unix, None);
        assert!(clock.stamp(MonoMillis(12_000), FLOOR + UnixSeconds(11)).unix.is_some());
    }
}
