// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    VerifierOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Accept, seal, draw, verify, reveal, settle, redeem: everybody keeps its promise.
contract HonestPathTest is Driver {
    function test_bagOfSixteenWithTwoVerifiers() public {
        _run(_terms());
    }

    function test_singleTask() public {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples) = (1, 1);
        _run(t);
    }

    function test_moreSamplesThanLeaves() public {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples) = (5, 32);
        _run(t);
    }

    function test_allLeavesSampled() public {
        ComputeTerms memory t = _terms();
        t.samples = 16;
        _run(t);
    }

    /// @notice The largest case that the terms allow: 8 verifiers with 8 leaves each.
    function test_worstCaseFitsATransaction() public {
        _addWorkers(5);
        skip(EPOCH_SECS);
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (1024, 8, 8);
        IComputeAgreement a = _driveTo(t, Status.Revealing);
        uint256 before = gasleft();
        _settleAll(a);
        assertLt(
            before - gasleft(), 1 << 24, "below the gas of a transaction (EIP-7825), with the test's own work"
        );
        _assertEmpty(address(a));
    }

    /// forge-config: default.fuzz.runs = 24
    function testFuzz_anyShape(uint256 leafCount, uint256 samples, uint256 verifiers) public {
        ComputeTerms memory t = _terms();
        t.leafCount = uint32(bound(leafCount, 1, 40));
        t.verifiers = uint8(bound(verifiers, 1, 8));
        t.samples = uint8(bound(samples, 1, 8));
        _addWorkers(5);
        skip(EPOCH_SECS);
        _run(t);
    }

    function test_priceRisesLinearly() public {
        IComputeAgreement a = _buy(_terms());
        assertEq(a.agreement().reward, 100 * SUN, "starts at the minimum");
        skip(75);
        assertEq(a.agreement().reward, _priceAfter(75), "a quarter of the window");
        skip(225);
        assertEq(a.agreement().reward, 200 * SUN, "ends at the maximum");
        _accept(a);
        assertEq(a.agreement().reward, 200 * SUN, "still open in the last second");
    }

    /// @dev In steps of 1/65,535 of the range, rounded down.
    function _priceAfter(uint256 secs) private pure returns (uint256) {
        uint256 steps = 65_535 * secs / 300;
        return 100 * SUN + 100 * SUN * steps / 65_535;
    }

    /// @notice A step of the price is small: never more than 1/65,535 of the range below the straight line.
    function testFuzz_priceIsCloseToTheLine(uint256 secs) public {
        secs = bound(secs, 0, 300);
        IComputeAgreement a = _buy(_terms());
        skip(secs);
        uint256 line = 100 * SUN + 100 * SUN * secs / 300;
        assertLe(a.agreement().reward, line, "rounded for the client");
        assertGe(a.agreement().reward + 100 * SUN / 65_535 + 1, line, "by less than a step");
    }

    /// @notice What the client did not have to pay comes back.
    function testFuzz_unspentDifferenceIsRefunded(uint256 waited) public {
        waited = bound(waited, 0, 300);
        Books memory before = _books();
        IComputeAgreement a = _buy(_terms());
        skip(waited);
        uint256 reward = _priceAfter(waited);
        _accept(a);
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(
            before.client - _books().client, reward + 20 * SUN + SEED_TIP, "client pays the price, no more"
        );
        assertEq(_books().earned[0] - before.earned[0], reward, "worker");
    }

    function test_confidentialWorkWaitsForTheKey() public {
        ComputeTerms memory t = _terms();
        t.flags = 1;
        IComputeAgreement a = _driveTo(t, Status.Keying);
        assertEq(uint8(a.status()), uint8(Status.Keying), "waits for the key");
        skip(50);
        vm.expectEmit(address(a));
        emit KeyPosted(0, "sealed key");
        vm.prank(client);
        a.postKey(workers[0].owner, "sealed key");
        assertEq(a.agreement().deadline, block.timestamp + t.workSecs, "the work clock starts with the key");
        _seal(a);
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
    }

    function test_openingsInSeveralTransactions() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        VerifierOpening[] memory o = _honestOpenings(a);
        _openAs(a, o[1]);
        assertEq(uint8(a.status()), uint8(Status.Opening), "one is missing");
        assertEq(a.agreement().openedCount, 1, "one opened");
        _openAs(a, o[0]);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the last opening settles");
        _assertEmpty(address(a));
    }

    function test_settleAllWithSomeThenTheRest() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        VerifierOpening[] memory o = _honestOpenings(a);
        VerifierOpening[] memory first = new VerifierOpening[](1);
        first[0] = o[0];
        a.settleAll(_workerOpening(a), first);
        assertEq(uint8(a.status()), uint8(Status.Opening), "waits for the other");
        _openAs(a, o[1]);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "settled");
    }

    function test_redeemPaymentIsIdempotentAndForEverybody() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Settled);
        vm.startPrank(stranger);
        assertEq(a.redeemPayment(workers[0].owner), 100 * SUN, "worker's reward");
        assertEq(a.redeemPayment(workers[0].owner), 0, "once");
        assertEq(a.redeemPayment(workers[0].device), 0, "nothing is owed to a device");
        assertEq(a.redeemPayment(client), 100 * SUN, "unspent difference");
        assertEq(a.redeemPayment(client), 0, "once");
        vm.stopPrank();
        assertEq(token.balanceOf(workers[0].payout), 100 * SUN, "to the payout account");
        _assertConserved();
    }

    function test_scoresRiseOnceAnEpoch() public {
        _driveTo(_terms(), Status.Settled);
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 1, "first in this epoch");
        IComputeAgreement a = _driveTo(_terms(), Status.Settled);
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 1, "same epoch");
        assertEq(dispatcher.workerInfo(_verifier(a, 0)).score, 1, "verifiers too");
        skip(EPOCH_SECS);
        _driveTo(_terms(), Status.Settled);
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 2, "next epoch");
    }

    /// @dev Devices do all the work of their owners, within their limits.
    function test_devicesActForTheirWorkers() public {
        IComputeAgreement a = _buy(_terms());
        vm.prank(workers[0].device);
        a.accept();
        assertEq(a.agreement().worker, workers[0].owner, "the identity is the owner");
        (, address device) = a.lockOf(workers[0].owner);
        assertEq(device, workers[0].device, "the lock names the device");
        assertEq(dispatcher.deviceInfo(device).locked, a.workerLock(uint96(100 * SUN)), "counts to its limit");
        bytes32 seal = keccak256("seal");
        vm.prank(workers[0].device);
        a.sealResult(seal, CIPHERTEXT_ROOT, RESULT_BLOB, "");
        assertEq(uint8(a.status()), uint8(Status.Sealed), "sealed by the device");
    }

    function test_lowestTicketsHoldTheSlots() public {
        _addWorkers(5);
        skip(EPOCH_SECS);
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        // Late in the window everybody may claim; whoever comes, the lowest two stay.
        skip(70);
        for (uint256 i = 0; i < workers.length; ++i) {
            _claimIfBelow(a, workers[i].owner);
        }
        AgreementView memory v = a.agreement();
        for (uint256 i = 1; i < workers.length; ++i) {
            if (_holdsSlot(a, workers[i].owner)) continue;
            (,, uint256 ticket) = _bestTicket(a, workers[i].owner);
            assertGt(uint80(ticket >> 176), v.slots[0].ticket, "not lower than a holder");
            assertGt(uint80(ticket >> 176), v.slots[1].ticket, "not lower than a holder");
            assertEq(dispatcher.workerInfo(workers[i].owner).locked, 0, "displaced ones are free");
        }
    }

    /// @dev The whole path, with every balance asserted.
    function _run(ComputeTerms memory t) private {
        Books memory before = _books();
        IComputeAgreement a = _driveTo(t, Status.Revealing);
        AgreementView memory v = a.agreement();
        assertEq(v.slots.length, t.verifiers, "all slots held");
        _settleAll(a);

        assertEq(uint8(a.status()), uint8(Status.Settled), "settled");
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        Books memory b = _books();
        uint256 cost = uint256(t.rewardMin) + uint256(t.verifiers) * t.verifierFee + SEED_TIP;
        assertEq(before.client - b.client, cost, "client");
        assertEq(b.keeper - before.keeper, SEED_TIP, "keeper");
        assertEq(b.burned, before.burned, "nothing burned");
        for (uint256 i = 0; i < workers.length; ++i) {
            uint256 expected = i == 0 ? t.rewardMin : _holdsSlot(a, workers[i].owner) ? t.verifierFee : 0;
            assertEq(b.earned[i] - before.earned[i], expected, "earned");
            assertEq(b.bonded[i], before.bonded[i], "no stake lost");
        }
        _assertEmpty(address(a));
        _assertConserved();
    }

    event KeyPosted(uint8 attempt, bytes sealedKey);
}
