// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {DayEntry, MeterState, MeterStatus, RecordKind} from "../types/EnergyRecord.sol";

/// @title EnergyWordsLib
/// @notice Reads and writes the two packed words of a record at once. The compiler goes field by field, each with an access of its
/// own, which costs a record some 3,000 gas.
/// @dev The layout is Solidity's for these structs (first field lowest); test/energy/EnergyWordsLib.t.sol holds them together.
library EnergyWordsLib {
    /// @notice `s = place`.
    function load(MeterState storage place) internal view returns (MeterState memory s) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(place.slot)
        }
        s.status = MeterStatus(uint8(word));
        s.sequence = uint32(word >> 8);
        s.day = uint16(word >> 40);
        s.fromDay = uint16(word >> 56);
        s.counterEpoch = uint16(word >> 72);
        s.counterWh = uint48(word >> 88);
        s.capWh = uint16(word >> 136);
        s.attestedDays = uint8(word >> 152);
        s.netWh = int48(uint48(word >> 160));
    }

    /// @notice `place = s`.
    function store(MeterState storage place, MeterState memory s) internal {
        uint256 word = uint256(uint8(s.status)) | uint256(s.sequence) << 8 | uint256(s.day) << 40
            | uint256(s.fromDay) << 56 | uint256(s.counterEpoch) << 72;
        word |= uint256(s.counterWh) << 88 | uint256(s.capWh) << 136 | uint256(s.attestedDays) << 152
        | uint256(uint48(s.netWh)) << 160;
        assembly ("memory-safe") {
            sstore(place.slot, word)
        }
    }

    /// @notice `e = place`.
    function load(DayEntry storage place) internal view returns (DayEntry memory e) {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(place.slot)
        }
        e.link = bytes24(uint192(word));
        e.day = uint16(word >> 192);
        e.kind = RecordKind(uint8(word >> 208));
        e.netWh = int40(uint40(word >> 216));
    }

    /// @notice `place = e`.
    function store(DayEntry storage place, DayEntry memory e) internal {
        uint256 word = uint256(uint192(e.link)) | uint256(e.day) << 192 | uint256(uint8(e.kind)) << 208
            | uint256(uint40(e.netWh)) << 216;
        assembly ("memory-safe") {
            sstore(place.slot, word)
        }
    }
}
