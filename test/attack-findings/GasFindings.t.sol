// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {RoundDriver} from "../utils/RoundDriver.t.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice Attacks by work: transactions too large for a block would strand stake and escrow for ever.
contract GasFindingsTest is RoundDriver {
    using TestTree for TestTree.Tree;

    /// @dev EIP-7825: no transaction may use more.
    uint256 internal constant TRANSACTION_GAS = 1 << 24;
    /// @dev The last opening of a third round counts the votes of 26 verifiers that all disagree: it leaves a fifth of the cap.
    uint256 internal constant LATE_GAS = TRANSACTION_GAS * 4 / 5;

    function setUp() public override {
        super.setUp();
        // A worker, eight verifiers, and two rounds of nine more.
        _addWorkers(22);
        skip(EPOCH_SECS);
    }

    /// @notice G1. Eight verifiers that all dissent on all of their 16 leaves, each with its own digests, made the count of
    /// votes dearer than a transaction may be, so that nobody could ever settle.
    function test_worstDissentOnSharedLeavesSettles() public {
        _worstDissent(8, 8, 8);
    }

    /// @notice The same with leaves that hardly overlap.
    function test_worstDissentOnScatteredLeavesSettles() public {
        _worstDissent(2048, 8, 8);
    }

    /// @notice The same with fewer verifiers and more samples.
    function test_worstDissentOfFourWithMostSamplesSettles() public {
        _worstDissent(2048, 4, 16);
    }

    function _worstDissent(uint32 leafCount, uint8 verifiers, uint8 samples) private {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (leafCount, samples, verifiers);
        IComputeAgreement a = _driveTo(t, Status.Verifying);
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < verifiers; ++i) {
            _sealAs(a, v.slots[i].verifier, _wrong(v.slots[i].verifier, samples));
        }
        WorkerOpening memory w = _workerOpening(a);
        _measure("reveal", a, abi.encodeCall(a.reveal, (w)));
        _keep(w);
        for (uint256 i = 0; i < verifiers; ++i) {
            address verifier = v.slots[i].verifier;
            bytes memory call = abi.encodeCall(
                a.openVerification,
                (_opening(verifier, _wrong(verifier, samples)), w.root, w.leaves, w.digests)
            );
            _measure(i + 1 == verifiers ? "last opening" : "opening", a, call);
        }
        _worstRound(a, verifiers + 1);
        _worstRound(a, verifiers + 1);
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "nobody won");
        _assertEmpty(address(a));
    }

    /// @dev One more round, in which each verifier has another digest for each of up to eight leaves.
    function _worstRound(IComputeAgreement a, uint256 wanted) private {
        _openDraw(a);
        _draw(a);
        AgreementView memory v = a.agreement();
        uint256 leaves = v.leaves.length;
        for (uint256 i = v.firstSlot; i < v.slots.length; ++i) {
            _sealAs(a, v.slots[i].verifier, _wrong(v.slots[i].verifier, leaves));
        }
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, v.leaves);
        for (uint256 i = v.firstSlot; i < v.slots.length; ++i) {
            VerifierOpening memory o = _opening(v.slots[i].verifier, _wrong(v.slots[i].verifier, leaves));
            bytes memory call = abi.encodeCall(a.openLate, (o, revealedRoot, v.leaves, digests, proof));
            bool last = i + 1 == v.firstSlot + wanted;
            _measureBelow(last ? "last late opening" : "late opening", a, call, LATE_GAS);
        }
    }

    /// @notice Eight disputes of one result, and two rounds in which nobody agrees with anybody.
    function test_worstDisputesSettle() public {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers, t.disputeSecs) = (512, 8, 8, 100);
        IComputeAgreement a = _firstRound(t, _same(8, TRUTH));
        _give(stranger, 10_000 * SUN);
        vm.prank(stranger);
        token.approve(address(dispatcher), type(uint256).max);
        uint96 bond = a.disputeBond();
        for (uint32 leaf = 0; leaf < 8; ++leaf) {
            vm.prank(stranger);
            dispatcher.fund(address(a), bond, abi.encodePacked(leaf * 7));
        }
        vm.warp(uint256(a.agreement().deadline) + 1);
        _measure("end of the window", a, abi.encodeCall(a.expire, ()));
        _worstRound(a, 9);
        _worstRound(a, 9);
        assertEq(uint8(a.ending()), uint8(Ending.Undecided), "nobody won");
        _assertEmpty(address(a));
    }

    function _wrong(address verifier, uint256 samples) private pure returns (bytes32[] memory digests) {
        digests = new bytes32[](samples);
        for (uint256 j = 0; j < samples; ++j) {
            digests[j] = keccak256(abi.encode("wrong", verifier, j));
        }
    }

    /// @dev Everything cold, as in a transaction of its own; its calldata at the floor price (EIP-7623) on top.
    function _measure(string memory what, IComputeAgreement a, bytes memory call) private {
        // Half of the cap: room for dearer opcodes of later forks.
        _measureBelow(what, a, call, TRANSACTION_GAS / 2);
    }

    function _measureBelow(string memory what, IComputeAgreement a, bytes memory call, uint256 limit)
        private
    {
        vm.cool(address(a));
        vm.cool(address(dispatcher));
        uint256 before = gasleft();
        (bool ok, bytes memory answer) = address(a).call(call);
        uint256 used = before - gasleft() + 21_000 + 16 * call.length;
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        emit log_named_uint(what, used);
        assertLt(used, limit, what);
    }

    /// @notice G2. A worker could reveal any number of leaves besides the sampled ones; each verifier then had to carry them
    /// all in its own opening, or be slashed in the worker's favour when that cost more than its lock.
    function test_revealBringsNoMoreThanTheSampledLeaves() public {
        ComputeTerms memory t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (1024, 4, 2);
        IComputeAgreement a = _driveTo(t, Status.Revealing);
        WorkerOpening memory o = _workerOpening(a);
        bytes32[] memory all = _digests(1024);
        o.digests = all;
        o.leaves = new uint32[](1024);
        for (uint32 i = 0; i < 1024; ++i) {
            o.leaves[i] = i;
        }
        o.proof = TestTree.build(all).multiproof(o.leaves);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.LengthMismatch.selector, 1024, 8));
        a.reveal(o);
        _settleAll(a);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "the sampled ones suffice");
    }

    /// @notice The longest way: every window used up, every slot lost and drawn again, still ends by anyone's call.
    function test_everyStrikeAndAttemptEndsBounded() public {
        ComputeTerms memory t = _terms();
        t.verifiers = 8;
        IComputeAgreement a = _driveTo(t, Status.Verifying);
        uint256 steps = 0;
        for (; a.status() != Status.Settled && a.status() != Status.Cancelled; ++steps) {
            vm.warp(uint256(a.agreement().deadline) + 1);
            uint256 before = gasleft();
            a.expire();
            assertLt(before - gasleft(), TRANSACTION_GAS / 8, "cheap");
        }
        assertLt(steps, 4, "few steps");
        assertEq(uint8(a.ending()), uint8(Ending.VerifiersGone), "all strikes used up");
        _assertEmpty(address(a));
        VerifierOpening[] memory none = new VerifierOpening[](0);
        WorkerOpening memory w;
        vm.expectRevert();
        a.settleAll(w, none);
    }
}
