//! Who works here: registered workers and the classes, from the chain.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent;
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use sunwork_edge::ledger::Ledger;
use sunwork_protocol::abi::IWorkerDispatcher::WorkerRegistered;

use crate::chain::{Doing, ReadError, amount};
use crate::client::Client;

/// Questions under way at once.
const PARALLEL: usize = 8;

/// A registered worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// Its identity.
    pub address: Address,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Stake that is not unbonding, smallest token unit.
    #[serde(serialize_with = "decimal")]
    pub bonded: u128,
    /// Part of it locked by agreements.
    #[serde(serialize_with = "decimal")]
    pub locked: u128,
    /// Its score: rises with verified work, falls by a third with each lost vote.
    pub score: u16,
    /// It has published the key that confidential work needs.
    pub has_key: bool,
    /// Whether the energy ledger calls it positive now, so that green work is open to it; `None` where the deployment has no ledger.
    pub positive: Option<bool>,
    /// What keeps it from being positive, as a clause.
    pub not_positive: Option<String>,
    /// Its membership counts in the draws of this epoch.
    pub active: bool,
}

/// A class of workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Class {
    /// Its id.
    pub id: u16,
    /// Platform and runtime.
    pub name: String,
    /// Workers with active stake.
    pub workers: u64,
    /// Their active stake, smallest token unit.
    #[serde(serialize_with = "decimal")]
    pub stake: u128,
}

/// What [`Client::workers`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workers {
    /// By class.
    pub classes: Vec<Class>,
    /// The workers, by address.
    pub workers: Vec<Worker>,
    /// How many are registered; larger than the list if that was cut.
    pub registered: usize,
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

impl Client {
    /// Classes and at most `limit` workers.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn workers(&self, limit: usize) -> Result<Workers, ReadError> {
        let dispatcher = self.dispatcher();
        let epoch = dispatcher.epoch().call().await.doing(|| "reading the epoch".into())?;
        let unit = dispatcher.ticketUnit().call().await.doing(|| "reading the stake per ticket".into())?;
        let count = dispatcher.classCount().call().await.doing(|| "reading the classes".into())?;
        let mut classes = Vec::new();
        for id in 0..count {
            let name = self.deployment().class_name(id);
            let pool =
                dispatcher.classAt(id, epoch).call().await.doing(|| format!("reading the size of class {name}"))?;
            let stake = amount(pool.units).saturating_mul(unit.to());
            classes.push(Class { id, name, workers: pool.workers.saturating_to(), stake });
        }
        let addresses = self.registered_workers().await?;
        let registered = addresses.len();
        let ledger = self.ledger().await?;
        let now = self.rpc().latest().await.doing(|| "reading the latest block".into())?.1;
        let workers = futures::stream::iter(addresses.into_iter().take(limit))
            .map(|address| self.worker(address, epoch, count, ledger, now))
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok(Workers { classes, workers, registered })
    }

    /// All that ever registered, from the dispatcher's events; nobody can leave the registry.
    pub(crate) async fn registered_workers(&self) -> Result<BTreeSet<Address>, ReadError> {
        let filter =
            Filter::new().address(self.deployment().dispatcher).event_signature(WorkerRegistered::SIGNATURE_HASH);
        let logs = self.logs_since_deployment(&filter).await?;
        let events = logs.iter().filter_map(|log| WorkerRegistered::decode_log_data(log.data()).ok());
        Ok(events.map(|event| event.worker).collect())
    }

    async fn worker(
        &self,
        address: Address,
        epoch: u32,
        class_count: u16,
        ledger: Option<Ledger>,
        now: u64,
    ) -> Result<Worker, ReadError> {
        let info = self.dispatcher().workerInfo(address).call().await;
        let info = info.doing(|| format!("reading worker {address}"))?;
        let key = self.dispatcher().encryptionKeyOf(address).call().await;
        let key = key.doing(|| format!("reading the encryption key of worker {address}"))?;
        let standing = match ledger {
            Some(ledger) => Some(self.positive(ledger, address, now).await?),
            None => None,
        };
        let bits: u64 = info.classes.to();
        let classes =
            (0..class_count).filter(|id| bits >> id & 1 == 1).map(|id| self.deployment().class_name(id)).collect();
        Ok(Worker {
            address,
            classes,
            bonded: info.bonded.to(),
            locked: info.locked.to(),
            score: info.score,
            has_key: !key.is_zero(),
            positive: standing.map(|standing| standing.is_ok()),
            not_positive: standing.and_then(Result::err).map(|why| why.to_string()),
            active: info.classesSince <= epoch && !info.bonded.is_zero(),
        })
    }
}
