// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {EnergyLedger} from "../../contracts/energy/EnergyLedger.sol";
import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {
    EnergyParams,
    Meter,
    MeterStatus,
    MeterView,
    RecordKind
} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice Registering a meter, replacing its key, taking it out, and the way of its bond.
/// forge-config: default.evm_version = "osaka"
contract MetersTest is EnergyBase {
    using RecordMaker for Draft;

    uint256 private constant NEW_KEY = 0x600d;

    function test_registeringTakesTheBondAndBeginsToday() public {
        _registerMeter(0);
        MeterView memory v = _state(0);
        assertEq(uint8(v.state.status), uint8(MeterStatus.Active), "status");
        assertEq(v.state.fromDay, _today(), "nothing before today counts");
        assertEq(v.state.capWh, CAP, "cap of a quarter hour");
        assertEq(v.meter.country, bytes2("US"), "country");
        assertEq(v.meter.latitudeDecidegrees, 397, "latitude");
        assertEq(v.meter.longitudeDecidegrees, -1052, "longitude");
        assertEq(v.bond, BOND, "bond");
        assertEq(token.balanceOf(address(ledger)), BOND, "held by the ledger");
        assertEq(ledger.workerOfKey(_hashOf(_keyOf(0))), _worker(0), "the key serves this worker");
    }

    function test_RevertWhen_theCallerIsNoWorker() public {
        Meter memory m = RecordMaker.meter(1, NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, 1, stranger, m);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.NotAWorker.selector, stranger));
        ledger.register(m, binding);
        // A machine's hot key is none either.
        address device = workers[0].device;
        binding = RecordMaker.binding(ledger, 1, device, m);
        vm.prank(device);
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.NotAWorker.selector, device));
        ledger.register(m, binding);
    }

    function test_RevertWhen_theDeviceDidNotSignTheWorkersAddress() public {
        _allowBond(_worker(1));
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        vm.prank(_worker(1));
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        ledger.register(m, binding);
    }

    function test_RevertWhen_theMeterIsDescribedOtherwiseThanSigned() public {
        _allowBond(_worker(0));
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        m.nameplateWatts *= 2;
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        ledger.register(m, binding);
    }

    function test_RevertWhen_oneMeterShallServeTwoWorkers() public {
        _registerMeter(0);
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(1), m);
        _allowBond(_worker(1));
        vm.prank(_worker(1));
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.MeterKeyUsed.selector, _hashOf(_keyOf(0)), _worker(0))
        );
        ledger.register(m, binding);
    }

    function test_RevertWhen_aWorkerHasAMeterAlready() public {
        _registerMeter(0);
        Meter memory m = RecordMaker.meter(NEW_KEY, NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, NEW_KEY, _worker(0), m);
        vm.prank(_worker(0));
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.MeterBusy.selector, _worker(0), MeterStatus.Active)
        );
        ledger.register(m, binding);
    }

    function test_RevertWhen_theNameplateIsOutOfRange() public {
        uint32[2] memory wrong = [uint32(0), 97_001];
        for (uint256 i = 0; i < 2; ++i) {
            Meter memory m = RecordMaker.meter(_keyOf(0), wrong[i]);
            bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
            vm.prank(_worker(0));
            vm.expectRevert(
                abi.encodeWithSelector(IEnergyLedger.NameplateOutOfRange.selector, wrong[i], 1, 97_000)
            );
            ledger.register(m, binding);
        }
    }

    function test_RevertWhen_thereIsNoSuchPlace() public {
        int16[2][6] memory wrong = [
            [int16(901), 0],
            [int16(-901), 0],
            [int16(0), 1801],
            [int16(0), -1801],
            [type(int16).min, type(int16).min],
            [type(int16).max, type(int16).max]
        ];
        for (uint256 i = 0; i < wrong.length; ++i) {
            _refusedPlace(wrong[i][0], wrong[i][1]);
        }
    }

    function testFuzz_placesOnEarthAreTakenAndNoOthers(int16 latitude, int16 longitude) public {
        bool onEarth = latitude >= -900 && latitude <= 900 && longitude >= -1800 && longitude <= 1800;
        if (!onEarth) return _refusedPlace(latitude, longitude);
        _registerAt(latitude, longitude);
    }

    function test_theEndsOfTheEarthAreTaken() public {
        _registerAt(-900, 1800);
        assertEq(_state(0).meter.longitudeDecidegrees, 1800, "taken");
    }

    function test_RevertWhen_aReplacedMeterHasNoSuchPlace() public {
        _registerMeter(0);
        Meter memory m = RecordMaker.meter(NEW_KEY, NAMEPLATE);
        m.latitudeDecidegrees = 901;
        bytes memory binding = RecordMaker.binding(ledger, NEW_KEY, _worker(0), m);
        vm.prank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.CoordinatesOutOfRange.selector, 901, -1052));
        ledger.replaceKey(m, binding);
    }

    function test_theLargestNameplateKeepsItsCap() public {
        _registerMeter(0, _keyOf(0), 97_000);
        assertEq(_state(0).state.capWh, 32_738, "97,000 * 135 / 400, and one");
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Production);
        d.between(0, 96, 32_738);
        _submit(0, d);
        assertEq(ledger.netOf(_worker(0)), 96 * 32_738 - 192, "net");
    }

    function test_RevertWhen_theBindingHasTheWrongLength() public {
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        vm.prank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.RecordLength.selector, 65, 64));
        ledger.register(m, new bytes(65));
    }

    function test_RevertWhen_theTokenKeepsAFeeOfTheBond() public {
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        _allowBond(_worker(0));
        // A token that says yes and moves nothing.
        vm.mockCall(address(token), abi.encodeWithSelector(token.transferFrom.selector), abi.encode(true));
        vm.prank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.BondShort.selector, 0, BOND));
        ledger.register(m, binding);
    }

    /// @dev Bonds of others are no part of what was received.
    function test_RevertWhen_theTokenMovesOtherThanTheBond() public {
        _registerMeter(1);
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        _allowBond(_worker(0));
        uint96[4] memory moved = [uint96(0), 1, BOND - 1, BOND + 1];
        for (uint256 i = 0; i < moved.length; ++i) {
            bytes[] memory balances = new bytes[](2);
            (balances[0], balances[1]) = (abi.encode(BOND), abi.encode(BOND + moved[i]));
            vm.mockCalls(address(token), abi.encodeCall(token.balanceOf, (address(ledger))), balances);
            vm.prank(_worker(0));
            vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.BondShort.selector, moved[i], BOND));
            ledger.register(m, binding);
            vm.clearMockedCalls();
        }
    }

    // ------------------------------------------------------------------------------------------------ replacing

    function test_replacedKeyKeepsTheHistory() public {
        _registerMeter(0);
        _day(0, 10, 4);
        MeterView memory before = _state(0);
        _replaceKey(0, NEW_KEY);
        MeterView memory v = _state(0);
        assertEq(v.state.netWh, before.state.netWh, "net");
        assertEq(v.state.sequence, before.state.sequence, "sequence");
        assertEq(v.link, before.link, "link");

        skip(5 days);
        // The new device knows nothing but the chain: a gap, with a counter of its own, then days.
        Draft memory d = _draft(0, RecordKind.Gap);
        (d.day, d.sequence) = (d.day + 3, d.sequence + 3);
        (d.counterEpoch, d.counterWh) = (1, 0);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
        d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
        assertEq(ledger.netOf(_worker(0)), 2 * 576, "old and new days");
    }

    /// @dev Finding: a thief, or a fault, that drove the counter to its end left a meter that could never record again, under no
    /// key and in no later registration.
    function test_counterDrivenToItsEndBindsNoOtherDevice() public {
        _registerMeter(0);
        _day(0, 10, 4);
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Gap);
        (d.counterEpoch, d.counterWh) = (type(uint16).max, type(uint48).max);
        _submit(0, d);
        _replaceKey(0, NEW_KEY);
        assertEq(_state(0).state.counterEpoch, 0, "a new device's counter");
        skip(1 days);
        d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
        assertEq(ledger.netOf(_worker(0)), 2 * 576, "history goes on");

        skip(1 days);
        d = _draft(0, RecordKind.Gap);
        (d.counterEpoch, d.counterWh) = (type(uint16).max, type(uint48).max);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
        vm.prank(_worker(0));
        ledger.removeMeter();
        skip(LIABLE_SECS + 1);
        ledger.withdrawBond(_worker(0));
        _registerMeter(0, 0x0ddba11, NAMEPLATE);
        skip(1 days);
        d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        _submit(RecordMaker.signed(ledger, 0x0ddba11, d));
        assertEq(ledger.netOf(_worker(0)), 576, "nor the next registration");
    }

    function test_devicesKeepTheirDays() public {
        _registerMeter(0);
        uint16 first = _today();
        _replaceKey(0, NEW_KEY);
        assertEq(ledger.deviceOn(_worker(0), first).keyHash, _hashOf(NEW_KEY), "the first recorded nothing");
        assertEq(ledger.deviceOn(_worker(0), first - 1).keyHash, _hashOf(NEW_KEY), "not even before");
        skip(1 days);
        _submit(RecordMaker.signed(ledger, NEW_KEY, _draft(0, RecordKind.Metered)));
        _replaceKey(0, 0xa);
        _replaceKey(0, 0xb);
        skip(1 days);
        _submit(RecordMaker.signed(ledger, 0xb, _draft(0, RecordKind.Metered)));
        _replaceKey(0, 0xc);
        assertEq(ledger.deviceOn(_worker(0), first).keyHash, _hashOf(NEW_KEY), "day one");
        assertEq(ledger.deviceOn(_worker(0), first).lastDay, first, "until then");
        assertEq(ledger.deviceOn(_worker(0), first + 1).keyHash, _hashOf(0xb), "day two");
        assertEq(ledger.deviceOn(_worker(0), first + 2).keyHash, _hashOf(0xc), "from now on");
        assertEq(ledger.deviceOn(_worker(0), first + 2).lastDay, 0, "in use");
        assertEq(ledger.deviceOn(_worker(0), first + 2).operationalDay, first, "registered");
    }

    /// @dev Each would be a step of every later look at the day.
    function test_devicesThatRecordedNothingAreForgotten() public {
        _registerMeter(0);
        uint16 first = _today();
        skip(1 days);
        _submit(0, _draft(0, RecordKind.Metered));
        _replaceKey(0, NEW_KEY);
        uint256 cost = _costOfDeviceOn(first);
        for (uint256 i = 1; i <= 20; ++i) {
            _replaceKey(0, i);
        }
        assertApproxEqAbs(_costOfDeviceOn(first), cost, 500, "gas");
        assertEq(ledger.deviceOn(_worker(0), first).keyHash, _hashOf(_keyOf(0)), "the day's own");
    }

    function test_RevertWhen_theOldKeySigns() public {
        _registerMeter(0);
        _replaceKey(0, NEW_KEY);
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        bytes memory signed = RecordMaker.signed(ledger, _keyOf(0), d);
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _submit(signed);
    }

    function test_RevertWhen_aReplacedKeyComesBack() public {
        _registerMeter(0);
        _replaceKey(0, NEW_KEY);
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        vm.prank(_worker(0));
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.MeterKeyUsed.selector, _hashOf(_keyOf(0)), _worker(0))
        );
        ledger.replaceKey(m, binding);
    }

    function test_RevertWhen_aStrangerReplacesAKey() public {
        _registerMeter(0);
        Meter memory m = RecordMaker.meter(NEW_KEY, NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, NEW_KEY, stranger, m);
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.NoActiveMeter.selector, stranger, MeterStatus.None)
        );
        ledger.replaceKey(m, binding);
    }

    // ------------------------------------------------------------------------------------------------ leaving

    function test_bondComesBackAfterItsTime() public {
        _registerMeter(0);
        for (uint256 i = 0; i < MIN_DAYS; ++i) {
            _day(0, 10, 4);
        }
        assertTrue(ledger.isPositive(_worker(0)), "positive");
        vm.prank(_worker(0));
        ledger.removeMeter();
        assertFalse(ledger.isPositive(_worker(0)), "no more");
        uint40 exitAt = _state(0).exitAt;
        vm.warp(exitAt);
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.BondStillLiable.selector, exitAt, exitAt));
        ledger.withdrawBond(_worker(0));
        skip(1);
        uint256 had = token.balanceOf(_worker(0));
        vm.prank(stranger);
        assertEq(ledger.withdrawBond(_worker(0)), BOND, "amount");
        assertEq(token.balanceOf(_worker(0)) - had, BOND, "back with the worker, whoever calls");
        assertEq(token.balanceOf(address(ledger)), 0, "nothing left");
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.MeterBusy.selector, _worker(0), MeterStatus.None)
        );
        ledger.withdrawBond(_worker(0));
    }

    function test_RevertWhen_aLeavingMeterRecords() public {
        _registerMeter(0);
        vm.prank(_worker(0));
        ledger.removeMeter();
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(1, 1);
        _refused(
            RecordMaker.signed(ledger, _keyOf(0), d),
            abi.encodeWithSelector(IEnergyLedger.NoActiveMeter.selector, _worker(0), MeterStatus.Leaving)
        );
    }

    function test_registeringAgainBeginsANewWindow() public {
        _registerMeter(0);
        _day(0, 10, 4);
        vm.prank(_worker(0));
        ledger.removeMeter();
        skip(LIABLE_SECS + 1);
        ledger.withdrawBond(_worker(0));
        _registerMeter(0, NEW_KEY, NAMEPLATE);
        assertEq(ledger.netOf(_worker(0)), 0, "the old window is gone");
        assertEq(_state(0).link, bytes24(0), "and the old chain");
        assertEq(_state(0).state.day, _today() - 1, "nothing is owed for the time between");
        skip(1 days);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
        assertEq(ledger.netOf(_worker(0)), 576, "one day");
        assertEq(_state(0).state.attestedDays, 1, "days");
    }

    // ------------------------------------------------------------------------------------------------ deployment

    function test_RevertWhen_aParameterIsOutOfRange() public {
        EnergyParams memory p = _energyParams();
        p.windowDays = 65;
        _refusedParams(p, "windowDays", 65, 1, 64);
        (p.windowDays, p.minDays) = (7, 8);
        _refusedParams(p, "minDays", 8, 1, 7);
        (p.minDays, p.freshDays) = (7, 0);
        _refusedParams(p, "freshDays", 0, 1, 7);
        (p.freshDays, p.bond) = (1, 1);
        _refusedParams(p, "bond", 1, 2, type(uint96).max);
        (p.bond, p.unbondSecs) = (2, 0);
        _refusedParams(p, "unbondSecs", 0, 1, type(uint32).max);
        (p.unbondSecs, p.verifier) = (1, address(0));
        _refusedParams(p, "verifier", 0, 1, type(uint160).max);
        p.verifier = address(0x100);
        assertEq(abi.encode(new EnergyLedger(dispatcher, p).params()), abi.encode(p), "as asked for");
    }

    function test_ledgerSaysWhatItWasMadeOfAndWhatADeviceSigns() public view {
        assertEq(ledger.dispatcher(), address(dispatcher), "dispatcher");
        assertEq(ledger.token(), address(token), "token");
        assertEq(certificates.ledger(), address(ledger), "ledger");
        assertTrue(ledger.verifierWorks(), "verifier");
        (uint256 x, uint256 y) = vm.publicKeyP256(NEW_KEY);
        assertEq(ledger.keyHashOf(bytes32(x), bytes32(y)), _hashOf(NEW_KEY), "name of a key");
        Meter memory m = RecordMaker.meter(NEW_KEY, NAMEPLATE);
        bytes32 digest = ledger.meterDigest(_worker(0), m);
        assertEq(
            RecordMaker.signatureOf(NEW_KEY, digest),
            RecordMaker.binding(ledger, NEW_KEY, _worker(0), m),
            "binding"
        );
    }

    function _costOfDeviceOn(uint16 day) private view returns (uint256 cost) {
        cost = gasleft();
        ledger.deviceOn(_worker(0), day);
        cost -= gasleft();
    }

    function _registerAt(int16 latitude, int16 longitude) private {
        _allowBond(_worker(0));
        (Meter memory m, bytes memory binding) = _metersAt(latitude, longitude);
        vm.prank(_worker(0));
        ledger.register(m, binding);
    }

    function _refusedPlace(int16 latitude, int16 longitude) private {
        (Meter memory m, bytes memory binding) = _metersAt(latitude, longitude);
        vm.prank(_worker(0));
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.CoordinatesOutOfRange.selector, latitude, longitude)
        );
        ledger.register(m, binding);
    }

    function _metersAt(int16 latitude, int16 longitude) private view returns (Meter memory m, bytes memory) {
        m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        (m.latitudeDecidegrees, m.longitudeDecidegrees) = (latitude, longitude);
        return (m, RecordMaker.binding(ledger, _keyOf(0), _worker(0), m));
    }

    function _refusedParams(
        EnergyParams memory p,
        string memory field,
        uint256 found,
        uint256 min,
        uint256 max
    ) private {
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.EnergyParamOutOfRange.selector, field, found, min, max)
        );
        new EnergyLedger(dispatcher, p);
    }

    function _hashOf(uint256 key) private pure returns (bytes32) {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        return keccak256(abi.encode(x, y));
    }
}
