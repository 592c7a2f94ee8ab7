// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {MerkleLib} from "./MerkleLib.sol";

/// @title ResultLib
/// @notice From a result's bytes to the root that the worker revealed, for tasks that completed with one file as their output
/// (docs/PROTOCOL.md, "One leaf: run and digest"; protocol/src/leaf.rs). A change of one bit gives another root.
library ResultLib {
    /// @notice Hash of a tree that holds one file.
    /// @param fileName Its path below the declared path, raw bytes; of a declared file its name.
    function treeHash(bytes calldata fileName, bytes calldata content) internal pure returns (bytes32) {
        return sha256(
            abi.encodePacked(
                "sunwork.tree.v1",
                // One entry: length of the path, path, size, hash of the content.
                uint32(1),
                uint32(fileName.length),
                fileName,
                uint64(content.length),
                sha256(content)
            )
        );
    }

    /// @notice Digest of a task that completed (outcome 0, exit status 0) with that file.
    function leafDigest(bytes calldata fileName, bytes calldata content) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("sunwork.leaf.v1", uint8(0), int32(0), treeHash(fileName, content)));
    }

    /// @notice The digest of confidential work as it stands in seals and trees.
    /// @param blindKey HKDF-SHA256(session key, salt "sunwork.leaf.blind.key.v1", info agreement | u32(leaf)), from whoever has
    /// the session key. A wrong one only gives a digest that is not in the tree.
    function blinded(bytes32 blindKey, bytes32 digest) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked("sunwork.leaf.blind.v1", blindKey, digest));
    }

    /// @notice The root that one leaf and its siblings lead to.
    /// @param digest Data of the leaf in the result tree.
    /// @param proof Siblings from the leaf upwards: the multiproof of this one leaf.
    function rootOf(uint32 leaf, uint256 leafCount, bytes32 digest, bytes32[] calldata proof)
        internal
        pure
        returns (bytes32 node)
    {
        require(leaf < leafCount, MerkleLib.LeafOrder(0, leaf, leafCount));
        uint256 depth = MerkleLib.depthOf(leafCount);
        require(proof.length == depth, MerkleLib.ProofLength(proof.length, depth));
        node = MerkleLib.hashLeaf(digest);
        for (uint256 i = 0; i < depth; ++i) {
            bool left = (leaf >> i) & 1 == 0;
            node = left ? MerkleLib.hashNode(node, proof[i]) : MerkleLib.hashNode(proof[i], node);
        }
    }
}
