//! How an agreement ended.

use sunwork_protocol::status::Ending;

use super::outlook::Outlook;
use super::steps::next_steps;
use super::view::{Role, View};

/// The outlook of an agreement that is over.
pub(super) fn ended(view: &View<'_>) -> Outlook {
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
        next: next_steps(view, false),
    }
}
