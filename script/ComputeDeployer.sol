// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ComputeAgreement} from "../contracts/agreements/ComputeAgreement.sol";
import {ComputeEndings} from "../contracts/agreements/compute/ComputeEndings.sol";
import {ComputeExtension} from "../contracts/agreements/compute/ComputeExtension.sol";
import {ComputeLate} from "../contracts/agreements/compute/ComputeLate.sol";
import {IBeacon} from "../contracts/interfaces/IBeacon.sol";
import {ComputeParams} from "../contracts/interfaces/IComputeAgreement.sol";
import {IEnergyLedger} from "../contracts/interfaces/IEnergyLedger.sol";
import {IWorkerDispatcher} from "../contracts/interfaces/IWorkerDispatcher.sol";

/// @title ComputeDeployer
/// @notice Deploys the four parts of the compute kind (docs/decisions/0011), the last one first.
library ComputeDeployer {
    /// @notice Without an energy ledger: terms cannot ask for positive workers.
    function deploy(IWorkerDispatcher dispatcher, IBeacon beacon, ComputeParams memory p)
        internal
        returns (address implementation)
    {
        return deploy(dispatcher, beacon, IEnergyLedger(address(0)), p);
    }

    /// @param energyLedger Whom terms mean by positive workers, or zero.
    /// @return implementation What the dispatcher clones.
    function deploy(
        IWorkerDispatcher dispatcher,
        IBeacon beacon,
        IEnergyLedger energyLedger,
        ComputeParams memory p
    ) internal returns (address implementation) {
        ComputeEndings endings = new ComputeEndings(dispatcher, beacon, energyLedger, p);
        return address(new ComputeAgreement(new ComputeExtension(new ComputeLate(endings))));
    }
}
