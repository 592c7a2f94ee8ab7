//! A real engine, an image of `apps/hostile`, and a cage around one run of it.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder};
use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use sunwork_protocol::image::archive_from_binary;
use sunwork_protocol::logs::MAX_LEAF_LOG_BYTES;
use sunwork_protocol::tar;
use sunwork_worker::runtime::cage::LABEL;
use sunwork_worker::runtime::room::Quota;
use sunwork_worker::runtime::{
    BlobSource, BlobSourceError, Docker, DockerConfig, ImageRef, LeafJob, LeafRun, Limits, Printing, Runtime,
    RuntimeError,
};

/// As many images as a worker keeps, of any size, on any disk.
pub const QUOTA: Quota = Quota { bytes: u64::MAX, count: 16, disk_percent: 100 };

/// Serves archives from memory.
#[derive(Default)]
pub struct Blobs(pub HashMap<[u8; 32], Vec<u8>>);

impl BlobSource for Blobs {
    fn fetch<'a>(
        &'a self,
        sha256: [u8; 32],
        max_bytes: u64,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<(), BlobSourceError>> {
        Box::pin(async move {
            let blob = self.0.get(&sha256).ok_or_else(|| BlobSourceError::Unknown("not in the test".into()))?;
            assert!(blob.len() as u64 <= max_bytes);
            std::fs::write(path, blob).map_err(|e| BlobSourceError::Temporary(e.to_string()))
        })
    }
}

/// Builds `apps/hostile` (a few seconds the first time, nothing later) and gives the binary.
pub fn hostile() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/hostile");
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(["build", "--release", "--locked", "--quiet"])
        .current_dir(&folder)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "building apps/hostile: {}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(folder.join("target/release/hostile")).expect("the binary is there")
}

fn entry(name: &str, data: &[u8], mode: u32) -> Vec<u8> {
    let mut out = tar::file_header_with_mode(name.as_bytes(), data.len() as u64, mode);
    out.extend_from_slice(data);
    out.resize(out.len() + tar::padding(data.len() as u64) as usize, 0);
    out
}

/// The hostile app with a `config` and a tag, as `docker save` would write it; its program has this mode.
pub fn saved(config: &str, mode: u32) -> Vec<u8> {
    let layer = [entry("app", &hostile(), mode), tar::END.to_vec()].concat();
    let diff_id = hex::encode(Sha256::digest(&layer));
    let arch = platform().trim_start_matches("linux/");
    let config = format!(
        r#"{{"os":"linux","architecture":"{arch}","config":{config},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff_id}"]}}}}"#
    );
    let manifest = r#"[{"Config":"c.json","Layers":["l.tar"],"RepoTags":["sunwork-test-operator:latest"]}]"#;
    [
        entry("c.json", config.as_bytes(), 0o644),
        entry("l.tar", &layer, 0o644),
        entry("manifest.json", manifest.as_bytes(), 0o644),
        tar::END.to_vec(),
    ]
    .concat()
}

/// An image whose program has this mode.
pub fn image_with_mode(mode: u32) -> Vec<u8> {
    saved(r#"{"Entrypoint":["/app"]}"#, mode)
}

/// Platform of this machine, as the engine on it has.
pub fn platform() -> &'static str {
    if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" }
}

/// A worker's engine for one test, with a label of its own.
pub struct Bench {
    pub docker: Docker,
    pub image: ImageRef,
    pub blobs: Blobs,
    pub label: String,
    pub folder: tempfile::TempDir,
}

impl Bench {
    /// With the hostile app prepared. Fails when no engine answers: a cage that was not tried is not tested.
    pub async fn new() -> Self {
        let mut bench = Self::empty().await;
        let (archive, digest, _) = archive_from_binary(&hostile(), platform(), "app");
        bench.blobs.0.insert(digest, archive);
        bench.image.digest = digest;
        bench.docker.prepare(&bench.image, &bench.blobs).await.expect("the image is good");
        bench
    }

    /// Without any image.
    pub async fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let label = format!("cage-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        let config =
            DockerConfig { host: None, work_dir: folder.path().to_owned(), label: label.clone(), quota: QUOTA };
        let docker = Docker::connect(config).await.unwrap_or_else(|error| {
            panic!("these tests need a Docker Engine that this user may use, and are never skipped: {error}")
        });
        let image = ImageRef { digest: [0; 32], name: None, platform: platform().into() };
        Self { docker, image, blobs: Blobs::default(), label, folder }
    }

    pub fn add(&mut self, archive: Vec<u8>) -> ImageRef {
        let digest: [u8; 32] = Sha256::digest(&archive).into();
        self.blobs.0.insert(digest, archive);
        ImageRef { digest, ..self.image.clone() }
    }

    pub fn job(&self, args: &[&str]) -> LeafJob {
        let input_dir = self.folder.path().join("in");
        std::fs::create_dir_all(&input_dir).unwrap();
        LeafJob {
            image: self.image.clone(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            env: vec![("IEXEC_BOT_TASK_INDEX".into(), "7".into())],
            input_dir,
            out_dir: self.folder.path().join("out"),
            limits: Limits {
                milli_cpu: 1000,
                memory_mib: 32,
                disk_mib: 16,
                max_pids: 24,
                leaf_secs: 60,
                output_mib: 1,
            },
            printing: Printing::new(MAX_LEAF_LOG_BYTES),
            network: None,
            name: format!("{}-leaf", self.label),
        }
    }

    /// Runs the app with these arguments and checks that nothing is left behind.
    pub async fn run(&self, args: &[&str]) -> LeafRun {
        self.run_job(&self.job(args)).await.expect("the engine works")
    }

    pub async fn run_job(&self, job: &LeafJob) -> Result<LeafRun, RuntimeError> {
        let run = self.docker.run(job).await;
        self.assert_nothing_left().await;
        if let Ok(run) = &run {
            assert!(!run.message.is_empty() && !run.message.contains('\n'), "one sentence: {:?}", run.message);
            assert!(!run.message.contains('\x1b'), "no control characters: {:?}", run.message);
        }
        run
    }

    pub async fn leftovers(&self) -> Vec<String> {
        let engine = engine();
        let filter = HashMap::from([("label", vec![format!("{LABEL}={}", self.label)])]);
        let containers = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let volumes = ListVolumesOptionsBuilder::default().filters(&filter).build();
        let containers = engine.list_containers(Some(containers)).await.unwrap();
        let volumes = engine.list_volumes(Some(volumes)).await.unwrap().volumes.unwrap_or_default();
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        containers
            .into_iter()
            .flat_map(|c| c.names.unwrap_or_default())
            .chain(volumes.into_iter().map(|v| v.name))
            .chain(mounts.lines().filter(|line| line.contains(&self.label)).map(str::to_owned))
            .collect()
    }

    pub async fn assert_nothing_left(&self) {
        assert_eq!(self.leftovers().await, Vec::<String>::new(), "containers, volumes or mounts are left");
    }
}

pub fn engine() -> bollard::Docker {
    bollard::Docker::connect_with_defaults().unwrap()
}

/// The text of the one output file.
pub fn text(run: &LeafRun) -> String {
    let path: &PathBuf = run.output.as_ref().unwrap_or_else(|| panic!("no output: {}", run.message));
    std::fs::read_to_string(path).unwrap()
}
