// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Script, console} from "forge-std/Script.sol";
import {WorkerDispatcher, DispatcherParams} from "../contracts/WorkerDispatcher.sol";
import {ComputeAgreement} from "../contracts/agreements/ComputeAgreement.sol";
import {ComputeEndings} from "../contracts/agreements/compute/ComputeEndings.sol";
import {ComputeExtension} from "../contracts/agreements/compute/ComputeExtension.sol";
import {ComputeLate} from "../contracts/agreements/compute/ComputeLate.sol";
import {IBeacon} from "../contracts/interfaces/IBeacon.sol";
import {EnergyCertificates} from "../contracts/energy/EnergyCertificates.sol";
import {EnergyLedger} from "../contracts/energy/EnergyLedger.sol";
import {P256Verifier} from "../contracts/energy/P256Verifier.sol";
import {IComputeAgreement} from "../contracts/interfaces/IComputeAgreement.sol";
import {IEnergyLedger} from "../contracts/interfaces/IEnergyLedger.sol";
import {SunToken} from "../contracts/token/SunToken.sol";
import {EnergyParams} from "../contracts/types/EnergyRecord.sol";
import {BeaconParametersLib} from "./BeaconParameters.sol";
import {Deployment, DeploymentFileLib} from "./DeploymentFile.sol";

/// @title CheckDeployment
/// @notice Checks what is on chain against `deployments/<chainid>.json` and against this source: the same contracts are
/// made again in memory with the parameters of the file, and their code must be the same byte for byte.
///
///   npx forge script script/CheckDeployment.s.sol --rpc-url URL
contract CheckDeployment is Script {
    /// @notice The first difference, by name; numbers and addresses as 32-byte words.
    error Differs(string what, bytes32 found, bytes32 expected);
    /// @notice There is no code at an address of the file.
    error NoCode(string what, address where);

    function run() external {
        string memory path = DeploymentFileLib.path();
        Deployment memory d = DeploymentFileLib.parse(vm.readFile(path));
        check(d);
        checkCode(d);
        console.log("the contracts on chain are what %s and this source say", path);
    }

    /// @notice Addresses and parameters. Reverts with the first difference.
    function check(Deployment memory d) public {
        _same("chainId", block.chainid, d.chainId);
        _code("token", d.token);
        _code("beacon", d.beacon);
        _code("dispatcher", d.dispatcher);
        _code("computeImplementation", d.computeImplementation);
        _checkDispatcher(d);
        _checkCompute(d);
        if (d.parameters.energy.present) _checkEnergy(d);
        _same(
            "compute.energyLedger",
            address(IComputeAgreement(d.computeImplementation).energyLedger()),
            d.energyLedger
        );
    }

    /// @notice The code behind the addresses. Reverts with the first difference.
    /// @dev Only a script links the agreement to the same libraries as the deploy script did (CREATE2); a test on a fork
    /// puts them elsewhere, so the code differs in their addresses there.
    function checkCode(Deployment memory d) public {
        address beacon = address(BeaconParametersLib.make(d.parameters.beacon));
        _same("code of the beacon", beacon, d.beacon, beacon);
        _checkComputeCode(d);
        if (d.parameters.energy.present) _checkEnergyCode(d);
        if (d.parameters.token == address(0)) {
            address token = address(new SunToken(d.owner));
            _same("code of the token", token, d.token, token);
        }

        // The dispatcher keeps its birth time in its code. Two copies born at times that share no byte show where.
        uint256 today = block.timestamp;
        vm.warp(0x0101010101010101);
        address dispatcher = _dispatcher(d);
        vm.warp(0x0202020202020202);
        address later = _dispatcher(d);
        vm.warp(today);
        _same("code of the dispatcher", dispatcher, d.dispatcher, later);
    }

    /// @dev Each part names the next one in its code, so it is made again with the next one that is on the chain.
    function _checkComputeCode(Deployment memory d) private {
        ComputeAgreement onChain = ComputeAgreement(d.computeImplementation);
        ComputeExtension extension = ComputeExtension(onChain.extension());
        ComputeLate late = extension.late();
        ComputeEndings endings = late.endings();
        address made = address(
            new ComputeEndings(
                WorkerDispatcher(d.dispatcher),
                IBeacon(d.beacon),
                IEnergyLedger(d.energyLedger),
                d.parameters.compute
            )
        );
        _same("code of the compute endings", made, address(endings), made);
        made = address(new ComputeLate(endings));
        _same("code of the compute openings", made, address(late), made);
        made = address(new ComputeExtension(late));
        _same("code of the compute extension", made, address(extension), made);
        made = address(new ComputeAgreement(extension));
        _same("code of the compute agreement", made, d.computeImplementation, made);
    }

    /// @dev The ledger names in its code the certificates that it made: those of the copy give way to those on the chain.
    function _checkEnergyCode(Deployment memory d) private {
        EnergyLedger onChain = EnergyLedger(d.energyLedger);
        WorkerDispatcher dispatcher = WorkerDispatcher(d.dispatcher);
        EnergyLedger copy = new EnergyLedger(dispatcher, onChain.params());
        bytes memory expected = _replaced(address(copy).code, copy.certificates(), d.energyCertificates);
        require(
            keccak256(expected) == d.energyLedger.codehash,
            Differs("code of the energy ledger", d.energyLedger.codehash, keccak256(expected))
        );
        address made = address(new EnergyCertificates(onChain, dispatcher));
        _same("code of the energy certificates", made, d.energyCertificates, made);
        if (!d.parameters.energy.solidityVerifier) return;
        made = address(new P256Verifier());
        _same("code of the P-256 verifier", made, onChain.params().verifier, made);
    }

    function _checkEnergy(Deployment memory d) private view {
        _code("energyLedger", d.energyLedger);
        _code("energyCertificates", d.energyCertificates);
        IEnergyLedger ledger = IEnergyLedger(d.energyLedger);
        _same("energyLedger.dispatcher", ledger.dispatcher(), d.dispatcher);
        _same("energyLedger.token", ledger.token(), d.token);
        _same("energyLedger.certificates", ledger.certificates(), d.energyCertificates);
        EnergyParams memory expected = d.parameters.energy.ledger;
        // A verifier that was deployed along has no address in the parameters; its code is compared.
        if (d.parameters.energy.solidityVerifier) expected.verifier = ledger.params().verifier;
        bytes memory found = abi.encode(ledger.params());
        string[7] memory names =
            ["verifier", "bond", "unbondSecs", "windowDays", "minDays", "freshDays", "assumedWatts"];
        for (uint256 i = 0; i < names.length; ++i) {
            _same(string.concat("energyLedger.", names[i]), _word(found, i), _word(abi.encode(expected), i));
        }
    }

    function _checkDispatcher(Deployment memory d) private view {
        WorkerDispatcher dispatcher = WorkerDispatcher(d.dispatcher);
        _same("dispatcher.owner", dispatcher.owner(), d.owner);
        if (d.parameters.owner != address(0)) _same("parameters.owner", d.owner, d.parameters.owner);
        _same("dispatcher.token", dispatcher.token(), d.token);
        if (d.parameters.token != address(0)) _same("parameters.token", d.token, d.parameters.token);
        _same("dispatcher.epochSecs", dispatcher.epochSecs(), d.parameters.epochSecs);
        _same("dispatcher.unbondSecs", dispatcher.unbondSecs(), d.parameters.unbondSecs);
        _same("dispatcher.ticketUnit", dispatcher.ticketUnit(), d.parameters.ticketUnit);
        _same("dispatcher.classCount", dispatcher.classCount(), d.classes.length);
        require(dispatcher.kindCount() != 0, Differs("dispatcher.kindCount", 0, bytes32(uint256(1))));
        (address implementation, bytes32 codeHash) = dispatcher.kind(0);
        _same("dispatcher.kind(0)", implementation, d.computeImplementation);
        _same("code hash of kind 0", uint256(implementation.codehash), uint256(codeHash));
    }

    function _checkCompute(Deployment memory d) private view {
        IComputeAgreement compute = IComputeAgreement(d.computeImplementation);
        _same("compute.dispatcher", address(compute.dispatcher()), d.dispatcher);
        _same("compute.beacon", address(compute.beacon()), d.beacon);
        bytes memory found = abi.encode(compute.params());
        bytes memory expected = abi.encode(d.parameters.compute);
        string[13] memory names = [
            "keySecs",
            "seedSecs",
            "drawStepSecs",
            "drawSteps",
            "drawFactor",
            "revealSecs",
            "openSecs",
            "maxAttempts",
            "maxStrikes",
            "abortBps",
            "vanishBps",
            "seedTip",
            "auditOneIn"
        ];
        for (uint256 i = 0; i < names.length; ++i) {
            _same(string.concat("compute.", names[i]), _word(found, i), _word(expected, i));
        }
    }

    function _dispatcher(Deployment memory d) private returns (address) {
        return address(
            new WorkerDispatcher(
                DispatcherParams({
                    owner: d.owner,
                    token: d.token,
                    epochSecs: d.parameters.epochSecs,
                    unbondSecs: d.parameters.unbondSecs,
                    ticketUnit: d.parameters.ticketUnit
                })
            )
        );
    }

    /// @dev `code` with every `from` in it made a `to`.
    function _replaced(bytes memory code, address from, address to) private pure returns (bytes memory) {
        for (uint256 i = 0; i + 20 <= code.length; ++i) {
            bytes32 word;
            assembly ("memory-safe") {
                word := mload(add(add(code, 32), i))
            }
            if (address(bytes20(word)) != from) continue;
            for (uint256 j = 0; j < 20; ++j) {
                code[i + j] = bytes20(to)[j];
            }
        }
        return code;
    }

    /// @dev The code at `found` equals that at `expected`, but for the bytes in which `sibling` differs from it.
    function _same(string memory what, address expected, address found, address sibling) private view {
        bytes memory a = expected.code;
        bytes memory b = found.code;
        bytes memory c = sibling.code;
        bool same = a.length == b.length;
        for (uint256 i = 0; same && i < a.length; ++i) {
            same = a[i] == b[i] || a[i] != c[i];
        }
        require(same, Differs(what, found.codehash, expected.codehash));
    }

    function _code(string memory what, address where) private view {
        require(where.code.length != 0, NoCode(what, where));
    }

    function _same(string memory what, address found, address expected) private pure {
        _same(what, uint160(found), uint160(expected));
    }

    function _same(string memory what, uint256 found, uint256 expected) private pure {
        require(found == expected, Differs(what, bytes32(found), bytes32(expected)));
    }

    /// @dev The i-th word of ABI-encoded static values.
    function _word(bytes memory words, uint256 i) private pure returns (uint256 word) {
        for (uint256 j = 0; j < 32; ++j) {
            word = (word << 8) | uint8(words[i * 32 + j]);
        }
    }
}
