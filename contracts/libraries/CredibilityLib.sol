// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title CredibilityLib
/// @notice Odds of a voter from its score: how many times likelier it is right than wrong, as small integers
/// (after Sarmenta's credibility-based fault tolerance, FGCS 18(4), 2002). Capped at three times a newcomer's, so that an old
/// worker cannot outvote a crowd.
/// @dev The odds of a digest are the product of the odds of all who voted for it: with independent voters the products of
/// all digests stand to each other as the chances that each is right.
library CredibilityLib {
    uint256 internal constant NEWCOMER_ODDS = 2;
    uint16 internal constant MAX_SCORE = 1000;
    /// @dev A score loses an eighth for each so many epochs without a settlement.
    uint256 internal constant DECAY_EPOCHS = 90;

    function odds(uint256 score) internal pure returns (uint256) {
        if (score < 5) return NEWCOMER_ODDS;
        if (score < 20) return 3;
        if (score < 60) return 4;
        if (score < 200) return 5;
        return 6;
    }

    /// @notice The score after a paid, verified agreement, in an epoch that has not raised it yet.
    function scoreAfterKept(uint256 score) internal pure returns (uint256) {
        return score < MAX_SCORE ? score + 1 : score;
    }

    /// @notice A lost vote costs a third, rounded against the loser.
    function scoreAfterLost(uint256 score) internal pure returns (uint256) {
        return (score * 2) / 3;
    }

    /// @notice What is left of a score after `idleEpochs` without a settlement: an eighth less for each DECAY_EPOCHS, rounded
    /// down.
    function decayed(uint256 score, uint256 idleEpochs) internal pure returns (uint256) {
        uint256 eighths = idleEpochs / DECAY_EPOCHS;
        return eighths >= 8 ? 0 : score * (8 - eighths) / 8;
    }

    /// @notice The trust that the worker and `verifiers` unanimous newcomers reach: the product of their odds.
    function reachableTrust(uint256 verifiers) internal pure returns (uint256) {
        return NEWCOMER_ODDS ** (verifiers + 1);
    }

    /// @notice Whether a digest with odds `mine` out of `all` wins: a share above 1 - 1/trust, strictly.
    /// @dev At most 1 + 8 + 18 voters of odds 6 and 16 bits of trust: far below 2^256.
    function wins(uint256 mine, uint256 all, uint256 trust) internal pure returns (bool) {
        return mine * trust > all * (trust - 1);
    }
}
