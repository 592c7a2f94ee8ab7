// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title ChiSquare
/// @notice Pearson's goodness of fit in integers, with the critical values that tests compare with.
/// @dev Critical values: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.4, upper tail, 0.001: a right draw is refused
/// once in a thousand tests. Seeds are fixed, so a test passes always or never.
library ChiSquare {
    /// @dev Values are in thousandths.
    uint256 internal constant SCALE = 1000;

    /// @notice sum((seen - expected)^2 / expected) in thousandths, rounded up, where `expected` of a cell is
    /// draws * weight / sum(weights).
    function statistic(uint256[] memory seen, uint256[] memory weights) internal pure returns (uint256 sum) {
        require(seen.length == weights.length, "a weight for each cell");
        (uint256 draws, uint256 total) = (0, 0);
        for (uint256 i = 0; i < seen.length; ++i) {
            draws += seen[i];
            total += weights[i];
        }
        for (uint256 i = 0; i < seen.length; ++i) {
            // Chi-square is an approximation that wants at least five in each cell.
            require(draws * weights[i] >= 5 * total, "a cell expects too few");
            (uint256 a, uint256 b) = (seen[i] * total, draws * weights[i]);
            uint256 apart = a > b ? a - b : b - a;
            sum += (SCALE * apart * apart + b * total - 1) / (b * total);
        }
    }

    /// @notice What the statistic exceeds once in a thousand times, thousandths.
    /// @param freedom Cells minus one.
    function critical(uint256 freedom) internal pure returns (uint256) {
        if (freedom == 1) return 10_828;
        if (freedom == 2) return 13_816;
        if (freedom == 3) return 16_266;
        if (freedom == 4) return 18_467;
        if (freedom == 5) return 20_515;
        if (freedom == 9) return 27_877;
        if (freedom == 11) return 31_264;
        if (freedom == 19) return 43_820;
        revert("not in our part of the table");
    }
}
