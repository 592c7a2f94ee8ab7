//! What the machine is told about our own side.
use alloy::primitives::U256;
use sunwork_protocol::{draw, energy::NotPositive, status::Status};

use super::{COURTESY_SECS, Supervisor};
use crate::{
    board::Part,
    journal::Agreement,
    machine::{DeclineReason, Local, Lot, Preparation, Verification, Work},
    runtime::Limits,
    step::StepError,
    view::{Head, View},
};

impl Supervisor {
    /// The own side, from the journal and two questions to the chain.
    pub(super) async fn local(&mut self, view: &View, known: &Agreement, head: Head) -> Result<Local, StepError> {
        let ended = view.status.is_final();
        self.final_since = if ended { self.final_since.or(Some(head.number)) } else { None };
        let payable = ended && known.took_part() && !self.ctx.chain.payable_of(self.ctx.me).await?.is_zero();
        let preparation = match (&known.refusal, known.prepared) {
            (Some(_), _) => Preparation::Refused,
            (None, true) => Preparation::Ready,
            (None, false) => Preparation::Open,
        };
        self.green = self.ask_ledger(view, head).await?;
        let opening_sent = self.lock_mailed().is_sent(view.draw_seed);
        let lot = self.lot(view).await?;
        let unanswered = self.unanswered(view, head).await?;
        let placed = self.placement(view, head).await?.is_some() && self.powered_for(view) && self.green.is_ok();
        let seed_seen = self.seed_seen(view, head);
        let ticket = self.best_ticket(view).await?;
        Ok(Local {
            terms: self.terms.clone(),
            params: self.ctx.params,
            client: self.client,
            preparation,
            min_reward: self.ctx.governor.limits().min_reward,
            may_accept: !known.barred_from_accepting && self.offered(view, Part::Worker).is_ok(),
            may_claim: !known.barred_from_claiming && self.offered(view, Part::Verifier).is_ok(),
            placed,
            unanswered,
            merge_claims: self.ctx.governor.limits().merge_claims,
            sample_secs: self.sample_secs(),
            is_ahead: self.ahead == Some(view.draw_seed),
            work: self.work_state(view, known),
            verification: verification_state(view, known),
            key: self.key_state(known),
            openings: self.openings(view),
            opening_sent,
            lot,
            seed_seen,
            keys_sent: known.keys_sent.iter().filter(|(at, _)| *at == view.attempt).map(|(_, who)| *who).collect(),
            logs_of: self.logs_of(known),
            ticket,
            took_part: known.took_part(),
            payable,
            final_since: self.final_since,
            finality_blocks: self.ctx.finality_blocks,
            courtesy_secs: COURTESY_SECS,
        })
    }

    /// Green work is asked about as long as we could still enter it, at every look: records come once a day, and go stale.
    async fn ask_ledger(&self, view: &View, head: Head) -> Result<Result<(), NotPositive>, StepError> {
        if !self.terms.is_green_only() || !self.could_enter(view) {
            return Ok(Ok(()));
        }
        Ok(self.ctx.chain.positive(self.address, self.ctx.me, head.timestamp).await?)
    }

    fn work_state(&self, view: &View, known: &Agreement) -> Work {
        if known.bundle.is_some_and(|bundle| bundle.attempt == view.attempt) {
            Work::Bundled
        } else if known.impossible.is_some() || known.refusal.is_some() {
            Work::Impossible
        } else if self.leaves_without_body(known).is_empty() {
            Work::Computed
        } else {
            Work::Computing
        }
    }

    /// How long our sample is expected to take, seconds, rounded up; see [`Timings`](crate::timings::Timings).
    fn sample_secs(&self) -> Option<u64> {
        let limit_ms = u64::from(self.spec.leaf_secs) * 1000;
        let leaf_ms = self.ctx.timings.expected_ms(self.spec.image_digest).map_or(limit_ms, |ms| ms.min(limit_ms));
        let at_once = self.ctx.governor.leaves_at_once(Limits::of_spec(&self.spec));
        let rounds = u32::from(self.terms.samples).min(self.terms.leaf_count).div_ceil(at_once);
        Some(u64::from(rounds).checked_mul(leaf_ms)?.div_ceil(1000))
    }

    pub(super) fn leaves_without_body(&self, known: &Agreement) -> Vec<u32> {
        let done = |leaf: &u32| known.leaves.get(leaf).is_some_and(|(_, body)| body.is_some());
        (0..self.terms.leaf_count).filter(|leaf| !done(leaf)).collect()
    }

    async fn best_ticket(&mut self, view: &View) -> Result<Option<(u64, U256)>, StepError> {
        if view.draw_seed.is_zero() || view.status.is_final() {
            return Ok(None);
        }
        if let Some((seed, ticket)) = self.ticket
            && seed == view.draw_seed
        {
            return Ok(ticket);
        }
        let (seed, me) = (view.draw_seed, self.ctx.me);
        let units = self.ctx.chain.tickets(me, self.terms.class_id, view.snapshot_epoch).await?;
        // Linear in the units: off the async threads, and bounded by the stake that somebody paid for.
        let best = tokio::task::spawn_blocking(move || draw::best_ticket(seed, me, units));
        let ticket = best.await.map_err(StepError::retry)?;
        self.ticket = Some((seed, ticket));
        Ok(ticket)
    }

    /// The lot of the late audit, as long as it matters.
    async fn lot(&self, view: &View) -> Result<Lot, StepError> {
        let counts = matches!(view.status, Status::Revealing | Status::Opening) && view.vote_round == 0;
        if !counts || self.ctx.params.audit_one_in == 0 {
            return Ok(Lot::Known);
        }
        let round = view.class_units;
        Ok(if self.ctx.chain.seed_of(round).await?.is_zero() { Lot::Missing(round) } else { Lot::Known })
    }

    /// Since when the seed of a draw that nobody has opened is known.
    fn seed_seen(&mut self, view: &View, head: Head) -> Option<u64> {
        if view.status != Status::Sealed || view.draw_seed.is_zero() {
            return None;
        }
        let before = self.seed_seen.filter(|(seed, _)| *seed == view.draw_seed);
        let (_, since) = *self.seed_seen.insert(before.unwrap_or((view.draw_seed, head.timestamp)));
        Some(since)
    }
}

fn verification_state(view: &View, known: &Agreement) -> Verification {
    if let Some(reason) = known.impossible {
        return Verification::Impossible(reason);
    }
    if known.refusal.is_some() {
        // Looked at anew after the claim, and found not to be for us.
        return Verification::Impossible(DeclineReason::ImageUnusable);
    }
    match &known.verdict {
        Some((seed, _)) if *seed == view.draw_seed => {
            let checked = match view.vote_round {
                0 => known.checked.is_some(),
                _ => known.proven.as_ref().is_some_and(|proven| proven.draw_seed == view.draw_seed),
            };
            if !checked && known.unproven == Some(view.draw_seed) {
                return Verification::Unproven;
            }
            if checked { Verification::Checked } else { Verification::Computed }
        }
        _ => Verification::Computing,
    }
}
