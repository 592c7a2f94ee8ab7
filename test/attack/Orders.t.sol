// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISignatures} from "../../contracts/interfaces/ISignatures.sol";
import {ISignedOrders} from "../../contracts/interfaces/ISignedOrders.sol";
import {Order} from "../../contracts/types/Order.sol";
import {OrderDesk} from "../mocks/OrderDesk.sol";
import {OrderBase} from "../utils/OrderBase.t.sol";

/// @notice Attacks on signed offers of clients with a key: replay, forgery, and ending what is another's.
contract OrdersAttackTest is OrderBase {
    /// @notice A signature is no ticket: neither its twin nor its other form buys once more than was signed.
    function test_attack_malleatedSignature() public {
        Order memory o = _order(client);
        bytes memory signature = _signed(o);
        bytes memory twin = _twin(signature);
        (bytes32 r, bytes32 s, uint8 v) = _split(twin);
        assertEq(ecrecover(desk.orderHash(o), v, r, s), client, "the twin would recover");
        bytes32 max = bytes32(N / 2);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureHighS.selector, s, max));
        _accept(o, twin);
        _accept(o, signature);
        bytes memory usedUp =
            abi.encodeWithSelector(ISignedOrders.OrderUsedUp.selector, desk.orderHash(o), 1, 1);
        vm.expectRevert(usedUp);
        _accept(o, signature);
        vm.expectRevert(usedUp);
        _accept(o, _compact(signature));
        vm.expectRevert(usedUp);
        _accept(o, twin);
    }

    /// @notice The largest s that is allowed is refused for its signer, one more for itself.
    function test_attack_highSAtTheEdge() public {
        Order memory o = _order(client);
        bytes32 max = bytes32(N / 2);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        _accept(o, abi.encodePacked(bytes32(uint256(1)), max, uint8(27)));
        bytes32 more = bytes32(N / 2 + 1);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureHighS.selector, more, max));
        _accept(o, abi.encodePacked(bytes32(uint256(1)), more, uint8(27)));
    }

    /// @notice v is 27 or 28: the 0 and 1 of other systems would be a third and a fourth form.
    function testFuzz_attack_otherV(uint8 v) public {
        vm.assume(v != 27 && v != 28);
        Order memory o = _order(client);
        (bytes32 r, bytes32 s,) = _split(_signed(o));
        vm.expectRevert(abi.encodeWithSelector(ISignatures.WrongSigner.selector, address(0), client));
        _accept(o, abi.encodePacked(r, s, v));
    }

    function test_attack_replayOnAnotherChain() public {
        Order memory o = _order(client);
        bytes memory signature = _signed(o);
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        _accept(o, signature);
    }

    /// @notice After a fork that changes the chain id, uses on one side are none on the other, and old signatures none.
    function test_attack_replayAfterAFork() public {
        Order memory o = _order(client);
        bytes memory before = _signed(o);
        bytes32 hashBefore = desk.orderHash(o);
        _accept(o, before);
        vm.chainId(4242);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        _accept(o, before);
        assertNotEq(desk.orderHash(o), hashBefore, "another order");
        _accept(o, _signed(o));
    }

    function test_attack_replayAtAnotherDispatcher() public {
        Order memory o = _order(client);
        bytes memory signature = _signed(o);
        OrderDesk other = new OrderDesk();
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        other.acceptOffer(o, SPEC, signature);
    }

    /// @notice An order of nobody is not signed by what no key signed, though ecrecover answers zero for it.
    function testFuzz_attack_zeroClient(bytes32 r, bytes32 s, uint8 v) public {
        Order memory o = _order(address(0));
        vm.expectRevert();
        _accept(o, abi.encodePacked(r, s, v));
        vm.expectRevert();
        _accept(o, abi.encodePacked(r, s));
    }

    /// @notice Nor does a precompile sign, which has no code but answers calls.
    function test_attack_precompileAsClient() public {
        for (uint160 a = 1; a < 0x12; ++a) {
            Order memory o = _order(address(a));
            bytes memory signature = _signed(o);
            vm.expectRevert(abi.encodeWithSelector(ISignatures.WrongSigner.selector, client, address(a)));
            _accept(o, signature);
        }
    }

    function testFuzz_attack_randomBytes(bytes calldata signature) public {
        Order memory o = _order(client);
        vm.prank(worker);
        (bool ok, bytes memory why) =
            address(desk).call(abi.encodeCall(desk.acceptOffer, (o, SPEC, signature)));
        assertFalse(ok, "refused");
        bytes4 selector = bytes4(why);
        if (signature.length != 64 && signature.length != 65) {
            assertEq(selector, ISignatures.SignatureLength.selector, "length");
        } else {
            bool named = selector == ISignatures.SignatureHighS.selector
                || selector == ISignatures.WrongSigner.selector;
            assertTrue(named, "s or signer");
        }
        assertEq(desk.orderUses(client, desk.orderHash(o)), 0, "not counted");
    }

    /// @notice The same with bytes of the two lengths that are read.
    function testFuzz_attack_randomSignature(bytes32 r, bytes32 s, uint8 v) public {
        Order memory o = _order(client);
        vm.expectRevert();
        _accept(o, abi.encodePacked(r, s, v));
        vm.expectRevert();
        _accept(o, abi.encodePacked(r, s));
    }

    /// @notice One flipped bit anywhere in a good signature.
    function testFuzz_attack_flippedBit(uint256 bit) public {
        Order memory o = _order(client);
        bytes memory signature = _signed(o);
        bit = bound(bit, 0, signature.length * 8 - 1);
        signature[bit / 8] ^= bytes1(0x01) << (bit % 8);
        vm.expectRevert();
        _accept(o, signature);
    }

    /// @notice Arguments that are not the ABI's: refused before anything is counted.
    function testFuzz_attack_randomArguments(bytes calldata arguments) public {
        (bool ok,) = address(desk).call(bytes.concat(desk.acceptOffer.selector, arguments));
        assertFalse(ok, "refused");
    }

    /// @notice The desk reads the order from its calldata, the library from its copy: an encoding that is allowed but not
    /// usual (tails in another order, with gaps) makes them read the same, so what was signed is what is bought.
    function test_attack_unusualEncoding() public {
        Order memory o = _order(client);
        bytes memory tail = abi.encode(o);
        bytes memory signature = _signed(o);
        // Head: order, spec, signature. The signature comes first, then a gap, the specification, the order, rubbish.
        bytes memory arguments = abi.encode(uint256(0x120), uint256(0xe0), uint256(0x60), signature.length);
        arguments = bytes.concat(arguments, signature, new bytes(31));
        arguments = bytes.concat(arguments, abi.encode(SPEC.length), SPEC, new bytes(32 - SPEC.length));
        assertEq(arguments.length, 0x120, "where the order starts");
        // Without the offset that abi.encode puts before a dynamic tuple.
        for (uint256 i = 32; i < tail.length; ++i) {
            arguments = abi.encodePacked(arguments, tail[i]);
        }
        vm.expectEmit(address(desk));
        emit ISignedOrders.OrderUsed(desk.orderHash(o), client, address(1), 0);
        vm.prank(worker);
        (bool ok,) = address(desk).call(bytes.concat(desk.acceptOffer.selector, arguments, "rubbish"));
        assertTrue(ok, "accepted");
    }

    /// @notice A stranger's cancellation is booked under the stranger, for one order and for all.
    function test_attack_cancelAnothersOrders() public {
        Order memory o = _order(client);
        bytes32 hash = desk.orderHash(o);
        vm.startPrank(stranger);
        desk.cancelOrder(hash);
        desk.cancelAllOrders();
        vm.stopPrank();
        assertEq(desk.orderUses(client, hash), 0, "untouched");
        _accept(o, _signed(o));
    }

    /// @notice A refused use leaves the count as it was.
    function test_attack_burnVolumeByRefusals() public {
        Order memory o = _order(client);
        bytes32 hash = desk.orderHash(o);
        vm.expectRevert();
        _accept(o, new bytes(65));
        assertEq(desk.orderUses(client, hash), 0, "untouched");
        _accept(o, _signed(o));
    }

    /// @notice A placement's signature buys nothing, even where its client is the pool: the types differ.
    function testFuzz_attack_placementAsOrder(address agreement, uint40 expiry) public {
        Order memory o = _order(client);
        bytes memory signature = _sign(clientKey, desk.placementHash(agreement, worker, expiry));
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        _accept(o, signature);
    }
}
