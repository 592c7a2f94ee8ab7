// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title MerkleLib
/// @notice Merkle trees with separated leaves and nodes, padded with zero-subtree roots to a fixed depth, so that neither an
/// inner node passes as a leaf nor a doubled last leaf as another tree (docs/PROTOCOL.md, Merkle trees).
library MerkleLib {
    /// @notice Leaves must be given strictly ascending and below the count.
    error LeafOrder(uint256 position, uint256 leaf, uint256 leafCount);
    /// @notice The proof has more or fewer hashes than the leaves need.
    error ProofLength(uint256 found, uint256 used);
    error NoLeaves();

    function hashLeaf(bytes32 data) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x00), data));
    }

    /// @dev Scratch space holds 64 bytes, the preimage has 65: it is written at the free pointer and left there.
    function hashNode(bytes32 left, bytes32 right) internal pure returns (bytes32 node) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 1)
            mstore(add(free, 1), left)
            mstore(add(free, 33), right)
            node := keccak256(free, 65)
        }
    }

    /// @notice Smallest depth whose tree holds `leafCount` leaves: ceil(log2 n).
    function depthOf(uint256 leafCount) internal pure returns (uint256 depth) {
        while ((uint256(1) << depth) < leafCount) ++depth;
    }

    /// @notice The root that `digests` at `leaves` and the multiproof lead to.
    /// @param leaves Strictly ascending leaf indices, each below `leafCount`.
    /// @param digests Leaf data, one per index.
    /// @param proof Missing siblings, level by level from the leaves, left to right; all must be used.
    function multiproofRoot(
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof,
        uint256 leafCount
    ) internal pure returns (bytes32) {
        uint256 count = leaves.length;
        require(count != 0 && digests.length == count, NoLeaves());
        uint256[] memory index = new uint256[](count);
        bytes32[] memory hash = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 leaf = leaves[i];
            require(leaf < leafCount && (i == 0 || leaf > leaves[i - 1]), LeafOrder(i, leaf, leafCount));
            index[i] = leaf;
            hash[i] = hashLeaf(digests[i]);
        }

        uint256 used = 0;
        for (uint256 level = depthOf(leafCount); level != 0; --level) {
            uint256 out = 0;
            for (uint256 i = 0; i < count; ++i) {
                uint256 position = index[i];
                bytes32 sibling;
                if (position & 1 == 0 && i + 1 < count && index[i + 1] == position + 1) {
                    sibling = hash[++i];
                    hash[out] = hashNode(hash[i - 1], sibling);
                } else {
                    require(used < proof.length, ProofLength(proof.length, used + 1));
                    sibling = proof[used++];
                    hash[out] = position & 1 == 0 ? hashNode(hash[i], sibling) : hashNode(sibling, hash[i]);
                }
                index[out++] = position >> 1;
            }
            count = out;
        }
        require(used == proof.length, ProofLength(proof.length, used));
        return hash[0];
    }
}
