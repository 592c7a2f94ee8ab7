//! The runtimes of one worker behind the one trait: the platform of an image says whose it is.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::{BlobSource, Docker, ImageRef, LeafJob, LeafRun, Runtime, RuntimeError, Wasm, wasm};

/// A runtime, as settings name it and as it stands after the "+" of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Docker Engine.
    Docker,
    /// WebAssembly.
    Wasm,
}

impl Kind {
    /// The runtime of a class, by its name "platform+runtime".
    pub fn of_class(name: &str) -> Option<Self> {
        match name.rsplit_once('+')?.1 {
            "docker" => Some(Self::Docker),
            "wasmtime" => Some(Self::Wasm),
            _ => None,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Wasm => "wasm",
        })
    }
}

/// Those that a worker has.
#[derive(Clone, Debug, Default)]
pub struct Several {
    /// Images.
    pub docker: Option<Docker>,
    /// Modules.
    pub wasm: Option<Wasm>,
}

impl Several {
    fn of(&self, image: &ImageRef) -> Result<&dyn Runtime, RuntimeError> {
        let (found, missing): (Option<&dyn Runtime>, _) = if image.platform == wasm::PLATFORM {
            (self.wasm.as_ref().map(|r| r as &dyn Runtime), "wasm")
        } else {
            (self.docker.as_ref().map(|r| r as &dyn Runtime), "docker")
        };
        found.ok_or_else(|| RuntimeError::ImageUnusable {
            reason: format!(
                "it is for {}, and this worker runs without {missing} (setting `runtimes`)",
                image.platform
            ),
        })
    }

    /// What there is, for people.
    pub fn describe(&self) -> String {
        let docker = self.docker.as_ref().map(|docker| format!("docker ({})", docker.platform()));
        let wasm = self.wasm.as_ref().map(|wasm| format!("wasm ({})", wasm.runner().display()));
        docker.into_iter().chain(wasm).collect::<Vec<_>>().join(", ")
    }
}

impl Runtime for Several {
    fn prepare<'a>(
        &'a self,
        image: &'a ImageRef,
        fetch: &'a dyn BlobSource,
    ) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move { self.of(image)?.prepare(image, fetch).await })
    }

    fn run<'a>(&'a self, job: &'a LeafJob) -> BoxFuture<'a, Result<LeafRun, RuntimeError>> {
        Box::pin(async move { self.of(&job.image)?.run(job).await })
    }

    fn cpu_time<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async move {
            let by_wasm = match &self.wasm {
                Some(wasm) => wasm.cpu_time(name).await,
                None => None,
            };
            match (by_wasm, &self.docker) {
                (None, Some(docker)) => docker.cpu_time(name).await,
                (told, _) => told,
            }
        })
    }

    fn make_room(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(docker) = &self.docker {
                docker.make_room().await;
            }
            if let Some(wasm) = &self.wasm {
                wasm.make_room().await;
            }
        })
    }
}
