//! The worker's steps: accept, compute, bundle, seal, reveal; and what both roles do: expire and redeem.
use std::{collections::BTreeSet, fs::File, io::BufWriter, sync::Arc};

use alloy::{
    primitives::{Address, B256, Bytes, aliases::U48},
    sol_types::SolCall,
};
use sunwork_protocol::{
    abi::{
        IBeacon,
        IComputeAgreement::{self, WorkerOpening},
    },
    bundle::{self, BundleWriter},
    leaf::Outcome,
    merkle::Tree,
    seal,
};
use tokio::task::JoinSet;

use super::{
    Supervisor,
    keys::fresh_b256,
    logs::{LogStore, Watch},
    unlock::Clear,
};
use crate::{
    context::{Context, OracleBlobs},
    crash,
    energy::handle::key,
    folder::{AgreementFolder, sha256_of, write_durably},
    journal::{Agreement, Record},
    machine::DeclineReason,
    runtime::{self, ErrorClass, ImageRef, LeafJob, LeafRun, Limits, Network, RuntimeError, network::SystemResolver},
    step::StepError,
    view::View,
};

/// Longest random pause before an accept, milliseconds: enough for one worker's transaction to reach the node before
/// the next worker looks whether it is still free.
const ACCEPT_JITTER_MS: u64 = 250;
/// More than settling takes (measured: about 160k for a worker and two verifiers).
const SETTLE_GAS: u64 = 100_000;
const SETTLE_GAS_PER_PARTY: u64 = 80_000;
/// More than counting votes that differ takes, for each leaf of each verifier; also for opening a further round.
const COUNT_GAS: u64 = 250_000;
const COUNT_GAS_PER_LEAF: u64 = 25_000;
/// Pause before a leaf is tried again when the engine failed.
const ENGINE_PAUSE: std::time::Duration = std::time::Duration::from_secs(2);
/// Pause before a record is tried again when there was no room for it.
const ROOM_PAUSE: std::time::Duration = std::time::Duration::from_secs(2);

impl Supervisor {
    pub(super) async fn send(&self, label: &str, call: impl SolCall) -> Result<(), StepError> {
        // Any of these may turn out to be the last of its kind, which then moves the agreement on, or even settles it.
        let parties = u64::from(self.terms.verifiers) + 1;
        self.send_roomy(label, call, SETTLE_GAS + SETTLE_GAS_PER_PARTY * parties).await
    }

    /// Sends an opening: where verifiers differ, the last one counts votes over all their leaves.
    pub(super) async fn send_opening_of(&self, label: &str, call: impl SolCall, view: &View) -> Result<(), StepError> {
        let parties = view.slots.len() as u64 + 1;
        let leaves = view.slots.len() as u64 * u64::from(self.terms.samples);
        let gas = SETTLE_GAS + SETTLE_GAS_PER_PARTY * parties + COUNT_GAS + COUNT_GAS_PER_LEAF * leaves;
        self.send_roomy(label, call, gas).await
    }

    async fn send_roomy(&self, label: &str, call: impl SolCall, headroom: u64) -> Result<(), StepError> {
        let tx = &self.ctx.tx;
        let receipt = tx.send_with_headroom(label, self.address, call.abi_encode().into(), headroom).await?;
        let (hash, gas) = (receipt.transaction_hash, receipt.gas_used);
        tracing::info!(agreement = %self.address, tx = %hash, gas, "{label} is mined");
        Ok(())
    }

    /// Sends what others may be sending too: looks first, including at what is not mined yet.
    pub(super) async fn send_raced(&self, label: &str, call: impl SolCall) -> Result<(), StepError> {
        let calldata = Bytes::from(call.abi_encode());
        self.ctx.tx.simulate(label, self.address, calldata).await?;
        self.send(label, call).await
    }

    pub(super) async fn accept(&self, known: &Agreement) -> Result<(), StepError> {
        self.require_encryption().await?;
        let pause = rand::Rng::random_range(&mut rand::rng(), 0..ACCEPT_JITTER_MS);
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        let call = IComputeAgreement::acceptCall {};
        self.ctx.tx.simulate("accept", self.address, call.abi_encode().into()).await?;
        self.ensure_work_salt(known)?;
        self.send("accept", call).await
    }

    pub(super) fn ensure_work_salt(&self, known: &Agreement) -> Result<B256, StepError> {
        if let Some(salt) = known.work_salt {
            return Ok(salt);
        }
        let salt = fresh_b256();
        self.ctx.journal.append(Record::Working { agreement: self.address, salt })?;
        Ok(salt)
    }

    pub(super) async fn abort(&self) -> Result<(), StepError> {
        self.send("abort", IComputeAgreement::abortCall {}).await
    }

    pub(super) async fn compute_leaves(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let salt = self.ensure_work_salt(known)?;
        self.hold(view, known)?;
        let sealing = Some(Sealing { salt, attempt: view.attempt });
        self.compute(self.leaves_without_body(known), sealing).await
    }

    /// Runs these leaves, as many at a time as there are permits. Each is in the journal as soon as it is done.
    pub(super) async fn compute(&self, leaves: Vec<u32>, sealing: Option<Sealing>) -> Result<(), StepError> {
        let folder = self.ctx.folder.agreement(self.address);
        folder.create().map_err(StepError::io("making the agreement's folder"))?;
        // Without it the work was found impossible.
        let Some(clear) = self.unlock().await? else { return Ok(()) };
        let logs = LogStore::new(folder.logs(), self.terms.leaf_count);
        let total = leaves.len();
        let mut running = JoinSet::new();
        let mut leaves = leaves.into_iter();
        let mut done = 0;
        loop {
            // Only so many tasks as may run exist, however large the bag is.
            while running.len() < self.ctx.governor.limits().parallel_leaves as usize {
                let Some(leaf) = leaves.next() else { break };
                let job = self.job(leaf, &folder, &clear, &logs);
                let task = LeafTask {
                    ctx: self.ctx.clone(),
                    agreement: self.address,
                    leaf,
                    sealing,
                    clear: clear.clone(),
                    // Only the worker's logs are of use to the client; verifiers send none.
                    watch: sealing.map(|_| logs.watch(leaf, job.printing.clone())),
                    job,
                    folder: folder.clone(),
                };
                running.spawn(task.run());
            }
            let Some(finished) = running.join_next().await else { return Ok(()) };
            match finished.map_err(StepError::retry)? {
                Ok(()) => {}
                Err(LeafError::Step(error)) => return Err(error),
                Err(LeafError::Never { reason, message }) => return self.impossible(reason, message),
            }
            done += 1;
            tracing::debug!(agreement = %self.address, done, total, "leaves done");
        }
    }

    fn job(&self, leaf: u32, folder: &AgreementFolder, clear: &Clear, logs: &LogStore) -> LeafJob {
        let spec = &clear.spec;
        let permits = self.ctx.governor.policy().hosts.permits(&spec.hosts);
        let mut env = runtime::leaf_env(self.address, spec, self.terms.leaf_count, leaf);
        let network = (!permits.is_empty()).then(|| {
            env.extend(runtime::network::env(&permits));
            Network {
                permits,
                limit_bytes: u64::from(spec.network_mib) << 20,
                socket: folder.socket(leaf),
                resolver: Arc::new(SystemResolver),
                meter: self.ctx.governor.clone(),
            }
        });
        LeafJob {
            image: ImageRef::of_spec(spec),
            args: spec.args.clone(),
            env,
            input_dir: folder.inputs(),
            out_dir: folder.out(leaf),
            limits: Limits::of_spec(spec),
            printing: logs.printing(),
            network,
            // Several workers may share one engine.
            name: format!("sunwork-{}-{}-{leaf}", short(self.ctx.me), hex::encode(self.address)),
        }
    }

    pub(super) async fn upload_bundle(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let folder = self.ctx.folder.agreement(self.address);
        let rows: Option<Vec<(B256, B256)>> =
            known.leaves.values().map(|(digest, body)| Some((*digest, (*body)?))).collect();
        let rows = rows.filter(|rows| rows.len() == self.terms.leaf_count as usize);
        let rows = rows.ok_or_else(|| StepError::retry("a leaf is missing"))?;
        let digests: Vec<B256> = rows.iter().map(|(digest, _)| *digest).collect();
        let bodies: Vec<[u8; 32]> = rows.iter().map(|(_, body)| body.0).collect();
        let ciphertext_root = bundle::ciphertext_root(&bodies);
        let builder = folder.clone();
        let built =
            tokio::task::spawn_blocking(move || build_bundle(&builder, &bodies)).await.map_err(StepError::retry)?;
        let spoilt = built.map_err(|error| StepError::Stuck(format!("making the bundle: {error}")))?;
        if !spoilt.is_empty() {
            // The disk lost what the journal says was there. A part of the bundle may have left this machine, and an app may
            // answer differently: a leaf that is computed again needs another key, and so a fresh salt for all of them.
            tracing::warn!(agreement = %self.address, ?spoilt, "encrypted leaves are not what they were; computing the bag again");
            let record = Record::Working { agreement: self.address, salt: fresh_b256() };
            return Ok(self.ctx.journal.append(record)?);
        }
        let blob = self.ctx.blobs.put_file(folder.bundle()).await.map_err(StepError::retry)?;
        self.ctx.governor.transferred(std::fs::metadata(folder.bundle()).map_or(0, |meta| meta.len()));
        crash::point("bundle.uploaded");
        let root = Tree::new(&digests).root();
        let record = Record::Bundle { agreement: self.address, attempt: view.attempt, root, ciphertext_root, blob };
        Ok(self.ctx.journal.append(record)?)
    }

    pub(super) async fn seal_result(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (bundle, _, seal_) = self.own_seal(view, known)?;
        let call = IComputeAgreement::sealResultCall {
            seal_,
            ciphertextRoot: bundle.ciphertext_root,
            resultBlob: bundle.blob,
            // The usual place: every oracle that it was stored at.
            location: Bytes::new(),
        };
        self.send("seal", call).await
    }

    /// Level 0: what a seal would commit to is handed in, readable at once.
    pub(super) async fn submit_result(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (bundle, salt, _) = self.own_seal(view, known)?;
        let (root, ciphertext_root) = (bundle.root, bundle.ciphertext_root);
        let call = IComputeAgreement::submitResultCall {
            root,
            salt,
            ciphertextRoot: ciphertext_root,
            resultBlob: bundle.blob,
        };
        self.send("submit", call).await
    }

    /// What the worker's seal commits to, its salt, and the seal.
    fn own_seal(
        &self,
        view: &View,
        known: &Agreement,
    ) -> Result<(crate::journal::state::Bundle, B256, B256), StepError> {
        let missing = || {
            StepError::Stuck("salt and bundle of this attempt are not in the journal; was the data folder lost?".into())
        };
        let salt = known.work_salt.ok_or_else(missing)?;
        let bundle = known.bundle.filter(|bundle| bundle.attempt == view.attempt).ok_or_else(missing)?;
        let chain_id = self.ctx.chain.deployment.chain_id;
        let ciphertext_root = bundle.ciphertext_root;
        let seal =
            seal::worker_seal(bundle.root, salt, ciphertext_root, chain_id, self.address, view.attempt, self.ctx.me);
        Ok((bundle, salt, seal))
    }

    /// Our opening, with the digests of all leaves that the drawn verifiers computed.
    pub(super) fn worker_opening(&self, view: &View, known: &Agreement) -> Result<WorkerOpening, StepError> {
        let (bundle, salt, own_seal) = self.own_seal(view, known)?;
        if seal::announcement(own_seal, bundle.ciphertext_root, bundle.blob) != view.commitment {
            return Err(StepError::Stuck("the seal on chain is not the one in the journal".into()));
        }
        let sampled = view.present().iter().flat_map(|slot| self.sample_of(view, slot.verifier));
        let leaves: Vec<u32> = sampled.collect::<BTreeSet<_>>().into_iter().collect();
        let all: Vec<B256> = known.leaves.values().map(|(digest, _)| *digest).collect();
        if all.len() != self.terms.leaf_count as usize {
            return Err(StepError::Stuck("digests are missing in the journal; was the data folder lost?".into()));
        }
        let tree = Tree::new(&all);
        Ok(WorkerOpening {
            root: bundle.root,
            salt,
            ciphertextRoot: bundle.ciphertext_root,
            resultBlob: bundle.blob,
            digests: leaves.iter().map(|leaf| all[*leaf as usize]).collect(),
            proof: tree.multiproof(&leaves),
            leaves,
        })
    }

    pub(super) async fn reveal(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let opening = self.worker_opening(view, known)?;
        self.send("reveal", IComputeAgreement::revealCall { opening }).await
    }

    pub(super) async fn open_draw(&self, view: &View) -> Result<(), StepError> {
        let proof = match view.draw_seed.is_zero() {
            true => self.ctx.chain.beacon_proof(view.round).await?,
            // The round is recorded, for another agreement perhaps.
            false => Bytes::new(),
        };
        self.send_raced("open-draw", IComputeAgreement::openDrawCall { beaconProof: proof }).await
    }

    /// Proves a beacon round by itself, for the lot of the late audit.
    pub(super) async fn record_round(&self, round: u64) -> Result<(), StepError> {
        let proof = self.ctx.chain.beacon_proof(round).await?;
        let call = IBeacon::recordCall { round: U48::from(round), proof };
        let to = self.ctx.chain.deployment.beacon;
        let receipt = self.ctx.tx.send("record-round", to, call.abi_encode().into()).await?;
        tracing::info!(agreement = %self.address, round, tx = %receipt.transaction_hash, "the lot of the late audit is drawn");
        Ok(())
    }

    /// Usually the last opening has the votes counted.
    pub(super) async fn decide(&self, view: &View) -> Result<(), StepError> {
        let call = IComputeAgreement::decideCall {};
        self.ctx.tx.simulate("decide", self.address, call.abi_encode().into()).await?;
        self.send_opening_of("decide", call, view).await
    }

    pub(super) async fn expire(&self) -> Result<(), StepError> {
        self.send_raced("expire", IComputeAgreement::expireCall {}).await
    }

    pub(super) async fn redeem(&self) -> Result<(), StepError> {
        let party = self.ctx.me;
        self.send("redeem", IComputeAgreement::redeemPaymentCall { party }).await
    }
}

fn short(address: Address) -> String {
    hex::encode(&address[..4])
}

/// Under which key a worker's leaf is encrypted.
#[derive(Clone, Copy)]
pub(super) struct Sealing {
    pub(super) salt: B256,
    pub(super) attempt: u8,
}

enum LeafError {
    Step(StepError),
    /// It will never work here.
    Never {
        reason: DeclineReason,
        message: String,
    },
}

impl From<StepError> for LeafError {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

/// One leaf on its way.
struct LeafTask {
    ctx: Arc<Context>,
    agreement: Address,
    leaf: u32,
    sealing: Option<Sealing>,
    clear: Arc<Clear>,
    /// Keeps what the app prints, as worker.
    watch: Option<Watch>,
    job: LeafJob,
    folder: AgreementFolder,
}

impl LeafTask {
    /// The engine may have lost the image since it was prepared, and a restarted worker knows nothing of it: cheap when it
    /// is there.
    async fn prepare_and_run(&self) -> Result<LeafRun, RuntimeError> {
        self.ctx.runtime.prepare(&self.job.image, &OracleBlobs(&self.ctx.blobs)).await?;
        self.ctx.runtime.run(&self.job).await
    }

    /// One run, however often the engine must be asked.
    async fn run_once(&self) -> Result<LeafRun, LeafError> {
        loop {
            match self.prepare_and_run().await {
                Ok(run) => {
                    self.ctx.governor.energy.leaves.ran(&self.job.name, run.cpu_micros);
                    return Ok(run);
                }
                Err(error) if error.class() == ErrorClass::Refuse => return Err(never(&error)),
                Err(error) => {
                    let (agreement, leaf) = (self.agreement, self.leaf);
                    tracing::warn!(%agreement, leaf, %error, "the engine failed; trying the leaf again");
                    tokio::time::sleep(ENGINE_PAUSE).await;
                }
            }
        }
    }

    /// For our own log, which outlives the agreement: nothing of what the app of confidential work printed.
    fn sayable<'a>(&self, run: &'a LeafRun) -> &'a str {
        if self.clear.key.is_public() { &run.message } else { "the leaf ended" }
    }

    /// A failure is believed when it happens twice. The stake answers for it, and an engine that lost an output makes a
    /// good app look bad (seen: one run in four hundred on Docker 20.10). Running out of time is believed at once: a
    /// second run would cost as much again.
    async fn run_surely(&self) -> Result<LeafRun, LeafError> {
        let first = self.run_once().await?;
        if matches!(first.record.outcome, Outcome::Completed | Outcome::TimeLimit) {
            return Ok(first);
        }
        let second = self.run_once().await?;
        if first.record == second.record {
            return Ok(second);
        }
        let (agreement, leaf) = (self.agreement, self.leaf);
        let (once, then) = (self.sayable(&first), self.sayable(&second));
        // Not the records: the hash of a confidential output can be guessed against.
        tracing::warn!(%agreement, leaf, once, then, "two runs of a leaf differ; a third one decides");
        self.run_once().await
    }

    async fn run(mut self) -> Result<(), LeafError> {
        let (agreement, leaf) = (self.agreement, self.leaf);
        let share = self.ctx.governor.leaf_share(self.job.limits).await;
        let begun = std::time::Instant::now();
        let energy = LeafEnergy::begin(&self);
        let run = self.run_surely().await;
        drop((share, energy));
        if run.is_ok() {
            let took_ms = begun.elapsed().as_millis() as u64;
            self.ctx.timings.measured(self.job.image.digest.into(), took_ms);
        }
        let run = match (run, self.watch.take()) {
            (Err(LeafError::Never { reason, message }), Some(watch)) => {
                watch.failed(&message);
                return Err(LeafError::Never { reason, message });
            }
            (Ok(run), Some(watch)) => {
                watch.ended(&run);
                run
            }
            (run, _) => run?,
        };
        tracing::info!(%agreement, leaf, outcome = ?run.record.outcome, "{}", self.sayable(&run));
        let digest = self.clear.key.blind(agreement, leaf, run.record.digest());
        let out_dir = self.job.out_dir.clone();
        let body = match self.sealing {
            None => None,
            Some(Sealing { salt, attempt }) => {
                let key = bundle::leaf_key(self.clear.key.as_bytes(), &salt, agreement, attempt, leaf);
                let path = self.folder.body(leaf);
                let write = move || {
                    let plaintext = runtime::leaf_plaintext(&run)?;
                    let body = bundle::encrypt_leaf(&key, agreement, leaf, &plaintext);
                    write_durably(&path, &body)?;
                    std::io::Result::Ok(B256::from(bundle::body_hash(&body)))
                };
                let written = tokio::task::spawn_blocking(write).await.map_err(StepError::retry)?;
                Some(written.map_err(StepError::io("encrypting a leaf"))?)
            }
        };
        // What was computed is worth waiting for room on the disk.
        while let Err(error) = self.ctx.journal.append(Record::Leaf { agreement, leaf, digest, body }) {
            if !error.is_full() {
                return Err(StepError::from(error).into());
            }
            tracing::warn!(%agreement, leaf, %error, "a leaf that is done waits to be written down");
            tokio::time::sleep(ROOM_PAUSE).await;
        }
        // What the output was is in the body, or only its digest mattered.
        if let Err(error) = tokio::fs::remove_dir_all(&out_dir).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%agreement, leaf, %error, "cannot delete a leaf's output");
        }
        Ok(())
    }
}

/// While it lives, a part of the board's energy goes to the leaf's agreement.
struct LeafEnergy(Arc<Context>, u64);

impl LeafEnergy {
    fn begin(task: &LeafTask) -> Self {
        let leaves = &task.ctx.governor.energy.leaves;
        let tells = task.job.image.platform == runtime::wasm::PLATFORM;
        let id = leaves.begin(&key(task.agreement), &task.job.name, task.job.limits.milli_cpu, tells);
        Self(task.ctx.clone(), id)
    }
}

impl Drop for LeafEnergy {
    fn drop(&mut self) {
        self.0.governor.energy.leaves.end(self.1);
    }
}

fn never(error: &RuntimeError) -> LeafError {
    let reason = match error {
        RuntimeError::EngineUnfit { .. } => DeclineReason::OwnFailure,
        _ => DeclineReason::ImageUnusable,
    };
    LeafError::Never { reason, message: error.to_string() }
}

/// Joins the encrypted leaves. Returns those whose bytes are not what they were.
fn build_bundle(folder: &AgreementFolder, bodies: &[[u8; 32]]) -> Result<Vec<u32>, bundle::BundleError> {
    let mut lengths = Vec::with_capacity(bodies.len());
    let mut spoilt = Vec::new();
    for (leaf, expected) in (0_u32..).zip(bodies) {
        match File::open(folder.body(leaf)).and_then(sha256_of) {
            Ok((found, length)) if found == *expected => lengths.push(length),
            _ => spoilt.push(leaf),
        }
    }
    if !spoilt.is_empty() {
        return Ok(spoilt);
    }
    let io = |leaf| move |source| bundle::BundleError::Io { leaf, source };
    let file = File::create(folder.bundle()).map_err(io(0))?;
    let mut writer = BundleWriter::new(BufWriter::new(file), &lengths)?;
    for leaf in 0..bodies.len() as u32 {
        writer.append(&mut File::open(folder.body(leaf)).map_err(io(leaf))?)?;
    }
    let file = writer.finish()?.into_inner().map_err(|error| io(0)(error.into_error()))?;
    file.sync_all().map_err(io(0))?;
    Ok(spoilt)
}
