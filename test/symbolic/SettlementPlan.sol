// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {SettleInput, SettleOutput, SettlementLib, Vote} from "../../contracts/libraries/SettlementLib.sol";
import {Ending} from "../../contracts/types/Status.sol";

/// @notice One settlement as plain numbers; up to three verifiers. Amounts in the smallest token unit.
struct Plan {
    Ending ending;
    bool doubted;
    uint256 verifiers;
    /// The first so many have their fee in the escrow.
    uint256 reserved;
    Vote[3] votes;
    uint256 disputesWon;
    uint256 disputesLost;
    uint96 reward;
    uint96 fee;
    /// What the escrow holds beyond reward and reserved fees.
    uint96 surplus;
    /// Any locks at all, not only those that the library would have chosen.
    uint96 workerLock;
    uint96 verifierLock;
    uint96 bond;
}

/// @notice The sums that the properties are about.
struct Sums {
    /// The bits of all outputs together: none is above this.
    uint256 all;
    /// To worker, verifiers and disputers.
    uint256 paid;
    /// From worker and verifiers.
    uint256 slashed;
    /// Fees that the honest verifiers with a reserved fee earned.
    uint256 fees;
    /// Honest verifiers without a reserved fee.
    uint256 extras;
    /// Parties that share in a slash.
    uint256 honest;
}

/// @title SettlementPlan
/// @notice The only place of test/symbolic that fills a SettleInput.
library SettlementPlan {
    /// The bound that the solver finishes within; above it the same is fuzzed.
    uint96 private constant SMALL = 1 << 12;

    function settle(Plan memory p) internal pure returns (SettleInput memory s, SettleOutput memory o) {
        s.ending = p.ending;
        s.doubted = p.doubted;
        s.reward = p.reward;
        s.verifierFee = p.fee;
        s.workerLock = p.workerLock;
        s.verifierLock = p.verifierLock;
        s.reserved = p.reserved;
        s.bond = p.bond;
        s.disputesWon = p.disputesWon;
        s.disputesLost = p.disputesLost;
        unchecked {
            s.escrow = uint256(p.reward) + p.reserved * uint256(p.fee) + p.surplus;
        }
        s.votes = new Vote[](p.verifiers);
        for (uint256 i = 0; i < p.verifiers; ++i) {
            s.votes[i] = p.votes[i];
        }
        o = SettlementLib.settle(s);
    }

    /// @dev Unchecked, to spare the solver the overflows that cannot be: every output is seen to be below 2^128 first.
    function sum(SettleInput memory s, SettleOutput memory o) internal pure returns (Sums memory t) {
        t.all = o.workerPay | o.workerSlash | o.burned | o.refund | o.disputerPay;
        t.honest = s.disputesWon + (s.ending == Ending.Verified ? 1 : 0);
        unchecked {
            t.paid = o.workerPay + s.disputesWon * o.disputerPay;
            t.slashed = o.workerSlash;
            for (uint256 i = 0; i < s.votes.length; ++i) {
                t.all |= o.verifierPay[i] | o.verifierSlash[i];
                t.paid += o.verifierPay[i];
                t.slashed += o.verifierSlash[i];
                if (s.votes[i] != Vote.Honest) continue;
                ++t.honest;
                if (i < s.reserved) t.fees += s.verifierFee;
                else ++t.extras;
            }
        }
    }

    /// @notice What the symbolic checks take for granted. No agreement has a lock of zero.
    function isPlan(Plan memory p) internal pure returns (bool) {
        return (p.ending == Ending.Verified || p.ending == Ending.Refuted || p.ending == Ending.Undecided)
            && p.reward < SMALL && p.fee < SMALL && p.surplus < SMALL && p.workerLock < SMALL
            && p.verifierLock < SMALL && p.bond < SMALL && p.workerLock != 0 && p.verifierLock != 0;
    }
}
