// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ISunworkReceiver} from "../../contracts/interfaces/ISunworkReceiver.sol";
import {DeliverLib} from "../../contracts/libraries/DeliverLib.sol";
import {DeliverPuppet} from "../mocks/DeliverPuppet.sol";
import {KeepingReceiver} from "../mocks/Receivers.sol";
import {Delivering} from "../utils/Delivering.t.sol";

/// @notice A receiver whose work is done by another call, and that goes on without it when it fails: starved of gas it
/// succeeds, having done nothing. That is what a deliverer can wish for.
contract ForgivingReceiver is ISunworkReceiver {
    uint256 public taken;
    mapping(uint256 => uint256) private _work;

    function onSunworkResult(uint32, bytes calldata) external {
        try this.work() {
            ++taken;
        } catch {}
    }

    /// @dev About 180,000 gas.
    function work() external {
        for (uint256 i = 0; i < 8; ++i) {
            _work[i] = i + 1;
        }
    }
}

/// @notice The same delivery without looking at the gas, to show that the scan below finds what it is for.
contract NaiveDeliverer {
    bool public delivered;

    function deliver(address target, uint256 gasLimit) external {
        delivered = true;
        try ISunworkReceiver(target).onSunworkResult{gas: gasLimit}(0, "7\n") {}
        catch {
            delivered = false;
        }
    }
}

/// @notice Starving a callback by the 63/64 rule (PROOFS.md C.1, row 13).
contract CallbackGasTest is Delivering {
    uint256 private constant FROM = 60_000;
    uint256 private constant TO = 800_000;
    uint256 private constant STEP = 1009;

    /// @notice Row 13: with whatever gas the deliverer comes, the receiver gets all it was granted, or nothing happens.
    function test_attack_starvedCallback() public {
        ForgivingReceiver r = new ForgivingReceiver();
        DeliverPuppet a = _verified(address(r), 1);
        bytes memory call = _call(0, 1);
        (uint256 went, uint256 refused, uint256 died) = (0, 0, 0);
        for (uint256 g = FROM; g <= TO; g += STEP) {
            uint256 snapshot = vm.snapshotState();
            (bool ok, bytes memory answer) = address(a).call{gas: g}(call);
            assertEq(a.isDelivered(0), ok, "delivered or not");
            assertEq(r.taken(), ok ? 1 : 0, "in full or not at all: never starved");
            if (ok) {
                assertTrue(abi.decode(answer, (bool)), "never called in vain");
                ++went;
            } else if (answer.length != 0) {
                assertEq(bytes4(answer), DeliverLib.GasTooLow.selector, "says why");
                ++refused;
            } else {
                ++died;
            }
            vm.revertToState(snapshot);
        }
        assertGt(went, 300, "the scan reaches both sides");
        assertGt(refused, 100, "and sees refusals");
        assertLt(died, 100, "few die before the check");
    }

    /// @notice The scan finds a deliverer that does not look.
    function test_naiveDeliveryIsStarved() public {
        ForgivingReceiver r = new ForgivingReceiver();
        NaiveDeliverer naive = new NaiveDeliverer();
        uint256 starved = 0;
        for (uint256 g = FROM; g <= TO; g += STEP) {
            uint256 snapshot = vm.snapshotState();
            try naive.deliver{gas: g}(address(r), CALLBACK_GAS) {
                if (naive.delivered() && r.taken() == 0) ++starved;
            } catch {}
            vm.revertToState(snapshot);
        }
        assertGt(starved, 10, "delivered, and nothing done");
    }

    /// @notice The refusal names the gas that is needed: with what it says is missing on top the call goes through, with one less
    /// than the least that works it does not, and the receiver sees what it was granted.
    function test_gasIsGrantedToTheUnit() public {
        KeepingReceiver r = new KeepingReceiver();
        DeliverPuppet a = _verified(address(r), 1);
        bytes memory call = _call(0, 1);
        uint256 snapshot = vm.snapshotState();
        (bool ok, bytes memory answer) = address(a).call{gas: CALLBACK_GAS}(call);
        assertFalse(ok, "too little");
        (uint256 found, uint256 needed) = _gasTooLow(answer);
        assertLt(found, needed, "found below needed");
        // Two frames lie above the check; each keeps back a 64th.
        uint256 low = CALLBACK_GAS + needed - found;
        uint256 high = low + low / 16;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            vm.revertToState(snapshot);
            snapshot = vm.snapshotState();
            (ok,) = address(a).call{gas: middle}(call);
            if (ok) high = middle;
            else low = middle + 1;
        }
        vm.revertToState(snapshot);
        (ok,) = address(a).call{gas: low}(call);
        assertTrue(ok, "the least that works");
        assertTrue(a.isDelivered(0), "delivers");
        // What the receiver's own dispatch takes before it looks.
        assertLe(r.gasGranted(), CALLBACK_GAS, "not more");
        assertGt(r.gasGranted(), CALLBACK_GAS - 500, "not less");
    }

    /// @notice A receiver that uses all it is granted leaves enough to note the failure, however tight the deliverer's gas.
    function test_failureIsNotedWithTheLeastGas() public {
        KeepingReceiver r = new KeepingReceiver();
        DeliverPuppet a = _verified(address(r), 1);
        vm.etch(address(r), hex"5b600056"); // JUMPDEST PUSH0 JUMP: for ever
        bytes memory call = _call(0, 1);
        uint256 noted = 0;
        for (uint256 g = CALLBACK_GAS; g <= CALLBACK_GAS + 120_000; g += 251) {
            uint256 snapshot = vm.snapshotState();
            (bool ok, bytes memory answer) = address(a).call{gas: g}(call);
            if (ok) {
                assertFalse(abi.decode(answer, (bool)), "failed");
                ++noted;
            } else {
                assertTrue(answer.length == 0 || bytes4(answer) == DeliverLib.GasTooLow.selector, "no other");
                assertTrue(noted == 0, "more gas is never worse");
            }
            assertFalse(a.isDelivered(0), "can be tried again");
            vm.revertToState(snapshot);
        }
        assertGt(noted, 100, "noted");
    }

    function _gasTooLow(bytes memory answer) private pure returns (uint256 found, uint256 needed) {
        assertEq(bytes4(answer), DeliverLib.GasTooLow.selector, "reason");
        assembly ("memory-safe") {
            found := mload(add(answer, 36))
            needed := mload(add(answer, 68))
        }
    }
}
