// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IEnergyLedger, SignedRecord} from "../interfaces/IEnergyLedger.sol";
import {IWorkerDispatcher} from "../interfaces/IWorkerDispatcher.sol";
import {CountsLib} from "../libraries/CountsLib.sol";
import {DayWord, EnergyWordsLib, MeterWord} from "../libraries/EnergyWordsLib.sol";
import {P256Lib} from "../libraries/P256Lib.sol";
import {HeadWord, RecordLib} from "../libraries/RecordLib.sol";
import {WindowLib} from "../libraries/WindowLib.sol";
import {
    DayEntry,
    EnergyParams,
    MAX_WINDOW_DAYS,
    Meter,
    MeterDevice,
    MeterState,
    MeterStatus,
    MeterView,
    RecordHead,
    RecordKind
} from "../types/EnergyRecord.sol";
import {EnergyCertificates} from "./EnergyCertificates.sol";

/// @title EnergyLedger
/// @notice One record a day of a worker's meter, verified and added up on chain. docs/decisions/0016 says what it proves and what not.
/// @dev One worker, one meter; whoever has several sites signs their sum by one device, or is several workers. A record's sender
/// does not matter, its signature does. Bonds are the ledger's only tokens:
/// sum(bonds) + sum(rewards, the burn account's among them) = token balance.
contract EnergyLedger is IEnergyLedger {
    using SafeERC20 for IERC20;
    using EnergyWordsLib for MeterState;
    using EnergyWordsLib for DayEntry;
    using EnergyWordsLib for DayWord;
    using EnergyWordsLib for MeterWord;
    using RecordLib for HeadWord;
    using WindowLib for DayEntry[MAX_WINDOW_DAYS];

    /// @dev Everything of a worker. The first three words and the ring are what a record touches.
    struct Account {
        MeterState state;
        bytes32 keyX;
        bytes32 keyY;
        uint32 nameplateWatts;
        bytes2 country;
        int16 latitudeDecidegrees;
        int16 longitudeDecidegrees;
        uint16 operationalDay;
        uint40 exitAt;
        /// Counts registrations: keys of an earlier one are liable for nothing.
        uint32 generation;
        uint96 bond;
        DayEntry[MAX_WINDOW_DAYS] ring;
    }

    struct Key {
        address worker;
        uint32 generation;
        /// Zero while it is in use.
        uint40 liableUntil;
    }

    /// @dev A quarter hour may hold 1.35 times what the nameplate says: clouds focus the sun, and a count carries the rest of the
    /// one before. 1.35 / 4 = 135 / 400.
    uint256 internal constant CAP_NUMERATOR = 135;
    uint256 internal constant CAP_DENOMINATOR = 400;
    /// @dev Its cap, with one watt hour for the carried rest, is CountsLib.MAX_CAP at most.
    uint256 internal constant MAX_NAMEPLATE_WATTS = 97_000;
    uint256 internal constant DAY_SECS = 1 days;
    uint256 internal constant HOURS = 24;
    /// @dev Tenths of a degree, both ways.
    int16 internal constant MAX_LATITUDE = 900;
    int16 internal constant MAX_LONGITUDE = 1800;

    IWorkerDispatcher internal immutable DISPATCHER;
    IERC20 internal immutable TOKEN;
    EnergyCertificates internal immutable CERTIFICATES;
    address internal immutable BURN_ACCOUNT;
    address internal immutable VERIFIER;
    uint96 internal immutable BOND;
    uint32 internal immutable UNBOND_SECS;
    uint8 internal immutable WINDOW_DAYS;
    uint8 internal immutable MIN_DAYS;
    uint8 internal immutable FRESH_DAYS;
    uint16 internal immutable ASSUMED_WATTS;

    mapping(address worker => Account) internal _accounts;
    mapping(bytes32 keyHash => Key) internal _keys;
    /// @dev Devices that were replaced after they had recorded something, by their last day: one at most for a day of the window.
    mapping(address worker => MeterDevice[]) internal _former;
    /// @inheritdoc IEnergyLedger
    mapping(address account => uint256) public rewardOf;

    constructor(IWorkerDispatcher dispatcher_, EnergyParams memory p) {
        _range("windowDays", p.windowDays, 1, MAX_WINDOW_DAYS);
        _range("minDays", p.minDays, 1, p.windowDays);
        _range("freshDays", p.freshDays, 1, p.windowDays);
        _range("bond", p.bond, 2, type(uint96).max);
        _range("unbondSecs", p.unbondSecs, 1, type(uint32).max);
        _range("verifier", uint160(p.verifier), 1, type(uint160).max);
        DISPATCHER = dispatcher_;
        TOKEN = IERC20(dispatcher_.token());
        BURN_ACCOUNT = dispatcher_.BURN_ACCOUNT();
        (VERIFIER, BOND, UNBOND_SECS) = (p.verifier, p.bond, p.unbondSecs);
        (WINDOW_DAYS, MIN_DAYS, FRESH_DAYS) = (p.windowDays, p.minDays, p.freshDays);
        ASSUMED_WATTS = p.assumedWatts;
        CERTIFICATES = new EnergyCertificates(this, dispatcher_);
    }

    // ------------------------------------------------------------------------------------------------ records

    /// @inheritdoc IEnergyLedger
    function submit(bytes calldata signedRecord) external {
        (RecordKind kind, address worker, HeadWord h) =
            RecordLib.headWord(signedRecord, RecordLib.SIGNATURE_BYTES);
        Account storage a = _accounts[worker];
        MeterWord s = a.state.word();
        require(s.status() == uint256(MeterStatus.Active), NoActiveMeter(worker, MeterStatus(s.status())));
        _requireNext(kind, h, s);
        bytes24 link = bytes24(_requireSigned(a, s.day(), worker, signedRecord));
        uint256 grown = _counterGrowth(h, s);
        if (kind == RecordKind.Gap) {
            _recordGap(a, s, h, worker, link);
        } else {
            _recordDay(a, s, h, signedRecord, link, grown);
        }
    }

    function _recordDay(
        Account storage a,
        MeterWord s,
        HeadWord h,
        bytes calldata signedRecord,
        bytes24 link,
        uint256 grown
    ) private {
        (uint256 production, uint256 consumption) = _sums(signedRecord, s.capWh());
        require(production <= grown, CountsAboveCounter(production, grown));
        int256 net = _store(a, s, h, _entryOf(signedRecord, h, link, production, consumption), false);
        (, address worker) = RecordLib.ofWhom(signedRecord);
        emit DayRecorded(worker, uint16(h.day()), uint32(production), uint32(consumption), int48(net));
    }

    function _entryOf(
        bytes calldata signedRecord,
        HeadWord h,
        bytes24 link,
        uint256 production,
        uint256 consumption
    ) private pure returns (DayWord) {
        (RecordKind kind,) = RecordLib.ofWhom(signedRecord);
        unchecked {
            return EnergyWordsLib.dayWord(link, h.day(), kind, int256(production) - int256(consumption));
        }
    }

    function _recordGap(Account storage a, MeterWord s, HeadWord h, address worker, bytes24 link) private {
        int256 net = _store(a, s, h, EnergyWordsLib.dayWord(link, h.day(), RecordKind.Gap, 0), true);
        emit GapRecorded(worker, uint16(h.day()), uint16(s.day() + 1), int48(net));
    }

    function _store(Account storage a, MeterWord s, HeadWord h, DayWord entry, bool isGap)
        private
        returns (int256 net)
    {
        uint256 attested;
        (attested, net) =
            isGap ? a.ring.pushGap(s, entry, WINDOW_DAYS) : a.ring.pushDay(s, entry, WINDOW_DAYS);
        MeterWord after_ = s.recorded(h.sequence(), h.day(), h.counterEpoch(), h.counterWh());
        a.state.setWord(after_.counted(attested, net));
    }

    /// @inheritdoc IEnergyLedger
    function reportEquivocation(SignedRecord calldata a, SignedRecord calldata b, bytes32 keyX, bytes32 keyY)
        external
    {
        RecordHead memory h =
            RecordLib.requireContradiction(RecordLib.bodyOf(a.data), RecordLib.bodyOf(b.data));
        _requireLiable(h.worker, keyHashOf(keyX, keyY));
        bytes32 digestA = _requireEvidence(a, h.worker, keyX, keyY);
        bytes32 digestB = _requireEvidence(b, h.worker, keyX, keyY);
        uint256 burned = _strike(h.worker);
        emit Equivocated(h.worker, h.day, msg.sender, BOND - burned, burned, digestA, digestB);
    }

    /// @dev Sequence and day go on where the last record ended, and the day is over.
    function _requireNext(RecordKind kind, HeadWord h, MeterWord s) private view {
        unchecked {
            (uint256 sequence, uint256 day) = (h.sequence(), h.day());
            (uint256 next, uint256 nextDay) = (s.sequence() + 1, s.day() + 1);
            require(sequence >= next, RecordReplayed(uint32(sequence), uint32(next)));
            if (kind == RecordKind.Gap) {
                require(day >= nextDay, DayOutOfOrder(uint16(day), uint16(nextDay)));
                uint256 expected = next + (day - nextDay);
                require(sequence == expected, GapSequence(uint32(sequence), uint32(expected)));
            } else {
                require(sequence == next, RecordOutOfOrder(uint32(sequence), uint32(next)));
                require(day == nextDay, DayOutOfOrder(uint16(day), uint16(nextDay)));
            }
            uint256 today = block.timestamp / DAY_SECS;
            require(day < today, DayNotOver(uint16(day), today));
        }
    }

    /// @dev The signature is the registered device's, over this record after the one of `lastDay`.
    function _requireSigned(Account storage a, uint256 lastDay, address worker, bytes calldata signedRecord)
        private
        view
        returns (bytes32 digest)
    {
        unchecked {
            // `headWord` has looked at the length.
            uint256 bodyBytes = signedRecord.length - RecordLib.SIGNATURE_BYTES;
            digest = RecordLib.digest(address(this), _link(a, lastDay), signedRecord[:bodyBytes]);
            P256Lib.requireSigned(VERIFIER, worker, digest, signedRecord[bodyBytes:], a.keyX, a.keyY);
        }
    }

    /// @dev The meter's own counter never falls but into a new epoch, where it begins at zero.
    /// @return grown What it grew by since the last record.
    function _counterGrowth(HeadWord h, MeterWord s) private pure returns (uint256 grown) {
        (uint256 epoch, uint256 lastEpoch) = (h.counterEpoch(), s.counterEpoch());
        require(epoch >= lastEpoch, CounterEpochDecreased(uint16(epoch), uint16(lastEpoch)));
        grown = h.counterWh();
        if (epoch == lastEpoch) {
            uint256 last = s.counterWh();
            require(grown >= last, CounterDecreased(uint48(grown), uint48(last)));
            unchecked {
                grown -= last;
            }
        }
    }

    function _sums(bytes calldata data, uint256 cap)
        private
        view
        returns (uint256 production, uint256 consumption)
    {
        uint256 offset = RecordLib.countsOffset(data);
        bool within;
        (production, within) = CountsLib.sumCapped(offset, cap);
        if (!within) {
            (uint256 slot, uint256 count) = CountsLib.firstAbove(offset, cap);
            revert SlotAboveCap(slot, count, cap);
        }
        (RecordKind kind,) = RecordLib.ofWhom(data);
        consumption = kind == RecordKind.Metered
            ? CountsLib.sum(offset + CountsLib.BYTES)
            : uint256(ASSUMED_WATTS) * HOURS;
    }

    /// @dev What the next record is chained to; zero after a registration without a record of the day before.
    function _link(Account storage a, uint256 lastDay) private view returns (bytes24) {
        DayWord last = a.ring[lastDay % WINDOW_DAYS].word();
        return last.day() == lastDay ? last.link() : bytes24(0);
    }

    // ------------------------------------------------------------------------------------------------ evidence

    function _requireLiable(address worker, bytes32 keyHash) private view {
        Key memory key = _keys[keyHash];
        Account storage a = _accounts[worker];
        bool liable = key.worker == worker && key.generation == a.generation && a.bond != 0
            && (key.liableUntil == 0 || block.timestamp <= key.liableUntil);
        require(liable, KeyNotLiable(keyHash, worker));
    }

    function _requireEvidence(SignedRecord calldata r, address worker, bytes32 keyX, bytes32 keyY)
        private
        view
        returns (bytes32 digest)
    {
        bytes calldata body = RecordLib.bodyOf(r.data);
        digest = RecordLib.digest(address(this), r.previous, body);
        P256Lib.requireSigned(VERIFIER, worker, digest, r.data[body.length:], keyX, keyY);
    }

    /// @dev Half to the reporter, half burned: a worker that reports itself loses half.
    function _strike(address worker) private returns (uint256 burned) {
        Account storage a = _accounts[worker];
        MeterState memory s = a.state.load();
        uint256 bond = a.bond;
        uint256 reward = bond / 2;
        burned = bond - reward;
        rewardOf[msg.sender] += reward;
        rewardOf[BURN_ACCOUNT] += burned;
        a.bond = 0;
        (s.status, s.netWh, s.attestedDays, s.fromDay) = (MeterStatus.Struck, 0, 0, s.day + 1);
        a.state.store(s);
    }

    // ------------------------------------------------------------------------------------------------ meters

    /// @inheritdoc IEnergyLedger
    function register(Meter calldata meter, bytes calldata signature) external {
        require(DISPATCHER.workerOf(msg.sender) == msg.sender, NotAWorker(msg.sender));
        Account storage a = _accounts[msg.sender];
        MeterState memory s = a.state.load();
        require(
            s.status == MeterStatus.None || s.status == MeterStatus.Struck, MeterBusy(msg.sender, s.status)
        );
        // Nothing is claimed for the time before: the first record is of today.
        uint16 today = uint16(block.timestamp / DAY_SECS);
        (s.status, s.day, s.fromDay) = (MeterStatus.Active, today - 1, today);
        (s.netWh, s.attestedDays) = (0, 0);
        // Also an old meter's record of yesterday leads nowhere: the link begins anew with the registration.
        delete a.ring[uint256(s.day) % WINDOW_DAYS];
        ++a.generation;
        (a.operationalDay, a.exitAt, a.bond) = (today, 0, BOND);
        bytes32 keyHash = _setMeter(a, s, meter, signature);
        a.state.store(s);
        emit MeterRegistered(
            msg.sender,
            keyHash,
            meter.keyX,
            meter.keyY,
            meter.nameplateWatts,
            meter.country,
            meter.latitudeDecidegrees,
            meter.longitudeDecidegrees,
            today
        );
        _pullBond();
    }

    /// @inheritdoc IEnergyLedger
    function replaceKey(Meter calldata meter, bytes calldata signature) external {
        Account storage a = _accounts[msg.sender];
        MeterState memory s = a.state.load();
        require(s.status == MeterStatus.Active, NoActiveMeter(msg.sender, s.status));
        bytes32 oldHash = keyHashOf(a.keyX, a.keyY);
        uint40 until = uint40(block.timestamp + UNBOND_SECS);
        _keys[oldHash].liableUntil = until;
        _keepDevice(a, s, oldHash);
        bytes32 keyHash = _setMeter(a, s, meter, signature);
        a.state.store(s);
        emit KeyReplaced(msg.sender, oldHash, keyHash, until);
        emit MeterRegistered(
            msg.sender,
            keyHash,
            meter.keyX,
            meter.keyY,
            meter.nameplateWatts,
            meter.country,
            meter.latitudeDecidegrees,
            meter.longitudeDecidegrees,
            s.fromDay
        );
    }

    /// @inheritdoc IEnergyLedger
    function removeMeter() external {
        Account storage a = _accounts[msg.sender];
        MeterStatus status = a.state.status;
        require(status == MeterStatus.Active, NoActiveMeter(msg.sender, status));
        a.state.status = MeterStatus.Leaving;
        a.exitAt = uint40(block.timestamp + UNBOND_SECS);
        emit MeterLeaving(msg.sender, a.exitAt);
    }

    /// @inheritdoc IEnergyLedger
    function withdrawBond(address worker) external returns (uint256 amount) {
        Account storage a = _accounts[worker];
        MeterStatus status = a.state.status;
        require(status == MeterStatus.Leaving, MeterBusy(worker, status));
        require(block.timestamp > a.exitAt, BondStillLiable(block.timestamp, a.exitAt));
        amount = a.bond;
        a.bond = 0;
        a.state.status = MeterStatus.None;
        emit BondWithdrawn(worker, amount);
        TOKEN.safeTransfer(worker, amount);
    }

    /// @inheritdoc IEnergyLedger
    function withdrawReward(address account) external returns (uint256 amount) {
        amount = rewardOf[account];
        if (amount == 0) return 0;
        rewardOf[account] = 0;
        emit RewardWithdrawn(account, amount);
        TOKEN.safeTransfer(account, amount);
    }

    /// @dev What is said of a device stays true of the days that it recorded. One that recorded none is forgotten.
    function _keepDevice(Account storage a, MeterState memory s, bytes32 keyHash) private {
        MeterDevice[] storage former = _former[msg.sender];
        uint256 count = former.length;
        uint256 since = count == 0 ? 0 : former[count - 1].lastDay;
        if (s.day < s.fromDay || s.day == since) return;
        MeterDevice memory d = _device(a, keyHash);
        d.lastDay = s.day;
        _former[msg.sender].push(d);
    }

    function _device(Account storage a, bytes32 keyHash) private view returns (MeterDevice memory) {
        return MeterDevice({
            keyHash: keyHash,
            nameplateWatts: a.nameplateWatts,
            country: a.country,
            latitudeDecidegrees: a.latitudeDecidegrees,
            longitudeDecidegrees: a.longitudeDecidegrees,
            operationalDay: a.operationalDay,
            lastDay: 0
        });
    }

    /// @dev Only with the device's own signature over the worker's address, and no key twice.
    function _setMeter(Account storage a, MeterState memory s, Meter calldata m, bytes calldata signature)
        private
        returns (bytes32 keyHash)
    {
        require(
            m.nameplateWatts != 0 && m.nameplateWatts <= MAX_NAMEPLATE_WATTS,
            NameplateOutOfRange(m.nameplateWatts, 1, MAX_NAMEPLATE_WATTS)
        );
        require(
            m.latitudeDecidegrees >= -MAX_LATITUDE && m.latitudeDecidegrees <= MAX_LATITUDE
                && m.longitudeDecidegrees >= -MAX_LONGITUDE && m.longitudeDecidegrees <= MAX_LONGITUDE,
            CoordinatesOutOfRange(m.latitudeDecidegrees, m.longitudeDecidegrees)
        );
        require(
            signature.length == RecordLib.SIGNATURE_BYTES,
            RecordLength(signature.length, RecordLib.SIGNATURE_BYTES)
        );
        keyHash = keyHashOf(m.keyX, m.keyY);
        address holder = _keys[keyHash].worker;
        require(holder == address(0), MeterKeyUsed(keyHash, holder));
        bytes32 digest = RecordLib.meterDigest(address(this), msg.sender, m);
        P256Lib.requireSigned(VERIFIER, msg.sender, digest, signature, m.keyX, m.keyY);
        _keys[keyHash] = Key({worker: msg.sender, generation: a.generation, liableUntil: 0});
        (a.keyX, a.keyY) = (m.keyX, m.keyY);
        (a.nameplateWatts, a.country) = (m.nameplateWatts, m.country);
        (a.latitudeDecidegrees, a.longitudeDecidegrees) = (m.latitudeDecidegrees, m.longitudeDecidegrees);
        // The counter is the device's. One that a broken or stolen device drove to its end binds no other.
        (s.counterEpoch, s.counterWh) = (0, 0);
        s.capWh = uint16(uint256(m.nameplateWatts) * CAP_NUMERATOR / CAP_DENOMINATOR + 1);
    }

    /// @dev The money comes last. A token that takes a fee on the way is refused.
    function _pullBond() private {
        uint256 before = TOKEN.balanceOf(address(this));
        TOKEN.safeTransferFrom(msg.sender, address(this), BOND);
        uint256 received = TOKEN.balanceOf(address(this)) - before;
        require(received == BOND, BondShort(received, BOND));
    }

    // ------------------------------------------------------------------------------------------------ certificates

    /// @inheritdoc IEnergyLedger
    function takeSurplus(bytes24 previous, bytes calldata body, uint256 wattHours)
        external
        returns (RecordHead memory h)
    {
        require(msg.sender == address(CERTIFICATES), NotTheCertificates(msg.sender));
        h = RecordLib.head(body, 0);
        Account storage a = _accounts[h.worker];
        MeterState memory s = a.state.load();
        require(s.status == MeterStatus.Active, NoActiveMeter(h.worker, s.status));
        DayEntry storage place = a.ring[uint256(h.day) % WINDOW_DAYS];
        DayEntry memory e = place.load();
        bytes24 link = bytes24(RecordLib.digest(address(this), previous, body));
        // The ring keeps days of the window only; a gap counts nothing.
        bool known = WindowLib.counts(place.word(), h.day, s.fromDay) && e.link == link
            && uint256(h.day) + WINDOW_DAYS > s.day;
        require(known, NotTheRecord(h.worker, h.day, link));
        require(
            int256(wattHours) <= e.netWh && int256(wattHours) <= s.netWh,
            SurplusTooSmall(wattHours, e.netWh, s.netWh)
        );
        e.netWh -= int40(int256(wattHours));
        s.netWh -= int48(int256(wattHours));
        place.store(e);
        a.state.store(s);
        emit SurplusTaken(h.worker, h.day, uint32(wattHours), s.netWh);
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IEnergyLedger
    function isPositive(address worker) external view returns (bool) {
        MeterState memory s = _accounts[worker].state.load();
        return s.status == MeterStatus.Active && s.netWh >= 0 && s.attestedDays >= MIN_DAYS
            && block.timestamp / DAY_SECS <= uint256(s.day) + FRESH_DAYS;
    }

    /// @inheritdoc IEnergyLedger
    function netOf(address worker) external view returns (int256) {
        return _accounts[worker].state.netWh;
    }

    /// @inheritdoc IEnergyLedger
    function meterOf(address worker) external view returns (MeterView memory v) {
        Account storage a = _accounts[worker];
        v.meter = Meter({
            keyX: a.keyX,
            keyY: a.keyY,
            nameplateWatts: a.nameplateWatts,
            country: a.country,
            latitudeDecidegrees: a.latitudeDecidegrees,
            longitudeDecidegrees: a.longitudeDecidegrees
        });
        v.state = a.state;
        v.link = _link(a, v.state.day);
        (v.operationalDay, v.bond, v.exitAt) = (a.operationalDay, a.bond, a.exitAt);
    }

    /// @inheritdoc IEnergyLedger
    function dayOf(address worker, uint16 day) external view returns (DayEntry memory) {
        return _accounts[worker].ring.entryOf(day, WINDOW_DAYS);
    }

    /// @inheritdoc IEnergyLedger
    function deviceOn(address worker, uint16 day) external view returns (MeterDevice memory d) {
        Account storage a = _accounts[worker];
        d = _device(a, keyHashOf(a.keyX, a.keyY));
        MeterDevice[] storage former = _former[worker];
        // Newest first: as many steps as devices were replaced since.
        for (uint256 i = former.length; i != 0 && former[i - 1].lastDay >= day; --i) {
            d = former[i - 1];
        }
    }

    /// @inheritdoc IEnergyLedger
    function workerOfKey(bytes32 keyHash) external view returns (address) {
        return _keys[keyHash].worker;
    }

    /// @inheritdoc IEnergyLedger
    function recordDigest(bytes24 previous, bytes calldata body) external view returns (bytes32) {
        return RecordLib.digest(address(this), previous, body);
    }

    /// @inheritdoc IEnergyLedger
    function meterDigest(address worker, Meter calldata meter) external view returns (bytes32) {
        return RecordLib.meterDigest(address(this), worker, meter);
    }

    /// @inheritdoc IEnergyLedger
    function verifierWorks() external view returns (bool) {
        return P256Lib.works(VERIFIER);
    }

    /// @inheritdoc IEnergyLedger
    function params() external view returns (EnergyParams memory) {
        return EnergyParams({
            verifier: VERIFIER,
            bond: BOND,
            unbondSecs: UNBOND_SECS,
            windowDays: WINDOW_DAYS,
            minDays: MIN_DAYS,
            freshDays: FRESH_DAYS,
            assumedWatts: ASSUMED_WATTS
        });
    }

    /// @inheritdoc IEnergyLedger
    function dispatcher() external view returns (address) {
        return address(DISPATCHER);
    }

    /// @inheritdoc IEnergyLedger
    function token() external view returns (address) {
        return address(TOKEN);
    }

    /// @inheritdoc IEnergyLedger
    function certificates() external view returns (address) {
        return address(CERTIFICATES);
    }

    /// @notice How a key is named: keccak256 of its two coordinates.
    function keyHashOf(bytes32 x, bytes32 y) public pure returns (bytes32) {
        return keccak256(abi.encode(x, y));
    }

    function _range(string memory field, uint256 found, uint256 min, uint256 max) private pure {
        require(found >= min && found <= max, EnergyParamOutOfRange(field, found, min, max));
    }
}
