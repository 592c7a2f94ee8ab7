// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {RoundKind} from "../../contracts/types/ComputeState.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice The window for disputes: anybody with a bond has more verifiers look at any leaf. One verifier, one sample of four
/// leaves: most of the bag is seen by nobody.
contract DisputesTest is RoundDriver {
    uint24 private constant WINDOW = 1000;
    address private _other = makeAddr("another stranger");

    function setUp() public override {
        super.setUp();
        _addWorkers(9);
        skip(EPOCH_SECS);
        for (uint256 i = 0; i < 2; ++i) {
            address who = [stranger, _other][i];
            _give(who, 10_000 * SUN);
            vm.prank(who);
            token.approve(address(dispatcher), type(uint256).max);
        }
    }

    // ------------------------------------------------------------------------------------------------ undisturbed

    function test_nobodyDisputes() public {
        IComputeAgreement a = _disputable();
        assertEq(a.agreement().deadline, block.timestamp + WINDOW, "as long as the terms say");
        assertEq(_earned(workers[0].owner), 0, "nobody is paid yet");
        assertEq(_lapse(a), 1, "one call");
        _assertPlain(a);
    }

    /// @notice The client waives the rest of the window; nobody else does.
    function test_clientAccepts() public {
        IComputeAgreement a = _disputable();
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, stranger, client));
        vm.prank(stranger);
        a.acceptResult();
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.NotTheClient.selector, workers[0].owner, client)
        );
        vm.prank(workers[0].owner);
        a.acceptResult();
        vm.prank(client);
        a.acceptResult();
        _assertPlain(a);
    }

    /// @notice A unanimous `settleAll` waits for the window too.
    function test_settleAllWaits() public {
        IComputeAgreement a = _sealedWork(_windowTerms());
        _openDraw(a);
        _draw(a);
        _sealAll(a);
        _settleAll(a);
        assertEq(uint8(a.status()), uint8(Status.Disputable), "open, not paid");
    }

    // ------------------------------------------------------------------------------------------------ disputes

    /// @notice The leaf falls: the bond comes back with a share, the worker's lock pays for all.
    function test_disputerFindsAFalseLeaf() public {
        (IComputeAgreement a, uint32 leaf) = _falseLeaf();
        Books memory before = _books();
        uint256 purse = _owned(stranger);
        uint96 bond = a.disputeBond();
        assertEq(bond, 100 * SUN + 20 * SUN, "a verifier's lock and the fees of V + 1");
        vm.expectEmit(address(a));
        emit IComputeAgreement.Disputed(stranger, leaf, bond);
        _dispute(a, stranger, leaf);
        assertEq(uint8(a.status()), uint8(Status.Disputable), "the window goes on");
        (uint96 escrow,) = dispatcher.escrowOf(address(a));
        assertEq(escrow, _budget(_windowTerms()) - SEED_TIP + bond, "held in the escrow");
        assertEq(_expireOnce(a), uint8(Status.Sealed), "then verifiers are called");
        AgreementView memory v = a.agreement();
        assertEq(uint8(v.kind), uint8(RoundKind.Leaves), "for leaves");
        assertEq(v.wanted, 2, "V + 1");
        assertEq(v.leaves.length, 1, "one");
        assertEq(v.leaves[0], leaf, "the disputed one");
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "the leaf fell");
        _assertRefuted(a, before, purse);
    }

    /// @dev Of the worker's lock the three fees are the client's cost; half of the rest is for three finders and the disputer. The
    /// verifier of the first round was honest on its own leaf.
    function _assertRefuted(IComputeAgreement a, Books memory before, uint256 purse) private view {
        uint256 lock = a.workerLock(uint96(100 * SUN));
        assertEq(_lost(workers[0].owner), lock, "worker");
        uint256 share = (lock - 30 * SUN) / 2 / 4;
        assertEq(_owned(stranger) - purse, share, "the disputer's share, and its bond");
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(_earned(_verifier(a, i)), 10 * SUN + share, "fee and share");
        }
        assertEq(
            _books().client - before.client, _budget(_windowTerms()) - SEED_TIP, "client: all but the tip"
        );
        _assertEmpty(address(a));
    }

    /// @notice The leaf stands: the bond pays the verifiers that it called, and what is left burns.
    function test_disputeOfAGoodLeafCostsTheBond() public {
        IComputeAgreement a = _disputable();
        uint256 purse = _owned(stranger);
        Books memory before = _books();
        _dispute(a, stranger, 1);
        _expireOnce(a);
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "stands");
        assertEq(purse - _owned(stranger), a.disputeBond(), "the bond is gone");
        Books memory b = _books();
        assertEq(b.burned - before.burned, a.disputeBond() - 20 * SUN, "what the two fees leave");
        assertEq(_earned(workers[0].owner), 100 * SUN, "the worker as if nothing had been");
        for (uint256 i = 0; i < 3; ++i) {
            assertEq(_earned(_verifier(a, i)), 10 * SUN, "fees");
        }
        assertEq(b.client - before.client, 0, "the client: all was spent");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Nobody comes to look: the bond goes back, and the votes that are there decide.
    function test_disputeThatNobodyLooksAt() public {
        IComputeAgreement a = _disputable();
        uint256 purse = _owned(stranger);
        _dispute(a, stranger, 1);
        assertEq(_lapse(a), 2, "the window, and the beacon");
        assertEq(_owned(stranger), purse, "bond back");
        _assertPlain(a);
    }

    /// @notice Several leaves, several disputers, one round. One leaf brings the result down: who disputed a good one gets its
    /// bond back, since it does not matter any more.
    function test_twoDisputesOneRound() public {
        (IComputeAgreement a, uint32 leaf) = _falseLeaf();
        uint32 good = _leafBesides(a, leaf);
        (uint256 purse, uint256 otherPurse) = (_owned(stranger), _owned(_other));
        _dispute(a, _other, good);
        _dispute(a, stranger, leaf);
        _expireOnce(a);
        uint32[] memory leaves = a.agreement().leaves;
        assertEq(leaves.length, 2, "both");
        assertLt(leaves[0], leaves[1], "ascending");
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "one is enough");
        assertGt(_owned(stranger), purse, "found");
        assertEq(_owned(_other), otherPurse, "neither won nor lost");
        _assertEmpty(address(a));
    }

    /// @notice No digest wins on the disputed leaf: the bond goes back, the worker gets half.
    function test_disputeWithoutAWinner() public {
        (IComputeAgreement a, uint32 leaf) = _falseLeaf();
        uint256 purse = _owned(stranger);
        _dispute(a, stranger, leaf);
        target = leaf;
        _expireOnce(a);
        _nextRound(a, _tell(hex"0506"));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "another round");
        _nextRound(a, _tell(hex"0708"));
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "each another digest");
        assertEq(_owned(stranger), purse, "bond back");
        assertEq(_earned(workers[0].owner), 50 * SUN, "half");
        _assertEmpty(address(a));
    }

    /// @notice After a round that a dispute called there is no second window.
    function test_oneWindow() public {
        IComputeAgreement a = _disputable();
        _dispute(a, stranger, 0);
        _expireOnce(a);
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Settled), "ended");
    }

    // ------------------------------------------------------------------------------------------------ attacks

    /// @notice Who disputes does not judge: neither the disputer nor its device is drawn in that round.
    function test_attack_disputerJudgesItsOwnDispute() public {
        IComputeAgreement a = _disputable();
        address judge = workers[9].owner == _verifier(a, 0) ? workers[8].owner : workers[9].owner;
        _give(judge, a.disputeBond());
        vm.startPrank(judge);
        token.approve(address(dispatcher), type(uint256).max);
        dispatcher.fund(address(a), a.disputeBond(), abi.encodePacked(uint32(1)));
        vm.stopPrank();
        _expireOnce(a);
        _openDraw(a);
        skip(70);
        (, uint256 index,) = _bestTicket(a, judge);
        bytes memory err = abi.encodeWithSelector(IComputeAgreement.ExcludedVerifier.selector, judge);
        vm.expectRevert(err);
        vm.prank(judge);
        a.claim(index);
        address device = workers[_indexOf(judge)].device;
        vm.expectRevert(err);
        vm.prank(device);
        a.claim(index);
    }

    /// @notice A worker that disputes a good leaf of its own does not shield a bad one: the window stays open for others, and all
    /// disputed leaves are looked at.
    function test_attack_workerShieldsABadLeafByDisputingAGoodOne() public {
        (IComputeAgreement a, uint32 leaf) = _falseLeaf();
        uint32 good = _leafBesides(a, leaf);
        address worker = workers[0].owner;
        _give(worker, a.disputeBond());
        vm.startPrank(worker);
        token.approve(address(dispatcher), type(uint256).max);
        dispatcher.fund(address(a), a.disputeBond(), abi.encodePacked(good));
        vm.stopPrank();
        assertEq(uint8(a.status()), uint8(Status.Disputable), "still open");
        _dispute(a, stranger, leaf);
        _expireOnce(a);
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Refuted), "found");
    }

    /// @notice A worker that fills all eight places with disputes of good leaves keeps others out, at a price above its reward.
    function test_attack_fillingAllPlacesCostsMoreThanTheReward() public {
        (IComputeAgreement a, uint32 leaf) = _falseLeaf();
        uint256 purse = _owned(stranger);
        uint32 good = 0;
        for (uint256 n = 0; n < 8; ++n) {
            if (good == leaf) ++good;
            _dispute(a, stranger, good++);
        }
        bytes memory err = abi.encodeWithSelector(IComputeAgreement.TooManyDisputes.selector, 8);
        vm.expectRevert(err);
        vm.prank(_other);
        dispatcher.fund(address(a), uint96(120 * SUN), abi.encodePacked(leaf));
        _expireOnce(a);
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "a false leaf got through");
        assertGt(purse - _owned(stranger), 8 * _earned(workers[0].owner), "for more than eight rewards");
    }

    /// @notice A disputed result cannot be waved through by the client, who may be the worker's friend.
    function test_attack_clientAcceptsAfterADispute() public {
        IComputeAgreement a = _disputable();
        _dispute(a, stranger, 3);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyDisputed.selector, 3));
        vm.prank(client);
        a.acceptResult();
    }

    // ------------------------------------------------------------------------------------------------ refusals

    function test_RevertWhen_disputeIsWrong() public {
        IComputeAgreement a = _disputable();
        uint96 bond = a.disputeBond();
        bytes memory leaf = abi.encodePacked(uint32(1));
        _refused(
            a, bond - 1, leaf, abi.encodeWithSelector(IComputeAgreement.BondMismatch.selector, bond - 1, bond)
        );
        _refused(
            a, bond + 1, leaf, abi.encodeWithSelector(IComputeAgreement.BondMismatch.selector, bond + 1, bond)
        );
        _refused(a, bond, "leaf!", abi.encodeWithSelector(IComputeAgreement.UnknownPurpose.selector, 5));
        _refused(a, bond, "1", abi.encodeWithSelector(IComputeAgreement.UnknownPurpose.selector, 1));
        _refused(
            a,
            bond,
            abi.encodePacked(uint32(16)),
            abi.encodeWithSelector(IComputeAgreement.LeafOutOfRange.selector, 16, 16)
        );
        _refused(
            a,
            bond,
            abi.encodePacked(type(uint32).max),
            abi.encodeWithSelector(IComputeAgreement.LeafOutOfRange.selector, type(uint32).max, 16)
        );
        _refused(
            a,
            bond,
            "",
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Disputable, Status.Open)
        );
        _dispute(a, stranger, 1);
        _refused(a, bond, leaf, abi.encodeWithSelector(IComputeAgreement.AlreadyDisputed.selector, 1));
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        leaf = abi.encodePacked(uint32(2));
        _refused(
            a, bond, leaf, abi.encodeWithSelector(IWorkAgreement.TooLate.selector, deadline + 1, deadline)
        );
    }

    function test_RevertWhen_ninthDispute() public {
        IComputeAgreement a = _disputable();
        for (uint32 leaf = 0; leaf < 8; ++leaf) {
            _dispute(a, stranger, 15 - leaf);
        }
        bytes memory err = abi.encodeWithSelector(IComputeAgreement.TooManyDisputes.selector, 8);
        _refused(a, a.disputeBond(), abi.encodePacked(uint32(0)), err);
        _expireOnce(a);
        uint32[] memory leaves = a.agreement().leaves;
        for (uint32 i = 0; i < 8; ++i) {
            assertEq(leaves[i], 8 + i, "all eight, in order");
        }
        _nextRound(a, _same(2, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "all stand");
        _assertEmpty(address(a));
    }

    /// @notice Only in its window: no other status takes a bond.
    function test_RevertWhen_disputedElsewhen() public {
        Status[7] memory all = [
            Status.Open,
            Status.Working,
            Status.Sealed,
            Status.Drawing,
            Status.Verifying,
            Status.Revealing,
            Status.Opening
        ];
        for (uint256 i = 0; i < all.length; ++i) {
            IComputeAgreement a = _driveTo(_terms(), all[i]);
            bytes memory err =
                abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, all[i], Status.Disputable);
            _refused(a, a.disputeBond(), abi.encodePacked(uint32(0)), err);
            (uint96 escrow,) = dispatcher.escrowOf(address(a));
            assertLe(escrow, _budget(_terms()), "no bond is kept");
        }
        IComputeAgreement done = _driveTo(_terms(), Status.Settled);
        _refused(
            done,
            done.disputeBond(),
            abi.encodePacked(uint32(0)),
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Settled, Status.Disputable)
        );
    }

    // ------------------------------------------------------------------------------------------------ helpers

    /// @dev Sixteen leaves, one verifier that looks at one of them.
    function _windowTerms() private pure returns (ComputeTerms memory t) {
        t = _terms();
        t.rewardMax = t.rewardMin;
        (t.samples, t.verifiers, t.disputeSecs) = (1, 1, WINDOW);
    }

    function _disputable() private returns (IComputeAgreement a) {
        a = _firstRound(_windowTerms(), _same(1, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Disputable), "disputable");
    }

    /// @dev With a false leaf that the one verifier has not looked at.
    function _falseLeaf() private returns (IComputeAgreement a, uint32 leaf) {
        for (leaf = 7; address(a) == address(0); ++leaf) {
            lies[leaf] = "false";
            IComputeAgreement tried = _firstRound(_windowTerms(), _same(1, TRUTH));
            if (tried.status() == Status.Disputable) return (tried, leaf);
            delete lies[leaf];
            _lapse(tried);
        }
    }

    /// @dev A true leaf.
    function _leafBesides(IComputeAgreement, uint32 leaf) private pure returns (uint32) {
        return leaf == 3 ? 4 : 3;
    }

    function _dispute(IComputeAgreement a, address who, uint32 leaf) private {
        uint96 bond = a.disputeBond();
        vm.prank(who);
        dispatcher.fund(address(a), bond, abi.encodePacked(leaf));
    }

    function _refused(IComputeAgreement a, uint96 amount, bytes memory what, bytes memory err) private {
        uint256 purse = _owned(stranger);
        vm.expectRevert(err);
        vm.prank(stranger);
        dispatcher.fund(address(a), amount, what);
        assertEq(_owned(stranger), purse, "nothing is taken");
    }

    function _expireOnce(IComputeAgreement a) private returns (uint8) {
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IWorkAgreement.NotYetExpired.selector, deadline, deadline));
        a.expire();
        vm.warp(deadline + 1);
        a.expire();
        return uint8(a.status());
    }

    function _assertPlain(IComputeAgreement a) private view {
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        assertEq(_earned(workers[0].owner), 100 * SUN, "reward");
        assertEq(_earned(_verifier(a, 0)), 10 * SUN, "fee");
        assertEq(_lost(workers[0].owner), 0, "nothing lost");
        _assertEmpty(address(a));
    }
}
