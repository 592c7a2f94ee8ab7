// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title ISunworkReceiver
/// @notice What a contract offers to be handed verified results. `contracts/dapp/SunworkReceiver.sol` implements the guards.
/// @dev Anybody can buy work that names any contract as its target, so a receiver believes only agreements that it bought
/// itself: `msg.sender` is the agreement. It gets exactly the gas that the terms granted, and what it returns is not read. A call
/// that reverts leaves the result undelivered; anybody may try again, with the same content.
interface ISunworkReceiver {
    /// @notice A result that was verified and paid.
    /// @param leaf Which task of the agreement's bag, from 0.
    /// @param content Bytes of the one file that the app declared as its output.
    function onSunworkResult(uint32 leaf, bytes calldata content) external;
}
