// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {CertificateAttributes, IEnergyCertificates} from "../interfaces/IEnergyCertificates.sol";
import {IEnergyLedger} from "../interfaces/IEnergyLedger.sol";
import {IWorkerDispatcher} from "../interfaces/IWorkerDispatcher.sol";
import {CountsLib} from "../libraries/CountsLib.sol";
import {RecordLib} from "../libraries/RecordLib.sol";
import {MeterDevice, RecordHead} from "../types/EnergyRecord.sol";

/// @title EnergyCertificates
/// @notice Granular certificates of what the ledger attests: a token is one watt hour of one hour of one worker.
/// @dev ERC-1155: watt hours of one hour are all alike and can be split and bundled without new tokens, and a day's 24 hours move in
/// one transfer; an ERC-721 would need a token for each part. The ledger makes this contract and takes what is issued out of
/// its window, so nothing is issued twice; retiring burns, so nothing is retired twice.
contract EnergyCertificates is ERC1155, IEnergyCertificates {
    /// @dev Of one day of a worker.
    struct Issue {
        bytes32 deviceId;
        uint40 issuedAt;
        uint40 operationalAt;
        uint32 capacityWatts;
        bytes2 country;
        int16 latitudeDecidegrees;
        int16 longitudeDecidegrees;
        /// By hour.
        uint32[24] issuedWh;
    }

    uint256 internal constant HOURS = 24;
    uint256 internal constant SLOTS_PER_HOUR = 4;

    IEnergyLedger internal immutable LEDGER;
    IWorkerDispatcher internal immutable DISPATCHER;

    /// @dev By worker and day: an id without its hour.
    mapping(uint256 dayId => Issue) internal _issues;
    /// @inheritdoc IEnergyCertificates
    mapping(address agreement => uint256) public retiredFor;
    /// @inheritdoc IEnergyCertificates
    uint256 public totalRetired;

    /// @dev No URI: what a certificate says is on chain (`attributesOf`).
    constructor(IEnergyLedger ledger_, IWorkerDispatcher dispatcher_) ERC1155("") {
        (LEDGER, DISPATCHER) = (ledger_, dispatcher_);
    }

    // ------------------------------------------------------------------------------------------------ steps

    /// @inheritdoc IEnergyCertificates
    function issue(
        address to,
        bytes24 previous,
        bytes calldata body,
        uint8[] calldata hours_,
        uint32[] calldata wattHours
    ) external {
        uint256 total = _checkedTotal(hours_, wattHours);
        // The ledger knows the record, and so the counts in it are what the meter signed.
        RecordHead memory h = LEDGER.takeSurplus(previous, body, total);
        require(msg.sender == h.worker, NotTheProducer(msg.sender, h.worker));
        uint256[] memory ids = new uint256[](hours_.length);
        uint256[] memory amounts = new uint256[](hours_.length);
        uint256 offset = RecordLib.countsOffset(body);
        for (uint256 i = 0; i < ids.length; ++i) {
            amounts[i] = wattHours[i];
            ids[i] = _record(h, to, hours_[i], amounts[i], offset);
        }
        // Calls `to` if it is a contract; everything is written by then.
        _mintBatch(to, ids, amounts, "");
    }

    /// @inheritdoc IEnergyCertificates
    function retire(address agreement, uint256 id, uint256 wattHours) external {
        require(wattHours != 0, NothingToRetire());
        (, bool known) = DISPATCHER.escrowOf(agreement);
        require(known, NotAnAgreement(agreement));
        // First: nobody holds so much that the sums overflow. Burning calls nobody.
        _burn(msg.sender, id, wattHours);
        retiredFor[agreement] += wattHours;
        totalRetired += wattHours;
        emit Retired(agreement, id, msg.sender, address(uint160(id >> 24)), wattHours);
    }

    /// @dev Hours ascend, so none is there twice.
    function _checkedTotal(uint8[] calldata hours_, uint32[] calldata wattHours)
        private
        pure
        returns (uint256 total)
    {
        uint256 count = hours_.length;
        require(count == wattHours.length, HoursMismatch(count, wattHours.length));
        require(count != 0, HourInvalid(0, 0));
        for (uint256 i = 0; i < count; ++i) {
            bool ascending = i == 0 || hours_[i] > hours_[i - 1];
            require(hours_[i] < HOURS && ascending && wattHours[i] != 0, HourInvalid(i, hours_[i]));
            total += wattHours[i];
        }
    }

    /// @dev Issued of an hour is at most what its four slots produced.
    function _record(RecordHead memory h, address to, uint8 hour, uint256 amount, uint256 offset)
        private
        returns (uint256 id)
    {
        id = idOf(h.worker, h.day, hour);
        emit Issued(h.worker, id, to, _startOf(h.day, hour), amount);
        uint256 produced = 0;
        for (uint256 i = 0; i < SLOTS_PER_HOUR; ++i) {
            produced += CountsLib.countAt(offset, hour * SLOTS_PER_HOUR + i);
        }
        Issue storage stored = _issues[id >> 8];
        uint256 issued = stored.issuedWh[hour];
        uint256 left = produced - issued;
        require(amount <= left, HourExhausted(hour, amount, left));
        stored.issuedWh[hour] = uint32(issued + amount);
        if (stored.issuedAt == 0) _describe(stored, h);
    }

    /// @dev Of the device that made the day: the worker may have put another one, elsewhere, in its place since.
    function _describe(Issue storage stored, RecordHead memory h) private {
        MeterDevice memory d = LEDGER.deviceOn(h.worker, h.day);
        stored.issuedAt = uint40(block.timestamp);
        stored.operationalAt = uint40(uint256(d.operationalDay) * 1 days);
        (stored.capacityWatts, stored.country) = (d.nameplateWatts, d.country);
        (stored.latitudeDecidegrees, stored.longitudeDecidegrees) =
        (d.latitudeDecidegrees, d.longitudeDecidegrees);
        stored.deviceId = d.keyHash;
    }

    // ------------------------------------------------------------------------------------------------ views

    /// @inheritdoc IEnergyCertificates
    function idOf(address worker, uint16 day, uint8 hour) public pure returns (uint256 id) {
        return uint256(uint160(worker)) << 24 | uint256(day) << 8 | hour;
    }

    /// @inheritdoc IEnergyCertificates
    function attributesOf(uint256 id) external view returns (CertificateAttributes memory c) {
        c.issuedWh = issuedOf(id);
        require(c.issuedWh != 0, NoCertificate(id));
        Issue storage stored = _issues[id >> 8];
        c.energyCarrier = "electricity";
        c.uniqueId = id;
        c.operationalAt = stored.operationalAt;
        c.startAt = _startOf(uint16(id >> 8), uint8(id));
        c.endAt = c.startAt + 1 hours;
        c.issuedAt = stored.issuedAt;
        c.energySource = "solar";
        c.technology = "photovoltaic";
        c.deviceName = Strings.toChecksumHexString(address(uint160(id >> 24)));
        c.deviceId = stored.deviceId;
        c.capacityWatts = stored.capacityWatts;
        c.country = stored.country;
        c.latitudeDecidegrees = stored.latitudeDecidegrees;
        c.longitudeDecidegrees = stored.longitudeDecidegrees;
        c.baseUnit = "Wh";
        c.issuer = address(LEDGER);
        c.disclosure = true;
        c.configuration = 3;
    }

    /// @inheritdoc IEnergyCertificates
    function issuedOf(uint256 id) public view returns (uint256) {
        uint256 hour = uint8(id);
        return hour < HOURS ? _issues[id >> 8].issuedWh[hour] : 0;
    }

    /// @inheritdoc IEnergyCertificates
    function ledger() external view returns (address) {
        return address(LEDGER);
    }

    function _startOf(uint16 day, uint256 hour) private pure returns (uint40) {
        return uint40(uint256(day) * 1 days + hour * 1 hours);
    }
}
