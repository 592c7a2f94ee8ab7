// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {LibClone} from "solady/utils/LibClone.sol";
import {IWorkAgreement} from "../../interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "../../interfaces/IWorkerDispatcher.sol";
import {Ending} from "../../types/Status.sol";
import {SunworkReceiver} from "../SunworkReceiver.sol";

/// @notice Where a question stands.
enum Phase {
    /// Made in this transaction, not bought yet.
    New,
    /// Workers are at it.
    Pending,
    /// Verified and paid; anybody may deliver the result. Stays so if the app failed: then there is no file to deliver.
    Undelivered,
    /// The answer is here.
    Answered,
    /// The verified result is not a number.
    Unusable,
    /// It ended without a verified result; what is left of the price goes back to the asker.
    Failed
}

/// @title PrimeQuestion
/// @notice One question, "how many primes are there below `limit`", with its money and its answer.
/// @dev A clone for each question, made by QuestionDapp: what the dispatcher owes to this address belongs to this question, so
/// that nobody's refund mixes with another's. In the clone's code: asker (20 bytes), limit (8 bytes).
contract PrimeQuestion is SunworkReceiver {
    using SafeERC20 for IERC20;

    /// @notice The contract that makes questions.
    address public immutable dapp;

    /// @notice The agreement that was bought for it.
    address public agreement;
    bool private _answered;
    bool private _unusable;
    uint64 private _answer;

    event Answered(uint64 limit, uint64 primes);
    /// @notice What was verified is not a decimal number.
    event NotANumber(bytes content);
    event Refunded(address indexed asker, uint256 amount);

    error NotTheDapp(address caller, address dapp);
    error AlreadyOpened(address agreement);
    error NoAnswer(Phase phase);

    constructor(IWorkerDispatcher dispatcher_) SunworkReceiver(dispatcher_) {
        dapp = msg.sender;
    }

    /// @notice Buys the work with the tokens that the dapp has put here.
    function open(uint8 kindId, bytes calldata terms, bytes calldata spec, uint256 budget) external {
        require(msg.sender == dapp, NotTheDapp(msg.sender, dapp));
        require(agreement == address(0), AlreadyOpened(agreement));
        agreement = _ask(kindId, terms, spec, budget);
    }

    /// @notice Sends the asker all that has come back: everything if it failed for want of workers, the unspent part of the price
    /// if it was answered. Anybody may call, as often as they like.
    function refund() external returns (uint256 amount) {
        _withdrawRefunds();
        IERC20 token = IERC20(dispatcher.token());
        amount = token.balanceOf(address(this));
        if (amount == 0) return 0;
        emit Refunded(asker(), amount);
        token.safeTransfer(asker(), amount);
    }

    /// @notice The verified number of primes below `limit`. Reverts while there is none.
    function answer() external view returns (uint64) {
        require(_answered, NoAnswer(phase()));
        return _answer;
    }

    function phase() public view returns (Phase) {
        if (_answered) return Phase.Answered;
        if (_unusable) return Phase.Unusable;
        if (agreement == address(0)) return Phase.New;
        Ending ending = IWorkAgreement(agreement).ending();
        if (ending == Ending.None) return Phase.Pending;
        return ending == Ending.Verified ? Phase.Undelivered : Phase.Failed;
    }

    /// @notice Who asked and paid, and gets back what is left.
    function asker() public view returns (address) {
        return address(bytes20(LibClone.argsOnClone(address(this), 0, 20)));
    }

    /// @notice Primes below this are counted.
    function limit() public view returns (uint64) {
        return uint64(bytes8(LibClone.argsOnClone(address(this), 20, 28)));
    }

    /// @inheritdoc SunworkReceiver
    function _onResult(address, uint32, bytes calldata content) internal override {
        (bool ok, uint64 value) = _decimal(content);
        if (ok) {
            (_answered, _answer) = (true, value);
            emit Answered(limit(), value);
        } else {
            // Verified is verified: it will be the same at the next try, so it is noted and not refused.
            _unusable = true;
            emit NotANumber(content.length > 64 ? content[:64] : content);
        }
    }

    /// @dev 1 to 19 digits, which fit 64 bits, and a line feed or not.
    function _decimal(bytes calldata text) private pure returns (bool ok, uint64 value) {
        uint256 length = text.length;
        if (length != 0 && text[length - 1] == "\n") --length;
        if (length == 0 || length > 19) return (false, 0);
        for (uint256 i = 0; i < length; ++i) {
            uint8 digit = uint8(text[i]);
            if (digit < 0x30 || digit > 0x39) return (false, 0);
            value = value * 10 + (digit - 0x30);
        }
        return (true, value);
    }
}
