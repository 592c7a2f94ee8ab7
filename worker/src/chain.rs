//! What the worker asks the chain. Only reads; transactions go through [`sunwork_edge::tx`].
use alloy::{
    consensus::{Header, Transaction as _},
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256, aliases::U48},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
    transports::TransportError,
};
use sunwork_edge::{Deployment, Rpc, deployment::BeaconKind, ledger::Ledger};
use sunwork_protocol::{
    abi::{
        IBeacon,
        IComputeAgreement::{self, IComputeAgreementInstance},
        IWorkerDispatcher::{self, IWorkerDispatcherInstance},
    },
    energy::NotPositive,
    terms::BoundTerms,
};

use crate::{
    machine::{Params, Rounds},
    view::View,
};

/// Blocks that one log query spans; public nodes refuse much more.
pub const LOG_CHUNK_BLOCKS: u64 = 2_000;

const EVENTS: &str = "the events of an agreement";

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The node or the network failed.
    #[error("asking the chain for {what}: {source}")]
    Rpc {
        /// What was asked.
        what: &'static str,
        /// Why it failed.
        source: TransportError,
    },
    /// The contract call failed: no such contract, or it reverted.
    #[error("reading {what} of {address}: {reason}")]
    Call {
        /// What was asked.
        what: &'static str,
        /// The contract.
        address: Address,
        /// Why it failed.
        reason: String,
        /// True when the node answered: the contract itself is not there or not what it should be.
        answered: bool,
    },
    /// What the chain says makes no sense here.
    #[error("{0}")]
    Unexpected(String),
}

impl ChainError {
    /// True when a node answered, and the contract is not there or not what it should be.
    pub const fn is_answered(&self) -> bool {
        matches!(self, Self::Call { answered: true, .. })
    }
}

/// The contracts of one deployment, read-only.
#[derive(Clone, Debug)]
pub struct Chain {
    rpc: Rpc,
    /// Where everything is.
    pub deployment: Deployment,
}

/// The worker's announcement at its seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The seal.
    pub seal: B256,
    /// Root of the ciphertext tree.
    pub ciphertext_root: B256,
    /// SHA-256 of the bundle.
    pub blob: B256,
}

/// What the worker revealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revelation {
    /// The transaction that showed it.
    pub tx: Option<B256>,
    /// Root of the result tree.
    pub root: B256,
    /// Salt of the worker's seal, with which the result blob is read.
    pub salt: B256,
    /// Root of the ciphertext tree, as announced.
    pub ciphertext_root: B256,
    /// SHA-256 of the result blob.
    pub blob: B256,
    /// The leaves that were shown.
    pub leaves: Vec<u32>,
    /// Their digests.
    pub digests: Vec<B256>,
}

/// A verifier's opening, as an event tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenOpening {
    /// Its block.
    pub block: u64,
    /// Whose it is.
    pub verifier: Address,
    /// The worker's digests of its leaves are proven.
    pub proven: bool,
}

impl Chain {
    /// Readers over this connection.
    pub const fn new(rpc: Rpc, deployment: Deployment) -> Self {
        Self { rpc, deployment }
    }

    /// The connection.
    pub const fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The dispatcher.
    pub fn dispatcher(&self) -> IWorkerDispatcherInstance<&impl Provider> {
        IWorkerDispatcher::new(self.deployment.dispatcher, self.rpc.provider())
    }

    fn agreement(&self, address: Address) -> IComputeAgreementInstance<&impl Provider> {
        IComputeAgreement::new(address, self.rpc.provider())
    }

    /// An agreement as it stands.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn view(&self, address: Address) -> Result<View, ChainError> {
        let view = self.agreement(address).agreement().call().await.map_err(call("the agreement", address))?;
        View::from_abi(&view).map_err(|error| ChainError::Unexpected(error.to_string()))
    }

    /// The terms that stand in an agreement's own code.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn bound_terms(&self, address: Address) -> Result<BoundTerms, ChainError> {
        let bound = self.agreement(address).boundTerms().call().await.map_err(call("the terms", address))?;
        Ok(bound.into())
    }

    /// Parameters of the deployment, from the implementation.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn params(&self) -> Result<Params, ChainError> {
        let address = self.deployment.compute_implementation;
        let params = self.agreement(address).params().call().await.map_err(call("the parameters", address))?;
        Ok(Params {
            seed_secs: params.seedSecs.to(),
            draw_step_secs: params.drawStepSecs.to(),
            draw_steps: params.drawSteps.into(),
            draw_factor: params.drawFactor.into(),
            reveal_secs: params.revealSecs.to(),
            open_secs: params.openSecs.to(),
            audit_one_in: params.auditOneIn,
            rounds: Rounds::of(&self.deployment.parameters.beacon),
        })
    }

    /// The identity that a key acts for, or zero.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn worker_of(&self, actor: Address) -> Result<Address, ChainError> {
        let to = self.deployment.dispatcher;
        self.dispatcher().workerOf(actor).call().await.map_err(call("the worker of a key", to))
    }

    /// A worker's registration.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn worker_info(&self, worker: Address) -> Result<IWorkerDispatcher::WorkerInfo, ChainError> {
        let to = self.deployment.dispatcher;
        self.dispatcher().workerInfo(worker).call().await.map_err(call("a worker's registration", to))
    }

    /// A device's entry.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn device_info(&self, device: Address) -> Result<IWorkerDispatcher::Device, ChainError> {
        let to = self.deployment.dispatcher;
        self.dispatcher().deviceInfo(device).call().await.map_err(call("a device's entry", to))
    }

    /// The X25519 key that messages to an account are sealed to, or zero.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn encryption_key_of(&self, account: Address) -> Result<B256, ChainError> {
        let to = self.deployment.dispatcher;
        self.dispatcher().encryptionKeyOf(account).call().await.map_err(call("an encryption key", to))
    }

    /// Who may hand out keys for a client, or zero.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn key_agent_of(&self, client: Address) -> Result<Address, ChainError> {
        let to = self.deployment.dispatcher;
        self.dispatcher().keyAgentOf(client).call().await.map_err(call("a client's key agent", to))
    }

    /// The device by which a worker entered an agreement, or zero: it entered by itself, or has nothing locked there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn entered_with(&self, agreement: Address, worker: Address) -> Result<Address, ChainError> {
        let lock = self.agreement(agreement).lockOf(worker).call().await;
        Ok(lock.map_err(call("the lock of a worker", agreement))?.device)
    }

    /// Whether a worker may enter green work (greenOnly) of this agreement at a block of time `now` (Unix seconds): what its ledger
    /// says. The implementation speaks for an agreement that is not made yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn positive(
        &self,
        agreement: Address,
        worker: Address,
        now: u64,
    ) -> Result<Result<(), NotPositive>, ChainError> {
        let ledger = Ledger::of(self.rpc.provider(), agreement).await.map_err(call("the energy ledger", agreement))?;
        // Such terms cannot be bought without a ledger; if they could, nobody would be positive.
        let Some(ledger) = ledger else { return Ok(Err(NotPositive::NoMeter)) };
        let asked = ledger.positive(self.rpc.provider(), worker, now).await;
        asked.map_err(call("attested energy", ledger.address))
    }

    /// The sealed session key that was posted in an attempt.
    ///
    /// # Errors
    /// When there is no such event (yet).
    pub async fn posted_key(&self, address: Address, since: u64, attempt: u8) -> Result<Bytes, ChainError> {
        let logs = self.logs(address, IComputeAgreement::KeyPosted::SIGNATURE_HASH, since).await?;
        let events = logs.iter().rev().filter_map(|log| IComputeAgreement::KeyPosted::decode_log(&log.inner).ok());
        let mut of_attempt = events.filter(|event| event.attempt == attempt);
        let event = of_attempt.next().ok_or_else(|| {
            let text =
                format!("no KeyPosted event of {address} in attempt {attempt}; the node lags or answers wrongly");
            ChainError::Unexpected(text)
        })?;
        Ok(event.data.sealedKey)
    }

    /// Tickets of a worker in a past epoch.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn tickets(&self, worker: Address, class_id: u16, epoch: u32) -> Result<u64, ChainError> {
        let to = self.deployment.dispatcher;
        let units = self.dispatcher().ticketsOf(worker, class_id, epoch).call().await.map_err(call("tickets", to))?;
        Ok(u64::try_from(units).unwrap_or(u64::MAX))
    }

    /// Stake units of a class in a past epoch.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn class_units(&self, class_id: u16, epoch: u32) -> Result<u64, ChainError> {
        let to = self.deployment.dispatcher;
        let class =
            self.dispatcher().classAt(class_id, epoch).call().await.map_err(call("the stake of a class", to))?;
        Ok(u64::try_from(class.units).unwrap_or(u64::MAX))
    }

    /// What `withdraw` would send to the worker's payout account.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn payable_of(&self, worker: Address) -> Result<U256, ChainError> {
        let to = self.deployment.dispatcher;
        let payout = self.dispatcher().payoutOf(worker).call().await.map_err(call("a payout account", to))?;
        self.dispatcher().payableOf(payout).call().await.map_err(call("what is payable", to))
    }

    /// The announcement that the commitment of an agreement stands for.
    ///
    /// # Errors
    /// When no event fits it.
    pub async fn announcement(&self, address: Address, since: u64, view: &View) -> Result<Announcement, ChainError> {
        let logs = self.logs(address, IComputeAgreement::Sealed::SIGNATURE_HASH, since).await?;
        let events = logs.iter().rev().filter_map(|log| IComputeAgreement::Sealed::decode_log(&log.inner).ok());
        for event in events {
            let found =
                Announcement { seal: event.seal, ciphertext_root: event.ciphertextRoot, blob: event.resultBlob };
            if sunwork_protocol::seal::announcement(found.seal, found.ciphertext_root, found.blob) == view.commitment {
                return Ok(found);
            }
        }
        Err(ChainError::Unexpected(format!(
            "no Sealed event of {address} fits its commitment; the node lags or answers wrongly"
        )))
    }

    /// Calldata of a transaction to `to`; `None` when it is not known or went elsewhere, through another contract, say.
    ///
    /// # Errors
    /// When the node cannot be asked.
    pub async fn calldata(&self, hash: B256, to: Address) -> Result<Option<Bytes>, ChainError> {
        let what = "a transaction";
        let found = self.rpc.provider().get_transaction_by_hash(hash).await;
        let found = found.map_err(|source| ChainError::Rpc { what, source })?;
        Ok(found.filter(|tx| tx.to() == Some(to)).map(|tx| tx.input().clone()))
    }

    /// What the worker revealed, or handed in at level 0.
    ///
    /// # Errors
    /// When no event fits the commitment.
    pub async fn revelation(&self, address: Address, since: u64, view: &View) -> Result<Revelation, ChainError> {
        let logs = self.logs(address, IComputeAgreement::Revealed::SIGNATURE_HASH, since).await?;
        for log in logs.iter().rev() {
            let Ok(event) = IComputeAgreement::Revealed::decode_log(&log.inner) else { continue };
            if sunwork_protocol::seal::revealed(event.root, &event.leaves, &event.digests) == view.commitment {
                let event = event.data;
                return Ok(Revelation {
                    tx: log.transaction_hash,
                    root: event.root,
                    salt: event.salt,
                    ciphertext_root: event.ciphertextRoot,
                    blob: event.resultBlob,
                    leaves: event.leaves,
                    digests: event.digests,
                });
            }
        }
        Err(ChainError::Unexpected(format!(
            "no Revealed event of {address} fits its commitment; the node lags or answers wrongly"
        )))
    }

    /// Verifiers' openings in `from..=to`, in order, with and without proof of the worker's digests.
    ///
    /// # Errors
    /// When the logs cannot be read.
    pub async fn openings(&self, address: Address, from: u64, to: u64) -> Result<Vec<SeenOpening>, ChainError> {
        let topics =
            [IComputeAgreement::Opened::SIGNATURE_HASH, IComputeAgreement::OpenedUnproven::SIGNATURE_HASH].to_vec();
        let logs = self.logs_between(address, topics, from, to).await?;
        let seen = logs.iter().filter_map(|log| {
            let block = log.block_number?;
            let proven = IComputeAgreement::Opened::decode_log(&log.inner).map(|event| (event.verifier, true));
            let (verifier, proven) = proven
                .or_else(|_| {
                    IComputeAgreement::OpenedUnproven::decode_log(&log.inner).map(|event| (event.verifier, false))
                })
                .ok()?;
            Some(SeenOpening { block, verifier, proven })
        });
        Ok(seen.collect())
    }

    /// Purchases in `from..=to`.
    ///
    /// # Errors
    /// When the logs cannot be read.
    pub async fn purchases(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<(u64, IWorkerDispatcher::AgreementBought)>, ChainError> {
        let filter = Filter::new()
            .address(self.deployment.dispatcher)
            .event_signature(IWorkerDispatcher::AgreementBought::SIGNATURE_HASH)
            .from_block(from)
            .to_block(to);
        let what = "purchases";
        let logs = self.rpc.provider().get_logs(&filter).await.map_err(|source| ChainError::Rpc { what, source })?;
        let decoded = logs.iter().filter(|log| !log.removed).filter_map(|log| {
            let event = IWorkerDispatcher::AgreementBought::decode_log(&log.inner).ok()?;
            Some((log.block_number?, event.data))
        });
        Ok(decoded.collect())
    }

    /// The seed of a beacon round, or zero while nobody has recorded it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn seed_of(&self, round: u64) -> Result<B256, ChainError> {
        let to = self.deployment.beacon;
        let beacon = IBeacon::new(to, self.rpc.provider());
        beacon.seedOf(U48::from(round)).call().await.map_err(call("a beacon round", to))
    }

    /// What proves a beacon round that is not recorded yet.
    ///
    /// # Errors
    /// When the node does not have it, or others have to record it.
    pub async fn beacon_proof(&self, round: u64) -> Result<Bytes, ChainError> {
        match &self.deployment.parameters.beacon {
            BeaconKind::Block => self.header_proof(round).await,
            BeaconKind::Drand(_) => Err(ChainError::Unexpected(format!("drand round {round} is not recorded yet"))),
        }
    }

    /// RLP of the header of a block, proven against its hash: what the block beacon takes.
    ///
    /// # Errors
    /// When the node does not have it or shows another one.
    pub async fn header_proof(&self, number: u64) -> Result<Bytes, ChainError> {
        let what = "a block header";
        let block = self.rpc.provider().get_block_by_number(BlockNumberOrTag::Number(number)).await;
        let block = block.map_err(|source| ChainError::Rpc { what, source })?;
        let block =
            block.ok_or_else(|| ChainError::Unexpected(format!("the node does not know block {number} yet")))?;
        let header: &Header = &block.header.inner;
        if header.hash_slow() != block.header.hash {
            return Err(ChainError::Unexpected(format!(
                "the header of block {number} hashes to {}, the node says {}; the chain's headers have another shape",
                header.hash_slow(),
                block.header.hash
            )));
        }
        Ok(alloy::rlp::encode(header).into())
    }

    async fn logs(&self, address: Address, topic: B256, since: u64) -> Result<Vec<Log>, ChainError> {
        let rpc = |source| ChainError::Rpc { what: EVENTS, source };
        let (head, _) = self.rpc.latest().await.map_err(rpc)?;
        self.logs_between(address, vec![topic], since, head).await
    }

    async fn logs_between(
        &self,
        address: Address,
        topics: Vec<B256>,
        mut from: u64,
        last: u64,
    ) -> Result<Vec<Log>, ChainError> {
        let rpc = |source| ChainError::Rpc { what: EVENTS, source };
        let mut logs = Vec::new();
        while from <= last {
            let to = last.min(from + LOG_CHUNK_BLOCKS - 1);
            let filter = Filter::new().address(address).event_signature(topics.clone()).from_block(from).to_block(to);
            let found = self.rpc.provider().get_logs(&filter).await.map_err(rpc)?;
            logs.extend(found.into_iter().filter(|log| !log.removed));
            from = to + 1;
        }
        Ok(logs)
    }
}

fn call(what: &'static str, address: Address) -> impl FnOnce(alloy::contract::Error) -> ChainError {
    move |error| {
        let answered = match &error {
            alloy::contract::Error::TransportError(error) => error.is_error_resp(),
            _ => true,
        };
        let reason = match error.as_revert_data() {
            Some(data) => sunwork_edge::revert::explain(&data),
            None => error.to_string(),
        };
        ChainError::Call { what, address, reason, answered }
    }
}
