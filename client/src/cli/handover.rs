//! Handing over the session key of confidential work, as far as a command has to tell about it.

use std::time::Duration;

use alloy::primitives::Address;
use sunwork_protocol::status::Status;

use super::balances::open_transactions;
use super::errors::sentence;
use super::exit::Failure;
use super::follow::{Interrupt, step};
use super::output::Output;
use crate::chain::short;
use crate::client::Client;
use crate::keying::KeyKeeper;

/// How often it is looked whether a worker has accepted.
const POLL: Duration = Duration::from_millis(500);

/// How often it is looked whether the own transaction is noted as done.
const SETTLE_LOOKS: u32 = 20;

/// How the handing over stands.
pub enum Handover {
    /// Nothing is left to do: the work is public, or the key agent has the key.
    Done,
    /// The key is posted in the background while this is held.
    Watching(KeyKeeper),
}

/// Gives the key to the key agent, if there is one, and else sees to it that it is posted when a worker accepts.
///
/// # Errors
/// When the agreement cannot be read.
pub async fn hand_over(client: &Client, output: &Output, agreement: Address) -> Result<Handover, Failure> {
    let spec = client.purchase_of(agreement).await?.spec;
    if spec.key_commitment.is_zero() {
        return Ok(Handover::Done);
    }
    match client.give_key_to_agent(agreement, &spec).await {
        Ok(Some(agent)) => {
            output.note(&format!("key agent {} has the session key, for the worker that accepts", short(agent)));
        }
        Ok(None) => return Ok(Handover::Watching(client.keep_keyed(agreement))),
        Err(error) => {
            output.note(&format!(
                "warning: {}; this command hands over the key itself while it runs",
                sentence(&error.into())
            ));
            return Ok(Handover::Watching(client.keep_keyed(agreement)));
        }
    }
    Ok(Handover::Done)
}

/// Lets the transaction that posted the key be noted as done: the next command would call it unsettled otherwise.
async fn settle_own(client: &Client) {
    let Some(account) = client.address() else { return };
    for _ in 0..SETTLE_LOOKS {
        if open_transactions(client, account).await.is_empty() {
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Before a command leaves (`--detach`): waits until a worker has the key. True if so, false on Ctrl-C.
///
/// # Errors
/// When the agreement cannot be read.
pub async fn stay_until_keyed(
    client: &Client,
    output: &Output,
    agreement: Address,
    handover: Handover,
    interrupt: &mut Interrupt,
) -> Result<bool, Failure> {
    let Handover::Watching(_keeper) = handover else { return Ok(true) };
    output.note(
        "the work is confidential: this command stays until a worker has accepted and got the session key\n\
         (with a key agent it need not stay: sunwork wallet agent oracle)",
    );
    let bar = step("waits for a worker to accept");
    let keyed = loop {
        let standing = client.standing(agreement).await?;
        if !matches!(standing.status, Status::Open | Status::Keying) {
            break true;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = interrupt.heard() => break false,
        }
    };
    if keyed {
        settle_own(client).await;
    }
    bar.finish_and_clear();
    if !keyed {
        output.note(&format!(
            "no worker has the session key yet; hand it over with:  sunwork status {agreement} --follow\n\
             (without it the work is cancelled and refunded)"
        ));
    }
    Ok(keyed)
}
