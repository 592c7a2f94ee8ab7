// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {LibClone} from "solady/utils/LibClone.sol";
import {IComputeAgreement} from "../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../contracts/types/ComputeTerms.sol";
import {Driver} from "./utils/Driver.t.sol";

/// @notice The prices that agreements show and accept at, against the file that protocol/tests/price.rs checks the Rust side
/// against.
contract PriceVectorsTest is Driver {
    string private _json;

    function setUp() public override {
        super.setUp();
        _json = vm.readFile("protocol/vectors/price.json");
    }

    /// @notice First offers. By clones that nobody paid for: their code holds terms that no client could buy.
    function test_offers() public {
        uint256 boughtAt = _uint(".offers.", "boughtAt");
        uint256 count = _uint(".offers.", "count");
        assertGt(count, 200, "extremes of range, window and time");
        for (uint256 i = 0; i < count; ++i) {
            this.checkOffer(string.concat(".offers.rows[", vm.toString(i), "]."), boughtAt);
        }
    }

    /// @dev By a call, whose memory is given back: every value read is a copy of the file.
    function checkOffer(string memory row, uint256 boughtAt) external {
        vm.warp(boughtAt + _uint(row, "passed"));
        assertEq(_offer(row, boughtAt).agreement().reward, _uint(row, "reward"), row);
    }

    /// @notice Offered again after a worker had left: shown while it waits, and what the next worker accepts at.
    function test_offeredAgain() public {
        uint256 count = _uint(".offeredAgain.", "count");
        assertGt(count, 10, "rows");
        for (uint256 i = 0; i < count; ++i) {
            uint256 snapshot = vm.snapshotState();
            string memory row = string.concat(".offeredAgain.rows[", vm.toString(i), "].");
            IComputeAgreement a = _leftAt(row);
            skip(_uint(row, "passed"));
            assertEq(a.agreement().reward, _uint(row, "reward"), row);
            vm.prank(workers[1].owner);
            a.accept();
            assertEq(a.agreement().reward, _uint(row, "reward"), "accepted at what was shown");
            vm.revertToState(snapshot);
        }
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _offer(string memory row, uint256 boughtAt) private returns (IComputeAgreement) {
        ComputeTerms memory t = _terms();
        (t.rewardMin, t.rewardMax) = (uint96(_uint(row, "rewardMin")), uint96(_uint(row, "rewardMax")));
        t.acceptSecs = uint24(_uint(row, "acceptSecs"));
        bytes memory bound =
            abi.encodePacked(client, uint40(boughtAt), keccak256(SPEC), ComputeTermsLib.pack(t));
        return IComputeAgreement(LibClone.clone(address(implementation), bound));
    }

    /// @dev Bought, accepted at `firstPassed`, and left at once.
    function _leftAt(string memory row) private returns (IComputeAgreement a) {
        ComputeTerms memory t = _terms();
        t.rewardMin = uint96(_uint(".offeredAgain.", "rewardMin"));
        t.rewardMax = uint96(_uint(".offeredAgain.", "rewardMax"));
        t.acceptSecs = uint24(_uint(row, "acceptSecs"));
        a = _buy(t);
        skip(_uint(row, "firstPassed"));
        vm.startPrank(workers[0].owner);
        a.accept();
        a.abort();
        vm.stopPrank();
    }

    /// @dev A number, or a decimal string of one.
    function _uint(string memory row, string memory key) private view returns (uint256) {
        return vm.parseJsonUint(_json, string.concat(row, key));
    }
}
