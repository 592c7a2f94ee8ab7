// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Deliveries} from "../libraries/DeliverLib.sol";

/// @notice What a round of voting is for, and so what its verifiers compute.
enum RoundKind {
    /// The first: V verifiers, k leaves each, before the worker's reveal.
    First,
    /// The result is open and more verifiers with k leaves of their own look at it: late audit, or the appeal of level 0.
    Audit,
    /// V + 1 verifiers compute just the leaves in dispute.
    Leaves
}

/// @notice A verifier's slot: two words.
struct StoredSlot {
    address verifier;
    /// Top 80 bits of its ticket.
    uint80 ticket;
    /// Round of voting that it was drawn in.
    uint8 voteRound;
    /// Of FLAG_*.
    uint8 flags;
    bytes32 seal;
}

/// @notice What a verifier found otherwise than the worker.
struct Dissent {
    /// Bit j: its digest of its j-th leaf differs.
    uint32 mask;
    bytes32[] digests;
}

/// @notice The draw under way; one word, first written by the worker's seal.
struct Draw {
    /// While the agreement is Sealed: the beacon round that the seed comes from. Then the seed itself (`DrawLib.drawSeed`).
    uint96 roundOrSeed;
    /// Stake counts for draws if it was active in this epoch: the one of the worker's seal, in later rounds too.
    uint32 snapshotEpoch;
    /// Units of the class then; once all of the first round have sealed: the beacon round of the late audit's lot.
    uint40 unitsOrLot;
    /// 0 for the first round of voting.
    uint8 voteRound;
    /// Slots before this index belong to earlier rounds.
    uint8 firstSlot;
    /// Slots to fill; 0 stands for V.
    uint8 wanted;
    /// Declines and vanished verifiers of this round.
    uint8 strikes;
    /// Openings of this round.
    uint8 opened;
    /// Rounds of kind Leaves so far.
    uint8 leafRounds;
    RoundKind kind;
}

/// @notice What is kept of a round that is not the first, and of the first once there is a second.
struct PastRound {
    RoundKind kind;
    /// Of the leaves that its verifiers compute, for the other kinds.
    uint96 seed;
    uint8 leafCount;
    /// Up to eight disputed leaves, 24 bits each, the first lowest; kind Leaves only.
    uint192 leaves;
}

/// @notice A dispute with its bond.
struct Dispute {
    address by;
    uint32 leaf;
}

/// @notice What third parties added to the reward.
struct Extra {
    /// Sum of what was added.
    uint96 total;
    /// Once ended: what of the refund belongs to the contributors, and is still to be taken.
    uint96 refund;
    /// Sum of the additions whose part was taken.
    uint96 settled;
}

/// @notice What a compute agreement stores besides the base state of every kind.
struct ComputeState {
    Draw draw;
    /// The worker's seal with its announcement, later what it revealed.
    bytes32 commitment;
    mapping(uint256 index => StoredSlot) slots;
    mapping(address verifier => Dissent) dissents;
    /// Workers that left an attempt, and verifiers that left a slot: they do not come back.
    mapping(address worker => bool) left;
    mapping(uint256 voteRound => PastRound) rounds;
    uint256 disputeCount;
    mapping(uint256 index => Dispute) disputes;
    Extra extra;
    mapping(address payer => uint96) contributions;
    Deliveries deliveries;
}
