//! `take`: hands a signed offer to the running worker and says what it answers.
use std::{path::PathBuf, time::Duration};

use eyre::{WrapErr, bail};
use sunwork_edge::Deployment;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Report;
use crate::{
    config::Layer,
    folder::Folder,
    orders::{Answer, Inbox, read_order},
};

/// How often it is looked for the answer.
const LOOK: Duration = Duration::from_millis(200);

/// What to take.
#[derive(Clone, Debug, clap::Args)]
pub struct Take {
    /// The signed offer.
    pub order: PathBuf,
    /// How long the worker's answer is waited for, seconds; an image may have to be fetched first.
    #[arg(long, default_value_t = 600)]
    pub wait_secs: u64,
}

/// Has the running worker take an offer.
///
/// # Errors
/// The reason for which the worker refuses; no running worker; no answer in time.
pub async fn take(settings: &Layer, wanted: &Take, shutdown: CancellationToken) -> eyre::Result<Report> {
    let deployment = Deployment::load(settings.deployment()?)?;
    let signed = read_order(&wanted.order)?;
    let hash = signed.order.hash(deployment.chain_id, deployment.dispatcher)?;
    let folder = Folder::at(settings.data_dir());
    if !folder.is_in_use() {
        bail!(
            "no worker runs on the data folder {}: whoever takes an offer must work at once; start it with `sunwork-worker run`",
            folder.root().display()
        );
    }
    let inbox = Inbox::new(folder.root());
    inbox.put(hash, &signed).wrap_err("handing the order to the worker")?;
    let until = Instant::now() + Duration::from_secs(wanted.wait_secs);
    let answer = loop {
        if let Some(answer) = inbox.take_answer(hash)? {
            break answer;
        }
        if shutdown.is_cancelled() || Instant::now() > until {
            if inbox.take_back(hash) {
                bail!("the worker has not looked at the order {hash} yet, and it is taken back; see the worker's log");
            }
            bail!("the worker is taking the order {hash}: see `sunwork-worker status` for what comes of it");
        }
        tokio::time::sleep(LOOK).await;
    };
    match answer {
        Answer::Refused { reason } => bail!("the order {hash} was not taken: {reason}"),
        Answer::Taken { agreement, tx } => {
            let mut report = Report::new("take");
            report.add("order", "Order", hash, hash.to_string());
            report.add("agreement", "Agreement", agreement, agreement.to_string());
            report.add("tx", "Transaction", tx, tx.to_string());
            Ok(report)
        }
    }
}
