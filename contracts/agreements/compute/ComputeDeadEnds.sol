// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../interfaces/IComputeAgreement.sol";
import {Party, Verdict} from "../../interfaces/IWorkerDispatcher.sol";
import {SettlementLib} from "../../libraries/SettlementLib.sol";
import {Draw, RoundKind, StoredSlot} from "../../types/ComputeState.sol";
import {ComputeTerms, ComputeTermsLib} from "../../types/ComputeTerms.sol";
import {Ending, Status} from "../../types/Status.sol";
import {ComputeRounds} from "./ComputeRounds.sol";

/// @title ComputeDeadEnds
/// @notice Rule R0: what becomes of an agreement in which somebody does not do the next step.
/// @dev Before the worker's reveal nothing was readable, so the payers get all back and every lock is freed that broke no
/// promise. After it the votes that are there decide: nobody gains by keeping others from voting.
abstract contract ComputeDeadEnds is ComputeRounds {
    using ComputeTermsLib for ComputeTerms;

    /// @dev The present status is past its deadline.
    function _expire() internal {
        _closeWindow();
        Status now_ = _s.status;
        bool open = _c.draw.voteRound != 0;
        if (now_ == Status.Open) _cancel(Ending.NoWorker);
        else if (now_ == Status.Keying) _cancel(Ending.NoKey);
        else if (now_ == Status.Working) _workerLeaves(VANISH_BPS, Verdict.Lost, Ending.WorkerVanished);
        else if (now_ == Status.Sealed) open ? _decideFinally() : _cancel(Ending.NoBeacon);
        else if (now_ == Status.Drawing) open ? _goOnWithFewer() : _cancel(Ending.TooFewVerifiers);
        else if (now_ == Status.Verifying) _dropVanished();
        else if (now_ == Status.Revealing) _cancel(Ending.WorkerSilent);
        else if (now_ == Status.Opening) _decide();
        else _endDisputes();
    }

    /// @dev The window for disputes is over: verifiers look at the leaves that were disputed, if any.
    function _endDisputes() internal {
        uint256 count = _c.disputeCount;
        if (count == 0) return _settleUndisputed();
        uint32[] memory leaves = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint32 leaf = _c.disputes[i].leaf;
            uint256 spot = i;
            for (; spot != 0 && leaves[spot - 1] > leaf; --spot) {
                leaves[spot] = leaves[spot - 1];
            }
            leaves[spot] = leaf;
        }
        _openRound(RoundKind.Leaves, uint256(_terms().verifiers) + 1, leaves);
    }

    /// @dev A later round takes whom it got; with nobody the votes so far decide.
    function _goOnWithFewer() private {
        uint8 count = _s.slotCount - _c.draw.firstSlot;
        if (count == 0) return _decideFinally();
        _c.draw.wanted = count;
        if (_s.sealedCount == count) _setStatus(Status.Opening, block.timestamp + OPEN_SECS);
        else _setStatus(Status.Verifying, block.timestamp + _terms().verifySecs);
    }

    /// @dev Ends without a result; a worker that does not open its seal pays.
    function _cancel(Ending how) internal {
        Base memory s = _s;
        if (s.worker == address(0)) return _finish(Status.Cancelled, how, new Party[](0), 0);
        ComputeTerms memory t = _terms();
        uint96 reward = _reward(t);
        Party[] memory parties = new Party[](uint256(s.slotCount) + 1);
        parties[0].worker = s.worker;
        parties[0].locked = _workerLock(t, reward);
        parties[0].byDevice = s.flags & FLAG_WORKER_DEVICE != 0;
        uint256 burned = 0;
        uint256 verifierPay = 0;
        if (how == Ending.WorkerSilent) {
            uint256 toInjured;
            (toInjured,, burned) =
                SettlementLib.split(parties[0].locked, uint256(t.verifierFee) * s.slotCount);
            verifierPay = toInjured / s.slotCount;
            // What does not divide is burned as well.
            burned += toInjured - verifierPay * s.slotCount;
            parties[0].slash = parties[0].locked;
            parties[0].verdict = Verdict.Lost;
        }
        uint96 locked = _verifierLock(t);
        for (uint256 i = 0; i < s.slotCount; ++i) {
            parties[i + 1] = Party({
                worker: _c.slots[i].verifier,
                pay: uint96(verifierPay),
                slash: 0,
                locked: locked,
                verdict: Verdict.Neutral,
                byDevice: _c.slots[i].flags & SLOT_DEVICE != 0
            });
        }
        _finish(Status.Cancelled, how, parties, uint96(burned));
    }

    /// @dev The worker is gone before its seal: it pays, and the work is offered again at the price it had.
    function _workerLeaves(uint16 bps, Verdict verdict, Ending last) internal {
        address worker = _s.worker;
        ComputeTerms memory t = _terms();
        uint96 locked = _workerLock(t, _reward(t));
        uint96 slash = uint96(SettlementLib.penalty(locked, bps));
        _c.left[worker] = true;
        emit IComputeAgreement.WorkerLeft(worker, _s.attempt, slash);
        _s.worker = address(0);
        // Who aborts confidential work may have been given a useless key, which nobody can prove: the client gains nothing.
        bool burnAll = last == Ending.Aborted && t.isConfidential();
        _penalise(Party(worker, 0, slash, locked, verdict, _s.flags & FLAG_WORKER_DEVICE != 0), burnAll);
        if (_s.attempt + 1 >= MAX_ATTEMPTS) {
            _cancel(last);
        } else {
            ++_s.attempt;
            _setStatus(Status.Open, block.timestamp + t.acceptSecs);
        }
    }

    /// @dev Verifiers that claimed and did not seal pay and are drawn anew.
    function _dropVanished() private {
        ComputeTerms memory t = _terms();
        uint96 slash = uint96(SettlementLib.penalty(_verifierLock(t), VANISH_BPS));
        uint256 first = _c.draw.firstSlot;
        for (uint256 i = _s.slotCount; i != first; --i) {
            if (_c.slots[i - 1].seal == 0) _verifierLeaves(t, i - 1, slash, 0);
        }
        _drawAgain();
    }

    function _verifierLeaves(ComputeTerms memory t, uint256 i, uint96 slash, uint16 reason) internal {
        StoredSlot memory slot = _c.slots[i];
        uint8 last = _s.slotCount - 1;
        if (i != last) _c.slots[i] = _c.slots[last];
        delete _c.slots[last];
        _s.slotCount = last;
        _c.left[slot.verifier] = true;
        ++_c.draw.strikes;
        emit IComputeAgreement.VerifierLeft(slot.verifier, reason, slash);
        Verdict verdict = slash == 0 ? Verdict.Neutral : Verdict.Lost;
        bool byDevice = slot.flags & SLOT_DEVICE != 0;
        _penalise(Party(slot.verifier, 0, slash, _verifierLock(t), verdict, byDevice), false);
    }

    /// @dev Another window for the free slots, or the end of it.
    function _drawAgain() internal {
        Draw memory d = _c.draw;
        if (d.strikes < MAX_STRIKES) _reopenDraw(d);
        else if (d.voteRound == 0) _cancel(Ending.VerifiersGone);
        else _goOnWithFewer();
    }

    function _reopenDraw(Draw memory d) private {
        // A lot may stand where the units stood.
        _c.draw.unitsOrLot = _unitsAt(_terms().classId, d.snapshotEpoch);
        _setStatus(Status.Drawing, block.timestamp + _drawSecs());
    }

    /// @dev Frees a lock; of a slash one half is burned (rounded up), the other stays in the escrow for the payers, unless all
    /// of it is to be burned.
    function _penalise(Party memory party, bool burnAll) private {
        dispatcher.release(party);
        uint256 burned = party.slash;
        if (!burnAll) (,, burned) = SettlementLib.split(party.slash, 0);
        if (burned != 0) dispatcher.burn(uint96(burned));
    }
}
