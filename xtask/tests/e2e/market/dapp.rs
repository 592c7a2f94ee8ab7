//! `contracts/dapp/examples`: a contract asks on chain how many primes there are, and is handed the answer.

use std::path::Path;

use alloy::{
    network::TransactionBuilder as _,
    primitives::{Address, Bytes, U256},
    providers::Provider as _,
    rpc::types::TransactionRequest,
    sol,
    sol_types::{SolEvent as _, SolValue as _},
};
use eyre::{OptionExt as _, WrapErr as _, ensure};
use sunwork_protocol::{abi::SunToken, status::Status, terms::FLAG_CALLBACK};
use xtask::{accounts, devnet::SUN, foundry};

use crate::{
    cli::{json, sunwork},
    support::{Net, small_bag},
};

sol! {
    #[sol(rpc)]
    contract QuestionDapp {
        function ask(uint64 limit) external returns (address question);
        function price() external view returns (uint256);
        event Asked(address indexed question, address indexed asker, address indexed agreement, uint64 limit);
    }

    #[sol(rpc)]
    contract PrimeQuestion {
        function answer() external view returns (uint64);
        function phase() external view returns (uint8);
    }
}

const LIMIT: u64 = 100_000;
const PRIMES_BELOW_LIMIT: u64 = 9_592;
/// Too little for the workers; a third party adds what is missing.
const REWARD: u128 = 50 * SUN;
const ADDED: u128 = 20 * SUN;
const FEE: u128 = 5 * SUN;
const TIP: u128 = 10_000_000;
/// Bytes of terms before the address and gas that the dapp itself appends.
const TERMS_BYTES: usize = 60;
const ASKER: accounts::DevAccount = accounts::CLIENT_2;

pub struct Question {
    pub agreement: Address,
    contract: Address,
}

/// Deploys the dapp, for an app that the client has uploaded, and asks it.
pub async fn ask(net: &Net) -> eyre::Result<Question> {
    let image = net.image("primes").await?;
    let job = small_bag(&image).args([""; 0]).leaves(1).samples(1).reward(REWARD, REWARD).public(true);
    let plan = net.client.prepare(&job.build()?).await?;
    let mut terms = plan.terms.clone();
    (terms.flags, terms.callback, terms.callback_gas) = (terms.flags | FLAG_CALLBACK, Address::repeat_byte(1), 100_000);
    let terms = Bytes::copy_from_slice(&terms.pack()?[..TERMS_BYTES]);

    let out = foundry::compile("contracts/dapp/examples/QuestionDapp.sol").await?;
    let artifact =
        std::fs::read(out.join("QuestionDapp.sol/QuestionDapp.json")).wrap_err("reading the dapp's artifact")?;
    let artifact: serde_json::Value = serde_json::from_slice(&artifact)?;
    let code: Bytes = artifact["bytecode"]["object"].as_str().ok_or_eyre("no bytecode")?.parse()?;
    let deployment = &net.devnet.deployment;
    let provider = net.devnet.chain.provider();
    let init = [code.as_ref(), &constructor(deployment.dispatcher, &terms, &plan.spec.encode())].concat();
    let request = TransactionRequest::default().with_from(ASKER.address).with_deploy_code(init);
    let receipt = provider.send_transaction(request).await?.get_receipt().await?;
    ensure!(receipt.status(), "the dapp was not deployed: {receipt:?}");
    let dapp = receipt.contract_address.ok_or_eyre("no address of the dapp")?;

    let price = QuestionDapp::new(dapp, provider).price().call().await?;
    assert_eq!(price, U256::from(REWARD + 2 * FEE + TIP), "all that a question can cost");
    net.devnet
        .chain
        .send(ASKER.address, deployment.token, SunToken::approveCall { spender: dapp, amount: price })
        .await?;
    net.devnet.chain.send(ASKER.address, dapp, QuestionDapp::askCall { limit: LIMIT }).await?;
    let filter = alloy::rpc::types::Filter::new()
        .address(dapp)
        .event_signature(QuestionDapp::Asked::SIGNATURE_HASH)
        .from_block(0);
    let logs = provider.get_logs(&filter).await?;
    let asked = QuestionDapp::Asked::decode_log(&logs.first().ok_or_eyre("nothing was asked")?.inner)?;
    Ok(Question { agreement: asked.agreement, contract: asked.question })
}

/// `abi.encode(dispatcher, kindId, terms, spec)`; `spec` comes encoded as one argument, an offset of one word before it.
fn constructor(dispatcher: Address, terms: &[u8], spec: &[u8]) -> Vec<u8> {
    let terms_words = 1 + terms.len().div_ceil(32);
    let word = |n: usize| U256::from(n).to_be_bytes::<32>();
    let mut out = [dispatcher.abi_encode(), word(0).to_vec(), word(4 * 32).to_vec()].concat();
    out.extend(word((4 + terms_words) * 32));
    out.extend(word(terms.len()));
    out.extend(terms);
    out.resize((4 + terms_words) * 32, 0);
    out.extend(&spec[32..]);
    out
}

/// The client adds to the reward of the dapp's question, which nobody has taken for so little.
pub async fn add_to_the_reward(net: &Net, home: &Path, question: &Question) -> eyre::Result<()> {
    assert_eq!(net.status(question.agreement).await?, Status::Open, "too cheap for everybody\n{}", net.logs());
    let id = question.agreement.to_string();
    let added = json(sunwork(net, home, &["add", &id, "20", "--yes"])?, 0).await?;
    ensure!(added["added"] == ADDED.to_string() && added["reward"] == (REWARD + ADDED).to_string(), "{added:#}");
    Ok(())
}

/// Delivers the answer as a stranger to the dapp, and looks where the money went.
pub async fn expect_answer(net: &Net, home: &Path, question: &Question) -> eyre::Result<()> {
    let (id, provider) = (question.agreement.to_string(), net.devnet.chain.provider());
    let contract = PrimeQuestion::new(question.contract, provider);
    assert_eq!(contract.phase().call().await?, 2, "verified, and not delivered");
    let delivered = json(sunwork(net, home, &["deliver", &id, "--out", "answer"])?, 0).await?;
    ensure!(delivered["delivered"] == true, "{delivered:#}");
    assert_eq!((contract.phase().call().await?, contract.answer().call().await?), (3, PRIMES_BELOW_LIMIT));
    let again = json(sunwork(net, home, &["deliver", &id, "--out", "answer"])?, 1).await?;
    ensure!(again["error"]["message"].as_str().is_some_and(|text| text.contains("was delivered before")), "{again:#}");

    let settlement = net.client.settlement(question.agreement).await?;
    let view = net.view(question.agreement).await?;
    let paid = |who: Address| settlement.paid.get(&who).copied().unwrap_or_default();
    assert_eq!(settlement.client, question.contract);
    assert_eq!(settlement.funded.get(&accounts::CLIENT.address), Some(&ADDED), "{settlement:?}");
    ensure!([REWARD + ADDED, REWARD + ADDED + TIP].contains(&paid(view.worker)), "{settlement:?}");
    for slot in &view.slots {
        ensure!([FEE, FEE + TIP].contains(&paid(slot.verifier)), "{settlement:?}");
    }
    ensure!(settlement.adds_up() && settlement.held == 0 && settlement.burned == 0, "{settlement:?}");
    // All was earned, so nothing of the addition comes back, and asking for it once more is refused.
    let back = json(sunwork(net, home, &["add", &id, "--refund"])?, 0).await?;
    ensure!(back["refunded"] == "0" && back["added"] == ADDED.to_string(), "{back:#}");
    let again = json(sunwork(net, home, &["add", &id, "--refund"])?, 1).await?;
    ensure!(again["error"]["message"].as_str().is_some_and(|text| text.contains("has added nothing")), "{again:#}");
    Ok(())
}
