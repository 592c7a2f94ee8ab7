// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IBeacon} from "./IBeacon.sol";
import {IEnergyLedger} from "./IEnergyLedger.sol";
import {IWorkAgreement} from "./IWorkAgreement.sol";
import {BoundTerms} from "../types/ComputeTerms.sol";
import {RoundKind} from "../types/ComputeState.sol";
import {Status, Ending} from "../types/Status.sol";

/// @notice Deployment parameters of compute agreements; immutable in the implementation's code.
struct ComputeParams {
    /// From acceptance to the client's key, seconds.
    uint24 keySecs;
    /// From the worker's seal to the proof of the beacon round, seconds.
    uint24 seedSecs;
    /// One widening step of the claim window, seconds.
    uint24 drawStepSecs;
    /// Widening steps before the draw is given up.
    uint8 drawSteps;
    /// Tickets below V * drawFactor / classUnits of the range win in step 0; the share doubles with each step.
    uint8 drawFactor;
    /// From the last verifier's seal to the worker's reveal, seconds.
    uint24 revealSecs;
    /// From the worker's reveal to the verifiers' openings, seconds.
    uint24 openSecs;
    /// Distinct workers that may try one agreement.
    uint8 maxAttempts;
    /// Declines and vanished verifiers of one attempt before it is a dead end.
    uint8 maxStrikes;
    /// Share of the lock that an abort before the seal costs, basis points.
    uint16 abortBps;
    /// Share of the lock that vanishing before the own seal costs, basis points.
    uint16 vanishBps;
    /// Paid to whoever proves a beacon round that was not recorded yet, smallest token unit.
    uint96 seedTip;
    /// One in so many verified results is looked at by one more verifier after the reveals; 0 for none.
    uint16 auditOneIn;
}

/// @notice A verifier's slot.
struct Slot {
    address verifier;
    /// The top 80 bits of its ticket; the lowest hold the slots.
    uint80 ticket;
    bool opened;
    /// Commitment to its digests, or zero.
    bytes32 seal;
    /// Bit i: its digest of its i-th leaf differs from the worker's.
    uint32 dissent;
    /// Round of voting that it was drawn in.
    uint8 voteRound;
    /// It opened without the worker's digests, and nobody has answered: not among `openedCount` yet.
    bool unproven;
}

/// @notice All that an agreement knows, in one call.
struct AgreementView {
    Status status;
    Ending ending;
    uint8 attempt;
    uint8 strikes;
    uint8 sealedCount;
    uint8 openedCount;
    address worker;
    uint40 deadline;
    /// The accepted price, or what the next worker would get.
    uint96 reward;
    /// Beacon round that the next seed comes from, while Sealed.
    uint48 round;
    uint32 snapshotEpoch;
    /// When the claim window closes, or 0 while too few have claimed.
    uint40 closesAt;
    /// Stake units of the class; once all of the first round have sealed: the beacon round of the late audit's lot.
    uint40 classUnits;
    bytes32 drawSeed;
    /// Of the worker: its seal with its announcement, later what it revealed.
    bytes32 commitment;
    /// Round of voting: 0 for the first.
    uint8 voteRound;
    RoundKind kind;
    /// Slots of this round: those in `slots` from `firstSlot` on.
    uint8 wanted;
    uint8 firstSlot;
    /// What this round's verifiers compute, for kind Leaves.
    uint32[] leaves;
    Slot[] slots;
}

/// @notice The worker's opening of its seal, with the digests of all leaves that the drawn verifiers computed.
struct WorkerOpening {
    bytes32 root;
    bytes32 salt;
    bytes32 ciphertextRoot;
    /// SHA-256 of the result blob, as announced with the seal.
    bytes32 resultBlob;
    /// Strictly ascending; holds every sampled leaf, and at most V k leaves.
    uint32[] leaves;
    /// Digests of these leaves.
    bytes32[] digests;
    /// Merkle multiproof of them against the root.
    bytes32[] proof;
}

/// @notice A verifier's opening of its seal. Not bound to the sender: anyone may carry it.
struct VerifierOpening {
    address verifier;
    bytes32 salt;
    /// Its digests of its sampled leaves, in ascending order of the leaf. Empty means: the same as the worker's.
    bytes32[] digests;
}

/// @notice What the worker revealed, for openings that bring other leaves along: its digest is what the agreement keeps.
struct RevealedRoot {
    bytes32 root;
    /// keccak256 of the revealed leaves as 32-byte words, joined.
    bytes32 leavesHash;
    /// keccak256 of their digests, joined.
    bytes32 digestsHash;
}

/// @notice A result as anybody brings it to the chain: the single file that is a leaf's declared output.
struct Result {
    uint32 leaf;
    /// Path of the file below the declared path; of a declared file its name.
    bytes fileName;
    bytes content;
    /// For confidential work (`ResultLib.blinded`), else zero and not read.
    bytes32 blindKey;
    /// Siblings from the leaf upwards: the multiproof of this one leaf.
    bytes32[] proof;
}

/// @title IComputeAgreement
/// @notice A bag of tasks, verified by proof of contribution (docs/PROTOCOL.md).
interface IComputeAgreement is IWorkAgreement {
    event Accepted(address indexed worker, uint8 attempt, uint96 reward, uint96 locked);
    event KeyPosted(uint8 attempt, bytes sealedKey);
    event WorkerLeft(address indexed worker, uint8 attempt, uint96 slashed);
    event Sealed(
        address indexed worker,
        uint8 attempt,
        bytes32 seal,
        bytes32 ciphertextRoot,
        bytes32 resultBlob,
        uint48 round,
        bytes location
    );
    /// @notice A further round of voting begins: `wanted` verifiers, drawn from `beaconRound`, compute `leaves` (kind Leaves)
    /// or leaves of their own.
    event RoundOpened(uint8 voteRound, RoundKind kind, uint8 wanted, uint32[] leaves, uint48 beaconRound);
    event Disputed(address indexed by, uint32 leaf, uint96 bond);
    event Contributed(address indexed payer, uint96 amount, uint96 total);
    event ContributionRefunded(address indexed payer, uint96 amount);
    event Delivered(uint32 indexed leaf, bool ok);
    event DrawOpened(
        uint8 attempt, uint8 voteRound, bytes32 drawSeed, uint32 snapshotEpoch, uint40 classUnits
    );
    event Claimed(address indexed verifier, uint80 ticket, address displaced);
    event VerifierSealed(address indexed verifier, bytes32 seal);
    event VerifierLeft(address indexed verifier, uint16 reason, uint96 slashed);
    event Revealed(
        address indexed worker,
        bytes32 root,
        bytes32 salt,
        bytes32 ciphertextRoot,
        bytes32 resultBlob,
        uint32[] leaves,
        bytes32[] digests
    );
    event Opened(address indexed verifier, uint32 dissent, bytes32[] digests);
    /// @notice `Opened` follows once somebody has proven the worker's digests of the same leaves.
    event OpenedUnproven(address indexed verifier, bytes32[] digests);

    error TermsInvalid(string field, uint256 found, uint256 min, uint256 max);
    error TrustUnreachable(uint256 trust, uint256 reachable);
    error NotTheClient(address caller, address client);
    error NotTheWorker(address caller, address worker);
    /// @dev The key is sealed to `found`, the work waits for the key of `expected`.
    error WrongWorker(address found, address expected);
    /// @dev Bytes of the envelope.
    error KeyTooLong(uint256 found, uint256 max);
    error ClientCannotWork(address worker);
    error AlreadyTried(address worker);
    error NoEncryptionKey(address worker);
    /// @notice The terms are for workers only that are positive in the energy ledger (greenOnly).
    error NotPositive(address worker);
    /// @notice Terms cannot ask for positive workers: this deployment has no energy ledger.
    error NoEnergyLedger();
    error ZeroSeal();
    error WorkerCannotVerify(address worker);
    error AlreadyClaimed(address verifier);
    error ExcludedVerifier(address verifier);
    error NoSuchTicket(uint256 index, uint256 tickets);
    error TicketTooHigh(uint256 ticket, uint256 threshold);
    error NotAVerifier(address caller);
    error AlreadySealed(address verifier);
    error AlreadyOpenedSlot(address verifier);
    error ZeroDigest(uint256 leaf);
    error SealMismatch(bytes32 found, bytes32 expected);
    error LengthMismatch(uint256 found, uint256 expected);
    error LeafMissing(uint256 leaf);
    error ProofInvalid(bytes32 found, bytes32 expected);
    /// @dev Level 0 has `submitResult`, level 1 `sealResult`.
    error WrongLevel(uint256 found, uint256 expected);
    /// @dev Openings of the first round and of later ones have functions of their own.
    error WrongRound(uint256 found, uint256 expected);
    error NotPlaced(address worker, address named);
    error LocationTooLong(uint256 found, uint256 max);
    error BondMismatch(uint256 found, uint256 expected);
    error UnknownPurpose(uint256 length);
    error LeafOutOfRange(uint256 leaf, uint256 leafCount);
    error AlreadyDisputed(uint256 leaf);
    error TooManyDisputes(uint256 max);
    error NothingToRefund(address payer);
    /// @dev `verifier` has not opened without proof, or was answered.
    error NothingToAnswer(address verifier);
    error SeedNotRecorded(uint48 round);
    error NotAllOpened(uint256 opened, uint256 drawn);
    error NotVerified(Ending found);
    error NoCallback();

    /// @notice A worker of the class takes the work at the present price, with its stake locked. Confidential work waits for
    /// the key then, which needs one published by the worker (by its owner account, also where a device accepts).
    function accept() external;

    /// @notice The same for work that the pool `named` places: the pool's signature (EIP-712 `Placement`, docs/PROTOCOL.md)
    /// over this agreement, the worker and the time until which it holds.
    function acceptPlaced(uint40 expiry, bytes calldata signature) external;

    /// @notice The client withdraws the offer before anybody accepted; everything is refunded.
    function cancel() external;

    /// @notice The client or its key agent posts the session key sealed to the worker; the work clock starts. Once for each
    /// attempt: every worker needs an envelope of its own. What is in it only the worker can tell, so a client to whose
    /// worker nothing can be sealed (it withdrew its key, or the key is no point of the curve) posts an empty one: without
    /// any the work ends as NoKey, at no cost to the worker.
    /// @param worker To whom it is sealed. Refused unless that is the worker now: another may have accepted while this
    /// call was under way, and could not open it.
    /// @param sealedKey HPKE envelope of the session key (docs/PROTOCOL.md): at most 256 bytes.
    function postKey(address worker, bytes calldata sealedKey) external;

    /// @notice The worker gives up before its seal, for a small fee; the work is offered again. Of the fee half goes to the
    /// client; of confidential work all is burned, since the client may have posted a useless key.
    function abort() external;

    /// @notice The worker commits to its results and announces where they lie, encrypted.
    /// @param seal_ `SealLib.workerSeal` of root, salt and ciphertext root.
    /// @param ciphertextRoot Merkle root over the hashes of the encrypted leaves.
    /// @param resultBlob SHA-256 of the result blob.
    /// @param location Where the blob can be had, for people; at most 128 bytes, empty for the usual place.
    function sealResult(bytes32 seal_, bytes32 ciphertextRoot, bytes32 resultBlob, bytes calldata location)
        external;

    /// @notice Level 0: the worker hands in its result, open at once.
    function submitResult(bytes32 root, bytes32 salt, bytes32 ciphertextRoot, bytes32 resultBlob) external;

    /// @notice The client accepts the result and waives what is left of its time; the worker is paid.
    function acceptResult() external;

    /// @notice Opens the claim window, and proves the beacon round if it is not recorded yet: who does that earns the tip.
    /// A claim opens the window too, once the round is recorded.
    function openDraw(bytes calldata beaconProof) external;

    /// @notice Claims a slot with the caller's ticket `index`. Confidential work needs a published key, as `accept` does.
    function claim(uint256 index) external;

    /// @notice Claims a slot and seals at once: for quick work, computed before the claim.
    function claimAndSeal(uint256 index, bytes32 verdict) external;

    /// @notice A drawn verifier steps back after the claim window and before its seal, without fault: it cannot get key,
    /// input or blob.
    /// @param reason For the record; see docs/PROTOCOL.md.
    function decline(uint16 reason) external;

    /// @notice The worker opens its seal; readable for everybody from here on.
    function reveal(WorkerOpening calldata opening) external;

    /// @notice One verifier's seal is opened; the last opening settles.
    /// @param root As in the worker's reveal, like the next two.
    function openVerification(
        VerifierOpening calldata opening,
        bytes32 root,
        uint32[] calldata leaves,
        bytes32[] calldata digests
    ) external;

    /// @notice The worker's and any number of verifiers' openings in one transaction; settles if they are all.
    function settleAll(WorkerOpening calldata worker, VerifierOpening[] calldata verifiers) external;

    /// @notice A verifier's opening in a later round: with the worker's digests of its leaves, proven against the root.
    /// @param revealed What the worker revealed.
    /// @param leaves The verifier's leaves, ascending.
    /// @param digests The worker's digests of them.
    /// @param proof Multiproof against the root.
    function openLate(
        VerifierOpening calldata opening,
        RevealedRoot calldata revealed,
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof
    ) external;

    /// @notice A verifier's opening in a later round without the worker's digests, for whoever cannot prove them: the blob may
    /// not lead to the root. In the first half of the time for openings; then the worker has to `answer`.
    /// @param opening With all digests of the verifier, none of them zero.
    function openUnproven(VerifierOpening calldata opening) external;

    /// @notice The worker's digests of the leaves of a verifier that opened unproven. Anyone may bring them; where nobody has
    /// when the votes are counted, the result is Refuted.
    /// @param verifier Who opened unproven.
    /// @param revealed What the worker revealed.
    /// @param leaves The verifier's leaves, ascending.
    /// @param digests The worker's digests of them.
    /// @param proof Multiproof against the root.
    function answer(
        address verifier,
        RevealedRoot calldata revealed,
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof
    ) external;

    /// @notice Counts the votes once all of the round have opened: settles, or opens a further round. Anyone may call.
    function decide() external;

    /// @notice Pays a contributor its part of what was not paid to the worker, once the agreement has ended. Anyone may call.
    function refundContribution(address payer) external returns (uint96 amount);

    /// @notice Hands the result of a leaf to the contract that the terms name, after a verified ending: once with success, and
    /// again as long as it failed. Anyone may call.
    function deliver(Result calldata result, RevealedRoot calldata revealed) external returns (bool ok);

    /// @notice The terms as they stand in this agreement's code.
    function boundTerms() external view returns (BoundTerms memory);

    /// @notice Everything at once, for off-chain readers.
    function agreement() external view returns (AgreementView memory);

    /// @notice Where its draws get their seeds.
    function beacon() external view returns (IBeacon);

    /// @notice Says which workers are positive; zero where the deployment has no energy ledger.
    function energyLedger() external view returns (IEnergyLedger);

    /// @notice Deployment parameters.
    function params() external view returns (ComputeParams memory);

    /// @notice What the worker locks for a reward.
    function workerLock(uint96 reward) external view returns (uint96);

    /// @notice What a verifier locks: of the highest reward that the terms allow, whatever was accepted or added. The argument
    /// is not used.
    function verifierLock(uint96 reward) external view returns (uint96);

    /// @notice Bond of a dispute, smallest token unit: what `WorkerDispatcher.fund` takes. Level 0: of a rejection.
    function disputeBond() external view returns (uint96);

    /// @notice The stake of `worker` that this agreement holds locked, and the device that entered for it, if any.
    function lockOf(address worker) external view returns (uint96 amount, address device);

    /// @notice What `payer` added to the reward and has not got back.
    function contributionOf(address payer) external view returns (uint96);

    /// @notice The leaves that `verifier` computes in the present round, ascending; empty before the draw.
    function sampledLeaves(address verifier) external view returns (uint32[] memory);

    /// @notice Below this a ticket may claim now. Only while a claim window is open.
    function ticketThreshold() external view returns (uint256);
}
