// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ISignatures} from "../../contracts/interfaces/ISignatures.sol";
import {ISignedOrders} from "../../contracts/interfaces/ISignedOrders.sol";
import {Order} from "../../contracts/types/Order.sol";
import {Bomb, Burner, Meddler, Parrot, Wallet} from "../mocks/Wallets.sol";
import {OrderBase} from "../utils/OrderBase.t.sol";

/// @notice Offers of clients that are contracts (ERC-1271), honest and hostile.
contract OrderWalletsTest is OrderBase {
    bytes32 internal constant YES = bytes32(IERC1271.isValidSignature.selector);

    function test_walletSigns() public {
        Wallet wallet = new Wallet(client);
        Order memory o = _order(address(wallet));
        o.volume = 2;
        bytes memory signature = _signed(o);
        _accept(o, signature);
        // The next owner's key is asked for, the former one's signature is none any more.
        (address next, uint256 nextKey) = makeAddrAndKey("next");
        wallet.setOwner(next);
        bytes32 hash = desk.orderHash(o);
        _expectRefused(address(wallet), hash);
        _accept(o, signature);
        (, uint32 index) = _accept(o, _sign(nextKey, hash));
        assertEq(index, 1, "one count for all its signatures");
    }

    function test_walletCancels() public {
        Wallet wallet = new Wallet(client);
        Order memory o = _order(address(wallet));
        bytes32 hash = desk.orderHash(o);
        bytes memory signature = _signed(o);
        wallet.act(address(desk), abi.encodeCall(desk.cancelOrder, (hash)));
        vm.expectRevert(abi.encodeWithSelector(ISignedOrders.OrderIsCancelled.selector, hash));
        _accept(o, signature);
    }

    /// @notice A key that owns two accounts signs for one of them: the order names which.
    function test_attack_replayOnTheOwnersOtherWallet() public {
        (Wallet first, Wallet second) = (new Wallet(client), new Wallet(client));
        bytes memory signature = _signed(_order(address(first)));
        Order memory o = _order(address(second));
        _expectRefused(address(second), desk.orderHash(o));
        _accept(o, signature);
    }

    /// @notice Only the one word means yes.
    function test_attack_lyingAnswers() public {
        Parrot parrot = new Parrot();
        bytes[10] memory answers = [
            bytes(""),
            abi.encodePacked(IERC1271.isValidSignature.selector),
            new bytes(32),
            abi.encode(true),
            abi.encode(bytes4(0xffffffff)),
            abi.encode(uint256(uint32(IERC1271.isValidSignature.selector))),
            abi.encode(YES | bytes32(uint256(1))),
            abi.encode(0x20, 4, YES),
            abi.encode(bytes4(0x20c13b0b)),
            new bytes(31)
        ];
        for (uint256 i = 0; i < answers.length; ++i) {
            parrot.teach(answers[i], false);
            _refuses(address(parrot));
        }
        // Thirty-one of the thirty-two bytes: what memory holds beyond is not taken for the rest.
        bytes memory cut = abi.encode(YES);
        assembly ("memory-safe") {
            mstore(cut, 31)
        }
        parrot.teach(cut, false);
        _refuses(address(parrot));
        parrot.teach(abi.encode(YES), true);
        _refuses(address(parrot));
        parrot.teach(abi.encodeWithSignature("Error(string)", "no"), true);
        _refuses(address(parrot));
        parrot.teach(abi.encode(YES), false);
        _accept(_order(address(parrot)), "anything");
    }

    /// @notice An answer of a megabyte costs the asker one word of memory, be it a return or a revert.
    function test_attack_returnBomb() public {
        uint256 size = 1 << 20;
        _refuses(address(new Bomb(size, 0, false)));
        _refuses(address(new Bomb(size, YES, true)));
        Order memory o = _order(address(new Bomb(size, YES, false)));
        vm.prank(worker);
        uint256 before = gasleft();
        desk.acceptOffer(o, SPEC, "");
        uint256 spent = before - gasleft();
        // The wallet itself pays three per word and the square of the words / 512 for its own memory.
        uint256 words = size / 32;
        uint256 own = 3 * words + words * words / 512;
        assertLt(spent, own + 100_000, "not paid twice");
    }

    /// @notice Code that takes all the gas that it gets: what is left is enough to say whose fault it was.
    function test_attack_gasBurner() public {
        Order memory o = _order(address(new Burner()));
        bytes memory call_ = abi.encodeCall(desk.acceptOffer, (o, SPEC, ""));
        vm.prank(worker);
        (bool ok, bytes memory why) = address(desk).call{gas: 1_000_000}(call_);
        assertFalse(ok, "refused");
        assertEq(bytes4(why), ISignatures.SignatureRefused.selector, "named");
    }

    /// @notice While it is asked, the client's code can write nothing, not enter, and sees the use already counted.
    function test_attack_meddlingWhileAsked() public {
        Meddler meddler = new Meddler(desk, 1);
        Order memory o = _order(address(meddler));
        o.volume = 5;
        meddler.arm(abi.encodeCall(desk.acceptOffer, (o, SPEC, "")));
        _accept(o, "");
        // It says yes at one use only: this is the second, and the third would be again.
        _expectRefused(address(meddler), desk.orderHash(o));
        _accept(o, "");
        meddler = new Meddler(desk, 1);
        o.client = address(meddler);
        meddler.arm(abi.encodeCall(desk.cancelAllOrders, ()));
        _accept(o, "");
        assertEq(desk.orderNonceOf(address(meddler)), 0, "not cancelled");
    }

    /// @notice An account with a delegation (EIP-7702) is asked by its code, not by its key.
    function test_delegatedAccount() public {
        Order memory o = _order(client);
        o.volume = 3;
        bytes memory signature = _signed(o);
        _accept(o, signature);
        Wallet code = new Wallet(client);
        vm.signAndAttachDelegation(address(code), clientKey);
        // The delegation has no owner in this account's storage.
        _expectRefused(client, desk.orderHash(o));
        _accept(o, signature);
        vm.prank(client);
        Wallet(client).setOwner(client);
        _accept(o, signature);
    }

    function _refuses(address client_) private {
        Order memory o = _order(client_);
        _expectRefused(client_, desk.orderHash(o));
        _accept(o, "anything");
        assertEq(desk.orderUses(client_, desk.orderHash(o)), 0, "not counted");
    }

    function _expectRefused(address client_, bytes32 hash) private {
        vm.expectRevert(abi.encodeWithSelector(ISignatures.SignatureRefused.selector, client_, hash));
    }
}
