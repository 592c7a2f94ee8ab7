// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {EnergyWordsLib} from "../../contracts/libraries/EnergyWordsLib.sol";
import {DayEntry, MeterState, MeterStatus, RecordKind} from "../../contracts/types/EnergyRecord.sol";

/// @notice The packed words are laid out as the compiler lays them out.
contract EnergyWordsLibTest is Test {
    using EnergyWordsLib for MeterState;
    using EnergyWordsLib for DayEntry;

    MeterState private _state;
    DayEntry private _entry;

    function testFuzz_stateIsWhatTheCompilerReadsAndWrites(uint256 a, uint256 b) public {
        MeterState memory s = MeterState({
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
}
