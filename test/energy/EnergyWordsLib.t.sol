// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {DayWord, EnergyWordsLib, MeterWord} from "../../contracts/libraries/EnergyWordsLib.sol";
import {DayEntry, MeterState, MeterStatus, RecordKind} from "../../contracts/types/EnergyRecord.sol";

/// @notice The packed words are laid out as the compiler lays them out.
contract EnergyWordsLibTest is Test {
    using EnergyWordsLib for MeterState;
    using EnergyWordsLib for DayEntry;
    using EnergyWordsLib for MeterWord;
    using EnergyWordsLib for DayWord;

    MeterState private _state;
    DayEntry private _entry;

    function testFuzz_stateIsWhatTheCompilerReadsAndWrites(uint256 a, uint256 b) public {
        MeterState memory s = _stateOf(a, b);
        _state.store(s);
        MeterState memory compiler = _state;
        assertEq(abi.encode(compiler), abi.encode(s), "the compiler reads what the library wrote");
        delete _state;
        _state = s;
        assertEq(abi.encode(_state.load()), abi.encode(s), "the library reads what the compiler wrote");
    }

    function testFuzz_entryIsWhatTheCompilerReadsAndWrites(bytes24 link, uint16 day, uint8 kind, int40 netWh)
        public
    {
        DayEntry memory e = DayEntry({link: link, day: day, kind: RecordKind(kind % 4), netWh: netWh});
        _entry.store(e);
        DayEntry memory compiler = _entry;
        assertEq(abi.encode(compiler), abi.encode(e), "the compiler reads what the library wrote");
        delete _entry;
        _entry = e;
        assertEq(abi.encode(_entry.load()), abi.encode(e), "the library reads what the compiler wrote");
    }

    /// @notice A record leaves status, first day and cap as they are, and sets everything else.
    function testFuzz_aRecordChangesWhatItMayAndNothingElse(
        uint256[2] memory before,
        uint256[2] memory record
    ) public {
        MeterState memory s = _stateOf(before[0], before[1]);
        MeterState memory r = _stateOf(record[0], record[1]);
        _state.store(s);
        MeterWord w = _state.word().recorded(r.sequence, r.day, r.counterEpoch, r.counterWh);
        _state.setWord(w.counted(r.attestedDays, r.netWh));
        (r.status, r.fromDay, r.capWh) = (s.status, s.fromDay, s.capWh);
        MeterState memory compiler = _state;
        assertEq(abi.encode(compiler), abi.encode(r), "as the compiler reads it");
    }

    function testFuzz_fieldsOnTheStackAreTheCompilers(uint256 a, uint256 b, bytes24 link, int40 net) public {
        MeterState memory s = _stateOf(a, b);
        DayEntry memory e = DayEntry({link: link, day: uint16(b >> 100), kind: RecordKind(b % 4), netWh: net});
        (_state, _entry) = (s, e);
        MeterWord w = _state.word();
        assertEq(w.status(), uint256(s.status), "status");
        assertEq(w.sequence(), s.sequence, "sequence");
        assertEq(w.day(), s.day, "day");
        assertEq(w.fromDay(), s.fromDay, "fromDay");
        assertEq(w.counterEpoch(), s.counterEpoch, "epoch");
        assertEq(w.counterWh(), s.counterWh, "counter");
        assertEq(w.capWh(), s.capWh, "cap");
        assertEq(w.attestedDays(), s.attestedDays, "days");
        assertEq(w.netWh(), s.netWh, "net");
        DayWord d = _entry.word();
        assertEq(d.link(), e.link, "link");
        assertEq(d.day(), e.day, "day");
        assertEq(d.kind(), uint256(e.kind), "kind");
        assertEq(d.netWh(), e.netWh, "net of the day");
    }

    function _stateOf(uint256 a, uint256 b) private pure returns (MeterState memory) {
        return MeterState({
            status: MeterStatus(a % 4),
            sequence: uint32(a >> 8),
            day: uint16(a >> 40),
            fromDay: uint16(a >> 56),
            counterEpoch: uint16(a >> 72),
            counterWh: uint48(a >> 88),
            capWh: uint16(a >> 136),
            attestedDays: uint8(a >> 152),
            netWh: int48(uint48(b))
        });
    }
}
