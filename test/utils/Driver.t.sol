// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    AgreementView,
    IComputeAgreement,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {SealLib} from "../../contracts/libraries/SealLib.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Status} from "../../contracts/types/Status.sol";
import {Base} from "./Base.t.sol";
import {HeaderBuilder} from "./HeaderBuilder.sol";
import {TestTree} from "./TestTree.sol";

/// @title Driver
/// @notice Moves an agreement from status to status as honest parties would, with real seals, a real tree and a real
/// header. `workers[0]` does the work, whoever holds the lowest tickets verifies.
abstract contract Driver is Base {
    using TestTree for TestTree.Tree;

    bytes32 internal constant WORKER_SALT = keccak256("worker salt");
    bytes32 internal constant CIPHERTEXT_ROOT = keccak256("ciphertext root");
    bytes32 internal constant RESULT_BLOB = keccak256("result blob");

    // ------------------------------------------------------------------------------------------------ steps

    function _accept(IComputeAgreement a) internal {
        vm.prank(workers[0].owner);
        a.accept();
    }

    /// @dev By `who`, for the worker of the moment.
    function _postKey(IComputeAgreement a, address who, bytes memory sealedKey) internal {
        address worker = a.agreement().worker;
        vm.prank(who);
        a.postKey(worker, sealedKey);
    }

    /// @dev The same, refused with `err`.
    function _postKeyRefused(IComputeAgreement a, address who, bytes memory err) internal {
        address worker = a.agreement().worker;
        vm.expectRevert(err);
        vm.prank(who);
        a.postKey(worker, "refused");
    }

    function _seal(IComputeAgreement a) internal {
        address worker = a.agreement().worker;
        bytes32 root = TestTree.build(_digests(_termsOf(a).leafCount)).root();
        bytes32 seal = _workerSeal(a, root, worker);
        vm.prank(worker);
        a.sealResult(seal, CIPHERTEXT_ROOT, RESULT_BLOB, "");
    }

    /// @dev Brings the chain past the round and gives it a hash that fits the returned header.
    function _beaconProof(IComputeAgreement a) internal returns (bytes memory header) {
        return _makeBlock(a.agreement().round);
    }

    function _makeBlock(uint48 round) internal returns (bytes memory header) {
        header = HeaderBuilder.header(round, block.timestamp, keccak256(abi.encode("prevrandao", round)));
        if (block.number <= round) vm.roll(uint256(round) + 1);
        vm.setBlockhash(round, keccak256(header));
    }

    function _openDraw(IComputeAgreement a) internal {
        bytes memory proof = _beaconProof(a);
        vm.prank(keeper);
        a.openDraw(proof);
    }

    /// @dev Everybody eligible claims as soon as its best ticket is below the threshold, until the window is closed. Of any
    /// round of voting.
    function _draw(IComputeAgreement a) internal {
        uint256 slots = uint256(a.agreement().firstSlot) + a.agreement().wanted;
        uint256 deadline = a.agreement().deadline;
        while (a.agreement().slots.length < slots) {
            for (uint256 i = 0; i < workers.length; ++i) {
                _claimIfBelow(a, workers[i].owner);
            }
            if (a.agreement().slots.length == slots) break;
            skip(_params().drawStepSecs);
            assertLe(block.timestamp, deadline, "the draw found too few verifiers");
        }
        vm.warp(a.agreement().closesAt);
        assertEq(uint8(a.status()), uint8(Status.Verifying), "window closed by time");
    }

    /// @return claimed False if the worker may not, or its best ticket is too high.
    function _claimIfBelow(IComputeAgreement a, address verifier) internal returns (bool claimed) {
        (bool has, uint256 index, uint256 ticket) = _bestTicket(a, verifier);
        if (!has || verifier == a.agreement().worker || _holdsSlot(a, verifier)) return false;
        if (ticket >= a.ticketThreshold() || !_beatsSlots(a, uint80(ticket >> 176))) return false;
        vm.prank(verifier);
        try a.claim(index) {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev Every drawn verifier that has not sealed yet seals the worker's digests.
    function _sealAll(IComputeAgreement a) internal {
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < v.slots.length; ++i) {
            if (v.slots[i].seal == 0) {
                _sealAs(a, v.slots[i].verifier, _honestDigests(a, v.slots[i].verifier));
            }
        }
    }

    function _sealAs(IComputeAgreement a, address verifier, bytes32[] memory digests) internal {
        bytes32 seal = _verifierSeal(a, verifier, digests);
        vm.prank(verifier);
        a.provideVerification(seal);
    }

    function _reveal(IComputeAgreement a) internal {
        a.reveal(_workerOpening(a));
    }

    function _settleAll(IComputeAgreement a) internal {
        WorkerOpening memory w = _workerOpening(a);
        VerifierOpening[] memory o = _honestOpenings(a);
        vm.prank(stranger);
        a.settleAll(w, o);
    }

    function _openAs(IComputeAgreement a, VerifierOpening memory o) internal {
        WorkerOpening memory w = _workerOpening(a);
        vm.prank(stranger);
        a.openVerification(o, w.root, w.leaves, w.digests);
    }

    /// @dev Buys and drives to `target`: one of Open, Keying (confidential), Working … Opening, Settled.
    function _driveTo(ComputeTerms memory t, Status target) internal returns (IComputeAgreement a) {
        a = _buy(t);
        if (target == Status.Open) return a;
        _accept(a);
        if (target == Status.Keying) return a;
        if (t.flags == 1) _postKey(a, client, "sealed key");
        if (target == Status.Working) return a;
        _seal(a);
        if (target == Status.Sealed) return a;
        _openDraw(a);
        if (target == Status.Drawing) return a;
        _draw(a);
        if (target == Status.Verifying) return a;
        _sealAll(a);
        if (target == Status.Revealing) return a;
        if (target == Status.Settled) _settleAll(a);
        else _reveal(a);
    }

    // ------------------------------------------------------------------------------------------------ data

    /// @dev The true digests of all leaves.
    function _digests(uint256 leafCount) internal pure returns (bytes32[] memory digests) {
        digests = new bytes32[](leafCount);
        for (uint256 i = 0; i < leafCount; ++i) {
            digests[i] = keccak256(abi.encode("digest", i));
        }
    }

    function _workerSeal(IComputeAgreement a, bytes32 root, address worker) internal view returns (bytes32) {
        return
            SealLib.workerSeal(root, WORKER_SALT, CIPHERTEXT_ROOT, address(a), a.agreement().attempt, worker);
    }

    function _verifierSalt(address verifier) internal pure returns (bytes32) {
        return keccak256(abi.encode("verifier salt", verifier));
    }

    function _verifierSeal(IComputeAgreement a, address verifier, bytes32[] memory digests)
        internal
        view
        returns (bytes32)
    {
        return SealLib.verifierSeal(
            keccak256(abi.encodePacked(digests)),
            _verifierSalt(verifier),
            address(a),
            a.agreement().attempt,
            verifier
        );
    }

    /// @dev What a verifier computes that gets the same as the worker.
    function _honestDigests(IComputeAgreement a, address verifier)
        internal
        view
        returns (bytes32[] memory mine)
    {
        uint32[] memory leaves = a.sampledLeaves(verifier);
        bytes32[] memory all = _digests(_termsOf(a).leafCount);
        mine = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            mine[i] = all[leaves[i]];
        }
    }

    function _workerOpening(IComputeAgreement a) internal view returns (WorkerOpening memory) {
        return _openingOf(_sampledUnion(a), _termsOf(a).leafCount);
    }

    /// @dev The worker's opening with the digests of the given leaves of its tree.
    function _openingOf(uint32[] memory leaves, uint256 leafCount)
        internal
        pure
        returns (WorkerOpening memory o)
    {
        bytes32[] memory all = _digests(leafCount);
        TestTree.Tree memory tree = TestTree.build(all);
        o.root = tree.root();
        (o.salt, o.ciphertextRoot, o.resultBlob) = (WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB);
        o.leaves = leaves;
        o.digests = new bytes32[](o.leaves.length);
        for (uint256 i = 0; i < o.leaves.length; ++i) {
            o.digests[i] = all[o.leaves[i]];
        }
        o.proof = tree.multiproof(o.leaves);
    }

    function _honestOpenings(IComputeAgreement a) internal view returns (VerifierOpening[] memory o) {
        AgreementView memory v = a.agreement();
        o = new VerifierOpening[](v.slots.length);
        for (uint256 i = 0; i < o.length; ++i) {
            o[i] = _opening(v.slots[i].verifier, new bytes32[](0));
        }
    }

    /// @param digests Empty: the same as the worker's.
    function _opening(address verifier, bytes32[] memory digests)
        internal
        pure
        returns (VerifierOpening memory)
    {
        return VerifierOpening(verifier, _verifierSalt(verifier), digests);
    }

    /// @dev All leaves that any drawn verifier computes, ascending.
    function _sampledUnion(IComputeAgreement a) internal view returns (uint32[] memory leaves) {
        bool[] memory wanted = new bool[](_termsOf(a).leafCount);
        AgreementView memory v = a.agreement();
        uint256 count = 0;
        for (uint256 i = 0; i < v.slots.length; ++i) {
            uint32[] memory mine = a.sampledLeaves(v.slots[i].verifier);
            for (uint256 j = 0; j < mine.length; ++j) {
                if (!wanted[mine[j]]) ++count;
                wanted[mine[j]] = true;
            }
        }
        leaves = new uint32[](count);
        uint256 next = 0;
        for (uint32 i = 0; i < wanted.length; ++i) {
            if (wanted[i]) leaves[next++] = i;
        }
    }

    // ------------------------------------------------------------------------------------------------ views

    function _termsOf(IComputeAgreement a) internal view returns (ComputeTerms memory) {
        return a.boundTerms().terms;
    }

    function _verifier(IComputeAgreement a, uint256 slot) internal view returns (address) {
        return a.agreement().slots[slot].verifier;
    }

    function _bestTicket(IComputeAgreement a, address verifier)
        internal
        view
        returns (bool has, uint256 index, uint256 ticket)
    {
        AgreementView memory v = a.agreement();
        uint256 tickets = dispatcher.ticketsOf(verifier, _termsOf(a).classId, v.snapshotEpoch);
        // Enough of a very large stake to get below a widened threshold.
        if (tickets > 2000) tickets = 2000;
        ticket = type(uint256).max;
        for (uint256 j = 0; j < tickets; ++j) {
            uint256 candidate = uint256(keccak256(abi.encode(v.drawSeed, verifier, j)));
            if (candidate < ticket) (has, index, ticket) = (true, j, candidate);
        }
    }

    function _holdsSlot(IComputeAgreement a, address verifier) internal view returns (bool) {
        AgreementView memory v = a.agreement();
        for (uint256 i = 0; i < v.slots.length; ++i) {
            if (v.slots[i].verifier == verifier) return true;
        }
        return false;
    }

    /// @dev False if all slots are held by lower tickets.
    function _beatsSlots(IComputeAgreement a, uint80 ticket) internal view returns (bool) {
        AgreementView memory v = a.agreement();
        if (v.slots.length < uint256(v.firstSlot) + v.wanted) return true;
        for (uint256 i = v.firstSlot; i < v.slots.length; ++i) {
            if (ticket < v.slots[i].ticket) return true;
        }
        return false;
    }
}
