// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISignatures} from "../../contracts/interfaces/ISignatures.sol";
import {ISignedOrders} from "../../contracts/interfaces/ISignedOrders.sol";
import {Order} from "../../contracts/types/Order.sol";
import {OrderBase} from "../utils/OrderBase.t.sol";

/// @notice What an order allows, and each refusal.
contract OrderLibTest is OrderBase {
    function test_useIsCountedAndNamed() public {
        Order memory o = _order(client);
        o.volume = 3;
        bytes memory signature = _signed(o);
        bytes32 known = desk.orderHash(o);
        for (uint32 i = 0; i < 3; ++i) {
            vm.expectEmit(address(desk));
            emit ISignedOrders.OrderUsed(known, client, address(uint160(i) + 1), i);
            (bytes32 hash, uint32 index) = _accept(o, signature);
            assertEq(hash, known, "hash");
            assertEq(index, i, "index");
            assertEq(desk.orderUses(client, known), i + 1, "uses");
        }
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderUsedUp.selector, known, 3, 3));
        _accept(o, signature);
    }

    function test_noVolumeNoUse() public {
        Order memory o = _order(client);
        o.volume = 0;
        bytes memory signature = _signed(o);
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderUsedUp.selector, desk.orderHash(o), 0, 0));
        _accept(o, signature);
    }

    /// @notice Both ends of the time are inside.
    function testFuzz_time(uint40 startAt, uint40 expiry, uint40 nowAt) public {
        Order memory o = _order(client);
        (o.startAt, o.expiry) = (startAt, expiry);
        bytes memory signature = _signed(o);
        vm.warp(nowAt);
        if (nowAt < startAt) {
            vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderNotStarted.selector, nowAt, startAt));
        } else if (nowAt > expiry) {
            vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderExpired.selector, nowAt, expiry));
        }
        _accept(o, signature);
    }

    function test_timeEndsAreInside() public {
        Order memory o = _order(client);
        o.volume = 2;
        bytes memory signature = _signed(o);
        _accept(o, signature);
        vm.warp(o.expiry);
        _accept(o, signature);
        vm.warp(o.startAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderNotStarted.selector, NOW - 1, NOW));
        _accept(o, signature);
        vm.warp(o.expiry + 1);
        vm.expectRevert(
            abi.encodeWithSelector(ISignedOrders.OrderExpired.selector, uint256(o.expiry) + 1, o.expiry)
        );
        _accept(o, signature);
    }

    function test_namedWorker() public {
        Order memory o = _order(client);
        o.worker = worker;
        bytes memory signature = _signed(o);
        vm.expectRevert(
            abi.encodeWithSelector(ISignedOrders.OrderForAnotherWorker.selector, stranger, worker)
        );
        vm.prank(stranger);
        desk.acceptOffer(o, SPEC, signature);
        _accept(o, signature);
    }

    function testFuzz_anotherSpec(bytes calldata spec) public {
        vm.assume(keccak256(spec) != keccak256(SPEC));
        Order memory o = _order(client);
        bytes memory signature = _signed(o);
        vm.expectRevert(
            abi.encodeWithSelector(ISignedOrders.OrderSpecMismatch.selector, keccak256(spec), o.specHash)
        );
        desk.acceptOffer(o, spec, signature);
    }

    function test_cancelOne() public {
        Order memory o = _order(client);
        o.volume = 5;
        bytes32 hash = desk.orderHash(o);
        bytes memory signature = _signed(o);
        _accept(o, signature);
        vm.expectEmit(address(desk));
        emit ISignedOrders.OrderCancelled(hash, client);
        vm.prank(client);
        desk.cancelOrder(hash);
        assertEq(desk.orderUses(client, hash), type(uint32).max, "cancelled");
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderIsCancelled.selector, hash));
        _accept(o, signature);
        vm.prank(client);
        desk.cancelOrder(hash);
        assertEq(desk.orderUses(client, hash), type(uint32).max, "again changes nothing");
        o.salt = "another";
        _accept(o, _signed(o));
    }

    function test_cancelAll() public {
        Order memory o = _order(client);
        bytes memory signature = _signed(o);
        vm.expectEmit(address(desk));
        emit ISignedOrders.OrdersCancelled(client, 1);
        vm.prank(client);
        assertEq(desk.cancelAllOrders(), 1, "nonce");
        assertEq(desk.orderNonceOf(client), 1, "nonce");
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderNonceMismatch.selector, client, 0, 1));
        _accept(o, signature);
        o.nonce = 2;
        signature = _signed(o);
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderNonceMismatch.selector, client, 2, 1));
        _accept(o, signature);
        o.nonce = 1;
        _accept(o, _signed(o));
    }

    /// @notice The largest volume ends like every other: without a use too many.
    function test_largestVolume() public {
        Order memory o = _order(client);
        o.volume = type(uint32).max;
        bytes32 hash = desk.orderHash(o);
        // uses[client][hash]: the book is the desk's first slot.
        bytes32 slot = keccak256(abi.encode(hash, keccak256(abi.encode(client, 0))));
        vm.store(address(desk), slot, bytes32(uint256(type(uint32).max - 1)));
        bytes memory signature = _signed(o);
        (, uint32 index) = _accept(o, signature);
        assertEq(index, type(uint32).max - 1, "the last one");
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderIsCancelled.selector, hash));
        _accept(o, signature);
    }

    function test_bothLengths() public {
        Order memory o = _order(client);
        o.volume = 2;
        bytes memory signature = _signed(o);
        _accept(o, signature);
        assertEq(_compact(signature).length, 64, "EIP-2098");
        (, uint32 index) = _accept(o, _compact(signature));
        assertEq(index, 1, "one count for both forms");
    }

    /// @notice Each field is signed: whatever is changed afterwards, the signature is another's.
    function testFuzz_everyFieldIsSigned(uint8 field, uint256 change) public {
        Order memory o = _order(client);
        bytes32 before = desk.orderHash(o);
        field = field % 10;
        if (field == 0) o.client = address(uint160(change));
        if (field == 1) o.kindId = uint8(change);
        if (field == 2) o.terms = abi.encode(change);
        if (field == 3) o.specHash = bytes32(change);
        if (field == 4) o.startAt = uint40(change);
        if (field == 5) o.expiry = uint40(change);
        if (field == 6) o.volume = uint32(change);
        if (field == 7) o.salt = bytes32(change);
        if (field == 8) o.worker = address(uint160(change));
        if (field == 9) o.nonce = uint64(change);
        vm.assume(keccak256(abi.encode(o)) != keccak256(abi.encode(_order(client))));
        assertNotEq(desk.orderHash(o), before, "another hash");
    }

    function test_domain() public {
        vm.chainId(77);
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = desk.eip712Domain();
        assertEq(fields, bytes1(0x0f), "fields");
        assertEq(name, "Sunwork", "name");
        assertEq(version, "1", "version");
        assertEq(chainId, 77, "chain");
        assertEq(verifyingContract, address(desk), "contract");
        assertEq(salt, 0, "salt");
        assertEq(extensions.length, 0, "extensions");
    }

    /// @notice forge's own encoder of typed data (eth_signTypedData_v4) finds the same hash.
    function test_hashOfAnotherEncoder() public view {
        Order memory o = _order(client);
        bytes32 structHash = vm.eip712HashStruct(
            "Order(address client,uint8 kindId,bytes terms,bytes32 specHash,uint40 startAt,uint40 expiry,uint32 volume,bytes32 salt,address worker,uint64 nonce)",
            abi.encode(o)
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("Sunwork"),
                keccak256("1"),
                block.chainid,
                address(desk)
            )
        );
        assertEq(desk.orderHash(o), keccak256(abi.encodePacked(hex"1901", domain, structHash)), "EIP-712");
    }

    /// @notice What a use costs its sender, most of it the new count: kept in view, not exact.
    function test_gasOfAUse() public {
        Order memory o = _order(client);
        o.terms = new bytes(57);
        bytes memory signature = _signed(o);
        vm.prank(worker);
        uint256 before = gasleft();
        desk.acceptOffer(o, SPEC, signature);
        assertLt(before - gasleft(), 50_000, "gas");
    }

    function test_strangersSignature() public {
        Order memory o = _order(client);
        (address thief, uint256 key) = makeAddrAndKey("thief");
        bytes memory signature = _sign(key, desk.orderHash(o));
        vm.expectRevert(abi.encodeWithSelector(ISignatures.WrongSigner.selector, thief, client));
        _accept(o, signature);
    }
}
