//! `sunwork run`: plan, ask, upload, buy, follow, fetch.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::status::{Ending, Status};

use super::args::{Pay, RunArgs};
use super::balances::Balances;
use super::exit::{Exit, Failure, of_problems};
use super::follow::{Followed, Interrupt, follow, how_to_follow, step};
use super::handover::{Handover, hand_over, stay_until_keyed};
use super::image::bytes_bar;
use super::output::{Output, Tone, count, fields};
use super::plan::{appraise, describe};
use super::results::{default_dir, show_results};
use super::session::Session;
use crate::amount::Unit;
use crate::buy::{Agreement, Payment};
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
    let problems = if earlier.is_some() { Vec::new() } else { preflight.problems_for(by_allowance) };
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
        confirm(args.yes, preflight.budget, client.unit())?;
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
    let followed = follow(&client, output, agreement.address, agreement.block, timeout, &mut interrupt)
        .await
        .inspect_err(|_| {
            how_to_follow(output, agreement.address);
        })?;
    let ending = match followed {
        Followed::Ended(ending) => ending,
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

fn confirm(yes: bool, budget: u128, unit: &Unit) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let sentence =
            format!("buying for at most {} needs a yes, and nobody can be asked; give --yes", unit.show(budget));
        return Err(Failure::say(Exit::Usage, sentence));
    }
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "Buy for at most {}? [y/N] ", unit.show(budget)).and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::say(Exit::Failed, "nothing was bought, for the answer was not \"y\"."))
    }
}

/// Who got what, for people.
pub fn show_money(settlement: &Settlement, unit: &Unit) -> String {
    let refund = settlement.paid.get(&settlement.client).copied().unwrap_or_default();
    let mut pairs = vec![
        ("put in", unit.show(settlement.budget)),
        ("comes back", unit.show(refund)),
        ("cost", unit.show(settlement.budget.saturating_sub(refund))),
        (
            "gas",
            format!(
                "{} in {} of all parties, each pays its own",
                settlement.gas_total(),
                count(settlement.transactions.len() as u64, "transaction", "transactions")
            ),
        ),
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
