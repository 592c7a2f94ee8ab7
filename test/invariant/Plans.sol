// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    IComputeAgreement,
    RevealedRoot,
    VerifierOpening,
    WorkerOpening
} from "../../contracts/interfaces/IComputeAgreement.sol";
import {Driver} from "../utils/Driver.t.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice What a party sealed.
enum Plan {
    /// Sealed something that nobody can open, or nothing.
    Unopenable,
    /// The true digests.
    Honest,
    /// False digests that all colluders share.
    Colluding,
    /// False digests of its own.
    Garbage
}

/// @title Plans
/// @notice Openings of parties that tell the truth, collude, or make things up.
abstract contract Plans is Driver {
    using TestTree for TestTree.Tree;

    mapping(address agreement => mapping(address party => Plan)) internal plans;
    /// @dev What a verifier was drawn for when it sealed: the contract shows that of the present round only.
    mapping(address agreement => mapping(address verifier => uint32[])) internal drawnFor;
    mapping(address agreement => RevealedRoot) internal revealedOf;

    /// @dev What `party` says of one leaf.
    function _digestOf(Plan plan, address party, uint256 leaf) internal pure returns (bytes32) {
        if (plan == Plan.Honest) return keccak256(abi.encode("digest", leaf));
        if (plan == Plan.Colluding) return keccak256(abi.encode("common lie", leaf));
        return keccak256(abi.encode("lie", party, leaf));
    }

    function _allDigests(IComputeAgreement a, address worker)
        internal
        view
        returns (bytes32[] memory digests)
    {
        digests = new bytes32[](_termsOf(a).leafCount);
        for (uint256 i = 0; i < digests.length; ++i) {
            digests[i] = _digestOf(plans[address(a)][worker], worker, i);
        }
    }

    function _digestsOf(IComputeAgreement a, address verifier)
        internal
        view
        returns (bytes32[] memory digests)
    {
        return _saying(plans[address(a)][verifier], verifier, a.sampledLeaves(verifier));
    }

    /// @dev What somebody with this plan says of these leaves.
    function _saying(Plan plan, address verifier, uint32[] memory leaves)
        internal
        pure
        returns (bytes32[] memory digests)
    {
        digests = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            digests[i] = _digestOf(plan, verifier, leaves[i]);
        }
    }

    function _plannedWorkerOpening(IComputeAgreement a) internal view returns (WorkerOpening memory o) {
        bytes32[] memory all = _allDigests(a, a.agreement().worker);
        (o.root, o.salt, o.ciphertextRoot, o.resultBlob) =
        (TestTree.build(all).root(), WORKER_SALT, CIPHERTEXT_ROOT, RESULT_BLOB);
        o.leaves = _sampledUnion(a);
        (o.digests, o.proof) = _proven(all, o.leaves);
    }

    /// @dev The digests of `leaves` among `all`, with their multiproof.
    function _proven(bytes32[] memory all, uint32[] memory leaves)
        internal
        pure
        returns (bytes32[] memory digests, bytes32[] memory proof)
    {
        digests = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            digests[i] = all[leaves[i]];
        }
        proof = TestTree.build(all).multiproof(leaves);
    }

    /// @dev For openings of later rounds.
    function _keepRevealed(IComputeAgreement a, WorkerOpening memory o) internal {
        revealedOf[address(a)] = RevealedRoot(
            o.root, keccak256(abi.encodePacked(o.leaves)), keccak256(abi.encodePacked(o.digests))
        );
    }

    /// @param brief Leaves the digests out where they are the worker's.
    function _plannedOpening(IComputeAgreement a, address verifier, bool brief)
        internal
        view
        returns (VerifierOpening memory)
    {
        bytes32[] memory digests =
            _saying(plans[address(a)][verifier], verifier, drawnFor[address(a)][verifier]);
        Plan theirs = plans[address(a)][a.agreement().worker];
        Plan mine = plans[address(a)][verifier];
        if (brief && mine == theirs && mine != Plan.Garbage) digests = new bytes32[](0);
        return _opening(verifier, digests);
    }
}
