// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {WorkerInfo} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Handler} from "./Handler.sol";

/// @title World
/// @notice What must hold after any step, recomputed from all that the test knows. README.md says it in prose.
contract World is Handler {
    /// @dev Calls of `expire` that end any agreement when nobody else acts.
    uint256 internal constant MAX_EXPIRES = 8;

    // ------------------------------------------------------------------------------------------------ money

    /// @notice Escrows, stakes and payables add up to the tokens that are there; each escrow is what came in less what
    /// went out.
    function checkMoney() public view {
        uint256 sum = dispatcher.payableOf(client) + dispatcher.payableOf(keeper)
            + dispatcher.payableOf(stranger) + dispatcher.payableOf(dispatcher.BURN_ACCOUNT());
        for (uint256 i = 0; i < workers.length; ++i) {
            WorkerInfo memory w = dispatcher.workerInfo(workers[i].owner);
            sum += w.bonded + w.unbonding + dispatcher.payableOf(workers[i].payout);
            sum += dispatcher.payableOf(workers[i].owner) + dispatcher.payableOf(workers[i].device);
        }
        for (uint256 i = 0; i < agreements.length; ++i) {
            address a = agreements[i];
            (uint96 escrow, bool known) = dispatcher.escrowOf(a);
            assertTrue(known, "made by the dispatcher");
            assertEq(paidIn[a] - paidOut[a], escrow, "escrow = in - out");
            assertEq(endedTimes[a], _isFinal(a) ? 1 : 0, "ended exactly if final");
            if (_isFinal(a) && _unclaimed(a) == 0) assertEq(escrow, 0, "nothing left behind");
            sum += escrow;
        }
        assertEq(sum, token.balanceOf(address(dispatcher)), "every token has an owner");
    }

    /// @dev What contributors have not taken back yet, as they paid it.
    function _unclaimed(address a) private view returns (uint256 sum) {
        address[] memory all = _keys();
        for (uint256 i = 0; i < all.length; ++i) {
            uint96 paid = IComputeAgreement(a).contributionOf(all[i]);
            assertEq(
                paid, refunded[a][all[i]] ? 0 : added[a][all[i]], "as it was added, until it is refunded"
            );
            sum += paid;
        }
    }

    // ------------------------------------------------------------------------------------------------ locks

    /// @notice Every lock belongs to a live agreement's worker or verifier, and sums are kept for workers and devices.
    function checkLocks() public view {
        AgreementView[] memory views = new AgreementView[](agreements.length);
        for (uint256 i = 0; i < views.length; ++i) {
            views[i] = IComputeAgreement(agreements[i]).agreement();
        }
        for (uint256 i = 0; i < workers.length; ++i) {
            address worker = workers[i].owner;
            uint256 locked = 0;
            uint256 byDevice = 0;
            for (uint256 j = 0; j < views.length; ++j) {
                (uint96 amount, address device) = IComputeAgreement(agreements[j]).lockOf(worker);
                assertEq(amount != 0, _isParty(views[j], worker), "locked exactly while it is a party");
                locked += amount;
                if (device == address(0)) continue;
                assertEq(device, workers[i].device, "its own device");
                byDevice += amount;
            }
            WorkerInfo memory w = dispatcher.workerInfo(worker);
            assertEq(w.locked, locked, "sum of a worker's locks");
            assertLe(w.locked, w.bonded, "locks are covered");
            assertEq(dispatcher.deviceInfo(workers[i].device).locked, byDevice, "sum of a device's locks");
        }
        assertEq(dispatcher.deviceInfo(keeper).locked, 0, "a squatted key locks nothing");
        for (uint256 j = 0; j < views.length; ++j) {
            uint256 sum = 0;
            for (uint256 i = 0; i < workers.length; ++i) {
                (uint96 amount,) = IComputeAgreement(agreements[j]).lockOf(workers[i].owner);
                sum += amount;
            }
            assertEq(dispatcher.lockedBy(agreements[j]), sum, "an agreement's locks are its parties'");
        }
    }

    function _isParty(AgreementView memory v, address worker) private pure returns (bool) {
        if (v.ending != Ending.None) return false;
        if (v.worker == worker) return true;
        for (uint256 i = 0; i < v.slots.length; ++i) {
            if (v.slots[i].verifier == worker) return true;
        }
        return false;
    }

    // ------------------------------------------------------------------------------------------------ classes

    /// @notice The stake of a class is the sum over its workers; it draws from the next epoch on.
    function checkClasses() public view {
        for (uint16 c = 0; c < dispatcher.classCount(); ++c) {
            uint256 units = 0;
            uint256 count = 0;
            for (uint256 i = 0; i < workers.length; ++i) {
                WorkerInfo memory w = dispatcher.workerInfo(workers[i].owner);
                if ((w.classes >> c) & 1 == 0) continue;
                units += w.bonded / TICKET_UNIT;
                if (w.bonded >= TICKET_UNIT) ++count;
                uint256 tickets = dispatcher.ticketsOf(workers[i].owner, c, dispatcher.epoch());
                assertLe(tickets, w.bonded / TICKET_UNIT, "tickets are covered by stake");
            }
            (uint256 u, uint256 n) = dispatcher.classAt(c, dispatcher.epoch() + 1);
            assertEq(u, units, "units of the class");
            assertEq(n, count, "workers of the class");
        }
    }

    // ------------------------------------------------------------------------------------------------ shape

    /// @notice Counters of an agreement fit its slots.
    function checkShape() public view {
        for (uint256 i = 0; i < agreements.length; ++i) {
            IComputeAgreement a = IComputeAgreement(agreements[i]);
            AgreementView memory v = a.agreement();
            uint256 seals = 0;
            uint256 opened = 0;
            for (uint256 j = 0; j < v.slots.length; ++j) {
                assertEq(v.slots[j].voteRound < v.voteRound, j < v.firstSlot, "earlier rounds come first");
                if (j < v.firstSlot) {
                    assertTrue(v.slots[j].seal != 0, "who is of an earlier round has sealed");
                } else if (v.slots[j].seal != 0) {
                    ++seals;
                }
                if (j >= v.firstSlot && v.slots[j].opened && !v.slots[j].unproven) ++opened;
            }
            uint256 slots = uint256(v.firstSlot) + v.wanted;
            assertEq(v.sealedCount, seals, "seals");
            assertEq(v.openedCount, opened, "openings");
            assertLe(v.slots.length, slots, "no more than are wanted");
            uint256 most = uint256(_termsOf(a).verifiers) + 1;
            assertLe(v.wanted, v.voteRound == 0 ? most - 1 : most, "V, and V + 1 later");
            assertLe(slots, 4 * most, "a bounded number");
            assertLt(v.attempt, _params().maxAttempts, "attempts");
            assertEq(_isFinal(address(a)), v.ending != Ending.None, "an ending exactly when final");
            if (v.status == Status.Drawing && v.closesAt != 0) {
                assertLe(v.closesAt, v.deadline, "closes in time");
            }
            if (v.status >= Status.Verifying && v.status <= Status.Opening) {
                assertEq(v.slots.length, slots, "all slots are held");
            }
            if (v.status == Status.Revealing || v.status == Status.Opening) {
                assertEq(seals, v.wanted, "all sealed");
            }
            if (v.status == Status.Revealing) assertEq(v.voteRound, 0, "the worker reveals once");
            if (v.status == Status.Disputable && _termsOf(a).trustLevel == 0) {
                assertEq(v.slots.length, 0, "nobody has looked yet");
            }
        }
    }

    // ------------------------------------------------------------------------------------------------ keys

    /// @notice The work of an attempt starts with a key if it is confidential, and has none else. Only an agreement that
    /// cannot go on may lack one.
    function checkKeys() public view {
        for (uint256 i = 0; i < agreements.length; ++i) {
            IComputeAgreement a = IComputeAgreement(agreements[i]);
            AgreementView memory v = a.agreement();
            uint256 keys = keysPosted[address(a)][v.attempt];
            bool confidential = _termsOf(a).flags == 1;
            if (!confidential) assertTrue(v.status != Status.Keying, "public work waits for no key");
            if (!confidential || v.status <= Status.Keying || v.ending == Ending.NoKey) {
                assertEq(keys, 0, "no key in this attempt");
            } else if (v.status != Status.Cancelled) {
                assertEq(keys, 1, "this attempt had its key");
            }
        }
    }

    // ------------------------------------------------------------------------------------------------ no dead end

    /// @notice If nobody does anything any more but call `expire`, every agreement ends soon with nothing left in it, and
    /// then everybody can take all its money out, to the last unit.
    function checkNothingIsStuck() public {
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < agreements.length; ++i) {
            for (uint256 n = 0; !_isFinal(agreements[i]); ++n) {
                assertLt(n, MAX_EXPIRES, "ends after a few calls");
                _passDeadline(IComputeAgreement(agreements[i]));
                vm.prank(stranger);
                IComputeAgreement(agreements[i]).expire();
            }
            _refundAll(agreements[i]);
            _assertEmpty(agreements[i]);
        }
        for (uint256 i = 0; i < workers.length; ++i) {
            uint256 bonded = dispatcher.workerInfo(workers[i].owner).bonded;
            vm.prank(workers[i].owner);
            if (bonded != 0) dispatcher.unstake(bonded);
        }
        skip(UNBOND_SECS);
        for (uint256 i = 0; i < workers.length; ++i) {
            dispatcher.withdrawUnbonded(workers[i].owner);
            dispatcher.withdraw(workers[i].payout);
            dispatcher.withdraw(workers[i].owner);
            dispatcher.withdraw(workers[i].device);
        }
        dispatcher.withdraw(client);
        dispatcher.withdraw(keeper);
        dispatcher.withdraw(stranger);
        dispatcher.withdraw(dispatcher.BURN_ACCOUNT());
        assertEq(token.balanceOf(address(dispatcher)), 0, "every token leaves");
        for (uint16 c = 0; c < dispatcher.classCount(); ++c) {
            (uint256 units, uint256 count) = dispatcher.classAt(c, dispatcher.epoch());
            assertEq(units + count, 0, "an empty class");
        }
        assertTrue(vm.revertToStateAndDelete(snapshot), "state restored");
    }

    /// @dev Whoever has not taken its part of the refund yet gets it now, if anything is left of it.
    function _refundAll(address a) private {
        address[] memory all = _keys();
        for (uint256 i = 0; i < all.length; ++i) {
            if (IComputeAgreement(a).contributionOf(all[i]) != 0) {
                IComputeAgreement(a).refundContribution(all[i]);
            }
        }
    }

    /// @dev A window that closes on the way gives the verifiers their own deadline: at most two are to be passed.
    function _passDeadline(IComputeAgreement a) private {
        for (uint256 n = 0; n < 2; ++n) {
            uint256 deadline = a.agreement().deadline;
            if (block.timestamp <= deadline) vm.warp(deadline + 1);
        }
    }

    function _isFinal(address a) private view returns (bool) {
        Status now_ = IComputeAgreement(a).status();
        return now_ == Status.Settled || now_ == Status.Cancelled;
    }

    // ------------------------------------------------------------------------------------------------ fuzzing

    /// @notice The steps that the fuzzer may take.
    function selectors() external pure returns (bytes4[] memory list) {
        bytes4[56] memory all;
        // Every other step moves some agreement along.
        for (uint256 i = 0; i < all.length; i += 2) {
            all[i] = Handler.advance.selector;
        }
        (all[1], all[3], all[5]) = (Handler.buy.selector, Handler.postKey.selector, Handler.cancel.selector);
        (all[7], all[9], all[11]) = (Handler.accept.selector, Handler.abort.selector, Handler.seal.selector);
        (all[13], all[15], all[17]) =
        (Handler.openDraw.selector, Handler.claim.selector, Handler.verify.selector);
        (all[19], all[21], all[23]) =
        (Handler.settleAll.selector, Handler.open.selector, Handler.expire.selector);
        (all[25], all[27], all[29]) = (Handler.pass.selector, Handler.redeem.selector, this.withdraw.selector);
        (all[31], all[33], all[35]) = (this.addStake.selector, this.unstake.selector, this.setDevice.selector);
        (all[37], all[39]) = (this.attackDispatcher.selector, this.attackAgreement.selector);
        (all[0], all[10], all[20]) =
        (this.join.selector, this.withdrawUnbonded.selector, this.updateWorker.selector);
        (all[4], all[14], all[24]) =
        (this.setKeyAgent.selector, this.setEncryptionKey.selector, Handler.postKey.selector);
        (all[28], all[30], all[32]) =
        (Handler.neglect.selector, Handler.neglect.selector, Handler.abort.selector);
        (all[41], all[43], all[45]) =
        (Handler.contribute.selector, Handler.refundContribution.selector, Handler.dispute.selector);
        (all[47], all[49], all[51]) =
        (Handler.acceptResult.selector, Handler.recordLot.selector, Handler.decide.selector);
        (all[53], all[55], all[8]) =
        (Handler.takeOrder.selector, Handler.contribute.selector, Handler.dispute.selector);
        list = new bytes4[](all.length);
        for (uint256 i = 0; i < all.length; ++i) {
            list[i] = all[i];
        }
    }

    /// @notice How many agreements ended in each way, by `Ending`.
    function tally() external view returns (uint256[] memory counts) {
        counts = new uint256[](uint256(type(Ending).max) + 1);
        for (uint256 i = 0; i < counts.length; ++i) {
            counts[i] = endings[Ending(i)];
        }
    }
}
