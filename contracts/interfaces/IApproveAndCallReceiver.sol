// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title IApproveAndCallReceiver
/// @notice What a contract offers to be called by an RLC-style token's `approveAndCall`.
interface IApproveAndCallReceiver {
    /// @param from The account that approved and called.
    /// @param amount What was approved, in the token's smallest unit.
    /// @param token The token that calls; a receiver accepts only the token it knows.
    /// @param data The receiver's own format.
    /// @return accepted True, or the token reverts.
    function receiveApproval(address from, uint256 amount, address token, bytes calldata data)
        external
        returns (bool accepted);
}
