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
import {IEnergyLedger} from "../../interfaces/IEnergyLedger.sol";
import {IWorkAgreement} from "../../interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher, Party, Unanimity, Verdict} from "../../interfaces/IWorkerDispatcher.sol";
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

    constructor(
        IWorkerDispatcher dispatcher_,
        IBeacon beacon_,
        IEnergyLedger energyLedger_,
        ComputeParams memory p
    ) ComputeBase(dispatcher_, beacon_, energyLedger_, p) {}

    // ------------------------------------------------------------------------------------------------ accept

    /// @param placed True if the pool's signature was checked.
    function _accept(address actor, bool placed) internal {
        Base memory s = _s;
        BoundTerms memory b = _bound();
        ComputeTerms memory t = b.terms;
        require(s.status == Status.Open, IWorkAgreement.WrongStatus(s.status, Status.Open));
        uint256 until = s.deadline == 0 ? uint256(b.boughtAt) + t.acceptSecs : s.deadline;
        require(block.timestamp <= until, IWorkAgreement.TooLate(block.timestamp, until));
        s.priced = _pricedNow(s, b);
        uint96 reward = _rewardOf(t, s);
        uint96 locked = _workerLock(t, reward);
        bool byDevice;
        (s.worker, byDevice,) = dispatcher.lock(actor, locked, type(uint32).max);
        _requireSuitable(s, b, placed);

        s.flags = byDevice ? s.flags | FLAG_WORKER_DEVICE : s.flags & ~FLAG_WORKER_DEVICE;
        emit IComputeAgreement.Accepted(s.worker, s.attempt, reward, locked);
        s.status = t.isConfidential() ? Status.Keying : Status.Working;
        s.deadline = uint40(block.timestamp + (t.isConfidential() ? KEY_SECS : t.workSecs));
        _write(s);
    }

    /// @dev The client and who failed before do not work; a named worker or pool decides who does.
    function _requireSuitable(Base memory s, BoundTerms memory b, bool placed) private view {
        address worker = s.worker;
        ComputeTerms memory t = b.terms;
        require(worker != b.client, IComputeAgreement.ClientCannotWork(worker));
        require(s.attempt == 0 || !_c.left[worker], IComputeAgreement.AlreadyTried(worker));
        if (t.named != address(0)) {
            bool byPool = t.flags & ComputeTermsLib.FLAG_POOL != 0;
            require(byPool ? placed : worker == t.named, IComputeAgreement.NotPlaced(worker, t.named));
        }
        _requireAble(t, worker);
    }

    /// @dev Linear in time from where the price stood at the last acceptance to the full price, rounded down: for the client.
    function _pricedNow(Base memory s, BoundTerms memory b) internal view returns (uint16) {
        uint256 deadline = s.deadline == 0 ? uint256(b.boughtAt) + b.terms.acceptSecs : s.deadline;
        uint256 left = block.timestamp >= deadline ? 0 : deadline - block.timestamp;
        uint256 passed = b.terms.acceptSecs - left;
        return uint16(s.priced + (FULL_PRICE - s.priced) * passed / b.terms.acceptSecs);
    }

    // ------------------------------------------------------------------------------------------------ draw

    /// @param verdict The verifier's seal, or zero: it seals later.
    function _claim(uint256 index, bytes32 verdict) internal {
        Base memory s = _s;
        Draw memory d = _c.draw;
        BoundTerms memory b = _bound();
        ComputeTerms memory t = b.terms;
        bool full = s.slotCount - d.firstSlot == _wanted(d, t);
        bool opens = s.status == Status.Sealed;
        _requireClaimable(s, t, full, opens);
        bytes32 seed = opens ? _newSeed(d, s.attempt) : _seedOf(d);
        if (opens) s.deadline = uint40(_startDraw(d, t, seed));

        (StoredSlot memory slot, uint256 ticket) = _lockTicket(_verifierLock(t), d, seed, index);
        require(
            slot.verifier != s.worker && slot.verifier != b.client,
            IComputeAgreement.WorkerCannotVerify(slot.verifier)
        );
        _requireNeutral(t, s, d, slot.verifier);
        slot.seal = verdict;
        if (full) _displace(d, t, slot);
        else _fillSlot(s, d, t, slot, ticket);
        if (verdict != 0) {
            ++_s.sealedCount;
            emit IComputeAgreement.VerifierSealed(slot.verifier, verdict);
            // Perhaps the last seal; a better ticket draws the lot anew.
            if (s.flags & FLAG_LATER == 0 && _s.sealedCount == t.verifiers) _drawLot();
        }
    }

    /// @dev Locks the stake that the caller acts for; its ticket says how well it drew.
    function _lockTicket(uint96 amount, Draw memory d, bytes32 seed, uint256 index)
        private
        returns (StoredSlot memory slot, uint256 ticket)
    {
        (address verifier, bool byDevice, uint256 tickets) =
            dispatcher.lock(msg.sender, amount, d.snapshotEpoch);
        require(index < tickets, IComputeAgreement.NoSuchTicket(index, tickets));
        ticket = DrawLib.ticket(seed, verifier, index);
        slot.verifier = verifier;
        slot.ticket = uint80(ticket >> 176);
        slot.voteRound = d.voteRound;
        if (byDevice) slot.flags = SLOT_DEVICE;
    }

    /// @dev As `_requireStatus` would say, from what is read already.
    function _requireClaimable(Base memory s, ComputeTerms memory t, bool full, bool opens) private view {
        if (!opens && s.status != Status.Drawing) _requireStatus(Status.Drawing);
        uint256 until = s.deadline;
        if (full && !opens) {
            until -= t.verifySecs;
            if (block.timestamp >= until) _requireStatus(Status.Drawing);
        }
        require(block.timestamp <= until, IWorkAgreement.TooLate(block.timestamp, until));
    }

    /// @dev Who left before and who disputed does not verify.
    function _requireNeutral(ComputeTerms memory t, Base memory s, Draw memory d, address verifier)
        private
        view
    {
        if (s.attempt != 0 || d.strikes != 0 || d.voteRound != 0) {
            require(!_c.left[verifier], IComputeAgreement.ExcludedVerifier(verifier));
        }
        if (s.flags & FLAG_DISPUTED != 0) {
            for (uint256 i = 0; i < _c.disputeCount; ++i) {
                require(_c.disputes[i].by != verifier, IComputeAgreement.ExcludedVerifier(verifier));
            }
        }
        _requireAble(t, verifier);
    }

    /// @dev A free slot is for tickets below the threshold of the present step.
    function _fillSlot(
        Base memory s,
        Draw memory d,
        ComputeTerms memory t,
        StoredSlot memory slot,
        uint256 ticket
    ) private {
        uint256 wanted = _wanted(d, t);
        uint256 limit = DrawLib.threshold(d.unitsOrLot, wanted * DRAW_FACTOR, _drawStep(d, s.deadline));
        require(ticket < limit, IComputeAgreement.TicketTooHigh(ticket, limit));
        uint256 count = s.slotCount;
        for (uint256 i = 0; i < count; ++i) {
            require(_c.slots[i].verifier != slot.verifier, IComputeAgreement.AlreadyClaimed(slot.verifier));
        }
        _writeSlot(count, slot);
        _s.slotCount = uint8(count + 1);
        emit IComputeAgreement.Claimed(slot.verifier, slot.ticket, address(0));
        if (count + 1 - d.firstSlot != wanted) return;
        // Full: the window closes with the present step, at its deadline at the latest; the verifiers' time follows.
        uint256 start = s.deadline - _drawSecs();
        uint256 end = block.timestamp + DRAW_STEP_SECS - (block.timestamp - start) % DRAW_STEP_SECS;
        if (end > s.deadline) end = s.deadline;
        _setStatus(Status.Drawing, end + t.verifySecs);
    }

    /// @dev A slot that is free has no seal: writing none is not paid for.
    function _writeSlot(uint256 index, StoredSlot memory slot) private {
        StoredSlot storage stored = _c.slots[index];
        (stored.verifier, stored.ticket) = (slot.verifier, slot.ticket);
        (stored.voteRound, stored.flags) = (slot.voteRound, slot.flags);
        if (slot.seal != 0) stored.seal = slot.seal;
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
                locked: _verifierLock(t),
                verdict: Verdict.Neutral,
                byDevice: displaced.flags & SLOT_DEVICE != 0
            })
        );
    }

    /// @dev The first round waits for the worker's reveal; later ones are opened at once.
    function _afterLastSeal(Base memory s) internal {
        bool later = s.flags & FLAG_LATER != 0;
        if (!later) _drawLot();
        s.status = later ? Status.Opening : Status.Revealing;
        s.deadline = uint40(block.timestamp + (later ? OPEN_SECS : REVEAL_SECS));
        _write(s);
    }

    /// @dev Whether there is a late audit is drawn by the beacon after the last seal: a coalition that holds all seats cannot
    /// grind it.
    function _drawLot() internal {
        if (AUDIT_ONE_IN != 0) _c.draw.unitsOrLot = uint40(beacon.nextRound());
    }

    // ------------------------------------------------------------------------------------------------ openings

    function _reveal(WorkerOpening calldata o) internal {
        _closeWindow();
        _requireStatus(Status.Revealing);
        ComputeTerms memory t = _terms();
        OpeningLib.checkWorker(o, _c.commitment, t, _s.attempt, _s.worker);
        bytes32 seed = _seedOf(_c.draw);
        uint256 count = _s.slotCount;
        for (uint256 i = 0; i < count; ++i) {
            OpeningLib.checkContained(
                o.leaves, DrawLib.sampledLeaves(seed, _c.slots[i].verifier, t.leafCount, t.samples)
            );
        }
        _c.commitment = SealLib.revealed(o.root, o.leaves, o.digests);
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
        // Who holds no slot is told so, before its samples are looked for.
        _slotOf(o.verifier);
        uint32[] memory samples = DrawLib.sampledLeaves(_seedOf(_c.draw), o.verifier, t.leafCount, t.samples);
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
        bytes32 seed = _seedOf(_c.draw);
        OpeningLib.checkWorker(w, _c.commitment, t, s.attempt, s.worker);
        // Who samples all leaves has sealed the same digests as everybody else.
        bool all = t.samples >= t.leafCount;
        require(
            !all || w.leaves.length == t.leafCount,
            IComputeAgreement.LengthMismatch(w.leaves.length, t.leafCount)
        );
        bytes32 hash = all ? keccak256(abi.encodePacked(w.digests)) : bytes32(0);
        for (uint256 i = 0; i < o.length; ++i) {
            // In the order of the slots: each is there once. Digests are brought along by who disagrees.
            StoredSlot storage slot = _c.slots[i];
            address verifier = slot.verifier;
            if (verifier != o[i].verifier || o[i].digests.length != 0) return false;
            if (!all) hash = _hashOfSamples(t, w, seed, verifier);
            bytes32 found = SealLib.verifierSeal(hash, o[i].salt, address(this), s.attempt, verifier);
            bytes32 expected = slot.seal;
            if (found != expected) return false;
        }
        // Not known yet: the openings are kept until it is.
        return AUDIT_ONE_IN == 0 || (_lotSeed() != 0 && !_isAudited());
    }

    function _hashOfSamples(ComputeTerms memory t, WorkerOpening calldata w, bytes32 seed, address verifier)
        private
        pure
        returns (bytes32)
    {
        uint32[] memory samples = DrawLib.sampledLeaves(seed, verifier, t.leafCount, t.samples);
        return keccak256(abi.encodePacked(OpeningLib.pick(w.leaves, w.digests, samples)));
    }

    /// @dev All of the round have opened, and the lot of the late audit is known.
    function _canDecide() internal view returns (bool) {
        if (_c.draw.opened != _s.slotCount - _firstSlot()) return false;
        return AUDIT_ONE_IN == 0 || _s.flags & FLAG_LATER != 0 || _lotSeed() != 0;
    }

    /// @dev Zero while the round of the late audit's lot is not recorded.
    function _lotSeed() internal view returns (bytes32) {
        return beacon.seedOf(uint48(_c.draw.unitsOrLot));
    }

    /// @dev A round that nobody has recorded by the end of the openings counts as audited: suppressing it gains nothing.
    function _isAudited() internal view returns (bool) {
        if (AUDIT_ONE_IN == 0) return false;
        bytes32 seed = _lotSeed();
        return seed == 0 || uint256(keccak256(abi.encode(seed, address(this)))) % AUDIT_ONE_IN == 0;
    }

    // ------------------------------------------------------------------------------------------------ later rounds

    /// @dev Verifiers for open results. Stake counts as at the worker's seal, whoever bought more since.
    function _openRound(RoundKind kind, uint256 wanted, uint32[] memory leaves) internal {
        Draw memory d = _c.draw;
        // Level 0 has no first round, and so no seed to keep.
        if (_s.slotCount != 0) _c.rounds[d.voteRound].seed = d.roundOrSeed;
        uint8 voteRound = ++d.voteRound;
        uint48 round = beacon.nextRound();
        d.roundOrSeed = round;
        (d.unitsOrLot, d.strikes, d.opened) = (0, 0, 0);
        (d.firstSlot, d.wanted, d.kind) = (_s.slotCount, uint8(wanted), kind);
        if (kind == RoundKind.Leaves) ++d.leafRounds;
        _c.draw = d;
        uint192 packed = 0;
        for (uint256 i = 0; i < leaves.length; ++i) {
            packed |= uint192(uint256(leaves[i]) << (LEAF_BITS * i));
        }
        _c.rounds[voteRound] = PastRound(kind, 0, uint8(leaves.length), packed);
        _s.sealedCount = 0;
        _s.flags |= FLAG_LATER;
        emit IComputeAgreement.RoundOpened(voteRound, kind, uint8(wanted), leaves, round);
        _setStatus(Status.Sealed, block.timestamp + SEED_SECS);
    }

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
            Draw memory d = _c.draw;
            bytes32 seed = slot.voteRound == d.voteRound ? _seedOf(d) : bytes32(bytes12(r.seed));
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

    function _disputeBond(ComputeTerms memory t) internal pure returns (uint96) {
        if (t.trustLevel == 0) return uint96(uint256(t.verifierFee) * t.verifiers);
        return uint96(SettlementLib.disputeBond(t.rewardMax, t.verifierFee, t.verifiers));
    }

    // ------------------------------------------------------------------------------------------------ settle

    /// @dev All have opened and nobody dissents, or nobody was asked: everybody is paid.
    function _settleVerified(ComputeTerms memory t) internal {
        Base memory s = _s;
        uint96 reward = _rewardOf(t, s);
        uint8 devices = s.flags & FLAG_WORKER_DEVICE;
        address[] memory verifiers = new address[](s.slotCount);
        for (uint256 i = 0; i < verifiers.length; ++i) {
            StoredSlot storage slot = _c.slots[i];
            verifiers[i] = slot.verifier;
            devices |= slot.flags & SLOT_DEVICE;
        }
        // Devices and contributors take the general way.
        if (devices | (s.flags & FLAG_EXTRA) != 0) return _settleKept(t, reward, verifiers);
        _end(Status.Settled, Ending.Verified);
        dispatcher.closeUnanimous(
            Unanimity({
                worker: s.worker,
                reward: reward,
                workerLock: _workerLock(t, reward),
                verifiers: verifiers,
                verifierFee: t.verifierFee,
                verifierLock: _verifierLock(t),
                scored: _isScored(t),
                refundTo: _client()
            })
        );
    }

    function _settleKept(ComputeTerms memory t, uint96 reward, address[] memory verifiers) private {
        Verdict verdict = _isScored(t) ? Verdict.Kept : Verdict.Neutral;
        bool byDevice = _s.flags & FLAG_WORKER_DEVICE != 0;
        Party[] memory parties = new Party[](verifiers.length + 1);
        parties[0] = Party(_s.worker, reward, 0, _workerLock(t, reward), verdict, byDevice);
        uint96 locked = _verifierLock(t);
        for (uint256 i = 0; i < verifiers.length; ++i) {
            byDevice = _c.slots[i].flags & SLOT_DEVICE != 0;
            parties[i + 1] = Party(verifiers[i], t.verifierFee, 0, locked, verdict, byDevice);
        }
        _finish(Status.Settled, Ending.Verified, parties, 0);
    }

    /// @dev Level 0 proves nothing; and where verifying earns nothing, nobody but the worker's friends does it.
    function _isScored(ComputeTerms memory t) internal pure returns (bool) {
        return t.trustLevel != 0 && t.verifierFee != 0;
    }

    /// @dev The one way to an end: what is left of the escrow goes back to those who paid it, in proportion.
    function _finish(Status last, Ending how, Party[] memory parties, uint96 burned) internal {
        uint96 kept = _s.flags & FLAG_EXTRA == 0 ? 0 : _keepForContributors(parties, burned);
        _end(last, how);
        dispatcher.close(parties, burned, kept, _client());
    }

    /// @dev What others added goes the way of the reward: paid to the worker in the same part, else theirs again. What else
    /// is left is the client's, the unspent price too: shared, a worker would add to its own reward and take it
    /// (test/ComputeAgreement/Contributions.t.sol). Rounded down, for the client.
    function _keepForContributors(Party[] memory parties, uint256 burned) private returns (uint96 kept) {
        (uint256 held,) = dispatcher.escrowOf(address(this));
        uint256 out = burned;
        for (uint256 i = 0; i < parties.length; ++i) {
            held += parties[i].slash;
            out += parties[i].pay;
        }
        uint256 reward = _reward(_terms());
        uint256 paid = parties.length == 0 ? 0 : parties[0].pay;
        if (paid < reward) kept = uint96(_c.extra.total * (reward - paid) / reward);
        // Fees of further rounds may have eaten into it.
        if (kept > held - out) kept = uint96(held - out);
        _c.extra.refund = kept;
    }

    /// @dev What the client paid in.
    function _budget(ComputeTerms memory t) internal view returns (uint256) {
        uint256 fees = t.trustLevel == 0 ? 0 : uint256(t.verifiers) * t.verifierFee;
        uint256 audit = t.trustLevel == 0 || AUDIT_ONE_IN == 0 ? 0 : t.verifierFee;
        return uint256(t.rewardMax) + fees + audit + SEED_TIP;
    }
}
