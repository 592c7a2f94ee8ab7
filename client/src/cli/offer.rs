//! `sunwork offer`: a signed offer instead of a purchase. Whoever accepts it buys for the client and accepts in one transaction.

mod manage;
mod store;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use alloy::primitives::{Address, B256};
use serde_json::json;
use sunwork_protocol::order::SignedOrder;
use sunwork_protocol::status::Status;
use sunwork_protocol::terms::ComputeTerms;

use super::args::{OfferArgs, OfferCommand};
use super::clock::Clock;
use super::confirm::confirm;
use super::exit::{Exit, Failure, of_problems};
use super::follow::{Interrupt, short_id, step};
use super::image::bytes_bar;
use super::output::{Tone, count, fields};
use super::plan::{Appraisal, appraise, describe};
use super::session::Session;
use crate::chain::{Doing, short};
use crate::client::{Client, NoSigner};
use crate::jobfile::{JobFile, Seconds};
use crate::keying::KeyKeeper;
use crate::offer::{Offer, OfferState};
use crate::preflight::{ByAllowance, Problem};

/// How often it is looked whether somebody has accepted.
const POLL: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: OfferArgs) -> Result<Exit, Failure> {
    match args.command {
        Some(OfferCommand::List) => manage::list(session).await,
        Some(OfferCommand::Cancel { hash, .. }) => manage::cancel(session, hash.as_deref()).await,
        None => make(session, args).await,
    }
}

/// The job of an offer: its price rises over its life, unless the job says otherwise.
fn job_of(args: &OfferArgs) -> Result<JobFile, Failure> {
    let mut file = args.job.stated()?;
    file.windows.accept = file.windows.accept.or(Some(Seconds(args.expires)));
    Ok(file.complete())
}

async fn make(session: &Session, args: OfferArgs) -> Result<Exit, Failure> {
    let output = &session.output;
    if args.job.schema {
        print!("{}", crate::jobfile::schema());
        return Ok(Exit::Ok);
    }
    let file = job_of(&args)?;
    let folder = store::folder()?;
    let client = if args.dry_run { session.reader().await? } else { session.buyer().await? };
    let account = if args.dry_run { session.account()? } else { client.address().ok_or(NoSigner)? };
    let job = file.builder(client.unit())?.build()?;
    let appraisal = appraise(&client, &job, Some(account)).await?;
    let money = Money::of(&client, &appraisal, args.volume, &store::all(&folder)).await?;
    if !output.is_json() || args.dry_run {
        output.note(&format!("{}{}", describe(&appraisal, client.unit()), money.describe(&client, args.volume)));
    }
    refuse(&client, &appraisal, &money, &args)?;
    if args.dry_run {
        output.note("nothing was signed (--dry-run)");
        let document = json!({ "dryRun": true, "hash": null, "order": null, "budget": money.each.to_string(),
            "allowanceNeeded": money.needed.to_string(), "job": file });
        output.document("offer", &document, || file.to_yaml());
        return Ok(Exit::Ok);
    }
    let most = client.unit().show(money.each.saturating_mul(args.volume.into()));
    confirm(args.yes, &format!("an offer for at most {most}"), &money.question(&client, &most), "signed")?;

    let mut plan = appraisal.plan.clone();
    let confidential = plan.confidential;
    let bar = step(if confidential { "encrypting the inputs" } else { "preparing" });
    let sealed = client.seal(&mut plan).await;
    bar.finish_and_clear();
    sealed?;
    let bar = bytes_bar("uploading", plan.upload_bytes());
    let sent = bar.clone();
    let uploaded = client.upload_watched(&plan, move |bytes| sent.inc(bytes)).await;
    bar.finish_and_clear();
    uploaded?;
    drop(appraisal);
    let approved =
        if money.allowed < money.needed { Some(client.approve(money.needed).await?.transaction_hash) } else { None };
    let signed = client.sign_offer(&plan, args.volume, args.expires.into()).await?;
    let offer = client.offer(signed).await?;
    let path = store::keep(&folder, offer.hash, &offer.signed)?;
    if let Some(copy) = &args.order {
        store::write(copy, &offer.signed)?;
    }
    output.note(&output.paint(Tone::Good, &format!("signed offer {}", offer.hash)));
    let mut stayed = Stayed::default();
    if confidential && !args.detach {
        stayed = stay(&client, session, &offer).await?;
    }
    let document = json!({
        "dryRun": false,
        "hash": offer.hash,
        "order": offer.signed,
        "file": args.order.as_ref().unwrap_or(&path),
        "budget": money.each.to_string(),
        "allowanceNeeded": money.needed.to_string(),
        "approveTx": approved,
        "agreements": stayed.agreements,
        "interrupted": stayed.interrupted,
    });
    let (_, now) = client.rpc().latest().await.doing(|| "reading the latest block".into())?;
    output.document("offer", &document, || {
        told(&offer, args.order.as_deref().unwrap_or(&path), &stayed, confidential, now)
    });
    Ok(if stayed.interrupted { Exit::Interrupted } else { Exit::Ok })
}

fn told(offer: &Offer, path: &Path, stayed: &Stayed, confidential: bool, now: u64) -> String {
    let order = &offer.signed.order;
    let clock = Clock::local(now);
    let until = format!("{} ({})", clock.short(order.expiry), clock.distance(order.expiry));
    let mut text =
        fields(&[("offer", offer.hash.to_string()), ("good until", until), ("order", path.display().to_string())]);
    for agreement in &stayed.agreements {
        text.push_str(&format!("accepted: follow it with:  sunwork status {} --follow\n", short_id(*agreement)));
    }
    if stayed.agreements.is_empty() {
        text.push_str("Hand that file to workers: the first that takes it (sunwork-worker take FILE) buys for you.\n");
        if confidential {
            text.push_str(
                "The work is confidential: whoever accepts waits for its session key from this wallet. See who did with\n  \
                 sunwork offer list\nand hand the key over with:  sunwork status ID --follow\n",
            );
        }
    }
    let short: String = offer.hash.to_string().chars().take(10).collect();
    text.push_str(&format!("End it with:  sunwork offer cancel {short}\n"));
    text
}

/// Refuses what nobody could accept or pay.
fn refuse(client: &Client, appraisal: &Appraisal, money: &Money, args: &OfferArgs) -> Result<(), Failure> {
    let mut problems = appraisal.preflight.problems_for(ByAllowance::No);
    // Gas is needed for an allowance only; the purchase is the worker's transaction.
    let allows = money.allowed < money.needed;
    problems.retain(|problem| allows || !matches!(problem, Problem::NoGas { .. }));
    if args.anyway {
        problems.retain(|p| {
            !matches!(
                p,
                Problem::TooFewWorkers { .. } | Problem::TooLittleStake { .. } | Problem::TooFewPositive { .. }
            )
        });
    }
    if !problems.is_empty() && !args.dry_run {
        let sentences: Vec<String> = problems.iter().map(|p| p.sentence(client.unit())).collect();
        let sentence = format!("this cannot be offered: {}", sentences.join("; "));
        return Err(Failure::say(of_problems(&problems), sentence));
    }
    Ok(())
}

/// What offers can take of the wallet.
struct Money {
    /// One agreement of this offer, smallest unit.
    each: u128,
    /// What the dispatcher may take now.
    allowed: u128,
    /// What it must be allowed to take, for this offer and those that are open.
    needed: u128,
}

impl Money {
    async fn of(client: &Client, appraisal: &Appraisal, volume: u32, known: &[SignedOrder]) -> Result<Self, Failure> {
        let preflight = &appraisal.preflight;
        let mut needed = preflight.budget.saturating_mul(volume.into());
        for offer in manage::ours(client, known.to_vec(), preflight.account).await? {
            let Ok(terms) = ComputeTerms::unpack(&offer.signed.order.terms) else { continue };
            let budget = terms.budget(preflight.tip, preflight.audit_one_in);
            needed = needed.saturating_add(budget.saturating_mul(offer.left().into()));
        }
        Ok(Self { each: preflight.budget, allowed: preflight.allowance, needed })
    }

    fn describe(&self, client: &Client, volume: u32) -> String {
        let unit = client.unit();
        let all = unit.show(self.each.saturating_mul(volume.into()));
        let offers = count(volume.into(), "agreement", "agreements");
        let allowance = if self.allowed >= self.needed {
            format!("the dispatcher may take {} already, which is enough", unit.show(self.allowed))
        } else {
            format!(
                "the dispatcher may take {}, and open offers need {}: one transaction allows that",
                unit.show(self.allowed),
                unit.show(self.needed)
            )
        };
        fields(&[
            ("offer", format!("{offers}, at most {all}, taken from your wallet as each is accepted")),
            ("allowance", allowance),
        ])
    }

    fn question(&self, client: &Client, most: &str) -> String {
        if self.allowed >= self.needed {
            return format!("Sign an offer for at most {most}?");
        }
        format!(
            "Allow the dispatcher to take {} and sign an offer for at most {most}?",
            client.unit().show(self.needed)
        )
    }
}

/// What happened while the command stayed.
#[derive(Default)]
struct Stayed {
    agreements: Vec<Address>,
    interrupted: bool,
}

/// Hands the session key to whoever accepts, until the offer is used up or over and all that accepted have it.
async fn stay(client: &Client, session: &Session, offer: &Offer) -> Result<Stayed, Failure> {
    let output = &session.output;
    output.note(
        "the work is confidential: this command stays to hand the session key to whoever accepts\n\
         (Ctrl-C leaves; the offer stays good until it is cancelled or over)",
    );
    let mut interrupt = Interrupt::listen().await;
    let mut keepers: HashMap<Address, Option<KeyKeeper>> = HashMap::new();
    let mut stayed = Stayed::default();
    let bar = step("waits for a worker to accept the offer");
    loop {
        let state = look(client, offer.hash, &offer.signed).await?;
        for agreement in client.agreements_of_offer(offer.hash).await? {
            if let std::collections::hash_map::Entry::Vacant(entry) = keepers.entry(agreement) {
                entry.insert(Some(client.keep_keyed(agreement)));
                stayed.agreements.push(agreement);
                let worker = client.standing(agreement).await?.worker.map(short).unwrap_or_default();
                bar.suspend(|| output.note(&format!("accepted by worker {worker}: agreement {agreement}")));
            }
        }
        for (agreement, keeper) in &mut keepers {
            if keeper.is_some() && keyed(client, *agreement).await? {
                *keeper = None;
            }
        }
        if state != OfferState::Open && keepers.values().all(Option::is_none) {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = interrupt.heard() => {
                stayed.interrupted = true;
                break;
            }
        }
    }
    bar.finish_and_clear();
    Ok(stayed)
}

async fn look(client: &Client, hash: B256, signed: &SignedOrder) -> Result<OfferState, Failure> {
    let offer = client.offer(signed.clone()).await?;
    debug_assert_eq!(offer.hash, hash);
    Ok(offer.state)
}

/// A worker that is replaced before it has sealed leaves the next one without key: then the offer's client must be asked again.
async fn keyed(client: &Client, agreement: Address) -> Result<bool, Failure> {
    let standing = client.standing(agreement).await?;
    Ok(!matches!(standing.status, Status::Open | Status::Keying | Status::Working))
}
