// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {VmSafe} from "forge-std/Vm.sol";
import {DrandParams} from "../../contracts/beacon/DrandBeacon.sol";

/// @notice One round of `protocol/vectors/drand.json`.
struct Round {
    uint48 round;
    bytes signature;
    bytes proof;
    bytes32 randomness;
    bytes32 seed;
}

/// @title DrandVectors
/// @notice Reads the vector file that protocol/tests/drand.rs checks the Rust side against.
library DrandVectors {
    VmSafe private constant VM = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));

    function params(string memory chain) internal view returns (DrandParams memory p) {
        string memory json = _file();
        p.publicKey = VM.parseJsonBytes(json, string.concat(".", chain, ".publicKey"));
        string memory schedule = string.concat(".", chain, ".schedule");
        p.genesis = uint64(VM.parseJsonUint(json, string.concat(schedule, ".genesis")));
        p.periodSecs = uint32(VM.parseJsonUint(json, string.concat(schedule, ".periodSecs")));
        p.marginSecs = uint32(VM.parseJsonUint(json, string.concat(schedule, ".marginSecs")));
        p.strideRounds = uint32(VM.parseJsonUint(json, string.concat(schedule, ".strideRounds")));
    }

    function rounds(string memory chain) internal view returns (Round[] memory all) {
        string memory json = _file();
        string memory group = string.concat(".", chain, ".rounds");
        all = new Round[](VM.parseJsonUint(json, string.concat(group, ".count")));
        for (uint256 i = 0; i < all.length; ++i) {
            string memory row = string.concat(group, ".rows[", VM.toString(i), "]");
            all[i].round = uint48(VM.parseJsonUint(json, string.concat(row, ".round")));
            all[i].signature = VM.parseJsonBytes(json, string.concat(row, ".signature"));
            all[i].proof = VM.parseJsonBytes(json, string.concat(row, ".proof"));
            all[i].randomness = VM.parseJsonBytes32(json, string.concat(row, ".randomness"));
            all[i].seed = VM.parseJsonBytes32(json, string.concat(row, ".seed"));
        }
    }

    function times(string memory chain)
        internal
        view
        returns (uint256[] memory now_, uint256[] memory current, uint256[] memory next)
    {
        string memory json = _file();
        string memory group = string.concat(".", chain, ".times");
        uint256 count = VM.parseJsonUint(json, string.concat(group, ".count"));
        (now_, current, next) = (new uint256[](count), new uint256[](count), new uint256[](count));
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(group, ".rows[", VM.toString(i), "]");
            now_[i] = VM.parseJsonUint(json, string.concat(row, ".now"));
            current[i] = VM.parseJsonUint(json, string.concat(row, ".current"));
            next[i] = VM.parseJsonUint(json, string.concat(row, ".next"));
        }
    }

    function _file() private view returns (string memory) {
        return VM.readFile("protocol/vectors/drand.json");
    }
}
