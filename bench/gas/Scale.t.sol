// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {CommonBase} from "forge-std/Base.sol";
import {console} from "forge-std/console.sol";
import {WorkerDispatcher} from "../../contracts/WorkerDispatcher.sol";
import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {SunToken} from "../../contracts/token/SunToken.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {TaskGas} from "./TaskGas.t.sol";

/// @notice Makes workers in one transaction, one ticket each: transactions of their own would take hours.
contract Crowd is CommonBase {
    WorkerDispatcher private immutable DISPATCHER;
    SunToken private immutable TOKEN;

    constructor(WorkerDispatcher dispatcher, SunToken token) {
        (DISPATCHER, TOKEN) = (dispatcher, token);
    }

    function register(uint256 count, uint256 stake, bytes32[] calldata kindHashes) external {
        for (uint256 i = 0; i < count; ++i) {
            address who = address(uint160(uint256(keccak256(abi.encode("crowd", i)))));
            TOKEN.transfer(who, stake);
            vm.startPrank(who);
            DISPATCHER.registerWorker(who, 1, kindHashes, 0, 0);
            TOKEN.approve(address(DISPATCHER), stake);
            DISPATCHER.stake(stake);
            vm.stopPrank();
        }
    }
}

/// @notice Accept, seal and claim cost the same whatever the number of registered workers.
contract Scale is TaskGas {
    function test_tenWorkers() public {
        _warmUp();
        _crowd(10 - workers.length);
        _steps("10_workers");
    }

    function test_hundredThousandWorkers() public {
        _warmUp();
        _crowd(100_000 - workers.length);
        _steps("100000_workers");
    }

    function _crowd(uint256 count) private {
        Crowd crowd = new Crowd(dispatcher, token);
        token.transfer(address(crowd), count * TICKET_UNIT);
        crowd.register(count, TICKET_UNIT, _kindHashes());
        skip(EPOCH_SECS);
    }

    /// @dev Before the crowd is there: everybody has been paid.
    function _warmUp() private {
        for (uint256 i = 0; i < 2; ++i) {
            _run(_task(2, 1), false);
            skip(EPOCH_SECS);
        }
    }

    function _steps(string memory crowd) private {
        ComputeTerms memory t = _task(2, 1);
        (, uint256 registered) = dispatcher.classAt(CLASS, dispatcher.epoch());
        console.log(string.concat("registered: ", crowd), registered);
        IComputeAgreement a = _buyFor(t);
        _line("accept", crowd, address(a), workers[0].owner, abi.encodeCall(a.accept, ()));
        bytes32 seal_ = _workerSeal(a, _rootOf(1), workers[0].owner);
        bytes memory call = abi.encodeCall(a.sealResult, (seal_, CIPHERTEXT_ROOT, RESULT_BLOB, RESULT));
        _line("seal", crowd, address(a), workers[0].owner, call);
        beacon.record(a.agreement().round, _beaconProof(a));
        _line("draw", crowd, address(a), keeper, abi.encodeCall(a.openDraw, ("")));
        // In a crowd it takes some widening until this one's turn comes.
        skip(uint256(_params().drawStepSecs) * (_params().drawSteps - 1));
        (, uint256 index,) = _bestTicket(a, workers[1].owner);
        _line("claim", crowd, address(a), workers[1].owner, abi.encodeCall(a.claim, (index)));
    }

    function _line(string memory what, string memory crowd, address to, address from, bytes memory data)
        private
    {
        _gas = 0;
        _send(what, to, from, data);
        console.log(string.concat("bench: ", what, "_", crowd), _gas);
    }
}
