// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISunworkReceiver} from "../../contracts/interfaces/ISunworkReceiver.sol";

/// @notice Keeps what it gets, and the gas that it was called with.
contract KeepingReceiver is ISunworkReceiver {
    uint256 public calls;
    uint256 public gasGranted;
    uint32 public leaf;
    bytes public content;

    function onSunworkResult(uint32 leaf_, bytes calldata content_) external virtual {
        gasGranted = gasleft();
        (leaf, content) = (leaf_, content_);
        ++calls;
    }
}

/// @notice Fails until it is told to work, in the way it is told.
contract FailingReceiver is KeepingReceiver {
    enum Way {
        Works,
        Reverts,
        /// Uses up all it is granted.
        BurnsGas,
        /// Stops at the invalid opcode.
        Invalid,
        /// Reverts with as much data as its gas pays for.
        RevertsLong,
        /// Succeeds and returns as much data as its gas pays for.
        ReturnsLong
    }

    Way public way;

    function setWay(Way way_) external {
        way = way_;
    }

    function onSunworkResult(uint32 leaf_, bytes calldata content_) external override {
        if (way == Way.Reverts) revert("not today");
        if (way == Way.BurnsGas) {
            while (true) ++calls;
        }
        if (way == Way.Invalid) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (way == Way.RevertsLong) {
            assembly ("memory-safe") {
                revert(0, 315000)
            }
        }
        ++calls;
        (leaf, content) = (leaf_, content_);
        if (way == Way.ReturnsLong) {
            assembly ("memory-safe") {
                return(0, 315000)
            }
        }
    }
}

/// @notice Calls back into whoever delivers, with what a test prepares, at its first call only.
contract ReenteringReceiver is KeepingReceiver {
    bytes[] public inner;
    bool public failAfterwards;
    /// @notice Whether the last inner call went through, and what it answered.
    bool public innerOk;
    bytes public innerAnswer;

    function prepare(bytes[] memory inner_, bool failAfterwards_) external {
        (inner, failAfterwards) = (inner_, failAfterwards_);
    }

    function onSunworkResult(uint32 leaf_, bytes calldata content_) external override {
        ++calls;
        (leaf, content) = (leaf_, content_);
        bytes[] memory todo = inner;
        delete inner;
        for (uint256 i = 0; i < todo.length; ++i) {
            (innerOk, innerAnswer) = msg.sender.call(todo[i]);
        }
        require(!failAfterwards, "after all");
    }
}
