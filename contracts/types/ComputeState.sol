// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @notice A verifier's slot: two words.
struct StoredSlot {
    address verifier;
    /// Top 80 bits of its ticket.
    uint80 ticket;
    bool opened;
    bool dissents;
    bytes32 seal;
}

/// @notice What a verifier found otherwise than the worker.
struct Dissent {
    /// Bit j: its digest of its j-th sampled leaf differs.
    uint32 mask;
    bytes32[] digests;
}

/// @notice Set once per attempt; one word.
struct Attempt {
    uint96 reward;
    uint48 round;
    uint32 snapshotEpoch;
    uint40 closesAt;
    uint40 classUnits;
}

/// @notice What a compute agreement stores besides the base state of every kind. The libraries that are deployed apart
/// work on it by reference.
struct ComputeState {
    Attempt attempt;
    /// The worker's seal with its announcement, later what it revealed.
    bytes32 commitment;
    bytes32 drawSeed;
    uint8 slotCount;
    mapping(uint256 index => StoredSlot) slots;
    mapping(address verifier => Dissent) dissents;
    /// Workers that left an attempt, and verifiers that left a slot: they do not come back.
    mapping(address worker => bool) left;
}
