// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher, Party, Unanimity, Verdict} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {PuppetAgreement} from "../mocks/PuppetAgreement.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice Refusals, and one rare branch, that coverage and the table in README.md found to be shown nowhere else.
contract RemainingRefusalsTest is RoundDriver {
    // ------------------------------------------------------------------------------------------------ agreements

    function test_RevertWhen_locationIsTooLong() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        vm.startPrank(workers[0].owner);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LocationTooLong.selector, 129, 128));
        a.sealResult("seal", "", "", new bytes(129));
        a.sealResult("seal", "", "", new bytes(128));
        vm.stopPrank();
    }

    /// @notice Where verifiers compute all leaves, `settleAll` opens all of them.
    function test_RevertWhen_settledWithFewerLeavesThanAll() public {
        IComputeAgreement a = _driveTo(_smallTerms(2), Status.Revealing);
        uint32[] memory three = new uint32[](3);
        (three[0], three[1], three[2]) = (0, 1, 2);
        WorkerOpening memory w = _openingOf(three, 4);
        VerifierOpening[] memory o = _honestOpenings(a);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LengthMismatch.selector, 3, 4));
        a.settleAll(w, o);
    }

    /// @notice Who sealed other digests cannot be opened as if it had agreed.
    function test_RevertWhen_dissenterIsOpenedAsAgreeing() public {
        IComputeAgreement a = _driveTo(_smallTerms(2), Status.Verifying);
        _sealAs(a, _verifier(a, 0), _honestDigests(a, _verifier(a, 0)));
        bytes32[] memory other = _honestDigests(a, _verifier(a, 1));
        other[3] = "another";
        _sealAs(a, _verifier(a, 1), other);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening[] memory o = _honestOpenings(a);
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.settleAll(w, o);
    }

    function test_RevertWhen_decidedOrPlacedTooLate() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        bytes memory err = abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline);
        vm.expectRevert(err);
        a.decide();

        (address pool, uint256 key) = makeAddrAndKey("pool");
        ComputeTerms memory t = _terms();
        (t.flags, t.named) = (ComputeTermsLib.FLAG_POOL, pool);
        a = _buy(t);
        deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        bytes memory signature = _placement(key, a);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        vm.prank(workers[0].owner);
        a.acceptPlaced(type(uint40).max, signature);
    }

    /// @notice The fees of further rounds come before what contributors get back: five verifiers that agree on nothing, a reward of
    /// one unit, and all else added by another.
    function test_furtherRoundsEatIntoContributions() public {
        _addWorkers(4);
        skip(EPOCH_SECS);
        ComputeTerms memory t = _smallTerms(1);
        (t.rewardMin, t.rewardMax) = (1, 1);
        IComputeAgreement a = _buy(t);
        _give(stranger, 100 * SUN);
        vm.startPrank(stranger);
        token.approve(address(dispatcher), 100 * SUN);
        dispatcher.fund(address(a), uint96(100 * SUN), "");
        vm.stopPrank();
        _accept(a);
        _sealWork(a);
        _openDraw(a);
        _draw(a);
        _sealStories(a, _tell(hex"05"));
        _revealAndKeep(a);
        _openStories(a, _tell(hex"05"));
        _nextRound(a, _tell(hex"0607"));
        _nextRound(a, _tell(hex"0809"));
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "nobody agrees with anybody");
        (uint96 escrow,) = dispatcher.escrowOf(address(a));
        assertLt(escrow, 50 * SUN, "less than the part that the worker was not paid");
        assertEq(a.refundContribution(stranger), escrow, "what the fees left");
        _assertEmpty(address(a));
        _assertConserved();
    }

    // ------------------------------------------------------------------------------------------------ dispatcher

    function test_RevertWhen_updateIsWrong() public {
        address who = workers[0].owner;
        bytes32[] memory hashes = _kindHashes();
        _notUpdated(
            who, address(0), 1, hashes, abi.encodeWithSelector(IWorkerDispatcher.ZeroAddress.selector)
        );
        _notUpdated(who, who, 4, hashes, abi.encodeWithSelector(IWorkerDispatcher.UnknownClass.selector, 2));
        _notUpdated(
            who,
            who,
            type(uint48).max,
            hashes,
            abi.encodeWithSelector(IWorkerDispatcher.UnknownClass.selector, 2)
        );
        _notUpdated(
            who, who, 1, new bytes32[](2), abi.encodeWithSelector(IWorkerDispatcher.UnknownKind.selector, 2)
        );
        bytes32 right = hashes[0];
        hashes[0] = "other code";
        _notUpdated(
            who,
            who,
            1,
            hashes,
            abi.encodeWithSelector(
                IWorkerDispatcher.CodeHashMismatch.selector, 0, bytes32("other code"), right
            )
        );
    }

    /// @notice The short way of settling keeps to the same bounds as the long one: even a hostile kind frees no more than it locked
    /// of its parties together, nor of one of them, pays no more than it has, and touches nobody who did not opt in.
    function test_RevertWhen_unanimityIsForged() public {
        (PuppetAgreement puppet, address one, address two) = _hostileKind();
        puppet.tell(abi.encodeCall(dispatcher.lock, (one, uint96(500 * SUN), 0)));
        puppet.tell(abi.encodeCall(dispatcher.lock, (two, uint96(100 * SUN), 0)));
        Unanimity memory u;
        u.verifiers = new address[](0);
        (u.worker, u.workerLock, u.refundTo) = (one, uint96(601 * SUN), stranger);
        _notSettled(puppet, u, abi.encodeWithSelector(IWorkerDispatcher.NothingLocked.selector, one, puppet));
        (u.worker, u.workerLock) = (two, uint96(200 * SUN));
        _notSettled(puppet, u, abi.encodeWithSelector(IWorkerDispatcher.NothingLocked.selector, two, puppet));
        (u.workerLock, u.reward) = (uint96(100 * SUN), puppet.BUDGET() + 1);
        _notSettled(
            puppet,
            u,
            abi.encodeWithSelector(
                IWorkerDispatcher.EscrowTooSmall.selector, puppet.BUDGET(), puppet.BUDGET() + 1
            )
        );
        (u.worker, u.workerLock, u.reward) = (workers[2].owner, 0, 0);
        _notSettled(
            puppet, u, abi.encodeWithSelector(IWorkerDispatcher.NotOptedIn.selector, workers[2].owner, 1)
        );
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownAgreement.selector, stranger));
        vm.prank(stranger);
        dispatcher.closeUnanimous(u);
    }

    /// @notice FINDING: a hostile kind that says that a party entered by a device, which it did not, gets a panic. Nothing changes.
    function test_finding_releaseOfADeviceThatNeverEntered() public {
        (PuppetAgreement puppet, address one,) = _hostileKind();
        puppet.tell(abi.encodeCall(dispatcher.lock, (one, uint96(500 * SUN), 0)));
        Party memory p = Party(one, 0, 0, uint96(500 * SUN), Verdict.Kept, true);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        puppet.tell(abi.encodeCall(dispatcher.release, (p)));
        assertEq(dispatcher.workerInfo(one).locked, 500 * SUN, "as before");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _notUpdated(
        address who,
        address payout,
        uint48 classes,
        bytes32[] memory hashes,
        bytes memory err
    ) private {
        vm.expectRevert(err);
        vm.prank(who);
        dispatcher.updateWorker(payout, classes, hashes);
    }

    function _notSettled(PuppetAgreement puppet, Unanimity memory u, bytes memory err) private {
        vm.expectRevert(err);
        puppet.tell(abi.encodeCall(dispatcher.closeUnanimous, (u)));
    }

    /// @dev An agreement of it, and two workers that opted in to it.
    function _hostileKind() private returns (PuppetAgreement puppet, address one, address two) {
        PuppetAgreement kind = new PuppetAgreement(dispatcher);
        vm.prank(owner);
        dispatcher.addKind(address(kind));
        vm.prank(client);
        puppet = PuppetAgreement(dispatcher.buyContract(1, "", ""));
        bytes32[] memory hashes = new bytes32[](2);
        hashes[1] = address(kind).codehash;
        (one, two) = (workers[0].owner, workers[1].owner);
        vm.prank(one);
        dispatcher.updateWorker(one, 1, hashes);
        vm.prank(two);
        dispatcher.updateWorker(two, 1, hashes);
    }

    function _placement(uint256 key, IComputeAgreement a) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("Placement(address agreement,address worker,uint40 expiry)");
        bytes32 structHash = keccak256(abi.encode(typeHash, a, workers[0].owner, type(uint40).max));
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("Sunwork"),
                keccak256("1"),
                block.chainid,
                address(dispatcher)
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(key, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
        return abi.encodePacked(r, s, v);
    }
}
