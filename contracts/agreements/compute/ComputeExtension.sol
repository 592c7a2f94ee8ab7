// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement, Result, RevealedRoot} from "../../interfaces/IComputeAgreement.sol";
import {IWorkAgreement, Quote} from "../../interfaces/IWorkAgreement.sol";
import {ComputeQuoteLib} from "../../libraries/ComputeQuoteLib.sol";
import {DeliverLib} from "../../libraries/DeliverLib.sol";
import {PoolLib} from "../../libraries/PoolLib.sol";
import {Draw} from "../../types/ComputeState.sol";
import {ComputeTerms, ComputeTermsLib} from "../../types/ComputeTerms.sol";
import {Ending, Status} from "../../types/Status.sol";
import {ComputeFunding} from "./ComputeFunding.sol";
import {ComputeLate} from "./ComputeLate.sol";
import {ComputeSteps} from "./ComputeSteps.sol";
import {ComputeViews} from "./ComputeViews.sol";

/// @title ComputeExtension
/// @notice Steps of a compute agreement that not every task takes, and all that readers ask: `ComputeAgreement` hands them on,
/// and they run in its place, with its storage and terms. By itself it is no agreement and does nothing.
contract ComputeExtension is ComputeViews, ComputeFunding {
    using ComputeTermsLib for ComputeTerms;

    /// @dev Of an envelope. HPKE of a session key takes 81; the rest is room for another format.
    uint256 internal constant MAX_KEY_BYTES = 256;

    /// @notice Where calls go that this contract does not know.
    ComputeLate public immutable late;

    /// @dev Takes the parameters from the next in line, so that all parts have the same.
    constructor(ComputeLate late_)
        ComputeSteps(
            late_.dispatcher(),
            late_.beacon(),
            late_.energyLedger(),
            IComputeAgreement(address(late_)).params()
        )
    {
        late = late_;
    }

    /// @notice See IWorkAgreement.
    function quote(bytes calldata terms) external view returns (Quote memory) {
        ComputeTerms memory t = ComputeTermsLib.unpack(terms);
        if (t.flags & ComputeTermsLib.FLAG_CALLBACK != 0) {
            DeliverLib.checkOffer(dispatcher, t.callback, t.callbackGas);
        }
        require(
            t.flags & ComputeTermsLib.FLAG_GREEN == 0 || address(energyLedger) != address(0),
            IComputeAgreement.NoEnergyLedger()
        );
        return ComputeQuoteLib.quote(t, _budget(t));
    }

    // ------------------------------------------------------------------------------------------------ before the seal

    /// @notice See IComputeAgreement.
    function acceptPlaced(uint40 expiry, bytes calldata signature) external {
        ComputeTerms memory t = _terms();
        address worker = dispatcher.workerOf(msg.sender);
        require(t.flags & ComputeTermsLib.FLAG_POOL != 0, IComputeAgreement.NotPlaced(worker, t.named));
        PoolLib.requirePlaced(address(dispatcher), t.named, address(this), worker, expiry, signature);
        _accept(msg.sender, true);
    }

    /// @notice See IComputeAgreement.
    function postKey(address worker, bytes calldata sealedKey) external {
        _requireStatus(Status.Keying);
        address client_ = _client();
        require(
            msg.sender == client_ || msg.sender == dispatcher.keyAgentOf(client_),
            IComputeAgreement.NotTheClient(msg.sender, client_)
        );
        // Nobody takes the work twice, so the worker names the attempt too.
        require(worker == _s.worker, IComputeAgreement.WrongWorker(worker, _s.worker));
        require(
            sealedKey.length <= MAX_KEY_BYTES, IComputeAgreement.KeyTooLong(sealedKey.length, MAX_KEY_BYTES)
        );
        emit IComputeAgreement.KeyPosted(_s.attempt, sealedKey);
        _setStatus(Status.Working, block.timestamp + _terms().workSecs);
    }

    // ------------------------------------------------------------------------------------------------ after the seal

    /// @notice See IComputeAgreement.
    function openDraw(bytes calldata beaconProof) external {
        _requireStatus(Status.Sealed);
        Draw memory d = _c.draw;
        ComputeTerms memory t = _terms();
        uint48 round = uint48(d.roundOrSeed);
        bool recorded = beacon.seedOf(round) != 0;
        if (!recorded) beacon.record(round, beaconProof);
        _startDraw(d, t, _newSeed(d, _s.attempt));
        // The tip is for who records a round, once in an agreement; a device of the worker earns for it.
        bool first = d.voteRound == (t.trustLevel == 0 ? 1 : 0);
        if (recorded || !first || SEED_TIP == 0) return;
        dispatcher.pay(_actsFor(_s.worker) ? _s.worker : msg.sender, SEED_TIP);
    }

    // ------------------------------------------------------------------------------------------------ after the end

    /// @notice See IComputeAgreement.
    function refundContribution(address payer) external returns (uint96 amount) {
        require(_isFinal(), IWorkAgreement.WrongStatus(_s.status, Status.Settled));
        uint96 paid = _c.contributions[payer];
        require(paid != 0, IComputeAgreement.NothingToRefund(payer));
        // Of what is left by those before: the last one gets all of the rest, so that no rounding strands a unit.
        amount = uint96(uint256(_c.extra.refund) * paid / (_c.extra.total - _c.extra.settled));
        _c.contributions[payer] = 0;
        _c.extra.refund -= amount;
        _c.extra.settled += paid;
        emit IComputeAgreement.ContributionRefunded(payer, amount);
        if (amount != 0) dispatcher.pay(payer, amount);
    }

    /// @notice See IComputeAgreement.
    function deliver(Result calldata result, RevealedRoot calldata revealed) external returns (bool ok) {
        require(_ending() == Ending.Verified, IComputeAgreement.NotVerified(_ending()));
        ComputeTerms memory t = _terms();
        require(t.callback != address(0), IComputeAgreement.NoCallback());
        _requireRevealed(revealed);
        bytes32 root = DeliverLib.resultRoot(
            result.leaf,
            t.leafCount,
            result.fileName,
            result.content,
            t.isConfidential(),
            result.blindKey,
            result.proof
        );
        require(root == revealed.root, IComputeAgreement.ProofInvalid(root, revealed.root));
        ok = DeliverLib.deliver(
            _c.deliveries, dispatcher, t.callback, t.callbackGas, result.leaf, result.content
        );
        emit IComputeAgreement.Delivered(result.leaf, ok);
    }

    // ------------------------------------------------------------------------------------------------ the rest

    fallback() external {
        _delegate(address(late));
    }
}
