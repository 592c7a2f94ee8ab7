// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement, WorkerOpening} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";
import {TestTree} from "../utils/TestTree.sol";

/// @notice What an attacker can still do, with its price, so that a change of it is noticed. README.md of test/invariant
/// says what would end each.
contract KnownLimitsTest is Driver {
    using TestTree for TestTree.Tree;

    /// @notice L3. Naming a device needs no consent of its key, so a registered worker can take a key before its real owner
    /// names it. Costs the attacker one transaction per key, the owner a new key.
    function test_limit_deviceKeysCanBeSquatted() public {
        address thief = makeAddr("thief");
        address key = makeAddr("new device of worker 0");
        _register(thief, thief, 1);
        vm.prank(thief);
        dispatcher.setDevice(key, 0);
        vm.prank(workers[0].owner);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.KeyTaken.selector, key, thief));
        dispatcher.setDevice(key, DEVICE_LIMIT);
    }

    /// @notice L4. What an envelope holds only the worker can tell, so a client with a useless key makes each worker that
    /// accepts pay the fee of an abort. It gains nothing (the fee is burned) and pays gas, with its budget bound meanwhile.
    function test_limit_uselessKeyCostsTheWorkerAnAbort() public {
        uint256 before = _owned(client);
        IComputeAgreement a = _buy(_confidentialTerms());
        for (uint256 i = 0; i < _params().maxAttempts; ++i) {
            vm.prank(workers[i].owner);
            a.accept();
            uint256 fee = uint256(a.workerLock(a.agreement().reward)) * _params().abortBps / 10_000;
            _postKey(a, client, "useless");
            vm.prank(workers[i].owner);
            a.abort();
            assertEq(STAKE - dispatcher.workerInfo(workers[i].owner).bonded, fee, "lost through no fault");
        }
        assertEq(uint8(a.ending()), uint8(Ending.Aborted), "three workers later");
        assertEq(_owned(client), before, "earned nothing, lost nothing");
    }

    /// @notice L5. Who hands the session key to the drawn verifiers chooses among them: verifiers without it decline, without
    /// fault, until accomplices hold the slots. Free while fewer than `maxStrikes` honest ones are drawn, and with them all
    /// is refunded. Ends where the client or its agent hands out the key too.
    function test_limit_withheldKeyChoosesTheVerifiers() public {
        uint256 honest = 0;
        for (uint256 n = 0; n < 8 && honest == 0; ++n) {
            IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Working);
            TestTree.Tree memory lies = TestTree.build(_lies());
            bytes32 seal = _workerSeal(a, lies.root(), workers[0].owner);
            vm.prank(workers[0].owner);
            a.sealResult(seal, CIPHERTEXT_ROOT, RESULT_BLOB, "");
            _openDraw(a);
            for (_draw(a); _withoutKey(a) != address(0); _draw(a)) {
                ++honest;
                // It cannot get what it needs, so it steps back.
                vm.prank(_withoutKey(a));
                a.decline(6);
            }
            WorkerOpening memory o = _workerOpening(a);
            (o.root, o.proof) = (lies.root(), lies.multiproof(o.leaves));
            for (uint256 i = 0; i < o.digests.length; ++i) {
                o.digests[i] = _lies()[o.leaves[i]];
            }
            for (uint256 i = 0; i < 2; ++i) {
                uint32[] memory leaves = a.sampledLeaves(_verifier(a, i));
                bytes32[] memory said = new bytes32[](leaves.length);
                for (uint256 j = 0; j < said.length; ++j) {
                    said[j] = _lies()[leaves[j]];
                }
                _sealAs(a, _verifier(a, i), said);
            }
            a.settleAll(o, _honestOpenings(a));
            assertEq(uint8(a.ending()), uint8(Ending.Verified), "a lie, verified by accomplices");
            assertEq(dispatcher.workerInfo(workers[0].owner).bonded, STAKE, "at no cost");
        }
        assertGt(honest, 0, "honest verifiers had been drawn, and were got rid of");
    }

    /// @notice L7. A session key is handed to whoever accepts or is drawn: to read the inputs costs a worker an abort, a verifier
    /// nothing.
    function test_limit_declineAfterReadingIsFree() public {
        IComputeAgreement a = _driveTo(_confidentialTerms(), Status.Verifying);
        address reader = _verifier(a, 0);
        vm.prank(reader);
        a.decline(1);
        assertEq(dispatcher.workerInfo(reader).bonded, STAKE, "no stake lost");
        assertEq(dispatcher.workerInfo(reader).locked, 0, "free to be drawn elsewhere");
    }

    /// @dev A drawn verifier that is none of the worker's two accomplices, or zero.
    function _withoutKey(IComputeAgreement a) private view returns (address) {
        for (uint256 i = 0; i < a.agreement().slots.length; ++i) {
            address v = _verifier(a, i);
            if (v != workers[3].owner && v != workers[4].owner) return v;
        }
        return address(0);
    }

    function _lies() private pure returns (bytes32[] memory lies) {
        lies = new bytes32[](16);
        for (uint256 i = 0; i < lies.length; ++i) {
            lies[i] = keccak256(abi.encode("common lie", i));
        }
    }
}
