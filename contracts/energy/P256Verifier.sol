// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";

/// @title P256Verifier
/// @notice The precompile of EIP-7951 as a contract, for chains without it: same input, same answer, some fifty times the gas.
/// @dev OpenZeppelin's implementation. Like the precompile it never reverts and answers nothing for a wrong signature; unlike it,
/// it takes low s only, which the ledger demands anyway.
contract P256Verifier {
    /// @dev Input `digest | r | s | x | y`, 160 bytes.
    fallback(bytes calldata input) external returns (bytes memory) {
        if (input.length != 160) return "";
        (bytes32 h, bytes32 r, bytes32 s, bytes32 x, bytes32 y) =
            abi.decode(input, (bytes32, bytes32, bytes32, bytes32, bytes32));
        return P256.verifySolidity(h, r, s, x, y) ? abi.encode(uint256(1)) : bytes("");
    }
}
