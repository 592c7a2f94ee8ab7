//! Tickets and sampled leaves: who is drawn, and what it computes (`DrawLib.sol`, docs/PROTOCOL.md).

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;

/// Tickets are compared by their top 80 bits.
pub const TICKET_SHIFT: usize = 176;

/// Bytes of a draw's seed that are not zero.
pub const SEED_BYTES: usize = 12;

/// Seed of the draw of a round of voting: 0 for the first, the one before the worker's reveal. 96 bits of a digest, the others
/// zero: the contract keeps no more.
pub fn draw_seed(beacon_seed: B256, chain_id: u64, agreement: Address, attempt: u8, vote_round: u8) -> B256 {
    let domain = keccak256("sunwork.draw.v2");
    let (chain_id, attempt, vote_round) = (U256::from(chain_id), U256::from(attempt), U256::from(vote_round));
    let mut seed = keccak256((domain, beacon_seed, chain_id, agreement, attempt, vote_round).abi_encode());
    seed[SEED_BYTES..].fill(0);
    seed
}

/// Ticket `index` of `worker`.
pub fn ticket(seed: B256, worker: Address, index: u64) -> U256 {
    keccak256((seed, worker, U256::from(index)).abi_encode()).into()
}

/// The lowest of a worker's `units` tickets with its index; `None` without stake. Linear in the units, so callers
/// bound them (a million takes about a second on a small board).
pub fn best_ticket(seed: B256, worker: Address, units: u64) -> Option<(u64, U256)> {
    (0..units).map(|index| (index, ticket(seed, worker, index))).min_by_key(|(_, ticket)| *ticket)
}

/// The part of a ticket that orders the slots.
pub fn rank(ticket: U256) -> U256 {
    ticket >> TICKET_SHIFT
}

/// Tickets strictly below this may claim in `step`.
pub fn threshold(class_units: u64, expected: u64, step: u64) -> U256 {
    let units = U256::from(class_units);
    let winners = if step > 128 { units } else { U256::from(expected) << step };
    if winners >= units { U256::MAX } else { U256::MAX / units * winners }
}

/// The leaves that `verifier` computes, ascending: Floyd's sampling without replacement.
pub fn sampled_leaves(seed: B256, verifier: Address, leaf_count: u32, samples: u8) -> Vec<u32> {
    let samples = u32::from(samples);
    if samples >= leaf_count {
        return (0..leaf_count).collect();
    }
    let domain = keccak256("sunwork.sample.v1");
    let sample_seed = keccak256((domain, seed, verifier).abi_encode());
    let mut leaves = Vec::with_capacity(samples as usize);
    for j in leaf_count - samples..leaf_count {
        let hash = U256::from_be_bytes(keccak256((sample_seed, U256::from(j)).abi_encode()).0);
        let pick = (hash % U256::from(j + 1)).to::<u32>();
        let pick = if leaves.contains(&pick) { j } else { pick };
        let position = leaves.partition_point(|leaf| *leaf < pick);
        leaves.insert(position, pick);
    }
    leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_is_without_replacement_and_covers_all_leaves() {
        let mut hits = [0_u32; 10];
        for i in 0..400_u32 {
            let leaves = sampled_leaves(keccak256(i.to_be_bytes()), Address::repeat_byte(1), 10, 3);
            assert_eq!(leaves.len(), 3);
            assert!(leaves.is_sorted_by(|a, b| a < b));
            for leaf in leaves {
                hits[leaf as usize] += 1;
            }
        }
        // 1200 picks over 10 leaves: 120 each; five standard deviations of a binomial are about 46.
        assert!(hits.iter().all(|h| (74..=166).contains(h)), "{hits:?}");
    }

    #[test]
    fn the_threshold_widens_to_everything() {
        assert_eq!(threshold(40, 8, 0), U256::MAX / U256::from(40) * U256::from(8));
        assert_eq!(threshold(40, 8, 3), U256::MAX);
        assert_eq!(threshold(0, 8, 0), U256::MAX);
        assert_eq!(threshold(u64::MAX, 8, 200), U256::MAX);
    }
}
