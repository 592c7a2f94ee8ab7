// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    RevealedRoot,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Driver} from "./Driver.t.sol";
import {TestTree} from "./TestTree.sol";

/// @title RoundDriver
/// @notice Moves an agreement through several rounds of voting: a worker that tells the truth or not, and verifiers of which each
/// has a story. A story is about `target` only; on other leaves all tell the truth, but who sides with the worker.
abstract contract RoundDriver is Driver {
    using TestTree for TestTree.Tree;

    /// @dev Stories. Others stand for digests that nobody else has, unless he tells the same story.
    uint8 internal constant TRUTH = 0;
    uint8 internal constant WORKERS = 1;
    /// @dev Seals the truth, and does not open.
    uint8 internal constant SILENT = 255;

    /// @dev False digests of the worker.
    mapping(uint256 leaf => bytes32) internal lies;
    uint32 internal target;
    RevealedRoot internal revealedRoot;
    mapping(address verifier => bytes32[]) internal saidBy;

    /// @dev Four leaves, all computed by all, so that each verifier is one vote.
    function _smallTerms(uint8 verifiers) internal pure returns (ComputeTerms memory t) {
        t = _terms();
        (t.leafCount, t.samples, t.verifiers) = (4, 4, verifiers);
        t.rewardMax = t.rewardMin;
    }

    // ------------------------------------------------------------------------------------------------ rounds

    /// @dev Buys, and drives through the first round.
    function _firstRound(ComputeTerms memory t, uint8[] memory stories)
        internal
        returns (IComputeAgreement a)
    {
        a = _sealedWork(t);
        _openDraw(a);
        _draw(a);
        _sealStories(a, stories);
        _revealAndKeep(a);
        _openStories(a, stories);
    }

    /// @dev Buys, and drives to the worker's seal, lies included.
    function _sealedWork(ComputeTerms memory t) internal returns (IComputeAgreement a) {
        a = _buy(t);
        _accept(a);
        _sealWork(a);
    }

    function _sealWork(IComputeAgreement a) internal {
        address worker = a.agreement().worker;
        bytes32 root = TestTree.build(_workerDigests(a)).root();
        bytes32 seal = _workerSeal(a, root, worker);
        vm.prank(worker);
        a.sealResult(seal, CIPHERTEXT_ROOT, RESULT_BLOB, "");
    }

    /// @dev One more round, from its beginning (Sealed) to its last opening.
    function _nextRound(IComputeAgreement a, uint8[] memory stories) internal {
        _openDraw(a);
        _draw(a);
        _sealStories(a, stories);
        _openStories(a, stories);
    }

    /// @dev Each verifier of the present round seals what its story says.
    function _sealStories(IComputeAgreement a, uint8[] memory stories) internal {
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < stories.length; ++i) {
            address verifier = v.slots[v.firstSlot + i].verifier;
            saidBy[verifier] = _story(a, verifier, stories[i]);
            _sealAs(a, verifier, saidBy[verifier]);
        }
    }

    function _openStories(IComputeAgreement a, uint8[] memory stories) internal {
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < stories.length; ++i) {
            if (stories[i] != SILENT) _openSaid(a, v.slots[v.firstSlot + i].verifier);
        }
    }

    /// @dev The verifier's opening, in whatever round is on.
    function _openSaid(IComputeAgreement a, address verifier) internal {
        VerifierOpening memory o = _opening(verifier, saidBy[verifier]);
        if (a.agreement().voteRound != 0) return _openLateAs(a, o);
        WorkerOpening memory w = _workOpening(a);
        vm.prank(stranger);
        a.openVerification(o, w.root, w.leaves, w.digests);
    }

    function _openLateAs(IComputeAgreement a, VerifierOpening memory o) internal {
        uint32[] memory leaves = a.sampledLeaves(o.verifier);
        (bytes32[] memory digests, bytes32[] memory proof) = _proven(a, leaves);
        vm.prank(stranger);
        a.openLate(o, revealedRoot, leaves, digests, proof);
    }

    function _revealAndKeep(IComputeAgreement a) internal {
        WorkerOpening memory w = _workOpening(a);
        a.reveal(w);
        _keep(w);
    }

    function _keep(WorkerOpening memory w) internal {
        revealedRoot = RevealedRoot(
            w.root, keccak256(abi.encodePacked(w.leaves)), keccak256(abi.encodePacked(w.digests))
        );
    }

    /// @dev Nobody does anything any more; how many calls of `expire` it took.
    function _lapse(IComputeAgreement a) internal returns (uint256 calls) {
        for (; a.status() != Status.Settled && a.status() != Status.Cancelled; ++calls) {
            uint256 deadline = a.agreement().deadline;
            if (block.timestamp <= deadline) vm.warp(deadline + 1);
            deadline = a.agreement().deadline;
            if (block.timestamp <= deadline) vm.warp(deadline + 1);
            vm.prank(stranger);
            a.expire();
        }
    }

    // ------------------------------------------------------------------------------------------------ what is said

    function _workerDigests(IComputeAgreement a) internal view returns (bytes32[] memory digests) {
        digests = _digests(_termsOf(a).leafCount);
        for (uint256 i = 0; i < digests.length; ++i) {
            if (lies[i] != 0) digests[i] = lies[i];
        }
    }

    function _story(IComputeAgreement a, address verifier, uint8 story)
        internal
        view
        returns (bytes32[] memory said)
    {
        uint32[] memory leaves = a.sampledLeaves(verifier);
        bytes32[] memory workers_ = _workerDigests(a);
        said = _honestDigests(a, verifier);
        for (uint256 i = 0; i < leaves.length; ++i) {
            if (story == WORKERS) said[i] = workers_[leaves[i]];
            else if (story != TRUTH && story != SILENT && leaves[i] == target) said[i] = _tale(story);
        }
    }

    function _tale(uint8 story) internal pure returns (bytes32) {
        return keccak256(abi.encode("story", story));
    }

    /// @dev The worker's opening of the first round, lies included.
    function _workOpening(IComputeAgreement a) internal view returns (WorkerOpening memory o) {
        uint32[] memory leaves = _sampledUnion(a);
        o.root = TestTree.build(_workerDigests(a)).root();
        (o.salt, o.ciphertextRoot, o.resultBlob) = (WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB);
        o.leaves = leaves;
        (o.digests, o.proof) = _proven(a, leaves);
    }

    /// @dev The worker's digests of `leaves` with their multiproof.
    function _proven(IComputeAgreement a, uint32[] memory leaves)
        internal
        view
        returns (bytes32[] memory digests, bytes32[] memory proof)
    {
        bytes32[] memory all = _workerDigests(a);
        digests = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            digests[i] = all[leaves[i]];
        }
        proof = TestTree.build(all).multiproof(leaves);
    }

    // ------------------------------------------------------------------------------------------------ short hands

    function _same(uint256 count, uint8 story) internal pure returns (uint8[] memory s) {
        s = new uint8[](count);
        for (uint256 i = 0; i < count; ++i) {
            s[i] = story;
        }
    }

    /// @dev Stories in hexadecimal, one byte each: hex"0001ff".
    function _tell(bytes memory stories) internal pure returns (uint8[] memory s) {
        s = new uint8[](stories.length);
        for (uint256 i = 0; i < s.length; ++i) {
            s[i] = uint8(stories[i]);
        }
    }

    function _assertLeaves(uint32[] memory found, uint32[] memory expected, string memory why) internal pure {
        assertEq(keccak256(abi.encodePacked(found)), keccak256(abi.encodePacked(expected)), why);
    }

    function _lost(address worker) internal view returns (uint256) {
        return STAKE - dispatcher.workerInfo(worker).bonded;
    }

    function _earned(address worker) internal view returns (uint256) {
        return _owned(workers[_indexOf(worker)].payout);
    }
}
