// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @notice What a certificate says: the attributes of EnergyTag's Granular Certificate Scheme Standard. One token is one watt hour;
/// the face value of a holding is its amount.
struct CertificateAttributes {
    /// Always "electricity".
    string energyCarrier;
    /// The token id: unique for device, day and hour.
    uint256 uniqueId;
    /// When the production device became operational, Unix seconds.
    uint40 operationalAt;
    /// Production interval, Unix seconds; one hour.
    uint40 startAt;
    uint40 endAt;
    /// When the first of its day was issued, Unix seconds.
    uint40 issuedAt;
    /// Always "solar".
    string energySource;
    /// Always "photovoltaic".
    string technology;
    /// The worker's address as text: a device has no other name here.
    string deviceName;
    /// keccak256 of the public key of the device that recorded the day.
    bytes32 deviceId;
    uint32 capacityWatts;
    /// ISO 3166-1 alpha-2 of the country of issuance.
    bytes2 country;
    /// Tenths of a degree.
    int16 latitudeDecidegrees;
    int16 longitudeDecidegrees;
    /// Always "Wh", rounded down.
    string baseUnit;
    /// Face value: all that was issued of this hour.
    uint256 issuedWh;
    /// The ledger that attested it.
    address issuer;
    /// Always false: issued from production, at the panel, not released from storage.
    bool fromStorage;
    /// Always true: may be used for disclosure.
    bool disclosure;
    /// Always false: no conversion of the energy carrier.
    bool converted;
    /// Configuration of the scheme: 3, granular certificates without another certificate beside them.
    uint8 configuration;
}

/// @title IEnergyCertificates
/// @notice Certificates of attested surplus, one id for an hour of a worker; issued, passed on as ERC-1155, retired once.
interface IEnergyCertificates {
    event Issued(
        address indexed worker, uint256 indexed id, address indexed to, uint40 startAt, uint256 wattHours
    );
    /// @notice `wattHours` of `id` are used up: the work of `agreement` ran on them.
    event Retired(
        address indexed agreement, uint256 indexed id, address indexed by, address worker, uint256 wattHours
    );

    /// @notice Only the worker that produced issues.
    error NotTheProducer(address caller, address worker);
    /// @notice Hours count from 0 to 23, ascending, each with at least one watt hour.
    error HourInvalid(uint256 position, uint256 hour);
    error HoursMismatch(uint256 hoursCount, uint256 amountsCount);
    /// @notice More would be issued of an hour than was produced in it.
    error HourExhausted(uint256 hour, uint256 wattHours, uint256 left);
    error NoCertificate(uint256 id);
    error NothingToRetire();
    /// @notice Energy is retired against agreements of the dispatcher only.
    error NotAnAgreement(address agreement);

    /// @notice Issues certificates for hours of one day of the caller's window, from its surplus, which leaves the window.
    /// @param to Who gets them.
    /// @param previous Link of the record before that day's.
    /// @param body That day's record without its signature.
    /// @param hours_ Hours of the day, UTC, 0 to 23, ascending.
    /// @param wattHours For each hour, at most what was produced in it and not issued yet.
    function issue(
        address to,
        bytes24 previous,
        bytes calldata body,
        uint8[] calldata hours_,
        uint32[] calldata wattHours
    ) external;

    /// @notice Uses up `wattHours` of the caller's holding of `id` for the work of `agreement`.
    function retire(address agreement, uint256 id, uint256 wattHours) external;

    /// @notice Id of an hour: worker 160 bits, day 16 bits, hour 8 bits.
    function idOf(address worker, uint16 day, uint8 hour) external pure returns (uint256 id);

    function attributesOf(uint256 id) external view returns (CertificateAttributes memory);

    /// @notice All that was ever issued of `id`, watt hours.
    function issuedOf(uint256 id) external view returns (uint256);

    /// @notice What was retired for `agreement`, all ids together, watt hours.
    function retiredFor(address agreement) external view returns (uint256);

    /// @notice All that was ever retired, watt hours.
    function totalRetired() external view returns (uint256);

    function ledger() external view returns (address);
}
