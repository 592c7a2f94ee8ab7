// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {IApproveAndCallReceiver} from "../contracts/interfaces/IApproveAndCallReceiver.sol";
import {SunToken} from "../contracts/token/SunToken.sol";

/// @notice Notes what it is told; accepts or not as it is told.
contract Receiver is IApproveAndCallReceiver {
    bool public accepts = true;
    bytes32 public told;

    function refuse() external {
        accepts = false;
    }

    function receiveApproval(address from, uint256 amount, address token, bytes calldata data)
        external
        returns (bool)
    {
        told = keccak256(abi.encode(msg.sender, from, amount, token, data));
        return accepts;
    }
}

contract SunTokenTest is Test {
    SunToken private _token;
    Receiver private _receiver;
    address private _alice;
    uint256 private _aliceKey;

    bytes32 private constant PERMIT_TYPE_HASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");

    function setUp() public {
        (_alice, _aliceKey) = makeAddrAndKey("alice");
        _token = new SunToken(_alice);
        _receiver = new Receiver();
    }

    function test_metadata() public view {
        assertEq(_token.name(), "Sunwork Token", "name");
        assertEq(_token.symbol(), "SUN", "symbol");
        assertEq(_token.decimals(), 9, "decimals");
        assertEq(_token.totalSupply(), 87_000_000e9, "87 million");
        assertEq(_token.balanceOf(_alice), 87_000_000e9, "all to the holder");
    }

    function test_approveAndCall() public {
        vm.prank(_alice);
        assertTrue(_token.approveAndCall(address(_receiver), 7, "data"), "done");
        assertEq(_token.allowance(_alice, address(_receiver)), 7, "approved");
        bytes32 expected = keccak256(abi.encode(address(_token), _alice, 7, address(_token), bytes("data")));
        assertEq(_receiver.told(), expected, "called by the token with the owner");
    }

    function test_RevertWhen_receiverRefuses() public {
        _receiver.refuse();
        vm.expectRevert(abi.encodeWithSelector(SunToken.ReceiverRefused.selector, address(_receiver)));
        vm.prank(_alice);
        _token.approveAndCall(address(_receiver), 7, "data");
        assertEq(_token.allowance(_alice, address(_receiver)), 0, "no allowance is left behind");
    }

    function test_burn() public {
        vm.prank(_alice);
        _token.burn(5);
        assertEq(_token.totalSupply(), 87_000_000e9 - 5, "supply");
    }

    function testFuzz_permit(uint256 value, uint256 deadline) public {
        deadline = bound(deadline, block.timestamp, type(uint256).max);
        (uint8 v, bytes32 r, bytes32 s) = _sign(value, deadline, 0, block.chainid);
        _token.permit(_alice, address(_receiver), value, deadline, v, r, s);
        assertEq(_token.allowance(_alice, address(_receiver)), value, "approved");
        assertEq(_token.nonces(_alice), 1, "nonce");
    }

    function test_RevertWhen_permitIsReplayedLateOrFromAnotherChain() public {
        (uint8 v, bytes32 r, bytes32 s) = _sign(7, 1000, 0, block.chainid);
        vm.warp(1001);
        vm.expectRevert();
        _token.permit(_alice, address(_receiver), 7, 1000, v, r, s);
        vm.warp(1000);
        _token.permit(_alice, address(_receiver), 7, 1000, v, r, s);
        vm.expectRevert();
        _token.permit(_alice, address(_receiver), 7, 1000, v, r, s);
        (v, r, s) = _sign(7, 1000, 1, block.chainid + 1);
        vm.expectRevert();
        _token.permit(_alice, address(_receiver), 7, 1000, v, r, s);
    }

    function _sign(uint256 value, uint256 deadline, uint256 nonce, uint256 chain)
        private
        view
        returns (uint8, bytes32, bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256(
                    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
                ),
                keccak256("Sunwork Token"),
                keccak256("1"),
                chain,
                address(_token)
            )
        );
        bytes32 structHash =
            keccak256(abi.encode(PERMIT_TYPE_HASH, _alice, address(_receiver), value, nonce, deadline));
        return vm.sign(_aliceKey, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
    }
}
