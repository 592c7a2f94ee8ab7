// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {DispatcherParams, WorkerDispatcher} from "../../contracts/WorkerDispatcher.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {Base} from "../utils/Base.t.sol";

/// @notice Deployment, and the only two things that an owner may do.
contract OwnerTest is Base {
    function test_deployment() public view {
        assertEq(dispatcher.owner(), owner, "owner");
        assertEq(dispatcher.token(), address(token), "token");
        assertEq(dispatcher.epochSecs(), EPOCH_SECS, "epoch");
        assertEq(dispatcher.unbondSecs(), UNBOND_SECS, "unbonding");
        assertEq(dispatcher.ticketUnit(), TICKET_UNIT, "ticket");
        assertEq(dispatcher.epoch(), 1, "one epoch after the deployment");
        assertEq(dispatcher.kindCount(), 1, "kinds");
        assertEq(dispatcher.classCount(), 2, "classes");
        (address kind, bytes32 codeHash) = dispatcher.kind(0);
        assertEq(kind, address(implementation), "compute");
        assertEq(codeHash, address(implementation).codehash, "code hash");
    }

    function test_addKindAndClass() public {
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.KindAdded(1, address(beacon), address(beacon).codehash);
        vm.prank(owner);
        assertEq(dispatcher.addKind(address(beacon)), 1, "next kind");
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.ClassAdded(2, "linux/riscv64+docker");
        vm.prank(owner);
        assertEq(dispatcher.addClass("linux/riscv64+docker"), 2, "next class");
    }

    function test_RevertWhen_notTheOwner() public {
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.NotOwner.selector, stranger));
        dispatcher.addKind(address(beacon));
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.NotOwner.selector, stranger));
        dispatcher.addClass("mine");
        vm.stopPrank();
    }

    function test_RevertWhen_kindHasNoCode() public {
        vm.expectRevert(IWorkerDispatcher.ZeroAddress.selector);
        vm.prank(owner);
        dispatcher.addKind(stranger);
    }

    function test_RevertWhen_tooManyKindsOrClasses() public {
        vm.startPrank(owner);
        for (uint256 i = 1; i < 48; ++i) {
            dispatcher.addKind(address(beacon));
        }
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.TooMany.selector, 49, 48));
        dispatcher.addKind(address(beacon));
        for (uint256 i = 2; i < 48; ++i) {
            dispatcher.addClass("class");
        }
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.TooMany.selector, 49, 48));
        dispatcher.addClass("class");
        vm.stopPrank();
    }

    function test_RevertWhen_deploymentIsWrong() public {
        DispatcherParams memory p = _dispatcherParams(address(token));
        p.owner = address(0);
        vm.expectRevert(IWorkerDispatcher.ZeroAddress.selector);
        new WorkerDispatcher(p);
        p = _dispatcherParams(stranger);
        vm.expectRevert(IWorkerDispatcher.ZeroAddress.selector);
        new WorkerDispatcher(p);
        p = _dispatcherParams(address(token));
        p.epochSecs = 0;
        vm.expectRevert(IWorkerDispatcher.ZeroAmount.selector);
        new WorkerDispatcher(p);
        p = _dispatcherParams(address(token));
        p.ticketUnit = 0;
        vm.expectRevert(IWorkerDispatcher.ZeroAmount.selector);
        new WorkerDispatcher(p);
    }
}
