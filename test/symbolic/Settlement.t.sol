// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {SettleInput, SettleOutput, Vote} from "../../contracts/libraries/SettlementLib.sol";
import {Ending} from "../../contracts/types/Status.sol";
import {Plan, SettlementPlan, Sums} from "./SettlementPlan.sol";

/// @notice `check_…` hold for all arguments, by halmos (`cargo xtask analyse`); forge tries the same with random ones.
/// An overflow, an underflow or a division by zero inside counts as a failure too (README.md).
contract SettlementSymbolic is Test {
    using SettlementPlan for Plan;

    function check_settle_oneVerifier(Plan memory p) public pure {
        _check(p, 1, 1, 0, 0);
    }

    function check_settle_twoVerifiers(Plan memory p) public pure {
        _check(p, 2, 2, 0, 0);
    }

    /// @custom:halmos --panic-error-codes 0x01,0x12,0x32
    function check_settle_threeVerifiers(Plan memory p) public pure {
        _check(p, 3, 3, 0, 0);
    }

    /// @notice One reserved verifier, and two of a second round whom nobody paid in advance.
    /// @custom:halmos --panic-error-codes 0x01,0x12,0x32
    function check_settle_secondRound(Plan memory p) public pure {
        _check(p, 3, 1, 0, 0);
    }

    /// @custom:halmos --panic-error-codes 0x01,0x12,0x32
    function check_settle_wonDispute(Plan memory p) public pure {
        _check(p, 2, 1, 1, 0);
    }

    function check_settle_lostDispute(Plan memory p) public pure {
        _check(p, 2, 1, 0, 1);
    }

    function _check(Plan memory p, uint256 verifiers, uint256 reserved, uint256 won, uint256 lost)
        private
        pure
    {
        (p.verifiers, p.reserved, p.disputesWon, p.disputesLost) = (verifiers, reserved, won, lost);
        vm.assume(p.isPlan());
        _properties(p);
    }

    function testFuzz_settle(
        uint8 ending,
        uint8[3] memory votes,
        uint8 verifiers,
        uint8 reserved,
        uint8[2] memory disputes,
        uint96[6] memory money
    ) public pure {
        Plan memory p;
        p.ending = [Ending.Verified, Ending.Refuted, Ending.Undecided][ending % 3];
        p.doubted = ending >= 128;
        p.verifiers = 1 + verifiers % 3;
        p.reserved = 1 + reserved % p.verifiers;
        for (uint256 i = 0; i < 3; ++i) {
            p.votes[i] = Vote(votes[i] % 3);
        }
        (p.disputesWon, p.disputesLost) = (disputes[0] % 3, disputes[1] % 3);
        (p.reward, p.fee, p.surplus) = (money[0], money[1], money[2]);
        (p.workerLock, p.verifierLock, p.bond) = (money[3], money[4], money[5]);
        _properties(p);
    }

    function _properties(Plan memory p) private pure {
        (SettleInput memory s, SettleOutput memory o) = p.settle();
        Sums memory t = SettlementPlan.sum(s, o);
        assertEq(t.all >> 128, 0, "no sum below wraps");
        unchecked {
            uint256 bonds = (s.disputesWon + s.disputesLost) * s.bond;
            assertEq(t.paid + o.burned + o.refund, s.escrow + t.slashed + bonds, "conserved");
            _whole(s, o, t);
        }
    }

    /// @dev What the parties are paid follows from a share and an extra fee, which one of each kind shows.
    function _whole(SettleInput memory s, SettleOutput memory o, Sums memory t) private pure {
        bool stands = s.ending == Ending.Verified;
        uint256 earned = stands ? s.reward : s.ending == Ending.Undecided && !s.doubted ? s.reward / 2 : 0;
        unchecked {
            uint256 share = o.workerPay - earned;
            if (!stands) {
                assertEq(share, 0, "worker: no share if its result does not stand");
                share = _shareOf(s, o);
            }
            if (s.ending != Ending.Refuted) assertEq(share, 0, "only finding a false result earns a share");
            uint256 extraFee = _parties(s, o, share);
            uint256 slashed = t.slashed + s.disputesLost * s.bond;
            uint256 injury = extraFee * t.extras + (s.ending == Ending.Refuted ? t.fees : 0);
            assertEq(
                o.workerSlash, s.ending == Ending.Refuted ? s.workerLock : 0, "worker: slashed if refuted"
            );
            assertGe(2 * o.burned + injury, slashed, "half of the slash beyond the injury burns");
            assertLe(o.burned, slashed, "only what was slashed burns");
            assertLe(2 * share * t.honest, slashed, "shares: at most half of the slash");
            assertEq(o.disputerPay, s.disputesWon == 0 ? 0 : s.bond + share, "disputer: bond and share, once");
            assertGe(
                o.refund + earned + t.fees + extraFee * t.extras, s.escrow, "client: no more than it bought"
            );
        }
    }

    /// @dev The share of a slash, seen from a disputer or an honest verifier. One whose fee was not reserved gets the fee first:
    /// there is a share only if the slashes were enough for all fees.
    function _shareOf(SettleInput memory s, SettleOutput memory o) private pure returns (uint256) {
        unchecked {
            if (s.disputesWon != 0) return o.disputerPay - s.bond;
            for (uint256 i = 0; i < s.votes.length; ++i) {
                if (s.votes[i] != Vote.Honest) continue;
                if (i < s.reserved || o.verifierPay[i] > s.verifierFee) {
                    return o.verifierPay[i] - s.verifierFee;
                }
                return 0;
            }
        }
        return 0;
    }

    /// @dev Losers are paid nothing and lose their lock; who is honest loses nothing and is paid its fee and the share.
    function _parties(SettleInput memory s, SettleOutput memory o, uint256 share)
        private
        pure
        returns (uint256 extraFee)
    {
        bool known = false;
        unchecked {
            for (uint256 i = 0; i < s.votes.length; ++i) {
                bool honest = s.votes[i] == Vote.Honest;
                assertEq(
                    o.verifierSlash[i], honest ? 0 : s.verifierLock, "verifier: its whole lock or nothing"
                );
                if (!honest) {
                    assertEq(o.verifierPay[i], 0, "loser: paid nothing");
                } else if (i < s.reserved) {
                    assertEq(o.verifierPay[i], s.verifierFee + share, "reserved: its fee and the share, once");
                } else if (known) {
                    assertEq(o.verifierPay[i], extraFee + share, "extra: the same as the others");
                } else {
                    (extraFee, known) = (o.verifierPay[i] - share, true);
                    assertLe(extraFee, o.verifierPay[i], "extra: at least the share");
                    assertLe(extraFee, s.verifierFee, "extra: at most a fee and the share");
                }
            }
        }
    }
}
