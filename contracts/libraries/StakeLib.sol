// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {Device, IWorkerDispatcher, Party, Verdict, WorkerInfo} from "../interfaces/IWorkerDispatcher.sol";
import {CredibilityLib} from "./CredibilityLib.sol";

/// @title StakeLib
/// @notice Workers, devices, stakes, locks and the stake of each class over time.
/// @dev Stake counts for a draw of epoch e if it was staked before e and is still bonded: the smaller of the trace at e and
/// what is bonded now. Staking writes the trace for the next epoch; unstaking lowers what is bonded at once. Nothing here
/// loops over workers; a worker is in at most MAX_CLASSES classes.
library StakeLib {
    using Checkpoints for Checkpoints.Trace208;

    uint256 internal constant MAX_CLASSES = 4;
    uint256 private constant COUNT_SHIFT = 128;

    /// @dev One word, read and written as one.
    struct Stake {
        uint88 bonded;
        uint88 locked;
        uint16 score;
        uint32 scoreEpoch;
        /// From this epoch on stake and classes are what they are now: the common case is answered without the trace.
        uint32 settledSince;
    }

    struct Worker {
        address payout;
        uint48 classes;
        uint48 kinds;
        // one slot
        Stake stake;
        // one slot
        uint96 unbonding;
        uint40 unbondingUntil;
        uint32 classesSince;
        Checkpoints.Trace208 trace;
    }

    /// @dev Units of stake and workers with at least one unit, now; the trace packs both as `workers << 128 | units`.
    struct Class {
        uint128 units;
        uint64 workers;
        Checkpoints.Trace208 trace;
    }

    struct State {
        mapping(address worker => Worker) workers;
        mapping(address device => Device) devices;
        mapping(uint16 classId => Class) classes;
        /// The hot key that entered an agreement, for those that entered by one. What is locked is known to the agreement, and
        /// its sum to its escrow (docs/decisions/0010).
        mapping(address agreement => mapping(address worker => address)) devicesOf;
    }

    function register(
        State storage self,
        address worker,
        address payout,
        uint48 classes,
        uint48 kinds,
        uint32 epoch
    ) internal {
        Worker storage w = self.workers[worker];
        require(w.payout == address(0), IWorkerDispatcher.AlreadyRegistered(worker));
        // Whoever registers holds the key: a claim on it as somebody's device ends here.
        Device storage squatted = self.devices[worker];
        require(squatted.locked == 0, IWorkerDispatcher.KeyTaken(worker, squatted.worker));
        delete self.devices[worker];
        _setProfile(w, payout, classes, kinds, epoch);
    }

    /// @notice Moves the worker's units from its old classes to the new; the new ones count from the next epoch.
    function update(
        State storage self,
        address worker,
        address payout,
        uint48 classes,
        uint48 kinds,
        uint32 epoch,
        uint96 ticketUnit
    ) internal {
        Worker storage w = known(self, worker);
        require(w.stake.locked == 0, IWorkerDispatcher.StakeLockedElsewhere(worker, w.stake.locked));
        uint256 units = w.stake.bonded / ticketUnit;
        uint48 before = w.classes;
        if (before != classes) {
            _moveUnits(self, before, units, 0, epoch);
            _moveUnits(self, classes, 0, units, epoch);
        }
        _setProfile(w, payout, classes, kinds, epoch);
    }

    function setDevice(State storage self, address worker, address device, uint88 limit, uint32 epoch)
        internal
        returns (uint32 since)
    {
        known(self, worker);
        require(self.workers[device].payout == address(0), IWorkerDispatcher.KeyTaken(device, device));
        Device storage d = self.devices[device];
        address holder = d.worker;
        require(holder == address(0) || holder == worker, IWorkerDispatcher.KeyTaken(device, holder));
        if (holder == address(0)) {
            d.worker = worker;
            d.since = epoch + 1;
        }
        d.limit = limit;
        return d.since;
    }

    function bond(State storage self, address worker, uint256 amount, uint32 epoch, uint96 ticketUnit)
        internal
    {
        Worker storage w = known(self, worker);
        uint256 room = type(uint88).max - w.stake.bonded;
        require(amount <= room, IWorkerDispatcher.AmountTooLarge(amount, room));
        _setBonded(self, w, w.stake.bonded + amount, epoch, ticketUnit);
    }

    function unbond(
        State storage self,
        address worker,
        uint256 amount,
        uint32 epoch,
        uint96 ticketUnit,
        uint40 withdrawableFrom
    ) internal {
        Worker storage w = known(self, worker);
        uint256 free = w.stake.bonded - w.stake.locked;
        require(amount <= free, IWorkerDispatcher.FreeStakeTooSmall(worker, free, amount));
        _setBonded(self, w, w.stake.bonded - amount, epoch, ticketUnit);
        w.unbonding += uint96(amount);
        w.unbondingUntil = withdrawableFrom;
    }

    function takeUnbonded(State storage self, address worker) internal returns (uint256 amount) {
        Worker storage w = known(self, worker);
        require(
            block.timestamp >= w.unbondingUntil,
            IWorkerDispatcher.StillUnbonding(block.timestamp, w.unbondingUntil)
        );
        amount = w.unbonding;
        w.unbonding = 0;
    }

    /// @notice Locks stake of the worker that `actor` acts for.
    function lock(
        State storage self,
        address agreement,
        address actor,
        uint96 amount,
        uint16 classId,
        uint8 kindId,
        uint32 epoch
    ) internal returns (address worker, address device) {
        worker = actor;
        if (self.workers[actor].payout == address(0)) {
            worker = _lockDevice(self, actor, amount, epoch);
            device = actor;
            self.devicesOf[agreement][worker] = device;
        }
        Worker storage w = self.workers[worker];
        require(
            (w.classes >> classId) & 1 == 1 && _inClassSince(w, epoch),
            IWorkerDispatcher.NotInClass(worker, classId)
        );
        require((w.kinds >> kindId) & 1 == 1, IWorkerDispatcher.NotOptedIn(worker, kindId));
        Stake memory k = w.stake;
        uint256 free = k.bonded - k.locked;
        require(amount <= free, IWorkerDispatcher.FreeStakeTooSmall(worker, free, amount));
        w.stake.locked = k.locked + uint88(amount);
    }

    function _lockDevice(State storage self, address device, uint96 amount, uint32 epoch)
        private
        returns (address worker)
    {
        Device storage d = self.devices[device];
        worker = d.worker;
        require(worker != address(0), IWorkerDispatcher.UnknownWorker(device));
        require(d.since <= epoch, IWorkerDispatcher.DeviceNotActive(device, epoch, d.since));
        uint256 left = d.limit > d.locked ? d.limit - d.locked : 0;
        require(amount <= left, IWorkerDispatcher.DeviceLimit(device, left, amount));
        d.locked += uint88(amount);
    }

    /// @notice Ends a lock, takes `p.slash` of it out of the stake and changes the score.
    /// @param kindId Kind of the agreement: one that the worker did not opt in to cannot touch its stake.
    /// @return payout Where the worker's earnings go.
    function release(
        State storage self,
        address agreement,
        Party calldata p,
        uint8 kindId,
        uint32 epoch,
        uint96 ticketUnit
    ) internal returns (address payout) {
        require(p.slash <= p.locked, IWorkerDispatcher.SlashAboveLock(p.slash, p.locked));
        Worker storage w = self.workers[p.worker];
        require((w.kinds >> kindId) & 1 == 1, IWorkerDispatcher.NotOptedIn(p.worker, kindId));
        payout = w.payout;
        if (p.byDevice) _releaseDevice(self, agreement, p);

        Stake memory k = w.stake;
        _free(k, p.worker, p.locked, agreement);
        if (p.verdict == Verdict.Kept) {
            _reward(k, epoch);
        } else if (p.verdict == Verdict.Lost) {
            k.score = uint16(CredibilityLib.scoreAfterLost(_score(k, epoch)));
            k.scoreEpoch = epoch;
        }
        w.stake = k;
        if (p.slash != 0) _setBonded(self, w, k.bonded - p.slash, epoch, ticketUnit);
    }

    /// @notice The same without slash and device, for the settlement that every verified task pays.
    function releaseKept(
        State storage self,
        address agreement,
        address worker,
        uint96 locked,
        bool scored,
        uint8 kindId,
        uint32 epoch
    ) internal returns (address payout) {
        Worker storage w = self.workers[worker];
        require((w.kinds >> kindId) & 1 == 1, IWorkerDispatcher.NotOptedIn(worker, kindId));
        payout = w.payout;
        Stake memory k = w.stake;
        _free(k, worker, locked, agreement);
        if (scored) _reward(k, epoch);
        w.stake = k;
    }

    function _free(Stake memory k, address worker, uint96 locked, address agreement) private pure {
        require(locked <= k.locked, IWorkerDispatcher.NothingLocked(worker, agreement));
        unchecked {
            k.locked -= uint88(locked);
        }
    }

    /// @dev A score rises once an epoch at most: a whole epoch has gone by since its last change otherwise.
    function _reward(Stake memory k, uint32 epoch) private pure {
        if (k.scoreEpoch >= epoch) return;
        k.score = uint16(CredibilityLib.scoreAfterKept(_score(k, epoch)));
        k.scoreEpoch = epoch;
    }

    function _releaseDevice(State storage self, address agreement, Party calldata p) private {
        address device = self.devicesOf[agreement][p.worker];
        delete self.devicesOf[agreement][p.worker];
        Device storage d = self.devices[device];
        d.locked -= uint88(p.locked);
        // What a device lost is gone from its limit, or a stolen key could lose it again and again.
        if (p.slash != 0) d.limit = d.limit > p.slash ? d.limit - uint88(p.slash) : 0;
    }

    // ------------------------------------------------------------------------------------------------ views

    function known(State storage self, address worker) internal view returns (Worker storage w) {
        w = self.workers[worker];
        require(w.payout != address(0), IWorkerDispatcher.UnknownWorker(worker));
    }

    function ticketsOf(State storage self, address worker, uint16 classId, uint32 atEpoch, uint96 ticketUnit)
        internal
        view
        returns (uint256)
    {
        Worker storage w = self.workers[worker];
        if ((w.classes >> classId) & 1 == 0) return 0;
        if (atEpoch >= w.stake.settledSince) return w.stake.bonded / ticketUnit;
        if (atEpoch < w.classesSince) return 0;
        uint256 then = w.trace.upperLookupRecent(atEpoch);
        return (then < w.stake.bonded ? then : w.stake.bonded) / ticketUnit;
    }

    function classAt(State storage self, uint16 classId, uint32 atEpoch)
        internal
        view
        returns (uint256 units, uint256 workers)
    {
        Class storage c = self.classes[classId];
        uint256 packed = c.trace.upperLookupRecent(atEpoch);
        (units, workers) = (uint128(packed), packed >> COUNT_SHIFT);
        if (c.units < units) units = c.units;
        if (c.workers < workers) workers = c.workers;
    }

    function info(State storage self, address worker, uint32 epoch)
        internal
        view
        returns (WorkerInfo memory)
    {
        Worker storage w = self.workers[worker];
        return WorkerInfo({
            payout: w.payout,
            classes: w.classes,
            kinds: w.kinds,
            bonded: w.stake.bonded,
            locked: w.stake.locked,
            score: uint16(_score(w.stake, epoch)),
            classesSince: w.classesSince,
            unbonding: w.unbonding,
            unbondingUntil: w.unbondingUntil
        });
    }

    // ------------------------------------------------------------------------------------------------ private

    function _inClassSince(Worker storage w, uint32 epoch) private view returns (bool) {
        return w.stake.settledSince <= epoch || w.classesSince <= epoch;
    }

    function _score(Stake memory k, uint32 epoch) private pure returns (uint256) {
        return CredibilityLib.decayed(k.score, epoch - k.scoreEpoch);
    }

    function _setProfile(Worker storage w, address payout, uint48 classes, uint48 kinds, uint32 epoch)
        private
    {
        require(payout != address(0), IWorkerDispatcher.ZeroAddress());
        uint256 count = 0;
        for (uint48 bits = classes; bits != 0; bits &= bits - 1) {
            ++count;
        }
        require(count <= MAX_CLASSES, IWorkerDispatcher.TooMany(count, MAX_CLASSES));
        if (w.classes != classes) (w.classesSince, w.stake.settledSince) = (epoch + 1, epoch + 1);
        (w.payout, w.classes, w.kinds) = (payout, classes, kinds);
    }

    function _setBonded(State storage self, Worker storage w, uint256 bonded, uint32 epoch, uint96 ticketUnit)
        private
    {
        uint256 unitsBefore = w.stake.bonded / ticketUnit;
        w.stake.bonded = uint88(bonded);
        w.stake.settledSince = epoch + 1;
        w.trace.push(epoch + 1, uint208(bonded));
        _moveUnits(self, w.classes, unitsBefore, bonded / ticketUnit, epoch);
    }

    /// @dev Each class in `classes` loses `from` units of one worker and gains `to`.
    function _moveUnits(State storage self, uint48 classes, uint256 from, uint256 to, uint32 epoch) private {
        if (from == to) return;
        for (uint16 id = 0; classes != 0; (classes, id) = (classes >> 1, id + 1)) {
            if (classes & 1 == 0) continue;
            Class storage c = self.classes[id];
            uint256 units = c.units + to - from;
            uint256 workers = c.workers + (to == 0 ? 0 : 1) - (from == 0 ? 0 : 1);
            (c.units, c.workers) = (uint128(units), uint64(workers));
            c.trace.push(epoch + 1, uint208((workers << COUNT_SHIFT) | units));
        }
    }
}
