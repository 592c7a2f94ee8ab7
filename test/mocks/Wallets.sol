// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ISignedOrders} from "../../contracts/interfaces/ISignedOrders.sol";

/// @notice A contract account as they should be: its owner's key signs, and the owner can be changed.
contract Wallet is IERC1271 {
    address public owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function setOwner(address owner_) external {
        owner = owner_;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer,,) = ECDSA.tryRecoverCalldata(hash, signature);
        return signer == owner ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @notice Anything else that the account does.
    function act(address target, bytes calldata data) external returns (bytes memory answer) {
        bool ok;
        (ok, answer) = target.call(data);
        require(ok, "refused");
    }
}

/// @notice Answers every question with the bytes it was given, as a return or as a revert.
contract Parrot {
    bytes internal _answer;
    bool internal _reverts;

    function teach(bytes calldata answer, bool reverts) external {
        (_answer, _reverts) = (answer, reverts);
    }

    fallback() external {
        bytes memory answer = _answer;
        bool reverts = _reverts;
        assembly ("memory-safe") {
            if reverts { revert(add(answer, 32), mload(answer)) }
            return(add(answer, 32), mload(answer))
        }
    }
}

/// @notice Answers with as many bytes as memory was paid for; the first word says yes if it is meant to.
contract Bomb {
    uint256 internal immutable SIZE;
    bytes32 internal immutable FIRST;
    bool internal immutable REVERTS;

    constructor(uint256 size, bytes32 first, bool reverts) {
        (SIZE, FIRST, REVERTS) = (size, first, reverts);
    }

    fallback() external {
        (uint256 size, bytes32 first, bool reverts) = (SIZE, FIRST, REVERTS);
        assembly {
            mstore(0, first)
            if reverts { revert(0, size) }
            return(0, size)
        }
    }
}

/// @notice Never answers.
contract Burner {
    fallback() external {
        while (true) {}
    }
}

/// @notice Says yes, after it tried to write, to cancel and to read: what it saw of its count, nobody could change.
contract Meddler {
    ISignedOrders internal immutable DESK;
    bytes internal _again;
    uint256 internal _written;
    /// Count that the answer depends on: it says yes only if this many uses are on the books while it is asked.
    uint32 internal immutable WANTED;

    constructor(ISignedOrders desk, uint32 wanted) {
        (DESK, WANTED) = (desk, wanted);
    }

    /// @param again What it calls at the desk from inside.
    function arm(bytes calldata again) external {
        _again = again;
    }

    function write() external {
        ++_written;
    }

    // Not declared view, though it is called as such: what it tries is for the machine to refuse.
    function isValidSignature(bytes32 hash, bytes calldata) external returns (bytes4) {
        // Little gas each: a refused write takes all that the call was given.
        (bool wrote,) = address(this).call{gas: 50_000}(abi.encodeCall(this.write, ()));
        (bool entered,) = address(DESK).call{gas: 200_000}(_again);
        bool counted = DESK.orderUses(address(this), hash) == WANTED;
        return !wrote && !entered && counted ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
