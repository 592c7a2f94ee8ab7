//! Jobs that cannot be done, or whose app misbehaves: one clear sentence each, and nothing lost.

use std::time::Duration;

use alloy::primitives::U256;
use sunwork_client::job::{JobBuilder, Windows};
use sunwork_protocol::{leaf::Outcome, status::Ending};
use xtask::{
    accounts,
    devnet::{Options, SUN},
};

use crate::support::{Net, expect, hostile, small_bag};

/// An app's own failure is a result: agreed on, paid, reported.
#[tokio::test(flavor = "multi_thread")]
async fn failing_apps_are_results_that_are_agreed_on_and_paid() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("hostile").await?;
    let moods: [(&[&str], Outcome, i32); 3] = [
        (&["exit", "3"], Outcome::AppFailed, 3),
        (&["no-computed-json"], Outcome::NoComputedJson, 0),
        (&["link-out"], Outcome::OutputInvalid, 0),
    ];
    let mut agreements = Vec::new();
    for (mood, ..) in &moods {
        agreements.push(net.buy(hostile(&image, mood)).await?.address);
    }
    for (agreement, (mood, outcome, status)) in agreements.into_iter().zip(moods) {
        let ending = net.until_over(agreement, Duration::from_secs(120), |devnet, _| devnet.expect_alive()).await?;
        expect(ending, Ending::Verified)?;
        let dir = net.files.path().join(agreement.to_string());
        let results = net.client.results(agreement, &dir).await?;
        assert_eq!((results.leaves[0].outcome, results.leaves[0].exit_status), (outcome, status), "{mood:?}");
        net.expect_settled_once(agreement).await?;
        // Logs are there for failed work above all.
        let logs = net.app_logs(agreement).await?;
        let leaf = &logs[0].logs.leaves[0];
        assert_eq!((leaf.outcome, leaf.exit_status), (Some(outcome), status), "{mood:?}");
        let printed: Vec<u8> = leaf.head.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
        let printed = String::from_utf8_lossy(&printed);
        assert_eq!(printed.contains("about to fail"), outcome == Outcome::AppFailed, "{mood:?}: {printed}");
    }
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}

/// Nobody takes what it cannot run; the money comes back without anybody asking.
#[tokio::test(flavor = "multi_thread")]
async fn work_that_nobody_can_run_is_refused_with_a_reason_and_refunded() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    let token = net.devnet.deployment.token;
    let before = net.devnet.chain.token_balance(token, accounts::CLIENT.address).await?;
    let short = Windows { accept_secs: 8, work_secs: Some(30), verify_secs: Some(30), dispute_secs: None };

    // An image for another platform: its archive says arm64, the class is amd64 (or the other way round).
    let other = if xtask::apps::platform() == "linux/amd64" { "linux/arm64" } else { "linux/amd64" };
    let binary = xtask::apps::build("raytrace").await?;
    let (tar, ..) = sunwork_client::image::archive_from_binary(&std::fs::read(&binary)?, other, "raytrace");
    let foreign = net.files.path().join("foreign.tar");
    std::fs::write(&foreign, tar)?;
    // Found before anything is paid: the class of that platform has no workers.
    let job = JobBuilder::new(foreign.display().to_string()).reward(SUN, SUN).build()?;
    let plan = net.client.prepare(&job).await?;
    let preflight = net.client.preflight(&plan, accounts::CLIENT.address).await?;
    let said: Vec<String> = preflight.problems.iter().map(|problem| problem.sentence(net.client.unit())).collect();
    let class_of_other = xtask::apps::class(xtask::devnet::Runtime::Docker).replace(xtask::apps::platform(), other);
    assert!(said.iter().any(|said| said.contains(&class_of_other) && said.contains("has 0 active")), "{said:?}");

    // An image that no oracle has: the SDK says so, by its digest.
    let digest = format!("sha256:{}", "ab".repeat(32));
    let unknown = JobBuilder::new(digest).platform(xtask::apps::platform()).leaves(1).reward(SUN, SUN);
    let error = net.client.prepare(&unknown.build()?).await.unwrap_err().to_string();
    assert!(error.contains("no oracle has the image") && error.contains("abababab"), "{error}");

    // The same from a client that does not look: bought without an upload. No worker accepts what it cannot fetch.
    let mut bytes = std::fs::read(&binary)?;
    bytes.push(0);
    let (tar, sha256, _) = sunwork_client::image::archive_from_binary(&bytes, xtask::apps::platform(), "raytrace");
    let ghost = net.files.path().join("ghost.tar");
    std::fs::write(&ghost, tar)?;
    let job = JobBuilder::new(ghost.display().to_string()).public(true).leaves(1).windows(short).reward(SUN, SUN);
    let resources = sunwork_client::job::Resources { leaf_secs: 10, ..Default::default() };
    let plan = net.client.plan(&job.resources(resources).build()?).await?;
    let ghost = net.client.buy(&plan, sunwork_client::buy::Payment::ApproveAndCall).await?.address;
    let ending = net.until_over(ghost, Duration::from_secs(90), |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::NoWorker)?;
    let log = std::fs::read_to_string(net.devnet.workers[0].log())?;
    let name = alloy::hex::encode(sha256);
    assert!(log.contains(&name), "the worker names the blob {name} that it cannot have:\n{}", net.logs());

    // More memory than any worker gives.
    let mut job = small_bag(&image).windows(short).build()?;
    job.resources.memory_mib = 1 << 20;
    let plan = net.client.prepare(&job).await?;
    let greedy = net.client.buy(&plan, sunwork_client::buy::Payment::Permit).await?.address;
    let ending = net.until_over(greedy, Duration::from_secs(90), |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::NoWorker)?;
    let log = std::fs::read_to_string(net.devnet.workers[0].log())?;
    assert!(log.contains("memory"), "the worker says why it refused:\n{}", net.logs());

    // All money comes back by `withdraw`.
    net.client.withdraw().await?;
    let after = net.devnet.chain.token_balance(token, accounts::CLIENT.address).await?;
    assert_eq!(after, before, "a refused job costs no tokens");
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

/// Too little money, too little allowance, too few workers: said with numbers before anything is paid.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_before_paying() -> eyre::Result<()> {
    let net = Net::start(Options::for_tests()?.workers(2)).await?;
    let image = net.image("raytrace").await?;
    let stranger = net.devnet.client(accounts::STRANGER).await?;
    let plan = stranger.prepare(&small_bag(&image).build()?).await?;
    let preflight = stranger.preflight(&plan, accounts::STRANGER.address).await?;
    let sentences: Vec<String> = preflight
        .problems_for(sunwork_client::preflight::ByAllowance::Yes)
        .iter()
        .map(|problem| problem.sentence(stranger.unit()))
        .collect();
    let all = sentences.join("\n");
    assert!(all.contains("110"), "says how much is needed: {all}");
    assert!(all.contains("worker"), "says that two workers are too few for one worker and two verifiers: {all}");

    // The contract refuses the same, with its own numbers, and takes nothing.
    let error = net.client.buy(&plan, sunwork_client::buy::Payment::ApproveAndCall).await.unwrap_err().to_string();
    assert!(error.contains('2') && error.contains('3'), "two workers, three needed: {error}");
    let token = net.devnet.deployment.token;
    let held = net.devnet.chain.token_balance(token, net.devnet.deployment.dispatcher).await?;
    assert_eq!(held, U256::from(2 * 2500 * SUN), "only the stakes are in the dispatcher");
    net.devnet.stop().await
}
