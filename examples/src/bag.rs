//! Buys a bag of work and prints every leaf as soon as it is proven.
//!
//! ```text
//! cargo run -p sunwork-examples --bin example-bag -- DEPLOYMENT KEYSTORE PASSWORD_FILE IMAGE LEAVES PARTS [ARGS]
//! ```
//! `IMAGE` is an archive made with `docker save`. The chain is at `SUNWORK_RPC` (default http://127.0.0.1:8545), an oracle at
//! `SUNWORK_ORACLE` (default http://127.0.0.1:8420). Inputs and results are encrypted: only this wallet and the workers
//! that compute read them.

use std::path::Path;
use std::pin::pin;

use eyre::{WrapErr, ensure, eyre};
use futures::TryStreamExt;
use sunwork_client::{Client, ClientConfig, JobBuilder, Payment, keystore};

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [deployment, keystore_file, password_file, image, leaves, parts, app @ ..] = args.as_slice() else {
        return Err(eyre!("expected DEPLOYMENT KEYSTORE PASSWORD_FILE IMAGE LEAVES PARTS [ARGS], found {args:?}"));
    };
    let client = connect(deployment, keystore_file, password_file).await?;
    let unit = client.unit();

    let job = JobBuilder::new(image.as_str())
        .args(app.iter().cloned())
        .leaves(leaves.parse().wrap_err("LEAVES must be a number")?)
        .reward(unit.parse("0.5")?, unit.parse("2")?)
        .verifier_fee(unit.parse("0.1")?)
        .build()?;
    let parts = client.buy_bag(&job, parts.parse().wrap_err("PARTS must be a number")?, Payment::Permit).await?;
    for part in &parts {
        println!("bought {} for leaves {} to {}", part.agreement, part.first_index, part.first_index + part.leaves - 1);
    }

    let mut failed = 0;
    let mut leaves = pin!(client.bag_results(parts, Path::new("bag-results")));
    while let Some(leaf) = leaves.try_next().await? {
        match &leaf.result.path {
            Some(path) => println!("leaf {}: {} files in {}", leaf.index, leaf.result.files, path.display()),
            None => {
                failed += 1;
                println!("leaf {}: {:?}, exit status {}", leaf.index, leaf.result.outcome, leaf.result.exit_status);
            }
        }
    }
    ensure!(failed == 0, "the app failed on {failed} leaves; `sunwork logs` shows what it printed");
    Ok(())
}

async fn connect(deployment: &str, keystore_file: &str, password_file: &str) -> eyre::Result<Client> {
    let variable = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let rpc = variable("SUNWORK_RPC", "http://127.0.0.1:8545");
    let oracle = variable("SUNWORK_ORACLE", "http://127.0.0.1:8420");
    let config = ClientConfig {
        rpc_urls: vec![rpc.parse().wrap_err("SUNWORK_RPC")?],
        oracle_urls: vec![oracle.parse().wrap_err("SUNWORK_ORACLE")?],
        ..ClientConfig::from_deployment_file(deployment)?
    };
    let signer = keystore::load(keystore_file, &keystore::read_password(password_file)?)?;
    Ok(Client::connect(config, Some(signer)).await?)
}
