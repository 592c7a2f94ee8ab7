// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {RecordLib} from "../../contracts/libraries/RecordLib.sol";
import {CountsLib} from "../../contracts/libraries/CountsLib.sol";
import {P256Lib} from "../../contracts/libraries/P256Lib.sol";
import {DayWord, EnergyWordsLib, MeterWord} from "../../contracts/libraries/EnergyWordsLib.sol";
import {WindowLib} from "../../contracts/libraries/WindowLib.sol";
import {
    DayEntry,
    MAX_WINDOW_DAYS,
    Meter,
    RecordHead,
    RecordKind
} from "../../contracts/types/EnergyRecord.sol";

/// @notice The libraries against the vector file that protocol/tests/energy.rs checks the Rust side against.
/// forge-config: default.evm_version = "osaka"
contract EnergyVectorsTest is Test {
    using WindowLib for DayEntry[MAX_WINDOW_DAYS];
    using EnergyWordsLib for DayWord;
    using EnergyWordsLib for MeterWord;

    string private json;
    DayEntry[MAX_WINDOW_DAYS] private _ring;

    function setUp() public {
        json = vm.readFile("protocol/vectors/energy.json");
    }

    function test_records() public {
        uint256 count = vm.parseJsonUint(json, ".records.count");
        assertGt(count, 0, "rows");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(".records.rows[", vm.toString(i), "]");
            vm.chainId(_uint(row, "chainId"));
            bytes memory body = vm.parseJsonBytes(json, string.concat(row, ".body"));
            bytes memory signed = vm.parseJsonBytes(json, string.concat(row, ".signed"));
            RecordHead memory h = this.head(signed);
            assertEq(h.worker, _address(row, "worker"), "worker");
            assertEq(h.sequence, _uint(row, "sequence"), "sequence");
            assertEq(h.day, _uint(row, "day"), "day");
            assertEq(h.counterEpoch, _uint(row, "counterEpoch"), "epoch");
            assertEq(h.counterWh, _uint(row, "counterWh"), "counter");
            assertEq(uint8(h.kind), _uint(row, "kind"), "kind");
            bytes24 previous = bytes24(vm.parseJsonBytes(json, string.concat(row, ".previous")));
            bytes32 digest_ = this.digest(_address(row, "ledger"), previous, body);
            assertEq(digest_, _word(row, "digest"), "digest");
            assertEq(bytes24(digest_), bytes24(vm.parseJsonBytes(json, string.concat(row, ".link"))), "link");
            (uint256 production, uint256 consumption) = this.sums(body, h.kind);
            assertEq(production, _uint(row, "productionWh"), "production");
            assertEq(consumption, _uint(row, "consumptionWh"), "consumption");
            (bytes32 x, bytes32 y) = (_word(row, "keyX"), _word(row, "keyY"));
            assertEq(keccak256(abi.encode(x, y)), _word(row, "keyHash"), "key hash");
            this.requireSigned(digest_, signed, x, y);
        }
    }

    function test_meters() public {
        uint256 count = vm.parseJsonUint(json, ".meters.count");
        assertGt(count, 0, "rows");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(".meters.rows[", vm.toString(i), "]");
            vm.chainId(_uint(row, "chainId"));
            Meter memory m = Meter({
                keyX: _word(row, "keyX"),
                keyY: _word(row, "keyY"),
                nameplateWatts: uint32(_uint(row, "nameplateWatts")),
                country: bytes2(vm.parseJsonBytes(json, string.concat(row, ".country"))),
                latitudeDecidegrees: int16(vm.parseJsonInt(json, string.concat(row, ".latitude"))),
                longitudeDecidegrees: int16(vm.parseJsonInt(json, string.concat(row, ".longitude")))
            });
            bytes32 digest_ = this.meterDigest(_address(row, "ledger"), _address(row, "worker"), m);
            assertEq(digest_, _word(row, "digest"), "digest");
            assertEq(uint256(m.nameplateWatts) * 135 / 400 + 1, _uint(row, "capWh"), "cap");
            bytes memory signature = vm.parseJsonBytes(json, string.concat(row, ".signature"));
            this.requireSigned(digest_, signature, m.keyX, m.keyY);
        }
    }

    function test_evidence() public {
        uint256 count = vm.parseJsonUint(json, ".evidence.count");
        assertGt(count, 0, "rows");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(".evidence.rows[", vm.toString(i), "]");
            string memory name = vm.parseJsonString(json, string.concat(row, ".name"));
            bytes memory a = vm.parseJsonBytes(json, string.concat(row, ".a"));
            bytes memory b = vm.parseJsonBytes(json, string.concat(row, ".b"));
            bytes4 expected = _refusal(vm.parseJsonString(json, string.concat(row, ".refused")));
            assertEq(_judged(a, b), expected, name);
            assertEq(_judged(b, a), expected, name);
        }
    }

    function _judged(bytes memory a, bytes memory b) private view returns (bytes4) {
        try this.requireContradiction(a, b) {
            return 0;
        } catch (bytes memory reason) {
            return bytes4(reason);
        }
    }

    function _refusal(string memory name) private pure returns (bytes4) {
        bytes32 hash = keccak256(bytes(name));
        if (hash == keccak256("SameClaim")) return IEnergyLedger.SameClaim.selector;
        if (hash == keccak256("GapIsNoEvidence")) return IEnergyLedger.GapIsNoEvidence.selector;
        if (hash == keccak256("EvidenceMismatch")) return IEnergyLedger.EvidenceMismatch.selector;
        assertEq(name, "", "a refusal that this test knows");
        return 0;
    }

    function test_window() public {
        uint256 length = vm.parseJsonUint(json, ".window.length");
        MeterWord s =
            EnergyWordsLib.recorded(MeterWord.wrap(0), 0, vm.parseJsonUint(json, ".window.start"), 0, 0);
        uint256 count = vm.parseJsonUint(json, ".window.count");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = string.concat(".window.rows[", vm.toString(i), "]");
            bool isGap = vm.parseJsonBool(json, string.concat(row, ".gap"));
            DayWord e = EnergyWordsLib.dayWord(
                bytes24(uint192(i + 1)),
                _uint(row, "day"),
                isGap ? RecordKind.Gap : RecordKind.Metered,
                vm.parseJsonInt(json, string.concat(row, ".net"))
            );
            (uint256 attested, int256 net) = isGap ? _ring.pushGap(s, e, length) : _ring.pushDay(s, e, length);
            s = EnergyWordsLib.recorded(s, i, e.day(), 0, 0).counted(attested, net);
            assertEq(s.netWh(), vm.parseJsonInt(json, string.concat(row, ".windowNet")), "net");
            assertEq(s.attestedDays(), _uint(row, "attested"), "days");
        }
    }

    // ------------------------------------------------------------------------------------------------ calldata

    function head(bytes calldata signed) external pure returns (RecordHead memory) {
        return RecordLib.head(signed, RecordLib.SIGNATURE_BYTES);
    }

    function requireContradiction(bytes calldata a, bytes calldata b) external pure {
        RecordLib.requireContradiction(a, b);
    }

    function digest(address ledger, bytes24 previous, bytes calldata body) external view returns (bytes32) {
        return RecordLib.digest(ledger, previous, body);
    }

    function meterDigest(address ledger, address worker, Meter calldata m) external view returns (bytes32) {
        return RecordLib.meterDigest(ledger, worker, m);
    }

    function sums(bytes calldata body, RecordKind kind) external pure returns (uint256 p, uint256 c) {
        uint256 offset = RecordLib.countsOffset(body);
        if (kind != RecordKind.Gap) p = CountsLib.sum(offset);
        if (kind == RecordKind.Metered) c = CountsLib.sum(offset + CountsLib.BYTES);
    }

    /// @dev By the last 64 bytes.
    function requireSigned(bytes32 digest_, bytes calldata signed, bytes32 x, bytes32 y) external view {
        P256Lib.requireSigned(P256Lib.PRECOMPILE, address(0), digest_, signed[signed.length - 64:], x, y);
    }

    function _uint(string memory row, string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(row, ".", name));
    }

    function _word(string memory row, string memory name) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(row, ".", name));
    }

    function _address(string memory row, string memory name) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(row, ".", name));
    }
}
