// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {BlsLib} from "../libraries/BlsLib.sol";

/// @notice Which drand chain, and how its rounds are used.
struct DrandParams {
    /// The chain's key, uncompressed: x.c1, x.c0, y.c1, y.c0, 48 bytes each. Its first half is the key as drand publishes
    /// it, but for the flags in the first three bits.
    bytes publicKey;
    /// Unix time of round 1, seconds.
    uint64 genesis;
    /// Seconds from one round to the next.
    uint32 periodSecs;
    /// Seconds between a commitment and the round it draws from: how far a block's time may lag behind the clock, plus
    /// what a reorganisation may take back.
    uint32 marginSecs;
    /// Draws name only multiples of this round number, so that many agreements share one recording.
    uint32 strideRounds;
}

/// @title DrandBeacon
/// @notice Seeds from the public randomness of a drand chain of the scheme `bls-unchained-g1-rfc9380`, quicknet say.
/// Round r's signature is unknown to all until drand's threshold of nodes publishes it at the round's time, nobody can
/// choose it (there is one valid signature), and anybody can record it here for everybody.
/// @dev seed = keccak256(abi.encode(round, randomness)), randomness = SHA-256 of the compressed signature, as drand
/// publishes both.
contract DrandBeacon is IBeacon {
    /// @notice The proof has another length than a signature has: x and y, 48 bytes each.
    /// @dev Rounds count from 1.
    error NoSuchRound(uint48 round, uint48 first);
    error WrongProofLength(uint256 found, uint256 expected);
    /// @notice The public key has another length than four coordinates of 48 bytes.
    error WrongKeyLength(uint256 found, uint256 expected);
    /// @notice The public key is no point of the right group, or the chain lacks the precompiles of EIP-2537.
    error WrongPublicKey(bytes publicKey);
    /// @notice Period and stride must not be zero.
    error WrongSchedule(uint32 periodSecs, uint32 strideRounds);

    uint256 internal constant PROOF_BYTES = 96;
    uint256 internal constant KEY_BYTES = 192;
    /// @dev Flags in the first byte of a compressed point: it is compressed; y is the larger one of y and -y.
    uint256 internal constant COMPRESSED = 0x80 << 120;
    uint256 internal constant SIGN = 0x20 << 120;

    /// @notice Unix time of round 1, seconds.
    uint64 public immutable genesis;
    /// @notice Seconds from one round to the next.
    uint32 public immutable periodSecs;
    /// @notice Seconds between a commitment and the round it draws from.
    uint32 public immutable marginSecs;
    /// @notice `nextRound` names multiples of this number.
    uint32 public immutable strideRounds;

    /// @dev The key as eight words: reading code is cheaper than reading storage.
    uint256 private immutable X0_HI;
    uint256 private immutable X0_LO;
    uint256 private immutable X1_HI;
    uint256 private immutable X1_LO;
    uint256 private immutable Y0_HI;
    uint256 private immutable Y0_LO;
    uint256 private immutable Y1_HI;
    uint256 private immutable Y1_LO;

    /// @inheritdoc IBeacon
    mapping(uint48 round => bytes32 seed) public seedOf;

    constructor(DrandParams memory p) {
        require(p.periodSecs != 0 && p.strideRounds != 0, WrongSchedule(p.periodSecs, p.strideRounds));
        (genesis, periodSecs, marginSecs, strideRounds) =
        (p.genesis, p.periodSecs, p.marginSecs, p.strideRounds);

        bytes memory key = p.publicKey;
        require(key.length == KEY_BYTES, WrongKeyLength(key.length, KEY_BYTES));
        (X1_HI, X1_LO) = _coordinate(key, 0);
        (X0_HI, X0_LO) = _coordinate(key, 48);
        (Y1_HI, Y1_LO) = _coordinate(key, 96);
        (Y0_HI, Y0_LO) = _coordinate(key, 144);
        require(BlsLib.isKey(_key()), WrongPublicKey(key));
    }

    /// @inheritdoc IBeacon
    /// @dev The first multiple of the stride whose time is not before now plus margin; the first one after genesis before
    /// that. Both divisions round up: never too early a round.
    function nextRound() external view returns (uint48) {
        uint256 earliest = block.timestamp + marginSecs;
        uint256 round = earliest <= genesis ? 1 : (earliest - genesis + periodSecs - 1) / periodSecs + 1;
        return uint48((round + strideRounds - 1) / strideRounds * strideRounds);
    }

    /// @notice The newest round whose time has come; zero before genesis.
    function currentRound() public view returns (uint48) {
        return block.timestamp < genesis ? 0 : uint48((block.timestamp - genesis) / periodSecs + 1);
    }

    /// @notice Unix time at which drand publishes `round`, seconds. Rounds count from 1.
    function timeOf(uint48 round) external view returns (uint256) {
        require(round != 0, NoSuchRound(round, 1));
        return genesis + (uint256(round) - 1) * periodSecs;
    }

    /// @notice The chain's key, in the form of `DrandParams`.
    function publicKey() external view returns (bytes memory) {
        return bytes.concat(
            _packed(X1_HI, X1_LO), _packed(X0_HI, X0_LO), _packed(Y1_HI, Y1_LO), _packed(Y0_HI, Y0_LO)
        );
    }

    /// @inheritdoc IBeacon
    /// @param proof The round's signature, uncompressed: x and y, 48 bytes each. A compressed one would save some 800 gas
    /// of calldata and cost a square root of thousands. In `WrongProof`, `found` is the randomness that the proof stands
    /// for and `expected` the message whose signature it should be. What is no point at all takes all gas of the call.
    function record(uint48 round, bytes calldata proof) external returns (bytes32 seed) {
        seed = seedOf[round];
        if (seed != 0) return seed;
        uint48 current = currentRound();
        require(round <= current, RoundNotReached(round, current));
        require(proof.length == PROOF_BYTES, WrongProofLength(proof.length, PROOF_BYTES));

        BlsLib.G1 memory signature = _point(proof);
        bytes32 randomness = sha256(_compressed(signature));
        bytes32 message = sha256(abi.encodePacked(uint64(round)));
        require(BlsLib.isSignature(signature, message, _key()), WrongProof(round, randomness, message));

        seed = keccak256(abi.encode(round, randomness));
        seedOf[round] = seed;
        emit SeedRecorded(round, seed);
    }

    /// @dev The two coordinates of `PROOF_BYTES` bytes. Four loads: slices would check their bounds eight times.
    function _point(bytes calldata proof) private pure returns (BlsLib.G1 memory point) {
        uint256 xHi;
        uint256 xLo;
        uint256 yHi;
        uint256 yLo;
        assembly ("memory-safe") {
            xHi := shr(128, calldataload(proof.offset))
            xLo := calldataload(add(proof.offset, 16))
            yHi := shr(128, calldataload(add(proof.offset, 48)))
            yLo := calldataload(add(proof.offset, 64))
        }
        return BlsLib.G1(xHi, xLo, yHi, yLo);
    }

    function _key() private view returns (BlsLib.G2 memory) {
        return BlsLib.G2({
            x0Hi: X0_HI,
            x0Lo: X0_LO,
            x1Hi: X1_HI,
            x1Lo: X1_LO,
            y0Hi: Y0_HI,
            y0Lo: Y0_LO,
            y1Hi: Y1_HI,
            y1Lo: Y1_LO
        });
    }

    /// @dev The 48 bytes that drand publishes. The first three bits of a coordinate below p are free for flags.
    function _compressed(BlsLib.G1 memory point) private pure returns (bytes memory) {
        uint256 flags = BlsLib.isLarger(point.yHi, point.yLo) ? COMPRESSED | SIGN : COMPRESSED;
        return _packed(point.xHi | flags, point.xLo);
    }

    function _packed(uint256 hi, uint256 lo) private pure returns (bytes memory) {
        return abi.encodePacked(uint128(hi), lo);
    }

    function _coordinate(bytes memory all, uint256 offset) private pure returns (uint256 hi, uint256 lo) {
        for (uint256 i = 0; i < 48; ++i) {
            uint256 b = uint8(all[offset + i]);
            if (i < 16) hi = hi << 8 | b;
            else lo = lo << 8 | b;
        }
    }
}
