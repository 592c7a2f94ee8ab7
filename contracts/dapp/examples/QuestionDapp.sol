// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {LibClone} from "solady/utils/LibClone.sol";
import {LibString} from "solady/utils/LibString.sol";
import {SSTORE2} from "solady/utils/SSTORE2.sol";
import {IWorkerDispatcher} from "../../interfaces/IWorkerDispatcher.sol";
import {ComputeSpec} from "../../types/ComputeTerms.sol";
import {AskLib} from "../AskLib.sol";
import {PrimeQuestion} from "./PrimeQuestion.sol";

/// @title QuestionDapp
/// @notice Example of a dapp that lets off-chain work answer an on-chain question: how many primes are there below a limit. The
/// app is `apps/primes`; workers run it, drawn verifiers check it, and the answer comes back by callback.
/// @dev Terms and app are fixed at deployment, so the price is known beforehand and nobody can ask by other rules.
contract QuestionDapp {
    using SafeERC20 for IERC20;

    /// @notice What `apps/primes` takes.
    uint64 public constant MAX_LIMIT = 1e11;
    /// @notice Granted to a question when its result is delivered; test/dapp/QuestionDapp.t.sol measures what it needs.
    uint32 public constant CALLBACK_GAS = 150_000;

    IWorkerDispatcher public immutable dispatcher;
    /// @notice Kind of work, 0 for compute.
    uint8 public immutable kindId;
    address internal immutable IMPLEMENTATION;
    /// @dev Contract that holds the encoded specification in its code.
    address internal immutable SPEC;
    bytes internal _terms;

    event Asked(
        PrimeQuestion indexed question, address indexed asker, address indexed agreement, uint64 limit
    );

    error LimitOutOfRange(uint64 found, uint64 min, uint64 max);

    /// @param terms Packed terms of one task with a callback, up to where target and gas follow.
    /// @param spec What to run; its arguments are replaced by the limit.
    constructor(IWorkerDispatcher dispatcher_, uint8 kindId_, bytes memory terms, ComputeSpec memory spec) {
        (dispatcher, kindId) = (dispatcher_, kindId_);
        IMPLEMENTATION = address(new PrimeQuestion(dispatcher_));
        SPEC = SSTORE2.write(abi.encode(spec));
        _terms = terms;
        // Terms that cannot be bought are refused here and not at the first question.
        price();
    }

    /// @notice Asks, for at most `price`, taken from the caller's allowance. What is not spent comes back by `refund` of the
    /// question.
    function ask(uint64 limit) external returns (PrimeQuestion question) {
        require(limit >= 1 && limit <= MAX_LIMIT, LimitOutOfRange(limit, 1, MAX_LIMIT));
        question = PrimeQuestion(LibClone.clone(IMPLEMENTATION, abi.encodePacked(msg.sender, limit)));
        uint256 budget = price();
        IERC20(dispatcher.token()).safeTransferFrom(msg.sender, address(question), budget);
        question.open(kindId, _termsFor(address(question)), _specFor(limit), budget);
        emit Asked(question, msg.sender, question.agreement(), limit);
    }

    /// @notice Most that a question costs, smallest token unit.
    function price() public view returns (uint256) {
        return AskLib.budgetOf(dispatcher, kindId, _termsFor(address(this)));
    }

    /// @dev The question itself is the client and gets the callback.
    function _termsFor(address target) private view returns (bytes memory) {
        return AskLib.withCallback(_terms, target, CALLBACK_GAS);
    }

    function _specFor(uint64 limit) private view returns (bytes memory) {
        ComputeSpec memory spec = abi.decode(SSTORE2.read(SPEC), (ComputeSpec));
        spec.args = new string[](1);
        spec.args[0] = LibString.toString(limit);
        return abi.encode(spec);
    }
}
