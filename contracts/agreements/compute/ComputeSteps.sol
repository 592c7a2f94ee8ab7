// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IBeacon} from "../../interfaces/IBeacon.sol";
import {
    ComputeParams,
    IComputeAgreement,
    RevealedRoot,
    VerifierOpening,
    WorkerOpening
} from "../../interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher, Party, Verdict} from "../../interfaces/IWorkerDispatcher.sol";
import {DrawLib} from "../../libraries/DrawLib.sol";
import {OpeningLib} from "../../libraries/OpeningLib.sol";
import {SealLib} from "../../libraries/SealLib.sol";
import {SettlementLib} from "../../libraries/SettlementLib.sol";
import {Draw, PastRound, RoundKind, StoredSlot} from "../../types/ComputeState.sol";
import {BoundTerms, ComputeTerms, ComputeTermsLib} from "../../types/ComputeTerms.sol";
import {Ending, Status} from "../../types/Status.sol";
import {ComputeBase} from "./ComputeBase.sol";

/// @title ComputeSteps
/// @notice What a step of the honest path does, once `ComputeAgreement` or `ComputeExtension` has let it in.
abstract contract ComputeSteps is ComputeBase {
    using ComputeTermsLib for ComputeTerms;

    /// @dev Width of a leaf's index in a packed list.
    uint256 internal constant LEAF_BITS = 24;

    constructor(IWorkerDispatcher dispatcher_, IBeacon beacon_, ComputeParams memory p)
        ComputeBase(dispatcher_, beacon_, p)
    {}

    // ------------------------------------------------------------------------------------------------ accept

    /// @param placed True if the pool's signature was checked.
    function _accept(address actor, bool placed) internal {
        _requireStatus(Status.Open);
        BoundTerms memory b = _bound();
        ComputeTerms memory t = b.terms;
        _s.priced = _pricedNow(b);
        uint96 reward = _reward(t);
        uint96 locked = _workerLock(t, reward);
        (address worker, bool byDevice,) = dispatcher.lock(actor, locked, type(uint32).max);
        require(worker != b.client, IComputeAgreement.ClientCannotWork(worker));
        require(_s.attempt == 0 || !_c.left[worker], IComputeAgreement.AlreadyTried(worker));
        if (t.named != address(0)) {
            require(
                t.flags & ComputeTermsLib.FLAG_NAMED == 0 || worker == t.named,
                IComputeAgreement.NotPlaced(worker, t.named)
            );
            require(
                t.flags & ComputeTermsLib.FLAG_POOL == 0 || placed,
                IComputeAgreement.NotPlaced(worker, t.named)
            );
        }
        _requireKey(t, worker);

        _s.worker = worker;
        if (byDevice) _s.flags |= FLAG_WORKER_DEVICE;
        else _s.flags &= ~FLAG_WORKER_DEVICE;
        emit IComputeAgreement.Accepted(worker, _s.attempt, reward, locked);
        if (t.isConfidential()) _setStatus(Status.Keying, block.timestamp + KEY_SECS);
        else _setStatus(Status.Working, block.timestamp + t.workSecs);
    }

    /// @dev Linear in time from where the price stood at the last acceptance to the full price, rounded down: for the client.
    function _pricedNow(BoundTerms memory b) internal view returns (uint16) {
        Base memory s = _s;
        uint256 deadline = s.deadline == 0 ? uint256(b.boughtAt) + b.terms.acceptSecs : s.deadline;
        uint256 left = block.timestamp >= deadline ? 0 : deadline - block.timestamp;
        uint256 passed = b.terms.acceptSecs - left;
        return uint16(s.priced + (FULL_PRICE - s.priced) * passed / b.terms.acceptSecs);
    }

    // ------------------------------------------------------------------------------------------------ draw

    /// @param verdict The verifier's seal, or zero: it seals later.
    function _claim(uint256 index, bytes32 verdict) internal {
        Draw memory d = _c.draw;
        ComputeTerms memory t = _terms();
        bool opens = _s.status == Status.Sealed;
        _requireStatus(opens ? Status.Sealed : Status.Drawing);
        bytes32 seed = _seedOf(d.round, d.voteRound);
        if (opens) _startDraw(d, t, seed);

        (address verifier, bool byDevice, uint256 tickets) =
            dispatcher.lock(msg.sender, _verifierLock(t, _reward(t)), d.snapshotEpoch);
        require(index < tickets, IComputeAgreement.NoSuchTicket(index, tickets));
        _requireNeutral(t, d, verifier);
        uint256 ticket = DrawLib.ticket(seed, verifier, index);
        StoredSlot memory slot = StoredSlot({
            verifier: verifier,
            ticket: uint80(ticket >> 176),
            voteRound: d.voteRound,
            flags: byDevice ? SLOT_DEVICE : 0,
            seal: verdict
        });
        if (_s.slotCount - d.firstSlot < _wanted(d, t)) _fillSlot(d, t, slot, ticket);
        else _displace(d, t, slot);
        if (verdict != 0) {
            ++_s.sealedCount;
            emit IComputeAgreement.VerifierSealed(verifier, verdict);
        }
    }

    /// @dev Worker, client, who left before and who disputed do not verify.
    function _requireNeutral(ComputeTerms memory t, Draw memory d, address verifier) private view {
        require(
            verifier != _s.worker && verifier != _client(), IComputeAgreement.WorkerCannotVerify(verifier)
        );
        if (_s.attempt != 0 || d.strikes != 0) {
            require(!_c.left[verifier], IComputeAgreement.ExcludedVerifier(verifier));
        }
        if (_s.flags & FLAG_DISPUTED != 0) {
            for (uint256 i = 0; i < _c.disputeCount; ++i) {
                require(_c.disputes[i].by != verifier, IComputeAgreement.ExcludedVerifier(verifier));
            }
        }
        _requireKey(t, verifier);
    }

    /// @dev A free slot is for tickets below the threshold of the present step.
    function _fillSlot(Draw memory d, ComputeTerms memory t, StoredSlot memory slot, uint256 ticket) private {
        uint256 step = _drawStep(d);
        uint256 limit = DrawLib.threshold(d.classUnits, _wanted(d, t) * DRAW_FACTOR, step);
        require(ticket < limit, IComputeAgreement.TicketTooHigh(ticket, limit));
        uint256 count = _s.slotCount;
        for (uint256 i = 0; i < count; ++i) {
            require(_c.slots[i].verifier != slot.verifier, IComputeAgreement.AlreadyClaimed(slot.verifier));
        }
        _c.slots[count] = slot;
        _s.slotCount = uint8(count + 1);
        emit IComputeAgreement.Claimed(slot.verifier, slot.ticket, address(0));
        if (count + 1 - d.firstSlot != _wanted(d, t)) return;
        // Full: the window closes with the present step, at its deadline at the latest; the verifiers' time follows.
        uint256 start = _s.deadline - _drawSecs();
        uint256 end = block.timestamp + DRAW_STEP_SECS - (block.timestamp - start) % DRAW_STEP_SECS;
        if (end > _s.deadline) end = _s.deadline;
        _setStatus(Status.Drawing, end + t.verifySecs);
    }

    /// @dev While the window is open a lower ticket takes the slot of the highest: the lowest hold the slots, not the fastest.
    function _displace(Draw memory d, ComputeTerms memory t, StoredSlot memory slot) private {
        uint256 count = _s.slotCount;
        uint256 target = count;
        uint256 highest = 0;
        for (uint256 i = 0; i < count; ++i) {
            StoredSlot storage other = _c.slots[i];
            require(other.verifier != slot.verifier, IComputeAgreement.AlreadyClaimed(slot.verifier));
            if (i >= d.firstSlot && other.ticket >= highest) (target, highest) = (i, other.ticket);
        }
        require(slot.ticket < highest, IComputeAgreement.TicketTooHigh(slot.ticket, highest));
        StoredSlot memory displaced = _c.slots[target];
        _c.slots[target] = slot;
        if (displaced.seal != 0) --_s.sealedCount;
        emit IComputeAgreement.Claimed(slot.verifier, slot.ticket, displaced.verifier);
        dispatcher.release(
            Party({
                worker: displaced.verifier,
                pay: 0,
                slash: 0,
                locked: _verifierLock(t, _reward(t)),
                verdict: Verdict.Neutral,
                byDevice: displaced.flags & SLOT_DEVICE != 0
            })
        );
    }

    /// @dev The first round waits for the worker's reveal; later ones are opened at once.
    function _afterLastSeal(Draw memory d) internal {
        if (d.voteRound == 0) _setStatus(Status.Revealing, block.timestamp + REVEAL_SECS);
        else _setStatus(Status.Opening, block.timestamp + OPEN_SECS);
    }

    // ------------------------------------------------------------------------------------------------ openings

    function _reveal(WorkerOpening calldata o) internal {
        _closeWindow();
        _requireStatus(Status.Revealing);
        ComputeTerms memory t = _terms();
        OpeningLib.checkWorker(o, _c.commitment, t, _s.attempt, _s.worker);
        bytes32 seed = _seedOf(_c.draw.round, 0);
        uint256 count = _s.slotCount;
        for (uint256 i = 0; i < count; ++i) {
            OpeningLib.checkContained(
                o.leaves, DrawLib.sampledLeaves(seed, _c.slots[i].verifier, t.leafCount, t.samples)
            );
        }
        _c.commitment = SealLib.revealed(o.root, o.leaves, o.digests);
        _c.draw.mix ^= uint32(uint256(o.salt));
        _emitRevealed(o);
        _setStatus(Status.Opening, block.timestamp + OPEN_SECS);
    }

    function _emitRevealed(WorkerOpening calldata o) internal {
        emit IComputeAgreement.Revealed(
            _s.worker, o.root, o.salt, o.ciphertextRoot, o.resultBlob, o.leaves, o.digests
        );
    }

    /// @dev An opening of the first round, with the digests of the worker's reveal, which were checked.
    function _open(VerifierOpening calldata o, uint32[] calldata leaves, bytes32[] calldata digests)
        internal
    {
        ComputeTerms memory t = _terms();
        uint32[] memory samples =
            DrawLib.sampledLeaves(_seedOf(_c.draw.round, 0), o.verifier, t.leafCount, t.samples);
        bytes32[] memory theirs = OpeningLib.pick(leaves, digests, samples);
        _recordOpening(o, samples, theirs);
    }

    /// @param leaves The verifier's.
    /// @param theirs The worker's digests of them.
    function _recordOpening(VerifierOpening calldata o, uint32[] memory leaves, bytes32[] memory theirs)
        internal
    {
        (uint256 index, StoredSlot memory slot) = _slotOf(o.verifier);
        require(slot.flags & SLOT_OPENED == 0, IComputeAgreement.AlreadyOpenedSlot(o.verifier));
        (bytes32[] memory mine, uint32 dissent) = OpeningLib.compare(o.digests, leaves, theirs);
        OpeningLib.checkVerifier(o, mine, slot.seal, _s.attempt);
        uint8 flags = slot.flags | SLOT_OPENED;
        if (dissent != 0) {
            flags |= SLOT_DISSENTS;
            _c.dissents[o.verifier].mask = dissent;
            _c.dissents[o.verifier].digests = mine;
        } else {
            mine = new bytes32[](0);
        }
        _c.slots[index].flags = flags;
        ++_c.draw.opened;
        _c.draw.mix ^= uint32(uint256(o.salt));
        emit IComputeAgreement.Opened(o.verifier, dissent, mine);
    }

    /// @dev Checks all openings of the first round without writing anything.
    /// @return True if all have opened and agree, and nothing has to be looked at again before payment.
    function _isUnanimous(ComputeTerms memory t, WorkerOpening calldata w, VerifierOpening[] calldata o)
        internal
        view
        returns (bool)
    {
        Base memory s = _s;
        if (o.length != s.slotCount || t.disputeSecs != 0) return false;
        _requireStatus(Status.Revealing);
        bytes32 seed = _seedOf(_c.draw.round, 0);
        OpeningLib.checkWorker(w, _c.commitment, t, s.attempt, s.worker);
        uint32 mix = uint32(uint256(w.salt));
        for (uint256 i = 0; i < o.length; ++i) {
            // In the order of the slots: each is there once.
            StoredSlot memory slot = _c.slots[i];
            if (slot.verifier != o[i].verifier) return false;
            uint32[] memory samples = DrawLib.sampledLeaves(seed, slot.verifier, t.leafCount, t.samples);
            bytes32[] memory theirs = OpeningLib.pick(w.leaves, w.digests, samples);
            (bytes32[] memory mine, uint32 dissent) = OpeningLib.compare(o[i].digests, samples, theirs);
            if (dissent != 0) return false;
            OpeningLib.checkVerifier(o[i], mine, slot.seal, s.attempt);
            mix ^= uint32(uint256(o[i].salt));
        }
        return !_isAudited(seed, mix);
    }

    /// @dev The lot of the late audit: drawn from the seed, which came after the worker's salt, and from all salts, which are
    /// known together only once all have sealed.
    function _isAudited(bytes32 seed, uint32 mix) internal view returns (bool) {
        return AUDIT_ONE_IN != 0 && uint256(keccak256(abi.encode(seed, mix))) % AUDIT_ONE_IN == 0;
    }

    // ------------------------------------------------------------------------------------------------ later rounds

    function _requireRevealed(RevealedRoot calldata r) internal view {
        bytes32 found = SealLib.revealedHash(r.root, r.leavesHash, r.digestsHash);
        require(found == _c.commitment, IComputeAgreement.SealMismatch(found, _c.commitment));
    }

    /// @dev What the verifier of a slot computes, ascending.
    function _leavesOf(StoredSlot memory slot, ComputeTerms memory t)
        internal
        view
        returns (uint32[] memory leaves)
    {
        PastRound memory r = _c.rounds[slot.voteRound];
        if (r.kind != RoundKind.Leaves) {
            uint48 round = r.beaconRound == 0 ? _c.draw.round : r.beaconRound;
            bytes32 seed = _seedOf(round, slot.voteRound);
            return DrawLib.sampledLeaves(seed, slot.verifier, t.leafCount, t.samples);
        }
        return _unpackLeaves(r);
    }

    function _unpackLeaves(PastRound memory r) internal pure returns (uint32[] memory leaves) {
        leaves = new uint32[](r.leafCount);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = uint32((uint256(r.leaves) >> (LEAF_BITS * i)) & ((1 << LEAF_BITS) - 1));
        }
    }

    function _disputeBond(ComputeTerms memory t) internal view returns (uint96) {
        if (t.trustLevel == 0) return uint96(uint256(t.verifierFee) * t.verifiers);
        return uint96(SettlementLib.disputeBond(_reward(t), t.verifierFee, t.verifiers));
    }

    // ------------------------------------------------------------------------------------------------ settle

    /// @dev All have opened and nobody dissents, or nobody was asked: everybody is paid. Later rounds settle elsewhere.
    function _settleVerified(ComputeTerms memory t) internal {
        Base memory s = _s;
        uint96 reward = _reward(t);
        // Level 0 proves nothing, so it earns no score.
        Verdict verdict = t.trustLevel == 0 ? Verdict.Neutral : Verdict.Kept;
        Party[] memory parties = new Party[](uint256(s.slotCount) + 1);
        parties[0] =
            Party(s.worker, reward, 0, _workerLock(t, reward), verdict, s.flags & FLAG_WORKER_DEVICE != 0);
        uint96 locked = _verifierLock(t, reward);
        for (uint256 i = 0; i < s.slotCount; ++i) {
            StoredSlot storage slot = _c.slots[i];
            parties[i + 1] =
                Party(slot.verifier, t.verifierFee, 0, locked, verdict, slot.flags & SLOT_DEVICE != 0);
        }
        _finish(Status.Settled, Ending.Verified, parties, 0);
    }

    /// @dev The one way to an end: what is left of the escrow goes back to those who paid it, in proportion.
    function _finish(Status last, Ending how, Party[] memory parties, uint96 burned) internal {
        uint96 kept = _s.flags & FLAG_EXTRA == 0 ? 0 : _keepForContributors(parties, burned);
        _end(last, how);
        dispatcher.close(parties, burned, kept, _client());
    }

    /// @dev Rounded down, for the client.
    function _keepForContributors(Party[] memory parties, uint256 burned) private returns (uint96 kept) {
        (uint256 held,) = dispatcher.escrowOf(address(this));
        uint256 out = burned;
        for (uint256 i = 0; i < parties.length; ++i) {
            held += parties[i].slash;
            out += parties[i].pay;
        }
        uint256 total = _c.extra.total;
        kept = uint96((held - out) * total / (_budget(_terms()) + total));
        _c.extra.refund = kept;
    }

    /// @dev What the client paid in.
    function _budget(ComputeTerms memory t) internal view returns (uint256) {
        uint256 fees = t.trustLevel == 0 ? 0 : uint256(t.verifiers) * t.verifierFee;
        uint256 audit = t.trustLevel == 0 || AUDIT_ONE_IN == 0 ? 0 : t.verifierFee;
        return uint256(t.rewardMax) + fees + audit + SEED_TIP;
    }
}
