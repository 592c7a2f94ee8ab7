// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title CountsLib
/// @notice Adds up 96 counts of two bytes, sixteen at a time in one word.
/// @dev A word holds 16 lanes of 16 bits. Two additions fold it into 8 lanes of 32 bits (even and odd lanes), which six words
/// cannot overflow: 12 * 65,535 < 2^32. One multiplication by 0x00000001 in every lane adds the eight lanes into the top one, and
/// 96 * 65,535 < 2^32 fits it too.
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
    uint256 private constant WIDE = 0x0000000100000001000000010000000100000001000000010000000100000001;

    /// @notice Sum of the 192 bytes at `offset` of the calldata.
    function sum(uint256 offset) internal pure returns (uint256 total) {
        assembly ("memory-safe") {
            let wide := 0
            for { let end := add(offset, BYTES) } lt(offset, end) { offset := add(offset, 32) } {
                let word := calldataload(offset)
                wide := add(wide, add(and(word, EVEN), and(shr(16, word), EVEN)))
            }
            total := shr(224, mul(wide, WIDE))
        }
    }

    /// @notice The same, and whether every count is at most `cap`.
    /// @param cap At most `MAX_CAP`.
    function sumCapped(uint256 offset, uint256 cap) internal pure returns (uint256 total, bool within) {
        assembly ("memory-safe") {
            let wide := 0
            let above := 0
            let slack := mul(sub(MAX_CAP, cap), LANES)
            for { let end := add(offset, BYTES) } lt(offset, end) { offset := add(offset, 32) } {
                let word := calldataload(offset)
                above := or(above, or(word, add(word, slack)))
                wide := add(wide, add(and(word, EVEN), and(shr(16, word), EVEN)))
            }
            total := shr(224, mul(wide, WIDE))
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
