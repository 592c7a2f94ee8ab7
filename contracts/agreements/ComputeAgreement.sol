// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {LibClone} from "solady/utils/LibClone.sol";
import {WorkAgreement} from "../WorkAgreement.sol";
import {IBeacon} from "../interfaces/IBeacon.sol";
import {
    AgreementView,
    ComputeParams,
    IComputeAgreement,
    Slot,
    VerifierOpening,
    WorkerOpening
} from "../interfaces/IComputeAgreement.sol";
import {IWorkAgreement, Quote} from "../interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher, Party, Verdict} from "../interfaces/IWorkerDispatcher.sol";
import {ComputeQuoteLib} from "../libraries/ComputeQuoteLib.sol";
import {DrawLib} from "../libraries/DrawLib.sol";
import {OpeningLib} from "../libraries/OpeningLib.sol";
import {SealLib} from "../libraries/SealLib.sol";
import {SettleInput, SettleOutput, SettlementLib, Vote} from "../libraries/SettlementLib.sol";
import {VoteLib} from "../libraries/VoteLib.sol";
import {Attempt, ComputeState, StoredSlot} from "../types/ComputeState.sol";
import {BoundTerms, ComputeTerms, ComputeTermsLib} from "../types/ComputeTerms.sol";
import {Ending, Status} from "../types/Status.sol";

/// @title ComputeAgreement
/// @notice A bag of tasks, verified by proof of contribution. docs/PROTOCOL.md tells the protocol, types/Status.sol draws
/// the states; this file holds the steps in their order, the rules are in the libraries.
/// @dev The dispatcher is trusted code and calls nothing of a party's, so its calls may come before effects. Steps that
/// open seals are not bound to the sender: whoever carries an opening, its content decides.
contract ComputeAgreement is WorkAgreement, IComputeAgreement {
    using ComputeTermsLib for ComputeTerms;

    /// @dev Of an envelope. HPKE of a session key takes 81; the rest is room for another format.
    uint256 internal constant MAX_KEY_BYTES = 256;

    IBeacon public immutable beacon;
    uint24 internal immutable KEY_SECS;
    uint24 internal immutable SEED_SECS;
    uint24 internal immutable DRAW_STEP_SECS;
    uint8 internal immutable DRAW_STEPS;
    uint8 internal immutable DRAW_FACTOR;
    uint24 internal immutable REVEAL_SECS;
    uint24 internal immutable OPEN_SECS;
    uint8 internal immutable MAX_ATTEMPTS;
    uint8 internal immutable MAX_STRIKES;
    uint16 internal immutable ABORT_BPS;
    uint16 internal immutable VANISH_BPS;
    uint96 internal immutable SEED_TIP;

    ComputeState internal _c;

    constructor(IWorkerDispatcher dispatcher_, IBeacon beacon_, ComputeParams memory p)
        WorkAgreement(dispatcher_)
    {
        ComputeQuoteLib.checkParams(p);
        beacon = beacon_;
        (KEY_SECS, SEED_SECS, REVEAL_SECS, OPEN_SECS) = (p.keySecs, p.seedSecs, p.revealSecs, p.openSecs);
        (DRAW_STEP_SECS, DRAW_STEPS, DRAW_FACTOR) = (p.drawStepSecs, p.drawSteps, p.drawFactor);
        (MAX_ATTEMPTS, MAX_STRIKES) = (p.maxAttempts, p.maxStrikes);
        (ABORT_BPS, VANISH_BPS, SEED_TIP) = (p.abortBps, p.vanishBps, p.seedTip);
    }

    /// @inheritdoc IWorkAgreement
    function quote(bytes calldata terms) external view returns (Quote memory) {
        return ComputeQuoteLib.quote(ComputeTermsLib.unpack(terms), SEED_TIP);
    }

    // ------------------------------------------------------------------------------------------------ 1. accept

    /// @inheritdoc IComputeAgreement
    function accept() external {
        _requireStatus(Status.Open);
        ComputeTerms memory t = _terms();
        uint96 reward = _price(t);
        uint96 locked = _workerLock(t, reward);
        address worker = dispatcher.lock(msg.sender, locked);
        require(worker != _client(), ClientCannotWork(worker));
        require(!_c.left[worker], AlreadyTried(worker));
        _requireKey(t, worker);

        _s.worker = worker;
        _c.attempt.reward = reward;
        emit Accepted(worker, _s.attempt, reward, locked);
        if (t.isConfidential()) _setStatus(Status.Keying, block.timestamp + KEY_SECS);
        else _setStatus(Status.Working, block.timestamp + t.workSecs);
    }

    /// @inheritdoc IComputeAgreement
    function cancel() external {
        require(msg.sender == _client(), NotTheClient(msg.sender, _client()));
        require(_s.status == Status.Open, WrongStatus(status(), Status.Open));
        _cancel(Ending.ByClient);
    }

    /// @inheritdoc IComputeAgreement
    function postKey(address worker, bytes calldata sealedKey) external {
        _requireStatus(Status.Keying);
        address client = _client();
        require(
            msg.sender == client || msg.sender == dispatcher.keyAgentOf(client),
            NotTheClient(msg.sender, client)
        );
        // Nobody takes the work twice, so the worker names the attempt too.
        require(worker == _s.worker, WrongWorker(worker, _s.worker));
        require(sealedKey.length <= MAX_KEY_BYTES, KeyTooLong(sealedKey.length, MAX_KEY_BYTES));
        emit KeyPosted(_s.attempt, sealedKey);
        _setStatus(Status.Working, block.timestamp + _terms().workSecs);
    }

    /// @inheritdoc IComputeAgreement
    function abort() external {
        require(
            _s.status == Status.Keying || _s.status == Status.Working, WrongStatus(status(), Status.Working)
        );
        // Who missed the deadline has vanished: the smaller fee of an abort is for those who say so in time.
        require(!_deadlinePassed(), TooLate(block.timestamp, _deadline()));
        _requireWorker();
        _workerLeaves(ABORT_BPS, Verdict.Neutral, Ending.Aborted);
    }

    // ------------------------------------------------------------------------------------------------ 2. seal

    /// @inheritdoc IComputeAgreement
    function sealResult(bytes32 seal_, bytes32 ciphertextRoot, bytes32 resultBlob) external {
        _requireStatus(Status.Working);
        _requireWorker();
        require(seal_ != 0, ZeroSeal());
        uint48 round = beacon.nextRound();
        _c.commitment = SealLib.announcement(seal_, ciphertextRoot, resultBlob);
        (_c.attempt.round, _c.attempt.snapshotEpoch) = (round, dispatcher.epoch());
        emit Sealed(_s.worker, _s.attempt, seal_, ciphertextRoot, resultBlob, round);
        _setStatus(Status.Sealed, block.timestamp + SEED_SECS);
    }

    // ------------------------------------------------------------------------------------------------ 3. draw

    /// @inheritdoc IComputeAgreement
    function openDraw(bytes calldata beaconProof) external {
        _requireStatus(Status.Sealed);
        Attempt memory a = _c.attempt;
        bytes32 seed = DrawLib.drawSeed(beacon.record(a.round, beaconProof), address(this), _s.attempt);
        (uint256 units,) = dispatcher.classAt(_terms().classId, a.snapshotEpoch);
        _c.drawSeed = seed;
        a.classUnits = units > type(uint40).max ? type(uint40).max : uint40(units);
        _c.attempt.classUnits = a.classUnits;
        emit DrawOpened(_s.attempt, seed, a.snapshotEpoch, a.classUnits);
        _setStatus(Status.Drawing, block.timestamp + _drawSecs());
        // Pays whoever brings the draw forward, be the round new to the beacon or not; a device of the worker earns for it.
        if (SEED_TIP != 0) dispatcher.pay(_actsFor(_s.worker) ? _s.worker : msg.sender, SEED_TIP);
    }

    /// @inheritdoc IComputeAgreement
    function claim(uint256 index) external {
        _requireStatus(Status.Drawing);
        ComputeTerms memory t = _terms();
        Attempt memory a = _c.attempt;
        address verifier = dispatcher.lock(msg.sender, _verifierLock(t, a.reward));
        require(verifier != _s.worker && verifier != _client(), WorkerCannotVerify(verifier));
        require(!_c.left[verifier], ExcludedVerifier(verifier));
        _requireKey(t, verifier);

        uint256 tickets = dispatcher.ticketsOf(verifier, t.classId, a.snapshotEpoch);
        require(index < tickets, NoSuchTicket(index, tickets));
        uint256 ticket = DrawLib.ticket(_c.drawSeed, verifier, index);
        uint256 limit = DrawLib.threshold(a.classUnits, uint256(t.verifiers) * DRAW_FACTOR, _drawStep());
        require(ticket < limit, TicketTooHigh(ticket, limit));

        address displaced = _takeSlot(verifier, uint80(ticket >> 176), t.verifiers);
        emit Claimed(verifier, uint80(ticket >> 176), displaced);
        if (displaced != address(0)) dispatcher.release(displaced, 0, Verdict.Neutral);
        if (a.closesAt == 0 && _c.slotCount == t.verifiers) {
            // The end of the present step, and never behind the deadline: `expire` would call a full draw too small.
            uint256 end = block.timestamp + DRAW_STEP_SECS - (block.timestamp - _drawStart()) % DRAW_STEP_SECS;
            _c.attempt.closesAt = end < _s.deadline ? uint40(end) : _s.deadline;
        }
    }

    /// @inheritdoc IWorkAgreement
    function provideVerification(bytes32 verdict) external {
        _closeWindow();
        _requireStatus(Status.Verifying);
        require(verdict != 0, ZeroSeal());
        (uint256 i, address verifier) = _requireVerifier();
        require(_c.slots[i].seal == 0, AlreadySealed(verifier));

        _c.slots[i].seal = verdict;
        uint8 sealedCount = ++_s.sealedCount;
        emit VerifierSealed(verifier, verdict);
        if (sealedCount == _c.slotCount) _setStatus(Status.Revealing, block.timestamp + REVEAL_SECS);
    }

    /// @inheritdoc IComputeAgreement
    function decline(uint16 reason) external {
        // Not before the window has closed: a strike is for who was drawn, not for whoever claims and leaves.
        _requireStatus(Status.Verifying);
        (uint256 i, address verifier) = _requireVerifier();
        require(_c.slots[i].seal == 0, AlreadySealed(verifier));
        _verifierLeaves(i, 0, reason);
        _drawAgain();
    }

    // ------------------------------------------------------------------------------------------------ 4. reveal

    /// @inheritdoc IComputeAgreement
    function reveal(WorkerOpening calldata opening) external {
        _reveal(opening);
    }

    /// @inheritdoc IComputeAgreement
    function openVerification(
        VerifierOpening calldata opening,
        bytes32 root,
        uint32[] calldata leaves,
        bytes32[] calldata digests
    ) external {
        _requireStatus(Status.Opening);
        OpeningLib.checkRevealed(_c, root, leaves, digests);
        _open(opening, leaves, digests);
        if (_s.openedCount == _c.slotCount) _settle();
    }

    /// @inheritdoc IComputeAgreement
    function settleAll(WorkerOpening calldata worker, VerifierOpening[] calldata verifiers) external {
        _reveal(worker);
        for (uint256 i = 0; i < verifiers.length; ++i) {
            _open(verifiers[i], worker.leaves, worker.digests);
        }
        if (_s.openedCount == _c.slotCount) _settle();
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IWorkAgreement
    function status() public view override(WorkAgreement, IWorkAgreement) returns (Status) {
        Status stored = _s.status;
        if (stored == Status.Drawing && _windowClosed()) return Status.Verifying;
        return stored;
    }

    /// @inheritdoc IComputeAgreement
    function boundTerms() external view returns (BoundTerms memory) {
        return ComputeTermsLib.unpackBound(LibClone.argsOnClone(address(this)));
    }

    /// @inheritdoc IComputeAgreement
    function agreement() external view returns (AgreementView memory v) {
        Base memory s = _s;
        Attempt memory a = _c.attempt;
        (v.status, v.ending, v.attempt, v.strikes) = (status(), s.ending, s.attempt, s.strikes);
        (v.sealedCount, v.openedCount, v.worker) = (s.sealedCount, s.openedCount, s.worker);
        v.deadline = uint40(_deadline());
        v.reward = s.status == Status.Open ? _price(_terms()) : a.reward;
        (v.round, v.snapshotEpoch, v.closesAt, v.classUnits) =
        (a.round, a.snapshotEpoch, a.closesAt, a.classUnits);
        (v.drawSeed, v.commitment) = (_c.drawSeed, _c.commitment);
        v.slots = new Slot[](_c.slotCount);
        for (uint256 i = 0; i < v.slots.length; ++i) {
            StoredSlot memory slot = _c.slots[i];
            uint32 mask = slot.dissents ? _c.dissents[slot.verifier].mask : 0;
            v.slots[i] = Slot(slot.verifier, slot.ticket, slot.opened, slot.seal, mask);
        }
    }

    /// @inheritdoc IComputeAgreement
    function params() external view returns (ComputeParams memory) {
        return ComputeParams({
            keySecs: KEY_SECS,
            seedSecs: SEED_SECS,
            drawStepSecs: DRAW_STEP_SECS,
            drawSteps: DRAW_STEPS,
            drawFactor: DRAW_FACTOR,
            revealSecs: REVEAL_SECS,
            openSecs: OPEN_SECS,
            maxAttempts: MAX_ATTEMPTS,
            maxStrikes: MAX_STRIKES,
            abortBps: ABORT_BPS,
            vanishBps: VANISH_BPS,
            seedTip: SEED_TIP
        });
    }

    /// @inheritdoc IComputeAgreement
    function workerLock(uint96 reward) external view returns (uint96) {
        return _workerLock(_terms(), reward);
    }

    /// @inheritdoc IComputeAgreement
    function verifierLock(uint96 reward) external view returns (uint96) {
        return _verifierLock(_terms(), reward);
    }

    /// @inheritdoc IComputeAgreement
    function sampledLeaves(address verifier) external view returns (uint32[] memory) {
        return _c.drawSeed == 0 ? new uint32[](0) : _samples(_terms(), verifier);
    }

    /// @inheritdoc IComputeAgreement
    function ticketThreshold() external view returns (uint256) {
        return
            DrawLib.threshold(_c.attempt.classUnits, uint256(_terms().verifiers) * DRAW_FACTOR, _drawStep());
    }

    // ------------------------------------------------------------------------------------------------ dead ends

    /// @inheritdoc WorkAgreement
    function _expire() internal override {
        _closeWindow();
        Status now_ = _s.status;
        if (now_ == Status.Open) _cancel(Ending.NoWorker);
        else if (now_ == Status.Keying) _cancel(Ending.NoKey);
        else if (now_ == Status.Working) _workerLeaves(VANISH_BPS, Verdict.Lost, Ending.WorkerVanished);
        else if (now_ == Status.Sealed) _cancel(Ending.NoBeacon);
        else if (now_ == Status.Drawing) _cancel(Ending.TooFewVerifiers);
        else if (now_ == Status.Verifying) _dropVanished();
        else if (now_ == Status.Revealing) _cancel(Ending.WorkerSilent);
        else _settle();
    }

    /// @inheritdoc WorkAgreement
    function _deadline() internal view override returns (uint256) {
        Base memory s = _s;
        if (s.status == Status.Drawing && _windowClosed()) {
            return uint256(_c.attempt.closesAt) + _terms().verifySecs;
        }
        if (s.status == Status.Open && s.deadline == 0) {
            BoundTerms memory b = ComputeTermsLib.unpackBound(LibClone.argsOnClone(address(this)));
            return uint256(b.boughtAt) + b.terms.acceptSecs;
        }
        return s.deadline;
    }

    /// @dev Ends without a result. Nothing was readable, so the payers get all back and every lock is freed, but for a
    /// worker that does not open its seal.
    function _cancel(Ending how) private {
        address worker = _s.worker;
        uint256 count = _c.slotCount;
        Party[] memory parties = new Party[](worker == address(0) ? 0 : count + 1);
        uint256 burned = 0;
        uint256 verifierPay = 0;
        if (how == Ending.WorkerSilent) {
            ComputeTerms memory t = _terms();
            uint256 slash = _workerLock(t, _c.attempt.reward);
            uint256 toInjured;
            (toInjured,, burned) = SettlementLib.split(slash, uint256(t.verifierFee) * count);
            verifierPay = toInjured / count;
            // What does not divide is burned as well.
            burned += toInjured - verifierPay * count;
            parties[0].slash = uint96(slash);
            parties[0].verdict = Verdict.Lost;
        }
        if (worker != address(0)) parties[0].worker = worker;
        for (uint256 i = 0; i + 1 < parties.length; ++i) {
            (parties[i + 1].worker, parties[i + 1].pay) = (_c.slots[i].verifier, uint96(verifierPay));
        }
        _end(Status.Cancelled, how);
        dispatcher.close(parties, uint96(burned), _client());
    }

    /// @dev The worker is gone before its seal: it pays, and the work is offered again at the price it had.
    function _workerLeaves(uint16 bps, Verdict verdict, Ending last) private {
        address worker = _s.worker;
        ComputeTerms memory t = _terms();
        uint96 slash = uint96(SettlementLib.penalty(_workerLock(t, _c.attempt.reward), bps));
        _c.left[worker] = true;
        emit WorkerLeft(worker, _s.attempt, slash);
        _s.worker = address(0);
        // Who aborts confidential work may have been given a useless key, which nobody can prove: the client gains nothing.
        _penalise(worker, slash, verdict, last == Ending.Aborted && t.isConfidential());
        if (_s.attempt + 1 >= MAX_ATTEMPTS) {
            _cancel(last);
        } else {
            ++_s.attempt;
            _setStatus(Status.Open, block.timestamp + t.acceptSecs);
        }
    }

    /// @dev Verifiers that claimed and did not seal pay and are drawn anew.
    function _dropVanished() private {
        uint96 slash = uint96(SettlementLib.penalty(_verifierLock(_terms(), _c.attempt.reward), VANISH_BPS));
        for (uint256 i = _c.slotCount; i != 0; --i) {
            if (_c.slots[i - 1].seal == 0) _verifierLeaves(i - 1, slash, 0);
        }
        _drawAgain();
    }

    function _verifierLeaves(uint256 i, uint96 slash, uint16 reason) private {
        address verifier = _c.slots[i].verifier;
        uint8 last = _c.slotCount - 1;
        if (i != last) _c.slots[i] = _c.slots[last];
        delete _c.slots[last];
        _c.slotCount = last;
        _c.left[verifier] = true;
        ++_s.strikes;
        emit VerifierLeft(verifier, reason, slash);
        _penalise(verifier, slash, slash == 0 ? Verdict.Neutral : Verdict.Lost, false);
    }

    /// @dev Another window for the free slots, or the end of it.
    function _drawAgain() private {
        if (_s.strikes >= MAX_STRIKES) return _cancel(Ending.VerifiersGone);
        _c.attempt.closesAt = 0;
        _setStatus(Status.Drawing, block.timestamp + _drawSecs());
    }

    /// @dev Frees a lock; of a slash one half is burned (rounded up), the other stays in the escrow for the client, unless all
    /// of it is to be burned.
    function _penalise(address party, uint96 slash, Verdict verdict, bool burnAll) private {
        dispatcher.release(party, slash, verdict);
        uint256 burned = slash;
        if (!burnAll) (,, burned) = SettlementLib.split(slash, 0);
        if (burned != 0) dispatcher.burn(uint96(burned));
    }

    // ------------------------------------------------------------------------------------------------ draw

    /// @dev Puts the verifier into a free slot, or in place of the highest ticket that has not sealed.
    function _takeSlot(address verifier, uint80 ticket, uint256 slots) private returns (address displaced) {
        uint256 count = _c.slotCount;
        uint256 target = count;
        uint256 highest = 0;
        for (uint256 i = 0; i < count; ++i) {
            StoredSlot memory slot = _c.slots[i];
            require(slot.verifier != verifier, AlreadyClaimed(verifier));
            if (count == slots && slot.seal == 0 && slot.ticket >= highest) {
                (target, highest) = (i, slot.ticket);
            }
        }
        if (count < slots) {
            _c.slotCount = uint8(count + 1);
        } else {
            require(ticket < highest, TicketTooHigh(ticket, highest));
            displaced = _c.slots[target].verifier;
        }
        StoredSlot storage taken = _c.slots[target];
        (taken.verifier, taken.ticket) = (verifier, ticket);
    }

    /// @dev Writes down that the claim window has closed by time.
    function _closeWindow() private {
        if (_s.status == Status.Drawing && _windowClosed()) _setStatus(Status.Verifying, _deadline());
    }

    function _windowClosed() private view returns (bool) {
        uint256 closesAt = _c.attempt.closesAt;
        return closesAt != 0 && block.timestamp >= closesAt;
    }

    function _drawSecs() private view returns (uint256) {
        return uint256(DRAW_STEPS) * DRAW_STEP_SECS;
    }

    function _drawStart() private view returns (uint256) {
        return _s.deadline - _drawSecs();
    }

    /// @dev A later window goes on widening where the first one stood: who remains has the higher tickets.
    function _drawStep() private view returns (uint256) {
        uint256 step = (block.timestamp - _drawStart()) / DRAW_STEP_SECS;
        return _s.strikes == 0 ? step : step + DRAW_STEPS;
    }

    // ------------------------------------------------------------------------------------------------ openings

    function _reveal(WorkerOpening calldata o) private {
        _requireStatus(Status.Revealing);
        OpeningLib.reveal(_c, o, _s.attempt, _s.worker);
        _setStatus(Status.Opening, block.timestamp + OPEN_SECS);
    }

    function _open(VerifierOpening calldata o, uint32[] calldata leaves, bytes32[] calldata digests) private {
        OpeningLib.open(_c, _slotOf(o.verifier), o, leaves, digests, _s.attempt);
        ++_s.openedCount;
    }

    // ------------------------------------------------------------------------------------------------ 7. settle

    /// @dev Pays by what was opened; who sealed and did not open counts as having lost.
    function _settle() private {
        ComputeTerms memory t = _terms();
        uint256 count = _c.slotCount;
        SettleInput memory input;
        (input.escrow,) = dispatcher.escrowOf(address(this));
        (input.reward, input.verifierFee) = (_c.attempt.reward, t.verifierFee);
        input.workerLock = _workerLock(t, _c.attempt.reward);
        input.verifierLock = _verifierLock(t, _c.attempt.reward);
        (input.ending, input.votes) = _count(t, count);
        SettleOutput memory out = SettlementLib.settle(input);

        Party[] memory parties = new Party[](count + 1);
        parties[0] =
            Party(_s.worker, uint96(out.workerPay), uint96(out.workerSlash), _workerVerdict(input.ending));
        for (uint256 i = 0; i < count; ++i) {
            Verdict verdict = input.votes[i] != Vote.Honest
                ? Verdict.Lost
                : input.ending == Ending.Undecided ? Verdict.Neutral : Verdict.Kept;
            parties[i + 1] = Party(
                _c.slots[i].verifier, uint96(out.verifierPay[i]), uint96(out.verifierSlash[i]), verdict
            );
        }
        _end(Status.Settled, input.ending);
        dispatcher.close(parties, uint96(out.burned), _client());
    }

    /// @dev Unanimity needs no count; only dissent pays for one.
    function _count(ComputeTerms memory t, uint256 count) private view returns (Ending, Vote[] memory) {
        Vote[] memory votes = new Vote[](count);
        for (uint256 i = 0; i < count; ++i) {
            StoredSlot memory slot = _c.slots[i];
            if (slot.dissents) return VoteLib.count(_c, t, dispatcher, _s.worker);
            if (!slot.opened) votes[i] = Vote.Silent;
        }
        return (Ending.Verified, votes);
    }

    function _workerVerdict(Ending ending_) private pure returns (Verdict) {
        if (ending_ == Ending.Verified) return Verdict.Kept;
        return ending_ == Ending.Refuted ? Verdict.Lost : Verdict.Neutral;
    }

    // ------------------------------------------------------------------------------------------------ small things

    function _terms() private view returns (ComputeTerms memory) {
        return ComputeTermsLib.unpackBound(LibClone.argsOnClone(address(this))).terms;
    }

    /// @dev Linear from the price that the offer had to the maximum, rounded down: for the client.
    function _price(ComputeTerms memory t) private view returns (uint96) {
        uint256 start = _c.attempt.reward == 0 ? t.rewardMin : _c.attempt.reward;
        uint256 deadline = _deadline();
        uint256 left = block.timestamp >= deadline ? 0 : deadline - block.timestamp;
        return uint96(start + (t.rewardMax - start) * (t.acceptSecs - left) / t.acceptSecs);
    }

    function _workerLock(ComputeTerms memory t, uint256 reward) private pure returns (uint96) {
        return uint96(SettlementLib.workerLock(reward, t.verifierFee, t.samples, t.verifiers));
    }

    function _verifierLock(ComputeTerms memory t, uint256 reward) private pure returns (uint96) {
        return uint96(SettlementLib.verifierLock(reward, t.verifierFee, t.verifiers));
    }

    function _samples(ComputeTerms memory t, address verifier) private view returns (uint32[] memory) {
        return DrawLib.sampledLeaves(_c.drawSeed, verifier, t.leafCount, t.samples);
    }

    /// @dev The session key of confidential work cannot be sealed to who published no key: it would only hold the work up.
    function _requireKey(ComputeTerms memory t, address party) private view {
        require(!t.isConfidential() || dispatcher.encryptionKeyOf(party) != 0, NoEncryptionKey(party));
    }

    function _requireWorker() private view {
        require(_actsFor(_s.worker), NotTheWorker(msg.sender, _s.worker));
    }

    /// @dev The owner account, or the device that locked the stake: another device of the same worker could lose more here
    /// than its own limit.
    function _actsFor(address worker) private view returns (bool) {
        if (msg.sender == worker) return true;
        (, address device) = dispatcher.lockOf(address(this), worker);
        return msg.sender == device;
    }

    function _requireVerifier() private view returns (uint256 index, address verifier) {
        verifier = dispatcher.workerOf(msg.sender);
        index = _slotOf(verifier);
        require(_actsFor(verifier), NotAVerifier(msg.sender));
    }

    function _slotOf(address verifier) private view returns (uint256) {
        for (uint256 i = 0; i < _c.slotCount; ++i) {
            if (_c.slots[i].verifier == verifier) return i;
        }
        revert NotAVerifier(verifier);
    }
}
