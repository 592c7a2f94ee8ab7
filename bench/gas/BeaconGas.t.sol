// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test, console} from "forge-std/Test.sol";
import {DrandBeacon} from "../../contracts/beacon/DrandBeacon.sol";
import {DrandVectors, Round} from "../../test/utils/DrandVectors.sol";

/// @notice A real round of drand's quicknet, proven and recorded: once for all agreements that draw from it.
contract BeaconGas is Test {
    function test_record() public {
        DrandBeacon beacon = new DrandBeacon(DrandVectors.params("quicknet"));
        Round memory round = DrandVectors.rounds("quicknet")[0];
        vm.warp(beacon.timeOf(round.round) + 1);
        beacon.record(round.round, round.proof);
        console.log("bench: beacon_round", vm.lastCallGas().gasTotalUsed);
    }
}
