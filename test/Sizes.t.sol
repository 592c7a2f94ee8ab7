// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {WorkerDispatcher} from "../contracts/WorkerDispatcher.sol";
import {ComputeAgreement} from "../contracts/agreements/ComputeAgreement.sol";
import {ComputeEndings} from "../contracts/agreements/compute/ComputeEndings.sol";
import {ComputeExtension} from "../contracts/agreements/compute/ComputeExtension.sol";
import {BlockBeacon} from "../contracts/beacon/BlockBeacon.sol";
import {DrandBeacon} from "../contracts/beacon/DrandBeacon.sol";
import {EnergyCertificates} from "../contracts/energy/EnergyCertificates.sol";
import {EnergyLedger} from "../contracts/energy/EnergyLedger.sol";
import {P256Verifier} from "../contracts/energy/P256Verifier.sol";
import {DeliverLib} from "../contracts/libraries/DeliverLib.sol";
import {OrderLib} from "../contracts/libraries/OrderLib.sol";
import {PoolLib} from "../contracts/libraries/PoolLib.sol";
import {SettlementLib} from "../contracts/libraries/SettlementLib.sol";
import {VoteLib} from "../contracts/libraries/VoteLib.sol";
import {SunToken} from "../contracts/token/SunToken.sol";
import {ComputeTerms, ComputeTermsLib} from "../contracts/types/ComputeTerms.sol";
import {EnergyParams} from "../contracts/types/EnergyRecord.sol";
import {Base} from "./utils/Base.t.sol";

/// @notice Every contract can be deployed on a public chain.
contract SizesTest is Base {
    /// @dev EIP-170: deployed code. EIP-3860 allows twice that for init code.
    uint256 private constant MAX_CODE_BYTES = 24_576;

    function test_deployedCodeIsBelowTheLimit() public {
        ComputeExtension extension = ComputeExtension(ComputeAgreement(address(implementation)).extension());
        _below("WorkerDispatcher", address(dispatcher).code.length, MAX_CODE_BYTES);
        _below("ComputeAgreement", address(implementation).code.length, MAX_CODE_BYTES);
        _below("ComputeExtension", address(extension).code.length, MAX_CODE_BYTES);
        _below("ComputeLate", address(extension.late()).code.length, MAX_CODE_BYTES);
        _below("ComputeEndings", address(extension.late().endings()).code.length, MAX_CODE_BYTES);
        _below("BlockBeacon", address(beacon).code.length, MAX_CODE_BYTES);
        _below("SunToken", address(token).code.length, MAX_CODE_BYTES);
        EnergyParams memory p = EnergyParams(address(0x100), 2, 1, 30, 20, 3, 8);
        EnergyLedger ledger = new EnergyLedger(dispatcher, p);
        _below("EnergyLedger", address(ledger).code.length, MAX_CODE_BYTES);
        _below("EnergyCertificates", ledger.certificates().code.length, MAX_CODE_BYTES);
        _below("P256Verifier", type(P256Verifier).runtimeCode.length, MAX_CODE_BYTES);
    }

    /// @notice Libraries that are deployed apart and linked.
    function test_linkedLibrariesAreBelowTheLimit() public {
        _below("DeliverLib", type(DeliverLib).runtimeCode.length, MAX_CODE_BYTES);
        _below("OrderLib", type(OrderLib).runtimeCode.length, MAX_CODE_BYTES);
        _below("PoolLib", type(PoolLib).runtimeCode.length, MAX_CODE_BYTES);
        _below("SettlementLib", type(SettlementLib).runtimeCode.length, MAX_CODE_BYTES);
        _below("VoteLib", type(VoteLib).runtimeCode.length, MAX_CODE_BYTES);
    }

    function test_initCodeIsBelowTheLimit() public {
        _below("WorkerDispatcher", type(WorkerDispatcher).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("ComputeAgreement", type(ComputeAgreement).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("ComputeExtension", type(ComputeExtension).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("ComputeEndings", type(ComputeEndings).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("BlockBeacon", type(BlockBeacon).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("DrandBeacon", type(DrandBeacon).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("SunToken", type(SunToken).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("EnergyLedger", type(EnergyLedger).creationCode.length, 2 * MAX_CODE_BYTES);
        _below("EnergyCertificates", type(EnergyCertificates).creationCode.length, 2 * MAX_CODE_BYTES);
    }

    /// @notice An agreement is a small clone: proxy code and 117 bytes of terms, with a worker and a callback 161.
    function test_agreementIsSmall() public {
        ComputeTerms memory t = _terms();
        assertLe(address(_buy(t)).code.length, 45 + 117, "bytes");
        t.flags = ComputeTermsLib.FLAG_NAMED | ComputeTermsLib.FLAG_CALLBACK;
        (t.named, t.callback, t.callbackGas) = (workers[0].owner, address(this), 100_000);
        assertLe(address(_buy(t)).code.length, 45 + 161, "bytes");
    }

    /// @dev Says how much room is left.
    function _below(string memory what, uint256 size, uint256 limit) private {
        assertLe(size, limit, what);
        emit log_named_uint(string.concat(what, ": bytes left"), limit - size);
    }
}
