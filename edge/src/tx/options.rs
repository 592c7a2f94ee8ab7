//! How a sender behaves: patience and limits.
use std::time::Duration;

use super::notice::Notify;

/// What gas may cost, and when a waiting transaction gets a higher fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Most that is paid per gas, wei.
    pub max_fee_per_gas_wei: u128,
    /// Most that the gas of one transaction may cost in all (gas limit times fee), wei; `None`: only the cap per gas holds.
    pub max_tx_cost_wei: Option<u128>,
    /// By how much the fee of a replacement is higher, percent. Nodes want 10 at least; less counts as 10.
    pub bump_percent: u32,
    /// A transaction that this many new blocks did not take is replaced with a higher fee.
    pub bump_after_blocks: u64,
}

impl Default for FeePolicy {
    fn default() -> Self {
        Self {
            max_fee_per_gas_wei: 500_000_000_000,
            max_tx_cost_wei: None,
            // An eighth leaves room for the rounding of nodes.
            bump_percent: 13,
            bump_after_blocks: 5,
        }
    }
}

impl FeePolicy {
    /// Most that a transaction with this gas limit may pay per gas, wei, so that both caps hold.
    pub fn cap_for(&self, gas_limit: u64) -> u128 {
        let by_cost = self.max_tx_cost_wei.map_or(u128::MAX, |cost| cost / u128::from(gas_limit.max(1)));
        self.max_fee_per_gas_wei.min(by_cost)
    }
}

/// How the sender behaves.
#[derive(Clone, Debug)]
pub struct TxOptions {
    /// What gas may cost.
    pub fees: FeePolicy,
    /// Most gas that one transaction may use.
    pub max_gas: u64,
    /// How often the receipt is asked for.
    pub poll: Duration,
    /// How long a transaction may wait before it is replaced with a higher fee, where blocks are too slow to count.
    pub stuck_after: Duration,
    /// How long one call of `send` waits in all.
    pub give_up_after: Duration,
    /// How long another process may keep the key before `send` gives up.
    pub claim_wait: Duration,
    /// Who is told what the sender does besides sending.
    pub notify: Notify,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self {
            fees: FeePolicy::default(),
            max_gas: 15_000_000,
            poll: Duration::from_millis(300),
            stuck_after: Duration::from_secs(30),
            give_up_after: Duration::from_secs(300),
            claim_wait: Duration::from_secs(120),
            notify: Notify::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_cap_holds() {
        let policy = FeePolicy { max_fee_per_gas_wei: 100, max_tx_cost_wei: Some(1_000_000), ..FeePolicy::default() };
        assert_eq!(policy.cap_for(5_000), 100);
        assert_eq!(policy.cap_for(50_000), 20);
        assert_eq!(policy.cap_for(2_000_000), 0);
        assert_eq!(policy.cap_for(0), 100);
        assert_eq!(FeePolicy { max_tx_cost_wei: None, ..policy }.cap_for(u64::MAX), 100);
    }
}
