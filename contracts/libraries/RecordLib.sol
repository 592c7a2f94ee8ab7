// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IEnergyLedger} from "../interfaces/IEnergyLedger.sol";
import {Meter, RecordHead, RecordKind} from "../types/EnergyRecord.sol";
import {CountsLib} from "./CountsLib.sol";

/// @title RecordLib
/// @notice Layout of a day record, and what a device signs. The Rust side is `protocol/src/energy/record.rs`.
/// @dev SHA-256, since that is what a secure element hashes and signs by itself (ES256).
library RecordLib {
    uint256 internal constant HEAD_BYTES = 35;
    uint256 internal constant SIGNATURE_BYTES = 64;
    /// @dev "sunwork.energy.1": of a record.
    bytes16 internal constant RECORD_TAG = "sunwork.energy.1";
    /// @dev "sunwork.meter..1": of a registration, so that none is ever taken for a record.
    bytes16 internal constant METER_TAG = "sunwork.meter..1";

    /// @notice Bytes of a record of this kind without its signature.
    function bodyBytes(RecordKind kind) internal pure returns (uint256) {
        if (kind == RecordKind.Production) return HEAD_BYTES + CountsLib.BYTES;
        if (kind == RecordKind.Metered) return HEAD_BYTES + 2 * CountsLib.BYTES;
        return HEAD_BYTES;
    }

    /// @notice Reads a head and checks the length.
    /// @param tail Bytes that must follow the body: those of a signature, or none.
    function head(bytes calldata data, uint256 tail) internal pure returns (RecordHead memory h) {
        require(data.length >= HEAD_BYTES + tail, IEnergyLedger.RecordLength(data.length, HEAD_BYTES + tail));
        uint256 first;
        uint256 second;
        assembly ("memory-safe") {
            first := calldataload(data.offset)
            // Its last 32 bytes: from byte 3 on.
            second := calldataload(add(data.offset, 3))
        }
        uint256 kind = first >> 248;
        require(
            kind != 0 && kind <= uint256(type(RecordKind).max), IEnergyLedger.UnknownRecordKind(uint8(kind))
        );
        h.kind = RecordKind(kind);
        h.worker = address(uint160(first >> 88));
        h.sequence = uint32(second >> 80);
        h.day = uint16(second >> 64);
        h.counterEpoch = uint16(second >> 48);
        h.counterWh = uint48(second);
        uint256 expected = bodyBytes(h.kind) + tail;
        require(data.length == expected, IEnergyLedger.RecordLength(data.length, expected));
    }

    /// @notice Where the counts of production begin in the calldata; those of consumption follow them.
    function countsOffset(bytes calldata data) internal pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := add(data.offset, HEAD_BYTES)
        }
    }

    /// @notice What a device signs for a record, and what its link is the beginning of:
    /// SHA-256(tag 16 | chain id 8 | ledger 20 | link of the previous record 24 | body).
    /// @param ledger The contract that the record is for.
    /// @param body The record without its signature.
    function digest(address ledger, bytes24 previous, bytes calldata body)
        internal
        view
        returns (bytes32 found)
    {
        bytes16 tag = RECORD_TAG;
        bool ok;
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, tag)
            mstore(add(at, 16), shl(192, chainid()))
            mstore(add(at, 24), shl(96, ledger))
            mstore(add(at, 44), previous)
            calldatacopy(add(at, 68), body.offset, body.length)
            ok := staticcall(gas(), 2, at, add(68, body.length), 0, 32)
            ok := and(ok, eq(returndatasize(), 32))
            found := mload(0)
        }
        // The precompile fails for want of gas only.
        require(ok, IEnergyLedger.HashFailed());
    }

    /// @notice What a device signs to serve `worker`, and no other:
    /// SHA-256(tag 16 | chain id 8 | ledger 20 | worker 20 | x 32 | y 32 | nameplate 4 | country 2 | latitude 2 | longitude 2).
    function meterDigest(address ledger, address worker, Meter calldata m) internal view returns (bytes32) {
        return sha256(
            abi.encodePacked(
                METER_TAG,
                uint64(block.chainid),
                ledger,
                worker,
                m.keyX,
                m.keyY,
                m.nameplateWatts,
                m.country,
                m.latitudeDecidegrees,
                m.longitudeDecidegrees
            )
        );
    }
}
