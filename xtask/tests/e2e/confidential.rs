//! Confidential work with real processes: who reads what and when (docs/CONFIDENTIAL.md), key agents, and what happens when keys do
//! not come.

use std::time::{Duration, Instant};

use alloy::{
    primitives::{Address, Bytes},
    sol_types::SolCall,
};
use eyre::{bail, ensure, eyre};
use sunwork_client::{Client, JobBuilder, Payment, job::Windows};
use sunwork_protocol::{
    abi::IComputeAgreement,
    mail::TOPIC_LOGS,
    session::SessionKey,
    status::{Ending, Status},
    terms::ComputeSpec,
};
use xtask::{accounts, apps::Image, devnet::Options};

use crate::support::{Net, expect, hostile};

pub(crate) mod hostile_worker;
mod material;

use hostile_worker::HostileWorker;
use material::{Material, Party, contains, mail_about, only_its_own_mail, parties, true_text};

/// What must not be read by whom it is not for.
const SECRET_ARG: &str = "blue-whale-argument";
const SECRET_NAME: &str = "green-heron-name.txt";
const SECRET_INPUT: &str = "red-fox-content";
const LEAVES: u32 = 4;
const LIMIT: Duration = Duration::from_secs(150);

/// Moments of an agreement's life; a word of the table means "from then on".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// A worker accepted, no key is posted.
    Keying,
    /// The worker sealed; verifiers are being drawn.
    Drawing,
    /// Settled.
    Ended,
}

/// The table's word for a cell: may it be read at `stage`?
fn allowed(word: &str, column: &str, stage: Stage) -> bool {
    match word {
        "purchase" => true,
        "key" => stage >= Stage::Drawing,
        // The worker computes before it seals, verifiers after they were drawn.
        "computed" if column == "worker" => stage >= Stage::Drawing,
        "computed" | "drawn" | "reveal" | "end" => stage >= Stage::Ended,
        "never" => false,
        other => panic!("docs/CONFIDENTIAL.md has the word {other:?} in its table, which this test does not know"),
    }
}

/// A row of the table: its name, and for each column the column's name and the word in the cell.
type Row = (String, Vec<(String, String)>);

fn table() -> eyre::Result<Vec<Row>> {
    let text = std::fs::read_to_string(xtask::paths::root().join("docs/CONFIDENTIAL.md"))?;
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| what | client |"));
    let header = cells(lines.next().ok_or_else(|| eyre!("the table is gone"))?);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    Ok(rows.map(|row| (row[0].clone(), header[1..].iter().cloned().zip(row[1..].iter().cloned()).collect())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_what() -> eyre::Result<()> {
    // A second oracle's operator is not needed: this one is key agent and operator, and its two roles are tried apart.
    let mut net = Net::start(with_agent(Options::for_tests()?)).await?;
    let agent = name_agent(&net).await?;
    let image = net.image("hostile").await?;
    let (agreement, spec) = buy_secret(&net, &image).await?;
    // The agent has the key in its mailbox, but the test decides when a key is posted: it names another agent meanwhile.
    net.client.give_key_to_agent(agreement, &spec).await?;
    net.client.set_key_agent(accounts::STRANGER.address).await?;

    let mut tried = 0;
    for stage in [Stage::Keying, Stage::Drawing, Stage::Ended] {
        match stage {
            Stage::Keying => until(&net, agreement, |status| status == Status::Keying).await?,
            Stage::Drawing => {
                post_key(&net.client, agreement).await?;
                until(&net, agreement, |status| status >= Status::Drawing).await?;
            }
            Stage::Ended => {
                let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
                expect(ending, Ending::Verified)?;
                until_mailed(&net, agreement, TOPIC_LOGS).await?;
            }
        }
        let material = Material::gather(&net, agreement).await?;
        let now = net.status(agreement).await?;
        ensure!(stage != Stage::Drawing || now < Status::Revealing, "the network was too fast to be looked at: {now}");
        for secret in [SECRET_ARG, SECRET_NAME, SECRET_INPUT] {
            ensure!(!contains(&material.bytes, secret.as_bytes()), "{secret} is readable on chain or at the oracle");
        }
        let parties = parties(&net, agreement, &spec, agent).await?;
        for (row, cells) in table()? {
            for (column, word) in cells {
                let here: Vec<&Party> = parties.iter().filter(|party| party.column == column).collect();
                if row == "mail" {
                    for party in here {
                        tried += 1;
                        only_its_own_mail(&material, party, &word)?;
                    }
                    continue;
                }
                for party in here {
                    tried += 1;
                    let (may, can) = (allowed(&word, &column, stage), material.reads(&row, party));
                    // What the worker's folder held is deleted in the end; that is no promise of the table.
                    let gone = stage == Stage::Ended && row == "logs" && column == "worker";
                    ensure!(
                        may == can || gone,
                        "at {stage:?}: {column} / {row}: can read {can}, the table says {word}"
                    );
                }
            }
        }
    }
    eprintln!("{tried} cells of the table were tried");
    ensure!(tried >= 3 * 8 * 7, "some cells had nobody in them: {tried}");

    // The wallet alone opens the result, from another folder, with another client.
    let client = net.devnet.client(accounts::CLIENT).await?;
    let results = client.results(agreement, &net.files.path().join("results")).await?;
    let file = results.leaves[2].path.as_ref().ok_or_else(|| eyre!("leaf 2 failed"))?.join("echo.txt");
    assert_eq!(std::fs::read_to_string(file)?, true_text(2));
    let logs = client.app_logs(agreement).await?;
    assert_eq!(logs[0].logs.leaves.len(), LEAVES as usize);
    // Another wallet is told why not.
    let error = net.devnet.client(accounts::CLIENT_2).await?.results(agreement, net.files.path()).await.unwrap_err();
    assert!(error.to_string().contains("bought with another wallet"), "{error}");
    net.expect_settled_once(agreement).await?;
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

/// The client leaves right after the purchase; its key agent hands over the key.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_agent_the_client_may_leave() -> eyre::Result<()> {
    let mut net = Net::start(with_agent(Options::for_tests()?)).await?;
    let agent = name_agent(&net).await?;
    let image = net.image("hostile").await?;
    let (agreement, spec) = buy_secret(&net, &image).await?;
    assert_eq!(net.client.give_key_to_agent(agreement, &spec).await?, Some(agent));
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;
    let settlement = net.client.settlement(agreement).await?;
    let posted: Vec<Address> =
        settlement.transactions.iter().filter(|tx| tx.name == "postKey").map(|tx| tx.sender).collect();
    assert_eq!(posted, [agent], "the agent posted the key, and only it");
    net.client.results(agreement, &net.files.path().join("results")).await?;
    net.devnet.stop().await
}

/// The agent is gone and the client too: nobody at fault, all refunded.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn a_key_agent_that_is_gone_costs_nobody_anything() -> eyre::Result<()> {
    // No key agent runs in this network; the client names an account that nobody watches.
    let mut net = Net::start(Options::for_tests()?.param("/compute/keySecs", 6)).await?;
    net.client.set_key_agent(accounts::STRANGER.address).await?;
    let token = net.devnet.deployment.token;
    let before = net.devnet.chain.token_balance(token, accounts::CLIENT.address).await?;
    let image = net.image("hostile").await?;
    let (agreement, _) = buy_secret(&net, &image).await?;
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::NoKey)?;
    net.expect_stakes_whole(&[]).await?;
    net.client.withdraw().await?;
    assert_eq!(net.devnet.chain.token_balance(token, accounts::CLIENT.address).await?, before);
    net.devnet.stop().await
}

/// A client that posts a useless key gains nothing: the worker aborts, its fee is burned, and the next one gets the true key.
#[tokio::test(flavor = "multi_thread")]
async fn a_useless_key_makes_the_worker_abort_and_the_client_gains_nothing() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("hostile").await?;
    let (agreement, _) = buy_secret(&net, &image).await?;
    until(&net, agreement, |status| status == Status::Keying).await?;
    let first = net.view(agreement).await?.worker;
    let junk = IComputeAgreement::postKeyCall { worker: first, sealedKey: Bytes::from(vec![1; 81]) };
    net.client.transactions()?.send("postKey", agreement, junk.abi_encode().into()).await?;
    let keyed = net.client.keep_keyed(agreement);
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    drop(keyed);
    expect(ending, Ending::Verified)?;
    let settlement = net.client.settlement(agreement).await?;
    let fee = settlement.stakes.iter().find(|stake| stake.worker == first).map(|stake| stake.slashed);
    assert!(fee.is_some_and(|fee| fee > 0), "{:?}", settlement.stakes);
    assert_eq!(settlement.burned, fee.unwrap_or_default(), "all of the fee is burned");
    net.expect_stakes_whole(&[first]).await?;
    net.devnet.stop().await
}

/// A worker that hands the verifiers a wrong key gets them to decline without fault, and nothing for itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_rewraps_a_wrong_key_is_not_paid() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let hostile = HostileWorker::register(&net).await?;
    let image = net.image("hostile").await?;
    // The honest workers sleep while the hostile one accepts.
    net.devnet.workers.iter_mut().for_each(xtask::devnet::WorkerNode::stop);
    // A verifier without a good key waits for half of its window, so this one is short.
    let (agreement, _) = buy_secret_within(&net, &image, 12).await?;
    hostile.send(agreement, IComputeAgreement::acceptCall {}).await?;
    net.devnet.workers.iter_mut().try_for_each(|worker| worker.start(&[]))?;
    post_key(&net.client, agreement).await?;
    // It does not even compute: it seals anything and gives the verifiers a key that is not the one committed to.
    let blob = hostile.bundle(&net, agreement).await?;
    hostile.send(agreement, blob).await?;
    let wrong = SessionKey::from_bytes([7; 32]);
    let mut told = std::collections::BTreeSet::new();
    let deadline = Instant::now() + LIMIT;
    let ending = loop {
        let view = net.view(agreement).await?;
        let status = Status::from_u8(view.status as u8).ok_or_else(|| eyre!("unknown status"))?;
        if status.is_final() {
            break Ending::from_u8(view.ending as u8).ok_or_else(|| eyre!("unknown ending"))?;
        }
        ensure!(Instant::now() < deadline, "the agreement is still {status}\n{}", net.logs());
        for slot in view.slots.iter().filter(|_| status == Status::Verifying) {
            if told.insert(slot.verifier) {
                hostile.mail_key(&net, agreement, slot.verifier, &wrong).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    // Either all strikes are used up, or nobody is left who may verify.
    ensure!(matches!(ending, Ending::VerifiersGone | Ending::TooFewVerifiers), "ended as {ending}");
    let reasons: Vec<u16> = net
        .client
        .events(agreement, 0)
        .await?
        .iter()
        .filter_map(|seen| match seen.progress {
            sunwork_client::events::Progress::VerifierLeft { reason, slashed, .. } => {
                assert_eq!(slashed, 0, "declining is no fault");
                Some(reason)
            }
            _ => None,
        })
        .collect();
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| *reason == 7), "{reasons:?}");
    let settlement = net.client.settlement(agreement).await?;
    let refund = settlement.paid.get(&accounts::CLIENT.address).copied().unwrap_or_default();
    assert!(refund + 10_000_000 >= settlement.budget, "all but the tip of the draw comes back: {settlement:?}");
    assert_eq!(settlement.paid.get(&hostile.address()).copied().unwrap_or_default(), 0, "{:?}", settlement.paid);
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

/// A worker that tells no verifier the key would choose who verifies it, if the client did not tell them too.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cannot_choose_its_verifiers_by_withholding_the_key() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?.param("/compute/revealSecs", 6)).await?;
    let hostile = HostileWorker::register(&net).await?;
    let image = net.image("hostile").await?;
    net.devnet.workers.iter_mut().for_each(xtask::devnet::WorkerNode::stop);
    let (agreement, _) = buy_secret(&net, &image).await?;
    hostile.send(agreement, IComputeAgreement::acceptCall {}).await?;
    net.devnet.workers.iter_mut().try_for_each(|worker| worker.start(&[]))?;
    let keyed = net.client.keep_keyed(agreement);
    until(&net, agreement, |status| status == Status::Working).await?;
    let blob = hostile.bundle(&net, agreement).await?;
    hostile.send(agreement, blob).await?;
    // It mails nothing. The verifiers seal all the same, and it cannot open a seal over results that it does not have.
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    drop(keyed);
    expect(ending, Ending::WorkerSilent)?;
    let settlement = net.client.settlement(agreement).await?;
    let slashed = settlement.stakes.iter().find(|stake| stake.worker == hostile.address()).map(|stake| stake.slashed);
    assert!(slashed.is_some_and(|slashed| slashed > 0), "{:?}", settlement.stakes);
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

fn with_agent(mut options: Options) -> Options {
    options.oracle_env.push(("SUNWORK_ORACLE_KEY_AGENT_CLIENTS".into(), "any".into()));
    options
}

/// Names the oracle's key agent and waits until it has published its key.
async fn name_agent(net: &Net) -> eyre::Result<Address> {
    let agent = accounts::KEEPER.address;
    let until = Instant::now() + Duration::from_secs(30);
    while net.client.dispatcher().encryptionKeyOf(agent).call().await?.is_zero() {
        ensure!(Instant::now() < until, "the oracle published no key as key agent");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    net.client.set_key_agent(agent).await?;
    Ok(agent)
}

/// Buys a bag whose app gives back all that it was given, without handing out its key.
async fn buy_secret(net: &Net, image: &Image) -> eyre::Result<(Address, ComputeSpec)> {
    buy_secret_within(net, image, 60).await
}

/// The same with another window for the verifiers, seconds.
async fn buy_secret_within(net: &Net, image: &Image, verify_secs: u32) -> eyre::Result<(Address, ComputeSpec)> {
    let input = net.files.path().join(SECRET_NAME);
    std::fs::write(&input, SECRET_INPUT)?;
    let job = hostile(image, &["echo", SECRET_ARG]).leaves(LEAVES).samples(2).input(&input);
    let job = job.windows(Windows {
        accept_secs: 60,
        work_secs: Some(60),
        verify_secs: Some(verify_secs),
        dispute_secs: None,
    });
    buy(&net.client, job).await
}

async fn buy(client: &Client, job: JobBuilder) -> eyre::Result<(Address, ComputeSpec)> {
    let plan = client.prepare(&job.build()?).await?;
    let bought = client.buy(&plan, Payment::ApproveAndCall).await?;
    Ok((bought.address, plan.spec))
}

async fn post_key(client: &Client, agreement: Address) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    while client.post_key_if_due(agreement).await?.is_none() {
        ensure!(Instant::now() < until, "the key of {agreement} never was due");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

async fn until(net: &Net, agreement: Address, reached: impl Fn(Status) -> bool) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let status = net.status(agreement).await?;
        if reached(status) {
            return Ok(());
        }
        if status.is_final() || Instant::now() > until {
            bail!("the agreement is {status}\n{}", net.logs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_mailed(net: &Net, agreement: Address, topic: &str) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    while !mail_about(net, agreement).await?.iter().any(|message| message.topic == topic) {
        ensure!(Instant::now() < until, "no mail about {topic}\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}
