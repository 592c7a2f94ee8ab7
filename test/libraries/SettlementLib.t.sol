// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {SettleInput, SettleOutput, SettlementLib, Vote} from "../../contracts/libraries/SettlementLib.sol";
import {Ending} from "../../contracts/types/Status.sol";

contract SettlementLibTest is Test {
    uint256 private constant MAX_AMOUNT = 1 << 80;

    struct Sums {
        uint256 slashes;
        uint256 paid;
        /// Fees paid, without the share in slashes.
        uint256 fees;
        /// Of them those that nobody had reserved.
        uint256 extraFees;
        uint256 share;
    }

    /// @notice Nothing is made or lost; losers get nothing and lose all; half of every slash beyond the injury burns.
    function testFuzz_settle(
        uint256 reward,
        uint256 fee,
        uint256 surplus,
        uint8 ending,
        uint8[12] memory votes,
        uint8[4] memory counts
    ) public pure {
        SettleInput memory s = _input(reward, fee, surplus, ending, votes, counts);
        SettleOutput memory o = SettlementLib.settle(s);
        Sums memory sums = _check(s, o);

        uint256 disputers = s.disputesWon * o.disputerPay;
        assertEq(
            sums.paid + o.workerPay + disputers + o.burned + o.refund,
            s.escrow + sums.slashes + s.disputesWon * s.bond,
            "conserved"
        );
        uint256 injury = s.ending == Ending.Refuted ? sums.fees : sums.extraFees;
        uint256 beyond = sums.slashes > injury ? sums.slashes - injury : 0;
        assertGe(2 * o.burned, beyond, "at least half of the slash beyond the injury is burned");
        // Colluders on all sides never take out more than honest ones would.
        assertLe(
            sums.paid + o.workerPay + disputers + o.burned,
            s.reward + sums.fees + sums.slashes + s.disputesWon * s.bond,
            "no profit together"
        );
        uint256 covered = injury < sums.slashes ? injury : sums.slashes;
        uint256 earned = s.ending == Ending.Verified ? s.reward : o.workerPay;
        assertEq(o.refund + earned + sums.fees, s.escrow + covered, "the injured are made whole first");
    }

    /// @notice Undecided and doubted: the worker gets nothing, and nobody is slashed for it.
    function testFuzz_doubtedWorkerGetsNothing(uint256 reward, uint256 fee, uint256 surplus) public pure {
        uint8[12] memory votes;
        SettleInput memory s = _input(reward, fee, surplus, 2, votes, [2, 0, 0, 0]);
        SettleOutput memory plain = SettlementLib.settle(s);
        s.doubted = true;
        SettleOutput memory doubted = SettlementLib.settle(s);
        assertEq(plain.workerPay, s.reward / 2, "half");
        assertEq(doubted.workerPay, 0, "nothing");
        assertEq(doubted.workerSlash, 0, "not slashed");
        assertEq(doubted.refund, plain.refund + plain.workerPay, "the half goes back");
    }

    function _check(SettleInput memory s, SettleOutput memory o) private pure returns (Sums memory sums) {
        sums.share = o.disputerPay == 0 ? 0 : o.disputerPay - s.bond;
        uint256 extraFee = type(uint256).max;
        if (s.ending == Ending.Refuted) {
            assertEq(o.workerPay, 0, "refuted: nothing");
            assertEq(o.workerSlash, s.workerLock, "refuted: whole lock");
        } else {
            assertEq(o.workerSlash, 0, "not refuted: nothing lost");
            uint256 least = s.ending == Ending.Verified ? s.reward : s.doubted ? 0 : s.reward / 2;
            assertGe(o.workerPay, least, "paid");
            if (s.ending == Ending.Verified) sums.share = o.workerPay - s.reward;
            else assertEq(o.workerPay, least, "no share for who was not verified");
        }
        sums.slashes = o.workerSlash + s.disputesLost * s.bond;
        for (uint256 i = 0; i < s.votes.length; ++i) {
            if (s.votes[i] == Vote.Honest) {
                assertEq(o.verifierSlash[i], 0, "honest: nothing lost");
                if (i < s.reserved) {
                    assertGe(o.verifierPay[i], s.verifierFee, "honest: at least the fee");
                    sums.share = o.verifierPay[i] - s.verifierFee;
                    sums.fees += s.verifierFee;
                } else if (extraFee == type(uint256).max) {
                    extraFee = o.verifierPay[i];
                } else {
                    assertEq(o.verifierPay[i], extraFee, "extra verifiers: all alike");
                }
            } else {
                assertEq(o.verifierPay[i], 0, "loser: nothing");
                assertEq(o.verifierSlash[i], s.verifierLock, "loser: its whole lock");
            }
            sums.paid += o.verifierPay[i];
            sums.slashes += o.verifierSlash[i];
        }
        for (uint256 i = s.reserved; i < s.votes.length; ++i) {
            if (s.votes[i] != Vote.Honest) continue;
            // Where nobody of the paid-for side is honest the share cannot be told apart: there is one recipient kind only.
            uint256 fee = o.verifierPay[i] > sums.share ? o.verifierPay[i] - sums.share : 0;
            if (!_shareIsKnown(s)) fee = o.verifierPay[i] < s.verifierFee ? o.verifierPay[i] : s.verifierFee;
            assertLe(fee, s.verifierFee, "extra verifiers: at most the fee");
            sums.fees += fee;
            sums.extraFees += fee;
        }
    }

    /// @dev Somebody gets the share besides an amount that is known.
    function _shareIsKnown(SettleInput memory s) private pure returns (bool) {
        if (s.ending == Ending.Verified || s.disputesWon != 0) return true;
        for (uint256 i = 0; i < s.reserved; ++i) {
            if (s.votes[i] == Vote.Honest) return true;
        }
        return false;
    }

    /// @param counts Reserved votes, extra votes, disputes won and lost.
    function _input(
        uint256 reward,
        uint256 fee,
        uint256 surplus,
        uint8 ending,
        uint8[12] memory votes,
        uint8[4] memory counts
    ) private pure returns (SettleInput memory s) {
        s.reward = bound(reward, 1, MAX_AMOUNT);
        s.verifierFee = bound(fee, 0, MAX_AMOUNT);
        s.ending = [Ending.Verified, Ending.Refuted, Ending.Undecided][ending % 3];
        s.doubted = s.ending == Ending.Undecided && ending >= 128;
        s.reserved = bound(counts[0], 1, 8);
        s.votes = new Vote[](s.reserved + counts[1] % 5);
        for (uint256 i = 0; i < s.votes.length; ++i) {
            s.votes[i] = Vote(votes[i] % 3);
        }
        s.escrow = s.reward + s.reserved * s.verifierFee + bound(surplus, 0, MAX_AMOUNT);
        s.workerLock = SettlementLib.workerLock(s.reward, s.verifierFee, 1, s.reserved);
        s.verifierLock = SettlementLib.verifierLock(s.reward, s.verifierFee, s.reserved);
        s.bond = SettlementLib.disputeBond(s.reward, s.verifierFee, s.reserved);
        // A dispute is won only where the result falls.
        s.disputesWon = s.ending == Ending.Refuted ? counts[2] % 9 : 0;
        s.disputesLost = s.ending == Ending.Refuted ? 0 : counts[3] % 9;
    }

    function testFuzz_locks(uint256 reward, uint256 fee, uint256 k, uint256 v) public pure {
        reward = bound(reward, 1, MAX_AMOUNT);
        fee = bound(fee, 0, MAX_AMOUNT);
        (k, v) = (bound(k, 1, 32), bound(v, 1, 8));
        uint256 lock = SettlementLib.workerLock(reward, fee, k, v);
        assertGe(lock, reward + (2 * v + 1) * fee, "finding out pays more than its fees");
        // lock >= R / (k V (1 - 2^-V)), without division
        assertGe(lock * k * v * (2 ** v - 1), reward * 2 ** v, "cheating on one leaf does not pay");
        assertLt(lock, 1 << 88, "fits a stake");
        uint256 small = SettlementLib.verifierLock(reward, fee, v);
        assertGe(small * v, reward, "R / V");
        assertGe(small, 10 * fee, "ten fees");
        assertGe(small, 2 * (v + 1) * fee, "the two rounds that a lie causes");
        uint256 bond = SettlementLib.disputeBond(reward, fee, v);
        assertEq(bond, small + (v + 1) * fee, "a lock and the verifiers that it calls");
        assertGe(8 * bond, reward, "all eight places for disputes cost more than the reward");
        assertLt(small, 1 << 88, "fits a stake");
    }

    function testFuzz_split(uint256 slash, uint256 injury) public pure {
        (uint256 toInjured, uint256 toHonest, uint256 burned) = SettlementLib.split(slash, injury);
        assertEq(toInjured + toHonest + burned, slash, "conserved");
        assertLe(toInjured, injury, "no more than the injury");
        assertGe(burned, toHonest, "rounded for the fire");
        assertLe(burned - toHonest, 1, "halves");
    }

    function testFuzz_penalty(uint96 lock, uint16 bps) public pure {
        bps = uint16(bound(bps, 0, 10_000));
        uint256 penalty = SettlementLib.penalty(lock, bps);
        assertLe(penalty, lock, "never above the lock");
        assertGe(penalty * 10_000, uint256(lock) * bps, "rounded up");
    }

    function settle(SettleInput memory s) external pure returns (SettleOutput memory) {
        return SettlementLib.settle(s);
    }

    function test_RevertWhen_endingIsNoSettlement() public {
        SettleInput memory s;
        s.votes = new Vote[](1);
        s.ending = Ending.NoWorker;
        vm.expectRevert(abi.encodeWithSelector(SettlementLib.NotASettlement.selector, Ending.NoWorker));
        this.settle(s);
    }
}
