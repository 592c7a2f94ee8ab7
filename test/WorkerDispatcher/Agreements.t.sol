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
        dispatcher.lock(_worker, 1, 0);
        vm.expectRevert(err);
        dispatcher.release(_party(1, 0, Verdict.Neutral));
        vm.expectRevert(err);
        dispatcher.pay(stranger, 1);
        vm.expectRevert(err);
        dispatcher.burn(1);
        vm.expectRevert(err);
        dispatcher.close(new Party[](0), 0, 0, stranger);
        vm.stopPrank();
    }

    function test_lockAndSlash() public {
        _lock(_puppet, _worker, 500 * SUN);
        assertEq(dispatcher.workerInfo(_worker).locked, 500 * SUN, "locked");
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.StakeReleased(
            _worker, address(_puppet), uint96(300 * SUN), uint96(200 * SUN), 0
        );
        _release(_puppet, _worker, 500 * SUN, 200 * SUN, Verdict.Lost);
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
            abi.encodeCall(dispatcher.lock, (_worker, 0, 0)),
            abi.encodeWithSelector(IWorkerDispatcher.ZeroAmount.selector)
        );
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.lock, (workers[1].owner, 1, 0)),
            abi.encodeWithSelector(IWorkerDispatcher.NotOptedIn.selector, workers[1].owner, 1)
        );
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.lock, (_worker, uint96(STAKE + 1), 0)),
            abi.encodeWithSelector(IWorkerDispatcher.FreeStakeTooSmall.selector, _worker, STAKE, STAKE + 1)
        );
    }

    /// @notice Locks of one party in one agreement add up, and are freed as the agreement says; whether a party may enter twice
    /// is the agreement's matter.
    function test_locksOfOnePartyAddUp() public {
        _lock(_puppet, _worker, 100 * SUN);
        _lock(_puppet, _worker, 200 * SUN);
        assertEq(dispatcher.lockedBy(address(_puppet)), 300 * SUN, "both");
        _release(_puppet, _worker, 100 * SUN, 0, Verdict.Neutral);
        assertEq(dispatcher.lockedBy(address(_puppet)), 200 * SUN, "one left");
        assertEq(dispatcher.workerInfo(_worker).locked, 200 * SUN, "of the worker too");
    }

    /// @notice What `lock` answers: the identity, whether a device entered, and tickets only if they are asked for.
    function test_lockAnswers() public {
        uint32 now_ = dispatcher.epoch();
        // A change of kinds keeps the class, so its stake still draws.
        bytes memory answer =
            _puppet.tell(abi.encodeCall(dispatcher.lock, (workers[0].device, uint96(SUN), now_)));
        (address worker, bool byDevice, uint256 tickets) = abi.decode(answer, (address, bool, uint256));
        assertEq(worker, _worker, "the identity");
        assertTrue(byDevice, "by its device");
        assertEq(tickets, STAKE / TICKET_UNIT, "all its tickets");
        assertEq(dispatcher.deviceOf(address(_puppet), _worker), workers[0].device, "remembered");
        uint32 none = dispatcher.NO_TICKETS();
        answer = _puppet.tell(abi.encodeCall(dispatcher.lock, (_worker, uint96(SUN), none)));
        (worker, byDevice, tickets) = abi.decode(answer, (address, bool, uint256));
        assertEq(worker, _worker, "itself");
        assertFalse(byDevice, "by its owner");
        assertEq(tickets, 0, "not asked for");
    }

    /// @notice A release of a device's lock frees the device; a slash comes off its limit.
    function test_releaseOfADevice() public {
        _puppet.tell(abi.encodeCall(dispatcher.lock, (workers[0].device, uint96(500 * SUN), 0)));
        assertEq(dispatcher.deviceInfo(workers[0].device).locked, 500 * SUN, "counts to its limit");
        Party memory p = _party(500 * SUN, 200 * SUN, Verdict.Lost);
        p.byDevice = true;
        _puppet.tell(abi.encodeCall(dispatcher.release, (p)));
        assertEq(dispatcher.deviceInfo(workers[0].device).locked, 0, "free");
        assertEq(dispatcher.deviceInfo(workers[0].device).limit, DEVICE_LIMIT - 200 * SUN, "less to lose");
        assertEq(dispatcher.deviceOf(address(_puppet), _worker), address(0), "forgotten");
        _assertConserved();
    }

    /// @notice An agreement frees and slashes no more than it locked in all, whomever it names.
    function test_RevertWhen_anothersLockIsReleased() public {
        _lock(_puppet, _worker, 500 * SUN);
        _lock(_other, _worker, 100 * SUN);
        _tellErr(
            _other,
            abi.encodeCall(dispatcher.release, (_party(100 * SUN + 1, 0, Verdict.Lost))),
            abi.encodeWithSelector(IWorkerDispatcher.NothingLocked.selector, _worker, address(_other))
        );
        Party memory p = _party(100 * SUN, 100 * SUN, Verdict.Lost);
        p.worker = workers[1].owner;
        _tellErr(
            _other,
            abi.encodeCall(dispatcher.release, (p)),
            abi.encodeWithSelector(IWorkerDispatcher.NotOptedIn.selector, workers[1].owner, 1)
        );
        p = _party(1, 0, Verdict.Neutral);
        p.pay = 1;
        _tellErr(
            _other,
            abi.encodeCall(dispatcher.release, (p)),
            abi.encodeWithSelector(IWorkerDispatcher.EscrowTooSmall.selector, 0, 1)
        );
    }

    /// @notice Money that is put in arrives before the agreement is told, and only agreements can be funded.
    function test_fund() public {
        vm.startPrank(client);
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.Funded(address(_puppet), client, 7);
        dispatcher.fund(address(_puppet), 7, "why");
        (uint96 escrow,) = dispatcher.escrowOf(address(_puppet));
        assertEq(escrow, _puppet.BUDGET() + 7, "in the escrow");
        assertEq(_puppet.fundedBy(), client, "told who");
        assertEq(_puppet.fundedAmount(), 7, "told how much");
        assertEq(_puppet.fundedFor(), "why", "told what for");
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownAgreement.selector, stranger));
        dispatcher.fund(stranger, 7, "");
        vm.expectRevert(IWorkerDispatcher.ZeroAmount.selector);
        dispatcher.fund(address(_puppet), 0, "");
        token.approveAndCall(
            address(dispatcher), 9, abi.encodeCall(dispatcher.fund, (address(_puppet), 9, "at once"))
        );
        assertEq(_puppet.fundedFor(), "at once", "by approve-and-call too");
        vm.stopPrank();
        vm.expectRevert(_insufficientBalance(stranger, 0, 5));
        vm.prank(stranger);
        dispatcher.fund(address(_puppet), 5, "");
        _assertConserved();
    }

    /// @notice The lock is the ceiling of any slash, and of this agreement only.
    function test_RevertWhen_slashedBeyondTheLock() public {
        _lock(_puppet, _worker, 500 * SUN);
        _tellErr(
            _puppet,
            abi.encodeCall(dispatcher.release, (_party(500 * SUN, 500 * SUN + 1, Verdict.Lost))),
            abi.encodeWithSelector(IWorkerDispatcher.SlashAboveLock.selector, 500 * SUN + 1, 500 * SUN)
        );
        _tellErr(
            _other,
            abi.encodeCall(dispatcher.release, (_party(1, 0, Verdict.Lost))),
            abi.encodeWithSelector(IWorkerDispatcher.NothingLocked.selector, _worker, address(_other))
        );
    }

    function test_RevertWhen_paidBeyondTheEscrow() public {
        uint96 budget = _puppet.BUDGET();
        bytes memory err =
            abi.encodeWithSelector(IWorkerDispatcher.EscrowTooSmall.selector, budget, budget + 1);
        _tellErr(_puppet, abi.encodeCall(dispatcher.pay, (stranger, budget + 1)), err);
        _tellErr(_puppet, abi.encodeCall(dispatcher.burn, (budget + 1)), err);
        _tellErr(_puppet, abi.encodeCall(dispatcher.close, (new Party[](0), budget + 1, 0, client)), err);
        _tellErr(_puppet, abi.encodeCall(dispatcher.close, (new Party[](0), 0, budget + 1, client)), err);
    }

    function test_payBurnClose() public {
        uint96 budget = _puppet.BUDGET();
        _lock(_puppet, _worker, 100 * SUN);
        _puppet.tell(abi.encodeCall(dispatcher.pay, (_worker, 7)));
        _puppet.tell(abi.encodeCall(dispatcher.burn, (5)));
        Party[] memory parties = new Party[](1);
        parties[0] = Party(_worker, 11, uint96(100 * SUN), uint96(100 * SUN), Verdict.Kept, false);
        uint256 before = dispatcher.payableOf(client);
        _puppet.tell(abi.encodeCall(dispatcher.close, (parties, 13, 17, client)));
        assertEq(dispatcher.payableOf(workers[0].payout), 18, "payout account");
        assertEq(dispatcher.payableOf(dispatcher.BURN_ACCOUNT()), 18, "burned");
        assertEq(dispatcher.payableOf(client) - before, budget + 100 * SUN - 7 - 5 - 11 - 13 - 17, "the rest");
        assertEq(dispatcher.workerInfo(_worker).score, 1, "score");
        _assertConserved();
        // What was kept, and no more, can still leave.
        _puppet.tell(abi.encodeCall(dispatcher.pay, (stranger, 17)));
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
            _release(_puppet, _worker, 1, 0, Verdict.Kept);
            skip(EPOCH_SECS);
        }
        assertEq(dispatcher.workerInfo(_worker).score, 10, "ten epochs");
        _lock(_puppet, _worker, 1);
        _release(_puppet, _worker, 1, 0, Verdict.Lost);
        assertEq(dispatcher.workerInfo(_worker).score, 6, "two thirds, rounded against the loser");
    }

    function testFuzz_locksAddUp(uint96 first, uint96 second, uint96 slash) public {
        first = uint96(bound(first, 1, STAKE - 1));
        second = uint96(bound(second, 1, STAKE - first));
        slash = uint96(bound(slash, 0, first));
        _lock(_puppet, _worker, first);
        _lock(_other, _worker, second);
        assertEq(dispatcher.workerInfo(_worker).locked, uint256(first) + second, "both");
        _release(_puppet, _worker, first, slash, Verdict.Neutral);
        assertEq(dispatcher.workerInfo(_worker).locked, second, "one left");
        assertEq(dispatcher.workerInfo(_worker).bonded, STAKE - slash, "slashed");
        _assertConserved();
    }

    function _lock(PuppetAgreement a, address who, uint256 amount) private {
        a.tell(abi.encodeCall(dispatcher.lock, (who, uint96(amount), 0)));
    }

    function _release(PuppetAgreement a, address who, uint256 locked, uint256 slash, Verdict verdict)
        private
    {
        Party memory p = _party(locked, slash, verdict);
        p.worker = who;
        a.tell(abi.encodeCall(dispatcher.release, (p)));
    }

    /// @dev The worker, with what is said to be locked of it.
    function _party(uint256 locked, uint256 slash, Verdict verdict) private view returns (Party memory) {
        return Party(_worker, 0, uint96(slash), uint96(locked), verdict, false);
    }

    function _tellErr(PuppetAgreement a, bytes memory call, bytes memory err) private {
        vm.expectRevert(err);
        a.tell(call);
    }
}
