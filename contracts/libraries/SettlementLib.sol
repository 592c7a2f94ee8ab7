// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Ending} from "../types/Status.sol";

/// @notice What became of a verifier's vote.
enum Vote {
    /// Opened, and no other digest than its own won on any of its leaves.
    Honest,
    /// Opened, and another digest won on one of its leaves.
    Lost,
    /// Sealed and never opened.
    Silent
}

/// @notice What a settlement is computed from. Amounts in the smallest token unit.
struct SettleInput {
    Ending ending;
    uint256 escrow;
    uint256 reward;
    uint256 verifierFee;
    uint256 workerLock;
    uint256 verifierLock;
    Vote[] votes;
}

/// @notice What a settlement says; `workerPay + sum(verifierPay) + burned + refund = escrow + all slashes`.
struct SettleOutput {
    uint256 workerPay;
    uint256 workerSlash;
    uint256[] verifierPay;
    uint256[] verifierSlash;
    uint256 burned;
    uint256 refund;
}

/// @title SettlementLib
/// @notice Who is paid what. Pure integer arithmetic, mirrored in `protocol/src/settlement.rs`.
/// @dev Rounding: shares of the honest side round down, what is left of a slash is burned; locks and the burned half
/// round up. No rounding favours a loser.
library SettlementLib {
    /// @notice An ending that no opened agreement can have.
    error NotASettlement(Ending ending);

    /// @notice Lock of a worker: max(R, V fees, ceil(R / (k V (1 - p^V)))) with colluding share p = 1/2, so that cheating on one
    /// leaf does not pay even if half of the stake colludes (docs/PROTOCOL.md, Locks).
    function workerLock(uint256 reward, uint256 verifierFee, uint256 samples, uint256 verifiers)
        internal
        pure
        returns (uint256)
    {
        // 1 - 2^-V = (2^V - 1) / 2^V
        // forge-lint: disable-next-line(incorrect-shift)
        uint256 scale = 1 << verifiers;
        uint256 needed = ceilDiv(reward * scale, samples * verifiers * (scale - 1));
        if (needed < reward) needed = reward;
        // A worker that hides after its seal must be able to pay the verifiers it fooled.
        uint256 fees = verifierFee * verifiers;
        return needed > fees ? needed : fees;
    }

    /// @notice Lock of a verifier: max(ceil(R / V), 10 fees).
    function verifierLock(uint256 reward, uint256 verifierFee, uint256 verifiers)
        internal
        pure
        returns (uint256)
    {
        uint256 share = ceilDiv(reward, verifiers);
        return share > 10 * verifierFee ? share : 10 * verifierFee;
    }

    /// @notice The part of `lock` that basis points of it make, rounded up.
    function penalty(uint256 lock, uint256 bps) internal pure returns (uint256) {
        return ceilDiv(lock * bps, 10_000);
    }

    /// @notice Splits a slash: first what it cost the injured, then half of the rest to the honest side, the other half
    /// (rounded up) burned.
    function split(uint256 slash, uint256 injury)
        internal
        pure
        returns (uint256 toInjured, uint256 toHonest, uint256 burned)
    {
        toInjured = slash < injury ? slash : injury;
        toHonest = (slash - toInjured) / 2;
        burned = slash - toInjured - toHonest;
    }

    /// @notice Settles an agreement whose result was revealed.
    function settle(SettleInput memory s) internal pure returns (SettleOutput memory o) {
        require(
            s.ending == Ending.Verified || s.ending == Ending.Refuted || s.ending == Ending.Undecided,
            NotASettlement(s.ending)
        );
        uint256 count = s.votes.length;
        o.verifierPay = new uint256[](count);
        o.verifierSlash = new uint256[](count);

        if (s.ending == Ending.Verified) o.workerPay = s.reward;
        else if (s.ending == Ending.Undecided) o.workerPay = s.reward / 2;
        else o.workerSlash = s.workerLock;

        uint256 slashes = o.workerSlash;
        uint256 honest = s.ending == Ending.Verified ? 1 : 0;
        uint256 fees = 0;
        for (uint256 i = 0; i < count; ++i) {
            if (s.votes[i] == Vote.Honest) {
                o.verifierPay[i] = s.verifierFee;
                fees += s.verifierFee;
                ++honest;
            } else {
                o.verifierSlash[i] = s.verifierLock;
                slashes += s.verifierLock;
            }
        }
        o.refund = s.escrow - o.workerPay - fees;
        if (slashes == 0) return o;

        // A refuted result cost the client the fees of those who found out.
        uint256 injury = s.ending == Ending.Refuted ? fees : 0;
        (uint256 toClient, uint256 toHonest, uint256 burned) = split(slashes, injury);
        o.refund += toClient;
        uint256 share = honest == 0 ? 0 : toHonest / honest;
        o.burned = burned + toHonest - share * honest;
        if (share == 0) return o;
        if (s.ending == Ending.Verified) o.workerPay += share;
        for (uint256 i = 0; i < count; ++i) {
            if (s.votes[i] == Vote.Honest) o.verifierPay[i] += share;
        }
    }

    function ceilDiv(uint256 a, uint256 b) internal pure returns (uint256) {
        return a == 0 ? 0 : (a - 1) / b + 1;
    }
}
