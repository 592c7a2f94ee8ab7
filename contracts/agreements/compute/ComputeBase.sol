// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {LibClone} from "solady/utils/LibClone.sol";
import {WorkAgreement} from "../../WorkAgreement.sol";
import {IBeacon} from "../../interfaces/IBeacon.sol";
import {ComputeParams, IComputeAgreement} from "../../interfaces/IComputeAgreement.sol";
import {IEnergyLedger} from "../../interfaces/IEnergyLedger.sol";
import {IWorkAgreement} from "../../interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../interfaces/IWorkerDispatcher.sol";
import {DrawLib} from "../../libraries/DrawLib.sol";
import {SettlementLib} from "../../libraries/SettlementLib.sol";
import {ComputeState, Draw, StoredSlot} from "../../types/ComputeState.sol";
import {BoundTerms, ComputeTerms, ComputeTermsLib} from "../../types/ComputeTerms.sol";
import {Status} from "../../types/Status.sol";

/// @title ComputeBase
/// @notice State, parameters and the small rules that both halves of a compute agreement share.
/// @dev `ComputeAgreement` holds the steps of the honest path; what it does not know it hands to `ComputeExtension`, which
/// runs in its place (docs/decisions/0011). Both inherit this, so storage and parameters are the same.
abstract contract ComputeBase is WorkAgreement {
    using ComputeTermsLib for ComputeTerms;

    uint8 internal constant SLOT_OPENED = 1;
    uint8 internal constant SLOT_DISSENTS = 2;
    uint8 internal constant SLOT_DEVICE = 4;
    /// @dev Opened in a later round without the worker's digests, which nobody has proven yet.
    uint8 internal constant SLOT_UNPROVEN = 8;
    uint256 internal constant FULL_PRICE = type(uint16).max;

    IBeacon public immutable beacon;
    /// @notice Says who is positive, for terms that ask for it (greenOnly); zero where the deployment has none.
    IEnergyLedger public immutable energyLedger;
    uint24 internal immutable KEY_SECS;
    uint24 internal immutable SEED_SECS;
    uint24 internal immutable DRAW_STEP_SECS;
    uint8 internal immutable DRAW_STEPS;
    uint8 internal immutable DRAW_FACTOR;
    uint24 internal immutable REVEAL_SECS;
    uint24 internal immutable OPEN_SECS;
    uint8 internal immutable MAX_ATTEMPTS;
    uint8 internal immutable MAX_STRIKES;
    uint16 internal immutable ABORT_BPS;
    uint16 internal immutable VANISH_BPS;
    uint96 internal immutable SEED_TIP;
    uint16 internal immutable AUDIT_ONE_IN;
    /// @dev Of the dispatcher: the epoch is computed here instead of asked for.
    uint40 internal immutable GENESIS;
    uint32 internal immutable EPOCH_SECS;

    ComputeState internal _c;

    constructor(
        IWorkerDispatcher dispatcher_,
        IBeacon beacon_,
        IEnergyLedger energyLedger_,
        ComputeParams memory p
    ) WorkAgreement(dispatcher_) {
        (beacon, energyLedger) = (beacon_, energyLedger_);
        (KEY_SECS, SEED_SECS, REVEAL_SECS, OPEN_SECS) = (p.keySecs, p.seedSecs, p.revealSecs, p.openSecs);
        (DRAW_STEP_SECS, DRAW_STEPS, DRAW_FACTOR) = (p.drawStepSecs, p.drawSteps, p.drawFactor);
        (MAX_ATTEMPTS, MAX_STRIKES) = (p.maxAttempts, p.maxStrikes);
        (ABORT_BPS, VANISH_BPS, SEED_TIP) = (p.abortBps, p.vanishBps, p.seedTip);
        AUDIT_ONE_IN = p.auditOneIn;
        (GENESIS, EPOCH_SECS) = (dispatcher_.genesis(), dispatcher_.epochSecs());
    }

    // ------------------------------------------------------------------------------------------------ time

    /// @inheritdoc WorkAgreement
    function _now() internal view override returns (Status status, uint256 deadline) {
        Base memory s = _s;
        (status, deadline) = (s.status, s.deadline);
        if (status == Status.Open && deadline == 0) {
            BoundTerms memory b = _bound();
            deadline = uint256(b.boughtAt) + b.terms.acceptSecs;
        } else if (status == Status.Drawing) {
            Draw memory d = _c.draw;
            ComputeTerms memory t = _terms();
            if (s.slotCount - d.firstSlot == _wanted(d, t)) return _whileFull(s, d, t);
        }
    }

    /// @dev A full claim window stands until the end of its step, then the verifiers' time runs: `deadline` is written for that.
    function _whileFull(Base memory s, Draw memory d, ComputeTerms memory t)
        private
        view
        returns (Status, uint256)
    {
        uint256 closesAt = uint256(s.deadline) - t.verifySecs;
        if (block.timestamp < closesAt) return (Status.Drawing, closesAt);
        if (s.sealedCount < _wanted(d, t)) return (Status.Verifying, s.deadline);
        // All sealed as they claimed.
        if (d.voteRound == 0) return (Status.Revealing, closesAt + REVEAL_SECS);
        return (Status.Opening, closesAt + OPEN_SECS);
    }

    /// @dev Writes down what time alone has changed.
    function _closeWindow() internal {
        if (_s.status != Status.Drawing) return;
        (Status now_, uint256 deadline) = _now();
        if (now_ != Status.Drawing) _setStatus(now_, deadline);
    }

    function _drawSecs() internal view returns (uint256) {
        return uint256(DRAW_STEPS) * DRAW_STEP_SECS;
    }

    function _epochAt(uint256 time) internal view returns (uint32) {
        return uint32((time - GENESIS) / EPOCH_SECS);
    }

    // ------------------------------------------------------------------------------------------------ draw

    /// @dev Slots of the present round.
    function _wanted(Draw memory d, ComputeTerms memory t) internal pure returns (uint256) {
        return d.wanted == 0 ? t.verifiers : d.wanted;
    }

    /// @dev Of the present round of voting, while the agreement is Sealed: from the recorded beacon round.
    function _newSeed(Draw memory d, uint8 attempt) internal view returns (bytes32) {
        bytes32 seed = beacon.seedOf(uint48(d.roundOrSeed));
        require(seed != 0, IComputeAgreement.SeedNotRecorded(uint48(d.roundOrSeed)));
        return DrawLib.drawSeed(seed, address(this), attempt, d.voteRound);
    }

    /// @dev Of the present round of voting, once the claim window was opened.
    function _seedOf(Draw memory d) internal pure returns (bytes32) {
        return bytes32(bytes12(d.roundOrSeed));
    }

    /// @dev Opens the claim window. Changes `d` as it changes storage.
    /// @return deadline When the window is given up.
    function _startDraw(Draw memory d, ComputeTerms memory t, bytes32 seed)
        internal
        returns (uint256 deadline)
    {
        d.unitsOrLot = _unitsAt(t.classId, d.snapshotEpoch);
        d.roundOrSeed = uint96(bytes12(seed));
        _c.draw = d;
        emit IComputeAgreement.DrawOpened(_s.attempt, d.voteRound, seed, d.snapshotEpoch, d.unitsOrLot);
        deadline = block.timestamp + _drawSecs();
        _setStatus(Status.Drawing, deadline);
    }

    function _unitsAt(uint16 classId, uint32 epoch) internal view returns (uint40) {
        (uint256 units,) = dispatcher.classAt(classId, epoch);
        return units > type(uint40).max ? type(uint40).max : uint40(units);
    }

    /// @dev Of a window that is not full. A later window goes on widening where the first one stood: who remains has the higher
    /// tickets.
    function _drawStep(Draw memory d, uint256 deadline) internal view returns (uint256) {
        uint256 step = (block.timestamp + _drawSecs() - deadline) / DRAW_STEP_SECS;
        return d.strikes == 0 ? step : step + DRAW_STEPS;
    }

    // ------------------------------------------------------------------------------------------------ money

    /// @dev What the worker gets: the price at acceptance, rounded down, and what others added.
    function _reward(ComputeTerms memory t) internal view returns (uint96) {
        return _rewardOf(t, _s);
    }

    function _rewardOf(ComputeTerms memory t, Base memory s) internal view returns (uint96) {
        if (t.rewardMax == t.rewardMin && s.flags & FLAG_EXTRA == 0) return t.rewardMin;
        uint256 price = t.rewardMin + uint256(t.rewardMax - t.rewardMin) * s.priced / FULL_PRICE;
        return s.flags & FLAG_EXTRA == 0 ? uint96(price) : uint96(price) + _c.extra.total;
    }

    function _workerLock(ComputeTerms memory t, uint256 reward) internal pure returns (uint96) {
        return uint96(SettlementLib.workerLock(reward, t.verifierFee, t.samples, t.verifiers));
    }

    /// @dev Of the highest price, which the class was checked for: additions to the reward must not price verifiers out.
    function _verifierLock(ComputeTerms memory t) internal pure returns (uint96) {
        return uint96(SettlementLib.verifierLock(t.rewardMax, t.verifierFee, t.verifiers));
    }

    // ------------------------------------------------------------------------------------------------ parties

    function _bound() internal view returns (BoundTerms memory) {
        return ComputeTermsLib.unpackBound(LibClone.argsOnClone(address(this)));
    }

    function _terms() internal view returns (ComputeTerms memory) {
        return _bound().terms;
    }

    /// @dev What the terms ask of a worker or verifier. The session key of confidential work cannot be sealed to who published no
    /// key: it would only hold the work up. Green work is for who makes more energy than it uses, at this moment.
    function _requireAble(ComputeTerms memory t, address party) internal view {
        require(
            !t.isConfidential() || dispatcher.encryptionKeyOf(party) != 0,
            IComputeAgreement.NoEncryptionKey(party)
        );
        require(
            t.flags & ComputeTermsLib.FLAG_GREEN == 0 || energyLedger.isPositive(party),
            IComputeAgreement.NotPositive(party)
        );
    }

    function _requireWorker() internal view {
        require(_actsFor(_s.worker), IComputeAgreement.NotTheWorker(msg.sender, _s.worker));
    }

    /// @dev The owner account, or the device that locked the stake: another device of the same worker could lose more here
    /// than its own limit.
    function _actsFor(address worker) internal view returns (bool) {
        return msg.sender == worker
            || (worker != address(0) && msg.sender == dispatcher.deviceOf(address(this), worker));
    }

    /// @dev Of the present round of voting; the first needs no look at the draw.
    function _firstSlot() internal view returns (uint256) {
        return _s.flags & FLAG_LATER == 0 ? 0 : _c.draw.firstSlot;
    }

    /// @dev The slot of the present round that the caller acts for. Verifiers mostly seal in the order of their slots, so the
    /// search begins behind those that have sealed: each slot that it passes costs 2,100 gas.
    function _requireVerifier() internal view returns (uint256 index, StoredSlot memory slot) {
        uint256 first = _firstSlot();
        uint256 count = _s.slotCount - first;
        for (uint256 i = 0; i < count; ++i) {
            index = first + (_s.sealedCount + i) % count;
            if (_c.slots[index].verifier == msg.sender) return (index, _c.slots[index]);
        }
        address verifier = dispatcher.workerOf(msg.sender);
        (index, slot) = _slotOf(verifier);
        require(_actsFor(verifier), IComputeAgreement.NotAVerifier(msg.sender));
    }

    /// @dev The slot of `verifier` in the present round.
    function _slotOf(address verifier) internal view returns (uint256 index, StoredSlot memory slot) {
        uint256 count = _s.slotCount;
        for (index = _firstSlot(); index < count; ++index) {
            if (_c.slots[index].verifier == verifier && verifier != address(0)) {
                return (index, _c.slots[index]);
            }
        }
        revert IComputeAgreement.NotAVerifier(verifier);
    }

    /// @dev Does a step whose code is in another contract, in this one's place.
    function _run(address to, bytes memory call) internal {
        (bool ok, bytes memory answer) = to.delegatecall(call);
        if (ok) return;
        assembly ("memory-safe") {
            revert(add(answer, 32), mload(answer))
        }
    }

    /// @dev Answers the present call with another contract's code, run in this one's place.
    function _delegate(address to) internal {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let ok := delegatecall(gas(), to, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            switch ok
            case 0 { revert(free, returndatasize()) }
            default { return(free, returndatasize()) }
        }
    }
}
