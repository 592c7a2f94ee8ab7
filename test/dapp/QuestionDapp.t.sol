// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {SunworkReceiver} from "../../contracts/dapp/SunworkReceiver.sol";
import {Phase, PrimeQuestion} from "../../contracts/dapp/examples/PrimeQuestion.sol";
import {QuestionDapp} from "../../contracts/dapp/examples/QuestionDapp.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeSpec, Input} from "../../contracts/types/ComputeTerms.sol";
import {Ending} from "../../contracts/types/Status.sol";
import {DeliverPuppet} from "../mocks/DeliverPuppet.sol";
import {Delivering} from "../utils/Delivering.t.sol";

/// @notice The example dapp, with agreements that end as the test tells them.
contract QuestionDappTest is Delivering {
    bytes private constant TERMS = "packed terms with the callback's flag";

    QuestionDapp private dapp;
    address private alice = makeAddr("alice");
    address private bob = makeAddr("bob");
    uint256 private price;

    function setUp() public override {
        super.setUp();
        dapp = new QuestionDapp(dispatcher, puppetKind, TERMS, _spec());
        price = dapp.price();
        address[2] memory askers = [alice, bob];
        for (uint256 i = 0; i < askers.length; ++i) {
            _give(askers[i], 3 * price);
            vm.prank(askers[i]);
            token.approve(address(dapp), 3 * price);
        }
    }

    // ------------------------------------------------------------------------------------------------ asking

    function test_aQuestionIsAskedAndAnswered() public {
        (PrimeQuestion q, DeliverPuppet a) = _ask(alice, 100);
        assertEq(token.balanceOf(alice), 2 * price, "paid");
        assertEq(q.asker(), alice, "asker");
        assertEq(q.limit(), 100, "limit");
        _assertPhase(q, Phase.Pending);
        vm.expectRevert(abi.encodeWithSelector(PrimeQuestion.NoAnswer.selector, Phase.Pending));
        q.answer();

        _answer(q, a, "25\n");
        _assertPhase(q, Phase.Undelivered);
        vm.expectEmit(address(q));
        emit PrimeQuestion.Answered(100, 25);
        vm.prank(stranger);
        assertTrue(a.deliver(0, FILE, "25\n", 0, new bytes32[](0)), "delivered");
        _assertPhase(q, Phase.Answered);
        assertEq(q.answer(), 25, "answer");
    }

    /// @notice What workers see is the client's specification with the limit as its one argument, and terms that name the
    /// question as receiver.
    function test_specificationAndTermsOfAQuestion() public {
        vm.recordLogs();
        (PrimeQuestion q,) = _ask(alice, 1_000_000);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bool seen = false;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IWorkerDispatcher.AgreementBought.selector) continue;
            (,, bytes memory terms, bytes memory spec) =
                abi.decode(logs[i].data, (uint8, uint96, bytes, bytes));
            assertEq(terms, abi.encodePacked(TERMS, address(q), dapp.CALLBACK_GAS()), "terms");
            ComputeSpec memory expected = _spec();
            expected.args = new string[](1);
            expected.args[0] = "1000000";
            assertEq(spec, abi.encode(expected), "spec");
            assertEq(logs[i].topics[2], bytes32(uint256(uint160(address(q)))), "the question is the client");
            seen = true;
        }
        assertTrue(seen, "bought");
    }

    function test_RevertWhen_limitIsOutOfRange() public {
        uint64 max = dapp.MAX_LIMIT();
        uint64[3] memory bad = [0, max + 1, type(uint64).max];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(QuestionDapp.LimitOutOfRange.selector, bad[i], 1, max));
            vm.prank(alice);
            dapp.ask(bad[i]);
        }
        _ask(alice, 1);
        _ask(alice, max);
    }

    function test_RevertWhen_askerCannotPay() public {
        vm.expectRevert();
        vm.prank(stranger);
        dapp.ask(100);
    }

    function test_RevertWhen_termsCannotBeBought() public {
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownKind.selector, 40));
        new QuestionDapp(dispatcher, 40, TERMS, _spec());
    }

    function test_RevertWhen_aQuestionIsOpenedByAnother() public {
        (PrimeQuestion q, DeliverPuppet a) = _ask(alice, 100);
        vm.expectRevert(abi.encodeWithSelector(PrimeQuestion.NotTheDapp.selector, alice, dapp));
        vm.prank(alice);
        q.open(puppetKind, TERMS, "", 0);
        vm.expectRevert(abi.encodeWithSelector(PrimeQuestion.AlreadyOpened.selector, a));
        vm.prank(address(dapp));
        q.open(puppetKind, TERMS, "", 0);
    }

    // ------------------------------------------------------------------------------------------------ no answer

    function test_whoGetsNoAnswerGetsTheMoney() public {
        (PrimeQuestion q, DeliverPuppet a) = _ask(alice, 100);
        a.end(Ending.NoWorker);
        a.tell(abi.encodeCall(IWorkerDispatcher.pay, (address(q), uint96(price))));
        _assertPhase(q, Phase.Failed);
        vm.expectEmit(address(q));
        emit PrimeQuestion.Refunded(alice, price);
        vm.prank(stranger);
        assertEq(q.refund(), price, "refund");
        assertEq(token.balanceOf(alice), 3 * price, "all back");
        assertEq(q.refund(), 0, "once");
        vm.expectRevert(abi.encodeWithSelector(PrimeQuestion.NoAnswer.selector, Phase.Failed));
        q.answer();
    }

    function test_everyEndingButVerifiedIsAFailure() public {
        (PrimeQuestion q, DeliverPuppet a) = _ask(alice, 100);
        for (uint8 i = 0; i <= uint8(type(Ending).max); ++i) {
            a.end(Ending(i));
            Phase expected = Phase.Failed;
            if (Ending(i) == Ending.None) expected = Phase.Pending;
            if (Ending(i) == Ending.Verified) expected = Phase.Undelivered;
            _assertPhase(q, expected);
        }
    }

    /// @notice Refunds of two questions, also when somebody else has fetched them, go each to their own asker.
    function test_attack_anothersRefund() public {
        (PrimeQuestion qa, DeliverPuppet a) = _ask(alice, 100);
        (PrimeQuestion qb, DeliverPuppet b) = _ask(bob, 100);
        a.tell(abi.encodeCall(IWorkerDispatcher.pay, (address(qa), uint96(price))));
        b.tell(abi.encodeCall(IWorkerDispatcher.pay, (address(qb), uint96(price / 4))));
        vm.startPrank(bob);
        dispatcher.withdraw(address(qa));
        dispatcher.withdraw(address(qb));
        assertEq(qb.refund(), price / 4, "his own");
        assertEq(qa.refund(), price, "hers");
        vm.stopPrank();
        assertEq(token.balanceOf(alice), 3 * price, "alice");
        assertEq(token.balanceOf(bob), 2 * price + price / 4, "bob");
    }

    // ------------------------------------------------------------------------------------------------ answers

    /// @notice True but useless content is noted, not tried for ever.
    function test_unusableAnswers() public {
        bytes[7] memory texts = [bytes(""), "\n", "25 ", "-1\n", "2\n5\n", "12345678901234567890", "0x19\n"];
        for (uint256 i = 0; i < texts.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            (PrimeQuestion q, DeliverPuppet a) = _ask(alice, 100);
            _answer(q, a, texts[i]);
            vm.expectEmit(address(q));
            emit PrimeQuestion.NotANumber(texts[i]);
            assertTrue(a.deliver(0, FILE, texts[i], 0, new bytes32[](0)), "delivered");
            _assertPhase(q, Phase.Unusable);
            vm.revertToState(snapshot);
        }
    }

    function test_hugeUselessAnswerStillDelivers() public {
        (PrimeQuestion q, DeliverPuppet a) = _ask(alice, 100);
        bytes memory text = new bytes(10_000);
        _answer(q, a, text);
        assertTrue(a.deliver(0, FILE, text, 0, new bytes32[](0)), "delivered");
        _assertPhase(q, Phase.Unusable);
    }

    function testFuzz_everyNumberComesThrough(uint64 primes, bool lineFeed) public {
        primes = uint64(bound(primes, 0, 10 ** 19 - 1));
        (PrimeQuestion q, DeliverPuppet a) = _ask(alice, 100);
        bytes memory text = bytes(string.concat(vm.toString(primes), lineFeed ? "\n" : ""));
        _answer(q, a, text);
        assertTrue(a.deliver(0, FILE, text, 0, new bytes32[](0)), "delivered");
        assertEq(q.answer(), primes, "answer");
    }

    function test_attack_answerFromElsewhere() public {
        (PrimeQuestion q,) = _ask(alice, 100);
        (, DeliverPuppet b) = _ask(bob, 200);
        _answer(q, b, "46\n");
        assertFalse(b.deliver(0, FILE, "46\n", 0, new bytes32[](0)), "not this question's agreement");
        vm.expectRevert(abi.encodeWithSelector(SunworkReceiver.NotMyAgreement.selector, bob));
        vm.prank(bob);
        q.onSunworkResult(0, "46\n");
        _assertPhase(q, Phase.Pending);
    }

    /// @notice The granted gas is enough for the longest answer, cold, with a quarter to spare.
    function test_callbackGasSuffices() public {
        (PrimeQuestion q, DeliverPuppet a) = _ask(alice, dapp.MAX_LIMIT());
        bytes memory text = "9999999999999999999\n";
        vm.cool(address(q));
        vm.cool(address(a));
        vm.prank(address(a));
        uint256 before = gasleft();
        q.onSunworkResult(0, text);
        assertLt(before - gasleft(), uint256(dapp.CALLBACK_GAS()) * 3 / 4, "gas");
        assertEq(q.answer(), 9_999_999_999_999_999_999, "answer");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _spec() private pure returns (ComputeSpec memory spec) {
        spec.version = 2;
        spec.imageDigest = keccak256("image of apps/primes");
        spec.platform = "linux/amd64";
        spec.args = new string[](2);
        (spec.args[0], spec.args[1]) = ("to be", "replaced");
        spec.inputs = new Input[](1);
        spec.inputs[0] = Input("unused", keccak256("input"), 7);
        (spec.milliCpu, spec.memoryMib, spec.diskMib) = (1000, 64, 16);
        (spec.maxPids, spec.leafSecs, spec.outputMib) = (16, 600, 1);
    }

    function _ask(address asker, uint64 limit) private returns (PrimeQuestion q, DeliverPuppet a) {
        vm.prank(asker);
        q = dapp.ask(limit);
        a = DeliverPuppet(q.agreement());
    }

    /// @dev The agreement of a single task ends as Verified with this file.
    function _answer(PrimeQuestion q, DeliverPuppet a, bytes memory text) private {
        bytes32 digest = this.leafDigest(FILE, text);
        a.setCallback(address(q), dapp.CALLBACK_GAS());
        a.setResult(keccak256(abi.encodePacked(uint8(0), digest)), 1, false);
        a.end(Ending.Verified);
    }

    function _assertPhase(PrimeQuestion q, Phase expected) private view {
        assertEq(uint8(q.phase()), uint8(expected), "phase");
    }
}
