// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {HashToG1Lib} from "./HashToG1Lib.sol";

/// @title BlsLib
/// @notice BLS signatures over BLS12-381 with signatures in G1 and keys in G2 (drand's `bls-unchained-g1-rfc9380`),
/// by the precompiles of EIP-2537.
/// @dev A field element is two words, big-endian: the upper 16 of its 48 bytes, then the lower 32. Fails closed: a chain
/// without the precompiles answers such calls with success and nothing, which is a no here. A precompile that is given what
/// is no point takes all gas that it was sent, as EIP-2537 says.
library BlsLib {
    /// @notice A point of the curve y² = x³ + 4. All zero stands for the point at infinity.
    struct G1 {
        uint256 xHi;
        uint256 xLo;
        uint256 yHi;
        uint256 yLo;
    }

    /// @notice A point of the twist over Fp2, each coordinate c0 + c1·u. All zero stands for the point at infinity.
    struct G2 {
        uint256 x0Hi;
        uint256 x0Lo;
        uint256 x1Hi;
        uint256 x1Lo;
        uint256 y0Hi;
        uint256 y0Lo;
        uint256 y1Hi;
        uint256 y1Lo;
    }

    uint256 private constant PAIRING = 0x0f;

    /// @dev (p - 1) / 2: a coordinate above is the larger one of y and -y.
    uint256 private constant HALF_P_HI = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_P_LO = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @dev The generator of G2, negated. EIP-2537's encoding, as G2's fields.
    uint256 private constant G_X0_HI = 0x024aa2b2f08f0a91260805272dc51051;
    uint256 private constant G_X0_LO = 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8;
    uint256 private constant G_X1_HI = 0x13e02b6052719f607dacd3a088274f65;
    uint256 private constant G_X1_LO = 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e;
    uint256 private constant G_Y0_HI = 0x0d1b3cc2c7027888be51d9ef691d77bc;
    uint256 private constant G_Y0_LO = 0xb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa;
    uint256 private constant G_Y1_HI = 0x13fa4d4a0ad8b1ce186ed5061789213d;
    uint256 private constant G_Y1_LO = 0x993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed;

    /// @notice Is `signature` the one of `message` by `key`, a key for which `isKey` holds?
    /// @dev e(signature, -g2) · e(H(message), key) = 1. The precompile refuses coordinates that are not below p, points
    /// off the curve and points outside the subgroup; infinity fails since e(H(message), key) is not 1.
    function isSignature(G1 memory signature, bytes32 message, G2 memory key)
        internal
        view
        returns (bool yes)
    {
        uint256 pairs;
        assembly ("memory-safe") {
            pairs := mload(0x40)
            mstore(0x40, add(pairs, 768))
        }
        HashToG1Lib.write(message, pairs + 384);
        assembly ("memory-safe") {
            mcopy(pairs, signature, 128)
            mstore(add(pairs, 128), G_X0_HI)
            mstore(add(pairs, 160), G_X0_LO)
            mstore(add(pairs, 192), G_X1_HI)
            mstore(add(pairs, 224), G_X1_LO)
            mstore(add(pairs, 256), G_Y0_HI)
            mstore(add(pairs, 288), G_Y0_LO)
            mstore(add(pairs, 320), G_Y1_HI)
            mstore(add(pairs, 352), G_Y1_LO)
            mcopy(add(pairs, 512), key, 256)
        }
        return _pairingIsOne(pairs, 768);
    }

    /// @notice Is it a point of the right subgroup other than infinity?
    function isKey(G2 memory key) internal view returns (bool yes) {
        uint256 bits = key.x0Hi | key.x0Lo | key.x1Hi | key.x1Lo | key.y0Hi | key.y0Lo | key.y1Hi | key.y1Lo;
        uint256 pairs;
        assembly ("memory-safe") {
            pairs := mload(0x40)
            // Infinity in G1, which pairs to 1 with every point that the precompile takes.
            calldatacopy(pairs, calldatasize(), 128)
            mcopy(add(pairs, 128), key, 256)
        }
        return bits != 0 && _pairingIsOne(pairs, 384);
    }

    /// @notice Is y the larger one of y and -y? The sign bit of a compressed point.
    function isLarger(uint256 yHi, uint256 yLo) internal pure returns (bool) {
        return yHi > HALF_P_HI || (yHi == HALF_P_HI && yLo > HALF_P_LO);
    }

    /// @dev Anything but success with exactly the 32-byte number 1 is a no.
    function _pairingIsOne(uint256 pairs, uint256 length) private view returns (bool yes) {
        assembly ("memory-safe") {
            mstore(0x00, 0)
            let ok := staticcall(gas(), PAIRING, pairs, length, 0x00, 32)
            yes := and(and(ok, eq(returndatasize(), 32)), eq(mload(0x00), 1))
        }
    }
}
