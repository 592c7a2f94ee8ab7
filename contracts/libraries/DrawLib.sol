// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title DrawLib
/// @notice Tickets and sampled leaves: who is drawn, and what it computes (docs/PROTOCOL.md, Draw).
library DrawLib {
    bytes32 internal constant DRAW_DOMAIN = keccak256("sunwork.draw.v2");
    bytes32 internal constant SAMPLE_DOMAIN = keccak256("sunwork.sample.v1");

    /// @notice The first 96 bits of a digest, the others zero: it has to be unpredictable, nothing more, and has to fit beside
    /// the rest of a draw.
    /// @param voteRound Round of voting, 0 for the first.
    function drawSeed(bytes32 beaconSeed, address agreement, uint8 attempt, uint8 voteRound)
        internal
        view
        returns (bytes32)
    {
        bytes32 digest =
            keccak256(abi.encode(DRAW_DOMAIN, beaconSeed, block.chainid, agreement, attempt, voteRound));
        return bytes32(bytes12(digest));
    }

    function ticket(bytes32 seed, address worker, uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, worker, index)));
    }

    /// @notice Tickets strictly below this may claim in `step`. Widens by doubling until every ticket may.
    /// @param classUnits Stake units of the class at the snapshot; zero lets everybody in (nobody has tickets then).
    /// @param expected Claims expected in step 0: slots times the deployment's factor.
    function threshold(uint256 classUnits, uint256 expected, uint256 step) internal pure returns (uint256) {
        // 255 steps of a uint16 stay far below 2^256 only if the shift is bounded.
        uint256 winners = step > 128 ? classUnits : expected << step;
        if (winners >= classUnits) return type(uint256).max;
        // The loss is below classUnits out of 2^256, and multiplying first would overflow.
        // forge-lint: disable-next-line(divide-before-multiply)
        return (type(uint256).max / classUnits) * winners;
    }

    /// @notice The `samples` leaves that `verifier` computes, ascending: all if there are no more, else Floyd's sampling
    /// without replacement (Bentley and Floyd, CACM 30(9), 1987). Quadratic in `samples`, which the terms bound.
    function sampledLeaves(bytes32 seed, address verifier, uint256 leafCount, uint256 samples)
        internal
        pure
        returns (uint32[] memory leaves)
    {
        if (samples >= leafCount) {
            leaves = new uint32[](leafCount);
            for (uint256 i = 0; i < leafCount; ++i) {
                leaves[i] = uint32(i);
            }
            return leaves;
        }
        bytes32 sampleSeed = keccak256(abi.encode(SAMPLE_DOMAIN, seed, verifier));
        leaves = new uint32[](samples);
        uint256 count = 0;
        for (uint256 j = leafCount - samples; j < leafCount; ++j) {
            uint32 pick = uint32(uint256(keccak256(abi.encode(sampleSeed, j))) % (j + 1));
            // j itself is larger than all before, so it is new when `pick` is not.
            if (_contains(leaves, count, pick)) pick = uint32(j);
            uint256 spot = count++;
            for (; spot != 0 && leaves[spot - 1] > pick; --spot) {
                leaves[spot] = leaves[spot - 1];
            }
            leaves[spot] = pick;
        }
    }

    function _contains(uint32[] memory leaves, uint256 count, uint32 leaf) private pure returns (bool) {
        for (uint256 i = 0; i < count; ++i) {
            if (leaves[i] == leaf) return true;
        }
        return false;
    }
}
