// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    ComputeParams,
    IComputeAgreement,
    Result,
    RevealedRoot,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Hostile} from "../utils/Hostile.t.sol";

/// @notice Every function of an agreement in every status, with arguments that are zero, maximal, random, or right but for one
/// field, from everybody, in time and late: refused with an error that tells, or done with the books in order.
contract AgreementCallsTest is Hostile {
    /// @dev Functions that `_call` knows; a new one of IComputeAgreement or IWorkAgreement is to be added there.
    uint256 private constant FUNCTIONS = 44;
    uint256 private constant STATUSES = 11;

    /// @dev One agreement in each status, in the order of `Status`.
    IComputeAgreement[] private _all;

    function setUp() public override {
        super.setUp();
        _all = new IComputeAgreement[](STATUSES);
        Status[11] memory order = [
            Status.Settled,
            Status.Disputable,
            Status.Opening,
            Status.Revealing,
            Status.Verifying,
            Status.Cancelled,
            Status.Sealed,
            Status.Keying,
            Status.Working,
            Status.Open,
            Status.Drawing
        ];
        for (uint256 i = 0; i < STATUSES; ++i) {
            _all[uint8(order[i])] = _in(order[i]);
        }
        for (uint256 i = 0; i < STATUSES; ++i) {
            assertEq(uint8(_all[i].status()), i, "each in its status");
        }
    }

    /// @dev Long enough for one agreement in each status side by side.
    function _params() internal pure override returns (ComputeParams memory p) {
        p = super._params();
        (p.keySecs, p.seedSecs, p.revealSecs, p.openSecs) = (30 days, 30 days, 30 days, 30 days);
        p.drawStepSecs = 1 hours;
    }

    function _in(Status s) private returns (IComputeAgreement a) {
        ComputeTerms memory t = _terms();
        (t.acceptSecs, t.workSecs, t.verifySecs) = (30 days, 30 days, 30 days);
        if (s == Status.Keying) t.flags = 1;
        if (s == Status.Disputable) t.disputeSecs = 30 days;
        if (s != Status.Disputable && s != Status.Cancelled) return _driveTo(t, s);
        a = _driveTo(t, s == Status.Cancelled ? Status.Open : Status.Revealing);
        if (s == Status.Disputable) return _settled(a);
        vm.prank(client);
        a.cancel();
    }

    /// @dev All open and agree; a window for disputes follows.
    function _settled(IComputeAgreement a) private returns (IComputeAgreement) {
        _settleAll(a);
        return a;
    }

    /// @notice Each function once in each status, with arguments of the fuzzer's.
    /// forge-config: default.fuzz.runs = 24
    function testFuzz_everyFunctionInEveryStatus(uint256 seed) public {
        entropy = seed;
        if (_pick(4) == 0) skip(_pick(2) == 0 ? 31 days : 10 days);
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < STATUSES; ++i) {
            for (uint256 f = 0; f < FUNCTIONS; ++f) {
                bytes memory call = _call(_all[i], f);
                if (!_throw(address(_all[i]), _caller(), call)) continue;
                // Changes are undone, but not the generator's state.
                uint256 kept = entropy;
                vm.revertToState(snapshot);
                entropy = kept;
            }
        }
    }

    /// @notice The same without undoing: a storm of calls at all agreements, time running. What a call has changed the next one
    /// finds.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_storm(uint256 seed) public {
        entropy = seed;
        for (uint256 n = 0; n < 120; ++n) {
            if (_pick(30) == 0) skip(_pick(40) * 1 days);
            IComputeAgreement a = _all[_pick(STATUSES)];
            bytes memory call = _call(a, _pick(FUNCTIONS));
            _throw(address(a), _caller(), call);
        }
        assertGt(refused, 0, "mostly refused");
    }

    /// @notice A selector with bytes behind it that are no arguments of it: never a panic, and the books add up. The refusal may be
    /// empty here: Solidity's decoder says nothing.
    function testFuzz_malformedCalldata(uint256 seed, bytes calldata junk) public {
        entropy = seed;
        for (uint256 f = 0; f < FUNCTIONS; ++f) {
            IComputeAgreement a = _all[_pick(STATUSES)];
            bytes memory call = bytes.concat(bytes4(_call(a, f)), junk);
            vm.prank(_caller());
            (bool ok, bytes memory answer) = address(a).call(call);
            if (!ok && answer.length != 0) assertTrue(bytes4(answer) != PANIC, "no panic");
        }
        _assertBooks();
    }

    /// @notice A threshold is asked for while a window is open, and then only.
    function test_RevertWhen_thresholdIsAskedForOutsideADraw() public {
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Working, Status.Drawing)
        );
        _all[uint8(Status.Working)].ticketThreshold();
        assertGt(_all[uint8(Status.Drawing)].ticketThreshold(), 0, "in a draw");
    }

    // ------------------------------------------------------------------------------------------------ calls

    function _call(IComputeAgreement a, uint256 f) private returns (bytes memory) {
        if (f < 14) return _step(a, f);
        if (f < 24) return _opening(a, f - 14);
        if (f < 30) return _afterwards(a, f - 24);
        return _view(a, f - 30);
    }

    function _step(IComputeAgreement a, uint256 f) private returns (bytes memory) {
        if (f == 0) return abi.encodeCall(a.accept, ());
        if (f == 1) return abi.encodeCall(a.acceptPlaced, (uint40(_num(40)), _data()));
        if (f == 2) return abi.encodeCall(a.cancel, ());
        if (f == 3) return abi.encodeCall(a.postKey, (_anybody(), _data()));
        if (f == 4) return abi.encodeCall(a.abort, ());
        if (f == 5) return abi.encodeCall(a.sealResult, (_word(), _word(), _word(), _data()));
        if (f == 6) return abi.encodeCall(a.submitResult, (_word(), _word(), _word(), _word()));
        if (f == 7) return abi.encodeCall(a.acceptResult, ());
        if (f == 8) return abi.encodeCall(a.openDraw, (_data()));
        if (f == 9) return abi.encodeCall(a.claim, (_num(256)));
        if (f == 10) return abi.encodeCall(a.claimAndSeal, (_num(256), _word()));
        if (f == 11) return abi.encodeCall(a.provideVerification, (_word()));
        if (f == 12) return abi.encodeCall(a.decline, (uint16(_num(16))));
        return abi.encodeCall(a.acceptFor, (_anybody()));
    }

    function _opening(IComputeAgreement a, uint256 f) private returns (bytes memory) {
        if (f == 0) return abi.encodeCall(a.reveal, (_worker(a)));
        if (f == 1) return _openOne(a);
        if (f == 2 || f == 3) return _settle(a);
        if (f == 4 || f == 5) return _late(a);
        if (f == 6) return abi.encodeCall(a.decide, ());
        if (f == 7) return abi.encodeCall(a.openUnproven, (_verifierOpening(a)));
        if (f == 8) return _answer(a);
        return abi.encodeCall(a.expire, ());
    }

    function _afterwards(IComputeAgreement a, uint256 f) private returns (bytes memory) {
        if (f == 0) return abi.encodeCall(a.refundContribution, (_anybody()));
        if (f == 1) return abi.encodeCall(a.funded, (_anybody(), uint96(_num(96)), _data()));
        if (f == 2) return abi.encodeCall(a.redeemPayment, (_anybody()));
        if (f == 3) return abi.encodeCall(a.deliver, (_result(), RevealedRoot(_word(), _word(), _word())));
        if (f == 4) return abi.encodeCall(a.deliver, (_result(), _revealedOf(a)));
        return abi.encodeCall(a.quote, (_packed()));
    }

    function _view(IComputeAgreement a, uint256 f) private returns (bytes memory) {
        if (f == 0) return abi.encodeCall(a.boundTerms, ());
        if (f == 1) return abi.encodeCall(a.agreement, ());
        if (f == 2) return abi.encodeCall(a.beacon, ());
        if (f == 3) return abi.encodeCall(a.params, ());
        if (f == 4) return abi.encodeCall(a.workerLock, (uint96(_num(96))));
        if (f == 5) return abi.encodeCall(a.verifierLock, (uint96(_num(96))));
        if (f == 6) return abi.encodeCall(a.disputeBond, ());
        if (f == 7) return abi.encodeCall(a.lockOf, (_anybody()));
        if (f == 8) return abi.encodeCall(a.contributionOf, (_anybody()));
        if (f == 9) return abi.encodeCall(a.sampledLeaves, (_anybody()));
        if (f == 10) return abi.encodeCall(a.ticketThreshold, ());
        if (f == 11) return abi.encodeCall(a.status, ());
        if (f == 12) return abi.encodeCall(a.ending, ());
        return abi.encodeCall(a.client, ());
    }

    // ------------------------------------------------------------------------------------------------ arguments

    function _hasSlots(IComputeAgreement a) private view returns (bool) {
        return a.agreement().slots.length != 0;
    }

    /// @dev Any, or the right one but for one field.
    function _worker(IComputeAgreement a) private returns (WorkerOpening memory o) {
        if (!_hasSlots(a) || _pick(3) == 0) {
            return WorkerOpening(_word(), _word(), _word(), _word(), _numbers(), _words(6), _words(6));
        }
        o = _workerOpening(a);
        uint256 field = _pick(9);
        if (field == 0) o.root = _word();
        if (field == 1) o.salt = _word();
        if (field == 2) o.ciphertextRoot = _word();
        if (field == 3) o.resultBlob = _word();
        if (field == 4) o.leaves = _numbers();
        if (field == 5) o.digests = _words(6);
        if (field == 6) o.proof = _words(6);
    }

    function _verifierOpening(IComputeAgreement a) private returns (VerifierOpening memory o) {
        o = VerifierOpening(_anybody(), _word(), _words(5));
        if (!_hasSlots(a) || _pick(3) == 0) return o;
        o = _honestOpenings(a)[_pick(a.agreement().slots.length)];
        uint256 field = _pick(5);
        if (field == 0) o.verifier = _anybody();
        if (field == 1) o.salt = _word();
        if (field == 2) o.digests = _words(5);
    }

    function _openOne(IComputeAgreement a) private returns (bytes memory) {
        WorkerOpening memory w = _worker(a);
        return abi.encodeCall(a.openVerification, (_verifierOpening(a), w.root, w.leaves, w.digests));
    }

    function _settle(IComputeAgreement a) private returns (bytes memory) {
        VerifierOpening[] memory all = new VerifierOpening[](_pick(4));
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = _verifierOpening(a);
        }
        return abi.encodeCall(a.settleAll, (_worker(a), all));
    }

    function _answer(IComputeAgreement a) private returns (bytes memory) {
        WorkerOpening memory w = _worker(a);
        address verifier = _verifierOpening(a).verifier;
        return abi.encodeCall(a.answer, (verifier, _revealedOf(a), w.leaves, w.digests, w.proof));
    }

    function _late(IComputeAgreement a) private returns (bytes memory) {
        WorkerOpening memory w = _worker(a);
        return abi.encodeCall(a.openLate, (_verifierOpening(a), _revealedOf(a), w.leaves, w.digests, w.proof));
    }

    /// @dev What the worker revealed, if it did, or another field of it.
    function _revealedOf(IComputeAgreement a) private returns (RevealedRoot memory r) {
        if (!_hasSlots(a)) return RevealedRoot(_word(), _word(), _word());
        WorkerOpening memory o = _workerOpening(a);
        r = RevealedRoot(
            o.root, keccak256(abi.encodePacked(o.leaves)), keccak256(abi.encodePacked(o.digests))
        );
        if (_pick(3) == 0) r.leavesHash = _word();
    }

    function _result() private returns (Result memory) {
        return Result(uint32(_num(32)), _data(), _data(), _word(), _words(6));
    }

    /// @dev Packed terms, right but for some fields, or bytes that are none.
    function _packed() private returns (bytes memory) {
        if (_pick(3) == 0) return _data();
        ComputeTerms memory t = _terms();
        uint256 field = _pick(12);
        if (field == 0) t.rewardMin = uint96(_num(96));
        if (field == 1) t.rewardMax = uint96(_num(96));
        if (field == 2) t.verifierFee = uint96(_num(96));
        if (field == 3) t.classId = uint16(_num(16));
        if (field == 4) t.trustLevel = uint8(_num(8));
        if (field == 5) t.trust = uint16(_num(16));
        if (field == 6) t.leafCount = uint32(_num(24));
        if (field == 7) t.samples = uint8(_num(8));
        if (field == 8) t.verifiers = uint8(_num(8));
        if (field == 9) t.acceptSecs = uint24(_num(24));
        if (field == 10) (t.flags, t.named) = (uint8(2 + 2 * _pick(2)), _anybody());
        if (field == 11) (t.flags, t.callback, t.callbackGas) = (8, _anybody(), uint32(_num(32)));
        return ComputeTermsLib.pack(t);
    }
}
