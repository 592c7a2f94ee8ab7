// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title ISignatures
/// @notice Why a signature is refused, wherever one is checked (TypedDataLib).
interface ISignatures {
    /// @notice Neither 64 bytes (EIP-2098: r, v and s) nor 65 (r, s, v).
    error SignatureLength(uint256 found);
    /// @notice s is in the upper half of the group order, so that the signature has a twin; `max` is allowed.
    error SignatureHighS(bytes32 found, bytes32 max);
    /// @notice Signed by another, or something else was signed; `found` is zero where no key made the signature.
    error WrongSigner(address found, address expected);
    /// @notice The contract does not answer ERC-1271 with the one value that means yes.
    error SignatureRefused(address signer, bytes32 digest);
}
