// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {DrandBeacon, DrandParams} from "../../contracts/beacon/DrandBeacon.sol";
import {DrandVectors} from "../utils/DrandVectors.sol";

/// @notice Which round a draw names, and when rounds come.
contract DrandRoundsTest is Test {
    DrandParams private _params;

    function setUp() public {
        _params = DrandVectors.params("quicknet");
    }

    /// @notice Never a round that somebody may know already, and the first one that will do.
    function testFuzz_nextRoundIsPastTheMargin(
        uint64 genesis,
        uint256 now_,
        uint32 period,
        uint32 margin,
        uint32 stride
    ) public {
        genesis = uint64(bound(genesis, 0, 1 << 34));
        now_ = bound(now_, 0, 1 << 35);
        margin = uint32(bound(margin, 1, type(uint32).max));
        DrandBeacon beacon = _make(genesis, period, margin, stride);
        (period, stride) = (beacon.periodSecs(), beacon.strideRounds());
        vm.warp(now_);

        uint48 round = beacon.nextRound();
        assertEq(round % stride, 0, "a multiple of the stride");
        assertGt(round, 0, "rounds count from 1");
        assertGe(beacon.timeOf(round), now_ + margin, "margin");
        assertGt(round, beacon.currentRound(), "not known yet");
        if (round > stride) assertLt(beacon.timeOf(round - stride), now_ + margin, "the first one");
    }

    /// @notice A later block never draws from an earlier round.
    function testFuzz_nextRoundNeverGoesBack(uint256 now_, uint256 later, uint32 stride) public {
        DrandBeacon beacon = _make(1_692_803_367, 3, 30, stride);
        now_ = bound(now_, 0, 1 << 35);
        vm.warp(now_);
        uint48 round = beacon.nextRound();
        vm.warp(now_ + bound(later, 0, 1 << 30));
        assertGe(beacon.nextRound(), round, "in order");
    }

    function testFuzz_roundsAndTimes(uint48 round, uint32 period) public {
        DrandBeacon beacon = _make(1_692_803_367, period, 0, 1);
        round = uint48(bound(round, 1, type(uint48).max));
        vm.warp(beacon.timeOf(round));
        assertEq(beacon.currentRound(), round, "at its second");
        assertEq(beacon.nextRound(), round, "without margin");
        vm.warp(block.timestamp - 1);
        assertEq(beacon.currentRound(), round - 1, "a second before");
    }

    /// @notice All commitments of a stride share one round.
    function test_oneRoundForAnEpoch() public {
        DrandBeacon beacon = _make(1_692_803_367, 3, 30, 100);
        vm.warp(beacon.timeOf(1000) - 30 - 299);
        for (uint256 i = 0; i < 300; ++i) {
            assertEq(beacon.nextRound(), 1000, "of the same 300 s");
            skip(1);
        }
        assertEq(beacon.nextRound(), 1100, "the next");
    }

    /// @notice Rust computes the same.
    function test_theFilesTimes() public {
        DrandBeacon beacon = new DrandBeacon(DrandVectors.params("devnet"));
        (uint256[] memory nows, uint256[] memory current, uint256[] memory next) =
            DrandVectors.times("devnet");
        assertGt(nows.length, 5, "times");
        for (uint256 i = 0; i < nows.length; ++i) {
            vm.warp(nows[i]);
            assertEq(beacon.currentRound(), current[i], "current");
            assertEq(beacon.nextRound(), next[i], "next");
        }
    }

    function _make(uint64 genesis, uint32 period, uint32 margin, uint32 stride)
        private
        returns (DrandBeacon)
    {
        DrandParams memory p = _params;
        p.genesis = genesis;
        p.periodSecs = uint32(bound(period, 1, 10_000));
        p.marginSecs = margin;
        p.strideRounds = uint32(bound(stride, 1, 10_000));
        return new DrandBeacon(p);
    }
}
