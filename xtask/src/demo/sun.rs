//! The simulated sun of the demo's workers, and how much of the job ran on it.
//!
//! Each worker has a panel, a battery and a board of its own, read by the real drivers on simulated buses. Four places of one June day:
//! what a part of the job runs on depends on who takes it.
use eyre::WrapErr;
use serde::Serialize;
use serde_json::{Value, json};
use sunwork_worker::control::EnergyAnswer;

use alloy::primitives::Address;

use crate::devnet::{Devnet, WorkerNode};

/// Noon (solar time) of 2026-06-01, seconds since 1970.
const NOON: i64 = 1_780_315_200;
/// Time of day in hours after noon, panel in W, battery in Wh, board. At noon the panel carries all of it, with a low sun a part.
const SITES: [(f64, u32, u32, &str); 4] =
    [(0.0, 100, 512, "pi4b"), (-7.0, 60, 640, "pi4b"), (7.0, 50, 512, "pi4b"), (7.2, 80, 768, "pi5b")];

/// A simulated site for each of the four workers, in the form of docs/ENERGY.md. The batteries are full, as after a clear day, so that
/// every worker may take the job.
pub(super) fn plants() -> Vec<Value> {
    let plant = |(seed, (hours, panel_wp, battery_wh, board)): (usize, (f64, u32, u32, &str))| {
        json!({
            "start": NOON + (hours * 3600.0) as i64, "days": 1, "panel_wp": panel_wp, "battery_wh": battery_wh,
            "charge_permille": 990, "board": board, "latitude": 45.0, "clearness": 0.95, "seed": seed,
        })
    };
    SITES.into_iter().enumerate().map(plant).collect()
}

/// Energy of the job at one worker, milliwatt hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct WorkerEnergy {
    /// What people call it.
    worker: String,
    /// The worker's identity.
    address: Address,
    /// Of its board for this job: above idle by CPU time, idle by reservation.
    used_milliwatt_hours: i64,
    /// What of it the panel gave while it was used.
    direct_milliwatt_hours: i64,
    /// The rest.
    battery_milliwatt_hours: i64,
    /// Whether the (simulated) sensor at the board told it; else the board's model.
    measured: bool,
    /// Charge of its battery afterwards, thousandths.
    charge_permille: i64,
}

/// Energy of the job. Everything here is simulated: panels, batteries, boards. There is no other source, and what the batteries held at
/// the start is taken for sun of the days before, so direct and battery are all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct JobEnergy {
    simulated: bool,
    used_milliwatt_hours: i64,
    direct_milliwatt_hours: i64,
    battery_milliwatt_hours: i64,
    /// Rounded down, so never more than was.
    direct_percent: i64,
    battery_percent: i64,
    measured: bool,
    workers: Vec<WorkerEnergy>,
}

impl JobEnergy {
    fn of(workers: Vec<WorkerEnergy>) -> Self {
        let sum = |of: fn(&WorkerEnergy) -> i64| workers.iter().map(of).sum::<i64>();
        let (used, direct) = (sum(|w| w.used_milliwatt_hours), sum(|w| w.direct_milliwatt_hours));
        let direct_percent = direct * 100 / used.max(1);
        Self {
            simulated: true,
            used_milliwatt_hours: used,
            direct_milliwatt_hours: direct,
            battery_milliwatt_hours: used - direct,
            direct_percent,
            battery_percent: if used > 0 { 100 - direct_percent } else { 0 },
            measured: workers.iter().all(|worker| worker.measured),
            workers,
        }
    }

    /// For people.
    pub(super) fn print(&self) {
        println!("\nenergy   {} used by the job, on simulated sun:", wh(self.used_milliwatt_hours));
        for part in &self.workers {
            let direct = part.direct_milliwatt_hours * 100 / part.used_milliwatt_hours.max(1);
            println!(
                "  {:10} {:>10}, {direct:>3} % straight from its panel; battery at {}.{} %",
                part.worker,
                wh(part.used_milliwatt_hours),
                part.charge_permille / 10,
                part.charge_permille % 10
            );
        }
        println!(
            "  {} % of the job ran straight on the sun, {} % on batteries that the sun had charged",
            self.direct_percent, self.battery_percent
        );
    }
}

/// Asks every worker that took part what the job used, by `sunwork-worker energy`.
pub(super) async fn spent(devnet: &Devnet, agreement: Address) -> eyre::Result<JobEnergy> {
    let mut workers = Vec::new();
    for worker in &devnet.workers {
        workers.extend(of_worker(worker, agreement).await?);
    }
    eyre::ensure!(!workers.is_empty(), "no worker says that it used energy for agreement {agreement}");
    Ok(JobEnergy::of(workers))
}

async fn of_worker(worker: &WorkerNode, agreement: Address) -> eyre::Result<Option<WorkerEnergy>> {
    let text = worker.once(&["energy", "--output", "json"]).await;
    let text = text.wrap_err_with(|| format!("asking {} for its energy", worker.name))?;
    let answer: EnergyAnswer =
        serde_json::from_str(&text).wrap_err_with(|| format!("reading the energy of {}", worker.name))?;
    let key = format!("{agreement:?}");
    Ok(answer.agreements.get(&key).filter(|spent| spent.milliwatt_hours > 0).map(|spent| {
        let direct = spent.direct_milliwatt_hours.clamp(0, spent.milliwatt_hours);
        WorkerEnergy {
            worker: worker.name.clone(),
            address: worker.owner,
            used_milliwatt_hours: spent.milliwatt_hours,
            direct_milliwatt_hours: direct,
            battery_milliwatt_hours: spent.milliwatt_hours - direct,
            measured: spent.measured,
            charge_permille: answer.state.battery.estimate.permille,
        }
    }))
}

/// "0.031 Wh" of thousandths.
fn wh(milliwatt_hours: i64) -> String {
    format!("{}.{:03} Wh", milliwatt_hours / 1000, milliwatt_hours % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(used: i64, direct: i64) -> WorkerEnergy {
        WorkerEnergy {
            worker: "worker 1".into(),
            address: Address::ZERO,
            used_milliwatt_hours: used,
            direct_milliwatt_hours: direct,
            battery_milliwatt_hours: used - direct,
            measured: true,
            charge_permille: 990,
        }
    }

    #[test]
    fn shares_are_of_all_that_was_used_and_add_up() {
        let job = JobEnergy::of(vec![part(30, 30), part(10, 5), part(5, 0)]);
        assert_eq!((job.used_milliwatt_hours, job.direct_milliwatt_hours, job.battery_milliwatt_hours), (45, 35, 10));
        assert_eq!((job.direct_percent, job.battery_percent), (77, 23));
        let nothing = JobEnergy::of(vec![]);
        assert_eq!((nothing.direct_percent, nothing.battery_percent), (0, 0));
        assert_eq!(wh(1_031), "1.031 Wh");
    }

    #[test]
    fn every_worker_of_the_demo_has_a_site_that_the_simulation_reads() {
        use sunwork_energy::sim::{rig::Rig, scenario::Scenario};
        for plant in plants() {
            let scenario: Scenario = serde_json::from_value(plant).unwrap();
            assert!(Rig::new(&scenario, None).is_ok() && Rig::history(&scenario, None).is_ok());
        }
    }
}
