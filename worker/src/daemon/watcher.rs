//! Follows the chain and starts a [`Supervisor`] for each purchase.
use std::{collections::HashMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use eyre::{WrapErr, eyre};
use sunwork_protocol::abi::IWorkerDispatcher::AgreementBought;
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
};

use crate::{
    chain::LOG_CHUNK_BLOCKS,
    context::Context,
    governor::now_secs,
    journal::Record,
    notify,
    policy::Mode,
    refusal::Refusal,
    supervisor::{Supervisor, SupervisorError},
    view::Head,
    why::Fate,
};

/// Blocks that are read again at every look: purchases that a reorg moved are found anew.
const REORG_BLOCKS: u64 = 32;
/// Purchases older than this are not counted as demand of today.
const FRESH_BLOCKS: u64 = 7200;
/// A new worker looks back this far: older agreements are over.
const FIRST_LOOK_BACK_BLOCKS: u64 = 50_000;
/// The last block is written down this often when nothing happens.
const SEEN_EVERY_BLOCKS: u64 = 64;
/// Follows the chain, block by block, and starts a supervisor for each purchase.
pub(super) struct Watcher {
    ctx: Arc<Context>,
    heads_out: watch::Sender<Head>,
    poll: Duration,
    idle_poll: Duration,
    supervisors: JoinSet<Result<(), SupervisorError>>,
    running: HashMap<Address, AbortHandle>,
    /// Last block whose purchases are known, in this run.
    scanned: Option<u64>,
    /// The same as it is written down.
    seen: Option<u64>,
}

impl Watcher {
    /// A watcher that tells new heads through `heads_out`, and looks this often, or that often while nothing is under way.
    pub(super) fn new(ctx: Arc<Context>, heads_out: watch::Sender<Head>, poll: Duration, idle_poll: Duration) -> Self {
        let (supervisors, running) = (JoinSet::new(), HashMap::new());
        Self { ctx, heads_out, poll, idle_poll, supervisors, running, scanned: None, seen: None }
    }

    pub(super) async fn run(mut self) -> eyre::Result<()> {
        self.seen = self.ctx.journal.last_block();
        // Before the first block is known: what was running goes on meanwhile.
        for address in self.ctx.journal.state().agreements.into_keys() {
            self.supervise(address)?;
        }
        let mut result = Ok(());
        let mut next_look = tokio::time::Instant::now();
        while result.is_ok() && !self.ctx.shutdown.is_cancelled() {
            tokio::select! {
                () = self.ctx.shutdown.cancelled() => {}
                Some(ended) = self.supervisors.join_next() => result = settled(ended),
                () = tokio::time::sleep_until(next_look) => {
                    result = self.look().await;
                    // On a solar panel every look counts; deadlines are there only where an agreement is.
                    let idle = self.supervisors.is_empty() && self.scanned.is_some();
                    next_look = tokio::time::Instant::now() + if idle { self.idle_poll } else { self.poll };
                }
            }
            notify::alive();
            if result.is_ok() {
                result = self.run_dry();
            }
        }
        self.ctx.shutdown.cancel();
        while let Some(ended) = self.supervisors.join_next().await {
            if let Err(error) = settled(ended) {
                tracing::error!("{error:#}");
                result = result.and(Err(error));
            }
        }
        if let (Ok(()), Some(block)) = (&result, self.scanned) {
            self.write(Record::Seen { block })?;
        }
        result
    }

    /// Ends the worker when the owner lets it run dry and nothing is left, or the time for that is over.
    fn run_dry(&self) -> eyre::Result<()> {
        let governor = &self.ctx.governor;
        let Mode::Draining { until } = governor.mode() else { return Ok(()) };
        let late = until.is_some_and(|until| until <= now_secs());
        let dry = self.scanned.is_some() && governor.board.is_dry() && self.is_dry_by_journal();
        if dry || late {
            tracing::info!(dry, "the owner let it run dry: stopping");
            // The next start is the owner's new word.
            governor.set_mode(Mode::Auto).wrap_err("writing down that it ran dry")?;
            self.ctx.shutdown.cancel();
        }
        Ok(())
    }

    /// Nothing is under way that the board does not know yet.
    fn is_dry_by_journal(&self) -> bool {
        let state = self.ctx.journal.state();
        let mut open = state.agreements.iter().filter(|(_, known)| known.took_part() && !known.is_closed());
        state.txs.is_empty() && open.all(|(agreement, _)| self.ctx.governor.board.has(*agreement))
    }

    async fn look(&mut self) -> eyre::Result<()> {
        let head = match self.ctx.chain.rpc().latest().await {
            Ok((number, timestamp)) => Head { number, timestamp },
            Err(error) => {
                tracing::warn!(%error, "cannot read the newest block");
                return Ok(());
            }
        };
        if *self.heads_out.borrow() == head && self.scanned.is_some() {
            return Ok(());
        }
        if self.heads_out.borrow().number == 0 {
            // The first look reads far back: the supervisors of old agreements need a clock before that.
            self.heads_out.send_replace(head);
        }
        self.scan(head.number).await?;
        self.heads_out.send_replace(head);
        Ok(())
    }

    /// Reads purchases up to the head, a piece at a time; a failed piece is read again at the next look.
    async fn scan(&mut self, head: u64) -> eyre::Result<()> {
        let first = self.ctx.chain.deployment.deployed_block.max(head.saturating_sub(FIRST_LOOK_BACK_BLOCKS));
        let known = self.scanned.or(self.seen);
        let mut from = known.map_or(first, |block| block.min(head).saturating_sub(REORG_BLOCKS).max(first));
        while from <= head {
            let to = head.min(from + LOG_CHUNK_BLOCKS - 1);
            let purchases = match self.ctx.chain.purchases(from, to).await {
                Ok(purchases) => purchases,
                Err(error) => {
                    tracing::warn!(%error, from, to, "cannot read purchases; trying again");
                    return Ok(());
                }
            };
            let mut news = false;
            for (block, event) in purchases {
                match self.bought(block, event).await? {
                    Purchase::Known => {}
                    Purchase::New => news = true,
                    // From this block on again at the next look.
                    Purchase::NoRoom => return Ok(()),
                }
            }
            self.scanned = Some(to);
            if (news || to >= self.seen.unwrap_or(0) + SEEN_EVERY_BLOCKS) && self.write(Record::Seen { block: to })? {
                self.seen = Some(to);
            }
            from = to + 1;
        }
        Ok(())
    }

    /// Writes down what can wait for room. True when it is written.
    fn write(&self, record: Record) -> eyre::Result<bool> {
        match self.ctx.journal.append(record) {
            Ok(()) => Ok(true),
            Err(error) if error.is_full() => {
                self.ctx.governor.set_journal_short(true);
                tracing::debug!(%error, "not written down");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a purchase down and starts on it.
    async fn bought(&mut self, block: u64, event: AgreementBought) -> eyre::Result<Purchase> {
        let agreement = event.agreement;
        let known = self.ctx.journal.agreement(agreement);
        let fresh = match &known {
            None => true,
            Some(known) => {
                !known.is_closed()
                    && (known.client, &known.terms, &known.spec) != (event.client, &event.terms, &event.spec)
            }
        };
        if !fresh {
            let waits = known.is_some_and(|known| !known.is_closed());
            if waits && self.running.get(&agreement).is_none_or(AbortHandle::is_finished) {
                // A reorganisation took it away for so long that it was left alone, and another brought it back.
                self.supervise(agreement)?;
            }
            return Ok(Purchase::Known);
        }
        if let Err(refusal) = self.is_ours(&event).await {
            self.note(agreement, block, Fate::Excluded { refusal });
            return Ok(Purchase::Known);
        }
        if self.ctx.journal.is_short_of_room() {
            // What is left is for the agreements under way.
            self.note(agreement, block, Fate::Excluded { refusal: Refusal::JournalRoom });
            return Ok(Purchase::NoRoom);
        }
        self.note(agreement, block, Fate::Fits);
        tracing::info!(%agreement, client = %event.client, block, budget = %event.budget, "a purchase in our class");
        let (client, terms, spec) = (event.client, event.terms, event.spec);
        if !self.write(Record::Bought { agreement, client, terms, spec, block })? {
            return Ok(Purchase::NoRoom);
        }
        self.supervise(agreement)?;
        Ok(Purchase::New)
    }

    async fn is_ours(&self, event: &AgreementBought) -> Result<(), Refusal> {
        let class = self.ctx.chain.deployment.class_name(event.classId);
        crate::policy::kind_and_runtime(&self.ctx.governor.policy(), event.kindId, &class)?;
        match self.ctx.chain.worker_info(self.ctx.me).await {
            Ok(info) if info.classes.to::<u64>() >> event.classId & 1 == 0 => Err(Refusal::Class { asked: class }),
            // Looked at closely later; better one too many than one missed.
            _ => Ok(()),
        }
    }

    /// What a first look finds in old blocks is no demand of today; a block's age is judged by its distance.
    fn note(&self, agreement: Address, block: u64, fate: Fate) {
        if self.heads_out.borrow().number.saturating_sub(block) <= FRESH_BLOCKS {
            self.ctx.governor.why.note(agreement, fate, now_secs());
        }
    }

    fn supervise(&mut self, agreement: Address) -> eyre::Result<()> {
        if let Some(supervisor) = Supervisor::new(self.ctx.clone(), agreement)? {
            let handle = self.supervisors.spawn(supervisor.run());
            if let Some(old) = self.running.insert(agreement, handle) {
                // A reorg put another purchase at this address: whoever works on the old one must stop.
                old.abort();
            }
            self.running.retain(|_, handle| !handle.is_finished());
        }
        Ok(())
    }
}

/// What a purchase was.
enum Purchase {
    /// Known, or not for us.
    Known,
    /// Written down, and begun.
    New,
    /// There is no room to write it down.
    NoRoom,
}

fn settled(ended: Result<Result<(), SupervisorError>, tokio::task::JoinError>) -> eyre::Result<()> {
    match ended {
        Ok(result) => result.wrap_err("an agreement cannot be carried on"),
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => Err(eyre!("a supervisor ended unexpectedly: {error}")),
    }
}
