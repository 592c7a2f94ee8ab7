// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISunworkReceiver} from "../interfaces/ISunworkReceiver.sol";
import {IWorkerDispatcher} from "../interfaces/IWorkerDispatcher.sol";
import {ResultLib} from "./ResultLib.sol";

/// @notice Which leaves of an agreement have been delivered: one bit each, 256 in a word.
struct Deliveries {
    mapping(uint256 word => uint256) done;
}

/// @title DeliverLib
/// @notice Hands a verified result to the contract that the terms name. Anybody may do it, nothing waits for it, and a
/// receiver that fails is no one's loss but its own.
/// @dev Deployed apart and linked; runs in the agreement's place, so the receiver sees the agreement as its caller. An
/// agreement has no rights anywhere but at the dispatcher, and has used them up when it delivers. Its `deliver` checks, in this
/// order: it ended as Verified; its terms name a target; `resultRoot` of what was brought is the root that its
/// worker revealed. Then it calls `deliver` and emits what came back.
library DeliverLib {
    /// @notice What is left for the agreement after the call: to note a failure, to emit, to return.
    uint256 internal constant SLACK_GAS = 20_000;
    /// @notice A receiver that does anything needs more than this.
    uint256 internal constant MIN_GAS = 10_000;
    /// @notice Well below what one transaction may use (2^24, EIP-7825), or nobody could ever grant it.
    uint256 internal constant MAX_GAS = 10_000_000;

    /// @notice The target is the token, the dispatcher, an agreement, or nobody.
    error TargetForbidden(address target);
    /// @notice A call to it would succeed and deliver to nobody.
    error TargetHasNoCode(address target);
    error CallbackGasOutOfRange(uint256 found, uint256 min, uint256 max);
    error AlreadyDelivered(uint256 leaf);
    /// @notice The receiver would be called with less gas than the terms grant it.
    error GasTooLow(uint256 found, uint256 needed);

    /// @notice At purchase: what the terms say may be bought. The target may get its code later.
    function checkOffer(IWorkerDispatcher dispatcher, address target, uint256 gasLimit) external view {
        require(gasLimit >= MIN_GAS && gasLimit <= MAX_GAS, CallbackGasOutOfRange(gasLimit, MIN_GAS, MAX_GAS));
        _checkTarget(dispatcher, target);
    }

    /// @notice The root that the worker must have revealed if this file is the result of that leaf.
    /// @param fileName Path of the file below the declared path; of a declared file its name.
    /// @param confidential From the terms, never from whoever delivers: whether digests are blinded.
    /// @param blindKey For confidential work (`ResultLib.blinded`), else not read.
    /// @param proof Siblings from the leaf upwards: the multiproof of this one leaf.
    function resultRoot(
        uint32 leaf,
        uint256 leafCount,
        bytes calldata fileName,
        bytes calldata content,
        bool confidential,
        bytes32 blindKey,
        bytes32[] calldata proof
    ) external pure returns (bytes32) {
        bytes32 digest = ResultLib.leafDigest(fileName, content);
        if (confidential) digest = ResultLib.blinded(blindKey, digest);
        return ResultLib.rootOf(leaf, leafCount, digest, proof);
    }

    /// @notice Calls the receiver with exactly `gasLimit` gas. The content must have been checked.
    /// @dev The target is checked again: what was nobody's address at purchase may be an agreement by now.
    /// @return delivered False if the receiver reverted or ran out of gas: the leaf can be tried again.
    function deliver(
        Deliveries storage s,
        IWorkerDispatcher dispatcher,
        address target,
        uint256 gasLimit,
        uint32 leaf,
        bytes calldata content
    ) external returns (bool delivered) {
        require(!isDelivered(s, leaf), AlreadyDelivered(leaf));
        _checkTarget(dispatcher, target);
        require(target.code.length != 0, TargetHasNoCode(target));

        // Before the call: a receiver that comes back finds its leaf delivered.
        s.done[leaf >> 8] |= _bit(leaf);
        delivered = _call(target, gasLimit, abi.encodeCall(ISunworkReceiver.onSunworkResult, (leaf, content)));
        // The word is read anew: other leaves may have been delivered meanwhile.
        if (!delivered) s.done[leaf >> 8] &= ~_bit(leaf);
    }

    /// @notice Whether the receiver has taken this leaf.
    function isDelivered(Deliveries storage s, uint32 leaf) internal view returns (bool) {
        return s.done[leaf >> 8] & _bit(leaf) != 0;
    }

    /// @dev A call gets at most 63/64 of what is left (EIP-150), whatever it asks for, and the rest could suffice to note that
    /// it failed: so the caller must bring enough, or nothing happens. `found >= ceil(64/63 x)` gives at least x. Memory is
    /// laid out before the check and the target is warm, so only a few hundred gas lie between check and call, and SLACK_GAS
    /// covers them. No output is copied, however long.
    function _call(address target, uint256 gasLimit, bytes memory data) private returns (bool ok) {
        uint256 needed = ((gasLimit + SLACK_GAS) * 64 + 62) / 63;
        uint256 found = gasleft();
        require(found >= needed, GasTooLow(found, needed));
        assembly ("memory-safe") {
            ok := call(gasLimit, target, 0, add(data, 32), mload(data), 0, 0)
        }
    }

    function _checkTarget(IWorkerDispatcher dispatcher, address target) private view {
        bool forbidden = target == address(0) || target == address(dispatcher) || target == dispatcher.token();
        if (!forbidden) (, forbidden) = dispatcher.escrowOf(target);
        require(!forbidden, TargetForbidden(target));
    }

    function _bit(uint32 leaf) private pure returns (uint256) {
        return uint256(1) << (leaf & 0xff);
    }
}
