//! `sunwork offer list` and `sunwork offer cancel`.

use alloy::primitives::{Address, B256};
use serde_json::json;
use sunwork_protocol::order::SignedOrder;
use sunwork_protocol::terms::ComputeTerms;

use super::store;
use crate::chain::Doing;
use crate::cli::clock::Clock;
use crate::cli::exit::{Exit, Failure};
use crate::cli::follow::short_id;
use crate::cli::output::table;
use crate::cli::session::Session;
use crate::client::Client;
use crate::offer::{Offer, OfferState};

/// Fewest hex digits of the beginning of a hash.
const MIN_PREFIX_DIGITS: usize = 4;

/// Offers of `account` (or of anybody) at this deployment, with their state. A signature of another chain or dispatcher is none
/// here.
pub(super) async fn ours(
    client: &Client,
    known: Vec<SignedOrder>,
    account: Option<Address>,
) -> Result<Vec<Offer>, Failure> {
    let (chain_id, dispatcher) = (client.deployment().chain_id, client.deployment().dispatcher);
    let mut offers = Vec::new();
    for signed in known {
        let ours = account.is_none_or(|account| account == signed.order.client);
        if ours && signed.verify(chain_id, dispatcher).is_ok() {
            offers.push(client.offer(signed).await?);
        }
    }
    offers.sort_by_key(|offer| offer.signed.order.start_at);
    Ok(offers)
}

/// Lists the offers that were signed here.
///
/// # Errors
/// With the exit code that fits.
pub(super) async fn list(session: &Session) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let offers = ours(&client, store::all(&store::folder()?), session.wallet_address()).await?;
    let (_, now) = client.rpc().latest().await.doing(|| "reading the latest block".into())?;
    let clock = Clock::local(now);
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for offer in &offers {
        let order = &offer.signed.order;
        let agreements = client.agreements_of_offer(offer.hash).await?;
        let terms = ComputeTerms::unpack(&order.terms).ok();
        let reward = terms.as_ref().map(|terms| client.unit().show(terms.reward_max)).unwrap_or_default();
        lines.push(vec![
            offer.hash.to_string().chars().take(10).collect(),
            offer.state.words().to_owned(),
            format!("{} of {}", agreements.len(), order.volume),
            reward,
            clock.distance(order.expiry),
            agreements.iter().map(|agreement| short_id(*agreement)).collect::<Vec<_>>().join(" "),
        ]);
        rows.push(json!({
            "hash": offer.hash, "state": offer.state, "uses": agreements.len(), "volume": order.volume, "client": order.client,
            "rewardMax": terms.map(|terms| terms.reward_max.to_string()), "startAt": order.start_at, "expiry": order.expiry,
            "agreements": agreements,
        }));
    }
    session.output.document("offer", &json!({ "offers": rows }), || {
        if lines.is_empty() {
            return "no offers were signed here".into();
        }
        table(&["OFFER", "STATE", "USED", "REWARD", "EXPIRES", "AGREEMENTS"], &lines)
    });
    Ok(Exit::Ok)
}

/// Ends one offer, or all of them where no hash is given.
///
/// # Errors
/// With the exit code that fits.
pub(super) async fn cancel(session: &Session, text: Option<&str>) -> Result<Exit, Failure> {
    let client = session.buyer().await?;
    let offers = ours(&client, store::all(&store::folder()?), client.address()).await?;
    let Some(text) = text else {
        let tx = client.cancel_all_offers().await?.transaction_hash;
        let open: Vec<B256> =
            offers.iter().filter(|offer| offer.state == OfferState::Open).map(|offer| offer.hash).collect();
        session.output.document("offer", &json!({ "cancelled": open, "all": true, "tx": tx }), || {
            format!(
                "all offers that this wallet has signed are cancelled ({} of them were open here)\ntx  {tx}\n",
                open.len()
            )
        });
        return Ok(Exit::Ok);
    };
    let hash = pick(text, &offers)?;
    if let Some(offer) = offers.iter().find(|offer| offer.hash == hash && offer.state == OfferState::Cancelled) {
        return Err(Failure::say(Exit::Failed, format!("offer {} is cancelled already", offer.hash)));
    }
    let tx = client.cancel_offer(hash).await?.transaction_hash;
    session.output.document("offer", &json!({ "cancelled": [hash], "all": false, "tx": tx }), || {
        format!("offer {hash} is cancelled; agreements that were made of it go on\ntx  {tx}\n")
    });
    Ok(Exit::Ok)
}

/// The offer that `text` names: a whole hash, known here or not, or the beginning of one that is.
fn pick(text: &str, offers: &[Offer]) -> Result<B256, Failure> {
    let digits = text.trim().strip_prefix("0x").unwrap_or(text.trim()).to_ascii_lowercase();
    if let Ok(hash) = digits.parse() {
        return Ok(hash);
    }
    let hex = |c: char| c.is_ascii_hexdigit();
    if digits.len() < MIN_PREFIX_DIGITS || !digits.chars().all(hex) {
        let sentence =
            format!("{text:?} is no offer; expected its hash or at least {MIN_PREFIX_DIGITS} digits of its start");
        return Err(Failure::say(Exit::Usage, sentence));
    }
    let known: Vec<B256> =
        offers.iter().map(|offer| offer.hash).filter(|hash| hex::encode(hash).starts_with(&digits)).collect();
    match known.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::say(
            Exit::Usage,
            format!(
                "no offer that was signed here begins with {text}; expected one of `sunwork offer list`, or a whole hash"
            ),
        )),
        several => {
            let sentence = format!("{text} is the beginning of {} offers; give more digits", several.len());
            Err(Failure::say(Exit::Usage, sentence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::Bytes;
    use sunwork_protocol::order::Order;

    fn offer(byte: u8) -> Offer {
        let order = Order {
            client: Address::ZERO,
            kind_id: 0,
            terms: Bytes::new(),
            spec_hash: B256::ZERO,
            start_at: 0,
            expiry: 0,
            volume: 1,
            salt: B256::ZERO,
            worker: Address::ZERO,
            nonce: 0,
        };
        let signed = SignedOrder { order, spec: Bytes::new(), signature: Bytes::new() };
        Offer { hash: B256::repeat_byte(byte), signed, uses: 0, state: OfferState::Open }
    }

    #[test]
    fn an_offer_is_named_by_its_hash_or_the_beginning_of_it() {
        let offers = [offer(0xab), offer(0xcd)];
        assert_eq!(pick("0xabab", &offers).unwrap(), B256::repeat_byte(0xab));
        assert_eq!(pick("CDCDC", &offers).unwrap(), B256::repeat_byte(0xcd));
        assert_eq!(pick(&B256::repeat_byte(9).to_string(), &offers).unwrap(), B256::repeat_byte(9), "known or not");
        for bad in ["", "0xab", "xyzw", "0xdead"] {
            assert_eq!(pick(bad, &offers).unwrap_err().exit, Exit::Usage, "{bad}");
        }
        assert!(pick("0xabab", &[offer(0xab), offer(0xab)]).is_err());
    }
}
