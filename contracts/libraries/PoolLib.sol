// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IPlacements} from "../interfaces/IPlacements.sol";
import {TypedDataLib} from "./TypedDataLib.sol";

/// @title PoolLib
/// @notice Placements: a pool, named in the terms, signs which worker may take an agreement, and until when.
/// @dev Deployed apart and linked. A placement is not used up: it names one agreement, which at any time has one worker,
/// and holds for a later attempt too unless the agreement itself keeps that worker out.
library PoolLib {
    bytes32 internal constant PLACEMENT_TYPE =
        keccak256("Placement(address agreement,address worker,uint40 expiry)");

    /// @notice Reverts unless `pool` placed `worker` on `agreement` and the placement still holds.
    /// @param dispatcher Whose domain the pool signed in, wherever this is called from.
    /// @param pool An account that signs by ECDSA, or a contract that answers ERC-1271.
    /// @param worker The worker's owner account, not a device.
    /// @param expiry Last second at which the placement holds, Unix seconds.
    function requirePlaced(
        address dispatcher,
        address pool,
        address agreement,
        address worker,
        uint40 expiry,
        bytes calldata signature
    ) external view {
        require(block.timestamp <= expiry, IPlacements.PlacementExpired(block.timestamp, expiry));
        TypedDataLib.requireSigned(pool, hash(dispatcher, agreement, worker, expiry), signature);
    }

    /// @notice What the pool signs: the EIP-712 digest.
    function hash(address dispatcher, address agreement, address worker, uint40 expiry)
        public
        view
        returns (bytes32)
    {
        return
            TypedDataLib.digest(dispatcher, keccak256(abi.encode(PLACEMENT_TYPE, agreement, worker, expiry)));
    }
}
