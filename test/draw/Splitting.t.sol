// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ChiSquare} from "../utils/ChiSquare.sol";
import {Base} from "../utils/Base.t.sol";
import {TicketBook} from "../utils/TicketBook.sol";

/// @notice What splitting a stake over identities gains: no ticket and no better ticket. It lifts the cap of one seat for each
/// identity, which is worth something to who has a large share, and never more than V times the share
/// (docs/ECONOMICS.md, 7. Split stakes).
contract SplittingTest is Base {
    uint160 private constant WHOLE = 0xA0000;
    uint160 private constant PARTS = 0xB0000;

    // ------------------------------------------------------------------------------------------------ tickets

    /// @notice The real dispatcher counts the same tickets for 1,000 units in one identity and in 2 to 1,000.
    function test_aThousandUnitsAreAThousandTickets() public {
        uint256[5] memory splits = [uint256(2), 3, 10, 100, 1000];
        for (uint256 s = 0; s < splits.length; ++s) {
            uint256 snapshot = vm.snapshotState();
            (uint256 tickets, uint256 units) = _staked(splits[s], 1000 * uint256(TICKET_UNIT));
            assertLe(tickets, 1000, "no more than one identity has");
            // What does not fill a unit in each part is lost to the one who splits.
            assertGe(tickets, 1000 - splits[s] + 1, "less than a unit for each identity");
            if (1000 % splits[s] == 0) assertEq(tickets, 1000, "evenly: the same");
            assertEq(units, 500 + tickets, "and so for the class");
            vm.revertToState(snapshot);
        }
    }

    /// @notice The same for any amount and any number of identities.
    function testFuzz_splittingMakesNoTickets(uint256 amount, uint256 parts) public {
        amount = bound(amount, 1, 100_000 * SUN);
        parts = bound(parts, 2, 40);
        (uint256 tickets,) = _staked(parts, amount);
        assertLe(tickets, amount / TICKET_UNIT, "no more than one identity has");
    }

    /// @notice One identity with 1,000 tickets against the same stake split into 2, 10, 1,000: each has the lowest ticket in half of
    /// the draws.
    function test_splittingFindsNoBetterTicket() public view {
        uint256[3] memory splits = [uint256(2), 10, 1000];
        uint256[] memory even = new uint256[](2);
        (even[0], even[1]) = (1, 1);
        for (uint256 s = 0; s < splits.length; ++s) {
            uint256[] memory wins = new uint256[](2);
            for (uint256 n = 0; n < 150; ++n) {
                bytes32 seed = TicketBook.seedOf(n);
                uint256 whole = TicketBook.best(seed, address(WHOLE), 1000);
                ++wins[_bestOf(seed, splits[s], 1000 / splits[s]) < whole ? 0 : 1];
            }
            assertLt(ChiSquare.statistic(wins, even), ChiSquare.critical(1), "a coin");
        }
    }

    // ------------------------------------------------------------------------------------------------ seats

    /// @notice Seats are another matter: 6 of 20 units in one identity hold 0.521 of two seats on average, in two 0.574, in six
    /// V s = 0.600, which nobody exceeds (docs/ECONOMICS.md, table "sybils"; exact here, as the others are no dust: for one
    /// identity 6/20 + 14/20 6/19). So splitting gains up to 0.08 of a seat here, and pays the odds of a young score for it.
    /// Four standard errors are allowed: sqrt(0.5 / 5000) = 0.01.
    function test_splittingLiftsTheCapOfOneSeat() public view {
        uint256 whole = _seats(1, 6, 14, 5000);
        uint256 two = _seats(2, 6, 14, 5000);
        uint256 six = _seats(6, 6, 14, 5000);
        assertApproxEqAbs(whole, 521, 40, "one identity");
        assertApproxEqAbs(two, 574, 40, "two");
        assertApproxEqAbs(six, 600, 40, "six: V s");
        assertGt(six, whole + 40, "it does gain");
    }

    /// @notice A small share gains next to nothing: 2 of 100 units hold 0.0398 of two seats in one identity, 0.0400 in two.
    /// sqrt(0.04 / 1500) = 0.0052: four of them are 21 thousandths.
    function test_splittingASmallStakeGainsNothing() public view {
        assertApproxEqAbs(_seats(1, 2, 98, 1500), 40, 21, "whole");
        assertApproxEqAbs(_seats(2, 2, 98, 1500), 40, 21, "split");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    /// @dev `amount` staked by `parts` identities, the rest of the division by the last.
    function _staked(uint256 parts, uint256 amount) private returns (uint256 tickets, uint256 units) {
        for (uint256 i = 0; i < parts; ++i) {
            address who = address(PARTS + uint160(i));
            _register(who, who, 1);
            uint256 share = i + 1 == parts ? amount - amount / parts * (parts - 1) : amount / parts;
            if (share != 0) _stake(who, share);
        }
        skip(EPOCH_SECS);
        uint32 now_ = dispatcher.epoch();
        for (uint256 i = 0; i < parts; ++i) {
            tickets += dispatcher.ticketsOf(address(PARTS + uint160(i)), CLASS, now_);
        }
        (units,) = dispatcher.classAt(CLASS, now_);
    }

    function _bestOf(bytes32 seed, uint256 parts, uint256 tickets) private pure returns (uint256 lowest) {
        lowest = type(uint256).max;
        for (uint256 i = 0; i < parts; ++i) {
            uint256 ticket = TicketBook.best(seed, address(PARTS + uint160(i)), tickets);
            if (ticket < lowest) lowest = ticket;
        }
    }

    /// @dev Seats of two on average of `units` in `parts` identities among `others` identities of one unit, thousandths.
    function _seats(uint256 parts, uint256 units, uint256 others, uint256 draws)
        private
        view
        returns (uint256 held)
    {
        uint256[] memory tickets = new uint256[](parts + others);
        for (uint256 i = 0; i < tickets.length; ++i) {
            tickets[i] = i < parts ? units / parts : 1;
        }
        for (uint256 n = 0; n < draws; ++n) {
            uint256 free = _free();
            uint256[] memory order = TicketBook.lowest(TicketBook.seedOf(n), PARTS, tickets, 2);
            for (uint256 i = 0; i < 2; ++i) {
                if (order[i] < parts) ++held;
            }
            _setFree(free);
        }
        return held * 1000 / draws;
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
