// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {World} from "./World.sol";

/// @notice Random steps of many parties in several agreements at once. README.md lists the invariants; those on single
/// steps (status changes, reasons of slashes, scores, verdicts) are checked by the recorder inside every call.
contract InvariantsTest is Test {
    World internal world;

    function setUp() public {
        world = new World();
        world.setUp();
        targetContract(address(world));
        targetSelector(FuzzSelector({addr: address(world), selectors: world.selectors()}));
    }

    /// @dev One campaign for all of them: forge would run the same sequences again for each function.
    function invariant_booksLocksClassesAndNoDeadEnd() public {
        world.checkMoney();
        world.checkLocks();
        world.checkClasses();
        world.checkShape();
        world.checkKeys();
        world.checkNothingIsStuck();
    }
}
