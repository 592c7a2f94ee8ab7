// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher, Party} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {HostileAgent} from "../mocks/KeyAgents.sol";
import {Books} from "../utils/Base.t.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Attacks on the wait for a session key: by workers, clients, key agents, and by good timing. What remains possible
/// is in KnownLimits.t.sol.
contract KeyingTest is Driver {
    address private _agent = makeAddr("agent");

    // ------------------------------------------------------------------------------------------------ by the worker

    /// @notice A worker that accepts and then withdraws its key would end the work as NoKey, for nothing. The client answers
    /// with any envelope, even an empty one: now the worker has to abort, or vanishes.
    function testFuzz_attack_withdrawnKeyCostsTheWorkerItsFee(bytes32 key, bool aborts) public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        // Zero, a point of small order, or noise: the contract cannot tell.
        _setKey(workers[0].owner, key);
        _postKey(a, client, "");
        uint256 lock = a.workerLock(a.agreement().reward);
        uint256 bps = aborts ? _params().abortBps : _params().vanishBps;
        if (aborts) {
            vm.prank(workers[0].owner);
            a.abort();
        } else {
            vm.warp(uint256(a.agreement().deadline) + 1);
            a.expire();
        }
        assertEq(STAKE - dispatcher.workerInfo(workers[0].owner).bonded, lock * bps / 10_000, "paid for it");
        assertEq(uint8(a.status()), uint8(Status.Open), "others may try");
    }

    /// @notice Its price where the client stays silent: nothing but `keySecs` of its lock; the client has all its money back.
    function test_attack_withdrawnKeyAndSilentClient() public {
        Books memory before = _books();
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        uint256 accepted = block.timestamp;
        _setKey(workers[0].owner, 0);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.NoKey), "ended");
        assertEq(block.timestamp - accepted, uint256(_params().keySecs) + 1, "after keySecs");
        assertEq(keccak256(abi.encode(_books())), keccak256(abi.encode(before)), "nobody lost anything");
    }

    /// @notice With identities of its own a blocker pays a fee for each attempt, and the client nothing.
    function test_attack_blockingByAbortsCostsEachTime() public {
        Books memory before = _books();
        IComputeAgreement a = _buy(_confidentialTerms());
        for (uint256 i = 0; i < 3; ++i) {
            vm.startPrank(workers[i].owner);
            a.accept();
            a.abort();
            vm.stopPrank();
        }
        Books memory b = _books();
        assertEq(uint8(a.ending()), uint8(Ending.Aborted), "blocked");
        assertEq(b.burned - before.burned, 3 * ABORT_FEE, "at the price of three fees");
        assertEq(b.client, before.client, "nothing lost");
    }

    /// @notice Nobody but the worker's owner account changes its key: a client would seal to the thief.
    function test_attack_stolenDeviceReplacesTheKey() public {
        bytes32 before = dispatcher.encryptionKeyOf(workers[0].owner);
        IComputeAgreement a = _buy(_confidentialTerms());
        vm.startPrank(workers[0].device);
        a.accept();
        dispatcher.setEncryptionKey("the thief's");
        dispatcher.setKeyAgent(workers[0].device);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, workers[0].device, client)
        );
        a.postKey(workers[0].owner, "the thief's");
        vm.stopPrank();
        assertEq(dispatcher.encryptionKeyOf(workers[0].owner), before, "as it was");
    }

    /// @notice A worker that the client named its agent starts its own clock, no more.
    function test_attack_workerIsTheAgent() public {
        Books memory before = _books();
        _setAgent(client, workers[0].owner);
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _postKey(a, workers[0].owner, "");
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(before.bonded[0] - _books().bonded[0], VANISH_FEE, "it owes a seal now");
    }

    // ------------------------------------------------------------------------------------------------ by the client

    /// @notice A client that never posts holds as much of the worker's stake as it binds of its own money (twice that at most:
    /// one verifier with one leaf), for `keySecs`; then the worker is free, whoever calls.
    function test_attack_clientNeverPosts() public {
        Books memory before = _books();
        for (uint256 i = 0; i < 5; ++i) {
            IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
            assertEq(dispatcher.workerInfo(workers[0].owner).locked, WORKER_LOCK, "held");
            (uint96 escrow,) = dispatcher.escrowOf(address(a));
            assertGe(escrow, 100 * SUN, "as long as the client's money");
            skip(uint256(_params().keySecs) + 1);
            vm.prank(workers[0].owner);
            a.expire();
            assertEq(dispatcher.workerInfo(workers[0].owner).locked, 0, "free");
        }
        assertEq(keccak256(abi.encode(_books())), keccak256(abi.encode(before)), "nobody lost anything");

        ComputeTerms memory t = _confidentialTerms();
        (t.verifiers, t.samples, t.rewardMax) = (1, 1, t.rewardMin);
        IComputeAgreement worst = _driveTo(t, Status.Keying);
        (uint96 bound_,) = dispatcher.escrowOf(address(worst));
        assertEq(dispatcher.workerInfo(workers[0].owner).locked, 200 * SUN, "the largest lock for a price");
        assertLt(200 * SUN, 2 * uint256(bound_), "less than twice the client's money");
    }

    /// @notice The last second of the wait gives the worker as long as the first: a late key is no way to make it vanish.
    function test_attack_keyInTheLastSecond() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        vm.warp(a.agreement().deadline);
        _postKey(a, client, "useless");
        skip(600);
        vm.prank(workers[0].owner);
        a.abort();
        assertEq(STAKE - dispatcher.workerInfo(workers[0].owner).bonded, ABORT_FEE, "the small fee");
    }

    /// @notice Client and worker are one: its aborts cost it the fee, it gets none of it back.
    function test_attack_clientAbortsAsItsOwnWorker() public {
        address friend = workers[0].owner;
        uint256 before = _owned(client) + dispatcher.workerInfo(friend).bonded;
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Working);
        vm.prank(friend);
        a.abort();
        vm.prank(client);
        a.cancel();
        assertEq(before - _owned(client) - dispatcher.workerInfo(friend).bonded, ABORT_FEE, "all burned");
    }

    // ------------------------------------------------------------------------------------------------ by the agent

    /// @notice Whoever of client and agent comes first decides; the other is refused and nothing is posted twice.
    function test_attack_agentRunsAheadOfItsClient() public {
        _setAgent(client, _agent);
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _postKey(a, _agent, "junk");
        _postKeyRefused(
            a,
            client,
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Working, Status.Keying)
        );
        // The damage: an attempt, and the worker's fee; the client's money stays.
        vm.prank(workers[0].owner);
        a.abort();
        _setAgent(client, address(0));
        vm.prank(workers[1].owner);
        a.accept();
        _postKeyRefused(
            a, _agent, abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, _agent, client)
        );
        _postKey(a, client, "good");
        assertEq(uint8(a.status()), uint8(Status.Working), "goes on without it");
    }

    /// @notice Named and dismissed within one block: what counts is the order of the calls.
    function test_attack_agentOfOneBlock() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _setAgent(client, _agent);
        _setAgent(client, keeper);
        _postKeyRefused(
            a, _agent, abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, _agent, client)
        );
        _postKey(a, keeper, "key");
        assertEq(uint8(a.status()), uint8(Status.Working), "the one of the moment");
    }

    /// @notice A new agent serves all of a client's agreements at once, and the old one none.
    function test_attack_dismissedAgentStrikesEverywhere() public {
        _setAgent(client, _agent);
        IComputeAgreement[3] memory all;
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = _buy(_confidentialTerms());
            vm.prank(workers[i].owner);
            all[i].accept();
        }
        _setAgent(client, keeper);
        for (uint256 i = 0; i < all.length; ++i) {
            _postKeyRefused(
                all[i],
                _agent,
                abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, _agent, client)
            );
            _postKey(all[i], keeper, "key");
        }
    }

    /// @notice An agent may post a key. Not cancel, not move money, not act for the worker, not change the client's agent.
    function test_attack_agentDoesMore() public {
        _setAgent(client, _agent);
        IComputeAgreement a = _buy(_confidentialTerms());
        vm.startPrank(_agent);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, _agent, client));
        a.cancel();
        vm.stopPrank();
        _accept(a);
        vm.startPrank(_agent);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.NotTheWorker.selector, _agent, workers[0].owner)
        );
        a.abort();
        bytes memory err = abi.encodeWithSelector(IWorkerDispatcher.UnknownAgreement.selector, _agent);
        vm.expectRevert(err);
        dispatcher.pay(_agent, 1);
        vm.expectRevert(err);
        dispatcher.close(new Party[](0), 0, 0, _agent);
        dispatcher.setKeyAgent(stranger);
        assertEq(dispatcher.keyAgentOf(client), _agent, "only its own agent");
        skip(uint256(_params().keySecs) + 1);
        assertEq(a.redeemPayment(_agent), 0, "ends the work, gets nothing");
        vm.stopPrank();
        assertEq(dispatcher.payableOf(client), _budget(_confidentialTerms()), "the client has its refund");
    }

    /// @notice An agent that is a contract is called by nobody, so it cannot come in again; what it tries besides is refused.
    function test_attack_reentrantAgent() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        HostileAgent hostile = new HostileAgent(a);
        _setAgent(client, address(hostile));
        hostile.attack();
        assertEq(hostile.entered(), 0, "never called back");
        assertEq(hostile.count(), 6, "all refused");
        assertEq(
            hostile.refusals(0),
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Working, Status.Keying),
            "one key an attempt"
        );
        assertEq(uint8(a.status()), uint8(Status.Working), "one key posted");
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        a.redeemPayment(client);
        assertEq(hostile.entered(), 0, "nor by anything later");
        _assertEmpty(address(a));
        _assertConserved();
    }

    // ------------------------------------------------------------------------------------------------ races

    /// @notice Key and expiry exclude each other at every second: up to the deadline only the key, after it only the expiry.
    function testFuzz_attack_keyOrExpiryNeverBoth(uint256 waited, uint256 order) public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        uint256 deadline = a.agreement().deadline;
        address worker = a.agreement().worker;
        skip(bound(waited, 0, 2 * uint256(_params().keySecs)));
        bool inTime = block.timestamp <= deadline;
        bool posted;
        bool expired;
        for (uint256 i = 0; i < 2; ++i) {
            if ((order % 2 + i) % 2 == 0) {
                vm.prank(client);
                (posted,) = address(a).call(abi.encodeCall(a.postKey, (worker, "key")));
            } else {
                vm.prank(stranger);
                (expired,) = address(a).call(abi.encodeCall(a.expire, ()));
            }
        }
        assertEq(posted, inTime, "the key, in time");
        assertEq(expired, !inTime, "the expiry, after it");
        assertEq(uint8(a.status()), uint8(inTime ? Status.Working : Status.Cancelled), "one of both");
    }

    /// @notice S4. A key is under way, its worker aborts and another accepts before it: the key is refused, by whomever and
    /// however often it is sent, and the other worker owes nothing until one of its own comes.
    function testFuzz_attack_keyOnItsWayToAnotherWorker(bool byAgent) public {
        _setAgent(client, _agent);
        address sender = byAgent ? _agent : client;
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        // `sender` has sent this. Before it:
        bytes memory underWay = abi.encodeCall(a.postKey, (workers[0].owner, "sealed to worker 0"));
        vm.prank(workers[0].owner);
        a.abort();
        _assertRefused(a, sender, underWay, _wrongStatus(Status.Open));
        vm.prank(workers[1].owner);
        a.accept();
        _assertRefused(a, sender, underWay, _wrongWorker(workers[0].owner, workers[1].owner));
        assertEq(uint8(a.status()), uint8(Status.Keying), "waits for worker 1's key");
        _postKey(a, sender, "sealed to worker 1");
        assertEq(uint8(a.status()), uint8(Status.Working), "which counts");
        _assertRefused(a, sender, underWay, _wrongStatus(Status.Working));
        assertEq(dispatcher.workerInfo(workers[1].owner).bonded, STAKE, "no fee for the attack of another");
        assertLt(dispatcher.workerInfo(workers[0].owner).bonded, STAKE, "who paid one itself");
        // Who left does not come back, so its name stands for no later attempt.
        vm.prank(workers[1].owner);
        a.abort();
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyTried.selector, workers[0].owner));
        vm.prank(workers[0].owner);
        a.accept();
    }

    /// @notice S4, by a reorganisation: in the new chain somebody else accepted, in the same attempt.
    function test_attack_keyAcrossAReorganisation() public {
        IComputeAgreement a = _buy(_confidentialTerms());
        uint256 fork = vm.snapshotState();
        _accept(a);
        bytes memory underWay = abi.encodeCall(a.postKey, (a.agreement().worker, "sealed to worker 0"));
        vm.revertToState(fork);
        vm.prank(workers[1].owner);
        a.accept();
        assertEq(a.agreement().attempt, 0, "the attempt is the same");
        _assertRefused(a, client, underWay, _wrongWorker(workers[0].owner, workers[1].owner));
        assertEq(uint8(a.status()), uint8(Status.Keying), "still waits");
    }

    /// @notice In the last second the worker may still abort for its fee, a second later it is free: nobody can be charged
    /// for a key that did not come.
    function test_attack_abortAroundTheDeadline() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.NotYetExpired.selector, deadline, deadline));
        a.expire();
        vm.warp(deadline + 1);
        bytes memory late = abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline);
        vm.expectRevert(late);
        vm.prank(workers[0].owner);
        a.abort();
        _postKeyRefused(a, client, late);
        a.redeemPayment(workers[0].owner);
        assertEq(uint8(a.ending()), uint8(Ending.NoKey), "a redemption ends it too");
        assertEq(dispatcher.workerInfo(workers[0].owner).bonded, STAKE, "nothing lost");
    }

    /// @notice After the end nothing moves any more, and no money twice.
    function test_attack_expiredTwice() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        uint256 owed = dispatcher.payableOf(client);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Cancelled, Status.Open)
        );
        a.expire();
        _postKeyRefused(
            a,
            client,
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Cancelled, Status.Keying)
        );
        assertEq(dispatcher.payableOf(client), owed, "refunded once");
        _assertConserved();
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _assertRefused(IComputeAgreement a, address who, bytes memory call, bytes memory err) private {
        vm.prank(who);
        (bool ok, bytes memory answer) = address(a).call(call);
        assertFalse(ok, "refused");
        assertEq(answer, err, "for this reason");
    }

    function _wrongStatus(Status found) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, found, Status.Keying);
    }

    function _wrongWorker(address found, address expected) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IComputeAgreement.WrongWorker.selector, found, expected);
    }
}
