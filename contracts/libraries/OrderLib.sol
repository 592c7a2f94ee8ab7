// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISignedOrders} from "../interfaces/ISignedOrders.sol";
import {Order} from "../types/Order.sol";
import {TypedDataLib} from "./TypedDataLib.sol";

/// @title OrderLib
/// @notice Signed offers: who may use one, how often, and until when.
/// @dev Deployed apart and linked. The dispatcher hands its calldata on as it came instead of encoding the order once more,
/// which saves it 400 bytes of code. An order is known by its digest under its client, never by a signature: a second
/// signature of the same order (another nonce of the curve, another length, another answer of a contract) uses the same
/// count.
library OrderLib {
    /// @dev Also what the last use of the largest volume leaves: no more uses either way.
    uint32 internal constant CANCELLED = type(uint32).max;
    bytes32 internal constant ORDER_TYPE = keccak256(
        "Order(address client,uint8 kindId,bytes terms,bytes32 specHash,uint40 startAt,uint40 expiry,uint32 volume,bytes32 salt,address worker,uint64 nonce)"
    );

    struct Book {
        /// Agreements made so far, or CANCELLED.
        mapping(address client => mapping(bytes32 orderHash => uint32)) uses;
        mapping(address client => uint64) nonces;
    }

    /// @notice Counts one use of an order that its client signed, or says why not (errors of ISignedOrders).
    /// @param arguments `abi.encode(Order order, bytes spec, bytes signature)`: `msg.data[4:]` of a function that starts
    /// with these parameters, which may then read order and spec from its own calldata: they are the ones checked here.
    /// @param worker Who accepts: the worker's owner account, not a device.
    /// @return orderHash What the order is known by.
    /// @return index Number of this use, from 0.
    function use(Book storage book, bytes calldata arguments, address worker)
        external
        returns (bytes32 orderHash, uint32 index)
    {
        (Order memory order, bytes memory spec, bytes memory signature) =
            abi.decode(arguments, (Order, bytes, bytes));
        _checkTime(order);
        require(
            order.worker == address(0) || order.worker == worker,
            ISignedOrders.OrderForAnotherWorker(worker, order.worker)
        );
        bytes32 specHash = keccak256(spec);
        require(specHash == order.specHash, ISignedOrders.OrderSpecMismatch(specHash, order.specHash));
        uint64 nonce = book.nonces[order.client];
        require(order.nonce == nonce, ISignedOrders.OrderNonceMismatch(order.client, order.nonce, nonce));

        orderHash = digest(order);
        index = book.uses[order.client][orderHash];
        require(index != CANCELLED, ISignedOrders.OrderIsCancelled(orderHash));
        require(index < order.volume, ISignedOrders.OrderUsedUp(orderHash, index, order.volume));
        // Counted before the client's code is asked, which may look at the count but cannot come back to change it.
        book.uses[order.client][orderHash] = index + 1;
        TypedDataLib.requireSigned(order.client, orderHash, signature);
    }

    /// @notice Ends one order, used before or not.
    /// @param client The caller: the dispatcher must see to that.
    function cancel(Book storage book, address client, bytes32 orderHash) external {
        book.uses[client][orderHash] = CANCELLED;
        emit ISignedOrders.OrderCancelled(orderHash, client);
    }

    /// @notice Ends all orders that carry the present nonce: one write, however many there are.
    /// @param client The caller: the dispatcher must see to that.
    /// @return nonce The next.
    function cancelAll(Book storage book, address client) external returns (uint64 nonce) {
        nonce = ++book.nonces[client];
        emit ISignedOrders.OrdersCancelled(client, nonce);
    }

    /// @notice What the client signs.
    /// @param arguments `abi.encode(Order order)`: `msg.data[4:]` of a function with this one parameter.
    function hash(bytes calldata arguments) external view returns (bytes32) {
        return digest(abi.decode(arguments, (Order)));
    }

    /// @dev The EIP-712 digest at this dispatcher, whose address an external library has.
    function digest(Order memory o) internal view returns (bytes32) {
        return TypedDataLib.digest(
            address(this),
            keccak256(
                abi.encode(
                    ORDER_TYPE,
                    o.client,
                    o.kindId,
                    keccak256(o.terms),
                    o.specHash,
                    o.startAt,
                    o.expiry,
                    o.volume,
                    o.salt,
                    o.worker,
                    o.nonce
                )
            )
        );
    }

    function _checkTime(Order memory o) private view {
        require(block.timestamp >= o.startAt, ISignedOrders.OrderNotStarted(block.timestamp, o.startAt));
        require(block.timestamp <= o.expiry, ISignedOrders.OrderExpired(block.timestamp, o.expiry));
    }
}
