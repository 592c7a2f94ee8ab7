// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

/// @dev Longest window, days: length of the ring of day entries.
uint256 constant MAX_WINDOW_DAYS = 64;

/// @notice What a day record says. The byte in the record is the enum's number.
enum RecordKind {
    /// No record; refused.
    None,
    /// 96 counts of production. Consumption is taken to be the declared load of the deployment.
    Production,
    /// 96 counts of production, then 96 of consumption.
    Metered,
    /// Nothing is claimed for the days up to and including this one; continues a chain that is broken.
    Gap
}

/// @notice Head of a record, as it stands in its first 35 bytes.
///
///   kind 1 | worker 20 | sequence 4 | day 2 | counterEpoch 2 | counterWh 6 | counts 192, 384 or 0 | signature 64 (r, s)
///
/// All integers are big-endian. A count is two bytes: whole watt hours of one quarter hour, rounded down, the rest carried into
/// the next slot. Slot 0 begins at 00:00 UTC.
struct RecordHead {
    RecordKind kind;
    /// The worker that the meter serves.
    address worker;
    /// Grows with the days: by one for a day, by the days it covers for a gap.
    uint32 sequence;
    /// Days since 1970-01-01 UTC; of a gap its last day.
    uint16 day;
    /// Grows when the meter's own counter began anew.
    uint16 counterEpoch;
    /// The meter's own running total of production at the end of the day, watt hours.
    uint48 counterWh;
}

/// @notice A metering device, as it is registered.
struct Meter {
    /// Public P-256 key.
    bytes32 keyX;
    bytes32 keyY;
    /// Peak power of the panels, watts: bounds every quarter hour.
    uint32 nameplateWatts;
    /// ISO 3166-1 alpha-2 of where it stands.
    bytes2 country;
    /// Latitude in tenths of a degree, north positive, -900 to 900: coarse on purpose.
    int16 latitudeDecidegrees;
    /// Longitude in tenths of a degree, east positive, -1,800 to 1,800.
    int16 longitudeDecidegrees;
}

/// @notice What is said of the device that recorded a day.
struct MeterDevice {
    /// keccak256 of its public key: the name that `workerOfKey` knows it by.
    bytes32 keyHash;
    uint32 nameplateWatts;
    bytes2 country;
    int16 latitudeDecidegrees;
    int16 longitudeDecidegrees;
    /// First day of the registration.
    uint16 operationalDay;
    /// Last day that it recorded; zero while it is in use.
    uint16 lastDay;
}

/// @notice Where a worker's meter stands.
enum MeterStatus {
    /// None was ever registered, or its bond was taken back.
    None,
    /// Records are taken.
    Active,
    /// Its worker takes it out: no more records; the bond is free after a time.
    Leaving,
    /// It signed two claims for one day: the bond is gone.
    Struck
}

/// @notice One word of a worker's account, read and written with every record.
struct MeterState {
    MeterStatus status;
    /// Of the last record.
    uint32 sequence;
    /// Last day that a record covers.
    uint16 day;
    /// Days before this one count no more: before the registration, or before a strike.
    uint16 fromDay;
    uint16 counterEpoch;
    uint48 counterWh;
    /// Most that a quarter hour may produce, watt hours.
    uint16 capWh;
    /// Days with counts in the window.
    uint8 attestedDays;
    /// Net energy of the window that ends with `day`, less what certificates took out of it, watt hours.
    int48 netWh;
}

/// @notice One word for one day, kept until the day after its window.
struct DayEntry {
    /// First 24 bytes of the record's digest: what the next record is chained to, and what a copy of the record is known by.
    bytes24 link;
    uint16 day;
    RecordKind kind;
    /// Production less consumption, less what certificates took, watt hours.
    int40 netWh;
}

/// @notice A worker's meter, as `meterOf` shows it.
struct MeterView {
    Meter meter;
    MeterState state;
    /// What the next record is chained to.
    bytes24 link;
    /// First day of the present registration.
    uint16 operationalDay;
    /// In the token's smallest unit.
    uint96 bond;
    /// Leaving: when the bond is free, Unix seconds.
    uint40 exitAt;
}

/// @notice Deployment parameters of the ledger.
struct EnergyParams {
    /// Where signatures are verified: 0x100 for the precompile of EIP-7951, or a contract that takes the same calls.
    address verifier;
    /// Of each meter, smallest token unit: lost if it signs two claims for one day.
    uint96 bond;
    /// How long a bond stays liable after its worker leaves, and a key after it was replaced, seconds.
    uint32 unbondSecs;
    /// Days that net energy is summed over.
    uint8 windowDays;
    /// A worker is positive with counts for at least so many days of the window.
    uint8 minDays;
    /// And with a last record that is at most so many days old.
    uint8 freshDays;
    /// Consumption that a day without consumption counts is charged, watts around the clock.
    uint16 assumedWatts;
}
