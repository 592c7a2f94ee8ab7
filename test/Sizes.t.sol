// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {WorkerDispatcher} from "../contracts/WorkerDispatcher.sol";
import {ComputeAgreement} from "../contracts/agreements/ComputeAgreement.sol";
import {BlockBeacon} from "../contracts/beacon/BlockBeacon.sol";
import {ComputeQuoteLib} from "../contracts/libraries/ComputeQuoteLib.sol";
import {OpeningLib} from "../contracts/libraries/OpeningLib.sol";
import {VoteLib} from "../contracts/libraries/VoteLib.sol";
import {SunToken} from "../contracts/token/SunToken.sol";
import {ComputeTerms} from "../contracts/types/ComputeTerms.sol";
import {Base} from "./utils/Base.t.sol";

/// @notice Every contract can be deployed on a public chain.
contract SizesTest is Base {
    /// @dev EIP-170: deployed code. EIP-3860 allows twice that for init code.
    uint256 private constant MAX_CODE_BYTES = 24_576;

    function test_deployedCodeIsBelowTheLimit() public view {
        assertLe(address(dispatcher).code.length, MAX_CODE_BYTES, "WorkerDispatcher");
        assertLe(address(implementation).code.length, MAX_CODE_BYTES, "ComputeAgreement");
        assertLe(address(beacon).code.length, MAX_CODE_BYTES, "BlockBeacon");
        assertLe(address(token).code.length, MAX_CODE_BYTES, "SunToken");
        assertLe(type(ComputeQuoteLib).runtimeCode.length, MAX_CODE_BYTES, "ComputeQuoteLib");
        assertLe(type(OpeningLib).runtimeCode.length, MAX_CODE_BYTES, "OpeningLib");
        assertLe(type(VoteLib).runtimeCode.length, MAX_CODE_BYTES, "VoteLib");
    }

    function test_initCodeIsBelowTheLimit() public pure {
        assertLe(type(WorkerDispatcher).creationCode.length, 2 * MAX_CODE_BYTES, "WorkerDispatcher");
        assertLe(type(ComputeAgreement).creationCode.length, 2 * MAX_CODE_BYTES, "ComputeAgreement");
        assertLe(type(BlockBeacon).creationCode.length, 2 * MAX_CODE_BYTES, "BlockBeacon");
        assertLe(type(SunToken).creationCode.length, 2 * MAX_CODE_BYTES, "SunToken");
    }

    /// @notice An agreement is a small clone: proxy code and 114 bytes of terms.
    function test_agreementIsSmall() public {
        ComputeTerms memory t = _terms();
        assertLe(address(_buy(t)).code.length, 45 + 114, "bytes");
    }
}
