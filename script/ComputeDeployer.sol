// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ComputeAgreement} from "../contracts/agreements/ComputeAgreement.sol";
import {ComputeEndings} from "../contracts/agreements/compute/ComputeEndings.sol";
import {ComputeExtension} from "../contracts/agreements/compute/ComputeExtension.sol";
import {ComputeLate} from "../contracts/agreements/compute/ComputeLate.sol";
import {IBeacon} from "../contracts/interfaces/IBeacon.sol";
import {ComputeParams} from "../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher} from "../contracts/interfaces/IWorkerDispatcher.sol";

/// @title ComputeDeployer
/// @notice Deploys the four parts of the compute kind (docs/decisions/0011), the last one first.
library ComputeDeployer {
    /// @return implementation What the dispatcher clones.
    function deploy(IWorkerDispatcher dispatcher, IBeacon beacon, ComputeParams memory p)
        internal
        returns (address implementation)
    {
        ComputeEndings endings = new ComputeEndings(dispatcher, beacon, p);
        return address(new ComputeAgreement(new ComputeExtension(new ComputeLate(endings))));
    }
}
