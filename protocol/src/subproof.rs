//! From the multiproof of some leaves to that of fewer of them. A worker's reveal proves all sampled leaves at once; who has to
//! prove the disputed ones among them needs nothing else, whatever the worker's blob holds.

use std::collections::HashMap;

use alloy::primitives::B256;

use crate::merkle::{self, MerkleError, hash_leaf, hash_node};

/// Why no smaller proof can be made.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SubproofError {
    /// The proof given proves nothing.
    #[error(transparent)]
    Proof(#[from] MerkleError),
    /// It is of another tree.
    #[error("the proof leads to the root {found}, expected {expected}")]
    Root {
        /// Where it leads.
        found: B256,
        /// The root.
        expected: B256,
    },
    /// A wanted leaf is not among those that it proves.
    #[error("leaf {leaf} is not among those that the proof is of")]
    Missing {
        /// The leaf.
        leaf: u32,
    },
}

/// Digests of the `wanted` leaves (strictly ascending) and their multiproof, from a multiproof of more leaves.
///
/// # Errors
/// When the given proof does not lead to `root`, or a wanted leaf is not part of it.
pub fn subproof(
    leaves: &[u32],
    digests: &[B256],
    proof: &[B256],
    leaf_count: u32,
    root: B256,
    wanted: &[u32],
) -> Result<(Vec<B256>, Vec<B256>), SubproofError> {
    let found = merkle::multiproof_root(leaves, digests, proof, leaf_count)?;
    if found != root {
        return Err(SubproofError::Root { found, expected: root });
    }
    let mine = wanted
        .iter()
        .map(|leaf| match leaves.binary_search(leaf) {
            Ok(position) => Ok(digests[position]),
            Err(_) => Err(SubproofError::Missing { leaf: *leaf }),
        })
        .collect::<Result<Vec<B256>, _>>()?;
    let nodes = nodes(leaves, digests, proof, leaf_count);
    let mut siblings = Vec::new();
    let mut level: Vec<u32> = wanted.to_vec();
    for height in 0..merkle::depth_of(leaf_count) {
        for (position, index) in level.iter().enumerate() {
            let pair = index ^ 1;
            let known = level.get(position + 1) == Some(&pair) || position > 0 && level[position - 1] == pair;
            if !known {
                let sibling = nodes.get(&(height, pair)).ok_or(SubproofError::Missing { leaf: pair })?;
                siblings.push(*sibling);
            }
        }
        level = level.into_iter().map(|index| index >> 1).collect();
        level.dedup();
    }
    Ok((mine, siblings))
}

/// Every node that a checked multiproof shows, by height and index: those on the way to the root, and their siblings.
fn nodes(leaves: &[u32], digests: &[B256], proof: &[B256], leaf_count: u32) -> HashMap<(u32, u32), B256> {
    let mut level: Vec<(u32, B256)> =
        leaves.iter().zip(digests).map(|(leaf, digest)| (*leaf, hash_leaf(*digest))).collect();
    let mut siblings = proof.iter();
    let mut all = HashMap::new();
    for height in 0..merkle::depth_of(leaf_count) {
        all.extend(level.iter().map(|(index, hash)| ((height, *index), *hash)));
        let mut above: Vec<(u32, B256)> = Vec::with_capacity(level.len());
        for (index, hash) in level {
            let parent = index >> 1;
            if above.last().is_some_and(|(last, _)| *last == parent) {
                // The right one of a pair that its left one has led up.
                continue;
            }
            let pair = (height, index ^ 1);
            let other = match all.get(&pair) {
                Some(known) => *known,
                None => {
                    let Some(sibling) = siblings.next() else { return all };
                    all.insert(pair, *sibling);
                    *sibling
                }
            };
            above.push((parent, if index & 1 == 0 { hash_node(hash, other) } else { hash_node(other, hash) }));
        }
        level = above;
    }
    all
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::Tree;

    proptest! {
        #[test]
        fn every_part_of_a_proof_proves_itself(n in 1_u32..70, mask in any::<u128>(), part in any::<u128>()) {
            let data: Vec<B256> = (0..n).map(|i| keccak256(i.to_be_bytes())).collect();
            let tree = Tree::new(&data);
            let pick = |mask: u128| -> Vec<u32> { (0..n).filter(|i| mask >> i & 1 == 1).collect() };
            let (mut leaves, mut wanted) = (pick(mask), pick(mask & part));
            if leaves.is_empty() { leaves.push(n - 1); }
            if wanted.is_empty() { wanted.push(leaves[0]); }
            let digests: Vec<B256> = leaves.iter().map(|leaf| data[*leaf as usize]).collect();
            let (mine, proof) =
                subproof(&leaves, &digests, &tree.multiproof(&leaves), n, tree.root(), &wanted).unwrap();
            prop_assert_eq!(&proof, &tree.multiproof(&wanted));
            prop_assert_eq!(merkle::multiproof_root(&wanted, &mine, &proof, n), Ok(tree.root()));
        }
    }

    #[test]
    fn what_was_not_proven_cannot_be() {
        let data: Vec<B256> = (0_u32..8).map(|i| keccak256(i.to_be_bytes())).collect();
        let tree = Tree::new(&data);
        let (leaves, digests) = ([1, 6], [data[1], data[6]]);
        let proof = tree.multiproof(&leaves);
        let of = |root, wanted: &[u32]| subproof(&leaves, &digests, &proof, 8, root, wanted);
        assert_eq!(of(tree.root(), &[2]), Err(SubproofError::Missing { leaf: 2 }));
        assert!(matches!(of(B256::ZERO, &[1]), Err(SubproofError::Root { .. })));
        assert!(matches!(
            subproof(&leaves, &digests, &proof[1..], 8, tree.root(), &[1]),
            Err(SubproofError::Proof(MerkleError::ProofLength { .. }))
        ));
    }
}
