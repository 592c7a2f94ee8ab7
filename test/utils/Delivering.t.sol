// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ResultLib} from "../../contracts/libraries/ResultLib.sol";
import {Ending} from "../../contracts/types/Status.sol";
import {DeliverPuppet} from "../mocks/DeliverPuppet.sol";
import {Base} from "./Base.t.sol";
import {TestTree} from "./TestTree.sol";

/// @title Delivering
/// @notice A kind whose agreements can be ended at will, and bags of results to deliver from them.
abstract contract Delivering is Base {
    using TestTree for TestTree.Tree;

    bytes internal constant FILE = "answer";
    uint32 internal constant CALLBACK_GAS = 300_000;

    uint8 internal puppetKind;

    function setUp() public virtual override {
        super.setUp();
        DeliverPuppet puppet = new DeliverPuppet(dispatcher);
        vm.prank(owner);
        puppetKind = dispatcher.addKind(address(puppet));
    }

    function leafDigest(bytes calldata name, bytes calldata content) external pure returns (bytes32) {
        return ResultLib.leafDigest(name, content);
    }

    /// @dev An agreement that ended as Verified with a bag of `n` results, and delivers to `target`.
    function _verified(address target, uint32 n) internal returns (DeliverPuppet a) {
        vm.prank(client);
        a = DeliverPuppet(dispatcher.buyContract(puppetKind, "", ""));
        _end(a, target, n);
    }

    function _end(DeliverPuppet a, address target, uint32 n) internal {
        a.setCallback(target, CALLBACK_GAS);
        a.setResult(_bag(n).root(), n, false);
        a.end(Ending.Verified);
    }

    /// @dev Leaf i of a bag holds the file "answer" with this.
    function _content(uint256 leaf) internal pure returns (bytes memory) {
        return bytes(string.concat(vm.toString(leaf * 7), "\n"));
    }

    function _bag(uint32 n) internal view returns (TestTree.Tree memory) {
        bytes32[] memory digests = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            digests[i] = this.leafDigest(FILE, _content(i));
        }
        return TestTree.build(digests);
    }

    function _proof(uint32 leaf, uint32 n) internal view returns (bytes32[] memory) {
        uint32[] memory leaves = new uint32[](1);
        leaves[0] = leaf;
        return _bag(n).multiproof(leaves);
    }

    /// @dev The honest call that delivers a leaf of such a bag.
    function _call(uint32 leaf, uint32 n) internal view returns (bytes memory) {
        return
            abi.encodeCall(DeliverPuppet.deliver, (leaf, FILE, _content(leaf), bytes32(0), _proof(leaf, n)));
    }

    function _deliver(DeliverPuppet a, uint32 leaf, uint32 n) internal returns (bool) {
        return a.deliver(leaf, FILE, _content(leaf), bytes32(0), _proof(leaf, n));
    }
}
