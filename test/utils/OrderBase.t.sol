// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {Order} from "../../contracts/types/Order.sol";
import {OrderDesk} from "../mocks/OrderDesk.sol";

/// @notice A desk, a client with a key, and orders that both would take.
abstract contract OrderBase is Test {
    /// @dev Order of the group of secp256k1.
    uint256 internal constant N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    bytes internal constant SPEC = "the specification";
    uint40 internal constant NOW = 1_790_000_000;

    OrderDesk internal desk;
    address internal client;
    uint256 internal clientKey;
    address internal worker = makeAddr("worker");
    address internal stranger = makeAddr("stranger");

    function setUp() public virtual {
        desk = new OrderDesk();
        (client, clientKey) = makeAddrAndKey("client");
        vm.warp(NOW);
    }

    /// @notice Open to any worker, one use, valid for an hour.
    function _order(address of_) internal pure returns (Order memory o) {
        o.client = of_;
        o.kindId = 3;
        o.terms = "packed terms";
        o.specHash = keccak256(SPEC);
        o.startAt = NOW;
        o.expiry = NOW + 1 hours;
        o.volume = 1;
        o.salt = "salt";
    }

    function _sign(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }

    /// @notice The same signature in 64 bytes (EIP-2098): the parity of v is the top bit of s.
    function _compact(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = _split(signature);
        return abi.encodePacked(r, s | bytes32(uint256(v - 27) << 255));
    }

    /// @notice The twin that every signature has: (r, n - s) with the other v.
    function _twin(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = _split(signature);
        return abi.encodePacked(r, bytes32(N - uint256(s)), v == 27 ? uint8(28) : uint8(27));
    }

    function _split(bytes memory signature) internal pure returns (bytes32 r, bytes32 s, uint8 v) {
        assembly ("memory-safe") {
            r := mload(add(signature, 32))
            s := mload(add(signature, 64))
            v := byte(0, mload(add(signature, 96)))
        }
    }

    function _signed(Order memory o) internal view returns (bytes memory) {
        return _sign(clientKey, desk.orderHash(o));
    }

    /// @dev `signature` is made before the prank and the expected revert, which the next call takes.
    function _accept(Order memory o, bytes memory signature) internal returns (bytes32, uint32) {
        vm.prank(worker);
        return desk.acceptOffer(o, SPEC, signature);
    }
}
