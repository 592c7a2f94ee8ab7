// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {VmSafe} from "forge-std/Vm.sol";
import {BlockBeacon} from "../contracts/beacon/BlockBeacon.sol";
import {DrandBeacon, DrandParams} from "../contracts/beacon/DrandBeacon.sol";
import {IBeacon} from "../contracts/interfaces/IBeacon.sol";

/// @notice Which beacon, and how it is set up.
struct BeaconParameters {
    /// "block" or "drand".
    string kind;
    /// Of a block beacon.
    uint48 marginBlocks;
    /// Of a drand beacon.
    DrandParams drand;
}

/// @title BeaconParametersLib
/// @notice The group `beacon` of the parameters: {"kind": "block", "marginBlocks"}, or
/// {"kind": "drand", "publicKey", "genesis", "periodSecs", "marginSecs", "strideRounds"}.
library BeaconParametersLib {
    VmSafe private constant VM = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice There is no such kind of beacon.
    error UnknownBeacon(string found, string expected);
    /// @notice The group holds another number of keys than this kind has: one is misspelt or unknown.
    error UnknownBeaconParameter(string kind, uint256 found, uint256 expected);
    /// @notice A number does not fit its type.
    error BeaconParameterTooLarge(string key, uint256 found, uint256 max);

    /// @param group Path of the object, ".beacon" say.
    function parse(string memory json, string memory group)
        internal
        pure
        returns (BeaconParameters memory b)
    {
        b.kind = VM.parseJsonString(json, string.concat(group, ".kind"));
        if (_same(b.kind, "block")) {
            _expectKeys(json, group, b.kind, 2);
            b.marginBlocks = uint48(_uint(json, group, ".marginBlocks", type(uint48).max));
        } else if (_same(b.kind, "drand")) {
            _expectKeys(json, group, b.kind, 6);
            b.drand = DrandParams({
                publicKey: VM.parseJsonBytes(json, string.concat(group, ".publicKey")),
                genesis: uint64(_uint(json, group, ".genesis", type(uint64).max)),
                periodSecs: uint32(_uint(json, group, ".periodSecs", type(uint32).max)),
                marginSecs: uint32(_uint(json, group, ".marginSecs", type(uint32).max)),
                strideRounds: uint32(_uint(json, group, ".strideRounds", type(uint32).max))
            });
        } else {
            revert UnknownBeacon(b.kind, "block or drand");
        }
    }

    /// @notice Deploys it.
    function make(BeaconParameters memory b) internal returns (IBeacon) {
        return _same(b.kind, "drand") ? IBeacon(new DrandBeacon(b.drand)) : new BlockBeacon(b.marginBlocks);
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
        require(value <= max, BeaconParameterTooLarge(key, value, max));
    }

    function _expectKeys(string memory json, string memory group, string memory kind, uint256 expected)
        private
        pure
    {
        uint256 found = VM.parseJsonKeys(json, group).length;
        require(found == expected, UnknownBeaconParameter(kind, found, expected));
    }
}
