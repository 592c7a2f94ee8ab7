//! The key agent at work.
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use alloy::{
    eips::BlockId,
    primitives::{Address, B256, Bytes, keccak256},
    signers::local::PrivateKeySigner,
    sol_types::{SolCall as _, SolEvent as _},
};
use sunwork_edge::{
    Rpc, TxManager,
    tx::{Receipt, TxError},
};
use sunwork_protocol::{
    abi::{
        IComputeAgreement::{self, IComputeAgreementInstance},
        IWorkerDispatcher::{self, IWorkerDispatcherInstance},
    },
    envelope::{Context, Purpose, SecretKey, open_key, seal_key},
    mail::TOPIC_AGENT,
    session::SessionKey,
    status::Status,
    terms::ComputeSpec,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    AgentIdentity, AgentReport,
    decide::{KeyState, Known, Next, View, Waiting, decide},
};
use crate::{
    chain::Header,
    fold::AgreementRow,
    follow::Progress,
    json::Account,
    mail::{Clock, Mailbox},
    store::{AgreementFilter, Cursor, Store, StoreError},
};

/// Agreements looked at in one round.
const MAX_ROWS: usize = 5000;
/// Agreements read from the index at a time.
const PAGE: u32 = 200;
/// Transactions under way at a time.
const MAX_UNDER_WAY: usize = 8;
/// Pause after a post, or an attempt at one, before the same agreement is looked at again.
const RETRY: Duration = Duration::from_secs(5);
/// How often the agent's own key on chain is looked at: a reorganisation may take it back.
const CHECK_KEY: Duration = Duration::from_secs(60);
/// How soon after it could not be set or read.
const CHECK_KEY_AGAIN: Duration = Duration::from_secs(5);
/// Longest pause between attempts to settle what was under way before a restart.
const RECOVER_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// What transactions under way may still take when the oracle is asked to stop. They are journaled, so the next start
/// settles what is left.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// The time that the cap is for, milliseconds.
const DAY_MS: u64 = 24 * 3600 * 1000;

/// Whom the agent serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// Whoever names it.
    Any,
    /// These clients.
    Listed(HashSet<Address>),
}

impl Served {
    fn includes(&self, client: Address) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(clients) => clients.contains(&client),
        }
    }
}

/// How the agent behaves.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Whom it serves.
    pub clients: Served,
    /// Most keys that it posts for one client within a day: it pays the gas.
    pub daily_posts: u64,
    /// Blocks on top of an acceptance before the key is posted.
    pub confirmations: u64,
    /// Longest pause between two rounds.
    pub poll: Duration,
    /// The dispatcher.
    pub dispatcher: Address,
    /// True when nobody else settles what this sender had under way before a restart.
    pub recovers: bool,
}

/// What the agent signs, sends and opens with; all of one account.
#[derive(Clone)]
pub struct AgentKeys {
    /// Its account, for mail.
    pub signer: PrivateKeySigner,
    /// The sender of its transactions.
    pub tx: TxManager,
    /// What mail to it is sealed to.
    pub secret: SecretKey,
}

/// The key agent.
pub struct KeyAgent {
    store: Arc<Store>,
    pub(super) mailbox: Mailbox,
    pub(super) rpc: Rpc,
    pub(super) keys: AgentKeys,
    pub(super) options: AgentOptions,
    pub(super) clock: Clock,
    report: Arc<AgentReport>,
    /// Verifiers that were mailed the key, by agreement: attempt, verifier and its key.
    pub(super) shared: HashMap<Account, HashSet<(u8, Address, B256)>>,
    /// When draws are looked at again.
    share_at: Instant,
    /// What was said last of an agreement's attempt, so that it is said once.
    told: HashMap<(Account, u8), Waiting>,
    /// Agreements with a transaction under way.
    busy: HashSet<Account>,
    /// Agreements that have just had one.
    later: HashMap<Account, Instant>,
    sending: JoinSet<Account>,
}

/// A post to be sent.
struct Post {
    agreement: Account,
    client: Account,
    attempt: u8,
    worker: Address,
    envelope: Bytes,
}

impl KeyAgent {
    /// An agent with these keys.
    pub fn new(
        store: Arc<Store>,
        mailbox: Mailbox,
        rpc: Rpc,
        keys: AgentKeys,
        options: AgentOptions,
        clock: Clock,
        report: Arc<AgentReport>,
    ) -> Self {
        report.set(Err("its encryption key is not on chain yet; try again in a minute".to_owned()));
        let (told, busy, later, sending) = (HashMap::new(), HashSet::new(), HashMap::new(), JoinSet::new());
        let (shared, share_at) = (HashMap::new(), Instant::now());
        Self { store, mailbox, rpc, keys, options, clock, report, shared, share_at, told, busy, later, sending }
    }

    pub(super) fn address(&self) -> Address {
        self.keys.tx.address()
    }

    /// Works until cancelled.
    pub async fn run(mut self, mut progress: watch::Receiver<Progress>, token: CancellationToken) {
        tracing::info!(account = %self.address(), key = %self.keys.secret.public(), clients = ?self.options.clients, "the key agent starts");
        if self.options.recovers {
            tokio::select! {
                () = token.cancelled() => return,
                () = self.recover() => {}
            }
        }
        let mut check_key_at = Instant::now();
        loop {
            if Instant::now() >= check_key_at {
                tokio::select! {
                    () = token.cancelled() => break,
                    pause = self.check_key() => check_key_at = Instant::now() + pause,
                }
            }
            // Only on an index that is up to date: an old one shows workers that have long been served.
            let head = {
                let progress = progress.borrow_and_update();
                progress.indexed.filter(|_| progress.trouble.is_none() && progress.lag() == 0)
            };
            if let Some(head) = head {
                tokio::select! {
                    () = token.cancelled() => break,
                    result = self.round(head) => if let Err(error) = result {
                        tracing::warn!(%error, "the key agent cannot read the index");
                    }
                }
            }
            tokio::select! {
                () = token.cancelled() => break,
                Some(done) = self.sending.join_next() => self.done(done),
                changed = progress.changed() => if changed.is_err() { break },
                () = sleep(self.options.poll) => {}
            }
        }
        let rest = async { while self.sending.join_next().await.is_some() {} };
        if timeout(STOP_GRACE, rest).await.is_err() {
            tracing::info!("transactions of the key agent are still under way; the next start settles them");
        }
    }

    /// Settles what was under way before a restart.
    async fn recover(&self) {
        let mut pause = Duration::from_secs(1);
        loop {
            match self.keys.tx.recover().await {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, "the key agent's earlier transactions are not settled yet"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(RECOVER_BACKOFF_MAX);
        }
    }

    /// Makes sure that the agent's key is on chain, and says when to look again.
    async fn check_key(&self) -> Duration {
        match self.publish_key().await {
            Ok(()) => {
                let address = Account(self.address());
                self.report.set(Ok(AgentIdentity { address, encryption_key: self.keys.secret.public() }));
                CHECK_KEY
            }
            Err(reason) => {
                tracing::error!(reason, "the key agent's encryption key is not on chain");
                self.report.set(Err(format!("its encryption key is not on chain: {reason}")));
                CHECK_KEY_AGAIN
            }
        }
    }

    async fn publish_key(&self) -> Result<(), String> {
        let (me, key) = (self.address(), self.keys.secret.public());
        let dispatcher = IWorkerDispatcherInstance::new(self.options.dispatcher, self.rpc.provider());
        let found = dispatcher.encryptionKeyOf(me).call().await;
        if found.map_err(|error| format!("calling encryptionKeyOf({me}): {error}"))? == key {
            return Ok(());
        }
        let worker =
            dispatcher.workerOf(me).call().await.map_err(|error| format!("calling workerOf({me}): {error}"))?;
        if worker == me {
            return Err(format!(
                "{me} is a registered worker, whose key would be replaced; give the key agent an account of its own"
            ));
        }
        let call = IWorkerDispatcher::setEncryptionKeyCall { key }.abi_encode();
        let receipt = self.keys.tx.send("setEncryptionKey", self.options.dispatcher, call.into()).await;
        let receipt = receipt.map_err(|error| error.to_string())?;
        tracing::info!(%key, tx = %receipt.transaction_hash, "the key agent published its encryption key");
        Ok(())
    }

    fn done(&mut self, done: Result<Account, tokio::task::JoinError>) {
        match done {
            Ok(agreement) => {
                self.busy.remove(&agreement);
                self.later.insert(agreement, Instant::now() + RETRY);
            }
            // Its agreement stays busy until a restart, which is better than the same panic every second.
            Err(error) => tracing::error!(%error, "a task of the key agent broke"),
        }
    }

    /// Looks at all agreements that wait for a key.
    async fn round(&mut self, head: Header) -> Result<(), StoreError> {
        let rows = self.rows(Status::Keying).await?;
        let listed: HashSet<(Account, u8)> = rows.iter().map(|row| (row.address, row.attempt)).collect();
        self.told.retain(|which, _| listed.contains(which));
        self.later.retain(|_, until| *until > Instant::now());
        let mut waiting = 0;
        for row in rows {
            if self.busy.contains(&row.address) || self.later.contains_key(&row.address) {
                continue;
            }
            if self.busy.len() >= MAX_UNDER_WAY {
                waiting += 1;
                continue;
            }
            waiting += u64::from(self.look(&row, head).await?);
        }
        self.report.counters.waiting.store(waiting, Ordering::Relaxed);
        if Instant::now() >= self.share_at {
            self.share_at = Instant::now() + RETRY;
            // A window that closed by time alone reads `Drawing` in the index until the next transaction.
            let mut drawn = self.rows(Status::Drawing).await?;
            drawn.extend(self.rows(Status::Verifying).await?);
            let listed: HashSet<Account> = drawn.iter().map(|row| row.address).collect();
            self.shared.retain(|agreement, _| listed.contains(agreement));
            for row in drawn {
                self.share(&row, head).await?;
            }
        }
        Ok(())
    }

    async fn rows(&self, status: Status) -> Result<Vec<AgreementRow>, StoreError> {
        let filter = AgreementFilter { status: Some(status), ..AgreementFilter::default() };
        let (mut rows, mut before) = (Vec::new(), None);
        while rows.len() < MAX_ROWS {
            let page = self.store.agreements(filter, PAGE, before).await?;
            before = page.last().map(|row| Cursor { block: row.bought_block, log_index: row.bought_log });
            let is_last = page.len() < PAGE as usize;
            rows.extend(page);
            if is_last {
                break;
            }
        }
        Ok(rows)
    }

    /// Does what is to be done for one agreement. True when it is one of ours and waits.
    async fn look(&mut self, row: &AgreementRow, head: Header) -> Result<bool, StoreError> {
        let agreement = row.address;
        let client = self.store.client(row.client).await?;
        let mut known = Known {
            me: self.address(),
            is_served: self.options.clients.includes(row.client.0),
            key_agent: client.and_then(|client| client.key_agent).map(|agent| agent.0),
            attempt: row.attempt,
            worker: row.worker.map(|worker| worker.0),
            confirmations: head.number.saturating_sub(row.updated_block),
            needed_confirmations: self.options.confirmations,
            key: KeyState::Missing,
            posts_of_day: 0,
            max_posts_of_day: self.options.daily_posts,
        };
        // Agreements of others cost neither a message opened nor a question to the chain.
        if decide(&known, None) == Next::Leave {
            return Ok(false);
        }
        let key = self.session_key(row).await?;
        known.key = match &key {
            Ok(Some(_)) => KeyState::Good,
            Ok(None) => KeyState::Missing,
            Err(reason) => KeyState::Useless(reason.clone()),
        };
        let since = (self.clock.0)().saturating_sub(DAY_MS);
        known.posts_of_day = self.store.key_posts(row.client, since, (agreement, row.attempt)).await?;
        let mut next = decide(&known, None);
        let mut asked = None;
        if next == Next::AskChain {
            let view = match self.view(row, BlockId::hash(head.hash)).await {
                Ok(view) => View { now: head.time, ..view },
                Err(reason) => {
                    tracing::warn!(%agreement, reason, "the key agent cannot read an agreement");
                    self.later.insert(agreement, Instant::now() + RETRY);
                    return Ok(true);
                }
            };
            next = decide(&known, Some(&view));
            asked = Some(view);
        }
        let (key, view) = match (next, key, asked) {
            (Next::Wait(why), ..) => {
                self.tell(row, why);
                return Ok(true);
            }
            (Next::Post, Ok(Some(key)), Some(view)) => (Some(key), view),
            (Next::PostEmpty, _, Some(view)) => (None, view),
            _ => return Ok(false),
        };
        match self.envelope(row, &view, key.as_ref()) {
            Ok(envelope) => {
                let (client, attempt, worker) = (row.client, row.attempt, view.worker);
                self.send(Post { agreement, client, attempt, worker, envelope });
            }
            Err(reason) => tracing::error!(%agreement, worker = %view.worker, reason, "the key cannot be sealed"),
        }
        Ok(true)
    }

    /// Whether the operator serves its client, and that has named this agent as far as the index knows.
    pub(super) async fn is_ours(&self, row: &AgreementRow) -> Result<bool, StoreError> {
        let client = self.store.client(row.client).await?;
        let named = client.and_then(|client| client.key_agent).is_some_and(|agent| agent.0 == self.address());
        Ok(named && self.options.clients.includes(row.client.0))
    }

    fn tell(&mut self, row: &AgreementRow, why: Waiting) {
        let which = (row.address, row.attempt);
        if self.told.get(&which) == Some(&why) {
            return;
        }
        let (agreement, client) = (row.address, row.client);
        match why {
            Waiting::Message | Waiting::Confirmations | Waiting::Agreement => {
                tracing::info!(%agreement, %client, attempt = row.attempt, "no key is posted yet: {why}");
            }
            Waiting::OtherKey(_) | Waiting::Cap(_) => {
                tracing::warn!(%agreement, %client, attempt = row.attempt, "no key is posted: {why}");
            }
        }
        self.told.insert(which, why);
    }

    /// The key that the client mailed, checked against the terms. `Ok(None)`: there is no message; `Err`: why it is no good.
    pub(super) async fn session_key(
        &self,
        row: &AgreementRow,
    ) -> Result<Result<Option<SessionKey>, String>, StoreError> {
        let agreement = row.address.0;
        let mail = self.mailbox.one(self.keys.secret.public(), agreement, TOPIC_AGENT, row.client.0).await?;
        let Some(message) = mail else { return Ok(Ok(None)) };
        let spec = self.store.spec_of(row).await?;
        let Some(spec) = spec.filter(|spec| keccak256(spec) == row.spec_hash) else {
            return Ok(Err("the index has no specification of this agreement".to_owned()));
        };
        let spec = match ComputeSpec::decode(&spec) {
            Ok(spec) => spec,
            Err(error) => return Ok(Err(format!("the specification cannot be read: {error}"))),
        };
        let context = Context { purpose: Purpose::AgentKey, chain_id: self.rpc.chain_id(), agreement, attempt: 0 };
        let key = open_key(&self.keys.secret, &context, &message.body, spec.key_commitment);
        Ok(key.map(Some).map_err(|error| error.to_string()))
    }

    /// What the chain says at a block. Its time is for the caller to fill in.
    async fn view(&self, row: &AgreementRow, block: BlockId) -> Result<View, String> {
        let provider = self.rpc.provider();
        let contract = IComputeAgreementInstance::new(row.address.0, provider);
        let dispatcher = IWorkerDispatcherInstance::new(self.options.dispatcher, provider);
        let shown = contract.agreement().block(block).call().await;
        let shown = shown.map_err(|error| format!("calling agreement(): {error}"))?;
        let key_agent = dispatcher.keyAgentOf(row.client.0).block(block).call().await;
        let key_agent = key_agent.map_err(|error| format!("calling keyAgentOf({}): {error}", row.client))?;
        let worker_key = dispatcher.encryptionKeyOf(shown.worker).block(block).call().await;
        let worker_key = worker_key.map_err(|error| format!("calling encryptionKeyOf({}): {error}", shown.worker))?;
        let status = Status::from_u8(shown.status)
            .ok_or_else(|| format!("it has status {}, which this version does not know", shown.status))?;
        let (attempt, worker, deadline) = (shown.attempt, shown.worker, shown.deadline.to());
        Ok(View { status, attempt, worker, deadline, now: 0, key_agent, worker_key })
    }

    /// The key sealed to the worker; empty where nothing can be.
    fn envelope(&self, row: &AgreementRow, view: &View, key: Option<&SessionKey>) -> Result<Bytes, String> {
        let Some(key) = key else { return Ok(Bytes::new()) };
        let context = Context {
            purpose: Purpose::WorkerKey,
            chain_id: self.rpc.chain_id(),
            agreement: row.address.0,
            attempt: view.attempt,
        };
        let sealed = seal_key(view.worker_key, &context, key, randomness());
        sealed.map(Bytes::from).map_err(|error| error.to_string())
    }

    fn send(&mut self, post: Post) {
        self.busy.insert(post.agreement);
        let (store, tx, report) = (self.store.clone(), self.keys.tx.clone(), self.report.clone());
        let now_ms = (self.clock.0)();
        self.sending.spawn(async move {
            let agreement = post.agreement;
            let counted = (agreement, post.attempt);
            // Counted before it is paid, so that a crash in between cannot lift the cap.
            let written = store.add_key_post(post.client, counted, now_ms, now_ms.saturating_sub(DAY_MS)).await;
            match written {
                Ok(()) => conclude(&report, &post, carry_out(&tx, &post).await),
                Err(error) => tracing::warn!(%agreement, %error, "the key agent cannot write down a post"),
            }
            agreement
        });
    }
}

pub(super) fn randomness() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut bytes);
    bytes
}

/// Posts, if the contract still waits for this very worker.
async fn carry_out(tx: &TxManager, post: &Post) -> Result<Receipt, TxError> {
    let label = "postKey";
    let call = IComputeAgreement::postKeyCall { worker: post.worker, sealedKey: post.envelope.clone() };
    let calldata: Bytes = call.abi_encode().into();
    let contract = IComputeAgreementInstance::new(post.agreement.0, tx.rpc().provider());
    let now = contract.agreement().call().await.map_err(|error| TxError::Temporary {
        label: label.to_owned(),
        reason: format!("calling agreement(): {error}"),
    })?;
    if (now.attempt, now.worker) != (post.attempt, post.worker) {
        return Err(TxError::Temporary {
            label: label.to_owned(),
            reason: format!("attempt {} of worker {} is over", post.attempt, post.worker),
        });
    }
    // The same post with fresh randomness is the same post: one of them is under way at a time, also over a restart.
    let what = [
        b"sunwork.key-agent.post".as_slice(),
        post.agreement.0.as_slice(),
        &[post.attempt, u8::from(post.envelope.is_empty())],
        post.worker.as_slice(),
    ];
    tx.send_intent(label, post.agreement.0, calldata, keccak256(what.concat())).await
}

fn conclude(report: &AgentReport, post: &Post, result: Result<Receipt, TxError>) {
    let (agreement, attempt, worker) = (post.agreement, post.attempt, post.worker);
    let counters = &report.counters;
    match result {
        Ok(receipt) => {
            counters.posted.fetch_add(1, Ordering::Relaxed);
            let (tx, gas) = (receipt.transaction_hash, receipt.gas_used);
            match posted_attempt(&receipt) {
                // The contract checks the worker, not the attempt: a reorganisation can give the same worker another one.
                Some(other) if other != attempt => {
                    tracing::error!(%agreement, attempt, other, %tx, "the attempt changed while its key was under way");
                }
                _ if post.envelope.is_empty() => {
                    tracing::warn!(%agreement, attempt, %worker, %tx, "the worker has no usable key: an empty envelope was posted");
                }
                _ => tracing::info!(%agreement, attempt, %worker, %tx, gas, "the session key was posted"),
            }
        }
        // The client was first, or the worker left: the index will show it.
        Err(error @ TxError::Reverted { .. }) => {
            counters.lost.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%agreement, attempt, %error, "not needed any more");
        }
        Err(error) if error.is_temporary() => {
            counters.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%agreement, attempt, %error, "the key agent tries again later");
        }
        Err(error) => {
            counters.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%agreement, attempt, %error, "the key agent needs help");
        }
    }
}

fn posted_attempt(receipt: &Receipt) -> Option<u8> {
    let logs = receipt.inner.logs().iter();
    logs.filter_map(|log| IComputeAgreement::KeyPosted::decode_log(&log.inner).ok()).map(|log| log.attempt).next()
}
