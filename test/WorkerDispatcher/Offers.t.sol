// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ISignatures} from "../../contracts/interfaces/ISignatures.sol";
import {ISignedOrders} from "../../contracts/interfaces/ISignedOrders.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Order} from "../../contracts/types/Order.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Signed offers at the real dispatcher: bought and accepted in one transaction, or refused with the reason. `OrderLib`
/// itself, with every forged signature: test/libraries/OrderLib.t.sol, test/attack/Orders.t.sol.
contract OffersTest is Driver {
    function test_boughtAndAcceptedAtOnce() public {
        Order memory o = _order();
        uint256 before = _owned(client);
        IComputeAgreement a = _take(o, workers[0].owner);
        assertEq(uint8(a.status()), uint8(Status.Working), "accepted");
        assertEq(a.agreement().worker, workers[0].owner, "by who came");
        assertEq(a.client(), client, "for the client");
        assertEq(before - _owned(client), _budget(_terms()), "who pays");
        assertEq(dispatcher.orderUses(client, dispatcher.orderHash(o)), 1, "counted");
        _refused(o, abi.encodeWithSelector(ISignedOrders.OrderUsedUp.selector, dispatcher.orderHash(o), 1, 1));
    }

    /// @notice The price runs from the order's start, not from the purchase.
    function test_priceRunsFromTheOrder() public {
        Order memory o = _order();
        skip(150);
        IComputeAgreement a = _take(o, workers[0].device);
        assertEq(a.agreement().worker, workers[0].owner, "a device takes it for its worker");
        assertEq(a.agreement().reward, 100 * SUN + 100 * SUN * 32_767 / 65_535, "half way");
    }

    function test_cancelledOneByOneAndAllAtOnce() public {
        Order memory o = _order();
        bytes32 hash = dispatcher.orderHash(o);
        // Nobody cancels another's.
        vm.prank(stranger);
        dispatcher.cancelOrder(hash);
        vm.prank(stranger);
        dispatcher.cancelAllOrders();
        uint256 snapshot = vm.snapshotState();
        _take(o, workers[0].owner);
        vm.revertToState(snapshot);

        vm.prank(client);
        dispatcher.cancelOrder(hash);
        assertEq(dispatcher.orderUses(client, hash), type(uint32).max, "for good");
        _refused(o, abi.encodeWithSelector(ISignedOrders.OrderIsCancelled.selector, hash));
        vm.revertToState(snapshot);

        vm.prank(client);
        assertEq(dispatcher.cancelAllOrders(), 1, "the next nonce");
        assertEq(dispatcher.orderNonceOf(client), 1, "shown");
        _refused(o, abi.encodeWithSelector(ISignedOrders.OrderNonceMismatch.selector, client, 0, 1));
    }

    /// @notice Too early, too late, for another, with another specification, without a use, of another nonce or signer.
    function test_RevertWhen_theOrderDoesNotFit() public {
        Order memory o = _order();
        o.startAt += 1;
        _refused(
            o, abi.encodeWithSelector(ISignedOrders.OrderNotStarted.selector, block.timestamp, o.startAt)
        );
        o = _order();
        o.expiry = uint40(block.timestamp - 1);
        _refused(o, abi.encodeWithSelector(ISignedOrders.OrderExpired.selector, block.timestamp, o.expiry));
        o = _order();
        o.worker = workers[3].owner;
        _refused(
            o,
            abi.encodeWithSelector(
                ISignedOrders.OrderForAnotherWorker.selector, workers[0].owner, workers[3].owner
            )
        );
        o = _order();
        o.specHash = "another";
        _refused(
            o, abi.encodeWithSelector(ISignedOrders.OrderSpecMismatch.selector, keccak256(SPEC), o.specHash)
        );
        o = _order();
        o.volume = 0;
        _refused(o, abi.encodeWithSelector(ISignedOrders.OrderUsedUp.selector, dispatcher.orderHash(o), 0, 0));
        o = _order();
        o.nonce = type(uint64).max;
        _refused(
            o, abi.encodeWithSelector(ISignedOrders.OrderNonceMismatch.selector, client, type(uint64).max, 0)
        );
        o = _order();
        o.client = stranger;
        bytes memory signature = _sign(o);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.WrongSigner.selector, client, stranger));
        vm.prank(workers[0].owner);
        dispatcher.acceptOffer(o, SPEC, signature);
    }

    /// @notice A stranger cannot accept, and its attempt leaves the order unused. Nor can a worker when the client has no money.
    function test_RevertWhen_workerOrClientCannot() public {
        Order memory o = _order();
        bytes memory signature = _sign(o);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.UnknownWorker.selector, stranger));
        vm.prank(stranger);
        dispatcher.acceptOffer(o, SPEC, signature);
        assertEq(dispatcher.orderUses(client, dispatcher.orderHash(o)), 0, "unused");
        uint256 all = token.balanceOf(client);
        vm.prank(client);
        assertTrue(token.transfer(stranger, all), "spent");
        _refused(o, _insufficientBalance(client, 0, _budget(_terms())));
    }

    /// @notice A fee, an unknown kind or class, unsellable terms: as in a purchase.
    function test_RevertWhen_whatIsOrderedIsNotSold() public {
        Order memory o = _order();
        o.kindId = 47;
        _refused(o, abi.encodeWithSelector(IWorkerDispatcher.UnknownKind.selector, 47));
        o = _order();
        o.terms = "too short";
        _refused(o, abi.encodeWithSelector(ComputeTermsLib.TermsLength.selector, 9, 60));
    }

    function test_domainIsShown() public view {
        (bytes1 fields, string memory name, string memory version, uint256 chain, address at_,,) =
            dispatcher.eip712Domain();
        assertEq(fields, bytes1(0x0f), "name, version, chain, contract");
        assertEq(string.concat(name, version), "Sunwork1", "name and version");
        assertEq(chain, block.chainid, "chain");
        assertEq(at_, address(dispatcher), "contract");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _order() private view returns (Order memory o) {
        (o.client, o.kindId, o.terms, o.specHash) =
        (client, KIND, ComputeTermsLib.pack(_terms()), keccak256(SPEC));
        (o.startAt, o.expiry) = (uint40(block.timestamp), uint40(block.timestamp + 1 hours));
        (o.volume, o.salt) = (1, "salt");
    }

    function _sign(Order memory o) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(clientKey, dispatcher.orderHash(o));
        return abi.encodePacked(r, s, v);
    }

    function _take(Order memory o, address who) private returns (IComputeAgreement) {
        bytes memory signature = _sign(o);
        vm.prank(who);
        address a = dispatcher.acceptOffer(o, SPEC, signature);
        agreements.push(a);
        return IComputeAgreement(a);
    }

    function _refused(Order memory o, bytes memory err) private {
        bytes memory signature = _sign(o);
        vm.expectRevert(err);
        vm.prank(workers[0].owner);
        dispatcher.acceptOffer(o, SPEC, signature);
    }
}
