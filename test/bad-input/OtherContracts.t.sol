// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ERC20} from "solady/tokens/ERC20.sol";
import {BlockBeacon} from "../../contracts/beacon/BlockBeacon.sol";
import {DrandBeacon} from "../../contracts/beacon/DrandBeacon.sol";
import {SunworkReceiver} from "../../contracts/dapp/SunworkReceiver.sol";
import {Phase, PrimeQuestion} from "../../contracts/dapp/examples/PrimeQuestion.sol";
import {QuestionDapp} from "../../contracts/dapp/examples/QuestionDapp.sol";
import {IBeacon} from "../../contracts/interfaces/IBeacon.sol";
import {SunToken} from "../../contracts/token/SunToken.sol";
import {ComputeSpec} from "../../contracts/types/ComputeTerms.sol";
import {Delivering} from "../utils/Delivering.t.sol";
import {DrandVectors} from "../utils/DrandVectors.sol";

/// @notice Beacons, token and dapp with arguments that are zero, maximal or random.
contract OtherContractsTest is Delivering {
    DrandBeacon private _drand;
    QuestionDapp private _dapp;

    function setUp() public override {
        super.setUp();
        _drand = new DrandBeacon(DrandVectors.params("quicknet"));
        ComputeSpec memory spec;
        _dapp = new QuestionDapp(dispatcher, puppetKind, "packed terms", spec);
    }

    // ------------------------------------------------------------------------------------------------ beacons

    function testFuzz_blockBeacon(uint48 round, bytes calldata header, address who) public {
        vm.roll(1_000_000);
        vm.prank(who);
        (bool ok, bytes memory answer) = address(beacon).call(abi.encodeCall(beacon.record, (round, header)));
        assertFalse(ok, "no header of any block");
        bytes4 why = bytes4(answer);
        if (round >= block.number) assertEq(why, IBeacon.RoundNotReached.selector, "to come");
        else if (why != IBeacon.RoundTooOld.selector) assertEq(why, IBeacon.WrongProof.selector, "another");
        assertGt(answer.length, 64, "with what was found and allowed");
        assertEq(beacon.seedOf(round), 0, "nothing recorded");
    }

    function test_blockBeaconAtTheEnds() public {
        uint48[3] memory rounds = [uint48(block.number), uint48(block.number + 1), type(uint48).max];
        for (uint256 i = 0; i < rounds.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundNotReached.selector, rounds[i], block.number));
            beacon.record(rounds[i], "");
        }
        vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundTooOld.selector, 0, block.number));
        beacon.record(0, "");
        assertEq(new BlockBeacon(0).marginBlocks(), 1, "a margin of none is one");
        assertEq(new BlockBeacon(type(uint48).max).marginBlocks(), type(uint48).max, "as it is told");
    }

    function testFuzz_drandBeacon(uint48 round, bytes calldata proof, address who) public {
        vm.prank(who);
        (bool ok, bytes memory answer) = address(_drand).call(abi.encodeCall(_drand.record, (round, proof)));
        assertFalse(ok, "no signature");
        bytes4 why = bytes4(answer);
        if (round > _drand.currentRound()) assertEq(why, IBeacon.RoundNotReached.selector, "to come");
        else if (proof.length != 96) assertEq(why, DrandBeacon.WrongProofLength.selector, "no proof");
        assertGt(answer.length, 64, "with what was found and allowed");
    }

    /// @notice Rounds count from 1.
    function test_RevertWhen_timeOfRoundZeroIsAskedFor() public {
        vm.expectRevert(abi.encodeWithSelector(DrandBeacon.NoSuchRound.selector, 0, 1));
        _drand.timeOf(0);
        assertGt(_drand.timeOf(type(uint48).max), 0, "the largest has one");
    }

    // ------------------------------------------------------------------------------------------------ token

    /// @notice Nobody moves or burns more than it has or was allowed. The errors are those of solady's ERC20, which name no amounts.
    function testFuzz_tokenMovesNoMoreThanThereIs(address who, uint256 amount, uint256 allowed) public {
        vm.assume(who != address(0) && token.balanceOf(who) == 0);
        amount = bound(amount, 1, type(uint256).max);
        _refused(who, abi.encodeCall(token.transfer, (stranger, amount)), ERC20.InsufficientBalance.selector);
        _refused(who, abi.encodeCall(token.burn, (amount)), ERC20.InsufficientBalance.selector);
        allowed = bound(allowed, 0, amount - 1);
        vm.prank(client);
        token.approve(who, allowed);
        _refused(
            who,
            abi.encodeCall(token.transferFrom, (client, who, amount)),
            ERC20.InsufficientAllowance.selector
        );
        assertEq(token.totalSupply(), token.SUPPLY(), "as before");
    }

    function _refused(address who, bytes memory call, bytes4 why) private {
        vm.prank(who);
        (bool ok, bytes memory answer) = address(token).call(call);
        assertFalse(ok, "refused");
        assertEq(answer, abi.encodeWithSelector(why), "with solady's error");
    }

    function test_RevertWhen_approveAndCallIsOfAnAccount() public {
        vm.prank(client);
        (bool ok, bytes memory answer) =
            address(token).call(abi.encodeCall(token.approveAndCall, (stranger, 1, "")));
        assertFalse(ok, "refused");
        assertEq(answer, abi.encodeWithSelector(SunToken.ReceiverRefused.selector, stranger), "and says so");
        assertEq(token.allowance(client, stranger), 0, "and without an allowance");
    }

    // ------------------------------------------------------------------------------------------------ dapp

    function testFuzz_dappTakesLimitsOfItsRange(uint64 limit) public {
        uint64 max = _dapp.MAX_LIMIT();
        vm.assume(limit == 0 || limit > max);
        vm.expectRevert(abi.encodeWithSelector(QuestionDapp.LimitOutOfRange.selector, limit, 1, max));
        _dapp.ask(limit);
    }

    /// @notice Whoever is no agreement of a question delivers nothing to it, and only the dapp opens it.
    function testFuzz_questionListensToItsAgreement(address who, uint32 leaf, bytes calldata content) public {
        PrimeQuestion q = _asked();
        vm.assume(who != q.agreement() && who != address(_dapp));
        vm.startPrank(who);
        vm.expectRevert(abi.encodeWithSelector(SunworkReceiver.NotMyAgreement.selector, who));
        q.onSunworkResult(leaf, content);
        vm.expectRevert(abi.encodeWithSelector(PrimeQuestion.NotTheDapp.selector, who, _dapp));
        q.open(puppetKind, content, content, leaf);
        vm.stopPrank();
        assertEq(q.refund(), 0, "nothing came back yet");
    }

    /// @notice What questions are clones of is no question: not bought, without an asker.
    function test_implementationOfQuestionsIsNone() public {
        PrimeQuestion q = PrimeQuestion(vm.computeCreateAddress(address(_dapp), 1));
        assertEq(q.dapp(), address(_dapp), "made by the dapp");
        assertEq(uint8(q.phase()), uint8(Phase.New), "nothing was asked");
        vm.expectRevert(abi.encodeWithSelector(PrimeQuestion.NoAnswer.selector, Phase.New));
        q.answer();
        assertEq(q.refund(), 0, "nothing to send to nobody");
    }

    function _asked() private returns (PrimeQuestion q) {
        uint256 price = _dapp.price();
        vm.startPrank(client);
        token.approve(address(_dapp), price);
        q = _dapp.ask(100);
        vm.stopPrank();
    }
}
