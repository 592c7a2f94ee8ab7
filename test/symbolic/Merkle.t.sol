// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {MerkleProver} from "./MerkleProver.sol";

/// @notice What a multiproof can lead to, for all leaf data, all proofs and all indices, in trees of up to four leaves.
/// @dev halmos takes keccak256 as injective, without collisions between preimages of different lengths. The trees are
/// written out here, apart from the library.
contract MerkleSymbolic is Test {
    MerkleProver private prover;

    function setUp() public {
        prover = new MerkleProver();
    }

    /// @notice One leaf of four: only its own data with its true siblings leads to the root.
    function check_oneLeafOfFour(bytes32[4] memory d, uint32 index, bytes32 data, bytes32 s0, bytes32 s1)
        public
        view
    {
        (bool ok, bytes32 found) = prover.one(index, data, MerkleProver.Siblings(2, s0, s1, 0), 4);
        if (index >= 4) {
            assertFalse(ok, "no index beyond the count");
        } else {
            assertTrue(ok, "every index below the count");
            if (found == _four(d)) {
                assertEq(data, _pick(d, index), "the leaf at that index");
                assertEq(s0, _leaf(_pick(d, index ^ 1)), "sibling leaf");
                uint32 other = (index & 2) ^ 2;
                assertEq(s1, _node(_leaf(_pick(d, other)), _leaf(_pick(d, other | 1))), "sibling node");
            }
        }
    }

    /// @notice And its own data does lead there.
    function check_oneLeafOfFour_isProvable(bytes32[4] memory d, uint32 index) public view {
        vm.assume(index < 4);
        uint32 other = (index & 2) ^ 2;
        bytes32 s1 = _node(_leaf(_pick(d, other)), _leaf(_pick(d, other | 1)));
        (bool ok, bytes32 found) =
            prover.one(index, _pick(d, index), MerkleProver.Siblings(2, _leaf(_pick(d, index ^ 1)), s1, 0), 4);
        assertTrue(ok && found == _four(d), "provable");
    }

    /// @notice Two leaves of four at once: both are right.
    function check_twoLeavesOfFour(
        bytes32[4] memory d,
        uint32 i,
        uint32 j,
        bytes32[2] memory data,
        bytes32 s0,
        bytes32 s1
    ) public view {
        uint32[2] memory leaves = [i, j];
        // Siblings share their parent and need one hash, others need two.
        uint256 length = i ^ 1 == j ? 1 : 2;
        (bool ok, bytes32 found) = prover.two(leaves, data, MerkleProver.Siblings(length, s0, s1, 0), 4);
        assertEq(ok, i < j && j < 4, "ascending, below the count");
        if (ok && found == _four(d)) {
            assertEq(data[0], _pick(d, i), "first leaf");
            assertEq(data[1], _pick(d, j), "second leaf");
        }
    }

    /// @notice An inner node, or the root's own preimage, given as the leaf of a lower tree never leads to the root.
    function check_innerNodeIsNoLeaf(bytes32[4] memory d, uint32 index, bytes32 data, bytes32 s0)
        public
        view
    {
        bytes32 root = _four(d);
        (bool ok, bytes32 found) = prover.one(index, data, MerkleProver.Siblings(1, s0, 0, 0), 2);
        assertTrue(!ok || found != root, "as a tree of two");
        (ok, found) = prover.one(index, data, MerkleProver.Siblings(0, 0, 0, 0), 1);
        assertTrue(!ok || found != root, "as a tree of one");
    }

    /// @notice Nor does a leaf of a higher tree.
    function check_noHigherTree(bytes32[4] memory d, uint32 index, bytes32 data, bytes32[3] memory s)
        public
        view
    {
        (bool ok, bytes32 found) = prover.one(index, data, MerkleProver.Siblings(3, s[0], s[1], s[2]), 8);
        assertTrue(!ok || found != _four(d), "as a tree of eight");
    }

    /// @notice A tree of three is padded with a zero: its fourth place is nobody's, and no doubled last leaf makes the same tree.
    function check_threeLeaves(bytes32[3] memory d, uint32 index, bytes32 data, bytes32 s0, bytes32 s1)
        public
        view
    {
        bytes32 root = _node(_node(_leaf(d[0]), _leaf(d[1])), _node(_leaf(d[2]), 0));
        (bool ok, bytes32 found) = prover.one(index, data, MerkleProver.Siblings(2, s0, s1, 0), 3);
        assertEq(ok, index < 3, "index below the count");
        if (ok && found == root) {
            assertEq(data, index == 0 ? d[0] : index == 1 ? d[1] : d[2], "the leaf at that index");
        }
        assertNotEq(root, _four([d[0], d[1], d[2], d[2]]), "no doubled last leaf");
    }

    /// @notice A proof has as many hashes as the tree has levels: not one fewer, not one more.
    function check_proofLength(uint32 index, bytes32 data, bytes32[3] memory s, uint8 leafCount, uint8 length)
        public
        view
    {
        vm.assume(leafCount != 0 && leafCount <= 4 && index < leafCount && length <= 3);
        uint256 depth = leafCount == 1 ? 0 : leafCount == 2 ? 1 : 2;
        for (uint256 l = 0; l <= 3; ++l) {
            if (length != l) continue;
            (bool ok,) = prover.one(index, data, MerkleProver.Siblings(l, s[0], s[1], s[2]), leafCount);
            assertEq(ok, l == depth, "all used, none missing");
        }
    }

    /// @notice The library's hashes are those of docs/PROTOCOL.md.
    function check_hashes(bytes32 a, bytes32 b) public pure {
        assertEq(MerkleLib.hashLeaf(a), _leaf(a), "leaf");
        assertEq(MerkleLib.hashNode(a, b), _node(a, b), "node");
    }

    function _leaf(bytes32 data) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(0), data));
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(1), left, right));
    }

    function _four(bytes32[4] memory d) private pure returns (bytes32) {
        return _node(_node(_leaf(d[0]), _leaf(d[1])), _node(_leaf(d[2]), _leaf(d[3])));
    }

    /// @dev Branches, so that no memory is read at a symbolic place.
    function _pick(bytes32[4] memory d, uint32 index) private pure returns (bytes32) {
        if (index == 0) return d[0];
        if (index == 1) return d[1];
        return index == 2 ? d[2] : d[3];
    }
}
