// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @title HeaderBuilder
/// @notice RLP block headers as a Prague chain makes them (21 fields), so that BlockBeacon verifies a real one.
library HeaderBuilder {
    /// @notice A whole header of block `number` with the given mixHash; the other fields are plausible constants.
    function header(uint256 number, uint256 timestamp, bytes32 mixHash) internal pure returns (bytes memory) {
        bytes memory body = bytes.concat(
            _word(keccak256("parent")), _word(keccak256("ommers")), hex"94", bytes20(address(0xC01BA5E))
        );
        body = bytes.concat(
            body, _word(keccak256("state")), _word(keccak256("transactions")), _word(keccak256("receipts"))
        );
        // Bloom, difficulty, number, gas limit and use.
        body = bytes.concat(body, hex"b90100", new bytes(256), _number(0), _number(number));
        body = bytes.concat(body, _number(30_000_000), _number(21_000), _number(timestamp));
        // Extra data, mixHash, nonce, base fee, then what Shanghai, Cancun and Prague appended.
        body = bytes.concat(body, hex"87", bytes7("sunwork"), _word(mixHash), hex"88", bytes8(0));
        body = bytes.concat(body, _number(1 gwei), _word(keccak256("withdrawals")), _number(0), _number(0));
        return list(bytes.concat(body, _word(keccak256("beacon")), _word(keccak256("requests"))));
    }

    /// @notice An RLP list of 256 to 65,535 bytes.
    function list(bytes memory body) internal pure returns (bytes memory) {
        return abi.encodePacked(hex"f9", uint16(body.length), body);
    }

    function _word(bytes32 value) private pure returns (bytes memory) {
        return abi.encodePacked(hex"a0", value);
    }

    /// @dev A big-endian integer without leading zeros.
    function _number(uint256 value) private pure returns (bytes memory) {
        if (value == 0) return hex"80";
        if (value < 0x80) return abi.encodePacked(uint8(value));
        uint256 size = 0;
        for (uint256 rest = value; rest != 0; rest >>= 8) {
            ++size;
        }
        bytes memory out = abi.encodePacked(uint8(0x80 + size), bytes32(value << (8 * (32 - size))));
        assembly ("memory-safe") {
            mstore(out, add(size, 1))
        }
        return out;
    }
}
