//! The programs that people run, as processes on a network: the `sunwork` command from job file to logs, two of it at once on one
//! wallet, and the example on the SDK.

use std::time::Duration;

use eyre::{ensure, eyre};
use sunwork_protocol::status::Ending;
use tokio::process::Command;
use xtask::{binaries, devnet::Options};

use crate::{
    cli::{LIMIT, json, run, sunwork},
    support::{Net, expect},
};

const SECRET: &str = "words that only the client and its workers read";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_file_is_run_to_its_results_and_logs() -> eyre::Result<()> {
    let net = Net::start(Options::for_tests()?).await?;
    let image = net.image("hostile").await?;
    let home = tempfile::tempdir()?;
    std::fs::write(home.path().join("notes.txt"), SECRET)?;
    let job = format!(
        "version: 1\nimage: {}\nargs: [echo, {SECRET:?}]\ninputs: [notes.txt]\nleaves: 3\nverifiers: 2\nsamples: 2\nreward: 100\nfee: 5\n\
         resources: {{ memory: 64M, disk: 16M, leafTime: 30s, outputSize: 8M }}\n",
        image.archive.display()
    );
    std::fs::write(home.path().join("job.yaml"), job)?;

    let plan = json(sunwork(&net, home.path(), &["plan", "-f", "job.yaml"])?, 0).await?;
    ensure!(plan["schema"] == "sunwork.plan.v1" && plan["eligible"] == 4, "{plan:#}");

    let report = json(sunwork(&net, home.path(), &["run", "-f", "job.yaml", "--yes", "--out", "out"])?, 0).await?;
    ensure!(report["ending"] == "verified", "{report:#}");
    let id = report["agreement"].as_str().ok_or_else(|| eyre!("no id: {report:#}"))?.to_owned();
    let echo = std::fs::read_to_string(home.path().join("out/leaf-0001/echo.txt"))?;
    assert_eq!(echo, format!("args echo {SECRET}\ninput notes.txt {SECRET}\nleaf 1\n"));

    // By a beginning of its id, one file to standard output, hash-checked.
    let short = &id[..10];
    let mut cat = sunwork(&net, home.path(), &["results", short, "--leaf", "2", "--file", "echo.txt", "--stdout"])?;
    cat.env_remove("SUNWORK_OUTPUT");
    let (code, out, err) = run(cat).await?;
    assert_eq!(
        (code, out.as_str()),
        (0, format!("args echo {SECRET}\ninput notes.txt {SECRET}\nleaf 2\n").as_str()),
        "{err}"
    );

    let status = json(sunwork(&net, home.path(), &["status", short])?, 0).await?;
    ensure!(status["agreement"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(&id)), "{status:#}");
    ensure!(!status.to_string().contains(SECRET), "the status tells a secret: {status:#}");

    // The worker sends logs a moment after its reveal.
    let logs = async {
        loop {
            let mut logs = sunwork(&net, home.path(), &["logs", short, "--leaf", "0", "--stdout"])?;
            logs.env_remove("SUNWORK_OUTPUT");
            let (code, out, err) = run(logs).await?;
            if code == 0 {
                return Ok::<_, eyre::Report>(out);
            }
            ensure!(err.contains("there are no logs"), "exit {code}: {err}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let logs = tokio::time::timeout(LIMIT, logs).await??;
    assert_eq!(logs, format!("args echo {SECRET}\ninput notes.txt {SECRET}\nleaf 0\n"));
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_at_once_on_one_wallet_buy_one_each() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    let home = tempfile::tempdir()?;
    let archive = image.archive.display().to_string();
    let buy = |width: &'static str| {
        let args = [
            "run",
            &archive,
            "--public",
            "--yes",
            "--detach",
            "--reward",
            "100",
            "--fee",
            "5",
            "--leaf-time",
            "30s",
            "--memory",
            "64M",
            "--disk",
            "16M",
            "--output-size",
            "8M",
            "--",
            "--width",
            width,
            "--height",
            "36",
            "--samples",
            "2",
        ];
        sunwork(&net, home.path(), &args)
    };
    // What nobody could take is not bought: no worker has so much stake free.
    let dear = ["run", &archive, "--public", "--yes", "--detach", "--reward", "5000", "--fee", "5"];
    let (code, _, err) = run(sunwork(&net, home.path(), &dear)?).await?;
    ensure!(code == 7 && err.contains("too little free stake") && err.contains("--anyway"), "exit code {code}: {err}");

    let (one, two) = tokio::join!(json(buy("64")?, 0), json(buy("96")?, 0));
    let mut ids = Vec::new();
    for report in [one?, two?] {
        ids.push(report["agreement"].as_str().ok_or_else(|| eyre!("no id: {report:#}"))?.parse()?);
    }
    assert_ne!(ids[0], ids[1], "each command bought its own");
    for id in ids {
        let ending = net.until_over(id, LIMIT, |devnet, _| devnet.expect_alive()).await?;
        expect(ending, Ending::Verified)?;
    }
    net.devnet.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_buys_a_bag_and_streams_its_leaves() -> eyre::Result<()> {
    let net = Net::start(Options::for_tests()?).await?;
    let image = net.image("hostile").await?;
    let home = tempfile::tempdir()?;
    let keystore = net.devnet.client_keystore();
    let mut example = Command::new(binaries::path("example-bag")?);
    example
        .arg(net.devnet.deployment_file())
        .arg(&keystore)
        .arg(keystore.with_file_name("password"))
        .arg(&image.archive)
        .args(["5", "2", "echo", "sun"])
        .current_dir(home.path())
        .env("SUNWORK_RPC", net.devnet.rpc_url().as_str())
        .env("SUNWORK_ORACLE", net.devnet.oracle_url().as_str())
        .kill_on_drop(true);
    let (code, out, err) = run(example).await?;
    ensure!(code == 0, "exit code {code}\n{out}\n{err}\n{}", net.logs());
    let mut leaves: Vec<&str> = out.lines().filter(|line| line.starts_with("leaf ")).collect();
    leaves.sort_unstable();
    assert_eq!(leaves.len(), 5, "{out}");
    for (index, line) in leaves.iter().enumerate() {
        assert!(line.starts_with(&format!("leaf {index}: 1 files in bag-results/")), "{line}");
    }
    net.devnet.stop().await
}
