//! A worker's WebAssembly runtime on a folder of its own, and apps written as text.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;

use futures::future::BoxFuture;
use sha2::{Digest, Sha256};
use sunwork_runner_wire::Report;
use sunwork_worker::runtime::{
    BlobSource, BlobSourceError, ImageRef, LeafJob, LeafRun, Limits, Printing, Runtime, RuntimeError, Wasm, WasmConfig,
    wasm::PLATFORM,
};
use tempfile::TempDir;

pub const LIMITS: Limits =
    Limits { milli_cpu: 1000, memory_mib: 16, disk_mib: 4, max_pids: 1, leaf_secs: 20, output_mib: 2 };

const QUOTA: sunwork_worker::runtime::room::Quota =
    sunwork_worker::runtime::room::Quota { bytes: u64::MAX, count: 64, disk_percent: 100 };

/// What the apps below have in common: imports, a memory, and how to print, open, write and declare.
const PRELUDE: &str = include_str!("prelude.wat");

pub struct Bench {
    pub folder: TempDir,
    pub wasm: Wasm,
}

struct OneBlob<'a>(&'a [u8]);

impl BlobSource for OneBlob<'_> {
    fn fetch<'a>(
        &'a self,
        sha256: [u8; 32],
        max_bytes: u64,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<(), BlobSourceError>> {
        Box::pin(async move {
            let found: [u8; 32] = Sha256::digest(self.0).into();
            if found != sha256 || self.0.len() as u64 > max_bytes {
                return Err(BlobSourceError::Unknown("not that blob, or too large".into()));
            }
            std::fs::write(path, self.0).map_err(|e| BlobSourceError::Temporary(e.to_string()))
        })
    }
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another one, say of another processor under qemu (`cargo xtask arm`).
        let other = std::env::var_os("SUNWORK_TEST_WASM_RUNNER").map(Into::into);
        let runner = Some(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_sunwork-wasm-runner").into()));
        let wasm = Wasm::open(WasmConfig { runner, work_dir: folder.path().to_owned(), quota: QUOTA }).unwrap();
        Self { folder, wasm }
    }

    pub fn job(&self, module: &[u8]) -> LeafJob {
        LeafJob {
            image: image(module),
            args: vec![],
            env: vec![("IEXEC_TASK_ID".into(), format!("0x{}", "11".repeat(32))), ("A".into(), "b".into())],
            input_dir: self.folder.path().join("in"),
            out_dir: self.folder.path().join("out"),
            limits: LIMITS,
            printing: Printing::new(64 * 1024),
            network: None,
            name: "leaf".into(),
        }
    }

    pub async fn prepare(&self, module: &[u8]) -> Result<(), RuntimeError> {
        self.wasm.prepare(&image(module), &OneBlob(module)).await
    }

    /// Prepares and runs with these limits.
    pub async fn run_with(&self, module: &[u8], change: impl FnOnce(&mut LeafJob)) -> (LeafRun, Report) {
        self.prepare(module).await.unwrap();
        let mut job = self.job(module);
        change(&mut job);
        self.wasm.run_measured(&job).await.unwrap()
    }

    pub async fn run(&self, module: &[u8]) -> LeafRun {
        self.run_with(module, |_| {}).await.0
    }

    /// Why a module is not taken.
    pub async fn refusal(&self, module: &[u8]) -> String {
        let error = self.prepare(module).await.unwrap_err();
        assert_eq!(error.class(), sunwork_worker::runtime::ErrorClass::Refuse, "{error}");
        error.to_string()
    }
}

pub fn image(module: &[u8]) -> ImageRef {
    ImageRef { digest: Sha256::digest(module).into(), name: None, platform: PLATFORM.into() }
}

/// An app whose `_start` has this body; more fields may follow the body's closing parenthesis.
pub fn app(body: &str) -> Vec<u8> {
    text(&format!("(module {PRELUDE} (func (export \"_start\") {body}))"))
}

pub fn text(module: &str) -> Vec<u8> {
    wat::parse_str(module).unwrap_or_else(|e| panic!("{e}"))
}
