// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {VmSafe} from "forge-std/Vm.sol";
import {ComputeParams} from "../contracts/interfaces/IComputeAgreement.sol";
import {BeaconParameters, BeaconParametersLib} from "./BeaconParameters.sol";
import {EnergyParameters, EnergyParametersLib} from "./EnergyParameters.sol";

/// @notice What a deployment is made of, as in `script/params/*.json`.
struct Parameters {
    /// May add kinds and classes; zero stands for the deploying account.
    address owner;
    /// An existing ERC-20, or zero: a SunToken is deployed and its whole supply goes to the deploying account.
    address token;
    string[] classes;
    BeaconParameters beacon;
    uint32 epochSecs;
    uint32 unbondSecs;
    uint96 ticketUnit;
    ComputeParams compute;
    /// Of the energy ledger; a file without this group deploys none.
    EnergyParameters energy;
}

/// @title ParametersLib
/// @notice Reads parameters from JSON. A missing key is an error that names it, and so is one too many.
library ParametersLib {
    VmSafe private constant VM = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice A group holds another number of keys than this version knows: one is misspelt or unknown.
    error UnknownParameter(string group, uint256 found, uint256 expected);
    /// @notice A number does not fit its type.
    error ParameterTooLarge(string key, uint256 found, uint256 max);

    /// @param prefix Path of the object that holds the parameters: "" or ".parameters".
    function parse(string memory json, string memory prefix) internal view returns (Parameters memory p) {
        string memory energy = string.concat(prefix, ".energy");
        bool hasEnergy = VM.keyExistsJson(json, energy);
        _expectKeys(json, bytes(prefix).length == 0 ? "." : prefix, hasEnergy ? 7 : 6);
        _expectKeys(json, string.concat(prefix, ".dispatcher"), 3);
        _expectKeys(json, string.concat(prefix, ".compute"), 13);

        p.owner = VM.parseJsonAddress(json, string.concat(prefix, ".owner"));
        p.token = VM.parseJsonAddress(json, string.concat(prefix, ".token"));
        p.classes = VM.parseJsonStringArray(json, string.concat(prefix, ".classes"));
        p.beacon = BeaconParametersLib.parse(json, string.concat(prefix, ".beacon"));
        p.epochSecs = uint32(_uint(json, prefix, ".dispatcher.epochSecs", type(uint32).max));
        p.unbondSecs = uint32(_uint(json, prefix, ".dispatcher.unbondSecs", type(uint32).max));
        p.ticketUnit = uint96(_uint(json, prefix, ".dispatcher.ticketUnit", type(uint96).max));
        p.compute = _compute(json, prefix);
        if (hasEnergy) p.energy = EnergyParametersLib.parse(json, energy);
    }

    function _compute(string memory json, string memory prefix)
        private
        pure
        returns (ComputeParams memory c)
    {
        c.keySecs = uint24(_uint(json, prefix, ".compute.keySecs", type(uint24).max));
        c.seedSecs = uint24(_uint(json, prefix, ".compute.seedSecs", type(uint24).max));
        c.drawStepSecs = uint24(_uint(json, prefix, ".compute.drawStepSecs", type(uint24).max));
        c.drawSteps = uint8(_uint(json, prefix, ".compute.drawSteps", type(uint8).max));
        c.drawFactor = uint8(_uint(json, prefix, ".compute.drawFactor", type(uint8).max));
        c.revealSecs = uint24(_uint(json, prefix, ".compute.revealSecs", type(uint24).max));
        c.openSecs = uint24(_uint(json, prefix, ".compute.openSecs", type(uint24).max));
        c.maxAttempts = uint8(_uint(json, prefix, ".compute.maxAttempts", type(uint8).max));
        c.maxStrikes = uint8(_uint(json, prefix, ".compute.maxStrikes", type(uint8).max));
        c.abortBps = uint16(_uint(json, prefix, ".compute.abortBps", type(uint16).max));
        c.vanishBps = uint16(_uint(json, prefix, ".compute.vanishBps", type(uint16).max));
        c.seedTip = uint96(_uint(json, prefix, ".compute.seedTip", type(uint96).max));
        c.auditOneIn = uint16(_uint(json, prefix, ".compute.auditOneIn", type(uint16).max));
    }

    function _uint(string memory json, string memory prefix, string memory key, uint256 max)
        private
        pure
        returns (uint256 value)
    {
        value = VM.parseJsonUint(json, string.concat(prefix, key));
        require(value <= max, ParameterTooLarge(key, value, max));
    }

    function _expectKeys(string memory json, string memory group, uint256 expected) private pure {
        uint256 found = VM.parseJsonKeys(json, group).length;
        require(found == expected, UnknownParameter(group, found, expected));
    }
}
