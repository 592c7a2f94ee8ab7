// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Ending} from "../types/Status.sol";
import {CredibilityLib} from "./CredibilityLib.sol";
import {Vote} from "./SettlementLib.sol";

/// @notice One verifier's opened vote.
struct Ballot {
    bool opened;
    /// Integer odds of the voter.
    uint256 odds;
    /// Its leaves, ascending.
    uint32[] leaves;
    /// Bit i: its digest of leaves[i] is not the worker's.
    uint32 dissent;
    /// Its digests, where dissent is not zero (else empty).
    bytes32[] digests;
}

/// @notice What the votes say.
struct Tally {
    /// Verified, Refuted or Undecided.
    Ending ending;
    /// One for each ballot.
    Vote[] votes;
    /// Undecided leaves that a further round has to look at: one at least for each dissenter that has lost none, ascending.
    uint32[] open;
    /// On an undecided leaf more than half of the odds stand for one digest that is not the worker's.
    bool doubted;
}

/// @notice Who stands where on one leaf.
enum LeafOutcome {
    /// The worker's digest won, or nobody dissents.
    Stands,
    /// Another digest won.
    Falls,
    /// Neither.
    Undecided,
    /// Neither, and another digest has more than half of the odds.
    Doubted
}

/// @dev What one verifier says of one leaf.
struct Choice {
    bool voted;
    /// Zero where it agrees with the worker.
    bytes32 digest;
}

/// @dev Of a ballot: bit j for each of its leaves on which it dissents and nothing was decided.
struct Note {
    uint32 undecided;
    /// On one of them most of the odds stand against the worker.
    bool doubted;
}

/// @title VoteLib
/// @notice Who is right on a disputed leaf: the digest whose voters' odds, multiplied, are a share above 1 - 1/T of all
/// digests' odds, and that at least two parties found independently: no single voter, however old, decides over another.
/// @dev Deployed apart and linked: only dissent pays for the call. Bounded by 36 ballots of at most 32 leaves, 64 of them with
/// dissent in the first round: the worst case stays below half of a transaction's gas (test/attack-findings/GasFindings.t.sol),
/// which needs each leaf to be decided only once.
library VoteLib {
    uint256 internal constant MAX_OPEN = 8;
    /// @notice Voted in later rounds for a leaf that nobody can read in the worker's blob (docs/PROTOCOL.md). Where it wins, the
    /// result falls, and nobody loses who voted on the digest: in the first round no blob can be read.
    bytes32 internal constant UNREADABLE = keccak256("sunwork.leaf.unreadable.v1");
    /// @dev Places of the table of leaves that were decided: a power of two, twice as many as there can be.
    uint256 private constant SEEN = 256;

    /// @param workerOdds The worker votes on every leaf, with its own digest.
    /// @param trust T.
    function decide(Ballot[] memory ballots, uint256 workerOdds, uint256 trust)
        external
        pure
        returns (Tally memory tally)
    {
        uint256 n = ballots.length;
        tally.votes = new Vote[](n);
        tally.ending = Ending.Verified;
        Note[] memory notes = new Note[](n);
        uint256[] memory seen = new uint256[](SEEN);
        Choice[] memory choices = new Choice[](n);
        for (uint256 i = 0; i < n; ++i) {
            if (!ballots[i].opened) tally.votes[i] = Vote.Silent;
        }
        for (uint256 i = 0; i < n; ++i) {
            if (!ballots[i].opened || ballots[i].dissent == 0) continue;
            for (uint256 j = 0; j < ballots[i].leaves.length; ++j) {
                if ((ballots[i].dissent >> j) & 1 == 0) continue;
                // Each leaf is decided once.
                if (!_isNew(seen, ballots[i].leaves[j])) continue;
                _collect(ballots, choices, ballots[i].leaves[j]);
                (LeafOutcome outcome, bytes32 winner) = _decideLeaf(ballots, choices, workerOdds, trust);
                if (outcome == LeafOutcome.Stands || outcome == LeafOutcome.Falls) {
                    _markLosers(choices, tally.votes, winner);
                    if (outcome == LeafOutcome.Falls) tally.ending = Ending.Refuted;
                } else {
                    _noteUndecided(ballots, choices, notes, ballots[i].leaves[j], outcome);
                }
            }
        }
        // One leaf that falls is enough.
        if (tally.ending == Ending.Verified) _findOpen(ballots, notes, tally);
    }

    /// @notice What the ballots say of one leaf; Undecided if no verifier voted on it.
    function outcomeOf(Ballot[] memory ballots, uint256 workerOdds, uint256 trust, uint32 leaf)
        external
        pure
        returns (LeafOutcome outcome)
    {
        Choice[] memory choices = new Choice[](ballots.length);
        uint256 first = _collect(ballots, choices, leaf);
        if (first != type(uint256).max) {
            (outcome,) = _decideLeaf(ballots, choices, workerOdds, trust);
            return outcome;
        }
        for (uint256 i = 0; i < choices.length; ++i) {
            if (choices[i].voted) return LeafOutcome.Stands;
        }
        return LeafOutcome.Undecided;
    }

    /// @dev A small hash table with open addressing; leaves are stored plus one. At most 64 sampled and 8 disputed leaves.
    function _isNew(uint256[] memory seen, uint32 leaf) private pure returns (bool) {
        uint256 place = leaf % SEEN;
        while (seen[place] != 0) {
            if (seen[place] == uint256(leaf) + 1) return false;
            place = (place + 1) % SEEN;
        }
        seen[place] = uint256(leaf) + 1;
        return true;
    }

    /// @dev For each of its dissenters, so that no accomplice's ballot hides an honest one's.
    function _noteUndecided(
        Ballot[] memory ballots,
        Choice[] memory choices,
        Note[] memory notes,
        uint32 leaf,
        LeafOutcome outcome
    ) private pure {
        for (uint256 i = 0; i < choices.length; ++i) {
            if (choices[i].digest == 0) continue;
            uint32 bit = uint32(1) << uint32(_positionOf(ballots[i].leaves, leaf));
            notes[i].undecided |= bit;
            if (outcome == LeafOutcome.Doubted) notes[i].doubted = true;
        }
    }

    /// @dev A dissenter that lost a leaf is not heard on others; of each of the rest one leaf is enough to tell who lies.
    function _findOpen(Ballot[] memory ballots, Note[] memory notes, Tally memory tally) private pure {
        uint32[] memory found = new uint32[](MAX_OPEN);
        uint256 count = 0;
        for (uint256 i = 0; i < ballots.length; ++i) {
            if (notes[i].undecided == 0 || tally.votes[i] == Vote.Lost) continue;
            tally.ending = Ending.Undecided;
            if (notes[i].doubted) tally.doubted = true;
            if (count == MAX_OPEN || _covers(ballots[i].leaves, notes[i].undecided, found, count)) continue;
            uint256 j = 0;
            while ((notes[i].undecided >> j) & 1 == 0) ++j;
            _insert(found, count++, ballots[i].leaves[j]);
        }
        tally.open = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            tally.open[i] = found[i];
        }
    }

    /// @dev One of the ballot's undecided leaves is among those found.
    function _covers(uint32[] memory leaves, uint32 undecided, uint32[] memory found, uint256 count)
        private
        pure
        returns (bool)
    {
        for (uint256 j = 0; undecided >> j != 0; ++j) {
            if ((undecided >> j) & 1 == 0) continue;
            for (uint256 i = 0; i < count; ++i) {
                if (found[i] == leaves[j]) return true;
            }
        }
        return false;
    }

    /// @dev Keeps the list ascending.
    function _insert(uint32[] memory list, uint256 count, uint32 leaf) private pure {
        uint256 spot = count;
        for (; spot != 0 && list[spot - 1] > leaf; --spot) {
            list[spot] = list[spot - 1];
        }
        list[spot] = leaf;
    }

    /// @dev Binary search: the first position whose leaf is not below `leaf`. A ballot's leaves ascend.
    function _positionOf(uint32[] memory leaves, uint32 leaf) private pure returns (uint256 low) {
        uint256 high = leaves.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (leaves[middle] < leaf) low = middle + 1;
            else high = middle;
        }
    }

    /// @dev Looks every voter's choice on `leaf` up once: the counting below only compares.
    /// @return first The first ballot that dissents on it, or the largest number.
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

    /// @dev Digest zero stands for the worker's own.
    function _decideLeaf(Ballot[] memory ballots, Choice[] memory choices, uint256 workerOdds, uint256 trust)
        private
        pure
        returns (LeafOutcome, bytes32 winner)
    {
        (uint256 mine, uint256 supporters) = _oddsFor(ballots, choices, 0);
        mine *= workerOdds;
        uint256 all = mine;
        uint256 best = 0;
        uint256 bestVoters = 0;
        for (uint256 i = 0; i < choices.length; ++i) {
            bytes32 digest = choices[i].digest;
            if (digest == 0 || _seenBefore(choices, i)) continue;
            (uint256 odds, uint256 voters) = _oddsFor(ballots, choices, digest);
            all += odds;
            if (odds > best) (best, bestVoters, winner) = (odds, voters, digest);
        }
        if (supporters != 0 && CredibilityLib.wins(mine, all, trust)) return (LeafOutcome.Stands, 0);
        if (bestVoters < 2) return (LeafOutcome.Undecided, 0);
        if (CredibilityLib.wins(best, all, trust)) return (LeafOutcome.Falls, winner);
        return (2 * best > all ? LeafOutcome.Doubted : LeafOutcome.Undecided, 0);
    }

    function _seenBefore(Choice[] memory choices, uint256 i) private pure returns (bool) {
        for (uint256 j = 0; j < i; ++j) {
            if (choices[j].digest == choices[i].digest) return true;
        }
        return false;
    }

    /// @return odds Product of the odds of who voted for `wanted`; 1 for nobody.
    function _oddsFor(Ballot[] memory ballots, Choice[] memory choices, bytes32 wanted)
        private
        pure
        returns (uint256 odds, uint256 voters)
    {
        odds = 1;
        for (uint256 i = 0; i < ballots.length; ++i) {
            if (!choices[i].voted || choices[i].digest != wanted) continue;
            odds *= ballots[i].odds;
            ++voters;
        }
    }

    function _markLosers(Choice[] memory choices, Vote[] memory votes, bytes32 winner) private pure {
        if (winner == UNREADABLE) return;
        for (uint256 i = 0; i < choices.length; ++i) {
            if (choices[i].voted && choices[i].digest != winner) votes[i] = Vote.Lost;
        }
    }

    /// @return voted False if it did not open or did not draw this leaf.
    /// @return digest Its digest, or zero where it agrees with the worker.
    function _voteOn(Ballot memory b, uint32 leaf) private pure returns (bool voted, bytes32 digest) {
        if (!b.opened) return (false, 0);
        uint256 j = _positionOf(b.leaves, leaf);
        if (j == b.leaves.length || b.leaves[j] != leaf) return (false, 0);
        return (true, (b.dissent >> j) & 1 == 0 ? bytes32(0) : b.digests[j]);
    }
}
