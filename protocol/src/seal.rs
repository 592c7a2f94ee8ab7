//! Salted commitments that bind chain, agreement, attempt and sender (`SealLib.sol`, docs/PROTOCOL.md).

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolValue;

/// The worker's seal over its Merkle root.
#[allow(clippy::too_many_arguments)]
pub fn worker_seal(
    root: B256,
    salt: B256,
    ciphertext_root: B256,
    chain_id: u64,
    agreement: Address,
    attempt: u8,
    worker: Address,
) -> B256 {
    let domain = keccak256("sunwork.worker.seal.v1");
    keccak256(
        (domain, root, salt, ciphertext_root, U256::from(chain_id), agreement, U256::from(attempt), worker)
            .abi_encode(),
    )
}

/// What the contract keeps of a worker's seal.
pub fn announcement(seal: B256, ciphertext_root: B256, result_blob: B256) -> B256 {
    keccak256((seal, ciphertext_root, result_blob).abi_encode())
}

/// A verifier's seal over its digests, in ascending order of the leaf.
pub fn verifier_seal(
    digests: &[B256],
    salt: B256,
    chain_id: u64,
    agreement: Address,
    attempt: u8,
    verifier: Address,
) -> B256 {
    let domain = keccak256("sunwork.verifier.seal.v1");
    let joined = keccak256(digests.concat());
    keccak256((domain, joined, salt, U256::from(chain_id), agreement, U256::from(attempt), verifier).abi_encode())
}

/// What the contract keeps after the worker's reveal.
pub fn revealed(root: B256, leaves: &[u32], digests: &[B256]) -> B256 {
    let (leaves_hash, digests_hash) = revealed_lists(leaves, digests);
    revealed_hash(root, leaves_hash, digests_hash)
}

/// The hashes of leaves and digests in a worker's reveal, as later openings and deliveries bring them along
/// (`RevealedRoot`). Of a result handed in at level 0: those of empty lists.
pub fn revealed_lists(leaves: &[u32], digests: &[B256]) -> (B256, B256) {
    let leaves: Vec<B256> = leaves.iter().map(|l| B256::from(U256::from(*l))).collect();
    (keccak256(leaves.concat()), keccak256(digests.concat()))
}

/// [`revealed`] from the hashes of its lists.
pub fn revealed_hash(root: B256, leaves_hash: B256, digests_hash: B256) -> B256 {
    keccak256((root, leaves_hash, digests_hash).abi_encode())
}
