// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Every row of the table "Dead ends" in docs/PROTOCOL.md, ended by a stranger, with the money to the unit.
contract DeadEndsTest is Driver {
    Books private _before;

    function setUp() public override {
        super.setUp();
        _before = _books();
    }

    // ------------------------------------------------------------------------------------------------ nobody loses

    function test_nobodyAccepts() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Open);
        _expire(a);
        _assertCancelled(a, Ending.NoWorker, 0);
    }

    function test_clientCancelsBeforeAnybodyAccepts() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Open);
        vm.prank(client);
        a.cancel();
        _assertCancelled(a, Ending.ByClient, 0);
    }

    function test_clientPostsNoKey() public {
        ComputeTerms memory t = _terms();
        t.flags = 1;
        IComputeAgreement a = _driveTo(t, Status.Keying);
        _expire(a);
        _assertCancelled(a, Ending.NoKey, 0);
    }

    function test_noBeacon() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        _expire(a);
        _assertCancelled(a, Ending.NoBeacon, 0);
    }

    function test_noVerifierClaims() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        _expire(a);
        _assertCancelled(a, Ending.TooFewVerifiers, SEED_TIP);
    }

    function test_tooFewVerifiersClaim() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        skip(70);
        (, uint256 index,) = _bestTicket(a, workers[1].owner);
        vm.prank(workers[1].owner);
        a.claim(index);
        _expire(a);
        _assertCancelled(a, Ending.TooFewVerifiers, SEED_TIP);
    }

    function test_verifiersGoneByDeclining() public {
        ComputeTerms memory t = _terms();
        t.verifiers = 1;
        IComputeAgreement a = _driveTo(t, Status.Drawing);
        for (uint256 i = 1; i <= 4; ++i) {
            _draw(a);
            address verifier = _verifier(a, 0);
            vm.expectEmit(address(a));
            emit IComputeAgreement.VerifierLeft(verifier, 7, 0);
            vm.prank(verifier);
            a.decline(7);
            assertEq(a.agreement().strikes, i, "counted");
        }
        _assertCancelled(a, Ending.VerifiersGone, SEED_TIP);
    }

    /// @notice Who declines frees its slot at once, without fault, and does not come back.
    function test_declinedSlotIsDrawnAgain() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        address verifier = _verifier(a, 1);
        vm.prank(verifier);
        a.decline(1);
        assertEq(uint8(a.status()), uint8(Status.Drawing), "drawn again");
        assertEq(dispatcher.workerInfo(verifier).locked, 0, "free");
        (, uint256 index,) = _bestTicket(a, verifier);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.ExcludedVerifier.selector, verifier));
        vm.prank(verifier);
        a.claim(index);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "others do it");
        assertEq(_books().bonded[_indexOf(verifier)], _before.bonded[_indexOf(verifier)], "no fault");
    }

    // ------------------------------------------------------------------------------------------------ the worker

    /// @notice 5 % of the lock: half to the client, half burned; offered again at the price it had.
    function test_workerAborts() public {
        IComputeAgreement a = _buy(_terms());
        skip(150);
        _accept(a);
        uint96 price = _price(32_767);
        assertEq(a.agreement().reward, price, "half way, in steps of 1/65,535 rounded down");
        skip(100);
        vm.prank(workers[0].owner);
        a.abort();

        uint256 slash = (uint256(a.workerLock(price)) * 5 + 99) / 100;
        Books memory b = _books();
        assertEq(uint8(a.status()), uint8(Status.Open), "offered again");
        assertEq(a.agreement().attempt, 1, "second attempt");
        assertEq(a.agreement().reward, price, "at the price it had");
        assertEq(_before.bonded[0] - b.bonded[0], slash, "the worker pays");
        assertEq(b.burned - _before.burned, slash - slash / 2, "half burned, rounded for the fire");
        assertEq(dispatcher.workerInfo(workers[0].owner).locked, 0, "its lock is free");
        _assertConserved();

        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyTried.selector, workers[0].owner));
        _accept(a);
        skip(150);
        vm.prank(workers[1].owner);
        a.accept();
        // Half of the 32,768 steps that were left.
        assertEq(a.agreement().reward, _price(32_767 + 16_384), "rises from there to the maximum");
        price = a.agreement().reward;
        _finish(a);
        assertEq(_before.client - _books().client, price + 20 * SUN + SEED_TIP - slash / 2, "client");
    }

    /// @dev After so many of the 65,535 steps from 100 to 200 SUN.
    function _price(uint256 steps) private pure returns (uint96) {
        return uint96(100 * SUN + 100 * SUN * steps / 65_535);
    }

    function test_threeWorkersAbort() public {
        IComputeAgreement a = _buy(_terms());
        uint256 slash = ABORT_FEE;
        for (uint256 i = 0; i < 3; ++i) {
            vm.startPrank(workers[i].owner);
            a.accept();
            a.abort();
            vm.stopPrank();
            assertEq(_before.bonded[i] - _books().bonded[i], slash, "each pays");
        }
        Books memory b = _books();
        assertEq(uint8(a.ending()), uint8(Ending.Aborted), "the last of three");
        assertEq(b.client - _before.client, 3 * (slash / 2), "client gets half");
        assertEq(b.burned - _before.burned, 3 * (slash / 2), "half burned");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Of confidential work the whole fee is burned; Confidential.t.sol has the rest of it.
    function test_workerAbortsWhileWaitingForTheKey() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        vm.prank(workers[0].owner);
        a.abort();
        assertEq(uint8(a.status()), uint8(Status.Open), "offered again");
        assertEq(_before.bonded[0] - _books().bonded[0], ABORT_FEE, "the small fee");
        assertEq(_books().burned - _before.burned, ABORT_FEE, "burned");
    }

    /// @notice Vanishing costs 20 % and score; a worker past its deadline cannot take the cheaper abort.
    function test_workerVanishesBeforeItsSeal() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        vm.prank(workers[0].owner);
        a.abort();
        vm.prank(stranger);
        a.expire();
        Books memory b = _books();
        assertEq(uint8(a.status()), uint8(Status.Open), "offered again");
        assertEq(_before.bonded[0] - b.bonded[0], VANISH_FEE, "a fifth of the lock");
        assertEq(b.burned - _before.burned, VANISH_FEE / 2, "half burned");
        _assertConserved();
    }

    function test_threeWorkersVanish() public {
        IComputeAgreement a = _buy(_terms());
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(workers[i].owner);
            a.accept();
            _expire(a);
        }
        Books memory b = _books();
        assertEq(uint8(a.ending()), uint8(Ending.WorkerVanished), "the last of three");
        assertEq(b.client - _before.client, 3 * VANISH_FEE / 2, "client gets half of three fees");
        assertEq(b.burned - _before.burned, 3 * VANISH_FEE / 2, "the other half burned");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Whole lock: the verifiers' fees first, then half to the client and half burned.
    function test_workerSealsAndDoesNotReveal() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        uint256 lock = a.workerLock(uint96(100 * SUN));
        _expire(a);
        Books memory b = _books();
        assertEq(uint8(a.ending()), uint8(Ending.WorkerSilent), "silent");
        assertEq(_before.bonded[0] - b.bonded[0], lock, "whole lock");
        uint256 rest = lock - 20 * SUN;
        assertEq(b.client + SEED_TIP - _before.client, rest / 2, "client: all back, and half of the rest");
        assertEq(b.burned - _before.burned, rest / 2, "half of the rest burned");
        for (uint256 i = 1; i < workers.length; ++i) {
            uint256 fee = _holdsSlot(a, workers[i].owner) ? 10 * SUN : 0;
            assertEq(b.earned[i] - _before.earned[i], fee, "those that sealed are paid");
            assertEq(b.bonded[i], _before.bonded[i], "and free");
        }
        _assertEmpty(address(a));
        _assertConserved();
    }

    // ------------------------------------------------------------------------------------------------ a verifier

    function test_verifierVanishesBeforeItsSeal() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        address present = _verifier(a, 0);
        address absent = _verifier(a, 1);
        _sealAs(a, present, _honestDigests(a, present));
        uint256 slash = uint256(a.verifierLock(uint96(100 * SUN))) / 5;
        _expire(a);
        assertEq(uint8(a.status()), uint8(Status.Drawing), "its slot is drawn again");
        assertEq(a.agreement().slots.length, 1, "the other keeps its own");
        assertEq(_verifier(a, 0), present, "and its seal");
        assertEq(_before.bonded[_indexOf(absent)] - _books().bonded[_indexOf(absent)], slash, "pays");
        assertEq(_books().burned - _before.burned, slash / 2, "half burned");

        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "goes on");
        assertEq(
            _before.client - _books().client, 120 * SUN + SEED_TIP - slash / 2, "the other half to the client"
        );
        _assertEmpty(address(a));
        _assertConserved();
    }

    function test_verifiersVanishUntilTheyAreGone() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        uint256 slash = uint256(a.verifierLock(uint96(100 * SUN))) / 5;
        _expire(a);
        _draw(a);
        _expire(a);
        Books memory b = _books();
        assertEq(uint8(a.ending()), uint8(Ending.VerifiersGone), "four strikes");
        for (uint256 i = 1; i < workers.length; ++i) {
            assertEq(_before.bonded[i] - b.bonded[i], slash, "each pays");
        }
        assertEq(b.client + SEED_TIP - _before.client, 4 * (slash / 2), "client");
        assertEq(b.bonded[0], _before.bonded[0], "the worker broke no promise");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Whole lock: half shared by worker and the other verifier, half burned.
    function test_verifierSealsAndDoesNotOpen() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        address silent = _verifier(a, 1);
        _openAs(a, _opening(_verifier(a, 0), new bytes32[](0)));
        uint256 lock = a.verifierLock(uint96(100 * SUN));
        _expire(a);
        Books memory b = _books();
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the others are paid");
        assertEq(_before.bonded[_indexOf(silent)] - b.bonded[_indexOf(silent)], lock, "whole lock");
        assertEq(b.earned[0] - _before.earned[0], 100 * SUN, "worker");
        uint256 other = _indexOf(_verifier(a, 0));
        assertEq(b.earned[other] - _before.earned[other], 10 * SUN, "verifier");
        assertEq(b.burned - _before.burned, lock, "all burned: nobody gains by another's silence");
        assertEq(_before.client - b.client, 110 * SUN + SEED_TIP, "the silent one's fee is the client's");
        _assertEmpty(address(a));
        _assertConserved();
    }

    function test_nobodyOpens() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        uint256 lock = a.verifierLock(uint96(100 * SUN));
        _expire(a);
        Books memory b = _books();
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the client has the result");
        assertEq(b.earned[0] - _before.earned[0], 100 * SUN, "worker: its reward");
        assertEq(b.burned - _before.burned, 2 * lock, "two locks");
        _assertConserved();
    }

    // ------------------------------------------------------------------------------------------------ who ends it

    /// @notice `redeemPayment` moves an agreement on as `expire` does, so that nobody needs a keeper.
    function test_redeemPaymentEndsItToo() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        skip(121);
        vm.prank(client);
        assertEq(a.redeemPayment(client), _budget(_terms()), "refund in one transaction");
        assertEq(uint8(a.ending()), uint8(Ending.NoBeacon), "ended");
        _assertConserved();
    }

    function test_RevertWhen_expiredAfterTheEnd() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Settled);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Settled, Status.Open)
        );
        a.expire();
    }

    /// @dev Checks that it is refused until the deadline, then ends the status as a stranger.
    function _expire(IComputeAgreement a) private {
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.NotYetExpired.selector, deadline, deadline));
        vm.prank(stranger);
        a.expire();
        vm.warp(deadline + 1);
        vm.prank(stranger);
        a.expire();
    }

    /// @dev From Working on, by whoever is the worker.
    function _finish(IComputeAgreement a) private {
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @dev All refunded but the tip, no stake touched, no lock left.
    function _assertCancelled(IComputeAgreement a, Ending how, uint256 tip) private view {
        assertEq(uint8(a.status()), uint8(Status.Cancelled), "cancelled");
        assertEq(uint8(a.ending()), uint8(how), "ending");
        Books memory b = _books();
        assertEq(_before.client - b.client, tip, "client gets all back");
        assertEq(b.keeper - _before.keeper, tip, "keeper");
        assertEq(b.burned, _before.burned, "nothing burned");
        for (uint256 i = 0; i < workers.length; ++i) {
            assertEq(b.bonded[i], _before.bonded[i], "no stake lost");
            assertEq(b.earned[i], _before.earned[i], "nobody is paid");
        }
        _assertEmpty(address(a));
        _assertConserved();
    }
}
