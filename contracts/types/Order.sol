// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @notice A client's signed offer (EIP-712): whoever accepts it buys for the client and accepts in one transaction.
/// @dev The type string in OrderLib and the struct in protocol/src/order.rs name these fields in this order.
struct Order {
    /// Who buys and pays; an account that signs by ECDSA, or a contract that answers ERC-1271.
    address client;
    /// Kind of work, an index of the dispatcher.
    uint8 kindId;
    /// Packed terms of that kind.
    bytes terms;
    /// keccak256 of the specification, which the accepting worker brings along.
    bytes32 specHash;
    /// When the price starts to rise, Unix seconds: the time of signing. An order of the future is refused.
    uint40 startAt;
    /// Last second at which it can be used, Unix seconds.
    uint40 expiry;
    /// How many agreements may be made of it.
    uint32 volume;
    /// Tells apart orders that are otherwise equal.
    bytes32 salt;
    /// Zero: any worker may accept; else this one only.
    address worker;
    /// The client's order nonce at signing: raising it cancels every order with a lower one.
    uint64 nonce;
}
