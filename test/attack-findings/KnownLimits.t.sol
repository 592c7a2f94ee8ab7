// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ComputeAgreement} from "../../contracts/agreements/ComputeAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice What an attacker can still do, with its price, so that a change of it is noticed. README.md of test/invariant
/// says what would end each.
contract KnownLimitsTest is Driver {
    /// @notice L2. Until dissent opens credibility rounds, one verifier of score 5 (odds 3) outvotes an honest newcomer
    /// (odds 2) on a leaf that nobody else computed, and shares the slash: a lie that pays.
    function test_limit_oneVeteranOutvotesAnHonestNewcomer() public {
        ComputeTerms memory t = _terms();
        (t.verifiers, t.samples) = (1, 1);
        for (uint256 n = 0; n < 60 && _bestScore() < 5; ++n) {
            _driveTo(t, Status.Settled);
            skip(EPOCH_SECS);
        }
        address veteran = _best();
        ComputeAgreement a;
        do {
            address newcomer = _newcomer();
            a = _buy(t);
            vm.prank(newcomer);
            a.accept();
            _seal(a);
            _openDraw(a);
            _draw(a);
        } while (_verifier(a, 0) != veteran);
        bytes32[] memory lie = new bytes32[](1);
        lie[0] = keccak256("lie");
        _sealAs(a, veteran, lie);
        _reveal(a);
        address payout = workers[_indexOf(veteran)].payout;
        uint256 before = dispatcher.payableOf(payout);
        _openAs(a, _opening(veteran, lie));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "the honest worker lost");
        assertGt(dispatcher.payableOf(payout) - before, t.verifierFee, "the liar earned more than its fee");
    }

    /// @notice L3. Naming a device needs no consent of its key, so a registered worker can take a key before its real owner
    /// names it. Costs the attacker one transaction per key, the owner a new key.
    function test_limit_deviceKeysCanBeSquatted() public {
        address thief = makeAddr("thief");
        address key = makeAddr("new device of worker 0");
        _register(thief, thief, 1);
        vm.prank(thief);
        dispatcher.setDevice(key, 0);
        vm.prank(workers[0].owner);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.KeyTaken.selector, key, thief));
        dispatcher.setDevice(key, DEVICE_LIMIT);
    }

    /// @notice L4. A client that posts a useless session key earns half of the fee of every worker that has to abort.
    function test_limit_uselessKeyEarnsHalfOfTheAbortFee() public {
        ComputeTerms memory t = _terms();
        t.flags = 1;
        uint256 before = _owned(client);
        ComputeAgreement a = _driveTo(t, Status.Working);
        uint256 locked = a.workerLock(a.agreement().reward);
        vm.prank(workers[0].owner);
        a.abort();
        vm.prank(client);
        a.cancel();
        assertEq(
            _owned(client) - before, locked * _params().abortBps / 10_000 / 2, "earned without a service"
        );
    }

    function _newcomer() private returns (address) {
        _addWorkers(1);
        skip(EPOCH_SECS);
        return workers[workers.length - 1].owner;
    }

    function _best() private view returns (address best) {
        best = workers[1].owner;
        for (uint256 i = 2; i < workers.length; ++i) {
            if (_score(workers[i].owner) > _score(best)) best = workers[i].owner;
        }
    }

    function _bestScore() private view returns (uint256) {
        return _score(_best());
    }

    function _score(address worker) private view returns (uint256) {
        return dispatcher.workerInfo(worker).score;
    }
}
