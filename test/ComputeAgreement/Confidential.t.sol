// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {ContractClient} from "../mocks/KeyAgents.sol";
import {Books} from "../utils/Base.t.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Confidential work: who may accept and verify, who may post the key, and what it costs to leave.
contract ConfidentialTest is Driver {
    Books private _before;
    address private _agent = makeAddr("agent");

    function setUp() public override {
        super.setUp();
        _before = _books();
    }

    // ------------------------------------------------------------------------------------------------ who may enter

    /// @notice Nothing could be sealed to a worker without a key. Public work asks for none.
    function test_RevertWhen_workerHasNoKey() public {
        address worker = workers[0].owner;
        _setKey(worker, 0);
        IComputeAgreement a = _buy(_confidentialTerms());
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoEncryptionKey.selector, worker));
        _accept(a);
        assertEq(uint8(a.status()), uint8(Status.Open), "still open");
        assertEq(dispatcher.workerInfo(worker).locked, 0, "nothing locked");

        IComputeAgreement open = _buy(_terms());
        _accept(open);
        assertEq(uint8(open.status()), uint8(Status.Working), "public work needs no key");

        _setKey(worker, "a key");
        _accept(a);
        assertEq(uint8(a.status()), uint8(Status.Keying), "in the same block as its key");
    }

    function test_RevertWhen_registeredWithoutAKey() public {
        address late = makeAddr("late");
        bytes32[] memory hashes = _kindHashes();
        vm.prank(late);
        dispatcher.registerWorker(late, 1, hashes, 0, 0);
        _stake(late, STAKE);
        skip(EPOCH_SECS);
        IComputeAgreement a = _buy(_confidentialTerms());
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoEncryptionKey.selector, late));
        vm.prank(late);
        a.accept();
    }

    /// @notice The key that counts is the worker's; what its device published is nobody's concern.
    function test_deviceEntersWithTheKeyOfItsWorker() public {
        (address worker, address device) = (workers[0].owner, workers[0].device);
        _setKey(device, "of the device");
        _setKey(worker, 0);
        IComputeAgreement a = _buy(_confidentialTerms());
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoEncryptionKey.selector, worker));
        vm.prank(device);
        a.accept();
        assertEq(dispatcher.deviceInfo(device).locked, 0, "its limit is untouched");

        _setKey(device, 0);
        _setKey(worker, "of the worker");
        vm.prank(device);
        a.accept();
        assertEq(a.agreement().worker, worker, "the worker's identity");
        assertEq(uint8(a.status()), uint8(Status.Keying), "its key serves");
    }

    function testFuzz_keyIsNeededForConfidentialWorkOnly(bytes32 key, bytes32 other, uint256 seed) public {
        (bool confidential, bool byDevice) = (seed % 2 == 0, seed % 4 < 2);
        if (seed % 3 == 0) key = 0;
        _setKey(workers[0].owner, key);
        _setKey(workers[0].device, other);
        IComputeAgreement a = _buy(confidential ? _confidentialTerms() : _terms());
        bool refused = confidential && key == 0;
        if (refused) {
            vm.expectRevert(
                abi.encodeWithSelector(IComputeAgreement.NoEncryptionKey.selector, workers[0].owner)
            );
        }
        vm.prank(byDevice ? workers[0].device : workers[0].owner);
        a.accept();
        Status expected = refused ? Status.Open : confidential ? Status.Keying : Status.Working;
        assertEq(uint8(a.status()), uint8(expected), "status");
    }

    /// @notice The worker could not hand the session key on, so the verifier could only decline.
    function test_RevertWhen_verifierHasNoKey() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Drawing);
        skip(70);
        (, uint256 index,) = _bestTicket(a, workers[1].owner);
        _setKey(workers[1].owner, 0);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoEncryptionKey.selector, workers[1].owner));
        vm.prank(workers[1].owner);
        a.claim(index);
        assertEq(dispatcher.workerInfo(workers[1].owner).locked, 0, "nothing locked");
        _setKey(workers[1].owner, "a key");
        vm.prank(workers[1].device);
        a.claim(index);
        assertTrue(_holdsSlot(a, workers[1].owner), "by its device, with the worker's key");
    }

    function test_verifierOfPublicWorkNeedsNoKey() public {
        for (uint256 i = 0; i < workers.length; ++i) {
            _setKey(workers[i].owner, 0);
        }
        IComputeAgreement a = _driveTo(_terms(), Status.Settled);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "nobody has a key");
    }

    // ------------------------------------------------------------------------------------------------ who posts

    function test_clientPosts() public {
        _assertPosts(_driveTo(_confidentialTerms(), Status.Keying), client);
    }

    function test_agentPosts() public {
        _setAgent(client, _agent);
        _assertPosts(_driveTo(_confidentialTerms(), Status.Keying), _agent);
    }

    /// @notice An agent does not stand in the way of its client.
    function test_clientWithAnAgentPosts() public {
        _setAgent(client, _agent);
        _assertPosts(_driveTo(_confidentialTerms(), Status.Keying), client);
    }

    /// @notice What counts is who is the agent now, not who was when the work was bought or accepted.
    function test_agentOfTheMomentPosts() public {
        IComputeAgreement first = _driveTo(_confidentialTerms(), Status.Keying);
        _setAgent(client, _agent);
        _assertPosts(first, _agent);
        IComputeAgreement second = _buy(_confidentialTerms());
        vm.prank(workers[1].owner);
        second.accept();
        _setAgent(client, keeper);
        _assertRefused(second, _agent);
        _assertPosts(second, keeper);
    }

    function test_RevertWhen_agentWasCleared() public {
        _setAgent(client, _agent);
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _setAgent(client, address(0));
        _assertRefused(a, _agent);
        _assertPosts(a, client);
    }

    /// @notice The agent of another client, or the client's agent's agent, is nobody here.
    function test_RevertWhen_agentOfSomebodyElse() public {
        _setAgent(stranger, _agent);
        _setAgent(client, keeper);
        _setAgent(keeper, _agent);
        _setAgent(workers[0].owner, _agent);
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _assertRefused(a, _agent);
        _assertRefused(a, workers[0].owner);
    }

    function testFuzz_RevertWhen_anybodyElsePosts(address who, address agent) public {
        vm.assume(who != client && who != agent);
        _setAgent(client, agent);
        _assertRefused(_driveTo(_confidentialTerms(), Status.Keying), who);
    }

    function test_RevertWhen_postedTwice() public {
        _setAgent(client, _agent);
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Working);
        address[2] memory both = [client, _agent];
        for (uint256 i = 0; i < both.length; ++i) {
            _postKeyRefused(
                a,
                both[i],
                abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Working, Status.Keying)
            );
        }
    }

    /// @notice In every other status the agent is refused as the client is, for confidential and for public work.
    function test_RevertWhen_agentPostsInAnotherStatus() public {
        _setAgent(client, _agent);
        for (uint8 i = 0; i <= uint8(Status.Settled); ++i) {
            for (uint8 flags = 0; flags < 2; ++flags) {
                if (Status(i) == Status.Keying) continue;
                uint256 snapshot = vm.snapshotState();
                ComputeTerms memory t = _terms();
                t.flags = flags;
                IComputeAgreement a = _driveTo(t, Status(i));
                _postKeyRefused(
                    a,
                    _agent,
                    abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status(i), Status.Keying)
                );
                vm.revertToState(snapshot);
            }
        }
    }

    function test_RevertWhen_agentPostsLate() public {
        _setAgent(client, _agent);
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        _postKeyRefused(
            a, _agent, abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline)
        );
    }

    /// @notice The contract passes the envelope on and never looks into it; the work clock starts when it comes.
    function testFuzz_envelopeIsPassedOn(bytes calldata noise, uint256 waited) public {
        bytes memory envelope = noise[:noise.length < 256 ? noise.length : 256];
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        skip(bound(waited, 0, _params().keySecs));
        vm.expectEmit(address(a));
        emit IComputeAgreement.KeyPosted(0, envelope);
        vm.prank(client);
        a.postKey(workers[0].owner, envelope);
        assertEq(a.agreement().deadline, block.timestamp + 600, "the whole work time");
    }

    /// @notice Logs are kept by every node for ever: 256 bytes of them, and no more.
    function testFuzz_RevertWhen_envelopeIsTooLong(uint256 excess) public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        uint256 length = 256 + bound(excess, 1, 10_000);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.KeyTooLong.selector, length, 256));
        vm.prank(client);
        a.postKey(workers[0].owner, new bytes(length));
        assertEq(uint8(a.status()), uint8(Status.Keying), "still waits");
        _postKey(a, client, new bytes(256));
        assertEq(uint8(a.status()), uint8(Status.Working), "the largest");
    }

    /// @notice The worker is named by its owner account, be it the client that posts or its agent.
    function testFuzz_RevertWhen_anotherWorkerIsNamed(address other, bool byAgent) public {
        vm.assume(other != workers[0].owner);
        _setAgent(client, _agent);
        IComputeAgreement a = _buy(_confidentialTerms());
        vm.prank(workers[0].device);
        a.accept();
        address[4] memory named = [other, workers[0].device, workers[0].payout, address(0)];
        for (uint256 i = 0; i < named.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IComputeAgreement.WrongWorker.selector, named[i], workers[0].owner)
            );
            vm.prank(byAgent ? _agent : client);
            a.postKey(named[i], "sealed key");
        }
        assertEq(uint8(a.status()), uint8(Status.Keying), "still waits");
        _assertPosts(a, byAgent ? _agent : client);
    }

    /// @notice A worker that withdraws its key after it accepted stops nobody: who kept the key can still seal to it.
    function test_keyWithdrawnBeforeThePost() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _setKey(workers[0].owner, 0);
        _assertPosts(a, client);
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "goes on");
    }

    // ------------------------------------------------------------------------------------------------ no key

    /// @notice All refunded; the worker has lost nothing but time, by its own key or a device.
    function testFuzz_noKeyRefundsAllAndFreesTheWorker(uint256 waited, bool byDevice, bool withAgent) public {
        if (withAgent) _setAgent(client, _agent);
        IComputeAgreement a = _buy(_confidentialTerms());
        skip(bound(waited, 0, 300));
        vm.prank(byDevice ? workers[0].device : workers[0].owner);
        a.accept();
        assertEq(a.agreement().deadline, block.timestamp + _params().keySecs, "keySecs, not a second more");
        _expire(a);
        assertEq(uint8(a.ending()), uint8(Ending.NoKey), "no key");
        Books memory b = _books();
        assertEq(b.client, _before.client, "all refunded");
        assertEq(b.burned, _before.burned, "nothing burned");
        assertEq(b.bonded[0], _before.bonded[0], "no stake lost");
        assertEq(dispatcher.workerInfo(workers[0].owner).locked, 0, "free");
        assertEq(dispatcher.deviceInfo(workers[0].device).locked, 0, "its device too");
        assertEq(dispatcher.deviceInfo(workers[0].device).limit, DEVICE_LIMIT, "with its whole limit");
        _assertEmpty(address(a));
        _assertConserved();
        _accept(_buy(_confidentialTerms()));
    }

    /// @notice Not even the score of a worker knows of it.
    function test_noKeyLeavesTheScore() public {
        _driveTo(_terms(), Status.Settled);
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 1, "one to lose");
        _expire(_driveTo(_confidentialTerms(), Status.Keying));
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 1, "neutral");
    }

    /// @notice Nor does it matter that an attempt had its key: each needs its own, and the work is not offered again.
    function test_noKeyInTheSecondAttempt() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Working);
        _abort(a);
        vm.prank(workers[1].owner);
        a.accept();
        _expire(a);
        assertEq(uint8(a.ending()), uint8(Ending.NoKey), "ends it");
        Books memory b = _books();
        assertEq(b.client, _before.client, "all refunded, and nothing of the fee");
        assertEq(b.burned - _before.burned, ABORT_FEE, "the fee of the first");
        assertEq(b.bonded[1], _before.bonded[1], "the second loses nothing");
        _assertEmpty(address(a));
        _assertConserved();
    }

    // ------------------------------------------------------------------------------------------------ leaving

    function test_abortBeforeTheKeyBurnsTheFee() public {
        _assertAbortBurnsAll(_driveTo(_confidentialTerms(), Status.Keying));
    }

    function test_abortAfterTheKeyBurnsTheFee() public {
        _assertAbortBurnsAll(_driveTo(_confidentialTerms(), Status.Working));
    }

    /// @notice Whatever the price and however many abort: the fees are burned to the unit, the client gets its budget back.
    function testFuzz_abortsGiveTheClientNothing(uint256 reward, uint256 fee, uint256 count, uint256 keyed)
        public
    {
        ComputeTerms memory t = _confidentialTerms();
        t.rewardMin = uint96(bound(reward, 1, 3000 * SUN));
        t.rewardMax = t.rewardMin;
        t.verifierFee = uint96(bound(fee, 0, 100 * SUN));
        count = bound(count, 1, 3);
        IComputeAgreement a = _buy(t);
        uint256 burned = 0;
        for (uint256 i = 0; i < count; ++i) {
            vm.prank(workers[i].owner);
            a.accept();
            if (keyed >> i & 1 == 1) _postKey(a, client, "useless");
            uint256 slash = (uint256(a.workerLock(t.rewardMin)) * 500 + 9999) / 10_000;
            burned += slash;
            (uint96 escrow,) = dispatcher.escrowOf(address(a));
            vm.prank(workers[i].owner);
            a.abort();
            assertEq(_before.bonded[i] - _books().bonded[i], slash, "the worker's fee");
            (uint96 left,) = dispatcher.escrowOf(address(a));
            assertEq(left, i == 2 ? 0 : escrow, "the escrow is what it was, or refunded");
            _assertConserved();
        }
        if (count < 3) {
            vm.prank(client);
            a.cancel();
        }
        assertEq(uint8(a.ending()), uint8(count < 3 ? Ending.ByClient : Ending.Aborted), "ending");
        assertEq(_books().burned - _before.burned, burned, "all fees burned");
        assertEq(_books().client, _before.client, "its budget back, no more");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice The same with public work: half to the client, half burned (odd units burned).
    function testFuzz_abortOfPublicWorkIsShared(uint256 reward) public {
        ComputeTerms memory t = _terms();
        t.rewardMin = uint96(bound(reward, 1, 3000 * SUN));
        t.rewardMax = t.rewardMin;
        IComputeAgreement a = _driveTo(t, Status.Working);
        uint256 slash = (uint256(a.workerLock(t.rewardMin)) * 500 + 9999) / 10_000;
        _abort(a);
        vm.prank(client);
        a.cancel();
        assertEq(_books().client - _before.client, slash / 2, "half to the client");
        assertEq(_books().burned - _before.burned, slash - slash / 2, "half burned");
        _assertConserved();
    }

    /// @notice Who says nothing until its deadline pays as in public work: a fifth, half of it to the client, and score.
    function test_vanishingIsSharedAsInPublicWork() public {
        uint256[2] memory gained;
        uint256[2] memory burned;
        for (uint8 flags = 0; flags < 2; ++flags) {
            uint256 snapshot = vm.snapshotState();
            ComputeTerms memory t = _terms();
            t.flags = flags;
            IComputeAgreement a = _driveTo(t, Status.Working);
            _expire(a);
            assertEq(uint8(a.status()), uint8(Status.Open), "offered again");
            assertEq(_before.bonded[0] - _books().bonded[0], VANISH_FEE, "a fifth of the lock");
            vm.prank(client);
            a.cancel();
            (gained[flags], burned[flags]) =
            (_books().client - _before.client, _books().burned - _before.burned);
            vm.revertToState(snapshot);
        }
        assertEq(gained[0], VANISH_FEE / 2, "half to the client");
        assertEq(burned[0], VANISH_FEE / 2, "half burned");
        assertEq(gained[1], gained[0], "the same");
        assertEq(burned[1], burned[0], "the same");
    }

    /// @notice After the key the verifiers' dead ends are those of public work.
    function test_verifiersFeesAreShared() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Verifying);
        uint256 slash = uint256(a.verifierLock(uint96(100 * SUN))) / 5;
        _expire(a);
        assertEq(_books().burned - _before.burned, 2 * (slash / 2), "half of two fees burned");
        (uint96 escrow,) = dispatcher.escrowOf(address(a));
        assertEq(escrow, _budget(_confidentialTerms()) - SEED_TIP + slash, "half kept for the client");
    }

    // ------------------------------------------------------------------------------------------------ whole paths

    /// @notice Attempt 0 had its key and was aborted: attempt 1 waits for one of its own, and everybody is paid.
    function test_offeredAgainAfterAnAbort() public {
        IComputeAgreement a = _buy(_confidentialTerms());
        vm.recordLogs();
        _accept(a);
        _postKey(a, client, "for worker 0");
        _abort(a);
        assertEq(a.agreement().attempt, 1, "second attempt");
        _postKeyRefused(
            a, client, abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Open, Status.Keying)
        );

        vm.prank(workers[1].owner);
        a.accept();
        assertEq(uint8(a.status()), uint8(Status.Keying), "the old key does not count");
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Keying, Status.Working)
        );
        vm.prank(workers[1].owner);
        a.sealResult("seal", 0, 0, "");
        _setAgent(client, _agent);
        _postKey(a, _agent, "for worker 1");
        bytes32[] memory envelopes = _keysPosted(a);
        assertEq(envelopes.length, 2, "one for each attempt");
        assertEq(envelopes[0], keccak256(abi.encode(uint8(0), bytes("for worker 0"))), "named by its attempt");
        assertEq(envelopes[1], keccak256(abi.encode(uint8(1), bytes("for worker 1"))), "named by its attempt");

        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        Books memory b = _books();
        assertEq(_before.client - b.client, 120 * SUN + SEED_TIP, "price, fees and tip: nothing of the abort");
        assertEq(b.burned - _before.burned, ABORT_FEE, "the abort, whole");
        assertEq(b.earned[1] - _before.earned[1], 100 * SUN, "the worker");
        assertEq(b.earned[0], _before.earned[0], "not the one that left");
        _assertEmpty(address(a));
        _assertConserved();
    }

    function test_offeredAgainAfterVanishing() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Working);
        _expire(a);
        vm.prank(workers[1].owner);
        a.accept();
        assertEq(uint8(a.status()), uint8(Status.Keying), "a key of its own");
    }

    /// @notice A contract buys, names an agent and cannot do anything itself any more; its refund waits for it.
    function test_contractAsClientWithAnAgent() public {
        ContractClient buyer = new ContractClient(dispatcher);
        _give(address(buyer), 1000 * SUN);
        ComputeTerms memory t = _confidentialTerms();
        IComputeAgreement a = IComputeAgreement(buyer.buy(KIND, ComputeTermsLib.pack(t), SPEC));
        buyer.setKeyAgent(_agent);
        _accept(a);
        _assertRefused(a, client);
        _assertPosts(a, _agent);
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        assertEq(dispatcher.payableOf(address(buyer)), 100 * SUN, "the unspent difference");
        assertEq(dispatcher.payableOf(_agent), 0, "nothing for the agent");
        dispatcher.withdraw(address(buyer));
        assertEq(token.balanceOf(address(buyer)), 1000 * SUN - 120 * SUN - SEED_TIP, "cost what it cost");
        _assertEmpty(address(a));
    }

    function test_contractAsClientPostsItself() public {
        ContractClient buyer = new ContractClient(dispatcher);
        _give(address(buyer), 1000 * SUN);
        ComputeTerms memory t = _confidentialTerms();
        IComputeAgreement a = IComputeAgreement(buyer.buy(KIND, ComputeTermsLib.pack(t), SPEC));
        _accept(a);
        buyer.postKey(a, workers[0].owner, "sealed key");
        assertEq(uint8(a.status()), uint8(Status.Working), "posted");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _assertPosts(IComputeAgreement a, address who) private {
        address worker = a.agreement().worker;
        vm.expectEmit(address(a));
        emit IComputeAgreement.KeyPosted(a.agreement().attempt, "sealed key");
        vm.prank(who);
        a.postKey(worker, "sealed key");
        assertEq(uint8(a.status()), uint8(Status.Working), "the work starts");
        assertEq(a.agreement().deadline, block.timestamp + _termsOf(a).workSecs, "with its whole time");
    }

    function _assertRefused(IComputeAgreement a, address who) private {
        _postKeyRefused(
            a, who, abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, who, a.client())
        );
        assertEq(uint8(a.status()), uint8(Status.Keying), "still waits");
    }

    function _assertAbortBurnsAll(IComputeAgreement a) private {
        (uint96 escrow,) = dispatcher.escrowOf(address(a));
        _abort(a);
        Books memory b = _books();
        assertEq(uint8(a.status()), uint8(Status.Open), "offered again");
        assertEq(_before.bonded[0] - b.bonded[0], ABORT_FEE, "the small fee");
        assertEq(b.burned - _before.burned, ABORT_FEE, "all of it burned");
        (uint96 left,) = dispatcher.escrowOf(address(a));
        assertEq(left, escrow, "nothing for the client");
        assertEq(dispatcher.workerInfo(workers[0].owner).locked, 0, "its lock is free");
        _assertConserved();
        vm.prank(client);
        a.cancel();
        assertEq(_books().client, _before.client, "exactly its budget");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @dev By workers[0], which accepted first.
    function _abort(IComputeAgreement a) private {
        vm.prank(workers[0].owner);
        a.abort();
    }

    function _expire(IComputeAgreement a) private {
        vm.warp(uint256(a.agreement().deadline) + 1);
        vm.prank(stranger);
        a.expire();
    }

    /// @dev Hashes of attempt and envelope of the keys posted since `recordLogs`.
    function _keysPosted(IComputeAgreement a) private returns (bytes32[] memory found) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        found = new bytes32[](logs.length);
        uint256 count = 0;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter == address(a) && logs[i].topics[0] == IComputeAgreement.KeyPosted.selector) {
                found[count++] = keccak256(logs[i].data);
            }
        }
        assembly ("memory-safe") {
            mstore(found, count)
        }
    }
}
