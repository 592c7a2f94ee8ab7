// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Script, console} from "forge-std/Script.sol";
import {VmSafe} from "forge-std/Vm.sol";
import {WorkerDispatcher, DispatcherParams} from "../contracts/WorkerDispatcher.sol";
import {IBeacon} from "../contracts/interfaces/IBeacon.sol";
import {IEnergyLedger} from "../contracts/interfaces/IEnergyLedger.sol";
import {SunToken} from "../contracts/token/SunToken.sol";
import {BeaconParametersLib} from "./BeaconParameters.sol";
import {ComputeDeployer} from "./ComputeDeployer.sol";
import {Deployment, DeploymentFileLib} from "./DeploymentFile.sol";
import {EnergyParametersLib} from "./EnergyParameters.sol";
import {Parameters, ParametersLib} from "./Parameters.sol";

/// @title Deploy
/// @notice Deploys Sunwork with the parameters of a file and writes `deployments/<chainid>.json`.
///
///   npx forge script script/Deploy.s.sol --rpc-url URL --keystore FILE --broadcast
///
/// Environment: SUNWORK_PARAMS (default `script/params/anvil.json` on chain 31337, else `script/params/testnet.json`),
/// SUNWORK_DEPLOYMENT_FILE (default `deployments/<chainid>.json`). Without `--broadcast` nothing is sent or written.
contract Deploy is Script {
    /// @notice The token named in the parameters has no code on this chain.
    error TokenMissing(address token, uint256 chainId);

    function run() external returns (Deployment memory d) {
        string memory json = vm.readFile(parametersPath());
        d = deploy(ParametersLib.parse(json, ""));

        string memory text = DeploymentFileLib.toJson(d, json);
        if (vm.isContext(VmSafe.ForgeContext.ScriptBroadcast)) {
            vm.writeJson(text, DeploymentFileLib.path());
            console.log("wrote", DeploymentFileLib.path());
        } else {
            console.log("dry run, nothing sent; add --broadcast to deploy:\n", text);
        }
    }

    /// @notice Deploys everything from the broadcasting account.
    function deploy(Parameters memory p) public returns (Deployment memory d) {
        vm.startBroadcast();
        (, address deployer,) = vm.readCallers();
        d = _deploy(p, deployer);
        vm.stopBroadcast();
    }

    function parametersPath() public view returns (string memory) {
        return vm.envOr(
            "SUNWORK_PARAMS",
            string(block.chainid == 31_337 ? "script/params/anvil.json" : "script/params/testnet.json")
        );
    }

    function _deploy(Parameters memory p, address deployer) private returns (Deployment memory d) {
        d.chainId = block.chainid;
        // The block that the simulation stands on: everything of ours comes after it.
        d.deployedBlock = block.number;
        d.owner = p.owner == address(0) ? deployer : p.owner;
        d.classes = p.classes;
        d.parameters = p;

        require(p.token == address(0) || p.token.code.length != 0, TokenMissing(p.token, block.chainid));
        d.token = p.token == address(0) ? address(new SunToken(deployer)) : p.token;
        d.beacon = address(BeaconParametersLib.make(p.beacon));
        WorkerDispatcher dispatcher = new WorkerDispatcher(
            DispatcherParams({
                owner: d.owner,
                token: d.token,
                epochSecs: p.epochSecs,
                unbondSecs: p.unbondSecs,
                ticketUnit: p.ticketUnit
            })
        );
        d.dispatcher = address(dispatcher);
        if (p.energy.present) {
            IEnergyLedger ledger = EnergyParametersLib.make(p.energy, dispatcher);
            (d.energyLedger, d.energyCertificates) = (address(ledger), ledger.certificates());
        }
        d.computeImplementation =
            ComputeDeployer.deploy(dispatcher, IBeacon(d.beacon), IEnergyLedger(d.energyLedger), p.compute);

        if (d.owner == deployer) {
            dispatcher.addKind(d.computeImplementation);
            for (uint256 i = 0; i < p.classes.length; ++i) {
                dispatcher.addClass(p.classes[i]);
            }
        } else {
            _sayWhatTheOwnerMustSend(d);
        }
    }

    /// @dev The owner is fixed at construction and another account than ours, a timelock say: it has to act itself.
    function _sayWhatTheOwnerMustSend(Deployment memory d) private pure {
        console.log("the owner %s has to send to the dispatcher %s:", d.owner, d.dispatcher);
        console.logBytes(abi.encodeCall(WorkerDispatcher.addKind, (d.computeImplementation)));
        for (uint256 i = 0; i < d.classes.length; ++i) {
            console.logBytes(abi.encodeCall(WorkerDispatcher.addClass, (d.classes[i])));
        }
    }
}
