// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title CountsLib
/// @notice Adds up 96 counts of two bytes, sixteen at a time in one word.
/// @dev A word holds 16 lanes of 16 bits. Two additions fold it into 8 lanes of 32 bits (even and odd lanes), which six words
/// cannot overflow: 12 * 65,535 < 2^32. 2^32 leaves one when divided by 2^32 - 1, so the remainder of the word is the sum of its eight
/// lanes: 96 * 65,535 is smaller. No loops: every day pays for them.
///
/// The cap: with c <= 0x7fff and a lane x <= 0x7fff, x + (0x7fff - c) has its top bit set exactly if x > c, and never carries
/// into the next lane. A lane with its own top bit set is above every cap; `x | (x + (0x7fff - c))` has the bit in both cases: a
/// carry can come only out of a lane that has it already.
library CountsLib {
    /// @notice Quarter hours of a day.
    uint256 internal constant SLOTS = 96;
    /// @notice Bytes of a day's counts.
    uint256 internal constant BYTES = 192;
    /// @notice The largest cap that the comparison can hold.
    uint256 internal constant MAX_CAP = 0x7fff;

    uint256 private constant LANES = 0x0001000100010001000100010001000100010001000100010001000100010001;
    uint256 private constant TOPS = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 private constant EVEN = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant MAX_LANE = 0xffffffff;

    /// @notice Sum of the 192 bytes at `offset` of the calldata.
    function sum(uint256 offset) internal pure returns (uint256 total) {
        assembly ("memory-safe") {
            let word := calldataload(offset)
            let even := and(word, EVEN)
            let wide := add(even, shr(16, sub(word, even)))
            word := calldataload(add(offset, 32))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 64))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 96))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 128))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 160))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            total := mod(wide, MAX_LANE)
        }
    }

    /// @notice The same, and whether every count is at most `cap`.
    /// @param cap At most `MAX_CAP`.
    function sumCapped(uint256 offset, uint256 cap) internal pure returns (uint256 total, bool within) {
        assembly ("memory-safe") {
            let slack := mul(sub(MAX_CAP, cap), LANES)
            let word := calldataload(offset)
            let above := or(word, add(word, slack))
            let even := and(word, EVEN)
            let wide := add(even, shr(16, sub(word, even)))
            word := calldataload(add(offset, 32))
            above := or(above, or(word, add(word, slack)))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 64))
            above := or(above, or(word, add(word, slack)))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 96))
            above := or(above, or(word, add(word, slack)))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 128))
            above := or(above, or(word, add(word, slack)))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            word := calldataload(add(offset, 160))
            above := or(above, or(word, add(word, slack)))
            even := and(word, EVEN)
            wide := add(wide, add(even, shr(16, sub(word, even))))
            total := mod(wide, MAX_LANE)
            within := iszero(and(above, TOPS))
        }
    }

    /// @notice The first count above `cap`, for an error: slow, and only read where there is one.
    function firstAbove(uint256 offset, uint256 cap) internal pure returns (uint256 slot, uint256 count) {
        for (slot = 0; slot < SLOTS; ++slot) {
            count = countAt(offset, slot);
            if (count > cap) break;
        }
    }

    /// @notice One count.
    function countAt(uint256 offset, uint256 slot) internal pure returns (uint256 count) {
        assembly ("memory-safe") {
            count := shr(240, calldataload(add(offset, mul(2, slot))))
        }
    }
}
