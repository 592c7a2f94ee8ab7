// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    IComputeAgreement,
    RevealedRoot,
    VerifierOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice Openings of later rounds without the worker's digests, and the worker's answers.
contract UnprovenTest is RoundDriver {
    function setUp() public override {
        super.setUp();
        _addWorkers(9);
        skip(EPOCH_SECS);
        target = 2;
    }

    /// @dev One honest verifier of one against a worker that lies about leaf 2: undecided, and two more have sealed.
    function _secondRound() private returns (IComputeAgreement a, address one, address two) {
        lies[2] = "false";
        return _sealedSecondRound();
    }

    function _sealedSecondRound() private returns (IComputeAgreement a, address one, address two) {
        a = _firstRound(_smallTerms(1), _tell(lies[2] == 0 ? bytes(hex"05") : bytes(hex"00")));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "one against one decides nothing");
        _openDraw(a);
        _draw(a);
        _sealStories(a, _same(2, TRUTH));
        (one, two) = (_verifier(a, 1), _verifier(a, 2));
    }

    function _openUnproven(IComputeAgreement a, address verifier) private {
        vm.prank(stranger);
        a.openUnproven(_opening(verifier, saidBy[verifier]));
    }

    function _answer(IComputeAgreement a, address verifier) private {
        uint32[] memory leaves = a.sampledLeaves(verifier);
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        vm.prank(stranger);
        a.answer(verifier, revealedRoot, leaves, digests, proof);
    }

    // ------------------------------------------------------------------------------------------------ the worker hides

    /// @notice A worker reveals a root of digests that nobody else has. Verifiers of a later round open all the same, and a worker
    /// that does not answer loses its whole lock; who opened is paid.
    function test_attack_rootThatNoBlobLeadsTo() public {
        (IComputeAgreement a, address one, address two) = _secondRound();
        uint256 clientBefore = _owned(client);
        address worker = a.agreement().worker;
        _openUnproven(a, one);
        _openUnproven(a, two);
        assertEq(uint8(a.status()), uint8(Status.Opening), "the worker can still answer");
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "it has not");
        assertEq(_lost(worker), a.workerLock(uint96(100 * SUN)), "its whole lock");
        assertGt(_earned(one), 10 * SUN, "fee and a share of the slash");
        assertEq(_earned(one), _earned(two), "each");
        assertGt(_owned(client), clientBefore, "the client has its reward again");
    }

    /// @notice One of two is enough: no agreeing accomplice makes up for an answer that is owed.
    function test_attack_accompliceDoesNotStandInForAnAnswer() public {
        lies[2] = "false";
        IComputeAgreement a = _firstRound(_smallTerms(1), _same(1, TRUTH));
        _openDraw(a);
        _draw(a);
        _sealStories(a, _tell(hex"0100"));
        _openSaid(a, _verifier(a, 1));
        _openUnproven(a, _verifier(a, 2));
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "silence is no answer");
    }

    // ------------------------------------------------------------------------------------------------ answers

    /// @notice An answer makes it an opening like any other: who agrees agrees, who dissents dissents.
    function test_answeredOpeningCountsAsProven() public {
        (IComputeAgreement a, address one, address two) = _secondRound();
        _openUnproven(a, one);
        vm.expectEmit(address(a));
        emit IComputeAgreement.Opened(one, 1, saidBy[one]);
        _answer(a, one);
        _openSaid(a, two);
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "three found the same");
    }

    /// @notice An honest worker only pays for gas: the liar loses, and an answer of anybody is as good.
    function test_answerOfAnHonestWorkerEndsIt() public {
        (IComputeAgreement a, address one, address two) = _sealedSecondRound();
        _openUnproven(a, one);
        _openUnproven(a, two);
        _answer(a, one);
        assertEq(uint8(a.status()), uint8(Status.Opening), "one answer is owed");
        _answer(a, two);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "all agree but the liar");
        assertEq(_lost(a.agreement().worker), 0, "nothing lost");
    }

    function test_RevertWhen_openedUnprovenInTheSecondHalf() public {
        (IComputeAgreement a, address one,) = _secondRound();
        uint256 until = uint256(a.agreement().deadline) - a.params().openSecs / 2;
        VerifierOpening memory o = _opening(one, saidBy[one]);
        vm.warp(until + 1);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, until + 1, until));
        a.openUnproven(o);
        vm.warp(until);
        a.openUnproven(o);
    }

    function test_RevertWhen_openedUnprovenInTheFirstRound() public {
        IComputeAgreement a = _sealedWork(_smallTerms(1));
        _openDraw(a);
        _draw(a);
        _sealStories(a, _same(1, TRUTH));
        _revealAndKeep(a);
        VerifierOpening memory o = _opening(_verifier(a, 0), saidBy[_verifier(a, 0)]);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.WrongRound.selector, 0, 1));
        a.openUnproven(o);
    }

    function test_RevertWhen_unprovenOpeningDoesNotFitTheSeal() public {
        (IComputeAgreement a, address one,) = _secondRound();
        VerifierOpening memory o = _opening(one, saidBy[one]);
        o.digests = saidBy[one];
        o.digests[0] = "other";
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.openUnproven(o);
        o.digests[0] = 0;
        vm.expectPartialRevert(IComputeAgreement.ZeroDigest.selector);
        a.openUnproven(o);
        o.digests = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LengthMismatch.selector, 0, 1));
        a.openUnproven(o);
    }

    function test_RevertWhen_openedTwice() public {
        (IComputeAgreement a, address one,) = _secondRound();
        VerifierOpening memory o = _opening(one, saidBy[one]);
        a.openUnproven(o);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyOpenedSlot.selector, one));
        a.openUnproven(o);
        uint32[] memory leaves = a.sampledLeaves(one);
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyOpenedSlot.selector, one));
        a.openLate(o, revealedRoot, leaves, digests, proof);
    }

    function test_RevertWhen_thereIsNothingToAnswer() public {
        (IComputeAgreement a, address one, address two) = _secondRound();
        uint32[] memory leaves = a.sampledLeaves(one);
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NothingToAnswer.selector, one));
        a.answer(one, revealedRoot, leaves, digests, proof);
        _openUnproven(a, two);
        _answer(a, two);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NothingToAnswer.selector, two));
        a.answer(two, revealedRoot, leaves, digests, proof);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, stranger));
        a.answer(stranger, revealedRoot, leaves, digests, proof);
    }

    /// @notice Only the worker's own digests answer: of the root that it revealed, of just these leaves.
    function test_RevertWhen_answerIsForged() public {
        (IComputeAgreement a, address one,) = _secondRound();
        _openUnproven(a, one);
        uint32[] memory leaves = a.sampledLeaves(one);
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        bytes32 kept = digests[0];
        digests[0] = "forged";
        vm.expectPartialRevert(IComputeAgreement.ProofInvalid.selector);
        a.answer(one, revealedRoot, leaves, digests, proof);
        digests[0] = kept;
        RevealedRoot memory other = revealedRoot;
        other.root = "other";
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.answer(one, other, leaves, digests, proof);
        uint32[] memory moved = new uint32[](1);
        moved[0] = 1;
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LeafMissing.selector, uint32(2)));
        a.answer(one, revealedRoot, moved, digests, proof);
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        a.answer(one, revealedRoot, leaves, digests, proof);
    }
}
