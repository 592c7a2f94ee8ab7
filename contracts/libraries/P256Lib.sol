// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IEnergyLedger} from "../interfaces/IEnergyLedger.sol";

/// @title P256Lib
/// @notice Asks a P-256 verifier and believes one answer only: exactly 32 bytes that say one.
/// @dev Input `digest | r | s | x | y`, as EIP-7951 has it. The precompile at 0x100 never reverts: it answers nothing for a wrong
/// signature, and an account without code answers nothing as well, so a chain without it refuses every record.
library P256Lib {
    /// @notice The precompile of EIP-7951.
    address internal constant PRECOMPILE = address(0x100);
    /// @notice floor(n / 2): of the two signatures (r, s) and (r, n - s) the one with the lower s is taken.
    uint256 internal constant MAX_S = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8;

    /// @notice Reverts unless the 64 bytes (r, s) at `signature` are the key's over `digest`.
    function requireSigned(
        address verifier,
        address worker,
        bytes32 digest,
        bytes calldata signature,
        bytes32 x,
        bytes32 y
    ) internal view {
        uint256 s;
        bool ok;
        assembly ("memory-safe") {
            s := calldataload(add(signature.offset, 32))
        }
        require(s <= MAX_S, IEnergyLedger.HighS(bytes32(s), bytes32(MAX_S)));
        assembly ("memory-safe") {
            let at := mload(0x40)
            mstore(at, digest)
            calldatacopy(add(at, 32), signature.offset, 64)
            mstore(add(at, 96), x)
            mstore(add(at, 128), y)
            mstore(0, 0)
            ok := staticcall(gas(), verifier, at, 160, 0, 32)
            ok := and(ok, and(eq(returndatasize(), 32), eq(mload(0), 1)))
        }
        if (ok) return;
        require(works(verifier), IEnergyLedger.VerifierMissing(verifier));
        revert IEnergyLedger.WrongDeviceSignature(worker, digest);
    }

    /// @notice Whether `verifier` confirms a signature that is known to be right: RFC 6979, A.2.5, "sample" with SHA-256, in its
    /// form with low s.
    function works(address verifier) internal view returns (bool) {
        (bool ok, bytes memory answer) = verifier.staticcall(
            abi.encode(
                bytes32(0xaf2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf),
                bytes32(0xefd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716),
                bytes32(0x0834e36ad29a83bf2bc9385e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9),
                bytes32(0x60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6),
                bytes32(0x7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299)
            )
        );
        return ok && answer.length == 32 && uint256(bytes32(answer)) == 1;
    }
}
