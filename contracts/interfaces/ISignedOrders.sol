// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Order} from "../types/Order.sol";
import {ISignatures} from "./ISignatures.sol";

/// @title ISignedOrders
/// @notice Signed offers as the dispatcher shows them: what a client can do about its own, and what a use of one can meet.
interface ISignedOrders is ISignatures {
    /// @notice Agreement number `index` (from 0) was made of the order.
    event OrderUsed(
        bytes32 indexed orderHash, address indexed client, address indexed agreement, uint32 index
    );
    /// @notice The client ended an order; agreements made of it before go on.
    event OrderCancelled(bytes32 indexed orderHash, address indexed client);
    /// @notice The client ended every order signed with a nonce below `nonce`.
    event OrdersCancelled(address indexed client, uint64 nonce);

    /// @notice The order starts later than now, Unix seconds.
    error OrderNotStarted(uint256 nowAt, uint256 startAt);
    /// @notice The order's last second is past, Unix seconds.
    error OrderExpired(uint256 nowAt, uint256 expiry);
    /// @notice All agreements of the order were made.
    error OrderUsedUp(bytes32 orderHash, uint256 used, uint256 volume);
    /// @notice The client cancelled this order.
    error OrderIsCancelled(bytes32 orderHash);
    /// @notice The client cancelled all orders with this nonce, or has not reached it yet.
    error OrderNonceMismatch(address client, uint256 found, uint256 expected);
    /// @notice The order names another worker.
    error OrderForAnotherWorker(address found, address expected);
    /// @notice The specification brought along is not the one that the client signed.
    error OrderSpecMismatch(bytes32 found, bytes32 expected);

    /// @notice Ends an order of the caller for good, whether the chain has seen it or not. Repeating it changes nothing.
    function cancelOrder(bytes32 orderHash) external;
    /// @notice Ends all orders that the caller signed with its present nonce.
    /// @return nonce The one that new orders must carry.
    function cancelAllOrders() external returns (uint64 nonce);

    /// @notice What the client signs, and by which the order is known: the EIP-712 digest.
    function orderHash(Order calldata order) external view returns (bytes32);
    /// @notice Agreements made of an order; the largest uint32 when it was cancelled.
    function orderUses(address client, bytes32 orderHash) external view returns (uint32);
    /// @notice The nonce that the client's orders must carry.
    function orderNonceOf(address client) external view returns (uint64);
    /// @notice EIP-5267: the domain of all signatures.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );
}
