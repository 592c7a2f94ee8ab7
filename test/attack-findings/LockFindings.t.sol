// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Locks that must cover what their owner can cost others.
contract LockFindingsTest is Driver {
    /// @notice Was: with a tiny reward and large fees, a worker that is the client's friend has verifiers work, stays silent,
    /// and they share a lock of next to nothing. Now the lock covers their fees.
    function test_attack_silentWorkerWithTinyRewardPaysTheVerifiers() public {
        ComputeTerms memory t = _terms();
        (t.rewardMin, t.rewardMax, t.verifierFee) = (1000, 1000, uint96(100 * SUN));
        IComputeAgreement a = _driveTo(t, Status.Revealing);
        address verifier = workers[_indexOf(_verifier(a, 0))].payout;
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.WorkerSilent), "the worker hid");
        assertEq(dispatcher.payableOf(verifier), 100 * SUN, "the whole fee");
    }
}
