//! What the rest of the worker asks about the energy.
use std::{
    collections::BTreeMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};
use sunwork_energy::{
    keeper::{Denied, Gate, State},
    plan::Commitment,
    units::{MilliWattHours, MilliWatts, UnixSeconds},
    work::Account,
};

use super::{attest::Attestation, cpu::Leaves};
use crate::{
    governor::now_secs,
    policy::{Offer, price::Booking},
    refusal::Refusal,
};

/// See the module; without settings it lets everything pass.
#[derive(Default)]
pub struct Energy {
    /// A std lock: held for a copy or a few additions.
    inner: RwLock<Inner>,
    cores_permille: AtomicU32,
    /// Leaves, for the split of the board's energy.
    pub leaves: Leaves,
}

#[derive(Default)]
struct Inner {
    board: Option<BoardPower>,
    published: Option<Published>,
    attestation: Option<Arc<Attestation>>,
    /// Promised since the board last knew, by agreement or order.
    reserved: BTreeMap<String, (Instant, Commitment)>,
}

/// What an offer's energy is reckoned with.
#[derive(Clone, Copy, Debug)]
pub struct BoardPower {
    /// What work adds at full use of all cores.
    pub compute: MilliWatts,
    /// Threads of the machine.
    pub threads: u32,
    /// Energy time runs so much faster than the chain's (a simulation).
    pub speed: u32,
    /// The same moment by the machine's clock and by that of the energy.
    pub moment: (i64, i64),
    /// The chain's clock is the energy's, and not the machine's (a simulation that a development chain keeps up with).
    pub chain_follows: bool,
}

/// What the task tells.
#[derive(Clone)]
pub struct Published {
    /// For the owner.
    pub state: Arc<State>,
    /// What may be promised; `None` while the clock is not set.
    pub gate: Option<Gate>,
    /// Energy by agreement.
    pub accounts: BTreeMap<String, Account>,
}

/// Energy of one agreement, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// All of it.
    pub milliwatt_hours: i64,
    /// What of it the panel gave while it was used; the rest came from the battery.
    #[serde(default)]
    pub direct_milliwatt_hours: i64,
    /// Whether a sensor measured it; else it is modelled.
    pub measured: bool,
}

impl From<&Account> for Spent {
    fn from(account: &Account) -> Self {
        let direct_milliwatt_hours = (account.direct.0 + 500) / 1000;
        Self { milliwatt_hours: account.total().0, direct_milliwatt_hours, measured: account.all_measured }
    }
}

impl BoardPower {
    /// The energy's clock for a time of the chain.
    #[must_use]
    pub fn energy_time(&self, unix: i64) -> UnixSeconds {
        if self.chain_follows {
            return UnixSeconds(unix);
        }
        self.machine_time(unix)
    }

    /// The chain's clock at a time of the machine's.
    fn chain_time(&self, unix: i64) -> i64 {
        if self.chain_follows { self.machine_time(unix).0 } else { unix }
    }

    /// The energy's clock at a time of the machine's.
    fn machine_time(&self, unix: i64) -> UnixSeconds {
        UnixSeconds(self.moment.1.saturating_add(unix.saturating_sub(self.moment.0).saturating_mul(self.speed.into())))
    }

    /// Most that a booking takes above base load: all its leaves for all their time, but no more than the board in `needs_secs`.
    #[must_use]
    pub fn energy(&self, booking: &Booking, needs_secs: u64) -> MilliWattHours {
        let compute = u128::from(self.compute.0.max(0).unsigned_abs());
        let milli_core_secs =
            u128::from(booking.milli_cpu) * u128::from(booking.leaf_secs) * u128::from(booking.leaves);
        let by_leaves = compute * milli_core_secs / (u128::from(self.threads.max(1)) * 1000);
        let most = by_leaves.min(compute * u128::from(needs_secs)) * u128::from(self.speed);
        MilliWattHours(i64::try_from(most.div_ceil(3600)).unwrap_or(i64::MAX))
    }
}

/// Longest that a promise waits for its transaction.
pub const RESERVED_FOR: Duration = Duration::from_secs(300);

impl Inner {
    /// `None`: no energy is kept.
    fn gate(&self) -> Result<Option<&Gate>, Refusal> {
        let unknown =
            |state: &str, message: &str| Refusal::EnergyUnknown { state: state.into(), message: message.into() };
        if self.board.is_none() {
            return Ok(None);
        }
        let published = self.published.as_ref();
        let published = published.ok_or_else(|| unknown("starting", "the sensors were not read yet"))?;
        let unset = || unknown("clock_unset", "the clock is not set; let the board reach network time");
        published.gate.as_ref().ok_or_else(unset).map(Some)
    }

    /// What would be promised, if it can be. `own`: a reservation that this one replaces.
    fn ask(&self, own: Option<&str>, offer: &Offer) -> Result<Option<Commitment>, Refusal> {
        let (Some(board), Some(gate)) = (self.board, self.gate()?) else { return Ok(None) };
        let now = board.chain_time(i64::try_from(now_secs()).unwrap_or(i64::MAX));
        let until = now.saturating_add_unsigned(offer.window_secs);
        let energy = board.energy(&offer.booking, offer.needs_secs);
        let asked = Commitment { energy, deadline: board.energy_time(until) };
        let others = self.reserved.iter().filter(|(key, _)| own != Some(key.as_str()));
        let since: Vec<Commitment> = others.map(|(_, (_, commitment))| *commitment).collect();
        gate.ask_beside(&asked, &since).map(|()| Some(asked)).map_err(|denied| match refusal(&denied) {
            // By the chain's clock, which the owner reads.
            Refusal::EnergyReserve { needs_mwh, spare_mwh, reserve_hours, .. } => {
                Refusal::EnergyReserve { needs_mwh, spare_mwh, until: until.unsigned_abs(), reserve_hours }
            }
            other => other,
        })
    }
}

impl Energy {
    /// Energy is kept from now on; until the first look nothing is taken.
    pub fn switch_on(&self, board: BoardPower) {
        self.write(|inner| inner.board = Some(board));
        self.cores_permille.store(1000, Relaxed);
    }

    /// What the last look led to.
    pub fn publish(&self, published: Published) {
        self.cores_permille.store(published.state.mode.cores_permille(), Relaxed);
        self.write(|inner| inner.published = Some(published));
    }

    /// For the owner; `None` where no energy is kept, or nothing was seen yet.
    pub fn state(&self) -> Option<Arc<State>> {
        self.read(|inner| inner.published.as_ref().map(|published| published.state.clone()))
    }

    /// Whether energy is kept.
    pub fn is_on(&self) -> bool {
        self.read(|inner| inner.board.is_some())
    }

    /// What energy is reckoned with.
    pub fn board(&self) -> Option<BoardPower> {
        self.read(|inner| inner.board)
    }

    /// Part of the owner's cores that leaves may use now, per mille; 1000 where no energy is kept.
    pub fn cores_permille(&self) -> u32 {
        if self.is_on() { self.cores_permille.load(Relaxed) } else { 1000 }
    }

    /// What an agreement has used.
    pub fn spent(&self, agreement: Address) -> Option<Spent> {
        let key = key(agreement);
        self.read(|inner| inner.published.as_ref()?.accounts.get(&key).map(Spent::from))
    }

    /// What was attested, and why not.
    pub fn attestation(&self) -> Option<Arc<Attestation>> {
        self.read(|inner| inner.attestation.clone())
    }

    /// What the attestation came to.
    pub fn attested(&self, attestation: Attestation) {
        self.write(|inner| inner.attestation = Some(Arc::new(attestation)));
    }

    /// All agreements with what they used.
    pub fn accounts(&self) -> BTreeMap<String, Spent> {
        let spent = |(key, account): (&String, &Account)| (key.clone(), Spent::from(account));
        let of = |published: &Published| published.accounts.iter().map(spent).collect();
        self.read(|inner| inner.published.as_ref().map(of).unwrap_or_default())
    }

    /// Whether anything new is taken now.
    ///
    /// # Errors
    /// Why not.
    pub fn hold(&self) -> Result<(), Refusal> {
        self.read(|inner| match inner.gate()? {
            Some(gate) => gate.open().map_err(|denied| refusal(&denied)),
            None => Ok(()),
        })
    }

    /// Whether this offer's energy could be promised.
    ///
    /// # Errors
    /// Why not, with what it needs and what can be spared.
    pub fn offered(&self, offer: &Offer) -> Result<(), Refusal> {
        self.read(|inner| inner.ask(None, offer).map(|_| ()))
    }

    /// Promises this offer's energy, before the transaction that takes it is sent: several offers of one block must not be promised the
    /// same watt hours. It holds until the board knows the agreement, or for [`RESERVED_FOR`].
    ///
    /// # Errors
    /// Why not.
    pub fn reserve(&self, key: &str, offer: &Offer) -> Result<(), Refusal> {
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(asked) = inner.ask(Some(key), offer)? {
            inner.reserved.insert(key.to_owned(), (Instant::now(), asked));
        }
        Ok(())
    }

    /// Takes a promise back whose transaction the contract refused: others were first, say. Else it would bar other work for
    /// [`RESERVED_FOR`].
    pub fn release(&self, key: &str) {
        self.write(|inner| {
            inner.reserved.remove(key);
        });
    }

    /// What is reserved, after those that are `known` by now and those that came to nothing were dropped.
    pub fn reserved_beside<'a>(&self, known: impl Iterator<Item = &'a String>) -> Vec<Commitment> {
        let mut inner = self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for key in known {
            inner.reserved.remove(key);
        }
        inner.reserved.retain(|_, (since, _)| since.elapsed() < RESERVED_FOR);
        inner.reserved.values().map(|(_, commitment)| *commitment).collect()
    }

    /// Nothing is known any more.
    pub fn forget(&self) {
        self.write(|inner| inner.published = None);
    }

    fn read<T>(&self, with: impl FnOnce(&Inner) -> T) -> T {
        with(&self.inner.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn write(&self, with: impl FnOnce(&mut Inner)) {
        with(&mut self.inner.write().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

/// How agreements are named in the accounts.
#[must_use]
pub fn key(agreement: Address) -> String {
    format!("{agreement:?}")
}

fn refusal(denied: &Denied) -> Refusal {
    let mwh = |energy: MilliWattHours| energy.0.max(0).unsigned_abs();
    match denied {
        Denied::State(trouble) => Refusal::EnergyUnknown { state: trouble.name().into(), message: trouble.to_string() },
        Denied::Held { mode, why, charge, reserve } => Refusal::EnergyLow {
            mode: mode.name().into(),
            message: why.clone(),
            charge_mwh: mwh(*charge),
            reserve_mwh: mwh(*reserve),
        },
        Denied::Reserve { needs, spare, until, reserve_hours } => Refusal::EnergyReserve {
            needs_mwh: mwh(*needs),
            spare_mwh: mwh(*spare),
            until: until.0.max(0).unsigned_abs(),
            reserve_hours: *reserve_hours,
        },
        Denied::TooLate { needed_secs, left_secs } => {
            Refusal::EnergyTime { needed_secs: *needed_secs, left_secs: *left_secs }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: BoardPower =
        BoardPower { compute: MilliWatts(4_530), threads: 4, speed: 1, moment: (1_000, 1_000), chain_follows: false };

    #[test]
    fn an_offers_energy_is_its_leaves_for_all_their_time_and_never_more_than_the_board_gives() {
        let booking = Booking { milli_cpu: 2000, memory_mib: 1, leaf_secs: 3600, leaves: 3 };
        // Half of the board for three hours.
        assert_eq!(BOARD.energy(&booking, 3 * 3600), MilliWattHours(6_795));
        assert_eq!(BOARD.energy(&booking, 3600), MilliWattHours(4_530));
        let fast = BoardPower { speed: 60, ..BOARD };
        assert_eq!(fast.energy(&booking, 60), MilliWattHours(4_530));
        assert_eq!((fast.energy_time(1_010), fast.chain_time(1_010)), (UnixSeconds(1_600), 1_010));
        let followed = BoardPower { chain_follows: true, ..fast };
        assert_eq!((followed.energy_time(1_010), followed.chain_time(1_010)), (UnixSeconds(1_010), 1_600));
    }

    /// A board at noon with four fifths of its battery.
    fn published() -> Published {
        use sunwork_energy::{
            keeper::{Keeper, Start, Tick, Waking},
            sim::{rig::Rig, scenario::Scenario},
            units::MonoMillis,
        };
        let scenario: Scenario = serde_json::from_str(
            r#"{"start":1780315200,"panel_wp":100,"battery_wh":384,"board":"pi4b","extra":1300,"seed":4}"#,
        )
        .unwrap();
        let (mut rig, history) = (Rig::new(&scenario, None).unwrap(), Rig::history(&scenario, None).unwrap());
        let mut keeper =
            Keeper::new(Rig::plant(&scenario, MonoMillis(300_000)), Start { rows: history, ..Start::default() });
        keeper.told(800, 10);
        let mut outcome = None;
        for _ in 0..120 {
            rig.advance(60);
            let (at, waking) = (rig.now(), Waking::Ready);
            let readings = rig.readings(at);
            outcome = Some(keeper.look(Tick {
                at,
                readings: &readings,
                cpu_permille: 0,
                cpu_microseconds: 0,
                shares: Vec::new(),
                promises: &[],
                promises_known: true,
                waking: &waking,
            }));
        }
        let state = Arc::new(keeper.state(&outcome.unwrap(), &[], true));
        Published { state, gate: keeper.gate().cloned(), accounts: BTreeMap::new() }
    }

    #[test]
    fn offers_of_one_block_are_not_promised_the_same_watt_hours() {
        let energy = Energy::default();
        let published = published();
        let now = published.state.now.unwrap().0;
        energy.switch_on(BoardPower { moment: (i64::try_from(now_secs()).unwrap(), now), ..BOARD });
        let spare = published.state.spare.0;
        energy.publish(published);
        assert!(spare > 10_000, "{spare}");
        // 4.53 W for eleven hours are 50 Wh.
        let booking = Booking { milli_cpu: 4000, memory_mib: 1, leaf_secs: 11 * 3600, leaves: 1 };
        let secs = 11 * 3600;
        let offer =
            Offer { pay: 1, booking, gas_units: 0, transfer_bytes: 0, needs_secs: secs, window_secs: 12 * secs };
        assert_eq!(energy.offered(&offer), Ok(()));
        let taken = (0..20).take_while(|index| energy.reserve(&index.to_string(), &offer).is_ok()).count();
        assert!((1..20).contains(&taken), "{taken}");
        let refusal = energy.reserve("one more", &offer).unwrap_err();
        let Refusal::EnergyReserve { needs_mwh, spare_mwh, .. } = refusal else { panic!("{refusal}") };
        assert!(
            needs_mwh > spare_mwh && refusal.to_string().contains("Wh can be spared above the reserve"),
            "{refusal}"
        );
        // Beside what is promised there is no time for it, however much sun there is.
        let hurried = Offer { window_secs: secs + 60, ..offer };
        let refusal = energy.reserve("hurried", &hurried).unwrap_err();
        let Refusal::EnergyTime { needed_secs, left_secs } = refusal else { panic!("{refusal}") };
        assert!(needed_secs > 2 * secs - 60 && left_secs <= secs + 60, "{needed_secs} {left_secs}");
        // Asking again for what is reserved already is no second promise.
        assert_eq!(energy.reserve("0", &offer), Ok(()));
        // What the contract refused is free again, for one more.
        energy.release("1");
        assert_eq!(energy.reserve("one more", &offer), Ok(()));
        let known = ["0".to_owned()];
        assert_eq!(energy.reserved_beside(known.iter()).len(), taken - 1);
    }

    #[test]
    fn without_settings_everything_passes_and_before_the_first_look_nothing() {
        let energy = Energy::default();
        assert_eq!((energy.hold(), energy.cores_permille()), (Ok(()), 1000));
        energy.switch_on(BOARD);
        assert!(matches!(energy.hold(), Err(Refusal::EnergyUnknown { state, .. }) if state == "starting"));
    }
}
