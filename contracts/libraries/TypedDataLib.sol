// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ISignatures} from "../interfaces/ISignatures.sol";

/// @title TypedDataLib
/// @notice EIP-712 domain of the dispatcher, and the one check of a signature over it.
/// @dev The separator is computed at each use (about 300 gas): it follows the chain id through a fork, and costs no
/// immutables. There are no proxies, so the verifying contract is the dispatcher's address for good.
library TypedDataLib {
    /// @dev The values of EIP-5267. Bits 0 to 3: name, version, chain id and verifying contract are used; no salt.
    bytes1 internal constant FIELDS = 0x0f;
    string internal constant NAME = "Sunwork";
    string internal constant VERSION = "1";
    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @dev floor(n / 2) for the order n of secp256k1 (EIP-2): what ECDSA.sol allows.
    bytes32 private constant MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @param verifyingContract The dispatcher.
    function domainSeparator(address verifyingContract) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                DOMAIN_TYPE,
                keccak256(bytes(NAME)),
                keccak256(bytes(VERSION)),
                block.chainid,
                verifyingContract
            )
        );
    }

    /// @notice What is signed.
    function digest(address verifyingContract, bytes32 structHash) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(domainSeparator(verifyingContract), structHash);
    }

    /// @notice Reverts unless `signer` signed. Code decides how: an account without any signs by ECDSA (low s, v of 27 or
    /// 28), one with code, EIP-7702 delegations included, answers ERC-1271.
    /// @dev The question to a contract is a static call that reads one word of the answer: it can neither change state
    /// nor fill memory. Its gas is bounded by the transaction's; a sixty-fourth is left, enough to revert with a reason.
    function requireSigned(address signer, bytes32 digest_, bytes memory signature) internal view {
        if (signer.code.length != 0) {
            require(
                SignatureChecker.isValidERC1271SignatureNow(signer, digest_, signature),
                ISignatures.SignatureRefused(signer, digest_)
            );
            return;
        }
        require(
            signature.length == 64 || signature.length == 65, ISignatures.SignatureLength(signature.length)
        );
        (uint8 v, bytes32 r, bytes32 s) = ECDSA.parse(signature);
        require(s <= MAX_S, ISignatures.SignatureHighS(s, MAX_S));
        (address found, ECDSA.RecoverError problem,) = ECDSA.tryRecover(digest_, v, r, s);
        // Not by `found == signer` alone: a signature that no key made must not pass for the zero address.
        require(
            problem == ECDSA.RecoverError.NoError && found == signer, ISignatures.WrongSigner(found, signer)
        );
    }
}
