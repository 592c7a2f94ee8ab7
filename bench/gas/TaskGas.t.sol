// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {VmSafe} from "forge-std/Vm.sol";
import {console} from "forge-std/console.sol";
import {ComputeParams, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Driver} from "../../test/utils/Driver.t.sol";

/// @notice All transactions of a whole task, all parties, in a busy network: everybody has been paid before and has other locks
/// open. `cargo xtask bench gas` runs this with `--isolate`, so that each call is a transaction with its 21,000 gas and its
/// calldata, and reads the lines that begin with "bench:".
contract TaskGas is Driver {
    /// @dev As in the measurement of iExec: 78 bytes of parameters.
    bytes internal constant PARAMETERS =
        "{\"iexec_args\":\"0123456789012345678901234567890123456789012345678901234567890\"}";
    /// @dev And 89 bytes of result: where it lies.
    bytes internal constant RESULT =
        "{\"storage\":\"ipfs\",\"location\":\"/ipfs/QmXk7VRz2tWbPLzqZqk6vBkN4u4c9cRrLQh4mGb7yq8b1A01234\"}";

    uint256 internal _gas;
    uint256 internal _calldata;
    bool internal _loud;

    function setUp() public override {
        super.setUp();
        assertEq(PARAMETERS.length, 78, "bytes of parameters");
        assertEq(RESULT.length, 89, "bytes of result");
    }

    function test_tasks() public {
        _bench("compute_v0", _task(1, 0), false);
        _bench("compute_v2", _task(2, 1), false);
        _bench("compute_v4", _task(4, 1), false);
        _bench("compute_v2_merged", _task(2, 1), true);
        _bench("compute_v4_merged", _task(4, 1), true);
        ComputeTerms memory bag = _task(2, 1);
        (bag.leafCount, bag.samples) = (100, 5);
        _bench("bag100_v2", bag, false);
        console.log("bench: bag100_v2_per_leaf", _gas / 100);
        _bench("calldata_v2_task", _task(2, 1), false);
        console.log("bench: calldata_v2", _calldata);
    }

    /// @dev The third of three: the first two have paid everybody and left nothing cold for ever; a fourth holds locks.
    function _bench(string memory name, ComputeTerms memory t, bool merged) internal {
        _loud = false;
        for (uint256 i = 0; i < 2; ++i) {
            _run(t, merged);
            skip(EPOCH_SECS);
        }
        _driveTo(_task(4, 1), Status.Verifying);
        _loud = true;
        _run(t, merged);
        console.log(string.concat("bench: ", name), _gas);
        skip(EPOCH_SECS);
    }

    function _run(ComputeTerms memory t, bool merged) internal returns (IComputeAgreement a) {
        (_gas, _calldata) = (0, 0);
        a = _buyFor(t);
        _send("accept", address(a), workers[0].owner, abi.encodeCall(a.accept, ()));
        bytes32 root = _rootOf(t.leafCount);
        if (t.trustLevel == 0) {
            bytes memory submit =
                abi.encodeCall(a.submitResult, (root, WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB));
            _send("submitResult", address(a), workers[0].owner, submit);
            _send("acceptResult", address(a), client, abi.encodeCall(a.acceptResult, ()));
            return a;
        }
        bytes32 seal_ = _workerSeal(a, root, workers[0].owner);
        bytes memory call = abi.encodeCall(a.sealResult, (seal_, CIPHERTEXT_ROOT, RESULT_BLOB, RESULT));
        _send("sealResult", address(a), workers[0].owner, call);
        // Shared by all agreements of the round, and measured apart.
        beacon.record(a.agreement().round, _beaconProof(a));
        for (uint256 i = 1; i <= t.verifiers; ++i) {
            _claim(a, workers[i].owner, merged);
        }
        vm.warp(a.agreement().closesAt);
        for (uint256 i = 0; i < t.verifiers && !merged; ++i) {
            _verify(a, _verifier(a, i));
        }
        call = abi.encodeCall(a.settleAll, (_workerOpening(a), _honestOpenings(a)));
        _send("settleAll", address(a), workers[0].owner, call);
        assertEq(uint8(a.status()), uint8(Status.Settled), "settled");
    }

    function _buyFor(ComputeTerms memory t) internal returns (IComputeAgreement) {
        vm.recordLogs();
        bytes memory buy = abi.encodeCall(dispatcher.buyContract, (KIND, ComputeTermsLib.pack(t), PARAMETERS));
        _send("buyContract", address(dispatcher), client, buy);
        VmSafe.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != IWorkerDispatcher.AgreementBought.selector) continue;
            return IComputeAgreement(address(uint160(uint256(logs[i].topics[1]))));
        }
        revert("nothing bought");
    }

    function _claim(IComputeAgreement a, address verifier, bool merged) internal {
        (, uint256 index,) = _bestTicket(a, verifier);
        bytes32 seal_ = _verifierSeal(a, verifier, _honestDigests(a, verifier));
        if (merged) {
            _send("claimAndSeal", address(a), verifier, abi.encodeCall(a.claimAndSeal, (index, seal_)));
        } else {
            _send("claim", address(a), verifier, abi.encodeCall(a.claim, (index)));
        }
    }

    function _verify(IComputeAgreement a, address verifier) internal {
        bytes32 seal_ = _verifierSeal(a, verifier, _honestDigests(a, verifier));
        _send("provideVerification", address(a), verifier, abi.encodeCall(a.provideVerification, (seal_)));
    }

    /// @dev One transaction.
    function _send(string memory what, address to, address from, bytes memory data) internal {
        vm.prank(from);
        (bool ok,) = to.call(data);
        assertTrue(ok, what);
        uint256 used = vm.lastCallGas().gasTotalUsed;
        _gas += used;
        _calldata += data.length;
        if (_loud) console.log(string.concat("  ", what), used, data.length);
    }

    function _task(uint8 verifiers, uint8 level) internal pure returns (ComputeTerms memory t) {
        t = _terms();
        t.rewardMax = t.rewardMin;
        (t.leafCount, t.samples, t.verifiers, t.trustLevel) = (1, 1, verifiers, level);
        if (level == 0) t.disputeSecs = 1 hours;
    }

    function _rootOf(uint256 leafCount) internal pure returns (bytes32) {
        return _openingOf(new uint32[](1), leafCount).root;
    }

    /// @dev The tip is for who records a round, which is measured apart; so many claims in step 0 that nobody waits.
    function _params() internal pure virtual override returns (ComputeParams memory p) {
        p = super._params();
        (p.seedTip, p.drawFactor) = (0, 64);
    }
}
