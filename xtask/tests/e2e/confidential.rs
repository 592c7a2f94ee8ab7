//! Confidential work with real processes: who reads what and when (docs/CONFIDENTIAL.md), key agents, and what happens when keys do
//! not come.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes},
    providers::Provider,
    rpc::types::Filter,
    sol_types::{SolCall, SolEvent},
};
use eyre::{WrapErr, bail, ensure, eyre};
use sunwork_client::{Client, JobBuilder, Payment, job::Windows};
use sunwork_edge::keystore;
use sunwork_protocol::{
    abi::{IComputeAgreement, IWorkerDispatcher::AgreementBought},
    bundle::{self, Index},
    envelope::{self, Context, Purpose, SecretKey},
    leaf::{FileEntry, LeafRecord, tree_hash},
    mail::{Message, TOPIC_AGENT, TOPIC_KEY, TOPIC_LOGS},
    private_job::PrivateJob,
    session::SessionKey,
    status::{Ending, Status},
    terms::ComputeSpec,
};
use xtask::{accounts, apps::Image, devnet::Options};

use crate::support::{Net, expect, hostile};

/// What must not be read by whom it is not for.
const SECRET_ARG: &str = "blue-whale-argument";
const SECRET_NAME: &str = "green-heron-name.txt";
const SECRET_INPUT: &str = "red-fox-content";
const LEAVES: u32 = 4;
const LIMIT: Duration = Duration::from_secs(150);

/// Moments of an agreement's life; a word of the table means "from then on".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// A worker accepted, no key is posted.
    Keying,
    /// The worker sealed; verifiers are being drawn.
    Drawing,
    /// Settled.
    Ended,
}

/// Somebody with what it holds besides what everybody can get.
struct Party {
    column: &'static str,
    message_keys: Vec<SecretKey>,
    session_keys: Vec<SessionKey>,
    /// Of its own seal, before anybody else knows it.
    salt: Option<B256>,
    /// Its data folder, where it computed.
    folder: Option<PathBuf>,
}

/// Everything that is public at one stage, and what oracles hold.
struct Material {
    agreement: Address,
    attempt: u8,
    chain_id: u64,
    spec: Option<ComputeSpec>,
    posted_keys: Vec<Bytes>,
    mail: Vec<Message>,
    blobs: BTreeMap<B256, Vec<u8>>,
    revealed: Option<(B256, Vec<(u32, B256)>)>,
    result_blob: Option<B256>,
    /// All bytes of transactions, logs, and of the oracle's folder.
    bytes: Vec<u8>,
}

impl Material {
    async fn gather(net: &Net, agreement: Address) -> eyre::Result<Self> {
        let provider = net.client.rpc().provider();
        let head = provider.get_block_number().await?;
        let mut bytes = Vec::new();
        for number in 0..=head {
            let block =
                provider.get_block_by_number(number.into()).full().await?.ok_or_else(|| eyre!("block {number}"))?;
            for tx in block.transactions.txns() {
                bytes.extend_from_slice(alloy::consensus::Transaction::input(tx));
            }
        }
        let logs = provider.get_logs(&Filter::new().from_block(0)).await?;
        logs.iter().for_each(|log| bytes.extend_from_slice(&log.data().data));
        let of = |log: &&alloy::rpc::types::Log| log.address() == agreement;
        let decoded = logs.iter().filter(of);
        let posted_keys = decoded
            .clone()
            .filter_map(|log| IComputeAgreement::KeyPosted::decode_log(&log.inner).ok())
            .map(|event| event.data.sealedKey)
            .collect();
        let revealed = decoded
            .clone()
            .find_map(|log| IComputeAgreement::Revealed::decode_log(&log.inner).ok())
            .map(|event| (event.salt, event.leaves.iter().copied().zip(event.digests.iter().copied()).collect()));
        let result_blob = decoded
            .clone()
            .find_map(|log| IComputeAgreement::Sealed::decode_log(&log.inner).ok())
            .map(|event| event.resultBlob);
        let spec = logs
            .iter()
            .filter_map(|log| AgreementBought::decode_log(&log.inner).ok())
            .find(|event| event.agreement == agreement)
            .map(|event| ComputeSpec::decode(&event.spec))
            .transpose()?;
        let oracle = net.devnet.dir().join("oracle");
        let mut blobs = BTreeMap::new();
        for path in files(&oracle)? {
            let content = std::fs::read(&path).unwrap_or_default();
            blobs.insert(B256::from_slice(&<sha2::Sha256 as sha2::Digest>::digest(&content)), content.clone());
            bytes.extend(content);
        }
        let mail = mail_about(net, agreement).await?;
        let view = net.view(agreement).await?;
        let (attempt, chain_id) = (view.attempt, net.devnet.deployment.chain_id);
        Ok(Self { agreement, attempt, chain_id, spec, posted_keys, mail, blobs, revealed, result_blob, bytes })
    }

    fn spec(&self) -> &ComputeSpec {
        self.spec.as_ref().expect("the purchase is in the logs")
    }

    /// The session keys that `party` can come by: its own, that of public work, and every envelope it can open.
    fn session_keys(&self, party: &Party) -> Vec<SessionKey> {
        let mut keys = party.session_keys.clone();
        keys.push(SessionKey::PUBLIC);
        let bodies = self.posted_keys.iter().chain(self.mail.iter().map(|message| &message.body));
        for body in bodies {
            keys.extend(
                self.opened(party, body)
                    .into_iter()
                    .filter_map(|plain| Some(SessionKey::from_bytes(<[u8; 32]>::try_from(plain.as_slice()).ok()?))),
            );
        }
        keys
    }

    /// What `party` reads in an envelope, whatever it is for.
    fn opened(&self, party: &Party, envelope: &[u8]) -> Option<Vec<u8>> {
        let purposes = [Purpose::WorkerKey, Purpose::VerifierKey, Purpose::AgentKey, Purpose::Logs];
        party.message_keys.iter().find_map(|key| {
            purposes.iter().find_map(|purpose| {
                (0..=self.attempt).find_map(|attempt| {
                    let context =
                        Context { purpose: *purpose, chain_id: self.chain_id, agreement: self.agreement, attempt };
                    envelope::open(key, &context, envelope).ok()
                })
            })
        })
    }

    fn input(&self, party: &Party, index: u32) -> Option<Vec<u8>> {
        let sealed = self.blobs.get(&self.spec().inputs[index as usize].sha256)?;
        self.session_keys(party).iter().find_map(|key| {
            let mut plain = Vec::new();
            key.open_input(index, sealed.as_slice(), &mut plain).ok().map(|_| plain)
        })
    }

    /// How many leaves of the result `party` can decrypt from the blob.
    fn leaves(&self, party: &Party) -> u32 {
        let Some(blob) = self.result_blob.and_then(|name| self.blobs.get(&name)) else { return 0 };
        let salts = self.revealed.iter().map(|(salt, _)| *salt).chain(party.salt);
        let index = Index::parse(blob, LEAVES, blob.len() as u64).expect("the worker's blob is a bundle");
        let mut read = 0;
        for leaf in 0..LEAVES {
            let range = index.range(leaf).expect("every leaf has a body");
            let body = &blob[range.start as usize..range.end as usize];
            read += u32::from(salts.clone().any(|salt| {
                self.session_keys(party).iter().any(|key| {
                    let key = bundle::leaf_key(key.as_bytes(), &salt, self.agreement, self.attempt, leaf);
                    bundle::decrypt_leaf(&key, self.agreement, leaf, body)
                        .is_ok_and(|plain| contains(&plain, SECRET_INPUT.as_bytes()))
                })
            }));
        }
        read
    }

    /// Can `party`, who guesses what came out, see on chain that the guess is right?
    fn guesses(&self, party: &Party) -> bool {
        let Some((_, digests)) = &self.revealed else { return false };
        let mut right = digests.iter().map(|(leaf, digest)| {
            let truth = true_record(*leaf).digest();
            self.session_keys(party).iter().any(|key| key.blind(self.agreement, *leaf, truth) == *digest)
        });
        right.all(|right| right)
    }

    fn logs(&self, party: &Party) -> bool {
        let notes = self.mail.iter().filter(|message| message.topic == TOPIC_LOGS);
        notes.filter_map(|message| self.opened(party, &message.body)).any(|note| {
            let note: sunwork_protocol::logs::LogNote = serde_json::from_slice(&note).expect("a note");
            let blob = self.blobs.get(&note.blob).expect("the blob is at the oracle");
            let logs = sunwork_protocol::logs::Logs::open(note.key, self.agreement, self.attempt, blob).expect("opens");
            let leaf = logs.leaves.first().expect("leaf 0 printed something");
            leaf.head.iter().any(|chunk| contains(&chunk.bytes, SECRET_INPUT.as_bytes()))
        })
    }

    fn reads(&self, row: &str, party: &Party) -> bool {
        match row {
            "image, limits, prices, sizes, parties" => self.spec().memory_mib == 64,
            "arguments and input names" => self.input(party, 0).is_some_and(|job| {
                let job = PrivateJob::decode(&job).expect("a private job");
                job.args.contains(&SECRET_ARG.to_owned()) && job.inputs == [SECRET_NAME]
            }),
            "inputs" => self.input(party, 1).is_some_and(|input| input == SECRET_INPUT.as_bytes()),
            "result files" => self.leaves(party) > 0,
            "result files of all leaves" => self.leaves(party) == LEAVES,
            "which result a leaf digest stands for" => self.guesses(party),
            // The worker has them because it ran the app: they lie in its folder until it has sent them.
            "logs" => self.logs(party) || party.folder.as_deref().is_some_and(holds_log),
            other => panic!("docs/CONFIDENTIAL.md has a row {other:?} that this test does not try"),
        }
    }
}

/// The table's word for a cell: may it be read at `stage`?
fn allowed(word: &str, column: &str, stage: Stage) -> bool {
    match word {
        "purchase" => true,
        "key" => stage >= Stage::Drawing,
        // The worker computes before it seals, verifiers after they were drawn.
        "computed" if column == "worker" => stage >= Stage::Drawing,
        "computed" | "drawn" | "reveal" | "end" => stage >= Stage::Ended,
        "never" => false,
        other => panic!("docs/CONFIDENTIAL.md has the word {other:?} in its table, which this test does not know"),
    }
}

/// A row of the table: its name, and for each column the column's name and the word in the cell.
type Row = (String, Vec<(String, String)>);

fn table() -> eyre::Result<Vec<Row>> {
    let text = std::fs::read_to_string(xtask::paths::root().join("docs/CONFIDENTIAL.md"))?;
    let cells =
        |line: &str| -> Vec<String> { line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut lines = text.lines().skip_while(|line| !line.starts_with("| what | client |"));
    let header = cells(lines.next().ok_or_else(|| eyre!("the table is gone"))?);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    Ok(rows.map(|row| (row[0].clone(), header[1..].iter().cloned().zip(row[1..].iter().cloned()).collect())).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_what() -> eyre::Result<()> {
    // A second oracle's operator is not needed: this one is key agent and operator, and its two roles are tried apart.
    let mut net = Net::start(with_agent(Options::for_tests()?)).await?;
    let agent = name_agent(&net).await?;
    let image = net.image("hostile").await?;
    let (agreement, spec) = buy_secret(&net, &image).await?;
    // The agent has the key in its mailbox, but the test decides when a key is posted: it names another agent meanwhile.
    net.client.give_key_to_agent(agreement, &spec).await?;
    net.client.set_key_agent(accounts::STRANGER.address).await?;

    let mut tried = 0;
    for stage in [Stage::Keying, Stage::Drawing, Stage::Ended] {
        match stage {
            Stage::Keying => until(&net, agreement, |status| status == Status::Keying).await?,
            Stage::Drawing => {
                post_key(&net.client, agreement).await?;
                until(&net, agreement, |status| status >= Status::Drawing).await?;
            }
            Stage::Ended => {
                let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
                expect(ending, Ending::Verified)?;
                until_mailed(&net, agreement, TOPIC_LOGS).await?;
            }
        }
        let material = Material::gather(&net, agreement).await?;
        let now = net.status(agreement).await?;
        ensure!(stage != Stage::Drawing || now < Status::Revealing, "the network was too fast to be looked at: {now}");
        for secret in [SECRET_ARG, SECRET_NAME, SECRET_INPUT] {
            ensure!(!contains(&material.bytes, secret.as_bytes()), "{secret} is readable on chain or at the oracle");
        }
        let parties = parties(&net, agreement, &spec, agent).await?;
        for (row, cells) in table()? {
            for (column, word) in cells {
                let here: Vec<&Party> = parties.iter().filter(|party| party.column == column).collect();
                if row == "mail" {
                    for party in here {
                        tried += 1;
                        only_its_own_mail(&material, party, &word)?;
                    }
                    continue;
                }
                for party in here {
                    tried += 1;
                    let (may, can) = (allowed(&word, &column, stage), material.reads(&row, party));
                    // What the worker's folder held is deleted in the end; that is no promise of the table.
                    let gone = stage == Stage::Ended && row == "logs" && column == "worker";
                    ensure!(
                        may == can || gone,
                        "at {stage:?}: {column} / {row}: can read {can}, the table says {word}"
                    );
                }
            }
        }
    }
    eprintln!("{tried} cells of the table were tried");
    ensure!(tried >= 3 * 8 * 7, "some cells had nobody in them: {tried}");

    // The wallet alone opens the result, from another folder, with another client.
    let client = net.devnet.client(accounts::CLIENT).await?;
    let results = client.results(agreement, &net.files.path().join("results")).await?;
    let file = results.leaves[2].path.as_ref().ok_or_else(|| eyre!("leaf 2 failed"))?.join("echo.txt");
    assert_eq!(std::fs::read_to_string(file)?, true_text(2));
    let logs = client.app_logs(agreement).await?;
    assert_eq!(logs[0].logs.leaves.len(), LEAVES as usize);
    // Another wallet is told why not.
    let error = net.devnet.client(accounts::CLIENT_2).await?.results(agreement, net.files.path()).await.unwrap_err();
    assert!(error.to_string().contains("bought with another wallet"), "{error}");
    net.expect_settled_once(agreement).await?;
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

/// The client leaves right after the purchase; its key agent hands over the key.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_agent_the_client_may_leave() -> eyre::Result<()> {
    let mut net = Net::start(with_agent(Options::for_tests()?)).await?;
    let agent = name_agent(&net).await?;
    let image = net.image("hostile").await?;
    let (agreement, spec) = buy_secret(&net, &image).await?;
    assert_eq!(net.client.give_key_to_agent(agreement, &spec).await?, Some(agent));
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;
    let settlement = net.client.settlement(agreement).await?;
    let posted: Vec<Address> =
        settlement.transactions.iter().filter(|tx| tx.name == "postKey").map(|tx| tx.sender).collect();
    assert_eq!(posted, [agent], "the agent posted the key, and only it");
    net.client.results(agreement, &net.files.path().join("results")).await?;
    net.devnet.stop().await
}

/// The agent is gone and the client too: nobody at fault, all refunded.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_agent_that_is_gone_costs_nobody_anything() -> eyre::Result<()> {
    // No key agent runs in this network; the client names an account that nobody watches.
    let mut net = Net::start(Options::for_tests()?.param("/compute/keySecs", 6)).await?;
    net.client.set_key_agent(accounts::STRANGER.address).await?;
    let token = net.devnet.deployment.token;
    let before = net.devnet.chain.token_balance(token, accounts::CLIENT.address).await?;
    let image = net.image("hostile").await?;
    let (agreement, _) = buy_secret(&net, &image).await?;
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::NoKey)?;
    net.expect_stakes_whole(&[]).await?;
    net.client.withdraw().await?;
    assert_eq!(net.devnet.chain.token_balance(token, accounts::CLIENT.address).await?, before);
    net.devnet.stop().await
}

/// A client that posts a useless key gains nothing: the worker aborts, its fee is burned, and the next one gets the true key.
#[tokio::test(flavor = "multi_thread")]
async fn a_useless_key_makes_the_worker_abort_and_the_client_gains_nothing() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("hostile").await?;
    let (agreement, _) = buy_secret(&net, &image).await?;
    until(&net, agreement, |status| status == Status::Keying).await?;
    let first = net.view(agreement).await?.worker;
    let junk = IComputeAgreement::postKeyCall { worker: first, sealedKey: Bytes::from(vec![1; 81]) };
    net.client.transactions()?.send("postKey", agreement, junk.abi_encode().into()).await?;
    let keyed = net.client.keep_keyed(agreement);
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    drop(keyed);
    expect(ending, Ending::Verified)?;
    let settlement = net.client.settlement(agreement).await?;
    let fee = settlement.stakes.iter().find(|stake| stake.worker == first).map(|stake| stake.slashed);
    assert!(fee.is_some_and(|fee| fee > 0), "{:?}", settlement.stakes);
    assert_eq!(settlement.burned, fee.unwrap_or_default(), "all of the fee is burned");
    net.expect_stakes_whole(&[first]).await?;
    net.devnet.stop().await
}

/// A worker that hands the verifiers a wrong key gets them to decline without fault, and nothing for itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_rewraps_a_wrong_key_is_not_paid() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let hostile = HostileWorker::register(&net).await?;
    let image = net.image("hostile").await?;
    // The honest workers sleep while the hostile one accepts.
    net.devnet.workers.iter_mut().for_each(xtask::devnet::WorkerNode::stop);
    // A verifier without a good key waits for half of its window, so this one is short.
    let (agreement, _) = buy_secret_within(&net, &image, 12).await?;
    hostile.send(agreement, IComputeAgreement::acceptCall {}).await?;
    net.devnet.workers.iter_mut().try_for_each(|worker| worker.start(&[]))?;
    post_key(&net.client, agreement).await?;
    // It does not even compute: it seals anything and gives the verifiers a key that is not the one committed to.
    let blob = hostile.bundle(&net, agreement).await?;
    hostile.send(agreement, blob).await?;
    let wrong = SessionKey::from_bytes([7; 32]);
    let mut told = std::collections::BTreeSet::new();
    let deadline = Instant::now() + LIMIT;
    let ending = loop {
        let view = net.view(agreement).await?;
        let status = Status::from_u8(view.status as u8).ok_or_else(|| eyre!("unknown status"))?;
        if status.is_final() {
            break Ending::from_u8(view.ending as u8).ok_or_else(|| eyre!("unknown ending"))?;
        }
        ensure!(Instant::now() < deadline, "the agreement is still {status}\n{}", net.logs());
        for slot in view.slots.iter().filter(|_| status == Status::Verifying) {
            if told.insert(slot.verifier) {
                hostile.mail_key(&net, agreement, slot.verifier, &wrong).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    // Either all strikes are used up, or nobody is left who may verify.
    ensure!(matches!(ending, Ending::VerifiersGone | Ending::TooFewVerifiers), "ended as {ending}");
    let reasons: Vec<u16> = net
        .client
        .events(agreement, 0)
        .await?
        .iter()
        .filter_map(|seen| match seen.progress {
            sunwork_client::events::Progress::VerifierLeft { reason, slashed, .. } => {
                assert_eq!(slashed, 0, "declining is no fault");
                Some(reason)
            }
            _ => None,
        })
        .collect();
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| *reason == 7), "{reasons:?}");
    let settlement = net.client.settlement(agreement).await?;
    let refund = settlement.paid.get(&accounts::CLIENT.address).copied().unwrap_or_default();
    assert!(refund + 10_000_000 >= settlement.budget, "all but the tip of the draw comes back: {settlement:?}");
    assert_eq!(settlement.paid.get(&hostile.address()).copied().unwrap_or_default(), 0, "{:?}", settlement.paid);
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

/// A worker that tells no verifier the key would choose who verifies it, if the client did not tell them too.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_cannot_choose_its_verifiers_by_withholding_the_key() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?.param("/compute/revealSecs", 6)).await?;
    let hostile = HostileWorker::register(&net).await?;
    let image = net.image("hostile").await?;
    net.devnet.workers.iter_mut().for_each(xtask::devnet::WorkerNode::stop);
    let (agreement, _) = buy_secret(&net, &image).await?;
    hostile.send(agreement, IComputeAgreement::acceptCall {}).await?;
    net.devnet.workers.iter_mut().try_for_each(|worker| worker.start(&[]))?;
    let keyed = net.client.keep_keyed(agreement);
    until(&net, agreement, |status| status == Status::Working).await?;
    let blob = hostile.bundle(&net, agreement).await?;
    hostile.send(agreement, blob).await?;
    // It mails nothing. The verifiers seal all the same, and it cannot open a seal over results that it does not have.
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    drop(keyed);
    expect(ending, Ending::WorkerSilent)?;
    let settlement = net.client.settlement(agreement).await?;
    let slashed = settlement.stakes.iter().find(|stake| stake.worker == hostile.address()).map(|stake| stake.slashed);
    assert!(slashed.is_some_and(|slashed| slashed > 0), "{:?}", settlement.stakes);
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}

/// An account that is a registered worker and does what the test says.
struct HostileWorker {
    client: Client,
}

impl HostileWorker {
    async fn register(net: &Net) -> eyre::Result<Self> {
        use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};

        let client = net.devnet.client(accounts::CLIENT_2).await?;
        let deployment = &net.devnet.deployment;
        let class = deployment.class_id(xtask::apps::class()).ok_or_else(|| eyre!("no class for this machine"))?;
        let kind = client.dispatcher().kind(0).call().await?;
        let stake = alloy::primitives::U256::from(2500 * xtask::devnet::SUN);
        let register = IWorkerDispatcher::registerWorkerCall {
            payout: accounts::CLIENT_2.address,
            classes: alloy::primitives::aliases::U48::from(1_u64 << class),
            kindHashes: vec![kind.codeHash],
            encryptionKey: SecretKey::derive(&[3; 32]).public(),
            transportKey: B256::ZERO,
        };
        let approve = SunToken::approveCall { spender: deployment.dispatcher, amount: stake };
        let worker = Self { client };
        worker.send(deployment.dispatcher, register).await?;
        worker.send(deployment.token, approve).await?;
        worker.send(deployment.dispatcher, IWorkerDispatcher::stakeCall { amount: stake }).await?;
        // Classes and stake count from the next epoch on.
        let staked = net.client.dispatcher().epoch().call().await?;
        while net.client.dispatcher().epoch().call().await? <= staked {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(worker)
    }

    fn address(&self) -> Address {
        accounts::CLIENT_2.address
    }

    async fn send(&self, to: Address, call: impl SolCall) -> eyre::Result<()> {
        self.client.transactions()?.send("hostile", to, call.abi_encode().into()).await?;
        Ok(())
    }

    /// A well-formed bundle of nothing, stored at the oracle, and the seal over it.
    async fn bundle(&self, net: &Net, agreement: Address) -> eyre::Result<IComputeAgreement::sealResultCall> {
        let salt = B256::repeat_byte(5);
        let record = LeafRecord::app_failed(1);
        let bodies: Vec<Vec<u8>> = (0..LEAVES)
            .map(|leaf| {
                let key = bundle::leaf_key(&[7; 32], &salt, agreement, 0, leaf);
                bundle::encrypt_leaf(&key, agreement, leaf, &bundle::plaintext(&record, &[]))
            })
            .collect();
        let lengths: Vec<u64> = bodies.iter().map(|body| body.len() as u64).collect();
        let mut writer = bundle::BundleWriter::new(Vec::new(), &lengths)?;
        for body in &bodies {
            writer.append(&mut body.as_slice())?;
        }
        let path = net.files.path().join("hostile-bundle");
        std::fs::write(&path, writer.finish()?)?;
        let hashes: Vec<[u8; 32]> = bodies.iter().map(|body| bundle::body_hash(body)).collect();
        Ok(IComputeAgreement::sealResultCall {
            seal_: B256::repeat_byte(6),
            ciphertextRoot: bundle::ciphertext_root(&hashes),
            resultBlob: self.client.blobs().put_file(&path).await?,
        })
    }

    async fn mail_key(&self, net: &Net, agreement: Address, to: Address, key: &SessionKey) -> eyre::Result<()> {
        let recipient = net.client.dispatcher().encryptionKeyOf(to).call().await?;
        let chain_id = net.devnet.deployment.chain_id;
        let context = Context { purpose: Purpose::VerifierKey, chain_id, agreement, attempt: 0 };
        let body = envelope::seal_key(recipient, &context, key, [9; 32])?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis() as u64;
        let message = Message::new(agreement, recipient, TOPIC_KEY, now, body)?;
        let until = Instant::now() + Duration::from_secs(20);
        // The oracle learns of the draw a block later.
        while let Err(error) = self.client.mail().send(&accounts::CLIENT_2.signer()?, message.clone()).await {
            ensure!(Instant::now() < until, "the mailbox refuses the worker's mail: {error}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Ok(())
    }
}

fn with_agent(mut options: Options) -> Options {
    options.oracle_env.push(("SUNWORK_ORACLE_KEY_AGENT_CLIENTS".into(), "any".into()));
    options
}

/// Names the oracle's key agent and waits until it has published its key.
async fn name_agent(net: &Net) -> eyre::Result<Address> {
    let agent = accounts::KEEPER.address;
    let until = Instant::now() + Duration::from_secs(30);
    while net.client.dispatcher().encryptionKeyOf(agent).call().await?.is_zero() {
        ensure!(Instant::now() < until, "the oracle published no key as key agent");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    net.client.set_key_agent(agent).await?;
    Ok(agent)
}

/// Buys a bag whose app gives back all that it was given, without handing out its key.
async fn buy_secret(net: &Net, image: &Image) -> eyre::Result<(Address, ComputeSpec)> {
    buy_secret_within(net, image, 60).await
}

/// The same with another window for the verifiers, seconds.
async fn buy_secret_within(net: &Net, image: &Image, verify_secs: u32) -> eyre::Result<(Address, ComputeSpec)> {
    let input = net.files.path().join(SECRET_NAME);
    std::fs::write(&input, SECRET_INPUT)?;
    let job = hostile(image, &["echo", SECRET_ARG]).leaves(LEAVES).samples(2).input(&input);
    let job = job.windows(Windows { accept_secs: 60, work_secs: Some(60), verify_secs: Some(verify_secs) });
    buy(&net.client, job).await
}

async fn buy(client: &Client, job: JobBuilder) -> eyre::Result<(Address, ComputeSpec)> {
    let plan = client.prepare(&job.build()?).await?;
    let bought = client.buy(&plan, Payment::ApproveAndCall).await?;
    Ok((bought.address, plan.spec))
}

async fn post_key(client: &Client, agreement: Address) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    while client.post_key_if_due(agreement).await?.is_none() {
        ensure!(Instant::now() < until, "the key of {agreement} never was due");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    Ok(())
}

async fn until(net: &Net, agreement: Address, reached: impl Fn(Status) -> bool) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let status = net.status(agreement).await?;
        if reached(status) {
            return Ok(());
        }
        if status.is_final() || Instant::now() > until {
            bail!("the agreement is {status}\n{}", net.logs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn until_mailed(net: &Net, agreement: Address, topic: &str) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    while !mail_about(net, agreement).await?.iter().any(|message| message.topic == topic) {
        ensure!(Instant::now() < until, "no mail about {topic}\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// All mail that the oracle holds about an agreement, to everybody who has a key.
async fn mail_about(net: &Net, agreement: Address) -> eyre::Result<Vec<Message>> {
    let mut recipients = vec![net.client.purchase_of(agreement).await?.spec.client_key];
    let accounts = net.devnet.workers.iter().map(|worker| worker.owner).chain([accounts::KEEPER.address]);
    for account in accounts {
        recipients.push(net.client.dispatcher().encryptionKeyOf(account).call().await?);
    }
    let mut all = Vec::new();
    for recipient in recipients {
        for topic in [TOPIC_KEY, TOPIC_AGENT, TOPIC_LOGS] {
            let inbox = net.client.mail().inbox(recipient, agreement, topic).await?;
            all.extend(inbox.into_iter().map(|(_, message)| message));
        }
    }
    Ok(all)
}

/// Each message opens for its recipient and for nobody else.
fn only_its_own_mail(material: &Material, party: &Party, word: &str) -> eyre::Result<()> {
    for message in &material.mail {
        let mine = party.message_keys.iter().any(|key| key.public() == message.recipient);
        ensure!(!mine || word == "to it", "{} gets mail, the table says {word}", party.column);
        let opens = material.opened(party, &message.body).is_some();
        ensure!(opens == mine, "{}: {} mail, opens {opens}, recipient {mine}", party.column, message.topic);
    }
    Ok(())
}

/// Everybody in the table, with what each holds now.
async fn parties(net: &Net, agreement: Address, spec: &ComputeSpec, agent: Address) -> eyre::Result<Vec<Party>> {
    let nobody = |column| Party { column, message_keys: vec![], session_keys: vec![], salt: None, folder: None };
    let mut all = vec![
        Party {
            session_keys: vec![net.client.session_key(agreement, spec)?],
            message_keys: vec![net.client.message_key(agreement, spec)?],
            ..nobody("client")
        },
        Party { message_keys: vec![agent_key(net, agent)?], ..nobody("key agent") },
        // The operator reads the oracle's folder; as operator it has no key that anybody sealed to.
        nobody("oracle operator"),
        nobody("chain observer"),
    ];
    let view = net.view(agreement).await?;
    for worker in &net.devnet.workers {
        let column = if worker.owner == view.worker {
            "worker"
        } else if view.slots.iter().any(|slot| slot.verifier == worker.owner) {
            "drawn verifier"
        } else {
            "other worker"
        };
        let works = column == "worker";
        let journal = std::fs::read_to_string(worker.dir().join("journal")).unwrap_or_default();
        all.push(Party {
            message_keys: vec![worker_key(worker.dir())?],
            salt: works.then(|| salt_in(&journal)).flatten(),
            folder: works.then(|| worker.dir().to_owned()),
            ..nobody(column)
        });
    }
    Ok(all)
}

/// The worker's encryption key, as it stands in its data folder.
fn worker_key(dir: &Path) -> eyre::Result<SecretKey> {
    let folder = dir.join("keys/encryption");
    let file = files(&folder)?.into_iter().find(|file| file.extension().is_some_and(|e| e == "json"));
    let file = file.ok_or_else(|| eyre!("no keystore in {}", folder.display()))?;
    let password = keystore::read_password(dir.join("password"))?;
    Ok(SecretKey::derive(&keystore::load(file, &password)?.to_bytes().0))
}

fn agent_key(net: &Net, agent: Address) -> eyre::Result<SecretKey> {
    ensure!(agent == accounts::KEEPER.address, "the key agent is {agent}");
    let deployment = &net.devnet.deployment;
    let signer = accounts::KEEPER.signer()?;
    Ok(sunwork_oracle::key_agent::message_key(&signer, deployment.chain_id, deployment.dispatcher))
}

fn salt_in(journal: &str) -> Option<B256> {
    let at = journal.find("\"kind\":\"working\"")?;
    let rest = &journal[at..];
    let start = rest.find("\"salt\":\"")? + 8;
    rest.get(start..start + 66)?.parse().ok()
}

fn holds_log(dir: &Path) -> bool {
    files(dir).is_ok_and(|files| {
        files.iter().any(|file| {
            let log = file.to_string_lossy().contains("log");
            log && std::fs::read(file).is_ok_and(|content| {
                contains(&content, SECRET_INPUT.as_bytes())
                    || contains(&content, alloy::hex::encode(SECRET_INPUT).as_bytes())
            })
        })
    })
}

/// What leaf `leaf` of the app gives back.
fn true_text(leaf: u32) -> String {
    format!("args echo {SECRET_ARG}\ninput {SECRET_NAME} {SECRET_INPUT}\nleaf {leaf}\n")
}

fn true_record(leaf: u32) -> LeafRecord {
    let text = true_text(leaf);
    let sha256 = <sha2::Sha256 as sha2::Digest>::digest(&text).into();
    let entry = FileEntry { path: b"echo.txt".to_vec(), size: text.len() as u64, sha256 };
    LeafRecord::completed(tree_hash(&[entry]).expect("a plain path"))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn files(dir: &Path) -> eyre::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).wrap_err_with(|| format!("reading {}", folder.display()))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}
