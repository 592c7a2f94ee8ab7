// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ERC20} from "solady/tokens/ERC20.sol";

/// @notice A plain token that anybody may mint; the others below misbehave in one way each.
contract PlainToken is ERC20 {
    function name() public pure override returns (string memory) {
        return "Plain";
    }

    function symbol() public pure override returns (string memory) {
        return "PLN";
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice Keeps one percent of every transfer.
contract FeeToken is PlainToken {
    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        super.transferFrom(from, to, amount);
        _burn(to, amount / 100);
        return true;
    }
}

/// @notice What a token with hooks calls before and after it moves tokens.
interface ITokenHook {
    function onTokens(address from, address to) external;
}

/// @notice Calls a hook in the middle of every transfer, like ERC-777.
contract HookToken is PlainToken {
    ITokenHook public hook;

    function setHook(ITokenHook hook_) external {
        hook = hook_;
    }

    function _beforeTokenTransfer(address from, address to, uint256) internal override {
        if (address(hook) != address(0) && from != address(0)) hook.onTokens(from, to);
    }

    function _afterTokenTransfer(address from, address to, uint256) internal override {
        if (address(hook) != address(0) && from != address(0)) hook.onTokens(from, to);
    }
}

/// @notice Returns nothing from transfers, like some of the oldest tokens.
contract MissingReturnToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address account => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @notice Answers false instead of reverting.
contract FalseToken is PlainToken {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}
