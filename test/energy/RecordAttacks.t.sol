// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {EnergyLedger} from "../../contracts/energy/EnergyLedger.sol";
import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {P256Lib} from "../../contracts/libraries/P256Lib.sol";
import {MeterStatus, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice Every abuse of a record, carried out: refused with its reason, and nothing of the account has moved.
/// forge-config: default.evm_version = "osaka"
contract RecordAttacksTest is EnergyBase {
    using RecordMaker for Draft;

    /// @dev Of the attack, before it.
    bytes32 private _before;

    function setUp() public override {
        super.setUp();
        _registerMeter(0);
        _registerMeter(1);
        _day(0, 10, 4);
        _day(1, 10, 4);
        _endDay(0);
    }

    function test_RevertWhen_aRecordIsReplayed() public {
        Draft memory d = _good();
        bytes memory signed = RecordMaker.signed(ledger, _keyOf(0), d);
        _submit(signed);
        skip(1 days);
        _rejected(signed, abi.encodeWithSelector(IEnergyLedger.RecordReplayed.selector, 2, 3));
    }

    function test_RevertWhen_anotherRecordComesForAnOldDay() public {
        Draft memory d = _good();
        (d.sequence, d.day) = (d.sequence - 1, d.day - 1);
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.RecordReplayed.selector, 1, 2));
        d.sequence += 1;
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.DayOutOfOrder.selector, d.day, d.day + 1));
    }

    function test_RevertWhen_recordsAreReordered() public {
        skip(1 days);
        Draft memory first = _good();
        bytes memory body = first.pack();
        bytes24 link = bytes24(_digest(_state(0).link, body));
        Draft memory second = _good();
        (second.sequence, second.day) = (first.sequence + 1, first.day + 1);
        second.counterWh = first.counterWh + 960;
        bytes memory later = RecordMaker.signed(ledger, _keyOf(0), link, second);
        _rejected(later, abi.encodeWithSelector(IEnergyLedger.RecordOutOfOrder.selector, 3, 2));
        _submit(_sign(first));
        _submit(later);
        assertEq(_state(0).state.sequence, 3, "in order they are taken");
    }

    function test_RevertWhen_daysAreMissingWithoutAGapRecord() public {
        skip(5 days);
        Draft memory d = _good();
        uint16 expected = d.day;
        d.day += 3;
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.DayOutOfOrder.selector, d.day, expected));
    }

    function test_RevertWhen_aGapsSequenceDoesNotFitItsDays() public {
        skip(5 days);
        Draft memory d = _draft(0, RecordKind.Gap);
        (d.day, d.sequence) = (d.day + 2, d.sequence + 1);
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.GapSequence.selector, 3, 4));
        (d.day, d.sequence) = (d.day - 3, 2);
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.DayOutOfOrder.selector, d.day, d.day + 1));
    }

    function test_RevertWhen_aRecordIsChainedToAnotherPast() public {
        Draft memory d = _good();
        bytes memory signed = RecordMaker.signed(ledger, _keyOf(0), bytes24(uint192(1)), d);
        _rejected(signed, _wrongSignature(0, d.pack()));
    }

    function test_RevertWhen_theCounterDecreases() public {
        Draft memory d = _good();
        d.counterWh = _state(0).state.counterWh - 1;
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.CounterDecreased.selector, 959, 960));
    }

    function test_RevertWhen_theCountersEpochDecreases() public {
        Draft memory d = _good();
        d.counterEpoch = 2;
        _submit(_sign(d));
        skip(1 days);
        d = _good();
        d.counterEpoch = 1;
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.CounterEpochDecreased.selector, 1, 2));
    }

    function test_RevertWhen_moreIsClaimedThanTheCounterGrew() public {
        Draft memory d = _good();
        d.counterWh -= 1;
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.CountsAboveCounter.selector, 960, 959));
    }

    function test_RevertWhen_signedForAnotherChain() public {
        Draft memory d = _good();
        bytes memory body = d.pack();
        bytes32 digest = RecordMaker.digest(address(ledger), block.chainid + 1, _state(0).link, body);
        _rejected(bytes.concat(body, RecordMaker.signatureOf(_keyOf(0), digest)), _wrongSignature(0, body));
        // And one of this chain is worth nothing after a fork to another id.
        bytes memory signed = _sign(d);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _submit(signed);
        vm.chainId(here);
    }

    function test_RevertWhen_signedForAnotherLedger() public {
        EnergyLedger other = new EnergyLedger(dispatcher, _energyParams());
        Draft memory d = _good();
        bytes memory body = d.pack();
        bytes32 digest = RecordMaker.digest(address(other), block.chainid, _state(0).link, body);
        _rejected(bytes.concat(body, RecordMaker.signatureOf(_keyOf(0), digest)), _wrongSignature(0, body));
    }

    /// @dev SHA-256's precompile fails for want of gas and leaves a 64th: with a long body enough to go on with what lay in memory.
    function test_littleGasGivesNoWrongDigest() public view {
        bytes memory body = new bytes(100_000);
        bytes memory call = abi.encodeCall(ledger.recordDigest, (bytes24(uint192(7)), body));
        bytes32 right = _digest(bytes24(uint192(7)), body);
        (uint256 answers, uint256 failures) = (0, 0);
        for (uint256 gas_ = 60_000; gas_ < 160_000; gas_ += 500) {
            (bool ok, bytes memory answer) = address(ledger).staticcall{gas: gas_}(call);
            if (ok) {
                ++answers;
                assertEq(abi.decode(answer, (bytes32)), right, "digest");
            } else if (answer.length != 0) {
                ++failures;
                assertEq(answer, abi.encodeWithSelector(IEnergyLedger.HashFailed.selector), "reason");
            }
        }
        assertGt(answers, 0, "enough gas");
        assertGt(failures, 0, "too little to hash, enough to go on");
    }

    function test_RevertWhen_theSignatureIsTheHighTwin() public {
        bytes memory high = RecordMaker.twin(_sign(_good()));
        bytes32 s;
        assembly ("memory-safe") {
            s := mload(add(high, mload(high)))
        }
        _rejected(high, abi.encodeWithSelector(IEnergyLedger.HighS.selector, s, bytes32(P256Lib.MAX_S)));
    }

    function test_precompileItselfTakesTheHighTwin() public view {
        // Why the ledger has to look at s.
        bytes memory body = _good().pack();
        bytes32 digest = _digest(_state(0).link, body);
        bytes memory high = RecordMaker.twin(RecordMaker.signatureOf(_keyOf(0), digest));
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
        (, bytes memory answer) =
            address(0x100).staticcall(bytes.concat(digest, high, bytes32(x), bytes32(y)));
        assertEq(answer, abi.encode(uint256(1)), "0x100");
    }

    function testFuzz_RevertWhen_aSlotIsAboveTheCap(uint256 slot, uint16 count) public {
        slot = bound(slot, 0, 95);
        count = uint16(bound(count, CAP + 1, type(uint16).max));
        Draft memory d = _draft(0, RecordKind.Metered);
        d.between(0, 96, CAP);
        d.production[slot] = count;
        d.counterWh += 100_000;
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.SlotAboveCap.selector, slot, count, CAP));
    }

    function test_everySlotAtTheCapIsTaken() public {
        Draft memory d = _draft(0, RecordKind.Production);
        d.between(0, 96, CAP);
        _submit(_sign(d));
    }

    function test_RevertWhen_theDayIsNotOver() public {
        Draft memory d = _good();
        _submit(_sign(d));
        d = _good();
        uint256 today = uint256(_today());
        assertEq(d.day, today, "today");
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.DayNotOver.selector, d.day, today));
        vm.warp((today + 1) * 1 days - 1);
        _rejected(_sign(d), abi.encodeWithSelector(IEnergyLedger.DayNotOver.selector, d.day, today));
        Draft memory gap = _draft(0, RecordKind.Gap);
        (gap.day, gap.sequence) = (gap.day + 7, gap.sequence + 7);
        _rejected(_sign(gap), abi.encodeWithSelector(IEnergyLedger.DayNotOver.selector, gap.day, today));
        skip(1);
        _submit(_sign(d));
    }

    function testFuzz_RevertWhen_theLengthIsWrong(uint16 length, uint8 kind) public {
        kind = uint8(bound(kind, 1, 3));
        length = uint16(bound(length, 0, 1000));
        uint256 expected = kind == 1 ? 291 : kind == 2 ? 483 : 99;
        vm.assume(length != expected);
        bytes memory data = new bytes(length);
        if (length != 0) data[0] = bytes1(kind);
        if (length < 99) expected = 99;
        _rejected(data, abi.encodeWithSelector(IEnergyLedger.RecordLength.selector, length, expected));
    }

    function testFuzz_RevertWhen_theKindIsUnknown(uint8 kind) public {
        vm.assume(kind == 0 || kind > 3);
        bytes memory data = _sign(_good());
        data[0] = bytes1(kind);
        _rejected(data, abi.encodeWithSelector(IEnergyLedger.UnknownRecordKind.selector, kind));
    }

    function test_RevertWhen_theWorkerHasNoMeter() public {
        Draft memory d = _good();
        d.worker = _worker(2);
        _rejected(
            RecordMaker.signed(ledger, _keyOf(0), d),
            abi.encodeWithSelector(IEnergyLedger.NoActiveMeter.selector, _worker(2), MeterStatus.None)
        );
    }

    function test_RevertWhen_theDeviceIsUnknown() public {
        Draft memory d = _good();
        _rejected(RecordMaker.signed(ledger, 0xbad, d), _wrongSignature(0, d.pack()));
    }

    function test_RevertWhen_theDeviceServesAnotherWorker() public {
        Draft memory d = _good();
        d.worker = _worker(1);
        _rejected(RecordMaker.signed(ledger, _keyOf(0), d), _wrongSignature(1, d.pack()));
    }

    function testFuzz_RevertWhen_anyByteIsChanged(uint256 offset, uint8 by) public {
        vm.assume(by != 0);
        bytes memory signed = _sign(_good());
        offset = bound(offset, 0, signed.length - 1);
        signed[offset] = bytes1(uint8(signed[offset]) ^ by);
        bytes32 before = _account();
        vm.prank(stranger);
        (bool ok,) = address(ledger).call(abi.encodeCall(ledger.submit, (signed)));
        assertFalse(ok, "refused");
        assertEq(_account(), before, "nothing moved");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _good() private view returns (Draft memory d) {
        d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
    }

    function _sign(Draft memory d) private view returns (bytes memory) {
        return RecordMaker.signed(ledger, _keyOf(0), d);
    }

    function _digest(bytes24 previous, bytes memory body) private view returns (bytes32) {
        return RecordMaker.digest(address(ledger), block.chainid, previous, body);
    }

    function _wrongSignature(uint256 w, bytes memory body) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IEnergyLedger.WrongDeviceSignature.selector, _worker(w), _digest(_state(w).link, body)
        );
    }

    function _account() private view returns (bytes32) {
        return keccak256(abi.encode(_state(0), _state(1)));
    }

    function _rejected(bytes memory signed, bytes memory reason) private {
        bytes32 before = _account();
        _refused(signed, reason);
        assertEq(_account(), before, "nothing moved");
    }
}
