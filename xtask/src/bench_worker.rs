//! `cargo xtask bench worker`: what an idle worker costs its owner, how large it is, and what it adds to a plain run, each beside a
//! peer that is measured in the same minute: BOINC's client from Debian, `docker run`, a wasmtime call.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::Args;
use eyre::{WrapErr, bail, eyre};
use serde::Serialize;
use tokio::time::{Instant, sleep};

mod held;

use crate::{
    apps, binaries,
    command::{capture, cargo, program, show},
    devnet::{Devnet, Options as NetOptions, Runtime},
    package, paths,
    process::Process,
    setup,
    stage::Stages,
};

/// What BOINC's client takes by the requirements, where it is not there to be measured.
const BOINC_IDLE_RSS_MIB: f64 = 16.0;
const BOINC_IDLE_CPU_PCT: f64 = 0.03;
const BOINC_BINARY_MIB: f64 = 1.0;
/// What our own figures may be at most; the ratios are what counts, these are the goals.
const GOALS: [(&str, f64); 5] = [
    ("idle_rss_mib", 16.0),
    ("idle_cpu_pct", 0.03),
    ("binary_mib", 8.0),
    ("overhead_ms_docker", 50.0),
    ("overhead_ms_wasm", 50.0),
];
/// Of [`held`].
const HELD: [&str; 6] = [
    "agreements_held",
    "held_rss_mib",
    "held_rss_kib_each",
    "held_cpu_pct",
    "restart_to_answer_ms",
    "restart_to_accept_ms",
];
/// From the start of a process until it is idle.
const SETTLE: Duration = Duration::from_secs(15);
const STOP_GRACE: Duration = Duration::from_secs(10);
const MEASURE_LIMIT: Duration = Duration::from_secs(1800);
const MIB: f64 = 1024.0 * 1024.0;

/// How to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// How long the idle processes are watched, seconds
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    seconds: u64,
    /// Leaves of each runtime; the median counts
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// Agreements that the worker is to hold at once
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    agreements: u16,
    /// Use the release programs that are there, and build none
    #[arg(long)]
    no_build: bool,
    /// Measure no containers
    #[arg(long)]
    no_docker: bool,
}

/// An idle process.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Idle {
    rss_mib: f64,
    cpu_pct: f64,
}

/// Everything that was measured; a figure that could not be is missing.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    figures: BTreeMap<String, f64>,
    /// Named peers in the same run.
    peers: BTreeMap<String, f64>,
    /// Ours divided by the peer's.
    ratios: BTreeMap<String, f64>,
    /// Where BOINC's figures are from: measured, or the requirements'.
    boinc: &'static str,
    seconds: u64,
    runs: usize,
}

/// Measures, and prints a table or one JSON object.
///
/// # Errors
/// When something cannot be built, started or measured. Figures above their goals are printed, not errors.
pub async fn run(options: &Options) -> eyre::Result<()> {
    let mut stages = Stages::default();
    setup::packages(&mut stages).await?;
    // Runs as long as it is held.
    let _engine = if options.no_docker { None } else { Some(setup::engine(&mut stages).await?) };
    if !options.no_build {
        build().await?;
    }
    binaries::build().await?;
    let mut net = network().await?;
    let (idle, boinc) = idle(&mut net, Duration::from_secs(options.seconds)).await?;
    eprintln!("idle for {} s: worker {idle:?}, BOINC {boinc:?}", options.seconds);
    let held = held::measure(&mut net, options.agreements.into(), options.seconds).await;
    eprintln!("held: {held:?}");
    net.stop().await?;
    let mut added = overhead(options).await?;
    added.extend(held.wrap_err("holding many agreements")?);
    let report = report(options, idle, boinc, &added)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&report));
    }
    Ok(())
}

/// A program as it is delivered.
fn release(name: &str) -> PathBuf {
    package::program_path(name)
}

/// The programs as they are delivered, and what measures.
async fn build() -> eyre::Result<()> {
    package::build().await?;
    let mut command = cargo();
    command.args(["build", "--quiet", "--release", "--bins", "-p", "sunwork-bench-worker"]);
    show(command).await.wrap_err("building what measures")
}

/// A network with a block a second, and one worker on it, as it is delivered.
async fn network() -> eyre::Result<Devnet> {
    // Nobody may buy where too few could verify; the others are registered, and stopped.
    let mut options = NetOptions::for_tests()?.workers(3);
    options.runtime = Runtime::Wasm;
    let mut net = Devnet::start(options).await.wrap_err("starting a network")?;
    net.workers.iter_mut().for_each(crate::devnet::WorkerNode::stop);
    let node = &mut net.workers[0];
    // As an owner has it: how often it asks is the default.
    node.unset_env("SUNWORK_WORKER_POLL_MS");
    node.unset_env("SUNWORK_WORKER_IDLE_POLL_MS");
    for (name, value) in unit_memory()? {
        node.set_env(&name, &value);
    }
    node.set_env("SUNWORK_WORKER_WASM_RUNNER", &release("sunwork-wasm-runner").display().to_string());
    node.start_program(&release("sunwork-worker"), &[])?;
    Ok(net)
}

/// What the systemd unit says about memory: the worker is measured as it is delivered.
fn unit_memory() -> eyre::Result<Vec<(String, String)>> {
    let path = paths::root().join("deploy/sunwork-worker.service");
    let text = fs::read_to_string(&path).wrap_err_with(|| format!("reading {}", path.display()))?;
    let words = text.lines().filter_map(|line| line.strip_prefix("Environment=")).flat_map(str::split_whitespace);
    let pairs = words.filter(|word| word.starts_with("MALLOC_")).filter_map(|word| word.split_once('='));
    let found: Vec<_> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if found.is_empty() {
        bail!("found nothing about memory in {}, expected MALLOC_… variables", path.display());
    }
    Ok(found)
}

/// The worker with nothing to do, and BOINC's client without any project, side by side.
async fn idle(net: &mut Devnet, time: Duration) -> eyre::Result<(Idle, Option<Idle>)> {
    let folder = tempfile::tempdir()?;
    let mut boinc = boinc(folder.path())?;
    sleep(SETTLE).await;
    net.expect_alive()?;
    let pid = net.workers[0].process_mut().ok_or_else(|| eyre!("the worker is gone"))?.pid();
    let pids: Vec<u32> = [pid].into_iter().chain(boinc.as_ref().map(Process::pid)).collect();
    let before: Vec<u64> = pids.iter().map(|pid| cpu_ns(*pid)).collect::<eyre::Result<_>>()?;
    let start = Instant::now();
    sleep(time).await;
    let elapsed = start.elapsed();
    net.expect_alive()?;
    let mut found = Vec::new();
    for (pid, before) in pids.iter().zip(before) {
        let used = cpu_ns(*pid)?.saturating_sub(before);
        let cpu_pct = used as f64 / elapsed.as_nanos() as f64 * 100.0;
        found.push(Idle { rss_mib: rss_kib(*pid)? as f64 / 1024.0, cpu_pct });
    }
    if let Some(boinc) = &mut boinc {
        boinc.expect_alive()?;
        boinc.stop();
    }
    Ok((found[0], found.get(1).copied()))
}

/// BOINC's client on an empty folder, in a network of its own without any device: it must not ask anybody for projects. None
/// where it is not installed, or this user may not make such a network.
fn boinc(folder: &Path) -> eyre::Result<Option<Process>> {
    let here = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
    };
    let (Some(boinc), Some(unshare)) = (here("boinc"), here("unshare")) else { return Ok(None) };
    if !Command::new(&unshare).args(["--net", "true"]).status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let mut command = Command::new(unshare);
    command.arg("--net").arg(boinc).arg("--dir").arg(folder).args(["--no_gpus", "--no_gui_rpc"]).current_dir(folder);
    Process::spawn("boinc", command, &folder.join("log"), STOP_GRACE).map(Some)
}

/// CPU time of all threads that live, nanoseconds: the scheduler's own count, since ticks of 10 ms are too coarse here.
fn cpu_ns(pid: u32) -> eyre::Result<u64> {
    let doing = || format!("reading the CPU time of process {pid}");
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).wrap_err_with(doing)? {
        let text = fs::read_to_string(thread?.path().join("schedstat")).wrap_err_with(doing)?;
        sum += first_number(&text).ok_or_else(|| eyre!("no number in {text:?}"))?;
    }
    Ok(sum)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn rss_kib(pid: u32) -> eyre::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).wrap_err("reading the memory of a process")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(first_number).ok_or_else(|| eyre!("process {pid} has no VmRSS"))
}

/// Medians of `bench/worker`, by name.
async fn overhead(options: &Options) -> eyre::Result<BTreeMap<String, f64>> {
    let mut command = program(release("sunwork-bench-worker"));
    command.arg("--runs").arg(options.runs.to_string()).arg("--runner").arg(release("sunwork-wasm-runner"));
    if !options.no_docker {
        command.arg("--program").arg(apps::build("hostile").await?);
    }
    let text = capture(command, MEASURE_LIMIT).await.wrap_err("measuring leaves that do nothing")?;
    serde_json::from_str(&text).wrap_err_with(|| format!("reading the figures {text:?}"))
}

fn report(options: &Options, idle: Idle, boinc: Option<Idle>, added: &BTreeMap<String, f64>) -> eyre::Result<Report> {
    let size = |path: PathBuf| -> eyre::Result<f64> {
        let length = fs::metadata(&path).wrap_err_with(|| format!("looking at {}", path.display()))?.len();
        Ok(length as f64 / MIB)
    };
    let mut figures: BTreeMap<String, f64> = [
        ("idle_rss_mib", idle.rss_mib),
        ("idle_cpu_pct", idle.cpu_pct),
        ("binary_mib", size(release("sunwork-worker"))?),
        ("runner_binary_mib", size(release("sunwork-wasm-runner"))?),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let peer = boinc.unwrap_or(Idle { rss_mib: BOINC_IDLE_RSS_MIB, cpu_pct: BOINC_IDLE_CPU_PCT });
    let boinc_size = if boinc.is_some() { size("/usr/bin/boinc".into())? } else { BOINC_BINARY_MIB };
    let mut peers: BTreeMap<String, f64> =
        [("boinc_idle_rss_mib", peer.rss_mib), ("boinc_idle_cpu_pct", peer.cpu_pct), ("boinc_binary_mib", boinc_size)]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
    let mut ratios = BTreeMap::from([
        ("idle_rss_to_boinc".to_owned(), idle.rss_mib / peer.rss_mib),
        ("idle_cpu_to_boinc".to_owned(), idle.cpu_pct / peer.cpu_pct),
        ("binary_to_boinc".to_owned(), figures["binary_mib"] / boinc_size),
    ]);
    for (name, leaf, plain) in
        [("docker", "leaf_ms_docker", "docker_run_ms"), ("wasm", "leaf_ms_wasm", "wasmtime_call_ms")]
    {
        let (Some(leaf_ms), Some(plain_ms)) = (added.get(leaf), added.get(plain)) else { continue };
        figures.insert(leaf.to_owned(), *leaf_ms);
        figures.insert(format!("overhead_ms_{name}"), leaf_ms - plain_ms);
        ratios.insert(format!("leaf_{name}_to_plain"), leaf_ms / plain_ms);
    }
    figures.extend(HELD.iter().filter_map(|name| Some(((*name).to_owned(), *added.get(*name)?))));
    for name in ["docker_run_ms", "wasmtime_call_ms", "bare_process_ms", "true_process_ms"] {
        peers.extend(added.get(name).map(|value| (name.to_owned(), *value)));
    }
    if figures.values().any(|value| !value.is_finite()) {
        bail!("a figure is no number: {figures:?}");
    }
    let boinc = if boinc.is_some() { "measured in this run" } else { "not installed: the figures of the requirements" };
    let round =
        |map: BTreeMap<String, f64>| map.into_iter().map(|(k, v)| (k, (v * 10_000.0).round() / 10_000.0)).collect();
    Ok(Report {
        figures: round(figures),
        peers: round(peers),
        ratios: round(ratios),
        boinc,
        seconds: options.seconds,
        runs: options.runs,
    })
}

fn table(report: &Report) -> String {
    let goal = |name: &str| GOALS.iter().find(|(known, _)| *known == name).map(|(_, goal)| *goal);
    let mut out = format!("{:<24} {:>10} {:>8}\n", "", "measured", "goal");
    for (name, value) in &report.figures {
        let (goal, mark) = goal(name)
            .map_or((String::new(), ""), |goal| (format!("{goal:.2}"), if *value > goal { "  above" } else { "" }));
        out += &format!("{name:<24} {value:>10.3} {goal:>8}{mark}\n");
    }
    for (title, values) in [("peers", &report.peers), ("ours to the peer's", &report.ratios)] {
        out += &format!("\n{title}\n");
        out.extend(values.iter().map(|(name, value)| format!("{name:<24} {value:>10.3}\n")));
    }
    out + &format!("\nBOINC: {}; idle for {} s, {} runs\n", report.boinc, report.seconds, report.runs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_kernels_counts_of_this_process_are_read() {
        let pid = std::process::id();
        let before = cpu_ns(pid).unwrap();
        let spun: u64 = (0..3_000_000_u64).map(std::hint::black_box).sum();
        assert!(spun > 0 && cpu_ns(pid).unwrap() > before);
        assert!(rss_kib(pid).unwrap() > 1000);
        assert_eq!(first_number("  7612 kB"), Some(7612));
    }

    #[test]
    fn figures_above_their_goal_are_marked() {
        let figures = BTreeMap::from([("idle_rss_mib".to_owned(), 17.0), ("binary_mib".to_owned(), 7.0)]);
        let (peers, ratios) = (BTreeMap::new(), BTreeMap::from([("x".to_owned(), 0.5)]));
        let report = Report { figures, peers, ratios, boinc: "measured", seconds: 1, runs: 1 };
        let text = table(&report);
        assert!(text.contains("idle_rss_mib                 17.000    16.00  above"), "{text}");
        assert!(text.contains("binary_mib                    7.000     8.00\n"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((json["idle_rss_mib"].as_f64(), json["ratios"]["x"].as_f64()), (Some(17.0), Some(0.5)));
    }
}
