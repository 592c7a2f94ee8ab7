// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @notice What the client offers: 60 bytes and two optional tails in the agreement's own code, so that reading them costs no
/// storage.
struct ComputeTerms {
    /// Reward of the worker at the start of the accept window, smallest token unit.
    uint96 rewardMin;
    /// Reward at the end of the accept window; the price rises linearly in between.
    uint96 rewardMax;
    /// Fee of each verifier, smallest token unit.
    uint96 verifierFee;
    /// The pool that worker and verifiers come from: platform and runtime.
    uint16 classId;
    /// Bit 0: the work is confidential and starts with a sealed session key. Bit 1: only `named` may work. Bit 2: only whom
    /// the pool `named` places may work. Bit 3: `callback` is set. Bit 4 (greenOnly): only workers that are positive in the
    /// deployment's energy ledger accept and verify.
    uint8 flags;
    /// 0: the client accepts the result or stays silent, and can have it verified at its own bond. 1: proof of contribution.
    uint8 trustLevel;
    /// T: a digest wins a dissent with a share of the odds above 1 - 1/T; at least 2.
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
    /// From the last opening to payment, in which anybody may dispute a leaf with a bond, seconds; may be zero. Level 0: how
    /// long the client may be silent.
    uint24 disputeSecs;
    /// The worker or the pool (flags); else zero.
    address named;
    /// Contract that results can be delivered to, or zero.
    address callback;
    /// Gas that a delivery grants it.
    uint32 callbackGas;
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

/// @notice The same for an app that speaks to hosts; where there are none the specification is a `ComputeSpec`. No contract reads
/// either: the terms hold the hash of whichever it is.
struct ComputeSpecV3 {
    /// Version of this encoding: 3.
    uint16 version;
    bytes32 imageDigest;
    string imageName;
    string platform;
    string[] args;
    Input[] inputs;
    uint32 firstIndex;
    uint32 milliCpu;
    uint32 memoryMib;
    uint32 diskMib;
    uint32 maxPids;
    uint32 leafSecs;
    uint32 outputMib;
    bytes32 keyCommitment;
    bytes32 keyNonce;
    bytes32 clientKey;
    /// "name:port", 1 to 8 of them, ascending, each once: lower-case names, no addresses.
    string[] hosts;
    /// Most that one leaf sends and receives over the network, both together; at least 1.
    uint32 networkMib;
}

/// @title ComputeTermsLib
/// @notice The one place that knows the packed layout: big-endian, in the order of the struct, no padding.
library ComputeTermsLib {
    uint8 internal constant FLAG_CONFIDENTIAL = 1;
    uint8 internal constant FLAG_NAMED = 2;
    uint8 internal constant FLAG_POOL = 4;
    uint8 internal constant FLAG_CALLBACK = 8;
    uint8 internal constant FLAG_GREEN = 16;
    uint8 internal constant ALL_FLAGS = 31;
    uint256 internal constant PACKED_BYTES = 60;
    uint256 internal constant NAMED_BYTES = 20;
    uint256 internal constant CALLBACK_BYTES = 24;
    /// @dev client 20, boughtAt 5, specHash 32.
    uint256 internal constant HEAD_BYTES = 57;

    /// @notice Packed terms have another length than their flags ask for.
    error TermsLength(uint256 found, uint256 expected);

    function pack(ComputeTerms memory t) internal pure returns (bytes memory packed) {
        packed = bytes.concat(
            abi.encodePacked(
                t.rewardMin, t.rewardMax, t.verifierFee, t.classId, t.flags, t.trustLevel, t.trust
            ),
            abi.encodePacked(
                t.leafCount, t.samples, t.verifiers, t.acceptSecs, t.workSecs, t.verifySecs, t.disputeSecs
            )
        );
        if (t.flags & (FLAG_NAMED | FLAG_POOL) != 0) packed = bytes.concat(packed, bytes20(t.named));
        if (t.flags & FLAG_CALLBACK != 0) {
            packed = bytes.concat(packed, bytes20(t.callback), bytes4(t.callbackGas));
        }
    }

    function unpack(bytes memory packed) internal pure returns (ComputeTerms memory t) {
        require(packed.length >= PACKED_BYTES, TermsLength(packed.length, PACKED_BYTES));
        uint256 used = _read(packed, 0, t);
        require(packed.length == used, TermsLength(packed.length, used));
    }

    /// @notice Reads what the dispatcher put into the agreement's code, which was checked when it was bought.
    function unpackBound(bytes memory bound) internal pure returns (BoundTerms memory b) {
        b.client = address(uint160(_word(bound, 0) >> 96));
        b.boughtAt = uint40(_word(bound, 20) >> 216);
        b.specHash = bytes32(_word(bound, 25));
        _read(bound, HEAD_BYTES, b.terms);
    }

    function isConfidential(ComputeTerms memory t) internal pure returns (bool) {
        return t.flags & FLAG_CONFIDENTIAL != 0;
    }

    /// @return end Where the terms that begin at `offset` end, as their flags say.
    function _read(bytes memory data, uint256 offset, ComputeTerms memory t)
        private
        pure
        returns (uint256 end)
    {
        // Three reads for the fixed part, split by shifts: every step of an agreement reads its terms.
        uint256 word = _word(data, offset);
        t.rewardMin = uint96(word >> 160);
        t.rewardMax = uint96(word >> 64);
        t.verifierFee = uint96(_word(data, offset + 24) >> 160);
        word = _word(data, offset + 36) >> 64;
        t.disputeSecs = uint24(word);
        t.verifySecs = uint24(word >> 24);
        t.workSecs = uint24(word >> 48);
        t.acceptSecs = uint24(word >> 72);
        t.verifiers = uint8(word >> 96);
        t.samples = uint8(word >> 104);
        t.leafCount = uint32(word >> 112);
        t.trust = uint16(word >> 144);
        t.trustLevel = uint8(word >> 160);
        uint8 flags = uint8(word >> 168);
        t.flags = flags;
        t.classId = uint16(word >> 176);
        end = offset + PACKED_BYTES;
        if (flags & (FLAG_NAMED | FLAG_POOL) != 0) {
            t.named = address(uint160(_word(data, end) >> 96));
            end += NAMED_BYTES;
        }
        if (flags & FLAG_CALLBACK != 0) {
            word = _word(data, end);
            (t.callback, t.callbackGas) = (address(uint160(word >> 96)), uint32(word >> 64));
            end += CALLBACK_BYTES;
        }
    }

    /// @dev The 32 bytes at `offset`. May read past the data, which memory has (it is zero or other data, and is shifted out;
    /// a length that does not fit is refused afterwards).
    function _word(bytes memory data, uint256 offset) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := mload(add(add(data, 32), offset))
        }
    }
}
