// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IBeacon} from "../../contracts/interfaces/IBeacon.sol";
import {DrawLib} from "../../contracts/libraries/DrawLib.sol";
import {ComputeTerms} from "../../contracts/types/ComputeTerms.sol";
import {Driver} from "./Driver.t.sol";
import {TicketBook} from "./TicketBook.sol";

/// @title DrawDriver
/// @notice Draws of real agreements, in a class of its own (1) whose stakes a test chooses: one maker, which does the work and
/// cannot verify, and verifiers. The beacon's seed is the test's.
abstract contract DrawDriver is Driver {
    uint16 internal constant DRAW_CLASS = 1;
    uint256 internal constant MAKER_UNITS = 4;

    address internal maker = makeAddr("maker");
    /// @dev Who may verify, and its tickets.
    address[] internal drawn;
    uint256[] internal ticketCounts;

    /// @dev Registers the maker and one verifier for each of `units`; they draw at once.
    function _class(uint256[] memory units) internal {
        _register(maker, maker, 2);
        _stake(maker, MAKER_UNITS * TICKET_UNIT);
        for (uint256 i = 0; i < units.length; ++i) {
            address who = makeAddr(string.concat("drawn", vm.toString(i)));
            _register(who, who, 2);
            _stake(who, units[i] * TICKET_UNIT);
            drawn.push(who);
            ticketCounts.push(units[i]);
        }
        skip(EPOCH_SECS);
    }

    /// @dev An agreement of the class, sealed by the maker.
    function _sealedFor(uint8 verifiers) internal returns (IComputeAgreement a) {
        ComputeTerms memory t = _terms();
        (t.classId, t.verifiers, t.leafCount, t.samples) = (DRAW_CLASS, verifiers, 1, 1);
        (t.rewardMin, t.rewardMax, t.verifierFee) = (uint96(10 * SUN), uint96(10 * SUN), uint96(SUN));
        a = _buy(t);
        vm.startPrank(maker);
        a.accept();
        a.sealResult("seal", "", "", "");
        vm.stopPrank();
    }

    /// @dev Opens the draw with this seed of the beacon.
    function _openWith(IComputeAgreement a, bytes32 beaconSeed) internal {
        // Zero stands for a round that is not recorded; no beacon makes it.
        if (beaconSeed == 0) beaconSeed = "seed";
        bytes memory call = abi.encodeCall(IBeacon.seedOf, (a.agreement().round));
        vm.mockCall(address(beacon), call, abi.encode(beaconSeed));
        a.openDraw("");
    }

    /// @dev A window as it is played.
    struct Play {
        bytes32 seed;
        uint256 wanted;
        uint256 units;
        uint256 start;
        uint256 entropy;
        /// Who claims no more, or is not there.
        uint256 done;
        /// Of the present step: its threshold, the second that it is, and its last.
        uint256 limit;
        uint256 second;
        uint256 last;
    }

    /// @dev Everybody who is `present` claims with its best ticket in the first step in which it may, at a second and in an order
    /// that `entropy` says, until the window has closed or is given up. Some seal as they claim.
    /// @return filled Whether all slots were taken.
    function _play(IComputeAgreement a, uint256 entropy, uint256 present) internal returns (bool filled) {
        AgreementView memory v = a.agreement();
        Play memory p;
        (p.seed, p.wanted, p.units) = (v.drawSeed, v.wanted, v.classUnits);
        (p.start, p.entropy, p.done) = (block.timestamp, entropy, ~present);
        for (uint256 step = 0; step < _params().drawSteps && !filled; ++step) {
            _playStep(a, p, step);
            filled = a.agreement().slots.length == p.wanted;
        }
    }

    /// @dev One step of the window. Short functions: coverage compiles without optimizer, where the stack holds less.
    function _playStep(IComputeAgreement a, Play memory p, uint256 step) private {
        uint256[] memory order = _shuffled(uint256(keccak256(abi.encode(p.entropy, step))));
        p.limit = DrawLib.threshold(p.units, p.wanted * _params().drawFactor, step);
        p.second = p.start + step * _params().drawStepSecs;
        p.last = p.second + _params().drawStepSecs - 1;
        for (uint256 k = 0; k < order.length; ++k) {
            _turn(a, p, order[k], k);
        }
    }

    /// @dev Verifier `i` comes as the `k`-th, if it is there and has a ticket for this step.
    function _turn(IComputeAgreement a, Play memory p, uint256 i, uint256 k) private {
        if ((p.done >> i) & 1 == 1) return;
        (uint256 least, uint256 index) = TicketBook.find(p.seed, drawn[i], ticketCounts[i]);
        if (least >= p.limit) return;
        p.second += uint256(keccak256(abi.encode(p.entropy, k))) % (p.last - p.second + 1);
        vm.warp(p.second);
        p.done |= 1 << i;
        _claimOrBeTooHigh(a, drawn[i], index, (p.entropy >> k) & 1 == 1);
    }

    /// @dev A claim below the threshold is refused for one reason only: lower tickets hold all slots.
    function _claimOrBeTooHigh(IComputeAgreement a, address who, uint256 index, bool seals) private {
        bytes memory call =
            seals ? abi.encodeCall(a.claimAndSeal, (index, "seal")) : abi.encodeCall(a.claim, (index));
        vm.prank(who);
        (bool ok, bytes memory answer) = address(a).call(call);
        if (ok) return;
        assertEq(bytes4(answer), IComputeAgreement.TicketTooHigh.selector, "the one reason");
        assertEq(a.agreement().slots.length, a.agreement().wanted, "all slots are held");
    }

    /// @dev Indices of `drawn`, of those that are present, by their lowest tickets.
    function _lowestPresent(bytes32 seed, uint256 count, uint256 present)
        internal
        view
        returns (uint256[] memory order)
    {
        order = new uint256[](count);
        uint256 above = 0;
        for (uint256 n = 0; n < count; ++n) {
            uint256 lowest = type(uint256).max;
            for (uint256 i = 0; i < drawn.length; ++i) {
                if ((present >> i) & 1 == 0) continue;
                uint256 ticket = TicketBook.best(seed, drawn[i], ticketCounts[i]);
                if (ticket > above && ticket < lowest) (lowest, order[n]) = (ticket, i);
            }
            above = lowest;
        }
    }

    /// @dev The numbers of all verifiers in an order that `entropy` says (Fisher and Yates).
    function _shuffled(uint256 entropy) internal view returns (uint256[] memory order) {
        order = new uint256[](drawn.length);
        for (uint256 i = 0; i < order.length; ++i) {
            uint256 j = uint256(keccak256(abi.encode(entropy, i))) % (i + 1);
            order[i] = order[j];
            order[j] = i;
        }
    }

    /// @dev As a set: bit i for `drawn[i]`.
    function _seated(IComputeAgreement a) internal view returns (uint256 set) {
        AgreementView memory v = a.agreement();
        for (uint256 s = 0; s < v.slots.length; ++s) {
            for (uint256 i = 0; i < drawn.length; ++i) {
                if (drawn[i] == v.slots[s].verifier) set |= 1 << i;
            }
        }
    }
}
