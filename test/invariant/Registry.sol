// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    ComputeParams,
    IComputeAgreement,
    RevealedRoot,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {Party, Verdict} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {Actor} from "../utils/Base.t.sol";
import {Recorder} from "./Recorder.sol";

/// @title Registry
/// @notice What workers do with their stake, devices and classes, and what hostile callers try at any time.
abstract contract Registry is Recorder {
    uint256 internal constant MAX_WORKERS = 9;

    /// @dev Windows longer than an epoch, so that stake changes hands within an agreement; few attempts and strikes, so
    /// that their ends are reached.
    function _params() internal pure override returns (ComputeParams memory p) {
        p = super._params();
        (p.keySecs, p.seedSecs, p.revealSecs, p.openSecs) = (2 hours, 3 hours, 2 hours, 2 hours);
        (p.drawStepSecs, p.maxAttempts, p.maxStrikes, p.auditOneIn) = (10 minutes, 2, 2, 4);
    }

    function setUp() public override {
        super.setUp();
        _addWorkers(2);
        skip(EPOCH_SECS);
        // One worker buys as well.
        assertTrue(token.transfer(workers[0].owner, 100_000 * SUN));
        vm.prank(workers[0].owner);
        token.approve(address(dispatcher), type(uint256).max);
    }

    // ------------------------------------------------------------------------------------------------ workers

    function join(uint256 seed) external {
        if (workers.length < MAX_WORKERS && _pick(seed, "join", 4) == 0) _addWorkers(1);
    }

    function addStake(uint256 seed) external {
        Actor memory w = _anyWorker(seed);
        uint256 amount = _pick(seed, "amount", 500 * SUN) + 1;
        assertTrue(token.transfer(w.owner, amount));
        vm.prank(w.owner);
        token.approve(address(dispatcher), type(uint256).max);
        (bool ok,) = _act(w.owner, address(dispatcher), abi.encodeCall(dispatcher.stake, (amount)));
        assertTrue(ok, "stake is welcome");
    }

    /// @dev Succeeds exactly up to what is not locked.
    function unstake(uint256 seed) external {
        Actor memory w = _anyWorker(seed);
        uint256 free = dispatcher.workerInfo(w.owner).bonded - dispatcher.workerInfo(w.owner).locked;
        uint256 amount = _pick(seed, "amount", 700 * SUN) + 1;
        if (_pick(seed, "all", 12) == 0) amount = free + seed % 2;
        (bool ok,) = _act(w.owner, address(dispatcher), abi.encodeCall(dispatcher.unstake, (amount)));
        assertEq(ok, amount != 0 && amount <= free, "exactly what is not locked can leave");
    }

    function withdrawUnbonded(uint256 seed) external {
        Actor memory w = _anyWorker(seed);
        if (_pick(seed, "wait", 30) == 0) skip(UNBOND_SECS);
        bool due = block.timestamp >= dispatcher.workerInfo(w.owner).unbondingUntil;
        (bool ok,) =
            _act(stranger, address(dispatcher), abi.encodeCall(dispatcher.withdrawUnbonded, (w.owner)));
        assertEq(ok, due, "exactly after its time");
    }

    /// @dev Another class set and back; refused exactly while stake is locked.
    function updateWorker(uint256 seed) external {
        Actor memory w = _anyWorker(seed);
        bool locked = dispatcher.workerInfo(w.owner).locked != 0;
        uint48 classes = _pick(seed, "classes", 3) == 0 ? uint48(_pick(seed, "which", 4)) : 1;
        bytes32[] memory hashes = _kindHashes();
        (bool ok,) = _act(
            w.owner, address(dispatcher), abi.encodeCall(dispatcher.updateWorker, (w.payout, classes, hashes))
        );
        assertEq(ok, !locked, "exactly while no stake is locked");
    }

    /// @dev Own devices with new limits; now and then somebody else's key.
    function setDevice(uint256 seed) external {
        Actor memory w = _anyWorker(seed);
        address device = _pick(seed, "squat", 4) == 0 ? keeper : w.device;
        uint88 limit = uint88(_pick(seed, "limit", uint256(DEVICE_LIMIT)));
        _act(w.owner, address(dispatcher), abi.encodeCall(dispatcher.setDevice, (device, limit)));
    }

    /// @dev Mostly a new key, now and then none; of a worker, sometimes of its device, which must change nothing.
    function setEncryptionKey(uint256 seed) external {
        Actor memory w = _anyWorker(seed);
        bytes32 key = _pick(seed, "none", 3) == 0 ? bytes32(0) : keccak256(abi.encode("x25519", seed));
        address who = _pick(seed, "device", 4) == 0 ? w.device : w.owner;
        bytes32 before = dispatcher.encryptionKeyOf(w.owner);
        (bool ok,) = _act(who, address(dispatcher), abi.encodeCall(dispatcher.setEncryptionKey, (key)));
        assertTrue(ok, "never refused");
        assertEq(dispatcher.encryptionKeyOf(w.owner), who == w.owner ? key : before, "of the caller only");
    }

    /// @dev Each client names somebody, or nobody, at any time.
    function setKeyAgent(uint256 seed) external {
        address who = _pick(seed, "who", 3) == 0 ? workers[0].owner : client;
        address agent = [keeper, makeAddr("agent"), _anyKey(seed), address(0)][_pick(seed, "agent", 4)];
        (bool ok,) = _act(who, address(dispatcher), abi.encodeCall(dispatcher.setKeyAgent, (agent)));
        assertTrue(ok, "never refused");
        assertEq(dispatcher.keyAgentOf(who), agent, "the last one");
    }

    function withdraw(uint256 seed) external {
        address account = _pick(seed, "burn", 6) == 0 ? dispatcher.BURN_ACCOUNT() : _anyWorker(seed).payout;
        uint256 owed = dispatcher.payableOf(account);
        uint256 before = token.balanceOf(account);
        assertEq(dispatcher.withdraw(account), owed, "sends what is owed");
        assertEq(token.balanceOf(account), before + owed, "to the account");
        assertEq(dispatcher.withdraw(account), 0, "once");
    }

    // ------------------------------------------------------------------------------------------------ hostile

    /// @dev What only an agreement may do is refused to everybody else, and the implementation is no agreement.
    function attackDispatcher(uint256 seed) external {
        address victim = _anyWorker(seed).owner;
        Party[] memory parties = new Party[](1);
        parties[0] = Party(victim, 0, 1, 1, Verdict.Lost, false);
        bytes[7] memory calls = [
            abi.encodeCall(dispatcher.lock, (victim, 1, 0)),
            abi.encodeCall(dispatcher.release, (parties[0])),
            abi.encodeCall(dispatcher.pay, (stranger, 1)),
            abi.encodeCall(dispatcher.burn, (1)),
            abi.encodeCall(dispatcher.close, (parties, 0, 0, stranger)),
            abi.encodeCall(dispatcher.fund, (victim, 1, "")),
            abi.encodeCall(dispatcher.receiveApproval, (victim, 1, address(token), ""))
        ];
        vm.startPrank(_anyKey(seed));
        (bool ok,) = address(dispatcher).call(calls[_pick(seed, "call", calls.length)]);
        assertFalse(ok, "only agreements");
        (ok,) = address(implementation).call(_anyCall(seed));
        assertFalse(ok, "the implementation does nothing");
        vm.stopPrank();
    }

    /// @dev Any call by anybody, fit or not. What it changes is checked like every step.
    function attackAgreement(uint256 seed) external {
        if (agreements.length == 0) return;
        address a = agreements[seed % agreements.length];
        bytes memory data = _anyCall(seed);
        _act(_anyKey(seed), a, data);
    }

    function _anyCall(uint256 seed) private view returns (bytes memory) {
        bytes32 noise = keccak256(abi.encode(seed, "noise"));
        uint256 which = _pick(seed, "selector", 18);
        if (which >= 12) return _anyLaterCall(seed, which, noise);
        if (which == 0) return abi.encodeCall(IComputeAgreement.accept, ());
        if (which == 1) return abi.encodeCall(IComputeAgreement.cancel, ());
        if (which == 2) return abi.encodeCall(IComputeAgreement.postKey, (_anyWorker(seed).owner, ""));
        if (which == 3) return abi.encodeCall(IComputeAgreement.abort, ());
        if (which == 4) return abi.encodeCall(IComputeAgreement.sealResult, (noise, noise, noise, ""));
        if (which == 5) return abi.encodeCall(IComputeAgreement.openDraw, (abi.encode(noise)));
        if (which == 6) return abi.encodeCall(IComputeAgreement.claim, (seed % 128));
        if (which == 7) return abi.encodeWithSignature("provideVerification(bytes32)", noise);
        if (which == 8) return abi.encodeCall(IComputeAgreement.decline, (7));
        WorkerOpening memory w;
        if (which == 9) return abi.encodeCall(IComputeAgreement.reveal, (w));
        VerifierOpening memory o;
        if (which == 10) {
            return
                abi.encodeCall(
                    IComputeAgreement.openVerification, (o, noise, new uint32[](1), new bytes32[](1))
                );
        }
        return abi.encodeCall(IComputeAgreement.settleAll, (w, new VerifierOpening[](2)));
    }

    function _anyLaterCall(uint256 seed, uint256 which, bytes32 noise) private view returns (bytes memory) {
        address anybody = _anyWorker(seed).owner;
        if (which == 12) return abi.encodeCall(IComputeAgreement.submitResult, (noise, noise, noise, noise));
        if (which == 13) return abi.encodeCall(IComputeAgreement.claimAndSeal, (seed % 128, 0));
        if (which == 14) return abi.encodeWithSignature("acceptFor(address)", anybody);
        if (which == 15) {
            return abi.encodeWithSignature("funded(address,uint96,bytes)", anybody, uint96(1), bytes(""));
        }
        if (which == 16) return abi.encodeCall(IComputeAgreement.acceptPlaced, (type(uint40).max, ""));
        VerifierOpening memory o;
        RevealedRoot memory r;
        return abi.encodeCall(
            IComputeAgreement.openLate, (o, r, new uint32[](1), new bytes32[](1), new bytes32[](1))
        );
    }

    // ------------------------------------------------------------------------------------------------ picking

    /// @dev A number below `below`, its own for each name.
    function _pick(uint256 seed, string memory name, uint256 below) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, name))) % below;
    }

    function _anyWorker(uint256 seed) internal view returns (Actor memory) {
        return workers[_pick(seed, "worker", workers.length)];
    }

    function _anyKey(uint256 seed) internal view returns (address) {
        Actor memory w = _anyWorker(seed);
        uint256 which = _pick(seed, "key", 8);
        if (which == 0) return stranger;
        if (which == 1) return client;
        return which < 5 ? w.owner : w.device;
    }
}
