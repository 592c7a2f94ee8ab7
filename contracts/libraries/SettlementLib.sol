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
    /// Undecided, and a digest other than the worker's has more than half of the odds: the worker gets nothing.
    bool doubted;
    /// What the agreement holds, without the bonds of disputes.
    uint256 escrow;
    uint256 reward;
    uint256 verifierFee;
    uint256 workerLock;
    uint256 verifierLock;
    Vote[] votes;
    /// The first so many votes have their fee in the escrow; the others were drawn because of a dissent or dispute.
    uint256 reserved;
    /// Bond of each dispute.
    uint256 bond;
    uint256 disputesWon;
    uint256 disputesLost;
}

/// @notice What a settlement says:
/// `workerPay + sum(verifierPay) + disputesWon * disputerPay + burned + refund = escrow + all slashes + bonds won and lost`.
struct SettleOutput {
    uint256 workerPay;
    uint256 workerSlash;
    uint256[] verifierPay;
    uint256[] verifierSlash;
    /// For each dispute that was won: its bond and a share.
    uint256 disputerPay;
    uint256 burned;
    uint256 refund;
}

/// @dev Who stands where.
struct Sides {
    /// Sum of all slashes and lost bonds.
    uint256 slashes;
    /// Sum of the fees that are reserved and earned.
    uint256 fees;
    /// Honest verifiers whose fee is not reserved.
    uint256 extras;
    /// Parties that share in the slashes.
    uint256 honest;
}

/// @title SettlementLib
/// @notice Who is paid what. Pure integer arithmetic, mirrored in `protocol/src/settlement.rs`.
/// @dev `settle` is deployed apart and linked; the small rules are compiled into their callers. Rounding: shares of the honest side round down, what is left of a slash is burned; locks and the burned half
/// round up. No rounding favours a loser.
library SettlementLib {
    /// @notice An ending that no opened agreement can have.
    error NotASettlement(Ending ending);

    /// @notice Lock of a worker: max(R + (2V + 1) fees, ceil(R / (k V (1 - p^V)))) with colluding share p = 1/2
    /// (docs/ECONOMICS.md, Locks).
    function workerLock(uint256 reward, uint256 verifierFee, uint256 samples, uint256 verifiers)
        internal
        pure
        returns (uint256)
    {
        // 1 - 2^-V = (2^V - 1) / 2^V
        // forge-lint: disable-next-line(incorrect-shift)
        uint256 scale = 1 << verifiers;
        uint256 needed = ceilDiv(reward * scale, samples * verifiers * (scale - 1));
        // Pays the verifiers of two rounds that found it out, and leaves as much as the reward to share: finding must pay more
        // than its fee, or any bribe buys the verifiers.
        uint256 least = reward + (2 * verifiers + 1) * verifierFee;
        return needed > least ? needed : least;
    }

    /// @notice Lock of a verifier: max(ceil(R / V), max(10, 2 (V + 1)) fees): one lost vote pays the two rounds that it causes.
    function verifierLock(uint256 reward, uint256 verifierFee, uint256 verifiers)
        internal
        pure
        returns (uint256)
    {
        uint256 share = ceilDiv(reward, verifiers);
        uint256 fees = verifierFee * (verifiers < 4 ? 10 : 2 * (verifiers + 1));
        return share > fees ? share : fees;
    }

    /// @notice Bond of a dispute: what a verifier has at stake and the fees of the V + 1 that it calls.
    function disputeBond(uint256 reward, uint256 verifierFee, uint256 verifiers)
        internal
        pure
        returns (uint256)
    {
        return verifierLock(reward, verifierFee, verifiers) + (verifiers + 1) * verifierFee;
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
    function settle(SettleInput memory s) external pure returns (SettleOutput memory o) {
        require(
            s.ending == Ending.Verified || s.ending == Ending.Refuted || s.ending == Ending.Undecided,
            NotASettlement(s.ending)
        );
        if (s.ending == Ending.Verified) o.workerPay = s.reward;
        else if (s.ending == Ending.Undecided) o.workerPay = s.doubted ? 0 : s.reward / 2;
        else o.workerSlash = s.workerLock;

        Sides memory sides = _sides(s, o);
        uint256 extraFee = _extraFee(s, o, sides);
        uint256 allFees = sides.fees + extraFee * sides.extras;
        // Whom it injured: those who pay for the extra verifiers, and a client who paid for finding out a refuted result.
        uint256 injury = s.ending == Ending.Refuted ? allFees : allFees - sides.fees;
        (uint256 toInjured, uint256 toHonest, uint256 burned) = split(sides.slashes, injury);
        // Only finding a false result earns: nobody gains by outvoting honest verifiers (docs/ECONOMICS.md, Outvoting).
        if (s.ending != Ending.Refuted) (toHonest, burned) = (0, burned + toHonest);
        uint256 share = sides.honest == 0 ? 0 : toHonest / sides.honest;
        o.refund = s.escrow + toInjured - o.workerPay - allFees;
        o.burned = burned + toHonest - share * sides.honest;
        if (s.disputesWon != 0) o.disputerPay = s.bond + share;
        for (uint256 i = 0; i < s.votes.length; ++i) {
            if (s.votes[i] != Vote.Honest) continue;
            o.verifierPay[i] = share + (i < s.reserved ? s.verifierFee : extraFee);
        }
    }

    /// @dev Fees that nobody reserved come out of the slashes that caused them, then out of what is not paid to the worker.
    function _extraFee(SettleInput memory s, SettleOutput memory o, Sides memory sides)
        private
        pure
        returns (uint256)
    {
        if (sides.extras == 0) return 0;
        uint256 most = (s.escrow - o.workerPay - sides.fees + sides.slashes) / sides.extras;
        return most < s.verifierFee ? most : s.verifierFee;
    }

    /// @dev Slashes who lost, and counts the others.
    function _sides(SettleInput memory s, SettleOutput memory o) private pure returns (Sides memory sides) {
        uint256 count = s.votes.length;
        o.verifierPay = new uint256[](count);
        o.verifierSlash = new uint256[](count);
        sides.slashes = o.workerSlash + s.disputesLost * s.bond;
        sides.honest = s.disputesWon;
        for (uint256 i = 0; i < count; ++i) {
            if (s.votes[i] != Vote.Honest) {
                o.verifierSlash[i] = s.verifierLock;
                sides.slashes += s.verifierLock;
                continue;
            }
            ++sides.honest;
            if (i < s.reserved) sides.fees += s.verifierFee;
            else ++sides.extras;
        }
    }

    function ceilDiv(uint256 a, uint256 b) internal pure returns (uint256) {
        return a == 0 ? 0 : (a - 1) / b + 1;
    }
}
