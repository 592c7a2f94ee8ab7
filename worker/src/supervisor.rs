//! One task per agreement: look at the chain, ask the [`machine`](crate::machine), do it, look again.
//!
//! A step that takes long (fetching, computing, storing) is dropped as soon as the chain asks for something else. What a
//! step has done is in the journal; what it was doing is found again by the next look.
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicU32},
    time::Duration,
};

use alloy::primitives::{Address, B256, U256, keccak256};
use sunwork_protocol::{
    energy::NotPositive,
    status::{Ending, Status},
    terms::{ComputeSpec, ComputeTerms},
};

use crate::{
    chain::ChainError,
    clock,
    context::Context,
    energy::handle::key,
    governor::now_secs,
    journal::{Agreement, JournalError, Record, record::BarredFrom},
    machine::{Action, DeclineReason, Key, Local, next_action},
    refusal::Refusal,
    step::StepError,
    view::{Head, View},
    why::Fate,
};

mod keys;
mod late;
mod local;
mod logs;
mod offer;
mod offline;
mod openings;
mod placement;
mod prepare;
mod result_blob;
mod unlock;
mod unproven;
mod verify;
mod work;

use logs::SealedLogs;
use openings::Mailed;
use unlock::Clear;
use unproven::UnprovenLog;

/// Longest pause after failures; short against every deadline.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long the first block after the start is waited for, before anything is gone on with that does not need it.
const FIRST_HEAD: Duration = Duration::from_secs(5);
/// Blocks after which an agreement that the chain does not know is taken for reorganised away.
const GONE_AFTER_BLOCKS: u64 = 64;
/// Seconds that others leave a party to do its own step.
const COURTESY_SECS: u64 = 6;

/// Why a supervisor ended before its agreement did.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The journal does not work.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// One agreement, from the purchase to the last collected token.
pub struct Supervisor {
    ctx: Arc<Context>,
    address: Address,
    terms: ComputeTerms,
    spec: ComputeSpec,
    bought_block: u64,
    client: Address,
    /// Our best ticket, by draw.
    ticket: Option<(B256, Option<(u64, U256)>)>,
    /// When the seed of a draw that is not open was first seen, by seed.
    seed_seen: Option<(B256, u64)>,
    final_since: Option<u64>,
    /// Openings of the present round, if it is a later one.
    unproven: Option<UnprovenLog>,
    /// The draw in which we have begun to compute before the claim.
    ahead: Option<B256>,
    /// What keeps us from this work, if it is green.
    green: Result<(), NotPositive>,
    /// What leaves are run with, once it is readable.
    clear: OnceLock<Arc<Clear>>,
    /// What the last look for the session key found.
    key_seen: Mutex<Key>,
    /// Openings that were mailed to us, and whether ours was.
    mailed: Mutex<Mailed>,
    sealed_logs: tokio::sync::OnceCell<SealedLogs>,
    log_tries: AtomicU32,
    last: Option<Action>,
    failures: u32,
}

impl Supervisor {
    /// A supervisor for an agreement that is in the journal. `None` when there is nothing to do about it.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn new(ctx: Arc<Context>, address: Address) -> Result<Option<Self>, SupervisorError> {
        let Some(known) = ctx.journal.agreement(address).filter(|known| !known.is_closed()) else { return Ok(None) };
        let read = ComputeTerms::unpack(&known.terms).and_then(|terms| Ok((terms, ComputeSpec::decode(&known.spec)?)));
        match read {
            Ok((terms, spec)) => Ok(Some(Self {
                ctx,
                address,
                terms,
                spec,
                bought_block: known.block,
                client: known.client,
                ticket: None,
                seed_seen: None,
                final_since: None,
                unproven: None,
                ahead: None,
                green: Ok(()),
                clear: OnceLock::new(),
                key_seen: Mutex::new(Key::Unknown),
                mailed: Mutex::default(),
                sealed_logs: tokio::sync::OnceCell::new(),
                log_tries: AtomicU32::new(0),
                last: None,
                failures: 0,
            })),
            Err(error) => {
                let refusal = Refusal::Specification { message: error.to_string() };
                tracing::info!(agreement = %address, %refusal, "refused");
                ctx.governor.why.note(address, Fate::Excluded { refusal: refusal.clone() }, now_secs());
                match ctx.journal.append(Record::Refused { agreement: address, refusal }) {
                    // The next start finds the same.
                    Err(error) if error.is_full() => tracing::warn!(agreement = %address, %error, "not written down"),
                    written => written?,
                }
                Ok(None)
            }
        }
    }

    /// Runs until nothing is left to do or the worker shuts down.
    ///
    /// # Errors
    /// When the journal does not work.
    pub async fn run(mut self) -> Result<(), SupervisorError> {
        let shutdown = self.ctx.shutdown.clone();
        let mut heads = self.ctx.heads.clone();
        loop {
            let head = *heads.borrow_and_update();
            let step = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                step = self.step(head) => step,
            };
            let pause = match step {
                Ok(Next::End) => return Ok(()),
                Ok(Next::Now) => {
                    self.failures = 0;
                    continue;
                }
                Ok(Next::AwaitBlock) => {
                    self.failures = 0;
                    Duration::ZERO
                }
                Err(error) => self.failed(error)?,
            };
            let next_block = async {
                tokio::time::sleep(pause).await;
                // A closed channel means that the watcher is gone, and with it the worker.
                let _ = heads.changed().await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = next_block => {}
            }
        }
    }

    /// Notes a failure and says how long to pause.
    fn failed(&mut self, error: StepError) -> Result<Duration, SupervisorError> {
        if let StepError::NotYet(reason) = &error {
            tracing::debug!(agreement = %self.address, action = ?self.last, reason, "waiting");
            self.failures = 0;
            return Ok(Duration::ZERO);
        }
        self.failures = self.failures.saturating_add(1);
        let pause = Duration::from_millis(100 << self.failures.min(6)).min(MAX_PAUSE);
        let (agreement, action, failures) = (self.address, &self.last, self.failures);
        // What goes on for hours is said ever more rarely.
        let say = failures.is_power_of_two();
        match error {
            StepError::Journal(error) => return Err(error.into()),
            StepError::NotYet(_) => {}
            StepError::Refused { name, reason } => {
                if say {
                    tracing::info!(%agreement, ?action, reason, failures, "not now: the contract refuses");
                }
                let barred = match name {
                    Some("AlreadyTried" | "ClientCannotWork") => Some(BarredFrom::Accepting),
                    Some("ExcludedVerifier" | "WorkerCannotVerify") => Some(BarredFrom::Claiming),
                    _ => None,
                };
                if let Some(from) = barred {
                    match self.ctx.journal.append(Record::Barred { agreement, from }) {
                        // The next try finds the same.
                        Err(error) if error.is_full() => tracing::warn!(%agreement, %error, "not written down"),
                        written => written?,
                    }
                }
            }
            StepError::Retry(reason) if failures < 4 || !say => {
                tracing::debug!(%agreement, ?action, reason, failures, "trying again");
            }
            StepError::Retry(reason) => tracing::warn!(%agreement, ?action, reason, failures, "still trying"),
            StepError::Stuck(reason) if say => {
                tracing::error!(%agreement, ?action, reason, failures, "cannot go on; trying again");
            }
            StepError::Stuck(_) => {}
        }
        Ok(pause)
    }

    /// One look and what follows from it.
    async fn step(&mut self, head: Head) -> Result<Next, StepError> {
        if head.number == 0 {
            // No node has answered since the start, or not yet.
            let mut heads = self.ctx.heads.clone();
            let first = async { heads.wait_for(|head| head.number != 0).await.map(drop) };
            let waited = tokio::time::timeout(FIRST_HEAD, first).await;
            return if waited.is_ok() { Ok(Next::Now) } else { self.without_chain(None).await };
        }
        let mut view = match self.ctx.chain.view(self.address).await {
            Ok(view) => view,
            Err(error) if !error.is_answered() => return self.without_chain(Some(error)).await,
            Err(error) => return self.unreadable(error, head),
        };
        if view.status == Status::Sealed && !view.draw_seed.is_zero() {
            // The claim that opens the draw writes it down; until then the class says the same.
            view.class_units = self.ctx.chain.class_units(self.terms.class_id, view.snapshot_epoch).await?;
        }
        let known = self.known();
        let mut local = self.local(&view, &known, head).await?;
        let action = next_action(&view, &local, self.ctx.me, head);
        let computes = matches!(action, Action::ComputeSamples | Action::CheckBundle | Action::ProveLeaves);
        if computes && view.slot_of(self.ctx.me).is_none() {
            self.ahead = Some(view.draw_seed);
            local.is_ahead = true;
        }
        self.publish(&view, &known, &local, &action);
        if self.last.as_ref() != Some(&action) {
            self.announce(&view, &action);
            self.last = Some(action.clone());
        }
        match action {
            Action::Wait(_) => Ok(Next::AwaitBlock),
            Action::Done => self.done(&view, &known),
            action => {
                let obsolete = self.until_obsolete(local, action.clone());
                tokio::select! {
                    done = self.act(&view, &known, action.clone()) => done.map(|()| Next::Now),
                    () = obsolete => {
                        tracing::info!(agreement = %self.address, ?action, "stopped: the agreement moved on");
                        Ok(Next::Now)
                    }
                }
            }
        }
    }

    async fn act(&self, view: &View, known: &Agreement, action: Action) -> Result<(), StepError> {
        self.reserve_energy(view, &action)?;
        let enters = Self::enters(&action);
        let done = self.carry_out(view, known, action).await;
        if enters.is_some() && matches!(done, Err(StepError::Refused { .. })) {
            self.ctx.governor.energy.release(&key(self.address));
        }
        done
    }

    async fn carry_out(&self, view: &View, known: &Agreement, action: Action) -> Result<(), StepError> {
        match action {
            Action::Prepare => self.prepare(view).await,
            Action::Accept => self.accept(known).await,
            Action::AcceptPlaced => self.accept_placed(view, known).await,
            Action::OpenKey => self.open_key(view, known).await,
            Action::ComputeLeaves => self.compute_leaves(view, known).await,
            Action::UploadBundle => self.upload_bundle(view, known).await,
            Action::SealResult => self.seal_result(view, known).await,
            Action::SubmitResult => self.submit_result(view, known).await,
            Action::Abort => self.abort().await,
            Action::OpenDraw => self.open_draw(view).await,
            Action::Claim(index) => self.claim(known, index).await,
            Action::ClaimAndSeal(index) => self.claim_and_seal(view, known, index).await,
            Action::SendKeys => self.send_keys(view, known).await,
            Action::FetchKey => self.fetch_key(view).await,
            Action::ComputeSamples => self.compute_samples(view, known).await,
            Action::CheckBundle => self.check_bundle(view).await,
            Action::ProveLeaves => self.prove_leaves(view, known).await,
            Action::SealVerdict => self.seal_verdict(view, known).await,
            Action::Decline(reason) => self.decline(reason).await,
            Action::SendOpening => self.send_opening(view, known).await,
            Action::GatherOpenings => self.gather_openings(view).await,
            Action::RecordLot(round) => self.record_round(round).await,
            Action::SettleAll => self.settle_all(view, known).await,
            Action::Reveal => self.reveal(view, known).await,
            Action::OpenVerification => self.open_verification(view, known).await,
            Action::OpenLate => self.open_late(view, known).await,
            Action::OpenUnproven => self.open_unproven(view, known).await,
            Action::Answer(verifier) => self.answer(view, known, verifier).await,
            Action::Decide => self.decide(view).await,
            Action::Expire => self.expire().await,
            Action::SendLogs => self.send_logs(view, known).await,
            Action::Redeem => self.redeem().await,
            Action::Wait(_) | Action::Done => Ok(()),
        }
    }

    /// Returns when the chain no longer asks for `action`. Transactions are short and decide for themselves, so only the
    /// long steps are watched.
    fn until_obsolete(&self, local: Local, action: Action) -> impl Future<Output = ()> + use<> {
        let (ctx, address) = (self.ctx.clone(), self.address);
        let mut heads = ctx.heads.clone();
        async move {
            let long = [
                Action::Prepare,
                Action::ComputeLeaves,
                Action::UploadBundle,
                Action::SendKeys,
                Action::FetchKey,
                Action::ComputeSamples,
                Action::CheckBundle,
                Action::ProveLeaves,
                Action::SendOpening,
                Action::GatherOpenings,
                Action::SendLogs,
            ];
            if !long.contains(&action) {
                return std::future::pending().await;
            }
            heads.mark_unchanged();
            loop {
                if heads.changed().await.is_err() {
                    return std::future::pending().await;
                }
                let head = *heads.borrow_and_update();
                let Ok(view) = ctx.chain.view(address).await else { continue };
                let next = next_action(&view, &local, ctx.me, head);
                // Being prepared helps in every state but the last.
                let still = next == action || (action == Action::Prepare && !view.status.is_final());
                if !still {
                    return;
                }
            }
        }
    }

    /// See [`clock::mail_time_ms`].
    fn mail_time_ms(&self) -> u64 {
        clock::mail_time_ms(*self.ctx.heads.borrow())
    }

    fn known(&self) -> Agreement {
        self.ctx.journal.agreement(self.address).unwrap_or_default()
    }

    fn unreadable(&self, error: ChainError, head: Head) -> Result<Next, StepError> {
        if error.is_answered() && head.number > self.bought_block + GONE_AFTER_BLOCKS {
            tracing::warn!(agreement = %self.address, %error, "the agreement is gone from the chain; left alone");
            self.ctx.governor.board.remove(self.address);
            if let Err(error) = self.ctx.folder.agreement(self.address).remove() {
                tracing::warn!(agreement = %self.address, %error, "cannot delete its files");
            }
            return Ok(Next::End);
        }
        Err(error.into())
    }

    fn announce(&self, view: &View, action: &Action) {
        let (agreement, status) = (self.address, view.status);
        match action {
            Action::Wait(reason) => tracing::debug!(%agreement, %status, reason, "waiting"),
            Action::Done => tracing::debug!(%agreement, %status, "nothing left to do"),
            action => tracing::info!(%agreement, %status, attempt = view.attempt, ?action, "next"),
        }
    }

    fn done(&self, view: &View, known: &Agreement) -> Result<Next, StepError> {
        let agreement = self.address;
        self.ctx.governor.board.remove(agreement);
        if view.status.is_final() {
            self.ctx.journal.append(Record::Finished { agreement, ending: view.ending })?;
            if known.took_part() {
                tracing::info!(%agreement, ending = %view.ending, "finished");
            }
        } else if known.refusal.is_none() {
            self.ctx.journal.append(Record::Finished { agreement, ending: Ending::None })?;
        }
        self.forget_placement();
        if let Err(error) = self.ctx.folder.agreement(agreement).remove() {
            tracing::warn!(%agreement, %error, "cannot delete the files of a finished agreement");
        }
        Ok(Next::End)
    }

    fn lock_key_seen(&self) -> MutexGuard<'_, Key> {
        self.key_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_mailed(&self) -> MutexGuard<'_, Mailed> {
        self.mailed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down that the work is ours in this attempt.
    fn hold(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (agreement, attempt) = (self.address, view.attempt);
        if known.holding == Some(attempt) {
            return Ok(());
        }
        Ok(self.ctx.journal.append(Record::Holding { agreement, attempt })?)
    }

    /// Writes down that it cannot be done, in either role.
    fn impossible(&self, reason: DeclineReason, message: impl std::fmt::Display) -> Result<(), StepError> {
        tracing::warn!(agreement = %self.address, ?reason, "the work cannot be done: {message}");
        Ok(self.ctx.journal.append(Record::Impossible { agreement: self.address, reason })?)
    }

    /// The terms in the agreement's own code are the truth; the event came through a node.
    async fn check_against_chain(&self, known: &Agreement) -> Result<Result<(), Refusal>, StepError> {
        let bound = self.ctx.chain.bound_terms(self.address).await?;
        let found = keccak256(&known.spec);
        let message = if bound.spec_hash != found {
            format!("its hash is {found}, the terms commit to {}", bound.spec_hash)
        } else if bound.terms != self.terms || bound.client != self.client {
            "the terms of the purchase event are not those of the agreement".to_owned()
        } else {
            return Ok(Ok(()));
        };
        Ok(Err(Refusal::Specification { message }))
    }
}

enum Next {
    /// Look again at once: something was done.
    Now,
    AwaitBlock,
    End,
}
