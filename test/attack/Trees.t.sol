// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice Attacks on Merkle proofs (PROOFS.md C.1, rows 19 and 20).
contract TreesTest is Test {
    using TestTree for TestTree.Tree;

    function root(uint32[] calldata leaves, bytes32[] calldata digests, bytes32[] calldata proof, uint256 n)
        external
        pure
        returns (bytes32)
    {
        return MerkleLib.multiproofRoot(leaves, digests, proof, n);
    }

    /// @notice Row 19: an inner node shown as a leaf, with the shorter proof of a shorter tree or the right length.
    function test_attack_innerNodeAsLeaf() public {
        bytes32[] memory digests = _digests(4);
        TestTree.Tree memory tree = TestTree.build(digests);
        uint32[] memory leaves = new uint32[](1);
        bytes32[] memory inner = new bytes32[](1);
        inner[0] = tree.levels[1][0];
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = tree.levels[1][1];
        assertNotEq(this.root(leaves, inner, proof, 2), tree.root(), "as a leaf of a tree of two");
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.ProofLength.selector, 1, 2));
        this.root(leaves, inner, proof, 4);
        // Nor do its two children pass as the data of one leaf.
        inner[0] = tree.levels[0][0];
        proof = tree.multiproof(leaves);
        assertNotEq(this.root(leaves, inner, proof, 4), tree.root(), "a leaf's hash as its data");
    }

    /// @notice Row 20: three leaves and the same with the last doubled are two trees.
    function test_attack_oddLeafDuplication() public pure {
        bytes32[] memory three = _digests(3);
        bytes32[] memory four = _digests(4);
        four[3] = three[2];
        assertNotEq(TestTree.build(three).root(), TestTree.build(four).root(), "roots");
    }

    /// @notice Row 20: a padded place is no leaf, whatever is shown there.
    function test_attack_paddingAsLeaf() public {
        TestTree.Tree memory tree = TestTree.build(_digests(3));
        uint32[] memory leaves = new uint32[](1);
        leaves[0] = 3;
        bytes32[] memory zero = new bytes32[](1);
        bytes32[] memory proof = tree.multiproof(leaves);
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 0, 3, 3));
        this.root(leaves, zero, proof, 3);
        assertNotEq(this.root(leaves, zero, proof, 4), tree.root(), "nor with another count");
    }

    function _digests(uint256 n) private pure returns (bytes32[] memory digests) {
        digests = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            digests[i] = keccak256(abi.encode(i));
        }
    }
}
