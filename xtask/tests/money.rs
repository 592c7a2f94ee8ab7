//! Money never surprises, with the real contracts: a purchase that a killed process left is found and not made twice, the
//! allowance is exactly what is needed, and what is missing is said before anything is sent.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, U256, address, aliases::U48},
    providers::{Provider, ext::AnvilApi},
    signers::local::PrivateKeySigner,
};
use sunwork_client::{
    Agreement, BuyError, Client, ClientConfig, ErrorClass, JobBuilder, Payment, Plan, Problem, TxLogPlace,
};
use sunwork_client::{Classified, class};
use sunwork_edge::{
    Deployment,
    tx::{PendingState, TxError},
};
use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};
use tempfile::TempDir;
use xtask::{
    accounts::{self, DevAccount},
    apps,
    chain::{Chain, free_port},
    devnet::{Options, SUN},
    foundry, paths,
};

/// For what must happen at some time on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);
/// Registered with stake, so that a purchase is accepted by the contracts; they do no work.
const WORKERS: [Address; 8] = [
    address!("1000000000000000000000000000000000000001"),
    address!("1000000000000000000000000000000000000002"),
    address!("1000000000000000000000000000000000000003"),
    address!("1000000000000000000000000000000000000004"),
    address!("1000000000000000000000000000000000000005"),
    address!("1000000000000000000000000000000000000006"),
    address!("1000000000000000000000000000000000000007"),
    address!("1000000000000000000000000000000000000008"),
];

/// A chain with the contracts and a class of idle workers; no oracle and no daemon.
struct Market {
    chain: Chain,
    deployment: Deployment,
    file: PathBuf,
    dir: TempDir,
    _scratch: TempDir,
}

impl Market {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::start(free_port().unwrap(), dir.path()).await.unwrap();
        // The deploy script may write nowhere else.
        let below = paths::root().join("deployments/tmp");
        fs::create_dir_all(&below).unwrap();
        let scratch = tempfile::tempdir_in(below).unwrap();
        let params = Options::for_tests().unwrap().params;
        fs::write(scratch.path().join("params.json"), params.to_string()).unwrap();
        let file = foundry::deploy(chain.url().as_str(), accounts::DEPLOYER.address, scratch.path()).await.unwrap();
        let deployment = Deployment::load(&file).unwrap();
        let market = Self { chain, deployment, file, dir, _scratch: scratch };
        market.give(accounts::CLIENT.address, 1000 * SUN).await;
        market.register_workers().await;
        market
    }

    async fn give(&self, to: Address, amount: u128) {
        let call = SunToken::transferCall { to, amount: U256::from(amount) };
        self.chain.send(accounts::DEPLOYER.address, self.deployment.token, call).await.unwrap();
    }

    async fn register_workers(&self) {
        let (dispatcher, token) = (self.deployment.dispatcher, self.deployment.token);
        let class = self.deployment.class_id(apps::class(xtask::devnet::Runtime::Docker)).unwrap();
        let code = self.chain.provider().get_code_at(self.deployment.compute_implementation).await.unwrap();
        let kind = alloy::primitives::keccak256(&code);
        for worker in WORKERS {
            self.chain.fund(worker).await.unwrap();
            self.chain.provider().anvil_impersonate_account(worker).await.unwrap();
            self.give(worker, 2500 * SUN).await;
            let register = IWorkerDispatcher::registerWorkerCall {
                payout: worker,
                classes: U48::from(1_u64 << class),
                kindHashes: vec![kind],
                encryptionKey: B256::repeat_byte(9),
                transportKey: B256::ZERO,
            };
            self.chain.send(worker, dispatcher, register).await.unwrap();
            let amount = U256::from(2500 * SUN);
            let approve = SunToken::approveCall { spender: dispatcher, amount };
            self.chain.send(worker, token, approve).await.unwrap();
            self.chain.send(worker, dispatcher, IWorkerDispatcher::stakeCall { amount }).await.unwrap();
        }
        // Stake counts from the next epoch on.
        self.chain.provider().anvil_increase_time(10).await.unwrap();
        self.chain.provider().anvil_mine(Some(1), None).await.unwrap();
    }

    fn tx_dir(&self) -> PathBuf {
        self.dir.path().join("tx")
    }

    async fn client_of(&self, signer: PrivateKeySigner) -> Client {
        Client::connect(config(&self.deployment, self.chain.url().as_str(), &self.tx_dir()), Some(signer))
            .await
            .unwrap()
    }

    async fn client(&self, account: DevAccount) -> Client {
        self.client_of(account.signer().unwrap()).await
    }

    async fn agreements(&self, client: Address) -> usize {
        let dispatcher = IWorkerDispatcher::new(self.deployment.dispatcher, self.chain.provider().clone());
        dispatcher.AgreementBought_filter().topic2(client).from_block(0).query().await.unwrap().len()
    }

    async fn mining(&self, on: bool) {
        self.chain.provider().anvil_set_auto_mine(on).await.unwrap();
    }

    async fn allowance(&self, owner: Address) -> u128 {
        let token = SunToken::new(self.deployment.token, self.chain.provider().clone());
        token.allowance(owner, self.deployment.dispatcher).call().await.unwrap().to()
    }
}

fn config(deployment: &Deployment, rpc: &str, tx_dir: &Path) -> ClientConfig {
    ClientConfig {
        rpc_urls: vec![rpc.parse().unwrap()],
        oracle_urls: Vec::new(),
        tx_log: TxLogPlace::Folder(tx_dir.to_owned()),
        ..ClientConfig::new(deployment.clone())
    }
}

async fn plan(client: &Client, argument: &str) -> Plan {
    let platform = apps::class(xtask::devnet::Runtime::Docker).split('+').next().unwrap();
    let job = JobBuilder::new(format!("sha256:{}", "ab".repeat(32)))
        .platform(platform)
        .args([argument])
        .leaves(2)
        .public(true)
        .reward(SUN / 2, SUN)
        .verifier_fee(SUN / 10)
        .build()
        .unwrap();
    client.plan(&job).await.unwrap()
}

// --- a process that is killed --------------------------------------------------------------------------------------------

/// Not a test of its own: what [`Buyer`] runs. It buys and says so.
#[tokio::test(flavor = "multi_thread")]
async fn buying_process() {
    let variable = |name: &str| std::env::var(name);
    let (Ok(rpc), Ok(file), Ok(dir)) = (variable("MONEY_RPC"), variable("MONEY_DEPLOYMENT"), variable("MONEY_DIR"))
    else {
        return;
    };
    let deployment = Deployment::load(file).unwrap();
    let signer = accounts::CLIENT.signer().unwrap();
    let client = Client::connect(config(&deployment, &rpc, dir.as_ref()), Some(signer)).await.unwrap();
    let plan = plan(&client, "killed").await;
    let agreement = client.buy(&plan, Payment::Permit).await.unwrap();
    println!("\nbought:{}", agreement.address);
    std::io::stdout().flush().unwrap();
}

struct Buyer {
    child: Child,
    bought: Receiver<String>,
}

impl Buyer {
    fn start(market: &Market) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["buying_process", "--exact", "--nocapture"])
            .env("MONEY_RPC", market.chain.url().as_str())
            .env("MONEY_DEPLOYMENT", &market.file)
            .env("MONEY_DIR", market.tx_dir());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (bought_in, bought) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(address) = line.strip_prefix("bought:") {
                    let _ = bought_in.send(address.to_owned());
                }
            }
        });
        Self { child, bought }
    }
}

impl Drop for Buyer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until the purchase is in the node's pool.
async fn until_waiting(market: &Market, client: &Client) {
    let account = client.address().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = client.pending(account).await.unwrap();
        if open.iter().any(|tx| tx.label == "buyContract" && tx.state == PendingState::Waiting) {
            return;
        }
        assert!(Instant::now() < deadline, "nothing waits: {open:?}; {} bought", market.agreements(account).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_of_a_killed_process_is_found_and_not_bought_twice() {
    let market = Market::start().await;
    let client = market.client(accounts::CLIENT).await;
    let account = accounts::CLIENT.address;
    let mine = plan(&client, "killed").await;

    // Killed between sent and mined.
    market.mining(false).await;
    let mut buyer = Buyer::start(&market);
    until_waiting(&market, &client).await;
    buyer.child.kill().unwrap();
    buyer.child.wait().unwrap();
    assert_eq!(market.agreements(account).await, 0);
    market.mining(true).await;
    market.chain.provider().anvil_mine(Some(1), None).await.unwrap();

    let found = client.buy(&mine, Payment::Permit).await.unwrap();
    assert!(found.resumed);
    assert_eq!(market.agreements(account).await, 1, "found, not bought twice");
    assert!(buyer.bought.try_recv().is_err(), "the killed one told nobody");

    // Told is told: who buys the same again means it.
    let again = client.buy(&mine, Payment::Permit).await.unwrap();
    assert!(!again.resumed && again.address != found.address);
    assert_eq!(market.agreements(account).await, 2);
    assert_eq!(client.unfinished_purchase(client.intent_of(&mine).unwrap()).await.unwrap(), None);

    // Unless a key of one's own says that it is the same.
    let key = B256::repeat_byte(5);
    let once = client.buy_once(&mine, Payment::Permit, key).await.unwrap();
    let other_run = market.client(accounts::CLIENT).await;
    let twice = other_run.buy_once(&mine, Payment::Permit, key).await.unwrap();
    assert_eq!(twice, Agreement { resumed: true, ..once });
    assert_eq!(market.agreements(account).await, 3);
    let document = serde_json::to_value(twice).unwrap();
    assert_eq!(document["resumed"], true, "{document}");

    // Another process, to its end: told there, so nothing is left to find here.
    let mut buyer = Buyer::start(&market);
    let address: Address = buyer.bought.recv_timeout(PATIENCE).unwrap().parse().unwrap();
    assert!(buyer.child.wait().unwrap().success());
    assert_eq!(market.agreements(account).await, 4);
    let next = client.buy(&mine, Payment::Permit).await.unwrap();
    assert!(!next.resumed && next.address != address);
    assert!(client.pending(account).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_purchases_of_one_plan_at_once_are_two() {
    let market = Market::start().await;
    let (one, two) = (market.client(accounts::CLIENT).await, market.client(accounts::CLIENT).await);
    let plan = plan(&one, "twice").await;
    let (a, b, c) = tokio::join!(
        one.buy(&plan, Payment::Permit),
        one.buy(&plan, Payment::ApproveAndCall),
        two.buy(&plan, Payment::Permit)
    );
    let bought = [a.unwrap(), b.unwrap(), c.unwrap()];
    assert!(bought.iter().all(|agreement| !agreement.resumed), "{bought:?}");
    assert_eq!(market.agreements(accounts::CLIENT.address).await, 3);
}

// --- what is missing -----------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_before_anything_is_sent_and_the_allowance_is_exact() {
    let market = Market::start().await;
    let client = market.client(accounts::CLIENT).await;
    let account = accounts::CLIENT.address;
    let mine = plan(&client, "money").await;
    let budget = client.preflight(&mine, account).await.unwrap().budget;
    let sent = || async { market.chain.provider().get_transaction_count(account).await.unwrap() };
    let before = sent().await;

    // No allowance, and then one that is too small by one.
    for have in [0, budget - 1] {
        if have > 0 {
            client.approve(have).await.unwrap();
            assert_eq!(market.allowance(account).await, have, "exactly what was asked for");
        }
        let error = client.buy(&mine, Payment::Allowance).await.unwrap_err();
        let BuyError::Refused { problems, sentences } = &error else { panic!("{error}") };
        assert_eq!(problems, &[Problem::Allowance { have, need: budget }]);
        assert!(sentences[0].contains("wallet approve"), "{sentences:?}");
        assert_eq!(error.class(), ErrorClass::Stop);
    }
    assert_eq!(sent().await, before + 1, "but for the approval nothing was sent");
    client.approve(budget).await.unwrap();
    client.buy(&mine, Payment::Allowance).await.unwrap();
    assert_eq!(market.allowance(account).await, 0, "nothing is left of it");
    for payment in [Payment::Permit, Payment::ApproveAndCall] {
        client.buy(&mine, payment).await.unwrap();
        assert_eq!(market.allowance(account).await, 0, "{payment:?} allows the budget and nothing more");
    }

    // No ether: not even asked whether to sign.
    let poor = PrivateKeySigner::random();
    market.give(poor.address(), 100 * SUN).await;
    let client = market.client_of(poor.clone()).await;
    let error = client.buy(&mine, Payment::Permit).await.unwrap_err();
    let BuyError::Refused { problems, .. } = &error else { panic!("{error}") };
    assert!(problems.contains(&Problem::NoGas { account: poor.address() }), "{problems:?}");
    // A little, but less than the gas may cost.
    market.chain.provider().anvil_set_balance(poor.address(), U256::from(1_000_000)).await.unwrap();
    let error = client.buy(&mine, Payment::Permit).await.unwrap_err();
    let BuyError::Tx(TxError::InsufficientFunds { have_wei, need_wei, .. }) = &error else { panic!("{error}") };
    assert!(*have_wei == U256::from(1_000_000) && need_wei > have_wei, "{error}");
    assert_eq!(error.class(), class::ErrorClass::Stop);
    assert!(!error.to_string().contains("code"), "not the node's own words: {error}");
    assert_eq!(market.chain.provider().get_transaction_count(poor.address()).await.unwrap(), 0);

    // No tokens.
    let client = market.client(accounts::STRANGER).await;
    let error = client.buy(&mine, Payment::Permit).await.unwrap_err();
    let BuyError::Refused { problems, .. } = &error else { panic!("{error}") };
    assert!(problems.contains(&Problem::Balance { have: 0, need: budget }), "{problems:?}");

    // Gas dearer than allowed.
    let mut dear = config(&market.deployment, market.chain.url().as_str(), &market.tx_dir());
    dear.fees.max_tx_cost_wei = Some(1_000);
    let client = Client::connect(dear, Some(accounts::CLIENT.signer().unwrap())).await.unwrap();
    let before = sent().await;
    let error = client.buy(&mine, Payment::Permit).await.unwrap_err();
    assert!(matches!(error, BuyError::Tx(TxError::FeeAboveCap { max_tx_cost_wei: Some(1_000), .. })), "{error}");
    assert_eq!((sent().await, error.class()), (before, ErrorClass::Retry));
}

// --- keys of accounts ----------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn encryption_keys_and_key_agents_are_set_read_and_withdrawn() {
    let market = Market::start().await;
    let client = market.client(accounts::CLIENT).await;
    let (account, agent, key) = (accounts::CLIENT.address, accounts::KEEPER.address, B256::repeat_byte(3));
    assert_eq!(client.encryption_key_of(account).await.unwrap(), None);
    assert_eq!(client.key_agent_of(account).await.unwrap(), None);
    client.set_encryption_key(key).await.unwrap();
    client.set_key_agent(agent).await.unwrap();
    assert_eq!(client.encryption_key_of(account).await.unwrap(), Some(key));
    assert_eq!(client.encryption_key_of(WORKERS[0]).await.unwrap(), Some(B256::repeat_byte(9)));
    assert_eq!(client.key_agent_of(account).await.unwrap(), Some(agent));
    client.set_key_agent(Address::ZERO).await.unwrap();
    client.set_encryption_key(B256::ZERO).await.unwrap();
    assert_eq!(client.key_agent_of(account).await.unwrap(), None);
    assert_eq!(client.encryption_key_of(account).await.unwrap(), None);

    // Nobody waits for the key of an agreement that nobody accepted.
    let bought = client.buy(&plan(&client, "key").await, Payment::Permit).await.unwrap();
    let error = client.post_key(bought.address, WORKERS[0], vec![1; 81].into()).await.unwrap_err();
    assert!(matches!(&error, BuyError::Tx(TxError::Reverted { hash: None, .. })), "{error}");
    assert_eq!(error.class(), ErrorClass::Resync);
}
