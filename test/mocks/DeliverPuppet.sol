// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {DeliverLib, Deliveries} from "../../contracts/libraries/DeliverLib.sol";
import {Ending} from "../../contracts/types/Status.sol";
import {PuppetAgreement} from "./PuppetAgreement.sol";

/// @notice An agreement that ends as a test tells it, and delivers as a real one does: ended as Verified, root compared, library
/// called.
contract DeliverPuppet is PuppetAgreement {
    event Delivered(uint32 indexed leaf, bool ok);

    error NotVerified(Ending found);
    error ProofInvalid(bytes32 found, bytes32 expected);

    Ending public ending;
    bytes32 public root;
    uint32 public leafCount;
    bool public confidential;
    address public target;
    uint32 public callbackGas;
    Deliveries internal _deliveries;

    constructor(IWorkerDispatcher dispatcher) PuppetAgreement(dispatcher) {}

    function end(Ending how) external {
        ending = how;
    }

    function setResult(bytes32 root_, uint32 leafCount_, bool confidential_) external {
        (root, leafCount, confidential) = (root_, leafCount_, confidential_);
    }

    function setCallback(address target_, uint32 gas_) external {
        (target, callbackGas) = (target_, gas_);
    }

    function deliver(
        uint32 leaf,
        bytes calldata fileName,
        bytes calldata content,
        bytes32 blindKey,
        bytes32[] calldata proof
    ) external returns (bool ok) {
        require(ending == Ending.Verified, NotVerified(ending));
        bytes32 found =
            DeliverLib.resultRoot(leaf, leafCount, fileName, content, confidential, blindKey, proof);
        require(found == root, ProofInvalid(found, root));
        ok = DeliverLib.deliver(_deliveries, DISPATCHER, target, callbackGas, leaf, content);
        emit Delivered(leaf, ok);
    }

    function isDelivered(uint32 leaf) external view returns (bool) {
        return DeliverLib.isDelivered(_deliveries, leaf);
    }
}
