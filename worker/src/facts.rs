//! What the chain said about worker and deployment, kept for a start without network: after a power cut the router may be back later
//! than the worker, and what was running goes on from local state.
//!
//! Nothing here is believed for longer than the network is away: every transaction is judged by the contracts anyway.
use std::path::Path;

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};
use sunwork_edge::Deployment;

use crate::{amount::Unit, chain::Chain, folder::write_durably, identity, machine::Params, runtime::Kind};

/// Form of the file.
const VERSION: u32 = 1;
/// Classes that there can be.
const MAX_CLASSES: u16 = 48;

/// What a start needs from the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    version: u32,
    chain_id: u64,
    dispatcher: Address,
    /// The key that was asked about.
    device: Address,
    /// The identity that it acts for, or zero.
    pub me: Address,
    /// Parameters of the deployment.
    pub params: Params,
    /// The token.
    pub unit: Unit,
    /// The classes that the worker has joined, a bit each.
    classes: u64,
}

impl Facts {
    /// Asks the chain.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn read(chain: &Chain, device: Address) -> eyre::Result<Self> {
        let me = chain.worker_of(device).await?;
        let (chain_id, dispatcher) = (chain.deployment.chain_id, chain.deployment.dispatcher);
        let params = chain.params().await?;
        let unit = identity::unit(chain).await?;
        let classes = if me.is_zero() { 0 } else { chain.worker_info(me).await?.classes.to::<u64>() };
        Ok(Self { version: VERSION, chain_id, dispatcher, device, me, params, unit, classes })
    }

    /// What an earlier start wrote down, if it is about the same worker and deployment.
    pub fn kept(path: &Path, deployment: &Deployment, device: Address) -> Option<Self> {
        let facts: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let (chain_id, dispatcher) = (deployment.chain_id, deployment.dispatcher);
        let same =
            (facts.version, facts.chain_id, facts.dispatcher, facts.device) == (VERSION, chain_id, dispatcher, device);
        Some(facts).filter(|facts| same && !facts.me.is_zero())
    }

    /// Keeps them for the next start.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn keep(&self, path: &Path) -> std::io::Result<()> {
        write_durably(path, &serde_json::to_vec_pretty(self)?)
    }

    /// What the classes that the worker has joined are run with.
    pub fn kinds(&self, deployment: &Deployment) -> Vec<Kind> {
        let ids = (0..MAX_CLASSES).filter(|id| self.classes >> id & 1 == 1);
        let mut needed: Vec<Kind> = ids.filter_map(|id| Kind::of_class(&deployment.class_name(id))).collect();
        needed.sort_unstable();
        needed.dedup();
        needed
    }
}
