// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {EnergyWorld} from "./EnergyWorld.sol";

/// @notice Random days of honest, forgetful and equivocating devices, of holders and of a hostile caller. EnergyWorld keeps its own
/// books, in plain lists, and what the contracts say must equal them after every step.
/// forge-config: default.evm_version = "osaka"
contract EnergyInvariantsTest is Test {
    EnergyWorld internal world;

    function setUp() public {
        world = new EnergyWorld();
        world.setUp();
        targetContract(address(world));
        targetSelector(FuzzSelector({addr: address(world), selectors: world.selectors()}));
    }

    /// @dev One campaign for all of them.
    function invariant_energyAndMoneyAreConserved() public view {
        world.checkWindows();
        world.checkCertificates();
        world.checkMoney();
    }

    /// @notice The steps reach what they are for: else the invariant would say nothing.
    function test_stepsReachWhatTheyAreFor() public {
        for (uint256 i = 0; i < 400; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            world.step(seed % 9, seed >> 8, seed >> 64);
        }
        world.checkWindows();
        world.checkCertificates();
        world.checkMoney();
        assertGt(world.recorded(), 50, "days");
        assertGt(world.gaps(), 10, "gaps");
        assertGt(world.totalIssued(), 100, "issued");
        assertGt(world.totalRetired(), 10, "retired");
        assertGt(world.strikes(), 1, "strikes");
        assertGt(world.refusals(), 20, "hostile calls refused");
        assertGt(world.replaced(), 1, "keys replaced");
        assertGt(world.left(), 1, "bonds withdrawn");
    }
}
