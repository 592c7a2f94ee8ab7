//! Foundry's programs, and what we call them for.
use std::{
    env,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::primitives::Address;
use eyre::{WrapErr, bail, eyre};
use tokio::process::Command;

use crate::{
    command::{capture, program},
    paths,
    stage::Stages,
};

/// The version that `package.json` pins.
const VERSION: &str = "1.7.1";
/// A cold build with the WebAssembly compiler on a slow machine.
const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// Compiling what is deployed is part of it.
const DEPLOY_LIMIT: Duration = Duration::from_secs(900);
const VERSION_LIMIT: Duration = Duration::from_secs(30);

/// The real program `name` (not npm's Node wrapper, whose death leaves the program alive): of the pinned version from PATH,
/// else from npm.
///
/// # Errors
/// When there is neither.
pub async fn tool(name: &str) -> eyre::Result<PathBuf> {
    for dir in env::var_os("PATH").iter().flat_map(env::split_paths) {
        let path = dir.join(name);
        if is_elf(&path) && is_pinned(&path).await {
            return Ok(path);
        }
    }
    let arch = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("no Foundry package for {other}; put {name} {VERSION} on PATH (https://getfoundry.sh)"),
    };
    let path = paths::root().join(format!("node_modules/@foundry-rs/{name}-{}-{arch}/bin/{name}", env::consts::OS));
    if !path.is_file() {
        bail!("{name} {VERSION} is neither on PATH nor at {}; run `cargo xtask setup`", path.display());
    }
    Ok(path)
}

/// `forge` for tests: with the legacy code generator, whose code is larger than a chain allows and some per cent dearer, but
/// compiles in a tenth of the time of the one that is deployed (`via_ir`): every test contract holds all contracts that it
/// makes. What is deployed is built by [`build`], which refuses what is too large, and is what the end-to-end tests and
/// `cargo xtask bench gas` run on.
///
/// # Errors
/// When there is no forge.
pub async fn forge_for_tests(args: &[&str]) -> eyre::Result<Command> {
    let mut command = forge(args).await?;
    let folder = paths::root().join("target/forge-test");
    command
        .args(["--code-size-limit", "10000000", "--no-match-contract", "SizesTest"])
        .env("FOUNDRY_VIA_IR", "false")
        .env("FOUNDRY_OUT", folder.join("out"))
        .env("FOUNDRY_CACHE_PATH", folder.join("cache"));
    Ok(command)
}

/// `forge` with these arguments, in the root.
///
/// # Errors
/// When there is no forge.
pub async fn forge(args: &[&str]) -> eyre::Result<Command> {
    let mut command = program(tool("forge").await?);
    // Its own words are the reason; a backtrace of its insides would push them out of sight.
    command.args(args).env("RUST_BACKTRACE", "0");
    Ok(command)
}

/// `forge` on contracts and scripts alone, with artifacts and cache of its own: a `forge test` that runs at the same time or
/// was interrupted cannot disturb a deployment, and no test is compiled for one.
async fn forge_apart(args: &[&str]) -> eyre::Result<Command> {
    let mut command = forge(args).await?;
    let dir = paths::state_dir().join("forge");
    command.env("FOUNDRY_OUT", dir.join("out")).env("FOUNDRY_CACHE_PATH", dir.join("cache"));
    Ok(command)
}

/// `forge lint`, with artifacts of its own: it compiles to bare ABIs, which forge takes for finished builds ever after, and then
/// dies for want of code to link.
///
/// # Errors
/// When there is no forge.
pub async fn lint() -> eyre::Result<Command> {
    let mut command = forge(&["lint", "--deny", "warnings"]).await?;
    let dir = paths::state_dir().join("forge-lint");
    command.env("FOUNDRY_OUT", dir.join("out")).env("FOUNDRY_CACHE_PATH", dir.join("cache"));
    Ok(command)
}

/// Folder of the artifacts that [`build`] writes.
pub fn artifacts() -> PathBuf {
    paths::state_dir().join("forge/out")
}

/// Before the first deployment of this clone: the contracts are compiled then, and forge is silent meanwhile.
pub fn say_if_it_takes_long(stages: &Stages) {
    if !artifacts().is_dir() {
        stages.note("the contracts are compiled for the network: a minute or two, this once");
    }
}

/// Compiles contracts and scripts. Says nothing when nothing is to be done.
///
/// # Errors
/// With the compiler's words.
pub async fn build() -> eyre::Result<()> {
    let _lock = Lock::take().await?;
    capture(forge_apart(&["build", "contracts", "script", "--sizes"]).await?, BUILD_LIMIT)
        .await
        .wrap_err("compiling the contracts")
        .map(drop)
}

/// Compiles one source file and what it imports, with the legacy code generator, and returns the folder of the artifacts: for
/// contracts that are no part of a deployment, such as a dapp.
///
/// # Errors
/// With the compiler's words.
pub async fn compile(source: &str) -> eyre::Result<PathBuf> {
    let _lock = Lock::take().await?;
    let dir = paths::state_dir().join("forge-apart");
    let out = dir.join("out");
    let mut command = forge(&["build", source]).await?;
    command.env("FOUNDRY_VIA_IR", "false").env("FOUNDRY_OUT", &out).env("FOUNDRY_CACHE_PATH", dir.join("cache"));
    capture(command, BUILD_LIMIT).await.wrap_err_with(|| format!("compiling {source}"))?;
    Ok(out)
}

/// Deploys with `script/Deploy.s.sol` from an account that the node signs for. Parameters and the resulting deployment file lie
/// in `dir`, which must be below `deployments/`: the script may write nowhere else.
///
/// # Errors
/// With forge's words.
pub async fn deploy(rpc_url: &str, deployer: Address, dir: &Path) -> eyre::Result<PathBuf> {
    let file = dir.join("deployment.json");
    let _lock = Lock::take().await?;
    let mut command =
        forge_apart(&["script", "script/Deploy.s.sol", "--rpc-url", rpc_url, "--broadcast", "--unlocked", "--slow"])
            .await?;
    command
        .args(["--sender", &deployer.to_string()])
        .env("SUNWORK_PARAMS", dir.join("params.json"))
        .env("SUNWORK_DEPLOYMENT_FILE", &file)
        .env("FOUNDRY_BROADCAST", dir.join("broadcast"));
    capture(command, DEPLOY_LIMIT).await.wrap_err("deploying the contracts")?;
    if !file.is_file() {
        bail!("forge ended well but wrote no {}", file.display());
    }
    Ok(file)
}

/// Checks what is on chain against a deployment file and this source, with `script/CheckDeployment.s.sol`.
///
/// # Errors
/// With the first difference.
pub async fn check_deployment(rpc_url: &str, file: &Path) -> eyre::Result<()> {
    let args = ["script", "script/CheckDeployment.s.sol", "--rpc-url", rpc_url];
    with_deployment(&args, file).await.wrap_err("checking the deployment").map(drop)
}

/// Runs `test/Deployment.t.sol` on a fork of a running network, and returns forge's words.
///
/// # Errors
/// When a test fails.
pub async fn test_deployment(rpc_url: &str, file: &Path) -> eyre::Result<String> {
    let args = ["test", "--match-path", "test/Deployment.t.sol", "--fork-url", rpc_url];
    with_deployment(&args, file).await.wrap_err("testing the deployed system")
}

/// Runs forge with a copy of the deployment file where it may read it: below `deployments/`.
async fn with_deployment(args: &[&str], file: &Path) -> eyre::Result<String> {
    let dir = paths::root().join("deployments/tmp");
    fs::create_dir_all(&dir).wrap_err_with(|| format!("making {}", dir.display()))?;
    let scratch = tempfile::tempdir_in(&dir).wrap_err_with(|| format!("making a folder in {}", dir.display()))?;
    let copy = scratch.path().join("deployment.json");
    fs::copy(file, &copy).wrap_err_with(|| format!("copying {}", file.display()))?;
    let _lock = Lock::take().await?;
    let mut command = forge_apart(args).await?;
    command.env("SUNWORK_DEPLOYMENT_FILE", copy);
    capture(command, DEPLOY_LIMIT).await
}

/// Two forges at once would write one cache.
struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    async fn take() -> eyre::Result<Self> {
        let dir = paths::state_dir();
        fs::create_dir_all(&dir).wrap_err_with(|| format!("making {}", dir.display()))?;
        let path = dir.join("forge.lock");
        let file = File::create(&path).wrap_err_with(|| format!("opening {}", path.display()))?;
        for _ in 0..BUILD_LIMIT.as_secs() * 20 {
            if file.try_lock().is_ok() {
                return Ok(Self(file));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(eyre!("another forge has held {} for too long", path.display()))
    }
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok() && &magic == b"\x7fELF")
}

async fn is_pinned(path: &Path) -> bool {
    let mut command = program(path);
    command.arg("--version");
    capture(command, VERSION_LIMIT).await.is_ok_and(|text| text.contains(VERSION))
}
