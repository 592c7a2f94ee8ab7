//! `doctor`: everything around the worker, a line each: passed, worth a look, or failed, with what to do.
use std::{io::Write, path::Path, time::Duration};

use alloy::providers::Provider;
use serde::Serialize;
use serde_json::json;
use sunwork_edge::{Deployment, rpc};
use sunwork_tpm::TpmError;

use super::Output;
use crate::{
    account::Account,
    amount::Unit,
    chain::Chain,
    clock::{Clock, Standing},
    config::{Layer, Loaded},
    control::{Status, client, no_gas_money, no_stake},
    duration,
    energy::{attest::keys::Keyring, settings::KeyPlace},
    exit::Unfit,
    folder::{Folder, FolderError},
    governor::{now_secs, reading},
    identity,
    policy::hardware::{Hardware, free_disk_mib},
    refusal::{BusySignal, Reason, Refusal},
    runtime::{Docker, Kind, wasm::find_runner},
    view::Head,
};

/// Ether below which a device will soon be stuck: some 50 transactions at 10 gwei, wei.
const LEAST_DEVICE_WEI: u128 = 50_000_000_000_000_000;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Pass,
    Warn,
    Fail,
    Skip,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    fix: Option<String>,
}

fn pass(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Pass, found: found.into(), fix: None }
}

fn warn(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Warn, found: found.into(), fix: Some(fix.into()) }
}

fn fail(name: &'static str, found: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Fail, found: found.into(), fix: Some(fix.into()) }
}

fn skip(name: &'static str, because: &str) -> Check {
    Check { name, verdict: Verdict::Skip, found: format!("not checked: {because}"), fix: None }
}

/// Looks at everything; goes on after failures.
///
/// # Errors
/// When something failed (it has been printed), or standard output cannot be written.
pub async fn doctor(loaded: eyre::Result<Loaded>, output: Output) -> eyre::Result<()> {
    let checks = match loaded {
        Ok(loaded) => examine(&loaded).await,
        Err(error) => vec![
            fail("settings", format!("{error:#}"), "correct the file, the variable or the flag that is named"),
            skip("everything else", "it needs the settings"),
        ],
    };
    let failed = checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
    let mut out = std::io::stdout().lock();
    match output {
        Output::Json => {
            let schema = "sunwork.worker.doctor.v1";
            writeln!(out, "{}", json!({ "schema": schema, "ok": failed == 0, "failed": failed, "checks": checks }))?;
        }
        Output::Table => out.write_all(render(&checks).as_bytes())?,
    }
    if failed > 0 { Err(Unfit { failed }.into()) } else { Ok(()) }
}

fn render(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skip => "skip",
        };
        text.push_str(&format!("{verdict}  {}: {}\n", check.name, check.found));
        if let Some(fix) = &check.fix {
            text.push_str(&format!("      fix: {fix}\n"));
        }
    }
    text
}

async fn examine(loaded: &Loaded) -> Vec<Check> {
    let layer = &loaded.layer;
    let mut checks = vec![settings(loaded)];
    // Looking makes nothing, and what does not need the folder is looked at without it.
    checks.push(match Folder::open(layer.data_dir()) {
        Ok(folder) => pass("data folder", folder.root().display().to_string()),
        Err(FolderError::Missing { path }) => {
            let fix = "run `sunwork-worker init`, or name the worker's with --data-dir or SUNWORK_WORKER_DATA_DIR";
            fail("data folder", format!("{} is not there", path.display()), fix)
        }
        Err(error) => {
            let fix = "make it readable for the worker's user, or name another one with --data-dir";
            fail("data folder", error.to_string(), fix)
        }
    });
    let folder = Folder::at(layer.data_dir());
    checks.extend(local(layer, &folder));
    checks.extend(keys(layer, &folder));
    checks.extend(tpm(layer, &folder).await);
    checks.extend(network(layer, &folder).await);
    checks.extend(runtimes(layer).await);
    checks.extend(oracles(layer).await);
    checks.push(running(layer, &folder).await);
    checks.push(systemd());
    checks
}

fn settings(loaded: &Loaded) -> Check {
    match super::config_check(loaded) {
        Ok(_) => pass("settings", "can be used"),
        Err(error) => {
            fail("settings", format!("{error:#}"), "`sunwork-worker config show --origin` prints what is used")
        }
    }
}

fn local(layer: &Layer, folder: &Folder) -> Vec<Check> {
    let root = folder.root();
    let mut checks = Vec::new();
    let keep = layer.keep_free_disk_mib.unwrap_or(512);
    checks.push(match free_disk_mib(root) {
        Some(free) if free < keep => {
            let fix = "make room, or lower `keep_free_disk_mib`: nothing new is taken below it";
            fail("disk", format!("{free} MiB are free, {keep} MiB shall stay free"), fix)
        }
        Some(free) => pass("disk", format!("{free} MiB are free")),
        None => warn("disk", "its free room cannot be read", "check that the file system is mounted"),
    });
    let hardware = Hardware::detect(root);
    let caps = hardware.caps();
    let share = format!(
        "{} threads, {} MiB; offered unless you say otherwise: {} m of CPU, {} MiB",
        hardware.threads, hardware.memory_mib, caps.milli_cpu, caps.memory_mib
    );
    checks.push(pass("machine", share));
    if layer.tokens_per_ether.is_none() {
        let found = "what gas costs is not compared with what work pays";
        checks.push(warn("gas rule", found, "set `tokens_per_ether` to what one ether is worth in tokens"));
    }
    if layer.run_when_idle == Some(true) {
        checks.push(match reading(0).map(|reading| reading.signal) {
            Some(BusySignal::Load) => {
                warn("idle rule", "the kernel does not measure pressure; the load average is used", "boot with psi=1")
            }
            Some(_) => pass("idle rule", "the kernel measures pressure"),
            None => fail("idle rule", Refusal::IdleUnknown.to_string(), Reason::IdleUnknown.remedy()),
        });
    }
    checks
}

fn keys(layer: &Layer, folder: &Folder) -> Vec<Check> {
    let init = "run `sunwork-worker init`, or name a keystore";
    let device = match identity::device_key(layer, folder) {
        Ok(key) => pass("device key", key.address().to_string()),
        Err(error) => fail("device key", format!("{error:#}"), init),
    };
    let encryption = match identity::encryption_key(layer, folder) {
        Ok(Some(key)) => pass("encryption key", key.public().to_string()),
        Ok(None) => warn("encryption key", "there is none: public work only", init),
        Err(error) => fail("encryption key", format!("{error:#}"), "check its password file"),
    };
    vec![device, encryption]
}

/// The TPM, if the settings want the meter's key in one, or it is there already.
async fn tpm(layer: &Layer, folder: &Folder) -> Option<Check> {
    const NAME: &str = "meter's TPM";
    let keys = Keyring::of(layer, folder).ok()?;
    let wrapped = keys.wrapped();
    if keys.place() != KeyPlace::Tpm && wrapped.is_empty() {
        return None;
    }
    let looked = tokio::task::spawn_blocking(move || {
        let maker = keys.tpm().describe()?;
        let usable = wrapped.iter().map(|blob| keys.tpm().check(blob)).collect::<Result<Vec<_>, _>>()?;
        Ok((format!("{maker} at {}", keys.tpm().tcti()), usable.len()))
    });
    Some(
        match looked
            .await
            .unwrap_or_else(|error| Err(TpmError::Failed { doing: "its work", reason: error.to_string() }))
        {
            Ok((tpm, 0)) => pass(NAME, format!("{tpm} answers; no key is in it yet")),
            Ok((tpm, keys)) => pass(NAME, format!("{tpm} answers, and can use the meter's {keys} key(s)")),
            Err(TpmError::OtherTpm) => {
                let fix = "bring the board's own TPM back, or `sunwork-worker energy meter replace-key`";
                fail(NAME, TpmError::OtherTpm.to_string(), fix)
            }
            Err(error) => fail(NAME, error.to_string(), "see `energy_meter_key` and `energy_tpm` in docs/ENERGY.md"),
        },
    )
}

async fn network(layer: &Layer, folder: &Folder) -> Vec<Check> {
    const REST: [&str; 4] = ["clock", "contracts", "registration", "stake"];
    let stop = |mut checks: Vec<Check>, because: &str| {
        checks.extend(REST.map(|name| skip(name, because)));
        checks
    };
    let deployment = match layer.deployment().map_err(eyre::Report::from).and_then(|path| Ok(Deployment::load(path)?)) {
        Ok(deployment) => deployment,
        Err(error) => {
            let fix = "name the deployment file of your network with `deployment`";
            return stop(
                vec![fail("deployment", format!("{error:#}"), fix), skip("chain", "no deployment")],
                "no deployment",
            );
        }
    };
    let mut checks = vec![pass("deployment", format!("chain {}", deployment.chain_id))];
    let Ok(urls) = layer.rpc() else {
        checks.push(fail("chain", "no node is named", "set `rpc` to a JSON-RPC URL"));
        return stop(checks, "no node");
    };
    let rpc = match tokio::time::timeout(2 * PATIENCE, rpc::connect(urls, deployment.chain_id)).await {
        Ok(Ok(rpc)) => rpc,
        Ok(Err(error)) => {
            checks.push(fail(
                "chain",
                error.to_string(),
                "check `rpc`, the network, and that the node is of this chain",
            ));
            return stop(checks, "the chain cannot be reached");
        }
        Err(_) => {
            checks.push(fail("chain", "no node answered in 20 s", "check `rpc` and the network"));
            return stop(checks, "the chain cannot be reached");
        }
    };
    match rpc.latest().await {
        Ok((number, timestamp)) => {
            checks.push(pass("chain", format!("chain {} at block {number}", deployment.chain_id)));
            checks.push(clock(timestamp, now_secs()));
        }
        Err(error) => {
            checks.push(fail("chain", error.to_string(), "check `rpc` and the network"));
            return stop(checks, "the chain cannot be reached");
        }
    }
    checks.extend(contracts(&rpc, &deployment).await);
    checks.extend(registration(layer, folder, Chain::new(rpc, deployment)).await);
    checks
}

/// A block is never from the future; an old one is a slow chain or a clock that is ahead.
fn clock(block_time: u64, now: u64) -> Check {
    let clock = Clock::judge(Head { number: 1, timestamp: block_time }, now);
    let off = duration::show(clock.off_secs.unsigned_abs());
    match clock.state {
        Standing::Behind => {
            let found = format!("it is {off} behind the newest block");
            fail("clock", found, "switch time synchronisation on (NTP)")
        }
        Standing::Ahead => {
            let found = format!("the newest block is {off} old");
            warn("clock", found, "check the clock (NTP), and whether the node still follows its chain")
        }
        Standing::Good | Standing::Unknown => {
            pass("clock", format!("the newest block is {} old", duration::show(now.saturating_sub(block_time))))
        }
    }
}

async fn contracts(rpc: &sunwork_edge::Rpc, deployment: &Deployment) -> Vec<Check> {
    let parts = [("dispatcher", deployment.dispatcher), ("compute code", deployment.compute_implementation)];
    for (part, address) in parts {
        match rpc.provider().get_code_at(address).await {
            Ok(code) if code.is_empty() => {
                let found = format!("there is no contract at {address}, the {part}");
                return vec![fail("contracts", found, "take the deployment file of this chain")];
            }
            Ok(_) => {}
            Err(error) => return vec![fail("contracts", error.to_string(), "check `rpc`")],
        }
    }
    vec![pass("contracts", "are where the deployment says")]
}

async fn registration(layer: &Layer, folder: &Folder, chain: Chain) -> Vec<Check> {
    let Ok(device) = identity::device_address(layer, folder) else {
        return vec![skip("registration", "no device key"), skip("stake", "no device key")];
    };
    let read = async { Account::read(&chain, device, &identity::unit(&chain).await?).await };
    let account = match read.await {
        Ok(account) => account,
        Err(error) => return vec![fail("registration", format!("{error:#}"), "check `rpc` and `deployment`")],
    };
    if account.worker.is_zero() {
        let found = format!("the device {device} acts for no worker");
        let fix = "run `sunwork-worker register --stake AMOUNT` with the owner's key";
        return vec![fail("registration", found, fix), skip("stake", "not registered")];
    }
    let mut checks = vec![pass("registration", format!("worker {}, score {}", account.worker, account.score))];
    checks.push(match no_stake(&account) {
        Some(_) if account.stake == "0" => {
            fail("stake", "nothing is staked", "run `sunwork-worker register --stake AMOUNT`")
        }
        Some(_) => warn("stake", "all of it is locked", "wait until agreements end, or stake more"),
        None => pass("stake", format!("{}, {} locked", account.show(&account.stake), account.show(&account.locked))),
    });
    let price = chain.rpc().provider().get_gas_price().await.ok().and_then(|wei| u64::try_from(wei).ok());
    let wei: u128 = account.device_wei.parse().unwrap_or(u128::MAX);
    let send = format!("send some ether to {device}");
    checks.push(match (wei, no_gas_money(&account, price)) {
        (0, _) => fail("gas money", "the device's key holds no ether", send),
        (_, Some(refusal)) => fail("gas money", refusal.to_string(), send),
        (wei, None) if wei < LEAST_DEVICE_WEI => warn("gas money", Unit::ether().format(wei), send),
        (wei, None) => pass("gas money", Unit::ether().format(wei)),
    });
    checks
}

/// What runs leaves. Where the settings do not say which, one of the two is enough.
async fn runtimes(layer: &Layer) -> Vec<Check> {
    let wanted = |kind| layer.runtimes.as_ref().is_none_or(|set| set.contains(&kind));
    let mut checks = Vec::new();
    if wanted(Kind::Wasm) {
        checks.push(match find_runner(layer.wasm_runner.as_deref()) {
            Some(path) => pass("modules", format!("run by {}", path.display())),
            None => fail(
                "modules",
                "there is no sunwork-wasm-runner",
                "install it beside sunwork-worker, or set `wasm_runner`",
            ),
        });
    }
    if wanted(Kind::Docker) {
        checks.push(engine(layer).await);
    }
    if layer.runtimes.is_none() && checks.iter().any(|check| check.verdict == Verdict::Pass) {
        for check in checks.iter_mut().filter(|check| check.verdict == Verdict::Fail) {
            check.verdict = Verdict::Warn;
        }
    }
    checks
}

async fn engine(layer: &Layer) -> Check {
    match tokio::time::timeout(PATIENCE, Docker::check(layer.docker_host.as_deref())).await {
        Ok(Ok(platform)) => pass("engine", platform),
        Ok(Err(error)) => {
            fail("engine", error.to_string(), "install and start Docker, and let this user use its socket")
        }
        Err(_) => fail("engine", "no answer in 10 s", "check that the engine runs (`docker info`)"),
    }
}

async fn oracles(layer: &Layer) -> Vec<Check> {
    let Ok(urls) = layer.oracle() else {
        return vec![fail("oracle", "none is named", "set `oracle` to the URL of an oracle of your network")];
    };
    let mut checks = Vec::new();
    for url in urls {
        // That it takes connections: what it serves is checked byte by byte anyway.
        let address = url.socket_addrs(|| None).ok().and_then(|all| all.first().copied());
        let shown = url.host_str().unwrap_or_default().to_owned();
        let Some(address) = address else {
            checks.push(fail("oracle", format!("{shown} is not found"), "check `oracle` and the name service"));
            continue;
        };
        checks.push(match tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await {
            Ok(Ok(_)) => pass("oracle", format!("{shown} takes connections")),
            Ok(Err(error)) => fail("oracle", format!("{shown}: {error}"), "check `oracle` and the network"),
            Err(_) => fail("oracle", format!("{shown}: no answer in 10 s"), "check `oracle` and the network"),
        });
    }
    checks
}

async fn running(layer: &Layer, folder: &Folder) -> Check {
    let locked = folder.is_in_use();
    match client::get::<Status>(&layer.control_socket(), "/v1/status").await {
        Ok(status) if status.not_working.is_empty() => {
            pass("worker", format!("runs as process {}, takes work", status.pid))
        }
        Ok(status) => {
            let reasons: Vec<&str> = status.not_working.iter().map(|reason| reason.text.as_str()).collect();
            warn(
                "worker",
                format!("runs, takes nothing new: {}", reasons.join("; ")),
                status.not_working[0].remedy.clone(),
            )
        }
        Err(_) if locked => {
            let fix = "name its socket with --control-socket, or wait: it may still be looking for chain and engine";
            warn("worker", "runs, and does not answer on its control socket", fix)
        }
        Err(_) => warn("worker", "does not run", "`systemctl start sunwork-worker`, or `sunwork-worker run`"),
    }
}

fn systemd() -> Check {
    let paths = ["/etc/systemd/system/sunwork-worker.service", "/usr/lib/systemd/system/sunwork-worker.service"];
    if !Path::new("/run/systemd/system").exists() {
        return warn("systemd", "this machine was not started by systemd", "see to it that the worker starts at boot");
    }
    match paths.iter().find(|path| Path::new(path).exists()) {
        Some(path) => pass("systemd", *path),
        None => {
            let fix = "`sunwork-worker init --print-unit > /etc/systemd/system/sunwork-worker.service && systemctl enable --now \
                       sunwork-worker`";
            warn("systemd", "there is no unit", fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_remedy_below_it() {
        let text = render(&[pass("chain", "chain 1"), fail("stake", "nothing is staked", "stake")]);
        assert_eq!(text, "pass  chain: chain 1\nFAIL  stake: nothing is staked\n      fix: stake\n");
    }

    #[test]
    fn a_clock_behind_the_chain_fails_and_an_old_block_is_worth_a_look() {
        assert_eq!(clock(1000, 1000).verdict, Verdict::Pass);
        assert_eq!(clock(1061, 1000).verdict, Verdict::Fail);
        assert_eq!(clock(1000, 1601).verdict, Verdict::Warn);
    }
}
