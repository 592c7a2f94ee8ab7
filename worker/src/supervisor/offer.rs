//! What the owner's rules are asked about an agreement, and what is noted of the answers.
use sunwork_protocol::status::Status;

use super::Supervisor;
use crate::{
    board::{Part, Promised, Standing},
    energy::handle::key,
    governor::now_secs,
    journal::Agreement,
    machine::{Action, Local, Verification, Work},
    policy::{
        Offer,
        gas_units::{verifier_gas, verifier_gas_left, worker_gas, worker_gas_left},
        price::Booking,
    },
    refusal::Refusal,
    runtime::Limits,
    step::StepError,
    view::View,
    why::Fate,
};

impl Supervisor {
    /// Whether the owner's rules let us enter in this part now. What we are in already is not asked about again.
    pub(super) fn offered(&self, view: &View, part: Part) -> Result<(), Refusal> {
        if !self.could_enter(view) {
            return Ok(());
        }
        self.green.map_err(|standing| Refusal::NotPositive { standing })?;
        self.ctx.governor.offered(&self.offer(view, part))
    }

    /// Whether there is something left to enter for us.
    pub(super) fn could_enter(&self, view: &View) -> bool {
        let taken = view.worker == self.ctx.me || view.slot_of(self.ctx.me).is_some();
        !taken && !view.status.is_final()
    }

    /// Whether we want to enter in either part: the worker's refusal is the one that is told.
    pub(super) fn wanted(&self, view: &View) -> Result<(), Refusal> {
        let as_worker = self.offered(view, Part::Worker);
        let verifies = self.terms.trust_level != 0 && self.offered(view, Part::Verifier).is_ok();
        if verifies { Ok(()) } else { as_worker }
    }

    /// Whether battery and ether allow to be its worker, whatever the other rules say.
    pub(super) fn powered_for(&self, view: &View) -> bool {
        let offer = self.offer(view, Part::Worker);
        self.ctx.governor.gas_money(offer.gas_units).is_ok() && self.ctx.governor.energy.offered(&offer).is_ok()
    }

    /// What enters an agreement takes its energy first.
    pub(super) fn reserve_energy(&self, view: &View, action: &Action) -> Result<(), StepError> {
        let Some(part) = Self::enters(action) else { return Ok(()) };
        let energy = &self.ctx.governor.energy;
        energy
            .reserve(&key(self.address), &self.offer(view, part))
            .map_err(|refusal| StepError::NotYet(refusal.to_string()))
    }

    /// The part in which an action enters the agreement, if it does.
    pub(super) const fn enters(action: &Action) -> Option<Part> {
        match action {
            Action::Accept | Action::AcceptPlaced => Some(Part::Worker),
            Action::Claim(_) | Action::ClaimAndSeal(_) => Some(Part::Verifier),
            _ => None,
        }
    }

    fn offer(&self, view: &View, part: Part) -> Offer {
        let (terms, spec) = (&self.terms, &self.spec);
        let (leaves, pay, gas_units, window_secs) = match part {
            Part::Verifier => (u32::from(terms.samples), terms.verifier_fee, verifier_gas(), terms.verify_secs),
            Part::Worker | Part::Candidate => {
                let gas = worker_gas(terms.trust_level, terms.verifiers);
                (terms.leaf_count, view.reward, gas, terms.work_secs)
            }
        };
        let parallel = self.ctx.governor.leaves_at_once(Limits::of_spec(spec));
        let needs_secs = u64::from(spec.leaf_secs) * u64::from(leaves.div_ceil(parallel));
        let inputs = spec.inputs.iter().fold(0_u64, |sum, input| sum.saturating_add(input.size_bytes));
        let outputs = (u64::from(spec.output_mib) << 20).saturating_mul(u64::from(leaves));
        let outward = (u64::from(spec.network_mib) << 20).saturating_mul(u64::from(leaves));
        let stored = if part == Part::Verifier { 0 } else { outputs };
        Offer {
            pay,
            booking: Booking {
                milli_cpu: spec.milli_cpu,
                memory_mib: spec.memory_mib,
                leaf_secs: spec.leaf_secs,
                leaves,
            },
            gas_units,
            transfer_bytes: inputs.saturating_add(stored).saturating_add(outward),
            needs_secs: needs_secs.min(u64::from(window_secs)),
            window_secs: window_secs.into(),
        }
    }

    pub(super) fn note(&self, fate: Fate) {
        self.ctx.governor.why.note(self.address, fate, now_secs());
    }

    /// Notes that image or inputs do not come, and tries again.
    pub(super) fn unavailable(&self, error: impl std::fmt::Display) -> StepError {
        let message = error.to_string();
        self.note(Fate::Excluded { refusal: Refusal::Unavailable { message: message.clone() } });
        StepError::Retry(message)
    }

    /// Writes where the agreement stands on the board, and what became of it into the notes for `why`.
    pub(super) fn publish(&self, view: &View, known: &Agreement, local: &Local, action: &Action) {
        let me = self.ctx.me;
        let role = if view.worker == me {
            Part::Worker
        } else if view.slot_of(me).is_some() || view.verified_before(me) {
            Part::Verifier
        } else {
            Part::Candidate
        };
        let pay = match role {
            Part::Worker => view.reward,
            Part::Verifier => self.terms.verifier_fee,
            Part::Candidate => 0,
        };
        let step = match action {
            Action::Wait(reason) => (*reason).to_owned(),
            action => words(action),
        };
        self.ctx.governor.board.put(Standing {
            agreement: self.address,
            role,
            status: view.status,
            step,
            deadline: view.deadline,
            leaves_done: known.leaves.len() as u32,
            leaves: self.terms.leaf_count,
            promised: self.promised(view, known, local, role),
            gas_units: self.gas_left(view, role),
            pay: pay.to_string(),
        });
        if let Some(fate) = self.fate(view, known, local, role) {
            self.note(fate);
        }
    }

    /// What our part still needs of the energy. Others can move the agreement on at any time, and the next step may then be ours: who
    /// takes part has to be there within the shortest of its windows.
    fn promised(&self, view: &View, known: &Agreement, local: &Local, role: Part) -> Option<Promised> {
        if role == Part::Candidate || view.status.is_final() {
            return None;
        }
        let now = self.ctx.heads.borrow().timestamp;
        let (terms, params) = (&self.terms, &self.ctx.params);
        let windows = [
            u64::from(terms.verify_secs),
            params.reveal_secs,
            params.open_secs,
            params.seed_secs,
            params.draw_step_secs,
        ];
        let shortest = windows.into_iter().filter(|secs| *secs > 0).min().unwrap_or(0);
        let works = role == Part::Worker && matches!(view.status, Status::Keying | Status::Working);
        let verifies = role == Part::Verifier && matches!(view.status, Status::Drawing | Status::Verifying);
        let left = match (works, verifies) {
            (true, _) if local.work == Work::Computing => self.leaves_without_body(known).len() as u32,
            (_, true) if local.verification == Verification::Computing => u32::from(terms.samples),
            _ => 0,
        };
        let Offer { booking, needs_secs, .. } = self.offer(view, role);
        let booking = Booking { leaves: left, ..booking };
        let energy = self.ctx.governor.energy.board().map_or(0, |board| board.energy(&booking, needs_secs).0);
        let deadline = if view.deadline == 0 { now + shortest } else { view.deadline };
        Some(Promised { milliwatt_hours: energy, deadline, awake_by: deadline.min(now + shortest) })
    }

    /// Gas of the transactions that our part still has before it.
    fn gas_left(&self, view: &View, role: Part) -> u64 {
        match role {
            Part::Worker if !view.is_revealed() => {
                worker_gas_left(view.status, self.terms.trust_level, self.terms.verifiers)
            }
            Part::Verifier => {
                let slot = view.slot_of(self.ctx.me).filter(|slot| !slot.opened);
                slot.map_or(0, |slot| verifier_gas_left(view.status, !slot.seal.is_zero()))
            }
            Part::Worker | Part::Candidate => 0,
        }
    }

    /// `None` while the reason is noted where it is found, or where the agreement is past the point at which we could enter.
    fn fate(&self, view: &View, known: &Agreement, local: &Local, role: Part) -> Option<Fate> {
        match role {
            Part::Worker => return Some(Fate::Worked),
            Part::Verifier => return Some(Fate::Verified),
            Part::Candidate => {}
        }
        let enterable = matches!(view.status, Status::Open | Status::Sealed | Status::Drawing);
        if known.refusal.is_some() || !enterable {
            return None;
        }
        let offered = local.terms.reward_max.max(view.reward);
        if offered < local.min_reward {
            let refusal = Refusal::Reward { most: offered, least: local.min_reward };
            return Some(Fate::Excluded { refusal });
        }
        if let Err(refusal) = self.wanted(view) {
            return Some(Fate::Excluded { refusal });
        }
        // Before it is prepared its own limits, stake and inputs are still looked at, and noted there.
        if !known.prepared {
            return None;
        }
        if view.status != Status::Open {
            return Some(if known.barred_from_claiming {
                Fate::Excluded { refusal: Refusal::Barred }
            } else {
                Fate::Fits
            });
        }
        // Whoever cannot be its worker may still be drawn as a verifier, where there are any.
        let verifiable = self.terms.trust_level != 0;
        let named = self.terms.named_worker().filter(|named| *named != self.ctx.me);
        let refusal = match (named, self.terms.pool(), known.barred_from_accepting) {
            (Some(named), _, _) if !verifiable => Some(Refusal::NamedWorker { named }),
            (_, Some(_), _) if !verifiable => Some(Refusal::Pool),
            (_, _, true) if !verifiable => Some(Refusal::Barred),
            _ => None,
        };
        Some(refusal.map_or(Fate::Fits, |refusal| Fate::Excluded { refusal }))
    }
}

/// An action in words, such as "compute leaves".
fn words(action: &Action) -> String {
    let name = format!("{action:?}");
    let name = name.split('(').next().unwrap_or_default();
    let mut words = String::with_capacity(name.len() + 4);
    for (position, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && position > 0 {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_read_as_words() {
        assert_eq!(words(&Action::ComputeLeaves), "compute leaves");
        assert_eq!(words(&Action::Claim(7)), "claim");
    }
}
