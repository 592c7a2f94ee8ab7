// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {CredibilityLib} from "../../contracts/libraries/CredibilityLib.sol";

contract CredibilityLibTest is Test {
    function testFuzz_oddsRiseAndAreCapped(uint256 score) public pure {
        score = bound(score, 0, type(uint256).max - 1);
        uint256 odds = CredibilityLib.odds(score);
        assertGe(CredibilityLib.odds(score + 1), odds, "never fall with the score");
        assertGe(odds, CredibilityLib.NEWCOMER_ODDS, "at least a newcomer's");
        assertLe(odds, 3 * CredibilityLib.NEWCOMER_ODDS, "at most three times a newcomer's");
    }

    function testFuzz_score(uint16 score) public pure {
        score = uint16(bound(score, 0, CredibilityLib.MAX_SCORE));
        uint256 risen = CredibilityLib.scoreAfterKept(score);
        assertEq(risen, score == 1000 ? 1000 : uint256(score) + 1, "one more, up to the cap");
        uint256 fallen = CredibilityLib.scoreAfterLost(score);
        assertLe(3 * fallen, 2 * uint256(score), "a third is gone");
        assertLe(2 * uint256(score) - 3 * fallen, 2, "no more");
    }

    /// @notice An eighth less for each 90 epochs without a settlement, nothing after two years of days, never more than it was.
    function testFuzz_scoreDecays(uint16 score, uint32 idle) public pure {
        score = uint16(bound(score, 0, CredibilityLib.MAX_SCORE));
        uint256 left = CredibilityLib.decayed(score, idle);
        assertLe(left, score, "never rises by waiting");
        assertLe(CredibilityLib.decayed(score, uint256(idle) + 1), left, "falls with time");
        if (idle < 90) assertEq(left, score, "not at once");
        if (idle >= 720) assertEq(left, 0, "nothing is left");
        else assertEq(left, uint256(score) * (8 - idle / 90) / 8, "an eighth for each 90 epochs");
    }

    function test_reachableTrust() public pure {
        assertEq(CredibilityLib.reachableTrust(1), 4, "worker and one");
        assertEq(CredibilityLib.reachableTrust(8), 512, "worker and eight");
    }
}
