// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {RoundKind} from "../../contracts/types/ComputeState.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice Dissent without a winner calls V + 1 more verifiers for the leaf in dispute, twice at most.
contract RoundsTest is RoundDriver {
    function setUp() public override {
        super.setUp();
        _addWorkers(10);
        skip(EPOCH_SECS);
        target = 2;
    }

    // ------------------------------------------------------------------------------------------------ how it goes

    /// @notice One against one: two more verifiers compute that leaf and nothing else.
    function test_dissentOpensARound() public {
        ComputeTerms memory t = _smallTerms(1);
        IComputeAgreement a = _sealedWork(t);
        _openDraw(a);
        _draw(a);
        _sealStories(a, _tell(hex"05"));
        _revealAndKeep(a);
        uint32[] memory leaves = new uint32[](1);
        leaves[0] = 2;
        vm.expectEmit(address(a));
        emit IComputeAgreement.RoundOpened(1, RoundKind.Leaves, 2, leaves, beacon.nextRound());
        _openStories(a, _tell(hex"05"));

        AgreementView memory v = a.agreement();
        assertEq(uint8(v.status), uint8(Status.Sealed), "waits for its beacon round");
        assertEq(v.deadline, block.timestamp + _params().seedSecs, "as long as the first");
        assertEq(v.voteRound, 1, "second round of voting");
        assertEq(uint8(v.kind), uint8(RoundKind.Leaves), "kind");
        assertEq(v.wanted, 2, "V + 1");
        assertEq(v.firstSlot, 1, "the first round keeps its slot");
        assertEq(v.sealedCount + v.openedCount, 0, "counted anew");
        _assertLeaves(v.leaves, leaves, "the leaf in dispute");

        bytes32 firstSeed = v.drawSeed;
        _openDraw(a);
        assertNotEq(a.agreement().drawSeed, firstSeed, "a draw of its own");
        _draw(a);
        v = a.agreement();
        assertEq(v.slots.length, 3, "all seated");
        for (uint256 i = 1; i < 3; ++i) {
            _assertLeaves(a.sampledLeaves(v.slots[i].verifier), leaves, "just that leaf");
            assertEq(v.slots[i].voteRound, 1, "of this round");
        }
    }

    /// @notice The round finds the verifier wrong: its lock pays the round, and the rest burns, so that nobody gains by
    /// outvoting.
    function test_liarLosesAndPaysTheRound() public {
        ComputeTerms memory t = _smallTerms(1);
        Books memory before = _books();
        IComputeAgreement a = _firstRound(t, _tell(hex"05"));
        address liar = _verifier(a, 0);
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the worker was right");
        uint256 lock = 100 * SUN;
        assertEq(_lost(liar), lock, "its whole lock");
        assertEq(_earned(liar), 0, "and no fee");
        assertEq(_earned(workers[0].owner), 100 * SUN, "worker");
        for (uint256 i = 1; i < 3; ++i) {
            assertEq(_earned(_verifier(a, i)), 10 * SUN, "fee");
            assertEq(dispatcher.workerInfo(_verifier(a, i)).score, 1, "score");
        }
        Books memory b = _books();
        assertEq(b.burned - before.burned, 80 * SUN, "what the two fees of the round leave is burned");
        assertEq(
            before.client - b.client,
            100 * SUN + SEED_TIP,
            "the client pays no fee of the liar, none of the round"
        );
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice The round finds the worker wrong: its lock pays all fees, and the client pays nothing but the tip.
    function test_lyingWorkerIsRefutedByTheRound() public {
        lies[2] = "false";
        Books memory before = _books();
        IComputeAgreement a = _firstRound(_smallTerms(1), _same(1, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "one against one");
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "found");
        uint256 lock = a.workerLock(uint96(100 * SUN));
        assertEq(lock, 130 * SUN, "the reward and three fees");
        assertEq(_lost(workers[0].owner), lock, "all of it");
        uint256 share = (lock - 30 * SUN) / 2 / 3;
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(_earned(_verifier(a, i)), 10 * SUN + share, "all three are honest");
        }
        assertEq(before.client - _books().client, SEED_TIP, "made whole");
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 0, "no score");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Two liars with one story tie with worker and one honest verifier; the round of four decides against them.
    function test_twoLiarsTieThenLose() public {
        IComputeAgreement a = _firstRound(_smallTerms(3), _tell(hex"050500"));
        (address one, address two) = (_verifier(a, 0), _verifier(a, 1));
        _nextRound(a, _same(4, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "2^6 against 2^2");
        assertGt(_lost(one), 0, "lost");
        assertEq(_lost(one), _lost(two), "both");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice A lying worker with two of three verifiers bought: where T is 8 that is not enough, and two rounds of honest ones
    /// find out.
    function test_boughtMajorityOfTheFirstRoundLoses() public {
        lies[2] = "false";
        ComputeTerms memory t = _smallTerms(3);
        t.trust = 8;
        IComputeAgreement a = _firstRound(t, _tell(hex"010100"));
        _nextRound(a, _same(4, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "2^5 against 2^3 is no share above 7/8 yet");
        assertEq(a.agreement().voteRound, 2, "a second round");
        _nextRound(a, _same(4, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "2^9 against 2^3");
        assertGt(_lost(workers[0].owner), 0, "worker");
        assertGt(_lost(_verifier(a, 0)), 0, "first accomplice");
        assertGt(_lost(_verifier(a, 1)), 0, "second accomplice");
        for (uint256 i = 2; i < 11; ++i) {
            assertEq(_lost(_verifier(a, i)), 0, "honest ones lose nothing");
            assertGt(_earned(_verifier(a, i)), 0, "and are paid");
        }
        _assertEmpty(address(a));
        _assertConserved();
    }

    // ------------------------------------------------------------------------------------------------ no winner

    /// @notice An app that gives everybody another result: after two rounds nobody is slashed or scored, the worker gets half.
    function test_nonDeterministicAppEndsUndecided() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _nextRound(a, _tell(hex"0607"));
        assertEq(a.agreement().voteRound, 2, "a second round");
        _nextRound(a, _tell(hex"0809"));
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "the cap");
        assertEq(_earned(workers[0].owner), 50 * SUN, "half");
        for (uint256 i = 0; i < 5; ++i) {
            assertEq(_lost(_verifier(a, i)), 0, "nobody is slashed");
            assertEq(_earned(_verifier(a, i)), 10 * SUN, "all are paid");
            assertEq(dispatcher.workerInfo(_verifier(a, i)).score, 0, "no score");
        }
        assertEq(_lost(workers[0].owner), 0, "nor the worker");
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 0, "no score");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Most of the odds against the worker, but fewer than T asks for: it gets nothing, and keeps its stake.
    function test_doubtedWorkerGetsNothing() public {
        lies[2] = "false";
        ComputeTerms memory t = _smallTerms(2);
        t.trust = 4;
        Books memory before = _books();
        IComputeAgreement a = _firstRound(t, _same(2, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "4 of 6 is not above 3/4");
        _lapse(a);
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "nobody came");
        assertEq(_earned(workers[0].owner), 0, "doubted");
        assertEq(_lost(workers[0].owner), 0, "not slashed");
        assertEq(before.client - _books().client, 20 * SUN + SEED_TIP, "the client pays the verifiers");
        _assertEmpty(address(a));
    }

    // ------------------------------------------------------------------------------------------------ dead ends

    /// @notice Nobody proves the beacon: the votes that are there decide, and nobody loses anything.
    function test_noBeaconInALaterRound() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        assertEq(_lapse(a), 1, "one call");
        _assertUndecided(a);
    }

    function test_nobodyClaimsInALaterRound() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _openDraw(a);
        assertEq(_lapse(a), 1, "one call");
        _assertUndecided(a);
    }

    /// @notice All drawn ones vanish, again and again: each pays its fee of vanishing, then the votes that are there decide.
    function test_allVanishInALaterRound() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _openDraw(a);
        uint256 fee = uint256(a.verifierLock(uint96(100 * SUN))) / 5;
        for (uint256 n = 0; n < 2; ++n) {
            _draw(a);
            (address one, address two) = (_verifier(a, 1), _verifier(a, 2));
            vm.warp(uint256(a.agreement().deadline) + 1);
            a.expire();
            assertEq(_lost(one), fee, "vanished");
            assertEq(_lost(two), fee, "vanished");
        }
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "four strikes: the votes that are there");
        assertEq(_earned(workers[0].owner), 50 * SUN, "half for the worker");
        assertEq(_lost(workers[0].owner), 0, "no fault");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Fewer than wanted come: the round takes place with them.
    function test_roundWithFewerVerifiers() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _openDraw(a);
        address only = _claimAny(a);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.status()), uint8(Status.Verifying), "goes on");
        assertEq(a.agreement().wanted, 1, "with one");
        _sealStories(a, _same(1, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Opening), "its seal is the last");
        _openSaid(a, only);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "4 of 6");
        _assertEmpty(address(a));
    }

    /// @notice Who seals in a later round and does not open loses its lock as in the first.
    function test_silentInALaterRound() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _nextRound(a, _tell(hex"00ff"));
        address silent = _verifier(a, 2);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the other one's vote decides");
        assertEq(_lost(silent), 100 * SUN, "whole lock");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice A verifier of a later round declines, and another takes its slot.
    function test_declineInALaterRound() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _openDraw(a);
        _draw(a);
        address gone = _verifier(a, 2);
        vm.prank(gone);
        a.decline(3);
        assertEq(_lost(gone), 0, "without fault");
        assertEq(a.agreement().slots.length, 2, "the first round's and one more");
        _draw(a);
        _sealStories(a, _same(2, TRUTH));
        _openStories(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        assertEq(_earned(gone), 0, "nothing for who left");
        _assertEmpty(address(a));
    }

    // ------------------------------------------------------------------------------------------------ who may

    /// @notice Worker, client and all who had a slot are not drawn again; nor is who left one in an earlier round.
    function test_RevertWhen_claimedByWhoWasThere() public {
        IComputeAgreement a = _sealedWork(_smallTerms(1));
        _openDraw(a);
        _draw(a);
        address left = _verifier(a, 0);
        vm.prank(left);
        a.decline(1);
        _draw(a);
        address first = _verifier(a, 0);
        _sealStories(a, _tell(hex"05"));
        _revealAndKeep(a);
        _openStories(a, _tell(hex"05"));
        _openDraw(a);
        skip(70);
        _refused(a, first, abi.encodeWithSelector(IComputeAgreement.AlreadyClaimed.selector, first));
        _refused(a, left, abi.encodeWithSelector(IComputeAgreement.ExcludedVerifier.selector, left));
        address worker = workers[0].owner;
        _refused(a, worker, abi.encodeWithSelector(IComputeAgreement.WorkerCannotVerify.selector, worker));
        _draw(a);
        assertEq(a.agreement().slots.length, 3, "others");
    }

    /// @notice Nobody of another round seals or declines in this one.
    function test_RevertWhen_anotherRoundsVerifierActs() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        address first = _verifier(a, 0);
        _openDraw(a);
        _draw(a);
        vm.startPrank(first);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, first));
        a.provideVerification("again");
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, first));
        a.decline(1);
        vm.stopPrank();
    }

    /// @notice The tip is for the first round's beacon; who records a later one gets none, and none is owed.
    function test_oneTip() public {
        uint256 before = _owned(keeper);
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _nextRound(a, _same(2, TRUTH));
        assertEq(_owned(keeper) - before, SEED_TIP, "once");
        _assertEmpty(address(a));
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _refused(IComputeAgreement a, address who, bytes memory err) private {
        (, uint256 index,) = _bestTicket(a, who);
        vm.expectRevert(err);
        vm.prank(who);
        a.claim(index);
    }

    /// @dev One of those that may.
    function _claimAny(IComputeAgreement a) private returns (address) {
        skip(70);
        for (uint256 i = 1; i < workers.length; ++i) {
            if (_claimIfBelow(a, workers[i].owner)) return workers[i].owner;
        }
        revert("nobody may");
    }

    /// @dev Half for the worker, a fee for its only verifier, nobody slashed.
    function _assertUndecided(IComputeAgreement a) private view {
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "one against one");
        assertEq(_earned(workers[0].owner), 50 * SUN, "half");
        assertEq(_earned(_verifier(a, 0)), 10 * SUN, "fee");
        for (uint256 i = 0; i < workers.length; ++i) {
            assertEq(_lost(workers[i].owner), 0, "nobody is slashed");
        }
        _assertEmpty(address(a));
        _assertConserved();
    }
}
