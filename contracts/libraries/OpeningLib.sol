// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement, VerifierOpening, WorkerOpening} from "../interfaces/IComputeAgreement.sol";
import {ComputeTerms} from "../types/ComputeTerms.sol";
import {MerkleLib} from "./MerkleLib.sol";
import {SealLib} from "./SealLib.sol";

/// @title OpeningLib
/// @notice Checks the openings of seals: the worker's against its announcement and the Merkle root, a verifier's against its
/// seal and the worker's digests. Whoever carries an opening, its content decides. Called in the agreement's place.
library OpeningLib {
    /// @notice The worker opens: root and salt fit the seal, and the given digests of the leaves fit the root.
    /// @param commitment `SealLib.announcement` of its seal.
    function checkWorker(
        WorkerOpening calldata o,
        bytes32 commitment,
        ComputeTerms memory t,
        uint8 attempt,
        address worker
    ) internal view {
        bytes32 seal = SealLib.workerSeal(o.root, o.salt, o.ciphertextRoot, address(this), attempt, worker);
        bytes32 found = SealLib.announcement(seal, o.ciphertextRoot, o.resultBlob);
        require(found == commitment, IComputeAgreement.SealMismatch(found, commitment));
        // Every verifier's opening has to carry all that the worker brings: never more than the samples.
        uint256 most = uint256(t.verifiers) * t.samples;
        require(o.leaves.length <= most, IComputeAgreement.LengthMismatch(o.leaves.length, most));
        bytes32 root = MerkleLib.multiproofRoot(o.leaves, o.digests, o.proof, t.leafCount);
        require(root == o.root, IComputeAgreement.ProofInvalid(root, o.root));
    }

    /// @notice The salted digests fit the verifier's seal.
    function checkVerifier(VerifierOpening calldata o, bytes32[] memory mine, bytes32 seal, uint8 attempt)
        internal
        view
    {
        bytes32 hash = keccak256(abi.encodePacked(mine));
        bytes32 found = SealLib.verifierSeal(hash, o.salt, address(this), attempt, o.verifier);
        require(found == seal, IComputeAgreement.SealMismatch(found, seal));
    }

    /// @param given The verifier's digests, or none: the same as the worker's.
    /// @param theirs The worker's digests of the same leaves.
    /// @return mine The verifier's digests.
    /// @return dissent Bit j: mine[j] is not the worker's.
    function compare(bytes32[] calldata given, uint32[] memory leaves, bytes32[] memory theirs)
        internal
        pure
        returns (bytes32[] memory mine, uint32 dissent)
    {
        if (given.length == 0) return (theirs, 0);
        require(given.length == theirs.length, IComputeAgreement.LengthMismatch(given.length, theirs.length));
        mine = given;
        for (uint256 j = 0; j < mine.length; ++j) {
            if (mine[j] == theirs[j]) continue;
            // Zero stands for the worker's digest in the count; no app has it.
            require(mine[j] != 0, IComputeAgreement.ZeroDigest(leaves[j]));
            dissent |= uint32(1) << uint32(j);
        }
    }

    /// @notice The digests of `wanted`, which must all be among the ascending `leaves`.
    function pick(uint32[] calldata leaves, bytes32[] calldata digests, uint32[] memory wanted)
        internal
        pure
        returns (bytes32[] memory picked)
    {
        picked = new bytes32[](wanted.length);
        for (uint256 j = 0; j < wanted.length; ++j) {
            picked[j] = digests[_indexOf(leaves, wanted[j])];
        }
    }

    /// @notice Refuses `leaves` that lack one of `wanted`.
    function checkContained(uint32[] calldata leaves, uint32[] memory wanted) internal pure {
        for (uint256 j = 0; j < wanted.length; ++j) {
            _indexOf(leaves, wanted[j]);
        }
    }

    /// @dev Binary search in ascending leaves.
    function _indexOf(uint32[] calldata leaves, uint32 leaf) private pure returns (uint256 low) {
        uint256 high = leaves.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (leaves[middle] < leaf) low = middle + 1;
            else high = middle;
        }
        require(low < leaves.length && leaves[low] == leaf, IComputeAgreement.LeafMissing(leaf));
    }
}
