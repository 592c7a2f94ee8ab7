// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {CredibilityLib} from "../../contracts/libraries/CredibilityLib.sol";
import {Ending} from "../../contracts/types/Status.sol";

/// @notice What one party says, as the test knows it from its own plan and not from the contract.
struct Said {
    address who;
    bool opened;
    uint256 score;
    /// For a verifier its sampled leaves; for the worker empty, it speaks on all.
    uint32[] leaves;
    bytes32[] digests;
}

/// @title Recount
/// @notice The decision of docs/PROTOCOL.md written a second time, leaf by leaf over full digests, to check VoteLib by it.
library Recount {
    /// @param workerDigests Of all leaves.
    /// @return ending How it must have ended.
    /// @return lost By verifier: another digest won on one of its leaves, or it did not open.
    function decide(Said[] memory verifiers, bytes32[] memory workerDigests, uint256 workerScore)
        internal
        pure
        returns (Ending ending, bool[] memory lost)
    {
        ending = Ending.Verified;
        lost = new bool[](verifiers.length);
        for (uint256 i = 0; i < verifiers.length; ++i) {
            lost[i] = !verifiers[i].opened;
        }
        for (uint32 leaf = 0; leaf < workerDigests.length; ++leaf) {
            bytes32 theirs = workerDigests[leaf];
            (bool disputed, bytes32 winner) =
                _winner(verifiers, leaf, theirs, CredibilityLib.odds(workerScore));
            if (!disputed) continue;
            if (winner == 0) {
                if (ending == Ending.Verified) ending = Ending.Undecided;
                continue;
            }
            if (winner != theirs) ending = Ending.Refuted;
            for (uint256 i = 0; i < verifiers.length; ++i) {
                bytes32 mine = _digest(verifiers[i], leaf);
                if (mine != 0 && mine != winner) lost[i] = true;
            }
        }
    }

    /// @return disputed True if somebody's digest differs from the worker's.
    /// @return winner The digest with more than half of the odds, or zero.
    function _winner(Said[] memory verifiers, uint32 leaf, bytes32 theirs, uint256 workerOdds)
        private
        pure
        returns (bool disputed, bytes32 winner)
    {
        uint256 total = workerOdds;
        uint256 agreeing = workerOdds;
        for (uint256 i = 0; i < verifiers.length; ++i) {
            bytes32 mine = _digest(verifiers[i], leaf);
            if (mine == 0) continue;
            total += CredibilityLib.odds(verifiers[i].score);
            if (mine == theirs) agreeing += CredibilityLib.odds(verifiers[i].score);
            else disputed = true;
        }
        if (agreeing * 2 > total) return (disputed, theirs);
        for (uint256 i = 0; i < verifiers.length; ++i) {
            bytes32 candidate = _digest(verifiers[i], leaf);
            if (candidate == 0 || candidate == theirs) continue;
            uint256 sum = 0;
            for (uint256 j = 0; j < verifiers.length; ++j) {
                if (_digest(verifiers[j], leaf) == candidate) sum += CredibilityLib.odds(verifiers[j].score);
            }
            if (sum * 2 > total) return (disputed, candidate);
        }
    }

    /// @dev Zero where it did not open or did not compute the leaf.
    function _digest(Said memory said, uint32 leaf) private pure returns (bytes32) {
        if (!said.opened) return 0;
        for (uint256 j = 0; j < said.leaves.length; ++j) {
            if (said.leaves[j] == leaf) return said.digests[j];
        }
        return 0;
    }
}
