// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {Ending} from "../../contracts/types/Status.sol";
import {World} from "./World.sol";

/// @notice The same steps in a fixed pseudo-random order: shows that the handlers reach every way to end, so that the
/// invariants are not true for want of trying.
contract CoverageTest is Test {
    uint256 internal constant ROUNDS = 48;
    uint256 internal constant STEPS = 150;

    function test_handlersReachEveryEnding() public {
        // All rounds together are more than one test may use.
        vm.pauseGasMetering();
        uint256[] memory reached = new uint256[](uint256(type(Ending).max) + 1);
        uint256 slashes = 0;
        // Keys posted by agents, acceptances refused for want of a key, aborts whose whole fee was burned, keys refused as
        // another worker's, keys refused as too long.
        uint256[5] memory keys;
        // Rounds for leaves, audits and rejections, disputes, contributions and their refunds, orders, merged claims, settlements in
        // later rounds.
        uint256[10] memory others;
        for (uint256 round = 0; round < ROUNDS; ++round) {
            World world = new World();
            world.setUp();
            _run(world, round);
            uint256[] memory counts = world.tally();
            for (uint256 i = 0; i < counts.length; ++i) {
                reached[i] += counts[i];
            }
            slashes += world.slashes();
            keys[0] += world.keysByAgents();
            keys[1] += world.keylessRefused();
            keys[2] += world.abortsBurned();
            keys[3] += world.keysMisdirected();
            keys[4] += world.keysTooLong();
            _add(world, others);
        }
        for (uint256 i = 0; i < others.length; ++i) {
            emit log_named_uint("others", others[i]);
            assertGt(others[i], 0, "every later step");
        }
        for (uint256 i = 1; i < reached.length; ++i) {
            emit log_named_uint(string.concat("ending ", vm.toString(i)), reached[i]);
        }
        emit log_named_uint("slashes", slashes);
        for (uint256 i = 0; i < keys.length; ++i) {
            emit log_named_uint("keys", keys[i]);
            assertGt(keys[i], 0, "every way around a key");
        }
        for (uint256 i = 1; i < reached.length; ++i) {
            assertGt(reached[i], 0, string.concat("never ended as ", vm.toString(i)));
        }
    }

    function _add(World world, uint256[10] memory others) private view {
        others[0] += world.roundsOpened(2);
        others[1] += world.roundsOpened(1);
        others[2] += world.disputesMade();
        others[3] += world.contributions();
        others[4] += world.refunds();
        others[5] += world.ordersTaken();
        others[6] += world.claimsSealed();
        others[7] += world.settledInLaterRounds();
        others[8] += world.unprovenOpenings();
        others[9] += world.answers();
    }

    function _run(World world, uint256 round) private {
        bytes4[] memory list = world.selectors();
        for (uint256 i = 0; i < STEPS; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("coverage", round, i)));
            (bool ok, bytes memory why) =
                address(world).call(abi.encodeWithSelector(list[seed % list.length], seed >> 8));
            assertTrue(ok, string(why));
        }
        world.checkMoney();
        world.checkLocks();
        world.checkClasses();
        world.checkShape();
        world.checkKeys();
        world.checkNothingIsStuck();
    }
}
