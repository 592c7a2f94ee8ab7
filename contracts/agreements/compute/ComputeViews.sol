// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, Slot} from "../../interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../interfaces/IWorkAgreement.sol";
import {DrawLib} from "../../libraries/DrawLib.sol";
import {Draw, RoundKind, StoredSlot} from "../../types/ComputeState.sol";
import {BoundTerms, ComputeTerms} from "../../types/ComputeTerms.sol";
import {Ending, Status} from "../../types/Status.sol";
import {ComputeSteps} from "./ComputeSteps.sol";

/// @title ComputeViews
/// @notice What an agreement shows to readers off the chain.
abstract contract ComputeViews is ComputeSteps {
    /// @notice See IWorkAgreement.
    function ending() external view returns (Ending) {
        return _ending();
    }

    /// @notice See IWorkAgreement.
    function client() external view returns (address) {
        return _client();
    }

    /// @notice See IComputeAgreement.
    function boundTerms() external view returns (BoundTerms memory) {
        return _bound();
    }

    /// @notice See IComputeAgreement.
    function agreement() external view returns (AgreementView memory v) {
        Base memory s = _s;
        Draw memory d = _c.draw;
        ComputeTerms memory t = _terms();
        uint256 deadline;
        (v.status, deadline) = _now();
        v.deadline = v.status == Status.Settled || v.status == Status.Cancelled ? 0 : uint40(deadline);
        (v.ending, v.attempt, v.strikes) = (_ending(), s.attempt, d.strikes);
        (v.sealedCount, v.openedCount, v.worker) = (s.sealedCount, d.opened, s.worker);
        v.reward = _shownReward(t);
        (v.snapshotEpoch, v.classUnits) = (d.snapshotEpoch, d.unitsOrLot);
        bool full = s.status == Status.Drawing && s.slotCount - d.firstSlot == _wanted(d, t);
        if (full) v.closesAt = uint40(s.deadline - t.verifySecs);
        if (s.status == Status.Sealed) v.round = uint48(d.roundOrSeed);
        v.drawSeed = _drawSeed(d);
        (v.commitment, v.voteRound, v.kind) = (_c.commitment, d.voteRound, d.kind);
        (v.wanted, v.firstSlot) = (uint8(_wanted(d, t)), d.firstSlot);
        v.leaves = _unpackLeaves(_c.rounds[d.voteRound]);
        v.slots = new Slot[](s.slotCount);
        for (uint256 i = 0; i < v.slots.length; ++i) {
            StoredSlot memory slot = _c.slots[i];
            uint32 mask = slot.flags & SLOT_DISSENTS != 0 ? _c.dissents[slot.verifier].mask : 0;
            bool opened = slot.flags & SLOT_OPENED != 0;
            bool unproven = slot.flags & SLOT_UNPROVEN != 0;
            v.slots[i] = Slot(slot.verifier, slot.ticket, opened, slot.seal, mask, slot.voteRound, unproven);
        }
    }

    /// @notice See IComputeAgreement.
    function workerLock(uint96 reward) external view returns (uint96) {
        return _workerLock(_terms(), reward);
    }

    /// @notice See IComputeAgreement.
    function verifierLock(uint96) external view returns (uint96) {
        return _verifierLock(_terms());
    }

    /// @notice See IComputeAgreement.
    function disputeBond() external view returns (uint96) {
        return _disputeBond(_terms());
    }

    /// @notice See IComputeAgreement.
    function lockOf(address worker) external view returns (uint96 amount, address device) {
        if (_isFinal() || worker == address(0)) return (0, address(0));
        ComputeTerms memory t = _terms();
        if (worker == _s.worker) amount = _workerLock(t, _reward(t));
        for (uint256 i = 0; i < _s.slotCount; ++i) {
            if (_c.slots[i].verifier == worker) amount = _verifierLock(t);
        }
        if (amount != 0) device = dispatcher.deviceOf(address(this), worker);
    }

    /// @notice See IComputeAgreement.
    function contributionOf(address payer) external view returns (uint96) {
        return _c.contributions[payer];
    }

    /// @notice See IComputeAgreement.
    function sampledLeaves(address verifier) external view returns (uint32[] memory) {
        Draw memory d = _c.draw;
        if (_drawSeed(d) == 0) return new uint32[](0);
        if (_s.status == Status.Sealed && d.kind != RoundKind.Leaves) {
            ComputeTerms memory t = _terms();
            return DrawLib.sampledLeaves(_drawSeed(d), verifier, t.leafCount, t.samples);
        }
        StoredSlot memory slot;
        (slot.verifier, slot.voteRound) = (verifier, d.voteRound);
        return _leavesOf(slot, _terms());
    }

    /// @notice See IComputeAgreement.
    function ticketThreshold() external view returns (uint256) {
        Draw memory d = _c.draw;
        ComputeTerms memory t = _terms();
        Base memory s = _s;
        require(s.status == Status.Drawing, IWorkAgreement.WrongStatus(s.status, Status.Drawing));
        if (s.slotCount - d.firstSlot != _wanted(d, t)) {
            return DrawLib.threshold(d.unitsOrLot, _wanted(d, t) * DRAW_FACTOR, _drawStep(d, s.deadline));
        }
        // A full draw: below the highest ticket that holds a slot.
        uint256 highest = 0;
        for (uint256 i = d.firstSlot; i < s.slotCount; ++i) {
            if (_c.slots[i].ticket > highest) highest = _c.slots[i].ticket;
        }
        return highest << 176;
    }

    /// @dev Of the present round; zero before its beacon round is recorded.
    function _drawSeed(Draw memory d) private view returns (bytes32) {
        if (d.roundOrSeed == 0) return 0;
        if (_s.status != Status.Sealed) return _seedOf(d);
        return beacon.seedOf(uint48(d.roundOrSeed)) == 0 ? bytes32(0) : _newSeed(d, _s.attempt);
    }

    /// @dev The accepted price, or what the next worker would get.
    function _shownReward(ComputeTerms memory t) private view returns (uint96) {
        if (_s.status != Status.Open) return _reward(t);
        uint256 price =
            t.rewardMin + uint256(t.rewardMax - t.rewardMin) * _pricedNow(_s, _bound()) / FULL_PRICE;
        return uint96(price) + _c.extra.total;
    }
}
