// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice The library against a tree written apart from it.
contract MerkleLibTest is Test {
    using TestTree for TestTree.Tree;

    function root(uint32[] calldata leaves, bytes32[] calldata digests, bytes32[] calldata proof, uint256 n)
        external
        pure
        returns (bytes32)
    {
        return MerkleLib.multiproofRoot(leaves, digests, proof, n);
    }

    function testFuzz_anySubsetLeadsToTheRoot(uint256 n, uint256 mask) public view {
        (uint256 count, uint32[] memory leaves, bytes32[] memory digests, TestTree.Tree memory tree) =
            _sample(n, mask);
        bytes32[] memory proof = tree.multiproof(leaves);
        assertEq(this.root(leaves, digests, proof, count), tree.root(), "root");
    }

    function testFuzz_changedDigestLeadsElsewhere(uint256 n, uint256 mask, uint256 which, bytes32 other)
        public
        view
    {
        (uint256 count, uint32[] memory leaves, bytes32[] memory digests, TestTree.Tree memory tree) =
            _sample(n, mask);
        which = bound(which, 0, leaves.length - 1);
        vm.assume(digests[which] != other);
        digests[which] = other;
        assertNotEq(this.root(leaves, digests, tree.multiproof(leaves), count), tree.root(), "root");
    }

    function testFuzz_changedProofLeadsElsewhere(uint256 n, uint256 mask, uint256 which, bytes32 other)
        public
        view
    {
        (uint256 count, uint32[] memory leaves, bytes32[] memory digests, TestTree.Tree memory tree) =
            _sample(n, mask);
        bytes32[] memory proof = tree.multiproof(leaves);
        vm.assume(proof.length != 0);
        which = bound(which, 0, proof.length - 1);
        vm.assume(proof[which] != other);
        proof[which] = other;
        assertNotEq(this.root(leaves, digests, proof, count), tree.root(), "root");
    }

    /// @notice A leaf counts only at its own index.
    function testFuzz_movedLeafLeadsElsewhere(uint256 from, uint256 to) public view {
        uint32 n = 13;
        (from, to) = (bound(from, 0, n - 1), bound(to, 0, n - 1));
        vm.assume(from != to);
        bytes32[] memory all = _digests(n);
        TestTree.Tree memory tree = TestTree.build(all);
        uint32[] memory leaves = new uint32[](1);
        leaves[0] = uint32(from);
        bytes32[] memory proof = tree.multiproof(leaves);
        leaves[0] = uint32(to);
        bytes32[] memory digests = new bytes32[](1);
        digests[0] = all[from];
        assertNotEq(this.root(leaves, digests, proof, n), tree.root(), "root");
    }

    function test_depth() public pure {
        uint256[8] memory counts = [uint256(1), 2, 3, 4, 5, 1024, 1025, 1 << 20];
        uint256[8] memory depths = [uint256(0), 1, 2, 2, 3, 10, 11, 20];
        for (uint256 i = 0; i < counts.length; ++i) {
            assertEq(MerkleLib.depthOf(counts[i]), depths[i], "ceil(log2 n)");
        }
    }

    function test_singleLeafIsItsHash() public view {
        bytes32[] memory digests = _digests(1);
        bytes32 found = this.root(new uint32[](1), digests, new bytes32[](0), 1);
        assertEq(found, keccak256(abi.encodePacked(uint8(0), digests[0])), "root");
    }

    function test_RevertWhen_indexIsBeyondTheCount() public {
        uint32[] memory leaves = new uint32[](1);
        leaves[0] = 3;
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 0, 3, 3));
        this.root(leaves, _digests(1), new bytes32[](2), 3);
    }

    function test_RevertWhen_leavesAreDoubledOrUnsorted() public {
        uint32[] memory leaves = new uint32[](2);
        (leaves[0], leaves[1]) = (1, 1);
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 1, 1, 4));
        this.root(leaves, _digests(2), new bytes32[](2), 4);
        leaves[1] = 0;
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 1, 0, 4));
        this.root(leaves, _digests(2), new bytes32[](2), 4);
    }

    function test_RevertWhen_lengthsDiffer() public {
        uint32[] memory leaves = new uint32[](1);
        vm.expectRevert(MerkleLib.NoLeaves.selector);
        this.root(new uint32[](0), new bytes32[](0), new bytes32[](0), 4);
        vm.expectRevert(MerkleLib.NoLeaves.selector);
        this.root(leaves, _digests(2), new bytes32[](2), 4);
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.ProofLength.selector, 1, 2));
        this.root(leaves, _digests(1), new bytes32[](1), 4);
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.ProofLength.selector, 3, 2));
        this.root(leaves, _digests(1), new bytes32[](3), 4);
    }

    function _sample(uint256 n, uint256 mask)
        private
        pure
        returns (uint256 count, uint32[] memory leaves, bytes32[] memory digests, TestTree.Tree memory tree)
    {
        count = bound(n, 1, 40);
        mask &= 2 ** count - 1;
        if (mask == 0) mask = 1;
        bytes32[] memory all = _digests(count);
        tree = TestTree.build(all);
        uint256 picked = 0;
        leaves = new uint32[](count);
        digests = new bytes32[](count);
        for (uint32 i = 0; i < count; ++i) {
            if ((mask >> i) & 1 == 0) continue;
            (leaves[picked], digests[picked]) = (i, all[i]);
            ++picked;
        }
        assembly ("memory-safe") {
            mstore(leaves, picked)
            mstore(digests, picked)
        }
    }

    function _digests(uint256 n) private pure returns (bytes32[] memory digests) {
        digests = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            digests[i] = keccak256(abi.encode(i));
        }
    }
}
