//! Times for people: in the time zone of their machine, and how long ago or ahead.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::duration;

/// Writes times of the chain.
#[derive(Clone, Debug)]
pub struct Clock {
    zone: TimeZone,
    now: u64,
}

impl Clock {
    /// In the machine's time zone; `now` is the newest block's time, Unix seconds.
    pub fn local(now: u64) -> Self {
        Self::new(TimeZone::system(), now)
    }

    /// In a given time zone.
    pub fn new(zone: TimeZone, now: u64) -> Self {
        Self { zone, now }
    }

    /// The chain's present, Unix seconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// "2026-03-01 14:05:09"; empty for a time that no calendar has.
    pub fn full(&self, unix: u64) -> String {
        self.format(unix, "%Y-%m-%d %H:%M:%S")
    }

    /// "14:05" today, with the date on other days.
    pub fn short(&self, unix: u64) -> String {
        let same_day = self.format(unix, "%F") == self.format(self.now, "%F");
        self.format(unix, if same_day { "%H:%M" } else { "%Y-%m-%d %H:%M" })
    }

    /// "in 3 min", "4 min ago" or "now".
    pub fn distance(&self, unix: u64) -> String {
        match unix.cmp(&self.now) {
            std::cmp::Ordering::Less => format!("{} ago", duration::show(self.now - unix)),
            std::cmp::Ordering::Equal => "now".to_owned(),
            std::cmp::Ordering::Greater => format!("in {}", duration::show(unix - self.now)),
        }
    }

    fn format(&self, unix: u64, format: &str) -> String {
        let timestamp = i64::try_from(unix).ok().and_then(|secs| Timestamp::from_second(secs).ok());
        timestamp.map(|time| time.to_zoned(self.zone.clone()).strftime(format).to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_and_relative() {
        let clock = Clock::new(TimeZone::UTC, 1_772_374_000);
        assert_eq!(clock.full(1_772_374_000), "2026-03-01 14:06:40");
        assert_eq!(clock.short(1_772_374_180), "14:09");
        assert_eq!(clock.short(1_772_374_000 + 86_400), "2026-03-02 14:06");
        assert_eq!(clock.distance(1_772_374_180), "in 3 min");
        assert_eq!(clock.distance(1_772_373_760), "4 min ago");
        assert_eq!((clock.distance(1_772_374_000), clock.full(u64::MAX)), ("now".to_owned(), String::new()));
    }
}
