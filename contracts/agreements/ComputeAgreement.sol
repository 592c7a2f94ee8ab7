// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement, VerifierOpening, WorkerOpening} from "../interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../interfaces/IWorkAgreement.sol";
import {SealLib} from "../libraries/SealLib.sol";
import {Draw, StoredSlot} from "../types/ComputeState.sol";
import {ComputeTerms} from "../types/ComputeTerms.sol";
import {Status} from "../types/Status.sol";
import {ComputeExtension} from "./compute/ComputeExtension.sol";
import {ComputeSteps} from "./compute/ComputeSteps.sol";

/// @title ComputeAgreement
/// @notice A bag of tasks, verified by proof of contribution. docs/PROTOCOL.md tells the protocol, types/Status.sol draws the
/// states. This file holds the steps of the honest path in their order, where gas is spent on every task; all else
/// (`IComputeAgreement` is the whole) is in `ComputeExtension`, which runs in this contract's place.
/// @dev The dispatcher is trusted code and calls nothing of a party's, so its calls may come before effects. Steps that
/// open seals are not bound to the sender: whoever carries an opening, its content decides.
contract ComputeAgreement is ComputeSteps {
    /// @dev Of `location`, which is for people.
    uint256 internal constant MAX_LOCATION_BYTES = 128;

    /// @notice Where calls go that this contract does not know.
    address public immutable extension;

    /// @dev Takes the parameters from the extension, so that both halves have the same.
    constructor(ComputeExtension extension_)
        ComputeSteps(
            extension_.dispatcher(),
            extension_.beacon(),
            extension_.energyLedger(),
            IComputeAgreement(address(extension_)).params()
        )
    {
        extension = address(extension_);
    }

    // ------------------------------------------------------------------------------------------------ 1. accept

    /// @notice See IComputeAgreement.
    function accept() external {
        _accept(msg.sender, false);
    }

    /// @notice See IWorkAgreement.
    function acceptFor(address actor) external onlyDispatcher {
        _accept(actor, false);
    }

    // ------------------------------------------------------------------------------------------------ 2. seal

    /// @notice See IComputeAgreement.
    function sealResult(bytes32 seal_, bytes32 ciphertextRoot, bytes32 resultBlob, bytes calldata location)
        external
    {
        _requireStatus(Status.Working);
        _requireWorker();
        uint256 level = _terms().trustLevel;
        require(level == 1, IComputeAgreement.WrongLevel(level, 1));
        require(seal_ != 0, IComputeAgreement.ZeroSeal());
        require(
            location.length <= MAX_LOCATION_BYTES,
            IComputeAgreement.LocationTooLong(location.length, MAX_LOCATION_BYTES)
        );
        uint48 round = beacon.nextRound();
        _c.commitment = SealLib.announcement(seal_, ciphertextRoot, resultBlob);
        (_c.draw.roundOrSeed, _c.draw.snapshotEpoch) = (round, _epochAt(block.timestamp));
        emit IComputeAgreement.Sealed(
            _s.worker, _s.attempt, seal_, ciphertextRoot, resultBlob, round, location
        );
        _setStatus(Status.Sealed, block.timestamp + SEED_SECS);
    }

    /// @notice See IComputeAgreement.
    function submitResult(bytes32 root, bytes32 salt, bytes32 ciphertextRoot, bytes32 resultBlob) external {
        _requireStatus(Status.Working);
        _requireWorker();
        ComputeTerms memory t = _terms();
        require(t.trustLevel == 0, IComputeAgreement.WrongLevel(t.trustLevel, 0));
        (uint32[] memory leaves, bytes32[] memory digests) = (new uint32[](0), new bytes32[](0));
        _c.commitment = SealLib.revealedHash(root, keccak256(""), keccak256(""));
        emit IComputeAgreement.Revealed(_s.worker, root, salt, ciphertextRoot, resultBlob, leaves, digests);
        _setStatus(Status.Disputable, block.timestamp + t.disputeSecs);
    }

    /// @notice See IComputeAgreement.
    function acceptResult() external {
        ComputeTerms memory t = _terms();
        if (t.trustLevel != 0) return _run(extension, msg.data);
        _requireStatus(Status.Disputable);
        address client_ = _client();
        require(msg.sender == client_, IComputeAgreement.NotTheClient(msg.sender, client_));
        _settleVerified(t);
    }

    // ------------------------------------------------------------------------------------------------ 3. draw

    /// @notice See IComputeAgreement.
    function claim(uint256 index) external {
        _claim(index, 0);
    }

    /// @notice See IComputeAgreement.
    function claimAndSeal(uint256 index, bytes32 verdict) external {
        require(verdict != 0, IComputeAgreement.ZeroSeal());
        _claim(index, verdict);
    }

    /// @notice See IWorkAgreement.
    function provideVerification(bytes32 verdict) external {
        _closeWindow();
        _requireStatus(Status.Verifying);
        require(verdict != 0, IComputeAgreement.ZeroSeal());
        (uint256 i, StoredSlot memory slot) = _requireVerifier();
        require(slot.seal == 0, IComputeAgreement.AlreadySealed(slot.verifier));

        _c.slots[i].seal = verdict;
        Base memory s = _s;
        ++s.sealedCount;
        emit IComputeAgreement.VerifierSealed(slot.verifier, verdict);
        if (s.sealedCount == s.slotCount - _firstSlot()) _afterLastSeal(s);
        else _s.sealedCount = s.sealedCount;
    }

    // ------------------------------------------------------------------------------------------------ 4. reveal

    /// @notice See IComputeAgreement.
    function reveal(WorkerOpening calldata opening) external {
        _reveal(opening);
    }

    /// @notice See IComputeAgreement.
    function openVerification(
        VerifierOpening calldata opening,
        bytes32 root,
        uint32[] calldata leaves,
        bytes32[] calldata digests
    ) external {
        _requireStatus(Status.Opening);
        Draw memory d = _c.draw;
        require(d.voteRound == 0, IComputeAgreement.WrongRound(d.voteRound, 0));
        bytes32 found = SealLib.revealed(root, leaves, digests);
        require(found == _c.commitment, IComputeAgreement.SealMismatch(found, _c.commitment));
        _open(opening, leaves, digests);
        if (_canDecide()) _run(extension, abi.encodeCall(IComputeAgreement.decide, ()));
    }

    /// @notice See IComputeAgreement.
    function settleAll(WorkerOpening calldata worker, VerifierOpening[] calldata verifiers) external {
        ComputeTerms memory t = _terms();
        if (_isUnanimous(t, worker, verifiers)) {
            // That all verifiers opened the same is what Verified without an Opened event says.
            _emitRevealed(worker);
            if (t.callback != address(0)) {
                _c.commitment = SealLib.revealed(worker.root, worker.leaves, worker.digests);
            }
            return _settleVerified(t);
        }
        _reveal(worker);
        for (uint256 i = 0; i < verifiers.length; ++i) {
            _open(verifiers[i], worker.leaves, worker.digests);
        }
        if (_canDecide()) _run(extension, abi.encodeCall(IComputeAgreement.decide, ()));
    }

    // ------------------------------------------------------------------------------------------------ 7. settled

    /// @notice See IWorkAgreement.
    function redeemPayment(address party) external returns (uint256 amount) {
        if (!_isFinal() && _deadlinePassed()) _expire();
        return dispatcher.withdraw(dispatcher.payoutOf(party));
    }

    /// @notice See IWorkAgreement.
    function status() external view returns (Status now_) {
        (now_,) = _now();
    }

    // ------------------------------------------------------------------------------------------------ the other half

    fallback() external {
        _delegate(extension);
    }

    /// @dev A deadline that has passed is the extension's matter.
    function _expire() private {
        _run(extension, abi.encodeCall(IWorkAgreement.expire, ()));
    }
}
