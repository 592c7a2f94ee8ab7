//! Bindings of the contracts, made from the ABI JSON in `abi/` that forge writes from the Solidity interfaces
//! (`cargo xtask abi`; CI compares). Solidity is the one source: nothing is declared twice.
#![allow(missing_docs, clippy::too_many_arguments)]

use alloy::sol;

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    #[derive(serde::Serialize, serde::Deserialize)]
    IWorkerDispatcher,
    "../abi/IWorkerDispatcher.json"
);

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    #[derive(serde::Serialize, serde::Deserialize)]
    IComputeAgreement,
    "../abi/IComputeAgreement.json"
);

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    IEnergyLedger,
    "../abi/IEnergyLedger.json"
);

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    IEnergyCertificates,
    "../abi/IEnergyCertificates.json"
);

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    IBeacon,
    "../abi/IBeacon.json"
);

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    SunToken,
    "../abi/SunToken.json"
);

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    #[derive(serde::Serialize, serde::Deserialize)]
    ISignedOrders,
    "../abi/ISignedOrders.json"
);

sol!(
    #[sol(rpc, all_derives, ignore_unlinked)]
    IPlacements,
    "../abi/IPlacements.json"
);
