// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IEnergyCertificates} from "../../contracts/interfaces/IEnergyCertificates.sol";
import {IEnergyLedger, SignedRecord} from "../../contracts/interfaces/IEnergyLedger.sol";
import {Meter, MeterStatus, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice Every function of the energy ledger and of its certificates with arguments that are random, or right but for one thing:
/// no panic, no empty refusal, and bonds and rewards are what the ledger holds.
/// forge-config: default.evm_version = "osaka"
/// forge-config: default.fuzz.runs = 64
contract EnergyCallsTest is EnergyBase {
    using RecordMaker for Draft;

    uint256 private constant CALLS = 14;
    bytes4 private constant PANIC = 0x4e487b71;

    Draft private _d;
    bytes24 private _previous;
    address private _agreement;

    function setUp() public override {
        super.setUp();
        _registerMeter(0);
        _registerMeter(1);
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        (_d, _previous) = (d, _state(0).link);
        _submit(0, d);
        _agreement = address(_buy(_terms()));
        bytes memory call = _issueCall(12, 40);
        vm.prank(_worker(0));
        (bool ok,) = address(certificates).call(call);
        assertTrue(ok, "issued");
        uint256 id = certificates.idOf(_worker(0), d.day, 12);
        vm.prank(client);
        certificates.retire(_agreement, id, 1);
    }

    function testFuzz_storm(uint256 seed) public {
        for (uint256 i = 0; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed, i)));
            (address target, bytes memory call) = _call(seed % CALLS, seed >> 8);
            _throw(target, call, seed >> 128);
            if (seed >> 250 == 0) skip(1 days);
        }
        _checkMoney();
    }

    function testFuzz_everyFunction(uint256 which, uint256 seed) public {
        (address target, bytes memory call) = _call(which % CALLS, seed);
        _throw(target, call, seed >> 128);
        _checkMoney();
    }

    function testFuzz_malformedCalldata(uint256 which, bytes calldata junk) public {
        (address target, bytes memory call) = _call(which % CALLS, which >> 8);
        bytes memory malformed = bytes.concat(bytes4(call), junk);
        vm.prank(stranger);
        (bool ok, bytes memory answer) = target.call(malformed);
        if (!ok && answer.length >= 4) assertNotEq(bytes4(answer), PANIC, "panic");
        _checkMoney();
    }

    /// @dev Finding: the sums were added up before the tokens were burned, and the largest amount ended in a panic.
    function test_RevertWhen_theLargestAmountIsRetired() public {
        uint256 id = certificates.idOf(_worker(0), _d.day, 12);
        vm.prank(client);
        vm.expectRevert(
            abi.encodeWithSignature(
                "ERC1155InsufficientBalance(address,uint256,uint256,uint256)",
                client,
                39,
                type(uint256).max,
                id
            )
        );
        certificates.retire(_agreement, id, type(uint256).max);
    }

    // ------------------------------------------------------------------------------------------------ calls

    function _throw(address target, bytes memory call, uint256 seed) private {
        vm.prank(_anybody(seed));
        (bool ok, bytes memory answer) = target.call(call);
        if (ok) return;
        assertGe(answer.length, 4, "an empty refusal");
        assertNotEq(bytes4(answer), PANIC, "panic");
        assertNotEq(bytes4(answer), bytes4(0x08c379a0), "words");
    }

    function _call(uint256 which, uint256 seed) private view returns (address target, bytes memory call) {
        target = address(ledger);
        if (which == 0) call = abi.encodeCall(ledger.submit, (_record(seed)));
        if (which == 1) call = _reportCall(seed);
        if (which == 2) call = _meterCall(ledger.register.selector, seed);
        if (which == 3) call = _meterCall(ledger.replaceKey.selector, seed);
        if (which == 4) call = abi.encodeCall(ledger.removeMeter, ());
        if (which == 5) call = abi.encodeCall(ledger.withdrawBond, (_anybody(seed)));
        if (which == 6) call = abi.encodeCall(ledger.withdrawReward, (_anybody(seed)));
        if (which == 7) call = abi.encodeCall(ledger.takeSurplus, (_previous, _d.pack(), seed));
        if (which == 8) call = abi.encodeCall(ledger.dayOf, (_anybody(seed), uint16(seed)));
        if (which == 9) call = abi.encodeCall(ledger.deviceOn, (_anybody(seed), uint16(seed)));
        if (which < 10) return (target, call);
        target = address(certificates);
        if (which == 10) call = _issueCall(uint8(seed >> 32), uint32(seed >> (seed % 3 * 16)));
        if (which == 11) {
            uint256 id = certificates.idOf(_worker(0), _d.day, uint8(12 + seed % 2));
            call = abi.encodeCall(certificates.retire, (_agreement, id, _amount(seed)));
        }
        if (which == 12) call = abi.encodeCall(certificates.retire, (_anybody(seed), seed, _amount(seed)));
        if (which == 13) call = abi.encodeCall(certificates.issuedOf, (seed));
    }

    /// @dev The next record of a meter, or one with a changed byte, another length, day, sequence or counter.
    function _record(uint256 seed) private view returns (bytes memory record) {
        uint256 w = seed % 2;
        Draft memory d = _draft(w, RecordKind(1 + seed % 3));
        if (d.kind != RecordKind.Gap) d.flat(uint16((seed >> 8) % 40), uint16((seed >> 16) % 40));
        if ((seed >> 24) % 4 == 1) d.day = uint16(seed >> 32);
        if ((seed >> 24) % 4 == 2) d.sequence = uint32(seed >> 32);
        if ((seed >> 24) % 4 == 3) (d.counterEpoch, d.counterWh) = (uint16(seed >> 32), uint48(seed >> 48));
        record = RecordMaker.signed(ledger, _keyOf(w), d);
        if ((seed >> 40) % 3 == 1) record[(seed >> 48) % record.length] = bytes1(uint8(seed >> 56));
        if ((seed >> 40) % 3 == 2) record = new bytes(seed % 500);
    }

    function _reportCall(uint256 seed) private view returns (bytes memory) {
        SignedRecord memory a = SignedRecord(bytes24(uint192(seed)), _record(seed));
        SignedRecord memory b = SignedRecord(_previous, _record(seed >> 16));
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(seed % 3));
        return abi.encodeCall(ledger.reportEquivocation, (a, b, bytes32(x), bytes32(y)));
    }

    function _meterCall(bytes4 selector, uint256 seed) private view returns (bytes memory) {
        uint256 key = 1 + seed % 5;
        Meter memory m = RecordMaker.meter(key, uint32(seed >> (seed % 40)));
        (m.latitudeDecidegrees, m.longitudeDecidegrees) =
        (int16(uint16(seed >> 8)), int16(uint16(seed >> 24)));
        if (seed % 2 == 0) m = RecordMaker.meter(key, NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, key, _worker((seed >> 40) % 3), m);
        if (seed % 7 == 0) binding = new bytes(seed % 100);
        return abi.encodeWithSelector(selector, m, binding);
    }

    function _issueCall(uint8 hour, uint32 wattHours) private view returns (bytes memory) {
        (uint8[] memory hours_, uint32[] memory amounts) = (new uint8[](1), new uint32[](1));
        (hours_[0], amounts[0]) = (hour, wattHours);
        return abi.encodeCall(IEnergyCertificates.issue, (client, _previous, _d.pack(), hours_, amounts));
    }

    function _amount(uint256 seed) private pure returns (uint256) {
        return seed % 3 == 0 ? type(uint256).max : seed % 3 == 1 ? seed % 50 : seed;
    }

    function _anybody(uint256 seed) private view returns (address) {
        address[5] memory all = [_worker(0), _worker(1), _worker(2), client, stranger];
        return all[seed % 5];
    }

    function _checkMoney() private view {
        uint256 sum = ledger.rewardOf(dispatcher.BURN_ACCOUNT());
        for (uint256 i = 0; i < 5; ++i) {
            sum += ledger.rewardOf(_anybody(i)) + ledger.meterOf(_anybody(i)).bond;
        }
        assertEq(sum, token.balanceOf(address(ledger)), "bonds and rewards");
    }
}
