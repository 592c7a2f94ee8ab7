// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title IBeacon
/// @notice Randomness of a later round: what is drawn from round r was committed before anybody knew r's seed.
interface IBeacon {
    /// @notice A round's seed was recorded, once and for all.
    event SeedRecorded(uint48 indexed round, bytes32 seed);

    /// @notice The round is not over yet (or of this very block), so nobody can prove it.
    error RoundNotReached(uint48 round, uint256 now_);
    /// @notice The round is too old for the chain's block hash history.
    error RoundTooOld(uint48 round, uint256 now_);
    /// @notice The proof given is not of this round.
    error WrongProof(uint48 round, bytes32 found, bytes32 expected);
    /// @notice The block header has another shape than this beacon reads.
    error BadHeader();

    /// @notice The round that something committed in this block draws from: past the safety margin.
    function nextRound() external view returns (uint48 round);

    /// @notice The seed of `round`, or zero while it is not recorded.
    function seedOf(uint48 round) external view returns (bytes32 seed);

    /// @notice Proves and records `round`; returns the recorded seed if that was done before.
    /// @param proof What this beacon accepts: a block header for the block beacon, a signature for drand.
    function record(uint48 round, bytes calldata proof) external returns (bytes32 seed);
}
