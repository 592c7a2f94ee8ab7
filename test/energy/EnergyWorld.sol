// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IEnergyCertificates} from "../../contracts/interfaces/IEnergyCertificates.sol";
import {SignedRecord} from "../../contracts/interfaces/IEnergyLedger.sol";
import {MeterStatus, MeterView, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice A day as the ledger took it, in these books.
struct Booked {
    uint16 day;
    bytes24 previous;
    bytes body;
    int256 net;
    uint256 issued;
    uint256[24] hourly;
    uint256[24] hourlyIssued;
}

/// @title EnergyWorld
/// @notice Three meters, holders of certificates and a hostile caller, with books of their own.
contract EnergyWorld is EnergyBase {
    using RecordMaker for Draft;

    uint256 internal constant METERS = 3;

    uint256[METERS] internal _keys;
    uint256 internal _keyCount;
    /// @dev Days of the present window's registration, none before a strike.
    mapping(uint256 w => Booked[]) internal _books_;
    uint256[] internal _ids;
    address internal _agreement;
    address[] internal _holders;

    uint256 public recorded;
    uint256 public gaps;
    uint256 public totalIssued;
    uint256 public totalRetired;
    uint256 public strikes;
    uint256 public refusals;
    uint256 public replaced;
    uint256 public left;
    /// @dev Surplus of all days ever recorded.
    uint256 public attestedSurplus;

    function setUp() public override {
        super.setUp();
        for (uint256 w = 0; w < METERS; ++w) {
            _enter(w);
        }
        _agreement = address(_buy(_terms()));
        for (uint256 w = 0; w < METERS; ++w) {
            _holders.push(_worker(w));
        }
        _holders.push(client);
        _holders.push(stranger);
    }

    function selectors() external pure returns (bytes4[] memory s) {
        s = new bytes4[](9);
        s[0] = this.recordDay.selector;
        s[1] = this.recordGap.selector;
        s[2] = this.issue.selector;
        s[3] = this.transfer.selector;
        s[4] = this.retire.selector;
        s[5] = this.equivocate.selector;
        s[6] = this.hostile.selector;
        s[7] = this.replaceKey.selector;
        s[8] = this.leaveAndReturn.selector;
    }

    function step(uint256 which, uint256 a, uint256 b) external {
        if (which == 0 || which == 3) this.recordDay(a, b);
        if (which == 1) this.recordGap(a, b);
        if (which == 2) this.issue(a, b);
        if (which == 3) this.transfer(a, b);
        if (which == 4) this.retire(a, b);
        if (which == 5) this.equivocate(a, b);
        if (which == 6) this.hostile(a, b);
        if (which == 7) this.replaceKey(a);
        if (which == 8) this.leaveAndReturn(a);
    }

    // ------------------------------------------------------------------------------------------------ steps

    /// @notice An honest day, or several.
    function recordDay(uint256 a, uint256 seed) external {
        uint256 w = a % METERS;
        for (uint256 i = 0; i <= (seed >> 200) % 4; ++i) {
            _recordDay(w, uint256(keccak256(abi.encode(seed, i))));
        }
    }

    function recordGap(uint256 a, uint256 seed) external {
        uint256 w = a % METERS;
        Draft memory d = _draft(w, RecordKind.Gap);
        uint16 count = uint16(seed % (seed % 5 == 0 ? 40 : 4));
        (d.day, d.sequence) = (d.day + count, d.sequence + count);
        d.counterWh += uint48(seed % 100);
        _warpPast(d.day);
        _submit(RecordMaker.signed(ledger, _keys[w], d));
        ++gaps;
    }

    /// @notice Certificates of any hour of any booked day, for any amount: refused exactly when the books say so.
    function issue(uint256 a, uint256 seed) external {
        uint256 w = a % METERS;
        uint256 count = _books_[w].length;
        if (count == 0) return;
        uint256 index = count - 1 - (seed % (count < 40 ? count : 40));
        Booked storage b = _books_[w][index];
        uint8 hour = uint8(8 + (seed >> 16) % 9);
        uint256 amount = 1 + (seed >> 32) % 60;
        bool allowed = _inWindow(w, b.day) && int256(amount) <= b.net && int256(amount) <= _netOf(w)
            && b.hourlyIssued[hour] + amount <= b.hourly[hour];
        (uint8[] memory hours_, uint32[] memory wattHours) = (new uint8[](1), new uint32[](1));
        (hours_[0], wattHours[0]) = (hour, uint32(amount));
        address to = _holders[(seed >> 48) % _holders.length];
        bytes memory body = b.body;
        vm.prank(_worker(w));
        try certificates.issue(to, b.previous, body, hours_, wattHours) {
            assertTrue(allowed, "issued against the books");
            b.net -= int256(amount);
            b.issued += amount;
            b.hourlyIssued[hour] += amount;
            totalIssued += amount;
            _ids.push(certificates.idOf(_worker(w), b.day, hour));
        } catch {
            assertFalse(allowed, "refused against the books");
        }
    }

    function transfer(uint256 a, uint256 seed) external {
        if (_ids.length == 0) return;
        uint256 id = _ids[a % _ids.length];
        address from = _holders[seed % _holders.length];
        address to = _holders[(seed >> 16) % _holders.length];
        uint256 amount = 1 + (seed >> 32) % 60;
        bool allowed = certificates.balanceOf(from, id) >= amount;
        vm.prank(from);
        try certificates.safeTransferFrom(from, to, id, amount, "") {
            assertTrue(allowed, "moved more than there was");
        } catch {
            assertFalse(allowed, "held back");
        }
    }

    function retire(uint256 a, uint256 seed) external {
        if (_ids.length == 0) return;
        uint256 id = _ids[a % _ids.length];
        address by = _holders[seed % _holders.length];
        uint256 amount = 1 + (seed >> 32) % 30;
        bool allowed = certificates.balanceOf(by, id) >= amount;
        vm.prank(by);
        try certificates.retire(_agreement, id, amount) {
            assertTrue(allowed, "retired more than there was");
            totalRetired += amount;
        } catch {
            assertFalse(allowed, "held back");
        }
    }

    /// @notice A device signs two records for its next day; somebody shows them.
    function equivocate(uint256 a, uint256 seed) external {
        if (seed % 4 != 0) return;
        uint256 w = a % METERS;
        Draft memory d = _draft(w, RecordKind.Production);
        bytes24 previous = _state(w).link;
        SignedRecord memory first = RecordMaker.evidence(ledger, _keys[w], previous, d);
        d.between(40, 41, 1);
        SignedRecord memory second = RecordMaker.evidence(ledger, _keys[w], previous, d);
        (uint256 x, uint256 y) = vm.publicKeyP256(_keys[w]);
        vm.prank(keeper);
        ledger.reportEquivocation(first, second, bytes32(x), bytes32(y));
        ++strikes;
        delete _books_[w];
        _enter(w);
    }

    /// @notice A stranger tries what is not his: records of his own making, old ones, others' surplus, evidence.
    function hostile(uint256 a, uint256 seed) external {
        uint256 w = a % METERS;
        uint256 count = _books_[w].length;
        bytes memory call;
        address target = address(ledger);
        Draft memory d = _draft(w, RecordKind.Production);
        if (seed % 5 == 0 || count == 0) {
            _warpPast(d.day);
            call = abi.encodeCall(ledger.submit, (RecordMaker.signed(ledger, seed % 1000 + 1, d)));
        } else if (seed % 5 == 1) {
            Booked storage b = _books_[w][seed % count];
            bytes32 digest = RecordMaker.digest(address(ledger), block.chainid, b.previous, b.body);
            bytes memory old = bytes.concat(b.body, RecordMaker.signatureOf(_keys[w], digest));
            call = abi.encodeCall(ledger.submit, (old));
        } else if (seed % 5 == 2) {
            Booked storage b = _books_[w][seed % count];
            (uint8[] memory hours_, uint32[] memory wattHours) = (new uint8[](1), new uint32[](1));
            (hours_[0], wattHours[0]) = (12, 1);
            target = address(certificates);
            call = abi.encodeCall(certificates.issue, (stranger, b.previous, b.body, hours_, wattHours));
        } else if (seed % 5 == 3) {
            Booked storage b = _books_[w][seed % count];
            call = abi.encodeCall(ledger.takeSurplus, (b.previous, b.body, 1));
        } else {
            call = abi.encodeCall(ledger.withdrawBond, (_worker(w)));
        }
        vm.prank(stranger);
        (bool ok,) = target.call(call);
        assertFalse(ok, "a stranger got through");
        ++refusals;
    }

    function replaceKey(uint256 a) external {
        uint256 w = a % METERS;
        uint256 key = _newKey();
        _replaceKey(w, key);
        _keys[w] = key;
        ++replaced;
    }

    /// @notice Takes its bond out, and comes back with a new key.
    function leaveAndReturn(uint256 a) external {
        if (a % 3 != 0) return;
        uint256 w = (a >> 8) % METERS;
        vm.prank(_worker(w));
        ledger.removeMeter();
        skip(LIABLE_SECS + 1);
        ledger.withdrawBond(_worker(w));
        ++left;
        delete _books_[w];
        _enter(w);
    }

    // ------------------------------------------------------------------------------------------------ invariants

    /// @notice Rolling net equals the recomputed one, day by day.
    function checkWindows() external view {
        for (uint256 w = 0; w < METERS; ++w) {
            MeterView memory v = _state(w);
            int256 net = 0;
            uint256 days_ = 0;
            for (uint256 i = 0; i < _books_[w].length; ++i) {
                Booked storage b = _books_[w][i];
                if (!_inWindow(w, b.day)) continue;
                net += b.net;
                ++days_;
                assertEq(ledger.dayOf(_worker(w), b.day).netWh, b.net, "the day's own net");
            }
            assertEq(v.state.netWh, net, "net of the window");
            assertEq(v.state.attestedDays, days_, "days of the window");
            bool fresh = block.timestamp / 1 days <= uint256(v.state.day) + FRESH_DAYS;
            bool positive = net >= 0 && days_ >= MIN_DAYS && fresh;
            assertEq(ledger.isPositive(_worker(w)), positive, "positive");
        }
    }

    /// @notice Issued is no more than attested surplus, retired no more than issued, and what is held is the difference.
    function checkCertificates() external view {
        assertLe(totalIssued, attestedSurplus, "issued of attested surplus");
        assertLe(totalRetired, totalIssued, "retired of issued");
        assertEq(certificates.totalRetired(), totalRetired, "retired");
        assertEq(certificates.retiredFor(_agreement), totalRetired, "for the one agreement");
        uint256 held = 0;
        uint256 issued = 0;
        for (uint256 i = 0; i < _ids.length; ++i) {
            if (_seenBefore(i)) continue;
            issued += certificates.issuedOf(_ids[i]);
            for (uint256 h = 0; h < _holders.length; ++h) {
                held += certificates.balanceOf(_holders[h], _ids[i]);
            }
        }
        assertEq(issued, totalIssued, "issued by id");
        assertEq(held, totalIssued - totalRetired, "held");
    }

    /// @notice Bonds and rewards are all that the ledger holds.
    function checkMoney() external view {
        uint256 sum = ledger.rewardOf(keeper) + ledger.rewardOf(dispatcher.BURN_ACCOUNT());
        for (uint256 w = 0; w < METERS; ++w) {
            sum += _state(w).bond;
        }
        assertEq(sum, token.balanceOf(address(ledger)), "bonds and rewards");
        assertEq(ledger.rewardOf(keeper), strikes * (BOND / 2), "half of each strike");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _recordDay(uint256 w, uint256 seed) private {
        Draft memory d = _draft(w, RecordKind.Metered);
        _warpPast(d.day);
        d.flat(0, uint16(seed % 3));
        Booked memory b;
        int256 net = -int256(seed % 3) * 96;
        for (uint256 slot = 32; slot < 68; ++slot) {
            uint16 count = uint16((seed >> (slot * 2)) % 15);
            d.production[slot] = count;
            d.counterWh += count;
            b.hourly[slot / 4] += count;
            net += int256(uint256(count));
        }
        (b.day, b.previous, b.body, b.net) = (d.day, _state(w).link, d.pack(), net);
        _submit(RecordMaker.signed(ledger, _keys[w], d));
        _books_[w].push(b);
        if (net > 0) attestedSurplus += uint256(net);
        ++recorded;
    }

    function _enter(uint256 w) private {
        _keys[w] = _newKey();
        _registerMeter(w, _keys[w], NAMEPLATE);
    }

    function _newKey() private returns (uint256) {
        return uint256(keccak256(abi.encode("world", ++_keyCount))) >> 1;
    }

    function _warpPast(uint16 day) private {
        uint256 over = (uint256(day) + 1) * 1 days;
        if (block.timestamp < over) vm.warp(over);
    }

    function _inWindow(uint256 w, uint16 day) private view returns (bool) {
        return uint256(day) + WINDOW > _state(w).state.day;
    }

    function _netOf(uint256 w) private view returns (int256 net) {
        for (uint256 i = 0; i < _books_[w].length; ++i) {
            if (_inWindow(w, _books_[w][i].day)) net += _books_[w][i].net;
        }
    }

    function _seenBefore(uint256 index) private view returns (bool) {
        for (uint256 i = 0; i < index; ++i) {
            if (_ids[i] == _ids[index]) return true;
        }
        return false;
    }
}
