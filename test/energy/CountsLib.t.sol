// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {CountsLib} from "../../contracts/libraries/CountsLib.sol";

/// @notice Sixteen counts at a time against one by one.
contract CountsLibTest is Test {
    function sum(bytes calldata data) external pure returns (uint256) {
        return CountsLib.sum(_offset(data));
    }

    function sumCapped(bytes calldata data, uint256 cap) external pure returns (uint256, bool) {
        return CountsLib.sumCapped(_offset(data), cap);
    }

    function firstAbove(bytes calldata data, uint256 cap) external pure returns (uint256, uint256) {
        return CountsLib.firstAbove(_offset(data), cap);
    }

    function testFuzz_equalsThePlainLoop(bytes32[6] memory words, uint16 cap, uint8 shift) public view {
        cap = uint16(bound(cap, 0, CountsLib.MAX_CAP));
        // Small counts too, so that days without any above the cap are among them.
        bytes memory data;
        for (uint256 i = 0; i < 6; ++i) {
            data = bytes.concat(data, _lower(words[i], shift % 17));
        }
        _compare(data, cap);
    }

    /// @dev Every lane at the edges of the cap, alone and with full or empty neighbours.
    function test_edgesOfTheCapInEveryLane() public view {
        uint16[5] memory caps = [uint16(0), 1, 34, 0x7ffe, 0x7fff];
        for (uint256 c = 0; c < caps.length; ++c) {
            uint16[6] memory values = [0, caps[c], caps[c] + 1, 0x7fff, 0x8000, 0xffff];
            for (uint256 slot = 0; slot < 96; slot += 5) {
                for (uint256 v = 0; v < values.length; ++v) {
                    bytes memory data = new bytes(192);
                    _set(data, slot, values[v]);
                    _compare(data, caps[c]);
                    _set(data, (slot + 1) % 96, caps[c]);
                    _compare(data, caps[c]);
                }
            }
        }
    }

    function test_fullCountsDoNotOverflow() public view {
        bytes memory data = new bytes(192);
        for (uint256 i = 0; i < 192; ++i) {
            data[i] = 0xff;
        }
        assertEq(this.sum(data), 96 * 65_535, "sum");
        _compare(data, 0x7fff);
    }

    function _compare(bytes memory data, uint256 cap) private view {
        (uint256 total, bool within) = (0, true);
        (uint256 slot, uint256 count) = (96, 0);
        for (uint256 i = 0; i < 96; ++i) {
            uint256 value = uint256(uint8(data[2 * i])) << 8 | uint8(data[2 * i + 1]);
            total += value;
            if (value > cap && within) (within, slot, count) = (false, i, value);
        }
        (uint256 foundTotal, bool foundWithin) = this.sumCapped(data, cap);
        assertEq(foundTotal, total, "sum");
        assertEq(this.sum(data), total, "sum without a cap");
        assertEq(foundWithin, within, "cap");
        if (within) return;
        (uint256 foundSlot, uint256 foundCount) = this.firstAbove(data, cap);
        assertEq(foundSlot, slot, "first slot above");
        assertEq(foundCount, count, "its count");
    }

    function _lower(bytes32 word, uint8 shift) private pure returns (bytes memory out) {
        out = new bytes(32);
        for (uint256 i = 0; i < 16; ++i) {
            uint16 lane = uint16(uint256(word) >> (16 * i));
            lane = shift == 16 ? 0 : lane >> shift;
            (out[2 * i], out[2 * i + 1]) = (bytes1(uint8(lane >> 8)), bytes1(uint8(lane)));
        }
    }

    function _set(bytes memory data, uint256 slot, uint16 value) private pure {
        (data[2 * slot], data[2 * slot + 1]) = (bytes1(uint8(value >> 8)), bytes1(uint8(value)));
    }

    function _offset(bytes calldata data) private pure returns (uint256 offset) {
        assembly {
            offset := data.offset
        }
    }
}
