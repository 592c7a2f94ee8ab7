//! The verifier's steps: claim, compute the sample, check the worker's bundle, seal, open.
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use alloy::primitives::B256;
use sunwork_edge::blobs::BlobError;
use sunwork_protocol::{
    abi::IComputeAgreement::{self, VerifierOpening},
    bundle::{self, BundleError, Index},
    draw,
    leaf::MAX_FILES,
    seal, segments,
};

use super::{Supervisor, keys::fresh_b256};
use crate::{
    folder::sha256_of,
    journal::{Agreement, Record},
    machine::DeclineReason,
    step::StepError,
    view::View,
};

impl Supervisor {
    pub(super) async fn claim(&self, known: &Agreement, index: u64) -> Result<(), StepError> {
        self.require_encryption().await?;
        let call = IComputeAgreement::claimCall { index: alloy::primitives::U256::from(index) };
        let calldata = alloy::sol_types::SolCall::abi_encode(&call).into();
        self.ctx.tx.simulate("claim", self.address, calldata).await?;
        self.ensure_verdict_salt(known)?;
        self.send("claim", call).await
    }

    fn ensure_verdict_salt(&self, known: &Agreement) -> Result<B256, StepError> {
        if let Some(salt) = known.verdict_salt {
            return Ok(salt);
        }
        let salt = fresh_b256();
        self.ctx.journal.append(Record::Claiming { agreement: self.address, salt })?;
        Ok(salt)
    }

    pub(super) async fn compute_samples(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        if !known.prepared {
            // Drawn, but the data folder was lost or the purchase was read anew.
            return self.prepare(view).await;
        }
        let sample = self.sample(view);
        let missing: Vec<u32> = sample.iter().copied().filter(|leaf| !known.leaves.contains_key(leaf)).collect();
        self.compute(missing, None).await?;
        let known = self.known();
        let digests: Option<Vec<B256>> =
            sample.iter().map(|leaf| known.leaves.get(leaf).map(|(digest, _)| *digest)).collect();
        // Without all of them the work was found impossible, and the machine will decline.
        let Some(digests) = digests else { return Ok(()) };
        let record = Record::Verdict { agreement: self.address, draw_seed: view.draw_seed, digests };
        Ok(self.ctx.journal.append(record)?)
    }

    fn sample(&self, view: &View) -> Vec<u32> {
        draw::sampled_leaves(view.draw_seed, self.ctx.me, self.terms.leaf_count, self.terms.samples)
    }

    /// A verdict is given only on results that the client can really get: the bundle must be there, and its bodies
    /// must be those that the worker committed to.
    pub(super) async fn check_bundle(&self, view: &View) -> Result<(), StepError> {
        let announced = self.ctx.chain.announcement(self.address, self.bought_block, view).await?;
        let path = self.ctx.folder.agreement(self.address).theirs();
        match self.ctx.blobs.get_to_file(announced.blob, self.largest_bundle_bytes(), &path).await {
            Ok(()) => {}
            Err(error @ BlobError::TooLarge { .. }) => return self.impossible(DeclineReason::BundleInvalid, error),
            Err(error) => {
                // A quarter of the window is left for others to be drawn and for us to say so.
                let decline_at = view.deadline.saturating_sub(u64::from(self.terms.verify_secs) / 4);
                if self.ctx.heads.borrow().timestamp < decline_at {
                    return Err(StepError::retry(error));
                }
                return self.impossible(DeclineReason::BundleMissing, error);
            }
        }
        let (count, file) = (self.terms.leaf_count, path.clone());
        let root =
            tokio::task::spawn_blocking(move || ciphertext_root(&file, count)).await.map_err(StepError::retry)?;
        let outcome = match root {
            Ok(root) if root == announced.ciphertext_root => {
                let record = Record::Checked { agreement: self.address, blob: announced.blob };
                self.ctx.journal.append(record).map_err(StepError::from)
            }
            Ok(root) => {
                let reason = format!("its ciphertext root is {root}, announced was {}", announced.ciphertext_root);
                self.impossible(DeclineReason::BundleInvalid, reason)
            }
            Err(BundleError::Io { source, .. }) => Err(StepError::retry(source)),
            Err(error) => self.impossible(DeclineReason::BundleInvalid, error),
        };
        let _ = tokio::fs::remove_file(&path).await;
        outcome
    }

    /// Everything that the limits allow: outputs, archive headers and padding of each file, and the cipher's own bytes.
    fn largest_bundle_bytes(&self) -> u64 {
        let leaf = segments::sealed_len((u64::from(self.spec.output_mib) << 20) + MAX_FILES as u64 * 2048 + 65_536);
        bundle::head_bytes(self.terms.leaf_count).saturating_add(leaf.saturating_mul(self.terms.leaf_count.into()))
    }

    pub(super) async fn seal_verdict(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (digests, salt) = self.own_verdict(view, known)?;
        let chain_id = self.ctx.chain.deployment.chain_id;
        let verdict = seal::verifier_seal(&digests, salt, chain_id, self.address, view.attempt, self.ctx.me);
        self.send("verdict", IComputeAgreement::provideVerificationCall { verdict }).await
    }

    fn own_verdict(&self, view: &View, known: &Agreement) -> Result<(Vec<B256>, B256), StepError> {
        let salt = self.ensure_verdict_salt(known)?;
        let verdict = known.verdict.as_ref().filter(|(seed, _)| *seed == view.draw_seed);
        let (_, digests) = verdict.ok_or_else(|| StepError::Stuck("the own digests are not in the journal".into()))?;
        Ok((digests.clone(), salt))
    }

    pub(super) async fn decline(&self, reason: DeclineReason) -> Result<(), StepError> {
        self.send("decline", IComputeAgreement::declineCall { reason: reason as u16 }).await
    }

    pub(super) async fn open_verification(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (own, salt) = self.own_verdict(view, known)?;
        let shown = self.ctx.chain.revelation(self.address, self.bought_block, view).await?;
        let theirs: Option<Vec<B256>> = self
            .sample(view)
            .iter()
            .map(|leaf| shown.leaves.binary_search(leaf).ok().map(|position| shown.digests[position]))
            .collect();
        let agrees = theirs.as_ref() == Some(&own);
        if !agrees {
            tracing::warn!(agreement = %self.address, "our digests differ from the worker's");
        }
        let opening = VerifierOpening { verifier: self.ctx.me, salt, digests: if agrees { Vec::new() } else { own } };
        let (root, leaves, digests) = (shown.root, shown.leaves, shown.digests);
        self.send("open-verification", IComputeAgreement::openVerificationCall { opening, root, leaves, digests }).await
    }
}

/// Root over the hashes of the bodies in a bundle, read in pieces.
fn ciphertext_root(path: &Path, leaf_count: u32) -> Result<B256, BundleError> {
    let io = |leaf| move |source| BundleError::Io { leaf, source };
    let mut file = File::open(path).map_err(io(0))?;
    let length = file.metadata().map_err(io(0))?.len();
    let mut head = Vec::new();
    (&mut file).take(bundle::head_bytes(leaf_count)).read_to_end(&mut head).map_err(io(0))?;
    let index = Index::parse(&head, leaf_count, length)?;
    let mut hashes = Vec::with_capacity(leaf_count as usize);
    for leaf in 0..leaf_count {
        let Some(range) = index.range(leaf) else { break };
        file.seek(SeekFrom::Start(range.start)).map_err(io(leaf))?;
        let (hash, _) = sha256_of((&mut file).take(range.end - range.start)).map_err(io(leaf))?;
        hashes.push(hash);
    }
    Ok(bundle::ciphertext_root(&hashes))
}
