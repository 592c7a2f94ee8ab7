// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title HashToG1Lib
/// @notice hash_to_curve of RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_, under drand's domain, for a message of 32
/// bytes.
library HashToG1Lib {
    /// @notice A precompile gave no answer of the right length: the chain lacks EIP-2537, or the gas ran out.
    error HashToCurveFailed();

    uint256 private constant SHA256 = 0x02;
    uint256 private constant MODEXP = 0x05;
    uint256 private constant G1_ADD = 0x0b;
    uint256 private constant MAP_FP_TO_G1 = 0x10;

    /// @dev DST_prime (RFC 9380, 5.3.1): "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_" and its length, 43; 44 bytes.
    bytes32 private constant DST_HEAD = "BLS_SIG_BLS12381G1_XMD:SHA-256_S";
    bytes32 private constant DST_TAIL = "SWU_RO_NUL_\x2b";

    /// @dev The field's prime, the upper 16 of its 48 bytes first.
    uint256 private constant P_HI = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LO = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// @notice Writes the point to memory at `out`: 128 bytes, as EIP-2537 encodes it.
    /// @dev Assembly, since each copy of these words costs more than the hashing itself. Memory from the free pointer on:
    ///
    ///   0    expand_message_xmd: 64 zero bytes, message, 128 as two bytes, zero byte, DST_prime (143 bytes)
    ///        blocks 1 to 4 reuse its end: 32 bytes from 66 on, the block's number at 98, DST_prime
    ///   192  modexp: three lengths, 64 bytes of base, exponent 1, p padded to 64 bytes (225 bytes)
    ///   448  the two mapped points (256 bytes)
    function write(bytes32 message, uint256 out) internal view {
        bool ok;
        assembly ("memory-safe") {
            let x := mload(0x40)
            let m := add(x, 192)
            let q := add(x, 448)

            /// b_i of expand_message_xmd, from the xor of b_0 and b_(i-1).
            function xmdBlock(at, mixed, i) -> digest {
                mstore(add(at, 66), mixed)
                mstore8(add(at, 98), i)
                if iszero(staticcall(gas(), SHA256, add(at, 66), 77, 0x00, 32)) { revert(0, 0) }
                digest := mload(0x00)
            }

            /// Maps the 64-byte number hi, lo modulo p to the curve. Reduces by a power of 1: 64 bytes, padded as EIP-2537
            /// wants it. The map clears the cofactor, and the sum of two cleared points is the cleared sum.
            function mapToCurve(modexp, hi, lo, to) -> good {
                mstore(add(modexp, 96), hi)
                mstore(add(modexp, 128), lo)
                good := and(eq(returndatasize(), 64), staticcall(gas(), MODEXP, modexp, 225, to, 64))
                good := and(
                    good,
                    and(eq(returndatasize(), 128), staticcall(gas(), MAP_FP_TO_G1, to, 64, to, 128))
                )
            }

            // Fresh memory need not be zero.
            mstore(x, 0)
            mstore(add(x, 32), 0)
            mstore(add(x, 64), message)
            mstore(add(x, 96), shl(232, 0x008000))
            mstore(add(x, 99), DST_HEAD)
            mstore(add(x, 131), DST_TAIL)
            if iszero(staticcall(gas(), SHA256, x, 143, 0x00, 32)) { revert(0, 0) }
            let b0 := mload(0x00)

            mstore(m, 64)
            mstore(add(m, 32), 1)
            mstore(add(m, 64), 64)
            mstore8(add(m, 160), 1)
            mstore(add(m, 161), P_HI)
            mstore(add(m, 193), P_LO)

            let b1 := xmdBlock(x, b0, 1)
            let b2 := xmdBlock(x, xor(b0, b1), 2)
            ok := mapToCurve(m, b1, b2, q)
            b1 := xmdBlock(x, xor(b0, b2), 3)
            b2 := xmdBlock(x, xor(b0, b1), 4)
            ok := and(ok, mapToCurve(m, b1, b2, add(q, 128)))
            ok := and(ok, and(eq(returndatasize(), 128), staticcall(gas(), G1_ADD, q, 256, out, 128)))
        }
        require(ok, HashToCurveFailed());
    }
}
