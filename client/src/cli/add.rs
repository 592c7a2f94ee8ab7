//! `sunwork add`: anybody adds to the reward of an offer, and gets its part back of what is not spent.

use serde_json::json;
use sunwork_protocol::status::Status;

use super::accept::local;
use super::args::AddArgs;
use super::confirm::confirm;
use super::dispute::enough;
use super::exit::{Exit, Failure};
use super::output::fields;
use super::session::Session;
use super::timeline::now;
use crate::client::NoSigner;
use crate::funding::Purpose;

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: AddArgs) -> Result<Exit, Failure> {
    if args.refund {
        return refund(session, &args).await;
    }
    let (client, agreement) = session.buyer_unless(args.dry_run, &args.id).await?;
    let amount = client.unit().parse(args.amount.as_deref().unwrap_or_default())?;
    if amount == 0 {
        return Err(Failure::say(Exit::Usage, "0 adds nothing; expected an amount such as 0.5"));
    }
    let account = session.wallet_address().ok_or(NoSigner)?;
    let situation = client.situation(agreement, Some(account)).await?;
    let standing = &situation.details.standing;
    if standing.status != Status::Open {
        let present = now(&situation.outlook(), &local(&situation));
        let sentence =
            format!("a reward can be added to until a worker accepts, and it is too late for that: it {present}");
        return Err(Failure::say(Exit::Failed, sentence));
    }
    enough(&client, account, amount).await?;
    let shown = client.unit().show(amount);
    let tx = if args.dry_run {
        session.output.note("nothing was sent (--dry-run)");
        None
    } else {
        confirm(args.yes, &format!("adding {shown}"), &format!("Add {shown} to its reward?"), "added")?;
        Some(client.fund(agreement, amount, Purpose::Reward).await?.transaction_hash)
    };
    let reward = standing.reward.saturating_add(amount);
    let document = json!({
        "agreement": agreement, "added": amount.to_string(), "reward": reward.to_string(), "refunded": null,
        "dryRun": args.dry_run, "tx": tx,
    });
    session.output.document("add", &document, || {
        let mut pairs = vec![
            ("agreement", agreement.to_string()),
            ("added", shown),
            ("reward", format!("{} now", client.unit().show(reward))),
        ];
        if let Some(tx) = tx {
            pairs.push(("tx", tx.to_string()));
        }
        format!("{}what is not spent comes back in proportion:  sunwork add ID --refund\n", fields(&pairs))
    });
    Ok(Exit::Ok)
}

/// Takes back the wallet's part of what an ended agreement refunded.
async fn refund(session: &Session, args: &AddArgs) -> Result<Exit, Failure> {
    let (client, agreement) = session.buyer_of(&args.id).await?;
    let account = client.address().ok_or(NoSigner)?;
    let added = client.contribution_of(agreement, account).await?;
    if added == 0 {
        let sentence = format!("{account} has added nothing to this agreement, or has got its part back already");
        return Err(Failure::say(Exit::Failed, sentence));
    }
    let situation = client.situation(agreement, Some(account)).await?;
    if situation.is_under_way() {
        let present = now(&situation.outlook(), &local(&situation));
        return Err(Failure::say(
            Exit::Failed,
            format!("what is not spent comes back when it has ended: it {present}"),
        ));
    }
    let receipt = client.refund_contribution(agreement, account).await?;
    let after = client.situation(agreement, Some(account)).await?;
    let back = after.owed.saturating_sub(situation.owed);
    let document = json!({
        "agreement": agreement, "added": added.to_string(), "reward": null, "refunded": back.to_string(),
        "dryRun": false, "tx": receipt.transaction_hash,
    });
    session.output.document("add", &document, || {
        let pairs = [
            ("agreement", agreement.to_string()),
            ("you had added", client.unit().show(added)),
            ("comes back", client.unit().show(back)),
            ("tx", receipt.transaction_hash.to_string()),
        ];
        let get = if back == 0 { "" } else { "get it with:  sunwork wallet withdraw\n" };
        format!("{}{get}", fields(&pairs))
    });
    Ok(Exit::Ok)
}
