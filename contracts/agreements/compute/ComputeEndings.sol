// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IBeacon} from "../../interfaces/IBeacon.sol";
import {ComputeParams, IComputeAgreement} from "../../interfaces/IComputeAgreement.sol";
import {IEnergyLedger} from "../../interfaces/IEnergyLedger.sol";
import {IWorkAgreement} from "../../interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher, Verdict} from "../../interfaces/IWorkerDispatcher.sol";
import {ComputeQuoteLib} from "../../libraries/ComputeQuoteLib.sol";
import {StoredSlot} from "../../types/ComputeState.sol";
import {Ending, Status} from "../../types/Status.sol";
import {ComputeDeadEnds} from "./ComputeDeadEnds.sol";
import {ComputeSteps} from "./ComputeSteps.sol";

/// @title ComputeEndings
/// @notice Steps that lead off the honest path or end an agreement otherwise than in unanimity: dead ends, dissent, disputes.
/// @dev The last in the line from `ComputeAgreement` over `ComputeExtension`: a call that none of them knows reverts here.
contract ComputeEndings is ComputeDeadEnds {
    constructor(
        IWorkerDispatcher dispatcher_,
        IBeacon beacon_,
        IEnergyLedger energyLedger_,
        ComputeParams memory p
    ) ComputeSteps(dispatcher_, beacon_, energyLedger_, p) {
        ComputeQuoteLib.checkParams(p);
    }

    /// @notice See IComputeAgreement.
    function cancel() external {
        address client_ = _client();
        require(msg.sender == client_, IComputeAgreement.NotTheClient(msg.sender, client_));
        (Status now_,) = _now();
        require(now_ == Status.Open, IWorkAgreement.WrongStatus(now_, Status.Open));
        _cancel(Ending.ByClient);
    }

    /// @notice See IComputeAgreement.
    function abort() external {
        (Status now_, uint256 deadline) = _now();
        require(
            now_ == Status.Keying || now_ == Status.Working, IWorkAgreement.WrongStatus(now_, Status.Working)
        );
        // Who missed the deadline has vanished: the smaller fee of an abort is for those who say so in time.
        require(block.timestamp <= deadline, IWorkAgreement.TooLate(block.timestamp, deadline));
        _requireWorker();
        _workerLeaves(ABORT_BPS, Verdict.Neutral, Ending.Aborted);
    }

    /// @notice See IComputeAgreement.
    function decline(uint16 reason) external {
        _closeWindow();
        // Not before the window has closed: a strike is for who was drawn, not for whoever claims and leaves.
        _requireStatus(Status.Verifying);
        (uint256 i, StoredSlot memory slot) = _requireVerifier();
        require(slot.seal == 0, IComputeAgreement.AlreadySealed(slot.verifier));
        _verifierLeaves(_terms(), i, 0, reason);
        _drawAgain();
    }

    /// @notice Level 1: ends the window for disputes. `ComputeAgreement` has checked that the client asks for it.
    function acceptResult() external {
        _requireStatus(Status.Disputable);
        address client_ = _client();
        require(msg.sender == client_, IComputeAgreement.NotTheClient(msg.sender, client_));
        require(_c.disputeCount == 0, IComputeAgreement.AlreadyDisputed(_c.disputes[0].leaf));
        _settleUndisputed();
    }

    /// @notice See IWorkAgreement.
    function expire() external {
        (Status now_, uint256 deadline) = _now();
        require(!_isFinal(), IWorkAgreement.WrongStatus(now_, Status.Open));
        require(block.timestamp > deadline, IWorkAgreement.NotYetExpired(block.timestamp, deadline));
        _expire();
    }

    /// @notice See IComputeAgreement.
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
            seedTip: SEED_TIP,
            auditOneIn: AUDIT_ONE_IN
        });
    }
}
