// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {EnergyCertificates} from "../../contracts/energy/EnergyCertificates.sol";
import {EnergyLedger} from "../../contracts/energy/EnergyLedger.sol";
import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {EnergyParams, Meter, MeterView, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {Driver} from "./Driver.t.sol";
import {Draft, RecordMaker} from "./RecordMaker.sol";

/// @title EnergyBase
/// @notice The whole system with an energy ledger, and meters for workers.
/// @dev The P-256 precompile comes with Osaka: a test contract that wants it says so in a line of its own, which forge reads
/// of each contract alone (see test/energy).
abstract contract EnergyBase is Driver {
    using RecordMaker for Draft;

    uint96 internal constant BOND = uint96(1000 * SUN);
    uint8 internal constant WINDOW = 30;
    uint8 internal constant MIN_DAYS = 3;
    uint8 internal constant FRESH_DAYS = 3;
    uint16 internal constant ASSUMED_WATTS = 8;
    uint32 internal constant LIABLE_SECS = 7 days;
    /// @dev 96 slots with 34 Wh at most: 100 W * 135 / 400, rounded down, and one.
    uint32 internal constant NAMEPLATE = 100;
    uint16 internal constant CAP = 34;

    EnergyLedger internal ledger;
    EnergyCertificates internal certificates;

    function _deployLedger() internal virtual override returns (IEnergyLedger) {
        ledger = new EnergyLedger(dispatcher, _energyParams());
        certificates = EnergyCertificates(ledger.certificates());
        return ledger;
    }

    function _energyParams() internal view virtual returns (EnergyParams memory) {
        return EnergyParams({
            verifier: address(0x100),
            bond: BOND,
            unbondSecs: LIABLE_SECS,
            windowDays: WINDOW,
            minDays: MIN_DAYS,
            freshDays: FRESH_DAYS,
            assumedWatts: ASSUMED_WATTS
        });
    }

    // ------------------------------------------------------------------------------------------------ meters

    /// @dev Of the first meter of `workers[w]`.
    function _keyOf(uint256 w) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("meter key", w))) >> 1;
    }

    function _worker(uint256 w) internal view returns (address) {
        return workers[w].owner;
    }

    function _registerMeter(uint256 w) internal {
        _registerMeter(w, _keyOf(w), NAMEPLATE);
    }

    function _registerMeter(uint256 w, uint256 key, uint32 nameplate) internal {
        _allowBond(_worker(w));
        Meter memory m = RecordMaker.meter(key, nameplate);
        bytes memory binding = RecordMaker.binding(ledger, key, _worker(w), m);
        vm.prank(_worker(w));
        ledger.register(m, binding);
    }

    function _allowBond(address who) internal {
        _give(who, BOND);
        vm.prank(who);
        token.approve(address(ledger), BOND);
    }

    function _replaceKey(uint256 w, uint256 key) internal {
        Meter memory m = RecordMaker.meter(key, NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, key, _worker(w), m);
        vm.prank(_worker(w));
        ledger.replaceKey(m, binding);
    }

    // ------------------------------------------------------------------------------------------------ records

    function _today() internal view returns (uint16) {
        return uint16(block.timestamp / 1 days);
    }

    /// @dev Goes to the first second after the day that the meter's next record is for.
    function _endDay(uint256 w) internal {
        MeterView memory v = ledger.meterOf(_worker(w));
        uint256 over = (uint256(v.state.day) + 2) * 1 days;
        if (block.timestamp < over) vm.warp(over);
    }

    function _draft(uint256 w, RecordKind kind) internal view returns (Draft memory) {
        return RecordMaker.next(ledger, _worker(w), kind);
    }

    /// @dev One day on with the same counts in each slot.
    function _day(uint256 w, uint16 production, uint16 consumption) internal {
        _endDay(w);
        Draft memory d = _draft(w, RecordKind.Metered);
        d.flat(production, consumption);
        _submit(w, d);
    }

    function _submit(uint256 w, Draft memory d) internal {
        _submit(RecordMaker.signed(ledger, _keyOf(w), d));
    }

    /// @dev By anybody.
    function _submit(bytes memory signed) internal {
        vm.prank(stranger);
        ledger.submit(signed);
    }

    function _refused(bytes memory signed, bytes memory reason) internal {
        vm.expectRevert(reason);
        _submit(signed);
    }

    function _state(uint256 w) internal view returns (MeterView memory) {
        return ledger.meterOf(_worker(w));
    }
}
