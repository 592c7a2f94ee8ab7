// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {SettleInput, SettleOutput, SettlementLib, Vote} from "../../contracts/libraries/SettlementLib.sol";
import {RoundKind} from "../../contracts/types/ComputeState.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Verifiers that found something else. Four leaves, all sampled by all, so that each case is one vote. A dissent
/// without a winner calls more verifiers (Rounds.t.sol); here none come, and the votes that are there decide.
contract DissentTest is Driver {
    Books private _before;

    /// @notice Per slot: 0 agrees, 1 and 2 name another digest for leaf 2, SILENT does not open.
    uint8 private constant SILENT = 9;

    function test_oneAgainstOneIsUndecided() public {
        _vote(_v(1), Ending.Undecided, _votes(Vote.Honest));
    }

    function test_verifierWrong() public {
        IComputeAgreement a = _vote(_v(0, 1), Ending.Verified, _votes(Vote.Honest, Vote.Lost));
        assertEq(dispatcher.workerInfo(_verifier(a, 0)).score, 1, "honest score rises");
        assertEq(dispatcher.workerInfo(_verifier(a, 1)).score, 0, "lost does not");
    }

    function test_workerWrong() public {
        IComputeAgreement a = _vote(_v(1, 1), Ending.Refuted, _votes(Vote.Honest, Vote.Honest));
        assertEq(dispatcher.workerInfo(workers[0].owner).score, 0, "no score for the refuted");
        assertEq(_before.bonded[0] - _books().bonded[0], WORKER_LOCK, "whole lock");
        // The fees come out of the slash; the rest is halved: 65 SUN to the two finders, 65 burned.
        assertEq(_before.client - _books().client, SEED_TIP, "client whole");
        assertEq(_books().earned[_indexOf(_verifier(a, 0))], 10 * SUN + 65 * SUN / 2, "fee and share");
        assertEq(_books().burned, 65 * SUN, "burned");
    }

    function test_threeDigestsAreUndecided() public {
        _vote(_v(1, 2), Ending.Undecided, _votes(Vote.Honest, Vote.Honest));
        assertEq(_books().earned[0] - _before.earned[0], 50 * SUN, "half for the worker");
    }

    function test_tieOfFourIsUndecided() public {
        _vote(_v(1, 0, 1), Ending.Undecided, _votes(Vote.Honest, Vote.Honest, Vote.Honest));
    }

    /// @notice Who agreed with a refuted worker loses with it.
    function test_accompliceLoses() public {
        _vote(_v(1, 1, 1, 0), Ending.Refuted, _votes(Vote.Honest, Vote.Honest, Vote.Honest, Vote.Lost));
    }

    function test_loneDissentWithAnotherWrongOne() public {
        _vote(_v(0, 0, 1, 2), Ending.Verified, _votes(Vote.Honest, Vote.Honest, Vote.Lost, Vote.Lost));
    }

    function test_silentWithDissent() public {
        _vote(_v(SILENT, 1), Ending.Undecided, _votes(Vote.Silent, Vote.Honest));
    }

    function test_silentHelpsNobody() public {
        _vote(_v(1, SILENT, 1), Ending.Refuted, _votes(Vote.Honest, Vote.Silent, Vote.Honest));
    }

    /// @notice A verifier dissents on a leaf that only it has sampled: one against one.
    function test_loneLeafIsUndecided() public {
        ComputeTerms memory t = _terms();
        t.leafCount = 64;
        IComputeAgreement a = _driveTo(t, Status.Verifying);
        (address first, address second) = (_verifier(a, 0), _verifier(a, 1));
        bytes32[] memory mine = _honestDigests(a, first);
        uint256 lone = _leafOnlyOfFirst(a.sampledLeaves(first), a.sampledLeaves(second));
        uint32 leaf = a.sampledLeaves(first)[lone];
        mine[lone] = keccak256("mine");
        _sealAs(a, first, mine);
        _sealAll(a);
        _reveal(a);
        vm.expectEmit(address(a));
        emit IComputeAgreement.Opened(first, uint32(2 ** lone), mine);
        _openAs(a, _opening(first, mine));
        assertEq(a.agreement().slots[0].dissent, 2 ** lone, "the view shows which");
        _openAs(a, _opening(second, new bytes32[](0)));
        assertEq(a.agreement().leaves.length, 1, "one leaf in dispute");
        assertEq(a.agreement().leaves[0], leaf, "that leaf");
        _nobodyComes(a, true);
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "nobody wins");
        _assertEmpty(address(a));
        _assertConserved();
    }

    function test_RevertWhen_dissentNamesZero() public {
        ComputeTerms memory t = _terms();
        IComputeAgreement a = _driveTo(t, Status.Verifying);
        address first = _verifier(a, 0);
        bytes32[] memory mine = _honestDigests(a, first);
        uint32 leaf = a.sampledLeaves(first)[1];
        mine[1] = 0;
        _sealAs(a, first, mine);
        _sealAll(a);
        _reveal(a);
        WorkerOpening memory w = _workerOpening(a);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.ZeroDigest.selector, leaf));
        a.openVerification(_opening(first, mine), w.root, w.leaves, w.digests);
    }

    // ------------------------------------------------------------------------------------------------ one vote

    function _vote(uint8[] memory choices, Ending ending, Vote[] memory votes)
        private
        returns (IComputeAgreement a)
    {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (4, 4, uint8(choices.length));
        _before = _books();
        a = _driveTo(t, Status.Verifying);
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < choices.length; ++i) {
            _sealAs(a, v.slots[i].verifier, _choice(choices[i]));
        }
        _reveal(a);
        bool silent = false;
        for (uint256 i = 0; i < choices.length; ++i) {
            if (choices[i] == SILENT) silent = true;
            else _openAs(a, _opening(v.slots[i].verifier, _choice(choices[i])));
        }
        if (silent) {
            vm.warp(a.agreement().deadline + 1);
            a.expire();
        }
        _nobodyComes(a, ending == Ending.Undecided);
        assertEq(uint8(a.ending()), uint8(ending), "ending");
        _assertSettled(a, t, ending, votes);
    }

    /// @dev An undecided leaf has to call a further round, which nobody proves a beacon for; a decided one has not.
    function _nobodyComes(IComputeAgreement a, bool undecided) private {
        assertEq(uint8(a.status()), uint8(undecided ? Status.Sealed : Status.Settled), "a further round");
        if (!undecided) return;
        assertEq(uint8(a.agreement().kind), uint8(RoundKind.Leaves), "for the leaf in dispute");
        vm.warp(a.agreement().deadline + 1);
        a.expire();
    }

    function _choice(uint8 choice) private pure returns (bytes32[] memory digests) {
        digests = _digests(4);
        if (choice == 1) digests[2] = keccak256("another");
        if (choice == 2) digests[2] = keccak256("a third");
    }

    /// @dev The books against SettlementLib.
    function _assertSettled(IComputeAgreement a, ComputeTerms memory t, Ending ending, Vote[] memory votes)
        private
        view
    {
        SettleInput memory input = SettleInput({
            ending: ending,
            doubted: false,
            escrow: _budget(t) - SEED_TIP,
            reward: t.rewardMin,
            verifierFee: t.verifierFee,
            workerLock: a.workerLock(t.rewardMin),
            verifierLock: a.verifierLock(t.rewardMin),
            votes: votes,
            reserved: votes.length,
            bond: 0,
            disputesWon: 0,
            disputesLost: 0
        });
        SettleOutput memory out = SettlementLib.settle(input);
        Books memory b = _books();
        assertEq(b.earned[0] - _before.earned[0], out.workerPay, "worker paid");
        assertEq(_before.bonded[0] - b.bonded[0], out.workerSlash, "worker slashed");
        for (uint256 i = 0; i < votes.length; ++i) {
            uint256 w = _indexOf(_verifier(a, i));
            assertEq(b.earned[w] - _before.earned[w], out.verifierPay[i], "verifier paid");
            assertEq(_before.bonded[w] - b.bonded[w], out.verifierSlash[i], "verifier slashed");
        }
        assertEq(b.burned - _before.burned, out.burned, "burned");
        assertEq(_before.client - b.client, _budget(t) - out.refund, "refund");
        _assertEmpty(address(a));
        _assertConserved();
    }

    function _leafOnlyOfFirst(uint32[] memory mine, uint32[] memory others) private pure returns (uint256) {
        for (uint256 i = 0; i < mine.length; ++i) {
            bool shared = false;
            for (uint256 j = 0; j < others.length; ++j) {
                if (mine[i] == others[j]) shared = true;
            }
            if (!shared) return i;
        }
        revert("all shared");
    }

    function _v(uint8 a) private pure returns (uint8[] memory v) {
        v = new uint8[](1);
        v[0] = a;
    }

    function _v(uint8 a, uint8 b) private pure returns (uint8[] memory v) {
        v = new uint8[](2);
        (v[0], v[1]) = (a, b);
    }

    function _v(uint8 a, uint8 b, uint8 c) private pure returns (uint8[] memory v) {
        v = new uint8[](3);
        (v[0], v[1], v[2]) = (a, b, c);
    }

    function _v(uint8 a, uint8 b, uint8 c, uint8 d) private pure returns (uint8[] memory v) {
        v = new uint8[](4);
        (v[0], v[1], v[2], v[3]) = (a, b, c, d);
    }

    function _votes(Vote a) private pure returns (Vote[] memory v) {
        v = new Vote[](1);
        v[0] = a;
    }

    function _votes(Vote a, Vote b) private pure returns (Vote[] memory v) {
        v = new Vote[](2);
        (v[0], v[1]) = (a, b);
    }

    function _votes(Vote a, Vote b, Vote c) private pure returns (Vote[] memory v) {
        v = new Vote[](3);
        (v[0], v[1], v[2]) = (a, b, c);
    }

    function _votes(Vote a, Vote b, Vote c, Vote d) private pure returns (Vote[] memory v) {
        v = new Vote[](4);
        (v[0], v[1], v[2], v[3]) = (a, b, c, d);
    }
}
