// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ISunworkReceiver} from "../interfaces/ISunworkReceiver.sol";
import {IWorkerDispatcher} from "../interfaces/IWorkerDispatcher.sol";

/// @title SunworkReceiver
/// @notice Base of a contract that buys work and is handed the verified results.
/// @dev The contract is the client: it pays from its own tokens and gets refunds and unspent prices back. A contract can keep no
/// session key, so its work is public: everybody can read question and answer. Its terms should ask for drawn verifiers (trust
/// level 1): at level 0 a result stands unless the client rejects it, and nobody looks for a contract.
///
/// Write `_onResult` for content that is true but may be useless: which file an app writes, and how long it is, is the app's
/// affair. Content that makes it revert will make it revert again at every try. Keep its gas below what the terms grant.
abstract contract SunworkReceiver is ISunworkReceiver {
    using SafeERC20 for IERC20;

    /// @notice Where this contract buys.
    IWorkerDispatcher public immutable dispatcher;
    /// @notice The agreements that this contract bought: nobody else may hand it results.
    mapping(address agreement => bool) public hasBought;
    /// @dev One bit for each leaf that came, 256 in a word.
    mapping(address agreement => mapping(uint256 word => uint256)) private _received;

    error NotMyAgreement(address caller);
    error AlreadyReceived(address agreement, uint256 leaf);

    constructor(IWorkerDispatcher dispatcher_) {
        dispatcher = dispatcher_;
    }

    /// @inheritdoc ISunworkReceiver
    function onSunworkResult(uint32 leaf, bytes calldata content) external {
        require(hasBought[msg.sender], NotMyAgreement(msg.sender));
        // The agreement delivers once; that this holds here too does not depend on its kind.
        uint256 bit = uint256(1) << (leaf & 0xff);
        uint256 word = _received[msg.sender][leaf >> 8];
        require(word & bit == 0, AlreadyReceived(msg.sender, leaf));
        _received[msg.sender][leaf >> 8] = word | bit;
        _onResult(msg.sender, leaf, content);
    }

    /// @notice Whether that leaf's result has come.
    function hasReceived(address agreement, uint32 leaf) public view returns (bool) {
        return _received[agreement][leaf >> 8] & (uint256(1) << (leaf & 0xff)) != 0;
    }

    /// @dev A verified result of an agreement that this contract bought; once for each leaf.
    function _onResult(address agreement, uint32 leaf, bytes calldata content) internal virtual;

    /// @dev Buys work with this contract's tokens.
    /// @param terms Packed terms of the kind, with the callback: see `AskLib.withCallback`.
    /// @param spec What is to be done, in the kind's format.
    /// @param budget Most that it may cost, smallest token unit: `AskLib.budgetOf` says what it will take. What the
    /// purchase leaves of the allowance is taken back.
    function _ask(uint8 kindId, bytes memory terms, bytes memory spec, uint256 budget)
        internal
        returns (address agreement)
    {
        IERC20 token = IERC20(dispatcher.token());
        token.forceApprove(address(dispatcher), budget);
        agreement = dispatcher.buyContract(kindId, terms, spec);
        hasBought[agreement] = true;
        if (token.allowance(address(this), address(dispatcher)) != 0) {
            token.forceApprove(address(dispatcher), 0);
        }
    }

    /// @dev Collects what is owed to this contract: refunds, unspent prices. Anybody can make the dispatcher send it, so the
    /// balance may have come already: count the balance, not what this returns.
    function _withdrawRefunds() internal returns (uint256 amount) {
        return dispatcher.withdraw(address(this));
    }
}
