//! `sunwork status`: one's agreements, or all about one. The chain is asked and nobody else.

use std::time::Duration;

use alloy::primitives::Address;
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use sunwork_protocol::status::Status;

use super::args::StatusArgs;
use super::balances::{open_transactions, show_open};
use super::clock::Clock;
use super::duration::show;
use super::errors::sentence;
use super::exit::{Exit, Failure};
use super::follow::{Followed, Interrupt, Until, follow, how_to_follow, short_id};
use super::output::{columns, table, text_columns};
use super::session::Session;
use super::timeline::{Page, state};
use crate::agreements::{FindError, Purchase, Standing};
use crate::amount::Unit;
use crate::chain::{Doing, short};
use crate::client::Client;
use crate::settlement::Settlement;
use crate::situation::Situation;

/// Columns that a list with ids in full takes.
const WIDE_LIST: usize = 120;
/// Questions under way at once.
const PARALLEL: usize = 8;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    agreement: Address,
    client: Address,
    class: String,
    leaves: u32,
    verifiers: u8,
    budget: String,
    bought_at: u64,
    block: u64,
    #[serde(flatten)]
    standing: Standing,
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: StatusArgs) -> Result<Exit, Failure> {
    match &args.id {
        None => list(session, &args).await,
        Some(id) if args.follow => followed(session, id, args.timeout).await,
        Some(id) => one(session, id).await,
    }
}

async fn list(session: &Session, args: &StatusArgs) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let whose = match &args.client {
        _ if args.all => None,
        Some(text) => Some(text.parse::<Address>().map_err(|_| {
            Failure::say(Exit::Usage, format!("--client {text:?} is no address; expected 0x and 40 hex digits"))
        })?),
        None => Some(session.account().map_err(|failure| {
            let why = sentence(&failure.report);
            Failure::say(Exit::Config, format!("{why}; to list without a wallet give --client ADDRESS or --all"))
        })?),
    };
    let purchases = client.purchases(whose).await?;
    let total = purchases.len();
    let rows: Vec<Row> = futures::stream::iter(purchases.into_iter().take(args.limit))
        .map(|purchase| row(&client, purchase))
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    let (_, now) = client.rpc().latest().await.doing(|| "reading the latest block".into())?;
    let document = json!({ "total": total, "agreements": rows });
    session.output.document("status", &document, || {
        if rows.is_empty() {
            return "no agreements".into();
        }
        let whole = columns().is_none_or(|width| width >= WIDE_LIST);
        let lines: Vec<Vec<String>> = rows.iter().map(|row| line(row, client.unit(), now, whole)).collect();
        let id = if whole { "AGREEMENT" } else { "BEGINS WITH" };
        let mut text = table(&[id, "STATUS", "LEAVES", "BUDGET", "BOUGHT", "WORKER"], &lines);
        if total > rows.len() {
            text.push_str(&format!("{} more; see them with --limit {total}\n", total - rows.len()));
        }
        text
    });
    Ok(Exit::Ok)
}

async fn row(client: &Client, purchase: Purchase) -> Result<Row, FindError> {
    let standing = client.standing(purchase.address).await?;
    Ok(Row {
        agreement: purchase.address,
        client: purchase.client,
        class: client.deployment().class_name(purchase.class_id),
        leaves: purchase.terms.leaf_count,
        verifiers: purchase.terms.verifiers,
        budget: purchase.budget.to_string(),
        bought_at: purchase.time,
        block: purchase.block,
        standing,
    })
}

/// `whole`: with the id in full; its beginning names the agreement as well.
fn line(row: &Row, unit: &Unit, now: u64, whole: bool) -> Vec<String> {
    let budget = row.budget.parse().map(|amount| unit.show(amount)).unwrap_or_default();
    vec![
        if whole { row.agreement.to_string() } else { short_id(row.agreement) },
        state(&row.standing),
        row.leaves.to_string(),
        budget,
        format!("{} ago", show(now.saturating_sub(row.bought_at))),
        row.standing.worker.map(short).unwrap_or_default(),
    ]
}

async fn one(session: &Session, id: &str) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let agreement = session.find(&client, id).await?;
    let situation = client.situation(agreement, session.wallet_address()).await?;
    let settlement = if situation.is_under_way() { None } else { Some(client.settlement(agreement).await?) };
    let open = match situation.viewer {
        Some(account) => open_transactions(&client, account).await,
        None => Vec::new(),
    };
    let mut document = document(&client, &situation, settlement.as_ref());
    document["open"] = json!(open);
    session.output.document("status", &document, || {
        let page = Page {
            situation: &situation,
            settlement: settlement.as_ref(),
            class: client.deployment().class_name(situation.details.purchase.class_id),
            unit: client.unit(),
            clock: &Clock::local(situation.now),
            width: text_columns(),
        };
        format!("{}{}", page.render(), show_open(&open))
    });
    Ok(Exit::Ok)
}

fn document(client: &Client, situation: &Situation, settlement: Option<&Settlement>) -> Value {
    let (details, purchase) = (&situation.details, &situation.details.purchase);
    json!({
        "agreement": purchase.address,
        "client": purchase.client,
        "keyAgent": situation.key_agent,
        "role": situation.role(),
        "class": client.deployment().class_name(purchase.class_id),
        "token": client.unit().symbol,
        "decimals": client.unit().decimals,
        "budget": purchase.budget.to_string(),
        "boughtAt": purchase.time,
        "block": purchase.block,
        "tx": purchase.tx,
        "terms": terms(purchase),
        "spec": purchase.spec,
        "standing": details.standing,
        "disputed": situation.disputed,
        "bond": situation.bond.map(|bond| bond.to_string()),
        "now": situation.now,
        "outlook": situation.outlook(),
        "timeline": situation.history(client.unit()),
        "cost": situation.cost(),
        "events": details.events,
        "settlement": settlement,
        "gasByName": settlement.map(Settlement::gas_by_name),
    })
}

/// Amounts as decimal strings: a JSON number would lose digits in most readers.
fn terms(purchase: &Purchase) -> Value {
    let t = &purchase.terms;
    json!({
        "rewardMin": t.reward_min.to_string(), "rewardMax": t.reward_max.to_string(),
        "verifierFee": t.verifier_fee.to_string(), "trust": t.trust, "trustLevel": t.trust_level,
        "leaves": t.leaf_count, "samples": t.samples, "verifiers": t.verifiers,
        "acceptSecs": t.accept_secs, "workSecs": t.work_secs, "verifySecs": t.verify_secs, "disputeSecs": t.dispute_secs,
        "worker": t.named_worker(), "pool": t.pool(), "greenOnly": t.is_green_only(),
        "callback": t.has_callback().then(|| json!({ "to": t.callback, "gas": t.callback_gas })),
    })
}

/// Who follows its own confidential work hands over the session key on the way, if the wallet can be opened.
async fn follower(session: &Session, id: &str) -> Result<(Client, Address), Failure> {
    let client = session.reader().await?;
    let agreement = session.find(&client, id).await?;
    let purchase = client.purchase_of(agreement).await?;
    let standing = client.standing(agreement).await?;
    // A worker that is replaced needs the key again, until one has sealed; so do the verifiers of later rounds.
    let keys = matches!(standing.status, Status::Open | Status::Keying | Status::Working)
        || (standing.is_revealed() && !standing.status.is_final());
    if !(keys && purchase.terms.is_confidential() && session.wallet_address() == Some(purchase.client)) {
        return Ok((client, agreement));
    }
    match session.buyer().await {
        Ok(buyer) => Ok((buyer, agreement)),
        Err(failure) => {
            session.output.note(&format!(
                "warning: the session key of this confidential work cannot be posted from here: {}",
                sentence(&failure.report)
            ));
            Ok((client, agreement))
        }
    }
}

async fn followed(session: &Session, id: &str, timeout: Option<u32>) -> Result<Exit, Failure> {
    let (client, agreement) = follower(session, id).await?;
    let _keeper = client.address().map(|_| client.keep_keyed(agreement));
    let from_block = client.purchase_of(agreement).await?.block;
    let mut interrupt = Interrupt::listen().await;
    let timeout = timeout.map(|secs| Duration::from_secs(secs.into()));
    let followed =
        follow(&client, &session.output, agreement, from_block, Until::Ended, timeout, &mut interrupt).await?;
    let exit = match followed {
        Followed::Ended(ending) => Exit::of_ending(ending).unwrap_or(Exit::Ok),
        Followed::Open => Exit::Ok,
        Followed::Interrupted => Exit::Interrupted,
        Followed::TimedOut => Exit::TimedOut,
    };
    if !matches!(followed, Followed::Ended(_)) {
        how_to_follow(&session.output, agreement);
    }
    one(session, &agreement.to_string()).await?;
    Ok(exit)
}
