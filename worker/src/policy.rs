//! What the owner allows: pure rules over settings, conditions and one offer. Each "no" is a [`Refusal`] with value and limit.
//!
//! Order: the owner's word (pause, drain), the weekly schedule, the idle rule, the disk; these hold whatever is offered
//! ([`hold`]). Then what the offer itself asks for: ether for its gas, transfers, time left in the schedule, prices ([`offered`]).
//! Limits of single leaves are [`crate::refusal::check`].
use serde::{Deserialize, Serialize};

use crate::{refusal::Refusal, runtime::Kind};

pub mod gas_money;
pub mod gas_units;
pub mod hardware;
pub mod hosts;
pub mod idle;
pub mod images;
pub mod price;
pub mod schedule;

use price::{Booking, Prices};
use schedule::{Schedule, ScheduleState};

/// What the owner has set, beyond the limits of one leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// When work may be taken; always, where there is none.
    pub schedule: Option<Schedule>,
    /// Work must be able to end before the schedule closes.
    pub finish_in_schedule: bool,
    /// The idle rule, if it is on.
    pub idle: Option<idle::IdleRule>,
    /// Disk that stays free, MiB.
    pub keep_free_disk_mib: u64,
    /// Most that is transferred in a day, MiB.
    pub daily_transfer_mib: Option<u64>,
    /// Prices and gas.
    pub prices: Prices,
    /// Runtimes that may be used; empty for all.
    pub runtimes: Vec<Kind>,
    /// Kinds of work that are taken, by id.
    pub kinds: Vec<u8>,
    /// Images that may come here.
    pub images: images::ImageRules,
    /// Hosts that apps may speak to.
    pub hosts: hosts::HostRules,
    /// Leaves that run at the same time.
    pub parallel_leaves: u32,
}

/// What the owner said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Mode {
    /// Work as the settings say.
    #[default]
    Auto,
    /// Take nothing new and start no leaf.
    Paused {
        /// Unix time at which it ends by itself.
        until: Option<u64>,
    },
    /// Take nothing new, finish what there is, then stop.
    Draining {
        /// Unix time at which the worker stops although something is left.
        until: Option<u64>,
    },
}

impl Mode {
    /// What still holds at `now` (Unix seconds): a pause ends by itself.
    #[must_use]
    pub const fn at(self, now: u64) -> Self {
        match self {
            Self::Paused { until: Some(until) } if until <= now => Self::Auto,
            other => other,
        }
    }

    /// True while leaves may be started.
    pub const fn may_compute(self, now: u64) -> bool {
        !matches!(self.at(now), Self::Paused { .. })
    }
}

/// How the machine stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Unix time, seconds.
    pub now: u64,
    /// The owner's word.
    pub mode: Mode,
    /// The schedule's state, if there is a schedule.
    pub schedule: Option<ScheduleState>,
    /// What the idle rule says, hysteresis and dwell included.
    pub busy: Option<Refusal>,
    /// Free room on the disk of the data folder, MiB.
    pub free_disk_mib: Option<u64>,
    /// There is too little room for the journal, whatever is said to be free.
    pub journal_short: bool,
    /// Bytes that were transferred today.
    pub transferred_bytes: u64,
    /// What a unit of gas costs, wei.
    pub gas_price_wei: Option<u64>,
    /// Ether of the device's key, wei.
    pub device_wei: Option<u128>,
    /// Gas that agreements under way still need of us.
    pub gas_under_way: u64,
}

/// One purchase, as far as these rules go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is paid for our part, smallest token unit.
    pub pay: u128,
    /// What is reserved for it.
    pub booking: Booking,
    /// Gas of our part's transactions.
    pub gas_units: u64,
    /// Most that is transferred for it, bytes.
    pub transfer_bytes: u64,
    /// Most that it takes, seconds.
    pub needs_secs: u64,
    /// Time that there is for it, seconds.
    pub window_secs: u64,
}

/// What holds whatever is offered.
///
/// # Errors
/// The first reason, in the order given above.
pub fn hold(policy: &Policy, now: &Conditions) -> Result<(), Refusal> {
    mode_lets(now.mode, now.now)?;
    if let Some(ScheduleState::Closed { opens_in_secs }) = now.schedule {
        return Err(Refusal::Schedule { opens_in_secs });
    }
    if let Some(busy) = &now.busy {
        return Err(busy.clone());
    }
    if now.journal_short {
        return Err(Refusal::JournalRoom);
    }
    match now.free_disk_mib {
        Some(free_mib) if free_mib < policy.keep_free_disk_mib => {
            Err(Refusal::DiskFree { free_mib, keep_mib: policy.keep_free_disk_mib })
        }
        _ => Ok(()),
    }
}

/// What the owner's word says at `now` (Unix seconds), rules aside.
///
/// # Errors
/// When the worker is paused or runs dry.
pub fn mode_lets(mode: Mode, now: u64) -> Result<(), Refusal> {
    let left = |until: Option<u64>| until.map(|until| until.saturating_sub(now));
    match mode.at(now) {
        Mode::Auto => Ok(()),
        Mode::Paused { until } => Err(Refusal::Paused { left_secs: left(until) }),
        Mode::Draining { until } => Err(Refusal::Draining { left_secs: left(until) }),
    }
}

/// Whether this offer is taken.
///
/// # Errors
/// The first reason against it; those of [`hold`] come first.
pub fn offered(policy: &Policy, now: &Conditions, offer: &Offer) -> Result<(), Refusal> {
    hold(policy, now)?;
    gas_money::check(now.device_wei, offer.gas_units, now.gas_under_way, now.gas_price_wei)?;
    if let Some(limit_mib) = policy.daily_transfer_mib {
        let would_be_mib = now.transferred_bytes.saturating_add(offer.transfer_bytes).div_ceil(1 << 20);
        if would_be_mib > limit_mib {
            return Err(Refusal::Transfer { would_be_mib, limit_mib });
        }
    }
    if policy.finish_in_schedule
        && let Some(ScheduleState::Open { closes_in_secs: Some(left_secs) }) = now.schedule
        && offer.needs_secs > left_secs
    {
        return Err(Refusal::ScheduleEnd { needs_secs: offer.needs_secs, left_secs });
    }
    price::check(&policy.prices, offer.pay, &offer.booking, offer.gas_units, now.gas_price_wei)
}

/// Kind and class of a purchase, before anything else is looked at.
///
/// # Errors
/// When the owner does not take them.
pub fn kind_and_runtime(policy: &Policy, kind_id: u8, class_name: &str) -> Result<(), Refusal> {
    if !policy.kinds.contains(&kind_id) {
        return Err(Refusal::Kind { asked: kind_id });
    }
    let runtime = Kind::of_class(class_name);
    if policy.runtimes.is_empty() || runtime.is_some_and(|kind| policy.runtimes.contains(&kind)) {
        return Ok(());
    }
    let asked = runtime.map_or_else(|| class_name.to_owned(), |kind| kind.to_string());
    let allowed = policy.runtimes.iter().map(Kind::to_string).collect::<Vec<_>>().join(", ");
    Err(Refusal::Runtime { asked, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{BusySignal, Reason};

    fn offer() -> Offer {
        let booking = Booking { milli_cpu: 1000, memory_mib: 1024, leaf_secs: 3600, leaves: 1 };
        Offer { pay: 100, booking, gas_units: 1000, transfer_bytes: 1 << 20, needs_secs: 3600, window_secs: 7200 }
    }

    #[test]
    fn the_owners_word_comes_before_all_rules_and_a_pause_ends_by_itself() {
        let busy = Refusal::Busy { signal: BusySignal::Load, found_percent: 90, limit_percent: 25 };
        let mut now = Conditions {
            now: 100,
            mode: Mode::Paused { until: Some(160) },
            schedule: Some(ScheduleState::Closed { opens_in_secs: Some(5) }),
            busy: Some(busy.clone()),
            free_disk_mib: Some(3),
            ..Conditions::default()
        };
        let policy = Policy { keep_free_disk_mib: 10, ..Policy::default() };
        assert_eq!(hold(&policy, &now), Err(Refusal::Paused { left_secs: Some(60) }));
        assert!(!now.mode.may_compute(100));
        now.now = 160;
        assert!(now.mode.may_compute(160));
        assert_eq!(hold(&policy, &now), Err(Refusal::Schedule { opens_in_secs: Some(5) }));
        now.schedule = Some(ScheduleState::Open { closes_in_secs: Some(5) });
        assert_eq!(hold(&policy, &now), Err(busy));
        now.busy = None;
        assert_eq!(hold(&policy, &now), Err(Refusal::DiskFree { free_mib: 3, keep_mib: 10 }));
        now.journal_short = true;
        assert_eq!(hold(&policy, &now), Err(Refusal::JournalRoom), "a quota is not seen in what is free");
        now.journal_short = false;
        now.mode = Mode::Draining { until: None };
        assert_eq!(hold(&policy, &now), Err(Refusal::Draining { left_secs: None }));
        assert!(now.mode.may_compute(160), "who drains finishes what it has");
    }

    #[test]
    fn an_offer_is_refused_with_its_own_numbers() {
        let policy = Policy { daily_transfer_mib: Some(10), finish_in_schedule: true, ..Policy::default() };
        let now = Conditions {
            schedule: Some(ScheduleState::Open { closes_in_secs: Some(3600) }),
            transferred_bytes: 9 << 20,
            ..Conditions::default()
        };
        assert_eq!(offered(&policy, &now, &offer()), Ok(()));
        let large = Offer { transfer_bytes: (1 << 20) + 1, ..offer() };
        assert_eq!(offered(&policy, &now, &large), Err(Refusal::Transfer { would_be_mib: 11, limit_mib: 10 }));
        let long = Offer { needs_secs: 3601, ..offer() };
        assert_eq!(offered(&policy, &now, &long), Err(Refusal::ScheduleEnd { needs_secs: 3601, left_secs: 3600 }));
        let poor = Conditions { device_wei: Some(0), gas_price_wei: Some(1_000_000_000), ..now.clone() };
        let (held_gwei, under_way_gwei) = (0, 0);
        let refusal = Refusal::GasMoney { held_gwei, needed_gwei: 2000, under_way_gwei };
        assert_eq!(offered(&policy, &poor, &offer()), Err(refusal));
        let funded = Conditions { device_wei: Some(2_000_000_000_000), ..poor };
        assert_eq!(offered(&policy, &funded, &offer()), Ok(()));
        let engaged = Conditions { gas_under_way: 1, ..funded };
        assert!(matches!(offered(&policy, &engaged, &offer()), Err(Refusal::GasMoney { under_way_gwei: 2, .. })));
        let anyway = Policy { finish_in_schedule: false, ..policy };
        assert_eq!(offered(&anyway, &now, &long), Ok(()));
    }

    #[test]
    fn kinds_and_runtimes_are_the_owners_choice() {
        let all = Policy { kinds: vec![0], ..Policy::default() };
        assert_eq!(kind_and_runtime(&all, 0, "linux/amd64+docker"), Ok(()));
        assert_eq!(kind_and_runtime(&all, 3, "linux/amd64+docker"), Err(Refusal::Kind { asked: 3 }));
        let wasm = Policy { runtimes: vec![Kind::Wasm], ..all };
        let refusal = kind_and_runtime(&wasm, 0, "linux/amd64+docker").unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.to_string()),
            (Reason::Runtime, "the runtime is docker, the settings allow wasm".into())
        );
        assert_eq!(kind_and_runtime(&wasm, 0, "wasi/wasm+wasmtime"), Ok(()));
    }
}
