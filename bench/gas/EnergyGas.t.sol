// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {console} from "forge-std/console.sol";
import {IEnergyLedger, SignedRecord} from "../../contracts/interfaces/IEnergyLedger.sol";
import {EnergyParams, Meter, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyLedger} from "../../contracts/energy/EnergyLedger.sol";
import {P256Verifier} from "../../contracts/energy/P256Verifier.sol";
import {EnergyBase} from "../../test/utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../../test/utils/RecordMaker.sol";

/// @notice Whole transactions of a worker's meter, with their 21,000 gas and calldata (`--isolate`), in steady state: the window is
/// full. A day is one of midsummer: 60 quarter hours of a 100 W panel with up to 25 Wh; consumption is 1 Wh in each.
/// forge-config: default.evm_version = "osaka"
contract EnergyGas is EnergyBase {
    using RecordMaker for Draft;

    uint256 private constant LARGE = 1;

    function test_workerDays() public {
        _registerLoud();
        _print("energy_first_day", _record(0, RecordKind.Production));
        _fillWindow();
        _print("energy_production", _record(0, RecordKind.Production));
        _print("energy_metered", _record(0, RecordKind.Metered));
        _print("energy_gap_1_day", _gap(1));
        _print("energy_gap_7_days", _gap(7));
        _print("energy_gap_29_days", _gap(29));
    }

    /// @dev Nothing of a record is zero: 97 kW of panels with 256 Wh or more in every quarter hour, consumption too.
    function test_worstDays() public {
        _registerMeter(LARGE, _keyOf(LARGE), 97_000);
        for (uint256 i = 0; i < WINDOW + 1; ++i) {
            _day(LARGE, 0x0101, 0x0101);
        }
        _print("energy_production_worst", _flat(RecordKind.Production));
        _print("energy_metered_worst", _flat(RecordKind.Metered));
    }

    function test_certificates() public {
        _registerMeter(0);
        _fillWindow();
        _endDay(0);
        Draft memory d = _sunnyDay(RecordKind.Metered);
        bytes24 previous = _state(0).link;
        _submit(0, d);
        bytes memory body = d.pack();
        _print("energy_issue_1_hour", _issue(previous, body, 11, 1));
        _print("energy_issue_4_hours", _issue(previous, body, 12, 4));
        uint256 id = certificates.idOf(_worker(0), d.day, 11);
        address agreement = address(_buy(_terms()));
        bytes memory call = abi.encodeCall(
            certificates.safeTransferFrom, (_worker(0), client, id, uint256(20), bytes(""))
        );
        _print("energy_transfer", _send(address(certificates), _worker(0), call));
        call = abi.encodeCall(certificates.retire, (agreement, id, uint256(10)));
        _print("energy_retire", _send(address(certificates), client, call));
    }

    function test_equivocation() public {
        _registerMeter(0);
        _fillWindow();
        _endDay(0);
        Draft memory d = _sunnyDay(RecordKind.Metered);
        bytes24 previous = _state(0).link;
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), previous, d);
        d.production[40] -= 1;
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), previous, d);
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
        bytes memory call =
            abi.encodeCall(ledger.reportEquivocation, (a, b, bytes32(x), bytes32(y)));
        _print("energy_report", _send(address(ledger), keeper, call));
    }

    /// @notice A chain without the precompile, whose deployment asks for the verifier in Solidity.
    function test_withoutPrecompile() public {
        EnergyParams memory p = _energyParams();
        p.verifier = address(new P256Verifier());
        ledger = new EnergyLedger(dispatcher, p);
        _registerMeter(0);
        _fillWindow();
        _print("energy_production_solidity", _record(0, RecordKind.Production));
    }

    // ------------------------------------------------------------------------------------------------ steps

    function _registerLoud() private {
        _allowBond(_worker(0));
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        _print("energy_register", _send(address(ledger), _worker(0), abi.encodeCall(ledger.register, (m, binding))));
    }

    function _fillWindow() private {
        for (uint256 i = 0; i < WINDOW + 1; ++i) {
            _record(0, RecordKind.Metered);
        }
    }

    function _record(uint256 w, RecordKind kind) private returns (uint256) {
        _endDay(w);
        return _sendRecord(RecordMaker.signed(ledger, _keyOf(w), _sunnyDay(kind)));
    }

    function _flat(RecordKind kind) private returns (uint256) {
        _endDay(LARGE);
        Draft memory d = _draft(LARGE, kind);
        d.flat(0x0101, 0x0101);
        return _sendRecord(RecordMaker.signed(ledger, _keyOf(LARGE), d));
    }

    function _gap(uint16 count) private returns (uint256) {
        Draft memory d = _draft(0, RecordKind.Gap);
        (d.day, d.sequence) = (d.day + count - 1, d.sequence + count - 1);
        vm.warp((uint256(d.day) + 1) * 1 days);
        uint256 used = _sendRecord(RecordMaker.signed(ledger, _keyOf(0), d));
        _fillWindow();
        return used;
    }

    /// @dev Up and down again, 25 Wh at noon.
    function _sunnyDay(RecordKind kind) private view returns (Draft memory d) {
        d = _draft(0, kind);
        d.flat(0, 1);
        for (uint256 i = 0; i < 60; ++i) {
            uint256 fromNoon = i < 30 ? 30 - i : i - 29;
            d.production[18 + i] = uint16(25 - 25 * fromNoon * fromNoon / 1000);
            d.counterWh += d.production[18 + i];
        }
    }

    function _issue(bytes24 previous, bytes memory body, uint8 from, uint256 count) private returns (uint256) {
        (uint8[] memory hours_, uint32[] memory wattHours) = (new uint8[](count), new uint32[](count));
        for (uint8 i = 0; i < count; ++i) {
            (hours_[i], wattHours[i]) = (from + i, 60);
        }
        bytes memory call =
            abi.encodeCall(certificates.issue, (_worker(0), previous, body, hours_, wattHours));
        return _send(address(certificates), _worker(0), call);
    }

    function _sendRecord(bytes memory signed) private returns (uint256) {
        return _send(address(ledger), stranger, abi.encodeCall(ledger.submit, (signed)));
    }

    /// @dev One transaction.
    function _send(address to, address from, bytes memory data) private returns (uint256) {
        vm.prank(from);
        (bool ok, bytes memory answer) = to.call(data);
        assertTrue(ok, vm.toString(answer));
        return vm.lastCallGas().gasTotalUsed;
    }

    function _print(string memory name, uint256 used) private pure {
        console.log(string.concat("bench: ", name), used);
    }
}
