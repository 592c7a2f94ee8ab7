//! Whether a worker is positive (`EnergyLedger.isPositive`), and if it is not, why: what greenOnly work asks of who accepts and verifies.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DAY_SECS;

/// Where a worker's meter stands (`MeterStatus` in `EnergyRecord.sol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MeterStatus {
    /// None is registered.
    None,
    /// Records are taken.
    Active,
    /// Its worker takes it out.
    Leaving,
    /// It signed two records for one day.
    Struck,
}

impl MeterStatus {
    /// By its number on chain; `None` for one that this version does not know.
    pub const fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Active),
            2 => Some(Self::Leaving),
            3 => Some(Self::Struck),
            _ => None,
        }
    }
}

/// What the ledger keeps of a worker, as far as it decides whether it is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested {
    /// Of its meter.
    pub status: MeterStatus,
    /// Last day that a record covers.
    pub day: u16,
    /// Days of counts in the window.
    pub days: u8,
    /// Net energy of the window, watt hours.
    pub net_wh: i64,
}

/// What the deployment asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Days of counts that the window must hold.
    pub min_days: u8,
    /// Days that the last record may be old.
    pub fresh_days: u8,
}

/// The first thing that keeps a worker from being positive, with what was found and what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum NotPositive {
    /// No meter was ever registered, or it is out.
    NoMeter,
    /// The meter is being taken out.
    Leaving,
    /// The meter signed two records for one day.
    Struck,
    /// The last record is too old.
    Old {
        /// Days since the day that it is of.
        age_days: u32,
        /// The most.
        fresh_days: u8,
    },
    /// Too few days of counts.
    FewDays {
        /// In the window.
        days: u8,
        /// The least.
        min_days: u8,
    },
    /// It used more than it made.
    Deficit {
        /// Net energy of the window, watt hours: below zero.
        net_wh: i64,
    },
}

impl fmt::Display for NotPositive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMeter => f.write_str("no meter is registered"),
            Self::Leaving => f.write_str("its meter is being taken out"),
            Self::Struck => f.write_str("its meter signed two records for one day and was struck"),
            Self::Old { age_days, fresh_days } => {
                write!(f, "its last record is {age_days} days old > {fresh_days} days")
            }
            Self::FewDays { days, min_days } => {
                write!(f, "{days} days are attested < {min_days} days")
            }
            Self::Deficit { net_wh } => write!(f, "its attested net energy is {net_wh} Wh < 0 Wh"),
        }
    }
}

impl Attested {
    /// `Ok` exactly where the ledger says positive at a block of time `now` (Unix seconds).
    ///
    /// # Errors
    /// The first reason against it; what the worker can do least about comes first.
    pub fn check(&self, asked: &Asked, now: u64) -> Result<(), NotPositive> {
        match self.status {
            MeterStatus::None => return Err(NotPositive::NoMeter),
            MeterStatus::Leaving => return Err(NotPositive::Leaving),
            MeterStatus::Struck => return Err(NotPositive::Struck),
            MeterStatus::Active => {}
        }
        // A registration is no record, but its day counts as the last one: before the first record the days tell more.
        if self.days == 0 && asked.min_days > 0 {
            return Err(NotPositive::FewDays { days: 0, min_days: asked.min_days });
        }
        let age_days = (now / DAY_SECS).saturating_sub(self.day.into());
        if age_days > asked.fresh_days.into() {
            let age_days = u32::try_from(age_days).unwrap_or(u32::MAX);
            return Err(NotPositive::Old { age_days, fresh_days: asked.fresh_days });
        }
        if self.days < asked.min_days {
            return Err(NotPositive::FewDays { days: self.days, min_days: asked.min_days });
        }
        if self.net_wh < 0 {
            return Err(NotPositive::Deficit { net_wh: self.net_wh });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked { min_days: 20, fresh_days: 3 };
    const GOOD: Attested = Attested { status: MeterStatus::Active, day: 100, days: 20, net_wh: 0 };

    fn at_day(attested: Attested, day: u64) -> Result<(), NotPositive> {
        attested.check(&ASKED, day * DAY_SECS + DAY_SECS - 1)
    }

    #[test]
    fn the_edge_of_each_rule_is_the_contracts() {
        assert_eq!(at_day(GOOD, 101), Ok(()));
        assert_eq!(at_day(GOOD, 103), Ok(()), "three days old");
        assert_eq!(at_day(GOOD, 104), Err(NotPositive::Old { age_days: 4, fresh_days: 3 }));
        assert_eq!(at_day(Attested { day: 105, ..GOOD }, 104), Ok(()), "a clock behind its records");
        let few = Attested { days: 19, ..GOOD };
        assert_eq!(at_day(few, 101), Err(NotPositive::FewDays { days: 19, min_days: 20 }));
        let short = Attested { net_wh: -1, ..GOOD };
        assert_eq!(at_day(short, 101), Err(NotPositive::Deficit { net_wh: -1 }));
    }

    #[test]
    fn a_meter_that_is_not_there_is_the_first_reason() {
        let with = |status| at_day(Attested { status, day: 0, days: 0, net_wh: -5 }, 101);
        assert_eq!(with(MeterStatus::None), Err(NotPositive::NoMeter));
        assert_eq!(with(MeterStatus::Leaving), Err(NotPositive::Leaving));
        assert_eq!(with(MeterStatus::Struck), Err(NotPositive::Struck));
        assert_eq!(with(MeterStatus::Active), Err(NotPositive::FewDays { days: 0, min_days: 20 }));
        assert_eq!(MeterStatus::of(1), Some(MeterStatus::Active));
        assert_eq!(MeterStatus::of(4), None);
    }

    #[test]
    fn reasons_read_as_clauses_and_survive_json() {
        let all = [
            NotPositive::NoMeter,
            NotPositive::Leaving,
            NotPositive::Struck,
            NotPositive::Old { age_days: 9, fresh_days: 3 },
            NotPositive::FewDays { days: 2, min_days: 20 },
            NotPositive::Deficit { net_wh: -42 },
        ];
        for why in all {
            let json = serde_json::to_string(&why).unwrap();
            assert_eq!(serde_json::from_str::<NotPositive>(&json).unwrap(), why);
        }
        assert_eq!(all[5].to_string(), "its attested net energy is -42 Wh < 0 Wh");
        assert_eq!(all[3].to_string(), "its last record is 9 days old > 3 days");
    }
}
