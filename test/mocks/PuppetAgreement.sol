// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Quote} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";

/// @notice A kind whose agreements do whatever a test tells them, to reach the dispatcher's agreement-only functions.
contract PuppetAgreement {
    uint96 public constant BUDGET = 1000e9;
    IWorkerDispatcher internal immutable DISPATCHER;

    constructor(IWorkerDispatcher dispatcher) {
        DISPATCHER = dispatcher;
    }

    /// @dev Needs nothing of the class, so that anything can be bought.
    function quote(bytes calldata) external pure returns (Quote memory) {
        return Quote({budget: BUDGET, classId: 0, workers: 0, stake: 0});
    }

    /// @notice Passes `data` on to the dispatcher, reverts included.
    function tell(bytes calldata data) external returns (bytes memory) {
        (bool ok, bytes memory answer) = address(DISPATCHER).call(data);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}
