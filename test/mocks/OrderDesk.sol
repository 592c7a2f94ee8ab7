// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISignedOrders} from "../../contracts/interfaces/ISignedOrders.sol";
import {OrderLib} from "../../contracts/libraries/OrderLib.sol";
import {PoolLib} from "../../contracts/libraries/PoolLib.sol";
import {TypedDataLib} from "../../contracts/libraries/TypedDataLib.sol";
import {Order} from "../../contracts/types/Order.sol";

/// @notice What a dispatcher does with signed offers, and nothing else.
contract OrderDesk is ISignedOrders {
    OrderLib.Book internal _orders;

    /// @notice Stands for the purchase: the agreement is only a number here, and the worker is the caller.
    function acceptOffer(Order calldata order, bytes calldata, bytes calldata)
        external
        returns (bytes32 hash, uint32 index)
    {
        (hash, index) = OrderLib.use(_orders, msg.data[4:], msg.sender);
        emit OrderUsed(hash, order.client, address(uint160(index) + 1), index);
    }

    function acceptPlaced(
        address pool,
        address agreement,
        address worker,
        uint40 expiry,
        bytes calldata signature
    ) external view {
        PoolLib.requirePlaced(address(this), pool, agreement, worker, expiry, signature);
    }

    function cancelOrder(bytes32 hash) external {
        OrderLib.cancel(_orders, msg.sender, hash);
    }

    function cancelAllOrders() external returns (uint64) {
        return OrderLib.cancelAll(_orders, msg.sender);
    }

    function orderHash(Order calldata) external view returns (bytes32) {
        return OrderLib.hash(msg.data[4:]);
    }

    function placementHash(address agreement, address worker, uint40 expiry) external view returns (bytes32) {
        return PoolLib.hash(address(this), agreement, worker, expiry);
    }

    function orderUses(address client, bytes32 hash) external view returns (uint32) {
        return _orders.uses[client][hash];
    }

    function orderNonceOf(address client) external view returns (uint64) {
        return _orders.nonces[client];
    }

    function eip712Domain()
        external
        view
        returns (bytes1, string memory, string memory, uint256, address, bytes32, uint256[] memory)
    {
        return (
            TypedDataLib.FIELDS,
            TypedDataLib.NAME,
            TypedDataLib.VERSION,
            block.chainid,
            address(this),
            bytes32(0),
            new uint256[](0)
        );
    }
}
