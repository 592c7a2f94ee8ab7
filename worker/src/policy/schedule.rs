//! The weekly schedule: ranges of local time on days of the week, such as "mon-fri 18:00-08:00".
use std::{fmt, str::FromStr};

use jiff::{ToSpan, Zoned, civil::Weekday};

/// Most ranges of a schedule.
const MAX_RANGES: usize = 64;
const DAY_MINUTES: u16 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A text that is no range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{text:?} is no range of a schedule: {problem}; expected for example \"mon-fri 18:00-08:00\", \"sat,sun 00:00-24:00\" or \"22:00-06:00\""
)]
pub struct ScheduleError {
    text: String,
    problem: &'static str,
}

/// One range; it runs past midnight when its end is not after its begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    /// Bit 0 is Monday; the day on which the range begins.
    days: u8,
    from_minute: u16,
    to_minute: u16,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    ranges: Vec<Range>,
}

/// Whether the schedule is open, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleState {
    /// Open; without a time when it never closes.
    Open {
        /// Seconds until it closes.
        closes_in_secs: Option<u64>,
    },
    /// Closed.
    Closed {
        /// Seconds until it opens.
        opens_in_secs: Option<u64>,
    },
}

impl Schedule {
    /// Reads the ranges; `None` without any, which means always.
    ///
    /// # Errors
    /// The first text that is no range.
    pub fn parse(texts: &[String]) -> Result<Option<Self>, ScheduleError> {
        let texts: Vec<&String> = texts.iter().filter(|text| !text.trim().is_empty()).collect();
        if let Some(surplus) = texts.get(MAX_RANGES) {
            return Err(ScheduleError { text: (*surplus).clone(), problem: "there are more than 64 ranges" });
        }
        let ranges: Vec<Range> = texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        Ok(if ranges.is_empty() { None } else { Some(Self { ranges }) })
    }

    /// Whether it is open at `now`, by the local time that `now` carries.
    pub fn state(&self, now: &Zoned) -> ScheduleState {
        let open = self.covers(now);
        let change = self.next_change(now, open);
        if open {
            ScheduleState::Open { closes_in_secs: change }
        } else {
            ScheduleState::Closed { opens_in_secs: change }
        }
    }

    fn covers(&self, at: &Zoned) -> bool {
        let day = day_index(at.weekday());
        let minute = at.hour() as u16 * 60 + at.minute() as u16;
        self.ranges.iter().any(|range| range.covers(day, minute))
    }

    /// The first begin or end of a range within eight days at which the answer changes. Local times that a change of the clocks
    /// leaves out are taken as the first moment after it.
    fn next_change(&self, now: &Zoned, open: bool) -> Option<u64> {
        let minutes = self.ranges.iter().flat_map(|range| [range.from_minute, range.to_minute]);
        let mut moments: Vec<Zoned> = Vec::new();
        for minute in minutes {
            for days in 0..=8_i64 {
                let Ok(date) = now.date().checked_add(days.days()) else { continue };
                let moment = date.at(0, 0, 0, 0).checked_add(i64::from(minute).minutes());
                let moment = moment.ok().and_then(|local| local.to_zoned(now.time_zone().clone()).ok());
                moments.extend(moment.filter(|moment| moment > now));
            }
        }
        moments.sort();
        let change = moments.iter().find(|moment| self.covers(moment) != open)?;
        u64::try_from(change.timestamp().as_second() - now.timestamp().as_second()).ok()
    }
}

fn day_index(day: Weekday) -> u8 {
    day.to_monday_zero_offset().unsigned_abs()
}

impl Range {
    fn covers(self, day: u8, minute: u16) -> bool {
        let on = |day: u8| self.days >> day & 1 == 1;
        if self.from_minute < self.to_minute {
            on(day) && self.from_minute <= minute && minute < self.to_minute
        } else {
            let yesterday = (day + 6) % 7;
            on(day) && minute >= self.from_minute || on(yesterday) && minute < self.to_minute
        }
    }
}

impl FromStr for Range {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let wrong = |problem| ScheduleError { text: text.to_owned(), problem };
        let lower = text.trim().to_lowercase();
        let (days, times) = match lower.rsplit_once(char::is_whitespace) {
            Some((days, times)) => (parse_days(days).ok_or_else(|| wrong("these are no days of the week"))?, times),
            None => (0x7f, lower.as_str()),
        };
        let (from, to) = times.split_once('-').ok_or_else(|| wrong("it has no begin and end"))?;
        let minute = |text: &str| parse_minute(text).ok_or_else(|| wrong("this is no time of day"));
        let (from_minute, to_minute) = (minute(from)?, minute(to)?);
        if from_minute == to_minute || from_minute == DAY_MINUTES {
            return Err(wrong("it is empty; the whole day is 00:00-24:00"));
        }
        Ok(Self { days, from_minute, to_minute })
    }
}

fn parse_minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    let (hour, minute) = (number(hour)?, number(minute)?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= DAY_MINUTES).then_some(total)
}

fn parse_days(text: &str) -> Option<u8> {
    let index = |name: &str| DAYS.iter().position(|day| *day == name.trim());
    let mut days = 0;
    for part in text.split(',') {
        let part = part.trim();
        if matches!(part, "daily" | "every day") {
            days |= 0x7f;
            continue;
        }
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (index(first)?, index(last)?);
        let count = (last + 7 - first) % 7;
        for step in 0..=count {
            days |= 1 << ((first + step) % 7);
        }
    }
    Some(days)
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.ranges.iter().enumerate() {
            let days: Vec<&str> = (0..7).filter(|day| range.days >> day & 1 == 1).map(|day| DAYS[day]).collect();
            let separator = if position == 0 { "" } else { "; " };
            let (from, to) = (range.from_minute, range.to_minute);
            write!(f, "{separator}{} {:02}:{:02}-{:02}:{:02}", days.join(","), from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(texts: &[&str]) -> Schedule {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Schedule::parse(&texts).unwrap().unwrap()
    }

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    #[test]
    fn nights_belong_to_the_day_on_which_they_begin() {
        let nights = schedule(&["mon-fri 18:00-08:00"]);
        // 2026-06-05 is a Friday.
        assert_eq!(
            nights.state(&at("2026-06-05T17:59:00+00:00[UTC]")),
            ScheduleState::Closed { opens_in_secs: Some(60) }
        );
        assert_eq!(
            nights.state(&at("2026-06-05T18:00:00+00:00[UTC]")),
            ScheduleState::Open { closes_in_secs: Some(14 * 3600) }
        );
        assert!(matches!(
            nights.state(&at("2026-06-06T07:59:59+00:00[UTC]")),
            ScheduleState::Open { closes_in_secs: Some(1) }
        ));
        let weekend = nights.state(&at("2026-06-06T08:00:00+00:00[UTC]"));
        assert_eq!(weekend, ScheduleState::Closed { opens_in_secs: Some((2 * 24 + 10) * 3600) });
    }

    #[test]
    fn ranges_that_touch_are_one_and_one_that_covers_the_week_never_closes() {
        let joined = schedule(&["08:00-12:00", "12:00-14:00"]);
        let state = joined.state(&at("2026-06-05T11:00:00+00:00[UTC]"));
        assert_eq!(state, ScheduleState::Open { closes_in_secs: Some(3 * 3600) });
        let always = schedule(&["00:00-24:00"]);
        assert_eq!(always.state(&at("2026-06-05T11:00:00+00:00[UTC]")), ScheduleState::Open { closes_in_secs: None });
    }

    #[test]
    fn the_clocks_change_is_counted_in_real_seconds() {
        // Clocks go forward in Berlin on 2026-03-29 at 2:00: the night is an hour shorter.
        let night = schedule(&["22:00-06:00"]);
        let state = night.state(&at("2026-03-28T22:00:00+01:00[Europe/Berlin]"));
        assert_eq!(state, ScheduleState::Open { closes_in_secs: Some(7 * 3600) });
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let texts = ["fri-mon 09:30-10:00", "wed 00:00-24:00", "22:00-06:00"];
        let shown = schedule(&texts).to_string();
        assert_eq!(shown, "mon,fri,sat,sun 09:30-10:00; wed 00:00-24:00; mon,tue,wed,thu,fri,sat,sun 22:00-06:00");
        let again: Vec<&str> = shown.split("; ").collect();
        assert_eq!(schedule(&again), schedule(&texts));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("mo 10:00-11:00", "no days of the week"),
            ("mon 25:00-26:00", "no time of day"),
            ("mon 10:00", "no begin and end"),
            ("10:00-10:00", "whole day is 00:00-24:00"),
            ("mon 10:+5-11:00", "no time of day"),
            ("24:00-06:00", "empty"),
        ] {
            let error = Schedule::parse(&[text.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(text), "{error}");
        }
        assert_eq!(Schedule::parse(&[" ".to_owned()]).unwrap(), None);
        assert!(Schedule::parse(&vec!["00:00-01:00".to_owned(); 65]).is_err());
    }
}
