// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {DayEntry, MeterState, MeterStatus, RecordKind} from "../types/EnergyRecord.sol";

/// @notice A `MeterState` as it lies in storage.
type MeterWord is uint256;

/// @notice A `DayEntry` as it lies in storage.
type DayWord is uint256;

/// @title EnergyWordsLib
/// @notice The two packed words of a record: read and written at once, and asked for single fields on the stack. The compiler goes
/// field by field, each with an access of its own, or through memory; a record costs some 7,000 gas less so.
/// @dev The layout is Solidity's for these structs (first field lowest); test/energy/EnergyWordsLib.t.sol holds them together.
library EnergyWordsLib {
    /// @dev Of a meter's word what no record changes: status, fromDay and capWh.
    uint256 private constant FIXED = 0xff | 0xffff << 56 | 0xffff << 136;

    // ------------------------------------------------------------------------------------------------ storage

    function word(MeterState storage place) internal view returns (MeterWord w) {
        assembly ("memory-safe") {
            w := sload(place.slot)
        }
    }

    function setWord(MeterState storage place, MeterWord w) internal {
        assembly ("memory-safe") {
            sstore(place.slot, w)
        }
    }

    function word(DayEntry storage place) internal view returns (DayWord w) {
        assembly ("memory-safe") {
            w := sload(place.slot)
        }
    }

    function setWord(DayEntry storage place, DayWord w) internal {
        assembly ("memory-safe") {
            sstore(place.slot, w)
        }
    }

    /// @notice `s = place`.
    function load(MeterState storage place) internal view returns (MeterState memory s) {
        MeterWord w = word(place);
        s.status = MeterStatus(status(w));
        s.sequence = uint32(sequence(w));
        s.day = uint16(day(w));
        s.fromDay = uint16(fromDay(w));
        s.counterEpoch = uint16(counterEpoch(w));
        s.counterWh = uint48(counterWh(w));
        s.capWh = uint16(capWh(w));
        s.attestedDays = uint8(attestedDays(w));
        s.netWh = int48(netWh(w));
    }

    /// @notice `place = s`.
    function store(MeterState storage place, MeterState memory s) internal {
        uint256 w = uint256(uint8(s.status)) | uint256(s.fromDay) << 56 | uint256(s.capWh) << 136;
        w = MeterWord.unwrap(recorded(MeterWord.wrap(w), s.sequence, s.day, s.counterEpoch, s.counterWh));
        setWord(place, counted(MeterWord.wrap(w), s.attestedDays, s.netWh));
    }

    /// @notice `e = place`.
    function load(DayEntry storage place) internal view returns (DayEntry memory e) {
        DayWord w = word(place);
        e.link = link(w);
        e.day = uint16(day(w));
        e.kind = RecordKind(kind(w));
        e.netWh = int40(netWh(w));
    }

    /// @notice `place = e`.
    function store(DayEntry storage place, DayEntry memory e) internal {
        setWord(place, dayWord(e.link, e.day, e.kind, e.netWh));
    }

    // ------------------------------------------------------------------------------------------------ a meter's word

    function status(MeterWord w) internal pure returns (uint256) {
        return uint8(MeterWord.unwrap(w));
    }

    function sequence(MeterWord w) internal pure returns (uint256) {
        return uint32(MeterWord.unwrap(w) >> 8);
    }

    function day(MeterWord w) internal pure returns (uint256) {
        return uint16(MeterWord.unwrap(w) >> 40);
    }

    function fromDay(MeterWord w) internal pure returns (uint256) {
        return uint16(MeterWord.unwrap(w) >> 56);
    }

    function counterEpoch(MeterWord w) internal pure returns (uint256) {
        return uint16(MeterWord.unwrap(w) >> 72);
    }

    function counterWh(MeterWord w) internal pure returns (uint256) {
        return uint48(MeterWord.unwrap(w) >> 88);
    }

    function capWh(MeterWord w) internal pure returns (uint256) {
        return uint16(MeterWord.unwrap(w) >> 136);
    }

    function attestedDays(MeterWord w) internal pure returns (uint256) {
        return uint8(MeterWord.unwrap(w) >> 152);
    }

    function netWh(MeterWord w) internal pure returns (int256) {
        return int48(uint48(MeterWord.unwrap(w) >> 160));
    }

    /// @notice The word after a record, but for its window, which is empty. The fields are as wide as in a record's head.
    function recorded(MeterWord w, uint256 sequence_, uint256 day_, uint256 epoch, uint256 counter)
        internal
        pure
        returns (MeterWord)
    {
        return MeterWord.wrap(
            MeterWord.unwrap(w) & FIXED | sequence_ << 8 | day_ << 40 | epoch << 72 | counter << 88
        );
    }

    /// @notice Fills in the window that `recorded` left empty.
    function counted(MeterWord w, uint256 attestedDays_, int256 netWh_) internal pure returns (MeterWord) {
        return
            MeterWord.wrap(MeterWord.unwrap(w) | attestedDays_ << 152 | uint256(uint48(int48(netWh_))) << 160);
    }

    // ------------------------------------------------------------------------------------------------ a day's word

    function dayWord(bytes24 link_, uint256 day_, RecordKind kind_, int256 netWh_)
        internal
        pure
        returns (DayWord)
    {
        return DayWord.wrap(
            uint256(uint192(link_)) | day_ << 192 | uint256(kind_) << 208 | uint256(uint40(int40(netWh_)))
                << 216
        );
    }

    function link(DayWord w) internal pure returns (bytes24) {
        return bytes24(uint192(DayWord.unwrap(w)));
    }

    function day(DayWord w) internal pure returns (uint256) {
        return uint16(DayWord.unwrap(w) >> 192);
    }

    function kind(DayWord w) internal pure returns (uint256) {
        return uint8(DayWord.unwrap(w) >> 208);
    }

    function netWh(DayWord w) internal pure returns (int256) {
        return int40(uint40(DayWord.unwrap(w) >> 216));
    }
}
