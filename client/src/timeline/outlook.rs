//! What an agreement waits for, until when, and what happens then.

use serde::Serialize;
use sunwork_protocol::status::Status;

use super::ended::ended;
use super::steps::{Step, next_steps};
use super::view::{Role, View};
use super::words::{are, count, leaves, percent};

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
        next: next_steps(view, overdue),
    }
}

fn open(view: &View<'_>) -> (String, String, String) {
    let standing = view.standing;
    // Who wonders why nobody comes should see what was asked.
    let green = if view.purchase.terms.is_green_only() { "positive " } else { "" };
    let waits = if standing.attempt == 0 {
        format!("waits for a {green}worker to accept")
    } else {
        format!(
            "waits for another {green}worker to accept (attempt {} of at most {})",
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
