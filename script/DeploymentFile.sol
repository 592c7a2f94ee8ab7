// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {VmSafe} from "forge-std/Vm.sol";
import {Parameters, ParametersLib} from "./Parameters.sol";

/// @notice Where one network's contracts are, as in `deployments/<chainid>.json`.
struct Deployment {
    uint256 chainId;
    /// Nothing of this deployment is in an earlier block.
    uint256 deployedBlock;
    address token;
    address dispatcher;
    address beacon;
    address computeImplementation;
    /// Zero, like the certificates, where the deployment has none.
    address energyLedger;
    address energyCertificates;
    address owner;
    string[] classes;
    /// What it was deployed with; owner and token may be zero there (see Parameters).
    Parameters parameters;
}

/// @title DeploymentFileLib
/// @notice The one place that knows the deployment file. Worker, oracle and client read the same keys.
library DeploymentFileLib {
    VmSafe private constant VM = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice The file of this chain: SUNWORK_DEPLOYMENT_FILE, or `deployments/<chainid>.json`.
    function path() internal view returns (string memory) {
        return VM.envOr(
            "SUNWORK_DEPLOYMENT_FILE", string.concat("deployments/", VM.toString(block.chainid), ".json")
        );
    }

    /// @param parametersJson The parameter file's text, kept as it is.
    function toJson(Deployment memory d, string memory parametersJson)
        internal
        pure
        returns (string memory json)
    {
        json = string.concat(
            '{\n  "chainId": ', VM.toString(d.chainId), ',\n  "deployedBlock": ', VM.toString(d.deployedBlock)
        );
        json = string.concat(json, _field("token", d.token), _field("dispatcher", d.dispatcher));
        json = string.concat(json, _field("beacon", d.beacon));
        json = string.concat(json, _field("computeImplementation", d.computeImplementation));
        if (d.energyLedger != address(0)) {
            json = string.concat(json, _field("energyLedger", d.energyLedger));
            json = string.concat(json, _field("energyCertificates", d.energyCertificates));
        }
        json = string.concat(json, _field("owner", d.owner), ',\n  "classes": [');
        for (uint256 i = 0; i < d.classes.length; ++i) {
            json = string.concat(json, i == 0 ? "" : ", ", '"', d.classes[i], '"');
        }
        json = string.concat(json, '],\n  "parameters": ', parametersJson, "\n}\n");
    }

    function parse(string memory json) internal view returns (Deployment memory d) {
        d.chainId = VM.parseJsonUint(json, ".chainId");
        d.deployedBlock = VM.parseJsonUint(json, ".deployedBlock");
        d.token = VM.parseJsonAddress(json, ".token");
        d.dispatcher = VM.parseJsonAddress(json, ".dispatcher");
        d.beacon = VM.parseJsonAddress(json, ".beacon");
        d.computeImplementation = VM.parseJsonAddress(json, ".computeImplementation");
        if (VM.keyExistsJson(json, ".energyLedger")) {
            d.energyLedger = VM.parseJsonAddress(json, ".energyLedger");
            d.energyCertificates = VM.parseJsonAddress(json, ".energyCertificates");
        }
        d.owner = VM.parseJsonAddress(json, ".owner");
        d.classes = VM.parseJsonStringArray(json, ".classes");
        d.parameters = ParametersLib.parse(json, ".parameters");
    }

    function _field(string memory name, address value) private pure returns (string memory) {
        return string.concat(',\n  "', name, '": "', VM.toString(value), '"');
    }
}
