// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {AgreementView, IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IWorkerDispatcher} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {DrawLib} from "../../contracts/libraries/DrawLib.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {ChiSquare} from "../utils/ChiSquare.sol";
import {DrawDriver} from "../utils/DrawDriver.t.sol";
import {TicketBook} from "../utils/TicketBook.sol";

/// @notice The draw of real agreements: who is drawn depends on stake and seed, and on nothing else.
contract DrawOnChainTest is DrawDriver {
    uint256 private constant ALL = type(uint256).max;

    // ------------------------------------------------------------------------------------------------ shares

    /// @notice The seat of 800 real draws goes to each verifier by its stake, though they come in all orders: chi-square. The
    /// threshold begins at 2 of 24 tickets and widens.
    function test_seatFollowsStake() public {
        _class(_units(hex"0102030509"));
        IComputeAgreement a = _sealedFor(1);
        uint256 snapshot = vm.snapshotState();
        uint256[] memory seen = new uint256[](5);
        for (uint256 n = 0; n < 800; ++n) {
            uint256 set = this.drawOnce(a, n);
            for (uint256 i = 0; i < 5; ++i) {
                if (set == 1 << i) ++seen[i];
            }
            vm.revertToState(snapshot);
        }
        assertLt(ChiSquare.statistic(seen, ticketCounts), ChiSquare.critical(4), "five verifiers");
    }

    /// @dev By a call, whose memory is given back.
    function drawOnce(IComputeAgreement a, uint256 n) external returns (uint256) {
        _openWith(a, keccak256(abi.encode("beacon", n)));
        assertTrue(_play(a, uint256(keccak256(abi.encode("order", n))), ALL), "filled");
        return _seated(a);
    }

    /// @notice Two identities of one owner may hold both seats, and one identity never does: what splitting is good for
    /// (`Splitting.t.sol` says how much).
    function test_oneOwnerOfTwoIdentitiesMayHoldBothSeats() public {
        _class(_units(hex"1414010101"));
        IComputeAgreement a = _sealedFor(2);
        uint256 snapshot = vm.snapshotState();
        uint256 both = 0;
        for (uint256 n = 0; n < 40; ++n) {
            _openWith(a, keccak256(abi.encode("beacon", n)));
            _play(a, n, ALL);
            if (_seated(a) == 3) ++both;
            assertNotEq(a.agreement().slots[0].verifier, a.agreement().slots[1].verifier, "one seat each");
            vm.revertToState(snapshot);
        }
        assertGt(both, 20, "40 of 43 tickets: mostly both");
    }

    // ------------------------------------------------------------------------------------------------ speed

    /// @notice Whoever is faster, the V lowest tickets hold the slots: any two orders and speeds of the same claims end alike.
    /// forge-config: default.fuzz.runs = 96
    function testFuzz_beingFasterGainsNothing(
        bytes32 seed,
        uint256 one,
        uint256 other,
        uint8 verifiers,
        uint64 units
    ) public {
        _class(_units(units, 8, 20));
        IComputeAgreement a = _sealedFor(uint8(bound(verifiers, 1, 4)));
        _openWith(a, seed);
        uint256 snapshot = vm.snapshotState();
        assertTrue(_play(a, one, ALL), "filled");
        uint256 first = _seated(a);
        uint256 closes = a.agreement().closesAt;
        vm.revertToState(snapshot);
        assertTrue(_play(a, other, ALL), "filled");
        assertEq(_seated(a), first, "the same verifiers");
        assertEq(a.agreement().closesAt, closes, "and the window closes at the same time");
        assertEq(first, _lowestSet(a, ALL), "the lowest");
        _assertFree(a);
    }

    /// @notice Who claims in the very second in which the draw opens, in front of everybody, gets nothing by it that it would not
    /// have got as the last of the step.
    /// forge-config: default.fuzz.runs = 96
    function testFuzz_frontRunnerGainsNothing(bytes32 seed, uint256 entropy, uint64 units) public {
        _class(_units(units, 6, 8));
        IComputeAgreement a = _sealedFor(2);
        _openWith(a, seed);
        uint256 snapshot = vm.snapshotState();
        AgreementView memory v = a.agreement();
        (uint256 ticket, uint256 index) = TicketBook.find(v.drawSeed, drawn[0], ticketCounts[0]);
        vm.prank(drawn[0]);
        if (ticket >= a.ticketThreshold()) {
            vm.expectPartialRevert(IComputeAgreement.TicketTooHigh.selector);
        }
        vm.prank(drawn[0]);
        a.claim(index);
        if (a.agreement().slots.length != 0) {
            // It has claimed already: the others come.
            assertTrue(_play(a, entropy, ALL - 1), "filled");
            assertEq(_seated(a), _lowestSet(a, ALL), "no seat but by its ticket");
        }
        vm.revertToState(snapshot);
        assertTrue(_play(a, entropy, ALL), "filled");
        assertEq(_seated(a), _lowestSet(a, ALL), "the lowest");
    }

    // ------------------------------------------------------------------------------------------------ filling

    /// @notice V verifiers that are there fill V slots by the last step, whoever of the class is away, as long as the class has at
    /// most V drawFactor 2^(steps - 1) units: then every ticket may claim in the last step.
    /// forge-config: default.fuzz.runs = 96
    function testFuzz_slotsFill(bytes32 seed, uint256 entropy, uint8 verifiers, uint8 count, uint128 units)
        public
    {
        uint256 wanted = bound(verifiers, 1, 4);
        _class(_units(units, bound(count, wanted, 10), 25));
        IComputeAgreement a = _sealedFor(uint8(wanted));
        _openWith(a, seed);
        assertLe(a.agreement().classUnits, wanted * 2 << 7, "the last step is open to all");
        uint256[] memory order = _shuffled(entropy);
        uint256 present = 0;
        for (uint256 i = 0; i < wanted; ++i) {
            present |= 1 << order[i];
        }
        assertTrue(_play(a, entropy, present), "filled");
        assertEq(_seated(a), present, "by those who were there");
        vm.warp(a.agreement().closesAt);
        assertNotEq(uint8(a.status()), uint8(Status.Drawing), "closed");
    }

    /// @notice One too few, and the draw ends without a loss for anybody.
    /// forge-config: default.fuzz.runs = 96
    function testFuzz_oneTooFewEndsTheDraw(bytes32 seed, uint256 entropy, uint64 units) public {
        _class(_units(units, 6, 25));
        uint256 before = _owned(client);
        IComputeAgreement a = _sealedFor(3);
        _openWith(a, seed);
        uint256[] memory order = _shuffled(entropy);
        assertFalse(_play(a, entropy, 1 << order[0] | 1 << order[1]), "two of three");
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.TooFewVerifiers), "given up");
        assertEq(_owned(client), before, "all refunded");
        _assertFree(a);
    }

    /// @notice A limit: in a class of more units than V drawFactor 2^(steps - 1) the last step lets in that many of them, so with
    /// nearly all of the class away slots may stay free. 100 units of 10,000 are there, V = 2, eight steps: 5.12 % of the tickets
    /// may claim, and of 100 fewer than two do with 0.9488^100 + 100 * 0.0512 * 0.9488^99 = 3.34 %. A deployment chooses its
    /// steps by that: the ones of script/params/testnet.json (20 steps, factor 4) let in everybody up to V * 2,097,152 units.
    function test_limit_mostlyAbsentLargeClass() public view {
        uint256 limit = DrawLib.threshold(10_000, 4, 7);
        (uint256[] memory seen, uint256[] memory weights) = (new uint256[](2), new uint256[](2));
        (weights[0], weights[1]) = (334, 9666);
        for (uint256 n = 0; n < 3000; ++n) {
            (bytes32 seed, uint256 below) = (TicketBook.seedOf(n), 0);
            for (uint256 i = 0; i < 100 && below < 2; ++i) {
                if (TicketBook.best(seed, address(uint160(0xE0000 + i)), 1) < limit) ++below;
            }
            ++seen[below < 2 ? 0 : 1];
        }
        assertLt(ChiSquare.statistic(seen, weights), ChiSquare.critical(1), "as computed");
        assertEq(DrawLib.threshold(2 * 2_097_152, 8, 19), type(uint256).max, "testnet: everybody");
    }

    // ------------------------------------------------------------------------------------------------ after the seal

    /// @notice Whatever is done with stake after the seal, in the same epoch or the next: nobody has a ticket more, the class no unit
    /// more, and a claim with a new ticket is refused. The seal comes in the last second of an epoch.
    /// forge-config: default.fuzz.runs = 96
    function testFuzz_stakeMovedAfterTheSealDrawsNothing(bytes32 seed, uint256 moves, uint64 units) public {
        _class(_units(units, 6, 20));
        vm.warp(block.timestamp - block.timestamp % 3600 + 3600 + (1_800_000_000 % 3600) - 1);
        IComputeAgreement a = _sealedFor(2);
        uint32 epoch = a.agreement().snapshotEpoch;
        uint256[] memory before = _ticketsAt(epoch);
        (uint256 unitsBefore,) = dispatcher.classAt(DRAW_CLASS, epoch);
        for (uint256 m = 0; m < 8; ++m) {
            _move(drawn[moves % 6], moves >> 8);
            moves = uint256(keccak256(abi.encode(moves)));
            if (m == 3) skip(30);
        }
        assertEq(dispatcher.epoch(), epoch + 1, "an epoch later");
        _openWith(a, seed);
        (uint256 unitsAfter,) = dispatcher.classAt(DRAW_CLASS, epoch);
        assertLe(unitsAfter, unitsBefore, "no unit more");
        assertEq(a.agreement().classUnits, unitsAfter, "what the threshold is made of");
        uint256[] memory after_ = _ticketsAt(epoch);
        skip(75);
        for (uint256 i = 0; i < drawn.length; ++i) {
            assertLe(after_[i], before[i], "no ticket more");
            vm.prank(drawn[i]);
            (bool ok, bytes memory answer) = address(a).call(abi.encodeCall(a.claim, (before[i])));
            assertFalse(ok, "a ticket of later stake");
            bytes4 why = bytes4(answer);
            assertTrue(
                why == IComputeAgreement.NoSuchTicket.selector || why == IWorkerDispatcher.NotInClass.selector
                    || why == IWorkerDispatcher.FreeStakeTooSmall.selector,
                "says so"
            );
        }
    }

    // ------------------------------------------------------------------------------------------------ helpers

    /// @dev One of what a worker can do with its stake.
    function _move(address who, uint256 entropy) private {
        uint256 what = entropy % 5;
        uint256 bonded = dispatcher.workerInfo(who).bonded;
        if (what == 0) {
            _stake(who, bound(entropy, 1, 50) * TICKET_UNIT);
        } else if (what == 1 && bonded != 0) {
            vm.prank(who);
            dispatcher.unstake(bound(entropy, 1, bonded));
        } else if (what == 2) {
            vm.prank(who);
            dispatcher.updateWorker(who, uint48(entropy >> 8 & 3), _kindHashes());
        } else if (what == 3) {
            // Out and in again.
            vm.startPrank(who);
            dispatcher.updateWorker(who, 0, _kindHashes());
            dispatcher.updateWorker(who, 3, _kindHashes());
            vm.stopPrank();
        } else {
            address fresh = makeAddr(vm.toString(entropy));
            _register(fresh, fresh, 2);
            _stake(fresh, bound(entropy, 1, 50) * TICKET_UNIT);
            drawn.push(fresh);
            ticketCounts.push(0);
        }
    }

    function _ticketsAt(uint32 epoch) private view returns (uint256[] memory tickets) {
        // Room for those who come.
        tickets = new uint256[](drawn.length + 8);
        for (uint256 i = 0; i < drawn.length; ++i) {
            tickets[i] = dispatcher.ticketsOf(drawn[i], DRAW_CLASS, epoch);
        }
    }

    /// @dev The V lowest of those present, as a set.
    function _lowestSet(IComputeAgreement a, uint256 present) private view returns (uint256 set) {
        AgreementView memory v = a.agreement();
        uint256[] memory order = _lowestPresent(v.drawSeed, v.wanted, present);
        for (uint256 i = 0; i < order.length; ++i) {
            set |= 1 << order[i];
        }
    }

    /// @dev Who holds no slot has nothing locked.
    function _assertFree(IComputeAgreement a) private view {
        uint256 set = a.ending() == Ending.None ? _seated(a) : 0;
        for (uint256 i = 0; i < drawn.length; ++i) {
            if (set >> i & 1 == 0) assertEq(dispatcher.workerInfo(drawn[i]).locked, 0, "free");
        }
    }

    /// @dev One verifier for each byte.
    function _units(bytes memory each) private pure returns (uint256[] memory units) {
        units = new uint256[](each.length);
        for (uint256 i = 0; i < each.length; ++i) {
            units[i] = uint8(each[i]);
        }
    }

    function _units(uint256 entropy, uint256 count, uint256 max)
        private
        pure
        returns (uint256[] memory units)
    {
        units = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            units[i] = uint256(keccak256(abi.encode(entropy, i))) % max + 1;
        }
    }
}
