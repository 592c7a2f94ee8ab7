// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Attacks on the claim window. Each test failed before its fix; the fix is named in test/invariant/README.md.
contract DrawFindingsTest is Driver {
    /// @notice D1. A second window closed after its own deadline: between the two anybody's `expire` cancelled the
    /// agreement although all slots were taken, so a cheating worker with one friend among the drawn got away free.
    function test_redrawnWindowClosesBeforeItsDeadline() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        vm.prank(_verifier(a, 0));
        a.decline(1);
        assertEq(uint8(a.status()), uint8(Status.Drawing), "offered anew");
        uint40 deadline = a.agreement().deadline;
        for (uint256 i = 0; i < workers.length; ++i) {
            _claimIfBelow(a, workers[i].owner);
        }
        AgreementView memory v = a.agreement();
        assertEq(v.slots.length, 2, "the free slot is taken");
        assertLe(v.closesAt, deadline, "closes within the window");
        assertLe(v.closesAt, block.timestamp + _params().drawStepSecs, "at the end of the present step");

        vm.warp(uint256(deadline) + 1);
        assertEq(uint8(a.status()), uint8(Status.Verifying), "no gap in which expire() cancels");
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "settled");
        _assertEmpty(address(a));
    }

    /// @notice D2. The claim that fills the last slot in the very last second counts.
    function test_lastClaimInTheLastSecondCounts() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        uint40 deadline = a.agreement().deadline;
        vm.warp(deadline);
        for (uint256 i = 0; i < workers.length && a.status() == Status.Drawing; ++i) {
            _claimIfBelow(a, workers[i].owner);
        }
        assertEq(a.agreement().slots.length, 2, "both slots taken at the deadline");
        vm.warp(uint256(deadline) + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IWorkAgreement.NotYetExpired.selector,
                block.timestamp,
                uint256(deadline) + _terms().verifySecs
            )
        );
        a.expire();
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "settled");
    }

    /// @notice D3. Claim and decline in one block, before anybody is drawn, was a free strike: `maxStrikes` identities
    /// with one ticket each could end any agreement. Only those whose tickets stand when the window closes may decline.
    function test_onlyTheDrawnMayDecline() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        address claimer;
        while (claimer == address(0)) {
            for (uint256 i = 0; i < workers.length && claimer == address(0); ++i) {
                if (_claimIfBelow(a, workers[i].owner)) claimer = workers[i].owner;
            }
            if (claimer == address(0)) skip(_params().drawStepSecs);
        }
        vm.prank(claimer);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Drawing, Status.Verifying)
        );
        a.decline(1);
        assertEq(a.agreement().strikes, 0, "no strike");
    }

    /// @notice D4. A worker that missed its deadline paid the small fee of an abort, without a mark on its score, if it
    /// was faster than everybody's `expire`.
    function test_noAbortAfterTheDeadline() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        vm.prank(workers[0].owner);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        a.abort();
        vm.warp(deadline);
        vm.prank(workers[0].owner);
        a.abort();
        assertEq(uint8(a.status()), uint8(Status.Open), "in time it is allowed");
    }

    /// @notice The same for a client's missing key: the worker is free then, nothing is to be aborted.
    function test_noAbortAfterTheKeyDeadline() public {
        ComputeTerms memory t = _terms();
        t.flags = 1;
        IComputeAgreement a = _driveTo(t, Status.Keying);
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        vm.prank(workers[0].owner);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline));
        a.abort();
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.NoKey), "cancelled without fault");
        assertEq(dispatcher.workerInfo(workers[0].owner).bonded, STAKE, "nothing lost");
    }
}
