// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {Device} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Attacks with hot keys. Each test failed before its fix.
contract DeviceFindingsTest is Driver {
    /// @notice K1. Any device of a worker, even one whose limit the owner had set to zero, could seal, abort or decline in
    /// agreements that it never entered, and so lose stake far above its limit.
    function test_stolenDeviceCannotActInOthersAgreements() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        vm.prank(workers[0].owner);
        dispatcher.setDevice(workers[0].device, 0);

        vm.startPrank(workers[0].device);
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeAgreement.NotTheWorker.selector, workers[0].device, workers[0].owner
            )
        );
        a.sealResult(keccak256("garbage"), 0, 0, "");
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeAgreement.NotTheWorker.selector, workers[0].device, workers[0].owner
            )
        );
        a.abort();
        vm.stopPrank();
        _seal(a);
        _openDraw(a);
        _draw(a);
        uint256 i = _indexOf(_verifier(a, 0));
        vm.startPrank(workers[i].device);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, workers[i].device));
        a.provideVerification(keccak256("garbage"));
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotAVerifier.selector, workers[i].device));
        a.decline(1);
        vm.stopPrank();
    }

    /// @notice The device that entered goes on acting, and the owner always may.
    function test_enteringDeviceAndOwnerAct() public {
        IComputeAgreement a = _buy(_terms());
        vm.prank(workers[0].device);
        a.accept();
        vm.prank(workers[0].device);
        a.abort();
        vm.prank(workers[1].device);
        a.accept();
        vm.prank(workers[1].owner);
        a.abort();
        assertEq(a.agreement().attempt, 2, "both left");
    }

    /// @notice K2. A stolen device could enter again after each slash and so lose its limit many times over: what it loses
    /// now comes off its limit.
    function test_deviceLosesAtMostItsLimit() public {
        vm.prank(workers[0].owner);
        dispatcher.setDevice(workers[0].device, uint88(150 * SUN));
        for (uint256 i = 0; i < 40; ++i) {
            IComputeAgreement a = _buy(_terms());
            vm.prank(workers[0].device);
            try a.accept() {
                vm.warp(uint256(a.agreement().deadline) + 1);
                a.expire();
            } catch {
                break;
            }
        }
        uint256 lost = STAKE - dispatcher.workerInfo(workers[0].owner).bonded;
        assertGt(lost, 0, "it lost something");
        assertLe(lost, 150 * SUN, "a stolen Pi can lose at most its limit");
        Device memory d = dispatcher.deviceInfo(workers[0].device);
        assertEq(d.limit, 150 * SUN - lost, "the limit is what may still be lost");
        assertEq(d.locked, 0, "nothing locked");
    }

    /// @notice K3. `setDevice` needs no consent, so anybody could name a keeper's account its device and have the keeper's
    /// tips credited to its own payout account, and make `redeemPayment(client)` miss the client's refund.
    function test_squattedKeeperKeepsItsTip() public {
        address thief = makeAddr("thief");
        _register(thief, thief, 1);
        vm.startPrank(thief);
        dispatcher.setDevice(keeper, 0);
        dispatcher.setDevice(client, 0);
        vm.stopPrank();
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        assertEq(dispatcher.payableOf(thief), 0, "no tip for the thief");
        assertEq(dispatcher.payableOf(keeper), SEED_TIP, "the keeper has its tip");
        _settleAll(a);
        uint256 owed = dispatcher.payableOf(client);
        assertGt(owed, 0, "unspent price comes back");
        assertEq(a.redeemPayment(client), owed, "and redeemPayment sends it");
    }

    /// @notice A squatted key still becomes a worker of its own; the claim on it ends.
    function test_squattedKeyCanRegister() public {
        address thief = makeAddr("thief");
        _register(thief, thief, 1);
        vm.prank(thief);
        dispatcher.setDevice(stranger, type(uint88).max);
        _register(stranger, stranger, 1);
        assertEq(dispatcher.workerOf(stranger), stranger, "its own worker");
        assertEq(dispatcher.deviceInfo(stranger).worker, address(0), "nobody's device");
    }

    /// @notice A worker with a device inside an agreement: the device cannot register itself away from under the lock.
    function test_lockedDeviceCannotLeave() public {
        ComputeTerms memory t = _terms();
        IComputeAgreement a = _buy(t);
        vm.prank(workers[0].device);
        a.accept();
        bytes32[] memory hashes = _kindHashes();
        vm.prank(workers[0].device);
        vm.expectRevert();
        dispatcher.registerWorker(workers[0].device, 1, hashes, 0, 0);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.NoWorker), "ended");
        assertEq(dispatcher.deviceInfo(workers[0].device).locked, 0, "lock freed");
    }
}
