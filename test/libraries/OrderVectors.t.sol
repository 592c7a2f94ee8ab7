// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {TypedDataLib} from "../../contracts/libraries/TypedDataLib.sol";
import {Order} from "../../contracts/types/Order.sol";
import {OrderDesk} from "../mocks/OrderDesk.sol";

/// @notice Orders and placements against the vector file that protocol/tests/orders.rs checks the Rust side against.
contract OrderVectorsTest is Test {
    string internal json;
    bytes internal code;

    function setUp() public {
        json = vm.readFile("protocol/vectors/orders.json");
        code = address(new OrderDesk()).code;
    }

    function test_orders() public {
        uint256 count = vm.parseJsonUint(json, ".orders.count");
        assertGt(count, 0, "an empty list checks nothing");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(".orders.rows[", vm.toString(i), "].");
            OrderDesk desk = _desk(row);
            bytes memory encoded = _bytes(row, "encoded");
            Order memory o = abi.decode(encoded, (Order));
            assertEq(abi.encode(o), encoded, "encoding");
            _checkFields(o, string.concat(row, "order."));
            assertEq(
                TypedDataLib.domainSeparator(address(desk)), _b32(row, "domainSeparator"), "domain separator"
            );
            bytes32 hash = desk.orderHash(o);
            assertEq(hash, _b32(row, "orderHash"), "order hash");
            assertEq(
                TypedDataLib.digest(address(desk), _b32(row, "structHash")), hash, "domain and struct hash"
            );
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(uint256(_b32(row, "key")), hash);
            bytes memory signature = _bytes(row, "signature");
            assertEq(abi.encodePacked(r, s, v), signature, "signature (RFC 6979)");
            _use(desk, o, _bytes(row, "spec"), signature, _bytes(row, "compact"));
        }
    }

    function test_placements() public {
        uint256 count = vm.parseJsonUint(json, ".placements.count");
        assertGt(count, 0, "an empty list checks nothing");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(".placements.rows[", vm.toString(i), "].");
            OrderDesk desk = _desk(row);
            (address agreement, address worker) = (_address(row, "agreement"), _address(row, "worker"));
            uint40 expiry = uint40(vm.parseJsonUint(json, string.concat(row, "expiry")));
            assertEq(desk.placementHash(agreement, worker, expiry), _b32(row, "placementHash"), "hash");
            vm.warp(expiry);
            desk.acceptPlaced(_address(row, "pool"), agreement, worker, expiry, _bytes(row, "signature"));
        }
    }

    /// @dev Both forms of the signature, as often as the volume allows.
    function _use(
        OrderDesk desk,
        Order memory o,
        bytes memory spec,
        bytes memory signature,
        bytes memory compact
    ) private {
        if (o.volume == 0) return;
        // nonces[client]: the second mapping of the book.
        vm.store(address(desk), keccak256(abi.encode(o.client, 1)), bytes32(uint256(o.nonce)));
        vm.warp(o.startAt);
        vm.prank(o.worker);
        desk.acceptOffer(o, spec, signature);
        if (o.volume == 1) return;
        vm.prank(o.worker);
        desk.acceptOffer(o, spec, compact);
    }

    /// @dev The JSON beside the encoding says the same.
    function _checkFields(Order memory o, string memory row) private view {
        assertEq(o.client, _address(row, "client"), "client");
        assertEq(o.kindId, vm.parseJsonUint(json, string.concat(row, "kindId")), "kindId");
        assertEq(o.terms, _bytes(row, "terms"), "terms");
        assertEq(o.specHash, _b32(row, "specHash"), "specHash");
        assertEq(o.startAt, vm.parseJsonUint(json, string.concat(row, "startAt")), "startAt");
        assertEq(o.expiry, vm.parseJsonUint(json, string.concat(row, "expiry")), "expiry");
        assertEq(o.volume, vm.parseJsonUint(json, string.concat(row, "volume")), "volume");
        assertEq(o.salt, _b32(row, "salt"), "salt");
        assertEq(o.worker, _address(row, "worker"), "worker");
        assertEq(o.nonce, vm.parseJsonUint(json, string.concat(row, "nonce")), "nonce");
    }

    /// @dev A desk at the address and on the chain that the row names.
    function _desk(string memory row) private returns (OrderDesk) {
        vm.chainId(vm.parseJsonUint(json, string.concat(row, "chainId")));
        address dispatcher = _address(row, "dispatcher");
        vm.etch(dispatcher, code);
        return OrderDesk(dispatcher);
    }

    function _address(string memory row, string memory field) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(row, field));
    }

    function _b32(string memory row, string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(row, field));
    }

    function _bytes(string memory row, string memory field) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat(row, field));
    }
}
