// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IWorkerDispatcher, Party, Verdict} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {PuppetAgreement} from "../mocks/PuppetAgreement.sol";
import {Base} from "../utils/Base.t.sol";

/// @notice lock, release, pay, burn, close: for agreements only, and even a hostile one stays within its escrow and its
/// locks.
contract AgreementsTest is Base {
    PuppetAgreement private _puppet;
    PuppetAgreement private _other;
    address private _worker;

    function setUp() public override {
        super.setUp();
        PuppetAgreement kind = new PuppetAgreement(dispatcher);
        vm.prank(owner);
        dispatcher.addKind(address(kind));
        vm.startPrank(client);
        _puppet = PuppetAgreement(dispatcher.buyContract(1, "", ""));
        _other = PuppetAgreement(dispatcher.buyContract(1, "", ""));
        vm.stopPrank();
        agreements.push(address(_puppet));
        agreements.push(address(_other));
        bytes32[] memory hashes = new bytes32[](2);
        hashes[1] = address(kind).codehash;
        _worker = workers[0].owner;
        vm.prank(_worker);
        dispatcher.updateWorker(workers[0].payout, 1, hashes);
    }

    function test_RevertWhen_notAnAgreement() public {
        bytes memory err = abi.encodeWithSelector(IWorkerDispatcher.UnknownAgreement.selector, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(err);
        dispatcher.lock(_worker, 1);
        vm.expectRevert(err);
        dispatcher.release(_worker, 0, Verdict.Neutral);
        vm.expectRevert(err);
        dispatcher.pay(stranger, 1);
        vm.expectRevert(err);
        dispatcher.burn(1);
        vm.expectRevert(err);
        dispatcher.close(new Party[](0), 0, stranger);
        vm.stopPrank();
    }

    function test_lockAndSlash() public {
        _lock(_puppet, _worker, 500 * SUN);
        assertEq(dispatcher.workerInfo(_worker).locked, 500 * SUN, "locked");
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.StakeReleased(_worker, address(_puppet), uint96(300 * SUN), uint96(200 * SUN));
        _release(_puppet, _worker, 200 * SUN, Verdict.Lost);
        assertEq(dispatcher.workerInfo(_worker).bonded, STAKE - 200 * SUN, "slashed");
        assertEq(dispatcher.workerInfo(_worker).locked, 0, "free");
        (uint96 escrow,) = dispatcher.escrowOf(address(_puppet));
        assertEq(escrow, _puppet.BUDGET() + 200 * SUN, "into the escrow");
        assertEq(dispatcher.ticketsOf(_worker, CLASS, dispatcher.epoch()), 98, "fewer tickets at once");
        _assertConserved();
    }

    function test_RevertWhen_lockIsWrong() public {
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.lock, (_worker, 0)),
            abi.encodeWithSelector(IWorkerDispatcher.ZeroAmount.selector)
        );
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.lock, (workers[1].owner, 1)),
            abi.encodeWithSelector(IWorkerDispatcher.NotOptedIn.selector, workers[1].owner, 1)
        );
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.lock, (_worker, uint96(STAKE + 1))),
            abi.encodeWithSelector(IWorkerDispatcher.FreeStakeTooSmall.selector, _worker, STAKE, STAKE + 1)
        );
        _lock(_puppet, _worker, 1);
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.lock, (_worker, 1)),
            abi.encodeWithSelector(IWorkerDispatcher.AlreadyLocked.selector, _worker, address(_puppet))
        );
    }

    /// @notice The lock is the ceiling of any slash, and of this agreement only.
    function test_RevertWhen_slashedBeyondTheLock() public {
        _lock(_puppet, _worker, 500 * SUN);
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.release, (_worker, uint96(500 * SUN + 1), Verdict.Lost)),
            abi.encodeWithSelector(IWorkerDispatcher.SlashAboveLock.selector, 500 * SUN + 1, 500 * SUN)
        );
        _tellErr(
            _other,
            abi.encodeCall(dispatcher.release, (_worker, 0, Verdict.Lost)),
            abi.encodeWithSelector(IWorkerDispatcher.NothingLocked.selector, _worker, address(_other))
        );
    }

    function test_RevertWhen_paidBeyondTheEscrow() public {
        uint96 budget = _puppet.BUDGET();
        bytes memory err =
            abi.encodeWithSelector(IWorkerDispatcher.EscrowTooSmall.selector, budget, budget + 1);
        _tellErr(_puppet, abi.encodeCall(dispatcher.pay, (stranger, budget + 1)), err);
        _tellErr(_puppet, abi.encodeCall(dispatcher.burn, (budget + 1)), err);
        _tellErr(_puppet, abi.encodeCall(dispatcher.close, (new Party[](0), budget + 1, client)), err);
    }

    function test_payBurnClose() public {
        uint96 budget = _puppet.BUDGET();
        _lock(_puppet, _worker, 100 * SUN);
        _puppet.tell(abi.encodeCall(dispatcher.pay, (_worker, 7)));
        _puppet.tell(abi.encodeCall(dispatcher.burn, (5)));
        Party[] memory parties = new Party[](1);
        parties[0] = Party(_worker, 11, uint96(100 * SUN), Verdict.Kept);
        uint256 before = dispatcher.payableOf(client);
        _puppet.tell(abi.encodeCall(dispatcher.close, (parties, 13, client)));
        assertEq(dispatcher.payableOf(workers[0].payout), 18, "payout account");
        assertEq(dispatcher.payableOf(dispatcher.BURN_ACCOUNT()), 18, "burned");
        assertEq(dispatcher.payableOf(client) - before, budget + 100 * SUN - 7 - 5 - 11 - 13, "the rest");
        assertEq(dispatcher.workerInfo(_worker).score, 1, "score");
        _assertConserved();
        // Nothing more can leave: the escrow is empty.
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.pay, (stranger, 1)),
            abi.encodeWithSelector(IWorkerDispatcher.EscrowTooSmall.selector, 0, 1)
        );
        assertEq(dispatcher.withdraw(dispatcher.BURN_ACCOUNT()), 18, "anyone sends it out of reach");
    }

    function test_scoreFallsByAThird() public {
        for (uint256 i = 0; i < 10; ++i) {
            _lock(_puppet, _worker, 1);
            _release(_puppet, _worker, 0, Verdict.Kept);
            skip(EPOCH_SECS);
        }
        assertEq(dispatcher.workerInfo(_worker).score, 10, "ten epochs");
        _lock(_puppet, _worker, 1);
        _release(_puppet, _worker, 0, Verdict.Lost);
        assertEq(dispatcher.workerInfo(_worker).score, 6, "two thirds, rounded against the loser");
    }

    function testFuzz_locksAddUp(uint96 first, uint96 second, uint96 slash) public {
        first = uint96(bound(first, 1, STAKE - 1));
        second = uint96(bound(second, 1, STAKE - first));
        slash = uint96(bound(slash, 0, first));
        _lock(_puppet, _worker, first);
        _lock(_other, _worker, second);
        assertEq(dispatcher.workerInfo(_worker).locked, uint256(first) + second, "both");
        _release(_puppet, _worker, slash, Verdict.Neutral);
        assertEq(dispatcher.workerInfo(_worker).locked, second, "one left");
        assertEq(dispatcher.workerInfo(_worker).bonded, STAKE - slash, "slashed");
        _assertConserved();
    }

    function _lock(PuppetAgreement a, address who, uint256 amount) private {
        a.tell(abi.encodeCall(dispatcher.lock, (who, uint96(amount))));
    }

    function _release(PuppetAgreement a, address who, uint256 slash, Verdict verdict) private {
        a.tell(abi.encodeCall(dispatcher.release, (who, uint96(slash), verdict)));
    }

    function _tellErr(PuppetAgreement a, bytes memory call, bytes memory err) private {
        vm.expectRevert(err);
        a.tell(call);
    }
}
