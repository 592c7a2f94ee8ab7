// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {EnergyLedger} from "../../contracts/energy/EnergyLedger.sol";
import {P256Verifier} from "../../contracts/energy/P256Verifier.sol";
import {IEnergyLedger} from "../../contracts/interfaces/IEnergyLedger.sol";
import {P256Lib} from "../../contracts/libraries/P256Lib.sol";
import {EnergyParams, Meter, RecordKind} from "../../contracts/types/EnergyRecord.sol";
import {EnergyBase} from "../utils/EnergyBase.t.sol";
import {Draft, RecordMaker} from "../utils/RecordMaker.sol";

/// @notice Wycheproof's and NIST's signatures, judged by a verifier behind P256Lib.
abstract contract P256Vectors is Test {
    address internal verifier;

    function test_wycheproof() public view {
        (uint256 taken, uint256 high) = _judge("wycheproof");
        assertGt(taken, 50, "valid ones with low s");
        assertGt(high, 50, "valid ones with high s, which are refused");
    }

    function test_nistAndRfc6979() public view {
        (uint256 taken, uint256 high) = _judge("nist");
        assertEq(taken + high, 17, "all are valid");
    }

    function requireSigned(bytes32 digest, bytes calldata signature, bytes32 x, bytes32 y) external view {
        P256Lib.requireSigned(verifier, address(1), digest, signature, x, y);
    }

    function _judge(string memory group) private view returns (uint256 taken, uint256 high) {
        string memory json = vm.readFile("protocol/vectors/p256.json");
        group = string.concat(".", group);
        bytes32[] memory digests = vm.parseJsonBytes32Array(json, string.concat(group, ".digests"));
        bytes32[] memory r = vm.parseJsonBytes32Array(json, string.concat(group, ".r"));
        bytes32[] memory s = vm.parseJsonBytes32Array(json, string.concat(group, ".s"));
        bytes32[] memory x = vm.parseJsonBytes32Array(json, string.concat(group, ".x"));
        bytes32[] memory y = vm.parseJsonBytes32Array(json, string.concat(group, ".y"));
        bool[] memory valid = vm.parseJsonBoolArray(json, string.concat(group, ".valid"));
        for (uint256 i = 0; i < digests.length; ++i) {
            bool low = uint256(s[i]) <= P256Lib.MAX_S;
            (bool ok,) = address(this)
                .staticcall(
                    abi.encodeCall(this.requireSigned, (digests[i], abi.encodePacked(r[i], s[i]), x[i], y[i]))
                );
            assertEq(ok, valid[i] && low, string.concat(group, vm.toString(i)));
            if (valid[i] && low) ++taken;
            if (valid[i] && !low) ++high;
        }
    }
}

/// forge-config: default.evm_version = "osaka"
contract P256PrecompileTest is P256Vectors {
    function setUp() public {
        verifier = P256Lib.PRECOMPILE;
    }
}

/// @notice On the rules before Osaka, as a chain without the precompile has them.
contract P256SolidityTest is P256Vectors {
    function setUp() public {
        verifier = address(new P256Verifier());
    }

    function testFuzz_inputsOfOtherLengthsAreAnsweredWithNothing(bytes calldata input) public {
        vm.assume(input.length != 160);
        (bool ok, bytes memory answer) = verifier.call(input);
        assertTrue(ok, "never reverts");
        assertEq(answer.length, 0, "nothing");
    }
}

/// @notice A verifier that answers what the precompile never does.
contract OddVerifier {
    bytes private _answer;

    function set(bytes calldata answer) external {
        _answer = answer;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return _answer;
    }
}

/// @notice A chain without the precompile: nothing is taken, unless the deployment asked for the verifier in Solidity.
contract NoPrecompileTest is EnergyBase {
    using RecordMaker for Draft;

    function test_RevertWhen_thePrecompileIsMissing() public {
        assertFalse(ledger.verifierWorks(), "nothing at 0x100");
        _allowBond(_worker(0));
        Meter memory m = RecordMaker.meter(_keyOf(0), NAMEPLATE);
        bytes memory binding = RecordMaker.binding(ledger, _keyOf(0), _worker(0), m);
        vm.prank(_worker(0));
        vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.VerifierMissing.selector, address(0x100)));
        ledger.register(m, binding);
    }

    function test_solidityVerifierTakesTheSameRecords() public {
        _redeploy(address(new P256Verifier()));
        assertTrue(ledger.verifierWorks(), "RFC 6979");
        _registerMeter(0);
        _day(0, 10, 4);
        assertEq(ledger.netOf(_worker(0)), 576, "counted");
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        bytes memory forged = RecordMaker.signed(ledger, _keyOf(1), d);
        vm.expectPartialRevert(IEnergyLedger.WrongDeviceSignature.selector);
        _submit(forged);
        bytes memory high = RecordMaker.twin(RecordMaker.signed(ledger, _keyOf(0), d));
        vm.expectPartialRevert(IEnergyLedger.HighS.selector);
        _submit(high);
    }

    /// @dev Only 32 bytes that say one count.
    function test_RevertWhen_theAnswerIsNotExactlyOne() public {
        OddVerifier odd = new OddVerifier();
        _redeploy(address(odd));
        odd.set(abi.encode(uint256(1)));
        _registerMeter(0);
        _endDay(0);
        Draft memory d = _draft(0, RecordKind.Metered);
        d.flat(10, 4);
        bytes memory signed = RecordMaker.signed(ledger, _keyOf(0), d);
        bytes[6] memory answers = [
            bytes(""),
            hex"01",
            abi.encode(uint256(2)),
            abi.encode(type(uint256).max),
            abi.encode(uint256(1), uint256(1)),
            abi.encodePacked(uint256(1), uint8(0))
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            odd.set(answers[i]);
            vm.expectRevert(abi.encodeWithSelector(IEnergyLedger.VerifierMissing.selector, address(odd)));
            _submit(signed);
        }
        odd.set(abi.encode(uint256(1)));
        _submit(signed);
    }

    function _redeploy(address verifier) private {
        EnergyParams memory p = _energyParams();
        p.verifier = verifier;
        ledger = new EnergyLedger(dispatcher, p);
    }
}
