// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IEnergyLedger, SignedRecord} from "../../contracts/interfaces/IEnergyLedger.sol";
import {MeterStatus, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice Two claims of one device for one day cost its bond, whoever shows them; nothing else does.
/// forge-config: default.evm_version = "osaka"
contract EquivocationTest is EnergyBase {
    using RecordMaker for Draft;

    uint256 private constant NEW_KEY = 0x600d;
    bytes24 private _link;

    function setUp() public override {
        super.setUp();
        _registerMeter(0);
        _registerMeter(1);
        _day(0, 10, 4);
        _link = _state(0).link;
        _endDay(0);
    }

    function test_halfGoesToTheReporterAndHalfIsBurned() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        _report(a, b, _keyOf(0));
        assertEq(ledger.rewardOf(keeper), BOND / 2, "reporter");
        assertEq(ledger.rewardOf(dispatcher.BURN_ACCOUNT()), BOND - BOND / 2, "burned");
        assertEq(uint8(_state(0).state.status), uint8(MeterStatus.Struck), "struck");
        assertEq(ledger.netOf(_worker(0)), 0, "its window is empty");
        assertEq(_state(0).state.attestedDays, 0, "no days");
        assertEq(_state(0).state.fromDay, _state(0).state.day + 1, "and none of before ever counts");
        assertFalse(ledger.isPositive(_worker(0)), "not positive");

        ledger.withdrawReward(keeper);
        ledger.withdrawReward(dispatcher.BURN_ACCOUNT());
        assertEq(token.balanceOf(keeper), BOND / 2, "paid");
        assertEq(token.balanceOf(address(ledger)), BOND, "the other meter's bond is untouched");
        assertEq(ledger.withdrawReward(keeper), 0, "once");
    }

    function test_oneOfThemMayBeOnChain() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        _submit(a.data);
        _report(a, b, _keyOf(0));
    }

    // ------------------------------------------------------------------------------------------------ one claim, told twice

    function test_RevertWhen_itIsTheSameRecordSignedTwice() public {
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _link, _claim());
        _reportRefused(a, a, _keyOf(0), _sameClaim(_claim().day));
    }

    /// @dev Finding: evidence was told apart by digest, which covers the link. A device that sent the same day again after a
    /// reorganisation had replaced the record before it (here a gap for two days) lost its bond for one story.
    function test_RevertWhen_theSameClaimIsSignedAgainAfterAReorganisation() public {
        skip(1 days);
        uint256 fork = vm.snapshotState();
        Draft memory gap = _draft(0, RecordKind.Gap);
        gap.counterWh += 7;
        _submit(0, gap);
        Draft memory d = _claim();
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _state(0).link, d);
        assertTrue(vm.revertToState(fork), "the chain takes it back");
        gap.counterWh -= 2;
        _submit(0, gap);
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _state(0).link, d);
        assertTrue(a.previous != b.previous, "two pasts");
        _reportRefused(a, b, _keyOf(0), _sameClaim(d.day));
        _submit(b.data);
        _reportRefused(b, a, _keyOf(0), _sameClaim(d.day));
    }

    /// @dev Finding: a device reads its next sequence from a node. One that lied made it use a sequence for two days, or two for one.
    function test_RevertWhen_aNodeLiedAboutTheSequence() public {
        Draft memory d = _claim();
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        d.sequence += 3;
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        _reportRefused(a, b, _keyOf(0), _sameClaim(d.day));
        d.sequence -= 3;
        d.day += 1;
        b = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        _reportRefused(
            a,
            b,
            _keyOf(0),
            abi.encodeWithSelector(
                IEnergyLedger.EvidenceMismatch.selector, _worker(0), d.day - 1, _worker(0), d.day
            )
        );
    }

    function testFuzz_RevertWhen_oneClaimHasSeveralPasts(bytes24[2] memory links, uint32[2] memory sequences)
        public
    {
        Draft memory d = _claim();
        d.sequence = sequences[0];
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), links[0], d);
        d.sequence = sequences[1];
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), links[1], d);
        _reportRefused(a, b, _keyOf(0), _sameClaim(d.day));
        assertEq(_state(0).bond, BOND, "nothing is lost");
    }

    /// @notice Another kind, epoch, counter or count is another claim, whatever the links and sequences are.
    function testFuzz_anotherClaimCostsTheBondWhicheverThePast(
        bytes24[2] memory links,
        uint32 sequence,
        uint256 what,
        uint16 by
    ) public {
        Draft memory d = _claim();
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), links[0], d);
        if (sequence % 2 == 1) d.sequence = sequence;
        what = bound(what, 0, 194);
        by = uint16(bound(by, 1, type(uint16).max));
        if (what < 96) d.production[what] ^= by;
        else if (what < 192) d.consumption[what - 96] ^= by;
        else if (what == 192) d.counterEpoch ^= by;
        else if (what == 193) d.counterWh ^= by;
        else d.kind = RecordKind.Production;
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), links[1], d);
        _report(a, b, _keyOf(0));
        assertEq(_state(0).bond, 0, "gone");
    }

    /// @dev The counts alone do not make the claim.
    function test_anotherCounterOrEpochAloneIsAnotherClaim() public {
        for (uint256 i = 0; i < 2; ++i) {
            uint256 before = vm.snapshotState();
            Draft memory d = _claim();
            SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
            if (i == 0) d.counterWh += 1;
            else d.counterEpoch += 1;
            SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
            _report(a, b, _keyOf(0));
            assertEq(_state(0).bond, 0, "gone");
            assertTrue(vm.revertToState(before), "back");
        }
    }

    /// @dev What the rule gives away: nothing. Two pasts of one claim part somewhere, and there two claims stand, or a gap.
    function test_forkedHistoryIsStruckWhereItForks() public {
        Draft memory d = _claim();
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        bytes24 linkA = bytes24(ledger.recordDigest(_link, d.pack()));
        Draft memory other = _claim();
        other.production[3] = 11;
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _link, other);
        bytes24 linkB = bytes24(ledger.recordDigest(_link, other.pack()));
        (d.day, d.sequence) = (d.day + 1, d.sequence + 1);
        SignedRecord memory nextA = RecordMaker.evidence(ledger, _keyOf(0), linkA, d);
        SignedRecord memory nextB = RecordMaker.evidence(ledger, _keyOf(0), linkB, d);
        _reportRefused(nextA, nextB, _keyOf(0), _sameClaim(d.day));
        _report(a, b, _keyOf(0));
    }

    // ------------------------------------------------------------------------------------------------ what is no evidence

    function test_RevertWhen_oneOfThemIsAGap() public {
        // A device that forgot what it signed says so by a gap, and loses nothing.
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _link, _draft(0, RecordKind.Gap));
        bytes memory reason = abi.encodeWithSelector(IEnergyLedger.GapIsNoEvidence.selector);
        _reportRefused(a, b, _keyOf(0), reason);
        _reportRefused(b, a, _keyOf(0), reason);
    }

    function test_forgetfulDeviceThatUsesGapsNeverEquivocates() public {
        // It signed three days that never arrived, lost its memory, and reads sequence and link from the chain.
        skip(2 days);
        SignedRecord[3] memory lost;
        bytes24 link = _link;
        Draft memory d = _draft(0, RecordKind.Metered);
        for (uint16 i = 0; i < 3; ++i) {
            lost[i] = RecordMaker.evidence(ledger, _keyOf(0), link, d);
            link = bytes24(RecordMaker.digest(address(ledger), block.chainid, link, d.pack()));
            (d.sequence, d.day) = (d.sequence + 1, d.day + 1);
        }
        Draft memory gap = _draft(0, RecordKind.Gap);
        (gap.day, gap.sequence) = (gap.day + 2, gap.sequence + 2);
        _submit(0, gap);
        _endDay(0);
        d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        bytes24 previous = _state(0).link;
        SignedRecord memory fresh = RecordMaker.evidence(ledger, _keyOf(0), previous, d);
        _submit(fresh.data);
        for (uint256 i = 0; i < 3; ++i) {
            (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
            vm.expectPartialRevert(IEnergyLedger.EvidenceMismatch.selector);
            ledger.reportEquivocation(lost[i], fresh, bytes32(x), bytes32(y));
        }
    }

    function test_RevertWhen_theRecordsAreOfDifferentDays() public {
        Draft memory d = _draft(0, RecordKind.Metered);
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        (d.sequence, d.day) = (d.sequence + 1, d.day + 1);
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        _reportRefused(
            a,
            b,
            _keyOf(0),
            abi.encodeWithSelector(
                IEnergyLedger.EvidenceMismatch.selector, _worker(0), d.day - 1, _worker(0), d.day
            )
        );
    }

    function test_RevertWhen_theRecordsAreOfDifferentWorkers() public {
        (SignedRecord memory a,) = _two();
        Draft memory d = _draft(0, RecordKind.Metered);
        d.worker = _worker(1);
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(1), _link, d);
        vm.expectPartialRevert(IEnergyLedger.EvidenceMismatch.selector);
        _report(a, b, _keyOf(0));
    }

    function test_RevertWhen_oneIsForged() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        b.data[100] ^= 0x01;
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _report(a, b, _keyOf(0));
    }

    function test_RevertWhen_theEvidenceIsOfAnotherChain() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _report(a, b, _keyOf(0));
    }

    function test_RevertWhen_theKeyIsTheForgersOwn() public {
        Draft memory d = _draft(0, RecordKind.Metered);
        SignedRecord memory a = RecordMaker.evidence(ledger, NEW_KEY, _link, d);
        d.flat(1, 1);
        SignedRecord memory b = RecordMaker.evidence(ledger, NEW_KEY, _link, d);
        vm.expectPartialRevert(IEnergyLedger.KeyNotLiable.selector);
        _report(a, b, NEW_KEY);
        // Another worker's key says nothing of this worker either.
        a = RecordMaker.evidence(ledger, _keyOf(1), _link, d);
        d.flat(2, 1);
        b = RecordMaker.evidence(ledger, _keyOf(1), _link, d);
        vm.expectPartialRevert(IEnergyLedger.KeyNotLiable.selector);
        _report(a, b, _keyOf(1));
    }

    function test_replacingTheKeyDoesNotSaveTheBond() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        _replaceKey(0, NEW_KEY);
        skip(LIABLE_SECS);
        _report(a, b, _keyOf(0));
    }

    function test_RevertWhen_theKeyWasReplacedLongAgo() public {
        // A thief of an old device harms nobody for ever.
        (SignedRecord memory a, SignedRecord memory b) = _two();
        _replaceKey(0, NEW_KEY);
        skip(LIABLE_SECS + 1);
        vm.expectPartialRevert(IEnergyLedger.KeyNotLiable.selector);
        _report(a, b, _keyOf(0));
    }

    function test_leavingDoesNotSaveTheBond() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        vm.prank(_worker(0));
        ledger.removeMeter();
        skip(LIABLE_SECS);
        _report(a, b, _keyOf(0));
        skip(1);
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyLedger.MeterBusy.selector, _worker(0), MeterStatus.Struck)
        );
        ledger.withdrawBond(_worker(0));
    }

    function test_RevertWhen_struckTwice() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        _report(a, b, _keyOf(0));
        vm.expectPartialRevert(IEnergyLedger.KeyNotLiable.selector);
        _report(a, b, _keyOf(0));
        // A new bond is not taken for what the old key did.
        _registerMeter(0, NEW_KEY, NAMEPLATE);
        vm.expectPartialRevert(IEnergyLedger.KeyNotLiable.selector);
        _report(a, b, _keyOf(0));
        assertEq(_state(0).bond, BOND, "the new bond stands");
    }

    function test_struckWorkerBeginsAnewWithANewKeyAndBond() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        _report(a, b, _keyOf(0));
        _registerMeter(0, NEW_KEY, NAMEPLATE);
        skip(1 days);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        _submit(RecordMaker.signed(ledger, NEW_KEY, d));
        assertEq(ledger.netOf(_worker(0)), 576, "only what came after");
        assertEq(_state(0).state.attestedDays, 1, "days");
    }

    function test_chainOfAStruckMeterLeadsNowhere() public {
        // Registered again on the day of the strike, with yesterday's record taken: its link is no past of the new meter.
        (SignedRecord memory a, SignedRecord memory b) = _two();
        _submit(a.data);
        assertEq(_state(0).state.day, _today() - 1, "yesterday");
        _report(a, b, _keyOf(0));
        _registerMeter(0, NEW_KEY, NAMEPLATE);
        assertEq(_state(0).link, bytes24(0), "begun anew");
        assertEq(_state(0).state.attestedDays, 0, "and the window");
        assertEq(ledger.netOf(_worker(0)), 0, "empty");
    }

    function test_reportingOneselfCostsHalf() public {
        (SignedRecord memory a, SignedRecord memory b) = _two();
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
        vm.prank(_worker(0));
        ledger.reportEquivocation(a, b, bytes32(x), bytes32(y));
        assertEq(ledger.rewardOf(_worker(0)), BOND / 2, "no profit");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _two() private view returns (SignedRecord memory a, SignedRecord memory b) {
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        a = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
        d.production[50] += 1;
        d.counterWh += 1;
        b = RecordMaker.evidence(ledger, _keyOf(0), _link, d);
    }

    function _claim() private view returns (Draft memory d) {
        d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
    }

    function _sameClaim(uint16 day) private view returns (bytes memory) {
        return abi.encodeWithSelector(IEnergyLedger.SameClaim.selector, _worker(0), day);
    }

    function _report(SignedRecord memory a, SignedRecord memory b, uint256 key) private {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        vm.prank(keeper);
        ledger.reportEquivocation(a, b, bytes32(x), bytes32(y));
    }

    function _reportRefused(SignedRecord memory a, SignedRecord memory b, uint256 key, bytes memory reason)
        private
    {
        (uint256 x, uint256 y) = vm.publicKeyP256(key);
        vm.prank(keeper);
        vm.expectRevert(reason);
        ledger.reportEquivocation(a, b, bytes32(x), bytes32(y));
    }
}
