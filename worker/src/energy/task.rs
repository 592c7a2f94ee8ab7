//! The loop that carries the energy: look, keep, tell, save, and put the board to sleep.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sunwork_energy::{
    keeper::{Keeper, Mode, Outcome, Promise, Start, Tick, Waking},
    plan::Commitment,
    sensors::Flow,
    units::{MilliWattHours, UnixSeconds},
    work::Share,
};

use super::{
    attest,
    cpu::{Machine, Told},
    handle::{BoardPower, Published, key},
    settings::{EnergySettings, From},
    source::{Look, Opened, Source},
    store::Store,
    wake::Waker,
};
use crate::{board::Part, context::Context, governor::now_secs};

/// Standard deviation of the charge that a simulation starts with, per mille.
const TOLD_SIGMA_PERMILLE: i64 = 10;
/// Pause after a sleep that failed.
const SLEEP_AGAIN: Duration = Duration::from_secs(900);
/// Agreements whose energy is remembered after their end.
const MAX_ACCOUNTS: usize = 4096;

/// Everything that the loop holds.
pub struct Task {
    settings: EnergySettings,
    source: Option<Source>,
    keeper: Keeper,
    store: Store,
    machine: Machine,
    simulated: bool,
    anchored: bool,
    threads: u32,
    board: BoardPower,
    rows_since_learned: u32,
    last: Option<Outcome>,
    /// Time of the last look.
    now: Option<UnixSeconds>,
    /// Sleep failed, and why: not tried again for a while, since setting alarms wears the device out.
    failed: Option<(Instant, String)>,
}

impl Task {
    /// Opens source and store and takes up what an earlier run left. Nothing new is taken until the first look.
    ///
    /// # Errors
    /// A simulation that cannot be read, or a folder that cannot be made.
    pub fn open(settings: EnergySettings, ctx: &Context, threads: u32) -> eyre::Result<Self> {
        let Opened { source, store, plant, history, charge_permille, simulated, anchored } =
            Source::open(&settings, ctx.folder.root())?;
        let real_now = i64::try_from(now_secs()).unwrap_or(i64::MAX);
        let mut start = store.load(real_now);
        if anchored {
            start.rows.splice(0..0, history);
        } else if simulated.is_some() {
            // A simulation begins where its description says: what was saved is of another run.
            start = Start { rows: history, ..Start::default() };
        }
        let mut keeper = Keeper::new(plant, start);
        if let Some(permille) = charge_permille {
            keeper.told(permille, TOLD_SIGMA_PERMILLE);
        }
        let moment = simulated.map_or((real_now, real_now), |(now, _)| (real_now, now.0));
        let speed = simulated.map_or(1, |(_, speed)| speed);
        let compute = plant.full() - plant.idle();
        let board = BoardPower { compute, threads, speed, moment, chain_follows: anchored };
        ctx.governor.energy.switch_on(board);
        let simulated = simulated.is_some();
        tracing::info!(?settings.from, simulated, "energy is kept");
        Ok(Self {
            settings,
            source: Some(source),
            keeper,
            store,
            machine: Machine::default(),
            simulated,
            anchored,
            threads,
            board,
            rows_since_learned: 0,
            last: None,
            now: None,
            failed: None,
        })
    }

    /// What the attestation needs of it: the history, and what is known of the plant.
    #[must_use]
    pub fn attests(&self) -> (Store, attest::task::Plant) {
        let metered = match &self.settings.from {
            From::Sensors(specs) => specs.iter().any(|spec| spec.feeds().contains(&Flow::Consumption)),
            From::Simulation { .. } => true,
        };
        let plant = self.keeper.plant();
        let missing = attest::counts::Missing { asleep: plant.sleep, unknown: plant.full() };
        let speed = self.simulated.then_some(self.board.speed);
        (self.store.clone(), attest::task::Plant { metered, missing, speed })
    }

    /// Runs until the worker stops.
    pub async fn run(mut self, ctx: Arc<Context>) {
        let mut ticks = tokio::time::interval(self.settings.interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = ctx.shutdown.cancelled() => break,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.look(&ctx).await {
                // What is not known promises nothing.
                tracing::error!("the energy cannot be looked at: {error:#}");
                ctx.governor.energy.forget();
                return;
            }
        }
        self.save(true);
    }

    async fn look(&mut self, ctx: &Context) -> eyre::Result<()> {
        let (cpu_permille, cpu_microseconds) = self.machine.look();
        let told = self.cpu_times(ctx).await;
        let mut shares = ctx.governor.energy.leaves.shares(&told, self.threads);
        let gone = || eyre::eyre!("the sensors are gone");
        let source = self.source.as_mut().ok_or_else(gone)?;
        source.set_cpu(cpu_permille);
        let count = source.due();
        // Several simulated minutes share what was told once.
        let cpu = (cpu_permille, cpu_microseconds / count);
        shares.iter_mut().for_each(|share| share.cpu_microseconds /= count);
        for _ in 0..count {
            let mut source = self.source.take().ok_or_else(gone)?;
            // Buses and ports are waited for, if only for milliseconds.
            let looked = tokio::task::spawn_blocking(move || {
                let (looks, waking) = (source.look(), source.waking());
                (source, looks, waking)
            });
            let (source, looks, waking) = looked.await?;
            let behind = source.is_behind();
            self.source = Some(source);
            self.looked(ctx, looks, &waking, cpu, &shares).await;
            if !behind {
                break;
            }
        }
        Ok(())
    }

    async fn looked(
        &mut self,
        ctx: &Context,
        looks: Vec<Look>,
        waking: &Waking,
        (cpu_permille, cpu_microseconds): (u32, u64),
        shares: &[Share],
    ) {
        let speed = self.board.speed.max(1);
        self.failed = self.failed.take().filter(|(since, _)| since.elapsed() < SLEEP_AGAIN / speed);
        let waking = match (&self.failed, self.settings.sleep) {
            (_, false) => Waking::None,
            (Some((_, reason)), true) => Waking::Failed(reason.clone()),
            (None, true) => waking.clone(),
        };
        let (promises, promises_known) = self.promises(ctx);
        // What the owner is told is reckoned once, when nothing is left to catch up.
        let last = if self.source.as_ref().is_some_and(Source::is_behind) { 0 } else { looks.len() };
        for (index, Look { at, readings, slept }) in (1..).zip(looks) {
            if let Some(seconds) = slept {
                tracing::info!(seconds, "awake again after a planned sleep");
                self.keeper.woke_up(seconds);
            }
            let outcome = self.keeper.look(Tick {
                at,
                readings: &readings,
                cpu_permille,
                cpu_microseconds,
                shares: shares.to_vec(),
                promises: &promises,
                promises_known,
                waking: &waking,
            });
            self.now = at.unix.or(self.now);
            self.took(&outcome);
            let sleep = matches!(outcome.mode, Mode::Sleep { .. });
            if index == last || sleep {
                self.tell(ctx, outcome, &promises);
            } else {
                self.last = Some(outcome);
            }
            if sleep {
                self.sleep(ctx).await;
                break;
            }
        }
    }

    /// Logs what changed and saves a quarter hour that ended.
    fn took(&mut self, outcome: &Outcome) {
        let before = self.last.as_ref();
        if before.is_none_or(|before| before.mode.name() != outcome.mode.name()) {
            tracing::info!(mode = outcome.mode.name(), why = %outcome.why, "energy");
        }
        for trouble in &outcome.troubles {
            let known = before.is_some_and(|before| before.troubles.iter().any(|old| old.name() == trouble.name()));
            if !known {
                tracing::warn!(state = trouble.name(), behaviour = trouble.behaviour(), "{trouble}");
            }
        }
        if let Some(row) = &outcome.row {
            if let Err(error) = self.store.append(row) {
                tracing::warn!(%error, "cannot write the energy history down");
            }
            self.rows_since_learned += 1;
            self.save(self.rows_since_learned >= 4);
        }
    }

    fn save(&mut self, learned: bool) {
        if self.simulated && !self.anchored && !learned {
            return;
        }
        if learned && let Some(source) = &mut self.source {
            source.save();
        }
        self.keeper.forget_accounts(MAX_ACCOUNTS);
        let mut result = self.store.save_memory(&self.keeper.memory());
        if learned {
            self.rows_since_learned = 0;
            result = result.and(self.store.save_learned(&self.keeper.learned()));
        }
        if let Err(error) = result {
            tracing::warn!(%error, "cannot write down what is known of the energy");
        }
    }

    fn tell(&mut self, ctx: &Context, outcome: Outcome, promises: &[Promise]) {
        let state = Arc::new(self.keeper.state(&outcome, promises, self.simulated));
        let gate = self.keeper.gate().cloned();
        let accounts = self.keeper.ledger().accounts().clone();
        ctx.governor.energy.publish(Published { state, gate, accounts });
        ctx.governor.fit_to_energy();
        self.last = Some(outcome);
    }

    /// Sets the alarm, reads it back, writes everything down, and halts the board. Whatever fails keeps it awake.
    async fn sleep(&mut self, ctx: &Context) {
        let Some(Outcome { mode: Mode::Sleep { wake }, .. }) = self.last else { return };
        let (Some(now), Some(source)) = (self.now, &mut self.source) else { return };
        if source.is_asleep() {
            return;
        }
        match source.set_wake(wake, now) {
            Ok(set) => tracing::info!(wake = set.0, "the wake alarm is set and read back; going to sleep"),
            Err(error) => {
                tracing::warn!(error, "no alarm is set; the board stays awake");
                self.failed = Some((Instant::now(), error));
                return;
            }
        }
        if let Some(cut_short) = self.keeper.falls_asleep()
            && let Err(error) = self.store.append(&cut_short)
        {
            tracing::warn!(%error, "cannot write the energy history down");
        }
        self.save(true);
        if let Some(source) = &mut self.source
            && source.halt_simulated()
        {
            return;
        }
        let [program, words @ ..] = &self.settings.halt[..] else { return };
        match tokio::process::Command::new(program).args(words).status().await {
            Ok(status) if status.success() => {
                if let Some(Err(error)) = self.source.as_mut().map(Source::halting) {
                    tracing::warn!(error, "the waking device was not told of the sleep; its own service has to");
                }
                return ctx.shutdown.cancel();
            }
            Ok(status) => self.failed = Some((Instant::now(), format!("{program} ended with {status}"))),
            Err(error) => self.failed = Some((Instant::now(), format!("{program} cannot be run: {error}"))),
        }
        tracing::error!(why = ?self.failed, "the board does not halt; it stays awake");
        self.keeper.woke_up(0);
    }

    /// What every open agreement still needs of us, by the energy's clock, and whether all of them were looked at.
    fn promises(&self, ctx: &Context) -> (Vec<Promise>, bool) {
        let board = &ctx.governor.board;
        let time = |unix: u64| self.board.energy_time(i64::try_from(unix).unwrap_or(i64::MAX));
        let rows = board.all();
        let ours = rows.iter().filter(|row| row.role != Part::Candidate);
        let promise = |promised: &crate::board::Promised| Promise {
            energy: MilliWattHours(promised.milliwatt_hours),
            deadline: time(promised.deadline),
            awake_by: time(promised.awake_by),
        };
        let promised: Vec<_> = ours.filter_map(|row| Some((key(row.agreement), row.promised.as_ref()?))).collect();
        let mut promises: Vec<Promise> = promised.iter().map(|(_, promised)| promise(promised)).collect();
        // What is on its way to the chain holds as well.
        for Commitment { energy, deadline } in ctx.governor.energy.reserved_beside(promised.iter().map(|(key, _)| key))
        {
            promises.push(Promise { energy, deadline, awake_by: self.now.unwrap_or(deadline) });
        }
        let state = ctx.journal.state();
        let mut open = state.agreements.iter().filter(|(_, known)| known.took_part() && !known.is_closed());
        let known = state.txs.is_empty() && open.all(|(agreement, _)| board.has(*agreement));
        (promises, known)
    }

    async fn cpu_times(&self, ctx: &Context) -> Told {
        let mut told = Told::new();
        for (name, run) in ctx.governor.energy.leaves.names() {
            if let Some(micros) = ctx.runtime.cpu_time(&name).await {
                told.insert(name, (run, micros));
            }
        }
        told
    }
}
