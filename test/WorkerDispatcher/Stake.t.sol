// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher, WorkerInfo} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {Base} from "../utils/Base.t.sol";

/// @notice stake, unstake, withdrawUnbonded, and what of it draws when.
contract StakeTest is Base {
    address private _new = makeAddr("new worker");

    function setUp() public override {
        super.setUp();
        _register(_new, _new, 1);
    }

    function test_stakeDrawsAnEpochLater() public {
        uint32 now_ = dispatcher.epoch();
        _give(_new, 1050 * SUN);
        vm.startPrank(_new);
        token.approve(address(dispatcher), 1050 * SUN);
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.Staked(_new, 1050 * SUN, now_ + 1);
        dispatcher.stake(1050 * SUN);
        vm.stopPrank();

        assertEq(dispatcher.workerInfo(_new).bonded, 1050 * SUN, "bonded");
        assertEq(dispatcher.ticketsOf(_new, CLASS, now_), 0, "not in this epoch");
        assertEq(dispatcher.ticketsOf(_new, CLASS, now_ + 1), 10, "whole units in the next");
        (uint256 units, uint256 count) = dispatcher.classAt(CLASS, now_);
        assertEq(units, 500, "class: not yet");
        assertEq(count, 5, "workers: not yet");
        skip(EPOCH_SECS);
        (units, count) = dispatcher.classAt(CLASS, now_ + 1);
        assertEq(units, 510, "class");
        assertEq(count, 6, "workers");
        assertEq(dispatcher.ticketsOf(_new, CLASS, now_), 0, "the past does not change");
        _assertConservedWith(_new);
    }

    function test_unstakeLeavesTheDrawsAtOnce() public {
        _stake(_new, 1000 * SUN);
        skip(EPOCH_SECS);
        uint32 now_ = dispatcher.epoch();
        uint256 until = block.timestamp + UNBOND_SECS;
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.Unstaked(_new, 950 * SUN, until);
        vm.prank(_new);
        dispatcher.unstake(950 * SUN);

        assertEq(dispatcher.ticketsOf(_new, CLASS, now_), 0, "no whole unit is left");
        (uint256 units, uint256 count) = dispatcher.classAt(CLASS, now_);
        assertEq(units, 500, "class");
        assertEq(count, 5, "a worker without a unit is none");
        WorkerInfo memory w = dispatcher.workerInfo(_new);
        assertEq(w.bonded, 50 * SUN, "bonded");
        assertEq(w.unbonding, 950 * SUN, "unbonding");

        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.StillUnbonding.selector, block.timestamp, until)
        );
        dispatcher.withdrawUnbonded(_new);
        vm.warp(until);
        vm.prank(stranger);
        assertEq(dispatcher.withdrawUnbonded(_new), 950 * SUN, "anyone may send it");
        assertEq(token.balanceOf(_new), 950 * SUN, "to the owner account");
        assertEq(dispatcher.withdrawUnbonded(_new), 0, "once");
        _assertConservedWith(_new);
    }

    /// @notice A second unstake starts the time anew for all of it.
    function test_unbondingCountsFromTheLastCall() public {
        _stake(_new, 1000 * SUN);
        vm.startPrank(_new);
        dispatcher.unstake(500 * SUN);
        skip(UNBOND_SECS - 1);
        dispatcher.unstake(500 * SUN);
        skip(1);
        vm.expectPartialRevert(IWorkerDispatcher.StillUnbonding.selector);
        dispatcher.withdrawUnbonded(_new);
        skip(UNBOND_SECS);
        assertEq(dispatcher.withdrawUnbonded(_new), 1000 * SUN, "all");
        vm.stopPrank();
    }

    /// @notice The sums of a class follow any sequence of staking and unstaking by two workers.
    function testFuzz_classSums(uint256[8] memory amounts, bool[8] memory isFirst, bool[8] memory isStake)
        public
    {
        address second = makeAddr("second");
        _register(second, second, 1);
        for (uint256 i = 0; i < amounts.length; ++i) {
            address who = isFirst[i] ? _new : second;
            if (isStake[i]) {
                _stake(who, bound(amounts[i], 1, 5000 * SUN));
            } else {
                uint256 bonded = dispatcher.workerInfo(who).bonded;
                if (bonded == 0) continue;
                vm.prank(who);
                dispatcher.unstake(bound(amounts[i], 1, bonded));
            }
            if (amounts[i] % 3 == 0) skip(EPOCH_SECS);
        }
        skip(EPOCH_SECS);
        uint32 now_ = dispatcher.epoch();
        uint256 first = dispatcher.workerInfo(_new).bonded / TICKET_UNIT;
        uint256 other = dispatcher.workerInfo(second).bonded / TICKET_UNIT;
        assertEq(dispatcher.ticketsOf(_new, CLASS, now_), first, "tickets");
        (uint256 units, uint256 count) = dispatcher.classAt(CLASS, now_);
        assertEq(units, 500 + first + other, "units");
        assertEq(count, 5 + (first == 0 ? 0 : 1) + (other == 0 ? 0 : 1), "workers");
    }

    /// @notice Splitting stake over two identities never makes more tickets.
    function testFuzz_splittingGainsNothing(uint256 amount, uint256 part) public {
        amount = bound(amount, 2, 1_000_000 * SUN);
        part = bound(part, 1, amount - 1);
        address[2] memory halves = [makeAddr("half"), makeAddr("other half")];
        _register(halves[0], halves[0], 1);
        _register(halves[1], halves[1], 1);
        _stake(_new, amount);
        _stake(halves[0], part);
        _stake(halves[1], amount - part);
        skip(EPOCH_SECS);
        uint32 now_ = dispatcher.epoch();
        uint256 apart =
            dispatcher.ticketsOf(halves[0], CLASS, now_) + dispatcher.ticketsOf(halves[1], CLASS, now_);
        assertLe(apart, dispatcher.ticketsOf(_new, CLASS, now_), "tickets");
    }

    function test_RevertWhen_amountIsWrong() public {
        vm.startPrank(_new);
        vm.expectRevert(IWorkerDispatcher.ZeroAmount.selector);
        dispatcher.stake(0);
        vm.expectRevert(IWorkerDispatcher.ZeroAmount.selector);
        dispatcher.unstake(0);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.FreeStakeTooSmall.selector, _new, 0, 1));
        dispatcher.unstake(1);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.AmountTooLarge.selector, 1 << 88, type(uint88).max)
        );
        dispatcher.stake(1 << 88);
        vm.expectRevert(_insufficientBalance(_new, 0, 7));
        dispatcher.stake(7);
        vm.stopPrank();
        _give(_new, 7);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.InsufficientAllowance.selector, _new, 0, 7));
        vm.prank(_new);
        dispatcher.stake(7);
    }

    function test_RevertWhen_strangerStakes() public {
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, stranger));
        dispatcher.stake(1);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, stranger));
        dispatcher.unstake(1);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, stranger));
        dispatcher.withdrawUnbonded(stranger);
        vm.stopPrank();
    }

    /// @notice Locked stake cannot be taken out.
    function test_RevertWhen_stakeIsLocked() public {
        IComputeAgreement a = _buy(_terms());
        vm.startPrank(workers[0].owner);
        a.accept();
        vm.expectRevert(
            abi.encodeWithSelector(
                IWorkerDispatcher.FreeStakeTooSmall.selector, workers[0].owner, STAKE - WORKER_LOCK, STAKE
            )
        );
        dispatcher.unstake(STAKE);
        dispatcher.unstake(STAKE - WORKER_LOCK);
        vm.stopPrank();
        assertEq(dispatcher.workerInfo(workers[0].owner).bonded, WORKER_LOCK, "the lock stays");
    }

    function test_RevertWhen_freeStakeIsTooSmall() public {
        _stake(_new, 99 * SUN);
        skip(EPOCH_SECS);
        IComputeAgreement a = _buy(_terms());
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.FreeStakeTooSmall.selector, _new, 99 * SUN, WORKER_LOCK)
        );
        vm.prank(_new);
        a.accept();
    }

    function _assertConservedWith(address extra) private view {
        WorkerInfo memory w = dispatcher.workerInfo(extra);
        uint256 known = uint256(w.bonded) + w.unbonding + workers.length * STAKE;
        assertEq(known, token.balanceOf(address(dispatcher)), "stakes add up to the balance");
    }
}
