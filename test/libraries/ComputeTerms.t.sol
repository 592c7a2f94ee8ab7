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
        bytes memory packed = ComputeTermsLib.pack(t);
        assertEq(packed.length, 57, "length");
        assertEq(keccak256(abi.encode(this.unpack(packed))), keccak256(abi.encode(t)), "same");
    }

    function testFuzz_boundTerms(address client, uint40 boughtAt, bytes32 specHash, ComputeTerms memory t)
        public
        view
    {
        bytes memory bound = abi.encodePacked(client, boughtAt, specHash, ComputeTermsLib.pack(t));
        BoundTerms memory b = this.unpackBound(bound);
        assertEq(b.client, client, "client");
        assertEq(b.boughtAt, boughtAt, "time");
        assertEq(b.specHash, specHash, "spec");
        assertEq(keccak256(abi.encode(b.terms)), keccak256(abi.encode(t)), "terms");
    }

    /// @notice Big-endian, in the order of the struct, no padding.
    function test_layout() public pure {
        ComputeTerms memory t = ComputeTerms(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
        assertEq(
            ComputeTermsLib.pack(t),
            hex"000000000000000000000001000000000000000000000002000000000000000000000003"
            hex"00040506000700000008090a00000b00000c00000d",
            "bytes"
        );
    }

    function testFuzz_RevertWhen_lengthDiffers(uint256 length) public {
        length = bound(length, 0, 200);
        vm.assume(length != 57);
        vm.expectRevert(abi.encodeWithSelector(ComputeTermsLib.TermsLength.selector, length, 57));
        this.unpack(new bytes(length));
        vm.expectRevert(abi.encodeWithSelector(ComputeTermsLib.TermsLength.selector, length + 1000, 114));
        this.unpackBound(new bytes(length + 1000));
    }
}
