//! A verifier's steps in later rounds of voting, when the worker's result is open: the own digests are computed first; only
//! then are the worker's looked up, with the proof that its root holds them, which the opening brings along.
use std::path::PathBuf;

use alloy::{primitives::B256, sol_types::SolCall};
use sunwork_protocol::{
    abi::IComputeAgreement::{self, RevealedRoot, VerifierOpening, WorkerOpening},
    bundle::BundleError,
    merkle::Tree,
    seal,
    subproof::subproof,
};

use super::{
    Supervisor,
    result_blob::{self, BlobKey},
};
use crate::{
    chain::Revelation,
    journal::{Agreement, Record},
    machine::DeclineReason,
    step::StepError,
    view::View,
};

/// The worker's digests of our leaves, and their multiproof.
type Proven = (Vec<B256>, Vec<B256>);

impl Supervisor {
    /// Before the seal: who could not open must not seal. Ends with a `Proven` or an `Impossible` record, or fails for now.
    pub(super) async fn prove_leaves(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let agreement = self.address;
        let shown = self.ctx.chain.revelation(agreement, self.bought_block, view).await?;
        let leaves = self.sample(view);
        let found = match self.proof_in_reveal(&shown, &leaves).await? {
            Some(proven) => Some(proven),
            None => self.proof_in_blob(view, known, &shown, &leaves).await?,
        };
        // Without it the work was found impossible, and the machine will decline.
        let Some((digests, proof)) = found else { return Ok(()) };
        let record = Record::Proven { agreement, draw_seed: view.draw_seed, digests, proof };
        Ok(self.ctx.journal.append(record)?)
    }

    /// The worker's reveal proves all leaves that were sampled first, and so every part of them: no blob is needed, and none
    /// that fits something else can stand in the way.
    async fn proof_in_reveal(&self, shown: &Revelation, leaves: &[u32]) -> Result<Option<Proven>, StepError> {
        let Some(tx) = shown.tx.filter(|_| leaves.iter().all(|leaf| shown.leaves.binary_search(leaf).is_ok())) else {
            return Ok(None);
        };
        let Some(calldata) = self.ctx.chain.calldata(tx, self.address).await? else { return Ok(None) };
        let Some(opening) = opening_in(&calldata) else { return Ok(None) };
        let count = self.terms.leaf_count;
        let proven = subproof(&opening.leaves, &opening.digests, &opening.proof, count, shown.root, leaves);
        Ok(proven
            .inspect_err(|error| tracing::debug!(agreement = %self.address, %error, "no proof in the reveal"))
            .ok())
    }

    /// The whole tree from the result blob, which the revealed salt opens. `None` when it cannot be had or does not fit the
    /// root; the journal says so then.
    async fn proof_in_blob(
        &self,
        view: &View,
        known: &Agreement,
        shown: &Revelation,
        leaves: &[u32],
    ) -> Result<Option<Proven>, StepError> {
        let key = BlobKey {
            session: self.session_key(known)?,
            salt: shown.salt,
            agreement: self.address,
            attempt: view.attempt,
            most_bytes: self.largest_leaf_bytes(),
        };
        let Some(path) = self.fetch_bundle(view, shown.blob).await? else { return Ok(None) };
        let tree = self.tree_of(path.clone(), key).await;
        let _ = tokio::fs::remove_file(&path).await;
        let Some((digests, tree)) = tree? else { return Ok(None) };
        if tree.root() != shown.root {
            let found = tree.root();
            let why = format!("the leaves of the result blob lead to the root {found}, revealed was {}", shown.root);
            self.impossible(DeclineReason::BundleInvalid, why)?;
            return Ok(None);
        }
        let theirs = leaves.iter().map(|leaf| digests[*leaf as usize]).collect();
        Ok(Some((theirs, tree.multiproof(leaves))))
    }

    async fn tree_of(&self, path: PathBuf, key: BlobKey) -> Result<Option<(Vec<B256>, Tree)>, StepError> {
        let count = self.terms.leaf_count;
        let reading = tokio::task::spawn_blocking(move || {
            let digests = result_blob::digests(&path, count, &key)?;
            let tree = Tree::new(&digests);
            Ok::<_, BundleError>((digests, tree))
        });
        match reading.await.map_err(StepError::retry)? {
            Ok(read) => Ok(Some(read)),
            Err(BundleError::Io { source, .. }) => Err(StepError::retry(source)),
            Err(error) => {
                self.impossible(DeclineReason::BundleInvalid, error)?;
                Ok(None)
            }
        }
    }

    pub(super) async fn open_late(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (own, salt) = self.own_verdict(view, known)?;
        let proven = known.proven.as_ref().filter(|proven| proven.draw_seed == view.draw_seed);
        let Some(proven) = proven.cloned() else {
            // Sealed by another device of ours, or the journal was lost: the same again, from what is public.
            return self.prove_leaves(view, known).await;
        };
        let shown = self.ctx.chain.revelation(self.address, self.bought_block, view).await?;
        let agrees = proven.digests == own;
        if !agrees {
            tracing::warn!(agreement = %self.address, "our digests differ from the worker's");
        }
        let (leaves_hash, digests_hash) = seal::revealed_lists(&shown.leaves, &shown.digests);
        let call = IComputeAgreement::openLateCall {
            opening: VerifierOpening { verifier: self.ctx.me, salt, digests: if agrees { Vec::new() } else { own } },
            revealed: RevealedRoot { root: shown.root, leavesHash: leaves_hash, digestsHash: digests_hash },
            leaves: self.sample(view),
            digests: proven.digests,
            proof: proven.proof,
        };
        self.send_opening_of("open-late", call, view).await
    }
}

/// The worker's opening in a call to an agreement.
fn opening_in(calldata: &[u8]) -> Option<WorkerOpening> {
    let alone = IComputeAgreement::revealCall::abi_decode(calldata).map(|call| call.opening);
    alone.or_else(|_| IComputeAgreement::settleAllCall::abi_decode(calldata).map(|call| call.worker)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_is_found_in_both_calls_and_in_nothing_else() {
        let opening = WorkerOpening {
            root: B256::repeat_byte(1),
            salt: B256::repeat_byte(2),
            ciphertextRoot: B256::ZERO,
            resultBlob: B256::ZERO,
            leaves: vec![3],
            digests: vec![B256::repeat_byte(4)],
            proof: vec![],
        };
        let alone = IComputeAgreement::revealCall { opening: opening.clone() }.abi_encode();
        let together = IComputeAgreement::settleAllCall { worker: opening.clone(), verifiers: vec![] }.abi_encode();
        assert_eq!(opening_in(&alone), Some(opening.clone()));
        assert_eq!(opening_in(&together), Some(opening));
        assert_eq!(opening_in(&alone[..50]), None);
        assert_eq!(opening_in(&IComputeAgreement::decideCall {}.abi_encode()), None);
        assert_eq!(opening_in(&[]), None);
    }
}
