// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Order} from "../types/Order.sol";

/// @notice EIP-2612 permit, as the token checks it.
struct Permit {
    uint256 value;
    uint256 deadline;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @notice One side of a settlement: what a worker or verifier gets and loses.
struct Party {
    /// Identity of the worker or verifier.
    address worker;
    /// Paid from the agreement's escrow to its payout account.
    uint96 pay;
    /// Taken from its locked stake into the agreement's escrow, before anybody is paid.
    uint96 slash;
    /// What this agreement had locked of it; all of it is freed. Zero: an account that is only paid.
    uint96 locked;
    /// What becomes of its score.
    Verdict verdict;
    /// It entered by a device.
    bool byDevice;
}

/// @notice A settlement in which everybody kept its word, none of them by a device.
struct Unanimity {
    address worker;
    uint96 reward;
    /// What the agreement had locked of the worker.
    uint96 workerLock;
    address[] verifiers;
    /// Of each verifier, like the lock.
    uint96 verifierFee;
    uint96 verifierLock;
    /// Whether it raises scores.
    bool scored;
    /// Gets what is left of the escrow.
    address refundTo;
}

/// @notice What a settlement says of a party.
enum Verdict {
    /// Neither earned nor lost.
    Neutral,
    /// Paid and verified: the score rises, once an epoch at most.
    Kept,
    /// A lost or withheld vote: the score falls by a third.
    Lost
}

/// @notice A registered worker, as `workerInfo` shows it.
struct WorkerInfo {
    address payout;
    /// Bit c: in class c.
    uint48 classes;
    /// Bit i: opted in to kind i.
    uint48 kinds;
    /// Stake that is not unbonding, smallest token unit.
    uint88 bonded;
    /// Part of it locked by agreements.
    uint88 locked;
    uint16 score;
    /// First epoch in which the class membership counts.
    uint32 classesSince;
    uint96 unbonding;
    /// Unix time from which the unbonding stake can be withdrawn, seconds.
    uint40 unbondingUntil;
}

/// @notice A hot key of a worker's machine.
struct Device {
    address worker;
    /// Most that agreements entered by this key may lock at a time, smallest token unit. What they slash comes off it.
    uint88 limit;
    uint88 locked;
    /// First epoch in which the key works.
    uint32 since;
}

/// @title IWorkerDispatcher
/// @notice Registry, stakes, purchase and escrow: the only contract that holds tokens.
/// @dev Assumptions. Token: plain ERC-20 without transfer fee, rebasing or hooks; supply below 2^88. Kinds: the owner
/// adds implementations, workers opt in by code hash. Clock: block timestamps.
interface IWorkerDispatcher {
    // ------------------------------------------------------------------------------------------------ events
    event KindAdded(uint8 indexed kindId, address implementation, bytes32 codeHash);
    event ClassAdded(uint16 indexed classId, string name);
    event WorkerRegistered(
        address indexed worker,
        address payout,
        uint48 classes,
        uint48 kinds,
        bytes32 encryptionKey,
        bytes32 transportKey
    );
    event WorkerUpdated(address indexed worker, address payout, uint48 classes, uint48 kinds);
    event EncryptionKeySet(address indexed account, bytes32 key);
    event KeyAgentSet(address indexed client, address agent);
    event DeviceSet(address indexed worker, address indexed device, uint88 limit, uint32 sinceEpoch);
    event Staked(address indexed worker, uint256 amount, uint256 activeFromEpoch);
    event Unstaked(address indexed worker, uint256 amount, uint256 withdrawableFrom);
    event UnbondingWithdrawn(address indexed worker, uint256 amount);
    event AgreementBought(
        address indexed agreement,
        address indexed client,
        uint16 indexed classId,
        uint8 kindId,
        uint96 budget,
        bytes terms,
        bytes spec
    );
    event StakeLocked(address indexed worker, address indexed agreement, address device, uint96 amount);
    /// @dev `paid` is credited to the worker's payout account; there is no `Paid` event of it.
    event StakeReleased(
        address indexed worker, address indexed agreement, uint96 released, uint96 slashed, uint96 paid
    );
    event Paid(address indexed agreement, address indexed account, uint256 amount);
    event Burned(address indexed agreement, uint256 amount);
    event Funded(address indexed agreement, address indexed from, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);

    // ------------------------------------------------------------------------------------------------ errors
    error NotOwner(address caller);
    error UnknownKind(uint256 kindId);
    error UnknownClass(uint256 classId);
    error UnknownAgreement(address caller);
    error UnknownWorker(address account);
    error AlreadyRegistered(address worker);
    error KeyTaken(address device, address worker);
    error ZeroAddress();
    error TooMany(uint256 count, uint256 max);
    error AmountTooLarge(uint256 amount, uint256 max);
    error ZeroAmount();
    error CodeHashMismatch(uint256 kindId, bytes32 found, bytes32 expected);
    error InsufficientBalance(address account, uint256 have, uint256 need);
    error InsufficientAllowance(address account, uint256 have, uint256 need);
    error TransferShort(uint256 received, uint256 expected);
    error NotTheToken(address caller, address token);
    error UnknownCall(bytes4 selector);
    error ClassTooSmall(uint256 classId, uint256 workers, uint256 workersNeeded);
    error ClassStakeTooSmall(uint256 classId, uint256 stake, uint256 stakeNeeded);
    error SpecTooLong(uint256 length, uint256 max);
    error NotInClass(address worker, uint256 classId);
    error NotOptedIn(address worker, uint256 kindId);
    error FreeStakeTooSmall(address worker, uint256 free, uint256 need);
    error DeviceLimit(address device, uint256 left, uint256 need);
    error DeviceNotActive(address device, uint256 epoch, uint256 since);
    error StakeLockedElsewhere(address worker, uint256 locked);
    error NothingLocked(address worker, address agreement);
    error SlashAboveLock(uint256 slash, uint256 lock);
    error StillUnbonding(uint256 now_, uint256 until);
    error EscrowTooSmall(uint256 have, uint256 need);

    // ------------------------------------------------------------------------------------------------ workers
    /// @notice Makes the caller a worker: its address is the identity that stake, score and draws belong to.
    /// @param payout Account that earnings are credited to.
    /// @param classes Bit c: joins class c, from the next epoch on.
    /// @param kindHashes Code hashes of the kinds whose agreements may lock its stake, by kind id; zero skips one.
    /// @param encryptionKey X25519 public key for sealed messages, in place of what `setEncryptionKey` had set; zero: no
    /// confidential work.
    /// @param transportKey Public key for peer connections.
    function registerWorker(
        address payout,
        uint48 classes,
        bytes32[] calldata kindHashes,
        bytes32 encryptionKey,
        bytes32 transportKey
    ) external;

    /// @notice Changes payout, classes and kinds; only with no stake locked. New classes count from the next epoch.
    function updateWorker(address payout, uint48 classes, bytes32[] calldata kindHashes) external;

    /// @notice Publishes the caller's X25519 public key: whoever seals a message to it reads it here. Any account may, and
    /// nothing shows that it knows the private key. A worker's counts at acceptance and claim only, and a device's never. A worker
    /// that replaces its key keeps the old one until its confidential agreements have ended; zero withdraws the key.
    function setEncryptionKey(bytes32 key) external;

    /// @notice Lets `device` act for the caller from the next epoch on, locking at most `limit` at a time. Zero ends it at
    /// once for new agreements.
    function setDevice(address device, uint88 limit) external;

    /// @notice Adds stake from the caller's allowance; it draws from the next epoch on.
    function stake(uint256 amount) external;

    /// @notice Takes stake out of the draws at once; withdrawable after the unbonding time, counted from the last call.
    function unstake(uint256 amount) external;

    /// @notice Pays out the unbonded stake of `worker` to its owner account. Anyone may call.
    function withdrawUnbonded(address worker) external returns (uint256 amount);

    // ------------------------------------------------------------------------------------------------ clients
    /// @notice Buys work: makes the agreement and takes its budget from the caller's allowance.
    /// @param kindId The kind, 0 for compute.
    /// @param terms Packed terms of that kind.
    /// @param spec What is to be done, in the kind's format; at most 16 KiB, kept in the event only.
    function buyContract(uint8 kindId, bytes calldata terms, bytes calldata spec)
        external
        returns (address agreement);

    /// @notice The same with an EIP-2612 permit for the token.
    function buyContractWithPermit(
        uint8 kindId,
        bytes calldata terms,
        bytes calldata spec,
        Permit calldata permit
    ) external returns (address agreement);

    /// @notice Buys for the client that signed `order` and accepts in the caller's name: the caller is a worker or its device. Money
    /// comes from the client's allowance; the price runs from the order's start.
    function acceptOffer(Order calldata order, bytes calldata spec, bytes calldata signature)
        external
        returns (address agreement);

    /// @notice Puts `amount` of the caller's allowance into an agreement's escrow: to add to its reward, or as the bond of a
    /// dispute (`IWorkAgreement.funded`). Refused by the agreement if it is not the time for that.
    function fund(address agreement, uint96 amount, bytes calldata what) external;

    /// @notice Lets `agent` post session keys for all of the caller's confidential agreements, those under way included, so that
    /// the caller may leave. The agent must be given the keys and can read the work; it can move no money of the caller's, but with
    /// a useless key it makes a worker abort. Zero ends it at once.
    function setKeyAgent(address agent) external;

    /// @notice Sends everything owed to `account` to it. Anyone may call, it is harmless to call twice.
    function withdraw(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------------------------------------ agreements
    /// @notice Locks `amount` of the stake that `actor` (a worker or its device) acts for. Only an agreement may call,
    /// for the sender of its own transaction.
    /// @param ticketsAt Epoch to count its tickets at; NO_TICKETS to leave that out.
    /// @return worker The identity that `actor` acts for.
    /// @return byDevice True if `actor` is its device: the release has to say so again.
    /// @return tickets As `ticketsOf` in the agreement's class.
    function lock(address actor, uint96 amount, uint32 ticketsAt)
        external
        returns (address worker, bool byDevice, uint256 tickets);

    /// @notice Frees what the calling agreement locked of a party, after slashing it into the agreement's escrow. `pay` must be 0.
    /// @dev The agreement says how much it had locked. It can free and slash no more than it locked in all, and only of workers
    /// that opted in to its very code (docs/decisions/0010).
    function release(Party calldata party) external;

    /// @notice Pays `amount` from the calling agreement's escrow to `account`.
    function pay(address account, uint96 amount) external;

    /// @notice Burns `amount` of the calling agreement's escrow.
    function burn(uint96 amount) external;

    /// @notice Settles the calling agreement: slashes, releases and pays each party, burns `burned`, keeps `kept` in the escrow
    /// for contributors, and credits all that is left to `refundTo`.
    function close(Party[] calldata parties, uint96 burned, uint96 kept, address refundTo) external;

    /// @notice Settles the calling agreement where nobody is slashed: `close` for less gas.
    function closeUnanimous(Unanimity calldata u) external;

    // ------------------------------------------------------------------------------------------------ views
    function token() external view returns (address);
    function owner() external view returns (address);
    function epoch() external view returns (uint32);
    function epochSecs() external view returns (uint32);
    function unbondSecs() external view returns (uint32);
    function ticketUnit() external view returns (uint96);
    function kindCount() external view returns (uint8);
    function kind(uint8 kindId) external view returns (address implementation, bytes32 codeHash);
    function classCount() external view returns (uint16);
    function workerInfo(address worker) external view returns (WorkerInfo memory);
    function deviceInfo(address device) external view returns (Device memory);

    /// @notice The identity that `actor` acts for: itself if registered, its worker if a device, else zero.
    function workerOf(address actor) external view returns (address worker);

    /// @notice X25519 public key that messages to `account` are sealed to, or zero.
    function encryptionKeyOf(address account) external view returns (bytes32 key);

    /// @notice Who may post session keys for `client` besides itself, or zero.
    function keyAgentOf(address client) external view returns (address agent);

    /// @notice Where the earnings of `account` go: its payout account if it is a worker, else itself (devices too).
    function payoutOf(address account) external view returns (address);

    /// @notice Tickets of `worker` in `classId`: units of stake that were active in `atEpoch` and still are bonded.
    function ticketsOf(address worker, uint16 classId, uint32 atEpoch) external view returns (uint256 units);

    /// @notice Stake units and workers (with at least one unit) of a class, active in `atEpoch`.
    function classAt(uint16 classId, uint32 atEpoch) external view returns (uint256 units, uint256 workers);

    /// @notice What the agreement holds in escrow, and whether this dispatcher made it.
    function escrowOf(address agreement) external view returns (uint96 balance, bool known);

    /// @notice What `withdraw(account)` would send.
    function payableOf(address account) external view returns (uint256);

    /// @notice The device by which `worker` entered `agreement`, or zero.
    function deviceOf(address agreement, address worker) external view returns (address device);

    /// @notice What `agreement` holds locked of all its parties, smallest token unit.
    function lockedBy(address agreement) external view returns (uint96);

    /// @notice Epoch that asks `lock` for no tickets.
    function NO_TICKETS() external view returns (uint32);

    /// @notice Unix time of the deployment, seconds: epoch 0 begins.
    function genesis() external view returns (uint40);

    /// @notice Account that burned tokens are credited to: nobody holds its key, and `withdraw` sends them there.
    function BURN_ACCOUNT() external view returns (address);
}
