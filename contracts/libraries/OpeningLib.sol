// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {LibClone} from "solady/utils/LibClone.sol";
import {IComputeAgreement, VerifierOpening, WorkerOpening} from "../interfaces/IComputeAgreement.sol";
import {ComputeState, Dissent, StoredSlot} from "../types/ComputeState.sol";
import {ComputeTerms, ComputeTermsLib} from "../types/ComputeTerms.sol";
import {DrawLib} from "./DrawLib.sol";
import {MerkleLib} from "./MerkleLib.sol";
import {SealLib} from "./SealLib.sol";

/// @title OpeningLib
/// @notice Checks the openings of seals: the worker's against its announcement and the Merkle root, a verifier's against its
/// seal and the worker's digests. Whoever carries an opening, its content decides.
/// @dev Deployed apart and linked, so that the agreement stays below the size limit; runs in the agreement's place.
library OpeningLib {
    /// @notice The worker opens: root and salt fit the seal, and the given digests of all sampled leaves fit the root.
    function reveal(ComputeState storage c, WorkerOpening calldata o, uint8 attempt, address worker)
        external
    {
        bytes32 seal = SealLib.workerSeal(o.root, o.salt, o.ciphertextRoot, address(this), attempt, worker);
        bytes32 found = SealLib.announcement(seal, o.ciphertextRoot, o.resultBlob);
        require(found == c.commitment, IComputeAgreement.SealMismatch(found, c.commitment));
        ComputeTerms memory t = _terms();
        _checkCount(o.leaves.length, uint256(t.verifiers) * t.samples);
        bytes32 root = MerkleLib.multiproofRoot(o.leaves, o.digests, o.proof, t.leafCount);
        require(root == o.root, IComputeAgreement.ProofInvalid(root, o.root));
        uint256 count = c.slotCount;
        for (uint256 i = 0; i < count; ++i) {
            uint32[] memory samples =
                DrawLib.sampledLeaves(c.drawSeed, c.slots[i].verifier, t.leafCount, t.samples);
            for (uint256 j = 0; j < samples.length; ++j) {
                _indexOf(o.leaves, samples[j]);
            }
        }
        c.commitment = SealLib.revealed(o.root, o.leaves, o.digests);
        emit IComputeAgreement.Revealed(
            worker, o.root, o.salt, o.ciphertextRoot, o.resultBlob, o.leaves, o.digests
        );
    }

    /// @notice The leaves and digests brought along are those of the worker's reveal.
    function checkRevealed(
        ComputeState storage c,
        bytes32 root,
        uint32[] calldata leaves,
        bytes32[] calldata digests
    ) external view {
        bytes32 found = SealLib.revealed(root, leaves, digests);
        require(found == c.commitment, IComputeAgreement.SealMismatch(found, c.commitment));
    }

    /// @notice A verifier opens: its digests fit its seal; where they differ from the worker's it dissents.
    function open(
        ComputeState storage c,
        uint256 index,
        VerifierOpening calldata o,
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        uint8 attempt
    ) external {
        StoredSlot storage slot = c.slots[index];
        require(!slot.opened, IComputeAgreement.AlreadyOpenedSlot(o.verifier));
        (bytes32[] memory mine, uint32 dissent) = _compare(c.drawSeed, o, leaves, digests);
        bytes32 hash = keccak256(abi.encodePacked(mine));
        bytes32 found = SealLib.verifierSeal(hash, o.salt, address(this), attempt, o.verifier);
        require(found == slot.seal, IComputeAgreement.SealMismatch(found, slot.seal));

        slot.opened = true;
        if (dissent != 0) {
            slot.dissents = true;
            c.dissents[o.verifier] = Dissent(dissent, mine);
        }
        emit IComputeAgreement.Opened(o.verifier, dissent, dissent == 0 ? new bytes32[](0) : mine);
    }

    /// @return mine The verifier's digests of its sampled leaves.
    /// @return dissent Bit j: mine[j] is not the worker's.
    function _compare(
        bytes32 drawSeed,
        VerifierOpening calldata o,
        uint32[] calldata leaves,
        bytes32[] calldata digests
    ) private view returns (bytes32[] memory mine, uint32 dissent) {
        ComputeTerms memory t = _terms();
        uint32[] memory samples = DrawLib.sampledLeaves(drawSeed, o.verifier, t.leafCount, t.samples);
        uint256 given = o.digests.length;
        require(
            given == 0 || given == samples.length, IComputeAgreement.LengthMismatch(given, samples.length)
        );
        mine = new bytes32[](samples.length);
        for (uint256 j = 0; j < samples.length; ++j) {
            bytes32 theirs = digests[_indexOf(leaves, samples[j])];
            mine[j] = given == 0 ? theirs : o.digests[j];
            if (mine[j] == theirs) continue;
            // Zero stands for the worker's digest in the count; no app has it.
            require(mine[j] != 0, IComputeAgreement.ZeroDigest(samples[j]));
            dissent |= uint32(1) << uint32(j);
        }
    }

    /// @dev Every verifier's opening has to carry all that the worker brings: never more than the samples.
    function _checkCount(uint256 given, uint256 most) private pure {
        require(given <= most, IComputeAgreement.LengthMismatch(given, most));
    }

    function _terms() private view returns (ComputeTerms memory) {
        return ComputeTermsLib.unpackBound(LibClone.argsOnClone(address(this))).terms;
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
