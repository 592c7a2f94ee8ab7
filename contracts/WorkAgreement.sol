// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {LibClone} from "solady/utils/LibClone.sol";
import {IWorkAgreement} from "./interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "./interfaces/IWorkerDispatcher.sol";
import {Status, Ending} from "./types/Status.sol";

/// @title WorkAgreement
/// @notice What every kind of purchase shares: the one status, its deadline, and how it ends.
/// @dev Instances are clones that the dispatcher makes, with their terms in their code. A clone holds no tokens: its escrow
/// slot lies in the dispatcher, which obeys only agreements that it made.
abstract contract WorkAgreement is IWorkAgreement {
    /// @dev The state that every kind has; kinds pack their own fields behind it.
    struct Base {
        Status status;
        Ending ending;
        uint8 attempt;
        uint8 strikes;
        uint8 sealedCount;
        uint8 openedCount;
        address worker;
        uint40 deadline;
    }

    IWorkerDispatcher public immutable dispatcher;

    Base internal _s;

    constructor(IWorkerDispatcher dispatcher_) {
        dispatcher = dispatcher_;
        // The implementation is never an agreement.
        _s.status = Status.Cancelled;
    }

    /// @inheritdoc IWorkAgreement
    function redeemPayment(address party) external returns (uint256 amount) {
        if (!_isFinal() && _deadlinePassed()) _expire();
        return dispatcher.withdraw(dispatcher.payoutOf(party));
    }

    /// @inheritdoc IWorkAgreement
    function expire() external {
        Status now_ = status();
        require(!_isFinal(), WrongStatus(now_, Status.Open));
        require(_deadlinePassed(), NotYetExpired(block.timestamp, _deadline()));
        _expire();
    }

    /// @inheritdoc IWorkAgreement
    function status() public view virtual returns (Status) {
        return _s.status;
    }

    /// @inheritdoc IWorkAgreement
    function ending() external view returns (Ending) {
        return _s.ending;
    }

    /// @inheritdoc IWorkAgreement
    function client() external view returns (address) {
        return _client();
    }

    /// @dev Moves on from the present status, whose deadline has passed.
    function _expire() internal virtual;

    /// @dev When the present status ends; derived from the terms while nothing is written yet.
    function _deadline() internal view virtual returns (uint256);

    /// @dev The one place that changes the status.
    function _setStatus(Status next, uint256 deadline) internal {
        _s.status = next;
        _s.deadline = uint40(deadline);
        emit StatusChanged(next, _s.attempt, uint40(deadline));
    }

    /// @dev The one place that ends an agreement.
    function _end(Status last, Ending how) internal {
        _s.ending = how;
        _setStatus(last, 0);
        emit Ended(how);
    }

    function _isFinal() internal view returns (bool) {
        return _s.status == Status.Settled || _s.status == Status.Cancelled;
    }

    function _deadlinePassed() internal view returns (bool) {
        return block.timestamp > _deadline();
    }

    /// @dev Guards a step: right status, and in time.
    function _requireStatus(Status expected) internal view {
        Status now_ = status();
        require(now_ == expected, WrongStatus(now_, expected));
        uint256 deadline = _deadline();
        require(block.timestamp <= deadline, TooLate(block.timestamp, deadline));
    }

    /// @dev The client's address is the first field of every kind's terms.
    function _client() internal view returns (address) {
        return address(bytes20(LibClone.argsOnClone(address(this), 0, 20)));
    }
}
