// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {RoundKind} from "../../contracts/types/ComputeState.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Plans} from "./Plans.sol";
import {Count, Recount, Said} from "./Recount.sol";

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
    /// @dev Of each worker: its score at its last change, and the epoch of that, to tell its decay.
    mapping(address worker => uint256) internal scoreThen;
    mapping(address worker => uint256) internal scoreChanged;
    /// @dev Who was paid by an agreement's settlement: once each.
    mapping(address agreement => mapping(address worker => bool)) internal settledWith;
    /// @dev What each account added to a reward, and whether it has its part of the refund.
    mapping(address agreement => mapping(address payer => uint256)) public added;
    mapping(address agreement => mapping(address payer => bool)) internal refunded;
    /// @dev Leaves disputed so far, by agreement, and rounds of voting by kind.
    mapping(address agreement => uint32[]) internal disputed;
    uint256[3] public roundsOpened;
    /// @dev As the events of a transaction have told so far: one transaction can reveal, open and begin a round.
    mapping(address agreement => bool) internal inLaterRound;
    uint256 public disputesMade;
    uint256 public contributions;
    uint256 public refunds;
    uint256 public settledInLaterRounds;
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
        bytes4 selector = bytes4(data);
        if (selector == dispatcher.buyContract.selector || selector == dispatcher.acceptOffer.selector) {
            agreements.push(abi.decode(answer, (address)));
        }
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
        // What time alone has changed needs no event.
        for (uint256 i = 0; i < before.views.length; ++i) {
            lastStatus[agreements[i]] = before.views[i].status;
        }
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
                bool later = inLaterRound[logs[i].emitter];
                assertTrue(
                    _allowed(lastStatus[logs[i].emitter], next, later), "a status change that the diagram has"
                );
                lastStatus[logs[i].emitter] = next;
            } else if (topic == IComputeAgreement.RoundOpened.selector) {
                inLaterRound[logs[i].emitter] = true;
                _checkRound(before, logs[i]);
            } else if (topic == IComputeAgreement.Disputed.selector) {
                (uint32 leaf,) = abi.decode(logs[i].data, (uint32, uint96));
                _checkDispute(before, logs[i].emitter, leaf);
            } else if (topic == IComputeAgreement.Contributed.selector) {
                (uint96 amount,) = abi.decode(logs[i].data, (uint96, uint96));
                assertEq(
                    uint8(_viewOf(before, logs[i].emitter).status), uint8(Status.Open), "while it is open"
                );
                added[logs[i].emitter][_account(logs[i].topics[1])] += amount;
                ++contributions;
            } else if (topic == IComputeAgreement.ContributionRefunded.selector) {
                _checkRefund(before, logs[i]);
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
                if (a.agreement().voteRound != 0) ++settledInLaterRounds;
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
        } else if (topic == IWorkerDispatcher.Funded.selector) {
            paidIn[_account(log.topics[1])] += abi.decode(log.data, (uint256));
        } else if (topic == IWorkerDispatcher.StakeReleased.selector) {
            (uint96 released, uint96 lost, uint96 paid) = abi.decode(log.data, (uint96, uint96, uint96));
            address worker = _account(log.topics[1]);
            address agreement = _account(log.topics[2]);
            paidOut[agreement] += paid;
            if (paid != 0) {
                assertFalse(settledWith[agreement][worker], "nobody is paid twice");
                settledWith[agreement][worker] = true;
            }
            if (lost == 0) return;
            paidIn[agreement] += lost;
            slashed[agreement][worker] = lost;
            ++slashes;
            _checkReason(agreement, _viewOf(before, agreement), worker, lost, uint256(lost) + released);
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
                (, uint96 lost,) = abi.decode(logs[i].data, (uint96, uint96, uint96));
                assertEq(lost, 0, "nothing slashed");
            }
        }
    }

    /// @dev The only reasons to lose stake (docs/PROTOCOL.md, Dead ends and Settlement). Who has lost in a settlement is
    /// recounted afterwards.
    function _checkReason(
        address agreement,
        AgreementView memory v,
        address worker,
        uint256 lost,
        uint256 locked
    ) private view {
        bool late = block.timestamp > v.deadline;
        bool sealed_ = v.status == Status.Verifying && worker != v.worker && _sealOf(v, worker) != 0;
        bool ended = IComputeAgreement(agreement).status() == Status.Settled;
        if (v.status == Status.Keying || v.status == Status.Working) {
            assertEq(worker, v.worker, "only the worker has promised anything yet");
            assertEq(aborting, !late, "it aborted in time, or vanished");
            if (!aborting) assertEq(uint8(v.status), uint8(Status.Working), "its own deadline");
            uint256 bps = aborting ? _params().abortBps : _params().vanishBps;
            assertEq(lost, _ceil(locked * bps, 10_000), "the fee of leaving");
        } else if (v.status == Status.Verifying && worker != v.worker && !sealed_) {
            assertTrue(late, "verifiers had their time");
            assertEq(_sealOf(v, worker), 0, "drawn and silent");
            assertEq(lost, _ceil(locked * _params().vanishBps, 10_000), "the fee of vanishing");
        } else {
            if (ended) {
                assertTrue(_canSettle(v), "a state that can be settled");
            } else {
                assertEq(
                    uint8(v.status), uint8(Status.Revealing), "else the worker only, that does not reveal"
                );
                assertTrue(late && worker == v.worker, "late");
            }
            assertEq(lost, locked, "the whole lock");
            if (worker != v.worker) assertTrue(_sealOf(v, worker) != 0, "it had sealed");
        }
    }

    /// @dev From an open result on: openings, their window for disputes, and rounds that end without verifiers.
    function _canSettle(AgreementView memory v) private pure returns (bool) {
        if (v.status == Status.Revealing || v.status == Status.Opening || v.status == Status.Disputable) {
            return true;
        }
        return v.voteRound != 0;
    }

    /// @dev A further round: not before something is open that asks for it, at most two for dissent, once for the audit.
    function _checkRound(Before memory before, Vm.Log memory log) private {
        IComputeAgreement a = IComputeAgreement(log.emitter);
        (uint8 voteRound, RoundKind kind, uint8 wanted, uint32[] memory leaves,) =
            abi.decode(log.data, (uint8, RoundKind, uint8, uint32[], uint48));
        AgreementView memory was = _viewOf(before, address(a));
        ++roundsOpened[uint8(kind)];
        assertEq(voteRound, was.voteRound + 1, "one after the other");
        assertLe(voteRound, 4, "audit, dispute and two for dissent at most");
        uint256 verifiers = _termsOf(a).verifiers;
        bool first = _termsOf(a).trustLevel == 0 && voteRound == 1;
        if (kind == RoundKind.Audit) {
            assertEq(wanted, first ? verifiers : 1, "V for a rejection, one for the audit");
            assertEq(leaves.length, 0, "leaves of their own");
            assertEq(voteRound, 1, "before anything else");
            return;
        }
        assertEq(wanted, verifiers + 1, "V + 1");
        assertGt(leaves.length, 0, "something to look at");
        assertLe(leaves.length, 8, "a bounded list");
        Count memory c = _recount(a, before);
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (i != 0) assertGt(leaves[i], leaves[i - 1], "ascending");
            bool asked =
                was.status == Status.Disputable ? _isDisputed(address(a), leaves[i]) : c.open[leaves[i]];
            assertTrue(asked, "disputed by somebody");
        }
    }

    function _checkDispute(Before memory before, address a, uint32 leaf) private {
        assertEq(uint8(_viewOf(before, a).status), uint8(Status.Disputable), "in its window");
        assertLe(block.timestamp, _viewOf(before, a).deadline, "in time");
        assertFalse(_isDisputed(a, leaf), "each leaf once");
        disputed[a].push(leaf);
        assertLe(disputed[a].length, 8, "a bounded list");
        ++disputesMade;
    }

    function _isDisputed(address a, uint32 leaf) internal view returns (bool) {
        for (uint256 i = 0; i < disputed[a].length; ++i) {
            if (disputed[a][i] == leaf) return true;
        }
        return false;
    }

    /// @dev Once for each payer, after the end, and no more than it paid.
    function _checkRefund(Before memory before, Vm.Log memory log) private {
        address payer = _account(log.topics[1]);
        uint96 amount = abi.decode(log.data, (uint96));
        assertTrue(_viewOf(before, log.emitter).ending != Ending.None, "after the end");
        assertFalse(refunded[log.emitter][payer], "once");
        refunded[log.emitter][payer] = true;
        assertLe(amount, added[log.emitter][payer], "no more than it paid");
        ++refunds;
    }

    /// @dev All that the parties have said so far, in all rounds, counted from their plans.
    function _recount(IComputeAgreement a, Before memory before) private view returns (Count memory) {
        AgreementView memory v = a.agreement();
        Said[] memory said = new Said[](v.slots.length);
        for (uint256 i = 0; i < said.length; ++i) {
            address who = v.slots[i].verifier;
            uint32[] memory leaves = drawnFor[address(a)][who];
            said[i] = Said(
                who,
                v.slots[i].opened,
                v.slots[i].unproven,
                before.scores[_indexOf(who)],
                leaves,
                _saying(plans[address(a)][who], who, leaves)
            );
        }
        return
            Recount.decide(
                said, _allDigests(a, v.worker), before.scores[_indexOf(v.worker)], _termsOf(a).trust
            );
    }

    /// @dev The settlement against a recount from the plans of the parties.
    function _checkVerdict(IComputeAgreement a, Before memory before) private view {
        AgreementView memory v = a.agreement();
        Count memory c = _recountSettled(a, before, v);
        assertEq(uint8(v.ending), uint8(c.ending), "ends as the recount says");
        assertEq(slashed[address(a)][v.worker] != 0, c.ending == Ending.Refuted, "worker slashed if refuted");
        for (uint256 i = 0; i < c.lost.length; ++i) {
            assertEq(
                slashed[address(a)][v.slots[i].verifier] != 0, c.lost[i], "verifier slashed if lost or silent"
            );
        }
        bool paid = settledWith[address(a)][v.worker];
        if (c.ending == Ending.Verified) assertTrue(paid, "a verified worker is paid");
        else if (c.ending == Ending.Refuted || c.doubted) assertFalse(paid, "not refuted nor doubted ones");
    }

    /// @dev A unanimous settlement writes no openings, since nothing reads them any more.
    function _recountSettled(IComputeAgreement a, Before memory before, AgreementView memory v)
        private
        view
        returns (Count memory c)
    {
        AgreementView memory was = _viewOf(before, address(a));
        if (was.status != Status.Revealing || v.slots[0].opened) return _recount(a, before);
        c.ending = Ending.Verified;
        c.lost = new bool[](v.slots.length);
        for (uint256 i = 0; i < v.slots.length; ++i) {
            address who = v.slots[i].verifier;
            uint32[] memory leaves = drawnFor[address(a)][who];
            bytes32[] memory said = _saying(plans[address(a)][who], who, leaves);
            bytes32[] memory all = _allDigests(a, v.worker);
            for (uint256 j = 0; j < leaves.length; ++j) {
                assertEq(said[j], all[leaves[j]], "unanimous");
            }
        }
    }

    function _checkScores(Before memory before, bool settled) private {
        uint256 now_ = dispatcher.epoch();
        for (uint256 i = 0; i < before.scores.length; ++i) {
            address worker = workers[i].owner;
            uint256 eighths = (now_ - scoreChanged[worker]) / 90;
            uint256 decayed = eighths >= 8 ? 0 : scoreThen[worker] * (8 - eighths) / 8;
            assertEq(before.scores[i], decayed, "an eighth less for each 90 idle epochs");
            uint256 score = dispatcher.workerInfo(worker).score;
            if (score == before.scores[i]) continue;
            if (score > before.scores[i]) {
                assertEq(score, before.scores[i] + 1, "rises by one");
                assertTrue(settled, "only by a settlement");
                assertGt(now_, scoreChanged[worker], "once an epoch");
            } else {
                assertEq(score, before.scores[i] * 2 / 3, "falls by a third");
            }
            (scoreThen[worker], scoreChanged[worker]) = (score, now_);
        }
    }

    /// @dev types/Status.sol, as a table, from the status as of the block. What time has changed is written down when somebody acts.
    /// @param later A round of voting that is not the first: the result is open.
    function _allowed(Status from, Status to, bool later) private pure returns (bool) {
        bool ongoing = from == Status.Sealed || from == Status.Drawing || from == Status.Verifying;
        if (to == Status.Cancelled) {
            return !later && (from <= Status.Working || ongoing || from == Status.Revealing);
        }
        if (to == Status.Open) return from == Status.Keying || from == Status.Working;
        if (to == Status.Keying) return from == Status.Open;
        if (to == Status.Working) return from == Status.Open || from == Status.Keying;
        if (to == Status.Sealed) {
            return later ? from == Status.Opening || from == Status.Disputable : from == Status.Working;
        }
        if (to == Status.Drawing) return ongoing;
        if (to == Status.Verifying) return from == Status.Drawing || from == Status.Verifying;
        if (to == Status.Revealing) return !later && (from == Status.Verifying || from == Status.Revealing);
        if (to == Status.Opening) {
            if (from == Status.Opening) return true;
            return later ? from == Status.Verifying || from == Status.Drawing : from == Status.Revealing;
        }
        if (to == Status.Disputable) return from == Status.Working || from == Status.Opening;
        return
            from == Status.Opening || from == Status.Disputable || from == Status.Revealing
                || (later && ongoing);
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
