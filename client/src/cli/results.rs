//! `sunwork results`.

use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::status::Ending;

use super::args::ResultsArgs;
use super::duration::show_bytes;
use super::exit::{Exit, Failure};
use super::follow::step;
use super::output::Tone;
use super::session::Session;
use crate::results::Results;

#[derive(Serialize)]
struct Report {
    out: PathBuf,
    #[serde(flatten)]
    results: Results,
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: ResultsArgs) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let agreement = client.find(&args.id).await?;
    let dir = args.out.unwrap_or_else(|| default_dir(agreement));
    let bar = step("fetching and checking the results");
    let results = client.results(agreement, &dir).await;
    bar.finish_and_clear();
    let results = results?;
    if let Some(warning) = warning(results.ending) {
        session.output.note(&session.output.paint(Tone::Bad, warning));
    }
    let failed = results.failed().next().is_some();
    let exit = Exit::of_ending(results.ending).unwrap_or(if failed { Exit::TaskFailed } else { Exit::Ok });
    let text = show_results(&results, &dir);
    session.output.document("results", &Report { out: dir, results }, || text);
    Ok(exit)
}

/// What these results are worth, where they are not verified.
fn warning(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Verified => None,
        Ending::None => Some("warning: the verifiers have not opened yet; this is what the worker claims"),
        Ending::Refuted => Some("warning: the verifiers' dissent won; at least one of these leaves is wrong"),
        _ => Some("warning: nobody won the dissent about these leaves; they are not verified"),
    }
}

/// Where results go when no folder is named.
pub fn default_dir(agreement: Address) -> PathBuf {
    PathBuf::from(format!("sunwork-{}", &hex::encode(agreement)[..8]))
}

/// Results for people: how many, where, and what failed.
pub fn show_results(results: &Results, dir: &Path) -> String {
    let bytes: u64 = results.leaves.iter().map(|leaf| leaf.bytes).sum();
    let files: usize = results.leaves.iter().map(|leaf| leaf.files).sum();
    let mut text = format!(
        "{} leaves proven against the chain: {files} files, {} in {}\n",
        results.leaves.len(),
        show_bytes(bytes),
        dir.display()
    );
    for leaf in results.failed() {
        let status = if leaf.exit_status == 0 { String::new() } else { format!(", exit status {}", leaf.exit_status) };
        text.push_str(&format!("leaf {} failed: {}{status}\n", leaf.leaf, leaf.outcome));
    }
    text
}
