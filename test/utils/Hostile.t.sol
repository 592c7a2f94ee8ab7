// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher, WorkerInfo} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {MerkleLib} from "../../contracts/libraries/MerkleLib.sol";
import {RoundDriver} from "./RoundDriver.t.sol";

/// @title Hostile
/// @notice Calls with bad arguments, and what a refusal has to look like.
abstract contract Hostile is RoundDriver {
    bytes4 internal constant PANIC = 0x4e487b71;
    bytes4 internal constant STRING = 0x08c379a0;

    /// @dev State of the arguments' generator; a test sets it from what the fuzzer gives.
    uint256 internal entropy;
    /// @dev How many calls went through, and how many were refused.
    uint256 internal accepted;
    uint256 internal refused;

    /// @dev Calls, and holds a refusal to the rule: an error of ours, with what was found and allowed. Afterwards the books add up.
    function _throw(address to, address who, bytes memory call) internal returns (bool ok) {
        bytes memory answer;
        vm.prank(who);
        (ok, answer) = to.call(call);
        if (ok) {
            ++accepted;
            _noteBought(bytes4(call), answer);
        } else {
            ++refused;
            _assertTells(answer, bytes4(call));
        }
        _assertBooks();
    }

    /// @dev What was bought has an escrow.
    function _noteBought(bytes4 selector, bytes memory answer) private {
        if (
            selector == dispatcher.buyContract.selector
                || selector == dispatcher.buyContractWithPermit.selector
                || selector == dispatcher.acceptOffer.selector
        ) agreements.push(abi.decode(answer, (address)));
    }

    /// @dev As `_assertConserved`, where anybody may have become a worker.
    function _assertBooks() internal view {
        uint256 sum = _share(client) + _share(keeper) + _share(stranger) + _share(dispatcher.BURN_ACCOUNT());
        for (uint256 i = 0; i < workers.length; ++i) {
            sum += _share(workers[i].owner) + _share(workers[i].payout) + _share(workers[i].device);
        }
        for (uint256 i = 0; i < agreements.length; ++i) {
            (uint96 escrow,) = dispatcher.escrowOf(agreements[i]);
            sum += escrow;
        }
        assertEq(sum, token.balanceOf(address(dispatcher)), "slots add up to the balance");
    }

    function _share(address account) private view returns (uint256) {
        WorkerInfo memory w = dispatcher.workerInfo(account);
        return dispatcher.payableOf(account) + w.bonded + w.unbonding;
    }

    /// @dev A custom error, with arguments unless its name says all.
    function _assertTells(bytes memory answer, bytes4 selector) internal pure {
        string memory where = vm.toString(abi.encodePacked(selector));
        assertGe(answer.length, 4, string.concat("an empty refusal: ", where));
        bytes4 what = bytes4(answer);
        assertTrue(what != PANIC, string.concat("a panic: ", where));
        assertTrue(what != STRING, string.concat("words instead of an error: ", where));
        bool plain = what == IComputeAgreement.ZeroSeal.selector || what == MerkleLib.NoLeaves.selector
            || what == IComputeAgreement.NoCallback.selector || what == IWorkerDispatcher.ZeroAmount.selector
            || what == IWorkerDispatcher.ZeroAddress.selector;
        assertTrue(plain || answer.length > 4, string.concat("an error that names nothing: ", where));
    }

    // ------------------------------------------------------------------------------------------------ arguments

    function _next() internal returns (uint256) {
        entropy = uint256(keccak256(abi.encode(entropy)));
        return entropy;
    }

    function _pick(uint256 count) internal returns (uint256) {
        return _next() % count;
    }

    /// @dev Zero, one, the largest, something small, something plausible, or anything.
    function _num(uint256 bits) internal returns (uint256) {
        uint256 kind = _pick(6);
        uint256 max = type(uint256).max >> (256 - bits);
        if (kind < 2) return kind;
        if (kind == 2) return max;
        if (kind == 3) return _pick(40);
        if (kind == 4) return (_pick(300) * SUN) & max;
        return _next() & max;
    }

    function _word() internal returns (bytes32) {
        uint256 kind = _pick(4);
        if (kind == 0) return 0;
        if (kind == 1) return bytes32(type(uint256).max);
        return kind == 2 ? WORKER_SALT : bytes32(_next());
    }

    function _words(uint256 most) internal returns (bytes32[] memory words) {
        words = new bytes32[](_pick(most + 1));
        for (uint256 i = 0; i < words.length; ++i) {
            words[i] = _word();
        }
    }

    function _numbers() internal returns (uint32[] memory numbers) {
        numbers = new uint32[](_pick(7));
        for (uint256 i = 0; i < numbers.length; ++i) {
            numbers[i] = _pick(2) == 0 ? uint32(i) : uint32(_num(32));
        }
    }

    function _data() internal returns (bytes memory) {
        uint256 kind = _pick(5);
        if (kind == 0) return "";
        if (kind == 1) return abi.encodePacked(uint32(_pick(20)));
        if (kind == 2) return new bytes(_pick(400));
        if (kind == 3) return abi.encodePacked(_next(), _next(), uint8(_next()));
        return abi.encodePacked(uint8(_next()));
    }

    /// @dev Parties, contracts of ours, nobody, and anybody.
    function _anybody() internal returns (address) {
        uint256 kind = _pick(12);
        if (kind == 0) return address(0);
        if (kind == 1) return address(token);
        if (kind == 2) return address(dispatcher);
        if (kind == 3) return address(implementation);
        if (kind == 4) return address(uint160(_next()));
        if (kind == 5) return client;
        return _caller();
    }

    /// @dev Who may send a transaction.
    function _caller() internal returns (address) {
        uint256 kind = _pick(8);
        if (kind == 0) return client;
        if (kind == 1) return stranger;
        if (kind == 2) return keeper;
        if (kind == 3) return workers[0].owner;
        if (kind == 4) return workers[_pick(workers.length)].device;
        return workers[_pick(workers.length)].owner;
    }
}
