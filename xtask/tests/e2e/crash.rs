//! `kill -9` at every state of the worker's machine: at each crash point of the honest path (before and after every journal
//! record, before and after every broadcast), in whatever role reaches it. A killed worker is started again on its data
//! and must finish the same agreement: nothing done twice, no stake lost, everybody paid.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    os::unix::process::ExitStatusExt,
    time::Duration,
};

use sunwork_client::JobBuilder;
use sunwork_protocol::status::{Ending, Status};
use sunwork_worker::crash::POINTS;
use xtask::devnet::{Devnet, Options};

use crate::support::{Net, expect, small_bag};

/// Points that an undisturbed agreement does not pass: they belong to refusals, to giving up, to late parties, to later rounds of
/// voting, to level 0, to pools, to quick public work, to meters.
const NOT_ON_THE_HONEST_PATH: &[&str] = &[
    "refused",
    "impossible",
    "barred",
    "abort",
    "decline",
    "expire",
    "proven",
    "unproven",
    "open-late",
    "open-unproven",
    "answer",
    "accept-offer",
    "accept-placed",
    "claim-and-seal",
    "record-round",
    "decide",
    "submit",
    "fill-nonce",
    "attest",
    "meter",
];
/// Points that are passed only where the worker reads no mail: else one transaction opens all seals.
const WITHOUT_MAIL: &[&str] = &["reveal", "open-verification"];

/// Every agreement should meet several points; if this many do not, something is wrong.
const MAX_AGREEMENTS: usize = 40;

fn is_of(point: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| point.split('.').any(|p| p == *part))
}

fn honest(point: &str) -> bool {
    !is_of(point, NOT_ON_THE_HONEST_PATH)
}

struct Plan {
    waiting: VecDeque<&'static str>,
    /// The point that each worker is to die at, by its index.
    assigned: BTreeMap<usize, &'static str>,
    fired: BTreeMap<&'static str, BTreeSet<Status>>,
}

impl Plan {
    /// Starts worker `index` with the next point that nobody has met; when all are dealt out, with one that others wait for,
    /// too: so the last points are met soon, whoever is drawn.
    fn start(&mut self, devnet: &mut Devnet, index: usize) -> eyre::Result<()> {
        let shared = || {
            let open = self.assigned.values().filter(|point| !self.fired.contains_key(*point));
            open.min_by_key(|point| self.assigned.values().filter(|other| other == point).count()).copied()
        };
        let point = self.waiting.front().copied().or_else(shared);
        self.waiting.pop_front();
        let env: Vec<_> = point.iter().map(|p| ("SUNWORK_CRASH_AT".to_owned(), (*p).to_owned())).collect();
        if let Some(point) = point {
            self.assigned.insert(index, point);
        }
        devnet.workers[index].start(&env)
    }

    /// Starts who died at its point; any other death is a failure.
    fn look(&mut self, devnet: &mut Devnet, status: Status) -> eyre::Result<()> {
        for index in 0..devnet.workers.len() {
            let Some(process) = devnet.workers[index].process_mut() else { continue };
            let Some(exit) = process.ended() else { continue };
            let words = process.last_lines();
            let Some(point) = self.assigned.remove(&index) else {
                eyre::bail!("worker {} ended by itself with {exit}:\n{words}", index + 1);
            };
            eyre::ensure!(
                exit.signal() == Some(9),
                "worker {} ended with {exit} instead of dying at {point}:\n{words}",
                index + 1
            );
            self.fired.entry(point).or_default().insert(status);
            devnet.workers[index].kill();
            self.start(devnet, index)?;
        }
        Ok(())
    }

    /// Points that were not met go to the back and to other workers: roles change from draw to draw.
    fn deal_anew(&mut self, devnet: &mut Devnet) -> eyre::Result<()> {
        let left: BTreeSet<_> = std::mem::take(&mut self.assigned).into_values().collect();
        self.waiting.extend(left.into_iter().filter(|point| !self.fired.contains_key(point)));
        for index in 0..devnet.workers.len() {
            devnet.workers[index].stop();
            self.start(devnet, index)?;
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_every_state_loses_nothing_and_does_nothing_twice() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    // Every third point in the normal run, which has its limit of time; all of them under `--deep`.
    let step = if std::env::var_os("SUNWORK_DEEP").is_some() { 1 } else { 3 };
    let wanted = POINTS.iter().copied().filter(|point| honest(point) && !is_of(point, WITHOUT_MAIL)).step_by(step);
    kill_at(&mut net, wanted.collect(), || small_bag(&image)).await?;
    net.devnet.stop().await
}

/// The way without mail: workers that hold no encryption key, which do public work only.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn a_kill_at_every_state_without_mail_loses_nothing_either() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    for worker in &mut net.devnet.workers {
        worker.stop();
        std::fs::rename(worker.dir().join("keys/encryption"), worker.dir().join("keys/put-away"))?;
    }
    let wanted = POINTS.iter().copied().filter(|point| is_of(point, WITHOUT_MAIL));
    kill_at(&mut net, wanted.collect(), || small_bag(&image).public(true)).await?;
    net.devnet.stop().await
}

async fn kill_at(net: &mut Net, wanted: Vec<&'static str>, job: impl Fn() -> JobBuilder) -> eyre::Result<()> {
    let mut plan =
        Plan { waiting: wanted.iter().copied().collect(), assigned: BTreeMap::new(), fired: BTreeMap::new() };

    let mut agreements = 0;
    while plan.fired.len() < wanted.len() {
        assert!(
            agreements < MAX_AGREEMENTS,
            "after {agreements} agreements nobody met {:?}",
            wanted.iter().filter(|point| !plan.fired.contains_key(*point)).collect::<Vec<_>>()
        );
        plan.deal_anew(&mut net.devnet)?;
        let agreement = net.buy(job()).await?.address;
        let ending =
            net.until_over(agreement, Duration::from_secs(150), |devnet, status| plan.look(devnet, status)).await?;
        expect(ending, Ending::Verified)?;
        agreements += 1;
        // The points after the end: redeeming and filing away.
        for _ in 0..16 {
            plan.look(&mut net.devnet, Status::Settled)?;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        net.expect_settled_once(agreement).await?;
        net.expect_stakes_whole(&[]).await?;
        net.expect_supply_unchanged().await?;
        let results = net.client.results(agreement, &net.files.path().join(agreement.to_string())).await?;
        assert_eq!(results.failed().count(), 0);
        println!("agreement {agreements}: {} of {} points met", plan.fired.len(), wanted.len());
    }
    for (point, states) in &plan.fired {
        println!("killed at {point} while {states:?}; finished");
    }
    println!("{} crash points, {agreements} agreements, all verified and paid", plan.fired.len());
    Ok(())
}
