//! `sunwork run --split N`: a large bag as many agreements, bought several at a time, followed together, with one summary.

mod follow;
mod manifest;

use std::path::PathBuf;

use alloy::primitives::{Address, B256, keccak256};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sunwork_protocol::status::Status;

use self::follow::{Outcome, PartReport, follow};
use self::manifest::Manifest;
use super::args::{Pay, RunArgs};
use super::confirm::confirm;
use super::errors::sentence;
use super::exit::{Exit, Failure, of_problems};
use super::follow::{Interrupt, step};
use super::output::{Output, count, fields, table};
use super::plan::{Appraisal, appraise, describe};
use super::session::Session;
use crate::amount::Unit;
use crate::bag::{BagPlan, BagPurchase, Part, split};
use crate::buy::Payment;
use crate::chain::Doing;
use crate::client::{Client, NoSigner};
use crate::jobfile::JobFile;
use crate::preflight::{ByAllowance, PreflightError, Problem};

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
    split: u32,
    budget: String,
    payment: Payment,
    problems: Vec<String>,
    /// With `--dry-run`.
    job: Option<JobFile>,
    parts: Vec<PartReport>,
    interrupted: bool,
    timed_out: bool,
    out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: RunArgs, file: JobFile, parts: u32) -> Result<Exit, Failure> {
    let output = &session.output;
    let (client, account) = if args.dry_run {
        (session.reader().await?, session.wallet_address())
    } else {
        let client = session.buyer().await?;
        let account = client.address().ok_or(NoSigner)?;
        (client, Some(account))
    };
    let job = file.builder(client.unit())?.build()?;
    // The first part is the largest, and all have the same price.
    let first = split(&job, parts)?.into_iter().next().unwrap_or_else(|| job.clone());
    let appraisal = appraise(&client, &first, account).await?;
    let bag = BagPlan::new(appraisal.plan.clone(), &job, parts)?;
    let name = bag_name(&client, &appraisal, job.leaves, parts)?;
    let dir = file
        .out
        .clone()
        .map_or_else(|| PathBuf::from(format!("sunwork-bag-{}", &hex::encode(name)[..8])), PathBuf::from);
    let mut manifest = Manifest::load_or_new(&dir, name, parts)?;
    let missing = parts - u32::try_from(manifest.bought.len()).unwrap_or(parts).min(parts);
    let each = appraisal.preflight.budget;
    let budget = each.saturating_mul(missing.into());
    let payment = match args.pay {
        Some(Pay::ApproveAndCall) if parts == 1 => Payment::ApproveAndCall,
        Some(Pay::Permit) if parts == 1 => Payment::Permit,
        _ => Payment::Allowance,
    };
    let mut problems = problems(&appraisal, budget, missing);
    if args.anyway {
        problems.retain(|problem| !problem.may_pass());
    }
    let mut report = Report {
        dry_run: args.dry_run,
        token: client.unit().symbol.clone(),
        decimals: client.unit().decimals,
        class: appraisal.preflight.class.clone(),
        leaves: job.leaves,
        verifiers: job.verifiers,
        samples: job.samples,
        split: parts,
        budget: each.saturating_mul(parts.into()).to_string(),
        payment,
        problems: problems.iter().map(|p| p.sentence(client.unit())).collect(),
        job: args.dry_run.then(|| file.clone()),
        parts: manifest.bought.iter().map(PartReport::bought).collect(),
        interrupted: false,
        timed_out: false,
        out: Some(dir.clone()),
    };
    if each > 0 && (!output.is_json() || args.dry_run) {
        output.note(&format!("{}{}", describe(&appraisal, client.unit()), whole(&client, &job, parts, each)));
    }
    let nobody = !appraisal.eligibility.enough && !args.anyway && problems.is_empty() && missing > 0;
    if args.dry_run {
        let said = if report.problems.is_empty() {
            "nothing was bought (--dry-run)".to_owned()
        } else {
            format!("this cannot be bought: {}", report.problems.join("; "))
        };
        output.note(&said);
        output.document("run", &report, || file.to_yaml());
        return Ok(match problems.is_empty() {
            true if nobody => Exit::NoWorkers,
            true => Exit::Ok,
            false => of_problems(&problems),
        });
    }
    if !problems.is_empty() {
        let why = format!("this cannot be bought: {}", report.problems.join("; "));
        return Err(Failure::say(of_problems(&problems), why));
    }
    if nobody {
        let why = "too few workers could take this now, and nothing was bought; `sunwork plan` counts why, --anyway buys all the same";
        return Err(Failure::say(Exit::NoWorkers, why));
    }
    if missing == 0 {
        output.note(&format!(
            "found the bag in {}; nothing is paid now. To buy it again give another folder with --out",
            dir.display()
        ));
    } else {
        let (agreements, most) = (count(missing.into(), "agreement", "agreements"), client.unit().show(budget));
        let question = format!("Buy {agreements} for at most {most}?");
        confirm(args.yes, &format!("buying {agreements} for at most {most}"), &question, "bought")?;
    }
    let confidential = appraisal.plan.confidential;
    drop(appraisal);
    manifest.save(&dir)?;
    let mut interrupt = Interrupt::listen().await;
    let bought = buy(&client, output, &bag, payment, &mut manifest, &dir, &interrupt).await?;
    drop(bag);
    report.parts = bought.iter().map(PartReport::bought).collect();
    if bought.len() < parts as usize {
        report.interrupted = true;
        output.note(&format!(
            "{} of {parts} agreements are bought; the same command goes on with the rest",
            bought.len()
        ));
        output.document("run", &report, || show(&report, client.unit()));
        return Ok(Exit::Interrupted);
    }
    if args.detach {
        report.interrupted = !stay(&client, output, &bought, confidential, &mut interrupt).await?;
        output.document("run", &report, || show(&report, client.unit()));
        return Ok(if report.interrupted { Exit::Interrupted } else { Exit::Ok });
    }
    let timeout = args.timeout.map(|secs| std::time::Duration::from_secs(secs.into()));
    let Outcome { parts, exit, interrupted, timed_out } =
        follow(&client, output, bought, &dir, timeout, &mut interrupt).await?;
    (report.parts, report.interrupted, report.timed_out) = (parts, interrupted, timed_out);
    if interrupted || timed_out {
        output.note("the bag goes on without this command; the same command follows it and fetches what is there");
    }
    output.document("run", &report, || show(&report, client.unit()));
    Ok(exit)
}

/// What a bag is known by: the same job, cut in the same way, for the same deployment.
fn bag_name(client: &Client, appraisal: &Appraisal, leaves: u32, parts: u32) -> Result<B256, Failure> {
    let intent = client.intent_of(&appraisal.plan).map_err(PreflightError::from)?;
    Ok(keccak256([intent.as_slice(), &leaves.to_be_bytes(), &parts.to_be_bytes()].concat()))
}

/// All that stands against buying the parts that are missing. The allowance is given on the way.
fn problems(appraisal: &Appraisal, budget: u128, missing: u32) -> Vec<Problem> {
    if missing == 0 {
        return Vec::new();
    }
    let preflight = &appraisal.preflight;
    let mut problems = preflight.problems_for(ByAllowance::No);
    problems.retain(|problem| !matches!(problem, Problem::Balance { .. }));
    if preflight.account.is_some() && preflight.balance < budget {
        problems.push(Problem::Balance { have: preflight.balance, need: budget });
    }
    problems
}

fn whole(client: &Client, job: &crate::job::Job, parts: u32, each: u128) -> String {
    let (all, unit) = (each.saturating_mul(parts.into()), client.unit());
    fields(&[
        ("bag", format!("{} leaves in {parts} agreements like this one", job.leaves)),
        ("all of it", format!("at most {}, from one allowance", unit.show(all))),
    ])
}

/// "buying [====>   ] 3 of 16 agreements".
fn bar(doing: &'static str, total: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let template = format!("{{msg}} [{{bar:24}}] {{pos}} of {{len}} {what}, {{elapsed}}");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(doing);
    bar.enable_steady_tick(std::time::Duration::from_millis(250));
    bar
}

async fn buy(
    client: &Client,
    output: &Output,
    bag: &BagPlan,
    payment: Payment,
    manifest: &mut Manifest,
    dir: &std::path::Path,
    interrupt: &Interrupt,
) -> Result<Vec<Part>, Failure> {
    let progress = bar("buying", bag.parts().into(), "agreements");
    progress.set_position(manifest.bought.len() as u64);
    let (key, bought) = (Some(manifest.key), manifest.bought.clone());
    let mut unsaved = None;
    let mut told = |part: &Part| {
        progress.inc(1);
        manifest.bought.push(*part);
        // A purchase that is not in the file is found by its key.
        if let Err(error) = manifest.save(dir) {
            unsaved = Some(error);
        }
    };
    let go_on = || !interrupt.was_heard();
    let how = BagPurchase { payment, key, bought, go_on: &go_on, told: &mut told };
    let result = client.buy_parts(bag, how).await;
    progress.finish_and_clear();
    if let Some(error) = unsaved {
        output.note(&format!("warning: {}", sentence(&error.report)));
    }
    let bought = result.inspect_err(|_| {
        output.note("what is bought is kept: the same command goes on with the rest");
    })?;
    output.note(&format!("bought {}", count(bought.len() as u64, "agreement", "agreements")));
    Ok(bought)
}

/// Before a command leaves: waits until every part's worker has the key. True if so, false on Ctrl-C.
async fn stay(
    client: &Client,
    output: &Output,
    parts: &[Part],
    confidential: bool,
    interrupt: &mut Interrupt,
) -> Result<bool, Failure> {
    let account = client.address().ok_or(NoSigner)?;
    let agent =
        client.dispatcher().keyAgentOf(account).call().await.doing(|| "reading the wallet's key agent".into())?;
    if !confidential || agent != Address::ZERO {
        return Ok(true);
    }
    output.note("the work is confidential: this command stays until all workers have accepted and got the session key");
    let _keepers: Vec<_> = parts.iter().map(|part| client.keep_keyed(part.agreement)).collect();
    let waiting = step("waits for workers to accept");
    let mut left: Vec<Address> = parts.iter().map(|part| part.agreement).collect();
    let keyed = loop {
        let mut still = Vec::new();
        for agreement in left {
            if matches!(client.standing(agreement).await?.status, Status::Open | Status::Keying) {
                still.push(agreement);
            }
        }
        left = still;
        if left.is_empty() {
            break true;
        }
        waiting.set_message(format!(
            "waits for workers to accept ({} of {} have)",
            parts.len() - left.len(),
            parts.len()
        ));
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            () = interrupt.heard() => break false,
        }
    };
    waiting.finish_and_clear();
    Ok(keyed)
}

/// One line for each part, and what it came to.
fn show(report: &Report, unit: &Unit) -> String {
    let amount = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u128>().ok());
    let lines: Vec<Vec<String>> = report
        .parts
        .iter()
        .map(|part| {
            let last = part.first_index + part.leaves.saturating_sub(1);
            vec![
                format!("{}-{last}", part.first_index),
                part.agreement.to_string(),
                part.state(),
                part.failed_leaves.map(|failed| failed.to_string()).unwrap_or_default(),
                amount(&part.paid).map(|paid| unit.show(paid)).unwrap_or_default(),
            ]
        })
        .collect();
    let mut text = table(&["LEAVES", "AGREEMENT", "STATE", "FAILED", "COST"], &lines);
    let paid: u128 = report.parts.iter().filter_map(|part| amount(&part.paid)).sum();
    let ended = report.parts.iter().filter(|part| part.ending.is_some()).count();
    let failed: u32 = report.parts.iter().filter_map(|part| part.failed_leaves).sum();
    let mut pairs = vec![("agreements", format!("{ended} of {} have ended", report.split)), ("cost", unit.show(paid))];
    if failed > 0 {
        pairs.push(("failed", format!("the app failed on {}", count(failed.into(), "leaf", "leaves"))));
    }
    if let Some(out) = &report.out {
        pairs.push(("results", out.display().to_string()));
    }
    text.push_str(&fields(&pairs));
    text
}
