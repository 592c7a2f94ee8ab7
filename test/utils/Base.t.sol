// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {DispatcherParams, WorkerDispatcher} from "../../contracts/WorkerDispatcher.sol";
import {ComputeParams, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {BlockBeacon} from "../../contracts/beacon/BlockBeacon.sol";
import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {IWorkerDispatcher, Permit} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {SunToken} from "../../contracts/token/SunToken.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";

import {ComputeDeployer} from "../../script/ComputeDeployer.sol";

/// @notice One worker with all its accounts.
struct Actor {
    /// The identity: stake, score and draws belong to it.
    address owner;
    address payout;
    /// Hot key, with a limit of DEVICE_LIMIT.
    address device;
}

/// @notice What everybody owns at one moment; see `_books`.
struct Books {
    uint256 client;
    uint256 keeper;
    uint256 burned;
    /// By worker: what its payout account has or is owed.
    uint256[] earned;
    /// By worker: stake that is not unbonding.
    uint256[] bonded;
}

/// @title Base
/// @notice The whole system deployed, actors with money and stake, and books to compare.
abstract contract Base is Test {
    uint256 internal constant SUN = 1e9;
    uint32 internal constant EPOCH_SECS = 1 hours;
    uint32 internal constant UNBOND_SECS = 7 days;
    uint96 internal constant TICKET_UNIT = uint96(100 * SUN);
    uint256 internal constant STAKE = 10_000 * SUN;
    /// @dev Of the worker under `_terms()`: a reward of 100 and five fees of 10 (docs/PROTOCOL.md, Locks).
    uint256 internal constant WORKER_LOCK = 150 * SUN;
    uint256 internal constant ABORT_FEE = WORKER_LOCK / 20;
    uint256 internal constant VANISH_FEE = WORKER_LOCK / 5;
    uint88 internal constant DEVICE_LIMIT = uint88(5000 * SUN);
    uint96 internal constant SEED_TIP = uint96(SUN);
    uint48 internal constant MARGIN_BLOCKS = 2;
    uint16 internal constant CLASS = 0;
    uint8 internal constant KIND = 0;
    bytes internal constant SPEC = "what is to be done";

    SunToken internal token;
    WorkerDispatcher internal dispatcher;
    BlockBeacon internal beacon;
    IComputeAgreement internal implementation;

    address internal owner = makeAddr("owner");
    address internal client;
    uint256 internal clientKey;
    address internal keeper = makeAddr("keeper");
    address internal stranger = makeAddr("stranger");
    Actor[] internal workers;
    /// @dev Every agreement bought through the helpers, for `_assertConserved`.
    address[] internal agreements;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        (client, clientKey) = makeAddrAndKey("client");
        _deploy();
        _give(client, 1_000_000 * SUN);
        vm.prank(client);
        token.approve(address(dispatcher), type(uint256).max);
        _addWorkers(5);
        skip(EPOCH_SECS);
    }

    // ------------------------------------------------------------------------------------------------ deployment

    function _deploy() internal {
        token = new SunToken(address(this));
        dispatcher = new WorkerDispatcher(_dispatcherParams(address(token)));
        beacon = new BlockBeacon(MARGIN_BLOCKS);
        IEnergyLedger ledger = _deployLedger();
        implementation = IComputeAgreement(ComputeDeployer.deploy(dispatcher, beacon, ledger, _params()));
        vm.startPrank(owner);
        dispatcher.addKind(address(implementation));
        dispatcher.addClass("linux/amd64+docker");
        dispatcher.addClass("linux/arm64+docker");
        vm.stopPrank();
    }

    /// @dev None; tests of energy override this.
    function _deployLedger() internal virtual returns (IEnergyLedger) {
        return IEnergyLedger(address(0));
    }

    function _dispatcherParams(address token_) internal view returns (DispatcherParams memory) {
        return DispatcherParams({
            owner: owner,
            token: token_,
            epochSecs: EPOCH_SECS,
            unbondSecs: UNBOND_SECS,
            ticketUnit: TICKET_UNIT
        });
    }

    function _params() internal pure virtual returns (ComputeParams memory) {
        return ComputeParams({
            keySecs: 60,
            seedSecs: 120,
            drawStepSecs: 10,
            drawSteps: 8,
            drawFactor: 2,
            revealSecs: 60,
            openSecs: 90,
            maxAttempts: 3,
            maxStrikes: 4,
            abortBps: 500,
            vanishBps: 2000,
            seedTip: SEED_TIP,
            auditOneIn: 0
        });
    }

    // ------------------------------------------------------------------------------------------------ actors

    /// @dev Registers `count` more workers with stake and a device; they draw from the next epoch on.
    function _addWorkers(uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            string memory name = string.concat("worker", vm.toString(workers.length));
            Actor memory w = Actor({
                owner: makeAddr(name),
                payout: makeAddr(string.concat(name, ".payout")),
                device: makeAddr(string.concat(name, ".device"))
            });
            workers.push(w);
            _register(w.owner, w.payout, 1);
            _stake(w.owner, STAKE);
            vm.prank(w.owner);
            dispatcher.setDevice(w.device, DEVICE_LIMIT);
        }
    }

    function _give(address to, uint256 amount) internal {
        assertTrue(token.transfer(to, amount), "transfer");
    }

    function _register(address who, address payout, uint48 classes) internal {
        vm.prank(who);
        dispatcher.registerWorker(payout, classes, _kindHashes(), keccak256("x25519"), keccak256("transport"));
    }

    function _kindHashes() internal view returns (bytes32[] memory hashes) {
        hashes = new bytes32[](1);
        hashes[0] = address(implementation).codehash;
    }

    function _setKey(address who, bytes32 key) internal {
        vm.prank(who);
        dispatcher.setEncryptionKey(key);
    }

    function _setAgent(address who, address agent) internal {
        vm.prank(who);
        dispatcher.setKeyAgent(agent);
    }

    function _stake(address who, uint256 amount) internal {
        _give(who, amount);
        vm.startPrank(who);
        token.approve(address(dispatcher), amount);
        dispatcher.stake(amount);
        vm.stopPrank();
    }

    /// @return Index in `workers`, or reverts.
    function _indexOf(address workerOwner) internal view returns (uint256) {
        for (uint256 i = 0; i < workers.length; ++i) {
            if (workers[i].owner == workerOwner) return i;
        }
        revert("not a worker of this test");
    }

    // ------------------------------------------------------------------------------------------------ buying

    /// @dev A bag of 16 leaves, two verifiers with four leaves each.
    function _terms() internal pure returns (ComputeTerms memory) {
        return ComputeTerms({
            rewardMin: uint96(100 * SUN),
            rewardMax: uint96(200 * SUN),
            verifierFee: uint96(10 * SUN),
            classId: CLASS,
            flags: 0,
            trustLevel: 1,
            trust: 2,
            leafCount: 16,
            samples: 4,
            verifiers: 2,
            acceptSecs: 300,
            workSecs: 600,
            verifySecs: 240,
            disputeSecs: 0,
            named: address(0),
            callback: address(0),
            callbackGas: 0
        });
    }

    /// @dev The same bag, with its inputs and results under a session key.
    function _confidentialTerms() internal pure returns (ComputeTerms memory t) {
        t = _terms();
        t.flags = 1;
    }

    /// @dev Level 1 pays its verifiers, and one more where results are audited; level 0 nobody but the worker.
    function _budget(ComputeTerms memory t) internal pure returns (uint256) {
        uint256 verifiers = t.trustLevel == 0 ? 0 : uint256(t.verifiers) + (_params().auditOneIn == 0 ? 0 : 1);
        return uint256(t.rewardMax) + verifiers * t.verifierFee + SEED_TIP;
    }

    function _buy(ComputeTerms memory t) internal returns (IComputeAgreement) {
        vm.prank(client);
        address a = dispatcher.buyContract(KIND, ComputeTermsLib.pack(t), SPEC);
        agreements.push(a);
        return IComputeAgreement(a);
    }

    /// @dev The client's signed permit for the dispatcher.
    function _permit(uint256 value) internal view returns (Permit memory p) {
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        (p.value, p.deadline) = (value, block.timestamp + 1 hours);
        bytes32 structHash = keccak256(
            abi.encode(typeHash, client, address(dispatcher), value, token.nonces(client), p.deadline)
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), structHash));
        (p.v, p.r, p.s) = vm.sign(clientKey, digest);
    }

    // ------------------------------------------------------------------------------------------------ books

    function _books() internal view returns (Books memory b) {
        b.client = _owned(client);
        b.keeper = _owned(keeper);
        b.burned = _owned(dispatcher.BURN_ACCOUNT());
        b.earned = new uint256[](workers.length);
        b.bonded = new uint256[](workers.length);
        for (uint256 i = 0; i < workers.length; ++i) {
            b.earned[i] = _owned(workers[i].payout);
            b.bonded[i] = dispatcher.workerInfo(workers[i].owner).bonded;
        }
    }

    function _owned(address account) internal view returns (uint256) {
        return token.balanceOf(account) + dispatcher.payableOf(account);
    }

    /// @dev sum(escrows) + sum(stakes) + sum(payables) = balance, over all accounts that a test knows.
    function _assertConserved() internal view {
        uint256 sum = dispatcher.payableOf(client) + dispatcher.payableOf(keeper)
            + dispatcher.payableOf(stranger) + dispatcher.payableOf(dispatcher.BURN_ACCOUNT());
        for (uint256 i = 0; i < workers.length; ++i) {
            sum += dispatcher.payableOf(workers[i].payout) + dispatcher.payableOf(workers[i].owner);
            sum += dispatcher.workerInfo(workers[i].owner).bonded;
            sum += dispatcher.workerInfo(workers[i].owner).unbonding;
        }
        for (uint256 i = 0; i < agreements.length; ++i) {
            (uint96 escrow,) = dispatcher.escrowOf(agreements[i]);
            sum += escrow;
        }
        assertEq(sum, token.balanceOf(address(dispatcher)), "slots add up to the balance");
    }

    /// @dev Nothing is left in the agreement: no escrow, no lock of anybody.
    function _assertEmpty(address agreement) internal view {
        (uint96 escrow,) = dispatcher.escrowOf(agreement);
        assertEq(escrow, 0, "escrow empty");
        assertEq(dispatcher.lockedBy(agreement), 0, "all locks freed");
        for (uint256 i = 0; i < workers.length; ++i) {
            (uint96 locked,) = IComputeAgreement(agreement).lockOf(workers[i].owner);
            assertEq(locked, 0, "lock freed");
        }
    }

    function _insufficientBalance(address who, uint256 have, uint256 need)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IWorkerDispatcher.InsufficientBalance.selector, who, have, need);
    }
}
