//! The start: node, facts and engines, waited for where they may come.
use std::time::Duration;

use alloy::primitives::Address;
use eyre::eyre;
use sunwork_edge::{
    Deployment, Rpc,
    rpc::{self, RpcOptions},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::Chain,
    config::Layer,
    facts::Facts,
    folder::Folder,
    runtime::{Docker, DockerConfig, Kind, Several, Wasm, WasmConfig},
};

/// Pause between attempts to reach node or engine at the start.
pub(super) const START_PAUSE: Duration = Duration::from_secs(3);

/// Connection and facts: from the chain or, where no node answers and an earlier start kept them, from the data folder, so that what
/// was running goes on without network. `None` on shutdown.
pub(super) async fn beginning(
    settings: &Layer,
    deployment: &Deployment,
    folder: &Folder,
    device: Address,
    shutdown: &CancellationToken,
) -> eyre::Result<Option<(Rpc, Facts)>> {
    let attempt = || async {
        let asked = async {
            let rpc = connect(settings, deployment).await?;
            let facts = retry(Facts::read(&Chain::new(rpc.clone(), deployment.clone()), device).await)?;
            Ok((rpc, facts))
        };
        let error = match asked.await {
            Ok((rpc, facts)) => {
                if facts.me.is_zero() {
                    let sentence = "acts for no worker; run `sunwork-worker register` with the owner's key first";
                    return Err(Start::Never(eyre!("the device key {device} {sentence}")));
                }
                if let Err(error) = facts.keep(&folder.facts()) {
                    tracing::warn!(%error, "what the chain said is not kept: a start without network will have to wait for it");
                }
                return Ok((rpc, facts));
            }
            Err(Start::Never(error)) => return Err(Start::Never(error)),
            Err(Start::NotYet(error)) => error,
        };
        let Some(facts) = Facts::kept(&folder.facts(), deployment, device) else { return Err(Start::NotYet(error)) };
        tracing::warn!("{error:#}; going on from local state until a node answers");
        let urls = settings.rpc().map_err(|error| Start::Never(error.into()))?;
        let rpc = rpc::connect_later(urls, deployment.chain_id, RpcOptions::default());
        Ok((rpc.map_err(|error| Start::Never(error.into()))?, facts))
    };
    until_there(shutdown, attempt).await
}

async fn connect(settings: &Layer, deployment: &Deployment) -> Result<Rpc, Start> {
    let urls = settings.rpc().map_err(|error| Start::Never(error.into()))?;
    rpc::connect(urls, deployment.chain_id)
        .await
        .map_err(|error| if error.is_temporary() { Start::NotYet(error.into()) } else { Start::Never(error.into()) })
}

/// What runs leaves: as set, or as the classes that we are in need it.
pub(super) fn kinds(settings: &Layer, needed: Vec<Kind>) -> Vec<Kind> {
    let Some(set) = settings.runtimes.clone() else { return needed };
    for kind in needed.iter().filter(|kind| !set.contains(kind)) {
        tracing::warn!(
            ?kind,
            "a class that this worker has joined needs a runtime that the setting `runtimes` leaves out"
        );
    }
    set
}

pub(super) async fn runtimes(kinds: &[Kind], docker: &DockerConfig, wasm: &WasmConfig) -> eyre::Result<Several> {
    Ok(Several {
        docker: if kinds.contains(&Kind::Docker) { Some(engine(docker).await?) } else { None },
        wasm: if kinds.contains(&Kind::Wasm) { Some(Wasm::open(wasm.clone())?) } else { None },
    })
}

async fn engine(config: &DockerConfig) -> eyre::Result<Docker> {
    let docker = Docker::connect(config.clone()).await?;
    let removed = docker.sweep().await?;
    if removed > 0 {
        tracing::info!(removed, "removed what an earlier run left in the container engine");
    }
    Ok(docker)
}

pub(super) enum Start {
    NotYet(eyre::Report),
    Never(eyre::Report),
}

pub(super) fn retry<T>(result: eyre::Result<T>) -> Result<T, Start> {
    result.map_err(Start::NotYet)
}

/// Tries until it works: after a power cut the network may be back later than the worker. `None` on shutdown.
pub(super) async fn until_there<T, F: Future<Output = Result<T, Start>>>(
    shutdown: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> eyre::Result<Option<T>> {
    loop {
        let result = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            result = attempt() => result,
        };
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(Start::Never(error)) => return Err(error),
            Err(Start::NotYet(error)) => tracing::warn!("{error:#}; trying again in {} s", START_PAUSE.as_secs()),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(START_PAUSE) => {}
        }
    }
}
