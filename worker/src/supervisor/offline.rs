//! While no node answers: what was being computed goes on from the journal, and is delivered once a node is back.
//!
//! Only leaves are computed. Whatever has an effect outside waits for the chain.
use sunwork_protocol::status::Status;

use super::{Next, Supervisor, work::Sealing};
use crate::{chain::ChainError, journal::Agreement, step::StepError, view::View};

/// What can be gone on with.
struct Task {
    leaves: Vec<u32>,
    /// As worker, with the attempt; as verifier without.
    sealing: Option<Sealing>,
}

impl Supervisor {
    /// Computes what the journal says was being computed. Without such, fails until the chain can be asked.
    pub(super) async fn without_chain(&self, error: Option<ChainError>) -> Result<Next, StepError> {
        let known = self.known();
        let Some(task) = self.unfinished(&known) else {
            return Err(match error {
                Some(error) => error.into(),
                None => StepError::NotYet("no node has answered yet".to_owned()),
            });
        };
        let (agreement, leaves) = (self.address, task.leaves.len());
        tracing::info!(%agreement, leaves, "no node answers: computing on from local state");
        let sealing = task.sealing;
        tokio::select! {
            done = self.compute(task.leaves, sealing) => {
                done?;
                tracing::info!(%agreement, "computed from local state; what follows waits for a node");
                Ok(Next::AwaitBlock)
            }
            () = self.until_unwanted(sealing) => {
                tracing::info!(%agreement, "stopped: a node is back, and the agreement moved on");
                Ok(Next::Now)
            }
        }
    }

    fn unfinished(&self, known: &Agreement) -> Option<Task> {
        let may = known.prepared && known.impossible.is_none() && known.refusal.is_none() && !known.is_closed();
        if !may {
            return None;
        }
        let has_key = |attempt: Option<u8>| {
            let fits = |key: &crate::journal::SealedKey| attempt.is_none_or(|attempt| key.attempt == attempt);
            !self.terms.is_confidential() || known.key.as_ref().is_some_and(fits)
        };
        if let (Some(attempt), Some(salt)) = (known.holding, known.work_salt) {
            let bundled = known.bundle.is_some_and(|bundle| bundle.attempt == attempt);
            let leaves = self.leaves_without_body(known);
            if !bundled && !leaves.is_empty() && has_key(Some(attempt)) {
                return Some(Task { leaves, sealing: Some(Sealing { salt, attempt }) });
            }
        }
        let (seed, sample) = known.sampling.as_ref()?;
        if known.verdict.as_ref().is_some_and(|(decided, _)| decided == seed) || !has_key(None) {
            return None;
        }
        let leaves: Vec<u32> = sample.iter().copied().filter(|leaf| !known.leaves.contains_key(leaf)).collect();
        (!leaves.is_empty()).then_some(Task { leaves, sealing: None })
    }

    /// Returns when the chain can be asked again and does not want these leaves any more.
    async fn until_unwanted(&self, sealing: Option<Sealing>) {
        let mut heads = self.ctx.heads.clone();
        heads.mark_unchanged();
        let me = self.ctx.me;
        let wanted = |view: &View| match sealing {
            Some(Sealing { attempt, .. }) => {
                view.status == Status::Working && view.worker == me && view.attempt == attempt
            }
            None => !view.status.is_final(),
        };
        loop {
            if heads.changed().await.is_err() {
                return std::future::pending().await;
            }
            if self.ctx.chain.view(self.address).await.is_ok_and(|view| !wanted(&view)) {
                return;
            }
        }
    }
}
