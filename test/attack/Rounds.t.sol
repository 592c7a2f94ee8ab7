// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Verdict, Party} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {
    IComputeAgreement,
    RevealedRoot,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {CredibilityLib} from "../../contracts/libraries/CredibilityLib.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {PuppetAgreement} from "../mocks/PuppetAgreement.sol";
import {Books} from "../utils/Base.t.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice Attacks on rounds of voting: by old workers, by liars, by stake that comes later, by forged openings.
contract RoundsAttackTest is RoundDriver {
    function setUp() public override {
        super.setUp();
        _addWorkers(9);
        skip(EPOCH_SECS);
        target = 2;
    }

    // ------------------------------------------------------------------------------------------------ votes

    /// @notice A veteran of odds 6 against a newcomer, one against one: nobody is outvoted, more are asked, and the liar loses.
    function test_attack_veteranDoesNotOutvoteANewcomerAlone() public {
        address veteran = workers[1].owner;
        _makeVeteran(1);
        IComputeAgreement a = _sealedWork(_smallTerms(1));
        _openDraw(a);
        skip(70);
        assertTrue(_claimIfBelow(a, veteran), "it is drawn");
        vm.warp(a.agreement().closesAt);
        _sealStories(a, _tell(hex"05"));
        _revealAndKeep(a);
        _openStories(a, _tell(hex"05"));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "6 of 8 decide nothing alone");
        uint256 score = dispatcher.workerInfo(veteran).score;
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "8 of 14");
        assertEq(_lost(veteran), 100 * SUN, "its lock");
        assertEq(_earned(veteran), 0, "earned nothing");
        assertEq(dispatcher.workerInfo(veteran).score, score * 2 / 3, "a third of its score");
    }

    /// @notice Nor does a veteran that works: its lie against one newcomer is looked at by others.
    function test_attack_veteranWorkerDoesNotWinAlone() public {
        _makeVeteran(0);
        lies[2] = "false";
        IComputeAgreement a = _firstRound(_smallTerms(1), _same(1, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "6 of 8 decide nothing alone");
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "8 of 14");
    }

    /// @notice A lying verifier forces a round, and pays for it: nobody else loses anything, it cannot be done for free.
    function test_attack_liarForcesARoundAndPaysForIt() public {
        Books memory before = _books();
        IComputeAgreement a = _firstRound(_smallTerms(2), _tell(hex"0500"));
        // Two against one of three is enough at T = 2: to tie, the liar needs a friend.
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "no round for a lone liar of two");
        a = _firstRound(_smallTerms(1), _tell(hex"05"));
        address liar = _verifier(a, 0);
        uint256 lost = _lost(liar);
        _nextRound(a, _same(2, TRUTH));
        assertEq(_lost(liar) - lost, a.verifierLock(uint96(100 * SUN)), "its lock");
        assertGe(_lost(liar) - lost, 20 * SUN, "covers the two fees that it caused");
        assertEq(
            before.client - _books().client,
            (100 + 10 + 100) * SUN + 2 * SEED_TIP,
            "the client paid honest work only"
        );
    }

    /// @notice Accomplices that claim the slots of a round and vanish gain nothing: each pays, and the votes that are there decide.
    function test_attack_vanishingAccomplicesDoNotSaveALiar() public {
        lies[2] = "false";
        IComputeAgreement a = _firstRound(_smallTerms(2), _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "two against one need no round");
        a = _firstRound(_smallTerms(1), _same(1, TRUTH));
        uint256 bonded = dispatcher.workerInfo(workers[0].owner).bonded;
        _openDraw(a);
        _draw(a);
        (address one, address two) = (_verifier(a, 1), _verifier(a, 2));
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(_lost(one), 20 * SUN, "the fee of vanishing");
        assertEq(_lost(two), 20 * SUN, "each");
        assertEq(uint8(a.status()), uint8(Status.Drawing), "others are drawn");
        _draw(a);
        _sealStories(a, _same(2, TRUTH));
        _openStories(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "found all the same");
        assertLt(dispatcher.workerInfo(workers[0].owner).bonded, bonded, "the worker pays");
    }

    /// @notice Row 6: worker and all verifiers of the first round are bribed, and unanimous; one challenger with a bond is enough.
    function test_attack_bribedMajorityLosesToOneChallenger() public {
        lies[2] = "false";
        ComputeTerms memory t = _smallTerms(1);
        t.disputeSecs = 1000;
        IComputeAgreement a = _firstRound(t, _same(1, WORKERS));
        assertEq(uint8(a.status()), uint8(Status.Disputable), "unanimous");
        uint96 bond = a.disputeBond();
        _give(stranger, bond);
        vm.startPrank(stranger);
        token.approve(address(dispatcher), bond);
        dispatcher.fund(address(a), bond, abi.encodePacked(target));
        vm.stopPrank();
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "two against two: more are asked");
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "2^4 against 2^2");
        assertGt(_owned(stranger), bond, "the challenger has its bond and a share");
        assertGt(_lost(workers[0].owner), 0, "the worker pays");
        assertEq(_lost(_verifier(a, 0)), 100 * SUN, "the bribed verifier too");
        for (uint256 i = 1; i < 5; ++i) {
            assertEq(_lost(_verifier(a, i)), 0, "the honest do not");
        }
    }

    /// @notice Row 32: whoever uses every window to its last second, and vanishes wherever it can, delays the end by so much and no
    /// more.
    function test_attack_delayIsBounded() public {
        ComputeTerms memory t = _smallTerms(1);
        t.disputeSecs = 1000;
        IComputeAgreement a = _sealedWork(t);
        _openDraw(a);
        _draw(a);
        _sealStories(a, _tell(hex"05"));
        _revealAndKeep(a);
        uint256 start = block.timestamp;
        vm.warp(a.agreement().deadline);
        _openStories(a, _tell(hex"05"));
        for (uint256 round = 1; round <= 2; ++round) {
            vm.warp(a.agreement().deadline);
            _openDraw(a);
            // Two strikes: the first two vanish. Later ones seal at their last second, and do not agree.
            _drawLate(a);
            vm.warp(uint256(a.agreement().deadline) + 1);
            a.expire();
            _drawLate(a);
            vm.warp(a.agreement().deadline);
            _sealStories(a, _tell(round == 1 ? bytes(hex"0607") : bytes(hex"0809")));
            vm.warp(a.agreement().deadline);
            _openStories(a, _tell(round == 1 ? bytes(hex"0607") : bytes(hex"0809")));
        }
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "the cap");
        uint256 one = uint256(_params().seedSecs) + 2 * (80 + t.verifySecs + 1) + _params().openSecs;
        assertLe(block.timestamp - start, _params().openSecs + 2 * one, "two rounds of two draws each");
    }

    // ------------------------------------------------------------------------------------------------ stake

    /// @notice Stake bought, moved or topped up after the worker's seal draws nothing in later rounds either, however long they take.
    function test_attack_stakeBoughtAfterTheSealDrawsNothingInLaterRounds() public {
        address late = makeAddr("late");
        _register(late, late, 1);
        skip(EPOCH_SECS);
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        uint32 snapshot = a.agreement().snapshotEpoch;
        _stake(late, STAKE);
        _stake(workers[5].owner, STAKE);
        _openDraw(a);
        assertEq(a.agreement().snapshotEpoch, snapshot, "the epoch of the seal");
        assertEq(a.agreement().classUnits, 14 * STAKE / TICKET_UNIT, "the stake of then");
        skip(75);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoSuchTicket.selector, 0, 0));
        vm.prank(late);
        a.claim(0);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoSuchTicket.selector, 100, 100));
        vm.prank(workers[5].owner);
        a.claim(100);
    }

    /// @notice Row 7: whoever has the round's seed early cannot use it: what it could move does not count any more.
    function test_attack_selectionGrindingInALaterRound() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        // The beacon round lies after the openings that caused the draw.
        assertGt(a.agreement().round, block.number, "not known yet");
        _openDraw(a);
        bytes32 seed = a.agreement().drawSeed;
        vm.expectRevert();
        beacon.record(uint48(block.number), "");
        assertEq(a.agreement().drawSeed, seed, "recorded once");
    }

    // ------------------------------------------------------------------------------------------------ openings

    /// @notice Row 9 and 18: in a later round too, each content fits one verifier, one round, one result.
    function test_attack_forgedLateOpenings() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        address first = _verifier(a, 0);
        _openDraw(a);
        _draw(a);
        _sealStories(a, _same(2, TRUTH));
        address second = _verifier(a, 1);
        uint32[] memory leaves = a.sampledLeaves(second);
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        VerifierOpening memory o = _opening(second, saidBy[second]);
        RevealedRoot memory r = revealedRoot;

        // Of another round.
        WorkerOpening memory w;
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.WrongRound.selector, 1, 0));
        a.openVerification(o, w.root, w.leaves, w.digests);
        // By somebody who is not of this round, and by nobody.
        o.verifier = first;
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, first));
        a.openLate(o, r, leaves, digests, proof);
        o.verifier = address(0);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, address(0)));
        a.openLate(o, r, leaves, digests, proof);
        o.verifier = second;

        _forgedResult(a, o, leaves);
        _forgedLeaves(a, o, leaves);

        // Another vote than the sealed one.
        o.digests = new bytes32[](1);
        o.digests[0] = "changed its mind";
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.openLate(o, r, leaves, digests, proof);
        o.digests = saidBy[second];
        a.openLate(o, r, leaves, digests, proof);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyOpenedSlot.selector, second));
        a.openLate(o, r, leaves, digests, proof);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAllOpened.selector, 1, 2));
        a.decide();
    }

    /// @dev Root, leaves and digests of the worker's reveal are as it revealed them; its digests fit the root.
    function _forgedResult(IComputeAgreement a, VerifierOpening memory o, uint32[] memory leaves) private {
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        for (uint256 field = 0; field < 3; ++field) {
            RevealedRoot memory r = revealedRoot;
            if (field == 0) r.root = "another root";
            if (field == 1) r.leavesHash = "other leaves";
            if (field == 2) r.digestsHash = "other digests";
            vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
            a.openLate(o, r, leaves, digests, proof);
        }
        bytes32[] memory forged = new bytes32[](1);
        // What the verifier found, said to be the worker's: no dissent would be seen.
        forged[0] = keccak256("the verifier's");
        vm.expectPartialRevert(IComputeAgreement.ProofInvalid.selector);
        a.openLate(o, revealedRoot, leaves, forged, proof);
        forged[0] = digests[0];
        proof[0] = "another sibling";
        vm.expectPartialRevert(IComputeAgreement.ProofInvalid.selector);
        a.openLate(o, revealedRoot, leaves, forged, proof);
    }

    /// @dev Row 30: neither other leaves than those in dispute, nor fewer, nor more.
    function _forgedLeaves(IComputeAgreement a, VerifierOpening memory o, uint32[] memory leaves) private {
        uint32[] memory others = new uint32[](1);
        others[0] = leaves[0] + 1;
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, others);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LeafMissing.selector, leaves[0]));
        a.openLate(o, revealedRoot, others, digests, proof);
        others = new uint32[](2);
        (others[0], others[1]) = (leaves[0], leaves[0] + 1);
        (digests, proof) = _proven(a, others);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LengthMismatch.selector, 2, 1));
        a.openLate(o, revealedRoot, others, digests, proof);
        others = new uint32[](0);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LengthMismatch.selector, 0, 1));
        a.openLate(o, revealedRoot, others, new bytes32[](0), new bytes32[](0));
    }

    /// @notice `openLate` is for later rounds only.
    function test_attack_lateOpeningInTheFirstRound() public {
        IComputeAgreement a = _sealedWork(_smallTerms(1));
        _openDraw(a);
        _draw(a);
        _sealStories(a, _same(1, TRUTH));
        _revealAndKeep(a);
        address verifier = _verifier(a, 0);
        uint32[] memory leaves = a.sampledLeaves(verifier);
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        VerifierOpening memory o = _opening(verifier, saidBy[verifier]);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.WrongRound.selector, 0, 1));
        a.openLate(o, revealedRoot, leaves, digests, proof);
    }

    /// @notice A seal of a verifier of a later round binds it: silence costs its lock, as much as a lie.
    function test_attack_silenceInALaterRoundIsNoWayOut() public {
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        _openDraw(a);
        _draw(a);
        _sealStories(a, _tell(hex"0500"));
        (address liar, address honest) = (_verifier(a, 1), _verifier(a, 2));
        _openSaid(a, honest);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the friend's silence leaves 4 of 6");
        assertEq(_lost(liar), 100 * SUN, "its lock");
        assertEq(_lost(_verifier(a, 0)), 100 * SUN, "the first liar's too");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    /// @dev Slots are claimed in the last step of the window only.
    function _drawLate(IComputeAgreement a) private {
        skip(70);
        _draw(a);
    }

    /// @dev Two hundred agreements kept, one in each epoch: odds 6.
    function _makeVeteran(uint256 index) private {
        address worker = workers[index].owner;
        PuppetAgreement kind = new PuppetAgreement(dispatcher);
        vm.prank(owner);
        uint8 kindId = dispatcher.addKind(address(kind));
        vm.prank(client);
        PuppetAgreement puppet = PuppetAgreement(dispatcher.buyContract(kindId, "", ""));
        agreements.push(address(puppet));
        bytes32[] memory hashes = new bytes32[](2);
        (hashes[0], hashes[1]) = (address(implementation).codehash, address(kind).codehash);
        vm.prank(worker);
        dispatcher.updateWorker(workers[index].payout, 1, hashes);
        Party memory p = Party(worker, 0, 0, 1, Verdict.Kept, false);
        for (uint256 i = 0; i < 200; ++i) {
            puppet.tell(abi.encodeCall(dispatcher.lock, (worker, 1, 0)));
            puppet.tell(abi.encodeCall(dispatcher.release, (p)));
            skip(EPOCH_SECS);
        }
        assertEq(CredibilityLib.odds(dispatcher.workerInfo(worker).score), 6, "as old as it gets");
    }
}
