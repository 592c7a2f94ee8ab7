//! `report.json`: what the demo prints, for machines.
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use alloy::primitives::Address;
use eyre::{WrapErr, ensure};
use serde::Serialize;
use sunwork_client::Settlement;
use sunwork_protocol::status::Status;

use super::{
    money::{Money, of_party},
    sun::JobEnergy,
};
use crate::{accounts, devnet::Devnet, stage::Stages};

/// The report. Amounts are integers in the smallest token unit (nine decimals).
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    /// All that was to be shown was shown.
    ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    leaves: u32,
    verifiers: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    agreement: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<String>,
    /// Gas by transaction name, and `total`.
    gas: BTreeMap<String, u64>,
    /// Gas by party: its account and its device together.
    gas_by_party: BTreeMap<Address, u64>,
    /// Seconds by stage of the demo, and `total`.
    seconds: BTreeMap<String, f64>,
    /// Seconds of chain time by status of the agreement.
    phases: BTreeMap<String, u64>,
    /// Credited by the agreement, by account.
    paid: BTreeMap<Address, u64>,
    burned: u64,
    /// All tokens there are, before and after.
    total_before: u64,
    total_after: u64,
    /// Energy of the job, and what of it came straight from the sun.
    #[serde(skip_serializing_if = "Option::is_none")]
    energy: Option<JobEnergy>,
}

impl Report {
    /// Everything went well; the last checks are made here.
    pub(super) fn succeeded(
        devnet: &Devnet,
        settlement: &Settlement,
        phases: &[(Status, u64)],
        (before, after): (&Money, &Money),
        leaves: u32,
        verifiers: u8,
    ) -> eyre::Result<Self> {
        ensure!(settlement.adds_up(), "what the agreement paid and burned is not what went into it: {settlement:?}");
        let (total_before, total_after) = (before.total(), after.total());
        ensure!(total_before == total_after, "tokens were lost or made: {total_before} before, {total_after} after");

        let mut gas = settlement.gas_by_name();
        gas.insert("total".to_owned(), settlement.gas_total());
        let by_sender = settlement.gas_by_sender();
        let parties =
            devnet.workers.iter().map(|worker| worker.owner).chain([settlement.client, accounts::KEEPER.address]);
        let amounts = settlement.paid.iter().map(|(account, amount)| Ok((*account, small(*amount)?)));
        Ok(Self {
            ok: true,
            reason: None,
            leaves,
            verifiers,
            agreement: Some(settlement.agreement),
            ending: Some(settlement.ending.to_string()),
            gas,
            gas_by_party: parties.map(|party| (party, of_party(devnet, party, &by_sender))).collect(),
            seconds: BTreeMap::new(),
            phases: phases.iter().map(|(status, seconds)| (key(&status.to_string()), *seconds)).collect(),
            paid: amounts.collect::<eyre::Result<_>>()?,
            burned: small(settlement.burned)?,
            total_before: small(total_before)?,
            total_after: small(total_after)?,
            energy: None,
        })
    }

    /// Adds what the job ran on.
    pub(super) fn on_energy(self, energy: JobEnergy) -> Self {
        Self { energy: Some(energy), ..self }
    }

    /// It did not.
    pub(super) fn failed(error: &eyre::Report, leaves: u32, verifiers: u8) -> Self {
        Self { reason: Some(format!("{error:#}")), leaves, verifiers, ..Self::default() }
    }

    /// Adds the time of each stage.
    pub(super) fn time(&mut self, stages: &Stages) {
        let rounded = |seconds: f64| (seconds * 100.0).round() / 100.0;
        self.seconds = stages.done().iter().map(|(name, took)| (key(name), rounded(took.as_secs_f64()))).collect();
        self.seconds.insert("total".to_owned(), rounded(stages.total().as_secs_f64()));
    }

    /// Writes `report.json`.
    pub(super) fn write(&self, dir: &Path) -> eyre::Result<PathBuf> {
        let path = dir.join("report.json");
        let mut text = serde_json::to_string_pretty(self).wrap_err("writing the report")?;
        text.push('\n');
        fs::write(&path, text).wrap_err_with(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    /// Where the time went.
    pub(super) fn print_times(&self) {
        let times: Vec<String> = self.seconds.iter().map(|(name, seconds)| format!("{name} {seconds:.1}")).collect();
        println!("\nseconds  {}", times.join(", "));
        let phases: Vec<String> = self.phases.iter().map(|(name, seconds)| format!("{name} {seconds}")).collect();
        println!("phases   {} (chain time)", phases.join(", "));
    }
}

/// The supply fits 64 bits.
fn small(amount: u128) -> eyre::Result<u64> {
    u64::try_from(amount).wrap_err("an amount above the supply")
}

fn key(name: &str) -> String {
    name.to_lowercase().replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_report_says_why() {
        let error = eyre::eyre!("no engine").wrap_err("starting");
        let dir = tempfile::tempdir().unwrap();
        let path = Report::failed(&error, 16, 2).write(dir.path()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(json["reason"], "starting: no engine");
        assert_eq!((&json["leaves"], &json["verifiers"]), (&16.into(), &2.into()));
    }
}
