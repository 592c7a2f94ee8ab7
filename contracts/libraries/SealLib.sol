// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title SealLib
/// @notice Salted commitments. Each binds chain, agreement, attempt and sender, so none can be copied or replayed
/// (docs/PROTOCOL.md, Seals).
library SealLib {
    bytes32 internal constant WORKER_DOMAIN = keccak256("sunwork.worker.seal.v1");
    bytes32 internal constant VERIFIER_DOMAIN = keccak256("sunwork.verifier.seal.v1");

    function workerSeal(
        bytes32 root,
        bytes32 salt,
        bytes32 ciphertextRoot,
        address agreement,
        uint8 attempt,
        address worker
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(WORKER_DOMAIN, root, salt, ciphertextRoot, block.chainid, agreement, attempt, worker)
        );
    }

    /// @notice What the contract keeps of a worker's seal: with the announcement, so that neither can change later.
    function announcement(bytes32 seal, bytes32 ciphertextRoot, bytes32 resultBlob)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(seal, ciphertextRoot, resultBlob));
    }

    /// @param digestsHash keccak256 of the digests, joined.
    function verifierSeal(
        bytes32 digestsHash,
        bytes32 salt,
        address agreement,
        uint8 attempt,
        address verifier
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(VERIFIER_DOMAIN, digestsHash, salt, block.chainid, agreement, attempt, verifier)
        );
    }

    /// @notice What the contract keeps after the worker's reveal, so that later openings may bring it along.
    function revealed(bytes32 root, uint32[] calldata leaves, bytes32[] calldata digests)
        internal
        pure
        returns (bytes32)
    {
        return revealedHash(root, keccak256(abi.encodePacked(leaves)), keccak256(abi.encodePacked(digests)));
    }

    /// @param leavesHash keccak256 of the leaves as 32-byte words, joined.
    /// @param digestsHash keccak256 of their digests, joined.
    function revealedHash(bytes32 root, bytes32 leavesHash, bytes32 digestsHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(root, leavesHash, digestsHash));
    }
}
