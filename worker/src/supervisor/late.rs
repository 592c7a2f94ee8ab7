//! Later rounds of voting, when the worker's result is open.
//!
//! A verifier computes its own digests first; only then it looks up the worker's, with the proof that its root holds them, which
//! the opening brings along, and looks whether the worker's blob holds the leaves that it should ([`late_vote`]). Without that
//! proof it seals all the same and opens without: then the worker has to bring the proof, from its journal or its own blob.
use std::{collections::BTreeMap, path::PathBuf};

use alloy::{
    primitives::{Address, B256},
    sol_types::SolCall,
};
use sunwork_protocol::{
    abi::IComputeAgreement::{self, RevealedRoot, VerifierOpening, WorkerOpening},
    leaf::{Body, late_vote},
    merkle::Tree,
    seal,
    status::Status,
    subproof::subproof,
};

use super::{
    Supervisor,
    result_blob::{self, BlobKey},
};
use crate::{
    chain::Revelation,
    journal::{Agreement, Record},
    step::StepError,
    view::View,
};

/// The worker's digests of our leaves, and their multiproof.
type Proven = (Vec<B256>, Vec<B256>);

impl Supervisor {
    /// Before the seal: what our vote is, and whether the worker's digests can be proven. Ends with a `Proven` or an `Unproven`
    /// record, or fails for now.
    pub(super) async fn prove_leaves(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (agreement, draw_seed) = (self.address, view.draw_seed);
        let shown = self.ctx.chain.revelation(agreement, self.bought_block, view).await?;
        let leaves = self.sample(view);
        let is_sealed = view.slot_of(self.ctx.me).is_some_and(|slot| !slot.seal.is_zero());
        let in_reveal = self.proof_in_reveal(&shown, &leaves).await?;
        // Who has sealed has voted, and needs the blob for the proof alone.
        let bodies = match in_reveal.is_some() && is_sealed {
            true => None,
            false => self.bodies_of(view, known, &shown).await?,
        };
        let tree = bodies.as_deref().and_then(|bodies| tree_of(bodies, shown.root));
        if !is_sealed {
            let theirs = workers_digests(&shown, tree.as_ref(), &leaves);
            self.vote(view, known, &leaves, &theirs, bodies.as_deref())?;
        }
        let in_blob = || {
            let (digests, tree) = tree.as_ref()?;
            Some((leaves.iter().map(|leaf| digests[*leaf as usize]).collect(), tree.multiproof(&leaves)))
        };
        let record = match in_reveal.or_else(in_blob) {
            Some((digests, proof)) => Record::Proven { agreement, draw_seed, digests, proof },
            None if self.is_late_to_open(view) => {
                return Err(StepError::retry(
                    "it is too late to open without the worker's digests, and nothing proves them: unless the result blob comes, our \
                     opening is missed and our lock lost",
                ));
            }
            None => {
                tracing::warn!(%agreement, "nothing proves the worker's digests of our leaves; it will have to show them");
                Record::Unproven { agreement, draw_seed }
            }
        };
        Ok(self.ctx.journal.append(record)?)
    }

    /// True when the contract takes no opening without the worker's digests any more.
    fn is_late_to_open(&self, view: &View) -> bool {
        let half = view.deadline.saturating_sub(self.ctx.params.open_secs / 2);
        view.status == Status::Opening && self.ctx.heads.borrow().timestamp >= half
    }

    /// Writes down what we vote where that is not what we computed. What was computed stays with the leaves, so this may be
    /// repeated.
    fn vote(
        &self,
        view: &View,
        known: &Agreement,
        leaves: &[u32],
        theirs: &BTreeMap<u32, B256>,
        bodies: Option<&[Body]>,
    ) -> Result<(), StepError> {
        let (agreement, draw_seed) = (self.address, view.draw_seed);
        let computed: Option<Vec<B256>> =
            leaves.iter().map(|leaf| known.leaves.get(leaf).map(|(digest, _)| *digest)).collect();
        let computed =
            computed.ok_or_else(|| StepError::Stuck("digests of our leaves are missing in the journal".into()))?;
        let votes: Vec<B256> = leaves
            .iter()
            .zip(computed)
            .map(|(leaf, own)| {
                let body = bodies.map_or(Body::NotFetched, |bodies| bodies[*leaf as usize]);
                let vote = late_vote(own, theirs.get(leaf).copied(), body);
                if vote != own {
                    tracing::warn!(%agreement, leaf, ?body, "the worker's blob does not hold this leaf; voting against it");
                }
                vote
            })
            .collect();
        if known.verdict.as_ref().is_some_and(|(seed, digests)| *seed == draw_seed && *digests == votes) {
            return Ok(());
        }
        Ok(self.ctx.journal.append(Record::Verdict { agreement, draw_seed, digests: votes })?)
    }

    /// What the worker's blob holds of every leaf. `None` when it cannot be had, however long the window lets us try: that is
    /// no vote, since who is to blame for it cannot be told.
    async fn bodies_of(
        &self,
        view: &View,
        known: &Agreement,
        shown: &Revelation,
    ) -> Result<Option<Vec<Body>>, StepError> {
        let folder = self.ctx.folder.agreement(self.address);
        folder.create().map_err(StepError::io("making the agreement's folder"))?;
        let path = folder.theirs();
        if let Err(error) = self.ctx.blobs.get_to_file(shown.blob, self.largest_bundle_bytes(), &path).await {
            // A quarter of the window is left for the seal. Afterwards there is nothing to wait for, before the claim nothing to
            // decide.
            let until = view.deadline.saturating_sub(u64::from(self.terms.verify_secs) / 4);
            let waits = match view.status {
                Status::Verifying => error.is_temporary() && self.ctx.heads.borrow().timestamp < until,
                Status::Opening => false,
                _ => true,
            };
            if waits {
                return Err(StepError::retry(error));
            }
            tracing::warn!(agreement = %self.address, %error, "the worker's result blob cannot be had");
            return Ok(None);
        }
        let bodies = self.read_bodies(path.clone(), view, known, shown).await;
        let _ = tokio::fs::remove_file(&path).await;
        bodies.map(Some)
    }

    async fn read_bodies(
        &self,
        path: PathBuf,
        view: &View,
        known: &Agreement,
        shown: &Revelation,
    ) -> Result<Vec<Body>, StepError> {
        let key = BlobKey {
            session: self.session_key(known)?,
            salt: shown.salt,
            agreement: self.address,
            attempt: view.attempt,
            most_bytes: self.largest_leaf_bytes(),
        };
        let (count, announced) = (self.terms.leaf_count, shown.ciphertext_root);
        let reading = tokio::task::spawn_blocking(move || result_blob::bodies(&path, count, announced, &key));
        reading.await.map_err(StepError::retry)?.map_err(StepError::retry)
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
        let call = IComputeAgreement::openLateCall {
            opening: VerifierOpening { verifier: self.ctx.me, salt, digests: if agrees { Vec::new() } else { own } },
            revealed: revealed_root(&shown),
            leaves: self.sample(view),
            digests: proven.digests,
            proof: proven.proof,
        };
        self.send_opening_of("open-late", call, view).await
    }

    /// Without the worker's digests: if it does not prove them now, its result is refuted.
    pub(super) async fn open_unproven(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (digests, salt) = self.own_verdict(view, known)?;
        let opening = VerifierOpening { verifier: self.ctx.me, salt, digests };
        self.send_opening_of("open-unproven", IComputeAgreement::openUnprovenCall { opening }, view).await
    }

    /// As worker: our digests of the leaves of a verifier that opened without them. Anybody may bring them, so it is looked
    /// first whether somebody has.
    pub(super) async fn answer(&self, view: &View, known: &Agreement, verifier: Address) -> Result<(), StepError> {
        let shown = self.ctx.chain.revelation(self.address, self.bought_block, view).await?;
        let leaves = self.sample_of(view, verifier);
        let (all, tree) = self.own_tree(view, known, &shown).await?;
        let call = IComputeAgreement::answerCall {
            verifier,
            revealed: revealed_root(&shown),
            digests: leaves.iter().map(|leaf| all[*leaf as usize]).collect(),
            proof: tree.multiproof(&leaves),
            leaves,
        };
        self.ctx.tx.simulate("answer", self.address, call.abi_encode().into()).await?;
        self.send_opening_of("answer", call, view).await
    }

    /// As worker: the tree that we revealed the root of. From the journal; where that was lost from the blob, our copy or an
    /// oracle's.
    async fn own_tree(
        &self,
        view: &View,
        known: &Agreement,
        shown: &Revelation,
    ) -> Result<(Vec<B256>, Tree), StepError> {
        let kept: Vec<Body> =
            (0..self.terms.leaf_count).filter_map(|leaf| Some(Body::Reads(known.leaves.get(&leaf)?.0))).collect();
        if kept.len() == self.terms.leaf_count as usize
            && let Some(found) = tree_of(&kept, shown.root)
        {
            return Ok(found);
        }
        tracing::warn!(agreement = %self.address, "the journal does not hold what we revealed; reading it from the result blob");
        if self.terms.is_confidential() && known.key.is_none() {
            self.open_key(view, known).await?;
        }
        let known = self.known();
        let own = self.ctx.folder.agreement(self.address).bundle();
        let kept = match own.is_file() {
            true => tree_of(&self.read_bodies(own, view, &known, shown).await?, shown.root),
            false => None,
        };
        let found = match kept {
            Some(found) => Some(found),
            None => self.bodies_of(view, &known, shown).await?.and_then(|bodies| tree_of(&bodies, shown.root)),
        };
        found.ok_or_else(|| {
            StepError::Stuck(
                "neither the journal nor the result blob leads to the root that we revealed, so it cannot be proven and our lock is \
                 lost; bring the data folder back, or the blob to an oracle"
                    .into(),
            )
        })
    }
}

fn revealed_root(shown: &Revelation) -> RevealedRoot {
    let (leaves_hash, digests_hash) = seal::revealed_lists(&shown.leaves, &shown.digests);
    RevealedRoot { root: shown.root, leavesHash: leaves_hash, digestsHash: digests_hash }
}

/// All digests with their tree, if every leaf is there and they lead to this root.
fn tree_of(bodies: &[Body], root: B256) -> Option<(Vec<B256>, Tree)> {
    let digest = |body: &Body| match body {
        Body::Reads(digest) => Some(*digest),
        Body::Unreadable | Body::NotFetched => None,
    };
    let digests: Vec<B256> = bodies.iter().map(digest).collect::<Option<_>>()?;
    let tree = Tree::new(&digests);
    (tree.root() == root).then_some((digests, tree))
}

/// The worker's digests of these leaves, as far as they are known: by its reveal, or by a blob that leads to its root.
fn workers_digests(shown: &Revelation, tree: Option<&(Vec<B256>, Tree)>, leaves: &[u32]) -> BTreeMap<u32, B256> {
    let known = leaves.iter().filter_map(|leaf| {
        let revealed = shown.leaves.binary_search(leaf).ok().map(|position| shown.digests[position]);
        let digest = revealed.or_else(|| tree.map(|(digests, _)| digests[*leaf as usize]))?;
        Some((*leaf, digest))
    });
    known.collect()
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

    fn digests() -> Vec<B256> {
        (1..=3).map(B256::repeat_byte).collect()
    }

    #[test]
    fn only_a_whole_blob_that_leads_to_the_root_is_a_tree() {
        let root = Tree::new(&digests()).root();
        let mut bodies: Vec<Body> = digests().into_iter().map(Body::Reads).collect();
        let (found, tree) = tree_of(&bodies, root).unwrap();
        assert_eq!((found, tree.root()), (digests(), root));
        assert!(tree_of(&bodies, B256::ZERO).is_none());
        bodies[1] = Body::Unreadable;
        assert!(tree_of(&bodies, root).is_none());
    }

    #[test]
    fn the_workers_digests_are_known_by_the_reveal_or_by_the_tree() {
        let shown = Revelation {
            tx: None,
            root: Tree::new(&digests()).root(),
            salt: B256::ZERO,
            ciphertext_root: B256::ZERO,
            blob: B256::ZERO,
            leaves: vec![1],
            digests: vec![digests()[1]],
        };
        let of = |leaf: u32| (leaf, digests()[leaf as usize]);
        assert_eq!(workers_digests(&shown, None, &[0, 1]), BTreeMap::from([of(1)]));
        let tree = (digests(), Tree::new(&digests()));
        assert_eq!(workers_digests(&shown, Some(&tree), &[0, 1]), BTreeMap::from([of(0), of(1)]));
    }
}
