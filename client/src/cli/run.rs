//! `sunwork run`: plan, ask, upload, buy, follow, fetch.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::status::{Ending, Status};

use super::args::{Pay, RunArgs};
use super::balances::Balances;
use super::clock::Clock;
use super::confirm::confirm;
use super::exit::{Exit, Failure, of_problems};
use super::follow::{Followed, Interrupt, Until, follow, how_to_follow, short_id, step};
use super::handover::{Handover, hand_over, stay_until_keyed};
use super::image::bytes_bar;
use super::output::{Output, Tone, fields};
use super::plan::{appraise, describe};
use super::results::{default_dir, show_results};
use super::session::Session;
use super::timeline::gas_of_all;
use crate::amount::Unit;
use crate::buy::{Agreement, Payment};
use crate::chain::Doing;
use crate::client::{Client, NoSigner};
use crate::jobfile::JobFile;
use crate::preflight::{ByAllowance, PreflightError};
use crate::results::Results;
use crate::settlement::Settlement;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    dry_run: bool,
    token: String,
    decimals: u8,
    class: String,
    leaves: u32,
    verifiers: u8,
    samples: u8,
    budget: String,
    payment: Payment,
    problems: Vec<String>,
    /// With `--dry-run`.
    job: Option<JobFile>,
    #[serde(flatten)]
    agreement: Option<Agreement>,
    status: Option<Status>,
    ending: Option<Ending>,
    interrupted: bool,
    timed_out: bool,
    out: Option<PathBuf>,
    results: Option<Results>,
    settlement: Option<Settlement>,
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: RunArgs) -> Result<Exit, Failure> {
    let output = &session.output;
    if args.job.schema {
        print!("{}", crate::jobfile::schema());
        return Ok(Exit::Ok);
    }
    // The file first: a typo is told without password and network.
    let file = args.job.job_file()?;
    if let Some(parts) = args.split {
        return super::bag::run(session, args, file, parts).await;
    }
    // Whoever only looks needs no key.
    let (client, account) = if args.dry_run {
        (session.reader().await?, session.wallet_address())
    } else {
        let client = session.buyer().await?;
        let account = client.address().ok_or(NoSigner)?;
        (client, Some(account))
    };
    let job = file.builder(client.unit())?.build()?;
    let appraisal = appraise(&client, &job, account).await?;
    let (plan, preflight) = (&appraisal.plan, &appraisal.preflight);
    // What an earlier run bought and was ended before it could say so is found, not bought twice.
    let earlier = match args.dry_run {
        true => None,
        false => client.unfinished_purchase(client.intent_of(plan).map_err(PreflightError::from)?).await?,
    };
    let payment = match (args.pay, account) {
        (Some(Pay::Allowance), _) => Payment::Allowance,
        (Some(Pay::ApproveAndCall), _) => Payment::ApproveAndCall,
        (None, Some(account)) => client.choose_payment(account, preflight.budget).await?,
        (Some(Pay::Permit), _) | (None, None) => Payment::Permit,
    };
    let by_allowance = if payment == Payment::Allowance { ByAllowance::Yes } else { ByAllowance::No };
    let mut problems = if earlier.is_some() { Vec::new() } else { preflight.problems_for(by_allowance) };
    if args.anyway {
        problems.retain(|problem| !problem.may_pass());
    }
    let sentences: Vec<String> = problems.iter().map(|p| p.sentence(client.unit())).collect();
    let mut report = Report {
        dry_run: args.dry_run,
        token: client.unit().symbol.clone(),
        decimals: client.unit().decimals,
        class: preflight.class.clone(),
        leaves: plan.terms.leaf_count,
        verifiers: plan.terms.verifiers,
        samples: plan.terms.samples,
        budget: preflight.budget.to_string(),
        payment,
        problems: sentences.clone(),
        job: args.dry_run.then(|| file.clone()),
        agreement: None,
        status: None,
        ending: None,
        interrupted: false,
        timed_out: false,
        out: None,
        results: None,
        settlement: None,
    };
    // Terms that the contract refuses have no price.
    if preflight.budget > 0 && (!output.is_json() || args.dry_run) {
        output.note(&format!("{}payment: {}", describe(&appraisal, client.unit()), how(payment)));
    }
    let cannot = (!sentences.is_empty()).then(|| format!("this cannot be bought: {}", sentences.join("; ")));
    // Whoever waits out the accept window for nobody is better told at once.
    let nobody = !appraisal.eligibility.enough && !args.anyway && earlier.is_none() && problems.is_empty();
    if args.dry_run {
        output.note(cannot.as_deref().unwrap_or("nothing was bought (--dry-run)"));
        output.document("run", &report, || file.to_yaml());
        return Ok(match problems.is_empty() {
            true if nobody => Exit::NoWorkers,
            true => Exit::Ok,
            false => of_problems(&problems),
        });
    }
    if let Some(sentence) = cannot {
        return Err(Failure::say(of_problems(&problems), sentence));
    }
    if nobody {
        let lines = appraisal.eligibility.lines(&preflight.class, client.unit());
        let why = lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("; ");
        let sentence = format!(
            "too few workers could take this now, and nothing was bought: {why}; buy all the same with --anyway"
        );
        return Err(Failure::say(Exit::NoWorkers, sentence));
    }
    let (mut sealed, confidential) = (plan.clone(), plan.confidential);
    let wallet = client.address().ok_or(NoSigner)?;
    let before = Balances::read(&client, wallet).await?;
    if earlier.is_none() {
        let most = client.unit().show(preflight.budget);
        confirm(args.yes, &format!("buying for at most {most}"), &format!("Buy for at most {most}?"), "bought")?;
        let bar = step(if confidential { "encrypting the inputs" } else { "preparing" });
        let encrypted = client.seal(&mut sealed).await;
        bar.finish_and_clear();
        encrypted?;
        let bar = bytes_bar("uploading", sealed.upload_bytes());
        let sent = bar.clone();
        let uploaded = client.upload_watched(&sealed, move |bytes| sent.inc(bytes)).await;
        bar.finish_and_clear();
        uploaded?;
    }
    // With it go the copies in the clear of what was packed or fetched.
    drop(appraisal);
    // From here on Ctrl-C must not leave a purchase whose address nobody was told.
    let mut interrupt = Interrupt::listen().await;
    let agreement = match earlier {
        Some(agreement) => agreement,
        None => {
            let bar = step("buying");
            let bought = client.buy(&sealed, payment).await;
            bar.finish_and_clear();
            bought?
        }
    };
    report.agreement = Some(agreement);
    let said = match agreement.resumed {
        true => format!(
            "found agreement {}, bought by an earlier run that was ended; nothing was paid now",
            agreement.address
        ),
        false => format!("bought agreement {}", agreement.address),
    };
    output.note(&output.paint(Tone::Good, &said));
    if !agreement.resumed {
        output.note(before.change(&Balances::read(&client, wallet).await?, client.unit()).trim_end());
    }
    let handover = hand_over(&client, output, agreement.address).await?;
    if args.detach {
        let keyed = stay_until_keyed(&client, output, agreement.address, handover, &mut interrupt).await?;
        report.status = client.standing(agreement.address).await.ok().map(|standing| standing.status);
        report.interrupted = !keyed;
        if keyed {
            how_to_follow(output, agreement.address);
        }
        output.document("run", &report, || agreement.address.to_string());
        return Ok(if keyed { Exit::Ok } else { Exit::Interrupted });
    }
    // Also with a key agent: it may be gone, and drawn verifiers should not depend on the worker for their key.
    let _keeper = match handover {
        Handover::Watching(keeper) => Some(keeper),
        Handover::Done => confidential.then(|| client.keep_keyed(agreement.address)),
    };

    let timeout = args.timeout.map(|secs| Duration::from_secs(secs.into()));
    // At level 0 the result comes at once, and what follows is the client's own decision.
    let until = if job.trust_level == 0 { Until::Open } else { Until::Ended };
    let followed = follow(&client, output, agreement.address, agreement.block, until, timeout, &mut interrupt)
        .await
        .inspect_err(|_| {
            how_to_follow(output, agreement.address);
        })?;
    let ending = match followed {
        Followed::Ended(ending) => ending,
        Followed::Open => match client.standing(agreement.address).await?.ending {
            Ending::None => {
                return unchecked(&client, output, file.out.map(PathBuf::from), agreement.address, report).await;
            }
            ending => ending,
        },
        Followed::Interrupted | Followed::TimedOut => {
            if followed == Followed::TimedOut {
                output.note("the time given with --timeout is over");
            }
            how_to_follow(output, agreement.address);
            report.status = client.standing(agreement.address).await.ok().map(|standing| standing.status);
            report.interrupted = followed == Followed::Interrupted;
            report.timed_out = followed == Followed::TimedOut;
            output.document("run", &report, || agreement.address.to_string());
            return Ok(if report.interrupted { Exit::Interrupted } else { Exit::TimedOut });
        }
    };
    finish(&client, output, file.out.map(PathBuf::from), agreement.address, ending, report).await
}

/// The result of a level 0 agreement that waits for the client's word.
async fn unchecked(
    client: &Client,
    output: &Output,
    out: Option<PathBuf>,
    agreement: Address,
    mut report: Report,
) -> Result<Exit, Failure> {
    let standing = client.standing(agreement).await?;
    let (_, now) = client.rpc().latest().await.doing(|| "reading the latest block".into())?;
    let bond = client.unit().show(client.dispute_bond(agreement).await?);
    report.status = Some(standing.status);
    let dir = out.unwrap_or_else(|| default_dir(agreement));
    let bar = step("fetching the results");
    let results = client.results(agreement, &dir).await;
    bar.finish_and_clear();
    let results = results?;
    let exit = if results.failed().next().is_some() { Exit::TaskFailed } else { Exit::Ok };
    let (clock, id) = (Clock::local(now), short_id(agreement));
    let text = format!(
        "{}nobody has checked this result (trust level 0); what you say until {} ({}) decides:\n  \
         sunwork accept {id}    pays the worker now; so does saying nothing\n  \
         sunwork reject {id}    has it verified at a bond of {bond}, and refunds nothing by itself\n",
        show_results(&results, &dir),
        clock.short(standing.deadline),
        clock.distance(standing.deadline),
    );
    (report.out, report.results) = (Some(dir), Some(results));
    output.document("run", &report, || text);
    Ok(exit)
}

/// Results and money of an ended agreement.
async fn finish(
    client: &Client,
    output: &Output,
    out: Option<PathBuf>,
    agreement: Address,
    ending: Ending,
    mut report: Report,
) -> Result<Exit, Failure> {
    report.ending = Some(ending);
    report.status = Some(client.standing(agreement).await?.status);
    let settlement = client.settlement(agreement).await?;
    let money = show_money(&settlement, client.unit());
    report.settlement = Some(settlement);
    if let Some(exit) = Exit::of_ending(ending) {
        output.document("run", &report, || format!("{}\n{money}", ending.meaning()));
        return Ok(exit);
    }
    let dir = out.unwrap_or_else(|| default_dir(agreement));
    let bar = step("fetching and checking the results");
    let results = client.results(agreement, &dir).await;
    bar.finish_and_clear();
    let results = results.inspect_err(|_| {
        output.note(&format!("the agreement is settled; try again with:  sunwork results {agreement}"));
    })?;
    let exit = if results.failed().next().is_some() { Exit::TaskFailed } else { Exit::Ok };
    let text = format!("{}\n{money}", show_results(&results, &dir));
    (report.out, report.results) = (Some(dir), Some(results));
    output.document("run", &report, || text);
    Ok(exit)
}

const fn how(payment: Payment) -> &'static str {
    match payment {
        Payment::Allowance => "from the allowance",
        Payment::Permit => "with a permit, in the same transaction",
        Payment::ApproveAndCall => "by approve-and-call, in one transaction",
    }
}

/// Who got what, for people.
pub fn show_money(settlement: &Settlement, unit: &Unit) -> String {
    let refund = settlement.paid.get(&settlement.client).copied().unwrap_or_default();
    let mut pairs = vec![
        ("put in", unit.show(settlement.budget)),
        ("comes back", unit.show(refund)),
        ("cost", unit.show(settlement.budget.saturating_sub(refund))),
        ("gas", format!("{}; each pays its own", gas_of_all(settlement))),
    ];
    if settlement.burned > 0 {
        pairs.push(("burned", unit.show(settlement.burned)));
    }
    let mut text = fields(&pairs);
    if refund > 0 {
        text.push_str("get what comes back with:  sunwork wallet withdraw\n");
    }
    text
}
