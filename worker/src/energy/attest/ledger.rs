//! The ledger as it is read.
use alloy::{
    eips::BlockId,
    primitives::{Address, keccak256},
};
use sunwork_edge::Rpc;
use sunwork_protocol::{abi::IEnergyLedger, energy::Link};

use super::decide::{Ledger, Status};

/// What a record of counts is numbered with in the ring.
const GAP: u8 = 3;

/// Reads a worker's account, all of it as of one block.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn read(rpc: &Rpc, ledger: Address, worker: Address) -> Result<Ledger, String> {
    let contract = IEnergyLedger::new(ledger, rpc.provider());
    let failed = |error: alloy::contract::Error| format!("reading the energy ledger {ledger}: {error}");
    let (number, time) = rpc.latest().await.map_err(|error| format!("reading the newest block: {error}"))?;
    let at = BlockId::number(number);
    let view = contract.meterOf(worker).block(at).call().await.map_err(failed)?;
    let params = contract.params().block(at).call().await.map_err(failed)?;
    let positive = contract.isPositive(worker).block(at).call().await.map_err(failed)?;
    let last = contract.dayOf(worker, view.state.day).block(at).call().await.map_err(failed)?;
    let counts = last.day == view.state.day && last.kind as u8 != 0 && last.kind as u8 != GAP;
    Ok(Ledger {
        status: match view.state.status as u8 {
            1 => Status::Active,
            2 => Status::Leaving,
            3 => Status::Struck,
            _ => Status::None,
        },
        key: keccak256([view.meter.keyX, view.meter.keyY].concat()),
        sequence: view.state.sequence,
        day: view.state.day,
        link: Link::from(view.link.0),
        counter_epoch: view.state.counterEpoch,
        counter_wh: view.state.counterWh.to(),
        cap_wh: view.state.capWh,
        net_wh: i64::try_from(view.state.netWh).unwrap_or(i64::MIN),
        attested_days: view.state.attestedDays,
        last_day_net_wh: counts.then(|| i64::try_from(last.netWh).unwrap_or(i64::MIN)),
        positive,
        bond_free_at: view.exitAt.to(),
        window_days: u16::from(params.windowDays).max(1),
        min_days: params.minDays.into(),
        fresh_days: params.freshDays.into(),
        assumed_watts: params.assumedWatts,
        time,
    })
}
