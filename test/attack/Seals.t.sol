// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {SealLib} from "../../contracts/libraries/SealLib.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {Driver} from "../utils/Driver.t.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice Attacks on commitments (PROOFS.md C.1, rows 1 to 4, 9 and 18).
contract SealsTest is Driver {
    using TestTree for TestTree.Tree;

    /// @notice Row 1: who copies another's seal without working cannot open it, not even with the other's salt and digests.
    function test_attack_copiedCommit() public {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples) = (4, 4);
        IComputeAgreement a = _driveTo(t, Status.Verifying);
        (address honest, address thief) = (_verifier(a, 0), _verifier(a, 1));
        bytes32[] memory digests = _honestDigests(a, honest);
        bytes32 copied = _verifierSeal(a, honest, digests);
        _sealAs(a, honest, digests);
        vm.prank(thief);
        a.provideVerification(copied);
        _reveal(a);
        _openAs(a, _opening(honest, digests));
        WorkerOpening memory w = _workerOpening(a);
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.openVerification(
            VerifierOpening(thief, _verifierSalt(honest), digests), w.root, w.leaves, w.digests
        );
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        uint256 lock = a.verifierLock(uint96(100 * SUN));
        assertEq(dispatcher.workerInfo(thief).bonded, STAKE - lock, "loses as one that did not open");
    }

    /// @notice Row 2: each seal has a lock behind it, and each that is not opened loses it.
    function test_attack_commitWithoutReveal() public {
        ComputeTerms memory t = _terms();
        t.verifiers = 4;
        IComputeAgreement a = _driveTo(t, Status.Opening);
        AgreementView memory v = a.agreement();
        _openAs(a, _opening(v.slots[0].verifier, new bytes32[](0)));
        uint256 lock = a.verifierLock(t.rewardMin);
        vm.warp(uint256(v.deadline) + 1);
        a.expire();
        for (uint256 i = 1; i < 4; ++i) {
            assertEq(dispatcher.workerInfo(v.slots[i].verifier).bonded, STAKE - lock, "one lock each");
        }
    }

    /// @notice Row 3: the order of the openings decides nothing.
    /// forge-config: default.fuzz.runs = 32
    function testFuzz_attack_lastRevealer(uint256 order) public {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (4, 4, 4);
        IComputeAgreement a = _driveTo(t, Status.Verifying);
        AgreementView memory v = a.agreement();
        // Three of four found another digest: 6 odds of 10.
        bytes32[] memory other = _digests(4);
        other[3] = "other";
        for (uint256 i = 0; i < 4; ++i) {
            _sealAs(a, v.slots[i].verifier, i == 0 ? _digests(4) : other);
        }
        _reveal(a);
        address loyal = v.slots[0].verifier;
        uint256 left = 4;
        while (left != 0) {
            uint256 i = order % left;
            order /= left--;
            address verifier = v.slots[i].verifier;
            _openAs(a, _opening(verifier, verifier == loyal ? _digests(4) : other));
            (v.slots[i], v.slots[left]) = (v.slots[left], v.slots[i]);
        }
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "as in every order");
        uint256 lock = a.workerLock(uint96(100 * SUN));
        assertEq(dispatcher.workerInfo(workers[0].owner).bonded, STAKE - lock, "the worker loses");
        _assertEmpty(address(a));
    }

    /// @notice Row 3: withholding never beats opening, for a verifier that is about to lose.
    function test_attack_silenceIsNoWayOut() public {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples) = (4, 4);
        IComputeAgreement a = _driveTo(t, Status.Verifying);
        address liar = _verifier(a, 0);
        bytes32[] memory wrong = _digests(4);
        wrong[0] = "wrong";
        _sealAs(a, liar, wrong);
        _sealAll(a);
        _reveal(a);
        _openAs(a, _opening(_verifier(a, 1), new bytes32[](0)));
        uint256 snapshot = vm.snapshotState();
        _openAs(a, _opening(liar, wrong));
        uint256 opened = dispatcher.workerInfo(liar).bonded;
        vm.revertToState(snapshot);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertLe(dispatcher.workerInfo(liar).bonded, opened, "silence costs at least as much");
    }

    /// @notice Row 4: a worker that withholds its result harms only itself.
    function test_attack_nonRevealGriefing() public {
        Books memory before = _books();
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        vm.warp(uint256(a.agreement().deadline) + 1);
        vm.prank(stranger);
        a.expire();
        Books memory b = _books();
        assertGt(b.client, before.client, "the client is compensated");
        assertLt(b.bonded[0] + b.earned[0], before.bonded[0] + before.earned[0], "the worker pays");
        for (uint256 i = 0; i < 2; ++i) {
            uint256 w = _indexOf(_verifier(a, i));
            assertEq(b.earned[w] - before.earned[w], 10 * SUN, "its verifiers are paid");
        }
    }

    /// @notice Row 9: openings are not bound to the sender, so carrying one first harms nobody and gains nothing.
    function test_attack_frontRunReveal() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening[] memory o = _honestOpenings(a);
        vm.prank(stranger);
        a.reveal(w);
        vm.expectRevert();
        a.settleAll(w, o);
        _openAs(a, o[0]);
        _openAs(a, o[1]);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "settled one by one");
        assertEq(_owned(stranger), 0, "nothing for the carrier");
    }

    /// @notice Row 18: a seal made for one agreement cannot be opened in another, though root and salt are the same.
    function test_attack_replayOnAnotherAgreement() public {
        IComputeAgreement first = _driveTo(_terms(), Status.Revealing);
        bytes32 seal = _workerSeal(first, TestTree.build(_digests(16)).root(), workers[0].owner);
        _settleAll(first);
        IComputeAgreement second = _driveTo(_terms(), Status.Working);
        vm.prank(workers[0].owner);
        second.sealResult(seal, CIPHERTEXT_ROOT, RESULT_BLOB, "");
        _cannotReveal(second);
    }

    /// @notice Row 18: nor in a later attempt of the same agreement.
    function test_attack_replayOnAnotherAttempt() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        bytes32 root = TestTree.build(_digests(16)).root();
        bytes32 seal = _workerSeal(a, root, workers[1].owner);
        vm.prank(workers[0].owner);
        a.abort();
        vm.startPrank(workers[1].owner);
        a.accept();
        a.sealResult(seal, CIPHERTEXT_ROOT, RESULT_BLOB, "");
        vm.stopPrank();
        _cannotReveal(a);
    }

    /// @notice Row 18: nor on another chain.
    function test_attack_replayOnAnotherChain() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        WorkerOpening memory w = _workerOpening(a);
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.reveal(w);
    }

    /// @notice Nor by another worker.
    function testFuzz_sealBindsAll(
        bytes32 root,
        bytes32 salt,
        bytes32 cipher,
        address a,
        uint8 attempt,
        address w
    ) public view {
        bytes32 seal = SealLib.workerSeal(root, salt, cipher, a, attempt, w);
        assertNotEq(seal, SealLib.workerSeal(~root, salt, cipher, a, attempt, w), "root");
        assertNotEq(seal, SealLib.workerSeal(root, ~salt, cipher, a, attempt, w), "salt");
        assertNotEq(seal, SealLib.workerSeal(root, salt, ~cipher, a, attempt, w), "ciphertext root");
        assertNotEq(
            seal, SealLib.workerSeal(root, salt, cipher, address(~uint160(a)), attempt, w), "agreement"
        );
        assertNotEq(seal, SealLib.workerSeal(root, salt, cipher, a, ~attempt, w), "attempt");
        assertNotEq(seal, SealLib.workerSeal(root, salt, cipher, a, attempt, address(~uint160(w))), "worker");
        bytes32 vote = SealLib.verifierSeal(root, salt, a, attempt, w);
        assertNotEq(vote, SealLib.verifierSeal(root, salt, a, attempt, address(~uint160(w))), "verifier");
        assertNotEq(vote, SealLib.verifierSeal(root, salt, a, ~attempt, w), "attempt");
        assertNotEq(vote, seal, "role");
    }

    /// @dev From Sealed on with honest verifiers; the reveal is refused and the worker loses its lock.
    function _cannotReveal(IComputeAgreement a) private {
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        WorkerOpening memory w = _workerOpening(a);
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.reveal(w);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.WorkerSilent), "as one that does not reveal");
    }
}
