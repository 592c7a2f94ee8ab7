// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISignatures} from "./ISignatures.sol";

/// @title IPlacements
/// @notice Why a pool's placement of a worker is refused (PoolLib).
interface IPlacements is ISignatures {
    /// @notice The placement's last second is past, Unix seconds.
    error PlacementExpired(uint256 nowAt, uint256 expiry);
}
