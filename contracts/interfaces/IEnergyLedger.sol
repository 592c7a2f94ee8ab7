// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {
    DayEntry,
    EnergyParams,
    Meter,
    MeterDevice,
    MeterStatus,
    MeterView,
    RecordHead,
    RecordKind
} from "../types/EnergyRecord.sol";

/// @notice One signed record with what it was chained to: half of a proof of equivocation.
struct SignedRecord {
    /// Link of the record before it.
    bytes24 previous;
    /// Head, counts and signature.
    bytes data;
}

/// @title IEnergyLedger
/// @notice Attested energy of workers: what their meters signed, added up on chain.
/// @dev It says who signed what, never what the sensor saw. It holds the bonds of meters and nothing else.
interface IEnergyLedger {
    // ------------------------------------------------------------------------------------------------ events
    event MeterRegistered(
        address indexed worker,
        bytes32 indexed keyHash,
        bytes32 keyX,
        bytes32 keyY,
        uint32 nameplateWatts,
        bytes2 country,
        int16 latitudeDecidegrees,
        int16 longitudeDecidegrees,
        uint16 fromDay
    );
    /// @notice The old key's records are taken no more; two of them for one day still cost the bond until `liableUntil`.
    event KeyReplaced(
        address indexed worker, bytes32 indexed oldKeyHash, bytes32 indexed newKeyHash, uint40 liableUntil
    );
    event DayRecorded(
        address indexed worker,
        uint16 indexed day,
        uint32 productionWh,
        uint32 consumptionWh,
        int48 windowNetWh
    );
    /// @notice Nothing is claimed for `firstDay` to `lastDay`.
    event GapRecorded(address indexed worker, uint16 indexed lastDay, uint16 firstDay, int48 windowNetWh);
    /// @notice Certificates took this out of a day.
    event SurplusTaken(address indexed worker, uint16 indexed day, uint32 wattHours, int48 windowNetWh);
    event Equivocated(
        address indexed worker,
        uint16 indexed day,
        address indexed reporter,
        uint256 reward,
        uint256 burned,
        bytes32 digestA,
        bytes32 digestB
    );
    event MeterLeaving(address indexed worker, uint40 bondFreeAt);
    event BondWithdrawn(address indexed worker, uint256 amount);
    event RewardWithdrawn(address indexed account, uint256 amount);

    // ------------------------------------------------------------------------------------------------ errors: records
    /// @notice A record, with its signature where one belongs, has another length than its kind.
    error RecordLength(uint256 found, uint256 expected);
    error UnknownRecordKind(uint8 kind);
    /// @notice SHA-256 gave no answer: the gas ran out.
    error HashFailed();
    /// @notice No meter of this worker takes records: none is registered, it is leaving, or it was struck.
    error NoActiveMeter(address worker, MeterStatus status);
    /// @notice A record of this sequence was taken already.
    error RecordReplayed(uint32 sequence, uint32 expected);
    /// @notice Records before this one are missing.
    error RecordOutOfOrder(uint32 sequence, uint32 expected);
    /// @notice The record's day is not the one after the last: the days between need a gap record first.
    error DayOutOfOrder(uint16 day, uint16 expected);
    /// @notice The sequence of a gap grows by the days that it covers.
    error GapSequence(uint32 sequence, uint32 expected);
    /// @notice A day is recorded when it is over.
    error DayNotOver(uint16 day, uint256 today);
    error CounterDecreased(uint48 counterWh, uint48 last);
    error CounterEpochDecreased(uint16 counterEpoch, uint16 last);
    /// @notice More is claimed than the meter's own counter grew by.
    error CountsAboveCounter(uint256 sumWh, uint256 grownWh);
    error SlotAboveCap(uint256 slot, uint256 wattHours, uint256 cap);
    /// @notice The signature is the malleable twin of another one.
    error HighS(bytes32 s, bytes32 max);
    /// @notice The device that `worker` registered did not sign this, or signed it for another chain, ledger or worker, or after
    /// another record.
    error WrongDeviceSignature(address worker, bytes32 digest);
    /// @notice What is to verify signatures does not know a right one: this chain lacks the precompile, say.
    error VerifierMissing(address verifier);

    // ------------------------------------------------------------------------------------------------ errors: meters
    error NotAWorker(address caller);
    error MeterBusy(address worker, MeterStatus status);
    /// @notice A key serves one worker, once.
    error MeterKeyUsed(bytes32 keyHash, address worker);
    error NameplateOutOfRange(uint32 watts, uint256 min, uint256 max);
    /// @notice No such place: latitudes end at 900, longitudes at 1,800 tenths of a degree, both ways.
    error CoordinatesOutOfRange(int16 latitudeDecidegrees, int16 longitudeDecidegrees);
    error BondStillLiable(uint256 now_, uint256 until);
    error BondShort(uint256 received, uint256 expected);
    error EnergyParamOutOfRange(string field, uint256 found, uint256 min, uint256 max);

    // ------------------------------------------------------------------------------------------------ errors: evidence
    /// @notice Both records say the same of this day, whatever they are chained to: one claim, and no contradiction.
    error SameClaim(address worker, uint16 day);
    /// @notice The records are of different days, or of different workers.
    error EvidenceMismatch(address workerA, uint16 dayA, address workerB, uint16 dayB);
    error GapIsNoEvidence();
    /// @notice The key is none of the worker's present registration, or is liable no more.
    error KeyNotLiable(bytes32 keyHash, address worker);

    // ------------------------------------------------------------------------------------------------ errors: surplus
    error NotTheCertificates(address caller);
    /// @notice The ledger keeps no counts of that day, or the record brought is another one than it took.
    error NotTheRecord(address worker, uint16 day, bytes24 link);
    /// @notice The day, or the whole window, has less left than is asked for.
    error SurplusTooSmall(uint256 wattHours, int256 dayWh, int256 windowWh);

    // ------------------------------------------------------------------------------------------------ meters
    /// @notice Registers the caller's meter and takes its bond from the caller's allowance. Only a worker's owner account.
    /// @param signature The device's, over the caller's address (`meterDigest`): r and s.
    function register(Meter calldata meter, bytes calldata signature) external;

    /// @notice Puts another device in the place of one that was lost or whose panel changed. History goes on: window, sequence and
    /// link; the counter begins anew, since it is the device's. What the old device had signed and nobody had sent is covered by a
    /// gap record of the new one.
    function replaceKey(Meter calldata meter, bytes calldata signature) external;

    /// @notice Takes the caller's meter out. It is not positive any more, and its bond is free after `unbondSecs`.
    function removeMeter() external;

    /// @notice Pays the bond of a meter that left to its worker. Anyone may call.
    function withdrawBond(address worker) external returns (uint256 amount);

    // ------------------------------------------------------------------------------------------------ records
    /// @notice Takes one signed record. Anyone may send it.
    function submit(bytes calldata signedRecord) external;

    /// @notice Two records of one device that claim different things of one day (kind, counter or counts): its bond is gone, half to
    /// the caller, half burned, and its window begins anew. Anyone may call. Link and sequence are not compared, for a device has
    /// them from a node: the same claim after another past is the same claim.
    function reportEquivocation(SignedRecord calldata a, SignedRecord calldata b, bytes32 keyX, bytes32 keyY)
        external;

    /// @notice Pays out what `account` earned by reports. Anyone may call.
    function withdrawReward(address account) external returns (uint256 amount);

    // ------------------------------------------------------------------------------------------------ certificates
    /// @notice Takes surplus out of a day of the window. Only the certificates contract.
    /// @param previous Link of the record before.
    /// @param body The record of that day without its signature.
    function takeSurplus(bytes24 previous, bytes calldata body, uint256 wattHours)
        external
        returns (RecordHead memory head);

    // ------------------------------------------------------------------------------------------------ views
    /// @notice True if the worker's window is fresh, holds enough days, and its net energy is not negative.
    function isPositive(address worker) external view returns (bool);

    /// @notice Net energy of the window that ends with the last record, watt hours.
    function netOf(address worker) external view returns (int256 wattHours);

    function meterOf(address worker) external view returns (MeterView memory);

    /// @notice What is kept of `day`; all zero if nothing is.
    function dayOf(address worker, uint16 day) external view returns (DayEntry memory);

    /// @notice The device that recorded, or would record, `day` in the present registration: of a key that was replaced, the one
    /// that it was then.
    function deviceOn(address worker, uint16 day) external view returns (MeterDevice memory);

    /// @notice The worker that a key was registered for, or zero.
    function workerOfKey(bytes32 keyHash) external view returns (address);

    /// @notice What a device signs in a record: the record without its signature, after the one with link `previous`.
    function recordDigest(bytes24 previous, bytes calldata body) external view returns (bytes32);

    /// @notice What a device signs to serve `worker`.
    function meterDigest(address worker, Meter calldata meter) external view returns (bytes32);

    /// @notice Whether signatures can be verified on this chain.
    function verifierWorks() external view returns (bool);

    function rewardOf(address account) external view returns (uint256);
    function params() external view returns (EnergyParams memory);
    function dispatcher() external view returns (address);
    function token() external view returns (address);
    function certificates() external view returns (address);
}
