// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {console} from "forge-std/console.sol";
import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {TaskGas} from "./TaskGas.t.sol";

/// @notice Accept, seal and claim cost the same whatever the number of registered workers.
contract Scale is TaskGas {
    function test_tenWorkers() public {
        _crowd(10 - workers.length);
        _steps("10_workers");
    }

    function test_hundredThousandWorkers() public {
        _crowd(100_000 - workers.length);
        _steps("100000_workers");
    }

    /// @dev Registered and staked, one ticket each.
    function _crowd(uint256 count) private {
        vm.pauseGasMetering();
        bytes32[] memory hashes = _kindHashes();
        for (uint256 i = 0; i < count; ++i) {
            address who = address(uint160(uint256(keccak256(abi.encode("crowd", i)))));
            token.transfer(who, TICKET_UNIT);
            vm.startPrank(who);
            dispatcher.registerWorker(who, 1, hashes, 0, 0);
            token.approve(address(dispatcher), TICKET_UNIT);
            dispatcher.stake(TICKET_UNIT);
            vm.stopPrank();
        }
        skip(EPOCH_SECS);
        vm.resumeGasMetering();
    }

    function _steps(string memory crowd) private {
        ComputeTerms memory t = _task(2, 1);
        (, uint256 registered) = dispatcher.classAt(CLASS, dispatcher.epoch());
        console.log(string.concat("registered: ", crowd), registered);
        for (uint256 i = 0; i < 2; ++i) {
            _run(t, false);
            skip(EPOCH_SECS);
        }
        IComputeAgreement a = _buyFor(t);
        _line("accept", crowd, address(a), workers[0].owner, abi.encodeCall(a.accept, ()));
        bytes32 seal_ = _workerSeal(a, _rootOf(1), workers[0].owner);
        bytes memory call = abi.encodeCall(a.sealResult, (seal_, CIPHERTEXT_ROOT, RESULT_BLOB, RESULT));
        _line("seal", crowd, address(a), workers[0].owner, call);
        beacon.record(a.agreement().round, _beaconProof(a));
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
