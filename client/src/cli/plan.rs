//! `sunwork plan`: what a job would cost, how long it may take, and who could take it. Sends nothing, needs no password.

use alloy::primitives::Address;
use serde::Serialize;

use super::balances::show_ether;
use super::duration::{show, show_bytes};
use super::exit::{Exit, Failure};
use super::follow::step;
use super::job_args::JobArgs;
use super::output::{count, fields};
use super::session::Session;
use crate::amount::Unit;
use crate::buy::UploadError;
use crate::client::Client;
use crate::eligibility::Eligibility;
use crate::estimate::{GasEstimate, TimeEstimate};
use crate::image_ref::ImageSource;
use crate::job::Job;
use crate::jobfile::JobFile;
use crate::plan::Plan;
use crate::preflight::{ByAllowance, Preflight, Problem};

/// What is known of a job before it is bought.
pub struct Appraisal {
    /// The job's files, hashed, and its terms.
    pub plan: Plan,
    /// Costs, and what stands against it.
    pub preflight: Preflight,
    /// Who could take it.
    pub eligibility: Eligibility,
    /// Gas.
    pub gas: GasEstimate,
    /// Time.
    pub time: TimeEstimate,
    /// True where the image's platform was read and not only said.
    pub platform_checked: bool,
}

/// Whether a job can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It can, and there are workers for it.
    CanBeBought,
    /// The contract refuses its terms.
    TermsRefused,
    /// Nobody could take it, or too few could verify it.
    NoWorkers,
    /// Tokens, allowance or ether are missing.
    InsufficientFunds,
}

impl Verdict {
    /// The worst of all that was found; see [`super::job_args::PLAN_EXIT_CODES`].
    fn of(problems: &[Problem], enough_workers: bool) -> Self {
        let any = |found: fn(&Problem) -> bool| problems.iter().any(found);
        if any(|p| matches!(p, Problem::TermsRefused { .. })) {
            Self::TermsRefused
        } else if !enough_workers
            || any(|p| {
                matches!(
                    p,
                    Problem::TooFewWorkers { .. } | Problem::TooLittleStake { .. } | Problem::TooFewPositive { .. }
                )
            })
        {
            Self::NoWorkers
        } else if problems.is_empty() {
            Self::CanBeBought
        } else {
            Self::InsufficientFunds
        }
    }

    /// The code to end with.
    pub const fn exit(self) -> Exit {
        match self {
            Self::CanBeBought => Exit::Ok,
            Self::TermsRefused => Exit::Usage,
            Self::NoWorkers => Exit::NoWorkers,
            Self::InsufficientFunds => Exit::Funds,
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::CanBeBought => "It can be bought now, and workers could take it.",
            Self::TermsRefused => "It cannot be bought: the contract refuses its terms.",
            Self::NoWorkers => "Nobody could take it as it is; see the counts above.",
            Self::InsufficientFunds => "It cannot be bought yet: money is missing.",
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    verdict: Verdict,
    class: String,
    platform: String,
    platform_checked: bool,
    confidential: bool,
    leaves: u32,
    verifiers: u8,
    samples: u8,
    token: String,
    decimals: u8,
    reward_min: String,
    reward_max: String,
    verifier_fees: String,
    tip: String,
    audit_reserve: String,
    trust_level: u8,
    green_only: bool,
    budget: String,
    account: Option<Address>,
    balance: Option<String>,
    upload_bytes: u64,
    inputs: Vec<InputReport>,
    gas: GasEstimate,
    time: TimeEstimate,
    #[serde(flatten)]
    eligibility: Eligibility,
    problems: Vec<Problem>,
    sentences: Vec<String>,
    warnings: Vec<String>,
    job: JobFile,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputReport {
    name: String,
    sha256: String,
    size_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: JobArgs) -> Result<Exit, Failure> {
    if args.schema {
        print!("{}", crate::jobfile::schema());
        return Ok(Exit::Ok);
    }
    // The file first: a typo is told without a network.
    let file = args.job_file()?;
    let client = session.reader().await?;
    let job = file.builder(client.unit())?.build()?;
    let appraisal = appraise(&client, &job, session.wallet_address()).await?;
    image_is_there(&client, &appraisal.plan).await?;
    let problems = money_problems(&client, &appraisal).await?;
    let verdict = Verdict::of(&problems, appraisal.eligibility.enough);
    let report = report(&client, &appraisal, verdict, problems, file);
    session.output.document("plan", &report, || {
        let mut text = describe(&appraisal, client.unit());
        for sentence in report.warnings.iter().chain(&report.sentences) {
            text.push_str(&format!("! {sentence}\n"));
        }
        text.push_str(verdict.sentence());
        text
    });
    Ok(verdict.exit())
}

/// Reads the job's files and asks the chain everything about it. Sends nothing.
///
/// # Errors
/// With the exit code that fits.
pub async fn appraise(client: &Client, job: &Job, account: Option<Address>) -> Result<Appraisal, Failure> {
    let bar = step("reading image and inputs");
    let plan = client.plan(job).await;
    bar.finish_and_clear();
    let plan = plan?;
    let bar = step("asking the chain who could take it");
    let asked = async {
        Ok::<_, Failure>((
            client.preflight(&plan, account).await?,
            client.eligibility(&plan, account).await?,
            client.gas_estimate(&plan, account).await?,
            client.time_estimate(&plan).await?,
        ))
    }
    .await;
    bar.finish_and_clear();
    let (preflight, eligibility, gas, time) = asked?;
    let platform_checked = matches!(job.image, ImageSource::Archive(_));
    Ok(Appraisal { plan, preflight, eligibility, gas, time, platform_checked })
}

/// An image that is only named must lie with an oracle, else no worker could fetch it.
async fn image_is_there(client: &Client, plan: &Plan) -> Result<(), Failure> {
    let Some(digest) = plan.image_blob else { return Ok(()) };
    let known = client.blobs().has(digest).await.map_err(|source| UploadError::Looking { digest, source })?;
    if known { Ok(()) } else { Err(UploadError::ImageUnknown { digest }.into()) }
}

/// All that stands against it; a missing allowance only where the token has no permit.
async fn money_problems(client: &Client, appraisal: &Appraisal) -> Result<Vec<Problem>, Failure> {
    let preflight = &appraisal.preflight;
    let by_allowance = match preflight.account {
        Some(account) if client.choose_payment(account, preflight.budget).await? == crate::Payment::Allowance => {
            ByAllowance::Yes
        }
        _ => ByAllowance::No,
    };
    Ok(preflight.problems_for(by_allowance))
}

fn report(client: &Client, appraisal: &Appraisal, verdict: Verdict, problems: Vec<Problem>, job: JobFile) -> Report {
    let (terms, spec) = (&appraisal.plan.terms, &appraisal.plan.spec);
    let preflight = &appraisal.preflight;
    let fees = verifier_fees(&appraisal.plan);
    let input = |input: &sunwork_protocol::terms::Input| InputReport {
        name: input.name.clone(),
        sha256: hex::encode(input.sha256),
        size_bytes: input.size_bytes,
    };
    Report {
        verdict,
        class: preflight.class.clone(),
        platform: spec.platform.clone(),
        platform_checked: appraisal.platform_checked,
        confidential: appraisal.plan.confidential,
        leaves: terms.leaf_count,
        verifiers: terms.verifiers,
        samples: terms.samples,
        token: client.unit().symbol.clone(),
        decimals: client.unit().decimals,
        reward_min: terms.reward_min.to_string(),
        reward_max: terms.reward_max.to_string(),
        verifier_fees: fees.to_string(),
        tip: preflight.tip.to_string(),
        audit_reserve: preflight.audit_reserve.to_string(),
        trust_level: terms.trust_level,
        green_only: terms.is_green_only(),
        budget: preflight.budget.to_string(),
        account: preflight.account,
        balance: preflight.account.map(|_| preflight.balance.to_string()),
        upload_bytes: appraisal.plan.upload_bytes(),
        inputs: spec.inputs.iter().map(input).collect(),
        gas: appraisal.gas,
        time: appraisal.time,
        eligibility: appraisal.eligibility.clone(),
        sentences: problems.iter().map(|p| p.sentence(client.unit())).collect(),
        warnings: preflight.warnings(),
        problems,
        job,
    }
}

/// Level 0 asks no verifiers unless the client rejects the result, and then for its bond.
fn verifier_fees(plan: &Plan) -> u128 {
    if plan.terms.trust_level == 0 {
        return 0;
    }
    plan.terms.verifier_fee.saturating_mul(plan.terms.verifiers.into())
}

/// All of it for people.
pub fn describe(appraisal: &Appraisal, unit: &Unit) -> String {
    let (plan, preflight, time) = (&appraisal.plan, &appraisal.preflight, &appraisal.time);
    let terms = &plan.terms;
    let reward = if terms.reward_min == terms.reward_max {
        unit.show(terms.reward_max)
    } else {
        format!("{} to {}, rising until a worker accepts", unit.number(terms.reward_min), unit.show(terms.reward_max))
    };
    let checked = if appraisal.platform_checked {
        format!("{}, as the image says", plan.spec.platform)
    } else {
        format!("{}, as you say: it cannot be checked without the archive file", plan.spec.platform)
    };
    let mut pairs = vec![
        (
            "work",
            format!(
                "{} on {}, {}",
                count(terms.leaf_count.into(), "leaf", "leaves"),
                preflight.class,
                if plan.confidential { "confidential" } else { "public: everybody can read inputs and results" }
            ),
        ),
        ("platform", checked),
        ("verification", verification(plan)),
        ("reward", reward),
        ("fees", fees(plan, unit)),
    ];
    if let Some(worker) = terms.named_worker() {
        pairs.push(("offered to", format!("{worker} only")));
    }
    if let Some(pool) = terms.pool() {
        pairs.push(("offered to", format!("whom the pool {pool} places")));
    }
    if terms.is_green_only() {
        pairs.push(("green", "only workers whose attested energy is not negative may accept and verify".to_owned()));
    }
    if terms.has_callback() {
        pairs.push(("callback", format!("{} with {} gas, once it is verified", terms.callback, terms.callback_gas)));
    }
    // Terms that the contract refuses have no price.
    if preflight.budget > 0 {
        let mut parts = Vec::new();
        if preflight.audit_reserve > 0 {
            let one_in = preflight.audit_one_in;
            parts.push(format!("{} for a late audit of one in {one_in}", unit.show(preflight.audit_reserve)));
        }
        if preflight.tip > 0 {
            parts.push(format!("{} for the draw", unit.show(preflight.tip)));
        }
        let with_tip = if parts.is_empty() { String::new() } else { format!(" (with {})", parts.join(" and ")) };
        pairs.push((
            "costs",
            format!(
                "at most {}{with_tip}, held by the contract; what is not spent comes back",
                unit.show(preflight.budget)
            ),
        ));
    }
    let gas = &appraisal.gas;
    let how = if gas.tried { "tried: " } else { "about " };
    pairs.push((
        "gas",
        format!("{how}{} gas for the one purchase transaction, {} at the present price", gas.gas, show_ether(gas.wei)),
    ));
    pairs.push((
        "time",
        format!(
            "the computing itself and {} at least; {} at most, if everybody uses its window to the end (accept {}, {}work {}, \
             {})",
            show(time.at_least_secs),
            show(time.at_most_secs),
            show(time.accept_secs),
            if time.key_secs > 0 { format!("key {}, ", show(time.key_secs)) } else { String::new() },
            show(time.work_secs),
            later_windows(time, terms.trust_level),
        ),
    ));
    if time.attempts > 1 {
        pairs.push(("", format!("a worker that gives up is replaced; at most {} try", time.attempts)));
    }
    if plan.upload_bytes() > 0 {
        let files = count(plan.blobs.len() as u64, "file", "files");
        pairs.push(("upload", format!("{} in {files} at most", show_bytes(plan.upload_bytes()))));
    }
    match preflight.account {
        Some(account) => pairs.push(("wallet", format!("{account} with {}", unit.show(preflight.balance)))),
        None => pairs.push(("wallet", "none: whether the money suffices was not looked at".into())),
    }
    let mut text = fields(&pairs);
    for line in appraisal.eligibility.lines(&preflight.class, unit) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn later_windows(time: &TimeEstimate, trust_level: u8) -> String {
    if trust_level == 0 {
        return format!("your silence {}", show(time.dispute_secs));
    }
    let disputes =
        if time.dispute_secs > 0 { format!(", disputes {}", show(time.dispute_secs)) } else { String::new() };
    let (draw, verify, open) = (show(time.draw_secs), show(time.verify_secs), show(time.open_secs));
    format!("draw {draw}, verify {verify}, open {open}{disputes}")
}

fn fees(plan: &Plan, unit: &Unit) -> String {
    let terms = &plan.terms;
    let each = format!(
        "{} to each of {}",
        unit.show(terms.verifier_fee),
        count(terms.verifiers.into(), "verifier", "verifiers")
    );
    if terms.trust_level == 0 { format!("{each}, from your bond, only if you reject the result") } else { each }
}

fn verification(plan: &Plan) -> String {
    let terms = &plan.terms;
    if terms.trust_level == 0 {
        return "trust level 0: you get the result at once, and nobody checks it. Accepting it or staying silent pays the worker; \
                rejecting it has it verified at your bond, and refunds nothing by itself"
            .to_owned();
    }
    let who = count(terms.verifiers.into(), "drawn verifier", "drawn verifiers");
    let each = if terms.verifiers == 1 { "" } else { " each" };
    match (u32::from(terms.samples), terms.leaf_count) {
        (samples, leaves) if samples == leaves => {
            format!("{who} compute everything again{}", if each.is_empty() { "" } else { ", each by itself" })
        }
        (samples, leaves) => {
            format!("{who} compute {samples} of the {leaves} leaves again{each}, drawn for each by lot")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_the_exit_code() {
        let (refused, poor) = (Problem::TermsRefused { reason: "r".into() }, Problem::Balance { have: 0, need: 1 });
        let few = Problem::TooFewWorkers { class: "c".into(), have: 0, need: 1 };
        for (problems, enough, exit) in [
            (vec![], true, Exit::Ok),
            (vec![], false, Exit::NoWorkers),
            (vec![poor.clone()], true, Exit::Funds),
            (vec![poor.clone()], false, Exit::NoWorkers),
            (vec![poor.clone(), few.clone()], true, Exit::NoWorkers),
            (vec![poor, few, refused], false, Exit::Usage),
        ] {
            assert_eq!(Verdict::of(&problems, enough).exit(), exit, "{problems:?} {enough}");
        }
        for code in ["0", "2", "3", "5", "6", "7"] {
            assert!(crate::cli::job_args::PLAN_EXIT_CODES.contains(&format!("    {code}  ")));
        }
    }
}
