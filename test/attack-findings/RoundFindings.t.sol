// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {Ballot, Tally, VoteLib} from "../../contracts/libraries/VoteLib.sol";
import {Ending} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Attacks on rounds of voting, found by an attacker's reading and ended.
contract RoundFindingsTest is Driver {
    bytes32 private constant TRUE_DIGEST = bytes32(uint256(0x900d));

    /// @notice Accomplices of a lying worker dissent on good leaves before the honest one: each round used to look at their
    /// leaves only, until the rounds were used up and the lie was half paid.
    function test_attack_decoysHideTheLie() public pure {
        Ballot[] memory b = new Ballot[](3);
        b[0] = _ballot(_leaves(4), 11, bytes32(uint256(1)));
        b[1] = _ballot(_leaves(4), 10, bytes32(uint256(2)));
        b[2] = _ballot(_leaves(4), 8, TRUE_DIGEST);
        Tally memory t = VoteLib.decide(b, 2, 16);
        assertEq(t.open.length, 3, "a leaf for each of them");
        assertEq(t.open[2], 3, "the honest one's too");
        // Four more newcomers compute what is open.
        Ballot[] memory all = new Ballot[](7);
        for (uint256 i = 0; i < 7; ++i) {
            all[i] = i < 3 ? b[i] : _ballot(t.open, 4, TRUE_DIGEST);
        }
        assertEq(uint8(VoteLib.decide(all, 2, 4).ending), uint8(Ending.Refuted), "found in one round");
    }

    /// @notice A worker used to raise the verifiers' lock above every honest stake by adding to its own reward.
    function test_attack_contributionPricesVerifiersOut() public {
        IComputeAgreement a = _buy(_terms());
        uint96 lockBefore = a.verifierLock(a.agreement().reward);
        address rich = workers[0].owner;
        _give(rich, 20 * STAKE);
        _stake(rich, 20 * STAKE);
        skip(1);
        vm.startPrank(rich);
        token.approve(address(dispatcher), type(uint256).max);
        dispatcher.fund(address(a), uint96(4 * STAKE), "");
        a.accept();
        vm.stopPrank();
        assertEq(a.verifierLock(a.agreement().reward), lockBefore, "of the highest price of the terms");
        _seal(a);
        _openDraw(a);
        _draw(a);
        assertEq(a.agreement().slots.length, 2, "honest verifiers hold the slots");
        (uint96 locked,) = a.lockOf(_verifier(a, 0));
        assertEq(locked, lockBefore, "and lock what was said");
    }

    function _leaves(uint32 count) private pure returns (uint32[] memory leaves) {
        leaves = new uint32[](count);
        for (uint32 i = 0; i < count; ++i) {
            leaves[i] = i;
        }
    }

    function _ballot(uint32[] memory leaves, uint32 mask, bytes32 mine)
        private
        pure
        returns (Ballot memory b)
    {
        (b.opened, b.odds, b.leaves, b.dissent) = (true, 2, leaves, mask);
        b.digests = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            b.digests[i] = mine;
        }
    }
}
