//! The plan until the next sunrise, as it would be decided hour by hour if the sun came as expected.
use super::{Mode, state::Hour};
use crate::{
    forecast::{Forecaster, SLOT_SECONDS},
    plan::{Commitment, Planner, planner::Act, value::Choice},
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

/// Longest plan, hours.
const MAX_HOURS: i64 = 30;

/// The hours from `now` until the sun next rises.
#[must_use]
pub fn plan(
    planner: &Planner,
    forecaster: &Forecaster,
    now: UnixSeconds,
    charge: MilliWattHours,
    promises: &[Commitment],
) -> Vec<Hour> {
    let (battery, board) = planner.hardware();
    let mut charge_wh = charge.0 as f64 / 1000.0;
    let mut owed: i64 = promises.iter().map(|promise| promise.energy.0).sum();
    let mut hours = Vec::new();
    let mut dark = false;
    for index in 0..MAX_HOURS {
        let at = UnixSeconds(now.0 + index * 3600);
        let light = forecaster.clear_sky_power(at).0 > 0;
        if dark && light {
            break;
        }
        dark |= !light;
        let left = [Commitment { energy: MilliWattHours(owed), deadline: UnixSeconds(i64::MAX) }];
        let now_mwh = MilliWattHours((charge_wh * 1000.0) as i64);
        let act = planner.decide(at, now_mwh, forecaster, if owed > 0 { &left } else { &[] }).act;
        let (mode, compute) = match act {
            Act::Sleep { wake } => (Mode::Sleep { wake }, MilliWatts(0)),
            Act::Run { compute } => {
                let permille = (compute.0 as f64 / board.compute_w.max(1e-6)) as u32;
                let mode = match permille {
                    950.. => Mode::Run,
                    50.. => Mode::Lower { permille },
                    _ => Mode::Pause,
                };
                (mode, compute)
            }
        };
        owed = (owed - compute.0).max(0);
        let choice = match mode {
            Mode::Sleep { .. } => Choice::Sleep,
            _ => Choice::Awake(compute.0 as f64 / 1000.0),
        };
        let sun = [0, SLOT_SECONDS].map(|offset| {
            let slot = UnixSeconds(at.0 + offset);
            forecaster.at(now, slot).unwrap_or_default().expected.over(SLOT_SECONDS).0 as f64 / 1000.0
        });
        charge_wh = battery.flow(charge_wh, sun[0] + sun[1], board.load(choice)).max(0.0);
        hours.push(Hour { at, mode, compute, charge: MilliWattHours((charge_wh * 1000.0) as i64) });
    }
    hours
}
