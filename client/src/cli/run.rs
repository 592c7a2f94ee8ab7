//! `sunwork run`: plan, ask, upload, buy, follow, fetch.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::status::{Ending, Status};

use super::args::{Pay, RunArgs};
use super::duration::{show, show_bytes};
use super::exit::{Exit, Failure, of_problems};
use super::follow::{Followed, Interrupt, follow, how_to_follow, step};
use super::output::{Output, Tone, fields};
use super::results::{default_dir, show_results};
use super::session::Session;
use crate::amount::Unit;
use crate::buy::{Agreement, Payment};
use crate::client::{Client, NoSigner};
use crate::job::{Job, JobBuilder, Resources, Windows};
use crate::plan::Plan;
use crate::preflight::{ByAllowance, Preflight};
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
    let client = session.buyer().await?;
    let account = client.address().ok_or(NoSigner)?;
    let job = job(&args, client.unit())?;
    let bar = step("reading image and inputs");
    let plan = client.plan(&job).await;
    bar.finish_and_clear();
    let plan = plan?;
    let preflight = client.preflight(&plan, account).await?;
    let payment = match args.pay {
        Some(Pay::Allowance) => Payment::Allowance,
        Some(Pay::Permit) => Payment::Permit,
        Some(Pay::ApproveAndCall) => Payment::ApproveAndCall,
        None => client.choose_payment(account, preflight.budget).await?,
    };
    let by_allowance = if payment == Payment::Allowance { ByAllowance::Yes } else { ByAllowance::No };
    let problems = preflight.problems_for(by_allowance);
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
        output.note(offer(&plan, &preflight, payment, client.unit()).trim_end());
    }
    if !sentences.is_empty() {
        if args.dry_run {
            output.document("run", &report, || format!("This cannot be bought: {}", sentences.join("; ")));
            return Ok(of_problems(&problems));
        }
        return Err(Failure::say(of_problems(&problems), format!("this cannot be bought: {}", sentences.join("; "))));
    }
    if args.dry_run {
        output.document("run", &report, || "Nothing was bought (--dry-run).".into());
        return Ok(Exit::Ok);
    }
    confirm(args.yes, preflight.budget, client.unit())?;

    let bar = step(format!("uploading {} (what the oracle does not have yet)", show_bytes(plan.upload_bytes())));
    let uploaded = client.upload(&plan).await;
    bar.finish_and_clear();
    uploaded?;
    // From here on Ctrl-C must not leave a purchase whose address nobody was told.
    let mut interrupt = Interrupt::listen().await;
    let bar = step("buying");
    let bought = client.buy(&plan, payment).await;
    bar.finish_and_clear();
    let agreement = bought?;
    report.agreement = Some(agreement);
    output.note(&output.paint(Tone::Good, &format!("bought agreement {}", agreement.address)));
    if args.detach {
        report.status = Some(Status::Open);
        output.document("run", &report, || agreement.address.to_string());
        return Ok(Exit::Ok);
    }

    let timeout = args.timeout.map(|secs| Duration::from_secs(secs.into()));
    let followed = follow(&client, output, agreement.address, agreement.block, timeout, &mut interrupt)
        .await
        .inspect_err(|_| {
            how_to_follow(output, agreement.address);
        })?;
    let ending = match followed {
        Followed::Ended(ending) => ending,
        Followed::Interrupted | Followed::TimedOut => {
            how_to_follow(output, agreement.address);
            report.status = client.standing(agreement.address).await.ok().map(|standing| standing.status);
            report.interrupted = followed == Followed::Interrupted;
            report.timed_out = followed == Followed::TimedOut;
            output.document("run", &report, || agreement.address.to_string());
            return Ok(if report.interrupted { Exit::Interrupted } else { Exit::TimedOut });
        }
    };
    finish(&client, output, args.out, agreement.address, ending, report).await
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

fn job(args: &RunArgs, unit: &Unit) -> Result<Job, Failure> {
    let (low, high) = args.reward.split_once("..").unwrap_or((&args.reward, &args.reward));
    let mut builder = JobBuilder::new(args.image.clone())
        .args(args.args.iter().cloned())
        .leaves(args.leaves)
        .first_index(args.first_index)
        .verifiers(args.verifiers)
        .reward(unit.parse(low)?, unit.parse(high)?)
        .verifier_fee(unit.parse(&args.fee)?)
        .trust(args.trust)
        .resources(Resources {
            milli_cpu: args.cpus,
            memory_mib: args.memory,
            disk_mib: args.disk,
            max_pids: args.pids,
            leaf_secs: args.leaf_time,
            output_mib: args.output_size,
        })
        .windows(Windows {
            accept_secs: args.accept_window,
            work_secs: args.work_window,
            verify_secs: args.verify_window,
        });
    for input in &args.input {
        builder = builder.input(input);
    }
    if let Some(platform) = &args.platform {
        builder = builder.platform(platform);
    }
    if let Some(samples) = args.samples {
        builder = builder.samples(samples);
    }
    Ok(builder.build()?)
}

fn offer(plan: &Plan, preflight: &Preflight, payment: Payment, unit: &Unit) -> String {
    let terms = &plan.terms;
    let reward = if terms.reward_min == terms.reward_max {
        unit.show(terms.reward_max)
    } else {
        format!("{} to {}", unit.number(terms.reward_min), unit.show(terms.reward_max))
    };
    fields(&[
        ("work", format!("{} leaves on {}", terms.leaf_count, preflight.class)),
        (
            "verification",
            format!(
                "{} verifiers compute {} of the {} leaves again, each its own",
                terms.verifiers, terms.samples, terms.leaf_count
            ),
        ),
        ("workers", format!("{} active, {} needed", preflight.workers, preflight.workers_needed)),
        (
            "longest",
            format!(
                "accept {}, work {}, verify {}",
                show(terms.accept_secs.into()),
                show(terms.work_secs.into()),
                show(terms.verify_secs.into())
            ),
        ),
        ("reward", format!("{reward}; {} to each verifier", unit.show(terms.verifier_fee))),
        ("costs", format!("at most {}; what is not spent comes back", unit.show(preflight.budget))),
        (
            "payment",
            match payment {
                Payment::Allowance => "from the allowance".to_owned(),
                Payment::Permit => "with a permit, in the same transaction".to_owned(),
                Payment::ApproveAndCall => "by approve-and-call, in one transaction".to_owned(),
            },
        ),
    ])
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
        Err(Failure::say(Exit::Failed, "nothing was bought"))
    }
}

/// Who got what, for people.
pub fn show_money(settlement: &Settlement, unit: &Unit) -> String {
    let refund = settlement.paid.get(&settlement.client).copied().unwrap_or_default();
    let mut pairs = vec![
        ("put in", unit.show(settlement.budget)),
        ("comes back", unit.show(refund)),
        ("cost", unit.show(settlement.budget.saturating_sub(refund))),
        ("gas", format!("{} in {} transactions of all parties", settlement.gas_total(), settlement.transactions.len())),
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
