//! `register`: from nothing to a worker with stake and device, in as few transactions as are missing.
use std::sync::Arc;

use alloy::{
    primitives::{
        Address, B256, Bytes, U256,
        aliases::{U48, U88},
        keccak256,
    },
    providers::Provider,
    sol_types::SolCall,
};
use eyre::{WrapErr, bail, eyre};
use sunwork_edge::{TxManager, tx::MemoryTxLog};
use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};

use super::{Report, chain};
use crate::{
    amount::Unit,
    chain::Chain,
    config::{Layer, own_class},
    folder::Folder,
    identity,
    runtime::{Docker, Kind, wasm::find_runner},
};

/// What a worker should be after `register`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Registration {
    /// Stake that the worker shall have in all, in tokens.
    #[arg(long)]
    pub stake: Option<String>,
    /// Most that agreements entered by the device key may lock at a time, in tokens; by default the stake.
    #[arg(long)]
    pub device_limit: Option<String>,
    /// Account that earnings go to; by default the owner.
    #[arg(long)]
    pub payout: Option<Address>,
    /// Address of the device key, when it is on another machine; by default that of this data folder.
    #[arg(long)]
    pub device: Option<Address>,
    /// X25519 key to publish, when its keystore is on another machine; by default that of this data folder.
    #[arg(long, value_name = "HEX")]
    pub encryption_key: Option<B256>,
    /// Wait until stake, classes and device are active (the next epoch).
    #[arg(long)]
    pub wait: bool,
}

/// Registers, or brings an existing registration to what is asked.
///
/// # Errors
/// Too little balance (with the amount that is missing), unknown classes, a kind whose code is not what the chain says.
pub async fn register(settings: &Layer, wanted: &Registration) -> eyre::Result<Report> {
    let chain = chain(settings).await?;
    // An owner's machine may have no data folder at all.
    let folder = Folder::at(settings.data_dir());
    let signer = identity::owner_key(settings, &folder)?;
    let owner = signer.address();
    let device = match wanted.device {
        Some(device) => device,
        None => identity::device_address(settings, &folder)?,
    };
    let unit = identity::unit(&chain).await?;
    let tx = TxManager::new(chain.rpc().clone(), signer, Arc::new(MemoryTxLog::default()));
    let task = Task { chain: &chain, tx: &tx, owner, unit: &unit };

    let payout = wanted.payout.unwrap_or(owner);
    let joined = class_names(&chain, chain.worker_info(owner).await?.classes.to());
    let classes = task.classes(&wanted_classes(settings, joined).await)?;
    let encryption_key = match wanted.encryption_key {
        Some(key) => Some(key),
        None => identity::encryption_key(settings, &folder)?.map(|key| key.public()),
    };
    task.registration(payout, classes, encryption_key).await?;
    let staked = match &wanted.stake {
        Some(text) => task.stake(unit.parse(text)?).await?,
        None => chain.worker_info(owner).await?.bonded.to(),
    };
    let limit = match &wanted.device_limit {
        Some(text) => unit.parse(text)?,
        None => staked,
    };
    let since = task.device(device, limit).await?;
    let info = chain.worker_info(owner).await?;
    let active_from = since.max(info.classesSince);
    if wanted.wait {
        task.wait_for_epoch(active_from).await?;
    }

    let mut report = Report::new("register");
    report.add("worker", "Worker", owner, owner.to_string());
    report.add("payout", "Payout", info.payout, info.payout.to_string());
    let names = class_names(&chain, info.classes.to());
    report.add("classes", "Classes", names.join(", "), names);
    report.add("stake", "Stake", unit.format(info.bonded.to()), info.bonded.to::<u128>().to_string());
    report.add("device", "Device", device, device.to_string());
    report.add("deviceLimit", "Device limit", unit.format(limit), limit.to_string());
    let key = chain.encryption_key_of(owner).await?;
    let text = if key.is_zero() {
        "none: public work only; run `sunwork-worker init` for one".into()
    } else {
        key.to_string()
    };
    report.add("encryptionKey", "Encryption key", text, key.to_string());
    report.add("activeFromEpoch", "Active from epoch", active_from, active_from);
    Ok(report)
}

fn class_names(chain: &Chain, bits: u64) -> Vec<String> {
    (0..48_u16).filter(|class| bits >> class & 1 == 1).map(|class| chain.deployment.class_name(class)).collect()
}

/// Classes as set, or those of the runtimes that are set, or those that it is in, or that of the runtime that is here: Docker
/// where an engine answers.
async fn wanted_classes(settings: &Layer, joined: Vec<String>) -> Vec<String> {
    if let Some(classes) = &settings.classes {
        return classes.clone();
    }
    let kinds = match &settings.runtimes {
        Some(kinds) => kinds.clone(),
        // An engine that does not answer today is no reason to leave its class.
        None if !joined.is_empty() => return joined,
        None if Docker::answers(settings.docker_host.as_deref()).await => vec![Kind::Docker],
        // Without either, Docker is what to install: the daemon waits for it and says so.
        None if find_runner(settings.wasm_runner.as_deref()).is_none() => vec![Kind::Docker],
        None => vec![Kind::Wasm],
    };
    kinds.into_iter().map(|kind| own_class(kind).to_owned()).collect()
}

struct Task<'a> {
    chain: &'a Chain,
    tx: &'a TxManager,
    owner: Address,
    unit: &'a Unit,
}

impl Task<'_> {
    async fn send(&self, label: &str, to: Address, call: impl SolCall) -> eyre::Result<()> {
        let receipt = self.tx.send(label, to, Bytes::from(call.abi_encode())).await?;
        tracing::info!(tx = %receipt.transaction_hash, gas = receipt.gas_used, "{label} is mined");
        Ok(())
    }

    /// Bits of the wanted classes.
    fn classes(&self, names: &[String]) -> eyre::Result<u64> {
        let mut bits = 0;
        for name in names {
            let class_id = self.chain.deployment.class_id(name).ok_or_else(|| {
                eyre!(
                    "there is no class {name:?} in this deployment; there are: {}",
                    self.chain.deployment.classes.join(", ")
                )
            })?;
            bits |= 1_u64 << class_id;
        }
        Ok(bits)
    }

    /// Opts in to compute by the code that we were told of, not by what the dispatcher says now.
    async fn compute_code_hash(&self) -> eyre::Result<B256> {
        let implementation = self.chain.deployment.compute_implementation;
        let code =
            self.chain.rpc().provider().get_code_at(implementation).await.wrap_err("reading the compute code")?;
        if code.is_empty() {
            bail!("there is no contract at {implementation}, the deployment's compute implementation");
        }
        let kind = self.chain.dispatcher().kind(0).call().await.wrap_err("reading kind 0")?;
        let found = keccak256(&code);
        if kind.implementation != implementation || kind.codeHash != found {
            bail!(
                "kind 0 of the dispatcher is {} with code {}, the deployment file names {implementation} with code {found}",
                kind.implementation,
                kind.codeHash
            );
        }
        Ok(found)
    }

    /// Without `encryption_key` the published one is left as it is.
    async fn registration(&self, payout: Address, classes: u64, encryption_key: Option<B256>) -> eyre::Result<()> {
        let dispatcher = self.chain.deployment.dispatcher;
        let info = self.chain.worker_info(self.owner).await?;
        if !info.payout.is_zero() {
            self.publish(encryption_key).await?;
            let same = info.payout == payout && info.classes.to::<u64>() == classes && info.kinds.to::<u64>() & 1 == 1;
            if same {
                return Ok(());
            }
        }
        let (classes, kind_hashes) = (U48::from(classes), vec![self.compute_code_hash().await?]);
        if info.payout.is_zero() {
            // Peer connections come with later versions; until then there is no key to name for them.
            let call = IWorkerDispatcher::registerWorkerCall {
                payout,
                classes,
                kindHashes: kind_hashes,
                encryptionKey: encryption_key.unwrap_or_default(),
                transportKey: B256::ZERO,
            };
            return self.send("register", dispatcher, call).await;
        }
        let call = IWorkerDispatcher::updateWorkerCall { payout, classes, kindHashes: kind_hashes };
        self.send("update", dispatcher, call).await
    }

    async fn publish(&self, encryption_key: Option<B256>) -> eyre::Result<()> {
        let Some(key) = encryption_key else { return Ok(()) };
        let published = self.chain.encryption_key_of(self.owner).await?;
        if published == key {
            return Ok(());
        }
        if !published.is_zero() {
            tracing::warn!(%published, %key, "another encryption key was published; what is sealed to it needs it still");
        }
        let call = IWorkerDispatcher::setEncryptionKeyCall { key };
        self.send("set-encryption-key", self.chain.deployment.dispatcher, call).await
    }

    /// Brings the stake up to `wanted`; never down.
    async fn stake(&self, wanted: u128) -> eyre::Result<u128> {
        let bonded = self.chain.worker_info(self.owner).await?.bonded.to::<u128>();
        if bonded >= wanted {
            return Ok(bonded);
        }
        let missing = U256::from(wanted - bonded);
        let (token, dispatcher) = (self.chain.deployment.token, self.chain.deployment.dispatcher);
        let contract = SunToken::new(token, self.chain.rpc().provider());
        let balance = contract.balanceOf(self.owner).call().await.wrap_err("reading the owner's balance")?;
        if balance < missing {
            let show = |amount: U256| self.unit.format(u128::try_from(amount).unwrap_or(u128::MAX));
            bail!(
                "the owner {} holds {}, the stake needs {}: {} are missing",
                self.owner,
                show(balance),
                show(missing),
                show(missing - balance)
            );
        }
        let allowed = contract.allowance(self.owner, dispatcher).call().await.wrap_err("reading the allowance")?;
        if allowed < missing {
            let call = SunToken::approveCall { spender: dispatcher, amount: missing };
            self.send("approve", token, call).await?;
        }
        self.send("stake", dispatcher, IWorkerDispatcher::stakeCall { amount: missing }).await?;
        Ok(wanted)
    }

    /// Sets the device's limit; returns the epoch from which it acts.
    async fn device(&self, device: Address, limit: u128) -> eyre::Result<u32> {
        if device == self.owner {
            // The owner's own key needs no entry, and has no limit.
            return Ok(0);
        }
        let limit = U88::try_from(limit).map_err(|_| eyre!("the device limit {limit} is too large"))?;
        let entry = self.chain.device_info(device).await?;
        if entry.worker != self.owner || entry.limit != limit {
            let call = IWorkerDispatcher::setDeviceCall { device, limit };
            self.send("set-device", self.chain.deployment.dispatcher, call).await?;
        }
        Ok(self.chain.device_info(device).await?.since)
    }

    async fn wait_for_epoch(&self, epoch: u32) -> eyre::Result<()> {
        loop {
            let now = self.chain.dispatcher().epoch().call().await.wrap_err("reading the epoch")?;
            if now >= epoch {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
    }
}
