//! A late audit whose auditor cannot have the worker's blob any more: it seals and opens without the worker's digests, and the
//! worker proves them from its journal.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use eyre::{OptionExt, ensure};
use sunwork_client::Progress;
use sunwork_protocol::status::Ending;
use xtask::devnet::{Options, SUN};

use crate::support::{Net, expect, small_bag};

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_without_the_blob_opens_unproven_and_the_worker_answers() -> eyre::Result<()> {
    // Every result is drawn.
    let mut net = Net::start(Options::for_tests()?.param("/compute/auditOneIn", 1)).await?;
    let image = net.image("raytrace").await?;
    // Public: the client is told nothing here that the blob would be needed for. Many leaves: the auditor's are hardly all
    // among those that the reveal proves.
    let job = small_bag(&image).public(true).leaves(16).args(["--width", "16", "--height", "9", "--samples", "1"]);
    let bought = net.buy(job).await?;
    let agreement = bought.address;
    let dir = net.devnet.dir().to_owned();
    let mut sealed = None;
    while sealed.is_none() || net.view(agreement).await?.voteRound == 0 {
        for seen in net.client.events(agreement, bought.block).await? {
            if let Progress::Sealed { result_blob, .. } = seen.progress {
                sealed = Some(result_blob);
            }
        }
        ensure!(!net.status(agreement).await?.is_final(), "it ended before the audit\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The only oracle loses the blob as the audit begins.
    let blob = sealed.ok_or_eyre("nothing was sealed")?;
    let file = find(&dir, &hex::encode(blob)).ok_or_eyre("the oracle has no such blob")?;
    std::fs::remove_file(file)?;

    let ending = net.until_over(agreement, Duration::from_secs(240), |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;
    let view = net.view(agreement).await?;
    let auditor = view.slots.last().ok_or_eyre("no slots")?;
    assert_eq!((auditor.voteRound, auditor.opened, auditor.dissent), (1, true, 0), "{view:?}");
    let events = net.client.events(agreement, bought.block).await?;
    let shown = events.iter().find_map(|seen| match &seen.progress {
        Progress::Revealed { leaves, .. } => Some(leaves.clone()),
        _ => None,
    });
    let shown = shown.ok_or_eyre("nothing was revealed")?;
    let looked_at = net.client.compute(agreement).sampledLeaves(auditor.verifier).call().await?;
    let in_reveal = looked_at.iter().all(|leaf| shown.contains(leaf));
    let settlement = net.client.settlement(agreement).await?;
    let done = |name: &str| settlement.transactions.iter().filter(|tx| tx.ok && tx.name == name).count();
    let expected = if in_reveal { (1, 0, 0, 0) } else { (0, 1, 1, 0) };
    let found = (done("openLate"), done("openUnproven"), done("answer"), done("decline"));
    assert_eq!(found, expected, "{looked_at:?} of {shown:?}: {:#?}", settlement.transactions);
    assert_eq!(settlement.paid.get(&auditor.verifier), Some(&(5 * SUN)), "{settlement:?}");
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

/// The file of this name below `dir`.
fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    std::fs::read_dir(dir).ok()?.flatten().map(|entry| entry.path()).find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => path.file_name().is_some_and(|found| found == name).then_some(path),
    })
}
