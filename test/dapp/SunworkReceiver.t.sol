// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AskLib} from "../../contracts/dapp/AskLib.sol";
import {SunworkReceiver} from "../../contracts/dapp/SunworkReceiver.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {DeliverPuppet} from "../mocks/DeliverPuppet.sol";
import {Delivering} from "../utils/Delivering.t.sol";

/// @notice The base contract with its doors open.
contract OpenReceiver is SunworkReceiver {
    event Result(address agreement, uint32 leaf, bytes content);

    constructor(IWorkerDispatcher dispatcher_) SunworkReceiver(dispatcher_) {}

    function ask(uint8 kindId, bytes calldata terms, bytes calldata spec, uint256 budget)
        external
        returns (address)
    {
        return _ask(kindId, terms, spec, budget);
    }

    function withdrawRefunds() external returns (uint256) {
        return _withdrawRefunds();
    }

    function budgetOf(uint8 kindId, bytes calldata terms) external view returns (uint256) {
        return AskLib.budgetOf(dispatcher, kindId, terms);
    }

    function _onResult(address agreement, uint32 leaf, bytes calldata content) internal override {
        emit Result(agreement, leaf, content);
    }
}

contract SunworkReceiverTest is Delivering {
    OpenReceiver private receiver;
    uint256 private price;

    function setUp() public override {
        super.setUp();
        receiver = new OpenReceiver(dispatcher);
        price = receiver.budgetOf(puppetKind, "");
        _give(address(receiver), 10 * price);
    }

    function test_buysWithItsOwnTokensAndLeavesNoAllowance() public {
        uint256 before = token.balanceOf(address(receiver));
        vm.expectEmit(false, true, false, false, address(dispatcher));
        emit IWorkerDispatcher.AgreementBought(address(0), address(receiver), 0, 0, 0, "", "");
        address a = receiver.ask(puppetKind, "terms", "spec", price);
        assertEq(before - token.balanceOf(address(receiver)), price, "paid");
        assertEq(token.allowance(address(receiver), address(dispatcher)), 0, "used up");
        assertTrue(receiver.hasBought(a), "known");

        receiver.ask(puppetKind, "terms", "spec", price + 5);
        assertEq(token.allowance(address(receiver), address(dispatcher)), 0, "the rest taken back");
        vm.expectRevert(
            abi.encodeWithSelector(
                IWorkerDispatcher.InsufficientAllowance.selector, receiver, price - 1, price
            )
        );
        receiver.ask(puppetKind, "terms", "spec", price - 1);
    }

    function test_RevertWhen_askedForBudgetOfUnknownKind() public {
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownKind.selector, 40));
        receiver.budgetOf(40, "");
    }

    function test_takesEachLeafOnceFromItsOwnAgreement() public {
        DeliverPuppet a = _bought(address(receiver), 300);
        uint32[4] memory leaves = [uint32(0), 255, 256, 299];
        for (uint256 i = 0; i < leaves.length; ++i) {
            assertFalse(receiver.hasReceived(address(a), leaves[i]), "not yet");
            vm.expectEmit(address(receiver));
            emit OpenReceiver.Result(address(a), leaves[i], _content(leaves[i]));
            assertTrue(_deliver(a, leaves[i], 300), "delivered");
            assertTrue(receiver.hasReceived(address(a), leaves[i]), "received");
        }
        // Even an agreement that delivered twice.
        vm.prank(address(a));
        vm.expectRevert(abi.encodeWithSelector(SunworkReceiver.AlreadyReceived.selector, a, 256));
        receiver.onSunworkResult(256, "1\n");
    }

    /// @notice Anybody can buy work with answers of his own making, naming any contract.
    function test_attack_resultOfAnAgreementThatAnotherBought() public {
        DeliverPuppet a = _verified(address(receiver), 1);
        assertFalse(_deliver(a, 0, 1), "refused by the receiver");
        assertFalse(a.isDelivered(0), "not delivered");
    }

    function test_attack_resultWithoutAnAgreement() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(SunworkReceiver.NotMyAgreement.selector, stranger));
        receiver.onSunworkResult(0, "1\n");
    }

    /// @notice Refunds come to the contract, whoever fetches them.
    function test_refundsComeBack() public {
        uint256 before = token.balanceOf(address(receiver));
        for (uint256 i = 0; i < 2; ++i) {
            DeliverPuppet a = _bought(address(receiver), 1);
            a.tell(abi.encodeCall(IWorkerDispatcher.pay, (address(receiver), uint96(price))));
            vm.prank(stranger);
            if (i == 0) dispatcher.withdraw(address(receiver));
            else assertEq(receiver.withdrawRefunds(), price, "refund");
            assertEq(token.balanceOf(address(receiver)), before, "all back");
        }
        assertEq(receiver.withdrawRefunds(), 0, "nothing twice");
    }

    function test_callbackTail() public pure {
        bytes memory terms = AskLib.withCallback(hex"0102", address(0xABCD), 0x01020304);
        assertEq(terms, hex"0102000000000000000000000000000000000000abcd01020304", "target, then gas");
    }

    /// @dev Bought by the receiver itself, with a bag of `n` verified results.
    function _bought(address target, uint32 n) private returns (DeliverPuppet a) {
        a = DeliverPuppet(receiver.ask(puppetKind, "", "", price));
        _end(a, target, n);
    }
}
