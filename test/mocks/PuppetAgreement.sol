// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Quote} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";

/// @notice A kind whose agreements do whatever a test tells them, to reach the dispatcher's agreement-only functions.
contract PuppetAgreement {
    uint96 public constant BUDGET = 1000e9;
    IWorkerDispatcher internal immutable DISPATCHER;
    address public fundedBy;
    uint96 public fundedAmount;
    bytes public fundedFor;
    address public acceptedFor;

    constructor(IWorkerDispatcher dispatcher) {
        DISPATCHER = dispatcher;
    }

    /// @dev Needs nothing of the class, so that anything can be bought.
    function quote(bytes calldata) external pure returns (Quote memory) {
        return Quote({budget: BUDGET, classId: 0, workers: 0, stake: 0});
    }

    /// @notice Takes whatever it is funded with, for whatever.
    function funded(address from, uint96 amount, bytes calldata what) external {
        (fundedBy, fundedAmount, fundedFor) = (from, amount, what);
    }

    /// @notice Remembers who was to accept.
    function acceptFor(address actor) external {
        acceptedFor = actor;
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
