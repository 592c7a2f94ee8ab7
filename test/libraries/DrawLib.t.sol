// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {DrawLib} from "../../contracts/libraries/DrawLib.sol";

contract DrawLibTest is Test {
    function testFuzz_sampledLeavesAreASet(bytes32 seed, address verifier, uint256 n, uint256 k) public pure {
        n = bound(n, 1, 1 << 20);
        k = bound(k, 1, 32);
        if (n < k) n = bound(n, 1, k);
        uint32[] memory leaves = DrawLib.sampledLeaves(seed, verifier, n, k);
        assertEq(leaves.length, n < k ? n : k, "all, or k");
        for (uint256 i = 0; i < leaves.length; ++i) {
            assertLt(leaves[i], n, "below the count");
            if (i != 0) assertGt(leaves[i], leaves[i - 1], "strictly ascending");
        }
    }

    /// @notice Every leaf is sampled equally often: 3 of 10 leaves over 3000 seeds, six standard deviations allowed.
    function test_samplingIsUniform() public pure {
        uint256[10] memory hits;
        for (uint256 s = 0; s < 3000; ++s) {
            uint32[] memory leaves = DrawLib.sampledLeaves(keccak256(abi.encode(s)), address(1), 10, 3);
            for (uint256 i = 0; i < 3; ++i) {
                ++hits[leaves[i]];
            }
        }
        for (uint256 i = 0; i < 10; ++i) {
            assertApproxEqAbs(hits[i], 900, 150, "0.3 of all draws");
        }
    }

    function test_verifiersSampleApart() public pure {
        uint32[] memory one = DrawLib.sampledLeaves("seed", address(1), 1 << 20, 32);
        uint32[] memory two = DrawLib.sampledLeaves("seed", address(2), 1 << 20, 32);
        assertNotEq(keccak256(abi.encodePacked(one)), keccak256(abi.encodePacked(two)), "each its own");
    }

    /// @notice The threshold never falls, lets in what is expected, and in the end everybody.
    function testFuzz_thresholdWidens(uint256 units, uint256 expected, uint256 step) public pure {
        units = bound(units, 1, type(uint40).max);
        expected = bound(expected, 1, 8 * 64);
        step = bound(step, 0, 300);
        uint256 here = DrawLib.threshold(units, expected, step);
        assertGe(DrawLib.threshold(units, expected, step + 1), here, "widens");
        if (step < 128 && expected << step < units) {
            assertEq(here / (expected << step), type(uint256).max / units, "the expected share");
        } else {
            assertEq(here, type(uint256).max, "everybody");
        }
    }

    function test_thresholdOfAnEmptyClass() public pure {
        assertEq(DrawLib.threshold(0, 1, 0), type(uint256).max, "nobody has a ticket anyway");
    }

    /// @notice Each of seed, chain, agreement, attempt and round of voting changes the draw.
    function testFuzz_drawSeedBindsAll(
        bytes32 seed,
        address agreement,
        uint8 attempt,
        uint8 voteRound,
        uint64 chain
    ) public {
        vm.assume(chain != 0 && chain != block.chainid);
        bytes32 here = DrawLib.drawSeed(seed, agreement, attempt, voteRound);
        assertNotEq(here, DrawLib.drawSeed(~seed, agreement, attempt, voteRound), "beacon seed");
        assertNotEq(
            here, DrawLib.drawSeed(seed, address(~uint160(agreement)), attempt, voteRound), "agreement"
        );
        assertNotEq(here, DrawLib.drawSeed(seed, agreement, ~attempt, voteRound), "attempt");
        assertNotEq(here, DrawLib.drawSeed(seed, agreement, attempt, ~voteRound), "round of voting");
        vm.chainId(chain);
        assertNotEq(here, DrawLib.drawSeed(seed, agreement, attempt, voteRound), "chain");
    }
}
