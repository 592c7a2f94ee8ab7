// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {DeliverLib} from "../../contracts/libraries/DeliverLib.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {ResultLib} from "../../contracts/libraries/ResultLib.sol";
import {Ending} from "../../contracts/types/Status.sol";
import {DeliverPuppet} from "../mocks/DeliverPuppet.sol";
import {FailingReceiver, KeepingReceiver, ReenteringReceiver} from "../mocks/Receivers.sol";
import {Delivering} from "../utils/Delivering.t.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice Attacks on and by receivers of results (gas starvation: test/attack/CallbackGas.t.sol).
contract CallbacksTest is Delivering {
    using TestTree for TestTree.Tree;

    // ------------------------------------------------------------------------------------------------ forged results

    function test_anybodyDeliversOnce() public {
        KeepingReceiver r = new KeepingReceiver();
        DeliverPuppet a = _verified(address(r), 3);
        vm.expectEmit(address(a));
        emit DeliverPuppet.Delivered(2, true);
        vm.prank(stranger);
        assertTrue(_deliver(a, 2, 3), "delivered");
        assertEq(r.leaf(), 2, "leaf");
        assertEq(r.content(), _content(2), "content");
        assertTrue(a.isDelivered(2), "noted");
        bytes memory again = _call(2, 3);
        _expectRefusal(a, again, abi.encodeWithSelector(DeliverLib.AlreadyDelivered.selector, 2));
        assertEq(r.calls(), 1, "one call");
    }

    function test_attack_forgedContent() public {
        (KeepingReceiver r, DeliverPuppet a) = _fresh();
        bytes32[] memory proof = _proof(1, 4);
        bytes[4] memory forged = [bytes("8\n"), "7", "7\n\n", ""];
        for (uint256 i = 0; i < forged.length; ++i) {
            _expectForged(a, 1, FILE, forged[i], proof);
        }
        assertEq(r.calls(), 0, "never called");
        assertTrue(_deliver(a, 1, 4), "the true one");
    }

    function testFuzz_attack_forgedContent(bytes calldata content, bytes calldata name) public {
        (, DeliverPuppet a) = _fresh();
        bool honest = keccak256(abi.encode(content, name)) == keccak256(abi.encode(_content(1), FILE));
        vm.assume(!honest);
        _expectForged(a, 1, name, content, _proof(1, 4));
    }

    /// @notice The same bytes under another name, or cut elsewhere between name and content.
    function test_attack_forgedName() public {
        (, DeliverPuppet a) = _fresh();
        bytes32[] memory proof = _proof(1, 4);
        _expectForged(a, 1, "answer2", _content(1), proof);
        _expectForged(a, 1, "", _content(1), proof);
        _expectForged(a, 1, "answe", bytes.concat("r", _content(1)), proof);
        _expectForged(a, 1, bytes.concat(FILE, hex"00"), _content(1), proof);
    }

    /// @notice One leaf's true result in another's place.
    function test_attack_wrongLeaf() public {
        (, DeliverPuppet a) = _fresh();
        _expectForged(a, 2, FILE, _content(1), _proof(1, 4));
        _expectForged(a, 2, FILE, _content(1), _proof(2, 4));
        bytes memory beyond = abi.encodeCall(a.deliver, (4, FILE, _content(1), bytes32(0), _proof(1, 4)));
        _expectRefusal(a, beyond, abi.encodeWithSelector(MerkleLib.LeafOrder.selector, 0, 4, 4));
        bytes memory short = abi.encodeCall(a.deliver, (1, FILE, _content(1), bytes32(0), new bytes32[](1)));
        _expectRefusal(a, short, abi.encodeWithSelector(MerkleLib.ProofLength.selector, 1, 2));
    }

    /// @notice Whether digests are blinded is in the terms: neither can public work be passed off with a blinded digest, nor
    /// confidential work without its key.
    function test_attack_blindKeys() public {
        (KeepingReceiver r, DeliverPuppet a) = _fresh();
        bytes32 key = keccak256("blind key");
        bytes32[] memory digests = new bytes32[](1);
        digests[0] = ResultLib.blinded(key, this.leafDigest(FILE, "secret"));
        bytes32 root = TestTree.build(digests).root();
        bytes32[] memory none = new bytes32[](0);

        a.setResult(root, 1, false);
        _expectForged(a, 0, FILE, "secret", none);
        a.setResult(root, 1, true);
        _expectForged(a, 0, FILE, "secret", none);
        assertTrue(a.deliver(0, FILE, "secret", key, none), "with the key");
        assertEq(r.content(), "secret", "content");
    }

    /// @notice Nothing is delivered before the end, nor after any end but Verified.
    function test_attack_unverifiedEndings() public {
        (KeepingReceiver r, DeliverPuppet a) = _fresh();
        for (uint8 i = 0; i <= uint8(type(Ending).max); ++i) {
            if (Ending(i) == Ending.Verified) continue;
            a.end(Ending(i));
            bytes memory call = _call(0, 4);
            _expectRefusal(a, call, abi.encodeWithSelector(DeliverPuppet.NotVerified.selector, Ending(i)));
        }
        assertEq(r.calls(), 0, "never called");
    }

    // ------------------------------------------------------------------------------------------------ targets

    /// @notice Contracts at which an agreement's call could mean something.
    function test_attack_forbiddenTargets() public {
        (, DeliverPuppet a) = _fresh();
        (, DeliverPuppet other) = _fresh();
        address[5] memory targets =
            [address(token), address(dispatcher), address(a), address(other), address(0)];
        bytes memory call = _call(0, 4);
        for (uint256 i = 0; i < targets.length; ++i) {
            bytes memory refusal = abi.encodeWithSelector(DeliverLib.TargetForbidden.selector, targets[i]);
            a.setCallback(targets[i], CALLBACK_GAS);
            _expectRefusal(a, call, refusal);
            vm.expectRevert(refusal);
            DeliverLib.checkOffer(dispatcher, targets[i], CALLBACK_GAS);
        }
    }

    /// @notice A target that is nobody at purchase and an agreement at delivery.
    function test_attack_targetBecomesAnAgreement() public {
        address next = vm.computeCreateAddress(address(dispatcher), vm.getNonce(address(dispatcher)) + 1);
        DeliverLib.checkOffer(dispatcher, next, CALLBACK_GAS);
        DeliverPuppet a = _verified(next, 1);
        assertEq(address(_verified(address(1), 1)), next, "as foreseen");
        _expectRefusal(a, _call(0, 1), abi.encodeWithSelector(DeliverLib.TargetForbidden.selector, next));
    }

    /// @notice A dapp that is not there yet loses nothing; calls to it would all succeed.
    function test_attack_deliverBeforeTheDappExists() public {
        address later = makeAddr("a dapp of tomorrow");
        DeliverLib.checkOffer(dispatcher, later, CALLBACK_GAS);
        DeliverPuppet a = _verified(later, 1);
        bytes memory call = _call(0, 1);
        _expectRefusal(a, call, abi.encodeWithSelector(DeliverLib.TargetHasNoCode.selector, later));
        assertFalse(a.isDelivered(0), "not delivered to nobody");
        vm.etch(later, address(new KeepingReceiver()).code);
        assertTrue(_deliver(a, 0, 1), "now");
        assertEq(KeepingReceiver(later).calls(), 1, "called");
    }

    function test_RevertWhen_offeredGasIsOutOfRange() public {
        (uint256 min, uint256 max) = (10_000, 10_000_000);
        DeliverLib.checkOffer(dispatcher, stranger, min);
        DeliverLib.checkOffer(dispatcher, stranger, max);
        uint256[4] memory bad = [uint256(0), min - 1, max + 1, type(uint256).max];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(DeliverLib.CallbackGasOutOfRange.selector, bad[i], min, max)
            );
            DeliverLib.checkOffer(dispatcher, stranger, bad[i]);
        }
    }

    // ------------------------------------------------------------------------------------------------ receivers

    /// @notice Whatever way a receiver fails, the caller goes on, the leaf stays undelivered, and a later try succeeds.
    function test_attack_failingReceivers() public {
        for (uint8 way = 1; way <= uint8(FailingReceiver.Way.RevertsLong); ++way) {
            FailingReceiver r = new FailingReceiver();
            DeliverPuppet a = _verified(address(r), 2);
            r.setWay(FailingReceiver.Way(way));
            for (uint256 tries = 0; tries < 2; ++tries) {
                assertFalse(_deliver(a, 1, 2), "failed");
                assertFalse(a.isDelivered(1), "can be tried again");
            }
            assertEq(r.calls(), 0, "nothing kept");
            r.setWay(FailingReceiver.Way.Works);
            assertTrue(_deliver(a, 1, 2), "then it works");
            assertEq(r.calls(), 1, "once");
            bytes memory again = _call(1, 2);
            _expectRefusal(a, again, abi.encodeWithSelector(DeliverLib.AlreadyDelivered.selector, 1));
        }
    }

    /// @notice Returned data is not read: 315 kB of it cost the deliverer nothing beyond the granted gas.
    function test_attack_returnDataBomb() public {
        FailingReceiver.Way[2] memory ways =
            [FailingReceiver.Way.ReturnsLong, FailingReceiver.Way.RevertsLong];
        for (uint256 i = 0; i < ways.length; ++i) {
            FailingReceiver r = new FailingReceiver();
            r.setWay(ways[i]);
            DeliverPuppet a = _verified(address(r), 1);
            bytes memory call = _call(0, 1);
            // The receiver spends most of its grant on making them; copying them would cost the deliverer as much again.
            uint256 before = gasleft();
            (bool sent,) = address(a).call{gas: uint256(CALLBACK_GAS) + 80_000}(call);
            uint256 used = before - gasleft();
            assertTrue(sent, "goes through");
            assertLt(used, uint256(CALLBACK_GAS) + 80_000, "bounded");
            assertEq(a.isDelivered(0), ways[i] == FailingReceiver.Way.ReturnsLong, "as it ended");
        }
    }

    /// @notice A receiver that burns all its gas costs the deliverer what the terms grant, and no more.
    function test_attack_gasBurner() public {
        FailingReceiver r = new FailingReceiver();
        r.setWay(FailingReceiver.Way.BurnsGas);
        DeliverPuppet a = _verified(address(r), 1);
        bytes memory call = _call(0, 1);
        uint256 before = gasleft();
        (bool sent, bytes memory answer) = address(a).call(call);
        assertLt(before - gasleft(), uint256(CALLBACK_GAS) + 60_000, "bounded");
        assertTrue(sent && !abi.decode(answer, (bool)), "failed, not reverted");
    }

    // ------------------------------------------------------------------------------------------------ reentrancy

    /// @notice The receiver asks for its own leaf again from inside: it is delivered already.
    function test_attack_reenterSameLeaf() public {
        (ReenteringReceiver r, DeliverPuppet a) = _reentering();
        r.prepare(_inner(address(r), 1, 0), false);
        assertTrue(_deliver(a, 1, 2), "the outer one");
        assertFalse(r.innerOk(), "the inner one");
        assertEq(r.innerAnswer(), abi.encodeWithSelector(DeliverLib.AlreadyDelivered.selector, 1), "why");
        assertEq(r.calls(), 1, "one call");
        assertTrue(a.isDelivered(1), "delivered");
    }

    /// @notice The same, and then it fails: the leaf can be delivered later, once.
    function test_attack_reenterSameLeafThenFail() public {
        (ReenteringReceiver r, DeliverPuppet a) = _reentering();
        r.prepare(_inner(address(r), 1, 0), true);
        assertFalse(_deliver(a, 1, 2), "failed");
        assertFalse(a.isDelivered(1), "not delivered");
        r.prepare(new bytes[](0), false);
        assertTrue(_deliver(a, 1, 2), "later");
        assertEq(r.calls(), 1, "once");
    }

    /// @notice Another leaf from inside needs more gas than the outer one was granted.
    function test_attack_reenterOtherLeaf() public {
        (ReenteringReceiver r, DeliverPuppet a) = _reentering();
        r.prepare(_inner(address(r), 0, 0), false);
        assertTrue(_deliver(a, 1, 2), "the outer one");
        assertEq(bytes4(r.innerAnswer()), DeliverLib.GasTooLow.selector, "not from inside");
        assertTrue(_deliver(a, 0, 2), "afterwards");
        assertEq(r.calls(), 2, "each once");
    }

    /// @notice Even if it had the gas, each leaf would be delivered once.
    function test_attack_reenterOtherLeafWithGas() public {
        (ReenteringReceiver r, DeliverPuppet a) = _reentering();
        r.prepare(_inner(address(r), 0, CALLBACK_GAS), false);
        assertTrue(_deliver(a, 1, 2), "the outer one");
        assertTrue(r.innerOk(), "the inner one");
        assertEq(r.calls(), 2, "two calls");
        for (uint32 leaf = 0; leaf < 2; ++leaf) {
            bytes memory again = _call(leaf, 2);
            _expectRefusal(a, again, abi.encodeWithSelector(DeliverLib.AlreadyDelivered.selector, leaf));
        }
    }

    /// @notice Another leaf from inside, then failure: both are as if nothing had been, and both can be delivered.
    function test_attack_reenterOtherLeafThenFail() public {
        (ReenteringReceiver r, DeliverPuppet a) = _reentering();
        r.prepare(_inner(address(r), 0, CALLBACK_GAS), true);
        assertFalse(_deliver(a, 1, 2), "failed");
        assertFalse(a.isDelivered(0) || a.isDelivered(1), "neither");
        r.prepare(new bytes[](0), false);
        assertTrue(_deliver(a, 0, 2) && _deliver(a, 1, 2), "both");
        assertEq(r.calls(), 2, "each once");
    }

    /// @notice Leaves that share a word of the record, or its neighbour, do not disturb each other.
    function test_deliveriesOfALargeBagAreApart() public {
        FailingReceiver r = new FailingReceiver();
        DeliverPuppet a = _verified(address(r), 300);
        uint32[5] memory leaves = [uint32(0), 1, 255, 256, 299];
        for (uint256 i = 0; i < leaves.length; ++i) {
            r.setWay(FailingReceiver.Way.Reverts);
            assertFalse(_deliver(a, leaves[i], 300), "fails first");
            r.setWay(FailingReceiver.Way.Works);
            assertTrue(_deliver(a, leaves[i], 300), "works then");
            for (uint256 j = 0; j < leaves.length; ++j) {
                assertEq(a.isDelivered(leaves[j]), j <= i, "only these");
            }
        }
        assertEq(r.calls(), leaves.length, "each once");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _fresh() private returns (KeepingReceiver r, DeliverPuppet a) {
        r = new KeepingReceiver();
        a = _verified(address(r), 4);
    }

    function _reentering() private returns (ReenteringReceiver r, DeliverPuppet a) {
        r = new ReenteringReceiver();
        a = _verified(address(r), 2);
        a.setCallback(address(r), 4 * CALLBACK_GAS);
    }

    /// @dev What a receiver does from inside: deliver `leaf`, if `gas_` is given after it was made to ask less gas.
    function _inner(address target, uint32 leaf, uint32 gas_) private view returns (bytes[] memory todo) {
        todo = new bytes[](gas_ == 0 ? 1 : 2);
        if (gas_ != 0) todo[0] = abi.encodeCall(DeliverPuppet.setCallback, (target, gas_));
        todo[todo.length - 1] = _call(leaf, 2);
    }

    function _expectForged(
        DeliverPuppet a,
        uint32 leaf,
        bytes memory name,
        bytes memory content,
        bytes32[] memory proof
    ) private {
        vm.expectPartialRevert(DeliverPuppet.ProofInvalid.selector);
        a.deliver(leaf, name, content, bytes32(0), proof);
        assertFalse(a.isDelivered(leaf), "nothing delivered");
    }

    function _expectRefusal(DeliverPuppet a, bytes memory call, bytes memory reason) private {
        (bool ok, bytes memory answer) = address(a).call(call);
        assertFalse(ok, "refused");
        assertEq(answer, reason, "reason");
    }
}
