// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, IComputeAgreement, VerifierOpening, WorkerOpening} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Actor} from "../utils/Base.t.sol";
import {TestTree} from "../utils/TestTree.sol";
import {Plan} from "./Plans.sol";
import {Registry} from "./Registry.sol";

/// @title Handler
/// @notice Every step of an agreement, by honest, lazy, lying and absent parties. A step that the contract refuses is
/// simply refused, so that nothing here reverts but a broken rule.
contract Handler is Registry {
    using TestTree for TestTree.Tree;

    uint256 internal constant MAX_AGREEMENTS = 8;

    uint256 public keysByAgents;
    uint256 public keylessRefused;
    /// Keys for somebody else than the worker, and envelopes above the limit, all refused.
    uint256 public keysMisdirected;
    uint256 public keysTooLong;

    // ------------------------------------------------------------------------------------------------ client

    function buy(uint256 seed) public {
        if (agreements.length == MAX_AGREEMENTS) return;
        ComputeTerms memory t = _terms();
        t.rewardMin = uint96(_pick(seed, "min", 150 * SUN) + 1);
        t.rewardMax = t.rewardMin + uint96(_pick(seed, "max", 100 * SUN));
        t.verifierFee = uint96(_pick(seed, "fee", 30 * SUN));
        t.leafCount = uint32(_pick(seed, "n", 9) + 1);
        t.samples = uint8(_pick(seed, "k", 4) + 1);
        t.verifiers = uint8(_pick(seed, "V", 3) + 1);
        t.flags = uint8(_pick(seed, "flags", 3) / 2);
        (t.acceptSecs, t.workSecs, t.verifySecs) = (2 hours, 3 hours, 3 hours);
        address buyer = _pick(seed, "buyer", 4) == 0 ? workers[0].owner : client;
        _act(
            buyer,
            address(dispatcher),
            abi.encodeCall(dispatcher.buyContract, (KIND, ComputeTermsLib.pack(t), SPEC))
        );
    }

    /// @dev By the client, its agent, or somebody who is neither (any more), for the worker or another, in an envelope that says
    /// for whom. Succeeds exactly for the first two, in time, for the worker, within 256 bytes.
    function postKey(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Keying);
        if (!has) return;
        address agent = dispatcher.keyAgentOf(a.client());
        uint256 who = _pick(seed, "poster", 8);
        address poster = who < 3 || (who < 6 && agent == address(0)) ? a.client() : agent;
        if (who >= 6) poster = [keeper, stranger, _anyKey(seed)][_pick(seed, "other", 3)];
        bool may = (poster == a.client() || poster == agent) && block.timestamp <= a.agreement().deadline;
        may = _postKeyAs(a, poster, may, seed);
        if (may && poster != a.client()) ++keysByAgents;
    }

    function _postKeyAs(IComputeAgreement a, address poster, bool may, uint256 seed)
        private
        returns (bool ok)
    {
        address worker = a.agreement().worker;
        address named = _pick(seed, "named", 5) == 0 ? _anyWorker(seed).owner : worker;
        // An address and padding to 81 bytes as usual, to the limit, or to one byte more.
        uint256 padding = [uint256(49), 49, 49, 224, 225][_pick(seed, "length", 5)];
        bytes memory envelope = bytes.concat(abi.encode(named), new bytes(padding));
        (ok,) = _act(poster, address(a), abi.encodeCall(a.postKey, (named, envelope)));
        assertEq(
            ok,
            may && named == worker && envelope.length <= 256,
            "client and agent, in time, for the worker, within the limit"
        );
        if (may && named != worker) ++keysMisdirected;
        if (may && named == worker && envelope.length > 256) ++keysTooLong;
    }

    function cancel(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Open);
        // Most clients want their result.
        if (!has || _pick(seed, "cancel", 4) != 0) return;
        _act(a.client(), address(a), abi.encodeCall(a.cancel, ()));
    }

    // ------------------------------------------------------------------------------------------------ worker

    function accept(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Open);
        if (!has) return;
        address actor = _anyKey(seed);
        bool keyless = _termsOf(a).flags == 1 && dispatcher.encryptionKeyOf(dispatcher.workerOf(actor)) == 0;
        (bool ok, bytes memory why) = _act(actor, address(a), abi.encodeCall(a.accept, ()));
        if (keyless) assertFalse(ok, "nothing could be sealed to it");
        if (bytes4(why) == IComputeAgreement.NoEncryptionKey.selector) {
            assertTrue(keyless, "refused for want of a key only");
            ++keylessRefused;
        }
    }

    function abort(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Working);
        if (!has) (has, a) = _find(seed, Status.Keying);
        if (!has) return;
        address actor = _actorFor(a, a.agreement().worker, seed);
        _act(actor, address(a), abi.encodeCall(a.abort, ()));
    }

    function seal(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Working);
        if (!has) return;
        address worker = a.agreement().worker;
        Plan plan = _anyPlan(seed);
        plans[address(a)][worker] = plan;
        bytes32 root = TestTree.build(_allDigests(a, worker)).root();
        bytes32 sealed_ = plan == Plan.Unopenable ? keccak256("noise") : _workerSeal(a, root, worker);
        _act(
            _actorFor(a, worker, seed),
            address(a),
            abi.encodeCall(a.sealResult, (sealed_, CIPHERTEXT_ROOT, RESULT_BLOB, ""))
        );
    }

    function reveal(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Revealing);
        if (!has) return;
        WorkerOpening memory o = _plannedWorkerOpening(a);
        _act(_anyKey(seed), address(a), abi.encodeCall(a.reveal, (o)));
    }

    // ------------------------------------------------------------------------------------------------ draw

    function openDraw(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Sealed);
        if (!has) return;
        uint48 round = a.agreement().round;
        bytes memory proof = beacon.seedOf(round) == 0 ? _makeBlock(round) : bytes("");
        _act(
            _pick(seed, "poker", 3) == 0 ? _anyKey(seed) : keeper,
            address(a),
            abi.encodeCall(a.openDraw, (proof))
        );
    }

    /// @dev Some workers look at their tickets and claim, by their owner's key or a device.
    function claim(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Drawing);
        if (!has) return;
        for (uint256 i = 0; i < workers.length; ++i) {
            if (_pick(seed, vm.toString(i), 3) == 0) continue;
            (bool holds, uint256 index,) = _bestTicket(a, workers[i].owner);
            if (!holds) continue;
            address key = _pick(seed, "key", 2) == 0 ? workers[i].owner : workers[i].device;
            (bool ok,) = _act(key, address(a), abi.encodeCall(a.claim, (index)));
            bool keyless = _termsOf(a).flags == 1 && dispatcher.encryptionKeyOf(workers[i].owner) == 0;
            if (keyless) assertFalse(ok, "nothing could be sealed to it");
        }
        if (a.agreement().closesAt == 0) skip(_params().drawStepSecs);
    }

    /// @dev To the moment in which a window closes.
    function closeWindow(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Drawing);
        if (has && a.agreement().closesAt > block.timestamp) vm.warp(a.agreement().closesAt);
    }

    // ------------------------------------------------------------------------------------------------ verifiers

    function verify(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Verifying);
        if (!has) return;
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < v.slots.length; ++i) {
            uint256 mood = _pick(seed, vm.toString(i), 12);
            if (v.slots[i].seal != 0 || mood == 0) continue;
            _verifyAs(a, v.slots[i].verifier, mood, uint256(keccak256(abi.encode(seed, i))));
        }
    }

    function _verifyAs(IComputeAgreement a, address verifier, uint256 mood, uint256 seed) private {
        address actor = _actorFor(a, verifier, seed);
        if (mood == 1) {
            _act(actor, address(a), abi.encodeCall(a.decline, (1)));
            return;
        }
        plans[address(a)][verifier] = _anyPlan(seed);
        bytes32 verdict = plans[address(a)][verifier] == Plan.Unopenable
            ? keccak256("noise")
            : _verifierSeal(a, verifier, _digestsOf(a, verifier));
        _act(actor, address(a), abi.encodeCall(a.provideVerification, (verdict)));
    }

    function open(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Opening);
        if (!has) return;
        WorkerOpening memory w = _plannedWorkerOpening(a);
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < v.slots.length; ++i) {
            if (_pick(seed, vm.toString(i), 4) == 0) continue;
            VerifierOpening memory o = _plannedOpening(a, v.slots[i].verifier, seed % 2 == 0);
            _act(stranger, address(a), abi.encodeCall(a.openVerification, (o, w.root, w.leaves, w.digests)));
        }
    }

    function settleAll(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Revealing);
        if (!has) return;
        AgreementView memory v = a.agreement();
        uint256 count = _pick(seed, "count", v.slots.length + 2);
        if (count > v.slots.length) count = v.slots.length;
        VerifierOpening[] memory o = new VerifierOpening[](count);
        for (uint256 i = 0; i < count; ++i) {
            o[i] = _plannedOpening(a, v.slots[i].verifier, seed % 2 == 0);
        }
        WorkerOpening memory w = _plannedWorkerOpening(a);
        _act(stranger, address(a), abi.encodeCall(a.settleAll, (w, o)));
    }

    // ------------------------------------------------------------------------------------------------ anybody

    /// @dev Succeeds exactly when the agreement lives and its deadline has passed.
    function expire(uint256 seed) public {
        if (agreements.length == 0) return;
        IComputeAgreement a = IComputeAgreement(agreements[seed % agreements.length]);
        AgreementView memory v = a.agreement();
        bool due = v.status < Status.Settled && block.timestamp > v.deadline;
        (bool ok,) = _act(stranger, address(a), abi.encodeCall(a.expire, ()));
        assertEq(ok, due, "expires exactly when it is due");
    }

    /// @dev Nobody does what the next deadline of some agreement waits for; others may miss theirs as well.
    function neglect(uint256 seed) public {
        (bool has, IComputeAgreement a) =
            _find(seed, [Status.Keying, Status.Working, Status.Working][seed % 3]);
        if (!has && agreements.length != 0) a = IComputeAgreement(agreements[seed % agreements.length]);
        if (address(a) == address(0)) return;
        uint256 deadline = a.agreement().deadline;
        if (deadline >= block.timestamp) vm.warp(deadline + 1);
        expire(seed);
        _act(stranger, address(a), abi.encodeCall(a.expire, ()));
    }

    function redeem(uint256 seed) public {
        if (agreements.length == 0) return;
        IComputeAgreement a = IComputeAgreement(agreements[seed % agreements.length]);
        address party = _pick(seed, "party", 3) == 0 ? client : _anyKey(seed);
        uint256 before = dispatcher.payableOf(dispatcher.payoutOf(party));
        (bool ok, bytes memory sent) = _act(stranger, address(a), abi.encodeCall(a.redeemPayment, (party)));
        assertTrue(ok, "never refused");
        assertGe(abi.decode(sent, (uint256)), before, "all that was owed");
        (, sent) = _act(stranger, address(a), abi.encodeCall(a.redeemPayment, (party)));
        assertEq(abi.decode(sent, (uint256)), 0, "nobody is paid twice");
    }

    /// @dev A second, a step, to somebody's deadline, just past it, or an epoch.
    function pass(uint256 seed) public {
        uint256 how = _pick(seed, "how", 10);
        vm.roll(block.number + 1 + _pick(seed, "blocks", 4));
        if (how < 4) return skip(1 + _pick(seed, "secs", 5));
        if (how < 6) return skip(_params().drawStepSecs);
        if (how == 9) return skip(EPOCH_SECS);
        if (agreements.length == 0) return;
        uint256 deadline = IComputeAgreement(agreements[seed % agreements.length]).agreement().deadline;
        if (deadline >= block.timestamp) vm.warp(deadline + (how == 8 ? 0 : 1));
    }

    /// @dev What the parties of some agreement would do next, a few times over: without it random order finishes little.
    function advance(uint256 seed) external {
        for (uint256 i = 0; i < 3; ++i) {
            if (agreements.length == 0) return buy(seed);
            seed = uint256(keccak256(abi.encode(seed)));
            _next(IComputeAgreement(agreements[seed % agreements.length]).agreement(), seed);
        }
    }

    function _next(AgreementView memory v, uint256 seed) private {
        if (v.status == Status.Open) accept(seed);
        else if (v.status == Status.Keying) postKey(seed);
        else if (v.status == Status.Working) seal(seed);
        else if (v.status == Status.Sealed) openDraw(seed);
        else if (v.status == Status.Drawing && v.closesAt == 0) claim(seed);
        else if (v.status == Status.Drawing) closeWindow(seed);
        else if (v.status == Status.Verifying) verify(seed);
        else if (v.status == Status.Revealing) reveal(seed);
        else if (v.status == Status.Opening) open(seed);
        else buy(seed);
    }

    // ------------------------------------------------------------------------------------------------ picking

    /// @dev An agreement in `wanted`, searched from a random place.
    function _find(uint256 seed, Status wanted) private view returns (bool, IComputeAgreement) {
        for (uint256 i = 0; i < agreements.length; ++i) {
            IComputeAgreement a = IComputeAgreement(agreements[addmod(seed, i, agreements.length)]);
            if (a.status() == wanted) return (true, a);
        }
        return (false, IComputeAgreement(address(0)));
    }

    function _anyPlan(uint256 seed) private pure returns (Plan) {
        uint256 p = _pick(seed, "plan", 10);
        if (p < 6) return Plan.Honest;
        return p < 8 ? Plan.Colluding : p == 8 ? Plan.Garbage : Plan.Unopenable;
    }

    /// @dev The key that entered for `worker`, or its owner.
    function _actorFor(IComputeAgreement a, address worker, uint256 seed) private view returns (address) {
        (, address device) = a.lockOf(worker);
        return device == address(0) || _pick(seed, "actor", 2) == 0 ? worker : device;
    }
}
