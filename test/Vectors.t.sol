// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {DrawLib} from "../contracts/libraries/DrawLib.sol";
import {MerkleLib} from "../contracts/libraries/MerkleLib.sol";
import {SealLib} from "../contracts/libraries/SealLib.sol";
import {SettleInput, SettleOutput, SettlementLib, Vote} from "../contracts/libraries/SettlementLib.sol";
import {Ballot, Tally, VoteLib} from "../contracts/libraries/VoteLib.sol";
import {Ballot, LeafOutcome, Tally, VoteLib} from "../contracts/libraries/VoteLib.sol";
import {
    BoundTerms,
    ComputeSpec,
    ComputeSpecV3,
    ComputeTerms,
    ComputeTermsLib,
    Input
} from "../contracts/types/ComputeTerms.sol";
import {Ending} from "../contracts/types/Status.sol";

/// @notice The contracts against the vector file that protocol/tests/vectors.rs checks the Rust side against.
contract VectorsTest is Test {
    string internal json;

    function setUp() public {
        json = vm.readFile("protocol/vectors/protocol.json");
    }

    function test_seals() public {
        uint256 count = _count("seals");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = _row("seals", i);
            vm.chainId(_uint(row, "chainId"));
            bytes32 cipher = _b32(row, "ciphertextRoot");
            address agreement = vm.parseJsonAddress(json, string.concat(row, "agreement"));
            address worker = vm.parseJsonAddress(json, string.concat(row, "worker"));
            uint8 attempt = uint8(_uint(row, "attempt"));
            bytes32 seal =
                SealLib.workerSeal(_b32(row, "root"), _b32(row, "salt"), cipher, agreement, attempt, worker);
            assertEq(seal, _b32(row, "workerSeal"), "worker seal");
            assertEq(
                SealLib.announcement(seal, cipher, _b32(row, "resultBlob")),
                _b32(row, "announcement"),
                "announcement"
            );
            bytes32 joined = keccak256(abi.encodePacked(_b32s(row, "digests")));
            assertEq(
                SealLib.verifierSeal(joined, _b32(row, "salt"), agreement, attempt, worker),
                _b32(row, "verifierSeal"),
                "verifier seal"
            );
            assertEq(
                this.revealed(_b32(row, "root"), _leaves(row, "leaves"), _b32s(row, "digests")),
                _b32(row, "revealed"),
                "revealed"
            );
        }
    }

    function test_draws() public {
        uint256 count = _count("draws");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = _row("draws", i);
            vm.chainId(_uint(row, "chainId"));
            bytes32 seed = DrawLib.drawSeed(
                _b32(row, "beaconSeed"),
                vm.parseJsonAddress(json, string.concat(row, "agreement")),
                uint8(_uint(row, "attempt")),
                uint8(_uint(row, "voteRound"))
            );
            assertEq(seed, _b32(row, "drawSeed"), "draw seed");
            address verifier = vm.parseJsonAddress(json, string.concat(row, "verifier"));
            assertEq(
                bytes32(DrawLib.ticket(seed, verifier, _uint(row, "ticketIndex"))),
                _b32(row, "ticket"),
                "ticket"
            );
            assertEq(
                bytes32(
                    DrawLib.threshold(_uint(row, "classUnits"), _uint(row, "expected"), _uint(row, "step"))
                ),
                _b32(row, "threshold"),
                "threshold"
            );
            uint32[] memory leaves =
                DrawLib.sampledLeaves(seed, verifier, _uint(row, "leafCount"), _uint(row, "samples"));
            assertEq(
                _wide(leaves), vm.parseJsonUintArray(json, string.concat(row, "sampledLeaves")), "leaves"
            );
        }
    }

    function test_trees() public view {
        uint256 count = _count("trees");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = _row("trees", i);
            uint256 n = _uint(row, "leafCount");
            assertEq(MerkleLib.depthOf(n), _uint(row, "depth"), "depth");
            assertEq(
                this.multiproofRoot(_leaves(row, "leaves"), _b32s(row, "digests"), _b32s(row, "proof"), n),
                _b32(row, "root"),
                "root"
            );
        }
    }

    function test_settlements() public view {
        uint256 count = _count("settlements");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = _row("settlements", i);
            SettleInput memory s;
            s.ending = Ending(_uint(row, "ending"));
            (s.escrow, s.reward, s.verifierFee) =
            (_uint(row, "escrow"), _uint(row, "reward"), _uint(row, "fee"));
            uint256 verifiers = _uint(row, "verifiers");
            s.workerLock = SettlementLib.workerLock(s.reward, s.verifierFee, _uint(row, "samples"), verifiers);
            s.verifierLock = SettlementLib.verifierLock(s.reward, s.verifierFee, verifiers);
            assertEq(s.workerLock, _uint(row, "workerLock"), "worker lock");
            assertEq(s.verifierLock, _uint(row, "verifierLock"), "verifier lock");
            uint256[] memory votes = vm.parseJsonUintArray(json, string.concat(row, "votes"));
            s.votes = new Vote[](votes.length);
            for (uint256 j = 0; j < votes.length; ++j) {
                s.votes[j] = Vote(votes[j]);
            }
            s.doubted = vm.parseJsonBool(json, string.concat(row, "doubted"));
            (s.reserved, s.bond) = (_uint(row, "reserved"), _uint(row, "bond"));
            (s.disputesWon, s.disputesLost) = (_uint(row, "disputesWon"), _uint(row, "disputesLost"));
            assertEq(
                SettlementLib.disputeBond(s.reward, s.verifierFee, verifiers), _uint(row, "bond"), "bond"
            );
            SettleOutput memory o = SettlementLib.settle(s);
            assertEq(o.disputerPay, _uint(row, "disputerPay"), "disputer pay");
            assertEq(o.workerPay, _uint(row, "workerPay"), "worker pay");
            assertEq(o.workerSlash, _uint(row, "workerSlash"), "worker slash");
            assertEq(o.verifierPay, vm.parseJsonUintArray(json, string.concat(row, "verifierPay")), "pay");
            assertEq(
                o.verifierSlash, vm.parseJsonUintArray(json, string.concat(row, "verifierSlash")), "slash"
            );
            assertEq(o.burned, _uint(row, "burned"), "burned");
            assertEq(o.refund, _uint(row, "refund"), "refund");
        }
    }

    function test_tallies() public view {
        uint256 count = _count("tallies");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = _row("tallies", i);
            Ballot[] memory ballots = _ballots(row);
            uint256 odds = _uint(row, "workerOdds");
            uint256 trust = _uint(row, "trust");
            Tally memory tally = VoteLib.decide(ballots, odds, trust);
            assertEq(uint8(tally.ending), _uint(row, "ending"), "ending");
            assertEq(tally.doubted, vm.parseJsonBool(json, string.concat(row, "doubted")), "doubted");
            assertEq(_wide(tally.open), vm.parseJsonUintArray(json, string.concat(row, "open")), "open");
            uint256[] memory votes = vm.parseJsonUintArray(json, string.concat(row, "votes"));
            assertEq(tally.votes.length, votes.length, "votes");
            for (uint256 j = 0; j < votes.length; ++j) {
                assertEq(uint8(tally.votes[j]), votes[j], "vote");
            }
            uint256[] memory outcomes = vm.parseJsonUintArray(json, string.concat(row, "outcomes"));
            for (uint256 leaf = 0; leaf < outcomes.length; ++leaf) {
                LeafOutcome found = VoteLib.outcomeOf(ballots, odds, trust, uint32(leaf));
                assertEq(uint8(found), outcomes[leaf], "outcome");
            }
        }
    }

    function test_terms() public view {
        uint256 count = _count("terms");
        for (uint256 i = 0; i < count; ++i) {
            string memory row = _row("terms", i);
            bytes memory packed = vm.parseJsonBytes(json, string.concat(row, "packed"));
            BoundTerms memory b =
                ComputeTermsLib.unpackBound(vm.parseJsonBytes(json, string.concat(row, "bound")));
            assertEq(b.client, _address(row, "client"), "client");
            assertEq(b.boughtAt, _uint(row, "boughtAt"), "boughtAt");
            assertEq(b.specHash, _b32(row, "specHash"), "spec hash");
            _checkTerms(row, b.terms);
            _checkTerms(row, ComputeTermsLib.unpack(packed));
            assertEq(ComputeTermsLib.pack(b.terms), packed, "packed");
        }
    }

    function _checkTerms(string memory row, ComputeTerms memory t) private view {
        assertEq(t.rewardMin, _uint(row, "rewardMin"), "rewardMin");
        assertEq(t.rewardMax, _uint(row, "rewardMax"), "rewardMax");
        assertEq(t.verifierFee, _uint(row, "verifierFee"), "verifierFee");
        assertEq(t.classId, _uint(row, "classId"), "classId");
        assertEq(t.flags, _uint(row, "flags"), "flags");
        assertEq(t.trustLevel, _uint(row, "trustLevel"), "trustLevel");
        assertEq(t.trust, _uint(row, "trust"), "trust");
        assertEq(t.leafCount, _uint(row, "leafCount"), "leafCount");
        assertEq(t.samples, _uint(row, "samples"), "samples");
        assertEq(t.verifiers, _uint(row, "verifiers"), "verifiers");
        assertEq(t.acceptSecs, _uint(row, "acceptSecs"), "acceptSecs");
        assertEq(t.workSecs, _uint(row, "workSecs"), "workSecs");
        assertEq(t.verifySecs, _uint(row, "verifySecs"), "verifySecs");
        assertEq(t.disputeSecs, _uint(row, "disputeSecs"), "disputeSecs");
        assertEq(t.named, _address(row, "named"), "named");
        assertEq(t.callback, _address(row, "callback"), "callback");
        assertEq(t.callbackGas, _uint(row, "callbackGas"), "callbackGas");
    }

    function _ballots(string memory row) private view returns (Ballot[] memory ballots) {
        ballots = new Ballot[](_uint(row, "ballots.count"));
        for (uint256 i = 0; i < ballots.length; ++i) {
            string memory path = string.concat(row, "ballots.rows[", vm.toString(i), "].");
            ballots[i] = Ballot({
                opened: vm.parseJsonBool(json, string.concat(path, "opened")),
                odds: _uint(path, "odds"),
                leaves: _leaves(path, "leaves"),
                dissent: uint32(_uint(path, "dissent")),
                digests: _b32s(path, "digests")
            });
        }
    }

    function test_spec() public view {
        string memory row = ".spec.";
        ComputeSpec memory s;
        s.version = 2;
        s.imageDigest = _b32(row, "imageDigest");
        s.imageName = vm.parseJsonString(json, ".spec.imageName");
        s.platform = vm.parseJsonString(json, ".spec.platform");
        s.args = vm.parseJsonStringArray(json, ".spec.args");
        string[] memory names = vm.parseJsonStringArray(json, ".spec.inputNames");
        uint256[] memory sizes = vm.parseJsonUintArray(json, ".spec.inputSizes");
        s.inputs = new Input[](names.length);
        for (uint256 i = 0; i < names.length; ++i) {
            s.inputs[i] = Input(names[i], _b32s(row, "inputHashes")[i], uint64(sizes[i]));
        }
        s.firstIndex = uint32(_uint(row, "firstIndex"));
        s.milliCpu = uint32(_uint(row, "milliCpu"));
        s.memoryMib = uint32(_uint(row, "memoryMib"));
        s.diskMib = uint32(_uint(row, "diskMib"));
        s.maxPids = uint32(_uint(row, "maxPids"));
        s.leafSecs = uint32(_uint(row, "leafSecs"));
        s.outputMib = uint32(_uint(row, "outputMib"));
        s.keyCommitment = _b32(row, "keyCommitment");
        s.keyNonce = _b32(row, "keyNonce");
        s.clientKey = _b32(row, "clientKey");
        bytes memory encoded = abi.encode(s);
        assertEq(encoded, vm.parseJsonBytes(json, ".spec.spec"), "spec");
        assertEq(keccak256(encoded), _b32(row, "specHash"), "spec hash");
        _checkSpecV3(s);
    }

    /// @dev The same with hosts.
    function _checkSpecV3(ComputeSpec memory s) private view {
        ComputeSpecV3 memory t;
        t.version = 3;
        (t.imageDigest, t.imageName, t.platform, t.args) = (s.imageDigest, s.imageName, s.platform, s.args);
        (t.inputs, t.firstIndex, t.milliCpu, t.memoryMib) = (s.inputs, s.firstIndex, s.milliCpu, s.memoryMib);
        (t.diskMib, t.maxPids, t.leafSecs, t.outputMib) = (s.diskMib, s.maxPids, s.leafSecs, s.outputMib);
        (t.keyCommitment, t.keyNonce, t.clientKey) = (s.keyCommitment, s.keyNonce, s.clientKey);
        t.hosts = vm.parseJsonStringArray(json, ".spec.hosts");
        t.networkMib = uint32(_uint(".spec.", "networkMib"));
        bytes memory encoded = abi.encode(t);
        assertEq(encoded, vm.parseJsonBytes(json, ".spec.specV3"), "spec with hosts");
        assertEq(keccak256(encoded), _b32(".spec.", "specV3Hash"), "its hash");
    }

    // Calldata doors for the libraries.

    function revealed(bytes32 root, uint32[] calldata leaves, bytes32[] calldata digests)
        external
        pure
        returns (bytes32)
    {
        return SealLib.revealed(root, leaves, digests);
    }

    function multiproofRoot(
        uint32[] calldata leaves,
        bytes32[] calldata digests,
        bytes32[] calldata proof,
        uint256 leafCount
    ) external pure returns (bytes32) {
        return MerkleLib.multiproofRoot(leaves, digests, proof, leafCount);
    }

    function _count(string memory list) private view returns (uint256 count) {
        count = vm.parseJsonUint(json, string.concat(".", list, ".count"));
        assertGt(count, 0, "an empty list checks nothing");
    }

    function _row(string memory list, uint256 i) private pure returns (string memory) {
        return string.concat(".", list, ".rows[", vm.toString(i), "].");
    }

    function _uint(string memory row, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(row, key));
    }

    function _address(string memory row, string memory key) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(row, key));
    }

    function _b32(string memory row, string memory key) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, string.concat(row, key));
    }

    function _b32s(string memory row, string memory key) private view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, string.concat(row, key));
    }

    function _leaves(string memory row, string memory key) private view returns (uint32[] memory leaves) {
        uint256[] memory wide = vm.parseJsonUintArray(json, string.concat(row, key));
        leaves = new uint32[](wide.length);
        for (uint256 i = 0; i < wide.length; ++i) {
            leaves[i] = uint32(wide[i]);
        }
    }

    function _wide(uint32[] memory leaves) private pure returns (uint256[] memory wide) {
        wide = new uint256[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            wide[i] = leaves[i];
        }
    }
}
