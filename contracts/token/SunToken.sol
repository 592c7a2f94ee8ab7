// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ERC20} from "solady/tokens/ERC20.sol";
import {IApproveAndCallReceiver} from "../interfaces/IApproveAndCallReceiver.sol";

/// @title SunToken
/// @notice RLC-style token for development and test networks: 9 decimals, 87 million minted once, EIP-2612 permit and
/// one-transaction approve-and-call. A production deployment names an existing ERC-20 instead.
contract SunToken is ERC20 {
    /// @notice The whole supply in nano-tokens; nothing mints more.
    uint256 public constant SUPPLY = 87_000_000e9;

    /// @notice The receiver of an approve-and-call answered without accepting.
    error ReceiverRefused(address receiver);

    constructor(address holder) {
        _mint(holder, SUPPLY);
    }

    /// @inheritdoc ERC20
    function name() public pure override returns (string memory) {
        return "Sunwork Token";
    }

    /// @inheritdoc ERC20
    function symbol() public pure override returns (string memory) {
        return "SUN";
    }

    /// @inheritdoc ERC20
    function decimals() public pure override returns (uint8) {
        return 9;
    }

    /// @dev solady lets Permit2 spend everybody's tokens by default; here only what the holder allows.
    function _givePermit2InfiniteAllowance() internal pure override returns (bool) {
        return false;
    }

    /// @notice Approves `spender` for `amount` and calls its `receiveApproval` in the same transaction.
    /// @param data What the spender shall do; its own format.
    function approveAndCall(address spender, uint256 amount, bytes calldata data) external returns (bool) {
        require(spender.code.length != 0, ReceiverRefused(spender));
        _approve(msg.sender, spender, amount);
        require(
            IApproveAndCallReceiver(spender).receiveApproval(msg.sender, amount, address(this), data),
            ReceiverRefused(spender)
        );
        return true;
    }

    /// @notice Destroys `amount` of the caller's tokens.
    function burn(uint256 amount) external {
        _burn(msg.sender, amount);
    }
}
