//! How long a leaf of an app that does nothing takes in each runtime of the worker, beside the same thing done plainly: `docker
//! run` of the same image, a wasmtime call of the same module, and the bare process. One JSON object of medians, milliseconds.
//!
//! The three are run in turns, so that whatever else the machine does falls on all of them alike.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::Parser;
use eyre::{WrapErr, bail, eyre};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use sunwork_protocol::{
    image::{WASM_PLATFORM, archive_from_binary},
    leaf::Outcome,
};
use sunwork_worker::runtime::{
    BlobSource, BlobSourceError, Docker, DockerConfig, ImageRef, LeafJob, Limits, Printing, Runtime, Wasm, WasmConfig,
    room::Quota,
};

const LIMITS: Limits =
    Limits { milli_cpu: 1000, memory_mib: 64, disk_mib: 16, max_pids: 16, leaf_secs: 60, output_mib: 1 };
const QUOTA: Quota = Quota { bytes: u64::MAX, count: 1024, disk_percent: 100 };
/// The same as the program's `nothing`: an empty file, declared.
const MODULE: &str = r#"(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "computed.json") (data (i32.const 128) "result")
  (data (i32.const 192) "{\"deterministic-output-path\":\"/iexec_out/result\"}")
  (func $create (param $path i32) (param $length i32) (result i32)
    (if (call $open (i32.const 4) (i32.const 0) (local.get $path) (local.get $length) (i32.const 9) (i64.const 64) (i64.const 0)
          (i32.const 0) (i32.const 0)) (then unreachable))
    (i32.load (i32.const 0)))
  (func (export "_start")
    (drop (call $create (i32.const 128) (i32.const 6)))
    (i32.store (i32.const 8) (i32.const 192)) (i32.store (i32.const 12) (i32.const 49))
    (drop (call $write (call $create (i32.const 64) (i32.const 13)) (i32.const 8) (i32.const 1) (i32.const 16)))))"#;

/// What to measure with.
#[derive(Parser)]
struct Args {
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 21)]
    runs: usize,
    /// The static program whose subcommand `nothing` does nothing; without it, no containers.
    #[arg(long)]
    program: Option<PathBuf>,
    /// The WebAssembly runner.
    #[arg(long)]
    runner: PathBuf,
}

struct OneBlob(Vec<u8>);

impl BlobSource for OneBlob {
    fn fetch<'a>(&'a self, _: [u8; 32], _: u64, path: &'a Path) -> BoxFuture<'a, Result<(), BlobSourceError>> {
        Box::pin(async move { std::fs::write(path, &self.0).map_err(|e| BlobSourceError::Temporary(e.to_string())) })
    }
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let args = Args::parse();
    let mut medians = BTreeMap::new();
    let folder = tempfile::tempdir()?;
    wasm(&args, folder.path(), &mut medians).await.wrap_err("measuring WebAssembly")?;
    if let Some(program) = &args.program {
        docker(&args, program, folder.path(), &mut medians).await.wrap_err("measuring containers")?;
    }
    println!("{}", serde_json::to_string(&medians)?);
    Ok(())
}

fn job(image: ImageRef, folder: &Path, args: &[&str]) -> eyre::Result<LeafJob> {
    std::fs::create_dir_all(folder.join("in"))?;
    Ok(LeafJob {
        image,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: vec![],
        input_dir: folder.join("in"),
        out_dir: folder.join("out"),
        limits: LIMITS,
        printing: Printing::new(1024),
        network: None,
        name: format!("sunwork-bench-{}", std::process::id()),
    })
}

async fn leaf(runtime: &dyn Runtime, job: &LeafJob) -> eyre::Result<f64> {
    let start = Instant::now();
    let run = runtime.run(job).await?;
    let took = millis(start);
    if run.record.outcome != Outcome::Completed {
        bail!("the app that does nothing ended otherwise: {}", run.message);
    }
    Ok(took)
}

async fn wasm(args: &Args, folder: &Path, medians: &mut BTreeMap<&'static str, f64>) -> eyre::Result<()> {
    let module = wat::parse_str(MODULE).map_err(|e| eyre!("{e}"))?;
    let config = WasmConfig { runner: Some(args.runner.clone()), work_dir: folder.to_owned(), quota: QUOTA };
    let runtime = Wasm::open(config)?;
    let image = ImageRef { digest: Sha256::digest(&module).into(), name: None, platform: WASM_PLATFORM.into() };
    runtime.prepare(&image, &OneBlob(module.clone())).await?;
    let job = job(image, folder, &[])?;
    let (mut leaves, mut calls, mut processes) = (vec![], vec![], vec![]);
    for _ in 0..args.runs {
        leaves.push(leaf(&runtime, &job).await?);
        calls.push(plain_call(&module)?);
        processes.push(command(Command::new("true"))?);
    }
    medians.insert("leaf_ms_wasm", median(leaves));
    medians.insert("wasmtime_call_ms", median(calls));
    medians.insert("true_process_ms", median(processes));
    Ok(())
}

/// Compiles and calls the module in this process, its two imports answered by nothing: the engine alone.
fn plain_call(module: &[u8]) -> eyre::Result<f64> {
    let failed = |error: wasmtime::Error| eyre!("{error:#}");
    let start = Instant::now();
    let mut config = wasmtime::Config::new();
    config.consume_fuel(true).cranelift_nan_canonicalization(true);
    let engine = wasmtime::Engine::new(&config).map_err(failed)?;
    let module = wasmtime::Module::new(&engine, module).map_err(failed)?;
    let mut linker = wasmtime::Linker::<()>::new(&engine);
    let wasi = "wasi_snapshot_preview1";
    let open = |_: i32, _: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32, _: i32| 0_i32;
    linker.func_wrap(wasi, "path_open", open).map_err(failed)?;
    linker.func_wrap(wasi, "fd_write", |_: i32, _: i32, _: i32, _: i32| 0_i32).map_err(failed)?;
    let mut store = wasmtime::Store::new(&engine, ());
    store.set_fuel(1_000_000).map_err(failed)?;
    let instance = linker.instantiate(&mut store, &module).map_err(failed)?;
    let call = instance.get_typed_func::<(), ()>(&mut store, "_start").map_err(failed)?;
    call.call(&mut store, ()).map_err(failed)?;
    Ok(millis(start))
}

async fn docker(
    args: &Args,
    program: &Path,
    folder: &Path,
    medians: &mut BTreeMap<&'static str, f64>,
) -> eyre::Result<()> {
    let config = DockerConfig { host: None, work_dir: folder.to_owned(), label: "sunwork-bench".into(), quota: QUOTA };
    let runtime = Docker::connect(config).await?;
    let binary = std::fs::read(program).wrap_err_with(|| format!("reading {}", program.display()))?;
    let (archive, digest, id) = archive_from_binary(&binary, runtime.platform(), "app");
    let image = ImageRef { digest, name: None, platform: runtime.platform().into() };
    runtime.prepare(&image, &OneBlob(archive)).await?;
    let job = job(image, folder, &["nothing"])?;
    // The image of the folder's holder is loaded with the first leaf.
    leaf(&runtime, &job).await?;
    let (mut leaves, mut plain, mut bare) = (vec![], vec![], vec![]);
    for _ in 0..args.runs {
        leaves.push(leaf(&runtime, &job).await?);
        let mut run = Command::new("docker");
        run.args([
            "run",
            "--rm",
            "--network=none",
            "--read-only",
            "--cap-drop=ALL",
            "--memory=144m",
            "--pids-limit=18",
        ]);
        run.args(["--user=65534:65534", "--tmpfs=/iexec_out:size=16m,mode=1777", &id, "nothing"]);
        plain.push(command(run)?);
        let mut process = Command::new(program);
        process.arg("who");
        bare.push(command(process)?);
    }
    medians.insert("leaf_ms_docker", median(leaves));
    medians.insert("docker_run_ms", median(plain));
    medians.insert("bare_process_ms", median(bare));
    Ok(())
}

fn command(mut command: Command) -> eyre::Result<f64> {
    let start = Instant::now();
    let output = command.output().wrap_err_with(|| format!("starting {:?}", command.get_program()))?;
    let took = millis(start);
    if !output.status.success() {
        bail!("{:?} failed: {}", command.get_program(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(took)
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).map_or(f64::NAN, |middle| (middle * 100.0).round() / 100.0)
}
