// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Execution gas of each transaction, everything cold, for `.gas-snapshot`. The 21,000 of a transaction and its
/// calldata come on top. Unless said otherwise: 16 leaves, two verifiers with four samples each.
contract GasTest is Driver {
    modifier unmetered() {
        vm.pauseGasMetering();
        _;
    }

    // ------------------------------------------------------------------------------------------------ registry

    function test_gas_registerWorker() public unmetered {
        bytes32[] memory hashes = _kindHashes();
        _measure(
            address(dispatcher),
            stranger,
            abi.encodeCall(dispatcher.registerWorker, (keeper, 1, hashes, "a", "b"))
        );
    }

    function test_gas_setDevice() public unmetered {
        _measure(
            address(dispatcher),
            workers[0].owner,
            abi.encodeCall(dispatcher.setDevice, (stranger, DEVICE_LIMIT))
        );
    }

    function test_gas_setEncryptionKey() public unmetered {
        _measure(address(dispatcher), client, abi.encodeCall(dispatcher.setEncryptionKey, ("x25519")));
    }

    function test_gas_setKeyAgent() public unmetered {
        _measure(address(dispatcher), client, abi.encodeCall(dispatcher.setKeyAgent, (keeper)));
    }

    function test_gas_stake() public unmetered {
        _give(workers[0].owner, STAKE);
        vm.prank(workers[0].owner);
        token.approve(address(dispatcher), STAKE);
        _measure(address(dispatcher), workers[0].owner, abi.encodeCall(dispatcher.stake, (STAKE)));
    }

    function test_gas_unstake() public unmetered {
        _measure(address(dispatcher), workers[0].owner, abi.encodeCall(dispatcher.unstake, (STAKE)));
    }

    function test_gas_withdrawUnbonded() public unmetered {
        vm.prank(workers[0].owner);
        dispatcher.unstake(STAKE);
        skip(UNBOND_SECS);
        _measure(
            address(dispatcher), stranger, abi.encodeCall(dispatcher.withdrawUnbonded, (workers[0].owner))
        );
    }

    // ------------------------------------------------------------------------------------------------ buying

    function test_gas_buyContract() public unmetered {
        bytes memory packed = ComputeTermsLib.pack(_terms());
        _measure(
            address(dispatcher),
            client,
            abi.encodeCall(dispatcher.buyContract, (KIND, packed, new bytes(800)))
        );
    }

    function test_gas_buyContractWithPermit() public unmetered {
        bytes memory packed = ComputeTermsLib.pack(_terms());
        bytes memory call = abi.encodeCall(
            dispatcher.buyContractWithPermit, (KIND, packed, new bytes(800), _permit(_budget(_terms())))
        );
        _measure(address(dispatcher), client, call);
    }

    function test_gas_buyByApproveAndCall() public unmetered {
        bytes memory packed = ComputeTermsLib.pack(_terms());
        bytes memory buy = abi.encodeCall(dispatcher.buyContract, (KIND, packed, new bytes(800)));
        uint256 budget = _budget(_terms());
        _measure(
            address(token), client, abi.encodeCall(token.approveAndCall, (address(dispatcher), budget, buy))
        );
    }

    // ------------------------------------------------------------------------------------------------ working

    function test_gas_accept() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Open);
        _measure(address(a), workers[0].owner, abi.encodeCall(a.accept, ()));
    }

    function test_gas_acceptByDevice() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Open);
        _measure(address(a), workers[0].device, abi.encodeCall(a.accept, ()));
    }

    function test_gas_acceptConfidential() public unmetered {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Open);
        _measure(address(a), workers[0].owner, abi.encodeCall(a.accept, ()));
    }

    function test_gas_postKey() public unmetered {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _measure(address(a), client, abi.encodeCall(a.postKey, (workers[0].owner, new bytes(81))));
    }

    function test_gas_postKeyByAgent() public unmetered {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        _setAgent(client, keeper);
        _measure(address(a), keeper, abi.encodeCall(a.postKey, (workers[0].owner, new bytes(81))));
    }

    function test_gas_abortConfidential() public unmetered {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Working);
        _measure(address(a), workers[0].owner, abi.encodeCall(a.abort, ()));
    }

    function test_gas_expireKeying() public unmetered {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Keying);
        skip(61);
        _measure(address(a), stranger, abi.encodeCall(a.expire, ()));
    }

    function test_gas_abort() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        _measure(address(a), workers[0].owner, abi.encodeCall(a.abort, ()));
    }

    function test_gas_sealResult() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Working);
        _measure(
            address(a),
            workers[0].owner,
            abi.encodeCall(a.sealResult, (bytes32("seal"), CIPHERTEXT_ROOT, RESULT_BLOB, ""))
        );
    }

    // ------------------------------------------------------------------------------------------------ verifying

    function test_gas_openDraw() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        bytes memory proof = _beaconProof(a);
        _measure(address(a), keeper, abi.encodeCall(a.openDraw, (proof)));
    }

    function test_gas_openDrawOfAKnownRound() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        beacon.record(a.agreement().round, _beaconProof(a));
        _measure(address(a), keeper, abi.encodeCall(a.openDraw, ("")));
    }

    function test_gas_claimFirst() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        _claim(a, 1);
    }

    function test_gas_claimLast() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Drawing);
        skip(70);
        _claimIfBelow(a, workers[1].owner);
        _claim(a, 2);
    }

    function test_gas_provideVerificationFirst() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        _measure(address(a), _verifier(a, 0), abi.encodeCall(a.provideVerification, (bytes32("seal"))));
    }

    function test_gas_provideVerificationLast() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        _sealAs(a, _verifier(a, 0), _honestDigests(a, _verifier(a, 0)));
        _measure(address(a), _verifier(a, 1), abi.encodeCall(a.provideVerification, (bytes32("seal"))));
    }

    function test_gas_decline() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        _measure(address(a), _verifier(a, 0), abi.encodeCall(a.decline, (1)));
    }

    // ------------------------------------------------------------------------------------------------ settling

    function test_gas_reveal() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Revealing);
        _measure(address(a), workers[0].owner, abi.encodeCall(a.reveal, (_workerOpening(a))));
    }

    function test_gas_openVerificationFirst() public unmetered {
        _open(_driveTo(_terms(), Status.Opening), 0);
    }

    function test_gas_openVerificationLast() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        _openAs(a, _opening(_verifier(a, 0), new bytes32[](0)));
        _open(a, 1);
    }

    function test_gas_settleAll() public unmetered {
        _settle(_driveTo(_terms(), Status.Revealing));
    }

    function test_gas_settleAllSingleTaskSingleVerifier() public unmetered {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (1, 1, 1);
        _settle(_driveTo(t, Status.Revealing));
    }

    /// @dev The largest that terms allow: 8 verifiers with 16 samples each of 1024 leaves.
    function test_gas_settleAllWorstCase() public unmetered {
        _addWorkers(5);
        skip(EPOCH_SECS);
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (1024, 8, 8);
        _settle(_driveTo(t, Status.Revealing));
    }

    function test_gas_expireOpening() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Opening);
        skip(91);
        _measure(address(a), stranger, abi.encodeCall(a.expire, ()));
    }

    function test_gas_redeemPayment() public unmetered {
        IComputeAgreement a = _driveTo(_terms(), Status.Settled);
        _measure(address(a), stranger, abi.encodeCall(a.redeemPayment, (workers[0].owner)));
    }

    // ------------------------------------------------------------------------------------------------ measuring

    function _claim(IComputeAgreement a, uint256 worker) private {
        vm.warp(uint256(a.agreement().deadline) - 10);
        (, uint256 index,) = _bestTicket(a, workers[worker].owner);
        _measure(address(a), workers[worker].owner, abi.encodeCall(a.claim, (index)));
    }

    function _open(IComputeAgreement a, uint256 slot) private {
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening memory o = _opening(_verifier(a, slot), new bytes32[](0));
        _measure(address(a), stranger, abi.encodeCall(a.openVerification, (o, w.root, w.leaves, w.digests)));
    }

    function _settle(IComputeAgreement a) private {
        _measure(address(a), stranger, abi.encodeCall(a.settleAll, (_workerOpening(a), _honestOpenings(a))));
        require(a.status() == Status.Settled, "settled");
    }

    /// @dev Meters this one call, with cold storage as at the start of a transaction.
    function _measure(address to, address from, bytes memory call) private {
        vm.cool(address(dispatcher));
        vm.cool(address(token));
        vm.cool(address(beacon));
        vm.cool(address(implementation));
        if (agreements.length != 0) vm.cool(agreements[agreements.length - 1]);
        vm.prank(from);
        vm.resumeGasMetering();
        (bool ok,) = to.call(call);
        vm.pauseGasMetering();
        require(ok, "the measured call failed");
    }
}
