//! What a party holds, what everybody can get, and what the one reads with the other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::{Address, B256, Bytes},
    providers::Provider,
    rpc::types::Filter,
    sol_types::SolEvent,
};
use eyre::{WrapErr, ensure, eyre};
use sunwork_edge::keystore;
use sunwork_protocol::{
    abi::{IComputeAgreement, IWorkerDispatcher::AgreementBought},
    bundle::{self, Index},
    envelope::{self, Context, Purpose, SecretKey},
    leaf::{FileEntry, LeafRecord, tree_hash},
    mail::{Message, TOPIC_AGENT, TOPIC_KEY, TOPIC_LOGS, TOPIC_OPENING},
    private_job::PrivateJob,
    session::SessionKey,
    terms::ComputeSpec,
};
use xtask::accounts;

use super::{LEAVES, SECRET_ARG, SECRET_INPUT, SECRET_NAME};
use crate::support::Net;

/// Somebody with what it holds besides what everybody can get.
pub(super) struct Party {
    pub(super) column: &'static str,
    message_keys: Vec<SecretKey>,
    session_keys: Vec<SessionKey>,
    /// Of its own seal, before anybody else knows it.
    salt: Option<B256>,
    /// Its data folder, where it computed.
    folder: Option<PathBuf>,
}

/// Everything that is public at one stage, and what oracles hold.
pub(super) struct Material {
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
    pub(super) bytes: Vec<u8>,
}

impl Material {
    pub(super) async fn gather(net: &Net, agreement: Address) -> eyre::Result<Self> {
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
    pub(super) fn opened(&self, party: &Party, envelope: &[u8]) -> Option<Vec<u8>> {
        let purposes = [Purpose::WorkerKey, Purpose::VerifierKey, Purpose::AgentKey, Purpose::Logs, Purpose::Opening];
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

    pub(super) fn reads(&self, row: &str, party: &Party) -> bool {
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

/// All mail that the oracle holds about an agreement, to everybody who has a key.
pub(super) async fn mail_about(net: &Net, agreement: Address) -> eyre::Result<Vec<Message>> {
    let mut recipients = vec![net.client.purchase_of(agreement).await?.spec.client_key];
    let accounts = net.devnet.workers.iter().map(|worker| worker.owner).chain([accounts::KEEPER.address]);
    for account in accounts {
        recipients.push(net.client.dispatcher().encryptionKeyOf(account).call().await?);
    }
    let mut all = Vec::new();
    for recipient in recipients {
        for topic in [TOPIC_KEY, TOPIC_AGENT, TOPIC_LOGS, TOPIC_OPENING] {
            let inbox = net.client.mail().inbox(recipient, agreement, topic).await?;
            all.extend(inbox.into_iter().map(|(_, message)| message));
        }
    }
    Ok(all)
}

/// Each message opens for its recipient and for nobody else.
pub(super) fn only_its_own_mail(material: &Material, party: &Party, word: &str) -> eyre::Result<()> {
    for message in &material.mail {
        let mine = party.message_keys.iter().any(|key| key.public() == message.recipient);
        ensure!(!mine || word == "to it", "{} gets mail, the table says {word}", party.column);
        let opens = material.opened(party, &message.body).is_some();
        ensure!(opens == mine, "{}: {} mail, opens {opens}, recipient {mine}", party.column, message.topic);
    }
    Ok(())
}

/// Everybody in the table, with what each holds now.
pub(super) async fn parties(
    net: &Net,
    agreement: Address,
    spec: &ComputeSpec,
    agent: Address,
) -> eyre::Result<Vec<Party>> {
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
pub(super) fn worker_key(dir: &Path) -> eyre::Result<SecretKey> {
    let folder = dir.join("keys/encryption");
    let file = files(&folder)?.into_iter().find(|file| file.extension().is_some_and(|e| e == "json"));
    let file = file.ok_or_else(|| eyre!("no keystore in {}", folder.display()))?;
    let password = keystore::read_password(dir.join("password"))?;
    Ok(SecretKey::derive(&keystore::load(file, &password)?.to_bytes().0))
}

pub(super) fn agent_key(net: &Net, agent: Address) -> eyre::Result<SecretKey> {
    ensure!(agent == accounts::KEEPER.address, "the key agent is {agent}");
    let deployment = &net.devnet.deployment;
    let signer = accounts::KEEPER.signer()?;
    Ok(sunwork_oracle::key_agent::message_key(&signer, deployment.chain_id, deployment.dispatcher))
}

pub(super) fn salt_in(journal: &str) -> Option<B256> {
    let at = journal.find("\"kind\":\"working\"")?;
    let rest = &journal[at..];
    let start = rest.find("\"salt\":\"")? + 8;
    rest.get(start..start + 66)?.parse().ok()
}

pub(super) fn holds_log(dir: &Path) -> bool {
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
pub(super) fn true_text(leaf: u32) -> String {
    format!("args echo {SECRET_ARG}\ninput {SECRET_NAME} {SECRET_INPUT}\nleaf {leaf}\n")
}

pub(super) fn true_record(leaf: u32) -> LeafRecord {
    let text = true_text(leaf);
    let sha256 = <sha2::Sha256 as sha2::Digest>::digest(&text).into();
    let entry = FileEntry { path: b"echo.txt".to_vec(), size: text.len() as u64, sha256 };
    LeafRecord::completed(tree_hash(&[entry]).expect("a plain path"))
}

pub(super) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

pub(super) fn files(dir: &Path) -> eyre::Result<Vec<PathBuf>> {
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
