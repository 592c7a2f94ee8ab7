// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IWorkAgreement} from "../interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../interfaces/IWorkerDispatcher.sol";

/// @title AskLib
/// @notice What a contract needs to know before it buys.
library AskLib {
    /// @notice Packed terms with the tail that names a receiver and the gas that it is granted.
    /// @param terms The kind's packed terms; their flag for such a tail must be set already.
    function withCallback(bytes memory terms, address target, uint32 gasLimit)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(terms, target, gasLimit);
    }

    /// @notice What a purchase with these terms takes into escrow, smallest token unit. Reverts with the reason when they cannot
    /// be bought.
    function budgetOf(IWorkerDispatcher dispatcher, uint8 kindId, bytes memory terms)
        internal
        view
        returns (uint256)
    {
        (address implementation,) = dispatcher.kind(kindId);
        require(implementation != address(0), IWorkerDispatcher.UnknownKind(kindId));
        return IWorkAgreement(implementation).quote(terms).budget;
    }
}
