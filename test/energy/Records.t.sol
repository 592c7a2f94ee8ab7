// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {MeterStatus, MeterView, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice What the ledger takes of an honest device, and what it adds up.
/// forge-config: default.evm_version = "osaka"
contract RecordsTest is EnergyBase {
    using RecordMaker for Draft;

    function setUp() public override {
        super.setUp();
        _registerMeter(0);
    }

    function test_precompileIsThere() public view {
        assertTrue(ledger.verifierWorks(), "0x100 confirms RFC 6979's signature");
    }

    function test_meteredDayCountsProductionLessConsumption() public {
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        vm.expectEmit(address(ledger));
        emit IEnergyLedger.DayRecorded(_worker(0), d.day, 960, 384, 576);
        _submit(0, d);

        MeterView memory v = _state(0);
        assertEq(v.state.netWh, 576, "net");
        assertEq(v.state.attestedDays, 1, "days");
        assertEq(v.state.day, d.day, "day");
        assertEq(v.state.counterWh, 960, "counter");
        bytes32 digest = RecordMaker.digest(address(ledger), block.chainid, bytes24(0), d.pack());
        assertEq(v.link, bytes24(digest), "the next record is chained to this one");
        assertEq(ledger.dayOf(_worker(0), d.day).netWh, 576, "kept by day");
    }

    function test_withoutConsumptionCountsTheDeclaredLoadIsCharged() public {
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Production);
        d.between(40, 60, 20);
        _submit(0, d);
        assertEq(ledger.netOf(_worker(0)), int256(400) - int256(uint256(ASSUMED_WATTS)) * 24, "net");
    }

    function test_windowDropsWhatIsOlderThanThirtyDays() public {
        for (uint16 i = 0; i < 40; ++i) {
            _day(0, 10 + i % 7, 4);
        }
        int256 expected = 0;
        for (uint16 i = 10; i < 40; ++i) {
            expected += int256(uint256(10 + i % 7)) * 96 - 384;
        }
        assertEq(ledger.netOf(_worker(0)), expected, "the last 30 days");
        assertEq(_state(0).state.attestedDays, 30, "days");
    }

    function test_gapRecordContinuesTheChainAndCountsZero() public {
        _day(0, 10, 4);
        skip(10 days);
        Draft memory d = _draft(0, RecordKind.Gap);
        uint16 first = d.day;
        (d.day, d.sequence) = (_today() - 1, d.sequence + _today() - 1 - first);
        vm.expectEmit(address(ledger));
        emit IEnergyLedger.GapRecorded(_worker(0), d.day, first, 576);
        _submit(0, d);
        assertEq(_state(0).state.attestedDays, 1, "a gap attests nothing");
        _day(0, 10, 4);
        assertEq(ledger.netOf(_worker(0)), 2 * 576, "both days count");
    }

    function test_gapTakesOldDaysOutOfTheWindow() public {
        for (uint256 i = 0; i < 5; ++i) {
            _day(0, 10, 4);
        }
        _gap(0, 27);
        // The window of 30 days holds the gap and the last three days before it.
        assertEq(_state(0).state.attestedDays, 3, "days left");
        assertEq(ledger.netOf(_worker(0)), 3 * 576, "net of them");
        _gap(0, 2000);
        assertEq(_state(0).state.attestedDays, 0, "none left");
        assertEq(ledger.netOf(_worker(0)), 0, "nothing left");
        _day(0, 10, 4);
        assertEq(ledger.netOf(_worker(0)), 576, "old entries in the ring count no more");
    }

    function test_energyOfAGapCannotBeClaimedLater() public {
        _day(0, 10, 4);
        _endDay(0);
        Draft memory gap = _draft(0, RecordKind.Gap);
        gap.counterWh += 500;
        _submit(0, gap);
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        d.counterWh = gap.counterWh + 959;
        _refused(
            RecordMaker.signed(ledger, _keyOf(0), d),
            abi.encodeWithSelector(IEnergyLedger.CountsAboveCounter.selector, 960, 959)
        );
    }

    function test_counterThatBeganAnewOpensAnEpoch() public {
        _day(0, 10, 4);
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        (d.counterEpoch, d.counterWh) = (1, 0);
        d.flat(5, 4);
        _submit(0, d);
        assertEq(_state(0).state.counterEpoch, 1, "epoch");
        assertEq(_state(0).state.counterWh, 480, "counter");
    }

    function test_daysMayComeLateButInOrder() public {
        skip(20 days);
        for (uint256 i = 0; i < 20; ++i) {
            _day(0, 10, 4);
        }
        assertEq(_state(0).state.day, _today() - 1, "caught up");
        assertEq(ledger.netOf(_worker(0)), 20 * 576, "all count");
    }

    function test_positiveNeedsDaysFreshnessAndNoDeficit() public {
        assertFalse(ledger.isPositive(_worker(0)), "no record yet");
        _day(0, 10, 4);
        _day(0, 10, 4);
        assertFalse(ledger.isPositive(_worker(0)), "too few days");
        _day(0, 10, 22);
        assertEq(ledger.netOf(_worker(0)), 0, "balanced");
        assertTrue(ledger.isPositive(_worker(0)), "not negative is enough");
        _day(0, 0, 1);
        assertFalse(ledger.isPositive(_worker(0)), "a deficit");
        _day(0, 2, 1);
        assertTrue(ledger.isPositive(_worker(0)), "made up for");
        vm.warp((uint256(_state(0).state.day) + FRESH_DAYS) * 1 days + 1 days - 1);
        assertTrue(ledger.isPositive(_worker(0)), "just fresh");
        skip(1);
        assertFalse(ledger.isPositive(_worker(0)), "silent too long");
        assertFalse(ledger.isPositive(_worker(1)), "no meter at all");
    }

    function test_netMayBeNegativeAndGrowsBack() public {
        for (uint256 i = 0; i < 35; ++i) {
            _day(0, 0, 30);
        }
        assertEq(ledger.netOf(_worker(0)), -30 * 96 * 30, "deep in deficit");
        for (uint256 i = 0; i < 30; ++i) {
            _day(0, CAP, 0);
        }
        assertEq(ledger.netOf(_worker(0)), int256(uint256(CAP)) * 96 * 30, "and out of it");
    }

    function testFuzz_sumsEqualThePlainLoop(uint256 seed, bool metered) public {
        _endDay(0);
        Draft memory d = _draft(0, metered ? RecordKind.Metered : RecordKind.Production);
        (uint256 production, uint256 consumption) = (0, 0);
        for (uint256 i = 0; i < 96; ++i) {
            d.production[i] = uint16(uint256(keccak256(abi.encode(seed, i))) % (CAP + 1));
            d.consumption[i] = uint16(uint256(keccak256(abi.encode(seed, i, "c"))));
            production += d.production[i];
            consumption += d.consumption[i];
        }
        if (!metered) consumption = uint256(ASSUMED_WATTS) * 24;
        d.counterWh = uint48(production);
        _submit(0, d);
        assertEq(ledger.netOf(_worker(0)), int256(production) - int256(consumption), "net");
    }

    /// @dev A gap over the next `count` days.
    function _gap(uint256 w, uint16 count) internal {
        Draft memory d = _draft(w, RecordKind.Gap);
        (d.day, d.sequence) = (d.day + count - 1, d.sequence + count - 1);
        if (block.timestamp / 1 days <= d.day) vm.warp((uint256(d.day) + 1) * 1 days);
        _submit(w, d);
    }
}
