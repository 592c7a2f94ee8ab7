// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {LibClone} from "solady/utils/LibClone.sol";
import {
    AgreementView,
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Attacks on money and identity (PROOFS.md C.1, rows 5, 7, 15, 16, 24, 27 and 28).
contract EscrowTest is Driver {
    /// @notice Row 16: from every status strangers alone bring an agreement to its end, and all tokens but stakes leave.
    function test_attack_stuckFundsAtEachStatus() public {
        for (uint8 i = 0; i < uint8(Status.Settled); ++i) {
            uint256 snapshot = vm.snapshotState();
            ComputeTerms memory t = _terms();
            if (Status(i) == Status.Keying) t.flags = 1;
            IComputeAgreement a = _driveTo(t, Status(i));
            for (uint256 calls = 0; uint8(a.status()) < uint8(Status.Settled); ++calls) {
                require(calls < 12, "needs too many calls");
                vm.warp(uint256(a.agreement().deadline) + 1);
                vm.prank(stranger);
                a.expire();
            }
            _assertEmpty(address(a));
            _everybodyWithdraws(a);
            uint256 stakes = 0;
            for (uint256 w = 0; w < workers.length; ++w) {
                stakes += dispatcher.workerInfo(workers[w].owner).bonded;
                assertEq(dispatcher.workerInfo(workers[w].owner).locked, 0, "nothing locked");
            }
            assertEq(token.balanceOf(address(dispatcher)), stakes, "only stakes are left");
            vm.revertToState(snapshot);
        }
    }

    /// @notice Row 24: there is no initialiser; the implementation is no agreement, and moves nothing.
    function test_attack_callsOnTheImplementation() public {
        bytes memory err =
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Cancelled, Status.Open);
        vm.startPrank(workers[0].owner);
        vm.expectRevert(err);
        implementation.accept();
        vm.expectRevert(err);
        implementation.expire();
        WorkerOpening memory w;
        vm.expectRevert();
        implementation.reveal(w);
        vm.expectRevert();
        implementation.settleAll(w, new VerifierOpening[](0));
        assertEq(implementation.redeemPayment(workers[0].owner), 0, "harmless");
        vm.stopPrank();
        (, bool known) = dispatcher.escrowOf(address(implementation));
        assertFalse(known, "the dispatcher does not obey it");
    }

    /// @notice Row 24: a clone that somebody makes itself, with terms of its choice, locks nobody's stake.
    function test_attack_selfMadeClone() public {
        bytes memory bound = abi.encodePacked(
            stranger, uint40(block.timestamp), keccak256(SPEC), ComputeTermsLib.pack(_terms())
        );
        IComputeAgreement fake = IComputeAgreement(LibClone.clone(address(implementation), bound));
        bytes memory err = abi.encodeWithSelector(IWorkerDispatcher.UnknownAgreement.selector, address(fake));
        vm.expectRevert(err);
        vm.prank(workers[0].owner);
        fake.accept();
        vm.expectRevert(err);
        vm.prank(stranger);
        fake.cancel();
    }

    /// @notice Row 27: the same purchase twice is two agreements with an escrow each.
    function test_attack_idReuse() public {
        IComputeAgreement first = _buy(_terms());
        IComputeAgreement second = _buy(_terms());
        assertNotEq(address(first), address(second), "two addresses");
        vm.prank(client);
        first.cancel();
        (uint96 escrow,) = dispatcher.escrowOf(address(second));
        assertEq(escrow, _budget(_terms()), "the other is untouched");
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Cancelled, Status.Open)
        );
        vm.prank(client);
        first.cancel();
    }

    /// @notice Row 25: an agreement's address comes from the dispatcher's nonce, so nobody occupies it first; a purchase that
    /// overtakes another takes an address of its own, and tokens sent to one beforehand change nothing.
    function test_attack_squattedAddress() public {
        address next = vm.computeCreateAddress(address(dispatcher), vm.getNonce(address(dispatcher)));
        assertEq(next.code.length, 0, "free");
        _give(next, 5);
        vm.deal(next, 1);
        assertEq(address(_buy(_terms())), next, "made there");
        (uint96 escrow,) = dispatcher.escrowOf(next);
        assertEq(escrow, _budget(_terms()), "its own money only");
        assertNotEq(address(_buy(_terms())), next, "the next has another");
        _assertConserved();
    }

    /// @notice Row 7: stake moved after the seal draws nothing: neither new stake nor a new identity nor another class.
    function test_attack_stakeMovedAfterTheSeal() public {
        address late = makeAddr("late");
        _register(late, late, 1);
        skip(EPOCH_SECS);
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        uint32 snapshot = a.agreement().snapshotEpoch;
        _stake(late, STAKE);
        assertEq(dispatcher.ticketsOf(late, CLASS, snapshot), 0, "new stake");
        _give(workers[1].owner, STAKE);
        vm.startPrank(workers[1].owner);
        token.approve(address(dispatcher), STAKE);
        dispatcher.stake(STAKE);
        vm.stopPrank();
        assertEq(dispatcher.ticketsOf(workers[1].owner, CLASS, snapshot), 100, "more stake");
        bytes32[] memory hashes = _kindHashes();
        vm.prank(workers[2].owner);
        dispatcher.updateWorker(workers[2].payout, 3, hashes);
        assertEq(dispatcher.ticketsOf(workers[2].owner, CLASS, snapshot), 0, "who changes classes is out");
        skip(EPOCH_SECS);
        assertEq(dispatcher.ticketsOf(late, CLASS, snapshot), 0, "nor later");
    }

    /// @notice Row 15: settling costs the same with five workers and with forty.
    function test_attack_gasDoesNotGrowWithTheCrowd() public {
        uint256 small = _claimGas();
        _addWorkers(35);
        skip(EPOCH_SECS);
        uint256 large = _claimGas();
        assertApproxEqRel(large, small, 0.02e18, "gas of a claim");
    }

    /// @notice Row 28: 2^256 - 1 and all-ones everywhere; nothing wraps around, nothing moves.
    function test_attack_arithmeticExtremes() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        uint256 balance = token.balanceOf(address(dispatcher));
        uint256 max = type(uint256).max;
        address[3] memory callers = [client, workers[1].owner, stranger];
        for (uint256 i = 0; i < callers.length; ++i) {
            vm.startPrank(callers[i]);
            _mustFail(address(dispatcher), abi.encodeCall(dispatcher.stake, (max)));
            _mustFail(address(dispatcher), abi.encodeCall(dispatcher.unstake, (max)));
            _mustFail(address(dispatcher), abi.encodeCall(dispatcher.buyContract, (255, _ones(60), _ones(9))));
            _mustFail(address(dispatcher), abi.encodeCall(dispatcher.buyContract, (0, _ones(60), _ones(9))));
            _mustFail(address(a), abi.encodeCall(a.claim, (max)));
            vm.stopPrank();
        }
        assertEq(token.balanceOf(address(dispatcher)), balance, "nothing moved");
        assertEq(
            dispatcher.ticketsOf(workers[1].owner, type(uint16).max, type(uint32).max), 0, "no such class"
        );
        vm.expectRevert();
        beacon.record(type(uint48).max, "");
        _assertConserved();
    }

    /// @notice The largest amounts that terms allow are bought and settled without wrapping around.
    function test_attack_largestAmounts() public {
        // 2^80 is far above the supply of 87 million SUN: the quote is what has to hold.
        ComputeTerms memory t = _terms();
        (t.rewardMin, t.rewardMax, t.verifierFee, t.verifiers) = (1 << 80, 1 << 80, 1 << 80, 8);
        assertEq(
            implementation.quote(ComputeTermsLib.pack(t)).budget, 9 * (uint256(1) << 80) + SEED_TIP, "budget"
        );
        t = _terms();
        (t.rewardMin, t.rewardMax) = (uint96(20_000_000 * SUN), uint96(20_000_000 * SUN));
        _give(client, 25_000_000 * SUN);
        _stake(workers[0].owner, 20_000_000 * SUN);
        _stake(workers[1].owner, 10_000_000 * SUN);
        _stake(workers[2].owner, 10_000_000 * SUN);
        skip(EPOCH_SECS);
        IComputeAgreement a = _driveTo(t, Status.Settled);
        assertEq(_owned(workers[0].payout), 20_000_000 * SUN, "paid");
        _assertEmpty(address(a));
        _assertConserved();
    }

    function _claimGas() private returns (uint256 used) {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        skip(70);
        (, uint256 index,) = _bestTicket(a, workers[1].owner);
        vm.cool(address(a));
        vm.cool(address(dispatcher));
        vm.prank(workers[1].owner);
        used = gasleft();
        a.claim(index);
        used -= gasleft();
    }

    function _everybodyWithdraws(IComputeAgreement a) private {
        vm.startPrank(stranger);
        a.redeemPayment(client);
        a.redeemPayment(keeper);
        a.redeemPayment(stranger);
        a.redeemPayment(dispatcher.BURN_ACCOUNT());
        for (uint256 w = 0; w < workers.length; ++w) {
            a.redeemPayment(workers[w].owner);
        }
        vm.stopPrank();
    }

    function _mustFail(address to, bytes memory call) private {
        (bool ok,) = to.call(call);
        assertFalse(ok, "refused");
    }

    function _ones(uint256 length) private pure returns (bytes memory data) {
        data = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            data[i] = 0xff;
        }
    }
}
