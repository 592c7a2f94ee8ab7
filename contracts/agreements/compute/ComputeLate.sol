// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement, RevealedRoot, VerifierOpening} from "../../interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../interfaces/IWorkAgreement.sol";
import {MerkleLib} from "../../libraries/MerkleLib.sol";
import {OpeningLib} from "../../libraries/OpeningLib.sol";
import {StoredSlot} from "../../types/ComputeState.sol";
import {Status} from "../../types/Status.sol";
import {ComputeEndings} from "./ComputeEndings.sol";
import {ComputeSteps} from "./ComputeSteps.sol";

/// @title ComputeLate
/// @notice Openings of later rounds, when the result is open.
/// @dev A verifier's digests are compared with the worker's, which have to be proven against the revealed root. Who has that
/// proof brings it along (`openLate`). Who has none - the worker's blob may not lead to its root - opens without
/// (`openUnproven`), and then the proof is the worker's to bring (`answer`) or it loses: no worker is safe by hiding what it
/// revealed a root of.
contract ComputeLate is ComputeSteps {
    /// @notice Where calls go that this contract does not know.
    ComputeEndings public immutable endings;

    /// @dev Takes the parameters from the endings, so that all parts have the same.
    constructor(ComputeEndings endings_)
        ComputeSteps(endings_.dispatcher(), endings_.beacon(), endings_.energyLedger(), endings_.params())
    {
        endings = endings_;
    }

    /// @notice See IComputeAgreement.
    function openLate(
        VerifierOpening calldata opening,
        RevealedRoot calldata revealed,
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof
    ) external {
        _requireLater();
        (, StoredSlot memory slot) = _slotOf(opening.verifier);
        uint32[] memory wanted = _requireProven(slot, revealed, leaves, digests, proof);
        _recordOpening(opening, wanted, digests);
        _decideIfAll();
    }

    /// @notice See IComputeAgreement.
    function openUnproven(VerifierOpening calldata opening) external {
        _requireLater();
        uint256 until = uint256(_s.deadline) - OPEN_SECS / 2;
        require(block.timestamp <= until, IWorkAgreement.TooLate(block.timestamp, until));
        (uint256 index, StoredSlot memory slot) = _slotOf(opening.verifier);
        require(slot.flags & SLOT_OPENED == 0, IComputeAgreement.AlreadyOpenedSlot(opening.verifier));
        uint32[] memory leaves = _leavesOf(slot, _terms());
        bytes32[] memory mine = opening.digests;
        require(mine.length == leaves.length, IComputeAgreement.LengthMismatch(mine.length, leaves.length));
        for (uint256 j = 0; j < mine.length; ++j) {
            require(mine[j] != 0, IComputeAgreement.ZeroDigest(leaves[j]));
        }
        OpeningLib.checkVerifier(opening, mine, slot.seal, _s.attempt);
        _c.dissents[opening.verifier].digests = mine;
        _c.slots[index].flags = slot.flags | SLOT_OPENED | SLOT_UNPROVEN;
        emit IComputeAgreement.OpenedUnproven(opening.verifier, mine);
    }

    /// @notice See IComputeAgreement.
    function answer(
        address verifier,
        RevealedRoot calldata revealed,
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof
    ) external {
        _requireLater();
        (uint256 index, StoredSlot memory slot) = _slotOf(verifier);
        require(slot.flags & SLOT_UNPROVEN != 0, IComputeAgreement.NothingToAnswer(verifier));
        _requireProven(slot, revealed, leaves, digests, proof);

        bytes32[] memory mine = _c.dissents[verifier].digests;
        uint32 dissent = 0;
        for (uint256 j = 0; j < mine.length; ++j) {
            if (mine[j] != digests[j]) dissent |= uint32(1) << uint32(j);
        }
        uint8 flags = slot.flags & ~SLOT_UNPROVEN;
        if (dissent != 0) {
            flags |= SLOT_DISSENTS;
            _c.dissents[verifier].mask = dissent;
        } else {
            delete _c.dissents[verifier];
            mine = new bytes32[](0);
        }
        _c.slots[index].flags = flags;
        ++_c.draw.opened;
        emit IComputeAgreement.Opened(verifier, dissent, mine);
        _decideIfAll();
    }

    function _requireLater() private {
        _closeWindow();
        _requireStatus(Status.Opening);
        require(_c.draw.voteRound != 0, IComputeAgreement.WrongRound(0, 1));
    }

    /// @return wanted The leaves of the slot: the worker's digests of them lead to the root that it revealed.
    function _requireProven(
        StoredSlot memory slot,
        RevealedRoot calldata revealed,
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof
    ) private view returns (uint32[] memory wanted) {
        _requireRevealed(revealed);
        wanted = _leavesOf(slot, _terms());
        require(
            leaves.length == wanted.length, IComputeAgreement.LengthMismatch(leaves.length, wanted.length)
        );
        for (uint256 i = 0; i < wanted.length; ++i) {
            require(leaves[i] == wanted[i], IComputeAgreement.LeafMissing(wanted[i]));
        }
        bytes32 root = MerkleLib.multiproofRoot(leaves, digests, proof, _terms().leafCount);
        require(root == revealed.root, IComputeAgreement.ProofInvalid(root, revealed.root));
    }

    function _decideIfAll() private {
        if (_canDecide()) _run(address(endings), abi.encodeCall(IComputeAgreement.decide, ()));
    }

    fallback() external {
        _delegate(address(endings));
    }
}
