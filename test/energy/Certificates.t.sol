// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC1155Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {CertificateAttributes, IEnergyCertificates} from "../../contracts/interfaces/IEnergyCertificates.sol";
import {IEnergyLedger, SignedRecord} from "../../contracts/interfaces/IEnergyLedger.sol";
import {Meter, MeterStatus, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice Certificates come out of attested surplus only, once, and are used up once.
/// forge-config: default.evm_version = "osaka"
contract CertificatesTest is EnergyBase {
    using RecordMaker for Draft;

    /// @dev Production 10 to 16 h, 80 Wh an hour; consumption 96 Wh a day: 384 Wh of surplus.
    Draft private _d;
    bytes24 private _previous;
    address private _agreement;

    function setUp() public override {
        super.setUp();
        _registerMeter(0);
        _previous = _sunny();
        _agreement = address(_buy(_terms()));
    }

    function test_issuedSurplusLeavesTheWindow() public {
        assertEq(ledger.netOf(_worker(0)), 384, "surplus of the day");
        _issue(10, 80);
        _issue(11, 50);
        assertEq(ledger.netOf(_worker(0)), 254, "what is left");
        assertEq(ledger.dayOf(_worker(0), _d.day).netWh, 254, "of that day");
        assertEq(certificates.balanceOf(client, _id(10)), 80, "one token a watt hour");
        assertEq(certificates.issuedOf(_id(11)), 50, "issued");
        assertEq(certificates.idOf(_worker(0), _d.day, 11), _id(11), "id");
    }

    function test_attributesAreThoseOfTheGranularCertificateScheme() public {
        _issue(10, 80);
        CertificateAttributes memory c = certificates.attributesOf(_id(10));
        assertEq(c.energyCarrier, "electricity", "carrier");
        assertEq(c.uniqueId, _id(10), "id");
        assertEq(c.operationalAt, (uint256(_d.day)) * 1 days, "operational");
        assertEq(c.startAt, uint256(_d.day) * 1 days + 10 hours, "begin");
        assertEq(c.endAt - c.startAt, 1 hours, "an hour");
        assertEq(c.issuedAt, block.timestamp, "stamp");
        assertEq(c.energySource, "solar", "source");
        assertEq(c.technology, "photovoltaic", "technology");
        assertEq(c.deviceName, vm.toString(_worker(0)), "name");
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
        assertEq(c.deviceId, keccak256(abi.encode(x, y)), "device");
        assertEq(c.capacityWatts, NAMEPLATE, "capacity");
        assertEq(c.country, bytes2("US"), "country");
        assertEq(c.latitudeDecidegrees, 397, "latitude");
        assertEq(c.longitudeDecidegrees, -1052, "longitude");
        assertEq(c.baseUnit, "Wh", "unit");
        assertEq(c.issuedWh, 80, "face value");
        assertEq(c.issuer, address(ledger), "issuer");
        assertFalse(c.fromStorage, "from production");
        assertTrue(c.disclosure, "disclosure");
        assertFalse(c.converted, "no conversion");
        assertEq(c.configuration, 3, "configuration");
        vm.expectRevert(abi.encodeWithSelector(IEnergyCertificates.NoCertificate.selector, _id(11)));
        certificates.attributesOf(_id(11));
    }

    /// @dev Finding: a day was described by the device of the day of issue. Energy made in one country could be certified as another's,
    /// by a meter registered for the moment.
    function test_certificatesNameTheDeviceThatMadeTheDay() public {
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
        Meter memory m = RecordMaker.meter(0x600d, 97_000);
        (m.country, m.latitudeDecidegrees, m.longitudeDecidegrees) = ("NL", 524, 49);
        bytes memory binding = RecordMaker.binding(ledger, 0x600d, _worker(0), m);
        vm.prank(_worker(0));
        ledger.replaceKey(m, binding);
        _issue(10, 80);
        CertificateAttributes memory c = certificates.attributesOf(_id(10));
        assertEq(c.deviceId, keccak256(abi.encode(x, y)), "device");
        assertEq(c.country, bytes2("US"), "country");
        assertEq(c.capacityWatts, NAMEPLATE, "capacity");
        assertEq(c.latitudeDecidegrees, 397, "latitude");
        assertEq(c.longitudeDecidegrees, -1052, "longitude");
        assertEq(c.operationalAt, uint256(_d.day) * 1 days, "operational");
    }

    function test_RevertWhen_moreThanTheHourProduced() public {
        _issue(10, 70);
        _refusedIssue(10, 11, abi.encodeWithSelector(IEnergyCertificates.HourExhausted.selector, 10, 11, 10));
        _refusedIssue(3, 1, abi.encodeWithSelector(IEnergyCertificates.HourExhausted.selector, 3, 1, 0));
        _issue(10, 10);
    }

    function test_RevertWhen_moreThanTheDaysSurplus() public {
        uint8[] memory hours_ = new uint8[](5);
        uint32[] memory wattHours = new uint32[](5);
        for (uint8 i = 0; i < 5; ++i) {
            (hours_[i], wattHours[i]) = (10 + i, 80);
        }
        bytes memory body = _d.pack();
        vm.prank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.SurplusTooSmall.selector, 400, 384, 384));
        certificates.issue(client, _previous, body, hours_, wattHours);
        wattHours[4] = 64;
        vm.prank(_worker(0));
        certificates.issue(client, _previous, body, hours_, wattHours);
        assertEq(ledger.netOf(_worker(0)), 0, "all of it");
    }

    function test_RevertWhen_theDayHasLessThanTheWindow() public {
        _day(0, 10, 4);
        uint8[] memory hours_ = new uint8[](5);
        uint32[] memory wattHours = new uint32[](5);
        for (uint8 i = 0; i < 5; ++i) {
            (hours_[i], wattHours[i]) = (10 + i, i == 4 ? 65 : 80);
        }
        bytes memory body = _d.pack();
        vm.prank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.SurplusTooSmall.selector, 385, 384, 960));
        certificates.issue(client, _previous, body, hours_, wattHours);
    }

    function test_RevertWhen_theMeterIsLeaving() public {
        vm.prank(_worker(0));
        ledger.removeMeter();
        _refusedIssue(
            10,
            1,
            abi.encodeWithSelector(IEnergyLedger.NoActiveMeter.selector, _worker(0), MeterStatus.Leaving)
        );
    }

    function test_dayIsDescribedOnce() public {
        _issue(10, 1);
        uint256 issuedAt = block.timestamp;
        skip(1 hours);
        _issue(10, 1);
        _issue(11, 1);
        assertEq(certificates.attributesOf(_id(10)).issuedAt, issuedAt, "the first issue's stamp");
        assertEq(certificates.attributesOf(_id(11)).issuedAt, issuedAt, "for all hours of the day");
    }

    function test_RevertWhen_theWindowHasLessThanTheDay() public {
        _day(0, 0, 3);
        assertEq(ledger.netOf(_worker(0)), 384 - 288, "a dark day took most of it");
        _issue(11, 48);
        _issue(12, 48);
        _refusedIssue(13, 1, abi.encodeWithSelector(IEnergyLedger.SurplusTooSmall.selector, 1, 288, 0));
    }

    /// @dev A known limit (docs/decisions/0016): the window is what is asked, so a deficit that left it counts no more, and over all
    /// time more may be certified than was left over.
    function test_deficitThatLeftTheWindowHoldsNothingBack() public {
        _registerMeter(1);
        _day(1, 0, 4);
        _endDay(1);
        Draft memory d = _draft(1, RecordKind.Metered);
        d.flat(4, 0);
        bytes24 previous = _state(1).link;
        bytes memory body = d.pack();
        _submit(1, d);
        assertEq(ledger.netOf(_worker(1)), 0, "made what it used");
        (uint8[] memory hours_, uint32[] memory wattHours) = (new uint8[](1), new uint32[](1));
        (hours_[0], wattHours[0]) = (12, 16);
        vm.prank(_worker(1));
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.SurplusTooSmall.selector, 16, 384, 0));
        certificates.issue(client, previous, body, hours_, wattHours);
        for (uint256 i = 2; i <= WINDOW; ++i) {
            _day(1, 0, 0);
        }
        assertEq(ledger.netOf(_worker(1)), 384, "the first day has left the window");
        vm.prank(_worker(1));
        certificates.issue(client, previous, body, hours_, wattHours);
        assertEq(certificates.issuedOf(certificates.idOf(_worker(1), d.day, 12)), 16, "issued");
    }

    function test_RevertWhen_theRecordIsAnotherOne() public {
        bytes memory body = _d.pack();
        body[35 + 2 * 40 + 1] = 0x22;
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.NotTheRecord.selector);
        certificates.issue(client, _previous, body, _one8(10), _one32(1));
        body = _d.pack();
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.NotTheRecord.selector);
        certificates.issue(client, bytes24(uint192(7)), body, _one8(10), _one32(1));
    }

    function test_RevertWhen_theDayHasLeftTheWindow() public {
        bytes memory body = _d.pack();
        for (uint256 i = 0; i < WINDOW - 1; ++i) {
            _day(0, 5, 4);
        }
        _issue(10, 1);
        _day(0, 5, 4);
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.NotTheRecord.selector);
        certificates.issue(client, _previous, body, _one8(10), _one32(1));
    }

    function test_RevertWhen_theDayLeftTheWindowInAGap() public {
        // The ring still holds the day, for the gap wrote nothing over it.
        _endDay(0);
        Draft memory gap = _draft(0, RecordKind.Gap);
        (gap.day, gap.sequence) = (gap.day + WINDOW, gap.sequence + WINDOW);
        vm.warp((uint256(gap.day) + 1) * 1 days);
        _submit(0, gap);
        bytes memory body = _d.pack();
        _day(0, 20, 1);
        assertEq(ledger.dayOf(_worker(0), _d.day).netWh, 384, "still there");
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.NotTheRecord.selector);
        certificates.issue(client, _previous, body, _one8(10), _one32(1));
    }

    function test_RevertWhen_aGapIsShown() public {
        _endDay(0);
        bytes24 previous = _state(0).link;
        Draft memory gap = _draft(0, RecordKind.Gap);
        _submit(0, gap);
        bytes memory body = gap.pack();
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.NotTheRecord.selector);
        certificates.issue(client, previous, body, _one8(10), _one32(1));
    }

    function test_RevertWhen_theWorkerWasStruck() public {
        Draft memory d = _draft(0, RecordKind.Metered);
        SignedRecord memory a = RecordMaker.evidence(ledger, _keyOf(0), _previous, d);
        d.consumption[0] = 1;
        SignedRecord memory b = RecordMaker.evidence(ledger, _keyOf(0), _previous, d);
        (uint256 x, uint256 y) = vm.publicKeyP256(_keyOf(0));
        _issue(10, 5);
        ledger.reportEquivocation(a, b, bytes32(x), bytes32(y));
        _refusedIssue(
            10,
            1,
            abi.encodeWithSelector(IEnergyLedger.NoActiveMeter.selector, _worker(0), MeterStatus.Struck)
        );
        // Nor under a new meter: the days of before count no more.
        _registerMeter(0, 0x600d, NAMEPLATE);
        bytes memory body = _d.pack();
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.NotTheRecord.selector);
        certificates.issue(client, _previous, body, _one8(10), _one32(1));
        assertEq(certificates.balanceOf(client, _id(10)), 5, "what was issued stays");
    }

    /// @dev The registration takes only its yesterday out of the ring.
    function test_RevertWhen_theDayIsOfAnEarlierRegistration() public {
        _day(0, 10, 4);
        vm.prank(_worker(0));
        ledger.removeMeter();
        skip(LIABLE_SECS + 1);
        ledger.withdrawBond(_worker(0));
        _registerMeter(0, 0x600d, NAMEPLATE);
        skip(1 days);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        _submit(RecordMaker.signed(ledger, 0x600d, d));
        assertEq(ledger.dayOf(_worker(0), _d.day).netWh, 384, "still in the ring");
        assertEq(ledger.netOf(_worker(0)), 576, "surplus enough");
        bytes memory body = _d.pack();
        vm.prank(_worker(0));
        vm.expectPartialRevert(IEnergyLedger.NotTheRecord.selector);
        certificates.issue(client, _previous, body, _one8(10), _one32(1));
    }

    function test_RevertWhen_somebodyElseIssues() public {
        bytes memory body = _d.pack();
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IEnergyCertificates.NotTheProducer.selector, stranger, _worker(0))
        );
        certificates.issue(stranger, _previous, body, _one8(10), _one32(1));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.NotTheCertificates.selector, stranger));
        ledger.takeSurplus(_previous, body, 1);
    }

    function test_RevertWhen_hoursAreNotInOrder() public {
        uint8[3][4] memory wrong =
            [[uint8(10), 10, 1], [uint8(11), 10, 1], [uint8(10), 24, 1], [uint8(10), 11, 0]];
        for (uint256 i = 0; i < 4; ++i) {
            uint8[] memory hours_ = new uint8[](2);
            uint32[] memory wattHours = new uint32[](2);
            (hours_[0], hours_[1]) = (wrong[i][0], wrong[i][1]);
            (wattHours[0], wattHours[1]) = (1, wrong[i][2]);
            bytes memory body = _d.pack();
            vm.prank(_worker(0));
            vm.expectRevert(abi.encodeWithSelector(IEnergyCertificates.HourInvalid.selector, 1, wrong[i][1]));
            certificates.issue(client, _previous, body, hours_, wattHours);
        }
        bytes memory body_ = _d.pack();
        vm.startPrank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyCertificates.HoursMismatch.selector, 1, 0));
        certificates.issue(client, _previous, body_, _one8(10), new uint32[](0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyCertificates.HourInvalid.selector, 0, 0));
        certificates.issue(client, _previous, body_, new uint8[](0), new uint32[](0));
        vm.stopPrank();
    }

    // ------------------------------------------------------------------------------------------------ holding

    function test_certificatesArePassedOnAndRetiredForAnAgreement() public {
        _issue(10, 80);
        vm.prank(client);
        certificates.safeTransferFrom(client, stranger, _id(10), 30, "");
        vm.expectEmit(address(certificates));
        emit IEnergyCertificates.Retired(_agreement, _id(10), stranger, _worker(0), 30);
        vm.prank(stranger);
        certificates.retire(_agreement, _id(10), 30);
        assertEq(certificates.retiredFor(_agreement), 30, "retired");
        assertEq(certificates.totalRetired(), 30, "in all");
        assertEq(certificates.balanceOf(stranger, _id(10)), 0, "used up");
    }

    function test_RevertWhen_retiredTwice() public {
        _issue(10, 80);
        vm.startPrank(client);
        certificates.retire(_agreement, _id(10), 80);
        vm.expectRevert(
            abi.encodeWithSelector(IERC1155Errors.ERC1155InsufficientBalance.selector, client, 0, 1, _id(10))
        );
        certificates.retire(_agreement, _id(10), 1);
        vm.stopPrank();
    }

    function test_RevertWhen_retiredForNothing() public {
        _issue(10, 80);
        vm.startPrank(client);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCertificates.NotAnAgreement.selector, stranger));
        certificates.retire(stranger, _id(10), 1);
        vm.expectRevert(abi.encodeWithSelector(IEnergyCertificates.NothingToRetire.selector));
        certificates.retire(_agreement, _id(10), 0);
        vm.stopPrank();
    }

    function test_RevertWhen_aStrangerRetiresOrTakesThem() public {
        _issue(10, 80);
        uint256 id = _id(10);
        vm.startPrank(stranger);
        vm.expectPartialRevert(IERC1155Errors.ERC1155InsufficientBalance.selector);
        certificates.retire(_agreement, id, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IERC1155Errors.ERC1155MissingApprovalForAll.selector, stranger, client)
        );
        certificates.safeTransferFrom(client, stranger, id, 1, "");
        vm.stopPrank();
    }

    function test_receiverCannotIssueMoreFromWithinItsCallback() public {
        // A worker that is a contract, re-entering when it gets the tokens: the surplus has left by then.
        Greedy greedy = new Greedy(certificates);
        bytes memory body = _d.pack();
        greedy.arm(_previous, body);
        vm.prank(_worker(0));
        certificates.issue(address(greedy), _previous, body, _one8(10), _one32(80));
        assertTrue(greedy.called(), "it tried");
        assertEq(certificates.issuedOf(_id(10)), 80, "and got nothing more");
        assertEq(ledger.netOf(_worker(0)), 304, "taken once");
    }

    function test_interfaceIsErc1155() public view {
        assertTrue(certificates.supportsInterface(type(IERC1155).interfaceId), "ERC-165");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _sunny() private returns (bytes24 previous) {
        _endDay(0);
        _d = _draft(0, RecordKind.Metered);
        Draft memory d = _d;
        d.flat(0, 1);
        d.between(40, 64, 20);
        _d = d;
        previous = _state(0).link;
        _submit(0, d);
    }

    function _id(uint8 hour) private view returns (uint256) {
        return uint256(uint160(_worker(0))) << 24 | uint256(_d.day) << 8 | hour;
    }

    function _issue(uint8 hour, uint32 wattHours) private {
        bytes memory body = _d.pack();
        vm.prank(_worker(0));
        certificates.issue(client, _previous, body, _one8(hour), _one32(wattHours));
    }

    function _refusedIssue(uint8 hour, uint32 wattHours, bytes memory reason) private {
        bytes memory body = _d.pack();
        vm.prank(_worker(0));
        vm.expectRevert(reason);
        certificates.issue(client, _previous, body, _one8(hour), _one32(wattHours));
    }

    function _one8(uint8 x) private pure returns (uint8[] memory a) {
        a = new uint8[](1);
        a[0] = x;
    }

    function _one32(uint32 x) private pure returns (uint32[] memory a) {
        a = new uint32[](1);
        a[0] = x;
    }
}

/// @notice Takes certificates and tries to have the same ones issued again in the same breath.
contract Greedy {
    IEnergyCertificates private immutable CERTIFICATES;
    bytes24 private _previous;
    bytes private _body;
    bool public called;

    constructor(IEnergyCertificates certificates) {
        CERTIFICATES = certificates;
    }

    function arm(bytes24 previous, bytes calldata body) external {
        (_previous, _body) = (previous, body);
    }

    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        returns (bytes4)
    {
        return _again();
    }

    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external returns (bytes4) {
        _again();
        return this.onERC1155Received.selector;
    }

    function _again() private returns (bytes4) {
        called = true;
        (uint8[] memory hours_, uint32[] memory wattHours) = (new uint8[](1), new uint32[](1));
        (hours_[0], wattHours[0]) = (11, 80);
        try CERTIFICATES.issue(address(this), _previous, _body, hours_, wattHours) {
            revert("issued for a stranger");
        } catch {}
        return this.onERC1155BatchReceived.selector;
    }
}
