//! What the worker asks the chain. Only reads; transactions go through [`sunwork_edge::tx`].
use alloy::{
    consensus::Header,
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
    transports::TransportError,
};
use sunwork_edge::{Deployment, Rpc};
use sunwork_protocol::{
    abi::{
        IComputeAgreement::{self, IComputeAgreementInstance},
        IWorkerDispatcher::{self, IWorkerDispatcherInstance},
    },
    terms::{BoundTerms, ComputeTerms},
};

use crate::{machine::Params, view::View};

/// Blocks that one log query spans; public nodes refuse much more.
pub const LOG_CHUNK_BLOCKS: u64 = 2_000;

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
    /// Root of the result tree.
    pub root: B256,
    /// The leaves that were shown.
    pub leaves: Vec<u32>,
    /// Their digests.
    pub digests: Vec<B256>,
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
        let terms = bound.terms;
        Ok(BoundTerms {
            client: bound.client,
            bought_at: bound.boughtAt.to(),
            spec_hash: bound.specHash,
            terms: ComputeTerms {
                reward_min: terms.rewardMin.to(),
                reward_max: terms.rewardMax.to(),
                verifier_fee: terms.verifierFee.to(),
                class_id: terms.classId,
                flags: terms.flags,
                trust_level: terms.trustLevel,
                trust: terms.trust,
                leaf_count: terms.leafCount,
                samples: terms.samples,
                verifiers: terms.verifiers,
                accept_secs: terms.acceptSecs.to(),
                work_secs: terms.workSecs.to(),
                verify_secs: terms.verifySecs.to(),
            },
        })
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

    /// The key with which a worker entered an agreement: its device's, or its own.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn entered_with(&self, agreement: Address, worker: Address) -> Result<Address, ChainError> {
        let to = self.deployment.dispatcher;
        let lock = self.dispatcher().lockOf(agreement, worker).call().await;
        Ok(lock.map_err(call("the lock of a worker", to))?.device)
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

    /// What the worker revealed.
    ///
    /// # Errors
    /// When no event fits the commitment.
    pub async fn revelation(&self, address: Address, since: u64, view: &View) -> Result<Revelation, ChainError> {
        let logs = self.logs(address, IComputeAgreement::Revealed::SIGNATURE_HASH, since).await?;
        let events = logs.iter().rev().filter_map(|log| IComputeAgreement::Revealed::decode_log(&log.inner).ok());
        for event in events {
            if sunwork_protocol::seal::revealed(event.root, &event.leaves, &event.digests) == view.commitment {
                let event = event.data;
                return Ok(Revelation { root: event.root, leaves: event.leaves, digests: event.digests });
            }
        }
        Err(ChainError::Unexpected(format!(
            "no Revealed event of {address} fits its commitment; the node lags or answers wrongly"
        )))
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
        let what = "the events of an agreement";
        let rpc = |source| ChainError::Rpc { what, source };
        let (head, _) = self.rpc.latest().await.map_err(rpc)?;
        let mut from = since;
        let mut logs = Vec::new();
        while from <= head {
            let to = head.min(from + LOG_CHUNK_BLOCKS - 1);
            let filter = Filter::new().address(address).event_signature(topic).from_block(from).to_block(to);
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
