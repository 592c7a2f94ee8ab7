// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {DrawLib} from "../../contracts/libraries/DrawLib.sol";
import {ChiSquare} from "../utils/ChiSquare.sol";
import {TicketBook} from "../utils/TicketBook.sol";

/// @notice Draws follow stake: `DrawLib` over thousands of seeds, by chi-square. The same through a real agreement:
/// `DrawOnChain.t.sol`.
contract DrawSharesTest is Test {
    uint256 private constant SEEDS = 5000;
    uint160 private constant FIRST = 0xD0000;

    /// @notice The first seat goes to each worker as often as its share of the stake says.
    function test_firstSeatFollowsStake() public view {
        uint256[] memory tickets = _stakes();
        uint256[] memory seen = new uint256[](tickets.length);
        for (uint256 n = 0; n < SEEDS; ++n) {
            uint256 free = _free();
            ++seen[TicketBook.lowest(TicketBook.seedOf(n), FIRST, tickets, 1)[0]];
            _setFree(free);
        }
        assertLt(ChiSquare.statistic(seen, tickets), ChiSquare.critical(4), "five workers");
    }

    /// @notice Two seats, all ordered pairs: the second seat follows the stake that is left when the first is taken, u_i / U times
    /// u_j / (U - u_i). One in a thousand right draws fails; a draw by head fails by far.
    function test_twoSeatsFollowStake() public view {
        uint256[] memory tickets = _stakes();
        (uint256[] memory seen, uint256[] memory weights) = (new uint256[](20), new uint256[](20));
        uint256[] memory heads = new uint256[](20);
        for (uint256 cell = 0; cell < 20; ++cell) {
            (uint256 i, uint256 j) = _pair(cell);
            weights[cell] = 1e12 * tickets[i] * tickets[j] / (20 - tickets[i]);
            heads[cell] = 1;
        }
        for (uint256 n = 0; n < SEEDS; ++n) {
            uint256 free = _free();
            uint256[] memory order = TicketBook.lowest(TicketBook.seedOf(n), FIRST, tickets, 2);
            ++seen[_cell(order[0], order[1])];
            _setFree(free);
        }
        assertLt(ChiSquare.statistic(seen, weights), ChiSquare.critical(19), "twenty pairs");
        assertGt(ChiSquare.statistic(seen, heads), 10 * ChiSquare.critical(19), "not one vote for each head");
    }

    /// @notice The whole window of a thin class: few workers, so that the first step lets nearly every ticket in and later ones all.
    /// Each claims in the first step in which it may, in an order of the seed's; the window closes at the end of the step in
    /// which the seat was filled.
    function test_thinClassWithAWideThreshold() public view {
        uint256[] memory tickets = new uint256[](3);
        (tickets[0], tickets[1], tickets[2]) = (1, 2, 7);
        uint256[] memory seen = new uint256[](3);
        // Two of ten tickets in the first step, four in the second, eight, all.
        uint256[] memory steps = new uint256[](4);
        for (uint256 n = 0; n < SEEDS; ++n) {
            uint256 free = _free();
            (uint256 winner, uint256 step) = _window(TicketBook.seedOf(n), tickets, n);
            ++seen[winner];
            ++steps[step];
            _setFree(free);
        }
        assertLt(ChiSquare.statistic(seen, tickets), ChiSquare.critical(2), "three workers");
        // All ten tickets above the share: (1 - 0.2)^10, (1 - 0.4)^10, (1 - 0.8)^10; per ten million.
        uint256[] memory expected = new uint256[](3);
        (expected[0], expected[1], expected[2]) = (8_926_258, 1_013_276, 60_466);
        uint256[] memory filled = new uint256[](3);
        (filled[0], filled[1], filled[2]) = (steps[0], steps[1], steps[2] + steps[3]);
        assertLt(
            ChiSquare.statistic(filled, expected), ChiSquare.critical(2), "the threshold lets in its share"
        );
    }

    /// @notice Where every ticket may claim at once (U <= V drawFactor) the draw still follows stake, not who is there first.
    function test_everybodyMayClaim() public view {
        uint256[] memory tickets = new uint256[](2);
        (tickets[0], tickets[1]) = (1, 1);
        assertEq(DrawLib.threshold(2, 2, 0), type(uint256).max, "wide open");
        uint256[] memory seen = new uint256[](2);
        for (uint256 n = 0; n < SEEDS; ++n) {
            (uint256 winner,) = _window(TicketBook.seedOf(n), tickets, 0);
            ++seen[winner];
        }
        assertLt(
            ChiSquare.statistic(seen, tickets), ChiSquare.critical(1), "half each, though one is always first"
        );
    }

    /// @notice The threshold lets in the expected number of tickets in each step: V drawFactor 2^step of U.
    function test_thresholdLetsInItsShare() public view {
        uint256[] memory seen = new uint256[](2);
        uint256[] memory weights = new uint256[](2);
        for (uint256 step = 0; step < 5; ++step) {
            (weights[0], weights[1]) = (4 << step, 128 - (4 << step));
            uint256 limit = DrawLib.threshold(128, 4, step);
            (seen[0], seen[1]) = (0, 0);
            for (uint256 n = 0; n < SEEDS; ++n) {
                ++seen[TicketBook.best(TicketBook.seedOf(n), address(FIRST), 1) < limit ? 0 : 1];
            }
            assertLt(ChiSquare.statistic(seen, weights), ChiSquare.critical(1), "a step");
        }
    }

    // ------------------------------------------------------------------------------------------------ helpers

    /// @dev One seat, drawFactor 2: fill and displace as `ComputeSteps` does.
    /// @param who Whose turn is first.
    function _window(bytes32 seed, uint256[] memory tickets, uint256 who)
        private
        pure
        returns (uint256 winner, uint256 step)
    {
        uint256 units = 0;
        for (uint256 i = 0; i < tickets.length; ++i) {
            units += tickets[i];
        }
        uint256 holder = type(uint256).max;
        for (; holder == type(uint256).max; ++step) {
            uint256 limit = DrawLib.threshold(units, 2, step);
            for (uint256 k = 0; k < tickets.length; ++k) {
                uint256 i = (who + k) % tickets.length;
                uint256 ticket = TicketBook.best(seed, address(FIRST + uint160(i)), tickets[i]);
                if (ticket < limit && ticket < holder) (holder, winner) = (ticket, i);
            }
        }
        --step;
    }

    function _stakes() private pure returns (uint256[] memory tickets) {
        tickets = new uint256[](5);
        (tickets[0], tickets[1], tickets[2], tickets[3], tickets[4]) = (1, 2, 3, 5, 9);
    }

    function _pair(uint256 cell) private pure returns (uint256 i, uint256 j) {
        (i, j) = (cell / 4, cell % 4);
        if (j >= i) ++j;
    }

    function _cell(uint256 i, uint256 j) private pure returns (uint256) {
        return 4 * i + (j > i ? j - 1 : j);
    }

    function _free() private pure returns (uint256 free) {
        assembly ("memory-safe") {
            free := mload(0x40)
        }
    }

    function _setFree(uint256 free) private pure {
        assembly {
            mstore(0x40, free)
        }
    }
}
