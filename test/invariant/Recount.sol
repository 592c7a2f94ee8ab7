// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {CredibilityLib} from "../../contracts/libraries/CredibilityLib.sol";
import {Ending} from "../../contracts/types/Status.sol";

/// @notice What one party says, as the test knows it from its own plan and not from the contract.
struct Said {
    address who;
    bool opened;
    /// It opened without the worker's digests, and was not answered.
    bool unproven;
    uint256 score;
    /// For a verifier the leaves that it was drawn for; for the worker empty, it speaks on all.
    uint32[] leaves;
    bytes32[] digests;
}

/// @notice How all that was said must be counted.
struct Count {
    Ending ending;
    bool doubted;
    /// By verifier: another digest won on one of its leaves, or it did not open.
    bool[] lost;
    /// By leaf: undecided, and somebody dissents on it who has lost nothing.
    bool[] open;
}

/// @dev Where one leaf stands.
struct Leaf {
    bool disputed;
    /// The digest that wins, or zero.
    bytes32 winner;
    /// Without a winner: two parties or more have more than half for a digest that is not the worker's.
    bool doubted;
}

/// @title Recount
/// @notice The decision of docs/PROTOCOL.md written a second time, leaf by leaf over full digests, to check VoteLib by it. A share
/// is a fraction of two integers, and compared as such.
library Recount {
    /// @param verifiers Of all rounds of voting.
    /// @param workerDigests Of all leaves.
    /// @param trust T.
    function decide(
        Said[] memory verifiers,
        bytes32[] memory workerDigests,
        uint256 workerScore,
        uint256 trust
    ) internal pure returns (Count memory c) {
        c.ending = Ending.Verified;
        c.lost = new bool[](verifiers.length);
        c.open = new bool[](workerDigests.length);
        Leaf[] memory leaves = new Leaf[](workerDigests.length);
        bool falls = false;
        for (uint32 leaf = 0; leaf < leaves.length; ++leaf) {
            leaves[leaf] =
                _judge(verifiers, leaf, workerDigests[leaf], CredibilityLib.odds(workerScore), trust);
            if (!leaves[leaf].disputed || leaves[leaf].winner == 0) continue;
            if (leaves[leaf].winner != workerDigests[leaf]) falls = true;
            for (uint256 i = 0; i < verifiers.length; ++i) {
                bytes32 mine = _digest(verifiers[i], leaf);
                if (mine != 0 && mine != leaves[leaf].winner) c.lost[i] = true;
            }
        }
        if (falls) c.ending = Ending.Refuted;
        else _findOpen(verifiers, workerDigests, leaves, c);
        for (uint256 i = 0; i < verifiers.length; ++i) {
            if (!verifiers[i].opened) c.lost[i] = true;
            if (verifiers[i].unproven) _refute(c);
        }
    }

    /// @dev A worker that was asked for its digests and does not prove them has none.
    function _refute(Count memory c) private pure {
        (c.ending, c.doubted, c.open) = (Ending.Refuted, false, new bool[](c.open.length));
    }

    /// @dev Of the leaves without a winner those count on which somebody dissents who has not lost elsewhere.
    function _findOpen(
        Said[] memory verifiers,
        bytes32[] memory workerDigests,
        Leaf[] memory leaves,
        Count memory c
    ) private pure {
        bool doubted = false;
        for (uint32 leaf = 0; leaf < leaves.length; ++leaf) {
            if (!leaves[leaf].disputed || leaves[leaf].winner != 0) continue;
            doubted = doubted || leaves[leaf].doubted;
            for (uint256 i = 0; i < verifiers.length; ++i) {
                bytes32 mine = _digest(verifiers[i], leaf);
                if (mine != 0 && mine != workerDigests[leaf] && !c.lost[i]) c.open[leaf] = true;
            }
            if (c.open[leaf]) c.ending = Ending.Undecided;
        }
        c.doubted = doubted && c.ending == Ending.Undecided;
    }

    /// @dev A digest wins with a share above 1 - 1/T, if two parties or more stand for it; the worker is one for its own.
    function _judge(Said[] memory verifiers, uint32 leaf, bytes32 theirs, uint256 workerOdds, uint256 trust)
        private
        pure
        returns (Leaf memory result)
    {
        bytes32[] memory digests = new bytes32[](verifiers.length + 1);
        uint256[] memory odds = new uint256[](verifiers.length + 1);
        uint256[] memory parties = new uint256[](verifiers.length + 1);
        (digests[0], odds[0], parties[0]) = (theirs, workerOdds, 1);
        uint256 count = 1;
        for (uint256 i = 0; i < verifiers.length; ++i) {
            bytes32 mine = _digest(verifiers[i], leaf);
            if (mine == 0) continue;
            if (mine != theirs) result.disputed = true;
            uint256 k = 0;
            while (k < count && digests[k] != mine) ++k;
            if (k == count) (digests[count], odds[count], count) = (mine, 1, count + 1);
            odds[k] *= CredibilityLib.odds(verifiers[i].score);
            ++parties[k];
        }
        uint256 sum = 0;
        for (uint256 k = 0; k < count; ++k) {
            sum += odds[k];
        }
        for (uint256 k = 0; k < count; ++k) {
            if (parties[k] < 2) continue;
            // odds / sum > (T - 1) / T, with what is left over on the other side: (sum - odds) / sum < 1 / T.
            if ((sum - odds[k]) * trust < sum) result.winner = digests[k];
            else if (k != 0 && odds[k] > sum - odds[k]) result.doubted = true;
        }
        if (result.winner != 0) result.doubted = false;
    }

    /// @dev Zero where it did not open or did not compute the leaf.
    function _digest(Said memory said, uint32 leaf) private pure returns (bytes32) {
        if (!said.opened || said.unproven) return 0;
        for (uint256 j = 0; j < said.leaves.length; ++j) {
            if (said.leaves[j] == leaf) return said.digests[j];
        }
        return 0;
    }
}
