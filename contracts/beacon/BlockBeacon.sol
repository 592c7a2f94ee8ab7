// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IBeacon} from "../interfaces/IBeacon.sol";
import {HeaderLib} from "../libraries/HeaderLib.sol";

/// @title BlockBeacon
/// @notice Seed of round b = the mixHash (prevrandao) of block b, proven by its header against the block's hash.
/// @dev A bare block hash could be ground by the proposer over block bodies, and the calling block's prevrandao could be
/// chosen by waiting; the mixHash of a block fixed beforehand leaves the proposer one bit per slot (EIP-4399).
contract BlockBeacon is IBeacon {
    /// @dev EIP-2935: block hashes of the last 8191 blocks.
    address internal constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    uint256 internal constant BLOCKHASH_WINDOW = 256;

    /// @notice Blocks between a commitment and the block it draws from: reorg depth plus slack, at least 1.
    uint48 public immutable marginBlocks;

    /// @inheritdoc IBeacon
    mapping(uint48 round => bytes32 seed) public seedOf;

    constructor(uint48 marginBlocks_) {
        marginBlocks = marginBlocks_ == 0 ? 1 : marginBlocks_;
    }

    /// @inheritdoc IBeacon
    function nextRound() external view returns (uint48) {
        return uint48(block.number) + marginBlocks;
    }

    /// @inheritdoc IBeacon
    function record(uint48 round, bytes calldata header) external returns (bytes32 seed) {
        seed = seedOf[round];
        if (seed != 0) return seed;
        require(round < block.number, RoundNotReached(round, block.number));

        bytes32 expected = _blockHash(round);
        require(expected != 0, RoundTooOld(round, block.number));
        bytes32 found = keccak256(header);
        require(found == expected, WrongProof(round, found, expected));

        // The digest keeps a seed from ever being zero, which stands for "not recorded".
        seed = keccak256(abi.encode(round, HeaderLib.mixHash(header)));
        seedOf[round] = seed;
        emit SeedRecorded(round, seed);
    }

    function _blockHash(uint48 round) internal view returns (bytes32) {
        if (block.number - round <= BLOCKHASH_WINDOW) return blockhash(round);
        (bool ok, bytes memory answer) = HISTORY.staticcall(abi.encode(uint256(round)));
        // No code at the address (an older chain) answers with success and nothing.
        return ok && answer.length == 32 ? abi.decode(answer, (bytes32)) : bytes32(0);
    }
}
