// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test, console} from "forge-std/Test.sol";
import {DrandBeacon, DrandParams} from "../../contracts/beacon/DrandBeacon.sol";
import {IBeacon} from "../../contracts/interfaces/IBeacon.sol";
import {HashToG1Lib} from "../../contracts/libraries/HashToG1Lib.sol";
import {DrandVectors, Round} from "../utils/DrandVectors.sol";

/// @notice A field element: the upper 16 of its 48 bytes, and the lower 32.
struct Fp {
    uint256 hi;
    uint256 lo;
}

/// @notice Real rounds of the public chain quicknet, and rounds of a development network, that protocol/tests/drand.rs
/// checks the Rust side against.
contract DrandBeaconTest is Test {
    uint256 private constant P_HI = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LO = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    address private constant PAIRING = address(0x0f);
    address private constant MAP_FP_TO_G1 = address(0x10);
    /// @dev A bad point takes all gas of the call: enough for a good one, and not all of the test's.
    uint256 private constant GAS = 400_000;

    DrandParams private _params;
    DrandBeacon private _beacon;
    Round[] private _rounds;

    function setUp() public {
        _params = DrandVectors.params("quicknet");
        _beacon = new DrandBeacon(_params);
        Round[] memory rounds = DrandVectors.rounds("quicknet");
        for (uint256 i = 0; i < rounds.length; ++i) {
            _rounds.push(rounds[i]);
        }
        vm.warp(_beacon.timeOf(30_000_000));
    }

    function test_realRoundsAreAccepted() public {
        assertGe(_rounds.length, 5, "rounds of the public chain");
        for (uint256 i = 0; i < _rounds.length; ++i) {
            Round memory r = _rounds[i];
            assertEq(keccak256(abi.encode(r.round, r.randomness)), r.seed, "seed of the file");
            vm.expectEmit(address(_beacon));
            emit IBeacon.SeedRecorded(r.round, r.seed);
            assertEq(_beacon.record(r.round, r.proof), r.seed, "returned");
            assertEq(_beacon.seedOf(r.round), r.seed, "stored");
        }
    }

    /// @notice Rust signs these.
    function test_roundsOfADevelopmentNetworkAreAccepted() public {
        DrandBeacon beacon = new DrandBeacon(DrandVectors.params("devnet"));
        Round[] memory rounds = DrandVectors.rounds("devnet");
        vm.warp(beacon.timeOf(type(uint48).max));
        for (uint256 i = 0; i < rounds.length; ++i) {
            assertEq(beacon.record(rounds[i].round, rounds[i].proof), rounds[i].seed, "seed");
        }
        // Another chain's key.
        Round memory r = _rounds[0];
        vm.expectRevert(_wrongProof(r.round, r));
        beacon.record(r.round, r.proof);
    }

    /// @notice One recording serves everybody: later calls cost little and change nothing, whatever they bring.
    function test_recordedOnceForAll() public {
        Round memory r = _rounds[0];
        _beacon.record(r.round, r.proof);
        bytes[3] memory proofs = [r.proof, _rounds[1].proof, bytes("rubbish")];
        for (uint256 i = 0; i < proofs.length; ++i) {
            uint256 before = gasleft();
            assertEq(_beacon.record(r.round, proofs[i]), r.seed, "the same");
            assertLt(before - gasleft(), 10_000, "no pairing");
        }
        vm.recordLogs();
        _beacon.record(r.round, r.proof);
        assertEq(vm.getRecordedLogs().length, 0, "said once");
    }

    function test_RevertWhen_signatureIsOfAnotherRound() public {
        Round memory r = _rounds[0];
        Round memory other = _rounds[1];
        vm.expectRevert(_wrongProof(r.round, other));
        _beacon.record(r.round, other.proof);
        vm.expectRevert(_wrongProof(r.round + 1, r));
        _beacon.record(r.round + 1, r.proof);
        // drand counts from 1.
        vm.expectRevert(_wrongProof(0, r));
        _beacon.record(0, r.proof);
        assertEq(_beacon.seedOf(r.round), 0, "nothing stored");
    }

    /// @notice -S is on the curve and in the subgroup, and has the other sign bit.
    function test_RevertWhen_signatureIsNegated() public {
        for (uint256 i = 0; i < _rounds.length; ++i) {
            bytes memory negated = _withY(_rounds[i].proof, _negated(_y(_rounds[i].proof)));
            vm.expectPartialRevert(IBeacon.WrongProof.selector);
            _beacon.record(_rounds[i].round, negated);
            assertEq(_withY(negated, _negated(_y(negated))), _rounds[i].proof, "twice is once");
        }
    }

    function test_RevertWhen_pointIsInfinity() public {
        vm.expectPartialRevert(IBeacon.WrongProof.selector);
        _beacon.record(_rounds[0].round, new bytes(96));
    }

    function test_RevertWhen_pointIsOffTheCurve() public {
        bytes memory proof = bytes.concat(_rounds[0].proof);
        proof[95] = bytes1(uint8(proof[95]) ^ 1);
        _expectNoPoint(proof);
        // On the curve, y² = x³ + 4 with x = 0, y = 2, but outside the subgroup.
        proof = new bytes(96);
        proof[95] = 0x02;
        _expectNoPoint(proof);
    }

    /// @notice The same point with a coordinate not below p, or with the flags of other encodings.
    function test_RevertWhen_encodingIsNotCanonical() public {
        bytes memory proof = _rounds[0].proof;
        _expectNoPoint(bytes.concat(_plusP(_x(proof)), _packed(_y(proof))));
        _expectNoPoint(_withY(proof, _plusP(_y(proof))));
        for (uint256 bit = 0x20; bit <= 0x80; bit <<= 1) {
            bytes memory flagged = bytes.concat(proof);
            flagged[0] = bytes1(uint8(flagged[0]) | uint8(bit));
            _expectNoPoint(flagged);
        }
    }

    function testFuzz_RevertWhen_lengthIsWrong(bytes memory proof) public {
        vm.assume(proof.length != 96);
        vm.expectRevert(abi.encodeWithSelector(DrandBeacon.WrongProofLength.selector, proof.length, 96));
        _beacon.record(_rounds[0].round, proof);
    }

    function test_RevertWhen_proofIsCutOrLonger() public {
        Round memory r = _rounds[0];
        bytes memory cut = bytes.concat(r.proof);
        assembly ("memory-safe") {
            mstore(cut, 95)
        }
        bytes[3] memory proofs = [cut, bytes.concat(r.proof, hex"00"), r.signature];
        for (uint256 i = 0; i < proofs.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(DrandBeacon.WrongProofLength.selector, proofs[i].length, 96)
            );
            _beacon.record(r.round, proofs[i]);
        }
    }

    function test_RevertWhen_roundIsNotReached() public {
        Round memory r = _rounds[0];
        vm.warp(_beacon.timeOf(r.round) - 1);
        vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundNotReached.selector, r.round, r.round - 1));
        _beacon.record(r.round, r.proof);
        vm.warp(_params.genesis - 1);
        vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundNotReached.selector, r.round, 0));
        _beacon.record(r.round, r.proof);
        vm.warp(_beacon.timeOf(r.round));
        assertEq(_beacon.record(r.round, r.proof), r.seed, "at its very second");
    }

    /// @notice A random word is never a signature, whatever the round.
    function testFuzz_RevertWhen_proofIsRandom(uint48 round, bytes32 a, bytes32 b, bytes32 c) public {
        round = uint48(bound(round, 0, _beacon.currentRound()));
        _expectNoPointOf(round, bytes.concat(a, b, c));
    }

    /// @notice A chain without the precompiles answers with success and nothing, another one with rubbish.
    function test_RevertWhen_precompilesAreMissingOrWrong() public {
        Round memory r = _rounds[0];
        bytes[4] memory answers =
            [bytes(""), hex"01", abi.encode(uint256(2)), abi.encode(uint256(1), uint256(1))];
        for (uint256 i = 0; i < answers.length; ++i) {
            vm.mockCall(PAIRING, bytes(""), answers[i]);
            vm.expectRevert(_wrongProof(r.round, r));
            _beacon.record(r.round, r.proof);
            vm.expectRevert(abi.encodeWithSelector(DrandBeacon.WrongPublicKey.selector, _params.publicKey));
            this.make{gas: 3_000_000}(_params);
            vm.clearMockedCalls();
        }
        vm.mockCall(MAP_FP_TO_G1, bytes(""), bytes(""));
        vm.expectRevert(HashToG1Lib.HashToCurveFailed.selector);
        _beacon.record(r.round, r.proof);
    }

    /// @notice With any amount of gas the answer is the seed or a revert.
    function testFuzz_littleGas(uint256 gas_) public {
        Round memory r = _rounds[0];
        gas_ = bound(gas_, 3000, 200_000);
        try _beacon.record{gas: gas_}(r.round, r.proof) returns (bytes32 seed) {
            assertEq(seed, r.seed, "seed");
        } catch {
            assertEq(_beacon.seedOf(r.round), 0, "nothing stored");
        }
    }

    function test_RevertWhen_parametersMakeNoSense() public {
        DrandParams memory p = _params;
        p.periodSecs = 0;
        vm.expectRevert(abi.encodeWithSelector(DrandBeacon.WrongSchedule.selector, 0, p.strideRounds));
        new DrandBeacon(p);
        p = _params;
        p.strideRounds = 0;
        vm.expectRevert(abi.encodeWithSelector(DrandBeacon.WrongSchedule.selector, p.periodSecs, 0));
        new DrandBeacon(p);

        bytes memory off = bytes.concat(_params.publicKey);
        off[191] = bytes1(uint8(off[191]) ^ 1);
        bytes[2] memory points = [new bytes(192), off];
        for (uint256 i = 0; i < points.length; ++i) {
            p = _params;
            p.publicKey = points[i];
            vm.expectRevert(abi.encodeWithSelector(DrandBeacon.WrongPublicKey.selector, points[i]));
            this.make{gas: 3_000_000}(p);
        }
        // None, and the key as drand publishes it.
        for (uint256 length = 0; length <= 96; length += 96) {
            p = _params;
            p.publicKey = new bytes(length);
            vm.expectRevert(abi.encodeWithSelector(DrandBeacon.WrongKeyLength.selector, length, 192));
            this.make{gas: 3_000_000}(p);
        }
        assertEq(_beacon.publicKey(), _params.publicKey, "kept as given");
    }

    /// @notice What one recording costs, alone and shared.
    function test_gas() public {
        Round memory r = _rounds[_rounds.length - 1];
        vm.cool(address(_beacon));
        _beacon.record(r.round, r.proof);
        uint256 call = vm.lastCallGas().gasTotalUsed;
        bytes memory data = abi.encodeCall(IBeacon.record, (r.round, r.proof));
        uint256 all = call + 21_000;
        for (uint256 i = 0; i < data.length; ++i) {
            all += data[i] == 0 ? 4 : 16;
        }
        console.log("record: gas of the call %s, of the transaction %s", call, all);
        for (uint256 n = 1; n <= 1000; n *= 10) {
            console.log("  shared by %s agreements: %s gas each", n, all / n);
        }
        _beacon.nextRound();
        console.log("nextRound: %s", vm.lastCallGas().gasTotalUsed);
        assertLt(vm.lastCallGas().gasTotalUsed, 2000, "pure arithmetic");
        assertLt(all, 170_000, "well below the 182,000 of an earlier measurement");
    }

    /// @dev With little gas: a bad key takes all.
    function make(DrandParams memory p) external returns (DrandBeacon) {
        return new DrandBeacon(p);
    }

    function _expectNoPoint(bytes memory proof) private {
        _expectNoPointOf(_rounds[0].round, proof);
    }

    function _expectNoPointOf(uint48 round, bytes memory proof) private {
        vm.expectPartialRevert(IBeacon.WrongProof.selector);
        _beacon.record{gas: GAS}(round, proof);
    }

    function _wrongProof(uint48 round, Round memory given) private pure returns (bytes memory) {
        bytes32 message = sha256(abi.encodePacked(uint64(round)));
        return abi.encodeWithSelector(IBeacon.WrongProof.selector, round, given.randomness, message);
    }

    function _x(bytes memory proof) private pure returns (Fp memory) {
        return _at(proof, 32);
    }

    function _y(bytes memory proof) private pure returns (Fp memory) {
        return _at(proof, 80);
    }

    function _at(bytes memory proof, uint256 offset) private pure returns (Fp memory) {
        uint256 hi;
        uint256 lo;
        assembly ("memory-safe") {
            hi := shr(128, mload(add(proof, offset)))
            lo := mload(add(add(proof, offset), 16))
        }
        return Fp(hi, lo);
    }

    function _packed(Fp memory a) private pure returns (bytes memory) {
        return abi.encodePacked(uint128(a.hi), a.lo);
    }

    function _withY(bytes memory proof, bytes memory y) private pure returns (bytes memory) {
        return bytes.concat(_packed(_x(proof)), y);
    }

    function _negated(Fp memory a) private pure returns (bytes memory) {
        unchecked {
            return _packed(Fp(P_HI - a.hi - (a.lo > P_LO ? 1 : 0), P_LO - a.lo));
        }
    }

    function _plusP(Fp memory a) private pure returns (bytes memory) {
        unchecked {
            uint256 sum = a.lo + P_LO;
            return _packed(Fp(a.hi + P_HI + (sum < a.lo ? 1 : 0), sum));
        }
    }
}
