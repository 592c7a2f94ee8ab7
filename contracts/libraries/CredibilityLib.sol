// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title CredibilityLib
/// @notice Odds of a voter from its score: how many times likelier it is right than wrong, as small integers
/// (after Sarmenta's credibility-based fault tolerance, FGCS 18(4), 2002). Capped at three times a newcomer's, so that an old
/// worker cannot outvote a crowd.
library CredibilityLib {
    uint256 internal constant NEWCOMER_ODDS = 2;
    uint16 internal constant MAX_SCORE = 1000;

    function odds(uint256 score) internal pure returns (uint256) {
        if (score < 5) return NEWCOMER_ODDS;
        if (score < 20) return 3;
        if (score < 60) return 4;
        if (score < 200) return 5;
        return 6;
    }

    /// @notice The score after a settlement.
    /// @param rises True if this epoch has not raised it yet.
    function scoreAfterKept(uint256 score, bool rises) internal pure returns (uint256) {
        return rises && score < MAX_SCORE ? score + 1 : score;
    }

    /// @notice A lost vote costs a third, rounded against the loser.
    function scoreAfterLost(uint256 score) internal pure returns (uint256) {
        return (score * 2) / 3;
    }

    /// @notice The trust that the worker and `verifiers` unanimous newcomers reach: the product of their odds.
    function reachableTrust(uint256 verifiers) internal pure returns (uint256) {
        return NEWCOMER_ODDS ** (verifiers + 1);
    }
}
