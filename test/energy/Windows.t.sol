// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice A window takes off what it added, and nothing else: the ring still holds the days of an earlier registration.
/// forge-config: default.evm_version = "osaka"
contract WindowsTest is EnergyBase {
    using RecordMaker for Draft;

    uint256 private constant NEW_KEY = 0x600d;
    uint256 private constant OLD_DAYS = 3;
    int256 private constant NET = 576;

    uint16 private _firstOld;

    /// @dev Three days under the first registration, then a second one.
    function setUp() public override {
        super.setUp();
        _registerMeter(0);
        _firstOld = _today();
        for (uint256 i = 0; i < OLD_DAYS; ++i) {
            _day(0, 10, 4);
        }
        vm.prank(_worker(0));
        ledger.removeMeter();
        skip(LIABLE_SECS + 1);
        ledger.withdrawBond(_worker(0));
        _registerMeter(0, NEW_KEY, NAMEPLATE);
    }

    function test_daysOfAnEarlierRegistrationAreNotTakenOff() public {
        uint16 first = _state(0).state.day + 1;
        while (_state(0).state.day < _firstOld + WINDOW + OLD_DAYS) {
            uint16 day = _state(0).state.day + 1;
            assertEq(
                ledger.dayOf(_worker(0), _firstOld).netWh, day > _firstOld + WINDOW ? int256(0) : NET, "old"
            );
            _newDay();
            assertEq(_state(0).state.attestedDays, day - first + 1, "days");
            assertEq(ledger.netOf(_worker(0)), int256(uint256(day - first + 1)) * NET, "net");
        }
    }

    function test_daysOfAnEarlierRegistrationAreNotTakenOffByAGap() public {
        _newDay();
        uint16 to = _firstOld + WINDOW + uint16(OLD_DAYS);
        assertLt(to - _state(0).state.day, WINDOW, "the gap walks the ring");
        _gapTo(to);
        assertEq(_state(0).state.attestedDays, 1, "the one day of this registration");
        assertEq(ledger.netOf(_worker(0)), NET, "its net");
    }

    /// @dev The edges of a gap that walks the ring: one day short of the window, the window, one day more.
    function test_gapAsLongAsTheWindowEmptiesIt() public {
        for (uint16 span = WINDOW - 1; span <= WINDOW + 1; ++span) {
            uint256 before = vm.snapshotState();
            _newDay();
            _gapTo(_state(0).state.day + span);
            bool stays = span < WINDOW;
            assertEq(_state(0).state.attestedDays, stays ? 1 : 0, "days");
            assertEq(ledger.netOf(_worker(0)), stays ? NET : int256(0), "net");
            assertTrue(vm.revertToState(before), "back");
        }
    }

    /// @dev A gap longer than the window leaves the ring as it is: what stands in a day's place may be of any window before.
    function test_daysOfAnOlderWindowAreNotTakenOff() public {
        for (uint256 i = 0; i < 3; ++i) {
            _newDay();
        }
        uint16 first = _state(0).state.day - 2;
        _gapTo(first + 2 * uint16(WINDOW) - 1);
        assertEq(ledger.netOf(_worker(0)), 0, "empty");
        _newDay();
        assertEq(_state(0).state.day, first + 2 * uint16(WINDOW), "in the place of the first");
        assertEq(ledger.netOf(_worker(0)), NET, "net");
        assertEq(_state(0).state.attestedDays, 1, "days");
        // Nor by a short gap over the places of the two others.
        _gapTo(first + 2 * uint16(WINDOW) + 3);
        assertEq(ledger.netOf(_worker(0)), NET, "net");
        assertEq(_state(0).state.attestedDays, 1, "days");
    }

    function _gapTo(uint16 day) private {
        Draft memory d = _draft(0, RecordKind.Gap);
        (d.day, d.sequence) = (day, d.sequence + day - d.day);
        vm.warp((uint256(day) + 1) * 1 days);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
    }

    function _newDay() private {
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
    }
}
