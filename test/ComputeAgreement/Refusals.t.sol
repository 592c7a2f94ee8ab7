// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    RevealedRoot,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Every step refused: in the wrong status, too late, by the wrong party, with wrong content.
contract RefusalsTest is Driver {
    // ------------------------------------------------------------------------------------------------ wrong status

    /// @notice Each step works in one status only; all statuses are tried.
    function test_RevertWhen_wrongStatus() public {
        for (uint8 i = 0; i <= uint8(Status.Settled); ++i) {
            uint256 snapshot = vm.snapshotState();
            ComputeTerms memory t = _terms();
            if (Status(i) == Status.Keying) t.flags = 1;
            IComputeAgreement a = _driveTo(t, Status(i));
            assertEq(uint8(a.status()), i, "driven there");
            _assertOnlyIn(a, Status(i));
            vm.revertToState(snapshot);
        }
    }

    function _assertOnlyIn(IComputeAgreement a, Status s) private {
        WorkerOpening memory w;
        VerifierOpening memory o;
        VerifierOpening[] memory none = new VerifierOpening[](0);
        bytes memory openOne = abi.encodeCall(a.openVerification, (o, 0, new uint32[](0), new bytes32[](0)));
        if (s != Status.Open) {
            // A window that closed by time alone is still written as Drawing.
            Status written = s == Status.Verifying ? Status.Drawing : s;
            _refused(a, workers[1].owner, abi.encodeCall(a.accept, ()), written, Status.Open);
            _refused(a, client, abi.encodeCall(a.cancel, ()), s, Status.Open);
        }
        if (s != Status.Keying) {
            _refused(a, client, abi.encodeCall(a.postKey, (a.agreement().worker, "")), s, Status.Keying);
        }
        if (s != Status.Keying && s != Status.Working) {
            _refused(a, workers[0].owner, abi.encodeCall(a.abort, ()), s, Status.Working);
        }
        if (s != Status.Working) {
            _refused(
                a, workers[0].owner, abi.encodeCall(a.sealResult, (bytes32("s"), 0, 0, "")), s, Status.Working
            );
        }
        if (s != Status.Sealed) _refused(a, keeper, abi.encodeCall(a.openDraw, ("")), s, Status.Sealed);
        if (s == Status.Sealed) {
            // A claim opens the window itself, once the round is recorded.
            vm.expectRevert(
                abi.encodeWithSelector(IComputeAgreement.SeedNotRecorded.selector, a.agreement().round)
            );
            vm.prank(workers[1].owner);
            a.claim(0);
        } else if (s != Status.Drawing) {
            _refused(a, workers[1].owner, abi.encodeCall(a.claim, (0)), s, Status.Drawing);
            _refused(
                a, workers[1].owner, abi.encodeCall(a.claimAndSeal, (0, bytes32("s"))), s, Status.Drawing
            );
        }
        if (s != Status.Verifying) {
            _refused(
                a,
                workers[1].owner,
                abi.encodeCall(a.provideVerification, (bytes32("s"))),
                s,
                Status.Verifying
            );
            _refused(a, workers[1].owner, abi.encodeCall(a.decline, (1)), s, Status.Verifying);
        }
        if (s != Status.Revealing) {
            _refused(a, stranger, abi.encodeCall(a.reveal, (w)), s, Status.Revealing);
            _refused(a, stranger, abi.encodeCall(a.settleAll, (w, none)), s, Status.Revealing);
        }
        if (s != Status.Opening) _refused(a, stranger, openOne, s, Status.Opening);
        _assertOnlyLater(a, s);
    }

    /// @dev Steps of a result that is open, or of an agreement that has ended: none of these statuses but the last is one.
    function _assertOnlyLater(IComputeAgreement a, Status s) private {
        VerifierOpening memory o;
        RevealedRoot memory r;
        bytes32[] memory none = new bytes32[](0);
        bytes memory openLate = abi.encodeCall(a.openLate, (o, r, new uint32[](0), none, none));
        if (s != Status.Opening) {
            _refused(a, stranger, openLate, s, Status.Opening);
            _refused(a, stranger, abi.encodeCall(a.decide, ()), s, Status.Opening);
        }
        _refused(a, client, abi.encodeCall(a.acceptResult, ()), s, Status.Disputable);
        if (s != Status.Working) {
            _refused(
                a,
                workers[0].owner,
                abi.encodeCall(a.submitResult, (bytes32("r"), 0, 0, 0)),
                s,
                Status.Working
            );
        }
        if (s != Status.Settled) {
            // A window that closed by time alone is still written as Drawing.
            Status written = s == Status.Verifying ? Status.Drawing : s;
            _refused(a, stranger, abi.encodeCall(a.refundContribution, (client)), written, Status.Settled);
        }
    }

    /// @notice What only the dispatcher may tell an agreement.
    function test_RevertWhen_notTheDispatcher() public {
        IComputeAgreement a = _buy(_terms());
        bytes memory err = abi.encodeWithSelector(IWorkAgreement.NotTheDispatcher.selector, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(err);
        a.acceptFor(workers[0].owner);
        vm.expectRevert(err);
        a.funded(stranger, 1, "");
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.NotTheDispatcher.selector, client));
        vm.prank(client);
        a.funded(client, 1, abi.encodePacked(uint32(0)));
    }

    /// @notice A call that no part of an agreement knows reverts, with or without data.
    function test_RevertWhen_callIsUnknown() public {
        IComputeAgreement a = _buy(_terms());
        (bool ok,) = address(a).call(abi.encodeWithSignature("initialize(address)", stranger));
        assertFalse(ok, "no such function");
        (ok,) = address(a).call("");
        assertFalse(ok, "nothing is asked");
        vm.deal(address(this), 1 ether);
        (ok,) = address(a).call{value: 1}(abi.encodeCall(a.accept, ()));
        assertFalse(ok, "takes no ether");
    }

    function _refused(IComputeAgreement a, address who, bytes memory call, Status found, Status expected)
        private
    {
        bytes memory err = abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, found, expected);
        vm.prank(who);
        (bool ok, bytes memory answer) = address(a).call(call);
        assertFalse(ok, "refused");
        assertEq(answer, err, "with both statuses");
    }

    // ------------------------------------------------------------------------------------------------ too late

    function test_RevertWhen_acceptedTooLate() public {
        IComputeAgreement a = _buy(_terms());
        _late(a, workers[0].owner, abi.encodeCall(a.accept, ()));
    }

    function test_RevertWhen_keyTooLate() public {
        ComputeTerms memory t = _terms();
        t.flags = 1;
        IComputeAgreement a = _driveTo(t, Status.Keying);
        _late(a, client, abi.encodeCall(a.postKey, (workers[0].owner, "key")));
    }

    function test_RevertWhen_sealedTooLate() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        _late(a, workers[0].owner, abi.encodeCall(a.sealResult, (bytes32("s"), 0, 0, "")));
    }

    function test_RevertWhen_beaconTooLate() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        bytes memory proof = _beaconProof(a);
        _late(a, keeper, abi.encodeCall(a.openDraw, (proof)));
    }

    function test_RevertWhen_claimedTooLate() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        _late(a, workers[1].owner, abi.encodeCall(a.claim, (0)));
    }

    function test_RevertWhen_verifiedTooLate() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        address verifier = _verifier(a, 0);
        _late(a, verifier, abi.encodeCall(a.provideVerification, (bytes32("s"))));
        _late(a, verifier, abi.encodeCall(a.decline, (1)));
    }

    function test_RevertWhen_revealedTooLate() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        _late(a, workers[0].owner, abi.encodeCall(a.reveal, (_workerOpening(a))));
    }

    function test_RevertWhen_openedTooLate() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening memory o = _honestOpenings(a)[0];
        _late(a, stranger, abi.encodeCall(a.openVerification, (o, w.root, w.leaves, w.digests)));
    }

    /// @dev One second after the deadline is too late; the second itself is not.
    function _late(IComputeAgreement a, address who, bytes memory call) private {
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        bytes memory err = abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline);
        vm.prank(who);
        (bool ok, bytes memory answer) = address(a).call(call);
        assertFalse(ok, "refused");
        assertEq(answer, err, "with now and deadline");
    }

    // ------------------------------------------------------------------------------------------------ wrong party

    function test_RevertWhen_notTheClient() public {
        ComputeTerms memory t = _terms();
        t.flags = 1;
        IComputeAgreement a = _buy(t);
        bytes memory err = abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, stranger, client);
        vm.expectRevert(err);
        vm.prank(stranger);
        a.cancel();
        _accept(a);
        vm.expectRevert(err);
        vm.prank(stranger);
        a.postKey(workers[0].owner, "key");
    }

    function test_RevertWhen_notTheWorker() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        address other = workers[1].owner;
        bytes memory err =
            abi.encodeWithSelector(IComputeAgreement.NotTheWorker.selector, other, workers[0].owner);
        vm.startPrank(other);
        vm.expectRevert(err);
        a.abort();
        vm.expectRevert(err);
        a.sealResult("s", 0, 0, "");
        vm.stopPrank();
    }

    function test_RevertWhen_strangerAccepts() public {
        IComputeAgreement a = _buy(_terms());
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, stranger));
        vm.prank(stranger);
        a.accept();
    }

    function test_RevertWhen_clientWorksOrVerifiesForItself() public {
        _register(client, client, 1);
        _stake(client, STAKE);
        vm.prank(client);
        token.approve(address(dispatcher), type(uint256).max);
        skip(EPOCH_SECS);
        IComputeAgreement a = _buy(_terms());
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.ClientCannotWork.selector, client));
        vm.prank(client);
        a.accept();
        _accept(a);
        _seal(a);
        _openDraw(a);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.WorkerCannotVerify.selector, client));
        vm.prank(client);
        a.claim(0);
    }

    function test_RevertWhen_workerVerifiesItself() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.WorkerCannotVerify.selector, workers[0].owner)
        );
        vm.prank(workers[0].owner);
        a.claim(0);
    }

    function test_RevertWhen_claimedTwice() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        skip(70);
        address verifier = workers[1].owner;
        vm.startPrank(verifier);
        a.claim(0);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyClaimed.selector, verifier));
        a.claim(1);
        vm.stopPrank();
    }

    function test_RevertWhen_noVerifier() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        address outsider = workers[0].owner;
        vm.startPrank(outsider);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, outsider));
        a.provideVerification("seal");
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, outsider));
        a.decline(1);
        vm.stopPrank();
    }

    // ------------------------------------------------------------------------------------------------ wrong content

    function test_RevertWhen_sealIsZero() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        vm.expectRevert(IComputeAgreement.ZeroSeal.selector);
        vm.prank(workers[0].owner);
        a.sealResult(0, 0, 0, "");
        _seal(a);
        _openDraw(a);
        _draw(a);
        address verifier = _verifier(a, 0);
        vm.expectRevert(IComputeAgreement.ZeroSeal.selector);
        vm.prank(verifier);
        a.provideVerification(0);
    }

    function test_RevertWhen_sealedTwice() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        address verifier = _verifier(a, 0);
        _sealAs(a, verifier, _honestDigests(a, verifier));
        vm.startPrank(verifier);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadySealed.selector, verifier));
        a.provideVerification("another");
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadySealed.selector, verifier));
        a.decline(1);
        vm.stopPrank();
    }

    function test_RevertWhen_noSuchTicket() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoSuchTicket.selector, 100, 100));
        vm.prank(workers[1].owner);
        a.claim(100);
    }

    function test_RevertWhen_ticketTooHigh() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        uint256 limit = a.ticketThreshold();
        bytes32 seed = a.agreement().drawSeed;
        uint256 index = 0;
        uint256 ticket = 0;
        for (; ticket < limit; ++index) {
            ticket = uint256(keccak256(abi.encode(seed, workers[1].owner, index)));
        }
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.TicketTooHigh.selector, ticket, limit));
        vm.prank(workers[1].owner);
        a.claim(index - 1);
    }

    /// @notice Stake that came after the worker's seal draws nothing, even where every ticket may claim.
    function test_RevertWhen_stakeCameLater() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        address late = makeAddr("late");
        vm.warp(uint256(a.agreement().deadline) - 1);
        _register(late, late, 1);
        _stake(late, STAKE);
        _seal(a);
        _openDraw(a);
        skip(75);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.NotInClass.selector, late, CLASS));
        vm.prank(late);
        a.claim(0);
    }

    function test_RevertWhen_revealDoesNotFitTheSeal() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        for (uint256 field = 0; field < 4; ++field) {
            WorkerOpening memory o = _workerOpening(a);
            if (field == 0) o.root = "other";
            if (field == 1) o.salt = "other";
            if (field == 2) o.ciphertextRoot = "other";
            if (field == 3) o.resultBlob = "other";
            vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
            a.reveal(o);
        }
    }

    function test_RevertWhen_revealedDigestIsNotInTheTree() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        WorkerOpening memory o = _workerOpening(a);
        o.digests[1] = "other";
        vm.expectPartialRevert(IComputeAgreement.ProofInvalid.selector);
        a.reveal(o);
    }

    function test_RevertWhen_sampledLeafIsMissing() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        uint32[] memory union = _sampledUnion(a);
        uint32 missing = union[union.length - 1];
        WorkerOpening memory o = _openingOf(_dropLast(union), 16);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LeafMissing.selector, missing));
        a.reveal(o);
    }

    function test_RevertWhen_openingBringsOtherDigests() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening memory o = _honestOpenings(a)[0];
        w.digests[0] = "other";
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.openVerification(o, w.root, w.leaves, w.digests);
    }

    function test_RevertWhen_verifierOpensOtherDigests() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening memory o = _honestOpenings(a)[0];
        o.digests = new bytes32[](3);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LengthMismatch.selector, 3, 4));
        a.openVerification(o, w.root, w.leaves, w.digests);
        o.digests = _honestDigests(a, o.verifier);
        o.digests[0] = "changed its mind";
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.openVerification(o, w.root, w.leaves, w.digests);
        o.digests = new bytes32[](0);
        o.salt = "other";
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.openVerification(o, w.root, w.leaves, w.digests);
    }

    function test_RevertWhen_openedTwiceOrByNobody() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening memory o = _honestOpenings(a)[0];
        a.openVerification(o, w.root, w.leaves, w.digests);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyOpenedSlot.selector, o.verifier));
        a.openVerification(o, w.root, w.leaves, w.digests);
        o.verifier = stranger;
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, stranger));
        a.openVerification(o, w.root, w.leaves, w.digests);
    }

    function test_RevertWhen_sameOpeningTwiceInSettleAll() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening[] memory o = _honestOpenings(a);
        o[1] = o[0];
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyOpenedSlot.selector, o[0].verifier));
        a.settleAll(w, o);
    }

    function test_RevertWhen_leavesAreNotAscending() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        WorkerOpening memory o = _workerOpening(a);
        o.leaves[1] = o.leaves[0];
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 1, o.leaves[0], 16));
        a.reveal(o);
    }

    function test_viewBeforeAnythingHappened() public {
        IComputeAgreement a = _buy(_terms());
        AgreementView memory v = a.agreement();
        assertEq(v.deadline, block.timestamp + 300, "deadline from the terms");
        assertEq(v.slots.length, 0, "no slots");
        assertEq(a.sampledLeaves(workers[1].owner).length, 0, "no samples before the draw");
        assertEq(a.client(), client, "client");
        assertEq(a.boundTerms().specHash, keccak256(SPEC), "spec");
        assertEq(a.boundTerms().boughtAt, block.timestamp, "time");
        assertEq(keccak256(abi.encode(a.boundTerms().terms)), keccak256(abi.encode(_terms())), "terms");
        assertEq(keccak256(abi.encode(a.params())), keccak256(abi.encode(_params())), "params");
    }

    function _dropLast(uint32[] memory leaves) private pure returns (uint32[] memory fewer) {
        fewer = new uint32[](leaves.length - 1);
        for (uint256 i = 0; i < fewer.length; ++i) {
            fewer[i] = leaves[i];
        }
    }
}
