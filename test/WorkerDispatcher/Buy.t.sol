// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher, Permit} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {SettlementLib} from "../../contracts/libraries/SettlementLib.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Base} from "../utils/Base.t.sol";

/// @notice buyContract by allowance, by permit, by approve-and-call; every refusal says what is missing.
contract BuyTest is Base {
    function test_buyByAllowance() public {
        ComputeTerms memory t = _terms();
        bytes memory packed = ComputeTermsLib.pack(t);
        uint256 before = token.balanceOf(client);
        vm.expectEmit(false, true, true, true, address(dispatcher));
        emit IWorkerDispatcher.AgreementBought(
            address(0), client, CLASS, KIND, uint96(_budget(t)), packed, SPEC
        );
        vm.prank(client);
        address a = dispatcher.buyContract(KIND, packed, SPEC);
        agreements.push(a);
        assertEq(before - token.balanceOf(client), _budget(t), "budget taken");
        (uint96 escrow, bool known) = dispatcher.escrowOf(a);
        assertEq(escrow, _budget(t), "escrow");
        assertTrue(known, "known");
        assertEq(uint8(IComputeAgreement(a).status()), uint8(Status.Open), "open");
        assertEq(IComputeAgreement(a).client(), client, "client");
        _assertConserved();
    }

    function test_buyByPermit() public {
        vm.prank(client);
        token.approve(address(dispatcher), 0);
        Permit memory permit = _permit(_budget(_terms()));
        bytes memory packed = ComputeTermsLib.pack(_terms());
        vm.prank(client);
        address a = dispatcher.buyContractWithPermit(KIND, packed, SPEC, permit);
        (uint96 escrow,) = dispatcher.escrowOf(a);
        assertEq(escrow, _budget(_terms()), "escrow");
        assertEq(token.allowance(client, address(dispatcher)), 0, "allowance used up");
    }

    function test_buyByApproveAndCall() public {
        uint256 budget = _budget(_terms());
        bytes memory data =
            abi.encodeCall(IWorkerDispatcher.buyContract, (KIND, ComputeTermsLib.pack(_terms()), SPEC));
        vm.expectEmit(false, true, true, true, address(dispatcher));
        emit IWorkerDispatcher.AgreementBought(
            address(0), client, CLASS, KIND, uint96(budget), ComputeTermsLib.pack(_terms()), SPEC
        );
        vm.prank(client);
        assertTrue(token.approveAndCall(address(dispatcher), budget, data), "accepted");
        assertEq(token.allowance(client, address(dispatcher)), 0, "allowance used up");
    }

    function test_stakeByApproveAndCall() public {
        address fresh = makeAddr("fresh");
        _register(fresh, fresh, 1);
        _give(fresh, 500 * SUN);
        vm.prank(fresh);
        token.approveAndCall(
            address(dispatcher), 500 * SUN, abi.encodeCall(IWorkerDispatcher.stake, (500 * SUN))
        );
        assertEq(dispatcher.workerInfo(fresh).bonded, 500 * SUN, "staked");
    }

    function test_RevertWhen_approveAndCallAsksForSomethingElse() public {
        bytes4 selector = IWorkerDispatcher.unstake.selector;
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownCall.selector, selector));
        vm.prank(client);
        token.approveAndCall(address(dispatcher), 1, abi.encodeCall(IWorkerDispatcher.unstake, (1)));
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownCall.selector, bytes4(0)));
        vm.prank(client);
        token.approveAndCall(address(dispatcher), 1, "");
    }

    // ------------------------------------------------------------------------------------------------ money missing

    function test_RevertWhen_balanceIsTooSmall() public {
        vm.startPrank(client);
        _give(stranger, token.balanceOf(client) - 5);
        vm.expectRevert(_insufficientBalance(client, 5, _budget(_terms())));
        dispatcher.buyContract(KIND, ComputeTermsLib.pack(_terms()), SPEC);
        vm.stopPrank();
    }

    function test_RevertWhen_allowanceIsTooSmall() public {
        vm.startPrank(client);
        token.approve(address(dispatcher), 6);
        vm.expectRevert(
            abi.encodeWithSelector(
                IWorkerDispatcher.InsufficientAllowance.selector, client, 6, _budget(_terms())
            )
        );
        dispatcher.buyContract(KIND, ComputeTermsLib.pack(_terms()), SPEC);
        vm.stopPrank();
    }

    // ------------------------------------------------------------------------------------------------ the class

    function test_RevertWhen_classHasTooFewWorkers() public {
        ComputeTerms memory t = _terms();
        t.verifiers = 5;
        _refused(t, abi.encodeWithSelector(IWorkerDispatcher.ClassTooSmall.selector, 0, 5, 6));
        t = _terms();
        t.classId = 1;
        _refused(t, abi.encodeWithSelector(IWorkerDispatcher.ClassTooSmall.selector, 1, 0, 3));
        t.classId = 2;
        _refused(t, abi.encodeWithSelector(IWorkerDispatcher.UnknownClass.selector, 2));
    }

    /// @notice A client that is a worker of the class does not count.
    function test_RevertWhen_clientIsOneOfTheWorkers() public {
        ComputeTerms memory t = _terms();
        t.verifiers = 4;
        bytes memory packed = ComputeTermsLib.pack(t);
        _give(workers[0].owner, 1000 * SUN);
        vm.startPrank(workers[0].owner);
        token.approve(address(dispatcher), 1000 * SUN);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.ClassTooSmall.selector, 0, 4, 5));
        dispatcher.buyContract(KIND, packed, SPEC);
        vm.stopPrank();
        _buy(t);
    }

    function test_RevertWhen_classHasTooLittleStake() public {
        ComputeTerms memory t = _terms();
        t.rewardMax = uint96(30_000 * SUN);
        uint256 need = SettlementLib.workerLock(t.rewardMax, t.verifierFee, t.samples, t.verifiers)
            + t.verifiers * SettlementLib.verifierLock(t.rewardMax, t.verifierFee, t.verifiers);
        assertEq(need, 60_050 * SUN, "locks of worker and verifiers");
        _refused(
            t, abi.encodeWithSelector(IWorkerDispatcher.ClassStakeTooSmall.selector, 0, 50_000 * SUN, need)
        );
    }

    // ------------------------------------------------------------------------------------------------ the terms

    function test_RevertWhen_termsAreOutOfRange() public {
        ComputeTerms memory t = _terms();
        t.trustLevel = 2;
        _outOfRange(t, "trustLevel", 2, 0, 1);
        t = _terms();
        t.flags = 32;
        _outOfRange(t, "flags", 32, 0, 31);
        (t.flags, t.named) = (6, stranger);
        _outOfRange(t, "flags: worker or pool", 6, 0, 5);
        (t.flags, t.named) = (2, address(0));
        _outOfRange(t, "named", 0, 1, type(uint160).max);
        t.flags = 4;
        _outOfRange(t, "named", 0, 1, type(uint160).max);
        t = _terms();
        t.rewardMin = 0;
        _outOfRange(t, "rewardMin", 0, 1, 1 << 80);
        t = _terms();
        t.rewardMax = t.rewardMin - 1;
        _outOfRange(t, "rewardMax", t.rewardMax, t.rewardMin, 1 << 80);
        t = _terms();
        t.verifierFee = (1 << 80) + 1;
        _outOfRange(t, "verifierFee", t.verifierFee, 0, 1 << 80);
        t = _terms();
        t.leafCount = 0;
        _outOfRange(t, "leafCount", 0, 1, 1 << 20);
        t.leafCount = (1 << 20) + 1;
        _outOfRange(t, "leafCount", t.leafCount, 1, 1 << 20);
    }

    function test_RevertWhen_verificationIsOutOfRange() public {
        ComputeTerms memory t = _terms();
        t.verifiers = 0;
        _outOfRange(t, "verifiers", 0, 1, 8);
        t.verifiers = 9;
        _outOfRange(t, "verifiers", 9, 1, 8);
        t = _terms();
        t.samples = 0;
        _outOfRange(t, "samples", 0, 1, 32);
        t.samples = 33;
        _outOfRange(t, "samples", 33, 1, 32);
        (t.verifiers, t.samples) = (8, 17);
        _outOfRange(t, "verifiers * samples", 136, 1, 64);
        t = _terms();
        t.acceptSecs = 0;
        _outOfRange(t, "acceptSecs", 0, 1, type(uint24).max);
        t = _terms();
        t.workSecs = 0;
        _outOfRange(t, "workSecs", 0, 1, type(uint24).max);
        t = _terms();
        t.verifySecs = 0;
        _outOfRange(t, "verifySecs", 0, 1, type(uint24).max);
        t = _terms();
        t.trustLevel = 0;
        _outOfRange(t, "disputeSecs", 0, 1, type(uint24).max);
        t = _terms();
        t.trust = 1;
        _outOfRange(t, "trust", 1, 2, type(uint16).max);
    }

    /// @notice Two unanimous newcomers and the worker reach 2^3 and no more.
    function test_RevertWhen_trustCannotBeReached() public {
        ComputeTerms memory t = _terms();
        t.trust = 8;
        _buy(t);
        t.trust = 9;
        _refused(t, abi.encodeWithSelector(IComputeAgreement.TrustUnreachable.selector, 9, 8));
    }

    function test_RevertWhen_formatIsWrong() public {
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(ComputeTermsLib.TermsLength.selector, 59, 60));
        dispatcher.buyContract(KIND, new bytes(59), SPEC);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownKind.selector, 1));
        dispatcher.buyContract(1, ComputeTermsLib.pack(_terms()), SPEC);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.SpecTooLong.selector, 16_385, 16_384));
        dispatcher.buyContract(KIND, ComputeTermsLib.pack(_terms()), new bytes(16_385));
        dispatcher.buyContract(KIND, ComputeTermsLib.pack(_terms()), new bytes(16_384));
        vm.stopPrank();
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _refused(ComputeTerms memory t, bytes memory err) private {
        bytes memory packed = ComputeTermsLib.pack(t);
        vm.expectRevert(err);
        vm.prank(client);
        dispatcher.buyContract(KIND, packed, SPEC);
    }

    function _outOfRange(ComputeTerms memory t, string memory field, uint256 found, uint256 min, uint256 max)
        private
    {
        _refused(t, abi.encodeWithSelector(IComputeAgreement.TermsInvalid.selector, field, found, min, max));
    }
}
