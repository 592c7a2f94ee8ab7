// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {Vote} from "../../contracts/libraries/SettlementLib.sol";
import {Ballot, LeafOutcome, Tally, VoteLib} from "../../contracts/libraries/VoteLib.sol";
import {Ending} from "../../contracts/types/Status.sol";

/// @notice The count of votes against a plain tally.
contract VoteLibTest is Test {
    uint256 private constant LEAVES = 4;
    uint256 private constant CHOICES = 3;

    struct Case {
        uint256 trust;
        uint256 workerOdds;
        uint256[] odds;
        bool[] opened;
        /// choice[i][leaf]: 0 the worker's digest, 1 and 2 others, CHOICES: not sampled.
        uint256[LEAVES][] choice;
    }

    /// @dev What the plain tally says of a case.
    struct Wanted {
        Ending ending;
        Vote[] votes;
        LeafOutcome[LEAVES] outcomes;
        /// Undecided, and a dissenter that has lost nothing stands on it.
        bool[LEAVES] open;
        bool anyOpen;
        bool doubted;
    }

    function testFuzz_decideLikeATally(uint256 entropy, uint8 count) public pure {
        Case memory c = _case(entropy, bound(count, 1, 8));
        Tally memory found = VoteLib.decide(_ballots(c), c.workerOdds, c.trust);
        Wanted memory w = _tally(c);
        assertEq(uint8(found.ending), uint8(w.ending), "ending");
        assertEq(found.doubted, w.doubted, "doubted");
        for (uint256 i = 0; i < found.votes.length; ++i) {
            assertEq(uint8(found.votes[i]), uint8(w.votes[i]), "vote");
        }
        assertEq(found.open.length != 0, w.anyOpen, "a round where there is something to look at");
        for (uint256 i = 0; i < found.open.length; ++i) {
            assertTrue(w.open[found.open[i]], "only such leaves");
            if (i != 0) assertGt(found.open[i], found.open[i - 1], "ascending");
        }
    }

    /// @notice One leaf at a time, as a dispute is judged.
    function testFuzz_outcomeLikeATally(uint256 entropy, uint8 count) public pure {
        Case memory c = _case(entropy, bound(count, 1, 8));
        Wanted memory w = _tally(c);
        Ballot[] memory ballots = _ballots(c);
        for (uint32 leaf = 0; leaf < LEAVES; ++leaf) {
            LeafOutcome found = VoteLib.outcomeOf(ballots, c.workerOdds, c.trust, leaf);
            assertEq(uint8(found), uint8(w.outcomes[leaf]), "outcome");
        }
    }

    /// @notice The order of the ballots decides nothing about who wins or loses.
    function testFuzz_orderDoesNotMatter(uint256 entropy, uint8 count) public pure {
        Case memory c = _case(entropy, bound(count, 2, 8));
        Tally memory before = VoteLib.decide(_ballots(c), c.workerOdds, c.trust);
        uint256 n = c.odds.length;
        Case memory r = _case(entropy, n);
        for (uint256 i = 0; i < n; ++i) {
            (r.odds[i], r.opened[i], r.choice[i]) =
            (c.odds[n - 1 - i], c.opened[n - 1 - i], c.choice[n - 1 - i]);
        }
        Tally memory later = VoteLib.decide(_ballots(r), r.workerOdds, r.trust);
        assertEq(uint8(later.ending), uint8(before.ending), "ending");
        assertEq(later.doubted, before.doubted, "doubted");
        for (uint256 i = 0; i < n; ++i) {
            assertEq(uint8(later.votes[i]), uint8(before.votes[n - 1 - i]), "each one's vote");
        }
    }

    /// @notice Odds multiply: at T = 2 two newcomers (2 · 2) outvote a worker of odds 3, tie with one of odds 4, and lose to
    /// nobody alone, since a digest needs two parties.
    function test_productOfTheOddsDecides() public pure {
        Case memory c = _two(1, 1);
        c.workerOdds = 3;
        assertEq(uint8(_decide(c).ending), uint8(Ending.Refuted), "4 of 7");
        c.workerOdds = 4;
        assertEq(uint8(_decide(c).ending), uint8(Ending.Undecided), "4 of 8 is no more than half");
        c.workerOdds = 6;
        Tally memory t = _decide(c);
        assertEq(uint8(t.ending), uint8(Ending.Undecided), "6 of 10, but alone");
        assertEq(uint8(t.votes[0]), uint8(Vote.Honest), "nobody loses to one party");
    }

    /// @notice One verifier of odds 6 against a newcomer: neither wins, however much the one is trusted.
    function test_nobodyWinsAlone() public pure {
        Case memory c = _two(1, 1);
        c.opened[1] = false;
        (c.odds[0], c.workerOdds) = (6, 2);
        Tally memory t = _decide(c);
        assertEq(uint8(t.ending), uint8(Ending.Undecided), "6 of 8, alone");
        assertEq(t.open.length, 1, "more are asked");
        assertFalse(t.doubted, "one party casts no doubt");
    }

    /// @notice A higher T asks for a larger share: 8 of 10 is above 3/4, not above 4/5.
    function test_trustRaisesTheShare() public pure {
        Case memory c = _two(0, 1);
        (c.odds[0], c.workerOdds, c.trust) = (4, 2, 4);
        assertEq(uint8(_decide(c).ending), uint8(Ending.Verified), "8 of 10 above 3/4");
        c.trust = 5;
        assertEq(uint8(_decide(c).ending), uint8(Ending.Undecided), "not above 4/5");
    }

    /// @notice A leaf that nobody can read falls, and who voted on its digest - in the first round there was nothing to read - loses
    /// nothing.
    function test_unreadableFallsWithoutLosers() public pure {
        Ballot[] memory ballots = new Ballot[](4);
        for (uint256 i = 0; i < 4; ++i) {
            (ballots[i].opened, ballots[i].odds, ballots[i].leaves) = (true, 2, new uint32[](1));
            if (i == 0) continue;
            (ballots[i].dissent, ballots[i].digests) = (1, new bytes32[](1));
            ballots[i].digests[0] = VoteLib.UNREADABLE;
        }
        Tally memory t = VoteLib.decide(ballots, 2, 2);
        assertEq(uint8(t.ending), uint8(Ending.Refuted), "8 of 12");
        assertEq(uint8(t.votes[0]), uint8(Vote.Honest), "the digest was right");
        for (uint256 i = 1; i < 4; ++i) {
            ballots[i].digests[0] = "another";
        }
        t = VoteLib.decide(ballots, 2, 2);
        assertEq(uint8(t.votes[0]), uint8(Vote.Lost), "any other digest says that it was not");
    }

    /// @notice Doubt: two parties with more than half, but less than they need.
    function test_doubt() public pure {
        Case memory c = _two(1, 1);
        (c.trust, c.workerOdds) = (4, 2);
        Tally memory t = _decide(c);
        assertEq(uint8(t.ending), uint8(Ending.Undecided), "4 of 6 is not above 3/4");
        assertTrue(t.doubted, "but above half");
        assertEq(
            uint8(VoteLib.outcomeOf(_ballots(c), 2, 4, 0)), uint8(LeafOutcome.Doubted), "of the leaf too"
        );
        assertEq(
            uint8(VoteLib.outcomeOf(_ballots(c), 2, 4, 1)), uint8(LeafOutcome.Undecided), "nobody voted on it"
        );
    }

    /// @notice A dissenter that has lost on one leaf calls nobody to another.
    function test_loserCallsNoRound() public pure {
        Case memory c;
        uint256 n = 3;
        (c.odds, c.opened, c.choice) = (new uint256[](n), new bool[](n), new uint256[LEAVES][](n));
        (c.trust, c.workerOdds) = (2, 2);
        for (uint256 i = 0; i < n; ++i) {
            (c.odds[i], c.opened[i]) = (2, true);
            c.choice[i] = [uint256(CHOICES), CHOICES, CHOICES, CHOICES];
        }
        // All three vote on leaf 0, where the first is alone; on leaf 1 only the first votes.
        (c.choice[0][0], c.choice[1][0], c.choice[2][0], c.choice[0][1]) = (1, 0, 0, 1);
        Tally memory t = _decide(c);
        assertEq(uint8(t.votes[0]), uint8(Vote.Lost), "lost on leaf 0");
        assertEq(t.open.length, 0, "not heard on leaf 1");
        assertEq(uint8(t.ending), uint8(Ending.Verified), "so all is verified");
    }

    // ------------------------------------------------------------------------------------------------ cases

    function _decide(Case memory c) private pure returns (Tally memory) {
        return VoteLib.decide(_ballots(c), c.workerOdds, c.trust);
    }

    /// @dev Two newcomers that opened, with these choices on leaf 0; T = 2.
    function _two(uint256 first, uint256 second) private pure returns (Case memory c) {
        (c.odds, c.opened, c.choice) = (new uint256[](2), new bool[](2), new uint256[LEAVES][](2));
        for (uint256 i = 0; i < 2; ++i) {
            (c.odds[i], c.opened[i]) = (2, true);
            c.choice[i] = [i == 0 ? first : second, CHOICES, CHOICES, CHOICES];
        }
        (c.trust, c.workerOdds) = (2, 2);
    }

    function _case(uint256 entropy, uint256 count) private pure returns (Case memory c) {
        c.workerOdds = 2 + entropy % 5;
        c.trust = [uint256(2), 2, 3, 4, 8, 100][(entropy >> 8) % 6];
        (c.odds, c.opened, c.choice) = (new uint256[](count), new bool[](count), new uint256[LEAVES][](count));
        for (uint256 i = 0; i < count; ++i) {
            uint256 r = uint256(keccak256(abi.encode(entropy, i)));
            c.odds[i] = 2 + r % 5;
            c.opened[i] = (r >> 8) % 5 != 0;
            for (uint256 leaf = 0; leaf < LEAVES; ++leaf) {
                c.choice[i][leaf] = (r >> (16 + 8 * leaf)) % (CHOICES + 1);
            }
        }
    }

    function _ballots(Case memory c) private pure returns (Ballot[] memory ballots) {
        ballots = new Ballot[](c.odds.length);
        for (uint256 i = 0; i < ballots.length; ++i) {
            (ballots[i].opened, ballots[i].odds) = (c.opened[i], c.odds[i]);
            uint256 sampled = 0;
            ballots[i].leaves = new uint32[](LEAVES);
            bytes32[] memory digests = new bytes32[](LEAVES);
            for (uint32 leaf = 0; leaf < LEAVES; ++leaf) {
                uint256 choice = c.choice[i][leaf];
                if (choice == CHOICES) continue;
                ballots[i].leaves[sampled] = leaf;
                digests[sampled] = bytes32(100 + choice);
                if (choice != 0) ballots[i].dissent |= uint32(2 ** sampled);
                ++sampled;
            }
            uint32[] memory leaves = ballots[i].leaves;
            assembly ("memory-safe") {
                mstore(leaves, sampled)
                mstore(digests, sampled)
            }
            if (ballots[i].opened && ballots[i].dissent != 0) ballots[i].digests = digests;
        }
    }

    // ------------------------------------------------------------------------------------------------ the tally

    function _tally(Case memory c) private pure returns (Wanted memory w) {
        w.votes = new Vote[](c.odds.length);
        for (uint256 i = 0; i < c.odds.length; ++i) {
            if (!c.opened[i]) w.votes[i] = Vote.Silent;
        }
        w.ending = Ending.Verified;
        for (uint256 leaf = 0; leaf < LEAVES; ++leaf) {
            uint256 winner;
            (w.outcomes[leaf], winner) = _outcome(c, leaf);
            if (winner == CHOICES) continue;
            if (w.outcomes[leaf] == LeafOutcome.Falls) w.ending = Ending.Refuted;
            for (uint256 i = 0; i < c.odds.length; ++i) {
                if (_voted(c, i, leaf) && c.choice[i][leaf] != winner) w.votes[i] = Vote.Lost;
            }
        }
        if (w.ending == Ending.Refuted) return w;
        for (uint256 leaf = 0; leaf < LEAVES; ++leaf) {
            if (w.outcomes[leaf] == LeafOutcome.Stands) continue;
            for (uint256 i = 0; i < c.odds.length; ++i) {
                bool dissents = _voted(c, i, leaf) && c.choice[i][leaf] != 0;
                if (dissents && w.votes[i] != Vote.Lost) w.open[leaf] = true;
            }
            if (!w.open[leaf]) continue;
            (w.anyOpen, w.ending) = (true, Ending.Undecided);
            if (w.outcomes[leaf] == LeafOutcome.Doubted) w.doubted = true;
        }
    }

    /// @return outcome Of a leaf.
    /// @return winner Its digest, or CHOICES.
    function _outcome(Case memory c, uint256 leaf)
        private
        pure
        returns (LeafOutcome outcome, uint256 winner)
    {
        uint256[CHOICES] memory odds = [c.workerOdds, 1, 1];
        uint256[CHOICES] memory voters;
        uint256 all = 0;
        for (uint256 i = 0; i < c.odds.length; ++i) {
            if (!_voted(c, i, leaf)) continue;
            odds[c.choice[i][leaf]] *= c.odds[i];
            ++voters[c.choice[i][leaf]];
            ++all;
        }
        winner = CHOICES;
        if (all == 0) return (LeafOutcome.Undecided, winner);
        if (voters[1] + voters[2] == 0) return (LeafOutcome.Stands, winner);
        uint256 sum = odds[0] + (voters[1] == 0 ? 0 : odds[1]) + (voters[2] == 0 ? 0 : odds[2]);
        // The worker is a party of its digest; others need two verifiers.
        ++voters[0];
        for (uint256 k = 0; k < CHOICES; ++k) {
            // A share above 1 - 1/T: all the others together have less than 1/T.
            if (voters[k] >= 2 && (sum - odds[k]) * c.trust < sum) winner = k;
        }
        if (winner == 0) return (LeafOutcome.Stands, winner);
        if (winner != CHOICES) return (LeafOutcome.Falls, winner);
        for (uint256 k = 1; k < CHOICES; ++k) {
            if (voters[k] >= 2 && odds[k] > sum - odds[k]) return (LeafOutcome.Doubted, winner);
        }
        return (LeafOutcome.Undecided, winner);
    }

    function _voted(Case memory c, uint256 i, uint256 leaf) private pure returns (bool) {
        return c.opened[i] && c.choice[i][leaf] != CHOICES;
    }
}
