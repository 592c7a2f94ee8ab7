// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {WorkerDispatcher} from "../../contracts/WorkerDispatcher.sol";
import {IWorkerDispatcher, Permit} from "../../contracts/interfaces/IWorkerDispatcher.sol";
import {ComputeTermsLib} from "../../contracts/types/ComputeTerms.sol";
import {Base} from "../utils/Base.t.sol";
import {PuppetAgreement} from "../mocks/PuppetAgreement.sol";
import {
    FalseToken,
    FeeToken,
    HookToken,
    ITokenHook,
    MissingReturnToken,
    PlainToken
} from "../mocks/Tokens.sol";

/// @notice Tries every door of the dispatcher from inside a transfer.
contract Reentrant is ITokenHook {
    WorkerDispatcher private immutable DISPATCHER;
    uint256 public attempts;
    uint256 public successes;

    constructor(WorkerDispatcher dispatcher) {
        DISPATCHER = dispatcher;
    }

    function onTokens(address, address) external {
        _try(abi.encodeCall(DISPATCHER.withdraw, (address(this))));
        _try(abi.encodeCall(DISPATCHER.withdrawUnbonded, (address(this))));
        _try(abi.encodeCall(DISPATCHER.stake, (1)));
        _try(abi.encodeCall(DISPATCHER.buyContract, (0, "", "")));
    }

    function act(bytes calldata data) external {
        (bool ok, bytes memory answer) = address(DISPATCHER).call(data);
        require(ok, string(answer));
    }

    function approve(PlainToken token) external {
        token.approve(address(DISPATCHER), type(uint256).max);
    }

    function _try(bytes memory data) private {
        ++attempts;
        (bool ok, bytes memory answer) = address(DISPATCHER).call(data);
        if (ok) {
            ++successes;
        } else {
            require(
                bytes4(answer) == ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector,
                "other reason"
            );
        }
    }
}

/// @notice Attacks by or through the token (PROOFS.md C.1, rows 10 to 12 and 26).
contract TokensTest is Base {
    uint96 private constant BUDGET = 1000e9;

    /// @notice Row 10: a token with hooks re-enters every money path; each is refused, and the sums hold.
    function test_attack_reentrancyByHookToken() public {
        HookToken hooked = new HookToken();
        WorkerDispatcher d = _dispatcherFor(address(hooked));
        Reentrant thief = new Reentrant(d);
        hooked.mint(address(thief), 10 * BUDGET);
        thief.approve(hooked);
        thief.act(abi.encodeCall(d.registerWorker, (address(thief), 1, new bytes32[](0), 0, 0)));
        hooked.setHook(thief);

        thief.act(abi.encodeCall(d.stake, (1000)));
        thief.act(abi.encodeCall(d.buyContract, (0, "", "")));
        thief.act(abi.encodeCall(d.unstake, (1000)));
        skip(UNBOND_SECS);
        thief.act(abi.encodeCall(d.withdrawUnbonded, (address(thief))));
        assertEq(thief.attempts(), 24, "tried before and after each of three transfers");
        assertEq(thief.successes(), 0, "every time refused");
        assertEq(hooked.balanceOf(address(thief)), 9 * BUDGET, "has what it should have");
        assertEq(hooked.balanceOf(address(d)), BUDGET, "the escrow stays");
    }

    /// @notice Row 11: only the token may say that somebody approved.
    function test_attack_forgedReceiveApproval() public {
        bytes memory buy =
            abi.encodeCall(IWorkerDispatcher.buyContract, (KIND, ComputeTermsLib.pack(_terms()), SPEC));
        vm.startPrank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.NotTheToken.selector, stranger, address(token))
        );
        dispatcher.receiveApproval(client, type(uint256).max, address(token), buy);
        PlainToken other = new PlainToken();
        vm.stopPrank();
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.NotTheToken.selector, address(other), address(token))
        );
        vm.prank(address(other));
        dispatcher.receiveApproval(client, type(uint256).max, address(token), buy);
    }

    /// @notice Row 12: a fee on the way in would leave the slots larger than the balance.
    function test_attack_feeTokenIsRejected() public {
        FeeToken fee = new FeeToken();
        WorkerDispatcher d = _dispatcherFor(address(fee));
        fee.mint(client, BUDGET);
        vm.startPrank(client);
        fee.approve(address(d), BUDGET);
        vm.expectRevert(
            abi.encodeWithSelector(IWorkerDispatcher.TransferShort.selector, BUDGET * 99 / 100, BUDGET)
        );
        d.buyContract(0, "", "");
        vm.stopPrank();
    }

    function test_attack_tokenThatAnswersFalseIsRejected() public {
        FalseToken bad = new FalseToken();
        WorkerDispatcher d = _dispatcherFor(address(bad));
        bad.mint(client, BUDGET);
        vm.startPrank(client);
        bad.approve(address(d), BUDGET);
        vm.expectRevert(abi.encodeWithSelector(IWorkerDispatcher.TransferShort.selector, 0, BUDGET));
        d.buyContract(0, "", "");
        vm.stopPrank();
    }

    /// @notice Row 12: a token that returns nothing works, in and out.
    function test_attack_missingReturnTokenWorks() public {
        MissingReturnToken old = new MissingReturnToken();
        WorkerDispatcher d = _dispatcherFor(address(old));
        old.mint(client, BUDGET);
        vm.startPrank(client);
        old.approve(address(d), BUDGET);
        PuppetAgreement a = PuppetAgreement(d.buyContract(0, "", ""));
        vm.stopPrank();
        a.tell(abi.encodeCall(d.pay, (stranger, BUDGET)));
        assertEq(d.withdraw(stranger), BUDGET, "sent");
        assertEq(old.balanceOf(stranger), BUDGET, "arrived");
    }

    /// @notice A permit that somebody else submitted first still buys: the allowance is there.
    function test_attack_permitFrontRun() public {
        vm.prank(client);
        token.approve(address(dispatcher), 0);
        Permit memory p = _permit(_budget(_terms()));
        vm.prank(stranger);
        token.permit(client, address(dispatcher), p.value, p.deadline, p.v, p.r, p.s);
        bytes memory packed = ComputeTermsLib.pack(_terms());
        vm.prank(client);
        address a = dispatcher.buyContractWithPermit(KIND, packed, SPEC, p);
        (uint96 escrow,) = dispatcher.escrowOf(a);
        assertEq(escrow, _budget(_terms()), "bought");
    }

    /// @notice Somebody else's permit buys nothing for a thief: it names its owner, and the thief pays for itself.
    function test_attack_stolenPermit() public {
        vm.prank(client);
        token.approve(address(dispatcher), 0);
        Permit memory p = _permit(_budget(_terms()));
        bytes memory packed = ComputeTermsLib.pack(_terms());
        vm.expectRevert(_insufficientBalance(stranger, 0, _budget(_terms())));
        vm.prank(stranger);
        dispatcher.buyContractWithPermit(KIND, packed, SPEC, p);
    }

    /// @notice Row 26: the twin of a signature (n - s, other v) is worth no second allowance.
    function test_attack_malleableSignature() public {
        vm.prank(client);
        token.approve(address(dispatcher), 0);
        Permit memory p = _permit(_budget(_terms()));
        bytes memory packed = ComputeTermsLib.pack(_terms());
        vm.prank(client);
        dispatcher.buyContractWithPermit(KIND, packed, SPEC, p);
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        (p.s, p.v) = (bytes32(order - uint256(p.s)), p.v == 27 ? 28 : 27);
        vm.expectRevert(
            abi.encodeWithSelector(
                IWorkerDispatcher.InsufficientAllowance.selector, client, 0, _budget(_terms())
            )
        );
        vm.prank(client);
        dispatcher.buyContractWithPermit(KIND, packed, SPEC, p);
    }

    /// @dev A dispatcher of its own for another token, with a kind that costs BUDGET and asks nothing.
    function _dispatcherFor(address token_) private returns (WorkerDispatcher d) {
        d = new WorkerDispatcher(_dispatcherParams(token_));
        PuppetAgreement kind = new PuppetAgreement(d);
        vm.startPrank(owner);
        d.addKind(address(kind));
        d.addClass("class");
        vm.stopPrank();
    }
}
