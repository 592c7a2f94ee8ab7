//! The cheating worker: it computes all leaves but one.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::SolCall,
};
use eyre::{ensure, eyre};
use sunwork_protocol::{
    abi::IComputeAgreement::{self, AgreementView, VerifierOpening, WorkerOpening},
    bundle, draw,
    envelope::{self, Context, Purpose},
    leaf::{FileEntry, LeafRecord, tree_hash},
    mail::TOPIC_OPENING,
    merkle::Tree,
    opening::Opening,
    seal,
    session::SessionKey,
};
use sunwork_worker::chain::Chain;

use crate::{confidential::hostile_worker::HostileWorker, support::Net};

/// The leaf that it invents.
pub(crate) const FALSE_LEAF: u32 = 2;
/// An app that gives back what it was told.
pub(crate) const MOOD: &[&str] = &["echo", "fair"];

/// A registered worker that the test plays.
pub(crate) struct Cheat(HostileWorker);

/// What its seal stands for.
pub(crate) struct Sealed {
    tree: Tree,
    digests: Vec<B256>,
    salt: B256,
    ciphertext_root: B256,
    blob: B256,
}

impl Cheat {
    pub(crate) async fn register(net: &Net) -> eyre::Result<Self> {
        Ok(Self(HostileWorker::register(net).await?))
    }

    pub(crate) fn address(&self) -> Address {
        self.0.address()
    }

    pub(crate) async fn send(&self, to: Address, call: impl SolCall) -> eyre::Result<()> {
        self.0.send(to, call).await
    }

    /// Stores a result in which one leaf is made up, readable and of a piece, and seals it.
    pub(crate) async fn seal(
        &self,
        net: &Net,
        agreement: Address,
        leaves: u32,
    ) -> eyre::Result<(IComputeAgreement::sealResultCall, Sealed)> {
        let salt = B256::repeat_byte(5);
        let (mut digests, mut bodies) = (Vec::new(), Vec::new());
        for leaf in 0..leaves {
            let content = if leaf == FALSE_LEAF { "made up\n".to_owned() } else { true_text(leaf) };
            let (record, plain) = completed(content)?;
            let key = bundle::leaf_key(SessionKey::PUBLIC.as_bytes(), &salt, agreement, 0, leaf);
            bodies.push(bundle::encrypt_leaf(&key, agreement, leaf, &plain));
            digests.push(record.digest());
        }
        let lengths: Vec<u64> = bodies.iter().map(|body| body.len() as u64).collect();
        let mut writer = bundle::BundleWriter::new(Vec::new(), &lengths)?;
        for body in &bodies {
            writer.append(&mut body.as_slice())?;
        }
        let path = net.files.path().join("false-bundle");
        std::fs::write(&path, writer.finish()?)?;
        let hashes: Vec<[u8; 32]> = bodies.iter().map(|body| bundle::body_hash(body)).collect();
        let ciphertext_root = bundle::ciphertext_root(&hashes);
        let blob = self.0.client().blobs().put_file(&path).await?;
        let tree = Tree::new(&digests);
        let chain_id = net.devnet.deployment.chain_id;
        let seal_ = seal::worker_seal(tree.root(), salt, ciphertext_root, chain_id, agreement, 0, self.address());
        let location = Bytes::new();
        let call =
            IComputeAgreement::sealResultCall { seal_, ciphertextRoot: ciphertext_root, resultBlob: blob, location };
        Ok((call, Sealed { tree, digests, salt, ciphertext_root, blob }))
    }

    /// Proves the beacon round as soon as its block is there.
    pub(crate) async fn open_draw(&self, net: &Net, agreement: Address) -> eyre::Result<()> {
        let round = net.view(agreement).await?.round.to::<u64>();
        let chain = Chain::new(net.client.rpc().clone(), net.devnet.deployment.clone());
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if net.client.rpc().latest().await?.0 > round {
                break;
            }
            ensure!(Instant::now() < until, "block {round} does not come");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let proof = chain.beacon_proof(round).await?;
        self.send(agreement, IComputeAgreement::openDrawCall { beaconProof: proof }).await
    }

    /// Its own opening with those that all verifiers have mailed to it.
    pub(crate) async fn settle_all(
        &self,
        net: &Net,
        agreement: Address,
        view: &AgreementView,
        worker: WorkerOpening,
    ) -> eyre::Result<IComputeAgreement::settleAllCall> {
        let secret = self.0.message_key();
        let chain_id = net.devnet.deployment.chain_id;
        let context = Context { purpose: Purpose::Opening, chain_id, agreement, attempt: 0 };
        let until = Instant::now() + Duration::from_secs(15);
        let openings = loop {
            let inbox = net.client.mail().inbox(secret.public(), agreement, TOPIC_OPENING).await?;
            let plain = inbox.iter().filter_map(|(_, mail)| envelope::open(&secret, &context, &mail.body).ok());
            let openings: Vec<Opening> = plain.filter_map(|plain| Opening::decode(&plain)).collect();
            if openings.len() == view.slots.len() {
                break openings;
            }
            ensure!(Instant::now() < until, "{} openings came\n{}", openings.len(), net.logs());
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let in_order = view.slots.iter().map(|slot| {
            let samples = openings.first().map_or(0, |opening| opening.digests.len());
            let fits = |o: &&Opening| o.fits(slot.seal, samples, chain_id, agreement, 0, slot.verifier);
            let opening = openings.iter().find(fits).ok_or_else(|| eyre!("no opening of {}", slot.verifier))?;
            Ok(VerifierOpening { verifier: slot.verifier, salt: opening.salt, digests: opening.digests.clone() })
        });
        Ok(IComputeAgreement::settleAllCall { worker, verifiers: in_order.collect::<eyre::Result<_>>()? })
    }
}

impl Sealed {
    /// The opening for the verifiers that were drawn.
    pub(crate) fn opening(&self, view: &AgreementView, leaf_count: u32, samples: u8) -> WorkerOpening {
        let sampled: BTreeSet<u32> = view
            .slots
            .iter()
            .flat_map(|slot| draw::sampled_leaves(view.drawSeed, slot.verifier, leaf_count, samples))
            .collect();
        let leaves: Vec<u32> = sampled.into_iter().collect();
        WorkerOpening {
            root: self.tree.root(),
            salt: self.salt,
            ciphertextRoot: self.ciphertext_root,
            resultBlob: self.blob,
            digests: leaves.iter().map(|leaf| self.digests[*leaf as usize]).collect(),
            proof: self.tree.multiproof(&leaves),
            leaves,
        }
    }
}

/// What a leaf of the app gives back.
fn true_text(leaf: u32) -> String {
    format!("args {}\nleaf {leaf}\n", MOOD.join(" "))
}

/// A leaf that completed with one file.
fn completed(content: String) -> eyre::Result<(LeafRecord, Vec<u8>)> {
    let sha256 = <sha2::Sha256 as sha2::Digest>::digest(&content).into();
    let entry = FileEntry { path: b"echo.txt".to_vec(), size: content.len() as u64, sha256 };
    let record = LeafRecord::completed(tree_hash(&[entry])?);
    let files = bundle::files_tar(&mut [(b"echo.txt".to_vec(), content.into_bytes())])?;
    Ok((record, bundle::plaintext(&record, &files)))
}
