// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {CredibilityLib} from "../../contracts/libraries/CredibilityLib.sol";

/// @notice Odds and scores, for all scores.
contract CredibilitySymbolic is Test {
    function check_odds(uint256 score, uint256 higher) public pure {
        vm.assume(score <= higher);
        _odds(score, higher);
    }

    function testFuzz_odds(uint256 score, uint256 higher) public pure {
        _odds(score < higher ? score : higher, score < higher ? higher : score);
    }

    function _odds(uint256 score, uint256 higher) private pure {
        uint256 odds = CredibilityLib.odds(score);
        assertGe(CredibilityLib.odds(higher), odds, "never fall with the score");
        assertGe(odds, CredibilityLib.NEWCOMER_ODDS, "at least a newcomer's");
        assertLe(odds, 3 * CredibilityLib.NEWCOMER_ODDS, "at most three times a newcomer's");
    }

    function check_score(uint16 score) public pure {
        vm.assume(score <= CredibilityLib.MAX_SCORE);
        _score(score);
    }

    function testFuzz_score(uint16 score) public pure {
        _score(score % (CredibilityLib.MAX_SCORE + 1));
    }

    function _score(uint256 score) private pure {
        uint256 kept = CredibilityLib.scoreAfterKept(score);
        assertEq(kept, score == CredibilityLib.MAX_SCORE ? score : score + 1, "kept: one more, up to the cap");
        uint256 lost = CredibilityLib.scoreAfterLost(score);
        assertLe(3 * lost, 2 * score, "lost: a third is gone");
        assertLt(2 * score - 3 * lost, 3, "lost: no more than a third, rounded against the loser");
    }

    /// @dev First and last epoch of each eighth: what lies between has the same quotient, and is fuzzed.
    function check_decayed(uint16 score) public pure {
        vm.assume(score <= CredibilityLib.MAX_SCORE);
        for (uint256 eighth = 0; eighth < 9; ++eighth) {
            uint256 first = eighth * CredibilityLib.DECAY_EPOCHS;
            uint256 last = first + CredibilityLib.DECAY_EPOCHS - 1;
            _decayed(score, first, last);
            _decayed(score, last, last + 1);
        }
    }

    function testFuzz_decayed(uint16 score, uint16 idle, uint16 longer) public pure {
        _decayed(
            score % (CredibilityLib.MAX_SCORE + 1),
            idle < longer ? idle : longer,
            idle < longer ? longer : idle
        );
    }

    function _decayed(uint256 score, uint256 idle, uint256 longer) private pure {
        uint256 left = CredibilityLib.decayed(score, idle);
        assertLe(left, score, "never rises by waiting");
        assertLe(CredibilityLib.decayed(score, longer), left, "falls with time");
        if (idle < CredibilityLib.DECAY_EPOCHS) assertEq(left, score, "nothing in the first epochs");
        if (idle >= 8 * CredibilityLib.DECAY_EPOCHS) assertEq(left, 0, "all is gone in the end");
    }

    /// @notice With a trust of two, two digests never both win; a greater trust asks for more.
    function check_wins(uint16 mine, uint16 others) public pure {
        _wins(mine, others, 2);
    }

    function testFuzz_wins(uint64 mine, uint64 others, uint16 trust) public pure {
        _wins(mine, others, trust < 2 ? 2 : trust);
    }

    function _wins(uint256 mine, uint256 others, uint256 trust) private pure {
        uint256 all = mine + others;
        bool won = CredibilityLib.wins(mine, all, trust);
        assertFalse(won && CredibilityLib.wins(others, all, trust), "not two winners");
        if (won) assertGt(mine, others, "a winner has more than all others");
        if (others == 0 && mine != 0) assertTrue(won, "without dissent it wins");
    }

    /// @notice With up to eight verifiers, one verifier more at least doubles what unanimous newcomers reach.
    function check_reachableTrust() public pure {
        for (uint256 v = 0; v < 8; ++v) {
            assertEq(
                CredibilityLib.reachableTrust(v + 1),
                CredibilityLib.NEWCOMER_ODDS * CredibilityLib.reachableTrust(v),
                "a newcomer's odds more"
            );
        }
    }
}
