//! Checks of what is elsewhere: nodes, contracts, clock, oracles, money.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::Address;
use serde::Deserialize;
use sunwork_edge::Deployment;
use sunwork_edge::rpc::{self, RpcOptions};
use url::Url;

use super::super::balances::{Balances, show_ether};
use super::super::duration::show;
use super::super::exit::Exit;
use super::super::settings::Settings;
use super::Check;
use crate::client::Client;
use crate::config::ClientConfig;

/// How long a node or an oracle may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Newest blocks that are older than this make deadlines hard to keep, seconds.
const OLD_HEAD_SECS: u64 = 120;
/// A block from the future by more than this means that the clock here is late, seconds.
const CLOCK_SECS: u64 = 30;
/// An oracle that is this many blocks behind answers about the past.
const LAG_BLOCKS: u64 = 20;
/// Largest answer of an oracle that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// All of them.
pub async fn examine(settings: &Settings, deployment: Deployment, account: Option<Address>) -> Vec<Check> {
    let (mut checks, head) = nodes(&settings.rpc_urls, deployment.chain_id).await;
    let client = match head {
        None => {
            checks.push(Check::skip("contracts, clock, money", "no node answers"));
            None
        }
        Some((_, time)) => {
            checks.push(clock(time, now()));
            let (check, client) = contracts(settings, deployment.clone()).await;
            checks.push(check);
            client
        }
    };
    checks.extend(oracles(&settings.oracle_urls, &deployment, head.map(|(number, _)| number)).await);
    if let Some(client) = client {
        checks.push(match account {
            Some(account) => money(&client, account).await,
            None => Check::skip("money", "there is no wallet"),
        });
    }
    checks
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Every node by itself: one that is down hides behind the others otherwise. Gives the newest block of the first that answers.
async fn nodes(urls: &[Url], chain_id: u64) -> (Vec<Check>, Option<(u64, u64)>) {
    const NAME: &str = "chain";
    let mut found = Vec::new();
    for url in urls {
        let options = RpcOptions { request_timeout: PATIENCE, rounds: 1, ..RpcOptions::default() };
        let asked = match rpc::connect_with(std::slice::from_ref(url), chain_id, options).await {
            Ok(rpc) => rpc.latest().await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        found.push((shown(url), asked));
    }
    let head = found.iter().find_map(|(_, asked)| asked.as_ref().ok().copied());
    let fix = "start the node, or give another with --rpc URL (`sunwork config set rpc URL` keeps it)";
    let checks = found.into_iter().map(|(url, asked)| match asked {
        Ok((number, _)) => Check::pass(NAME, format!("{url} is chain {chain_id}, at block {number}")),
        Err(reason) if head.is_some() => Check::warn(NAME, reason, fix),
        Err(reason) => Check::fail(NAME, Exit::Chain, reason, fix),
    });
    (checks.collect(), head)
}

/// A URL without user, password and query: they may be secrets.
fn shown(url: &Url) -> String {
    format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.port().map(|port| format!(":{port}")).unwrap_or_default()
    )
}

/// The newest block against the clock of this machine, both Unix seconds.
fn clock(block: u64, here: u64) -> Check {
    const NAME: &str = "clock";
    if block > here.saturating_add(CLOCK_SECS) {
        return Check::warn(
            NAME,
            format!("the newest block is {} ahead of this machine's clock", show(block - here)),
            "set the clock (timedatectl set-ntp true); on a development network time may have been moved on purpose",
        );
    }
    let age = here.saturating_sub(block);
    if age > OLD_HEAD_SECS {
        return Check::warn(
            NAME,
            format!("the newest block is {} old", show(age)),
            "the node lags, the chain stands still, or this machine's clock is ahead; compare with another node",
        );
    }
    Check::pass(NAME, format!("the newest block is {} old", show(age)))
}

async fn contracts(settings: &Settings, deployment: Deployment) -> (Check, Option<Client>) {
    const NAME: &str = "contracts";
    let found = format!("token {} and dispatcher {} are there", deployment.token, deployment.dispatcher);
    let config = ClientConfig {
        rpc_urls: settings.rpc_urls.clone(),
        oracle_urls: settings.oracle_urls.clone(),
        ..ClientConfig::new(deployment)
    };
    match Client::connect(config, None).await {
        Ok(client) => (Check::pass(NAME, found), Some(client)),
        Err(error) => {
            let fix = "use the deployment file of this network: `sunwork config set deployment FILE`";
            (Check::fail(NAME, Exit::Chain, error.to_string(), fix), None)
        }
    }
}

/// What an oracle says of itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    chain_id: u64,
    indexed_block: u64,
}

async fn oracles(urls: &[Url], deployment: &Deployment, head: Option<u64>) -> Vec<Check> {
    const NAME: &str = "oracle";
    sunwork_edge::tls::install();
    let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let http = match http {
        Ok(http) => http,
        Err(error) => {
            return vec![Check::fail(NAME, Exit::Oracle, error.to_string(), "update the system's certificates")];
        }
    };
    let mut asked = Vec::new();
    for url in urls {
        asked.push((shown(url), health(&http, url).await));
    }
    let some_answer = asked.iter().any(|(_, answer)| answer.is_ok());
    let fix = "give another with --oracle URL (`sunwork config set oracle URL` keeps it)";
    let check = |(url, answer): (String, Result<Health, String>)| match answer {
        Ok(health) => judge(&url, &health, deployment.chain_id, head),
        Err(reason) if some_answer => Check::warn(NAME, format!("{url} does not answer: {reason}"), fix),
        Err(reason) => Check::fail(NAME, Exit::Oracle, format!("{url} does not answer: {reason}"), fix),
    };
    asked.into_iter().map(check).collect()
}

fn judge(url: &str, health: &Health, chain_id: u64, head: Option<u64>) -> Check {
    const NAME: &str = "oracle";
    if health.chain_id != chain_id {
        let found = format!("{url} serves chain {}, expected {chain_id} of the deployment file", health.chain_id);
        return Check::fail(NAME, Exit::Oracle, found, "give the oracle of this network with --oracle URL");
    }
    let lag = head.map_or(0, |head| head.saturating_sub(health.indexed_block));
    if lag > LAG_BLOCKS {
        let found = format!("{url} is {lag} blocks behind the chain");
        return Check::warn(
            NAME,
            found,
            "blobs still work; lists may be old. `sunwork status` reads the chain and is not touched by it",
        );
    }
    Check::pass(NAME, format!("{url} answers, {lag} blocks behind the chain"))
}

async fn health(http: &reqwest::Client, url: &Url) -> Result<Health, String> {
    let mut address = url.clone();
    address.set_path(&format!("{}/v1/health", url.path().trim_end_matches('/')));
    let mut response = http.get(address).send().await.map_err(|error| cause(&error))?;
    if !response.status().is_success() {
        return Err(format!("it says {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(format!("its answer has more than {MAX_ANSWER_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|_| "what answers there is no oracle of this kind".to_owned())
}

/// The innermost reason: reqwest's own text says only "error sending request".
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

async fn money(client: &Client, account: Address) -> Check {
    match Balances::read(client, account).await {
        Ok(balances) => judge_money(&balances, account, client),
        Err(error) => {
            Check::fail("money", Exit::Chain, error.to_string(), "try again; `sunwork wallet balance` says more")
        }
    }
}

fn judge_money(balances: &Balances, account: Address, client: &Client) -> Check {
    const NAME: &str = "money";
    let unit = client.unit();
    let found = format!(
        "{} held, {} owed, {} may be taken, {} for gas",
        unit.show(balances.balance),
        unit.show(balances.owed),
        unit.show(balances.allowance),
        show_ether(balances.wei)
    );
    if balances.wei == 0 {
        let fix = format!("send ether to {account} (development network: `sunwork wallet faucet`)");
        return Check::fail(NAME, Exit::Funds, found, fix);
    }
    if balances.balance == 0 {
        let fix = if balances.owed > 0 {
            "get what is owed: `sunwork wallet withdraw`".to_owned()
        } else {
            format!("send {} to {account} (development network: `sunwork wallet faucet`)", unit.symbol)
        };
        return Check::fail(NAME, Exit::Funds, found, fix);
    }
    Check::pass(NAME, found)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn old_and_future_blocks_are_told_apart() {
        assert_eq!(clock(1000, 1010).verdict, Verdict::Pass);
        let late = clock(1000, 1000 + OLD_HEAD_SECS + 1);
        assert!(late.verdict == Verdict::Warn && late.found.contains("2 min old"), "{late:?}");
        let ahead = clock(2000, 1000);
        assert!(ahead.verdict == Verdict::Warn && ahead.found.contains("16 min ahead"), "{ahead:?}");
    }

    #[test]
    fn oracles_of_other_chains_fail_and_lagging_ones_are_said() {
        let health = |chain_id, indexed_block| Health { chain_id, indexed_block };
        assert_eq!(judge("o", &health(1, 100), 1, Some(105)).verdict, Verdict::Pass);
        assert_eq!(judge("o", &health(1, 100), 1, None).verdict, Verdict::Pass);
        assert_eq!(judge("o", &health(2, 100), 1, Some(100)).verdict, Verdict::Fail);
        let lagging = judge("o", &health(1, 100), 1, Some(150));
        assert!(lagging.verdict == Verdict::Warn && lagging.found.contains("50 blocks behind"), "{lagging:?}");
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        assert_eq!(
            shown(&Url::parse("https://me:secret@node.example:8545/v3/key?token=x").unwrap()),
            "https://node.example:8545"
        );
    }
}
