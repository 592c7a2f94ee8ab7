// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IBeacon} from "../../contracts/interfaces/IBeacon.sol";
import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {ComputeDeployer} from "../../script/ComputeDeployer.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";

/// @notice Terms with the flag greenOnly: only positive workers accept and verify.
/// forge-config: default.evm_version = "osaka"
contract GreenOnlyTest is EnergyBase {
    function setUp() public override {
        super.setUp();
        for (uint256 w = 0; w < workers.length; ++w) {
            _registerMeter(w);
        }
        for (uint256 i = 0; i < MIN_DAYS; ++i) {
            for (uint256 w = 0; w < workers.length; ++w) {
                // Worker 4 uses more than it makes.
                _day(w, w == 4 ? 1 : 10, 4);
            }
        }
    }

    function test_positiveWorkersAcceptVerifyAndArePaid() public {
        _makePositive(4);
        IComputeAgreement a = _driveTo(_green(), Status.Settled);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "ending");
    }

    function test_RevertWhen_aWorkerInDeficitAccepts() public {
        IComputeAgreement a = _buy(_green());
        vm.prank(_worker(4));
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotPositive.selector, _worker(4)));
        a.accept();
        vm.prank(workers[4].device);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotPositive.selector, _worker(4)));
        a.accept();
        vm.prank(_worker(1));
        a.accept();
        assertEq(uint8(a.status()), uint8(Status.Working), "another one takes it");
    }

    function test_RevertWhen_aWorkerInDeficitVerifies() public {
        IComputeAgreement a = _driveTo(_green(), Status.Sealed);
        beacon.record(a.agreement().round, _beaconProof(a));
        (, uint256 index,) = _bestTicket(a, _worker(4));
        vm.warp(block.timestamp + 1);
        // Its ticket may be too high as well; the ledger is asked first.
        vm.prank(_worker(4));
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotPositive.selector, _worker(4)));
        a.claim(index);
    }

    function test_RevertWhen_theLastRecordIsOld() public {
        skip(uint256(FRESH_DAYS) * 1 days);
        IComputeAgreement a = _buy(_green());
        vm.prank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotPositive.selector, _worker(0)));
        a.accept();
    }

    function test_plainTermsAskForNoLedger() public {
        IComputeAgreement a = _buy(_terms());
        vm.prank(_worker(4));
        a.accept();
        assertEq(uint8(a.status()), uint8(Status.Working), "accepted");
    }

    function test_greenWorkNobodyTakesIsRefunded() public {
        IComputeAgreement a = _buy(_green());
        uint256 had = _owned(client);
        skip(_terms().acceptSecs + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.NoWorker), "ending");
        assertEq(_owned(client) - had, _budget(_terms()), "all of it");
    }

    function test_ledgerIsFixedInTheKind() public view {
        assertEq(address(implementation.energyLedger()), address(ledger), "asked by every agreement");
    }

    function test_RevertWhen_theDeploymentHasNoLedger() public {
        address without = ComputeDeployer.deploy(dispatcher, IBeacon(address(beacon)), _params());
        vm.prank(owner);
        uint8 kindId = dispatcher.addKind(without);
        assertEq(address(IComputeAgreement(without).energyLedger()), address(0), "none");
        bytes memory packed = ComputeTermsLib.pack(_green());
        vm.prank(client);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoEnergyLedger.selector));
        dispatcher.buyContract(kindId, packed, SPEC);
        packed = ComputeTermsLib.pack(_terms());
        vm.prank(client);
        dispatcher.buyContract(kindId, packed, SPEC);
    }

    function _green() private pure returns (ComputeTerms memory t) {
        t = _terms();
        t.flags = ComputeTermsLib.FLAG_GREEN;
    }

    function _makePositive(uint256 w) private {
        for (uint256 v = 0; v < workers.length; ++v) {
            _day(v, v == w ? 20 : 10, 4);
        }
    }
}
