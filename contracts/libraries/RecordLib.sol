// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IEnergyLedger} from "../interfaces/IEnergyLedger.sol";
import {Meter, RecordHead, RecordKind} from "../types/EnergyRecord.sol";
import {CountsLib} from "./CountsLib.sol";

/// @notice The last 32 bytes of a head: the end of the worker, then sequence, day, counterEpoch and counterWh.
type HeadWord is uint256;

/// @title RecordLib
/// @notice Layout of a day record, and what a device signs. The Rust side is `protocol/src/energy/record.rs`.
/// @dev SHA-256, since that is what a secure element hashes and signs by itself (ES256).
library RecordLib {
    uint256 internal constant HEAD_BYTES = 35;
    uint256 internal constant SIGNATURE_BYTES = 64;
    /// @dev Where begins what a device says of a day: day, counter and counts. Before it stand the kind, which the length shows
    /// too, the worker, and the sequence.
    uint256 internal constant CLAIM_OFFSET = 25;
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
        HeadWord w;
        (h.kind, h.worker, w) = headWord(data, tail);
        h.sequence = uint32(sequence(w));
        h.day = uint16(day(w));
        h.counterEpoch = uint16(counterEpoch(w));
        h.counterWh = uint48(counterWh(w));
    }

    /// @notice The same on the stack.
    function headWord(bytes calldata data, uint256 tail)
        internal
        pure
        returns (RecordKind kind, address worker, HeadWord w)
    {
        require(data.length >= HEAD_BYTES + tail, IEnergyLedger.RecordLength(data.length, HEAD_BYTES + tail));
        uint256 first;
        assembly ("memory-safe") {
            first := calldataload(data.offset)
            // Its last 32 bytes: from byte 3 on.
            w := calldataload(add(data.offset, 3))
        }
        uint256 number = first >> 248;
        require(
            number != 0 && number <= uint256(type(RecordKind).max),
            IEnergyLedger.UnknownRecordKind(uint8(number))
        );
        (kind, worker) = (RecordKind(number), address(uint160(first >> 88)));
        uint256 expected = bodyBytes(kind) + tail;
        require(data.length == expected, IEnergyLedger.RecordLength(data.length, expected));
    }

    /// @notice Kind and worker of a record whose head was read.
    function ofWhom(bytes calldata data) internal pure returns (RecordKind kind, address worker) {
        assembly ("memory-safe") {
            let first := calldataload(data.offset)
            kind := shr(248, first)
            worker := shr(96, shl(8, first))
        }
    }

    function sequence(HeadWord w) internal pure returns (uint256) {
        return uint32(HeadWord.unwrap(w) >> 80);
    }

    function day(HeadWord w) internal pure returns (uint256) {
        return uint16(HeadWord.unwrap(w) >> 64);
    }

    function counterEpoch(HeadWord w) internal pure returns (uint256) {
        return uint16(HeadWord.unwrap(w) >> 48);
    }

    function counterWh(HeadWord w) internal pure returns (uint256) {
        return uint48(HeadWord.unwrap(w));
    }

    /// @notice A signed record without its signature.
    function bodyOf(bytes calldata signed) internal pure returns (bytes calldata) {
        require(signed.length >= SIGNATURE_BYTES, IEnergyLedger.RecordLength(signed.length, SIGNATURE_BYTES));
        return signed[:signed.length - SIGNATURE_BYTES];
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

    /// @notice Reverts unless two records of one device contradict each other: both say something of the same day, and not the same.
    /// @dev What is compared is what a device measured. The link, and with it the digest, and the sequence it was told by a node: the
    /// same day signed again after a reorganisation, on either side of a fork, or for a node that lies is the same claim.
    function requireContradiction(bytes calldata bodyA, bytes calldata bodyB)
        internal
        pure
        returns (RecordHead memory a)
    {
        a = head(bodyA, 0);
        RecordHead memory b = head(bodyB, 0);
        require(
            a.worker == b.worker && a.day == b.day,
            IEnergyLedger.EvidenceMismatch(a.worker, a.day, b.worker, b.day)
        );
        // A gap claims nothing, and is what a device signs that has forgotten what it signed.
        require(a.kind != RecordKind.Gap && b.kind != RecordKind.Gap, IEnergyLedger.GapIsNoEvidence());
        require(
            keccak256(bodyA[CLAIM_OFFSET:]) != keccak256(bodyB[CLAIM_OFFSET:]),
            IEnergyLedger.SameClaim(a.worker, a.day)
        );
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
