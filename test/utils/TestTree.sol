// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title TestTree
/// @notice A whole Merkle tree in memory, written from docs/PROTOCOL.md and not from MerkleLib, to check the one by the
/// other.
library TestTree {
    /// @notice All nodes: levels[0] are the leaf hashes padded to 2^depth, the last level is the root.
    struct Tree {
        bytes32[][] levels;
    }

    function build(bytes32[] memory digests) internal pure returns (Tree memory tree) {
        uint256 depth = 0;
        while (2 ** depth < digests.length) ++depth;
        tree.levels = new bytes32[][](depth + 1);
        tree.levels[0] = new bytes32[](2 ** depth);
        for (uint256 i = 0; i < digests.length; ++i) {
            tree.levels[0][i] = keccak256(abi.encodePacked(uint8(0), digests[i]));
        }
        for (uint256 h = 1; h <= depth; ++h) {
            bytes32[] memory below = tree.levels[h - 1];
            tree.levels[h] = new bytes32[](below.length / 2);
            for (uint256 i = 0; i < tree.levels[h].length; ++i) {
                tree.levels[h][i] = keccak256(abi.encodePacked(uint8(1), below[2 * i], below[2 * i + 1]));
            }
        }
    }

    function root(Tree memory tree) internal pure returns (bytes32) {
        return tree.levels[tree.levels.length - 1][0];
    }

    /// @notice The siblings that the given leaves leave open, level by level, left to right.
    function multiproof(Tree memory tree, uint32[] memory leaves)
        internal
        pure
        returns (bytes32[] memory proof)
    {
        bytes32[] memory found = new bytes32[](leaves.length * tree.levels.length);
        uint256 count = 0;
        bool[] memory known = new bool[](tree.levels[0].length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            known[leaves[i]] = true;
        }
        for (uint256 h = 0; h + 1 < tree.levels.length; ++h) {
            bool[] memory above = new bool[](known.length / 2);
            for (uint256 i = 0; i < known.length; i += 2) {
                if (!known[i] && !known[i + 1]) continue;
                above[i / 2] = true;
                if (!known[i]) found[count++] = tree.levels[h][i];
                else if (!known[i + 1]) found[count++] = tree.levels[h][i + 1];
            }
            known = above;
        }
        proof = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            proof[i] = found[i];
        }
    }
}
