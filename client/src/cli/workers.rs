//! `sunwork workers`.

use super::args::WorkersArgs;
use super::exit::{Exit, Failure};
use super::output::table;
use super::session::Session;
use crate::workers::Worker;

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, args: WorkersArgs) -> Result<Exit, Failure> {
    let client = session.reader().await?;
    let found = client.workers(args.limit).await?;
    let unit = client.unit();
    session.output.document("workers", &found, || {
        let classes: Vec<Vec<String>> = found
            .classes
            .iter()
            .map(|class| vec![class.name.clone(), class.workers.to_string(), unit.number(class.stake)])
            .collect();
        let workers: Vec<Vec<String>> = found
            .workers
            .iter()
            .map(|worker| {
                let state = if worker.active { "active" } else { "waits" };
                vec![
                    worker.address.to_string(),
                    state.to_owned(),
                    unit.number(worker.bonded),
                    unit.number(worker.locked),
                    worker.score.to_string(),
                    if worker.has_key { "yes" } else { "no" }.to_owned(),
                    energy(worker),
                    worker.classes.join(" "),
                ]
            })
            .collect();
        let staked = format!("STAKE {}", unit.symbol);
        let mut text = table(&["CLASS", "ACTIVE WORKERS", &staked], &classes);
        text.push('\n');
        text.push_str(&table(&["WORKER", "STATE", &staked, "LOCKED", "SCORE", "KEY", "POSITIVE", "CLASSES"], &workers));
        if found.registered > workers.len() {
            text.push_str(&format!("{} more; see them with --limit\n", found.registered - workers.len()));
        }
        text
    });
    Ok(Exit::Ok)
}

/// "yes", or why not; nothing where the deployment has no energy ledger.
fn energy(worker: &Worker) -> String {
    match (worker.positive, &worker.not_positive) {
        (None, _) => "-".to_owned(),
        (Some(true), _) => "yes".to_owned(),
        (Some(false), why) => format!("no: {}", why.as_deref().unwrap_or("not positive")),
    }
}
