// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @notice What the client offers: 57 bytes in the agreement's own code, so that reading them costs no storage.
struct ComputeTerms {
    /// Reward of the worker at the start of the accept window, smallest token unit.
    uint96 rewardMin;
    /// Reward at the end of the accept window; the price rises linearly in between.
    uint96 rewardMax;
    /// Fee of each verifier, smallest token unit.
    uint96 verifierFee;
    /// The pool that worker and verifiers come from: platform and runtime.
    uint16 classId;
    /// Bit 0: the work is confidential and starts with a sealed session key.
    uint8 flags;
    /// 1: proof of contribution. Others are refused until they exist.
    uint8 trustLevel;
    /// T: the result is accepted with credibility above 1 - 1/T; at least 2.
    uint16 trust;
    /// n: leaves (tasks) of the bag.
    uint32 leafCount;
    /// k: leaves that each verifier computes.
    uint8 samples;
    /// V: verifiers drawn.
    uint8 verifiers;
    /// Window for a worker to accept, seconds.
    uint24 acceptSecs;
    /// From the work's start to the seal, seconds.
    uint24 workSecs;
    /// From the end of the draw to the verifiers' seals, seconds.
    uint24 verifySecs;
}

/// @notice The terms and what the dispatcher adds when it makes the agreement.
struct BoundTerms {
    address client;
    /// Unix time of the purchase, seconds.
    uint40 boughtAt;
    /// keccak256 of the specification in the purchase event.
    bytes32 specHash;
    ComputeTerms terms;
}

/// @notice An input file: fetched by its hash, handed to the app by its name.
struct Input {
    string name;
    /// SHA-256 of the bytes, which is the blob's name too.
    bytes32 sha256Hash;
    uint64 sizeBytes;
}

/// @notice What is to be run; travels in the purchase event, the terms hold its hash. ABI-encoded.
struct ComputeSpec {
    /// Version of this encoding: 2.
    uint16 version;
    /// SHA-256: of the image manifest where `imageName` is set, else of the saved image archive, which is a blob.
    bytes32 imageDigest;
    /// Repository without tag ("registry.example/app"), or empty for an archive blob.
    string imageName;
    /// OCI platform, "linux/amd64".
    string platform;
    /// Arguments of the app.
    string[] args;
    Input[] inputs;
    /// Index of the first leaf within the client's bag.
    uint32 firstIndex;
    uint32 milliCpu;
    uint32 memoryMib;
    /// Room for what the app writes.
    uint32 diskMib;
    uint32 maxPids;
    /// Wall-clock limit of one leaf, seconds.
    uint32 leafSecs;
    /// Largest output of one leaf, apparent size.
    uint32 outputMib;
    /// Commitment to the session key; zero for public work.
    bytes32 keyCommitment;
    /// From which the client derives the session key and its message key anew; zero for clients that are contracts.
    bytes32 keyNonce;
    /// X25519 key of the client for this agreement: the app's logs are sealed to it. Zero: no logs.
    bytes32 clientKey;
}

/// @title ComputeTermsLib
/// @notice The one place that knows the packed layout: big-endian, in the order of the struct, no padding.
library ComputeTermsLib {
    uint8 internal constant FLAG_CONFIDENTIAL = 1;
    uint256 internal constant PACKED_BYTES = 57;
    /// @dev client 20, boughtAt 5, specHash 32.
    uint256 internal constant BOUND_BYTES = 57 + PACKED_BYTES;

    /// @notice Packed terms have another length than 57 bytes.
    error TermsLength(uint256 found, uint256 expected);

    function pack(ComputeTerms memory t) internal pure returns (bytes memory) {
        return bytes.concat(
            abi.encodePacked(
                t.rewardMin, t.rewardMax, t.verifierFee, t.classId, t.flags, t.trustLevel, t.trust
            ),
            abi.encodePacked(t.leafCount, t.samples, t.verifiers, t.acceptSecs, t.workSecs, t.verifySecs)
        );
    }

    function unpack(bytes memory packed) internal pure returns (ComputeTerms memory t) {
        require(packed.length == PACKED_BYTES, TermsLength(packed.length, PACKED_BYTES));
        _read(packed, 0, t);
    }

    /// @notice Reads what the dispatcher put into the agreement's code.
    function unpackBound(bytes memory bound) internal pure returns (BoundTerms memory b) {
        require(bound.length == BOUND_BYTES, TermsLength(bound.length, BOUND_BYTES));
        b.client = address(uint160(_uint(bound, 0, 20)));
        b.boughtAt = uint40(_uint(bound, 20, 5));
        b.specHash = bytes32(_uint(bound, 25, 32));
        _read(bound, 57, b.terms);
    }

    function isConfidential(ComputeTerms memory t) internal pure returns (bool) {
        return t.flags & FLAG_CONFIDENTIAL != 0;
    }

    function _read(bytes memory data, uint256 offset, ComputeTerms memory t) private pure {
        t.rewardMin = uint96(_uint(data, offset, 12));
        t.rewardMax = uint96(_uint(data, offset + 12, 12));
        t.verifierFee = uint96(_uint(data, offset + 24, 12));
        // The 21 bytes after the amounts fit one word: split it by shifts instead of eleven memory reads.
        uint256 rest = _uint(data, offset + 36, 21);
        t.verifySecs = uint24(rest);
        t.workSecs = uint24(rest >> 24);
        t.acceptSecs = uint24(rest >> 48);
        t.verifiers = uint8(rest >> 72);
        t.samples = uint8(rest >> 80);
        t.leafCount = uint32(rest >> 88);
        t.trust = uint16(rest >> 120);
        t.trustLevel = uint8(rest >> 136);
        t.flags = uint8(rest >> 144);
        t.classId = uint16(rest >> 152);
    }

    /// @dev The `size` bytes at `offset` as a big-endian integer. Reads at most 31 bytes past the data, which memory has
    /// (it is zero or other data, and is shifted out).
    function _uint(bytes memory data, uint256 offset, uint256 size) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(sub(256, mul(size, 8)), mload(add(add(data, 32), offset)))
        }
    }
}
