// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IComputeAgreement} from "../../contracts/interfaces/IComputeAgreement.sol";
import {IPlacements} from "../../contracts/interfaces/IPlacements.sol";
import {ISignatures} from "../../contracts/interfaces/ISignatures.sol";
import {IWorkAgreement} from "../../contracts/interfaces/IWorkAgreement.sol";
import {PoolLib} from "../../contracts/libraries/PoolLib.sol";
import {ComputeTerms, ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../../contracts/types/Status.sol";
import {Driver} from "../utils/Driver.t.sol";

/// @notice Work for one worker that the terms name, or for whom a pool places there by its signature.
contract NamedAndPlacedTest is Driver {
    address private _pool;
    uint256 private _poolKey;

    function setUp() public override {
        super.setUp();
        (_pool, _poolKey) = makeAddrAndKey("pool");
    }

    // ------------------------------------------------------------------------------------------------ named

    function test_onlyTheNamedWorker() public {
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_NAMED, workers[2].owner));
        assertEq(address(a).code.length, 45 + 57 + 80, "the name is in the terms");
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.NotPlaced.selector, workers[0].owner, workers[2].owner)
        );
        _accept(a);
        vm.prank(workers[2].device);
        a.accept();
        assertEq(a.agreement().worker, workers[2].owner, "its device may come for it");
        IComputeAgreement b = _buy(_for(ComputeTermsLib.FLAG_NAMED, workers[2].owner));
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.NotPlaced.selector, workers[1].owner, workers[2].owner)
        );
        vm.prank(workers[1].device);
        b.accept();
    }

    /// @notice The whole way, with the name in the terms.
    function test_namedWorkerIsVerifiedLikeAnother() public {
        IComputeAgreement a = _driveTo(_for(ComputeTermsLib.FLAG_NAMED, workers[0].owner), Status.Settled);
        assertEq(uint8(a.ending()), uint8(Ending.Verified), "verified");
    }

    /// @notice It does not come twice: the offer ends by its time, and the client has its money back.
    function test_namedWorkerThatLeaves() public {
        uint256 before = _owned(client);
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_NAMED, workers[0].owner));
        _accept(a);
        vm.prank(workers[0].owner);
        a.abort();
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyTried.selector, workers[0].owner));
        _accept(a);
        vm.warp(uint256(a.agreement().deadline) + 1);
        a.expire();
        assertEq(uint8(a.ending()), uint8(Ending.NoWorker), "nobody else may");
        assertGe(_owned(client), before, "all back, and half of the fee");
    }

    /// @notice A client that names itself has bought nothing: it cannot work for itself.
    function test_attack_clientNamesItself() public {
        _register(client, client, 1);
        _stake(client, STAKE);
        vm.prank(client);
        token.approve(address(dispatcher), type(uint256).max);
        skip(EPOCH_SECS);
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_NAMED, client));
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.ClientCannotWork.selector, client));
        vm.prank(client);
        a.accept();
    }

    // ------------------------------------------------------------------------------------------------ placed

    function test_poolPlacesAWorker() public {
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_POOL, _pool));
        uint40 expiry = uint40(block.timestamp + 100);
        bytes memory signature = _placement(a, workers[0].owner, expiry);
        bytes memory err =
            abi.encodeWithSelector(IComputeAgreement.NotPlaced.selector, workers[0].owner, _pool);
        vm.expectRevert(err);
        _accept(a);
        vm.warp(expiry);
        vm.prank(workers[0].owner);
        a.acceptPlaced(expiry, signature);
        assertEq(a.agreement().worker, workers[0].owner, "placed, in the last second");
        assertEq(uint8(a.status()), uint8(Status.Working), "works");
    }

    /// @notice The pool signs the worker's owner account; its device carries the signature.
    function test_deviceCarriesThePlacement() public {
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_POOL, _pool));
        uint40 expiry = uint40(block.timestamp + 100);
        bytes memory signature = _placement(a, workers[1].owner, expiry);
        vm.prank(workers[1].device);
        a.acceptPlaced(expiry, signature);
        assertEq(a.agreement().worker, workers[1].owner, "the identity");
    }

    /// @notice A placement is for one worker, one agreement, until one time, by that pool.
    function test_RevertWhen_placementIsAnothers() public {
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_POOL, _pool));
        IComputeAgreement b = _buy(_for(ComputeTermsLib.FLAG_POOL, _pool));
        uint40 expiry = uint40(block.timestamp + 100);
        bytes memory signature = _placement(a, workers[0].owner, expiry);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        vm.prank(workers[1].owner);
        a.acceptPlaced(expiry, signature);
        vm.startPrank(workers[0].owner);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        b.acceptPlaced(expiry, signature);
        vm.expectPartialRevert(ISignatures.WrongSigner.selector);
        a.acceptPlaced(expiry + 1, signature);
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureLength.selector, 0));
        a.acceptPlaced(expiry, "");
        vm.warp(uint256(expiry) + 1);
        vm.expectRevert(
            abi.encodeWithSelector(IPlacements.PlacementExpired.selector, uint256(expiry) + 1, expiry)
        );
        a.acceptPlaced(expiry, signature);
        vm.stopPrank();
    }

    /// @notice Used once by having been accepted: the worker that left does not come back by the same signature.
    function test_attack_placementIsReplayed() public {
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_POOL, _pool));
        uint40 expiry = uint40(block.timestamp + 100);
        bytes memory signature = _placement(a, workers[0].owner, expiry);
        vm.startPrank(workers[0].owner);
        a.acceptPlaced(expiry, signature);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkAgreement.WrongStatus.selector, Status.Working, Status.Open)
        );
        a.acceptPlaced(expiry, signature);
        a.abort();
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.AlreadyTried.selector, workers[0].owner));
        a.acceptPlaced(expiry, signature);
        vm.stopPrank();
    }

    /// @notice Terms without a pool take no placement, whoever signs.
    function test_RevertWhen_thereIsNoPool() public {
        IComputeAgreement open = _buy(_terms());
        IComputeAgreement named = _buy(_for(ComputeTermsLib.FLAG_NAMED, _pool));
        uint40 expiry = uint40(block.timestamp + 100);
        bytes memory signature = _placement(open, workers[0].owner, expiry);
        bytes memory another = _placement(named, workers[0].owner, expiry);
        vm.startPrank(workers[0].owner);
        vm.expectRevert(
            abi.encodeWithSelector(IComputeAgreement.NotPlaced.selector, workers[0].owner, address(0))
        );
        open.acceptPlaced(expiry, signature);
        vm.expectRevert(abi.encodeWithSelector(IComputeAgreement.NotPlaced.selector, workers[0].owner, _pool));
        named.acceptPlaced(expiry, another);
        vm.stopPrank();
    }

    function test_RevertWhen_strangerIsPlaced() public {
        IComputeAgreement a = _buy(_for(ComputeTermsLib.FLAG_POOL, _pool));
        uint40 expiry = uint40(block.timestamp + 100);
        bytes memory signature = _placement(a, address(0), expiry);
        vm.expectRevert();
        vm.prank(stranger);
        a.acceptPlaced(expiry, signature);
        assertEq(uint8(a.status()), uint8(Status.Open), "nobody is placed by that");
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function _for(uint8 flag, address named) private pure returns (ComputeTerms memory t) {
        t = _terms();
        (t.flags, t.named) = (flag, named);
    }

    function _placement(IComputeAgreement a, address worker, uint40 expiry)
        private
        view
        returns (bytes memory)
    {
        bytes32 hash = PoolLib.hash(address(dispatcher), address(a), worker, expiry);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(_poolKey, hash);
        return abi.encodePacked(r, s, v);
    }
}
