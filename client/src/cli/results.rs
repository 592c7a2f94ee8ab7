//! `sunwork results`.

use std::io::Write;
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::status::{Ending, Status};
use sunwork_protocol::terms::ComputeTerms;

use super::args::ResultsArgs;
use super::duration::show_bytes;
use super::exit::{Exit, Failure};
use super::follow::{short_id, step};
use super::output::{Tone, count};
use super::session::Session;
use crate::client::Client;
use crate::results::{ProvenFile, Results, ResultsError, Selection};
use crate::verify::VerifyError;

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
    if args.stdout && session.output.is_json() {
        let sentence = "--stdout writes the file itself, so it does not go together with --output json; leave one out";
        return Err(Failure::say(Exit::Usage, sentence));
    }
    let (client, agreement) = session.reader_with_key(&args.id).await?;
    let dir = args.out.unwrap_or_else(|| default_dir(agreement));
    let selection = Selection { leaf: args.leaf, file: args.file };
    let bar = step("fetching and checking the results");
    if args.stdout {
        let found = client.result_file(agreement, &dir, selection).await;
        bar.finish_and_clear();
        return pour(session, &told(session, &client, agreement, found).await?);
    }
    let part = selection != Selection::default();
    let results = client.results_of(agreement, &dir, selection).await;
    bar.finish_and_clear();
    let results = told(session, &client, agreement, results).await?;
    warn(session, results.ending);
    // Who asked for a part is told about that part: a leaf that failed elsewhere is no failure of it.
    let failed = !part && results.failed().next().is_some();
    let exit = Exit::of_ending(results.ending).unwrap_or(if failed { Exit::TaskFailed } else { Exit::Ok });
    let text = show_results(&results, &dir);
    session.output.document("results", &Report { out: dir, results }, || text);
    Ok(exit)
}

/// Where a result cannot be read, says what can be done about it while there is time.
async fn told<T>(
    session: &Session,
    client: &Client,
    agreement: Address,
    found: Result<T, ResultsError>,
) -> Result<T, ResultsError> {
    if let Err(ResultsError::Verify(error)) = &found
        && let Ok(details) = client.details(agreement).await
        && let Some(words) = remedy(error, &details.purchase.terms, details.standing.status, agreement)
    {
        session.output.note(&session.output.paint(Tone::Bad, &words));
    }
    found
}

/// What whoever finds a leaf unreadable can do; `None` when it is not the time for it, or nobody is at fault.
fn remedy(error: &VerifyError, terms: &ComputeTerms, status: Status, agreement: Address) -> Option<String> {
    if status != Status::Disputable || !error.is_the_workers_fault() {
        return None;
    }
    let id = short_id(agreement);
    if terms.trust_level == 0 {
        return Some(format!(
            "have it verified while it can be rejected; the verifiers look at the same blob:  sunwork reject {id}"
        ));
    }
    // A blob that is no blob holds no leaf at all; where some leaf is false, which one cannot be told.
    let leaf = match error {
        VerifyError::Root { .. } => "N".to_owned(),
        error => error.leaf().unwrap_or(0).to_string(),
    };
    Some(format!(
        "dispute it while that can be done; more verifiers look at the same blob, and who finds the leaf unreadable votes against \
         it:  sunwork dispute {id} --leaf {leaf}"
    ))
}

/// One proven file to standard output, byte for byte.
fn pour(session: &Session, found: &ProvenFile) -> Result<Exit, Failure> {
    warn(session, found.ending);
    let copy = || -> std::io::Result<()> {
        let mut file = std::fs::File::open(&found.path)?;
        let mut out = std::io::stdout().lock();
        std::io::copy(&mut file, &mut out)?;
        out.flush()
    };
    match copy() {
        // Whoever closed the pipe has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let sentence = format!("writing {:?} of leaf {} to standard output: {error}", found.name, found.leaf);
            Err(Failure::say(Exit::Failed, sentence))
        }
        _ => Ok(Exit::of_ending(found.ending).unwrap_or(Exit::Ok)),
    }
}

fn warn(session: &Session, ending: Ending) {
    if let Some(warning) = warning(ending) {
        session.output.note(&session.output.paint(Tone::Bad, warning));
    }
}

/// What these results are worth, where they are not verified.
fn warning(ending: Ending) -> Option<&'static str> {
    match ending {
        Ending::Verified => None,
        Ending::None => Some("warning: it is not settled yet; this is what the worker claims"),
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
    let written: Vec<_> = results.leaves.iter().filter(|leaf| leaf.path.is_some()).collect();
    let bytes: u64 = written.iter().map(|leaf| leaf.bytes).sum();
    let files: usize = written.iter().map(|leaf| leaf.files).sum();
    let proven = results.leaves.len();
    let completed = proven - results.failed().count();
    // Who asked for a part hears which leaves are there; all were proven all the same.
    let of = if written.len() == completed { String::new() } else { format!("; {} of them here", written.len()) };
    let mut text = format!(
        "{} proven against the chain{of}: {}, {} in {}\n",
        count(proven as u64, "leaf", "leaves"),
        count(files as u64, "file", "files"),
        show_bytes(bytes),
        dir.display()
    );
    for leaf in results.failed() {
        let status = if leaf.exit_status == 0 { String::new() } else { format!(", exit status {}", leaf.exit_status) };
        text.push_str(&format!("leaf {} failed: {}{status}\n", leaf.leaf, leaf.outcome));
    }
    if results.failed().next().is_some() {
        text.push_str(&format!("what it printed:  sunwork logs {}\n", short_id(results.agreement)));
    }
    text
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;
    use sunwork_protocol::bundle::BundleError;

    use super::*;

    #[test]
    fn who_cannot_read_a_leaf_is_told_how_to_dispute_it_while_that_can_be_done() {
        let agreement = Address::repeat_byte(0xab);
        let terms = |trust_level| ComputeTerms { trust_level, ..crate::fixture::purchase().terms };
        let unreadable = VerifyError::Malformed { agreement, source: BundleError::Decrypt { leaf: 3 } };
        let words = remedy(&unreadable, &terms(1), Status::Disputable, agreement).unwrap();
        assert!(words.ends_with(&format!("sunwork dispute {} --leaf 3", short_id(agreement))), "{words}");
        let words = remedy(&unreadable, &terms(0), Status::Disputable, agreement).unwrap();
        assert!(words.ends_with(&format!("sunwork reject {}", short_id(agreement))), "{words}");
        assert_eq!(remedy(&unreadable, &terms(1), Status::Settled, agreement), None);
        let root = VerifyError::Root { found: B256::ZERO, expected: B256::ZERO };
        let words = remedy(&root, &terms(1), Status::Disputable, agreement).unwrap();
        assert!(words.ends_with("--leaf N"), "{words}");
        let disk = VerifyError::Read(std::io::ErrorKind::UnexpectedEof.into());
        assert_eq!(remedy(&disk, &terms(1), Status::Disputable, agreement), None);
    }
}
