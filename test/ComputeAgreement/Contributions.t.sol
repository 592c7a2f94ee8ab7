// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice Anybody adds to a reward until it is accepted, and has its part of what is refunded.
contract ContributionsTest is RoundDriver {
    address private _ann = makeAddr("ann");
    address private _bob = makeAddr("bob");

    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < 3; ++i) {
            address who = [_ann, _bob, stranger][i];
            _give(who, 100_000 * SUN);
            vm.prank(who);
            token.approve(address(dispatcher), type(uint256).max);
        }
    }

    // ------------------------------------------------------------------------------------------------ adding

    function test_contributionRaisesTheReward() public {
        IComputeAgreement a = _buy(_terms());
        vm.expectEmit(address(a));
        emit IComputeAgreement.Contributed(_ann, uint96(50 * SUN), uint96(50 * SUN));
        _add(a, _ann, 50 * SUN);
        assertEq(a.agreement().reward, 150 * SUN, "for the next worker");
        vm.expectEmit(address(a));
        emit IComputeAgreement.Contributed(_bob, uint96(20 * SUN), uint96(70 * SUN));
        _add(a, _bob, 20 * SUN);
        _add(a, _ann, 5 * SUN);
        assertEq(a.contributionOf(_ann), 55 * SUN, "added up");
        (uint96 escrow,) = dispatcher.escrowOf(address(a));
        assertEq(escrow, _budget(_terms()) + 75 * SUN, "in the escrow");
        _accept(a);
        assertEq(a.agreement().reward, 175 * SUN, "accepted at that");
        (uint96 locked,) = a.lockOf(workers[0].owner);
        assertEq(locked, a.workerLock(uint96(175 * SUN)), "and locked for that");
        _assertConserved();
    }

    /// @notice Added by approve-and-call, in one transaction of the payer.
    function test_contributionByApproveAndCall() public {
        IComputeAgreement a = _buy(_terms());
        vm.startPrank(_ann);
        token.approve(address(dispatcher), 0);
        bytes memory call = abi.encodeCall(IWorkerDispatcher.fund, (address(a), uint96(9 * SUN), ""));
        token.approveAndCall(address(dispatcher), 9 * SUN, call);
        vm.stopPrank();
        assertEq(a.contributionOf(_ann), 9 * SUN, "Ann's");
    }

    /// @notice Not once somebody has accepted, in whatever status, nor after the offer's time.
    function test_RevertWhen_contributedAfterAcceptance() public {
        Status[7] memory all = [
            Status.Working,
            Status.Sealed,
            Status.Drawing,
            Status.Verifying,
            Status.Revealing,
            Status.Opening,
            Status.Settled
        ];
        for (uint256 i = 0; i < all.length; ++i) {
            IComputeAgreement a = _driveTo(_terms(), all[i]);
            vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, all[i], Status.Open));
            vm.prank(_ann);
            dispatcher.fund(address(a), 1, "");
        }
        IComputeAgreement late = _buy(_terms());
        uint256 deadline = late.agreement().deadline;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        vm.prank(_ann);
        dispatcher.fund(address(late), 1, "");
        assertEq(_owned(_ann), 100_000 * SUN, "nothing was taken");
    }

    /// @notice Offered again after a worker left: contributions are welcome again, and those from before still count.
    function test_contributionToAnOfferThatIsOpenAgain() public {
        IComputeAgreement a = _buy(_terms());
        _add(a, _ann, 10 * SUN);
        _accept(a);
        vm.prank(workers[0].owner);
        a.abort();
        _add(a, _bob, 10 * SUN);
        vm.prank(workers[1].owner);
        a.accept();
        assertEq(a.agreement().reward, 120 * SUN, "both");
    }

    function test_RevertWhen_contributionIsTooLarge() public {
        IComputeAgreement a = _buy(_terms());
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeAgreement.TermsInvalid.selector, "contributions", (1 << 80) + 1, 1, 1 << 80
            )
        );
        vm.prank(_ann);
        dispatcher.fund(address(a), (1 << 80) + 1, "");
        _add(a, _ann, 5);
        vm.expectRevert(
            abi.encodeWithSelector(
                IComputeAgreement.TermsInvalid.selector, "contributions", (1 << 80) + 5, 1, 1 << 80
            )
        );
        vm.prank(_ann);
        dispatcher.fund(address(a), 1 << 80, "");
    }

    // ------------------------------------------------------------------------------------------------ refunds

    /// @notice Nobody accepts: each has back what it paid, by pull, once; the client as ever.
    function test_allBackWhereNobodyAccepts() public {
        IComputeAgreement a = _buy(_terms());
        uint256 before = _owned(client);
        _add(a, _ann, 30 * SUN);
        _add(a, _bob, 7);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Open, Status.Settled)
        );
        a.refundContribution(_ann);
        vm.prank(client);
        a.cancel();
        assertEq(_owned(client) - before, _budget(_terms()), "the client's part is credited at once");
        vm.prank(stranger);
        assertEq(a.refundContribution(_ann), 30 * SUN, "anyone may call");
        assertEq(_owned(_ann), 100_000 * SUN, "to the payer");
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NothingToRefund.selector, _ann));
        a.refundContribution(_ann);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NothingToRefund.selector, stranger));
        a.refundContribution(stranger);
        assertEq(a.refundContribution(_bob), 7, "the rest");
        _assertEmpty(address(a));
    }

    /// @notice In every order of pulling, each has its part to the unit below, the last the rest, and nothing stays.
    function testFuzz_refundsAddUp(uint96[3] memory amounts, uint8 order, bool settles, uint256 waited)
        public
    {
        for (uint256 i = 0; i < 3; ++i) {
            amounts[i] = uint96(bound(amounts[i], 1, 2000 * SUN));
        }
        IComputeAgreement a = _buy(_terms());
        address[3] memory payers = [_ann, _bob, stranger];
        uint256 total = 0;
        for (uint256 i = 0; i < 3; ++i) {
            _add(a, payers[i], amounts[i]);
            total += amounts[i];
        }
        if (settles) {
            skip(bound(waited, 0, 300));
            _settleFrom(a);
        } else {
            _lapse(a);
        }
        (uint96 kept,) = dispatcher.escrowOf(address(a));
        assertEq(_pull(a, amounts, order, total), kept, "all of it");
        if (!settles) assertEq(kept, total, "nobody was paid of it");
        (kept,) = dispatcher.escrowOf(address(a));
        assertEq(kept, 0, "nothing stays");
    }

    /// @dev All three pull, in one of the six orders.
    function _pull(IComputeAgreement a, uint96[3] memory amounts, uint8 order, uint256 total)
        private
        returns (uint256 paid)
    {
        (uint96 kept,) = dispatcher.escrowOf(address(a));
        address[3] memory payers = [_ann, _bob, stranger];
        uint256 step = order % 2 == 0 ? 1 : 2;
        for (uint256 n = 0; n < 3; ++n) {
            uint256 i = (order % 3 + n * step) % 3;
            uint256 got = a.refundContribution(payers[i]);
            assertApproxEqAbs(got, uint256(kept) * amounts[i] / total, 2, "pro rata");
            assertLe(got, amounts[i], "no more than it paid");
            paid += got;
        }
    }

    /// @notice The last one has the rest: three equal payers of one unit too little for three.
    function test_lastTakesTheRest() public {
        IComputeAgreement a = _buy(_terms());
        _add(a, _ann, 1);
        _add(a, _bob, 1);
        _add(a, stranger, 1);
        skip(150);
        _settleFrom(a);
        (uint96 kept,) = dispatcher.escrowOf(address(a));
        assertLt(kept, 3, "rounded down, for the client");
        uint256 sum = a.refundContribution(_ann) + a.refundContribution(_bob) + a.refundContribution(stranger);
        assertEq(sum, kept, "to the last unit");
        (kept,) = dispatcher.escrowOf(address(a));
        assertEq(kept, 0, "nothing stays");
    }

    /// @notice The unspent difference of the price is the client's alone; what was added went to the worker.
    function test_priceDifferenceIsTheClients() public {
        ComputeTerms memory t = _terms();
        IComputeAgreement a = _buy(t);
        _add(a, _ann, 50 * SUN);
        uint256 before = _owned(client);
        _settleFrom(a);
        assertEq(a.refundContribution(_ann), 0, "all of it was paid");
        // The tip went to the keeper who proved the round.
        uint256 spent = uint256(t.rewardMin) + uint256(t.verifiers) * t.verifierFee + SEED_TIP;
        assertEq(_owned(client) - before, _budget(t) - spent, "what the worker did not ask for");
    }

    // ------------------------------------------------------------------------------------------------ attacks

    /// @notice A worker that adds to the reward which it then takes itself gains nothing by it: the client would not get back
    /// what the worker did not ask for.
    function test_attack_workerContributesToItsOwnReward() public {
        uint256 plain = _workersGain(0);
        assertLe(_workersGain(2000 * SUN), plain, "adding to one's own reward is no gain");
    }

    /// @notice Level 0: the client's bond is nobody's contribution. Where nobody looks, all of it is the client's.
    function test_attack_contributorTakesTheClientsBond() public {
        ComputeTerms memory t = _smallTerms(2);
        (t.trustLevel, t.disputeSecs) = (0, 500);
        uint256 plain = _contributorsRefund(t, false);
        assertEq(_contributorsRefund(t, true), plain, "the same with a bond and without");
    }

    /// @notice A bond at level 1 is nobody's contribution either: the disputer has it back where its leaf stays open.
    function test_bondOfADisputeIsNotShared() public {
        ComputeTerms memory t = _terms();
        t.disputeSecs = 500;
        IComputeAgreement a = _buy(t);
        _add(a, _ann, 100 * SUN);
        _toWindow(a);
        uint96 bond = a.disputeBond();
        uint256 before = _owned(_bob);
        vm.prank(_bob);
        dispatcher.fund(address(a), bond, abi.encodePacked(uint32(3)));
        _lapse(a);
        assertEq(_owned(_bob), before, "all of it");
        a.refundContribution(_ann);
        _assertEmpty(address(a));
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _add(IComputeAgreement a, address who, uint256 amount) private {
        vm.prank(who);
        dispatcher.fund(address(a), uint96(amount), "");
    }

    function _settleFrom(IComputeAgreement a) private {
        _accept(a);
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
    }

    function _toWindow(IComputeAgreement a) private {
        _accept(a);
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.status()), uint8(Status.Disputable), "the window");
    }

    /// @dev What a worker earns that accepts at once, less what it added.
    function _workersGain(uint256 added) private returns (uint256) {
        address payout = workers[0].payout;
        uint256 before = _owned(payout);
        IComputeAgreement a = _buy(_terms());
        if (added != 0) {
            _give(payout, added);
            vm.startPrank(payout);
            token.approve(address(dispatcher), added);
            dispatcher.fund(address(a), uint96(added), "");
            vm.stopPrank();
        }
        _settleFrom(a);
        if (added != 0) a.refundContribution(payout);
        return _owned(payout) - added - before;
    }

    function _contributorsRefund(ComputeTerms memory t, bool rejected) private returns (uint256) {
        IComputeAgreement a = _buy(t);
        _add(a, _ann, 1000 * SUN);
        _accept(a);
        vm.prank(workers[0].owner);
        a.submitResult("root", 0, 0, 0);
        uint96 bond = a.disputeBond();
        vm.prank(client);
        if (rejected) dispatcher.fund(address(a), bond, abi.encodePacked(uint32(0)));
        _lapse(a);
        return a.refundContribution(_ann);
    }
}
