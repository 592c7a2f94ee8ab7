//! The verifier's steps: claim, compute the sample, check the worker's bundle, seal, open.
use std::path::PathBuf;

use alloy::primitives::{Address, B256};
use sunwork_edge::blobs::BlobError;
use sunwork_protocol::{
    abi::IComputeAgreement::{self, VerifierOpening},
    bundle::{self, BundleError},
    draw, seal,
    status::{RoundKind, Status},
};

use super::{Supervisor, keys::fresh_b256, result_blob::ciphertext_root};
use crate::{
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

    /// Claim and seal in one: what is sealed was computed before. The salt is written down before it has any effect.
    pub(super) async fn claim_and_seal(&self, view: &View, known: &Agreement, index: u64) -> Result<(), StepError> {
        let salt = known.verdict_salt.unwrap_or_else(fresh_b256);
        let digests = own_digests(view, known)?;
        let chain_id = self.ctx.chain.deployment.chain_id;
        let verdict = seal::verifier_seal(digests, salt, chain_id, self.address, view.attempt, self.ctx.me);
        let call = IComputeAgreement::claimAndSealCall { index: alloy::primitives::U256::from(index), verdict };
        let calldata = alloy::sol_types::SolCall::abi_encode(&call).into();
        self.ctx.tx.simulate("claim-and-seal", self.address, calldata).await?;
        if known.verdict_salt.is_none() {
            self.ctx.journal.append(Record::Claiming { agreement: self.address, salt })?;
        }
        self.send("claim-and-seal", call).await
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
        let sampling = (view.draw_seed, sample.clone());
        if !missing.is_empty() && known.sampling.as_ref() != Some(&sampling) {
            let (draw_seed, leaves) = sampling;
            self.ctx.journal.append(Record::Sampling { agreement: self.address, draw_seed, leaves })?;
        }
        self.compute(missing, None).await?;
        let known = self.known();
        let digests: Option<Vec<B256>> =
            sample.iter().map(|leaf| known.leaves.get(leaf).map(|(digest, _)| *digest)).collect();
        // Without all of them the work was found impossible, and the machine will decline.
        let Some(digests) = digests else { return Ok(()) };
        let record = Record::Verdict { agreement: self.address, draw_seed: view.draw_seed, digests };
        Ok(self.ctx.journal.append(record)?)
    }

    /// What we compute in this round, ascending.
    pub(super) fn sample(&self, view: &View) -> Vec<u32> {
        self.sample_of(view, self.ctx.me)
    }

    /// What a verifier of this round computes, ascending.
    pub(super) fn sample_of(&self, view: &View, verifier: Address) -> Vec<u32> {
        match view.kind {
            RoundKind::Leaves => view.leaves.clone(),
            RoundKind::First | RoundKind::Audit => {
                draw::sampled_leaves(view.draw_seed, verifier, self.terms.leaf_count, self.terms.samples)
            }
        }
    }

    /// A verdict is given only on results that the client can really get: the bundle must be there, and its bodies
    /// must be those that the worker committed to.
    pub(super) async fn check_bundle(&self, view: &View) -> Result<(), StepError> {
        let announced = self.ctx.chain.announcement(self.address, self.bought_block, view).await?;
        let Some(path) = self.fetch_bundle(view, announced.blob).await? else { return Ok(()) };
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

    /// The worker's bundle as a file; the caller deletes it. `None` when it cannot be had; the journal says so then.
    async fn fetch_bundle(&self, view: &View, blob: B256) -> Result<Option<PathBuf>, StepError> {
        let folder = self.ctx.folder.agreement(self.address);
        folder.create().map_err(StepError::io("making the agreement's folder"))?;
        let path = folder.theirs();
        let reason = match self.ctx.blobs.get_to_file(blob, self.largest_bundle_bytes(), &path).await {
            Ok(()) => return Ok(Some(path)),
            Err(error @ BlobError::TooLarge { .. }) => (DeclineReason::BundleInvalid, error),
            Err(error) => {
                // A quarter of the window is left for others to be drawn and for us to say so.
                let decline_at = view.deadline.saturating_sub(u64::from(self.terms.verify_secs) / 4);
                // Before the claim there is nothing to decline.
                if view.status != Status::Verifying || self.ctx.heads.borrow().timestamp < decline_at {
                    return Err(StepError::retry(error));
                }
                (DeclineReason::BundleMissing, error)
            }
        };
        let (reason, error) = reason;
        self.impossible(reason, error)?;
        Ok(None)
    }

    /// Everything that the limits allow: outputs, archive headers and padding of each file, and the cipher's own bytes.
    pub(super) fn largest_leaf_bytes(&self) -> u64 {
        bundle::max_body_bytes(self.spec.output_mib)
    }

    pub(super) fn largest_bundle_bytes(&self) -> u64 {
        bundle::max_blob_bytes(self.terms.leaf_count, self.spec.output_mib)
    }

    pub(super) async fn seal_verdict(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (digests, salt) = self.own_verdict(view, known)?;
        let chain_id = self.ctx.chain.deployment.chain_id;
        let verdict = seal::verifier_seal(&digests, salt, chain_id, self.address, view.attempt, self.ctx.me);
        self.send("verdict", IComputeAgreement::provideVerificationCall { verdict }).await
    }

    pub(super) fn own_verdict(&self, view: &View, known: &Agreement) -> Result<(Vec<B256>, B256), StepError> {
        let salt = self.ensure_verdict_salt(known)?;
        Ok((own_digests(view, known)?.clone(), salt))
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
        let call = IComputeAgreement::openVerificationCall { opening, root, leaves, digests };
        self.send_opening_of("open-verification", call, view).await
    }
}

/// What our seal of this draw commits to.
fn own_digests<'a>(view: &View, known: &'a Agreement) -> Result<&'a Vec<B256>, StepError> {
    let verdict = known.verdict.as_ref().filter(|(seed, _)| *seed == view.draw_seed);
    let (_, digests) = verdict.ok_or_else(|| StepError::Stuck("the own digests are not in the journal".into()))?;
    Ok(digests)
}
