//! The machine's clock, and what the chain says about it.
//!
//! Deadlines are the chain's: no step of an agreement asks this clock. It says when a schedule opens, when a pause ends, what was
//! today; and it stamps messages, within what the chain allows ([`mail_time_ms`]).
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use jiff::{Timestamp, Zoned, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{duration, view::Head};

/// Clocks may differ from the chain's by so much, seconds; a block is never from the future.
pub const MOST_SKEW_SECS: u64 = 60;
/// A block that is older than this is a slow chain, a node that lags, or a clock that is ahead; seconds.
pub const OLD_BLOCK_SECS: u64 = 10 * MOST_SKEW_SECS;
/// File with seconds to add to the clock, for tests of clocks that jump; builds with debug assertions alone look at it.
#[cfg(debug_assertions)]
const OFFSET_FILE: &str = "SUNWORK_TEST_CLOCK_OFFSET_FILE";

/// What the clock says.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    #[cfg(debug_assertions)]
    let now = now.saturating_add(jiff::SignedDuration::from_secs(test_offset_secs())).unwrap_or(now);
    now
}

#[cfg(debug_assertions)]
fn test_offset_secs() -> i64 {
    let Some(path) = std::env::var_os(OFFSET_FILE) else { return 0 };
    std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// The same where the machine is.
pub fn zoned() -> Zoned {
    now().to_zoned(TimeZone::system())
}

/// Unix time, seconds.
pub fn now_secs() -> u64 {
    u64::try_from(now().as_second()).unwrap_or(0)
}

/// How the clock stands to the newest block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// No block is known yet.
    #[default]
    Unknown,
    /// As it should.
    Good,
    /// The newest block is old: the clock is ahead, or the node follows its chain no more.
    Ahead,
    /// The newest block is from the future: the clock is behind.
    Behind,
}

/// [`Standing`] with its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// See there.
    pub state: Standing,
    /// The clock less the time of the newest block, seconds.
    pub off_secs: i64,
}

impl Clock {
    /// Judges a clock that says `now` (Unix seconds) when this is the newest block.
    pub fn judge(head: Head, now: u64) -> Self {
        if head.timestamp == 0 {
            return Self::default();
        }
        let off_secs = (i128::from(now) - i128::from(head.timestamp)).clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        let state = match off_secs {
            off if off > OLD_BLOCK_SECS as i64 => Standing::Ahead,
            off if off < -(MOST_SKEW_SECS as i64) => Standing::Behind,
            _ => Standing::Good,
        };
        Self { state, off_secs }
    }

    /// What is wrong and what to do about it, in words; `None` while nothing is.
    pub fn trouble(&self) -> Option<String> {
        let off = duration::show(self.off_secs.unsigned_abs());
        let what = match self.state {
            Standing::Good | Standing::Unknown => return None,
            Standing::Ahead => {
                format!("it is {off} ahead of the newest block; is the clock right, and the node up to date?")
            }
            Standing::Behind => format!("it is {off} behind the newest block"),
        };
        Some(format!(
            "{what} (deadlines go by the chain; schedule and pauses by the clock: switch time synchronisation on)"
        ))
    }
}

/// What a message is stamped with, Unix milliseconds. An oracle refuses what is from the future, and takes a newer message for an
/// older one: so a clock that is ahead of the chain is not believed, and one that was set back does not go back here. The
/// chain's clock alone would not do: on a test network it may be hours ahead.
pub fn mail_time_ms(head: Head) -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let wall = u64::try_from(now().as_millisecond()).unwrap_or(0);
    let stamp = |last| stamp_ms(wall, head, last);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(stamp(last)));
    stamp(last.unwrap_or_default())
}

fn stamp_ms(wall_ms: u64, head: Head, last_ms: u64) -> u64 {
    let skew = Duration::from_secs(MOST_SKEW_SECS).as_millis() as u64;
    let most = match head.timestamp {
        0 => u64::MAX,
        secs => secs.saturating_mul(1000).saturating_add(skew),
    };
    wall_ms.min(most).max(last_ms.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(timestamp: u64) -> Head {
        Head { number: 7, timestamp }
    }

    #[test]
    fn a_clock_is_judged_by_the_newest_block() {
        let state = |now| Clock::judge(head(10_000), now).state;
        assert_eq!(Clock::judge(Head::default(), 5), Clock::default());
        assert_eq!([state(10_000), state(10_600), state(9940)], [Standing::Good; 3]);
        assert_eq!((state(10_601), state(9939)), (Standing::Ahead, Standing::Behind));
        let ahead = Clock::judge(head(10_000), 10_000 + 5 * 3600);
        assert_eq!(ahead.off_secs, 18_000);
        assert!(ahead.trouble().is_some_and(|text| text.contains("5 h ahead of the newest block")), "{ahead:?}");
        assert_eq!(Clock::judge(head(10_000), 10_003).trouble(), None);
        assert_eq!(Clock::judge(head(u64::MAX), 0).state, Standing::Behind);
    }

    #[test]
    fn messages_are_never_from_the_future_and_never_older_than_the_one_before() {
        let hour = 3_600_000;
        assert_eq!(stamp_ms(10_000_500, head(10_000), 0), 10_000_500);
        assert_eq!(stamp_ms(10_000_500 + 5 * hour, head(10_000), 10_000_500), 10_060_000, "ahead: at most a minute");
        assert_eq!(stamp_ms(10_000_500 - hour, head(10_000), 10_000_500), 10_000_501, "set back: the next one");
        assert_eq!(stamp_ms(10_000_500, Head::default(), 0), 10_000_500, "without a chain the clock is all there is");
        assert_eq!(stamp_ms(10_000_500, head(99_999), 0), 10_000_500, "a chain that is ahead of everybody");
    }
}
