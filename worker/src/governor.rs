//! Holds what the owner wants and how the machine stands, and asks the pure rules of [`crate::policy`] with them.
//!
//! The owner's word (pause, drain) and the transfers of the day are in `owner.json` of the data folder: a restart forgets neither.
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use alloy::primitives::Address;
use jiff::Zoned;
use serde::{Deserialize, Serialize};

use crate::{
    board::Board,
    budget::{Budget, Share},
    clock,
    config::{Limits, Settled},
    energy::Energy,
    folder::{Folder, write_durably},
    policy::{
        self, Conditions, Mode, Offer, Policy, gas_money,
        hardware::{self, Caps},
        idle::{IdleGate, Reading, load_percent, pressure_percent},
    },
    refusal::{BusySignal, Refusal},
    runtime,
    why::WhyBook,
};

pub use crate::clock::now_secs;

/// How often a paused worker looks whether its pause is over.
const PAUSE_LOOK: Duration = Duration::from_secs(1);
/// Transfers are written down when so many bytes have come together.
const TRANSFER_STEP_BYTES: u64 = 16 << 20;

/// See the module.
pub struct Governor {
    /// A std mutex: held for a few instructions, and for one small write when the owner speaks.
    inner: Mutex<Inner>,
    /// What became of every purchase.
    pub why: WhyBook,
    /// Where every agreement stands.
    pub board: Board,
    /// What the battery allows.
    pub energy: Energy,
    budget: Budget,
    folder: PathBuf,
}

struct Inner {
    limits: Arc<Limits>,
    policy: Arc<Policy>,
    caps: Caps,
    owner: Owner,
    /// Bytes of the day that are on disk.
    written_bytes: u64,
    idle: IdleGate,
    busy: Option<Refusal>,
    free_disk_mib: Option<u64>,
    journal_short: bool,
    gas_price_wei: Option<u64>,
    device_wei: Option<u128>,
    /// The device's key was found with too little ether, and that was said.
    poor: bool,
}

/// What survives a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    #[serde(default)]
    mode: Mode,
    /// Local date that the transfers are of.
    #[serde(default)]
    day: String,
    #[serde(default)]
    transferred_bytes: u64,
}

impl Governor {
    /// Takes up where an earlier run ended.
    pub fn open(folder: &Folder, settled: Settled) -> Self {
        let path = folder.root().join("owner.json");
        let owner = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "cannot read the owner's last word; not paused");
                Owner::default()
            }),
            Err(_) => Owner::default(),
        };
        let now = now_secs();
        let Settled { limits, policy, caps } = settled;
        let budget = Budget::new(caps, limits.parallel_leaves);
        let written_bytes = owner.transferred_bytes;
        let inner = Inner {
            limits: Arc::new(limits),
            policy: Arc::new(policy),
            caps,
            owner,
            written_bytes,
            idle: IdleGate::default(),
            busy: None,
            free_disk_mib: None,
            journal_short: false,
            gas_price_wei: None,
            device_wei: None,
            poor: false,
        };
        let governor = Self {
            inner: Mutex::new(inner),
            why: WhyBook::open(folder.root().join("why"), now),
            board: Board::default(),
            energy: Energy::default(),
            budget,
            folder: folder.root().to_owned(),
        };
        governor.sample();
        governor
    }

    /// Limits of leaves and agreements.
    pub fn limits(&self) -> Arc<Limits> {
        self.lock().limits.clone()
    }

    /// What leaves may use together.
    pub fn caps(&self) -> Caps {
        self.lock().caps
    }

    /// The owner's rules.
    pub fn policy(&self) -> Arc<Policy> {
        self.lock().policy.clone()
    }

    /// The owner's word, as it holds now.
    pub fn mode(&self) -> Mode {
        self.lock().owner.mode.at(now_secs())
    }

    /// What unit of gas costs, wei, as it was asked last.
    pub fn gas_price_wei(&self) -> Option<u64> {
        self.lock().gas_price_wei
    }

    /// Leaves that run, and thousandths of a core that they may use.
    pub fn running(&self) -> (u64, u64) {
        (self.budget.running(), self.budget.used_milli_cpu())
    }

    /// The owner speaks. It holds once it is on disk.
    ///
    /// # Errors
    /// When it cannot be written down; then nothing has changed.
    pub fn set_mode(&self, mode: Mode) -> std::io::Result<()> {
        let mut inner = self.lock();
        let owner = Owner { mode, ..inner.owner.clone() };
        self.write(&owner)?;
        inner.written_bytes = owner.transferred_bytes;
        inner.owner = owner;
        Ok(())
    }

    /// Other settings from now on. What runs goes on; what is decided next is decided by them.
    pub fn reload(&self, settled: Settled) {
        let Settled { limits, policy, caps } = settled;
        self.budget.resize(caps, limits.parallel_leaves);
        let mut inner = self.lock();
        if inner.policy.idle != policy.idle {
            (inner.idle, inner.busy) = (IdleGate::default(), None);
        }
        (inner.limits, inner.policy, inner.caps) = (Arc::new(limits), Arc::new(policy), caps);
        drop(inner);
        self.sample();
    }

    /// Whether anything new is taken now.
    ///
    /// # Errors
    /// Why not.
    pub fn hold(&self) -> Result<(), Refusal> {
        let (policy, conditions) = self.situation(&clock::zoned());
        policy::hold(&policy, &conditions)?;
        self.energy.hold()
    }

    /// Whether a signed offer is taken that the owner names.
    ///
    /// # Errors
    /// When the owner paused the worker or lets it run dry.
    pub fn open_to_orders(&self) -> Result<(), Refusal> {
        let now = now_secs();
        policy::mode_lets(self.lock().owner.mode, now)
    }

    /// How many leaves of this size run at the same time, by the caps; at least one.
    pub fn leaves_at_once(&self, limits: runtime::Limits) -> u32 {
        self.budget.fitting(limits)
    }

    /// Whether this offer is taken now.
    ///
    /// # Errors
    /// Why not.
    pub fn offered(&self, offer: &Offer) -> Result<(), Refusal> {
        let (policy, conditions) = self.situation(&clock::zoned());
        policy::offered(&policy, &conditions, offer)?;
        self.energy.offered(offer)
    }

    /// The share of a leaf, once there is room and the owner has not paused.
    pub async fn leaf_share(&self, limits: runtime::Limits) -> Share<'_> {
        loop {
            while !self.may_compute() {
                tokio::time::sleep(PAUSE_LOOK).await;
            }
            let share = self.budget.take(limits).await;
            // The owner may have paused while it waited.
            if self.may_compute() {
                return share;
            }
        }
    }

    fn may_compute(&self) -> bool {
        self.lock().owner.mode.may_compute(now_secs()) && self.energy.cores_permille() > 0
    }

    /// Fits the cores that leaves use together to what the energy allows now. Those that run keep what they have.
    pub fn fit_to_energy(&self) {
        self.budget.throttle(self.energy.cores_permille());
    }

    /// Reads disk and pressure; a few microseconds.
    pub fn sample(&self) {
        let own_milli_cpu = self.budget.used_milli_cpu();
        let free_disk_mib = hardware::free_disk_mib(&self.folder);
        let mut inner = self.lock();
        inner.free_disk_mib = free_disk_mib;
        inner.busy = match inner.policy.idle {
            Some(rule) => inner.idle.update(&rule, reading(own_milli_cpu), now_secs()),
            None => None,
        };
    }

    /// Whether there is too little room for the journal.
    pub fn set_journal_short(&self, short: bool) {
        let before = std::mem::replace(&mut self.lock().journal_short, short);
        match (before, short) {
            (false, true) => tracing::error!("nothing new is taken: {}", Refusal::JournalRoom),
            (true, false) => tracing::info!("there is room for the journal again"),
            _ => {}
        }
    }

    /// What a unit of gas costs now.
    pub fn set_gas_price(&self, wei: u64) {
        self.lock().gas_price_wei = Some(wei);
    }

    /// What the device's key holds now; says so when that begins or ceases to be too little.
    pub fn set_device_wei(&self, wei: u128, device: Address) {
        let under_way = self.board.gas_units();
        let mut inner = self.lock();
        inner.device_wei = Some(wei);
        let found = gas_money::check(inner.device_wei, gas_money::least_gas(), under_way, inner.gas_price_wei);
        match (std::mem::replace(&mut inner.poor, found.is_err()), found) {
            (false, Err(refusal)) => {
                tracing::warn!(%device, "nothing new is taken: {refusal}; send ether to the device's key");
            }
            (true, Ok(())) => tracing::info!(%device, "the device's key holds enough ether for gas again"),
            _ => {}
        }
    }

    /// Whether the device's key pays for so much gas beside that of what is under way, as far as is known.
    ///
    /// # Errors
    /// When it does not.
    pub fn gas_money(&self, gas_units: u64) -> Result<(), Refusal> {
        let under_way = self.board.gas_units();
        let inner = self.lock();
        gas_money::check(inner.device_wei, gas_units, under_way, inner.gas_price_wei)
    }

    /// Counts bytes that went over the network.
    pub fn transferred(&self, bytes: u64) {
        let mut inner = self.lock();
        let today = clock::zoned().date().to_string();
        if inner.owner.day != today {
            inner.owner.day = today;
            (inner.owner.transferred_bytes, inner.written_bytes) = (0, 0);
        }
        inner.owner.transferred_bytes = inner.owner.transferred_bytes.saturating_add(bytes);
        if inner.owner.transferred_bytes - inner.written_bytes >= TRANSFER_STEP_BYTES {
            match self.write(&inner.owner) {
                Ok(()) => inner.written_bytes = inner.owner.transferred_bytes,
                Err(error) => tracing::warn!(%error, "cannot write down how much was transferred today"),
            }
        }
    }

    fn situation(&self, now: &Zoned) -> (Arc<Policy>, Conditions) {
        let gas_under_way = self.board.gas_units();
        let inner = self.lock();
        let same_day = inner.owner.day == now.date().to_string();
        let conditions = Conditions {
            now: u64::try_from(now.timestamp().as_second()).unwrap_or(0),
            mode: inner.owner.mode,
            schedule: inner.policy.schedule.as_ref().map(|schedule| schedule.state(now)),
            busy: inner.busy.clone(),
            free_disk_mib: inner.free_disk_mib,
            journal_short: inner.journal_short,
            transferred_bytes: if same_day { inner.owner.transferred_bytes } else { 0 },
            gas_price_wei: inner.gas_price_wei,
            device_wei: inner.device_wei,
            gas_under_way,
        };
        (inner.policy.clone(), conditions)
    }

    fn write(&self, owner: &Owner) -> std::io::Result<()> {
        write_durably(&self.folder.join("owner.json"), &serde_json::to_vec(owner)?)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worst of the kernel's pressures; the load where the kernel does not measure pressure.
pub(crate) fn reading(own_milli_cpu: u64) -> Option<Reading> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let pressures = [
        (BusySignal::CpuPressure, "/proc/pressure/cpu"),
        (BusySignal::MemoryPressure, "/proc/pressure/memory"),
        (BusySignal::IoPressure, "/proc/pressure/io"),
    ];
    let worst = pressures
        .into_iter()
        .filter_map(|(signal, path)| Some(Reading { signal, percent: pressure_percent(&read(path)?)? }))
        .max_by_key(|reading| reading.percent);
    worst.or_else(|| {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let percent = load_percent(&read("/proc/loadavg")?, own_milli_cpu, cores)?;
        Some(Reading { signal: BusySignal::Load, percent })
    })
}

#[cfg(test)]
mod tests {
    use sunwork_protocol::status::Status;

    use super::*;
    use crate::board::{Part, Standing};

    fn settled() -> Settled {
        let caps = Caps { milli_cpu: 1000, memory_mib: 1000, disk_mib: 1000 };
        Settled { limits: Limits::of(&caps), policy: Policy { kinds: vec![0], ..Policy::default() }, caps }
    }

    #[test]
    fn a_device_without_ether_takes_nothing_until_it_is_sent_some() {
        let dir = tempfile::tempdir().unwrap();
        let governor = Governor::open(&Folder::create(dir.path()).unwrap(), settled());
        let booking = policy::price::Booking { milli_cpu: 1, memory_mib: 1, leaf_secs: 1, leaves: 1 };
        let gas_units = gas_money::least_gas();
        let offer = Offer { pay: 1, booking, gas_units, transfer_bytes: 1, needs_secs: 1, window_secs: 1 };
        governor.set_gas_price(1_000_000_000);
        assert_eq!(governor.offered(&offer), Ok(()), "not asked yet");
        governor.set_device_wei(0, Address::ZERO);
        let refusal = governor.offered(&offer).unwrap_err();
        assert!(matches!(refusal, Refusal::GasMoney { held_gwei: 0, .. }), "{refusal}");
        assert_eq!(governor.gas_money(gas_units), Err(refusal));
        assert!(governor.lock().poor && governor.hold().is_ok(), "what the owner wants is another question");
        governor.set_device_wei(1_000_000_000_000_000_000, Address::ZERO);
        assert_eq!((governor.offered(&offer), governor.lock().poor), (Ok(()), false));
    }

    #[test]
    fn what_is_under_way_is_paid_for_before_anything_new() {
        let dir = tempfile::tempdir().unwrap();
        let governor = Governor::open(&Folder::create(dir.path()).unwrap(), settled());
        let gas_units = gas_money::least_gas();
        governor.set_gas_price(1_000_000_000);
        // Enough for one such part at twice the price.
        governor.set_device_wei(2_000_000_000 * u128::from(gas_units), Address::ZERO);
        assert_eq!(governor.gas_money(gas_units), Ok(()));
        let agreement = Address::repeat_byte(1);
        governor.board.put(Standing {
            agreement,
            role: Part::Worker,
            status: Status::Working,
            step: "compute leaves".into(),
            deadline: 1,
            leaves_done: 0,
            leaves: 1,
            promised: None,
            gas_units: 1,
            pay: "1".into(),
        });
        let refusal = governor.gas_money(gas_units).unwrap_err();
        assert!(matches!(refusal, Refusal::GasMoney { under_way_gwei: 2, .. }), "{refusal}");
        governor.board.remove(agreement);
        assert_eq!(governor.gas_money(gas_units), Ok(()));
    }

    #[test]
    fn the_owners_word_and_the_days_transfers_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        let governor = Governor::open(&folder, settled());
        assert_eq!(governor.hold(), Ok(()));
        governor.transferred(20 << 20);
        governor.set_mode(Mode::Paused { until: None }).unwrap();
        drop(governor);
        let again = Governor::open(&folder, settled());
        assert_eq!(again.hold(), Err(Refusal::Paused { left_secs: None }));
        assert_eq!(again.situation(&clock::zoned()).1.transferred_bytes, 20 << 20);
        let limited = Policy { daily_transfer_mib: Some(20), ..Policy::default() };
        again.reload(Settled { policy: limited, ..settled() });
        again.set_mode(Mode::Auto).unwrap();
        let booking = policy::price::Booking { milli_cpu: 1, memory_mib: 1, leaf_secs: 1, leaves: 1 };
        let offer = Offer { pay: 1, booking, gas_units: 0, transfer_bytes: 1, needs_secs: 1, window_secs: 1 };
        assert_eq!(again.offered(&offer), Err(Refusal::Transfer { would_be_mib: 21, limit_mib: 20 }));
        std::fs::write(dir.path().join("owner.json"), "nonsense").unwrap();
        assert_eq!(Governor::open(&folder, settled()).hold(), Ok(()));
    }
}
