// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice A token that is paused: nothing comes in, nothing goes out, nothing is lost, and work under way ends as it would have.
contract PausedTokenTest is Driver {
    bytes private constant PAUSED = abi.encodeWithSignature("EnforcedPause()");

    function test_workGoesOnWhileTheTokenIsPaused() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        _pause();
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "no step moves tokens");
        address payout = workers[0].payout;
        uint256 owed = dispatcher.payableOf(payout);
        assertEq(owed, 100 * SUN, "owed");
        vm.expectRevert(PAUSED);
        dispatcher.withdraw(payout);
        vm.expectRevert(PAUSED);
        a.redeemPayment(workers[0].owner);
        assertEq(dispatcher.payableOf(payout), owed, "and stays owed");
        vm.clearMockedCalls();
        assertEq(dispatcher.withdraw(payout), owed, "sent later");
        _assertConserved();
    }

    function test_RevertWhen_boughtStakedOrFunded() public {
        IComputeAgreement a = _buy(_terms());
        bytes memory packed = ComputeTermsLib.pack(_terms());
        _pause();
        bytes memory err =
            abi.encodeWithSelector(IWorkerDispatcher.TransferShort.selector, 0, _budget(_terms()));
        vm.startPrank(client);
        vm.expectRevert(err);
        dispatcher.buyContract(KIND, packed, SPEC);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.TransferShort.selector, 0, 5));
        dispatcher.fund(address(a), 5, "");
        vm.stopPrank();
        assertEq(a.contributionOf(client), 0, "nothing noted");
        _assertConserved();
    }

    function test_unbondedStakeWaits() public {
        address who = workers[4].owner;
        vm.prank(who);
        dispatcher.unstake(STAKE);
        skip(UNBOND_SECS);
        _pause();
        vm.expectRevert(PAUSED);
        dispatcher.withdrawUnbonded(who);
        assertEq(dispatcher.workerInfo(who).unbonding, STAKE, "still there");
        vm.clearMockedCalls();
        assertEq(dispatcher.withdrawUnbonded(who), STAKE, "sent later");
    }

    function _pause() private {
        vm.mockCallRevert(address(token), abi.encodeWithSelector(IERC20.transfer.selector), PAUSED);
        vm.mockCallRevert(address(token), abi.encodeWithSelector(IERC20.transferFrom.selector), PAUSED);
    }
}
