// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice Quick work: a verifier computes its leaves before it claims, and claims and seals at once.
contract MergedClaimTest is RoundDriver {
    function setUp() public override {
        super.setUp();
        _addWorkers(5);
        skip(EPOCH_SECS);
    }

    /// @notice Leaves and tickets are known as soon as the beacon's round is, before anybody opened the draw.
    function test_samplesAreKnownBeforeTheClaim() public {
        IComputeAgreement a = _recorded();
        assertEq(uint8(a.status()), uint8(Status.Sealed), "nobody has opened the draw");
        uint32[] memory leaves = a.sampledLeaves(workers[3].owner);
        assertEq(leaves.length, 4, "k leaves");
        bytes32 seed = a.agreement().drawSeed;
        assertNotEq(seed, 0, "the seed too");
        vm.prank(keeper);
        a.openDraw("");
        assertEq(a.agreement().drawSeed, seed, "the same");
        _assertLeaves(a.sampledLeaves(workers[3].owner), leaves, "the same");
        assertEq(_owned(keeper), 0, "no tip for a round that was recorded already");
    }

    /// @notice The first claim opens the window.
    function test_claimOpensTheDraw() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Sealed);
        uint48 round = a.agreement().round;
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.SeedNotRecorded.selector, round));
        vm.prank(workers[1].owner);
        a.claim(0);
        beacon.record(round, _makeBlock(round));
        address first = _lowest(a, 0);
        _claimAndSeal(a, first);
        assertEq(uint8(a.status()), uint8(Status.Drawing), "open");
        assertEq(a.agreement().deadline, block.timestamp + 80, "for all its steps");
        assertEq(_verifier(a, 0), first, "with the first claim in it");
    }

    /// @notice A ticket that is too high opens nothing.
    function test_claimThatIsRefusedOpensNothing() public {
        IComputeAgreement a = _recorded();
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NoSuchTicket.selector, 100, 100));
        vm.prank(workers[1].owner);
        a.claim(100);
        assertEq(uint8(a.status()), uint8(Status.Sealed), "still sealed");
    }

    /// @notice All sealed as they claimed: the window's end is the reveal's beginning, without a call between.
    function test_wholePathInTwoClaims() public {
        Books memory before = _books();
        IComputeAgreement a = _recorded();
        _claimAndSeal(a, _lowest(a, 0));
        assertEq(a.agreement().sealedCount, 1, "sealed");
        _claimAndSeal(a, _lowest(a, 1));
        AgreementView memory v = a.agreement();
        assertEq(uint8(v.status), uint8(Status.Drawing), "a lower ticket may still come");
        assertEq(v.sealedCount, 2, "all sealed");
        WorkerOpening memory w = _workerOpening(a);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Drawing, Status.Revealing)
        );
        a.reveal(w);
        vm.warp(v.closesAt);
        assertEq(uint8(a.status()), uint8(Status.Revealing), "by time alone");
        assertEq(a.agreement().deadline, uint256(v.closesAt) + _params().revealSecs, "its whole time");
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        assertEq(before.client - _books().client, 120 * SUN, "no tip was due");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice The worker has no time left because nobody called: it opens to the last second of it, and not a second later.
    function test_revealDeadlineAfterASilentClose() public {
        IComputeAgreement a = _allSealed();
        vm.warp(uint256(a.agreement().closesAt) + _params().revealSecs);
        uint256 snapshot = vm.snapshotState();
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "in its last second");
        vm.revertToState(snapshot);
        skip(1);
        WorkerOpening memory w = _workerOpening(a);
        vm.expectPartialRevert(IWorkAgreement.TooLate.selector);
        a.reveal(w);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.WorkerSilent), "it hid");
        _assertEmpty(address(a));
    }

    /// @notice Some seal with their claim, some later.
    function test_mixed() public {
        IComputeAgreement a = _recorded();
        _claimAndSeal(a, _lowest(a, 0));
        address second = _lowest(a, 1);
        _claimPlain(a, second);
        vm.warp(a.agreement().closesAt);
        assertEq(uint8(a.status()), uint8(Status.Verifying), "one seal is missing");
        _sealAs(a, second, _honestDigests(a, second));
        assertEq(uint8(a.status()), uint8(Status.Revealing), "the last");
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
    }

    /// @notice A verifier that sealed and is then displaced by a better ticket keeps its stake, owes nothing, and may leave.
    function test_displacedSealedVerifierKeepsItsStake() public {
        IComputeAgreement a = _recorded();
        (address best, address middle, address worst) = (_lowest(a, 0), _lowest(a, 1), _lowest(a, 2));
        _widen(a);
        _claimAndSeal(a, worst);
        _claimAndSeal(a, middle);
        assertEq(a.agreement().sealedCount, 2, "both sealed");
        vm.expectEmit(true, false, false, false, address(a));
        emit IComputeAgreement.Claimed(best, 0, worst);
        _claimAndSeal(a, best);
        AgreementView memory v = a.agreement();
        assertEq(v.sealedCount, 2, "its seal does not count any more");
        assertFalse(_holdsSlot(a, worst), "out");
        assertEq(dispatcher.workerInfo(worst).locked, 0, "free at once");
        assertEq(_lost(worst), 0, "nothing lost");
        vm.prank(worst);
        dispatcher.unstake(STAKE);
        vm.warp(v.closesAt);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "without it");
        assertEq(_earned(worst), 0, "and without a fee");
        _assertEmpty(address(a));
    }

    /// @notice Who displaces a sealed verifier without a seal of its own has none: the slot is not sealed by its predecessor.
    function test_attack_displacementInheritsTheSeal() public {
        IComputeAgreement a = _recorded();
        (address best, address middle, address worst) = (_lowest(a, 0), _lowest(a, 1), _lowest(a, 2));
        _widen(a);
        _claimAndSeal(a, worst);
        _claimAndSeal(a, middle);
        _claimPlain(a, best);
        assertEq(a.agreement().sealedCount, 1, "one is missing");
        vm.warp(a.agreement().closesAt);
        assertEq(uint8(a.status()), uint8(Status.Verifying), "waits for it");
        uint256 deadline = a.agreement().deadline;
        vm.warp(deadline + 1);
        a.expire();
        assertEq(_lost(best), 20 * SUN, "it vanished");
        assertEq(uint8(a.status()), uint8(Status.Drawing), "its slot is drawn again");
    }

    /// @notice A device claims and seals for its worker; when it is displaced its limit is free again.
    function test_deviceClaimsAndSeals() public {
        IComputeAgreement a = _recorded();
        (address best, address middle, address worst) = (_lowest(a, 0), _lowest(a, 1), _lowest(a, 2));
        _widen(a);
        address device = workers[_indexOf(worst)].device;
        (, uint256 index,) = _bestTicket(a, worst);
        bytes32 seal = _verifierSeal(a, worst, _honestDigests(a, worst));
        vm.prank(device);
        a.claimAndSeal(index, seal);
        (uint96 locked, address by) = a.lockOf(worst);
        assertEq(by, device, "entered by its device");
        assertEq(dispatcher.deviceInfo(device).locked, locked, "of its limit");
        _claimAndSeal(a, middle);
        _claimAndSeal(a, best);
        assertEq(dispatcher.deviceInfo(device).locked, 0, "free");
    }

    function test_RevertWhen_sealIsZero() public {
        IComputeAgreement a = _recorded();
        vm.expectRevert(IComputeAgreement.ZeroSeal.selector);
        vm.prank(workers[1].owner);
        a.claimAndSeal(0, 0);
    }

    /// @notice A seal is given once: not again by `provideVerification`, nor by a second claim.
    function test_RevertWhen_sealedTwice() public {
        IComputeAgreement a = _recorded();
        address first = _lowest(a, 0);
        _claimAndSeal(a, first);
        _widen(a);
        _claimPlain(a, _lowest(a, 1));
        (, uint256 index,) = _bestTicket(a, first);
        vm.startPrank(first);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyClaimed.selector, first));
        a.claimAndSeal(index, "another");
        vm.warp(a.agreement().closesAt);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadySealed.selector, first));
        a.provideVerification("another");
        vm.stopPrank();
    }

    /// @notice In later rounds too: all sealed as they claimed, so the openings begin when the window closes.
    function test_mergedInALaterRound() public {
        target = 1;
        IComputeAgreement a = _firstRound(_smallTerms(1), _tell(hex"05"));
        uint48 round = a.agreement().round;
        beacon.record(round, _makeBlock(round));
        for (uint256 i = 0; i < 2; ++i) {
            address who = _lowest(a, 0);
            saidBy[who] = _story(a, who, TRUTH);
            _claimAndSeal(a, who);
        }
        uint256 closesAt = a.agreement().closesAt;
        vm.warp(closesAt);
        assertEq(uint8(a.status()), uint8(Status.Opening), "by time alone");
        assertEq(a.agreement().deadline, closesAt + _params().openSecs, "its whole time");
        _openSaid(a, _verifier(a, 1));
        _openSaid(a, _verifier(a, 2));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "settled");
        _assertEmpty(address(a));
    }

    // ------------------------------------------------------------------------------------------------ helpers

    /// @dev Sealed, with its round recorded by somebody for another agreement.
    function _recorded() private returns (IComputeAgreement a) {
        a = _driveTo(_terms(), Status.Sealed);
        uint48 round = a.agreement().round;
        beacon.record(round, _makeBlock(round));
    }

    function _allSealed() private returns (IComputeAgreement a) {
        a = _recorded();
        _claimAndSeal(a, _lowest(a, 0));
        _claimAndSeal(a, _lowest(a, 1));
    }

    /// @dev Opens the window, to its last step: nearly every ticket may claim.
    function _widen(IComputeAgreement a) private {
        if (a.status() == Status.Sealed) {
            vm.prank(keeper);
            a.openDraw("");
        }
        skip(70);
    }

    function _claimAndSeal(IComputeAgreement a, address who) private {
        (, uint256 index,) = _bestTicket(a, who);
        bytes32 seal = _verifierSeal(a, who, _honestDigests(a, who));
        vm.prank(who);
        a.claimAndSeal(index, seal);
    }

    function _claimPlain(IComputeAgreement a, address who) private {
        (, uint256 index,) = _bestTicket(a, who);
        vm.prank(who);
        a.claim(index);
    }

    /// @dev Who has the `rank`-th lowest best ticket of those that may verify and hold no slot yet; slot holders of this call's
    /// beginning included in the ranking.
    function _lowest(IComputeAgreement a, uint256 rank) private view returns (address) {
        bool[] memory used = new bool[](workers.length);
        address worker = a.agreement().worker;
        for (uint256 n = 0;; ++n) {
            uint256 best = type(uint256).max;
            uint256 place = 0;
            for (uint256 i = 0; i < workers.length; ++i) {
                if (used[i] || workers[i].owner == worker || _isOut(a, workers[i].owner)) continue;
                (,, uint256 ticket) = _bestTicket(a, workers[i].owner);
                if (ticket < best) (best, place) = (ticket, i);
            }
            if (n == rank) return workers[place].owner;
            used[place] = true;
        }
        revert("unreachable");
    }

    /// @dev It had its slot in an earlier round, or has one in a later one.
    function _isOut(IComputeAgreement a, address who) private view returns (bool) {
        return a.agreement().voteRound != 0 && _holdsSlot(a, who);
    }
}
