// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {CountsLib} from "../../contracts/libraries/CountsLib.sol";
import {DayWord, EnergyWordsLib, MeterWord} from "../../contracts/libraries/EnergyWordsLib.sol";
import {WindowLib} from "../../contracts/libraries/WindowLib.sol";
import {DayEntry, MAX_WINDOW_DAYS, RecordKind} from "../../contracts/types/EnergyRecord.sol";

/// @notice Arithmetic of an energy day, for all counts and all words.
contract EnergySymbolic is Test {
    using EnergyWordsLib for DayEntry;
    using EnergyWordsLib for DayWord;
    using EnergyWordsLib for MeterWord;
    using WindowLib for DayEntry[MAX_WINDOW_DAYS];

    uint256 private constant SLOTS = 96;
    /// @dev Most that 96 counts of two bytes come to.
    uint256 private constant MAX_DAY_WH = SLOTS * 65_535;
    uint256 private constant MAX_WINDOW_WH = MAX_WINDOW_DAYS * MAX_DAY_WH;
    uint256 private constant WINDOW = 30;
    uint256 private constant DAY = 20_000;

    DayEntry[MAX_WINDOW_DAYS] private _ring;

    // ------------------------------------------------------------------------------------------------ counts

    /// @dev All 96 counts are unknown; caps of no panel, of a small one, of 100 W, and the largest.
    function check_cap(uint256[6] calldata words) public pure {
        _cap(words, 1);
        _cap(words, 2);
        _cap(words, 34);
        _cap(words, CountsLib.MAX_CAP);
    }

    function testFuzz_cap(uint256[6] calldata words, uint16 cap) public pure {
        _cap(words, cap % (CountsLib.MAX_CAP + 1));
    }

    function _cap(uint256[6] calldata words, uint256 cap) private pure {
        (, bool within) = CountsLib.sumCapped(_offset(words), cap);
        // No branches: there would be 2^96 paths.
        uint256 above = 0;
        for (uint256 i = 0; i < SLOTS; ++i) {
            uint256 count = _lane(words, i);
            assembly {
                above := or(above, gt(count, cap))
            }
        }
        assertEq(within, above == 0, "every count is at most the cap");
    }

    /// @dev One unknown count at each end of the day. The remainder of more is beyond the solver; test/energy/CountsLib.t.sol tries
    /// them at random.
    function check_sum_firstCount(uint256[6] calldata words) public pure {
        vm.assume(words[1] == 0 && words[2] == 0 && words[3] == 0 && words[4] == 0 && words[5] == 0);
        vm.assume(words[0] & (type(uint256).max >> 16) == 0);
        _sum(words);
    }

    function check_sum_lastCount(uint256[6] calldata words) public pure {
        vm.assume(words[0] == 0 && words[1] == 0 && words[2] == 0 && words[3] == 0 && words[4] == 0);
        vm.assume(words[5] <= 0xffff);
        _sum(words);
    }

    function testFuzz_sum(uint256[6] calldata words) public pure {
        _sum(words);
    }

    function _sum(uint256[6] calldata words) private pure {
        uint256 total = 0;
        unchecked {
            for (uint256 i = 0; i < SLOTS; ++i) {
                total += _lane(words, i);
            }
        }
        assertEq(CountsLib.sum(_offset(words)), total, "sum");
        (uint256 capped,) = CountsLib.sumCapped(_offset(words), CountsLib.MAX_CAP);
        assertEq(capped, total, "sum beside a cap");
    }

    // ------------------------------------------------------------------------------------------------ words

    /// @notice A record leaves status, first day and cap as they are, and sets everything else.
    function check_meterWord(uint256 before, uint32[2] memory a, uint16[2] memory b, uint48 c, int48 net)
        public
        pure
    {
        _meterWord(before, a, b, c, net);
    }

    function testFuzz_meterWord(uint256 before, uint32[2] memory a, uint16[2] memory b, uint48 c, int48 net)
        public
        pure
    {
        _meterWord(before, a, b, c, net);
    }

    function _meterWord(uint256 before, uint32[2] memory a, uint16[2] memory b, uint48 counter, int48 net)
        private
        pure
    {
        MeterWord old = MeterWord.wrap(before);
        (uint256 sequence, uint256 attested) = (a[0], a[1] & 0xff);
        MeterWord w = old.recorded(sequence, b[0], b[1], counter).counted(attested, net);
        assertEq(w.status(), old.status(), "status");
        assertEq(w.fromDay(), old.fromDay(), "first day");
        assertEq(w.capWh(), old.capWh(), "cap");
        assertEq(w.sequence(), sequence, "sequence");
        assertEq(w.day(), b[0], "day");
        assertEq(w.counterEpoch(), b[1], "epoch");
        assertEq(w.counterWh(), counter, "counter");
        assertEq(w.attestedDays(), attested, "days");
        assertEq(w.netWh(), net, "net");
    }

    /// @notice Production less consumption keeps its amount and its sign in the day's word.
    function check_dayWord(bytes24 link, uint16 day, uint256 production, uint256 consumption) public pure {
        vm.assume(production <= MAX_DAY_WH && consumption <= MAX_DAY_WH);
        _dayWord(link, day, production, consumption);
    }

    function testFuzz_dayWord(bytes24 link, uint16 day, uint256 production, uint256 consumption) public pure {
        _dayWord(link, day, production % (MAX_DAY_WH + 1), consumption % (MAX_DAY_WH + 1));
    }

    function _dayWord(bytes24 link, uint16 day, uint256 production, uint256 consumption) private pure {
        int256 net = int256(production) - int256(consumption);
        DayWord w = EnergyWordsLib.dayWord(link, day, RecordKind.Metered, net);
        assertEq(w.netWh(), net, "net");
        assertEq(w.netWh() < 0, production < consumption, "its sign");
        assertEq(w.link(), link, "link");
        assertEq(w.day(), day, "day");
        assertEq(w.kind(), uint256(RecordKind.Metered), "kind");
    }

    // ------------------------------------------------------------------------------------------------ window

    /// @notice A day that enters adds its energy, and what stood in its place is taken off exactly if it counted.
    function check_pushDay(uint256 state, uint256 old, uint256 entry) public {
        vm.assume(_stateInRange(state) && _entryInRange(old) && _entryInRange(entry));
        _pushDay(state, old, entry);
    }

    function testFuzz_pushDay(uint256 fromDay, uint256 attested, int256[3] memory nets, uint8[2] memory kinds)
        public
    {
        int256 most = int256(MAX_DAY_WH);
        int256 net = bound(nets[0], -int256(MAX_WINDOW_WH), int256(MAX_WINDOW_WH));
        MeterWord s = MeterWord.wrap(bound(fromDay, DAY - WINDOW - 2, DAY - WINDOW + 2) << 56);
        s = s.counted(bound(attested, 1, MAX_WINDOW_DAYS), net);
        // The day that leaves, and one that left long ago.
        uint256 oldDay = DAY - WINDOW * (1 + kinds[0] / 4 % 2);
        DayWord old = EnergyWordsLib.dayWord(0, oldDay, RecordKind(kinds[0] % 4), bound(nets[1], -most, most));
        DayWord entry = EnergyWordsLib.dayWord(0, DAY, RecordKind(kinds[1] % 4), bound(nets[2], -most, most));
        _pushDay(MeterWord.unwrap(s), DayWord.unwrap(old), DayWord.unwrap(entry));
    }

    function _pushDay(uint256 state, uint256 old, uint256 entry) private {
        MeterWord s = MeterWord.wrap(state);
        DayWord leaving = DayWord.wrap(old);
        DayWord entering = DayWord.wrap(entry & ~(uint256(0xffff) << 192) | DAY << 192);
        _ring[DAY % WINDOW].setWord(leaving);
        (uint256 attested, int256 net) = _ring.pushDay(s, entering, WINDOW);
        bool counted = leaving.day() == DAY - WINDOW && DAY - WINDOW >= s.fromDay()
            && (leaving.kind() == uint256(RecordKind.Production)
                || leaving.kind() == uint256(RecordKind.Metered));
        assertEq(net, s.netWh() + entering.netWh() - (counted ? leaving.netWh() : int256(0)), "net");
        assertEq(attested, s.attestedDays() + 1 - (counted ? 1 : 0), "days");
        assertEq(DayWord.unwrap(_ring[DAY % WINDOW].word()), DayWord.unwrap(entering), "in its place");
        // What the account's word keeps of it is all of it.
        assertEq(s.recorded(0, 0, 0, 0).counted(0, net).netWh(), net, "fits");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _stateInRange(uint256 state) private pure returns (bool) {
        MeterWord s = MeterWord.wrap(state);
        return s.netWh() <= int256(MAX_WINDOW_WH) && s.netWh() >= -int256(MAX_WINDOW_WH)
            && s.attestedDays() != 0 && s.attestedDays() <= MAX_WINDOW_DAYS;
    }

    function _entryInRange(uint256 entry) private pure returns (bool) {
        DayWord e = DayWord.wrap(entry);
        return e.netWh() <= int256(MAX_DAY_WH) && e.netWh() >= -int256(MAX_DAY_WH)
            && e.kind() <= uint256(RecordKind.Gap);
    }

    function _lane(uint256[6] calldata words, uint256 slot) private pure returns (uint256 count) {
        assembly {
            count := and(
                shr(sub(240, mul(16, mod(slot, 16))), calldataload(add(words, mul(32, div(slot, 16))))),
                0xffff
            )
        }
    }

    function _offset(uint256[6] calldata words) private pure returns (uint256 offset) {
        assembly {
            offset := words
        }
    }
}
