//! The worker as the chain knows it: identity, stake, score, what is owed.
use alloy::{primitives::Address, providers::Provider};
use eyre::WrapErr;
use serde::{Deserialize, Serialize};

use crate::{amount::Unit, chain::Chain};

/// Amounts are decimal texts in the token's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Token's symbol.
    pub symbol: String,
    /// Token's decimals.
    pub decimals: u8,
    /// The worker; zero when the device is of none.
    pub worker: Address,
    /// The device's key.
    pub device: Address,
    /// Where earnings go.
    pub payout: Address,
    /// Score on chain.
    pub score: u16,
    /// Ether of the device's key, wei.
    pub device_wei: String,
    /// Stake that counts in draws.
    pub stake: String,
    /// Part of it that agreements lock.
    pub locked: String,
    /// Stake on its way out.
    pub unbonding: String,
    /// When that can be withdrawn, Unix seconds.
    pub unbonding_until: u64,
    /// What the device may lock.
    pub device_limit: String,
    /// What it has locked.
    pub device_locked: String,
    /// Earned, not sent.
    pub payable: String,
    /// Block of these facts.
    pub block: u64,
}

impl Account {
    /// Reads it.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn read(chain: &Chain, device: Address, unit: &Unit) -> eyre::Result<Self> {
        let worker = chain.worker_of(device).await?;
        let (block, _) = chain.rpc().latest().await.wrap_err("reading the newest block")?;
        let ether = chain.rpc().provider().get_balance(device).await.wrap_err("reading the device's balance")?;
        let info = chain.worker_info(worker).await?;
        let entry = chain.device_info(device).await?;
        let payable = if worker.is_zero() { Default::default() } else { chain.payable_of(worker).await? };
        Ok(Self {
            symbol: unit.symbol.clone(),
            decimals: unit.decimals,
            worker,
            device,
            payout: info.payout,
            score: info.score,
            device_wei: ether.to_string(),
            stake: info.bonded.to_string(),
            locked: info.locked.to_string(),
            unbonding: info.unbonding.to_string(),
            unbonding_until: info.unbondingUntil.to(),
            device_limit: entry.limit.to_string(),
            device_locked: entry.locked.to_string(),
            payable: payable.to_string(),
            block,
        })
    }

    /// How its amounts are written.
    pub fn unit(&self) -> Unit {
        Unit { symbol: self.symbol.clone(), decimals: self.decimals }
    }

    /// A decimal amount for people.
    pub fn show(&self, amount: &str) -> String {
        self.unit().format(amount.parse().unwrap_or(u128::MAX))
    }
}
