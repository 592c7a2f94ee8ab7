// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";

/// @notice A client that is a contract: it buys and names an agent, and can post a key itself.
contract ContractClient {
    IWorkerDispatcher internal immutable DISPATCHER;

    constructor(IWorkerDispatcher dispatcher) {
        DISPATCHER = dispatcher;
        IERC20(dispatcher.token()).approve(address(dispatcher), type(uint256).max);
    }

    function buy(uint8 kindId, bytes calldata terms, bytes calldata spec) external returns (address) {
        return DISPATCHER.buyContract(kindId, terms, spec);
    }

    function setKeyAgent(address agent) external {
        DISPATCHER.setKeyAgent(agent);
    }

    function postKey(IComputeAgreement a, address worker, bytes calldata sealedKey) external {
        a.postKey(worker, sealedKey);
    }
}

/// @notice A key agent that tries to do more than post one key, in the same transaction and from any call that reaches it.
contract HostileAgent {
    IComputeAgreement internal immutable AGREEMENT;
    address internal immutable WORKER;
    /// @notice Calls that came back into this contract.
    uint256 public entered;
    /// @notice What was refused, in the order of the attempts.
    bytes[] public refusals;

    constructor(IComputeAgreement a) {
        (AGREEMENT, WORKER) = (a, a.agreement().worker);
    }

    function attack() external {
        AGREEMENT.postKey(WORKER, "first");
        _try(abi.encodeCall(AGREEMENT.postKey, (WORKER, "second")));
        _try(abi.encodeCall(AGREEMENT.cancel, ()));
        _try(abi.encodeCall(AGREEMENT.abort, ()));
        _try(abi.encodeCall(AGREEMENT.accept, ()));
        _try(abi.encodeCall(AGREEMENT.expire, ()));
        _try(abi.encodeCall(AGREEMENT.sealResult, (bytes32("seal"), 0, 0, "")));
    }

    function count() external view returns (uint256) {
        return refusals.length;
    }

    function _try(bytes memory call) private {
        (bool ok, bytes memory answer) = address(AGREEMENT).call(call);
        require(!ok, "more than an agent may");
        refusals.push(answer);
    }

    fallback() external payable {
        ++entered;
        AGREEMENT.postKey(WORKER, "from inside");
    }
}
