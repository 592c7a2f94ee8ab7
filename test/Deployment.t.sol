// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {WorkerDispatcher} from "../contracts/WorkerDispatcher.sol";
import {IComputeAgreement} from "../contracts/interfaces/IComputeAgreement.sol";
import {ComputeTerms, ComputeTermsLib} from "../contracts/types/ComputeTerms.sol";
import {Ending, Status} from "../contracts/types/Status.sol";
import {IEnergyCertificates} from "../contracts/interfaces/IEnergyCertificates.sol";
import {IEnergyLedger} from "../contracts/interfaces/IEnergyLedger.sol";
import {CheckDeployment} from "../script/CheckDeployment.s.sol";
import {Deploy} from "../script/Deploy.s.sol";
import {Deployment, DeploymentFileLib} from "../script/DeploymentFile.sol";
import {EnergyParametersLib} from "../script/EnergyParameters.sol";
import {Parameters, ParametersLib} from "../script/Parameters.sol";

/// @notice A running network's contracts, against `deployments/<chainid>.json`:
///
///   forge test --match-path test/Deployment.t.sol --fork-url http://127.0.0.1:8545
///
/// Without `--fork-url` there is no network to check, and these tests say that they are skipped.
contract DeployedSystemTest is Test {
    uint16 internal constant CLASS = 0;
    uint8 internal constant KIND = 0;

    Deployment internal d;
    WorkerDispatcher internal dispatcher;
    IERC20 internal token;
    address internal client = makeAddr("client");

    function setUp() public {
        try vm.activeFork() {}
        catch {
            vm.skip(true, "no network to check: run with --fork-url URL");
        }
        string memory path = DeploymentFileLib.path();
        if (!vm.exists(path)) vm.skip(true, string.concat("no deployment on this chain: found no ", path));
        d = DeploymentFileLib.parse(vm.readFile(path));
        dispatcher = WorkerDispatcher(d.dispatcher);
        token = IERC20(d.token);
    }

    function test_ChainHoldsWhatTheFileSays() public {
        new CheckDeployment().check(d);
    }

    function test_BuysAndCancelsAnAgreement() public {
        ComputeTerms memory terms = _terms();
        uint256 budget = terms.rewardMax + 2 * uint256(terms.verifierFee) + d.parameters.compute.seedTip;
        for (uint256 i = 0; i < 3; ++i) {
            _addWorker(
                makeAddr(string.concat("worker ", vm.toString(i))), 100 * uint256(dispatcher.ticketUnit())
            );
        }
        skip(dispatcher.epochSecs());

        deal(d.token, client, budget);
        vm.startPrank(client);
        token.approve(address(dispatcher), budget);
        IComputeAgreement agreement =
            IComputeAgreement(dispatcher.buyContract(KIND, ComputeTermsLib.pack(terms), "spec"));

        (uint96 escrow, bool known) = dispatcher.escrowOf(address(agreement));
        assertTrue(known, "the dispatcher knows the agreement");
        assertEq(escrow, budget, "the escrow holds the budget");
        assertEq(token.balanceOf(client), 0, "the client has paid");
        assertEq(uint8(agreement.status()), uint8(Status.Open), "status");
        assertEq(agreement.boundTerms().specHash, keccak256("spec"), "spec hash");

        agreement.cancel();
        agreement.redeemPayment(client);
        assertEq(uint8(agreement.ending()), uint8(Ending.ByClient), "ending");
        assertEq(token.balanceOf(client), budget, "everything came back");
    }

    function _terms() private pure returns (ComputeTerms memory) {
        return ComputeTerms({
            rewardMin: 1e9,
            rewardMax: 2e9,
            verifierFee: 1e8,
            classId: CLASS,
            flags: 0,
            trustLevel: 1,
            trust: 2,
            leafCount: 16,
            samples: 4,
            verifiers: 2,
            acceptSecs: 600,
            workSecs: 600,
            verifySecs: 600,
            disputeSecs: 0,
            named: address(0),
            callback: address(0),
            callbackGas: 0
        });
    }

    function _addWorker(address worker, uint256 stake) private {
        bytes32[] memory kinds = new bytes32[](1);
        (, kinds[KIND]) = dispatcher.kind(KIND);
        deal(d.token, worker, stake);
        vm.startPrank(worker);
        dispatcher.registerWorker(worker, uint48(1) << CLASS, kinds, bytes32(0), bytes32(0));
        token.approve(address(dispatcher), stake);
        dispatcher.stake(stake);
        vm.stopPrank();
    }
}

/// @notice The deploy script and the check against each other, without a network.
contract DeployScriptTest is Test {
    string internal constant ANVIL = "script/params/anvil.json";
    string internal constant TESTNET = "script/params/testnet.json";

    function test_CheckAcceptsWhatDeployMakes() public {
        string[2] memory files = [ANVIL, TESTNET];
        for (uint256 i = 0; i < files.length; ++i) {
            string memory json = vm.readFile(files[i]);
            Deployment memory made = new Deploy().deploy(ParametersLib.parse(json, ""));
            // Through the text of the file, as the check reads it.
            Deployment memory read = DeploymentFileLib.parse(DeploymentFileLib.toJson(made, json));
            CheckDeployment checker = new CheckDeployment();
            checker.check(read);
            checker.checkCode(read);
        }
    }

    function test_RevertWhen_AnotherParameterIsDeployed() public {
        Deployment memory made = new Deploy().deploy(_anvil());
        CheckDeployment checker = new CheckDeployment();

        made.parameters.compute.revealSecs += 1;
        vm.expectRevert(
            abi.encodeWithSelector(
                CheckDeployment.Differs.selector,
                "compute.revealSecs",
                bytes32(uint256(made.parameters.compute.revealSecs) - 1),
                bytes32(uint256(made.parameters.compute.revealSecs))
            )
        );
        checker.check(made);
    }

    function test_RevertWhen_TheCodeDiffers() public {
        Deployment memory made = new Deploy().deploy(_anvil());
        CheckDeployment checker = new CheckDeployment();
        bytes memory code = made.dispatcher.code;
        // Somewhere in the metadata, where no call notices.
        code[code.length - 20] ^= 0x01;
        vm.etch(made.dispatcher, code);
        vm.expectPartialRevert(CheckDeployment.Differs.selector);
        checker.checkCode(made);
    }

    function test_RevertWhen_AContractIsMissing() public {
        Deployment memory made = new Deploy().deploy(_anvil());
        CheckDeployment checker = new CheckDeployment();
        made.beacon = makeAddr("nothing");
        vm.expectRevert(abi.encodeWithSelector(CheckDeployment.NoCode.selector, "beacon", made.beacon));
        checker.check(made);
    }

    function test_RevertWhen_TheTokenIsMissing() public {
        Parameters memory p = _anvil();
        p.token = makeAddr("no token");
        Deploy script = new Deploy();
        vm.expectRevert(abi.encodeWithSelector(Deploy.TokenMissing.selector, p.token, block.chainid));
        script.deploy(p);
    }

    function test_RevertWhen_AParameterIsUnknown() public {
        string memory json = vm.replace(vm.readFile(ANVIL), "\"keySecs\"", "\"keySeconds\": 1, \"keySecs\"");
        vm.expectRevert(abi.encodeWithSelector(ParametersLib.UnknownParameter.selector, ".compute", 14, 13));
        this.parse(json);
    }

    function test_RevertWhen_AParameterIsTooLarge() public {
        string memory json = vm.replace(vm.readFile(ANVIL), "\"drawSteps\": 8", "\"drawSteps\": 256");
        vm.expectRevert(
            abi.encodeWithSelector(ParametersLib.ParameterTooLarge.selector, ".compute.drawSteps", 256, 255)
        );
        this.parse(json);
    }

    function test_LedgerAndCertificatesAreDeployedAndNamedInTheFile() public {
        string memory json = vm.readFile(ANVIL);
        Deployment memory made = new Deploy().deploy(_anvil());
        IEnergyLedger ledger = IEnergyLedger(made.energyLedger);
        assertEq(ledger.dispatcher(), made.dispatcher, "dispatcher");
        assertEq(ledger.token(), made.token, "token");
        assertEq(ledger.certificates(), made.energyCertificates, "certificates");
        assertEq(IEnergyCertificates(made.energyCertificates).ledger(), made.energyLedger, "and back");
        assertEq(ledger.params().verifier, address(0x100), "the precompile");
        assertEq(ledger.params().windowDays, 30, "window");
        assertEq(
            address(IComputeAgreement(made.computeImplementation).energyLedger()), made.energyLedger, "asked"
        );
        string memory text = DeploymentFileLib.toJson(made, json);
        assertEq(vm.parseJsonAddress(text, ".energyLedger"), made.energyLedger, "ledger in the file");
        assertEq(
            vm.parseJsonAddress(text, ".energyCertificates"), made.energyCertificates, "certificates too"
        );
    }

    function test_VerifierInSolidityIsDeployedWhereTheParametersAskForIt() public {
        string memory json =
            vm.replace(vm.readFile(ANVIL), "\"verifier\": \"precompile\"", "\"verifier\": \"solidity\"");
        Deployment memory made = new Deploy().deploy(this.parse(json));
        // These rules have no precompile, so it can only be the contract that answers.
        assertTrue(IEnergyLedger(made.energyLedger).verifierWorks(), "it verifies");
        CheckDeployment checker = new CheckDeployment();
        Deployment memory read = DeploymentFileLib.parse(DeploymentFileLib.toJson(made, json));
        checker.check(read);
        checker.checkCode(read);
        vm.etch(IEnergyLedger(made.energyLedger).params().verifier, hex"00");
        vm.expectPartialRevert(CheckDeployment.Differs.selector);
        checker.checkCode(read);
    }

    function test_ParametersWithoutEnergyDeployNone() public {
        string memory json = vm.readFile(ANVIL);
        // A file of before: everything up to the group, which is the last.
        json = string.concat(vm.split(json, ",\n  \"energy\"")[0], "\n}\n");
        Deployment memory made = new Deploy().deploy(this.parse(json));
        assertEq(made.energyLedger, address(0), "no ledger");
        Deployment memory read = DeploymentFileLib.parse(DeploymentFileLib.toJson(made, json));
        CheckDeployment checker = new CheckDeployment();
        checker.check(read);
        checker.checkCode(read);
    }

    function test_RevertWhen_AnotherEnergyParameterIsDeployed() public {
        Deployment memory made = new Deploy().deploy(_anvil());
        CheckDeployment checker = new CheckDeployment();
        made.parameters.energy.ledger.windowDays = 29;
        vm.expectRevert(
            abi.encodeWithSelector(
                CheckDeployment.Differs.selector,
                "energyLedger.windowDays",
                bytes32(uint256(30)),
                bytes32(uint256(29))
            )
        );
        checker.check(made);
    }

    function test_RevertWhen_TheEnergyGroupIsWrong() public {
        string memory json = vm.readFile(ANVIL);
        string memory wrong = vm.replace(json, "\"precompile\"", "\"moon\"");
        vm.expectRevert(
            abi.encodeWithSelector(
                EnergyParametersLib.UnknownVerifier.selector, "moon", "precompile or solidity"
            )
        );
        this.parse(wrong);
        wrong = vm.replace(json, "\"freshDays\"", "\"freshHours\": 1, \"freshDays\"");
        vm.expectRevert(abi.encodeWithSelector(EnergyParametersLib.UnknownEnergyParameter.selector, 8, 7));
        this.parse(wrong);
        wrong = vm.replace(json, "\"windowDays\": 30", "\"windowDays\": 256");
        vm.expectRevert(
            abi.encodeWithSelector(
                EnergyParametersLib.EnergyParameterTooLarge.selector, ".windowDays", 256, 255
            )
        );
        this.parse(wrong);
    }

    function test_AnotherOwnerHasToAddKindsItself() public {
        Parameters memory p = _anvil();
        p.owner = makeAddr("timelock");
        Deployment memory made = new Deploy().deploy(p);
        WorkerDispatcher dispatcher = WorkerDispatcher(made.dispatcher);
        assertEq(dispatcher.owner(), p.owner, "owner");
        assertEq(dispatcher.kindCount(), 0, "no kind yet");

        vm.startPrank(p.owner);
        dispatcher.addKind(made.computeImplementation);
        for (uint256 i = 0; i < p.classes.length; ++i) {
            dispatcher.addClass(p.classes[i]);
        }
        vm.stopPrank();
        new CheckDeployment().check(made);
    }

    /// @dev External, so that a revert of the library can be expected.
    function parse(string calldata json) external view returns (Parameters memory) {
        return ParametersLib.parse(json, "");
    }

    function _anvil() private view returns (Parameters memory) {
        return ParametersLib.parse(vm.readFile(ANVIL), "");
    }
}
