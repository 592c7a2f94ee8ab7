// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";

/// @title MerkleProver
/// @notice Calls the library with arrays of fixed lengths, and tells a refusal from an answer.
contract MerkleProver {
    /// @notice The first `length` of three hashes.
    struct Siblings {
        uint256 length;
        bytes32 a;
        bytes32 b;
        bytes32 c;
    }

    function one(uint32 index, bytes32 data, Siblings calldata s, uint256 leafCount)
        external
        view
        returns (bool ok, bytes32 found)
    {
        uint32[] memory leaves = new uint32[](1);
        bytes32[] memory digests = new bytes32[](1);
        (leaves[0], digests[0]) = (index, data);
        return _try(leaves, digests, s, leafCount);
    }

    function two(uint32[2] calldata index, bytes32[2] calldata data, Siblings calldata s, uint256 leafCount)
        external
        view
        returns (bool ok, bytes32 found)
    {
        uint32[] memory leaves = new uint32[](2);
        bytes32[] memory digests = new bytes32[](2);
        (leaves[0], leaves[1], digests[0], digests[1]) = (index[0], index[1], data[0], data[1]);
        return _try(leaves, digests, s, leafCount);
    }

    function root(
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof,
        uint256 leafCount
    ) external pure returns (bytes32) {
        return MerkleLib.multiproofRoot(leaves, digests, proof, leafCount);
    }

    function _try(uint32[] memory leaves, bytes32[] memory digests, Siblings calldata s, uint256 leafCount)
        private
        view
        returns (bool, bytes32)
    {
        bytes32[] memory proof = new bytes32[](s.length);
        if (s.length > 0) proof[0] = s.a;
        if (s.length > 1) proof[1] = s.b;
        if (s.length > 2) proof[2] = s.c;
        try this.root(leaves, digests, proof, leafCount) returns (bytes32 found) {
            return (true, found);
        } catch {
            return (false, 0);
        }
    }
}
