//! Work for positive workers (greenOnly), on workers that run on simulated sun: who makes less than it uses takes no part, says why, and
//! pays no gas for it; and what each worker says of its sun.

use std::time::Duration;

use alloy::{
    primitives::{Address, FixedBytes, U256},
    providers::{Provider, ext::AnvilApi},
};
use eyre::{WrapErr, ensure};
use serde_json::{Value, json};
use sunwork_client::{Problem, job::JobBuilder};
use sunwork_protocol::{
    abi::{IEnergyLedger, SunToken},
    energy::{Body, Counts, DAY_SECS, DeviceKey, Meter, Record},
    status::Ending,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xtask::{
    apps,
    devnet::{Devnet, Options, Runtime, SUN, WorkerNode},
};

use crate::support::{Net, expect};

const LIMIT: Duration = Duration::from_secs(90);
/// What three workers make a day, and the fourth, Wh. Each is charged 8 W around the clock: 192 Wh.
const MADE_WH: [u16; 4] = [300, 300, 300, 96];

#[tokio::test(flavor = "multi_thread")]
async fn green_work_is_for_positive_workers_and_the_others_say_why_and_pay_nothing() -> eyre::Result<()> {
    let mut options = Options { runtime: Runtime::Wasm, ..Options::for_tests()? };
    for seed in 0..4 {
        options = options.plant(json!({
            "start": 1_780_315_200, "days": 1, "panel_wp": 100, "battery_wh": 512, "charge_permille": 900, "board": "pi4b", "seed": seed,
        }));
    }
    let mut net = Net::start(options).await?;
    let module = apps::module("raytrace", net.files.path()).await?;
    let job = JobBuilder::new(module.archive.display().to_string())
        .args(["--width", "64", "--height", "36", "--samples", "2"])
        .leaves(4)
        .samples(2)
        .reward(100 * SUN, 100 * SUN)
        .verifier_fee(5 * SUN)
        .green_only(true);
    let plan = net.client.plan(&job.clone().build()?).await?;
    let preflight = net.client.preflight(&plan, None).await?;
    let Some(Problem::TooFewPositive { have: 0, need: 3, reasons, .. }) = preflight.problems.first() else {
        panic!("without meters nobody is positive: {preflight:?}")
    };
    assert!(reasons[0].starts_with("4: no energy meter"), "{reasons:?}");

    a_day_of_sun(&net.devnet).await?;
    let short = &net.devnet.workers[3];
    let (owner, device) = (short.owner, short.device);
    let preflight = net.client.preflight(&plan, None).await?;
    assert_eq!(preflight.problems, [], "three are enough");
    let workers = net.client.workers(10).await?.workers;
    let of = |address: Address| workers.iter().find(|worker| worker.address == address).expect("it is registered");
    assert_eq!(of(net.devnet.workers[0].owner).positive, Some(true));
    assert_eq!(of(owner).not_positive.as_deref(), Some("its attested net energy is -96 Wh < 0 Wh"));

    let sent = net.devnet.chain.provider().get_transaction_count(device).await?;
    let agreement = net.buy(job).await?.address;
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified).wrap_err_with(|| net.logs())?;
    let view = net.view(agreement).await?;
    let mut parties: Vec<Address> = view.slots.iter().map(|slot| slot.verifier).chain([view.worker]).collect();
    parties.sort_unstable();
    let mut positive: Vec<Address> = net.devnet.workers[..3].iter().map(|worker| worker.owner).collect();
    positive.sort_unstable();
    assert_eq!(parties, positive);
    assert_eq!(net.devnet.chain.provider().get_transaction_count(device).await?, sent, "the fourth sent nothing");
    let why: Value = serde_json::from_str(&net.devnet.workers[3].once(&["why", "--output", "json"]).await?)?;
    let excluded = &why["demand"]["excluded"];
    assert_eq!(
        (&excluded[0]["reason"], excluded.as_array().map(Vec::len)),
        (&json!("green_deficit"), Some(1)),
        "{why:#}"
    );
    assert_eq!(
        excluded[0]["measured"],
        json!({
            "lowest": -96, "highest": -96, "limit": 0, "unit": "Wh", "bound": "at_least",
        })
    );
    net.expect_stakes_whole(&[]).await?;

    for worker in &net.devnet.workers {
        says_what_it_runs_on(worker, agreement).await.wrap_err_with(|| worker.name.clone())?;
    }
    net.devnet.stop().await
}

/// Registers a meter for each worker, lets a day pass on chain, and attests it.
async fn a_day_of_sun(devnet: &Devnet) -> eyre::Result<()> {
    let (provider, ledger) = (devnet.chain.provider(), devnet.deployment.energy_ledger);
    let contract = IEnergyLedger::new(ledger, provider);
    let chain_id = devnet.deployment.chain_id;
    // Owners are no accounts of the node.
    provider.anvil_auto_impersonate_account(true).await?;
    let bond = U256::from(contract.params().call().await?.bond);
    let keys: Vec<DeviceKey> = (1..5).map(|byte| DeviceKey::from_bytes(&[byte; 32])).collect::<Result<_, _>>()?;
    for (worker, key) in devnet.workers.iter().zip(&keys) {
        let public = key.public();
        let meter = Meter {
            key: public,
            nameplate_watts: 100,
            country: FixedBytes(*b"NL"),
            latitude_decidegrees: 524,
            longitude_decidegrees: 49,
        };
        let signature = key.sign(meter.digest(chain_id, ledger, worker.owner));
        devnet.chain.fund(worker.owner).await?;
        let approve = SunToken::approveCall { spender: ledger, amount: bond };
        devnet.chain.send(worker.owner, devnet.deployment.token, approve).await?;
        let meter = IEnergyLedger::Meter {
            keyX: public.x,
            keyY: public.y,
            nameplateWatts: meter.nameplate_watts,
            country: meter.country,
            latitudeDecidegrees: meter.latitude_decidegrees,
            longitudeDecidegrees: meter.longitude_decidegrees,
        };
        let register = IEnergyLedger::registerCall { meter, signature: signature.to_vec().into() };
        devnet.chain.send(worker.owner, ledger, register).await.wrap_err("registering a meter")?;
    }
    provider.anvil_increase_time(DAY_SECS).await?;
    provider.anvil_mine(Some(1), None).await?;
    for ((worker, key), wh) in devnet.workers.iter().zip(&keys).zip(MADE_WH) {
        let last = contract.meterOf(worker.owner).call().await?;
        let mut counts = Counts::default();
        counts.0[40..52].fill(wh / 12);
        let record = Record {
            worker: worker.owner,
            sequence: 1,
            day: last.state.day + 1,
            counter_epoch: 0,
            counter_wh: wh.into(),
            body: Body::Production(Box::new(counts)),
        };
        let signed = record.sign(key, chain_id, ledger, last.link)?.pack()?;
        let submit = IEnergyLedger::submitCall { signedRecord: signed.into() };
        devnet.chain.send(worker.owner, ledger, submit).await.wrap_err("attesting a day")?;
    }
    provider.anvil_auto_impersonate_account(false).await?;
    Ok(())
}

/// Command, control API and metrics agree about battery, sun and plan of a simulated worker.
async fn says_what_it_runs_on(worker: &WorkerNode, agreement: Address) -> eyre::Result<()> {
    let told: Value = serde_json::from_str(&worker.once(&["energy", "--output", "json"]).await?)?;
    assert_eq!((&told["schema"], &told["simulated"]), (&json!("sunwork.worker.energy.v1"), &json!(true)));
    let charge = told["battery"]["permille"].as_i64().expect("a charge");
    ensure!((850..=1000).contains(&charge), "the battery began at 900 thousandths: {told:#}");
    ensure!(told["harvest"]["power"].as_i64() > Some(0), "it is noon: {told:#}");
    ensure!(told["forecast"]["slots"].as_array().is_some_and(|slots| !slots.is_empty()), "{told:#}");
    ensure!(told["plan"].as_array().is_some_and(|plan| !plan.is_empty()), "{told:#}");
    ensure!(told["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{told:#}");
    assert_eq!(told["troubles"], json!([]), "{told:#}");
    let spent = &told["agreements"][format!("{agreement:?}")];
    if spent.is_object() {
        let of = |key: &str| spent[key].as_i64().unwrap_or(-1);
        ensure!((0..=of("milliwattHours")).contains(&of("directMilliwattHours")), "{told:#}");
    }

    let people = worker.once(&["energy"]).await?;
    for line in ["Simulated", "Battery", "Harvest", "Forecast", "Plan", "Now"] {
        ensure!(people.lines().any(|l| l.starts_with(line)), "no {line}: {people}");
    }
    let metrics = control(worker, "/v1/metrics").await?;
    let gauge = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("sunwork_worker_energy_{name} ")));
        line.and_then(|line| line.split(' ').nth(1)?.parse::<f64>().ok()).unwrap_or(-1.0)
    };
    ensure!((850.0..=1000.0).contains(&gauge("battery_permille")), "{metrics}");
    ensure!(gauge("harvest_milliwatts") > 0.0 && gauge("forecast_rest_of_day_milliwatt_hours") > 0.0, "{metrics}");
    Ok(())
}

/// The body of an answer over the worker's own socket.
async fn control(worker: &WorkerNode, path: &str) -> eyre::Result<String> {
    let mut socket = tokio::net::UnixStream::connect(worker.dir().join("control.sock")).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Ok(answer)
}
