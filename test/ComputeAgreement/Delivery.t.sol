// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    IComputeAgreement,
    Result,
    RevealedRoot,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {DeliverLib} from "../../contracts/libraries/DeliverLib.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {ResultLib} from "../../contracts/libraries/ResultLib.sol";
import {SealLib} from "../../contracts/libraries/SealLib.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {FailingReceiver, KeepingReceiver} from "../mocks/Receivers.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Results handed to a contract by real agreements. `DeliverLib` itself: test/attack/Callbacks.t.sol, with a puppet.
contract DeliveryTest is Driver {
    bytes private constant FILE = "answer";
    bytes32 private constant BLIND_KEY = "blind key";
    uint32 private constant GRANT = 200_000;

    KeepingReceiver private _keeping = new KeepingReceiver();
    /// @dev What the worker revealed of the agreement at hand.
    RevealedRoot private _revealed;

    /// @notice A task with one leaf at level 0: the reveal is the hand-in.
    function test_acceptedResultIsDelivered() public {
        IComputeAgreement a = _submitted(_callback(address(_keeping)), _leaf("42\n"));
        bytes memory notYet = abi.encodeWithSelector(IComputeAgreement.NotVerified.selector, Ending.None);
        _refused(a, _result("42\n"), notYet);
        vm.prank(client);
        a.acceptResult();
        vm.expectEmit(address(a));
        emit IComputeAgreement.Delivered(0, true);
        vm.prank(stranger);
        assertTrue(a.deliver(_result("42\n"), _revealed), "delivered");
        assertEq(_keeping.content(), "42\n", "as it is");
        _refused(a, _result("42\n"), abi.encodeWithSelector(DeliverLib.AlreadyDelivered.selector, 0));
        _assertEmpty(address(a));
    }

    /// @notice Unanimous verification keeps what was revealed where there is a callback.
    function test_verifiedResultIsDelivered() public {
        ComputeTerms memory t = _callback(address(_keeping));
        (t.trustLevel, t.disputeSecs) = (1, 0);
        IComputeAgreement a = _sealedWith(t, _leaf("7"));
        _openDraw(a);
        _draw(a);
        bytes32[] memory digest = _one(_leaf("7"));
        for (uint256 i = 0; i < t.verifiers; ++i) {
            _sealAs(a, _verifier(a, i), digest);
        }
        a.settleAll(_workOf(digest), _honestOpenings(a));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "unanimous");
        _revealed = RevealedRoot(
            MerkleLib.hashLeaf(digest[0]), keccak256(abi.encode(uint256(0))), keccak256(abi.encode(digest[0]))
        );
        assertTrue(a.deliver(_result("7"), _revealed), "delivered");
        assertEq(_keeping.calls(), 1, "once");
    }

    /// @notice Confidential work: the digest in the tree is blinded, and who delivers brings the key.
    function test_blindedResultIsDelivered() public {
        ComputeTerms memory t = _callback(address(_keeping));
        t.flags |= ComputeTermsLib.FLAG_CONFIDENTIAL;
        IComputeAgreement a = _submitted(t, ResultLib.blinded(BLIND_KEY, _leaf("secret")));
        vm.prank(client);
        a.acceptResult();
        Result memory r = _result("secret");
        r.blindKey = "another key";
        vm.expectPartialRevert(IComputeAgreement.ProofInvalid.selector);
        a.deliver(r, _revealed);
        r.blindKey = BLIND_KEY;
        assertTrue(a.deliver(r, _revealed), "delivered");
    }

    /// @notice A receiver that fails can be tried again, and nothing waits for it.
    function test_failedDeliveryIsTriedAgain() public {
        FailingReceiver receiver = new FailingReceiver();
        receiver.setWay(FailingReceiver.Way.Reverts);
        IComputeAgreement a = _accepted(_callback(address(receiver)), "1");
        vm.expectEmit(address(a));
        emit IComputeAgreement.Delivered(0, false);
        assertFalse(a.deliver(_result("1"), _revealed), "not today");
        receiver.setWay(FailingReceiver.Way.Works);
        assertTrue(a.deliver(_result("1"), _revealed), "the second time");
    }

    function test_RevertWhen_thereIsNoCallback() public {
        ComputeTerms memory t = _callback(address(0));
        t.flags = 0;
        t.callbackGas = 0;
        IComputeAgreement a = _accepted(t, "1");
        _refused(a, _result("1"), abi.encodeWithSelector(IComputeAgreement.NoCallback.selector));
    }

    /// @notice Another content, name, leaf, proof, or other things than the worker revealed.
    function testFuzz_RevertWhen_resultIsAnother(bytes calldata content, uint32 leaf, bytes32 junk) public {
        vm.assume(keccak256(content) != keccak256("1") && junk != 0);
        IComputeAgreement a = _accepted(_callback(address(_keeping)), "1");
        vm.expectPartialRevert(IComputeAgreement.ProofInvalid.selector);
        a.deliver(_result(content), _revealed);
        Result memory r = _result("1");
        r.fileName = content;
        vm.expectPartialRevert(IComputeAgreement.ProofInvalid.selector);
        a.deliver(r, _revealed);
        r = _result("1");
        r.leaf = uint32(bound(leaf, 1, type(uint32).max));
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 0, r.leaf, 1));
        a.deliver(r, _revealed);
        r = _result("1");
        r.proof = _one(junk);
        vm.expectRevert(abi.encodeWithSelector(MerkleLib.ProofLength.selector, 1, 0));
        a.deliver(r, _revealed);
        RevealedRoot memory other = _revealed;
        other.root ^= junk;
        vm.expectPartialRevert(IComputeAgreement.SealMismatch.selector);
        a.deliver(_result("1"), other);
        assertEq(_keeping.calls(), 0, "none came");
    }

    /// @notice What cannot be called, or not with that gas, is not sold.
    function test_RevertWhen_callbackCannotBeBought() public {
        address[4] memory forbidden =
            [address(0), address(token), address(dispatcher), address(_buy(_terms()))];
        for (uint256 i = 0; i < 4; ++i) {
            _notSold(
                forbidden[i], GRANT, abi.encodeWithSelector(DeliverLib.TargetForbidden.selector, forbidden[i])
            );
        }
        uint32[4] memory bad = [uint32(0), 9999, 10_000_001, type(uint32).max];
        for (uint256 i = 0; i < 4; ++i) {
            _notSold(
                address(_keeping),
                bad[i],
                abi.encodeWithSelector(DeliverLib.CallbackGasOutOfRange.selector, bad[i], 10_000, 10_000_000)
            );
        }
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _callback(address target) private pure returns (ComputeTerms memory t) {
        t = _terms();
        (t.trustLevel, t.disputeSecs, t.leafCount, t.samples) = (0, 600, 1, 1);
        (t.flags, t.callback, t.callbackGas) = (ComputeTermsLib.FLAG_CALLBACK, target, GRANT);
    }

    function _notSold(address target, uint32 gas_, bytes memory err) private {
        ComputeTerms memory t = _callback(target);
        t.callbackGas = gas_;
        bytes memory packed = ComputeTermsLib.pack(t);
        vm.expectRevert(err);
        vm.prank(client);
        dispatcher.buyContract(KIND, packed, SPEC);
    }

    function _accepted(ComputeTerms memory t, bytes memory content) private returns (IComputeAgreement a) {
        a = _submitted(t, _leaf(content));
        vm.prank(client);
        a.acceptResult();
    }

    /// @dev Handed in at level 0, with one leaf of this digest.
    function _submitted(ComputeTerms memory t, bytes32 digest) private returns (IComputeAgreement a) {
        a = _buy(t);
        _accept(a);
        if (t.flags & 1 != 0) _postKey(a, client, "sealed key");
        bytes32 root = MerkleLib.hashLeaf(digest);
        vm.prank(workers[0].owner);
        a.submitResult(root, WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB);
        _revealed = RevealedRoot(root, keccak256(""), keccak256(""));
    }

    function _sealedWith(ComputeTerms memory t, bytes32 digest) private returns (IComputeAgreement a) {
        a = _driveTo(t, Status.Working);
        bytes32 seal = SealLib.workerSeal(
            MerkleLib.hashLeaf(digest), WORKER_SALT, CIPHERTEXT_ROOT, address(a), 0, workers[0].owner
        );
        vm.prank(workers[0].owner);
        a.sealResult(seal, CIPHERTEXT_ROOT, RESULT_BLOB, "");
    }

    function _workOf(bytes32[] memory digest) private pure returns (WorkerOpening memory o) {
        o.root = MerkleLib.hashLeaf(digest[0]);
        (o.salt, o.ciphertextRoot, o.resultBlob) = (WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB);
        (o.leaves, o.digests) = (new uint32[](1), digest);
    }

    function _refused(IComputeAgreement a, Result memory r, bytes memory err) private {
        vm.expectRevert(err);
        a.deliver(r, _revealed);
    }

    function _result(bytes memory content) private pure returns (Result memory r) {
        (r.fileName, r.content) = (FILE, content);
    }

    function _leaf(bytes memory content) private view returns (bytes32) {
        return this.leafDigest(FILE, content);
    }

    function leafDigest(bytes calldata name, bytes calldata content) external pure returns (bytes32) {
        return ResultLib.leafDigest(name, content);
    }

    function _one(bytes32 word) private pure returns (bytes32[] memory words) {
        words = new bytes32[](1);
        words[0] = word;
    }
}
