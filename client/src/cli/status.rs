//! `sunwork status`, `cancel` and `expire`.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::Address;
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use sunwork_protocol::status::Status;

use super::args::{IdArgs, StatusArgs};
use super::duration::show;
use super::exit::{Exit, Failure};
use super::follow::{Followed, Interrupt, describe, follow, how_to_follow};
use super::output::{fields, table};
use super::session::Session;
use crate::agreements::{Details, FindError, Purchase, Standing};
use crate::amount::Unit;
use crate::chain::{Doing, short};
use crate::client::Client;
use crate::settlement::Settlement;

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
        None => Some(session.wallet_address().ok_or_else(|| {
            let sentence = "there is no wallet whose agreements could be listed; give --keystore, --client or --all";
            Failure::say(Exit::Config, sentence)
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
        let lines: Vec<Vec<String>> = rows.iter().map(|row| line(row, client.unit(), now)).collect();
        let mut text = table(&["AGREEMENT", "STATUS", "LEAVES", "BUDGET", "BOUGHT", "WORKER"], &lines);
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

fn line(row: &Row, unit: &Unit, now: u64) -> Vec<String> {
    let budget = row.budget.parse().map(|amount| unit.show(amount)).unwrap_or_default();
    vec![
        row.agreement.to_string(),
        outcome(&row.standing),
        row.leaves.to_string(),
        budget,
        format!("{} ago", show(now.saturating_sub(row.bought_at))),
        row.standing.worker.map(short).unwrap_or_default(),
    ]
}

fn outcome(standing: &Standing) -> String {
    if standing.status.is_final() {
        format!("{} ({})", standing.status, standing.ending)
    } else {
        standing.status.to_string()
    }
}

async fn one(session: &Session, id: &str) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let agreement = client.find(id).await?;
    let details = client.details(agreement).await?;
    let settlement = if details.standing.status.is_final() { Some(client.settlement(agreement).await?) } else { None };
    let (_, now) = client.rpc().latest().await.doing(|| "reading the latest block".into())?;
    let document = document(&client, &details, settlement.as_ref());
    session.output.document("status", &document, || people(&client, &details, settlement.as_ref(), now));
    Ok(Exit::Ok)
}

fn document(client: &Client, details: &Details, settlement: Option<&Settlement>) -> Value {
    let purchase = &details.purchase;
    json!({
        "agreement": purchase.address,
        "client": purchase.client,
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
        "acceptSecs": t.accept_secs, "workSecs": t.work_secs, "verifySecs": t.verify_secs,
    })
}

fn people(client: &Client, details: &Details, settlement: Option<&Settlement>, now: u64) -> String {
    let (purchase, standing, unit) = (&details.purchase, &details.standing, client.unit());
    let mut pairs = vec![
        ("agreement", purchase.address.to_string()),
        ("client", purchase.client.to_string()),
        ("status", format!("{}: {}", standing.status, meaning(standing))),
        (
            "work",
            format!(
                "{} leaves on {}, {} verifiers, {} samples each",
                purchase.terms.leaf_count,
                client.deployment().class_name(purchase.class_id),
                purchase.terms.verifiers,
                purchase.terms.samples
            ),
        ),
        ("image", image(purchase)),
        ("budget", unit.show(purchase.budget)),
        ("price", unit.show(standing.reward)),
        ("bought", format!("{} ago, block {}", show(now.saturating_sub(purchase.time)), purchase.block)),
    ];
    if let Some(worker) = standing.worker {
        pairs.push(("worker", format!("{worker} (attempt {})", standing.attempt + 1)));
    }
    for slot in &standing.verifiers {
        let state = match (slot.sealed, slot.opened, slot.dissent) {
            (_, true, 0) => "agrees",
            (_, true, _) => "differs",
            (true, false, _) => "sealed",
            (false, ..) => "computes",
        };
        pairs.push(("verifier", format!("{}  {state}", slot.verifier)));
    }
    if !standing.status.is_final() && standing.deadline > 0 {
        pairs.push(("deadline", deadline(standing, purchase.address, now)));
    }
    let mut text = fields(&pairs);
    text.push('\n');
    for seen in &details.events {
        let (_, what) = describe(seen, client);
        if !what.is_empty() {
            text.push_str(&format!("{:>8}  {what}\n", show(seen.time.saturating_sub(purchase.time))));
        }
    }
    if let Some(settlement) = settlement {
        text.push_str(&money(settlement, unit));
    }
    text
}

fn meaning(standing: &Standing) -> &'static str {
    if standing.status.is_final() { standing.ending.meaning() } else { standing.status.meaning() }
}

fn image(purchase: &Purchase) -> String {
    let spec = &purchase.spec;
    let digest = hex::encode(spec.image_digest);
    if spec.image_name.is_empty() {
        format!("archive sha256:{digest} ({})", spec.platform)
    } else {
        format!("{}@sha256:{digest} ({})", spec.image_name, spec.platform)
    }
}

fn deadline(standing: &Standing, agreement: Address, now: u64) -> String {
    if now <= standing.deadline {
        format!("in {}", show(standing.deadline - now))
    } else if standing.status == Status::Drawing {
        // Its window widens step by step: time alone is no fault of anybody.
        format!("{} ago; the claim window is about to move on", show(now - standing.deadline))
    } else {
        format!(
            "{} ago; anybody may move it on: sunwork expire {}",
            show(now - standing.deadline),
            &agreement.to_string()[..10]
        )
    }
}

fn money(settlement: &Settlement, unit: &Unit) -> String {
    let mut text = String::from("\n");
    let paid: Vec<Vec<String>> = settlement
        .paid
        .iter()
        .map(|(account, amount)| {
            let what = if *account == settlement.client { "client, back" } else { "paid" };
            vec![account.to_string(), unit.number(*amount), what.to_owned()]
        })
        .chain(
            settlement
                .stakes
                .iter()
                .filter(|s| s.slashed > 0)
                .map(|s| vec![s.worker.to_string(), unit.number(s.slashed), "slashed".to_owned()]),
        )
        .collect();
    text.push_str(&table(&["ACCOUNT", &unit.symbol, ""], &paid));
    if settlement.burned > 0 {
        text.push_str(&format!("burned {}\n", unit.show(settlement.burned)));
    }
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for tx in &settlement.transactions {
        *counts.entry(&tx.name).or_default() += 1;
    }
    let gas: Vec<Vec<String>> = settlement
        .gas_by_name()
        .into_iter()
        .map(|(name, gas)| {
            vec![counts.get(name.as_str()).copied().unwrap_or_default().to_string(), name, gas.to_string()]
        })
        .map(|mut row| {
            row.swap(0, 1);
            row
        })
        .chain([vec!["total".into(), settlement.transactions.len().to_string(), settlement.gas_total().to_string()]])
        .collect();
    text.push('\n');
    text.push_str(&table(&["TRANSACTION", "COUNT", "GAS"], &gas));
    text
}

async fn followed(session: &Session, id: &str, timeout: Option<u32>) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let agreement = client.find(id).await?;
    let from_block = client.purchase_of(agreement).await?.block;
    let mut interrupt = Interrupt::listen().await;
    let timeout = timeout.map(|secs| Duration::from_secs(secs.into()));
    let followed = follow(&client, &session.output, agreement, from_block, timeout, &mut interrupt).await?;
    let exit = match followed {
        Followed::Ended(ending) => Exit::of_ending(ending).unwrap_or(Exit::Ok),
        Followed::Interrupted => Exit::Interrupted,
        Followed::TimedOut => Exit::TimedOut,
    };
    if !matches!(followed, Followed::Ended(_)) {
        how_to_follow(&session.output, agreement);
    }
    one(session, &agreement.to_string()).await?;
    Ok(exit)
}

/// `sunwork cancel`.
///
/// # Errors
/// With the exit code that fits.
pub async fn cancel(session: &Session, args: IdArgs) -> Result<Exit, Failure> {
    let client = session.buyer().await?;
    let agreement = client.find(&args.id).await?;
    let receipt = client.cancel(agreement).await?;
    let document = json!({ "agreement": agreement, "tx": receipt.transaction_hash });
    session.output.document("cancel", &document, || {
        format!("cancelled {agreement}; get your money back with:  sunwork wallet withdraw")
    });
    Ok(Exit::Ok)
}

/// `sunwork expire`.
///
/// # Errors
/// With the exit code that fits.
pub async fn expire(session: &Session, args: IdArgs) -> Result<Exit, Failure> {
    let client = session.buyer().await?;
    let agreement = client.find(&args.id).await?;
    let receipt = client.expire(agreement).await?;
    let standing = client.standing(agreement).await?;
    let document = json!({ "agreement": agreement, "tx": receipt.transaction_hash, "standing": standing });
    session.output.document("expire", &document, || format!("{agreement} moved on: {}", outcome(&standing)));
    Ok(Exit::Ok)
}
