//! What the worker does: the plan's decision, held against promises and against what can be done. Pure.
//!
//! ```text
//!                     price falls                      nothing to spare
//!   Run ◀───────────────────────────▶ Lower ◀──────────────────────────▶ Pause
//!    ▲                                                                     │ charge at the sleep threshold, nothing promised is due
//!    └──────────────────── alarm, net or power back ──────────── Sleep ◀───┘ before the wake, alarm set and read back
//! ```
//! Promised work runs in every mode but sleep, and there is no sleep over it.
use serde::{Deserialize, Serialize};

use crate::{
    charge::{ChargeState, Estimate},
    forecast::Forecaster,
    plan::{
        Commitment, Planner, Reason,
        planner::{Act, Decision},
    },
    units::{MilliWattHours, UnixSeconds},
};

/// What the worker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Mode {
    /// Work with all cores that the owner allows.
    #[default]
    Run,
    /// Work with a part of them.
    Lower {
        /// That part.
        permille: u32,
    },
    /// Take nothing new; finish what is promised.
    Pause,
    /// Planned sleep.
    Sleep {
        /// Until then.
        wake: UnixSeconds,
    },
}

impl Mode {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Lower { .. } => "lower",
            Self::Pause => "pause",
            Self::Sleep { .. } => "sleep",
        }
    }

    /// Of a name in the history, where numbers do not matter.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "run" => Self::Run,
            "lower" => Self::Lower { permille: 500 },
            "pause" => Self::Pause,
            "sleep" => Self::Sleep { wake: UnixSeconds(0) },
            _ => return None,
        })
    }

    /// Part of the cores that may be used, per mille. Promised work goes on when nothing new is taken.
    #[must_use]
    pub const fn cores_permille(self) -> u32 {
        match self {
            Self::Lower { permille } => permille,
            Self::Run | Self::Pause => 1000,
            Self::Sleep { .. } => 0,
        }
    }

    /// Whether anything new may be taken.
    #[must_use]
    pub const fn takes_new(self) -> bool {
        matches!(self, Self::Run | Self::Lower { .. })
    }
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// As the plan has it.
    Plan {
        /// The plan's reason.
        #[serde(flatten)]
        reason: Reason,
    },
    /// Nobody knows what the battery holds.
    ChargeUnknown,
    /// The plan would sleep, but an agreement needs us before the wake.
    PromisesDue {
        /// Then at the latest.
        awake_by: UnixSeconds,
    },
    /// The plan would sleep, but it is not known yet what is promised (the worker has just started).
    PromisesUnknown,
    /// The plan would sleep, but nothing could wake the board.
    CannotWake {
        /// Why not.
        reason: String,
    },
    /// The plan would sleep, but the wake is so near that the board stays up.
    WakeIsNear,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plan { reason } => reason.fmt(f),
            Self::ChargeUnknown => f.write_str(ChargeState::Unknown.reason()),
            Self::PromisesDue { awake_by } => {
                let at = jiff::Timestamp::from_second(awake_by.0).unwrap_or_default();
                write!(f, "charge too low, but an agreement needs this worker awake at {at}")
            }
            Self::PromisesUnknown => {
                f.write_str("charge too low; not asleep before all open agreements were looked at")
            }
            Self::CannotWake { reason } => write!(f, "charge too low, but nothing can wake the board: {reason}"),
            Self::WakeIsNear => f.write_str("charge too low; the next look is so near that the board stays up"),
        }
    }
}

/// An open agreement in which we have a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// What its work still takes above base load, at most.
    pub energy: MilliWattHours,
    /// When that must be done.
    pub deadline: UnixSeconds,
    /// When this worker must be there at the latest, to compute or to act on chain.
    pub awake_by: UnixSeconds,
}

/// What can wake the board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Waking {
    /// Nothing, and why not.
    #[default]
    None,
    /// A device that was found.
    Ready,
    /// The last attempt to set an alarm failed.
    Failed(String),
}

/// Time to boot, to reach the chain and to act, before an agreement needs us.
pub const MARGIN_SECONDS: i64 = 900;
/// A shorter sleep saves nothing.
pub const LEAST_SLEEP_SECONDS: i64 = 1200;
/// Promised work is given so much more power than it needs by its deadline.
const HEADROOM_PERCENT: i64 = 125;

/// Everything that is decided on.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// Wall clock; `None` while it is not set.
    pub now: Option<UnixSeconds>,
    /// The charge.
    pub charge: &'a Estimate,
    /// The plan.
    pub planner: &'a Planner,
    /// The forecast.
    pub forecaster: &'a Forecaster,
    /// Open agreements.
    pub promises: &'a [Promise],
    /// False until every open agreement was looked at.
    pub promises_known: bool,
    /// What can wake the board.
    pub waking: &'a Waking,
}

/// Decides.
#[must_use]
pub fn decide(s: &Situation<'_>) -> (Mode, Why) {
    if s.charge.state == ChargeState::Unknown {
        return (Mode::Pause, Why::ChargeUnknown);
    }
    let now = s.now.unwrap_or_default();
    let owed: Vec<Commitment> = commitments(s.promises);
    let Decision { mut act, mut reason } = s.planner.decide(now, s.charge.usable, s.forecaster, &owed);
    // Promised work takes what it takes, sooner or later. So it holds nothing back where the plan would run more without it.
    if let (Act::Run { compute }, Reason::Promised { .. }) = (act, reason)
        && let Decision { act: Act::Run { compute: free }, reason: why } =
            s.planner.decide(now, s.charge.usable, s.forecaster, &[])
        && free.0 > compute.0.max(power_for(s.promises, now))
    {
        (act, reason) = (Act::Run { compute: free }, why);
    }
    let plan = Why::Plan { reason };
    match act {
        Act::Run { compute } => {
            let full = (s.planner.hardware().1.compute_w * 1000.0).round() as i64;
            let needed = power_for(s.promises, now);
            let permille = (compute.0.max(needed) * 1000).checked_div(full).unwrap_or(1000).clamp(0, 1000);
            let mode = match permille {
                950.. => Mode::Run,
                50.. => Mode::Lower { permille: permille as u32 },
                _ => Mode::Pause,
            };
            (mode, plan)
        }
        Act::Sleep { wake } => match sleep(s, now, wake) {
            Ok(wake) => (Mode::Sleep { wake }, plan),
            Err(why) => (Mode::Pause, why.unwrap_or(plan)),
        },
    }
}

/// The wake, nearer than the plan has it where an agreement needs us, or why there is no sleep.
fn sleep(s: &Situation<'_>, now: UnixSeconds, wake: UnixSeconds) -> Result<UnixSeconds, Option<Why>> {
    if s.now.is_none() {
        // No alarm can be set for a time.
        return Err(None);
    }
    if !s.promises_known {
        return Err(Some(Why::PromisesUnknown));
    }
    let full = (s.planner.hardware().1.compute_w * 1000.0).max(1.0) as i64;
    let due = |promise: &Promise| {
        let work = promise.energy.0.max(0).saturating_mul(3600 * HEADROOM_PERCENT / 100) / full;
        promise.awake_by.0.min(promise.deadline.0.saturating_sub(work)) - MARGIN_SECONDS
    };
    let due = s.promises.iter().map(due).min();
    let wake = UnixSeconds(due.map_or(wake.0, |due| due.min(wake.0)));
    if wake.0 - now.0 < LEAST_SLEEP_SECONDS {
        return Err(Some(match due {
            Some(due) if due - now.0 < LEAST_SLEEP_SECONDS => {
                Why::PromisesDue { awake_by: UnixSeconds(due + MARGIN_SECONDS) }
            }
            _ => Why::WakeIsNear,
        }));
    }
    match s.waking {
        Waking::Ready => Ok(wake),
        Waking::None => Err(Some(Why::CannotWake { reason: NO_DEVICE.into() })),
        Waking::Failed(reason) => Err(Some(Why::CannotWake { reason: reason.clone() })),
    }
}

/// What is said where no device was named.
pub const NO_DEVICE: &str = "no wake device is set up (a Witty Pi 4 among the sensors)";

/// As the plan takes them.
pub(super) fn commitments(promises: &[Promise]) -> Vec<Commitment> {
    let commitment = |promise: &Promise| Commitment { energy: promise.energy, deadline: promise.deadline };
    promises.iter().map(commitment).collect()
}

/// Power above base load with which all promises are kept, milliwatts. Leaves of several agreements take turns as they came, so all
/// that is owed counts until the nearest deadline.
fn power_for(promises: &[Promise], now: UnixSeconds) -> i64 {
    let owing = || promises.iter().filter(|promise| promise.energy.0 > 0);
    let owed = owing().fold(0_i64, |sum, promise| sum.saturating_add(promise.energy.0));
    let left = owing().map(|promise| promise.deadline.0 - now.0).min().unwrap_or(i64::MAX).max(1);
    owed.saturating_mul(3600) / left * HEADROOM_PERCENT / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise(energy: i64, deadline: i64) -> Promise {
        Promise { energy: MilliWattHours(energy), deadline: UnixSeconds(deadline), awake_by: UnixSeconds(deadline) }
    }

    #[test]
    fn the_power_of_promises_is_that_of_the_nearest_deadline() {
        assert_eq!(power_for(&[], UnixSeconds(0)), 0);
        // 4 Wh until an hour from now need 4 W; 1 Wh alone needs 1 W.
        let all = [promise(3000, 7200), promise(1000, 3600)];
        assert_eq!(power_for(&all, UnixSeconds(0)), 5000);
        assert_eq!(power_for(&all[1..], UnixSeconds(0)), 1250);
    }

    #[test]
    fn modes_are_read_by_name_and_only_two_take_new_work() {
        for mode in [Mode::Run, Mode::Lower { permille: 500 }, Mode::Pause, Mode::Sleep { wake: UnixSeconds(0) }] {
            assert_eq!(Mode::of_name(mode.name()), Some(mode));
        }
        assert_eq!(Mode::of_name("dance"), None);
        assert!(Mode::Run.takes_new() && !Mode::Pause.takes_new());
        assert_eq!((Mode::Pause.cores_permille(), Mode::Sleep { wake: UnixSeconds(9) }.cores_permille()), (1000, 0));
    }
}
