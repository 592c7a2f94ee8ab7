//! Uploading what workers need, and buying.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::providers::Provider;
use alloy::sol_types::{SolCall, SolEvent};
use serde::Serialize;
use sunwork_edge::blobs::BlobError;
use sunwork_edge::tx::{Receipt, TxError, TxOutcome};
use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};
use sunwork_protocol::terms::SpecError;
use thiserror::Error;

use crate::chain::{Doing, ReadError, amount};
use crate::class::{Classified, ErrorClass};
use crate::client::{Client, NoSigner};
use crate::confidential::ConfidentialError;
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
    /// It was bought by an earlier run that was ended before it could say so; nothing was paid now.
    pub resumed: bool,
}

/// Domain of [`Client::intent_of`].
const INTENT_DOMAIN: &[u8] = b"sunwork.intent.v1";
/// What the log calls a purchase.
const PURCHASE: &str = "buyContract";

/// Purchases of one intent take turns: the second may be meant as a second one, and must see that the first is done.
#[derive(Debug, Default)]
pub(crate) struct Buying(Mutex<HashMap<B256, Weak<tokio::sync::Mutex<()>>>>);

impl Buying {
    fn turn(&self, intent: B256) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&intent).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(intent, Arc::downgrade(&turn));
        turn
    }
}

/// Which purchases of the past count as the one that is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// One that nobody was told of.
    Untold,
    /// Any.
    All,
}

/// Confidential work was to leave this machine before its inputs were encrypted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the job is confidential, but its plan is not sealed: nothing was sent; call `Client::seal` first, or make the job public"
)]
pub struct NotSealed;

impl NotSealed {
    pub(crate) fn check(plan: &Plan) -> Result<(), Self> {
        if plan.confidential && !plan.terms.is_confidential() { Err(Self) } else { Ok(()) }
    }
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
    /// A file that is gone since it was hashed.
    #[error("{role} ({path:?}) has vanished since it was read; put it back and start again, nothing was paid")]
    Vanished {
        /// What it is.
        role: String,
        /// Where it was.
        path: PathBuf,
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
    /// Confidential work that is not encrypted yet.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// An image that nobody has.
    #[error("no oracle has the image {digest}; upload it with `sunwork image push`, or give the archive file instead")]
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
            Self::Changed { .. } | Self::Vanished { .. } => ErrorClass::Resync,
            Self::Blob { .. } | Self::Looking { .. } | Self::ImageUnknown { .. } | Self::NotSealed(_) => {
                ErrorClass::Stop
            }
        }
    }
}

/// A job that could not be made ready.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Files, names, limits.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Encryption.
    #[error(transparent)]
    Seal(#[from] ConfidentialError),
    /// Oracles.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl Classified for PrepareError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Plan(error) => error.class(),
            Self::Seal(error) => error.class(),
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
    /// Confidential work that is not encrypted yet.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
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
            Self::NotSealed(_)
            | Self::NoSigner(_)
            | Self::Refused { .. }
            | Self::Terms(_)
            | Self::Permit(_)
            | Self::NoEvent { .. } => ErrorClass::Stop,
        }
    }
}

pub(crate) fn tx_class(error: &TxError) -> ErrorClass {
    error.class()
}

impl Client {
    /// Fetches and packs the job's inputs, and hashes all files; nothing is sent.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub async fn plan(&self, job: &Job) -> Result<Plan, PlanError> {
        let gathered = crate::inputs::gather(&job.inputs).await?;
        let (job, classes) = (job.clone(), self.deployment().classes.clone());
        // Hashing gigabytes must not hold up the runtime's threads.
        let making = tokio::task::spawn_blocking(move || Plan::of_gathered(&job, &gathered, &classes));
        making.await.expect("hashing files does not panic")
    }

    /// Uploads what no oracle has yet. Harmless to repeat.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub async fn upload(&self, plan: &Plan) -> Result<(), UploadError> {
        self.upload_watched(plan, |_| {}).await
    }

    /// As [`Client::upload`], and tells `sent` the bytes of each piece that is done, sent or there already.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub async fn upload_watched(
        &self,
        plan: &Plan,
        sent: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<(), UploadError> {
        NotSealed::check(plan)?;
        if let Some(digest) = plan.image_blob {
            let known = self.blobs().has(digest).await;
            if !known.map_err(|source| UploadError::Looking { digest, source })? {
                return Err(UploadError::ImageUnknown { digest });
            }
        }
        for blob in &plan.blobs {
            // An oracle that cannot say whether it has the blob gets it.
            if self.blobs().has(blob.sha256).await.unwrap_or(false) {
                sent(blob.size_bytes);
                continue;
            }
            let (role, path) = (blob.role.clone(), blob.path.clone());
            let found =
                self.blobs().put_file_watched(&blob.path, sent.clone()).await.map_err(|source| match source {
                    BlobError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                        UploadError::Vanished { role: role.clone(), path: path.clone() }
                    }
                    source => UploadError::Blob { role: role.clone(), path: path.clone(), source },
                })?;
            if found != blob.sha256 {
                return Err(UploadError::Changed { role, path, found, expected: blob.sha256 });
            }
        }
        Ok(())
    }

    /// [`Client::plan`], [`Client::seal`] and [`Client::upload`].
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub async fn prepare(&self, job: &Job) -> Result<Plan, PrepareError> {
        let mut plan = self.plan(job).await?;
        self.seal(&mut plan).await?;
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

    /// Lets the dispatcher take up to exactly `amount` (smallest unit) of the wallet's tokens, in place of what it was allowed
    /// before. A purchase by permit or approve-and-call needs none: it allows its budget and nothing more.
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn approve(&self, amount: u128) -> Result<Receipt, BuyError> {
        let call = SunToken::approveCall { spender: self.deployment().dispatcher, amount: U256::from(amount) };
        let token = self.deployment().token;
        Ok(self.transactions()?.send("approve", token, call.abi_encode().into()).await?)
    }

    /// What somebody wants who buys `plan`: a name for it that a later run finds again. The random nonce of a public plan does
    /// not count, and a sealed plan remembers the intent that it had before, since no two sealed plans are alike.
    ///
    /// # Errors
    /// When the terms do not fit their format.
    pub fn intent_of(&self, plan: &Plan) -> Result<B256, SpecError> {
        if let Some(intent) = plan.sealed_intent {
            return Ok(intent);
        }
        let mut spec = plan.spec.clone();
        if spec.key_commitment.is_zero() {
            (spec.key_nonce, spec.client_key) = (B256::ZERO, B256::ZERO);
        }
        let parts = [
            INTENT_DOMAIN,
            self.deployment().dispatcher.as_slice(),
            &[u8::from(plan.confidential)],
            &plan.terms.pack()?,
            &spec.encode(),
        ];
        Ok(keccak256(parts.concat()))
    }

    /// Buys `plan`, after a preflight that costs nothing. The blobs must be uploaded before.
    ///
    /// Safe to repeat after any error and after a crash (with a log in a folder): a purchase of the same plan that was under
    /// way is waited for and returned as `resumed`, not made twice. One whose agreement was returned before is done; buying the
    /// same plan again buys it again.
    ///
    /// # Errors
    /// See [`BuyError`]; after any but `NoEvent` nothing was paid, or the purchase is under way and found by the next call.
    pub async fn buy(&self, plan: &Plan, payment: Payment) -> Result<Agreement, BuyError> {
        self.buy_for(plan, payment, self.intent_of(plan)?).await
    }

    /// The same for an intent that is known from elsewhere: that of the plan before it was sealed, for confidential work.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn buy_for(&self, plan: &Plan, payment: Payment, intent: B256) -> Result<Agreement, BuyError> {
        self.buy_unless(plan, payment, intent, Known::Untold).await
    }

    /// The same for a program that must not buy twice for one `key` of its own (a number of an order, say): returns the same
    /// agreement whenever it is called again, for as long as the log remembers (the last 256 purchases). Needs a log in a
    /// folder to hold over restarts.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn buy_once(&self, plan: &Plan, payment: Payment, key: B256) -> Result<Agreement, BuyError> {
        self.buy_unless(plan, payment, key, Known::All).await
    }

    /// The purchase with this intent that an earlier run left under way or could not tell anybody of, if there is one: it is
    /// waited for, and told by being returned. Ask before encrypting and uploading again what is bought already.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn unfinished_purchase(&self, intent: B256) -> Result<Option<Agreement>, BuyError> {
        let turn = self.buying().turn(intent);
        let _turn = turn.lock().await;
        let _claim = self.transactions()?.claim(PURCHASE).await?;
        self.found(intent, Known::Untold).await
    }

    /// The purchase that [`Client::buy_once`] made for `key`, if the log knows of one; one under way is waited for.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn purchase_known_as(&self, key: B256) -> Result<Option<Agreement>, BuyError> {
        let turn = self.buying().turn(key);
        let _turn = turn.lock().await;
        let _claim = self.transactions()?.claim(PURCHASE).await?;
        self.found(key, Known::All).await
    }

    /// Settles what earlier runs left under way (approvals, cancellations, purchases), without sending anything new. Returns
    /// the purchases among them; [`Client::buy`] finds them too.
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn recover(&self) -> Result<Vec<Agreement>, BuyError> {
        let mut agreements = Vec::new();
        for (entry, outcome) in self.transactions()?.recover().await? {
            if entry.label == PURCHASE && outcome == TxOutcome::Mined {
                agreements.push(self.resumed(entry.hash).await?);
            }
        }
        Ok(agreements)
    }

    async fn buy_unless(
        &self,
        plan: &Plan,
        payment: Payment,
        intent: B256,
        known: Known,
    ) -> Result<Agreement, BuyError> {
        NotSealed::check(plan)?;
        let turn = self.buying().turn(intent);
        let _turn = turn.lock().await;
        let transactions = self.transactions()?;
        // Held until the purchase is noted as told: another process must not find it in between and take it for its own.
        let _claim = transactions.claim(PURCHASE).await?;
        // Before the preflight, which would find the money gone that the first one took.
        if let Some(agreement) = self.found(intent, known).await? {
            return Ok(agreement);
        }
        let account = self.signer()?.address();
        let preflight = self.preflight(plan, account).await?;
        let by_allowance = if payment == Payment::Allowance { ByAllowance::Yes } else { ByAllowance::No };
        let problems = preflight.problems_for(by_allowance);
        if !problems.is_empty() {
            let sentences = problems.iter().map(|p| p.sentence(self.unit())).collect();
            return Err(BuyError::Refused { problems, sentences });
        }
        let (to, calldata) = self.purchase(plan, payment, preflight.budget).await?;
        let receipt = transactions.send_intent(PURCHASE, to, calldata, intent).await?;
        let agreement = self.bought(&receipt)?;
        self.tell(agreement.tx);
        Ok(agreement)
    }

    async fn found(&self, intent: B256, known: Known) -> Result<Option<Agreement>, BuyError> {
        let Some(settled) = self.transactions()?.settle(intent).await? else { return Ok(None) };
        if settled.told && known == Known::Untold {
            return Ok(None);
        }
        let agreement = self.resumed(settled.hash).await?;
        self.tell(agreement.tx);
        Ok(Some(agreement))
    }

    fn tell(&self, tx: B256) {
        // What is bought is bought: at worst the next run finds it once more.
        if let Ok(transactions) = self.transactions()
            && let Err(error) = transactions.told(tx)
        {
            tracing::warn!(%tx, %error, "that the purchase is known could not be written down");
        }
    }

    async fn resumed(&self, tx: B256) -> Result<Agreement, BuyError> {
        let receipt = self.rpc().provider().get_transaction_receipt(tx).await;
        let receipt = receipt.doing(|| format!("reading the receipt of the earlier purchase {tx}"))?;
        let receipt = receipt.ok_or_else(|| TxError::Temporary {
            label: PURCHASE.to_owned(),
            reason: format!("the node does not know {tx}, by which it was bought before; ask a node that is in step"),
        })?;
        Ok(Agreement { resumed: true, ..self.bought(&receipt)? })
    }

    async fn purchase(&self, plan: &Plan, payment: Payment, budget: u128) -> Result<(Address, Bytes), BuyError> {
        let deployment = self.deployment();
        let dispatcher = deployment.dispatcher;
        let (terms, spec) = (Bytes::from(plan.terms.pack()?), Bytes::from(plan.spec.encode()));
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
            .map(|event| {
                let block = receipt.block_number.unwrap_or_default();
                Agreement { address: event.agreement, tx, block, resumed: false }
            })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobBuilder;

    #[test]
    fn confidential_work_does_not_leave_before_it_is_encrypted() {
        let job = JobBuilder::new("ab".repeat(32)).platform("linux/amd64");
        let plan = |job: JobBuilder| Plan::make(&job.build().unwrap(), &["linux/amd64+docker".into()]).unwrap();
        let mut secret = plan(job.clone());
        assert_eq!(NotSealed::check(&secret), Err(NotSealed));
        let dir = tempfile::tempdir().unwrap();
        let client = sunwork_protocol::session::ClientSecret::from_bytes([1; 32]);
        crate::confidential::seal_plan(&mut secret, &client, B256::repeat_byte(2), dir.path()).unwrap();
        assert_eq!(NotSealed::check(&secret), Ok(()));
        assert_eq!(NotSealed::check(&plan(job.public(true))), Ok(()));
    }
}
