//! What the ledger does with a record, but for the signature (`EnergyLedger.submit`): a device asks it before it signs, an observer
//! counts along.

use thiserror::Error;

use super::{
    record::{Body, Record},
    window::Window,
};

const HOURS: u32 = 24;

/// What a record of counts came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Sum of the counts.
    pub production_wh: u32,
    /// Sum of the counts, or what the deployment assumes.
    pub consumption_wh: u32,
}

/// Why the ledger refuses a record; the contract's error of the same name without "Record".
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AccountError {
    /// Taken already.
    #[error("a record with sequence {found} was taken already, the next is {expected}")]
    Replayed {
        /// Of the record.
        found: u32,
        /// Next.
        expected: u32,
    },
    /// Records before it are missing.
    #[error("the record has sequence {found}, the next is {expected}: send the records before it first")]
    OutOfOrder {
        /// Of the record.
        found: u32,
        /// Next.
        expected: u32,
    },
    /// Not the day after the last.
    #[error("the record is of day {found}, the next is {expected}: cover missing days by a gap record first")]
    Day {
        /// Of the record.
        found: u16,
        /// Next.
        expected: u16,
    },
    /// A gap's sequence grows by its days.
    #[error("the gap has sequence {found}, expected {expected}: it grows by the days that are covered")]
    GapSequence {
        /// Of the record.
        found: u32,
        /// By its days.
        expected: u32,
    },
    /// Still running.
    #[error("day {found} is not over: today is {today}")]
    NotOver {
        /// Of the record.
        found: u16,
        /// The present day.
        today: u16,
    },
    /// The meter's counter fell.
    #[error("the counter fell to {found} Wh from {last} Wh; a counter that began anew opens an epoch")]
    Counter {
        /// Of the record.
        found: u64,
        /// Of the last one.
        last: u64,
    },
    /// The counter's epoch fell.
    #[error("the counter's epoch fell to {found} from {last}")]
    Epoch {
        /// Of the record.
        found: u16,
        /// Of the last one.
        last: u16,
    },
    /// More is claimed than was counted.
    #[error("the counts add up to {sum} Wh, the meter's counter grew by {grown} Wh only")]
    AboveCounter {
        /// Sum of the counts.
        sum: u64,
        /// Growth of the counter.
        grown: u64,
    },
    /// A slot holds more than the panel can make.
    #[error("slot {slot} holds {found} Wh, the nameplate allows {cap} Wh")]
    AboveCap {
        /// Which.
        slot: usize,
        /// Its count.
        found: u16,
        /// The most.
        cap: u16,
    },
}

/// A worker's account as far as records change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Of the last record.
    pub sequence: u32,
    /// Last day that a record covers.
    pub day: u16,
    /// Of the last record.
    pub counter_epoch: u16,
    /// Of the last record.
    pub counter_wh: u64,
    /// Most that a slot may hold.
    pub cap_wh: u16,
    /// Charged for a day without counts of consumption, watts around the clock.
    pub assumed_watts: u16,
    /// Net energy.
    pub window: Window,
}

impl Account {
    /// Takes a record, or says why not; then nothing has changed. `None` for a gap.
    ///
    /// # Errors
    /// With the rule that the record breaks.
    pub fn take(&mut self, record: &Record, today: u16) -> Result<Option<Day>, AccountError> {
        self.check_order(record, today)?;
        let grown = self.counter_growth(record)?;
        let day = self.sums(record, grown)?;
        (self.sequence, self.day) = (record.sequence, record.day);
        (self.counter_epoch, self.counter_wh) = (record.counter_epoch, record.counter_wh);
        match day {
            Some(Day { production_wh, consumption_wh }) => {
                self.window.push(record.day, i64::from(production_wh) - i64::from(consumption_wh));
            }
            None => self.window.advance(record.day),
        }
        Ok(day)
    }

    fn check_order(&self, record: &Record, today: u16) -> Result<(), AccountError> {
        let (next, next_day) = (self.sequence.saturating_add(1), self.day.saturating_add(1));
        let found = record.sequence;
        if found < next {
            return Err(AccountError::Replayed { found, expected: next });
        }
        let wrong_day = AccountError::Day { found: record.day, expected: next_day };
        if record.body == Body::Gap {
            let covered = record.day.checked_sub(self.day).filter(|days| *days != 0).ok_or(wrong_day)?;
            let expected = self.sequence.saturating_add(covered.into());
            if found != expected {
                return Err(AccountError::GapSequence { found, expected });
            }
        } else if found != next {
            return Err(AccountError::OutOfOrder { found, expected: next });
        } else if record.day != next_day {
            return Err(wrong_day);
        }
        if record.day >= today {
            return Err(AccountError::NotOver { found: record.day, today });
        }
        Ok(())
    }

    fn counter_growth(&self, record: &Record) -> Result<u64, AccountError> {
        if record.counter_epoch < self.counter_epoch {
            return Err(AccountError::Epoch { found: record.counter_epoch, last: self.counter_epoch });
        }
        if record.counter_epoch > self.counter_epoch {
            return Ok(record.counter_wh);
        }
        let fell = AccountError::Counter { found: record.counter_wh, last: self.counter_wh };
        record.counter_wh.checked_sub(self.counter_wh).ok_or(fell)
    }

    fn sums(&self, record: &Record, grown: u64) -> Result<Option<Day>, AccountError> {
        let Some(production) = record.body.production() else {
            return Ok(None);
        };
        if let Some((slot, found)) = production.first_above(self.cap_wh) {
            return Err(AccountError::AboveCap { slot, found, cap: self.cap_wh });
        }
        let production_wh = production.sum_wh();
        if u64::from(production_wh) > grown {
            return Err(AccountError::AboveCounter { sum: production_wh.into(), grown });
        }
        let consumption_wh = match &record.body {
            Body::Metered { consumption, .. } => consumption.sum_wh(),
            _ => u32::from(self.assumed_watts) * HOURS,
        };
        Ok(Some(Day { production_wh, consumption_wh }))
    }
}
