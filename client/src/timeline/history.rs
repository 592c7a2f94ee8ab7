//! What happened, one line for each event.

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::status::{Ending, RoundKind, Status};

use super::words::{count, leaves};
use crate::agreements::Purchase;
use crate::amount::Unit;
use crate::events::{Progress, Seen};
use crate::settlement::TxCost;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, Unix seconds.
    pub time: u64,
    /// In which block.
    pub block: u64,
    /// In which transaction.
    pub tx: alloy::primitives::B256,
    /// Who sent that transaction, where it is known.
    pub by: Option<Address>,
    /// What happened.
    pub what: String,
    /// Whether that is good.
    pub mood: Mood,
}

/// Whether an event is good news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// As planned.
    Plain,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
}

/// All that happened, oldest first. `name` says what an address is called.
pub fn history(
    purchase: &Purchase,
    events: &[Seen],
    transactions: &[TxCost],
    unit: &Unit,
    name: &dyn Fn(Address) -> String,
) -> Vec<Entry> {
    let of = |tx| transactions.iter().find(|cost| cost.tx == tx);
    let bought = Entry {
        time: purchase.time,
        block: purchase.block,
        tx: purchase.tx,
        by: Some(purchase.client),
        what: format!("bought by {} for at most {}", name(purchase.client), unit.show(purchase.budget)),
        mood: Mood::Plain,
    };
    let told = events.iter().filter_map(|seen| {
        let cost = of(seen.tx);
        let (mood, what) = describe(seen, unit, cost, name);
        let by = cost.map(|cost| cost.sender);
        (!what.is_empty()).then_some(Entry { time: seen.time, block: seen.block, tx: seen.tx, by, what, mood })
    });
    std::iter::once(bought).chain(told).collect()
}

/// One line about an event; empty for what another event of the same transaction tells better. `cost` is its transaction, where
/// that is known: it says who was at work.
pub fn describe(seen: &Seen, unit: &Unit, cost: Option<&TxCost>, name: &dyn Fn(Address) -> String) -> (Mood, String) {
    let lost = |amount: u128| if amount == 0 { String::new() } else { format!(", loses {}", unit.show(amount)) };
    let moved_on = cost.filter(|cost| cost.name == "expire" || cost.name == "redeemPayment");
    let moved_on = moved_on.map(|cost| format!("; moved on by {}", name(cost.sender))).unwrap_or_default();
    match &seen.progress {
        Progress::Accepted { worker, attempt, reward, locked } => (
            Mood::Plain,
            format!(
                "accepted by worker {} (attempt {}) for {}, {} of its stake locked",
                name(*worker),
                // On chain the first attempt is number 0.
                u32::from(*attempt) + 1,
                unit.show(*reward),
                unit.show(*locked)
            ),
        ),
        Progress::KeyPosted { .. } => {
            let by = cost.map(|cost| format!(" by {}", name(cost.sender))).unwrap_or_default();
            (Mood::Plain, format!("session key posted{by}"))
        }
        Progress::WorkerLeft { worker, slashed, .. } => {
            let how = match cost.map(|cost| cost.name.as_str()) {
                Some("abort") => "gave up",
                Some("expire" | "redeemPayment") => "missed its deadline",
                _ => "left",
            };
            (Mood::Bad, format!("worker {} {how}{}{moved_on}", name(*worker), lost(*slashed)))
        }
        Progress::Sealed { worker, .. } => (
            Mood::Plain,
            format!("computed and sealed by worker {}; a block to come draws the verifiers", name(*worker)),
        ),
        Progress::RoundOpened { kind, wanted, leaves: disputed, .. } => {
            let more = count((*wanted).into(), "more verifier", "more verifiers");
            let what = match kind {
                RoundKind::Leaves => format!(
                    "no agreement on {}: {more} {} {}",
                    leaves(disputed),
                    if *wanted == 1 { "computes" } else { "compute" },
                    if disputed.len() == 1 { "it" } else { "them" }
                ),
                RoundKind::First | RoundKind::Audit if *wanted == 1 => {
                    format!("late audit: {more} computes sampled leaves of the open result")
                }
                RoundKind::First | RoundKind::Audit => {
                    format!("late audit: {more} compute sampled leaves of the open result")
                }
            };
            (Mood::Plain, what)
        }
        Progress::Disputed { by, leaf, bond } => {
            (Mood::Bad, format!("leaf {leaf} disputed by {}, with a bond of {}", name(*by), unit.show(*bond)))
        }
        Progress::Contributed { payer, amount, total } if amount == total => {
            (Mood::Good, format!("{} added {} to the reward", name(*payer), unit.show(*amount)))
        }
        Progress::Contributed { payer, amount, total } => (
            Mood::Good,
            format!("{} added {} to the reward, {} in all", name(*payer), unit.show(*amount), unit.show(*total)),
        ),
        Progress::ContributionRefunded { payer, amount } => {
            (Mood::Plain, format!("{} got {} back of what it had added", name(*payer), unit.show(*amount)))
        }
        Progress::Delivered { leaf, ok: true } => (Mood::Good, format!("leaf {leaf} delivered to the contract")),
        Progress::Delivered { leaf, ok: false } => {
            (Mood::Bad, format!("the contract did not take leaf {leaf}; it can be delivered again"))
        }
        Progress::DrawOpened { vote_round, .. } if *vote_round > 0 => {
            let by = cost.map(|cost| format!(" (draw opened by {})", name(cost.sender))).unwrap_or_default();
            (Mood::Plain, format!("more verifiers are drawn{by}"))
        }
        Progress::DrawOpened { .. } => {
            let by = cost.map(|cost| format!(" (draw opened by {})", name(cost.sender))).unwrap_or_default();
            (Mood::Plain, format!("verifiers are drawn{by}"))
        }
        Progress::Claimed { verifier, displaced } => {
            let instead = displaced.map(|other| format!(" instead of {}", name(other))).unwrap_or_default();
            (Mood::Plain, format!("slot claimed by verifier {}{instead}", name(*verifier)))
        }
        Progress::VerifierSealed { verifier } => {
            (Mood::Plain, format!("checked and sealed by verifier {}", name(*verifier)))
        }
        Progress::VerifierLeft { verifier, reason, slashed } => (
            Mood::Bad,
            format!("verifier {} left: {}{}{moved_on}", name(*verifier), reason_of(*reason), lost(*slashed)),
        ),
        Progress::Revealed { leaves, .. } if leaves.is_empty() => {
            (Mood::Plain, "result handed in, open at once; nobody has checked it".to_owned())
        }
        Progress::Revealed { leaves, .. } => (
            Mood::Plain,
            format!(
                "result revealed, {} checked against its root",
                count(leaves.len() as u64, "sampled leaf", "sampled leaves")
            ),
        ),
        Progress::Opened { verifier, dissent: 0 } => (Mood::Good, format!("verifier {} agrees", name(*verifier))),
        Progress::Opened { verifier, dissent } => {
            (Mood::Bad, format!("verifier {} differs on {} of its leaves", name(*verifier), dissent.count_ones()))
        }
        Progress::Ended { ending } => {
            let mood = if *ending == Ending::Verified { Mood::Good } else { Mood::Bad };
            (mood, format!("{}{moved_on}", ending.meaning()))
        }
        // The other events say it better.
        Progress::StatusChanged { status: Status::Open, attempt, .. } if *attempt > 0 => {
            (Mood::Plain, format!("offered again (attempt {})", u32::from(*attempt) + 1))
        }
        Progress::StatusChanged { status: Status::Disputable, deadline, .. } => (
            Mood::Plain,
            format!("open for disputes for {}", crate::duration::show(deadline.saturating_sub(seen.time))),
        ),
        Progress::StatusChanged { .. } => (Mood::Plain, String::new()),
    }
}

/// Why a verifier left (docs/PROTOCOL.md, Dead ends).
fn reason_of(reason: u16) -> String {
    match reason {
        0 => "it missed its deadline".into(),
        1 => "it found no result blob".into(),
        2 => "the result blob is not what was announced".into(),
        3 => "an input is missing".into(),
        4 => "the image cannot be had or run".into(),
        5 => "its own machine failed".into(),
        6 => "it got no session key".into(),
        7 => "the session key it got is not the one of the terms".into(),
        8 => "an input does not decrypt or does not fit".into(),
        other => format!("reason {other}"),
    }
}
