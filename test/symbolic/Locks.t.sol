// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {SettlementLib} from "../../contracts/libraries/SettlementLib.sol";

/// @notice Locks, penalties and the split of a slash, for up to three verifiers.
/// @dev Divisions are hard for a solver. So where one occurs amounts have 12 bits (8 in a penalty), and fees, samples and basis points are some
/// of many; forge fuzzes all of them at full width.
/// That a product does not overflow is not asked here: solc divides it by a factor to see that, an unknown number.
/// @custom:halmos --panic-error-codes 0x01,0x12,0x32
contract LocksSymbolic is Test {
    uint256 private constant SMALL = 1 << 12;

    function check_split(uint96 slash, uint96 injury) public pure {
        _split(slash, injury);
    }

    function testFuzz_split(uint96 slash, uint96 injury) public pure {
        _split(slash, injury);
    }

    function _split(uint256 slash, uint256 injury) private pure {
        (uint256 toInjured, uint256 toHonest, uint256 burned) = SettlementLib.split(slash, injury);
        assertEq(toInjured + toHonest + burned, slash, "conserved");
        assertLe(toInjured, injury, "injured: no more than the injury");
        assertTrue(toInjured == injury || toHonest + burned == 0, "injured: first");
        assertGe(burned, toHonest, "at least half of the rest burns");
        assertLe(burned - toHonest, 1, "the odd unit burns, no more");
    }

    function check_penalty(uint8 lock) public pure {
        _penalty(lock, 0);
        _penalty(lock, 100);
        _penalty(lock, 500);
        _penalty(lock, 10_000);
    }

    function testFuzz_penalty(uint96 lock, uint16 bps) public pure {
        _penalty(lock, bps % 10_001);
    }

    function _penalty(uint256 lock, uint256 bps) private pure {
        uint256 penalty = SettlementLib.penalty(lock, bps);
        assertLe(penalty, lock, "never above the lock");
        unchecked {
            assertGe(penalty * 10_000, lock * bps, "rounded up");
        }
    }

    function check_workerLock_oneVerifier(uint16 reward) public pure {
        vm.assume(reward < SMALL);
        _workerLocks(reward, 1);
    }

    function check_workerLock_twoVerifiers(uint16 reward) public pure {
        vm.assume(reward < SMALL);
        _workerLocks(reward, 2);
    }

    function check_workerLock_threeVerifiers(uint16 reward) public pure {
        vm.assume(reward < SMALL);
        _workerLocks(reward, 3);
    }

    function _workerLocks(uint256 reward, uint256 verifiers) private pure {
        _workerLock(reward, 0, 1, verifiers);
        _workerLock(reward, 1000, 5, verifiers);
        _workerLock(reward, 65_535, 32, verifiers);
    }

    function testFuzz_workerLock(uint80 reward, uint80 fee, uint8 samples, uint8 verifiers) public pure {
        _workerLock(reward, fee, 1 + samples % 32, 1 + verifiers % 3);
    }

    function _workerLock(uint256 reward, uint256 fee, uint256 samples, uint256 verifiers) private pure {
        uint256 lock = SettlementLib.workerLock(reward, fee, samples, verifiers);
        assertLt(lock, 1 << 100, "no product below wraps");
        unchecked {
            assertGe(lock, reward + (2 * verifiers + 1) * fee, "the reward, and the fees of two rounds");
            // forge-lint: disable-next-line(incorrect-shift)
            uint256 scale = 1 << verifiers;
            uint256 factor = samples * verifiers * (scale - 1);
            assertGe(lock * factor, reward * scale, "cheating on one leaf does not pay");
        }
    }

    function check_locks_rise_oneVerifier(uint16 reward, uint16 more) public pure {
        vm.assume(more < SMALL);
        vm.assume(reward < more);
        _rises(reward, more, 1000, 1, 1);
        _rises(reward, more, 0, 5, 1);
    }

    function check_locks_rise_twoVerifiers(uint16 reward, uint16 more) public pure {
        vm.assume(more < SMALL);
        vm.assume(reward < more);
        _rises(reward, more, 1000, 1, 2);
    }

    function check_locks_rise_threeVerifiers(uint16 reward, uint16 more) public pure {
        vm.assume(more < SMALL);
        vm.assume(reward < more);
        _rises(reward, more, 1000, 1, 3);
    }

    function testFuzz_locks_rise(uint80 a, uint80 b, uint80 fee, uint8 samples, uint8 verifiers) public pure {
        _rises(a < b ? a : b, a < b ? b : a, fee, 1 + samples % 32, 1 + verifiers % 3);
    }

    function _rises(uint256 reward, uint256 more, uint256 fee, uint256 samples, uint256 verifiers)
        private
        pure
    {
        uint256 lock = SettlementLib.workerLock(reward, fee, samples, verifiers);
        assertGe(SettlementLib.workerLock(more, fee, samples, verifiers), lock, "with the reward");
        assertGe(SettlementLib.workerLock(reward, fee + 1, samples, verifiers), lock, "with the fee");
        uint256 small = SettlementLib.verifierLock(reward, fee, verifiers);
        assertGe(SettlementLib.verifierLock(more, fee, verifiers), small, "verifier's, with the reward");
    }

    function check_verifierLock(uint16 reward) public pure {
        vm.assume(reward < SMALL);
        _verifierLock(reward, 0, 1);
        _verifierLock(reward, 7, 2);
        _verifierLock(reward, 1000, 3);
    }

    function testFuzz_verifierLock(uint80 reward, uint80 fee, uint8 verifiers) public pure {
        _verifierLock(reward, fee, 1 + verifiers % 3);
    }

    function _verifierLock(uint256 reward, uint256 fee, uint256 verifiers) private pure {
        uint256 lock = SettlementLib.verifierLock(reward, fee, verifiers);
        assertLt(lock, 1 << 100, "no product below wraps");
        unchecked {
            assertGe(lock * verifiers, reward, "R / V");
            assertGe(lock, 10 * fee, "ten fees");
            uint256 bond = SettlementLib.disputeBond(reward, fee, verifiers);
            assertEq(bond, lock + (verifiers + 1) * fee, "bond: as much, and the fees of those it calls");
        }
    }
}
