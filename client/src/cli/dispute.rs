//! `sunwork dispute` and `sunwork reject`: an open result is not believed, and somebody puts down a bond to have it looked at.

use alloy::primitives::Address;
use serde_json::json;
use sunwork_edge::tx::Receipt;
use sunwork_protocol::status::Status;

use super::accept::{local, not_ours};
use super::args::{BondArgs, DisputeArgs};
use super::confirm::confirm;
use super::exit::{Exit, Failure};
use super::follow::short_id;
use super::output::{fields, text_columns, wrap};
use super::session::Session;
use super::timeline::now;
use crate::client::{Client, NoSigner};
use crate::funding::Purpose;
use crate::preflight::Problem;
use crate::situation::Situation;
use crate::timeline::Role;

/// Disputes a leaf of a verified result.
///
/// # Errors
/// With the exit code that fits.
pub async fn dispute(session: &Session, args: DisputeArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_unless(args.bond.dry_run, &args.bond.id).await?;
    let situation = client.situation(agreement, session.wallet_address()).await?;
    if let Some(reason) = not_disputable(&situation, args.leaf) {
        return Err(Failure::say(Exit::Failed, reason));
    }
    let terms = &situation.details.purchase.terms;
    let explained = format!(
        "When the time for disputes is over, {} more verifiers, drawn by lot, compute leaf {}. If it falls you get the bond back and a \
         share of what the losers lose; if it stands the bond is lost; if nobody wins it comes back.",
        u16::from(terms.verifiers) + 1,
        args.leaf
    );
    let put = Put { command: "dispute", what: format!("disputing leaf {}", args.leaf), done: "disputed", explained };
    put_down(session, &client, &situation, &args.bond, Purpose::Dispute { leaf: args.leaf }, &put).await
}

/// Rejects the result of an agreement of trust level 0.
///
/// # Errors
/// With the exit code that fits.
pub async fn reject(session: &Session, args: BondArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_unless(args.dry_run, &args.id).await?;
    let situation = client.situation(agreement, session.wallet_address()).await?;
    if let Some(reason) = not_rejectable(&situation) {
        return Err(Failure::say(Exit::Failed, reason));
    }
    let terms = &situation.details.purchase.terms;
    let explained = format!(
        "A rejection refunds nothing by itself: {} verifiers, drawn by lot, compute {} of the {} leaves each, and the bond pays \
         them. If they refute the result, what you put in comes back with it; if they confirm it, the worker is paid and the bond is spent.",
        terms.verifiers,
        terms.samples.min(u8::try_from(terms.leaf_count).unwrap_or(u8::MAX)),
        terms.leaf_count
    );
    let put = Put { command: "reject", what: "rejecting the result".to_owned(), done: "rejected", explained };
    // Which leaf is named does not matter: the verifiers look at leaves of their own.
    put_down(session, &client, &situation, &args, Purpose::Dispute { leaf: 0 }, &put).await
}

/// What a bond is put down for, in words.
struct Put {
    command: &'static str,
    what: String,
    done: &'static str,
    explained: String,
}

async fn put_down(
    session: &Session,
    client: &Client,
    situation: &Situation,
    args: &BondArgs,
    purpose: Purpose,
    put: &Put,
) -> Result<Exit, Failure> {
    let agreement = situation.details.purchase.address;
    let bond = client.dispute_bond(agreement).await?;
    let shown = client.unit().show(bond);
    let account = session.wallet_address().ok_or(NoSigner)?;
    enough(client, account, bond).await?;
    session.output.note(&wrap(&format!("{} takes a bond of {shown}. {}", put.what, put.explained), "", text_columns()));
    let receipt: Option<Receipt> = if args.dry_run {
        session.output.note("nothing was sent (--dry-run)");
        None
    } else {
        let doing = format!("{} with a bond of {shown}", put.what);
        confirm(args.yes, &doing, &format!("Put down {shown}?"), put.done)?;
        Some(client.fund(agreement, bond, purpose).await?)
    };
    let tx = receipt.map(|receipt| receipt.transaction_hash);
    let leaf = match purpose {
        Purpose::Dispute { leaf } if put.command == "dispute" => Some(leaf),
        _ => None,
    };
    let document = json!({
        "agreement": agreement, "bond": bond.to_string(), "leaf": leaf, "dryRun": args.dry_run, "tx": tx,
    });
    let text = || {
        let Some(tx) = tx else { return format!("bond  {shown}") };
        let mut pairs = vec![(put.done, agreement.to_string()), ("bond", shown.clone())];
        if let Some(leaf) = leaf {
            pairs.push(("leaf", leaf.to_string()));
        }
        pairs.push(("tx", tx.to_string()));
        let mut text = fields(&pairs);
        // The worker hands the session key on as well; that it needs not be trusted with it is why the client stays.
        if situation.details.purchase.terms.is_confidential() && situation.role() == Role::Client {
            text.push_str("the verifiers need the session key; hand it to them with:\n");
        } else {
            text.push_str("see what becomes of it with:\n");
        }
        text.push_str(&format!("  sunwork status {} --follow\n", short_id(agreement)));
        text
    };
    // Each command has a schema of its own.
    if put.command == "reject" {
        session.output.document("reject", &document, text);
    } else {
        session.output.document("dispute", &document, text);
    }
    Ok(Exit::Ok)
}

/// The money is looked at before anybody is asked.
pub async fn enough(client: &Client, account: Address, need: u128) -> Result<(), Failure> {
    let have = super::balances::Balances::read(client, account).await?.balance;
    if have >= need {
        return Ok(());
    }
    Err(Failure::say(Exit::Funds, Problem::Balance { have, need }.sentence(client.unit())))
}

/// Why a leaf cannot be disputed, in words; `None` if it can.
fn not_disputable(situation: &Situation, leaf: u32) -> Option<String> {
    let (terms, standing) = (&situation.details.purchase.terms, &situation.details.standing);
    if terms.trust_level == 0 {
        return Some(
            "it has trust level 0, which knows no disputes: its client rejects the result with `sunwork reject`".into(),
        );
    }
    if leaf >= terms.leaf_count {
        return Some(format!("there is no leaf {leaf}; expected 0 to {}", terms.leaf_count.saturating_sub(1)));
    }
    if standing.status != Status::Disputable {
        let why = if terms.dispute_secs == 0 { "its terms leave no time for disputes. " } else { "" };
        let present = now(&situation.outlook(), &local(situation));
        return Some(format!("it cannot be disputed now: {why}It {present}"));
    }
    situation
        .disputed
        .contains(&leaf)
        .then(|| format!("leaf {leaf} is disputed already; its verifiers come by themselves"))
}

/// Why the result cannot be rejected, in words; `None` if it can.
fn not_rejectable(situation: &Situation) -> Option<String> {
    let (terms, standing) = (&situation.details.purchase.terms, &situation.details.standing);
    if terms.trust_level != 0 {
        return Some(
            "it has trust level 1: drawn verifiers check its result. While it is open for disputes anybody may dispute a leaf with \
             `sunwork dispute`"
                .into(),
        );
    }
    if let Some(reason) = not_ours(situation, "reject its result") {
        return Some(reason);
    }
    (standing.status != Status::Disputable)
        .then(|| format!("there is no result to reject: it {}", now(&situation.outlook(), &local(situation))))
}
