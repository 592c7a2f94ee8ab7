// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {Base} from "../utils/Base.t.sol";

/// @notice setEncryptionKey, setKeyAgent, and the key of registerWorker.
contract KeysTest is Base {
    address private _new = makeAddr("new worker");

    // ------------------------------------------------------------------------------------------------ encryption keys

    function test_registrationPublishesTheKey() public {
        assertEq(dispatcher.encryptionKeyOf(_new), 0, "none before");
        bytes32[] memory hashes = _kindHashes();
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 1, hashes, "x25519 of the new one", "transport");
        assertEq(dispatcher.encryptionKeyOf(_new), "x25519 of the new one", "its own");
        assertEq(dispatcher.encryptionKeyOf(stranger), 0, "not its payout account's");
    }

    /// @notice The registration is the last word, also where it brings no key.
    function test_registrationReplacesAnEarlierKey() public {
        _setKey(_new, "as a client");
        bytes32[] memory hashes = _kindHashes();
        vm.prank(_new);
        dispatcher.registerWorker(stranger, 1, hashes, 0, 0);
        assertEq(dispatcher.encryptionKeyOf(_new), 0, "registered without a key");
    }

    /// @notice A registration that is refused changes no key.
    function test_refusedRegistrationChangesNoKey() public {
        address worker = workers[0].owner;
        bytes32 before = dispatcher.encryptionKeyOf(worker);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.AlreadyRegistered.selector, worker));
        vm.prank(worker);
        dispatcher.registerWorker(stranger, 1, new bytes32[](0), "another", 0);
        assertEq(dispatcher.encryptionKeyOf(worker), before, "as it was");
    }

    function test_anybodyPublishesAKey() public {
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.EncryptionKeySet(client, "x25519 of the client");
        _setKey(client, "x25519 of the client");
        assertEq(dispatcher.encryptionKeyOf(client), "x25519 of the client", "clients too");
        assertEq(dispatcher.workerOf(client), address(0), "that makes no worker");
    }

    function test_keyIsReplacedAndWithdrawn() public {
        address worker = workers[0].owner;
        _setKey(worker, "second");
        assertEq(dispatcher.encryptionKeyOf(worker), "second", "replaced");
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.EncryptionKeySet(worker, 0);
        _setKey(worker, 0);
        assertEq(dispatcher.encryptionKeyOf(worker), 0, "withdrawn");
        bytes32[] memory hashes = _kindHashes();
        vm.prank(worker);
        dispatcher.updateWorker(stranger, 1, hashes);
        assertEq(dispatcher.encryptionKeyOf(worker), 0, "an update leaves it alone");
    }

    /// @notice A stolen hot key publishes nothing in the name of its worker.
    function test_deviceHasAKeyOfItsOwn() public {
        bytes32 before = dispatcher.encryptionKeyOf(workers[0].owner);
        _setKey(workers[0].device, "the thief's");
        assertEq(dispatcher.encryptionKeyOf(workers[0].device), "the thief's", "its own");
        assertEq(dispatcher.encryptionKeyOf(workers[0].owner), before, "not its worker's");
    }

    /// @notice Each account has the last key that it set, whatever others set.
    function testFuzz_lastKeyOfEachAccount(address[6] memory who, bytes32[6] memory keys) public {
        for (uint256 i = 0; i < who.length; ++i) {
            _setKey(who[i], keys[i]);
        }
        for (uint256 i = 0; i < who.length; ++i) {
            bytes32 last = keys[i];
            for (uint256 j = i + 1; j < who.length; ++j) {
                if (who[j] == who[i]) last = keys[j];
            }
            assertEq(dispatcher.encryptionKeyOf(who[i]), last, "its own last one");
        }
    }

    // ------------------------------------------------------------------------------------------------ key agents

    function test_agentIsSetReplacedAndCleared() public {
        assertEq(dispatcher.keyAgentOf(client), address(0), "none at first");
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.KeyAgentSet(client, keeper);
        _setAgent(client, keeper);
        assertEq(dispatcher.keyAgentOf(client), keeper, "set");
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.KeyAgentSet(client, stranger);
        _setAgent(client, stranger);
        assertEq(dispatcher.keyAgentOf(client), stranger, "one at a time");
        vm.expectEmit(address(dispatcher));
        emit IWorkerDispatcher.KeyAgentSet(client, address(0));
        _setAgent(client, address(0));
        assertEq(dispatcher.keyAgentOf(client), address(0), "cleared");
    }

    function testFuzz_agentIsOfTheCallerOnly(address who, address agent, address other) public {
        vm.assume(who != other);
        _setAgent(who, agent);
        assertEq(dispatcher.keyAgentOf(who), agent, "the caller's");
        assertEq(dispatcher.keyAgentOf(other), address(0), "nobody else's");
    }

    /// @notice Keys and agents are words beside the books: no stake, escrow or payable moves.
    function testFuzz_keysMoveNoMoney(address who, bytes32 key, address agent) public {
        _buy(_confidentialTerms());
        bytes32 before = keccak256(abi.encode(_books(), token.balanceOf(address(dispatcher))));
        vm.recordLogs();
        _setKey(who, key);
        _setAgent(who, agent);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 2, "one event each");
        assertEq(
            keccak256(abi.encode(_books(), token.balanceOf(address(dispatcher)))), before, "nothing moved"
        );
        _assertConserved();
    }
}
