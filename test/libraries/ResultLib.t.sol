// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {ResultLib} from "../../contracts/libraries/ResultLib.sol";
import {TestTree} from "../utils/TestTree.sol";

contract ResultLibTest is Test {
    using TestTree for TestTree.Tree;

    string private json;

    function setUp() public {
        json = vm.readFile("protocol/vectors/results.json");
    }

    // Calldata entries to the library.
    function treeHash(bytes calldata name, bytes calldata content) external pure returns (bytes32) {
        return ResultLib.treeHash(name, content);
    }

    function leafDigest(bytes calldata name, bytes calldata content) external pure returns (bytes32) {
        return ResultLib.leafDigest(name, content);
    }

    function rootOf(uint32 leaf, uint256 n, bytes32 digest, bytes32[] calldata proof)
        external
        pure
        returns (bytes32)
    {
        return ResultLib.rootOf(leaf, n, digest, proof);
    }

    /// @notice Against what the Rust side computes.
    function test_vectors() public view {
        uint256 count = vm.parseJsonUint(json, ".count");
        assertGe(count, 6, "rows");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(".rows[", vm.toString(i), "].");
            bytes memory name = vm.parseJsonBytes(json, string.concat(row, "fileName"));
            bytes memory content = vm.parseJsonBytes(json, string.concat(row, "content"));
            uint32 leaf = uint32(vm.parseJsonUint(json, string.concat(row, "leaf")));
            uint256 n = vm.parseJsonUint(json, string.concat(row, "leafCount"));
            assertEq(this.treeHash(name, content), _b32(row, "treeHash"), "tree hash");
            bytes32 digest = this.leafDigest(name, content);
            assertEq(digest, _b32(row, "leafDigest"), "leaf digest");
            assertEq(this.rootOf(leaf, n, digest, _b32s(row, "proof")), _b32(row, "root"), "root");
            bytes32 blinded = ResultLib.blinded(_b32(row, "blindKey"), digest);
            assertEq(blinded, _b32(row, "blinded"), "blinded");
            assertEq(
                this.rootOf(leaf, n, blinded, _b32s(row, "blindedProof")),
                _b32(row, "blindedRoot"),
                "blinded root"
            );
        }
    }

    /// @notice Two results with one digest would be two results for one payment.
    function testFuzz_otherNameOrContentIsAnotherDigest(
        bytes calldata name,
        bytes calldata content,
        bytes calldata otherName,
        bytes calldata otherContent
    ) public pure {
        bytes32 a = ResultLib.leafDigest(name, content);
        bytes32 b = ResultLib.leafDigest(otherName, otherContent);
        bool same = keccak256(abi.encode(name, content)) == keccak256(abi.encode(otherName, otherContent));
        assertEq(a == b, same, "the same only for the same");
        // Nor does a byte that moves from the one to the other.
        if (content.length != 0 && name.length != 0) {
            bytes memory joined = bytes.concat(name, content);
            assertNotEq(keccak256(joined), a, "no bare hash");
        }
    }

    function test_aByteBetweenNameAndContent() public view {
        assertNotEq(this.leafDigest("ab", "c"), this.leafDigest("a", "bc"), "moved");
        assertNotEq(this.leafDigest("", "abc"), this.leafDigest("abc", ""), "swapped");
    }

    /// @notice The proof of one leaf is the multiproof of one leaf, for every leaf of trees of every shape.
    function testFuzz_rootOfIsTheTreesRoot(uint256 n, uint256 leaf) public view {
        n = bound(n, 1, 40);
        leaf = bound(leaf, 0, n - 1);
        (bytes32[] memory digests, uint32[] memory leaves) = _tree(n, leaf);
        TestTree.Tree memory tree = TestTree.build(digests);
        bytes32[] memory proof = tree.multiproof(leaves);
        assertEq(this.rootOf(uint32(leaf), n, digests[leaf], proof), tree.root(), "root");
        uint256 other = (leaf + 1) % n;
        if (other == leaf) return;
        assertNotEq(this.rootOf(uint32(other), n, digests[leaf], proof), tree.root(), "in another's place");
    }

    function test_RevertWhen_leafIsBeyondTheCount() public {
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 0, 3, 3));
        this.rootOf(3, 3, bytes32("digest"), new bytes32[](2));
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 0, 0, 0));
        this.rootOf(0, 0, bytes32("digest"), new bytes32[](0));
    }

    function test_RevertWhen_proofHasAnotherLength() public {
        for (uint256 length = 0; length < 5; ++length) {
            if (length == 2) continue;
            vm.expectRevert(abi.encodeWithSelector(MerkleLib.ProofLength.selector, length, 2));
            this.rootOf(0, 4, bytes32("digest"), new bytes32[](length));
        }
    }

    function _tree(uint256 n, uint256 leaf)
        private
        pure
        returns (bytes32[] memory digests, uint32[] memory leaves)
    {
        digests = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            digests[i] = keccak256(abi.encode(i));
        }
        leaves = new uint32[](1);
        leaves[0] = uint32(leaf);
    }

    function _b32(string memory row, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(row, key));
    }

    function _b32s(string memory row, string memory key) private view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, string.concat(row, key));
    }
}
