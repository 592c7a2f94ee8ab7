// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {LibClone} from "solady/utils/LibClone.sol";
import {IWorkAgreement} from "./interfaces/IWorkAgreement.sol";
import {IWorkerDispatcher} from "./interfaces/IWorkerDispatcher.sol";
import {Ending, Status} from "./types/Status.sol";

/// @title WorkAgreement
/// @notice What every kind of work shares: parties, one status that changes in one place, deadlines, redeeming.
/// @dev A clone; terms are immutable arguments in its code. It never holds tokens, its escrow is in the dispatcher.
abstract contract WorkAgreement {
    /// @dev One word, and the only one that an agreement without verifiers writes besides its result.
    struct Base {
        Status status;
        uint8 attempt;
        uint8 slotCount;
        /// Seals of the present round of voting.
        uint8 sealedCount;
        /// Of FLAG_*.
        uint8 flags;
        /// Where the price stood between minimum (0) and maximum (65,535) at acceptance.
        uint16 priced;
        address worker;
        /// Unix seconds; of a final agreement: how it ended, since nothing has to end any more.
        uint40 deadline;
    }

    /// @dev Third parties added to the reward.
    uint8 internal constant FLAG_EXTRA = 1;
    /// @dev The worker entered by a device.
    uint8 internal constant FLAG_WORKER_DEVICE = 2;
    /// @dev Somebody disputed the result.
    uint8 internal constant FLAG_DISPUTED = 4;

    IWorkerDispatcher public immutable dispatcher;

    /// @dev The present round of voting is not the first.
    uint8 internal constant FLAG_LATER = 8;

    Base internal _s;

    constructor(IWorkerDispatcher dispatcher_) {
        dispatcher = dispatcher_;
        // The implementation is never an agreement.
        _s.status = Status.Cancelled;
    }

    modifier onlyDispatcher() {
        require(msg.sender == address(dispatcher), IWorkAgreement.NotTheDispatcher(msg.sender));
        _;
    }

    /// @dev The status as of this block, where time alone changes it, and when it ends.
    function _now() internal view virtual returns (Status status, uint256 deadline);

    /// @dev `_setStatus` for a step that changes more of the state: all of it is written once.
    function _write(Base memory s) internal {
        _s = s;
        emit IWorkAgreement.StatusChanged(s.status, s.attempt, s.deadline);
    }

    /// @dev With `_write` the one place that changes the status.
    function _setStatus(Status next, uint256 deadline) internal {
        _s.status = next;
        _s.deadline = uint40(deadline);
        emit IWorkAgreement.StatusChanged(next, _s.attempt, uint40(deadline));
    }

    /// @dev The one place that ends an agreement.
    function _end(Status last, Ending how) internal {
        _s.status = last;
        _s.deadline = uint40(uint8(how));
        emit IWorkAgreement.StatusChanged(last, _s.attempt, 0);
        emit IWorkAgreement.Ended(how);
    }

    function _ending() internal view returns (Ending) {
        return _isFinal() ? Ending(uint8(_s.deadline)) : Ending.None;
    }

    function _isFinal() internal view returns (bool) {
        return _s.status == Status.Settled || _s.status == Status.Cancelled;
    }

    function _deadlinePassed() internal view returns (bool) {
        (, uint256 deadline) = _now();
        return block.timestamp > deadline;
    }

    /// @dev Guards a step: right status, and in time.
    function _requireStatus(Status expected) internal view {
        (Status now_, uint256 deadline) = _now();
        require(now_ == expected, IWorkAgreement.WrongStatus(now_, expected));
        require(block.timestamp <= deadline, IWorkAgreement.TooLate(block.timestamp, deadline));
    }

    /// @dev The client's address is the first field of every kind's terms.
    function _client() internal view returns (address) {
        return address(bytes20(LibClone.argsOnClone(address(this), 0, 20)));
    }
}
