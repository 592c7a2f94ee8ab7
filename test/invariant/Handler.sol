// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Order} from "../../contracts/types/Order.sol";
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

    uint256 public ordersTaken;
    uint256 public claimsSealed;
    uint256 public keysByAgents;
    uint256 public keylessRefused;
    /// Keys for somebody else than the worker, and envelopes above the limit, all refused.
    uint256 public keysMisdirected;
    uint256 public keysTooLong;
    uint256 public unprovenOpenings;
    uint256 public answers;

    // ------------------------------------------------------------------------------------------------ client

    function buy(uint256 seed) public {
        if (agreements.length == MAX_AGREEMENTS) return;
        address buyer = _pick(seed, "buyer", 4) == 0 ? workers[0].owner : client;
        _act(
            buyer,
            address(dispatcher),
            abi.encodeCall(dispatcher.buyContract, (KIND, ComputeTermsLib.pack(_anyTerms(seed)), SPEC))
        );
    }

    /// @dev The client signs; some worker or device takes it: bought and accepted at once, or neither.
    function takeOrder(uint256 seed) public {
        if (agreements.length == MAX_AGREEMENTS) return;
        Order memory o;
        (o.client, o.kindId, o.terms) = (client, KIND, ComputeTermsLib.pack(_anyTerms(seed)));
        (o.specHash, o.volume, o.salt) = (keccak256(SPEC), 1, bytes32(seed));
        o.startAt = uint40(block.timestamp - _pick(seed, "age", 600));
        o.expiry = uint40(block.timestamp + 1 hours);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(clientKey, dispatcher.orderHash(o));
        (bool ok,) = _act(
            _anyKey(seed),
            address(dispatcher),
            abi.encodeCall(dispatcher.acceptOffer, (o, SPEC, abi.encodePacked(r, s, v)))
        );
        if (!ok) return;
        ++ordersTaken;
        Status now_ = IComputeAgreement(agreements[agreements.length - 1]).status();
        assertTrue(now_ == Status.Working || now_ == Status.Keying, "accepted in the same transaction");
    }

    /// @dev Any shape: levels, windows for disputes, trust that can be reached, with or without a key.
    function _anyTerms(uint256 seed) private pure returns (ComputeTerms memory t) {
        t = _terms();
        t.rewardMin = uint96(_pick(seed, "min", 150 * SUN) + 1);
        t.rewardMax = t.rewardMin + uint96(_pick(seed, "max", 100 * SUN));
        t.verifierFee = uint96(_pick(seed, "fee", 30 * SUN));
        t.leafCount = uint32(_pick(seed, "n", 9) + 1);
        t.samples = uint8(_pick(seed, "k", 4) + 1);
        t.verifiers = uint8(_pick(seed, "V", 3) + 1);
        t.flags = uint8(_pick(seed, "flags", 3) / 2);
        (t.acceptSecs, t.workSecs, t.verifySecs) = (2 hours, 3 hours, 3 hours);
        t.trust = _pick(seed, "T", 2) == 0 ? 2 : uint16(2 + _pick(seed, "trust", 2 ** (t.verifiers + 1) - 1));
        t.trustLevel = _pick(seed, "level", 5) == 0 ? 0 : 1;
        if (t.trustLevel == 0 || _pick(seed, "window", 3) == 0) t.disputeSecs = 2 hours;
    }

    /// @dev Somebody adds to a reward: while it is open, and not otherwise.
    function contribute(uint256 seed) public {
        if (agreements.length == 0) return;
        (bool has, IComputeAgreement a) = _find(seed, Status.Open);
        if (!has) a = IComputeAgreement(agreements[seed % agreements.length]);
        AgreementView memory v = a.agreement();
        bool may = v.status == Status.Open && block.timestamp <= v.deadline;
        uint96 amount = uint96(_pick(seed, "amount", [uint256(3), 50 * SUN][_pick(seed, "size", 2)]) + 1);
        address payer = _fundedKey(seed, amount);
        (bool ok,) =
            _act(payer, address(dispatcher), abi.encodeCall(dispatcher.fund, (address(a), amount, "")));
        assertEq(ok, may, "exactly while it is open");
    }

    /// @dev Once, after the end, of who added something; nothing else moves.
    function refundContribution(uint256 seed) public {
        if (agreements.length == 0) return;
        IComputeAgreement a = IComputeAgreement(agreements[seed % agreements.length]);
        address payer = _pick(seed, "payer", 3) == 0 ? _anyKey(seed) : _anyContributor(address(a), seed);
        bool may = a.agreement().deadline == 0 && a.contributionOf(payer) != 0;
        (bool ok,) = _act(keeper, address(a), abi.encodeCall(a.refundContribution, (payer)));
        assertEq(ok, may, "exactly after the end, once");
    }

    /// @dev Anybody disputes, with the bond; level 0: the client rejects. Now and then it is wrong in some way.
    function dispute(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Disputable);
        if (!has) return;
        ComputeTerms memory t = _termsOf(a);
        uint96 bond = a.disputeBond();
        if (_pick(seed, "wrong bond", 8) == 0) ++bond;
        uint32 leaf =
            uint32(_pick(seed, "leaf", uint256(t.leafCount) + (_pick(seed, "beyond", 6) == 0 ? 1 : 0)));
        address from = t.trustLevel == 0 && _pick(seed, "client", 4) != 0 ? a.client() : _anyKey(seed);
        _fund(from, bond);
        bool may = bond == a.disputeBond() && bond != 0 && leaf < t.leafCount
            && block.timestamp <= a.agreement().deadline && disputed[address(a)].length < 8;
        if (t.trustLevel == 0) may = may && from == a.client();
        else may = may && !_isDisputed(address(a), leaf);
        (bool ok,) = _act(
            from,
            address(dispatcher),
            abi.encodeCall(dispatcher.fund, (address(a), bond, abi.encodePacked(leaf)))
        );
        assertEq(ok, may, "exactly with its bond, in its window, each leaf once");
    }

    /// @dev By the client, or somebody who is not.
    function acceptResult(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Disputable);
        if (!has) return;
        address who = _pick(seed, "who", 3) == 0 ? _anyKey(seed) : a.client();
        bool may = who == a.client() && block.timestamp <= a.agreement().deadline
            && (_termsOf(a).trustLevel == 0 || disputed[address(a)].length == 0);
        (bool ok,) = _act(who, address(a), abi.encodeCall(a.acceptResult, ()));
        assertEq(ok, may, "the client, in time, undisputed");
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
        if (_termsOf(a).trustLevel == 0) return _submit(a, worker, root, seed);
        bytes32 sealed_ = plan == Plan.Unopenable ? keccak256("noise") : _workerSeal(a, root, worker);
        _act(
            _actorFor(a, worker, seed),
            address(a),
            abi.encodeCall(a.sealResult, (sealed_, CIPHERTEXT_ROOT, RESULT_BLOB, ""))
        );
    }

    /// @dev Level 0: open at once.
    function _submit(IComputeAgreement a, address worker, bytes32 root, uint256 seed) private {
        revealedOf[address(a)].root = root;
        revealedOf[address(a)].leavesHash = keccak256("");
        revealedOf[address(a)].digestsHash = keccak256("");
        _act(
            _actorFor(a, worker, seed),
            address(a),
            abi.encodeCall(a.submitResult, (root, WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB))
        );
    }

    function reveal(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Revealing);
        if (!has) return;
        WorkerOpening memory o = _plannedWorkerOpening(a);
        (bool ok,) = _act(_anyKey(seed), address(a), abi.encodeCall(a.reveal, (o)));
        if (ok) _keepRevealed(a, o);
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
        // A claim opens the window of a round that is recorded.
        if (!has || _pick(seed, "sealed", 4) == 0) (has, a) = _find(seed, Status.Sealed);
        if (!has) return;
        for (uint256 i = 0; i < workers.length; ++i) {
            if (_pick(seed, vm.toString(i), 3) != 0) _claimAs(a, i, uint256(keccak256(abi.encode(seed, i))));
        }
        if (a.status() == Status.Drawing && a.agreement().closesAt == 0) skip(_params().drawStepSecs);
    }

    /// @dev By the owner's key or a device, with or without the seal.
    function _claimAs(IComputeAgreement a, uint256 i, uint256 seed) private {
        address who = workers[i].owner;
        (bool holds, uint256 index,) = _bestTicket(a, who);
        if (!holds) return;
        address key = _pick(seed, "key", 2) == 0 ? who : workers[i].device;
        bytes memory call = abi.encodeCall(a.claim, (index));
        bool merged = _pick(seed, "merged", 3) == 0 && !_holdsSlot(a, who) && who != a.agreement().worker;
        if (merged) call = abi.encodeCall(a.claimAndSeal, (index, _planSeal(a, who, seed)));
        (bool ok,) = _act(key, address(a), call);
        if (ok && merged) ++claimsSealed;
        bool keyless = _termsOf(a).flags == 1 && dispatcher.encryptionKeyOf(who) == 0;
        if (keyless) assertFalse(ok, "nothing could be sealed to it");
    }

    /// @dev Decides what `verifier` says, and commits to it.
    function _planSeal(IComputeAgreement a, address verifier, uint256 seed) private returns (bytes32) {
        plans[address(a)][verifier] = _anyPlan(seed);
        drawnFor[address(a)][verifier] = a.sampledLeaves(verifier);
        return plans[address(a)][verifier] == Plan.Unopenable
            ? keccak256("noise")
            : _verifierSeal(a, verifier, _digestsOf(a, verifier));
    }

    /// @dev The round that draws the lot of the late audit, recorded by somebody.
    function recordLot(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, [Status.Revealing, Status.Opening][seed % 2]);
        if (!has || a.agreement().voteRound != 0) return;
        uint48 lot = uint48(a.agreement().classUnits);
        if (beacon.seedOf(lot) == 0 && block.number < uint256(lot) + 250) {
            beacon.record(lot, _makeBlock(lot));
        }
    }

    /// @dev All have opened, and waited for the lot.
    function decide(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Opening);
        if (!has) return;
        AgreementView memory v = a.agreement();
        bool lot = v.voteRound != 0 || beacon.seedOf(uint48(v.classUnits)) != 0;
        bool may = lot && v.openedCount == v.slots.length - v.firstSlot && block.timestamp <= v.deadline;
        (bool ok,) = _act(stranger, address(a), abi.encodeCall(a.decide, ()));
        assertEq(ok, may, "exactly once all have opened and the lot is known");
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
        for (uint256 i = v.firstSlot; i < v.slots.length; ++i) {
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
        bytes32 verdict = _planSeal(a, verifier, seed);
        _act(actor, address(a), abi.encodeCall(a.provideVerification, (verdict)));
    }

    function open(uint256 seed) public {
        (bool has, IComputeAgreement a) = _find(seed, Status.Opening);
        if (!has) return;
        AgreementView memory v = a.agreement();
        if (v.voteRound == 0) {
            WorkerOpening memory w = _plannedWorkerOpening(a);
            for (uint256 i = 0; i < v.slots.length; ++i) {
                if (_pick(seed, vm.toString(i), 4) == 0) continue;
                VerifierOpening memory o = _plannedOpening(a, v.slots[i].verifier, seed % 2 == 0);
                _act(
                    stranger, address(a), abi.encodeCall(a.openVerification, (o, w.root, w.leaves, w.digests))
                );
            }
            return;
        }
        for (uint256 i = v.firstSlot; i < v.slots.length; ++i) {
            uint256 mood = _pick(seed, vm.toString(i), 6);
            if (mood == 0) continue;
            if (v.slots[i].unproven) _answer(a, v.slots[i].verifier, v.worker);
            else if (mood == 1) _openUnproven(a, v.slots[i].verifier);
            else _openLate(a, v.slots[i].verifier, v.worker, seed);
        }
    }

    function _openUnproven(IComputeAgreement a, address verifier) private {
        if (drawnFor[address(a)][verifier].length == 0) return;
        VerifierOpening memory o = _plannedOpening(a, verifier, false);
        (bool ok,) = _act(stranger, address(a), abi.encodeCall(a.openUnproven, (o)));
        if (ok) ++unprovenOpenings;
    }

    function _answer(IComputeAgreement a, address verifier, address worker) private {
        uint32[] memory leaves = drawnFor[address(a)][verifier];
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(_allDigests(a, worker), leaves);
        bool inTime = block.timestamp <= a.agreement().deadline;
        (bool ok,) = _act(
            stranger,
            address(a),
            abi.encodeCall(a.answer, (verifier, revealedOf[address(a)], leaves, digests, proof))
        );
        assertEq(ok, inTime, "an owed answer is taken until the deadline");
        if (ok) ++answers;
    }

    function _openLate(IComputeAgreement a, address verifier, address worker, uint256 seed) private {
        VerifierOpening memory o = _plannedOpening(a, verifier, seed % 2 == 0);
        uint32[] memory leaves = drawnFor[address(a)][verifier];
        if (leaves.length == 0) return;
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(_allDigests(a, worker), leaves);
        _act(
            stranger,
            address(a),
            abi.encodeCall(a.openLate, (o, revealedOf[address(a)], leaves, digests, proof))
        );
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
        (bool ok,) = _act(stranger, address(a), abi.encodeCall(a.settleAll, (w, o)));
        if (ok) _keepRevealed(a, w);
    }

    // ------------------------------------------------------------------------------------------------ anybody

    /// @dev Succeeds exactly when the agreement lives and its deadline has passed.
    function expire(uint256 seed) public {
        if (agreements.length == 0) return;
        IComputeAgreement a = IComputeAgreement(agreements[seed % agreements.length]);
        AgreementView memory v = a.agreement();
        bool due = v.deadline != 0 && block.timestamp > v.deadline;
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
        // Long enough for a score to decay, now and then.
        if (how == 9) return skip(_pick(seed, "idle", 8) == 0 ? 100 * EPOCH_SECS : EPOCH_SECS);
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
        else if (v.status == Status.Opening) _advanceOpening(v, seed);
        else if (v.status == Status.Disputable) seed % 2 == 0 ? dispute(seed) : acceptResult(seed);
        else seed % 4 == 0 ? takeOrder(seed) : buy(seed);
    }

    function _advanceOpening(AgreementView memory v, uint256 seed) private {
        if (v.openedCount != v.slots.length - v.firstSlot) return open(seed);
        recordLot(1 | seed);
        decide(seed);
    }

    // ------------------------------------------------------------------------------------------------ picking

    /// @dev Some account with so much money and an allowance.
    function _fundedKey(uint256 seed, uint256 amount) private returns (address who) {
        who = _anyKey(seed);
        _fund(who, amount);
    }

    function _fund(address who, uint256 amount) private {
        if (token.balanceOf(who) < amount) assertTrue(token.transfer(who, amount));
        vm.prank(who);
        token.approve(address(dispatcher), type(uint256).max);
    }

    function _anyContributor(address a, uint256 seed) private view returns (address) {
        address[] memory all = _keys();
        for (uint256 i = 0; i < all.length; ++i) {
            address who = all[addmod(seed, i, all.length)];
            if (added[a][who] != 0) return who;
        }
        return stranger;
    }

    /// @dev All accounts that may have added something.
    function _keys() internal view returns (address[] memory all) {
        all = new address[](2 * workers.length + 2);
        for (uint256 i = 0; i < workers.length; ++i) {
            (all[2 * i], all[2 * i + 1]) = (workers[i].owner, workers[i].device);
        }
        (all[all.length - 2], all[all.length - 1]) = (client, stranger);
    }

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
