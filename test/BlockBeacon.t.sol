// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {BlockBeacon} from "../contracts/beacon/BlockBeacon.sol";
import {IBeacon} from "../contracts/interfaces/IBeacon.sol";
import {HeaderBuilder} from "./utils/HeaderBuilder.sol";

contract BlockBeaconTest is Test {
    /// @dev EIP-2935: address and code of the history contract, as the EIP gives them.
    address private constant HISTORY = 0x0000F90827F1C53a10cb7A02335B175320002935;
    bytes private constant HISTORY_CODE = hex"3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff814303"
        hex"11604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500";
    address private constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    uint48 private constant ROUND = 10_000;
    bytes32 private constant MIX = keccak256("mix");

    BlockBeacon private _beacon;

    function setUp() public {
        vm.roll(ROUND);
        _beacon = new BlockBeacon(2);
    }

    function test_nextRoundIsBehindTheMargin() public {
        assertEq(_beacon.nextRound(), ROUND + 2, "margin");
        assertEq(new BlockBeacon(0).marginBlocks(), 1, "never the calling block");
    }

    function testFuzz_record(bytes32 mixHash, uint256 age) public {
        age = bound(age, 1, 256);
        bytes memory header = _makeBlock(mixHash, age);
        bytes32 expected = keccak256(abi.encode(ROUND, mixHash));
        vm.expectEmit(address(_beacon));
        emit IBeacon.SeedRecorded(ROUND, expected);
        assertEq(_beacon.record(ROUND, header), expected, "returned");
        assertEq(_beacon.seedOf(ROUND), expected, "stored");
    }

    /// @notice Recorded once and for all: a later call changes nothing, whatever it brings and however late.
    function test_recordedOnce() public {
        bytes32 seed = _beacon.record(ROUND, _makeBlock(MIX, 1));
        vm.roll(ROUND + 20_000);
        assertEq(_beacon.record(ROUND, "rubbish"), seed, "the same");
    }

    /// @notice Zero stands for "not recorded": even a mixHash of zero gives another seed.
    function test_seedIsNeverZero() public {
        assertNotEq(_beacon.record(ROUND, _makeBlock(0, 1)), bytes32(0), "not zero");
    }

    function test_RevertWhen_roundIsNotOver() public {
        bytes memory header = HeaderBuilder.header(ROUND, 1, MIX);
        vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundNotReached.selector, ROUND, ROUND));
        _beacon.record(ROUND, header);
        vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundNotReached.selector, ROUND + 1, ROUND));
        _beacon.record(ROUND + 1, header);
    }

    function test_RevertWhen_headerIsOfAnotherBlock() public {
        bytes memory right = _makeBlock(MIX, 1);
        bytes memory wrong = HeaderBuilder.header(ROUND, 1, keccak256("chosen"));
        vm.expectRevert(
            abi.encodeWithSelector(IBeacon.WrongProof.selector, ROUND, keccak256(wrong), keccak256(right))
        );
        _beacon.record(ROUND, wrong);
    }

    // ------------------------------------------------------------------------------------------------ age

    /// @notice Beyond 256 blocks the hash comes from the history contract, written as the system writes it.
    function test_oldRoundFromTheHistory() public {
        bytes memory header = _historyBlock();
        uint16[3] memory ages = [257, 5000, 8191];
        for (uint256 i = 0; i < ages.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            vm.roll(uint256(ROUND) + ages[i]);
            assertEq(_beacon.record(ROUND, header), keccak256(abi.encode(ROUND, MIX)), "seed");
            vm.revertToState(snapshot);
        }
    }

    function test_RevertWhen_roundIsOlderThanTheHistory() public {
        bytes memory header = _historyBlock();
        vm.roll(uint256(ROUND) + 8192);
        vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundTooOld.selector, ROUND, ROUND + 8192));
        _beacon.record(ROUND, header);
    }

    /// @notice A chain without EIP-2935 has nothing at the address, and a bare `blockhash` of zero proves nothing.
    function test_RevertWhen_oldRoundWithoutHistory() public {
        vm.etch(HISTORY, "");
        vm.roll(uint256(ROUND) + 257);
        vm.expectRevert(abi.encodeWithSelector(IBeacon.RoundTooOld.selector, ROUND, ROUND + 257));
        _beacon.record(ROUND, "");
    }

    // ------------------------------------------------------------------------------------------------ malformed

    /// @notice Headers of another shape, on a chain whose hashes are theirs.
    function test_RevertWhen_headerIsMalformed() public {
        bytes memory whole = HeaderBuilder.header(ROUND, 1, MIX);
        bytes memory cut = new bytes(400);
        for (uint256 i = 0; i < cut.length; ++i) {
            cut[i] = whole[i];
        }
        bytes[7] memory bad = [
            bytes(""),
            hex"c0",
            hex"f90001",
            // A string where the list should be.
            abi.encodePacked(hex"b90100", new bytes(256)),
            // Ends before the mixHash.
            cut,
            // A list among the fields.
            HeaderBuilder.list(abi.encodePacked(hex"c0", new bytes(300))),
            // Fourteen fields, but the last is no 32-byte word.
            HeaderBuilder.list(bytes.concat(new bytes(13), hex"9f", new bytes(400)))
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            _expectBadHeader(bad[i]);
        }
    }

    /// @notice A length that runs beyond the header, or overflows.
    function test_RevertWhen_lengthRunsAway() public {
        _expectBadHeader(HeaderBuilder.list(abi.encodePacked(hex"b8ff", new bytes(100))));
        vm.roll(uint256(ROUND) + 1);
        bytes memory huge =
            HeaderBuilder.list(abi.encodePacked(hex"bf", bytes32(type(uint256).max), new bytes(300)));
        vm.setBlockhash(ROUND, keccak256(huge));
        vm.expectRevert();
        _beacon.record(ROUND, huge);
    }

    function testFuzz_rubbishNeverMakesASeed(bytes memory rubbish) public {
        vm.roll(uint256(ROUND) + 1);
        vm.assume(keccak256(rubbish) != blockhash(ROUND));
        vm.expectRevert();
        _beacon.record(ROUND, rubbish);
    }

    function _expectBadHeader(bytes memory header) private {
        vm.roll(uint256(ROUND) + 1);
        vm.setBlockhash(ROUND, keccak256(header));
        vm.expectRevert(IBeacon.BadHeader.selector);
        _beacon.record(ROUND, header);
    }

    function _makeBlock(bytes32 mixHash, uint256 age) private returns (bytes memory header) {
        header = HeaderBuilder.header(ROUND, block.timestamp, mixHash);
        vm.roll(uint256(ROUND) + age);
        vm.setBlockhash(ROUND, keccak256(header));
    }

    /// @dev The system call of block ROUND + 1 stores the hash of ROUND.
    function _historyBlock() private returns (bytes memory header) {
        header = HeaderBuilder.header(ROUND, block.timestamp, MIX);
        vm.etch(HISTORY, HISTORY_CODE);
        vm.roll(uint256(ROUND) + 1);
        vm.prank(SYSTEM);
        (bool ok,) = HISTORY.call(abi.encode(keccak256(header)));
        assertTrue(ok, "stored");
    }
}
