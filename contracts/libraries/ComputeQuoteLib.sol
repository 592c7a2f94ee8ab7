// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ComputeParams, IComputeAgreement} from "../interfaces/IComputeAgreement.sol";
import {Quote} from "../interfaces/IWorkAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../types/ComputeTerms.sol";
import {CredibilityLib} from "./CredibilityLib.sol";
import {SettlementLib} from "./SettlementLib.sol";

/// @title ComputeQuoteLib
/// @notice Which terms can be bought, and what they need. A refusal names the field, what it is, and the range.
/// @dev Deployed apart and linked, so that the agreement stays below the size limit.
library ComputeQuoteLib {
    using ComputeTermsLib for ComputeTerms;

    uint256 internal constant MAX_VERIFIERS = 8;
    uint256 internal constant MAX_SAMPLES = 32;
    /// @dev Keeps the worst reveal and settlement far below the 2^24 gas of a transaction (EIP-7825).
    uint256 internal constant MAX_TOTAL_SAMPLES = 64;
    uint256 internal constant MAX_LEAVES = 1 << 20;
    /// @dev The largest lock, a reward and 17 fees, must fit the 88 bits of a stake.
    uint256 internal constant MAX_AMOUNT = 1 << 80;
    uint256 internal constant MAX_SECS = type(uint24).max;

    /// @param budget What the client pays in.
    function quote(ComputeTerms memory t, uint256 budget) internal pure returns (Quote memory q) {
        _range("trustLevel", t.trustLevel, 0, 1);
        _range("flags", t.flags, 0, ComputeTermsLib.ALL_FLAGS);
        uint8 both = ComputeTermsLib.FLAG_NAMED | ComputeTermsLib.FLAG_POOL;
        _range("flags: worker or pool", t.flags & both, 0, both - 1);
        if (t.flags & both != 0) _range("named", uint160(t.named), 1, type(uint160).max);
        _range("rewardMin", t.rewardMin, 1, MAX_AMOUNT);
        _range("rewardMax", t.rewardMax, t.rewardMin, MAX_AMOUNT);
        // The bond of a rejection is made of fees.
        _range("verifierFee", t.verifierFee, t.trustLevel == 0 ? 1 : 0, MAX_AMOUNT);
        _range("leafCount", t.leafCount, 1, MAX_LEAVES);
        _range("verifiers", t.verifiers, 1, MAX_VERIFIERS);
        _range("samples", t.samples, 1, MAX_SAMPLES);
        _range("verifiers * samples", uint256(t.verifiers) * t.samples, 1, MAX_TOTAL_SAMPLES);
        _range("acceptSecs", t.acceptSecs, 1, MAX_SECS);
        _range("workSecs", t.workSecs, 1, MAX_SECS);
        _range("verifySecs", t.verifySecs, 1, MAX_SECS);
        _range("disputeSecs", t.disputeSecs, t.trustLevel == 0 ? 1 : 0, MAX_SECS);
        uint256 reachable = CredibilityLib.reachableTrust(t.verifiers);
        _range("trust", t.trust, 2, type(uint16).max);
        require(t.trust <= reachable, IComputeAgreement.TrustUnreachable(t.trust, reachable));

        q.budget = uint96(budget);
        q.classId = t.classId;
        q.workers = uint16(t.verifiers) + 1;
        q.stake = SettlementLib.workerLock(t.rewardMax, t.verifierFee, t.samples, t.verifiers) + t.verifiers
            * SettlementLib.verifierLock(t.rewardMax, t.verifierFee, t.verifiers);
    }

    /// @notice Refuses deployment parameters that could strand an agreement.
    function checkParams(ComputeParams memory p) external pure {
        _range("keySecs", p.keySecs, 1, MAX_SECS);
        _range("seedSecs", p.seedSecs, 1, MAX_SECS);
        _range("drawStepSecs", p.drawStepSecs, 1, MAX_SECS);
        _range("drawSteps", p.drawSteps, 1, 64);
        _range("drawFactor", p.drawFactor, 1, 64);
        _range("revealSecs", p.revealSecs, 1, MAX_SECS);
        _range("openSecs", p.openSecs, 1, MAX_SECS);
        _range("maxAttempts", p.maxAttempts, 1, 16);
        _range("maxStrikes", p.maxStrikes, 1, 16);
        _range("abortBps", p.abortBps, 0, 10_000);
        _range("vanishBps", p.vanishBps, p.abortBps, 10_000);
        _range("seedTip", p.seedTip, 0, MAX_AMOUNT);
    }

    function _range(string memory field, uint256 found, uint256 min, uint256 max) private pure {
        require(found >= min && found <= max, IComputeAgreement.TermsInvalid(field, found, min, max));
    }
}
