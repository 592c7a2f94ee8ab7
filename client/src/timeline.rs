//! An agreement in words: what happened, what it waits for, until when, and what happens then. Pure: what the chain says
//! goes in, sentences come out. No oracle is asked.

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::settlement::{SettleInput, Vote, settle, verifier_lock, worker_lock};
use sunwork_protocol::status::{Ending, RoundKind, Status};

use crate::agreements::{Purchase, Standing};
use crate::amount::Unit;
use crate::events::{Progress, Seen};
use crate::settlement::TxCost;

/// Deployment parameters that decide what happens after a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Distinct workers that may try one agreement.
    pub max_attempts: u8,
    /// Verifiers that may leave before it is a dead end.
    pub max_strikes: u8,
    /// Part of its lock that vanishing costs, basis points.
    pub vanish_bps: u16,
    /// Paid for opening the draw, smallest token unit.
    pub seed_tip: u128,
}

/// What the reader is to the agreement: decides who is called "you".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Bought it.
    Client,
    /// Works on it.
    Worker,
    /// Holds a verifier's slot.
    Verifier,
    /// May post the client's session keys.
    KeyAgent,
    /// None of these.
    Stranger,
}

impl Role {
    /// The role of `account` in an agreement.
    pub fn of(account: Option<Address>, client: Address, standing: &Standing, key_agent: Option<Address>) -> Self {
        let Some(account) = account else { return Self::Stranger };
        if account == client {
            Self::Client
        } else if standing.worker == Some(account) {
            Self::Worker
        } else if standing.verifiers.iter().any(|slot| slot.verifier == account) {
            Self::Verifier
        } else if key_agent == Some(account) {
            Self::KeyAgent
        } else {
            Self::Stranger
        }
    }
}

/// A command that leads on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What it is good for.
    pub what: &'static str,
    /// What to type.
    pub command: String,
}

/// Where an agreement stands, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlook {
    /// What it waits for; of an ended one, how it ended.
    pub waits_for: String,
    /// Until when, Unix seconds; `None` when it has ended.
    pub until: Option<u64>,
    /// That time is over, and anybody may move the agreement on.
    pub overdue: bool,
    /// "if nobody does"; empty where time alone decides, and when it has ended.
    pub condition: String,
    /// What happens after that time; empty when it has ended.
    pub consequence: String,
    /// What one can do.
    pub next: Vec<Step>,
}

/// What [`outlook`] looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The purchase.
    pub purchase: &'a Purchase,
    /// Where it stands.
    pub standing: &'a Standing,
    /// Deployment parameters.
    pub rules: &'a Rules,
    /// The client's key agent.
    pub key_agent: Option<Address>,
    /// Who reads.
    pub viewer: Option<Address>,
    /// What the dispatcher owes the reader, smallest token unit.
    pub owed: u128,
    /// Leaves that were disputed with a bond; at level 0 the one that a rejection named.
    pub disputed: &'a [u32],
    /// Bond of a dispute, at level 0 of a rejection, with its unit; `None` when it is not the time for one.
    pub bond: Option<&'a str>,
    /// Time of the newest block, Unix seconds.
    pub now: u64,
}

/// What an agreement waits for, until when, and what happens then.
pub fn outlook(view: &View<'_>) -> Outlook {
    let standing = view.standing;
    if standing.status.is_final() {
        return ended(view);
    }
    let (waits_for, condition, consequence) = match standing.status {
        Status::Open => open(view),
        Status::Keying => keying(view),
        Status::Working => working(view),
        Status::Sealed => sealed(view),
        Status::Disputable => disputable(view),
        Status::Drawing => drawing(view),
        Status::Verifying => verifying(view),
        Status::Revealing => (
            format!("waits for {} to open {} seal", view.the_worker(), view.its()),
            if view.role() == Role::Worker { "if you do not" } else { "if it does not" }.to_owned(),
            format!("{} the whole locked stake and {}", view.loses(), view.refund()),
        ),
        Status::Opening => opening(view),
        // Answered above.
        Status::Settled | Status::Cancelled => Default::default(),
    };
    let closing = standing.status == Status::Drawing && standing.closes_at != 0;
    let until = if closing { standing.closes_at } else { standing.deadline };
    // A claim window closes by time alone: nobody needs to move it on.
    let overdue = !closing && until != 0 && view.now > until;
    Outlook {
        waits_for,
        until: (until != 0).then_some(until),
        overdue,
        condition,
        consequence,
        next: view.next_steps(overdue),
    }
}

fn open(view: &View<'_>) -> (String, String, String) {
    let standing = view.standing;
    let waits = if standing.attempt == 0 {
        "waits for a worker to accept".to_owned()
    } else {
        format!(
            "waits for another worker to accept (attempt {} of at most {})",
            u32::from(standing.attempt) + 1,
            view.rules.max_attempts
        )
    };
    (waits, "if nobody does".into(), "everything is refunded".into())
}

fn keying(view: &View<'_>) -> (String, String, String) {
    let waits = match (view.role(), view.key_agent) {
        (Role::Client, Some(agent)) => {
            format!("waits for the session key, from this wallet or from your key agent {agent}")
        }
        (Role::Client, None) => "waits for the session key from this wallet (you have set no key agent)".to_owned(),
        (Role::KeyAgent, _) => "waits for the session key, from the client or from you, its key agent".to_owned(),
        (_, Some(agent)) => format!("waits for the session key, from the client or its key agent {agent}"),
        (_, None) => "waits for the session key from the client (it has set no key agent)".to_owned(),
    };
    (waits, "if no key comes".into(), "everything is refunded and the worker is free again".into())
}

fn working(view: &View<'_>) -> (String, String, String) {
    let leaves = count(view.purchase.terms.leaf_count.into(), "leaf", "leaves");
    let waits = format!("waits for {} to compute {leaves} and seal the result", view.the_worker());
    let condition = if view.role() == Role::Worker { "if you do not" } else { "if it does not" };
    let attempt = u32::from(view.standing.attempt) + 1;
    let then = if attempt < u32::from(view.rules.max_attempts) {
        format!("the work is offered again (attempt {} of at most {})", attempt + 1, view.rules.max_attempts)
    } else {
        "everything is refunded, since no attempt is left".to_owned()
    };
    let consequence = format!("{} {} of the locked stake and {then}", view.loses(), percent(view.rules.vanish_bps));
    (waits, condition.into(), consequence)
}

fn sealed(view: &View<'_>) -> (String, String, String) {
    let (waits, then) = match view.why_more() {
        None => ("waits for the chain to draw the verifiers".to_owned(), "everything is refunded"),
        Some(why) => (format!("{why}: waits for the chain to draw {}", view.more_verifiers()), VOTES_DECIDE),
    };
    (waits, "if nobody opens the draw".to_owned(), then.to_owned())
}

fn disputable(view: &View<'_>) -> (String, String, String) {
    let bond = view.bond.map(|bond| format!(", at a bond of {bond}")).unwrap_or_default();
    if view.purchase.terms.trust_level == 0 {
        return match view.role() {
            Role::Client => (
                format!("the result is here, and nobody has checked it: waits for you to accept or reject it{bond}"),
                "if you do neither".into(),
                "the worker is paid".into(),
            ),
            _ => (
                format!("the result is open: waits for the client to accept or reject it{bond}"),
                "if it does neither".into(),
                "the worker is paid".into(),
            ),
        };
    }
    if view.disputed.is_empty() {
        return (
            format!("the verifiers agree, and the result is open for disputes: anybody may dispute a leaf{bond}"),
            "if nobody does".into(),
            "the worker is paid".into(),
        );
    }
    let more = count(u64::from(view.purchase.terms.verifiers) + 1, "more verifier", "more verifiers");
    (
        format!("{} disputed: waits for the time for disputes to end", are(view.disputed)),
        String::new(),
        format!("{more} compute {}", leaves(view.disputed)),
    )
}

/// What becomes of a later round that gets no verifiers.
const VOTES_DECIDE: &str = "the votes so far decide";

fn drawing(view: &View<'_>) -> (String, String, String) {
    let (have, need) = (view.standing.present_slots().count(), usize::from(view.standing.wanted));
    let why = view.why_more();
    let prefix = why.map(|why| format!("{why}: ")).unwrap_or_default();
    if view.standing.closes_at != 0 {
        let waits = format!(
            "{prefix}waits for the claim window to close: {} claimed, a lower ticket may still take one",
            if need == 1 { "the slot is".to_owned() } else { format!("all {need} slots are") }
        );
        return (waits, String::new(), "the drawn verifiers compute".into());
    }
    let then = match (view.is_later_round(), have) {
        (false, _) => view.refund(),
        (true, 0) => VOTES_DECIDE,
        (true, _) => "those that have claimed go on without the others",
    };
    (
        format!("{prefix}waits for verifiers to claim their slots ({have} of {need} so far)"),
        "if too few do".into(),
        then.into(),
    )
}

fn verifying(view: &View<'_>) -> (String, String, String) {
    let slots: Vec<_> = view.standing.present_slots().collect();
    let sealed = slots.iter().filter(|slot| slot.sealed).count();
    let mine = slots.iter().any(|slot| Some(slot.verifier) == view.viewer && !slot.sealed);
    let who = if mine {
        "your seal and those of the other drawn verifiers"
    } else {
        "the drawn verifiers to compute and seal"
    };
    let missing = slots.len() - sealed;
    let dead_end = usize::from(view.standing.strikes) + missing >= usize::from(view.rules.max_strikes);
    let then = match (dead_end, view.is_later_round()) {
        (false, _) => "their slots are drawn again",
        (true, false) => view.refund(),
        (true, true) => "the vote goes on without them",
    };
    let prefix = view.why_more().map(|why| format!("{why}: ")).unwrap_or_default();
    (
        format!("{prefix}waits for {who} ({sealed} of {} have)", slots.len()),
        "if some do not".into(),
        format!("they lose {} of their locked stake and {then}", percent(view.rules.vanish_bps)),
    )
}

fn opening(view: &View<'_>) -> (String, String, String) {
    let slots: Vec<_> = view.standing.present_slots().collect();
    let opened = slots.iter().filter(|slot| slot.opened).count();
    let prefix = view.why_more().map(|why| format!("{why}: ")).unwrap_or_default();
    (
        format!("{prefix}waits for the verifiers to open their seals ({opened} of {} have)", slots.len()),
        "if some do not".into(),
        "they lose their locked stake and the opened votes decide".into(),
    )
}

fn ended(view: &View<'_>) -> Outlook {
    let client = view.role() == Role::Client;
    // The tip is paid when the draw is opened; what ends later cannot give it back.
    let drawn = matches!(view.standing.ending, Ending::TooFewVerifiers | Ending::VerifiersGone | Ending::WorkerSilent);
    let all = if drawn && view.rules.seed_tip > 0 { "everything but the draw's tip" } else { "everything" };
    let refunded = format!("{all} was refunded to {}", if client { "you" } else { "the client" });
    let waits_for = match view.standing.ending {
        // A final status always has an ending; an unknown one is refused when it is read.
        Ending::None => "it has ended".to_owned(),
        Ending::Verified if view.purchase.terms.trust_level == 0 && view.standing.verifiers.is_empty() => format!(
            "{} accepted the result or stayed silent: it is paid, and nobody has checked it",
            if client { "you" } else { "the client" }
        ),
        Ending::Verified if view.standing.verifiers.iter().any(|slot| slot.dissent != 0) => {
            "the dissent lost: the result stands and is paid, and who voted against it lost its stake".to_owned()
        }
        Ending::Verified => "the verifiers agree: the result stands and is paid".to_owned(),
        Ending::Refuted => format!(
            "the verifiers' dissent won: the result is wrong, the worker lost its stake, {}",
            if client { "you were refunded" } else { "the client was refunded" }
        ),
        Ending::Undecided => {
            "the verifiers disagree and nobody won: the result is not verified, and the worker got half of its reward, or nothing \
             where most of the odds are against it"
                .to_owned()
        }
        Ending::NoWorker => format!("no worker accepted in time; {refunded}"),
        Ending::ByClient => {
            format!(
                "{} it before anybody accepted; {refunded}",
                if client { "you cancelled" } else { "the client cancelled" }
            )
        }
        Ending::NoKey => format!("no session key was posted in time; {refunded}"),
        Ending::Aborted => format!("the last of the allowed workers gave up; {refunded}"),
        Ending::WorkerVanished => format!("the last of the allowed workers vanished before its seal; {refunded}"),
        Ending::NoBeacon => format!("nobody opened the draw of the verifiers in time; {refunded}"),
        Ending::TooFewVerifiers => format!("too few verifiers claimed a slot; {refunded}"),
        Ending::VerifiersGone => format!("too many of the drawn verifiers declined or vanished; {refunded}"),
        Ending::WorkerSilent => {
            format!("the worker sealed and never opened its seal: it lost its locked stake; {refunded}")
        }
    };
    Outlook {
        waits_for,
        until: None,
        overdue: false,
        condition: String::new(),
        consequence: String::new(),
        next: view.next_steps(false),
    }
}

impl View<'_> {
    /// What the reader is to the agreement.
    pub fn role(&self) -> Role {
        Role::of(self.viewer, self.purchase.client, self.standing, self.key_agent)
    }

    fn the_worker(&self) -> String {
        match (self.role(), self.standing.worker) {
            (Role::Worker, _) => "you, the worker,".to_owned(),
            (_, Some(worker)) => format!("the worker {worker}"),
            (_, None) => "the worker".to_owned(),
        }
    }

    /// What comes back after a draw that was opened, whose tip is paid.
    fn refund(&self) -> &'static str {
        if self.rules.seed_tip > 0 { "everything but the draw's tip is refunded" } else { "everything is refunded" }
    }

    fn is_later_round(&self) -> bool {
        self.standing.vote_round != 0
    }

    /// "3 more verifiers".
    fn more_verifiers(&self) -> String {
        count(self.standing.wanted.into(), "more verifier", "more verifiers")
    }

    /// Why more verifiers are asked than the first ones; `None` in the first round.
    fn why_more(&self) -> Option<String> {
        let standing = self.standing;
        if !self.is_later_round() {
            return None;
        }
        let level_0 = self.purchase.terms.trust_level == 0;
        Some(match standing.round_kind {
            RoundKind::Leaves if standing.verifiers.iter().any(|slot| slot.dissent != 0) => format!(
                "verifiers disagree on {}: {} compute {}",
                leaves(&standing.disputed_leaves),
                self.more_verifiers(),
                if standing.disputed_leaves.len() == 1 { "it" } else { "them" }
            ),
            RoundKind::Leaves => format!(
                "{} disputed: {} compute {}",
                are(&standing.disputed_leaves),
                self.more_verifiers(),
                if standing.disputed_leaves.len() == 1 { "it" } else { "them" }
            ),
            _ if level_0 && self.role() == Role::Client => "you rejected the result, so it is verified".to_owned(),
            _ if level_0 => "the client rejected the result, so it is verified".to_owned(),
            _ => "late audit, drawn by lot after all agreed".to_owned(),
        })
    }

    fn its(&self) -> &'static str {
        if self.role() == Role::Worker { "your" } else { "its" }
    }

    fn loses(&self) -> &'static str {
        if self.role() == Role::Worker { "you lose" } else { "it loses" }
    }

    fn next_steps(&self, overdue: bool) -> Vec<Step> {
        let id = self.purchase.address;
        let client = self.role() == Role::Client;
        let mut steps = Vec::new();
        let mut step = |what, command: String| steps.push(Step { what, command });
        match self.standing.status {
            Status::Settled => {
                step("fetch the results", format!("sunwork results {id}"));
                if self.purchase.terms.has_callback() && self.standing.ending == Ending::Verified {
                    step("hand a result to the contract (anybody may)", format!("sunwork deliver {id} --leaf 0"));
                }
                if client && self.owed > 0 {
                    step("get back what was not spent", "sunwork wallet withdraw".into());
                }
            }
            Status::Cancelled => {
                if client && self.owed > 0 {
                    step("get the refund", "sunwork wallet withdraw".into());
                }
                if matches!(self.standing.ending, Ending::NoWorker | Ending::TooFewVerifiers) {
                    step("see who could take it, before you try again", "sunwork workers".into());
                }
            }
            status => {
                if overdue {
                    step("move it on (anybody may)", format!("sunwork expire {id}"));
                }
                if status == Status::Disputable {
                    let level_0 = self.purchase.terms.trust_level == 0;
                    step("look at the result, which is open now", format!("sunwork results {id}"));
                    if client && self.disputed.is_empty() {
                        step("accept it; the worker is paid at once", format!("sunwork accept {id}"));
                    }
                    if client && level_0 {
                        step("reject it: verifiers check it, at your bond", format!("sunwork reject {id}"));
                    }
                    if !level_0 {
                        step("dispute a leaf, with a bond (anybody may)", format!("sunwork dispute {id} --leaf 0"));
                    }
                }
                if status == Status::Open && self.standing.attempt == 0 {
                    step("add to the reward (anybody may)", format!("sunwork add {id} AMOUNT"));
                }
                if client && status == Status::Open {
                    step("withdraw it while nobody has accepted, for the full refund", format!("sunwork cancel {id}"));
                }
                if self.standing.is_revealed() && status != Status::Disputable {
                    step("see what the worker claims, before it is verified", format!("sunwork results {id}"));
                }
                let keys = client && status == Status::Keying;
                let what = if keys { "follow it; that posts the session key" } else { "follow it" };
                step(what, format!("sunwork status {id} --follow"));
            }
        }
        steps
    }
}

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

/// Money of an agreement that may still be under way. Amounts in the smallest token unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CostSoFar {
    /// What the client put in: it cannot cost more.
    #[serde(serialize_with = "decimal")]
    pub cap: u128,
    /// Paid to others so far.
    #[serde(serialize_with = "decimal")]
    pub paid: u128,
    /// Still held by the contract.
    #[serde(serialize_with = "decimal")]
    pub escrow: u128,
    /// Of that, what comes back at least if the result is verified.
    #[serde(serialize_with = "decimal")]
    pub back_if_verified: u128,
    /// What comes back if it comes to nothing.
    #[serde(serialize_with = "decimal")]
    pub back_if_cancelled: u128,
    /// Gas that the reader's wallet has paid for it, wei.
    #[serde(serialize_with = "decimal")]
    pub own_gas_wei: u128,
    /// In how many transactions.
    pub own_transactions: usize,
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

/// What it costs so far and what can still come back. `escrow` is what the contract holds, `paid` what others got.
pub fn cost_so_far(view: &View<'_>, escrow: u128, paid: u128, transactions: &[TxCost]) -> CostSoFar {
    let (terms, standing) = (&view.purchase.terms, view.standing);
    // Of an open offer the view tells the present price, which rises until somebody accepts.
    let reward = if standing.status == Status::Open { standing.reward.max(terms.reward_max) } else { standing.reward };
    // Level 0 draws only after a rejection, the other levels always.
    let verifies = terms.trust_level != 0 || standing.vote_round != 0;
    let before_draw = standing.vote_round == 0
        && matches!(standing.status, Status::Open | Status::Keying | Status::Working | Status::Sealed);
    let tip = if before_draw && verifies { view.rules.seed_tip } else { 0 };
    let back_if_verified = back_if_verified(view, escrow.saturating_sub(tip), reward, verifies);
    let own = transactions.iter().filter(|cost| Some(cost.sender) == view.viewer);
    CostSoFar {
        cap: view.purchase.budget,
        paid,
        escrow,
        back_if_verified,
        back_if_cancelled: escrow,
        own_gas_wei: own.clone().map(|cost| u128::from(cost.gas).saturating_mul(cost.gas_price_wei)).sum(),
        own_transactions: own.count(),
    }
}

/// What comes back if all verifiers, of this round and those before, agree with the worker: the settlement of the contracts,
/// foretold.
fn back_if_verified(view: &View<'_>, escrow: u128, reward: u128, verifies: bool) -> u128 {
    let (terms, standing) = (&view.purchase.terms, view.standing);
    // Fees of rounds about leaves are nobody's reserve: they come out of what the losers lose.
    let earlier = standing.verifiers.iter().filter(|slot| slot.vote_round < standing.vote_round).count();
    let voters = if verifies { earlier + usize::from(standing.wanted) } else { 0 };
    let reserved = match standing.round_kind {
        RoundKind::Leaves => earlier.min(voters),
        RoundKind::First | RoundKind::Audit => voters,
    };
    let input = SettleInput {
        ending: Ending::Verified,
        doubted: false,
        escrow,
        reward,
        verifier_fee: terms.verifier_fee,
        worker_lock: worker_lock(reward, terms.verifier_fee, terms.samples.max(1), terms.verifiers.max(1)),
        verifier_lock: verifier_lock(terms.reward_max, terms.verifier_fee, terms.verifiers.max(1)),
        votes: vec![Vote::Honest; voters],
        reserved,
        bond: 0,
        disputes_won: 0,
        disputes_lost: 0,
    };
    settle(&input).map_or(0, |out| out.refund)
}

/// "leaf 5", "leaves 1, 5 and 7".
pub(crate) fn leaves(list: &[u32]) -> String {
    let text: Vec<String> = list.iter().map(ToString::to_string).collect();
    match text.as_slice() {
        [] => "some leaves".to_owned(),
        [one] => format!("leaf {one}"),
        [rest @ .., last] => format!("leaves {} and {last}", rest.join(", ")),
    }
}

/// "leaf 5 is", "leaves 1 and 5 are".
fn are(list: &[u32]) -> String {
    format!("{} {}", leaves(list), if list.len() == 1 { "is" } else { "are" })
}

/// "1 leaf", "16 leaves".
fn count(number: u64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// Basis points as per cent: "10 %", "2.5 %".
fn percent(bps: u16) -> String {
    let number = format!("{}.{:02}", bps / 100, bps % 100);
    format!("{} %", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
#[path = "timeline/tests.rs"]
mod tests;
