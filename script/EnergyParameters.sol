// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {VmSafe} from "forge-std/Vm.sol";
import {EnergyLedger} from "../contracts/energy/EnergyLedger.sol";
import {P256Verifier} from "../contracts/energy/P256Verifier.sol";
import {IEnergyLedger} from "../contracts/interfaces/IEnergyLedger.sol";
import {IWorkerDispatcher} from "../contracts/interfaces/IWorkerDispatcher.sol";
import {P256Lib} from "../contracts/libraries/P256Lib.sol";
import {EnergyParams} from "../contracts/types/EnergyRecord.sol";

/// @notice Whether there is an energy ledger, and how it is set up.
struct EnergyParameters {
    bool present;
    /// The verifier is a contract that is deployed along.
    bool solidityVerifier;
    EnergyParams ledger;
}

/// @title EnergyParametersLib
/// @notice The group `energy` of the parameters. "verifier" is "precompile" (EIP-7951, at 0x100) or "solidity".
library EnergyParametersLib {
    VmSafe private constant VM = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant KEYS = 7;

    /// @notice There is no such verifier.
    error UnknownVerifier(string found, string expected);
    /// @notice The group holds another number of keys than this version knows.
    error UnknownEnergyParameter(uint256 found, uint256 expected);
    /// @notice A number does not fit its type.
    error EnergyParameterTooLarge(string key, uint256 found, uint256 max);

    /// @param group Path of the object, ".energy" say.
    function parse(string memory json, string memory group)
        internal
        pure
        returns (EnergyParameters memory e)
    {
        uint256 found = VM.parseJsonKeys(json, group).length;
        require(found == KEYS, UnknownEnergyParameter(found, KEYS));
        e.present = true;
        string memory verifier = VM.parseJsonString(json, string.concat(group, ".verifier"));
        e.solidityVerifier = _same(verifier, "solidity");
        require(
            e.solidityVerifier || _same(verifier, "precompile"),
            UnknownVerifier(verifier, "precompile or solidity")
        );
        e.ledger = EnergyParams({
            verifier: e.solidityVerifier ? address(0) : P256Lib.PRECOMPILE,
            bond: uint96(_uint(json, group, ".bond", type(uint96).max)),
            unbondSecs: uint32(_uint(json, group, ".unbondSecs", type(uint32).max)),
            windowDays: uint8(_uint(json, group, ".windowDays", type(uint8).max)),
            minDays: uint8(_uint(json, group, ".minDays", type(uint8).max)),
            freshDays: uint8(_uint(json, group, ".freshDays", type(uint8).max)),
            assumedWatts: uint16(_uint(json, group, ".assumedWatts", type(uint16).max))
        });
    }

    /// @notice Deploys the ledger, which makes the certificates, and its verifier where the parameters ask for one.
    function make(EnergyParameters memory e, IWorkerDispatcher dispatcher) internal returns (IEnergyLedger) {
        EnergyParams memory p = e.ledger;
        if (e.solidityVerifier) p.verifier = address(new P256Verifier());
        return new EnergyLedger(dispatcher, p);
    }

    function _same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function _uint(string memory json, string memory group, string memory key, uint256 max)
        private
        pure
        returns (uint256 value)
    {
        value = VM.parseJsonUint(json, string.concat(group, key));
        require(value <= max, EnergyParameterTooLarge(key, value, max));
    }
}
