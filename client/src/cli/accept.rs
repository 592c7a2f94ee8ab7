//! `sunwork accept`: the client accepts an open result, which pays the worker at once.

use serde_json::json;
use sunwork_protocol::status::Status;

use super::args::IdArgs;
use super::clock::Clock;
use super::exit::{Exit, Failure};
use super::output::fields;
use super::session::Session;
use super::timeline::now;
use crate::situation::Situation;
use crate::timeline::Role;

/// Runs the command.
///
/// # Errors
/// With the exit code that fits; says where the agreement stands when there is nothing to accept.
pub async fn run(session: &Session, args: IdArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_of(&args.id).await?;
    let before = client.situation(agreement, None).await?;
    if let Some(reason) = not_acceptable(&before) {
        return Err(Failure::say(Exit::Failed, reason));
    }
    let receipt = client.accept_result(agreement).await?;
    let after = client.situation(agreement, None).await?;
    let reward = before.details.standing.reward;
    let document = json!({
        "agreement": agreement,
        "tx": receipt.transaction_hash,
        "paid": reward.to_string(),
        "standing": after.details.standing,
    });
    session.output.document("accept", &document, || {
        fields(&[
            ("accepted", agreement.to_string()),
            ("the worker got", client.unit().show(reward)),
            ("tx", receipt.transaction_hash.to_string()),
        ])
    });
    Ok(Exit::Ok)
}

/// Why there is nothing to accept, in words; `None` if there is.
fn not_acceptable(situation: &Situation) -> Option<String> {
    let standing = &situation.details.standing;
    if let Some(reason) = not_ours(situation, "accept its result") {
        return Some(reason);
    }
    if standing.status != Status::Disputable {
        return Some(format!("there is no result to accept: it {}", now(&situation.outlook(), &local(situation))));
    }
    if situation.disputed.is_empty() {
        return None;
    }
    let present = now(&situation.outlook(), &local(situation));
    Some(format!("it cannot be accepted any more: {present}"))
}

/// Only the client may do it, and the reader is somebody else.
pub fn not_ours(situation: &Situation, what: &str) -> Option<String> {
    let client = situation.details.purchase.client;
    (situation.role() != Role::Client)
        .then(|| format!("only its client {client} can {what}, and this wallet is another account"))
}

/// Times for people.
pub fn local(situation: &Situation) -> Clock {
    Clock::local(situation.now)
}
