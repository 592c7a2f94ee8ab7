//! What to do about the attestation now. Pure: chain, book, history and time come in.
//!
//! ```text
//!   Hold ◄── no meter, key lost, clock unset or wrong, counts that cannot be ◄─────────────────────────────┐
//!     │                                                                                                   │
//!     └─ mended ─► Wait ── the day is over ─► Sign ── in the book, synced ─► Send ── on chain ─► Wait     │
//!                   ▲                          │ ▲ ▲                          │ ▲                         │
//!                   │                          │ │ └─ days in doubt, unknown  │ └─ not yet: the same bytes │
//!                   │                          │ │    or too old: a gap       │                           │
//!                   │                          │ └─ the chain is another one: the same claim on its link  │
//!                   └──────────────────────────┴────────────────────────────────────────────────────────┘
//!   Rebase: the chain has a record of this key that the book has not: everything up to yesterday is in doubt.
//! ```
//! One rule above all: for one day the key makes one claim (counter and counts). Signed again on another link, after a reorganisation
//! say, it is no evidence of equivocation, nor is a gap (docs/decisions/0016): a claim in the book is never replaced by another, and what
//! is in doubt is covered by a gap.
use alloy::primitives::{Address, B256};
use sunwork_energy::{keeper::Row, units::UnixSeconds};
use sunwork_protocol::energy::{Account, AccountError, Body, Link, Record, Window, day_of};

use super::{
    Hold,
    book::{Book, Entry},
    counts::{self, Carry, Missing, midnight},
};

/// The last quarter hour of a day is written down by the first look after it; a board that was busy gets as long again.
pub const SETTLE_SECS: i64 = 900;
/// The clock may be so far from the newest block's.
pub const CLOCKS_APART_SECS: i64 = 3600;

/// Where the meter stands, as the ledger numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// None.
    None,
    /// Records are taken.
    Active,
    /// On its way out.
    Leaving,
    /// It signed two records for one day.
    Struck,
}

/// The worker's account in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Where it stands.
    pub status: Status,
    /// Hash of the registered key.
    pub key: B256,
    /// Of the last record.
    pub sequence: u32,
    /// Last day that a record covers.
    pub day: u16,
    /// What the next record is chained to.
    pub link: Link,
    /// Of the last record.
    pub counter_epoch: u16,
    /// Of the last record.
    pub counter_wh: u64,
    /// Most that a quarter hour may hold.
    pub cap_wh: u16,
    /// Net energy of the window.
    pub net_wh: i64,
    /// Days with counts in the window.
    pub attested_days: u8,
    /// Of the last day, if it has counts.
    pub last_day_net_wh: Option<i64>,
    /// `isPositive`.
    pub positive: bool,
    /// Leaving: when the bond is free.
    pub bond_free_at: u64,
    /// Length of the window.
    pub window_days: u16,
    /// Needed to be positive.
    pub min_days: u16,
    /// How old the last record may be.
    pub fresh_days: u16,
    /// Charged without counts of consumption.
    pub assumed_watts: u16,
    /// Of the newest block.
    pub time: u64,
}

/// Everything that the decision rests on.
pub struct Situation<'a> {
    /// The worker.
    pub worker: Address,
    /// Its account.
    pub ledger: &'a Ledger,
    /// What the registered key signed; why it cannot be used.
    pub book: Result<&'a Book, String>,
    /// The history from some days before the next record on, oldest first.
    pub rows: &'a [Row],
    /// The energy's clock; `None`: it is not set.
    pub now: Option<UnixSeconds>,
    /// How far the clocks may be apart.
    pub clocks_apart_secs: i64,
    /// A sensor measures what the board uses.
    pub metered: bool,
    /// For quarter hours that the history does not know.
    pub missing: Missing,
    /// The owner forfeits days up to this one.
    pub give_up: Option<u16>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing; a named state.
    Hold(Hold),
    /// Nothing yet.
    Wait {
        /// The day that is attested next.
        day: u16,
        /// When.
        from: UnixSeconds,
    },
    /// This entry of the book, as it stands.
    Send(usize),
    /// A new record.
    Sign(Box<Draft>),
    /// The book is behind the chain: no counts for a day before `first_day`.
    Rebase {
        /// Then again.
        first_day: u16,
    },
}

/// A record before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What is signed.
    pub record: Record,
    /// What it is chained to.
    pub previous: Link,
    /// What goes on after it.
    pub after: Carry,
    /// Why nothing is claimed, of a gap.
    pub gap: Option<&'static str>,
}

/// See the module.
#[must_use]
pub fn decide(situation: &Situation<'_>) -> Step {
    match step(situation) {
        Ok(step) => step,
        Err(hold) => Step::Hold(hold),
    }
}

fn step(s: &Situation<'_>) -> Result<Step, Hold> {
    let ledger = s.ledger;
    match ledger.status {
        Status::Active => {}
        Status::None => return Err(Hold::Unregistered),
        Status::Leaving => return Err(Hold::Leaving { bond_free_at: ledger.bond_free_at }),
        Status::Struck => return Err(Hold::Struck),
    }
    let book = s.book.clone().map_err(|reason| Hold::KeyLost { reason })?;
    let now = s.now.ok_or(Hold::ClockUnset)?;
    let chain = i64::try_from(ledger.time).unwrap_or(i64::MAX);
    if (now.0 - chain).abs() > s.clocks_apart_secs {
        return Err(Hold::ClockDiffers { energy: now.0, chain: ledger.time });
    }
    // Over by both clocks.
    let today = day_of(now.0.min(chain).max(0).unsigned_abs()).ok_or(Hold::ClockUnset)?;
    let next = ledger.day.saturating_add(1);
    let given_up = |record: &Record| record.body != Body::Gap && s.give_up.is_some_and(|until| record.day <= until);
    if let Some((index, entry)) = book.next(ledger).filter(|(_, entry)| !given_up(&entry.record)) {
        let day = entry.record.day;
        return Ok(if day < today { Step::Send(index) } else { wait(day) });
    }
    if book.is_behind(ledger) {
        return Ok(Step::Rebase { first_day: today });
    }
    if next >= today {
        return Ok(wait(next));
    }
    if next + 1 == today && now.0 < midnight(today) + SETTLE_SECS {
        return Ok(wait(next));
    }
    let mut gap = gap(s, book, next, today);
    if gap.is_none()
        && let Some(entry) = book.claim(next)
    {
        let again = again(ledger, entry);
        match check(ledger, &again, today) {
            Ok(()) => return Ok(Step::Sign(Box::new(again))),
            // It may be mended, and is not forfeited for the owner.
            Err(hold @ Hold::AboveCap { .. }) => return Err(hold),
            Err(_) => {
                let last = book.signed_after(ledger.day).unwrap_or(next);
                gap = Some((last + 1, "what was signed for these days does not go on from the chain's counter"));
            }
        }
    }
    let carry = book.carry(ledger).ok_or(Hold::CounterSpent { epoch: ledger.counter_epoch })?;
    let sign = match gap {
        Some((until, why)) => {
            let last = until.min(today) - 1;
            draft(s, last, Body::Gap, counts::over_gap(s.rows, next, last, carry), Some(why))
        }
        None => {
            let counted = counts::of_day(s.rows, next, carry, s.missing);
            let production = Box::new(counted.production);
            let body = match s.metered {
                true => Body::Metered { production, consumption: Box::new(counted.consumption) },
                false => Body::Production(production),
            };
            draft(s, next, body, counted.after, None)
        }
    };
    check(ledger, &sign, today)?;
    Ok(Step::Sign(Box::new(sign)))
}

fn wait(day: u16) -> Step {
    Step::Wait { day, from: UnixSeconds(midnight(day) + 86_400 + SETTLE_SECS) }
}

/// The first day that may be claimed, if it is not the next one, and why.
fn gap(s: &Situation<'_>, book: &Book, next: u16, today: u16) -> Option<(u16, &'static str)> {
    if next < book.first_day {
        return Some((book.first_day, "what was signed for these days is not known for certain"));
    }
    if let Some(day) = s.give_up.filter(|day| *day >= next) {
        return Some((day + 1, "the owner gave these days up"));
    }
    if next.saturating_add(s.ledger.window_days) < today {
        return Some((today - s.ledger.window_days, "these days lie before the window"));
    }
    let known = |day: u16| counts::is_known(s.rows, day) || book.claim(day).is_some();
    if !known(next) {
        let known = (next..today).find(|day| known(*day));
        return Some((known.unwrap_or(today), "nothing was measured on these days"));
    }
    None
}

fn draft(s: &Situation<'_>, day: u16, body: Body, after: Carry, gap: Option<&'static str>) -> Draft {
    let ledger = s.ledger;
    let record = Record {
        worker: s.worker,
        sequence: ledger.sequence.saturating_add(u32::from(day.saturating_sub(ledger.day))),
        day,
        counter_epoch: after.epoch,
        counter_wh: after.counter_wh(),
        body,
    };
    Draft { record, previous: ledger.link, after, gap }
}

/// The claim of an entry on what the chain has now.
fn again(ledger: &Ledger, entry: &Entry) -> Draft {
    let record = Record { sequence: ledger.sequence.saturating_add(1), ..entry.record.clone() };
    Draft { record, previous: ledger.link, after: entry.after, gap: None }
}

/// What the ledger would refuse is said to the owner, and never sent.
fn check(ledger: &Ledger, draft: &Draft, today: u16) -> Result<(), Hold> {
    let mut account = Account {
        sequence: ledger.sequence,
        day: ledger.day,
        counter_epoch: ledger.counter_epoch,
        counter_wh: ledger.counter_wh,
        cap_wh: ledger.cap_wh,
        assumed_watts: ledger.assumed_watts,
        window: Window::new(ledger.window_days),
    };
    let day = draft.record.day;
    match account.take(&draft.record, today) {
        Ok(_) => Ok(()),
        Err(AccountError::AboveCap { slot, found, cap }) => Err(Hold::AboveCap { day, slot, found, cap }),
        Err(error) => Err(Hold::Refused { day, reason: error.to_string() }),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
