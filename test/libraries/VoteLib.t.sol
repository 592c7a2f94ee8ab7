// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {Vote} from "../../contracts/libraries/SettlementLib.sol";
import {Ballot, VoteLib} from "../../contracts/libraries/VoteLib.sol";
import {Ending} from "../../contracts/types/Status.sol";

/// @notice The count of votes against a plain tally.
contract VoteLibTest is Test {
    uint256 private constant LEAVES = 4;
    uint256 private constant CHOICES = 3;

    struct Case {
        uint256 workerOdds;
        uint256[] odds;
        bool[] opened;
        /// choice[i][leaf]: 0 the worker's digest, 1 and 2 others, CHOICES: not sampled.
        uint256[LEAVES][] choice;
    }

    function testFuzz_decideLikeATally(uint256 entropy, uint8 count) public pure {
        Case memory c = _case(entropy, bound(count, 1, 8));
        (Ending ending, Vote[] memory votes) = VoteLib.decide(_ballots(c), c.workerOdds);
        (Ending wantedEnding, Vote[] memory wanted) = _tally(c);
        assertEq(uint8(ending), uint8(wantedEnding), "ending");
        for (uint256 i = 0; i < votes.length; ++i) {
            assertEq(uint8(votes[i]), uint8(wanted[i]), "vote");
        }
    }

    /// @notice Odds decide, not heads: two newcomers (2 + 2) do not beat an old worker (6).
    function test_oddsDecide() public pure {
        Case memory c;
        (c.odds, c.opened, c.choice) = (new uint256[](2), new bool[](2), new uint256[LEAVES][](2));
        for (uint256 i = 0; i < 2; ++i) {
            (c.odds[i], c.opened[i], c.choice[i][0]) = (2, true, 1);
        }
        c.workerOdds = 6;
        (Ending ending, Vote[] memory votes) = VoteLib.decide(_ballots(c), c.workerOdds);
        assertEq(uint8(ending), uint8(Ending.Verified), "6 of 10");
        assertEq(uint8(votes[0]), uint8(Vote.Lost), "lost");
        c.workerOdds = 4;
        (ending,) = VoteLib.decide(_ballots(c), c.workerOdds);
        assertEq(uint8(ending), uint8(Ending.Undecided), "4 of 8 is not more than half");
        c.workerOdds = 3;
        (ending,) = VoteLib.decide(_ballots(c), c.workerOdds);
        assertEq(uint8(ending), uint8(Ending.Refuted), "4 of 7");
    }

    function _case(uint256 entropy, uint256 count) private pure returns (Case memory c) {
        c.workerOdds = 2 + entropy % 5;
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

    function _tally(Case memory c) private pure returns (Ending ending, Vote[] memory votes) {
        votes = new Vote[](c.odds.length);
        ending = Ending.Verified;
        for (uint256 leaf = 0; leaf < LEAVES; ++leaf) {
            uint256[CHOICES] memory sums;
            sums[0] = c.workerOdds;
            for (uint256 i = 0; i < c.odds.length; ++i) {
                if (c.opened[i] && c.choice[i][leaf] != CHOICES) sums[c.choice[i][leaf]] += c.odds[i];
            }
            uint256 total = sums[0] + sums[1] + sums[2];
            uint256 winner = CHOICES;
            for (uint256 k = 0; k < CHOICES; ++k) {
                if (2 * sums[k] > total) winner = k;
            }
            if (winner == CHOICES) {
                if (ending == Ending.Verified) ending = Ending.Undecided;
                continue;
            }
            if (winner != 0) ending = Ending.Refuted;
            for (uint256 i = 0; i < c.odds.length; ++i) {
                bool voted = c.opened[i] && c.choice[i][leaf] != CHOICES;
                if (voted && c.choice[i][leaf] != winner) votes[i] = Vote.Lost;
            }
        }
        for (uint256 i = 0; i < c.odds.length; ++i) {
            if (!c.opened[i]) votes[i] = Vote.Silent;
        }
    }
}
