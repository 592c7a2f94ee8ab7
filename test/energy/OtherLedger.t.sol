// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {EnergyLedger} from "../../contracts/energy/EnergyLedger.sol";
import {IEnergyLedger, SignedRecord} from "../../contracts/interfaces/IEnergyLedger.sol";
import {Meter, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice One device, one worker, two ledgers that agree in everything but their address: what was signed for one is nothing to the other.
/// forge-config: default.evm_version = "osaka"
contract OtherLedgerTest is EnergyBase {
    using RecordMaker for Draft;

    EnergyLedger private _other;

    function setUp() public override {
        super.setUp();
        _other = new EnergyLedger(dispatcher, _energyParams());
        _registerMeter(0);
        _give(_worker(0), BOND);
        vm.prank(_worker(0));
        token.approve(address(_other), BOND);
    }

    function test_RevertWhen_theBindingIsForTheOtherLedger() public {
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _other.register(m, binding);
        _registerThere();
    }

    function test_RevertWhen_theRecordIsForTheOtherLedger() public {
        _registerThere();
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        bytes memory here = RecordMaker.signed(ledger, _keyOf(0), d);
        bytes memory there = RecordMaker.signed(_other, _keyOf(0), d);
        assertEq(_other.meterOf(_worker(0)).link, _state(0).link, "the same past");
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _other.submit(here);
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        ledger.submit(there);
        ledger.submit(here);
        _other.submit(there);
        assertEq(_other.netOf(_worker(0)), ledger.netOf(_worker(0)), "each its own");
    }

    function test_RevertWhen_theEvidenceIsForTheOtherLedger() public {
        _registerThere();
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _state(0).link, d);
        SignedRecord memory there = RecordMaker.evidence(_other, _keyOf(0), _state(0).link, d);
        d.consumption[0] += 1;
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _state(0).link, d);
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _other.reportEquivocation(a, b, bytes32(x), bytes32(y));
        // Nor one of each.
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        ledger.reportEquivocation(there, b, bytes32(x), bytes32(y));
        assertEq(_other.meterOf(_worker(0)).bond, BOND, "the bond there stands");
        ledger.reportEquivocation(a, b, bytes32(x), bytes32(y));
        assertEq(_state(0).bond, 0, "here it is lost");
    }

    function _registerThere() private {
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(_other, _keyOf(0), _worker(0), m);
        vm.prank(_worker(0));
        _other.register(m, binding);
    }
}
