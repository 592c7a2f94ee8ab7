// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {VmSafe} from "forge-std/Vm.sol";
import {IEnergyLedger, SignedRecord} from "../../contracts/interfaces/IEnergyLedger.sol";
import {Meter, MeterView, RecordKind} from "../../contracts/types/EnergyRecord.sol";

/// @notice A record before it is put into bytes.
struct Draft {
    RecordKind kind;
    address worker;
    uint32 sequence;
    uint16 day;
    uint16 counterEpoch;
    uint48 counterWh;
    uint16[96] production;
    uint16[96] consumption;
}

/// @title RecordMaker
/// @notice What a metering device does: fills, packs and signs records. Written from the layout, not with RecordLib.
library RecordMaker {
    VmSafe private constant VM = VmSafe(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551;

    /// @notice The record that `worker`'s meter signs next, without counts.
    function next(IEnergyLedger ledger, address worker, RecordKind kind)
        internal
        view
        returns (Draft memory d)
    {
        MeterView memory v = ledger.meterOf(worker);
        (d.kind, d.worker) = (kind, worker);
        (d.sequence, d.day) = (v.state.sequence + 1, v.state.day + 1);
        (d.counterEpoch, d.counterWh) = (v.state.counterEpoch, v.state.counterWh);
    }

    /// @notice The same production and consumption in every slot; the counter runs along.
    function flat(Draft memory d, uint16 production, uint16 consumption) internal pure {
        for (uint256 i = 0; i < 96; ++i) {
            (d.production[i], d.consumption[i]) = (production, consumption);
        }
        d.counterWh += uint48(production) * 96;
    }

    /// @notice Production between two slots only.
    function between(Draft memory d, uint256 from, uint256 to, uint16 production) internal pure {
        for (uint256 i = from; i < to; ++i) {
            d.production[i] = production;
        }
        d.counterWh += uint48(production * (to - from));
    }

    function pack(Draft memory d) internal pure returns (bytes memory body) {
        body = abi.encodePacked(uint8(d.kind), d.worker, d.sequence, d.day, d.counterEpoch, d.counterWh);
        if (d.kind == RecordKind.Gap) return body;
        body = bytes.concat(body, _counts(d.production));
        if (d.kind == RecordKind.Metered) body = bytes.concat(body, _counts(d.consumption));
    }

    function _counts(uint16[96] memory counts) private pure returns (bytes memory out) {
        out = new bytes(192);
        for (uint256 i = 0; i < 96; ++i) {
            (out[2 * i], out[2 * i + 1]) = (bytes1(uint8(counts[i] >> 8)), bytes1(uint8(counts[i])));
        }
    }

    function digest(address ledger, uint256 chainId, bytes24 previous, bytes memory body)
        internal
        pure
        returns (bytes32)
    {
        return sha256(abi.encodePacked("sunwork.energy.1", uint64(chainId), ledger, previous, body));
    }

    /// @notice r and s, with the lower s.
    function signatureOf(uint256 key, bytes32 digest_) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = VM.signP256(key, digest_);
        if (uint256(s) > N / 2) s = bytes32(N - uint256(s));
        return abi.encodePacked(r, s);
    }

    /// @notice The same signature in its other form.
    function twin(bytes memory record) internal pure returns (bytes memory out) {
        out = bytes.concat(record);
        uint256 length = out.length;
        assembly ("memory-safe") {
            let place := add(out, length)
            mstore(
                place,
                sub(0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551, mload(place))
            )
        }
    }

    function signed(IEnergyLedger ledger, uint256 key, bytes24 previous, Draft memory d)
        internal
        view
        returns (bytes memory)
    {
        bytes memory body = pack(d);
        return bytes.concat(body, signatureOf(key, digest(address(ledger), block.chainid, previous, body)));
    }

    /// @notice Signed after the last record on chain.
    function signed(IEnergyLedger ledger, uint256 key, Draft memory d) internal view returns (bytes memory) {
        return signed(ledger, key, ledger.meterOf(d.worker).link, d);
    }

    /// @notice As evidence.
    function evidence(IEnergyLedger ledger, uint256 key, bytes24 previous, Draft memory d)
        internal
        view
        returns (SignedRecord memory)
    {
        return SignedRecord({previous: previous, data: signed(ledger, key, previous, d)});
    }

    function meter(uint256 key, uint32 nameplateWatts) internal pure returns (Meter memory m) {
        (uint256 x, uint256 y) = VM.publicKeyP256(key);
        m = Meter({
            keyX: bytes32(x),
            keyY: bytes32(y),
            nameplateWatts: nameplateWatts,
            country: "US",
            latitudeDecidegrees: 397,
            longitudeDecidegrees: -1052
        });
    }

    /// @notice The device's signature to serve `worker`.
    function binding(IEnergyLedger ledger, uint256 key, address worker, Meter memory m)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest_ = sha256(
            abi.encodePacked(
                "sunwork.meter..1",
                uint64(block.chainid),
                address(ledger),
                worker,
                m.keyX,
                m.keyY,
                m.nameplateWatts,
                m.country,
                m.latitudeDecidegrees,
                m.longitudeDecidegrees
            )
        );
        return signatureOf(key, digest_);
    }
}
