//! Uploading what workers need, and buying.

use std::path::PathBuf;

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::{SolCall, SolEvent};
use serde::Serialize;
use sunwork_edge::blobs::BlobError;
use sunwork_edge::tx::{Receipt, TxError};
use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};
use sunwork_protocol::terms::SpecError;
use thiserror::Error;

use crate::chain::{Doing, ReadError, amount};
use crate::class::{Classified, ErrorClass};
use crate::client::{Client, NoSigner};
use crate::job::Job;
use crate::permit::{PermitError, PermitTerms, sign_permit};
use crate::plan::{Plan, PlanError};
use crate::preflight::{ByAllowance, KIND_COMPUTE, PreflightError, Problem};

/// How long a permit is good for, seconds of chain time.
const PERMIT_SECS: u64 = 3600;

/// How the dispatcher gets the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payment {
    /// From an allowance given before.
    Allowance,
    /// With an EIP-2612 permit in the same transaction.
    Permit,
    /// Through the token's approve-and-call, in one transaction.
    ApproveAndCall,
}

/// A bought agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// Its contract.
    #[serde(rename = "agreement")]
    pub address: Address,
    /// The purchase.
    pub tx: B256,
    /// Its block.
    pub block: u64,
}

/// Files that did not get to an oracle.
#[derive(Debug, Error)]
pub enum UploadError {
    /// A file.
    #[error("uploading {role} ({path:?}): {source}")]
    Blob {
        /// What it is.
        role: String,
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: BlobError,
    },
    /// A file that changed after it was hashed.
    #[error("{role} ({path:?}) changed while it was read: SHA-256 found {found}, expected {expected}; start again")]
    Changed {
        /// What it is.
        role: String,
        /// Where it is.
        path: PathBuf,
        /// Its hash now.
        found: B256,
        /// Its hash in the plan.
        expected: B256,
    },
    /// An image that nobody has.
    #[error("no oracle has the image {digest}; give the archive file instead, so that it is uploaded")]
    ImageUnknown {
        /// The blob.
        digest: B256,
    },
    /// Whether an oracle has it is unknown.
    #[error("looking for the image {digest}: {source}")]
    Looking {
        /// The blob.
        digest: B256,
        /// Why not.
        source: BlobError,
    },
}

impl Classified for UploadError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Blob { source, .. } | Self::Looking { source, .. } if source.is_temporary() => ErrorClass::Retry,
            Self::Changed { .. } => ErrorClass::Resync,
            Self::Blob { .. } | Self::Looking { .. } | Self::ImageUnknown { .. } => ErrorClass::Stop,
        }
    }
}

/// A job that could not be made ready.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Files, names, limits.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Oracles.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl Classified for PrepareError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Plan(error) => error.class(),
            Self::Upload(error) => error.class(),
        }
    }
}

/// A purchase that did not happen.
#[derive(Debug, Error)]
pub enum BuyError {
    /// No key.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// Found before anything was paid.
    #[error("this cannot be bought: {}", sentences.join("; "))]
    Refused {
        /// What stands against it.
        problems: Vec<Problem>,
        /// The same as sentences.
        sentences: Vec<String>,
    },
    /// The chain could not be asked.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The chain could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The terms do not fit their format.
    #[error(transparent)]
    Terms(#[from] SpecError),
    /// The permit.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The transaction.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The transaction went through without the event.
    #[error("transaction {tx} went through, but holds no AgreementBought event of the dispatcher {dispatcher}")]
    NoEvent {
        /// The transaction.
        tx: B256,
        /// The contract.
        dispatcher: Address,
    },
}

impl Classified for BuyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Preflight(error) => error.class(),
            Self::Read(error) => error.class(),
            Self::Tx(error) => tx_class(error),
            Self::NoSigner(_) | Self::Refused { .. } | Self::Terms(_) | Self::Permit(_) | Self::NoEvent { .. } => {
                ErrorClass::Stop
            }
        }
    }
}

pub(crate) fn tx_class(error: &TxError) -> ErrorClass {
    match error {
        TxError::Temporary { .. } => ErrorClass::Retry,
        // Another transaction may have been first: the chain knows.
        TxError::Reverted { .. } => ErrorClass::Resync,
        TxError::Stop { .. } => ErrorClass::Stop,
    }
}

impl Client {
    /// Hashes the job's files; nothing is sent.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub async fn plan(&self, job: &Job) -> Result<Plan, PlanError> {
        let (job, classes) = (job.clone(), self.deployment().classes.clone());
        // Hashing gigabytes must not hold up the runtime's threads.
        tokio::task::spawn_blocking(move || Plan::make(&job, &classes)).await.expect("hashing files does not panic")
    }

    /// Uploads what no oracle has yet. Harmless to repeat.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub async fn upload(&self, plan: &Plan) -> Result<(), UploadError> {
        if let Some(digest) = plan.image_blob {
            let known = self.blobs().has(digest).await;
            if !known.map_err(|source| UploadError::Looking { digest, source })? {
                return Err(UploadError::ImageUnknown { digest });
            }
        }
        for blob in &plan.blobs {
            // An oracle that cannot say whether it has the blob gets it.
            if self.blobs().has(blob.sha256).await.unwrap_or(false) {
                continue;
            }
            let (role, path) = (blob.role.clone(), blob.path.clone());
            let found = self.blobs().put_file(&blob.path).await;
            let found = found.map_err(|source| UploadError::Blob { role: role.clone(), path: path.clone(), source })?;
            if found != blob.sha256 {
                return Err(UploadError::Changed { role, path, found, expected: blob.sha256 });
            }
        }
        Ok(())
    }

    /// [`Client::plan`] and [`Client::upload`].
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub async fn prepare(&self, job: &Job) -> Result<Plan, PrepareError> {
        let plan = self.plan(job).await?;
        self.upload(&plan).await?;
        Ok(plan)
    }

    /// How to pay `budget` with the fewest transactions: from the allowance if it suffices, else by permit if the token
    /// has it, else by allowance (which the preflight then reports as missing).
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn choose_payment(&self, account: Address, budget: u128) -> Result<Payment, ReadError> {
        let token = self.token();
        let allowance = token
            .allowance(account, self.deployment().dispatcher)
            .call()
            .await
            .doing(|| "reading the wallet's allowance".into())?;
        if amount(allowance) >= budget {
            return Ok(Payment::Allowance);
        }
        Ok(match token.DOMAIN_SEPARATOR().call().await {
            Ok(_) => Payment::Permit,
            Err(_) => Payment::Allowance,
        })
    }

    /// Lets the dispatcher take up to `amount` (smallest unit) of the wallet's tokens.
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn approve(&self, amount: u128) -> Result<Receipt, BuyError> {
        let call = SunToken::approveCall { spender: self.deployment().dispatcher, amount: U256::from(amount) };
        let token = self.deployment().token;
        Ok(self.transactions()?.send("approve", token, call.abi_encode().into()).await?)
    }

    /// Buys `plan`, after a preflight that costs nothing. The blobs must be uploaded before.
    ///
    /// # Errors
    /// See [`BuyError`]; after any but `NoEvent` nothing was paid.
    pub async fn buy(&self, plan: &Plan, payment: Payment) -> Result<Agreement, BuyError> {
        let account = self.signer()?.address();
        let preflight = self.preflight(plan, account).await?;
        let by_allowance = if payment == Payment::Allowance { ByAllowance::Yes } else { ByAllowance::No };
        let problems = preflight.problems_for(by_allowance);
        if !problems.is_empty() {
            let sentences = problems.iter().map(|p| p.sentence(self.unit())).collect();
            return Err(BuyError::Refused { problems, sentences });
        }
        let (to, calldata) = self.purchase(plan, payment, preflight.budget).await?;
        let receipt = self.transactions()?.send("buyContract", to, calldata).await?;
        self.bought(&receipt)
    }

    async fn purchase(&self, plan: &Plan, payment: Payment, budget: u128) -> Result<(Address, Bytes), BuyError> {
        let deployment = self.deployment();
        let dispatcher = deployment.dispatcher;
        let (terms, spec) = (Bytes::from(plan.terms.pack()?.to_vec()), Bytes::from(plan.spec.encode()));
        let buy = IWorkerDispatcher::buyContractCall { kindId: KIND_COMPUTE, terms: terms.clone(), spec: spec.clone() };
        Ok(match payment {
            Payment::Allowance => (dispatcher, buy.abi_encode().into()),
            Payment::ApproveAndCall => {
                let call = SunToken::approveAndCallCall {
                    spender: dispatcher,
                    amount: U256::from(budget),
                    data: buy.abi_encode().into(),
                };
                (deployment.token, call.abi_encode().into())
            }
            Payment::Permit => {
                let permit = self.permit(budget).await?;
                let call = IWorkerDispatcher::buyContractWithPermitCall { kindId: KIND_COMPUTE, terms, spec, permit };
                (dispatcher, call.abi_encode().into())
            }
        })
    }

    async fn permit(&self, budget: u128) -> Result<IWorkerDispatcher::Permit, BuyError> {
        let signer = self.signer()?;
        let token = self.token();
        let token_name = token.name().call().await.doing(|| "reading the token's name".into())?;
        let nonce = token.nonces(signer.address()).call().await.doing(|| "reading the permit nonce".into())?;
        let separator = token.DOMAIN_SEPARATOR().call().await.doing(|| "reading the token's domain".into())?;
        let (_, now) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let terms = PermitTerms {
            token_name,
            token: self.deployment().token,
            chain_id: self.deployment().chain_id,
            spender: self.deployment().dispatcher,
            value: U256::from(budget),
            nonce,
            deadline: U256::from(now + PERMIT_SECS),
        };
        Ok(sign_permit(signer, &terms, separator)?)
    }

    fn bought(&self, receipt: &Receipt) -> Result<Agreement, BuyError> {
        let dispatcher = self.deployment().dispatcher;
        let tx = receipt.transaction_hash;
        receipt
            .inner
            .logs()
            .iter()
            .filter(|log| log.address() == dispatcher)
            .find_map(|log| IWorkerDispatcher::AgreementBought::decode_log_data(log.data()).ok())
            .map(|event| Agreement { address: event.agreement, tx, block: receipt.block_number.unwrap_or_default() })
            .ok_or(BuyError::NoEvent { tx, dispatcher })
    }

    /// Withdraws the offer while nobody has accepted it.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when a worker was first.
    pub async fn cancel(&self, agreement: Address) -> Result<Receipt, BuyError> {
        let calldata = sunwork_protocol::abi::IComputeAgreement::cancelCall {}.abi_encode();
        Ok(self.transactions()?.send("cancel", agreement, calldata.into()).await?)
    }

    /// Moves an agreement on whose deadline has passed.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when somebody else was first.
    pub async fn expire(&self, agreement: Address) -> Result<Receipt, BuyError> {
        let calldata = sunwork_protocol::abi::IComputeAgreement::expireCall {}.abi_encode();
        Ok(self.transactions()?.send("expire", agreement, calldata.into()).await?)
    }

    /// Sends to the wallet all that is owed to it (refunds, unspent rewards).
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn withdraw(&self) -> Result<Receipt, BuyError> {
        let account = self.signer()?.address();
        let calldata = IWorkerDispatcher::withdrawCall { account }.abi_encode();
        Ok(self.transactions()?.send("withdraw", self.deployment().dispatcher, calldata.into()).await?)
    }
}
