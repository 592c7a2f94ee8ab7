//! Before anything is promised: own limits, free stake, image, inputs.
use sunwork_edge::blobs::BlobError;
use sunwork_protocol::{settlement, terms::Input};

use super::Supervisor;
use crate::{
    context::OracleBlobs,
    journal::Record,
    refusal::{self, Refusal},
    runtime::{ErrorClass, ImageRef},
    step::StepError,
    view::View,
    why::Fate,
};

impl Supervisor {
    /// Ends with a `Prepared` or a `Refused` record, or fails for now.
    pub(super) async fn prepare(&self, view: &View) -> Result<(), StepError> {
        let agreement = self.address;
        if view.worker == self.ctx.me {
            // Taken by a signed offer: our stake is in it, so it is ours to the end, whatever is found now.
            let known = self.known();
            self.ensure_work_salt(&known)?;
            self.hold(view, &known)?;
        }
        let record = match self.preparation(view).await? {
            Ok(()) => {
                tracing::info!(%agreement, inputs = self.spec.inputs.len(), "image and inputs are here");
                Record::Prepared { agreement }
            }
            Err(refusal) => {
                tracing::info!(%agreement, %refusal, "refused");
                self.note(Fate::Excluded { refusal: refusal.clone() });
                Record::Refused { agreement, refusal }
            }
        };
        Ok(self.ctx.journal.append(record)?)
    }

    async fn preparation(&self, view: &View) -> Result<Result<(), Refusal>, StepError> {
        if self.client == self.ctx.me {
            return Ok(Err(Refusal::OwnPurchase { client: self.client }));
        }
        let class = self.ctx.chain.deployment.class_name(self.terms.class_id);
        if let Err(refusal) = refusal::check(&self.terms, &self.spec, &class, &self.ctx.governor.limits()) {
            return Ok(Err(refusal));
        }
        let image = ImageRef::of_spec(&self.spec);
        if !self.known().took_part()
            && let Err(refusal) = self.allowed_by_lists(&image)
        {
            return Ok(Err(refusal));
        }
        if !self.known().took_part()
            && let Err(refusal) = self.wanted(view)
        {
            // Nothing is fetched for what the owner does not want now.
            return Err(StepError::NotYet(refusal.to_string()));
        }
        if let Err(refusal) = self.check_against_chain(&self.known()).await? {
            return Ok(Err(refusal));
        }
        if let Err(refusal) = self.check_encryption().await? {
            return Ok(Err(refusal));
        }
        self.check_free_stake(view).await?;
        if let Err(error) = self.ctx.runtime.prepare(&image, &OracleBlobs(&self.ctx.blobs)).await {
            return match error.class() {
                ErrorClass::Refuse => Ok(Err(Refusal::Image { message: error.to_string() })),
                ErrorClass::Retry => Err(self.unavailable(error)),
            };
        }
        self.fetch_inputs().await
    }

    /// What the owner's lists say of image and hosts.
    fn allowed_by_lists(&self, image: &ImageRef) -> Result<(), Refusal> {
        let policy = self.ctx.governor.policy();
        policy.images.check(image)?;
        policy.hosts.check(&self.spec.hosts)
    }

    /// All inputs, hash-checked. Those of confidential work are ciphertext, and lie where the app does not see them.
    pub(super) async fn fetch_inputs(&self) -> Result<Result<(), Refusal>, StepError> {
        self.ctx.folder.agreement(self.address).create().map_err(StepError::io("making the agreement's folder"))?;
        for (index, input) in self.spec.inputs.iter().enumerate() {
            if let Err(refusal) = self.fetch_input(index, input).await? {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    /// Nothing is fetched for work that our stake cannot enter in either role.
    async fn check_free_stake(&self, view: &View) -> Result<(), StepError> {
        if self.known().took_part() {
            // Our stake is in it already.
            return Ok(());
        }
        let info = self.ctx.chain.worker_info(self.ctx.me).await?;
        let free = info.bonded.saturating_sub(info.locked).to::<u128>();
        let terms = &self.terms;
        let as_worker = settlement::worker_lock(view.reward, terms.verifier_fee, terms.samples, terms.verifiers);
        let as_verifier = settlement::verifier_lock(terms.reward_max, terms.verifier_fee, terms.verifiers);
        let need = as_worker.min(as_verifier);
        if free < need {
            let refusal = Refusal::Stake { free, needed: need };
            self.note(Fate::Excluded { refusal: refusal.clone() });
            return Err(StepError::retry(refusal));
        }
        let device = self.ctx.signer.address();
        if device != self.ctx.me {
            let entry = self.ctx.chain.device_info(device).await?;
            let free = entry.limit.saturating_sub(entry.locked).to::<u128>();
            if free < need {
                let refusal = Refusal::DeviceLimit { free, needed: need };
                self.note(Fate::Excluded { refusal: refusal.clone() });
                return Err(StepError::retry(refusal));
            }
        }
        Ok(())
    }

    async fn fetch_input(&self, index: usize, input: &Input) -> Result<Result<(), Refusal>, StepError> {
        let folder = self.ctx.folder.agreement(self.address);
        let incoming = folder.incoming(index);
        let target = match self.terms.is_confidential() {
            true => folder.sealed(index),
            false => folder.inputs().join(&input.name),
        };
        if tokio::fs::metadata(&target).await.is_ok_and(|meta| meta.len() == input.size_bytes) {
            let hashed = sunwork_edge::blobs::hash_file(&target).await;
            if hashed.is_ok_and(|(sha256, _)| sha256 == input.sha256) {
                return Ok(Ok(()));
            }
        }
        let too_large = |found: u64| {
            let message =
                format!("the input {:?} has {found} bytes or more, expected {}", input.name, input.size_bytes);
            Ok(Err(Refusal::Specification { message }))
        };
        match self.ctx.blobs.get_to_file(input.sha256, input.size_bytes, &incoming).await {
            Ok(()) => {}
            Err(BlobError::TooLarge { found, .. }) => return too_large(found),
            Err(error) => return Err(self.unavailable(error)),
        }
        self.ctx.governor.transferred(input.size_bytes);
        let size = tokio::fs::metadata(&incoming).await.map_err(StepError::io("reading an input"))?.len();
        if size != input.size_bytes {
            return too_large(size);
        }
        tokio::fs::rename(&incoming, &target).await.map_err(StepError::io("moving an input"))?;
        Ok(Ok(()))
    }
}
