// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IBeacon} from "../interfaces/IBeacon.sol";

/// @title HeaderLib
/// @notice Reads the mixHash out of an RLP block header whose hash the caller has checked.
/// @dev Field order from the Yellow Paper, 4.4.3: mixHash is the 14th field (index 13) of the list; later forks only
/// append. Since the hash is checked, a malformed header cannot be shown; the checks here guard against a chain whose
/// header has another shape.
library HeaderLib {
    uint256 internal constant MIX_HASH_INDEX = 13;

    /// @notice The 32 bytes of field 13.
    function mixHash(bytes calldata header) internal pure returns (bytes32) {
        uint256 pos = _skipListPrefix(header);
        for (uint256 i = 0; i < MIX_HASH_INDEX; ++i) {
            pos = _skipString(header, pos);
        }
        require(pos + 33 <= header.length && uint8(header[pos]) == 0xa0, IBeacon.BadHeader());
        return bytes32(header[pos + 1:pos + 33]);
    }

    function _skipListPrefix(bytes calldata header) private pure returns (uint256) {
        require(header.length > 1 && uint8(header[0]) > 0xf7, IBeacon.BadHeader());
        return 1 + uint8(header[0]) - 0xf7;
    }

    function _skipString(bytes calldata header, uint256 pos) private pure returns (uint256) {
        require(pos < header.length, IBeacon.BadHeader());
        uint256 prefix = uint8(header[pos]);
        if (prefix < 0x80) return pos + 1;
        if (prefix <= 0xb7) return pos + 1 + prefix - 0x80;
        require(prefix < 0xc0 && pos + 1 + prefix - 0xb7 <= header.length, IBeacon.BadHeader());
        uint256 lengthBytes = prefix - 0xb7;
        uint256 length = uint256(bytes32(header[pos + 1:])) >> (8 * (32 - lengthBytes));
        return pos + 1 + lengthBytes + length;
    }
}
