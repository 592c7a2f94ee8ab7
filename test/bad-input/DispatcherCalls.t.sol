// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    IWorkerDispatcher,
    Party,
    Permit,
    Unanimity,
    Verdict
} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {WorkerDispatcher} from "../../contracts/WorkerDispatcher.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Order} from "../../contracts/types/Order.sol";
import {Status} from "../../contracts/types/Status.sol";
import {PuppetAgreement} from "../mocks/PuppetAgreement.sol";
import {Hostile} from "../utils/Hostile.t.sol";

/// @notice Every function of the dispatcher with arguments that are zero, maximal or random, from everybody, and from agreements of
/// a kind that does what it likes.
contract DispatcherCallsTest is Hostile {
    uint256 private constant FUNCTIONS = 41;

    IComputeAgreement private _a;
    PuppetAgreement private _puppet;

    function setUp() public override {
        super.setUp();
        PuppetAgreement kind = new PuppetAgreement(dispatcher);
        vm.prank(owner);
        dispatcher.addKind(address(kind));
        vm.prank(client);
        _puppet = PuppetAgreement(dispatcher.buyContract(1, "", ""));
        agreements.push(address(_puppet));
        bytes32[] memory hashes = new bytes32[](2);
        (hashes[0], hashes[1]) = (address(implementation).codehash, address(kind).codehash);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(workers[i].owner);
            dispatcher.updateWorker(workers[i].payout, 1, hashes);
        }
        _a = _driveTo(_terms(), Status.Verifying);
    }

    /// @notice Each function once for each run.
    function testFuzz_everyFunction(uint256 seed) public {
        entropy = seed;
        uint256 snapshot = vm.snapshotState();
        for (uint256 f = 0; f < FUNCTIONS; ++f) {
            (bytes memory call, address who) = (_call(f), _caller());
            if (_throwAt(who, call)) {
                uint256 kept = entropy;
                vm.revertToState(snapshot);
                entropy = kept;
            }
        }
    }

    /// @notice The same without undoing.
    /// forge-config: default.fuzz.runs = 64
    function testFuzz_storm(uint256 seed) public {
        entropy = seed;
        for (uint256 n = 0; n < 100; ++n) {
            if (_pick(20) == 0) skip(_pick(40) * 1 days);
            (bytes memory call, address who) = (_call(_pick(FUNCTIONS)), _caller());
            _throwAt(who, call);
        }
    }

    /// @notice A kind that was opted in to, whose agreement locks, releases, pays, burns and closes as it likes: it stays within its
    /// escrow and its locks, and is told why.
    function testFuzz_stormOfAHostileKind(uint256 seed) public {
        entropy = seed;
        for (uint256 n = 0; n < 60; ++n) {
            bytes memory call = abi.encodeCall(_puppet.tell, (_agreementsCall(_pick(6))));
            _throw(address(_puppet), stranger, call);
        }
        assertLe(dispatcher.lockedBy(address(_puppet)), 2 * STAKE, "no more than the two had");
    }

    /// @notice A selector with bytes behind it that are no arguments: no panic, and the books add up.
    function testFuzz_malformedCalldata(uint256 seed, bytes calldata junk) public {
        entropy = seed;
        for (uint256 f = 0; f < FUNCTIONS; ++f) {
            bytes memory call = bytes.concat(bytes4(_call(f)), junk);
            vm.prank(_caller());
            (bool ok, bytes memory answer) = address(dispatcher).call(call);
            if (!ok && answer.length != 0) assertTrue(bytes4(answer) != PANIC, "no panic");
        }
        _assertBooks();
    }

    // ------------------------------------------------------------------------------------------------ extremes

    /// @notice An amount whose sum with what is there leaves its type is named with the most that is allowed.
    function test_RevertWhen_amountIsTheLargest() public {
        uint256 room = type(uint88).max - dispatcher.workerInfo(workers[0].owner).bonded;
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.AmountTooLarge.selector, type(uint256).max, room)
        );
        vm.prank(workers[0].owner);
        dispatcher.stake(type(uint256).max);
        (uint96 held,) = dispatcher.escrowOf(address(_a));
        vm.expectRevert(
            abi.encodeWithSelector(
                IWorkerDispatcher.AmountTooLarge.selector, type(uint96).max, type(uint96).max - held
            )
        );
        vm.prank(client);
        dispatcher.fund(address(_a), type(uint96).max, "");
        _assertBooks();
    }

    // ------------------------------------------------------------------------------------------------ calls

    function _throwAt(address who, bytes memory call) private returns (bool) {
        return _throw(address(dispatcher), who, call);
    }

    function _call(uint256 f) private returns (bytes memory) {
        if (f < 10) return _workersCall(f);
        if (f < 20) return _clientsCall(f - 10);
        if (f < 26) return _agreementsCall(f - 20);
        return _view(f - 26);
    }

    function _workersCall(uint256 f) private returns (bytes memory) {
        WorkerDispatcher d = dispatcher;
        if (f == 0) return abi.encodeCall(d.addKind, (_anybody()));
        if (f == 1) return abi.encodeCall(d.addClass, ("name"));
        if (f == 2) {
            return
                abi.encodeCall(d.registerWorker, (_anybody(), uint48(_num(48)), _words(3), _word(), _word()));
        }
        if (f == 3) return abi.encodeCall(d.updateWorker, (_anybody(), uint48(_num(48)), _words(3)));
        if (f == 4) return abi.encodeCall(d.setEncryptionKey, (_word()));
        if (f == 5) return abi.encodeCall(d.setDevice, (_anybody(), uint88(_num(88))));
        if (f == 6) return abi.encodeCall(d.stake, (_num(256)));
        if (f == 7) return abi.encodeCall(d.unstake, (_num(256)));
        if (f == 8) return abi.encodeCall(d.withdrawUnbonded, (_anybody()));
        return abi.encodeCall(d.withdraw, (_known()));
    }

    function _clientsCall(uint256 f) private returns (bytes memory) {
        WorkerDispatcher d = dispatcher;
        if (f == 0) return abi.encodeCall(d.buyContract, (uint8(_num(8)), _packed(), _data()));
        if (f == 1) {
            Permit memory p = Permit(_num(256), _num(64), uint8(_num(8)), _word(), _word());
            return abi.encodeCall(d.buyContractWithPermit, (uint8(_num(8)), _packed(), _data(), p));
        }
        if (f == 2) return abi.encodeCall(d.acceptOffer, (_order(), SPEC, _data()));
        if (f == 3) return abi.encodeCall(d.cancelOrder, (_word()));
        if (f == 4) return abi.encodeCall(d.cancelAllOrders, ());
        if (f == 5) return abi.encodeCall(d.fund, (_anybody(), uint96(_num(96)), _data()));
        if (f == 6) return abi.encodeCall(d.fund, (address(_a), uint96(_num(96)), _data()));
        if (f == 7) return abi.encodeCall(d.setKeyAgent, (_anybody()));
        if (f == 8) return abi.encodeCall(d.receiveApproval, (_anybody(), _num(256), _anybody(), _data()));
        return abi.encodeCall(d.buyContract, (KIND, _packed(), new bytes(16_385 + _pick(9))));
    }

    function _agreementsCall(uint256 f) private returns (bytes memory) {
        WorkerDispatcher d = dispatcher;
        if (f == 0) return abi.encodeCall(d.lock, (_anybody(), uint96(_num(96)), uint32(_num(32))));
        if (f == 1) return abi.encodeCall(d.release, (_party()));
        if (f == 2) return abi.encodeCall(d.pay, (_known(), uint96(_num(96))));
        if (f == 3) return abi.encodeCall(d.burn, (uint96(_num(96))));
        if (f == 4) {
            Party[] memory parties = new Party[](_pick(4));
            for (uint256 i = 0; i < parties.length; ++i) {
                parties[i] = _party();
            }
            return abi.encodeCall(d.close, (parties, uint96(_num(96)), uint96(_num(96)), _known()));
        }
        Unanimity memory u;
        (u.worker, u.reward, u.workerLock) = (_known(), uint96(_num(96)), uint96(_num(96)));
        u.verifiers = new address[](_pick(4));
        for (uint256 i = 0; i < u.verifiers.length; ++i) {
            u.verifiers[i] = _known();
        }
        (u.verifierFee, u.verifierLock) = (uint96(_num(96)), uint96(_num(96)));
        (u.scored, u.refundTo) = (_pick(2) == 0, _known());
        return abi.encodeCall(d.closeUnanimous, (u));
    }

    function _view(uint256 f) private returns (bytes memory) {
        WorkerDispatcher d = dispatcher;
        if (f == 0) return abi.encodeCall(d.kind, (uint8(_num(8))));
        if (f == 1) return abi.encodeCall(d.workerInfo, (_anybody()));
        if (f == 2) return abi.encodeCall(d.deviceInfo, (_anybody()));
        if (f == 3) return abi.encodeCall(d.workerOf, (_anybody()));
        if (f == 4) return abi.encodeCall(d.encryptionKeyOf, (_anybody()));
        if (f == 5) return abi.encodeCall(d.keyAgentOf, (_anybody()));
        if (f == 6) return abi.encodeCall(d.payoutOf, (_anybody()));
        if (f == 7) {
            return abi.encodeCall(d.ticketsOf, (_anybody(), uint16(_num(16)), uint32(_num(32))));
        }
        if (f == 8) return abi.encodeCall(d.classAt, (uint16(_num(16)), uint32(_num(32))));
        if (f == 9) return abi.encodeCall(d.escrowOf, (_anybody()));
        if (f == 10) return abi.encodeCall(d.payableOf, (_anybody()));
        if (f == 11) return abi.encodeCall(d.deviceOf, (_anybody(), _anybody()));
        if (f == 12) return abi.encodeCall(d.lockedBy, (_anybody()));
        if (f == 13) return abi.encodeCall(d.orderHash, (_order()));
        return abi.encodeCall(d.orderUses, (_anybody(), _word()));
    }

    // ------------------------------------------------------------------------------------------------ arguments

    /// @dev Whose payables `_assertConserved` counts.
    function _known() private returns (address) {
        uint256 kind = _pick(5);
        if (kind == 0) return client;
        if (kind == 1) return stranger;
        if (kind == 2) return keeper;
        return workers[_pick(3)].owner;
    }

    /// @dev By no device: what a hostile kind says of one that never entered is `Agreements.t.sol`'s matter.
    function _party() private returns (Party memory p) {
        p = Party(_known(), uint96(_num(96)), uint96(_num(96)), uint96(_num(96)), Verdict(_pick(3)), false);
        if (_pick(2) == 0) p.slash = 0;
        if (_pick(2) == 0) p.pay = 0;
    }

    function _order() private returns (Order memory o) {
        (o.client, o.kindId, o.terms, o.specHash) = (_known(), uint8(_num(8)), _packed(), keccak256(SPEC));
        (o.startAt, o.expiry, o.volume) = (uint40(_num(40)), uint40(_num(40)), uint32(_num(32)));
        if (_pick(2) == 0) (o.startAt, o.expiry) = (uint40(block.timestamp), uint40(block.timestamp + 9));
        (o.salt, o.nonce) = (_word(), uint64(_pick(2) * _num(64)));
        if (_pick(3) == 0) o.worker = _known();
    }

    function _packed() private returns (bytes memory) {
        if (_pick(3) == 0) return _data();
        ComputeTerms memory t = _terms();
        t.rewardMax = uint96(_num(96));
        t.classId = uint16(_pick(3));
        if (_pick(2) == 0) t.rewardMin = uint96(_num(96));
        return ComputeTermsLib.pack(t);
    }
}
