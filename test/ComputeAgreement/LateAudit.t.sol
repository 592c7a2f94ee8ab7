// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    ComputeParams,
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {RoundKind} from "../../contracts/types/ComputeState.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Books} from "../utils/Base.t.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";

/// @notice One in two verified results is looked at by one more verifier, drawn after the reveals. The lot is drawn by a beacon
/// round that comes after the last seal.
contract LateAuditTest is RoundDriver {
    uint16 private constant ONE_IN = 2;

    function setUp() public override {
        super.setUp();
        _addWorkers(5);
        skip(EPOCH_SECS);
    }

    function _params() internal pure override returns (ComputeParams memory p) {
        p = super._params();
        p.auditOneIn = ONE_IN;
    }

    // ------------------------------------------------------------------------------------------------ the lot

    /// @notice Without the lot's beacon round nothing is decided: the openings wait, whoever brings them.
    function test_openingsWaitForTheLot() public {
        IComputeAgreement a = _revealing();
        (WorkerOpening memory w, VerifierOpening[] memory o) = (_workerOpening(a), _honestOpenings(a));
        a.settleAll(w, o);
        assertEq(uint8(a.status()), uint8(Status.Opening), "all have opened, nothing is decided");
        assertEq(a.agreement().openedCount, 2, "kept");
        uint48 lot = _lotRound(a);
        assertGe(lot, block.number, "a round that nobody knows yet");
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.SeedNotRecorded.selector, lot));
        a.decide();
        beacon.record(lot, _makeBlock(lot));
        a.decide();
        assertTrue(a.status() == Status.Sealed || a.status() == Status.Settled, "decided now");
    }

    /// @notice The lot is as the beacon says, and it says both.
    function test_oneInTwo() public {
        uint256 audited = 0;
        for (uint256 n = 0; n < 40; ++n) {
            IComputeAgreement a = _revealing();
            bool expected = _recordLot(a);
            a.settleAll(_workerOpening(a), _honestOpenings(a));
            assertEq(uint8(a.status()), uint8(expected ? Status.Sealed : Status.Settled), "as the lot says");
            if (expected) ++audited;
            _lapse(a);
            _assertEmpty(address(a));
        }
        assertGt(audited, 8, "about one in two");
        assertLt(audited, 32, "about one in two");
    }

    /// @notice Not audited: the client has the auditor's fee back.
    function test_notAudited() public {
        Books memory before = _books();
        IComputeAgreement a = _withLot(false);
        a.settleAll(_workerOpening(a), _honestOpenings(a));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified at once");
        assertEq(before.client - _paid(a), _books().client, "worker, two fees, tip");
    }

    // ------------------------------------------------------------------------------------------------ the auditor

    /// @notice One more verifier, who was not known before the reveal, with leaves of its own, paid by the client's budget.
    function test_audited() public {
        Books memory before = _books();
        IComputeAgreement a = _withLot(true);
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening[] memory o = _honestOpenings(a);
        vm.expectEmit(address(a));
        emit IComputeAgreement.RoundOpened(1, RoundKind.Audit, 1, new uint32[](0), beacon.nextRound());
        a.settleAll(w, o);
        _keep(w);
        AgreementView memory v = a.agreement();
        assertEq(uint8(v.kind), uint8(RoundKind.Audit), "kind");
        assertEq(v.wanted, 1, "one");
        for (uint256 i = 0; i < workers.length; ++i) {
            assertEq(_earned(workers[i].owner), 0, "nobody is paid before");
        }
        _openDraw(a);
        _draw(a);
        address auditor = _verifier(a, 2);
        assertEq(a.sampledLeaves(auditor).length, 4, "k leaves");
        _sealStories(a, _same(1, TRUTH));
        _openStories(a, _same(1, TRUTH));
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        assertEq(_earned(auditor), 10 * SUN, "fee");
        assertEq(dispatcher.workerInfo(auditor).score, 1, "score");
        assertEq(before.client - _paid(a) - 10 * SUN, _books().client, "of the client's budget");
        _assertEmpty(address(a));
        _assertConserved();
    }

    /// @notice Worker and both verifiers lie together, unanimously; the auditor calls a round, and all three lose.
    function test_auditorFindsACoalition() public {
        lies[2] = "false";
        ComputeTerms memory t = _smallTerms(2);
        t.trust = 8;
        IComputeAgreement a = _coalition(t);
        assertEq(uint8(a.agreement().kind), uint8(RoundKind.Audit), "audited");
        _nextRound(a, _same(1, TRUTH));
        assertEq(uint8(a.agreement().kind), uint8(RoundKind.Leaves), "2^3 against 2 is no share above 7/8");
        _nextRound(a, _same(3, TRUTH));
        assertEq(uint8(a.status()), uint8(Status.Sealed), "2^4 against 2^3: not yet");
        _addWorkers(4);
        skip(EPOCH_SECS);
        _lapse(a);
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "doubted");
        assertEq(_earned(workers[0].owner), 0, "paid nothing");
    }

    /// @notice Nobody comes to audit: the result stands, the fee goes back.
    function test_noAuditorComes() public {
        Books memory before = _books();
        IComputeAgreement a = _withLot(true);
        a.settleAll(_workerOpening(a), _honestOpenings(a));
        _lapse(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
        assertEq(before.client - _paid(a), _books().client, "no fee for nobody");
        _assertEmpty(address(a));
    }

    // ------------------------------------------------------------------------------------------------ attacks

    /// @notice The lot cannot be known before all have sealed: its round is chosen by the last seal, and lies after it. So worker and
    /// verifiers together cannot try seals until there is no audit.
    function test_attack_lotIsGroundBySeals() public {
        IComputeAgreement a = _driveTo(_terms(), Status.Verifying);
        _sealAs(a, _verifier(a, 0), _honestDigests(a, _verifier(a, 0)));
        uint256 newest = block.number;
        address last = _verifier(a, 1);
        uint48[2] memory lots;
        for (uint256 i = 0; i < 2; ++i) {
            uint256 snapshot = vm.snapshotState();
            bytes32 seal = i == 0 ? _verifierSeal(a, last, _honestDigests(a, last)) : keccak256("other salt");
            vm.prank(last);
            a.provideVerification(seal);
            lots[i] = _lotRound(a);
            vm.revertToState(snapshot);
        }
        assertGt(lots[0], newest, "of the future when the last seal is made");
        assertEq(lots[0], lots[1], "whatever is sealed");
    }

    /// @notice Waiting for another lot is of no use either: the last seal's time is the last seal's choice, but what its round will say
    /// is not known at any time.
    function test_attack_lotIsFixedByTheLastSeal() public {
        IComputeAgreement a = _revealing();
        uint48 lot = _lotRound(a);
        vm.roll(block.number + 5);
        skip(20);
        assertEq(_lotRound(a), lot, "stays");
        _reveal(a);
        assertEq(_lotRound(a), lot, "through the reveal");
    }

    /// @notice A coalition that keeps the lot from being recorded is audited.
    function test_attack_suppressedLotCountsAsAudited() public {
        IComputeAgreement a = _revealing();
        a.settleAll(_workerOpening(a), _honestOpenings(a));
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.agreement().kind), uint8(RoundKind.Audit), "audited");
        assertEq(uint8(a.status()), uint8(Status.Sealed), "an auditor is called");
    }

    /// @notice One verifier that stays silent after its seal loses its lock, and changes nothing about the lot.
    function test_attack_silenceDoesNotChangeTheLot() public {
        for (uint256 n = 0; n < 2; ++n) {
            bool audited = n == 1;
            IComputeAgreement a = _withLot(audited);
            address silent = _verifier(a, 1);
            uint256 bonded = dispatcher.workerInfo(silent).bonded;
            _reveal(a);
            _openAs(a, _opening(_verifier(a, 0), new bytes32[](0)));
            vm.warp(uint256(a.agreement().deadline) + 1);
            a.expire();
            assertEq(uint8(a.status()), uint8(audited ? Status.Sealed : Status.Settled), "as the lot says");
            _lapse(a);
            assertEq(uint8(a.ending()), uint8(Ending.Verified), "the votes that are there");
            assertEq(bonded - dispatcher.workerInfo(silent).bonded, 100 * SUN, "its whole lock");
        }
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _revealing() private returns (IComputeAgreement) {
        return _driveTo(_terms(), Status.Revealing);
    }

    /// @dev Revealing, with a recorded lot that says so.
    function _withLot(bool audited) private returns (IComputeAgreement a) {
        uint256 snapshot = vm.snapshotState();
        for (uint256 n = 1;; ++n) {
            a = _revealing();
            if (_recordLot(a) == audited) return a;
            vm.revertToState(snapshot);
            snapshot = vm.snapshotState();
            vm.roll(block.number + n);
        }
    }

    /// @dev From the announced lot on: what the openings of all three liars lead to.
    function _coalition(ComputeTerms memory t) private returns (IComputeAgreement a) {
        uint256 snapshot = vm.snapshotState();
        for (uint256 n = 1;; ++n) {
            a = _sealedWork(t);
            _openDraw(a);
            _draw(a);
            _sealStories(a, _same(2, WORKERS));
            if (_recordLot(a)) break;
            vm.revertToState(snapshot);
            snapshot = vm.snapshotState();
            vm.roll(block.number + n);
        }
        _revealAndKeep(a);
        _openStories(a, _same(2, WORKERS));
    }

    /// @dev Of the announcement that `agreement()` makes once all have sealed.
    function _lotRound(IComputeAgreement a) private view returns (uint48) {
        return uint48(a.agreement().classUnits);
    }

    /// @return What docs/PROTOCOL.md says of it: a hash of the seed and the agreement, modulo ONE_IN.
    function _recordLot(IComputeAgreement a) private returns (bool) {
        uint48 lot = _lotRound(a);
        beacon.record(lot, _makeBlock(lot));
        return uint256(keccak256(abi.encode(beacon.seedOf(lot), address(a)))) % ONE_IN == 0;
    }

    /// @dev Price, fees of the first round and tip.
    function _paid(IComputeAgreement) private pure returns (uint256) {
        return 120 * SUN + SEED_TIP;
    }
}
