// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {Device, IWorkerDispatcher, WorkerInfo} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {Base} from "../utils/Base.t.sol";

/// @notice registerWorker, updateWorker, setDevice.
contract WorkersTest is Base {
    address private _new = makeAddr("new worker");

    // ------------------------------------------------------------------------------------------------ registerWorker

    function test_register() public {
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.WorkerRegistered(_new, stranger, 3, 1, "x25519", "transport");
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 3, _kindHashes(), "x25519", "transport");
        WorkerInfo memory w = dispatcher.workerInfo(_new);
        assertEq(w.payout, stranger, "payout");
        assertEq(w.classes, 3, "classes");
        assertEq(w.kinds, 1, "kinds");
        assertEq(w.classesSince, dispatcher.epoch() + 1, "counts from the next epoch");
        assertEq(dispatcher.workerOf(_new), _new, "acts for itself");
        assertEq(dispatcher.payoutOf(_new), stranger, "earnings");
    }

    function test_zeroKindHashSkipsAKind() public {
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 1, new bytes32[](1), 0, 0);
        assertEq(dispatcher.workerInfo(_new).kinds, 0, "no kind");
        vm.prank(_new);
        dispatcher.updateWorker(stranger, 1, new bytes32[](0));
        assertEq(dispatcher.workerInfo(_new).kinds, 0, "no kind");
    }

    function test_RevertWhen_registeredTwice() public {
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.AlreadyRegistered.selector, workers[0].owner)
        );
        _register(workers[0].owner, stranger, 1);
    }

    function test_RevertWhen_payoutIsZero() public {
        bytes32[] memory hashes = _kindHashes();
        vm.expectRevert(IWorkerDispatcher.ZeroAddress.selector);
        vm.prank(_new);
        dispatcher.registerWorker(address(0), 1, hashes, 0, 0);
    }

    function test_RevertWhen_classIsUnknown() public {
        bytes32[] memory hashes = _kindHashes();
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownClass.selector, 2));
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 4, hashes, 0, 0);
    }

    function test_RevertWhen_inTooManyClasses() public {
        vm.startPrank(owner);
        for (uint256 i = 2; i < 5; ++i) {
            dispatcher.addClass("class");
        }
        vm.stopPrank();
        bytes32[] memory hashes = _kindHashes();
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.TooMany.selector, 5, 4));
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 31, hashes, 0, 0);
    }

    /// @notice A worker names the code that it trusts; another code, or a kind that does not exist, is refused.
    function test_RevertWhen_codeHashDiffers() public {
        bytes32[] memory hashes = _kindHashes();
        bytes32 expected = hashes[0];
        hashes[0] = "other code";
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.CodeHashMismatch.selector, 0, hashes[0], expected)
        );
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 1, hashes, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownKind.selector, 2));
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 1, new bytes32[](2), 0, 0);
    }

    // ------------------------------------------------------------------------------------------------ updateWorker

    /// @notice The new class counts from the next epoch; the old one loses the stake at once.
    function test_updateMovesTheStakeToTheNewClass() public {
        uint32 now_ = dispatcher.epoch();
        bytes32[] memory hashes = _kindHashes();
        vm.prank(workers[0].owner);
        dispatcher.updateWorker(stranger, 2, hashes);
        (uint256 units, uint256 count) = dispatcher.classAt(0, now_);
        assertEq(units, 400, "class 0 lost it at once");
        assertEq(count, 4, "and the worker");
        (units, count) = dispatcher.classAt(1, now_);
        assertEq(units + count, 0, "class 1 not yet");
        assertEq(dispatcher.ticketsOf(workers[0].owner, 1, now_), 0, "no tickets yet");
        (units, count) = dispatcher.classAt(1, now_ + 1);
        assertEq(units, 100, "class 1 in the next epoch");
        assertEq(count, 1, "and the worker");
        assertEq(dispatcher.ticketsOf(workers[0].owner, 1, now_ + 1), 100, "tickets");
        assertEq(dispatcher.ticketsOf(workers[0].owner, 0, now_ + 1), 0, "none in the old class");
        assertEq(dispatcher.payoutOf(workers[0].owner), stranger, "payout");
    }

    function test_RevertWhen_updatedWhileLocked() public {
        IComputeAgreement a = _buy(_terms());
        vm.prank(workers[0].owner);
        a.accept();
        bytes32[] memory hashes = _kindHashes();
        vm.expectRevert(
            abi.encodeWithSelector(
                IWorkerDispatcher.StakeLockedElsewhere.selector, workers[0].owner, WORKER_LOCK
            )
        );
        vm.prank(workers[0].owner);
        dispatcher.updateWorker(stranger, 1, hashes);
    }

    function test_RevertWhen_strangerUpdates() public {
        bytes32[] memory hashes = _kindHashes();
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, stranger));
        vm.prank(stranger);
        dispatcher.updateWorker(stranger, 1, hashes);
    }

    function test_RevertWhen_notOptedIn() public {
        vm.prank(workers[0].owner);
        dispatcher.updateWorker(stranger, 1, new bytes32[](0));
        IComputeAgreement a = _buy(_terms());
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.NotOptedIn.selector, workers[0].owner, 0));
        vm.prank(workers[0].owner);
        a.accept();
    }

    // ------------------------------------------------------------------------------------------------ setDevice

    function test_deviceWorksFromTheNextEpoch() public {
        address device = makeAddr("device");
        uint32 next = dispatcher.epoch() + 1;
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.DeviceSet(workers[0].owner, device, uint88(500 * SUN), next);
        vm.prank(workers[0].owner);
        dispatcher.setDevice(device, uint88(500 * SUN));
        IComputeAgreement a = _buy(_terms());
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.DeviceNotActive.selector, device, next - 1, next)
        );
        vm.prank(device);
        a.accept();
        skip(EPOCH_SECS);
        a = _buy(_terms());
        vm.prank(device);
        a.accept();
        Device memory d = dispatcher.deviceInfo(device);
        assertEq(d.worker, workers[0].owner, "worker");
        assertEq(d.locked, WORKER_LOCK, "locked");
        assertEq(dispatcher.workerOf(device), workers[0].owner, "acts for it");
    }

    /// @notice The limit is over all agreements at a time; changing it takes effect at once, in both directions.
    function test_RevertWhen_deviceLimitIsReached() public {
        vm.prank(workers[0].owner);
        dispatcher.setDevice(workers[0].device, uint88(200 * SUN));
        IComputeAgreement first = _buy(_terms());
        IComputeAgreement second = _buy(_terms());
        vm.prank(workers[0].device);
        first.accept();
        bytes memory err = abi.encodeWithSelector(
            IWorkerDispatcher.DeviceLimit.selector, workers[0].device, 50 * SUN, WORKER_LOCK
        );
        vm.expectRevert(err);
        vm.prank(workers[0].device);
        second.accept();
        vm.prank(workers[0].owner);
        dispatcher.setDevice(workers[0].device, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.DeviceLimit.selector, workers[0].device, 0, WORKER_LOCK)
        );
        vm.prank(workers[0].device);
        second.accept();
        vm.prank(workers[0].owner);
        dispatcher.setDevice(workers[0].device, uint88(300 * SUN));
        vm.prank(workers[0].device);
        second.accept();
    }

    function test_RevertWhen_deviceIsTaken() public {
        bytes memory err =
            abi.encodeWithSelector(IWorkerDispatcher.KeyTaken.selector, workers[1].device, workers[1].owner);
        vm.expectRevert(err);
        vm.prank(workers[0].owner);
        dispatcher.setDevice(workers[1].device, 1);
        err = abi.encodeWithSelector(IWorkerDispatcher.KeyTaken.selector, workers[1].owner, workers[1].owner);
        vm.expectRevert(err);
        vm.prank(workers[0].owner);
        dispatcher.setDevice(workers[1].owner, 1);
        vm.expectRevert(IWorkerDispatcher.ZeroAddress.selector);
        vm.prank(workers[0].owner);
        dispatcher.setDevice(address(0), 1);
    }

    function test_RevertWhen_strangerSetsADevice() public {
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, stranger));
        vm.prank(stranger);
        dispatcher.setDevice(_new, 1);
    }

    /// @notice A device never moves stake or payouts.
    function test_RevertWhen_deviceMovesStake() public {
        address device = workers[0].device;
        bytes memory err = abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, device);
        bytes32[] memory hashes = _kindHashes();
        vm.startPrank(device);
        vm.expectRevert(err);
        dispatcher.unstake(1);
        vm.expectRevert(err);
        dispatcher.updateWorker(device, 1, hashes);
        vm.expectRevert(err);
        dispatcher.setDevice(stranger, 1);
        vm.stopPrank();
    }
}
