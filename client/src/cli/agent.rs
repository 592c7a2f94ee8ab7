//! `sunwork wallet agent`: who hands out session keys while the client is away.

use std::time::Duration;

use alloy::primitives::Address;
use serde::Deserialize;
use serde_json::json;

use super::exit::{Exit, Failure};
use super::session::Session;
use crate::client::Client;

/// How long an oracle may take to say whether it offers one.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 4096;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Offer {
    address: Address,
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, wanted: Option<&str>) -> Result<Exit, Failure> {
    let Some(wanted) = wanted else { return show(session).await };
    let client = session.buyer().await?;
    let agent = match wanted {
        "none" => Address::ZERO,
        "oracle" => offered(&client).await?,
        text => text.parse().map_err(|_| {
            Failure::say(
                Exit::Usage,
                format!("{text:?} is no account; expected an address (0x and 40 hex digits), \"oracle\" or \"none\""),
            )
        })?,
    };
    // A typo would be found only when a worker waits for a key that nobody posts.
    if !agent.is_zero() && client.encryption_key_of(agent).await?.is_none() {
        let sentence = format!(
            "{agent} has published no encryption key, so no session key can be given to it; expected the account of a key \
             agent: \"oracle\" names the one that your oracle offers"
        );
        return Err(Failure::say(Exit::Usage, sentence));
    }
    let receipt = client.set_key_agent(agent).await?;
    let document = json!({ "agent": shown(agent), "tx": receipt.transaction_hash });
    session.output.document("wallet", &document, || {
        if agent.is_zero() {
            return "You have no key agent any more: confidential work needs `sunwork run` to stay until a worker has its key.\n"
                .into();
        }
        format!(
            "Key agent {agent}.\nIt gets the session keys of your confidential work and can read it; it can move no money.\n\
             `sunwork run --detach` leaves at once from now on. Dismiss it with:  sunwork wallet agent none\n"
        )
    });
    Ok(Exit::Ok)
}

async fn show(session: &Session) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let account = session.account()?;
    let agent = client.key_agent_of(account).await?.unwrap_or_default();
    session.output.document("wallet", &json!({ "agent": shown(agent) }), || {
        if agent.is_zero() {
            "You have no key agent. Name the one that your oracle offers with:  sunwork wallet agent oracle\n".into()
        } else {
            format!("Key agent {agent}\n")
        }
    });
    Ok(Exit::Ok)
}

fn shown(agent: Address) -> Option<Address> {
    Some(agent).filter(|agent| !agent.is_zero())
}

/// The key agent that the first answering oracle offers.
async fn offered(client: &Client) -> Result<Address, Failure> {
    sunwork_edge::tls::install();
    let http = reqwest::Client::builder().timeout(ANSWER_LIMIT).redirect(reqwest::redirect::Policy::none()).build();
    let http = http.map_err(|error| Failure::new(Exit::Failed, error))?;
    let mut last = "no oracle is given".to_owned();
    for url in client.blobs().urls() {
        let answer = async {
            let url = url.join("v1/key-agent").map_err(|error| error.to_string())?;
            let answer = http.get(url).send().await.map_err(|error| error.to_string())?;
            let status = answer.status();
            if answer.content_length().is_none_or(|length| length > MAX_ANSWER_BYTES as u64) {
                return Err(format!("an answer of unknown or too large size (status {status})"));
            }
            let body = answer.bytes().await.map_err(|error| error.to_string())?;
            serde_json::from_slice::<Offer>(&body).map_err(|_| format!("it offers none (status {status})"))
        };
        match answer.await {
            Ok(offer) => return Ok(offer.address),
            Err(reason) => last = format!("{url}: {reason}"),
        }
    }
    Err(Failure::say(Exit::Oracle, format!("asking the oracles for their key agent: {last}; name one by its address")))
}
