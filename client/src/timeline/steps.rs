//! The commands that lead on.

use serde::Serialize;
use sunwork_protocol::status::{Ending, Status};

use super::view::{Role, View};

/// A command that leads on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What it is good for.
    pub what: &'static str,
    /// What to type.
    pub command: String,
}

/// What the reader can do, the nearest first.
pub(super) fn next_steps(view: &View<'_>, overdue: bool) -> Vec<Step> {
    let id = view.purchase.address;
    let client = view.role() == Role::Client;
    let mut steps = Vec::new();
    let mut step = |what, command: String| steps.push(Step { what, command });
    match view.standing.status {
        Status::Settled => {
            step("fetch the results", format!("sunwork results {id}"));
            if view.purchase.terms.has_callback() && view.standing.ending == Ending::Verified {
                step("hand a result to the contract (anybody may)", format!("sunwork deliver {id} --leaf 0"));
            }
            if client && view.owed > 0 {
                step("get back what was not spent", "sunwork wallet withdraw".into());
            }
        }
        Status::Cancelled => {
            if client && view.owed > 0 {
                step("get the refund", "sunwork wallet withdraw".into());
            }
            if matches!(view.standing.ending, Ending::NoWorker | Ending::TooFewVerifiers) {
                step("see who could take it, before you try again", "sunwork workers".into());
            }
        }
        status => {
            if overdue {
                step("move it on (anybody may)", format!("sunwork expire {id}"));
            }
            if status == Status::Disputable {
                let level_0 = view.purchase.terms.trust_level == 0;
                step("look at the result, which is open now", format!("sunwork results {id}"));
                if client && view.disputed.is_empty() {
                    step("accept it; the worker is paid at once", format!("sunwork accept {id}"));
                }
                if client && level_0 {
                    step("reject it: verifiers check it, at your bond", format!("sunwork reject {id}"));
                }
                if !level_0 {
                    step("dispute a leaf, with a bond (anybody may)", format!("sunwork dispute {id} --leaf 0"));
                }
            }
            if status == Status::Open && view.standing.attempt == 0 {
                step("add to the reward (anybody may)", format!("sunwork add {id} AMOUNT"));
            }
            if client && status == Status::Open {
                step("withdraw it while nobody has accepted, for the full refund", format!("sunwork cancel {id}"));
            }
            if view.standing.is_revealed() && status != Status::Disputable {
                step("see what the worker claims, before it is verified", format!("sunwork results {id}"));
            }
            let keys = client && status == Status::Keying;
            let what = if keys { "follow it; that posts the session key" } else { "follow it" };
            step(what, format!("sunwork status {id} --follow"));
        }
    }
    steps
}
