// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {BoundTerms, ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";

contract ComputeTermsTest is Test {
    function unpack(bytes memory packed) external pure returns (ComputeTerms memory) {
        return ComputeTermsLib.unpack(packed);
    }

    function unpackBound(bytes memory bound) external pure returns (BoundTerms memory) {
        return ComputeTermsLib.unpackBound(bound);
    }

    function testFuzz_packAndBack(ComputeTerms memory t) public view {
        _dropUnflagged(t);
        bytes memory packed = ComputeTermsLib.pack(t);
        assertEq(packed.length, _lengthOf(t.flags), "length");
        assertEq(keccak256(abi.encode(this.unpack(packed))), keccak256(abi.encode(t)), "same");
    }

    function testFuzz_boundTerms(address client, uint40 boughtAt, bytes32 specHash, ComputeTerms memory t)
        public
        view
    {
        _dropUnflagged(t);
        bytes memory bound = abi.encodePacked(client, boughtAt, specHash, ComputeTermsLib.pack(t));
        BoundTerms memory b = this.unpackBound(bound);
        assertEq(b.client, client, "client");
        assertEq(b.boughtAt, boughtAt, "time");
        assertEq(b.specHash, specHash, "spec");
        assertEq(keccak256(abi.encode(b.terms)), keccak256(abi.encode(t)), "terms");
    }

    /// @notice Big-endian, in the order of the struct, no padding; the tails only where a flag announces them.
    function test_layout() public pure {
        bytes memory amounts = hex"000000000000000000000001000000000000000000000002000000000000000000000003";
        bytes memory rest = hex"06000700000008090a00000b00000c00000d00000e";
        address named = address(uint160(0x00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa));
        address callback = address(uint160(0x00bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb));
        ComputeTerms memory t =
            ComputeTerms(1, 2, 3, 4, 1, 6, 7, 8, 9, 10, 11, 12, 13, 14, named, callback, 15);
        assertEq(ComputeTermsLib.pack(t), bytes.concat(amounts, hex"000401", rest), "60 bytes");
        t.flags = 5;
        assertEq(
            ComputeTermsLib.pack(t), bytes.concat(amounts, hex"000405", rest, bytes20(named)), "named tail"
        );
        t.flags = 8;
        assertEq(
            ComputeTermsLib.pack(t),
            bytes.concat(amounts, hex"000408", rest, bytes20(callback), hex"0000000f"),
            "callback tail"
        );
        t.flags = 11;
        assertEq(
            ComputeTermsLib.pack(t),
            bytes.concat(amounts, hex"00040b", rest, bytes20(named), bytes20(callback), hex"0000000f"),
            "both, the name first"
        );
    }

    /// @notice Too short, too long, a tail missing, a tail without its flag.
    function testFuzz_RevertWhen_lengthDiffers(uint256 length, uint8 flags) public {
        length = bound(length, 0, 200);
        uint256 expected = _lengthOf(flags);
        if (length < 60) expected = 60;
        vm.assume(length != expected);
        bytes memory packed = new bytes(length);
        if (length >= 60) packed[38] = bytes1(flags);
        vm.expectRevert(abi.encodeWithSelector(ComputeTermsLib.TermsLength.selector, length, expected));
        this.unpack(packed);
    }

    function _lengthOf(uint8 flags) private pure returns (uint256) {
        return 60 + (flags & 6 == 0 ? 0 : 20) + (flags & 8 == 0 ? 0 : 24);
    }

    /// @dev What no flag announces is not written.
    function _dropUnflagged(ComputeTerms memory t) private pure {
        if (t.flags & 6 == 0) t.named = address(0);
        if (t.flags & 8 == 0) (t.callback, t.callbackGas) = (address(0), 0);
    }
}
