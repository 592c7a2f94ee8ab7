// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {LibClone} from "solady/utils/LibClone.sol";
import {IApproveAndCallReceiver} from "./interfaces/IApproveAndCallReceiver.sol";
import {ISignedOrders} from "./interfaces/ISignedOrders.sol";
import {IWorkAgreement, Quote} from "./interfaces/IWorkAgreement.sol";
import {
    IWorkerDispatcher,
    Device,
    Party,
    Permit,
    Unanimity,
    WorkerInfo
} from "./interfaces/IWorkerDispatcher.sol";
import {OrderLib} from "./libraries/OrderLib.sol";
import {StakeLib} from "./libraries/StakeLib.sol";
import {TypedDataLib} from "./libraries/TypedDataLib.sol";
import {Order} from "./types/Order.sol";

/// @notice Deployment parameters of the dispatcher.
struct DispatcherParams {
    /// May add kinds and classes, nothing else; a timelock in production.
    address owner;
    address token;
    /// Length of an epoch, seconds: stake draws from the epoch after the one it was staked in.
    uint32 epochSecs;
    /// From unstaking to withdrawal, seconds; longer than any agreement can hold a lock.
    uint32 unbondSecs;
    /// Stake per ticket, smallest token unit.
    uint96 ticketUnit;
}

/// @title WorkerDispatcher
/// @notice Door to registry, stakes, purchase and escrow. Rules of stake are in StakeLib, rules of work in the agreements.
/// @dev Order in every function: checks, effects, event, interaction. Tokens enter by stake and buy, and leave by
/// withdraw and withdrawUnbonded only; everything else moves numbers between slots:
/// sum(escrows) + sum(bonded + unbonding stakes) + sum(payables) = token balance.
contract WorkerDispatcher is
    IWorkerDispatcher,
    ISignedOrders,
    IApproveAndCallReceiver,
    ReentrancyGuardTransient
{
    using SafeERC20 for IERC20;
    using StakeLib for StakeLib.State;

    struct Kind {
        address implementation;
        bytes32 codeHash;
    }

    /// @dev One word. `locked` bounds what the agreement can free or slash of all its parties together.
    struct Escrow {
        uint96 balance;
        uint96 locked;
        uint16 classId;
        uint8 kindId;
        bool known;
    }

    uint256 internal constant MAX_SPEC_BYTES = 16_384;
    /// @inheritdoc IWorkerDispatcher
    uint32 public constant NO_TICKETS = type(uint32).max;
    /// @dev Stays in a payable's word when it is paid out: the next earnings of the account cost 5,000 gas instead of 22,100.
    uint256 internal constant USED = 1 << 255;
    uint256 internal constant MAX_KINDS = 48;
    uint256 internal constant MAX_CLASSES = 48;
    /// @inheritdoc IWorkerDispatcher
    address public constant BURN_ACCOUNT = 0x000000000000000000000000000000000000dEaD;

    address public immutable token;
    address public immutable owner;
    uint32 public immutable epochSecs;
    uint32 public immutable unbondSecs;
    uint96 public immutable ticketUnit;
    /// @inheritdoc IWorkerDispatcher
    uint40 public immutable genesis;

    uint8 public kindCount;
    uint16 public classCount;
    mapping(uint8 kindId => Kind) internal _kinds;
    mapping(address agreement => Escrow) internal _escrows;
    mapping(address account => uint256) internal _payables;
    /// @inheritdoc IWorkerDispatcher
    mapping(address account => bytes32) public encryptionKeyOf;
    /// @inheritdoc IWorkerDispatcher
    mapping(address client => address) public keyAgentOf;
    StakeLib.State internal _stakes;
    OrderLib.Book internal _orders;

    constructor(DispatcherParams memory p) {
        require(p.owner != address(0) && p.token.code.length != 0, ZeroAddress());
        require(p.epochSecs != 0 && p.ticketUnit != 0, ZeroAmount());
        (owner, token, epochSecs, unbondSecs, ticketUnit) =
        (p.owner, p.token, p.epochSecs, p.unbondSecs, p.ticketUnit);
        genesis = uint40(block.timestamp);
    }

    modifier onlyOwner() {
        require(msg.sender == owner, NotOwner(msg.sender));
        _;
    }

    modifier onlyAgreement() {
        require(_escrows[msg.sender].known, UnknownAgreement(msg.sender));
        _;
    }

    // ------------------------------------------------------------------------------------------------ owner

    /// @notice Adds a kind of work. Touches nobody's stake: workers opt in by the code hash.
    function addKind(address implementation) external onlyOwner returns (uint8 kindId) {
        kindId = kindCount;
        require(kindId < MAX_KINDS, TooMany(uint256(kindId) + 1, MAX_KINDS));
        require(implementation.code.length != 0, ZeroAddress());
        bytes32 codeHash = implementation.codehash;
        _kinds[kindId] = Kind(implementation, codeHash);
        kindCount = kindId + 1;
        emit KindAdded(kindId, implementation, codeHash);
    }

    /// @notice Adds a class of workers: a platform with a runtime.
    function addClass(string calldata name) external onlyOwner returns (uint16 classId) {
        classId = classCount;
        require(classId < MAX_CLASSES, TooMany(uint256(classId) + 1, MAX_CLASSES));
        classCount = classId + 1;
        emit ClassAdded(classId, name);
    }

    // ------------------------------------------------------------------------------------------------ workers

    /// @inheritdoc IWorkerDispatcher
    function registerWorker(
        address payout,
        uint48 classes,
        bytes32[] calldata kindHashes,
        bytes32 encryptionKey,
        bytes32 transportKey
    ) external {
        _checkClasses(classes);
        uint48 kinds = _optIn(kindHashes);
        _stakes.register(msg.sender, payout, classes, kinds, epoch());
        encryptionKeyOf[msg.sender] = encryptionKey;
        emit WorkerRegistered(msg.sender, payout, classes, kinds, encryptionKey, transportKey);
    }

    /// @inheritdoc IWorkerDispatcher
    function updateWorker(address payout, uint48 classes, bytes32[] calldata kindHashes) external {
        _checkClasses(classes);
        uint48 kinds = _optIn(kindHashes);
        _stakes.update(msg.sender, payout, classes, kinds, epoch(), ticketUnit);
        emit WorkerUpdated(msg.sender, payout, classes, kinds);
    }

    /// @inheritdoc IWorkerDispatcher
    function setEncryptionKey(bytes32 key) external {
        encryptionKeyOf[msg.sender] = key;
        emit EncryptionKeySet(msg.sender, key);
    }

    /// @inheritdoc IWorkerDispatcher
    function setDevice(address device, uint88 limit) external {
        require(device != address(0), ZeroAddress());
        uint32 since = _stakes.setDevice(msg.sender, device, limit, epoch());
        emit DeviceSet(msg.sender, device, limit, since);
    }

    /// @inheritdoc IWorkerDispatcher
    function stake(uint256 amount) external nonReentrant {
        _stake(msg.sender, amount);
    }

    /// @inheritdoc IWorkerDispatcher
    function unstake(uint256 amount) external {
        require(amount != 0, ZeroAmount());
        uint40 until = uint40(block.timestamp + unbondSecs);
        _stakes.unbond(msg.sender, amount, epoch(), ticketUnit, until);
        emit Unstaked(msg.sender, amount, until);
    }

    /// @inheritdoc IWorkerDispatcher
    function withdrawUnbonded(address worker) external nonReentrant returns (uint256 amount) {
        amount = _stakes.takeUnbonded(worker);
        if (amount == 0) return 0;
        emit UnbondingWithdrawn(worker, amount);
        IERC20(token).safeTransfer(worker, amount);
    }

    // ------------------------------------------------------------------------------------------------ clients

    /// @inheritdoc IWorkerDispatcher
    function buyContract(uint8 kindId, bytes calldata terms, bytes calldata spec)
        external
        nonReentrant
        returns (address)
    {
        return _buy(msg.sender, kindId, terms, spec, block.timestamp);
    }

    /// @inheritdoc IWorkerDispatcher
    function buyContractWithPermit(
        uint8 kindId,
        bytes calldata terms,
        bytes calldata spec,
        Permit calldata permit
    ) external nonReentrant returns (address) {
        // A permit that somebody else submitted first has already done its work; the allowance check tells.
        try IERC20Permit(token)
            .permit(msg.sender, address(this), permit.value, permit.deadline, permit.v, permit.r, permit.s) {}
            catch {}
        return _buy(msg.sender, kindId, terms, spec, block.timestamp);
    }

    /// @inheritdoc IWorkerDispatcher
    function acceptOffer(Order calldata order, bytes calldata spec, bytes calldata)
        external
        nonReentrant
        returns (address agreement)
    {
        (bytes32 hash, uint32 index) = OrderLib.use(_orders, msg.data[4:], workerOf(msg.sender));
        agreement = _buy(order.client, order.kindId, order.terms, spec, order.startAt);
        emit OrderUsed(hash, order.client, agreement, index);
        IWorkAgreement(agreement).acceptFor(msg.sender);
    }

    /// @inheritdoc ISignedOrders
    function cancelOrder(bytes32 hash) external {
        OrderLib.cancel(_orders, msg.sender, hash);
    }

    /// @inheritdoc ISignedOrders
    function cancelAllOrders() external returns (uint64 nonce) {
        return OrderLib.cancelAll(_orders, msg.sender);
    }

    /// @inheritdoc IWorkerDispatcher
    function fund(address agreement, uint96 amount, bytes calldata what) external nonReentrant {
        _fund(msg.sender, agreement, amount, what);
    }

    /// @inheritdoc IWorkerDispatcher
    function setKeyAgent(address agent) external {
        keyAgentOf[msg.sender] = agent;
        emit KeyAgentSet(msg.sender, agent);
    }

    /// @notice Approve-and-call: `data` is the calldata of `buyContract`, `stake` or `fund`, done for `from`.
    function receiveApproval(address from, uint256, address, bytes calldata data)
        external
        nonReentrant
        returns (bool)
    {
        require(msg.sender == token, NotTheToken(msg.sender, token));
        bytes4 selector = bytes4(data);
        if (selector == IWorkerDispatcher.buyContract.selector) {
            _buyFromData(from, data[4:]);
        } else if (selector == IWorkerDispatcher.stake.selector) {
            _stake(from, abi.decode(data[4:], (uint256)));
        } else if (selector == IWorkerDispatcher.fund.selector) {
            (address agreement, uint96 amount, bytes memory what) =
                abi.decode(data[4:], (address, uint96, bytes));
            _fund(from, agreement, amount, what);
        } else {
            revert UnknownCall(selector);
        }
        return true;
    }

    /// @inheritdoc IWorkerDispatcher
    function withdraw(address account) external nonReentrant returns (uint256 amount) {
        amount = payableOf(account);
        if (amount == 0) return 0;
        _payables[account] = USED;
        emit Withdrawn(account, amount);
        IERC20(token).safeTransfer(account, amount);
    }

    // ------------------------------------------------------------------------------------------------ agreements

    /// @inheritdoc IWorkerDispatcher
    function lock(address actor, uint96 amount, uint32 ticketsAt)
        external
        onlyAgreement
        returns (address worker, bool byDevice, uint256 tickets)
    {
        require(amount != 0, ZeroAmount());
        Escrow storage e = _escrows[msg.sender];
        uint16 classId = e.classId;
        address device;
        (worker, device) = _stakes.lock(msg.sender, actor, amount, classId, e.kindId, epoch());
        e.locked += amount;
        byDevice = device != address(0);
        if (ticketsAt != NO_TICKETS) tickets = _stakes.ticketsOf(worker, classId, ticketsAt, ticketUnit);
        emit StakeLocked(worker, msg.sender, device, amount);
    }

    /// @inheritdoc IWorkerDispatcher
    function release(Party calldata party) external onlyAgreement {
        Escrow memory e = _escrows[msg.sender];
        require(party.pay == 0, EscrowTooSmall(0, party.pay));
        _release(e, party);
        _escrows[msg.sender] = e;
    }

    /// @inheritdoc IWorkerDispatcher
    function pay(address account, uint96 amount) external onlyAgreement {
        _take(amount);
        _credit(payoutOf(account), amount);
    }

    /// @inheritdoc IWorkerDispatcher
    function burn(uint96 amount) external onlyAgreement {
        _take(amount);
        _burn(amount);
    }

    /// @inheritdoc IWorkerDispatcher
    function close(Party[] calldata parties, uint96 burned, uint96 kept, address refundTo)
        external
        onlyAgreement
    {
        Escrow memory e = _escrows[msg.sender];
        uint256 out = uint256(burned) + kept;
        for (uint256 i = 0; i < parties.length; ++i) {
            Party calldata p = parties[i];
            uint96 pay_ = p.pay;
            out += pay_;
            if (p.locked == 0) _credit(payoutOf(p.worker), pay_);
            else _addPayable(_release(e, p), pay_);
        }
        require(out <= e.balance, EscrowTooSmall(e.balance, out));
        _burn(burned);
        _credit(refundTo, e.balance - out);
        e.balance = kept;
        _escrows[msg.sender] = e;
    }

    /// @inheritdoc IWorkerDispatcher
    function closeUnanimous(Unanimity calldata u) external onlyAgreement {
        Escrow memory e = _escrows[msg.sender];
        uint256 count = u.verifiers.length;
        (uint96 fee, uint96 verifierLock) = (u.verifierFee, u.verifierLock);
        uint256 freed = u.workerLock + count * verifierLock;
        require(freed <= e.locked, NothingLocked(u.worker, msg.sender));
        uint256 out = u.reward + count * fee;
        require(out <= e.balance, EscrowTooSmall(e.balance, out));
        uint32 now_ = epoch();
        _keep(e.kindId, u.worker, u.workerLock, u.reward, u.scored, now_);
        for (uint256 i = 0; i < count; ++i) {
            _keep(e.kindId, u.verifiers[i], verifierLock, fee, u.scored, now_);
        }
        uint256 refund = e.balance - out;
        (e.balance, e.locked) = (0, uint96(e.locked - freed));
        _escrows[msg.sender] = e;
        _credit(u.refundTo, refund);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IWorkerDispatcher
    function epoch() public view returns (uint32) {
        return uint32((block.timestamp - genesis) / epochSecs);
    }

    /// @inheritdoc IWorkerDispatcher
    function kind(uint8 kindId) external view returns (address implementation, bytes32 codeHash) {
        Kind storage k = _kinds[kindId];
        return (k.implementation, k.codeHash);
    }

    /// @inheritdoc IWorkerDispatcher
    function workerInfo(address worker) external view returns (WorkerInfo memory) {
        return _stakes.info(worker, epoch());
    }

    /// @inheritdoc IWorkerDispatcher
    function deviceInfo(address device) external view returns (Device memory) {
        return _stakes.devices[device];
    }

    /// @inheritdoc IWorkerDispatcher
    function workerOf(address actor) public view returns (address) {
        return _stakes.workers[actor].payout != address(0) ? actor : _stakes.devices[actor].worker;
    }

    /// @inheritdoc IWorkerDispatcher
    function payoutOf(address account) public view returns (address) {
        // Not for devices: they are named without their consent, so anybody could draw a keeper's tips to itself.
        address payout = _stakes.workers[account].payout;
        return payout == address(0) ? account : payout;
    }

    /// @inheritdoc IWorkerDispatcher
    function ticketsOf(address worker, uint16 classId, uint32 atEpoch) external view returns (uint256) {
        return _stakes.ticketsOf(worker, classId, atEpoch, ticketUnit);
    }

    /// @inheritdoc IWorkerDispatcher
    function classAt(uint16 classId, uint32 atEpoch) external view returns (uint256 units, uint256 workers) {
        return _stakes.classAt(classId, atEpoch);
    }

    /// @inheritdoc IWorkerDispatcher
    function escrowOf(address agreement) external view returns (uint96 balance, bool known) {
        Escrow storage e = _escrows[agreement];
        return (e.balance, e.known);
    }

    /// @inheritdoc IWorkerDispatcher
    function payableOf(address account) public view returns (uint256) {
        return _payables[account] & ~USED;
    }

    /// @inheritdoc IWorkerDispatcher
    function deviceOf(address agreement, address worker) external view returns (address device) {
        return _stakes.devicesOf[agreement][worker];
    }

    /// @inheritdoc IWorkerDispatcher
    function lockedBy(address agreement) external view returns (uint96) {
        return _escrows[agreement].locked;
    }

    /// @inheritdoc ISignedOrders
    function orderHash(Order calldata) external view returns (bytes32) {
        return OrderLib.hash(msg.data[4:]);
    }

    /// @inheritdoc ISignedOrders
    function orderUses(address client, bytes32 hash) external view returns (uint32) {
        return _orders.uses[client][hash];
    }

    /// @inheritdoc ISignedOrders
    function orderNonceOf(address client) external view returns (uint64) {
        return _orders.nonces[client];
    }

    /// @inheritdoc ISignedOrders
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        (name, version) = (TypedDataLib.NAME, TypedDataLib.VERSION);
        return (0x0f, name, version, block.chainid, address(this), bytes32(0), new uint256[](0));
    }

    // ------------------------------------------------------------------------------------------------ private

    function _buyFromData(address from, bytes calldata arguments) private {
        (uint8 kindId, bytes memory terms, bytes memory spec) = abi.decode(arguments, (uint8, bytes, bytes));
        _buy(from, kindId, terms, spec, block.timestamp);
    }

    /// @param boughtAt When the price starts to run: now, or the start of a signed order.
    function _buy(address client, uint8 kindId, bytes memory terms, bytes memory spec, uint256 boughtAt)
        private
        returns (address agreement)
    {
        address implementation = _kinds[kindId].implementation;
        require(implementation != address(0), UnknownKind(kindId));
        require(spec.length <= MAX_SPEC_BYTES, SpecTooLong(spec.length, MAX_SPEC_BYTES));
        Quote memory q = IWorkAgreement(implementation).quote(terms);
        _checkClass(client, q);

        bytes memory bound = abi.encodePacked(client, uint40(boughtAt), keccak256(spec), terms);
        agreement = LibClone.clone(implementation, bound);
        _escrows[agreement] =
            Escrow({balance: q.budget, locked: 0, classId: q.classId, kindId: kindId, known: true});
        emit AgreementBought(agreement, client, q.classId, kindId, q.budget, terms, spec);
        _pull(client, q.budget);
    }

    /// @dev A purchase that cannot find its verifiers is refused before any money moves.
    function _checkClass(address client, Quote memory q) private view {
        require(q.classId < classCount, UnknownClass(q.classId));
        uint32 now_ = epoch();
        (uint256 units, uint256 workers) = _stakes.classAt(q.classId, now_);
        if (_stakes.ticketsOf(client, q.classId, now_, ticketUnit) != 0) --workers;
        require(workers >= q.workers, ClassTooSmall(q.classId, workers, q.workers));
        uint256 staked = units * ticketUnit;
        require(staked >= q.stake, ClassStakeTooSmall(q.classId, staked, q.stake));
    }

    function _stake(address worker, uint256 amount) private {
        require(amount != 0, ZeroAmount());
        uint32 now_ = epoch();
        _stakes.bond(worker, amount, now_, ticketUnit);
        emit Staked(worker, amount, now_ + 1);
        _pull(worker, amount);
    }

    /// @dev Takes tokens in, and says what is missing if that fails. A token that takes a fee on the way is refused.
    function _pull(address from, uint256 amount) private {
        IERC20 t = IERC20(token);
        uint256 before = t.balanceOf(address(this));
        if (!t.trySafeTransferFrom(from, address(this), amount)) {
            uint256 have = t.balanceOf(from);
            require(have >= amount, InsufficientBalance(from, have, amount));
            uint256 allowed = t.allowance(from, address(this));
            require(allowed >= amount, InsufficientAllowance(from, allowed, amount));
            revert TransferShort(0, amount);
        }
        uint256 received = t.balanceOf(address(this)) - before;
        require(received == amount, TransferShort(received, amount));
    }

    /// @dev The money comes last: the agreement may refuse it, and has been told of it by then.
    function _fund(address from, address agreement, uint96 amount, bytes memory what) private {
        require(_escrows[agreement].known, UnknownAgreement(agreement));
        require(amount != 0, ZeroAmount());
        uint96 room = type(uint96).max - _escrows[agreement].balance;
        require(amount <= room, AmountTooLarge(amount, room));
        _escrows[agreement].balance += amount;
        emit Funded(agreement, from, amount);
        IWorkAgreement(agreement).funded(from, amount, what);
        _pull(from, amount);
    }

    function _take(uint96 amount) private {
        uint96 balance = _escrows[msg.sender].balance;
        require(amount <= balance, EscrowTooSmall(balance, amount));
        _escrows[msg.sender].balance = balance - amount;
    }

    /// @dev `e` is the caller's escrow, which the caller writes back.
    function _release(Escrow memory e, Party calldata p) private returns (address payout) {
        require(p.locked <= e.locked, NothingLocked(p.worker, msg.sender));
        payout = _stakes.release(msg.sender, p, e.kindId, epoch(), ticketUnit);
        e.locked -= p.locked;
        e.balance += p.slash;
        emit StakeReleased(p.worker, msg.sender, p.locked - p.slash, p.slash, p.pay);
    }

    function _keep(uint8 kindId, address worker, uint96 locked, uint96 pay_, bool scored, uint32 now_)
        private
    {
        address payout = _stakes.releaseKept(msg.sender, worker, locked, scored, kindId, now_);
        _addPayable(payout, pay_);
        emit StakeReleased(worker, msg.sender, locked, 0, pay_);
    }

    function _credit(address account, uint256 amount) private {
        if (amount == 0) return;
        _addPayable(account, amount);
        emit Paid(msg.sender, account, amount);
    }

    function _addPayable(address account, uint256 amount) private {
        if (amount != 0) _payables[account] = (_payables[account] | USED) + amount;
    }

    function _burn(uint256 amount) private {
        if (amount == 0) return;
        _addPayable(BURN_ACCOUNT, amount);
        emit Burned(msg.sender, amount);
    }

    function _checkClasses(uint48 classes) private view {
        require(classes >> classCount == 0, UnknownClass(classCount));
    }

    /// @dev The caller names the code it trusts: a kind whose code is another is refused.
    function _optIn(bytes32[] calldata kindHashes) private view returns (uint48 kinds) {
        require(kindHashes.length <= kindCount, UnknownKind(kindHashes.length));
        for (uint8 i = 0; i < kindHashes.length; ++i) {
            if (kindHashes[i] == 0) continue;
            bytes32 expected = _kinds[i].codeHash;
            require(kindHashes[i] == expected, CodeHashMismatch(i, kindHashes[i], expected));
            kinds |= uint48(1) << i;
        }
    }
}
