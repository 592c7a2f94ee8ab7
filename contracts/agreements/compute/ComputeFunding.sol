// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../interfaces/IComputeAgreement.sol";
import {ComputeQuoteLib} from "../../libraries/ComputeQuoteLib.sol";
import {Dispute, RoundKind} from "../../types/ComputeState.sol";
import {ComputeTerms} from "../../types/ComputeTerms.sol";
import {Status} from "../../types/Status.sol";
import {ComputeSteps} from "./ComputeSteps.sol";

/// @title ComputeFunding
/// @notice Money of third parties: additions to the reward, disputes with a bond.
abstract contract ComputeFunding is ComputeSteps {
    /// @dev A round has room for so many leaves.
    uint256 internal constant MAX_DISPUTES = 8;

    /// @notice See IWorkAgreement.
    function funded(address from, uint96 amount, bytes calldata what) external onlyDispatcher {
        if (what.length == 0) return _contribute(from, amount);
        require(what.length == 4, IComputeAgreement.UnknownPurpose(what.length));
        _requireStatus(Status.Disputable);
        ComputeTerms memory t = _terms();
        uint96 bond = _disputeBond(t);
        require(amount == bond, IComputeAgreement.BondMismatch(amount, bond));
        uint32 leaf = uint32(bytes4(what));
        require(leaf < t.leafCount, IComputeAgreement.LeafOutOfRange(leaf, t.leafCount));
        if (t.trustLevel == 0) _reject(from, leaf, bond, t);
        else _dispute(from, leaf, bond);
    }

    function _contribute(address from, uint96 amount) private {
        _requireStatus(Status.Open);
        uint256 sum = uint256(_c.extra.total) + amount;
        require(
            sum <= ComputeQuoteLib.MAX_AMOUNT,
            IComputeAgreement.TermsInvalid("contributions", sum, 1, ComputeQuoteLib.MAX_AMOUNT)
        );
        uint96 total = uint96(sum);
        _s.flags |= FLAG_EXTRA;
        _c.extra.total = total;
        _c.contributions[from] += amount;
        emit IComputeAgreement.Contributed(from, amount, total);
    }

    /// @dev Level 0: the client's bond pays V verifiers, who look at leaves of their own; it is not a way to a refund.
    function _reject(address from, uint32 leaf, uint96 bond, ComputeTerms memory t) private {
        address client_ = _client();
        require(from == client_, IComputeAgreement.NotTheClient(from, client_));
        _s.flags |= FLAG_DISPUTED;
        emit IComputeAgreement.Disputed(from, leaf, bond);
        // The worker handed in when this window began; stake moved since draws nothing.
        _c.draw.snapshotEpoch = _epochAt(_s.deadline - t.disputeSecs);
        _openRound(RoundKind.Audit, t.verifiers, new uint32[](0));
    }

    /// @dev Each leaf once; the verifiers come when the window is over, for all of them.
    function _dispute(address from, uint32 leaf, uint96 bond) private {
        uint256 count = _c.disputeCount;
        require(count < MAX_DISPUTES, IComputeAgreement.TooManyDisputes(MAX_DISPUTES));
        for (uint256 i = 0; i < count; ++i) {
            require(_c.disputes[i].leaf != leaf, IComputeAgreement.AlreadyDisputed(leaf));
        }
        _s.flags |= FLAG_DISPUTED;
        _c.disputes[count] = Dispute(from, leaf);
        _c.disputeCount = count + 1;
        emit IComputeAgreement.Disputed(from, leaf, bond);
    }
}
