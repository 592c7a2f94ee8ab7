//! The loop that carries the attestation: ask chain and history, decide, write down, send, tell.
use std::{sync::Arc, time::Duration};

use alloy::{primitives::B256, sol_types::SolCall};
use sunwork_energy::{keeper::Mode, units::UnixSeconds};
use sunwork_protocol::{
    abi::IEnergyLedger,
    energy::{Record, SignedRecord, day_of},
};

use super::{
    Attestation, Hold, Situation, Step,
    book::{Beginning, BookFile, Owner},
    counts::{Carry, Missing, midnight},
    decide::{self, CLOCKS_APART_SECS, Draft, Ledger, Status},
    hold::date,
    keys::{self, Found, Keyring, Seen},
    ledger,
    state::MeterState,
};
use crate::{context::Context, energy::store::Store};

/// How often chain and history are asked.
const LOOK: Duration = Duration::from_secs(60);
/// The same for a simulation, whose days are short.
const LOOK_SIMULATED: Duration = Duration::from_millis(500);
/// Most records of one look: the longest window, and something for gaps.
const MAX_STEPS: usize = 70;
/// A sleep that began so long before the day is still known.
const DAYS_BEFORE: u16 = 3;
/// Chains on which simulated energy may be attested: anvil's.
const DEVELOPMENT_CHAIN: u64 = 31_337;

/// Everything that the loop holds.
pub struct Task {
    ctx: Arc<Context>,
    keys: Keyring,
    store: Store,
    metered: bool,
    missing: Missing,
    /// Simulated seconds in a second; `None`: real sensors.
    speed: Option<u32>,
    signer: Option<Found>,
    /// Files that were looked at without finding the key: looked at again when they change.
    missed: Option<(B256, Seen, String)>,
    book: Option<BookFile>,
    sent: u64,
    told: Option<&'static str>,
}

/// What the plant says to the attestation.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// A sensor measures what the board uses.
    pub metered: bool,
    /// For quarter hours that the history does not know.
    pub missing: Missing,
    /// Simulated seconds in a second; `None`: real sensors.
    pub speed: Option<u32>,
}

impl Task {
    /// Over this history.
    #[must_use]
    pub fn new(ctx: Arc<Context>, keys: Keyring, store: Store, plant: Plant) -> Self {
        let Plant { metered, missing, speed } = plant;
        let (signer, missed, book, told) = (None, None, None, None);
        Self { ctx, keys, store, metered, missing, speed, signer, missed, book, sent: 0, told }
    }

    /// Runs until the worker stops.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(if self.speed.is_some() { LOOK_SIMULATED } else { LOOK });
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.ctx.shutdown.clone().cancelled_owned() => break,
                _ = ticks.tick() => {}
            }
            let shutdown = self.ctx.shutdown.clone();
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.look() => {}
            }
        }
    }

    async fn look(&mut self) {
        // A board that sleeps signs nothing; a simulated one only seems to be awake.
        let Some(state) = self.ctx.governor.energy.state() else { return };
        if matches!(state.mode, Mode::Sleep { .. }) {
            return;
        }
        for _ in 0..MAX_STEPS {
            let (meter, step) = match self.decide().await {
                Ok(decided) => decided,
                Err(hold) => (None, Err(hold)),
            };
            let next = match step {
                Err(hold) => return self.hold(meter, &hold),
                Ok(Next::Wait(text)) => text,
                Ok(Next::Go(work)) => match self.go(work).await {
                    Ok(()) => continue,
                    Err(hold) => return self.hold(meter, &hold),
                },
            };
            self.told = None;
            return self.ctx.governor.energy.attested(Attestation {
                meter,
                next,
                hold: None,
                quiet: true,
                sent: self.sent,
            });
        }
    }

    fn hold(&mut self, meter: Option<MeterState>, hold: &Hold) {
        if self.told.replace(hold.name()) != Some(hold.name()) {
            let (state, behaviour) = (hold.name(), hold.behaviour());
            match hold.is_quiet() {
                true => tracing::info!(state, behaviour, "{hold}"),
                false => tracing::warn!(state, behaviour, "{hold}"),
            }
        }
        self.ctx.governor.energy.attested(Attestation::held(meter, hold, self.sent));
    }

    async fn decide(&mut self) -> Result<(Option<MeterState>, Result<Next, Hold>), Hold> {
        let deployment = &self.ctx.chain.deployment;
        let (address, chain_id) = (deployment.energy_ledger, deployment.chain_id);
        if address.is_zero() {
            return Err(Hold::NoLedger);
        }
        if self.speed.is_some() && chain_id != DEVELOPMENT_CHAIN {
            return Err(Hold::Simulated { chain_id });
        }
        let read = ledger::read(self.ctx.chain.rpc(), address, self.ctx.me).await;
        let ledger = read.map_err(|reason| Hold::Chain { reason })?;
        let meter = MeterState::of(&ledger);
        let now = self.ctx.governor.energy.state().and_then(|state| state.now);
        let book = match ledger.status {
            Status::Active => self.open(Owner { chain_id, ledger: address, key: ledger.key }, &ledger, now).await,
            _ => Ok(()),
        };
        match book {
            Err(Lost::Book(reason)) => return Ok((meter, Err(Hold::Book { reason }))),
            Err(Lost::Key(reason)) => return Ok((meter, Err(Hold::KeyLost { reason }))),
            Ok(()) => {}
        }
        let from = UnixSeconds(midnight(self.oldest(&ledger)));
        let store = self.store.clone();
        let rows = tokio::task::spawn_blocking(move || store.rows(Some(from), None)).await.unwrap_or_default();
        let book = self.book.as_ref().map(|file| &file.book).ok_or_else(|| "no book is open".to_owned());
        let step = decide::decide(&Situation {
            worker: self.ctx.me,
            ledger: &ledger,
            book,
            rows: &rows,
            now,
            clocks_apart_secs: CLOCKS_APART_SECS + 30 * i64::from(self.speed.unwrap_or(0)),
            metered: self.metered,
            missing: self.missing,
            give_up: keys::given_up(self.keys.root()),
        });
        Ok((
            meter,
            match step {
                Step::Hold(hold) => Err(hold),
                Step::Wait { day, from } => {
                    let at = jiff::Timestamp::from_second(from.0).unwrap_or_default();
                    Ok(Next::Wait(format!("the record of {}, after {at}", date(day))))
                }
                work => Ok(Next::Go(work)),
            },
        ))
    }

    /// First day whose rows matter.
    fn oldest(&self, ledger: &Ledger) -> u16 {
        let today = day_of(ledger.time).unwrap_or(u16::MAX);
        ledger.day.max(today.saturating_sub(ledger.window_days + 1)).saturating_sub(DAYS_BEFORE)
    }

    /// Key and book of the registered meter.
    async fn open(&mut self, owner: Owner, ledger: &Ledger, now: Option<UnixSeconds>) -> Result<(), Lost> {
        if self.signer.as_ref().is_none_or(|found| found.hash() != owner.key) {
            (self.signer, self.book) = (None, None);
            let files = self.keys.seen();
            if let Some((key, seen, reason)) = &self.missed
                && (key, seen) == (&owner.key, &files)
            {
                return Err(Lost::Key(reason.clone()));
            }
            let keys = self.keys.clone();
            // scrypt takes its time.
            let found = tokio::task::spawn_blocking(move || keys.find(owner.key)).await;
            match found.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(found) => (self.signer, self.missed) = (Some(found), None),
                Err(reason) => {
                    self.missed = Some((owner.key, files, reason.clone()));
                    return Err(Lost::Key(reason));
                }
            }
        }
        if self.book.is_none() {
            // A book that is missing is a lost one: whoever made the key made its book.
            let Some(now) = now else { return Err(Lost::Book("it is opened when the clock is set".into())) };
            let today = day_of(now.0.max(0).unsigned_abs()).unwrap_or(u16::MAX);
            let chain_today = day_of(ledger.time).unwrap_or(u16::MAX);
            let lost = Beginning {
                base_sequence: ledger.sequence,
                first_day: today.max(chain_today),
                carry: Carry::default(),
            };
            self.book = Some(BookFile::open(self.keys.root(), owner, lost).map_err(Lost::Book)?);
        }
        Ok(())
    }

    async fn go(&mut self, step: Step) -> Result<(), Hold> {
        let book = |reason| Hold::Book { reason };
        let index = match step {
            Step::Send(index) => index,
            Step::Sign(draft) => {
                let signed = self.sign(&draft).await;
                if signed.is_err() {
                    // What is on disk decides; it is read again at the next look.
                    self.book = None;
                }
                signed?
            }
            Step::Rebase { first_day } => {
                let file = self.book.as_mut().ok_or_else(|| book("it is not open".into()))?;
                tracing::warn!(
                    first_day = date(first_day),
                    "the chain has a record of this meter that its book has not; days before are not claimed"
                );
                return file.rebase(first_day).map_err(book);
            }
            Step::Hold(_) | Step::Wait { .. } => return Ok(()),
        };
        let entry = self.book.as_ref().and_then(|file| file.book.entries.get(index));
        let Some(entry) = entry else { return Err(book("an entry of it is gone".into())) };
        let (day, bytes) = (entry.record.day, entry.bytes.clone());
        let call = IEnergyLedger::submitCall { signedRecord: bytes }.abi_encode();
        match self.ctx.tx.send("attest", self.ctx.chain.deployment.energy_ledger, call.into()).await {
            Ok(receipt) => {
                self.sent += 1;
                tracing::info!(day = date(day), tx = %receipt.transaction_hash, gas = receipt.gas_used, "a day is attested");
                Ok(())
            }
            Err(error) => Err(Hold::Chain { reason: format!("the record of {}: {error}", date(day)) }),
        }
    }

    /// Signs and writes down; the entry's place in the book.
    async fn sign(&mut self, draft: &Draft) -> Result<usize, Hold> {
        let refused = |reason: String| Hold::Refused { day: draft.record.day, reason };
        let (Some(found), Some(file)) = (&self.signer, &mut self.book) else {
            return Err(Hold::KeyLost { reason: "it is not open".into() });
        };
        let deployment = &self.ctx.chain.deployment;
        let digest = draft.record.digest(deployment.chain_id, deployment.energy_ledger, draft.previous);
        let digest = digest.map_err(|error| refused(error.to_string()))?;
        let signer = found.signer.clone();
        // A chip takes its time.
        let signed = tokio::task::spawn_blocking(move || signer.sign(digest)).await;
        let signature =
            signed.unwrap_or_else(|error| Err(error.to_string())).map_err(|reason| Hold::KeyLost { reason })?;
        found
            .signer
            .public()
            .verify(digest, &signature)
            .map_err(|error| Hold::KeyLost { reason: error.to_string() })?;
        if let Some(why) = draft.gap {
            tracing::warn!(
                until = date(draft.record.day),
                why,
                "days are covered by a gap: nothing is claimed for them"
            );
        }
        if draft.gap.is_none() && file.book.claim(draft.record.day).is_some() {
            tracing::info!(
                day = date(draft.record.day),
                "the chain is another one: the day's claim is signed again, unchanged"
            );
        }
        let signed = SignedRecord { record: draft.record.clone(), signature };
        let link = Record::link_of(digest);
        file.sign(draft.previous, link, &signed, draft.after).map_err(|reason| Hold::Book { reason })
    }
}

enum Next {
    Wait(String),
    Go(Step),
}

enum Lost {
    Key(String),
    Book(String),
}
