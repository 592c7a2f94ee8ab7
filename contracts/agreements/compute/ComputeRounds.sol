// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../interfaces/IComputeAgreement.sol";
import {Party, Verdict} from "../../interfaces/IWorkerDispatcher.sol";
import {CredibilityLib} from "../../libraries/CredibilityLib.sol";
import {SettleInput, SettleOutput, SettlementLib, Vote} from "../../libraries/SettlementLib.sol";
import {Ballot, LeafOutcome, Tally, VoteLib} from "../../libraries/VoteLib.sol";
import {Draw, PastRound, RoundKind, StoredSlot} from "../../types/ComputeState.sol";
import {ComputeTerms} from "../../types/ComputeTerms.sol";
import {Ending, Status} from "../../types/Status.sol";
import {ComputeSteps} from "./ComputeSteps.sol";

/// @title ComputeRounds
/// @notice What happens once the result is open: counting, further rounds of voting, settlement.
abstract contract ComputeRounds is ComputeSteps {
    /// @dev Rounds that dissent alone can cause.
    uint256 internal constant MAX_LEAF_ROUNDS = 2;

    /// @notice See IComputeAgreement.
    function decide() external {
        _requireStatus(Status.Opening);
        uint256 drawn = _s.slotCount - _c.draw.firstSlot;
        require(_c.draw.opened == drawn, IComputeAgreement.NotAllOpened(_c.draw.opened, drawn));
        Draw memory d = _c.draw;
        require(_canDecide(), IComputeAgreement.SeedNotRecorded(uint48(d.unitsOrLot)));
        _decide();
    }

    // ------------------------------------------------------------------------------------------------ decision

    /// @dev The openings of a round are in, or their time is over.
    function _decide() internal {
        ComputeTerms memory t = _terms();
        Draw memory d = _c.draw;
        Tally memory tally = _count(t);
        if (tally.open.length != 0 && d.leafRounds < MAX_LEAF_ROUNDS) {
            return _openRound(RoundKind.Leaves, uint256(t.verifiers) + 1, tally.open);
        }
        bool audited =
            d.voteRound == 0 && t.trustLevel == 1 && tally.ending == Ending.Verified && _isAudited();
        if (audited) return _openRound(RoundKind.Audit, 1, new uint32[](0));
        _conclude(t, tally);
    }

    /// @dev No more verifiers can be had: the votes that are there decide.
    function _decideFinally() internal {
        ComputeTerms memory t = _terms();
        _conclude(t, _count(t));
    }

    /// @dev A good result can still be disputed, for as long as the terms say.
    function _conclude(ComputeTerms memory t, Tally memory tally) private {
        bool good = tally.ending == Ending.Verified && t.trustLevel == 1;
        if (good && t.disputeSecs != 0 && _s.flags & FLAG_DISPUTED == 0) {
            return _setStatus(Status.Disputable, block.timestamp + t.disputeSecs);
        }
        _settle(t, tally);
    }

    /// @dev Nobody disputed.
    function _settleUndisputed() internal {
        ComputeTerms memory t = _terms();
        _settle(t, _count(t));
    }

    // ------------------------------------------------------------------------------------------------ counting

    /// @dev Unanimity needs no count; only dissent pays for one.
    function _count(ComputeTerms memory t) private view returns (Tally memory tally) {
        uint256 count = _s.slotCount;
        tally.votes = new Vote[](count);
        tally.ending = Ending.Verified;
        uint8 all = 0;
        for (uint256 i = 0; i < count; ++i) {
            uint8 flags = _c.slots[i].flags;
            all |= flags;
            if (flags & SLOT_OPENED == 0) tally.votes[i] = Vote.Silent;
        }
        if (all & SLOT_DISSENTS != 0) tally = VoteLib.decide(_ballots(t), _oddsOf(_s.worker), t.trust);
        if (all & SLOT_UNPROVEN == 0) return tally;
        // A worker that does not prove its digests when a verifier asks for them has none.
        (tally.ending, tally.doubted, tally.open) = (Ending.Refuted, false, new uint32[](0));
    }

    function _ballots(ComputeTerms memory t) private view returns (Ballot[] memory ballots) {
        ballots = new Ballot[](_s.slotCount);
        for (uint256 i = 0; i < ballots.length; ++i) {
            StoredSlot memory slot = _c.slots[i];
            bool opened = slot.flags & SLOT_OPENED != 0;
            ballots[i].opened = opened;
            // An unproven opening is compared with nothing.
            if (!opened || slot.flags & SLOT_UNPROVEN != 0) continue;
            ballots[i].odds = _oddsOf(slot.verifier);
            ballots[i].leaves = _leavesOf(slot, t);
            if (slot.flags & SLOT_DISSENTS == 0) continue;
            ballots[i].dissent = _c.dissents[slot.verifier].mask;
            ballots[i].digests = _c.dissents[slot.verifier].digests;
        }
    }

    function _oddsOf(address worker) private view returns (uint256) {
        return CredibilityLib.odds(dispatcher.workerInfo(worker).score);
    }

    // ------------------------------------------------------------------------------------------------ settlement

    /// @dev Pays by what was opened; who sealed and did not open counts as having lost.
    function _settle(ComputeTerms memory t, Tally memory tally) private {
        SettleInput memory input = _settleInput(t, tally);
        LeafOutcome[] memory outcomes = _judgeDisputes(t, tally, input);
        SettleOutput memory out = SettlementLib.settle(input);
        bool scored = _isScored(t) && tally.ending != Ending.Undecided;

        uint256 count = tally.votes.length;
        Party[] memory parties = new Party[](count + 1 + outcomes.length);
        parties[0] = Party({
            worker: _s.worker,
            pay: uint96(out.workerPay),
            slash: uint96(out.workerSlash),
            locked: uint96(input.workerLock),
            verdict: _verdict(tally.ending == Ending.Refuted, scored),
            byDevice: _s.flags & FLAG_WORKER_DEVICE != 0
        });
        for (uint256 i = 0; i < count; ++i) {
            parties[i + 1] = Party({
                worker: _c.slots[i].verifier,
                pay: uint96(out.verifierPay[i]),
                slash: uint96(out.verifierSlash[i]),
                locked: uint96(input.verifierLock),
                verdict: _verdict(tally.votes[i] != Vote.Honest, scored),
                byDevice: _c.slots[i].flags & SLOT_DEVICE != 0
            });
        }
        for (uint256 i = 0; i < outcomes.length; ++i) {
            // Lost bonds stay in the escrow, where the settlement has distributed them.
            Party memory p = parties[count + 1 + i];
            p.worker = _c.disputes[i].by;
            if (outcomes[i] == LeafOutcome.Falls) p.pay = uint96(out.disputerPay);
            else if (outcomes[i] != LeafOutcome.Stands) p.pay = uint96(input.bond);
        }
        _finish(Status.Settled, tally.ending, parties, uint96(out.burned));
    }

    function _verdict(bool lost, bool scored) private pure returns (Verdict) {
        if (lost) return Verdict.Lost;
        return scored ? Verdict.Kept : Verdict.Neutral;
    }

    function _settleInput(ComputeTerms memory t, Tally memory tally)
        private
        view
        returns (SettleInput memory input)
    {
        uint96 reward = _reward(t);
        (input.ending, input.doubted, input.votes) = (tally.ending, tally.doubted, tally.votes);
        (input.reward, input.verifierFee) = (reward, t.verifierFee);
        (input.workerLock, input.verifierLock) = (_workerLock(t, reward), _verifierLock(t));
        while (
            input.reserved < tally.votes.length
                && _c.rounds[_c.slots[input.reserved].voteRound].kind != RoundKind.Leaves
        ) ++input.reserved;
        (input.escrow,) = dispatcher.escrowOf(address(this));
        if (_c.disputeCount == 0) return input;
        input.bond = _disputeBond(t);
        input.escrow -= input.bond * _c.disputeCount;
    }

    /// @return outcomes Of each dispute.
    function _judgeDisputes(ComputeTerms memory t, Tally memory tally, SettleInput memory input)
        private
        view
        returns (LeafOutcome[] memory outcomes)
    {
        outcomes = new LeafOutcome[](_c.disputeCount);
        if (outcomes.length == 0) return outcomes;
        Ballot[] memory ballots = _ballots(t);
        uint256 workerOdds = _oddsOf(_s.worker);
        for (uint256 i = 0; i < outcomes.length; ++i) {
            LeafOutcome outcome = VoteLib.outcomeOf(ballots, workerOdds, t.trust, _c.disputes[i].leaf);
            // Where another leaf brought the result down this one does not matter any more: the bond goes back.
            if (outcome == LeafOutcome.Stands && tally.ending == Ending.Refuted) {
                outcome = LeafOutcome.Undecided;
            }
            if (outcome == LeafOutcome.Falls) ++input.disputesWon;
            if (outcome == LeafOutcome.Stands) ++input.disputesLost;
            outcomes[i] = outcome;
        }
    }
}
