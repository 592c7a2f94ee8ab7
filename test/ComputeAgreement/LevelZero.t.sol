// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    RevealedRoot
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {RoundKind} from "../../contracts/types/ComputeState.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice Trust level 0: the client accepts, stays silent, or has the result verified at its own bond.
contract LevelZeroTest is RoundDriver {
    using TestTree for TestTree.Tree;

    uint24 private constant SILENCE = 500;
    Books private _before;

    function setUp() public override {
        super.setUp();
        _addWorkers(5);
        skip(EPOCH_SECS);
        _before = _books();
    }

    // ------------------------------------------------------------------------------------------------ undisputed

    /// @notice Nothing is reserved for verifiers, and the result is open at once.
    function test_submitResult() public {
        IComputeAgreement a = _buy(_zeroTerms());
        (uint96 escrow,) = dispatcher.escrowOf(address(a));
        assertEq(escrow, 200 * SUN + SEED_TIP, "reward and tip");
        _accept(a);
        bytes32 root = TestTree.build(_digests(4)).root();
        vm.expectEmit(address(a));
        emit IComputeAgreement.Revealed(
            workers[0].owner,
            root,
            WORKER_SALT,
            CIPHERTEXT_ROOT,
            RESULT_BLOB,
            new uint32[](0),
            new bytes32[](0)
        );
        vm.prank(workers[0].owner);
        a.submitResult(root, WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB);
        assertEq(uint8(a.status()), uint8(Status.Disputable), "open");
        assertEq(a.agreement().deadline, block.timestamp + SILENCE, "the client's time");
    }

    function test_clientAccepts() public {
        IComputeAgreement a = _submitted();
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, stranger, client));
        vm.prank(stranger);
        a.acceptResult();
        vm.prank(client);
        a.acceptResult();
        _assertPaid(a, 0);
    }

    /// @notice Silence pays the worker, whoever ends the wait.
    function test_silencePays() public {
        IComputeAgreement a = _submitted();
        assertEq(_lapse(a), 1, "one call");
        _assertPaid(a, 0);
    }

    // ------------------------------------------------------------------------------------------------ rejected

    /// @notice A rejection never refunds by itself: it calls V verifiers at the client's bond, and where they find nothing the
    /// worker is paid.
    function test_rejectedGoodResultIsPaid() public {
        IComputeAgreement a = _submitted();
        _reject(a);
        AgreementView memory v = a.agreement();
        assertEq(uint8(v.status), uint8(Status.Sealed), "verifiers are called");
        assertEq(uint8(v.kind), uint8(RoundKind.Audit), "to look at leaves of their own");
        assertEq(v.wanted, 2, "V");
        assertEq(_books().client, _before.client - 200 * SUN - SEED_TIP - 20 * SUN, "no refund, and the bond");
        _nextRound(a, _same(2, TRUTH));
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(_earned(_verifier(a, i)), 10 * SUN, "of the bond");
            assertEq(dispatcher.workerInfo(_verifier(a, i)).score, 0, "no score at level 0");
        }
        _assertPaid(a, 20 * SUN + SEED_TIP);
    }

    /// @notice A false result is found: the worker's lock pays the verifiers, the client has all back, bond included.
    function test_rejectedFalseResultIsRefuted() public {
        lies[2] = "false";
        IComputeAgreement a = _submitted();
        _reject(a);
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "found");
        uint256 lock = a.workerLock(uint96(100 * SUN));
        assertEq(_lost(workers[0].owner), lock, "its lock");
        assertEq(_before.client - _books().client, SEED_TIP, "made whole");
        for (uint256 i = 0; i < 2; ++i) {
            assertEq(_earned(_verifier(a, i)), 10 * SUN + (lock - 20 * SUN) / 4, "fee and share");
        }
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Dissent at level 0 calls further rounds as at level 1.
    function test_rejectedAndDisputedAmongVerifiers() public {
        ComputeTerms memory t = _zeroTerms();
        t.verifiers = 1;
        target = 1;
        IComputeAgreement a = _submittedWith(t);
        _reject(a);
        _nextRound(a, _tell(hex"05"));
        assertEq(uint8(a.agreement().kind), uint8(RoundKind.Leaves), "one against one");
        assertEq(a.agreement().voteRound, 2, "third round of voting, without a first");
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the worker was right");
        assertEq(_lost(_verifier(a, 0)), 200 * SUN, "the liar pays");
        assertEq(_earned(workers[0].owner), 100 * SUN, "paid");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice No beacon, nobody claims, all vanish: nobody has found anything, the worker is paid and the bond goes back.
    function test_rejectedAndNobodyLooks() public {
        for (uint256 n = 0; n < 3; ++n) {
            uint256 snapshot = vm.snapshotState();
            IComputeAgreement a = _submitted();
            _reject(a);
            if (n != 0) _openDraw(a);
            if (n == 2) _draw(a);
            _lapse(a);
            assertEq(uint8(a.ending()), uint8(Ending.Verified), "nobody says otherwise");
            assertEq(_earned(workers[0].owner), 100 * SUN, "worker");
            uint256 tip = n == 0 ? 0 : SEED_TIP;
            assertLe(_before.client - _books().client, 100 * SUN + tip, "the bond came back");
            _assertEmpty(address(a));
            _assertConserved();
            vm.revertToState(snapshot);
        }
    }

    /// @notice Stake that was moved after the result was handed in draws nothing.
    function test_attack_clientStakesBeforeItRejects() public {
        IComputeAgreement a = _submitted();
        address friend = makeAddr("client's friend");
        _register(friend, friend, 1);
        _stake(friend, STAKE);
        uint32 handedIn = dispatcher.epoch();
        _reject(a);
        _openDraw(a);
        assertEq(a.agreement().snapshotEpoch, handedIn, "the epoch of the result");
        skip(75);
        vm.expectRevert();
        vm.prank(friend);
        a.claim(0);
    }

    /// @notice Terms without fees leave the client its say all the same, or are refused: a result that nobody may reject would be
    /// paid whatever it is.
    function test_rejectionWithoutFees() public {
        ComputeTerms memory t = _zeroTerms();
        t.verifierFee = 0;
        bytes memory packed = ComputeTermsLib.pack(t);
        vm.prank(client);
        (bool bought, bytes memory answer) =
            address(dispatcher).call(abi.encodeCall(dispatcher.buyContract, (KIND, packed, SPEC)));
        if (!bought) return;
        IComputeAgreement a = IComputeAgreement(abi.decode(answer, (address)));
        _accept(a);
        vm.prank(workers[0].owner);
        a.submitResult("root", 0, 0, 0);
        uint96 bond = a.disputeBond();
        vm.prank(client);
        (bool rejected,) = address(dispatcher)
            .call(abi.encodeCall(dispatcher.fund, (address(a), bond, abi.encodePacked(uint32(0)))));
        assertTrue(rejected, "the client can have it verified");
    }

    /// @notice A worker handed in a root of nothing. Nobody can prove its digests, so it has to, and it cannot.
    function test_attack_rootOfNothing() public {
        lies[1] = "nobody knows";
        IComputeAgreement a = _submitted();
        _reject(a);
        _openDraw(a);
        _draw(a);
        _sealStories(a, _same(2, TRUTH));
        for (uint256 i = 0; i < 2; ++i) {
            a.openUnproven(_opening(_verifier(a, i), saidBy[_verifier(a, i)]));
        }
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "nothing was proven");
        assertEq(_earned(workers[0].owner), 0, "nothing is paid");
        assertEq(_lost(workers[0].owner), a.workerLock(uint96(100 * SUN)), "its whole lock");
    }

    // ------------------------------------------------------------------------------------------------ refusals

    function test_RevertWhen_rejectionIsWrong() public {
        IComputeAgreement a = _submitted();
        uint96 bond = a.disputeBond();
        assertEq(bond, 20 * SUN, "the fees of V");
        bytes memory leaf = abi.encodePacked(uint32(0));
        _give(stranger, bond);
        vm.startPrank(stranger);
        token.approve(address(dispatcher), bond);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, stranger, client));
        dispatcher.fund(address(a), bond, leaf);
        vm.stopPrank();
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.BondMismatch.selector, bond - 1, bond));
        dispatcher.fund(address(a), bond - 1, leaf);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LeafOutOfRange.selector, 4, 4));
        dispatcher.fund(address(a), bond, abi.encodePacked(uint32(4)));
        dispatcher.fund(address(a), bond, leaf);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Sealed, Status.Disputable)
        );
        dispatcher.fund(address(a), bond, leaf);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Sealed, Status.Disputable)
        );
        a.acceptResult();
        vm.stopPrank();
    }

    function test_RevertWhen_rejectedTooLate() public {
        IComputeAgreement a = _submitted();
        uint256 deadline = a.agreement().deadline;
        uint96 bond = a.disputeBond();
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        vm.prank(client);
        dispatcher.fund(address(a), bond, abi.encodePacked(uint32(0)));
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        vm.prank(client);
        a.acceptResult();
    }

    /// @notice Each level has its own way to hand in.
    function test_RevertWhen_levelIsAnother() public {
        IComputeAgreement zero = _buy(_zeroTerms());
        IComputeAgreement one = _buy(_terms());
        vm.startPrank(workers[0].owner);
        zero.accept();
        one.accept();
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.WrongLevel.selector, 0, 1));
        zero.sealResult("seal", 0, 0, "");
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.WrongLevel.selector, 1, 0));
        one.submitResult("root", 0, 0, 0);
        vm.stopPrank();
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.NotTheWorker.selector, stranger, workers[0].owner)
        );
        vm.prank(stranger);
        zero.submitResult("root", 0, 0, 0);
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _zeroTerms() private pure returns (ComputeTerms memory t) {
        t = _smallTerms(2);
        t.rewardMax = 2 * t.rewardMin;
        (t.trustLevel, t.disputeSecs) = (0, SILENCE);
    }

    function _submitted() private returns (IComputeAgreement) {
        return _submittedWith(_zeroTerms());
    }

    function _submittedWith(ComputeTerms memory t) private returns (IComputeAgreement a) {
        a = _buy(t);
        _accept(a);
        bytes32 root = TestTree.build(_workerDigests(a)).root();
        revealedRoot = RevealedRoot(root, keccak256(""), keccak256(""));
        vm.prank(workers[0].owner);
        a.submitResult(root, WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB);
    }

    function _reject(IComputeAgreement a) private {
        uint96 bond = a.disputeBond();
        vm.prank(client);
        dispatcher.fund(address(a), bond, abi.encodePacked(uint32(0)));
    }

    /// @param cost Of the client besides the price.
    function _assertPaid(IComputeAgreement a, uint256 cost) private view {
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        assertEq(_earned(workers[0].owner), 100 * SUN, "paid");
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 0, "level 0 gives no score");
        assertEq(_lost(workers[0].owner), 0, "nothing lost");
        assertEq(_before.client - _books().client, 100 * SUN + cost, "client");
        _assertEmpty(address(a));
        _assertConserved();
    }
}
