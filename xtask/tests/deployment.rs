//! The deploy script, the check script and the fork tests against a running chain.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::fs;

use xtask::{
    devnet::{Devnet, Options},
    foundry,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_system_is_what_its_file_says_and_a_changed_one_is_not() -> eyre::Result<()> {
    // Values that no default has, so that nothing passes by being read from the wrong file.
    let options = Options::for_tests()?.workers(0).param("/compute/openSecs", 47).param("/dispatcher/epochSecs", 3);
    let devnet = Devnet::start(options).await?;
    let (rpc, file) = (devnet.rpc_url().as_str(), devnet.deployment_file());
    foundry::check_deployment(rpc, &file).await?;
    let words = foundry::test_deployment(rpc, &file).await?;
    assert!(words.contains("test_BuysAndCancelsAnAgreement()") && words.contains(" 0 skipped"), "{words}");

    let text = fs::read_to_string(&file)?;
    for (old, new, name) in [
        ("\"openSecs\": 47", "\"openSecs\": 48", "compute.openSecs"),
        ("\"epochSecs\": 3", "\"epochSecs\": 4", "dispatcher.epochSecs"),
        ("\"marginBlocks\": 1", "\"marginBlocks\": 2", "code of the beacon"),
    ] {
        assert!(text.contains(old), "{text}");
        let changed = devnet.dir().join("changed.json");
        fs::write(&changed, text.replace(old, new))?;
        let error = format!("{:#}", foundry::check_deployment(rpc, &changed).await.expect_err("it differs"));
        assert!(error.contains(name), "expected {name} in: {error}");
    }
    Ok(())
}
