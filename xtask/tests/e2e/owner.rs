//! What a worker's owner says to it while it runs, on real processes: pause, resume, why, earnings, drain.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use eyre::{WrapErr, ensure, eyre};
use serde_json::Value;
use sunwork_protocol::status::{Ending, Status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::sleep,
};
use xtask::devnet::{Options, WorkerNode};

use crate::support::{Net, expect, small_bag};

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_worker_takes_nothing_says_why_and_works_once_resumed_then_runs_dry() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    for worker in &net.devnet.workers {
        let paused = said(worker, LIMIT, &["pause", "1h"]).await?;
        ensure!(paused["mode"]["mode"] == "paused" && paused["mode"]["until"].is_u64(), "{paused:#}");
    }
    expect_json_failure(&net.devnet.workers[0].dir().join("control.sock")).await?;

    let agreement = net.buy(small_bag(&image)).await?.address;
    for worker in &net.devnet.workers {
        let until = Instant::now() + LIMIT;
        loop {
            let why = said(worker, LIMIT, &["why"]).await?;
            if why["demand"]["excluded"][0]["reason"] == "paused" {
                ensure!(why["demand"]["seen"] == 1, "{why:#}");
                break;
            }
            ensure!(Instant::now() < until, "{} does not count what it let pass: {why:#}", worker.name);
            sleep(Duration::from_millis(500)).await;
        }
    }
    ensure!(net.status(agreement).await? == Status::Open, "a paused worker took it\n{}", net.logs());

    for worker in &net.devnet.workers {
        said(worker, LIMIT, &["resume"]).await?;
    }
    expect(net.until_over(agreement, 3 * LIMIT, |devnet, _| devnet.expect_alive()).await?, Ending::Verified)?;
    let view = net.view(agreement).await?;
    let who = net.devnet.workers.iter().position(|worker| worker.owner == view.worker);
    let who = who.ok_or_else(|| eyre!("nobody worked"))?;
    let worker = &net.devnet.workers[who];
    let why = said(worker, LIMIT, &["why"]).await?;
    ensure!(why["demand"]["worked"] == 1 && why["demand"]["seen"] == 1, "{why:#}");
    let csv = worker.once(&["earnings", "--csv"]).await?;
    ensure!(csv.lines().count() == 2 && csv.contains(&format!(",{agreement},")), "{csv}");

    // It has nothing left but to collect its pay, and stops by itself; its notes stay.
    let drained = said(worker, LIMIT, &["drain", "2m", "--wait"]).await?;
    ensure!(drained["stopped"] == true, "{drained:#}");
    let until = Instant::now() + LIMIT;
    let exit = loop {
        let process = net.devnet.workers[who].process_mut().ok_or_else(|| eyre!("no process"))?;
        if let Some(exit) = process.ended() {
            break exit;
        }
        ensure!(Instant::now() < until, "it did not stop\n{}", net.logs());
        sleep(Duration::from_millis(250)).await;
    };
    ensure!(exit.success(), "it ended with {exit}\n{}", net.logs());
    let why = said(&net.devnet.workers[who], LIMIT, &["why"]).await?;
    ensure!(why["demand"]["worked"] == 1, "{why:#}");
    net.devnet.stop().await
}

/// What a command says as JSON; a worker that is just starting is asked again.
async fn said(worker: &WorkerNode, limit: Duration, args: &[&str]) -> eyre::Result<Value> {
    let until = Instant::now() + limit;
    loop {
        match worker.once(&[args, &["--output", "json"]].concat()).await {
            Ok(text) => return serde_json::from_str(&text).wrap_err(text),
            Err(error) if Instant::now() > until => return Err(error.wrap_err(format!("{} {args:?}", worker.name))),
            Err(_) => sleep(Duration::from_millis(250)).await,
        }
    }
}

/// A duration that cannot be read is refused in JSON, whatever content type the body has: it is no pause without an end.
async fn expect_json_failure(socket: &Path) -> eyre::Result<()> {
    let mut stream = UnixStream::connect(socket).await?;
    let request = "POST /v1/drain HTTP/1.1\r\nHost: worker\r\nContent-Length: 7\r\nConnection: close\r\n\r\nsecs=60";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| eyre!("no body: {answer}"))?;
    ensure!(head.starts_with("HTTP/1.1 400 ") && head.contains("application/json"), "{head}");
    let body: Value = serde_json::from_str(body)?;
    ensure!(body["error"].as_str().is_some_and(|error| error.contains("secs")), "{body:#}");
    Ok(())
}
