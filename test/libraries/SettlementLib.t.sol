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
        uint256 fees;
    }

    /// @notice Nothing is made or lost; losers get nothing and lose all; half of every slash beyond the injury burns.
    function testFuzz_settle(
        uint256 reward,
        uint256 fee,
        uint256 surplus,
        uint8 ending,
        uint8[8] memory votes,
        uint8 count
    ) public pure {
        SettleInput memory s = _input(reward, fee, surplus, ending, votes, count);
        SettleOutput memory o = SettlementLib.settle(s);
        Sums memory sums = _check(s, o);

        assertEq(sums.paid + o.workerPay + o.burned + o.refund, s.escrow + sums.slashes, "conserved");
        uint256 injury = s.ending == Ending.Refuted ? sums.fees : 0;
        uint256 beyond = sums.slashes > injury ? sums.slashes - injury : 0;
        assertGe(2 * o.burned, beyond, "at least half of the slash beyond the injury is burned");
        // Colluders on all sides never take out more than honest ones would.
        assertLe(
            sums.paid + o.workerPay,
            s.reward + s.votes.length * s.verifierFee + sums.slashes,
            "no profit together"
        );
        assertGe(o.refund + s.reward + s.votes.length * s.verifierFee, s.escrow, "the client loses no more");
        if (s.ending == Ending.Refuted) {
            uint256 covered = injury < sums.slashes ? injury : sums.slashes;
            assertGe(
                o.refund + sums.fees, s.escrow + covered, "the client of a refuted result is made whole first"
            );
        }
    }

    function _check(SettleInput memory s, SettleOutput memory o) private pure returns (Sums memory sums) {
        for (uint256 i = 0; i < s.votes.length; ++i) {
            if (s.votes[i] == Vote.Honest) {
                assertGe(o.verifierPay[i], s.verifierFee, "honest: at least the fee");
                assertEq(o.verifierSlash[i], 0, "honest: nothing lost");
                sums.fees += s.verifierFee;
            } else {
                assertEq(o.verifierPay[i], 0, "loser: nothing");
                assertEq(o.verifierSlash[i], s.verifierLock, "loser: its whole lock");
            }
            sums.paid += o.verifierPay[i];
            sums.slashes += o.verifierSlash[i];
        }
        if (s.ending == Ending.Refuted) {
            assertEq(o.workerPay, 0, "refuted: nothing");
            assertEq(o.workerSlash, s.workerLock, "refuted: whole lock");
        } else {
            assertEq(o.workerSlash, 0, "not refuted: nothing lost");
            assertGe(o.workerPay, s.ending == Ending.Verified ? s.reward : s.reward / 2, "paid");
        }
        sums.slashes += o.workerSlash;
    }

    function _input(
        uint256 reward,
        uint256 fee,
        uint256 surplus,
        uint8 ending,
        uint8[8] memory votes,
        uint8 count
    ) private pure returns (SettleInput memory s) {
        s.reward = bound(reward, 1, MAX_AMOUNT);
        s.verifierFee = bound(fee, 0, MAX_AMOUNT);
        s.ending = [Ending.Verified, Ending.Refuted, Ending.Undecided][ending % 3];
        s.votes = new Vote[](bound(count, 1, 8));
        for (uint256 i = 0; i < s.votes.length; ++i) {
            s.votes[i] = Vote(votes[i] % 3);
        }
        s.escrow = s.reward + s.votes.length * s.verifierFee + bound(surplus, 0, MAX_AMOUNT);
        s.workerLock = SettlementLib.workerLock(s.reward, s.verifierFee, 1, s.votes.length);
        s.verifierLock = SettlementLib.verifierLock(s.reward, s.verifierFee, s.votes.length);
    }

    function testFuzz_locks(uint256 reward, uint256 fee, uint256 k, uint256 v) public pure {
        reward = bound(reward, 1, MAX_AMOUNT);
        fee = bound(fee, 0, MAX_AMOUNT);
        (k, v) = (bound(k, 1, 32), bound(v, 1, 8));
        uint256 lock = SettlementLib.workerLock(reward, fee, k, v);
        assertGe(lock, reward, "at least the reward");
        assertGe(lock, v * fee, "covers the fees");
        // lock >= R / (k V (1 - 2^-V)), without division
        assertGe(lock * k * v * (2 ** v - 1), reward * 2 ** v, "cheating on one leaf does not pay");
        assertLt(lock, 1 << 88, "fits a stake");
        uint256 small = SettlementLib.verifierLock(reward, fee, v);
        assertGe(small * v, reward, "R / V");
        assertGe(small, 10 * fee, "ten fees");
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
