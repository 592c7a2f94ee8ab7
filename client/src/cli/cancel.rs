//! `sunwork cancel` and `sunwork expire`: what comes back, or why it cannot be done (any more) and what happens now.

use std::time::Duration;

use alloy::primitives::Address;
use serde_json::json;
use sunwork_protocol::status::Status;

use super::args::IdArgs;
use super::clock::Clock;
use super::exit::{Exit, Failure};
use super::follow::short_id;
use super::output::{fields, text_columns, wrap};
use super::session::Session;
use super::timeline::{now, steps};
use crate::chain::short;
use crate::situation::Situation;
use crate::timeline::Role;

/// How often it is looked whether a worker was first, when cancelling was refused.
const LOOKS: u32 = 8;
/// And how long between: blocks come after a while.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Withdraws an offer that nobody accepted.
///
/// # Errors
/// With the exit code that fits; says what happens now when a worker was first.
pub async fn cancel(session: &Session, args: IdArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_of(&args.id).await?;
    let before = client.situation(agreement, None).await?;
    if let Some(reason) = not_cancellable(&before) {
        return Err(Failure::say(Exit::Failed, reason));
    }
    let receipt = match client.cancel(agreement).await {
        Ok(receipt) => receipt,
        // A worker may have been first by a block, or is about to be: then the chain's present says more than the revert.
        Err(error) => {
            for _ in 0..LOOKS {
                let present = client.situation(agreement, None).await.ok();
                if let Some(reason) = present.as_ref().and_then(not_cancellable) {
                    return Err(Failure::say(Exit::Failed, reason));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            return Err(error.into());
        }
    };
    let refunded = before.escrow;
    let document = json!({ "agreement": agreement, "tx": receipt.transaction_hash, "refunded": refunded.to_string() });
    session.output.document("cancel", &document, || {
        format!(
            "{}{}",
            fields(&[
                ("cancelled", agreement.to_string()),
                (
                    "comes back",
                    format!("{}, all that you put in; cancelling cost only gas", client.unit().show(refunded))
                ),
                ("tx", receipt.transaction_hash.to_string()),
            ]),
            wrap("get it with:  sunwork wallet withdraw", "", text_columns())
        )
    });
    Ok(Exit::Ok)
}

/// Why an agreement cannot be cancelled, in words; `None` if it can.
fn not_cancellable(situation: &Situation) -> Option<String> {
    let standing = &situation.details.standing;
    let clock = Clock::local(situation.now);
    if situation.role() != Role::Client {
        let client = situation.details.purchase.client;
        return Some(format!("only its client {client} can cancel this agreement, and this wallet is another account"));
    }
    if standing.status == Status::Open {
        return None;
    }
    let present = now(&situation.outlook(), &clock);
    if standing.status.is_final() {
        return Some(format!("there is nothing to cancel: {present}"));
    }
    let worker = standing.worker.map(short).unwrap_or_else(|| "a worker".to_owned());
    Some(format!(
        "it cannot be cancelled any more: worker {worker} was first and accepted it, and your money is bound until it ends. \
         It {present} Follow it with `sunwork status {} --follow`",
        short_id(situation.details.purchase.address)
    ))
}

/// Moves an agreement on whose deadline has passed.
///
/// # Errors
/// With the exit code that fits; says until when it waits when it is too early.
pub async fn expire(session: &Session, args: IdArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_of(&args.id).await?;
    let before = client.situation(agreement, None).await?;
    if let Some(reason) = not_expirable(&before) {
        return Err(Failure::say(Exit::Failed, reason));
    }
    let receipt = client.expire(agreement).await?;
    let after = client.situation(agreement, None).await?;
    let document = json!({
        "agreement": agreement,
        "tx": receipt.transaction_hash,
        "standing": after.details.standing,
        "outlook": after.outlook(),
    });
    session.output.document("expire", &document, || moved_on(agreement, &after));
    Ok(Exit::Ok)
}

/// Why nobody can move an agreement on yet, in words; `None` if anybody can.
fn not_expirable(situation: &Situation) -> Option<String> {
    let outlook = situation.outlook();
    let present = now(&outlook, &Clock::local(situation.now));
    if !situation.is_under_way() {
        return Some(format!("there is nothing to move on, it has ended: {present}"));
    }
    // Blocks may come rarely: by the clock of this machine the deadline may be over that the newest block still keeps.
    let local = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let over = outlook.overdue || outlook.until.is_some_and(|until| local > until);
    (!over).then(|| format!("it is too early to move it on: it {present}"))
}

fn moved_on(agreement: Address, after: &Situation) -> String {
    let outlook = after.outlook();
    let width = text_columns();
    format!(
        "{}{}{}",
        fields(&[("moved on", agreement.to_string())]),
        wrap(&now(&outlook, &Clock::local(after.now)), "", width),
        steps(&outlook.next, agreement, width)
    )
}
