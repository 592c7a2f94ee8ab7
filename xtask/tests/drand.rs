//! The drand beacon on a real anvil: the network signs its own rounds, the oracle's relay records those that agreements wait
//! for, and the contract checks them. Dispatcher and agreements are puppets here: what counts is that they say `Sealed`.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::time::Duration;

use alloy::{
    network::TransactionBuilder as _,
    primitives::{
        Address, B256, Bytes, LogData,
        aliases::{U40, U48},
    },
    providers::{DynProvider, Provider as _, ext::AnvilApi as _},
    rpc::types::{Filter, TransactionRequest},
    sol_types::{SolCall as _, SolEvent as _},
};
use eyre::{OptionExt as _, WrapErr as _};
use sunwork_edge::deployment::BeaconKind;
use sunwork_protocol::{
    abi::{IBeacon, IComputeAgreement, IWorkerDispatcher},
    status::Status,
};
use tokio::time::{sleep, timeout};
use xtask::{
    accounts,
    devnet::{Beacon, Devnet, Options},
    foundry,
};

const LIMIT: Duration = Duration::from_secs(60);
/// Above what a recording costs all in, and well below the 182,000 of an implementation measured earlier.
const MAX_GAS: u64 = 170_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_records_the_rounds_that_agreements_wait_for_once() -> eyre::Result<()> {
    let mut options = Options::for_tests()?.workers(0);
    options.beacon = Beacon::Drand;
    let devnet = Devnet::start(options).await?;
    foundry::check_deployment(devnet.rpc_url().as_str(), &devnet.deployment_file()).await?;
    let drand = devnet.drand.as_ref().ok_or_eyre("the network has no drand chain")?;
    let BeaconKind::Drand(chain) = &devnet.deployment.parameters.beacon else { panic!("not in the deployment file") };
    assert_eq!(chain.schedule, drand.schedule());

    let net = Net { provider: devnet.chain.provider().clone(), beacon: devnet.deployment.beacon };
    let time = net.latest_time().await?;
    assert_eq!(net.next_round().await?, drand.schedule().next_round(time), "both languages name the same round");

    // Two agreements that share a round, and one whose round somebody else records.
    let shared = net.next_round().await?;
    let other = shared + 2 * u64::from(drand.schedule().stride_rounds);
    net.provider.anvil_set_code(devnet.deployment.dispatcher, speaker(4)).await?;
    for (n, round) in [(1, shared), (2, shared), (3, other)] {
        net.seal(devnet.deployment.dispatcher, Address::repeat_byte(n), round).await?;
    }
    let seed = net.wait_for_seed(shared).await?;
    assert_eq!(seed, drand.sign(shared).seed(), "both languages have the same seed");

    // The keeper gives others a grace of some seconds, so this comes before the relay.
    net.wait_until(drand.schedule().time_of(other)).await?;
    let proof = drand.sign(other);
    let call = IBeacon::recordCall { round: U48::from(other), proof: proof.proof() };
    let receipt = net.send(net.beacon, call.abi_encode().into()).await?;
    println!("record: {} gas", receipt.gas_used);
    assert!(receipt.gas_used < MAX_GAS, "{} gas", receipt.gas_used);
    assert_eq!(net.wait_for_seed(other).await?, proof.seed());

    let metrics = format!("{}metrics", devnet.oracle_url());
    let counted = async {
        loop {
            let text = reqwest::get(&metrics).await?.text().await?;
            let is = |line: &str| text.contains(&format!("\nsunwork_oracle_beacon_relay_{line}\n"));
            if is("recorded_total 1") && is("known_total 1") && is("failed_total 0") {
                return eyre::Ok(());
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(LIMIT, counted).await.wrap_err("one recorded, one known")??;

    // One recording each, the first by the keeper's account.
    let filter = Filter::new().address(net.beacon).event_signature(IBeacon::SeedRecorded::SIGNATURE_HASH).from_block(0);
    let logs = net.provider.get_logs(&filter).await?;
    assert_eq!(logs.len(), 2, "{logs:?}");
    let hash = logs[0].transaction_hash.ok_or_eyre("a log without transaction")?;
    let receipt = net.provider.get_transaction_receipt(hash).await?.ok_or_eyre("no receipt")?;
    assert_eq!(receipt.from, accounts::KEEPER.address);
    assert!(receipt.gas_used < MAX_GAS, "{} gas", receipt.gas_used);

    // A signature of another round, and one of the future.
    let wrong = IBeacon::recordCall { round: U48::from(shared - 1), proof: proof.proof() };
    let error = net.send(net.beacon, wrong.abi_encode().into()).await.unwrap_err().to_string();
    assert!(error.contains("revert"), "{error}");
    let future = other + 1_000_000;
    let early = reqwest::get(format!("{}public/{future}", drand.url())).await?;
    assert_eq!(early.status().as_u16(), 404);
    devnet.stop().await
}

struct Net {
    provider: DynProvider,
    beacon: Address,
}

impl Net {
    async fn latest_time(&self) -> eyre::Result<u64> {
        let block = self.provider.get_block(alloy::eips::BlockId::latest()).await?.ok_or_eyre("no block")?;
        Ok(block.header.inner.timestamp)
    }

    async fn wait_until(&self, time: u64) -> eyre::Result<()> {
        let reached = async {
            while self.latest_time().await? < time {
                sleep(Duration::from_millis(100)).await;
            }
            eyre::Ok(())
        };
        timeout(LIMIT, reached).await.wrap_err("waiting for the chain's time")?
    }

    async fn next_round(&self) -> eyre::Result<u64> {
        // Of the newest block, not of the one that the node would make now.
        let contract = IBeacon::new(self.beacon, &self.provider);
        Ok(contract.nextRound().call().block(alloy::eips::BlockId::latest()).await?.to())
    }

    async fn wait_for_seed(&self, round: u64) -> eyre::Result<B256> {
        let recorded = async {
            loop {
                let contract = IBeacon::new(self.beacon, &self.provider);
                let seed = contract.seedOf(U48::from(round)).call().await?;
                if seed != B256::ZERO {
                    return eyre::Ok(seed);
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(LIMIT, recorded).await.wrap_err_with(|| format!("waiting for round {round}"))?
    }

    async fn send(&self, to: Address, input: Bytes) -> eyre::Result<alloy::rpc::types::TransactionReceipt> {
        let from = accounts::CLIENT_2.address;
        let request = TransactionRequest::default().with_from(from).with_to(to).with_input(input);
        let sent = self.provider.send_transaction(request).await?;
        Ok(sent.with_timeout(Some(LIMIT)).get_receipt().await?)
    }

    /// Has `speaker` say it.
    async fn say(&self, speaker: Address, log: LogData) -> eyre::Result<()> {
        let mut input: Vec<u8> = log.topics().iter().flat_map(|topic| topic.0).collect();
        input.extend(&log.data);
        assert!(self.send(speaker, input.into()).await?.status());
        Ok(())
    }

    /// An agreement that was bought and waits for `round`, as far as its events tell.
    async fn seal(&self, dispatcher: Address, agreement: Address, round: u64) -> eyre::Result<()> {
        let bought = IWorkerDispatcher::AgreementBought {
            agreement,
            client: accounts::CLIENT.address,
            classId: 0,
            kindId: 0,
            budget: Default::default(),
            terms: Bytes::new(),
            spec: Bytes::new(),
        };
        self.say(dispatcher, bought.encode_log_data()).await?;
        self.provider.anvil_set_code(agreement, speaker(2)).await?;
        let sealed = IComputeAgreement::Sealed {
            worker: Address::ZERO,
            attempt: 0,
            seal: B256::ZERO,
            ciphertextRoot: B256::ZERO,
            resultBlob: B256::ZERO,
            round: U48::from(round),
            location: Bytes::new(),
        };
        self.say(agreement, sealed.encode_log_data()).await?;
        let deadline = U40::from(self.latest_time().await? + 1000);
        let status = Status::Sealed as u8;
        let changed = IComputeAgreement::StatusChanged { status, attempt: 0, deadline };
        self.say(agreement, changed.encode_log_data()).await
    }
}

/// Code that emits what it is called with: `topics` words of topics, then the data.
fn speaker(topics: u8) -> Bytes {
    let skip = topics * 32;
    // size = calldatasize - skip; calldatacopy(0, skip, size)
    let mut code = vec![0x60, skip, 0x36, 0x03, 0x80, 0x60, skip, 0x60, 0, 0x37];
    for topic in (0..topics).rev() {
        code.extend([0x60, topic * 32, 0x35]);
    }
    // log(0, size, topics…)
    code.extend([0x80 + topics, 0x60, 0, 0xa0 + topics, 0x00]);
    code.into()
}
