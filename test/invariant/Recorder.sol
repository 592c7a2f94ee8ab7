// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Plans} from "./Plans.sol";
import {Recount, Said} from "./Recount.sol";

/// @notice What the world looked like before a call.
struct Before {
    AgreementView[] views;
    /// By worker.
    uint256[] scores;
}

/// @title Recorder
/// @notice Reads the events of every call and holds them against the rules: status changes, money in and out of each
/// escrow, the reason of every slash, the score.
abstract contract Recorder is Plans {
    mapping(address agreement => Status) internal lastStatus;
    mapping(address agreement => uint256) public endedTimes;
    /// @dev What the escrow got (budget and slashes) and gave (payments and burns).
    mapping(address agreement => uint256) public paidIn;
    mapping(address agreement => uint256) public paidOut;
    mapping(address worker => uint256) internal lastRise;
    mapping(Ending => uint256) public endings;
    /// @dev Slashed so far, by agreement and worker.
    mapping(address agreement => mapping(address worker => uint256)) internal slashed;
    /// @dev Envelopes of each attempt of an agreement.
    mapping(address agreement => mapping(uint8 attempt => uint256)) public keysPosted;
    uint256 public abortsBurned;
    uint256 public calls;
    uint256 public slashes;
    bool private aborting;

    /// @dev Every call of a handler goes through here. Events of a refused call are dropped: the recorder of forge keeps
    /// those of reverted frames.
    function _act(address actor, address target, bytes memory data)
        internal
        returns (bool ok, bytes memory answer)
    {
        Before memory before = _remember();
        aborting = bytes4(data) == IComputeAgreement.abort.selector;
        vm.recordLogs();
        vm.prank(actor);
        (ok, answer) = target.call(data);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        ++calls;
        if (!ok) return (ok, answer);
        if (bytes4(data) == dispatcher.buyContract.selector) agreements.push(abi.decode(answer, (address)));
        _check(before, logs, actor);
    }

    function _remember() private view returns (Before memory b) {
        b.views = new AgreementView[](agreements.length);
        for (uint256 i = 0; i < agreements.length; ++i) {
            b.views[i] = IComputeAgreement(agreements[i]).agreement();
        }
        b.scores = new uint256[](workers.length);
        for (uint256 i = 0; i < workers.length; ++i) {
            b.scores[i] = dispatcher.workerInfo(workers[i].owner).score;
        }
    }

    function _check(Before memory before, Vm.Log[] memory logs, address actor) private {
        bool settled = false;
        for (uint256 i = 0; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            if (logs[i].emitter == address(dispatcher)) {
                _money(before, logs[i]);
            } else if (topic == IComputeAgreement.KeyPosted.selector) {
                _checkKey(before, logs[i], actor);
            } else if (topic == IComputeAgreement.WorkerLeft.selector) {
                _checkLeft(logs, i);
            } else if (topic == IWorkAgreement.StatusChanged.selector) {
                Status next = Status(uint256(logs[i].topics[1]));
                assertTrue(
                    _allowed(lastStatus[logs[i].emitter], next), "a status change that the diagram has"
                );
                lastStatus[logs[i].emitter] = next;
            } else if (topic == IWorkAgreement.Ended.selector) {
                Ending how = abi.decode(logs[i].data, (Ending));
                ++endings[how];
                assertEq(++endedTimes[logs[i].emitter], 1, "an agreement ends once");
                if (how == Ending.NoKey) _checkNoKey(logs, logs[i].emitter);
            }
        }
        // Slashes of a settlement are complete only now.
        for (uint256 i = 0; i < before.views.length; ++i) {
            IComputeAgreement a = IComputeAgreement(agreements[i]);
            if (before.views[i].ending != Ending.None) {
                assertEq(
                    keccak256(abi.encode(a.agreement())), keccak256(abi.encode(before.views[i])), "final"
                );
            } else if (a.status() == Status.Settled) {
                settled = true;
                _checkVerdict(a, before);
            }
        }
        _checkScores(before, settled);
    }

    function _money(Before memory before, Vm.Log memory log) private {
        bytes32 topic = log.topics[0];
        if (topic == IWorkerDispatcher.AgreementBought.selector) {
            (, uint96 budget,,) = abi.decode(log.data, (uint8, uint96, bytes, bytes));
            paidIn[_account(log.topics[1])] = budget;
        } else if (topic == IWorkerDispatcher.Paid.selector) {
            paidOut[_account(log.topics[1])] += abi.decode(log.data, (uint256));
        } else if (topic == IWorkerDispatcher.Burned.selector) {
            paidOut[_account(log.topics[1])] += abi.decode(log.data, (uint256));
        } else if (topic == IWorkerDispatcher.StakeReleased.selector) {
            (uint96 released, uint96 lost) = abi.decode(log.data, (uint96, uint96));
            if (lost == 0) return;
            address worker = _account(log.topics[1]);
            address agreement = _account(log.topics[2]);
            paidIn[agreement] += lost;
            slashed[agreement][worker] = lost;
            ++slashes;
            _checkReason(_viewOf(before, agreement), worker, lost, uint256(lost) + released);
        }
    }

    /// @dev One envelope an attempt, by the client or its agent, in a status that waits for it, for the worker.
    function _checkKey(Before memory before, Vm.Log memory log, address actor) private {
        IComputeAgreement a = IComputeAgreement(log.emitter);
        AgreementView memory v = _viewOf(before, address(a));
        (uint8 attempt, bytes memory envelope) = abi.decode(log.data, (uint8, bytes));
        assertEq(uint8(v.status), uint8(Status.Keying), "it waited for a key");
        assertLe(block.timestamp, v.deadline, "in time");
        assertEq(attempt, v.attempt, "of this attempt");
        assertEq(++keysPosted[address(a)][attempt], 1, "one key an attempt");
        assertEq(_termsOf(a).flags, 1, "confidential work only");
        assertLe(envelope.length, 256, "within the limit");
        // The handler's envelopes say whom they are for.
        if (envelope.length >= 32) {
            assertEq(_account(bytes32(envelope)), v.worker, "for the worker of this attempt");
        }
        assertTrue(actor == a.client() || actor == dispatcher.keyAgentOf(a.client()), "client or agent");
    }

    /// @dev Who leaves loses its fee: all of it is burned after an abort of confidential work, else half of it, rounded up. The
    /// burn, if any, is of the same call and comes before anything that an end of the agreement burns (nothing).
    function _checkLeft(Vm.Log[] memory logs, uint256 from) private {
        address a = logs[from].emitter;
        (, uint96 fee) = abi.decode(logs[from].data, (uint8, uint96));
        uint256 burned = 0;
        for (uint256 i = from; i < logs.length; ++i) {
            if (logs[i].emitter != address(dispatcher)) continue;
            if (logs[i].topics[0] != IWorkerDispatcher.Burned.selector) continue;
            if (_account(logs[i].topics[1]) == a) burned += abi.decode(logs[i].data, (uint256));
        }
        bool all = aborting && _termsOf(IComputeAgreement(a)).flags == 1;
        assertEq(burned, all ? fee : _ceil(fee, 2), "the burned part of the fee");
        if (all) ++abortsBurned;
    }

    /// @dev Nobody loses anything, and all goes to the client.
    function _checkNoKey(Vm.Log[] memory logs, address a) private view {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].emitter != address(dispatcher) || logs[i].topics.length < 2) continue;
            bytes32 topic = logs[i].topics[0];
            if (topic == IWorkerDispatcher.Paid.selector && _account(logs[i].topics[1]) == a) {
                assertEq(_account(logs[i].topics[2]), IComputeAgreement(a).client(), "to the client only");
            } else if (topic == IWorkerDispatcher.Burned.selector) {
                assertTrue(_account(logs[i].topics[1]) != a, "nothing burned");
            } else if (topic == IWorkerDispatcher.StakeReleased.selector) {
                (, uint96 lost) = abi.decode(logs[i].data, (uint96, uint96));
                assertEq(lost, 0, "nothing slashed");
            }
        }
    }

    /// @dev The only reasons to lose stake (docs/PROTOCOL.md, Dead ends and Settlement).
    function _checkReason(AgreementView memory v, address worker, uint256 lost, uint256 locked) private view {
        bool late = block.timestamp > v.deadline;
        if (v.status == Status.Keying || v.status == Status.Working) {
            assertEq(worker, v.worker, "only the worker has promised anything yet");
            assertEq(aborting, !late, "it aborted in time, or vanished");
            if (!aborting) assertEq(uint8(v.status), uint8(Status.Working), "its own deadline");
            uint256 bps = aborting ? _params().abortBps : _params().vanishBps;
            assertEq(lost, _ceil(locked * bps, 10_000), "the fee of leaving");
        } else if (v.status == Status.Verifying) {
            assertTrue(late, "verifiers had their time");
            assertEq(_sealOf(v, worker), 0, "drawn and silent");
            assertEq(lost, _ceil(locked * _params().vanishBps, 10_000), "the fee of vanishing");
        } else {
            assertTrue(v.status == Status.Revealing || v.status == Status.Opening, "a state that can slash");
            assertEq(lost, locked, "the whole lock");
            if (worker != v.worker) assertTrue(_sealOf(v, worker) != 0, "it had sealed");
        }
    }

    /// @dev The settlement against a recount from the plans of the parties.
    function _checkVerdict(IComputeAgreement a, Before memory before) private view {
        AgreementView memory v = a.agreement();
        Said[] memory said = new Said[](v.slots.length);
        for (uint256 i = 0; i < said.length; ++i) {
            address who = v.slots[i].verifier;
            said[i] = Said(
                who, v.slots[i].opened, before.scores[_indexOf(who)], a.sampledLeaves(who), _digestsOf(a, who)
            );
        }
        (Ending ending, bool[] memory lost) =
            Recount.decide(said, _allDigests(a, v.worker), before.scores[_indexOf(v.worker)]);
        assertEq(uint8(v.ending), uint8(ending), "ends as the recount says");
        assertEq(slashed[address(a)][v.worker] != 0, ending == Ending.Refuted, "worker slashed if refuted");
        for (uint256 i = 0; i < lost.length; ++i) {
            assertEq(slashed[address(a)][said[i].who] != 0, lost[i], "verifier slashed if lost or silent");
        }
    }

    function _checkScores(Before memory before, bool settled) private {
        for (uint256 i = 0; i < before.scores.length; ++i) {
            address worker = workers[i].owner;
            uint256 score = dispatcher.workerInfo(worker).score;
            if (score > before.scores[i]) {
                assertEq(score, before.scores[i] + 1, "rises by one");
                assertTrue(settled, "only by a settlement");
                assertGt(dispatcher.epoch(), lastRise[worker], "once an epoch");
                lastRise[worker] = dispatcher.epoch();
            } else if (score < before.scores[i]) {
                assertEq(score, before.scores[i] * 2 / 3, "falls by a third");
            }
        }
    }

    /// @dev types/Status.sol, as a table. `Verifying` is written only when somebody acts after the window closed.
    function _allowed(Status from, Status to) private pure returns (bool) {
        if (to == Status.Cancelled) {
            return from != Status.Settled && from != Status.Cancelled && from != Status.Opening;
        }
        if (to == Status.Open) return from == Status.Keying || from == Status.Working;
        if (to == Status.Keying) return from == Status.Open;
        if (to == Status.Working) return from == Status.Open || from == Status.Keying;
        if (to == Status.Sealed) return from == Status.Working;
        if (to == Status.Drawing) {
            return from == Status.Sealed || from == Status.Drawing || from == Status.Verifying;
        }
        if (to == Status.Verifying) return from == Status.Drawing;
        if (to == Status.Revealing) return from == Status.Verifying;
        if (to == Status.Opening) return from == Status.Revealing;
        return to == Status.Settled && from == Status.Opening;
    }

    function _viewOf(Before memory before, address agreement) private view returns (AgreementView memory) {
        for (uint256 i = 0; i < before.views.length; ++i) {
            if (agreements[i] == agreement) return before.views[i];
        }
        revert("an agreement that the test did not buy");
    }

    function _sealOf(AgreementView memory v, address verifier) internal pure returns (bytes32) {
        for (uint256 i = 0; i < v.slots.length; ++i) {
            if (v.slots[i].verifier == verifier) return v.slots[i].seal;
        }
        revert("not drawn");
    }

    function _ceil(uint256 a, uint256 b) private pure returns (uint256) {
        return (a + b - 1) / b;
    }

    function _account(bytes32 topic) private pure returns (address) {
        return address(uint160(uint256(topic)));
    }
}
