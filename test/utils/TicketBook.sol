// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {DrawLib} from "../../contracts/libraries/DrawLib.sol";

/// @title TicketBook
/// @notice The real draw, computed for many seeds: `DrawLib` on identities with so many tickets each.
library TicketBook {
    /// @notice The seed that the `n`-th simulated agreement draws from.
    function seedOf(uint256 n) internal view returns (bytes32 seed) {
        uint256 free = _mark();
        seed = DrawLib.drawSeed(keccak256(abi.encode("simulated round", n)), address(0xA9ee), 0, 0);
        _reset(free);
    }

    /// @notice Lowest ticket of `who`.
    function best(bytes32 seed, address who, uint256 tickets) internal pure returns (uint256 least) {
        (least,) = find(seed, who, tickets);
    }

    /// @notice Lowest ticket of `who`, and which one it is.
    function find(bytes32 seed, address who, uint256 tickets)
        internal
        pure
        returns (uint256 least, uint256 index)
    {
        least = type(uint256).max;
        uint256 free = _mark();
        for (uint256 j = 0; j < tickets; ++j) {
            uint256 ticket = DrawLib.ticket(seed, who, j);
            if (ticket < least) (least, index) = (ticket, j);
            _reset(free);
        }
    }

    /// @notice Identities by their lowest tickets, ascending: who holds the first `count` slots.
    /// @param first The identities are `first`, `first` + 1, …
    function lowest(bytes32 seed, uint160 first, uint256[] memory tickets, uint256 count)
        internal
        pure
        returns (uint256[] memory order)
    {
        uint256[] memory bests = new uint256[](tickets.length);
        order = new uint256[](count);
        for (uint256 i = 0; i < tickets.length; ++i) {
            bests[i] = best(seed, address(first + uint160(i)), tickets[i]);
        }
        for (uint256 n = 0; n < count; ++n) {
            uint256 next = 0;
            for (uint256 i = 1; i < bests.length; ++i) {
                if (bests[i] < bests[next]) next = i;
            }
            (order[n], bests[next]) = (next, type(uint256).max);
        }
    }

    /// @dev Hundreds of thousands of tickets would make memory dearer than they are.
    function _mark() private pure returns (uint256 free) {
        assembly ("memory-safe") {
            free := mload(0x40)
        }
    }

    /// @dev What lies behind was the preimage of a ticket, which nobody reads again.
    function _reset(uint256 free) private pure {
        assembly {
            mstore(0x40, free)
        }
    }
}
