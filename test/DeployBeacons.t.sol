// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {BlockBeacon} from "../contracts/beacon/BlockBeacon.sol";
import {DrandBeacon, DrandParams} from "../contracts/beacon/DrandBeacon.sol";
import {BeaconParameters, BeaconParametersLib} from "../script/BeaconParameters.sol";
import {DrandVectors} from "./utils/DrandVectors.sol";

/// @notice The beacon that a parameter file asks for is the one that is deployed.
contract DeployBeaconsTest is Test {
    function test_blockBeaconOfTheDevelopmentParameters() public {
        BeaconParameters memory b =
            BeaconParametersLib.parse(vm.readFile("script/params/anvil.json"), ".beacon");
        assertEq(BlockBeacon(address(BeaconParametersLib.make(b))).marginBlocks(), 1, "margin");
    }

    /// @notice The real chain: its key, genesis and period are those of the rounds in the vector file.
    function test_drandBeaconOfTheQuicknetParameters() public {
        BeaconParameters memory b =
            BeaconParametersLib.parse(vm.readFile("script/params/quicknet.json"), ".beacon");
        DrandBeacon beacon = DrandBeacon(address(BeaconParametersLib.make(b)));
        DrandParams memory expected = DrandVectors.params("quicknet");
        assertEq(beacon.publicKey(), expected.publicKey, "key");
        assertEq(beacon.genesis(), expected.genesis, "genesis");
        assertEq(beacon.periodSecs(), expected.periodSecs, "period");
        assertEq(beacon.marginSecs(), expected.marginSecs, "margin");
        assertEq(beacon.strideRounds(), expected.strideRounds, "stride");
    }

    function test_RevertWhen_groupIsWrong() public {
        vm.expectRevert(
            abi.encodeWithSelector(BeaconParametersLib.UnknownBeacon.selector, "moon", "block or drand")
        );
        this.parse('{"beacon":{"kind":"moon"}}');
        vm.expectRevert(
            abi.encodeWithSelector(BeaconParametersLib.UnknownBeaconParameter.selector, "block", 3, 2)
        );
        this.parse('{"beacon":{"kind":"block","marginBlocks":1,"marginBlock":2}}');
        vm.expectRevert(
            abi.encodeWithSelector(
                BeaconParametersLib.BeaconParameterTooLarge.selector,
                ".marginBlocks",
                1 << 48,
                type(uint48).max
            )
        );
        this.parse('{"beacon":{"kind":"block","marginBlocks":281474976710656}}');
        vm.expectRevert();
        this.parse('{"beacon":{"marginBlocks":1}}');
    }

    function parse(string calldata json) external pure returns (BeaconParameters memory) {
        return BeaconParametersLib.parse(json, ".beacon");
    }
}
