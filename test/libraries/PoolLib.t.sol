// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IPlacements} from "../../contracts/interfaces/IPlacements.sol";
import {ISignatures} from "../../contracts/interfaces/ISignatures.sol";
import {PoolLib} from "../../contracts/libraries/PoolLib.sol";
import {OrderDesk} from "../mocks/OrderDesk.sol";
import {Wallet} from "../mocks/Wallets.sol";
import {OrderBase} from "../utils/OrderBase.t.sol";

/// @notice What a pool's placement allows, and each refusal.
contract PoolLibTest is OrderBase {
    address internal pool;
    uint256 internal poolKey;
    address internal agreement = makeAddr("agreement");
    uint40 internal expiry = NOW + 1 hours;

    function setUp() public override {
        super.setUp();
        (pool, poolKey) = makeAddrAndKey("pool");
    }

    function _placement() private view returns (bytes memory) {
        return _sign(poolKey, desk.placementHash(agreement, worker, expiry));
    }

    function test_placedUntilItsLastSecond() public {
        bytes memory signature = _placement();
        desk.acceptPlaced(pool, agreement, worker, expiry, signature);
        desk.acceptPlaced(pool, agreement, worker, expiry, _compact(signature));
        vm.warp(expiry);
        desk.acceptPlaced(pool, agreement, worker, expiry, signature);
        vm.warp(uint256(expiry) + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IPlacements.PlacementExpired.selector, uint256(expiry) + 1, expiry)
        );
        desk.acceptPlaced(pool, agreement, worker, expiry, signature);
    }

    function test_poolIsAContract() public {
        Wallet wallet = new Wallet(pool);
        desk.acceptPlaced(address(wallet), agreement, worker, expiry, _placement());
        wallet.setOwner(stranger);
        bytes memory signature = _placement();
        bytes32 hash = desk.placementHash(agreement, worker, expiry);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, wallet, hash));
        desk.acceptPlaced(address(wallet), agreement, worker, expiry, signature);
    }

    /// @notice Another worker, agreement, time or pool: another signature.
    function testFuzz_everyFieldIsSigned(uint8 field, uint160 change) public {
        bytes memory signature = _placement();
        (address pool_, address agreement_, address worker_, uint40 expiry_) =
            (pool, agreement, worker, expiry);
        field = field % 4;
        if (field == 0) pool_ = _fresh(change);
        if (field == 1) agreement_ = address(change);
        if (field == 2) worker_ = address(change);
        if (field == 3) expiry_ = uint40(bound(change, NOW, type(uint40).max));
        vm.assume(pool_ != pool || agreement_ != agreement || worker_ != worker || expiry_ != expiry);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        desk.acceptPlaced(pool_, agreement_, worker_, expiry_, signature);
    }

    function test_otherDispatcherAndChain() public {
        bytes memory signature = _placement();
        OrderDesk other = new OrderDesk();
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        other.acceptPlaced(pool, agreement, worker, expiry, signature);
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        desk.acceptPlaced(pool, agreement, worker, expiry, signature);
    }

    /// @notice An agreement asks too, and the domain is the dispatcher's nevertheless.
    function test_askedByAnAgreement() public view {
        bytes memory signature = _placement();
        PoolLib.requirePlaced(address(desk), pool, agreement, worker, expiry, signature);
        bytes32 hash = PoolLib.hash(address(desk), agreement, worker, expiry);
        assertEq(hash, desk.placementHash(agreement, worker, expiry), "one hash");
        assertNotEq(hash, PoolLib.hash(address(this), agreement, worker, expiry), "of this dispatcher");
    }

    /// @notice Terms that name no pool are placed by nobody, whatever the signature.
    function testFuzz_noPool(bytes calldata signature) public {
        vm.expectRevert();
        desk.acceptPlaced(address(0), agreement, worker, expiry, signature);
    }

    function test_gas() public {
        bytes memory signature = _placement();
        uint256 before = gasleft();
        desk.acceptPlaced(pool, agreement, worker, expiry, signature);
        assertLt(before - gasleft(), 20_000, "gas");
    }

    /// @dev An account without code.
    function _fresh(uint160 change) private view returns (address a) {
        a = address(uint160(uint256(keccak256(abi.encode(change)))));
        vm.assume(a.code.length == 0);
    }
}
