// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IWorkerDispatcher} from "../interfaces/IWorkerDispatcher.sol";
import {ComputeState, StoredSlot} from "../types/ComputeState.sol";
import {ComputeTerms} from "../types/ComputeTerms.sol";
import {Ending} from "../types/Status.sol";
import {CredibilityLib} from "./CredibilityLib.sol";
import {DrawLib} from "./DrawLib.sol";
import {Vote} from "./SettlementLib.sol";

/// @notice One verifier's opened vote.
struct Ballot {
    bool opened;
    /// Integer odds of the voter.
    uint256 odds;
    /// Its sampled leaves, ascending.
    uint32[] leaves;
    /// Bit i: its digest of leaves[i] is not the worker's.
    uint32 dissent;
    /// Its digests, where dissent is not zero (else empty).
    bytes32[] digests;
}

/// @dev What one verifier says of one leaf.
struct Choice {
    bool voted;
    /// Zero where it agrees with the worker.
    bytes32 digest;
}

/// @title VoteLib
/// @notice Who is right on a disputed leaf: the digest with more than half of the odds of all who voted on it.
/// @dev Deployed apart and linked: only dissent pays for the call, and the agreement stays below the size limit.
/// Bounded by V verifiers and k leaves each, V k <= 128: the worst case stays below half of a
/// transaction's gas (test/attack-findings/GasFindings.t.sol), which needs each leaf to be decided only once.
library VoteLib {
    /// @notice Collects the ballots of an agreement and decides.
    function count(
        ComputeState storage c,
        ComputeTerms memory t,
        IWorkerDispatcher dispatcher,
        address worker
    ) external view returns (Ending ending, Vote[] memory votes) {
        Ballot[] memory ballots = new Ballot[](c.slotCount);
        for (uint256 i = 0; i < ballots.length; ++i) {
            StoredSlot memory slot = c.slots[i];
            ballots[i] = Ballot({
                opened: slot.opened,
                odds: CredibilityLib.odds(dispatcher.workerInfo(slot.verifier).score),
                leaves: DrawLib.sampledLeaves(c.drawSeed, slot.verifier, t.leafCount, t.samples),
                dissent: c.dissents[slot.verifier].mask,
                digests: c.dissents[slot.verifier].digests
            });
        }
        return decide(ballots, CredibilityLib.odds(dispatcher.workerInfo(worker).score));
    }

    /// @param workerOdds The worker votes on every leaf, with its own digest.
    /// @return ending Verified, Refuted or Undecided.
    /// @return votes One per ballot.
    function decide(Ballot[] memory ballots, uint256 workerOdds)
        internal
        pure
        returns (Ending ending, Vote[] memory votes)
    {
        uint256 n = ballots.length;
        votes = new Vote[](n);
        ending = Ending.Verified;
        for (uint256 i = 0; i < n; ++i) {
            if (!ballots[i].opened) votes[i] = Vote.Silent;
        }
        Choice[] memory choices = new Choice[](n);
        for (uint256 i = 0; i < n; ++i) {
            if (!ballots[i].opened || ballots[i].dissent == 0) continue;
            for (uint256 j = 0; j < ballots[i].leaves.length; ++j) {
                if ((ballots[i].dissent >> j) & 1 == 0) continue;
                if (_collect(ballots, choices, ballots[i].leaves[j]) != i) continue;
                Ending leafEnding = _decideLeaf(ballots, choices, votes, workerOdds);
                if (leafEnding == Ending.Refuted) {
                    ending = Ending.Refuted;
                } else if (leafEnding == Ending.Undecided && ending == Ending.Verified) {
                    ending = Ending.Undecided;
                }
            }
        }
    }

    /// @dev Looks every voter's choice on `leaf` up once: the counting below only compares.
    /// @return first The first ballot that dissents on it, so that a leaf is decided once and not once per dissenter.
    function _collect(Ballot[] memory ballots, Choice[] memory choices, uint32 leaf)
        private
        pure
        returns (uint256 first)
    {
        first = type(uint256).max;
        for (uint256 i = 0; i < ballots.length; ++i) {
            (choices[i].voted, choices[i].digest) = _voteOn(ballots[i], leaf);
            if (choices[i].digest != 0 && first == type(uint256).max) first = i;
        }
    }

    /// @dev Digest zero stands for the worker's own. Marks the losers in `votes`.
    function _decideLeaf(
        Ballot[] memory ballots,
        Choice[] memory choices,
        Vote[] memory votes,
        uint256 workerOdds
    ) private pure returns (Ending) {
        uint256 total = workerOdds;
        for (uint256 i = 0; i < ballots.length; ++i) {
            if (choices[i].voted) total += ballots[i].odds;
        }
        if (2 * (_oddsFor(ballots, choices, 0) + workerOdds) > total) {
            _markLosers(choices, votes, 0);
            return Ending.Verified;
        }
        for (uint256 i = 0; i < ballots.length; ++i) {
            bytes32 digest = choices[i].digest;
            if (digest != 0 && 2 * _oddsFor(ballots, choices, digest) > total) {
                _markLosers(choices, votes, digest);
                return Ending.Refuted;
            }
        }
        return Ending.Undecided;
    }

    function _oddsFor(Ballot[] memory ballots, Choice[] memory choices, bytes32 wanted)
        private
        pure
        returns (uint256 odds)
    {
        for (uint256 i = 0; i < ballots.length; ++i) {
            if (choices[i].voted && choices[i].digest == wanted) odds += ballots[i].odds;
        }
    }

    function _markLosers(Choice[] memory choices, Vote[] memory votes, bytes32 winner) private pure {
        for (uint256 i = 0; i < choices.length; ++i) {
            if (choices[i].voted && choices[i].digest != winner) votes[i] = Vote.Lost;
        }
    }

    /// @return voted False if it did not open or did not draw this leaf.
    /// @return digest Its digest, or zero where it agrees with the worker.
    function _voteOn(Ballot memory b, uint32 leaf) private pure returns (bool voted, bytes32 digest) {
        if (!b.opened) return (false, 0);
        for (uint256 j = 0; j < b.leaves.length; ++j) {
            if (b.leaves[j] != leaf) continue;
            return (true, (b.dissent >> j) & 1 == 0 ? bytes32(0) : b.digests[j]);
        }
        return (false, 0);
    }
}
