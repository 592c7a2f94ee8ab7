//! `earnings`: by day for people, by agreement or day for spreadsheets.
use std::{collections::BTreeMap, io::Write};

use serde_json::json;

use super::{Output, chain};
use crate::{
    amount::Unit,
    config::Layer,
    control::{
        Earnings,
        client::{self, ControlError},
    },
    earnings::{self, MAX_DAYS},
    folder::Folder,
    identity,
};

/// Asks the running worker, else the chain itself.
///
/// # Errors
/// When neither answers.
pub async fn earnings(settings: &Layer, days: u32, csv: bool, by_day: bool, output: Output) -> eyre::Result<()> {
    let days = days.min(MAX_DAYS);
    let path = format!("/v1/earnings?days={days}");
    let found = match client::get::<Earnings>(&settings.control_socket(), &path).await {
        Ok(found) => found,
        Err(ControlError::NotRunning { .. }) => of_chain(settings, days).await?,
        Err(error) => return Err(error.into()),
    };
    let mut out = std::io::stdout().lock();
    if csv {
        let text =
            if by_day { earnings::csv_by_day(&found.earnings) } else { earnings::csv(&found.earnings, &found.energy) };
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    let by_day = earnings::by_day(&found.earnings);
    if output == Output::Json {
        let document = json!({
            "schema": "sunwork.worker.earnings.v1", "symbol": found.symbol, "decimals": found.decimals,
            "days": by_day, "agreements": found.earnings, "energy": found.energy,
        });
        writeln!(out, "{document}")?;
        return Ok(());
    }
    let unit = Unit { symbol: found.symbol, decimals: found.decimals };
    let show = |text: &str| unit.format(text.parse().unwrap_or(u128::MAX));
    writeln!(out, "{:12} {:>10} {:>24} {:>24}", "DAY (UTC)", "AGREEMENTS", "EARNED", "SLASHED")?;
    let (mut paid, mut slashed) = (0_u128, 0_u128);
    for day in &by_day {
        writeln!(out, "{:12} {:>10} {:>24} {:>24}", day.day, day.agreements, show(&day.paid), show(&day.slashed))?;
        paid = paid.saturating_add(day.paid.parse().unwrap_or(0));
        slashed = slashed.saturating_add(day.slashed.parse().unwrap_or(0));
    }
    let count = found.earnings.len();
    writeln!(out, "{:12} {:>10} {:>24} {:>24}", "all", count, unit.format(paid), unit.format(slashed))?;
    Ok(())
}

async fn of_chain(settings: &Layer, days: u32) -> eyre::Result<Earnings> {
    let chain = chain(settings).await?;
    let Unit { symbol, decimals } = identity::unit(&chain).await?;
    let device = identity::device_address(settings, &Folder::at(settings.data_dir()))?;
    let worker = chain.worker_of(device).await?;
    if worker.is_zero() {
        eyre::bail!("the device key {device} acts for no worker; run `sunwork-worker register` first");
    }
    Ok(Earnings { symbol, decimals, earnings: earnings::read(&chain, worker, days).await?, energy: BTreeMap::new() })
}
