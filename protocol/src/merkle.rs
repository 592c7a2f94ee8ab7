//! Merkle trees with separated leaves and nodes, padded with zero-subtree roots to a fixed depth (`MerkleLib.sol`,
//! docs/PROTOCOL.md). A root stands for a tree only together with the leaf count.

use alloy::primitives::{B256, keccak256};
use rs_merkle::{Hasher, MerkleTree};
use thiserror::Error;

/// Why a multiproof was refused; the contract's errors.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MerkleError {
    /// Leaves must ascend strictly and lie below the count.
    #[error("leaf {leaf} at position {position} is out of order or not below the leaf count {leaf_count}")]
    LeafOrder {
        /// Position in the list.
        position: usize,
        /// The leaf.
        leaf: u32,
        /// Leaves of the tree.
        leaf_count: u32,
    },
    /// Too short or too long.
    #[error("the proof has {found} hashes, the leaves need {used}")]
    ProofLength {
        /// Hashes given.
        found: usize,
        /// Hashes needed (at least).
        used: usize,
    },
    /// No leaves, or not one digest per leaf.
    #[error("{leaves} leaves and {digests} digests given, expected the same number and at least one")]
    NoLeaves {
        /// Leaves given.
        leaves: usize,
        /// Digests given.
        digests: usize,
    },
}

/// `keccak(0x00 ‖ data)`.
pub fn hash_leaf(data: B256) -> B256 {
    let mut bytes = [0_u8; 33];
    bytes[1..].copy_from_slice(data.as_slice());
    keccak256(bytes)
}

/// `keccak(0x01 ‖ left ‖ right)`.
pub fn hash_node(left: B256, right: B256) -> B256 {
    let mut bytes = [1_u8; 65];
    bytes[1..33].copy_from_slice(left.as_slice());
    bytes[33..].copy_from_slice(right.as_slice());
    keccak256(bytes)
}

/// Smallest depth whose tree holds `leaf_count` leaves.
pub fn depth_of(leaf_count: u32) -> u32 {
    u64::from(leaf_count).next_power_of_two().trailing_zeros()
}

/// The hasher that makes rs_merkle build our trees; the leaves must already be padded to a power of two, because
/// rs_merkle lifts a lone node unhashed (PROOFS.md C.2 measured it).
#[derive(Clone)]
struct NodeHasher;

impl Hasher for NodeHasher {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        keccak256(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        // Every node of a padded tree has two children, so the right one is there.
        right.map_or(*left, |right| hash_node(B256::from(left), B256::from(right)).0)
    }
}

/// A whole tree in memory, for as many leaves as a bag has.
#[derive(Clone)]
pub struct Tree {
    inner: MerkleTree<NodeHasher>,
    leaf_count: u32,
    padded: usize,
}

impl Tree {
    /// Builds the tree over the leaves' data. Padding leaves are `zero[0] = 0` unhashed, as in the contract.
    ///
    /// # Panics
    /// With no leaves, or with more than 2^31: bags are bounded far below.
    pub fn new(data: &[B256]) -> Self {
        let leaf_count = u32::try_from(data.len()).expect("a bag is bounded below 2^32 leaves");
        assert!(leaf_count > 0, "a tree needs a leaf");
        let padded = 1_usize << depth_of(leaf_count);
        let mut leaves: Vec<[u8; 32]> = data.iter().map(|d| hash_leaf(*d).0).collect();
        leaves.resize(padded, [0; 32]);
        Self { inner: MerkleTree::from_leaves(&leaves), leaf_count, padded }
    }

    /// The root.
    pub fn root(&self) -> B256 {
        B256::from(self.inner.root().expect("a tree has at least one leaf"))
    }

    /// Leaves without padding.
    pub fn leaf_count(&self) -> u32 {
        self.leaf_count
    }

    /// The siblings that a verifier cannot compute, level by level from the leaves, left to right.
    ///
    /// # Panics
    /// When a leaf is not below the leaf count: callers pick leaves by the count.
    pub fn multiproof(&self, leaves: &[u32]) -> Vec<B256> {
        assert!(leaves.iter().all(|l| *l < self.leaf_count), "a leaf is not in the tree");
        let indices: Vec<usize> = leaves.iter().map(|l| *l as usize).collect();
        debug_assert!(indices.iter().all(|i| *i < self.padded));
        self.inner.proof(&indices).proof_hashes().iter().map(B256::from).collect()
    }
}

/// The root that these digests and this proof lead to; the same walk as the contract's.
///
/// # Errors
/// When leaves are out of order or the proof has another length.
pub fn multiproof_root(leaves: &[u32], digests: &[B256], proof: &[B256], leaf_count: u32) -> Result<B256, MerkleError> {
    if leaves.is_empty() || leaves.len() != digests.len() {
        return Err(MerkleError::NoLeaves { leaves: leaves.len(), digests: digests.len() });
    }
    let mut level: Vec<(u32, B256)> = Vec::with_capacity(leaves.len());
    for (position, (&leaf, &digest)) in leaves.iter().zip(digests).enumerate() {
        if leaf >= leaf_count || level.last().is_some_and(|(before, _)| *before >= leaf) {
            return Err(MerkleError::LeafOrder { position, leaf, leaf_count });
        }
        level.push((leaf, hash_leaf(digest)));
    }
    let mut siblings = proof.iter();
    let mut used = 0;
    for _ in 0..depth_of(leaf_count) {
        let mut above = Vec::with_capacity(level.len());
        let mut nodes = level.into_iter().peekable();
        while let Some((index, hash)) = nodes.next() {
            let right_is_known = index & 1 == 0 && nodes.peek().is_some_and(|(next, _)| *next == index + 1);
            let parent = if right_is_known {
                let (_, right) = nodes.next().expect("just peeked");
                hash_node(hash, right)
            } else {
                used += 1;
                let sibling = *siblings.next().ok_or(MerkleError::ProofLength { found: proof.len(), used })?;
                if index & 1 == 0 { hash_node(hash, sibling) } else { hash_node(sibling, hash) }
            };
            above.push((index >> 1, parent));
        }
        level = above;
    }
    if used != proof.len() {
        return Err(MerkleError::ProofLength { found: proof.len(), used });
    }
    Ok(level.first().map(|(_, hash)| *hash).expect("at least one leaf was given"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digests(n: u32) -> Vec<B256> {
        (0..n).map(|i| keccak256(i.to_be_bytes())).collect()
    }

    #[test]
    fn inner_node_is_no_leaf_and_a_doubled_leaf_changes_the_root() {
        let d = digests(4);
        let three = Tree::new(&d[..3]);
        let doubled = Tree::new(&[d[0], d[1], d[2], d[2]]);
        assert_ne!(three.root(), doubled.root());
        let inner = hash_node(hash_leaf(d[0]), hash_leaf(d[1]));
        assert_ne!(Tree::new(&[inner, d[2]]).root(), three.root());
    }

    proptest! {
        #[test]
        fn every_subset_proves(n in 1_u32..80, mask in any::<u128>()) {
            let data = digests(n);
            let tree = Tree::new(&data);
            let mut leaves: Vec<u32> = (0..n).filter(|i| mask >> (i % 128) & 1 == 1).collect();
            if leaves.is_empty() { leaves.push(n - 1); }
            let chosen: Vec<B256> = leaves.iter().map(|l| data[*l as usize]).collect();
            let proof = tree.multiproof(&leaves);
            prop_assert_eq!(multiproof_root(&leaves, &chosen, &proof, n), Ok(tree.root()));

            let mut wrong = chosen.clone();
            wrong[0] = B256::repeat_byte(0xEE);
            prop_assert_ne!(multiproof_root(&leaves, &wrong, &proof, n), Ok(tree.root()));
            let mut long = proof.clone();
            long.push(B256::ZERO);
            prop_assert!(multiproof_root(&leaves, &chosen, &long, n).is_err());
        }
    }
}
