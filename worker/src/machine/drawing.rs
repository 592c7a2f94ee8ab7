//! The draw: who opens the claim window, and who claims a slot when.
use alloy::primitives::{Address, U256};
use sunwork_protocol::{draw, status::Status};

use super::{Action, Key, Local, Params, Preparation, Role, Rounds, TOO_CHEAP, Verification, too_cheap};
use crate::view::{Head, View};

/// Waiting for the beacon round. A claim opens the window once the round is recorded; before that somebody must prove it.
pub(super) fn sealed(view: &View, local: &Local, me: Address, role: Role, head: Head) -> Action {
    if head.timestamp > view.deadline {
        return Action::Wait("nobody proved the beacon round in time");
    }
    if !view.draw_seed.is_zero() {
        return recorded(view, local, me, role, head);
    }
    match local.params.rounds {
        Rounds::Blocks if head.number < view.round => return Action::Wait("the beacon round is not reached"),
        Rounds::Drand => return Action::Wait("the beacon round is not recorded yet"),
        Rounds::Blocks => {}
    }
    let sealed_at = view.deadline.saturating_sub(local.params.seed_secs);
    // The worker earns the tip first; others see to it that the draw opens though the worker be gone.
    let ours =
        role == Role::Worker || (local.client != me && head.timestamp >= sealed_at.saturating_add(local.courtesy_secs));
    if ours { Action::OpenDraw } else { Action::Wait("the draw is about to be opened") }
}

/// The seed is there: the first claim opens the window at no extra cost. Where no ticket is low enough for the first step,
/// the worker opens it after a while, and others if it does not.
fn recorded(view: &View, local: &Local, me: Address, role: Role, head: Head) -> Action {
    if role == Role::None {
        match candidate(view, local, me, head) {
            Action::Wait(_) | Action::Done | Action::Prepare => {}
            claims => return claims,
        }
    }
    let patience = if role == Role::Worker { local.courtesy_secs } else { 2 * local.courtesy_secs };
    let since = local.seed_seen.unwrap_or(head.timestamp);
    if local.client != me && head.timestamp >= since.saturating_add(patience) {
        Action::OpenDraw
    } else {
        Action::Wait("the first claim opens the draw")
    }
}

pub(super) fn drawing(view: &View, local: &Local, me: Address, role: Role, head: Head) -> Action {
    match role {
        Role::Worker | Role::Past => Action::Wait("verifiers claim their slots"),
        Role::Verifier => match local.verification {
            // In a second window it may have come in the first one.
            Verification::Computing if local.key != Key::Here => Action::Wait("the key comes after the claim window"),
            Verification::Computing => Action::ComputeSamples,
            // The contract takes a decline only from who was drawn, and that is known when the window has closed.
            _ => Action::Wait("the claim window is open"),
        },
        Role::None => candidate(view, local, me, head),
    }
}

fn candidate(view: &View, local: &Local, me: Address, head: Head) -> Action {
    match local.preparation {
        Preparation::Refused => return Action::Done,
        _ if too_cheap(view, local) => return Action::Wait(TOO_CHEAP),
        Preparation::Open => return Action::Prepare,
        Preparation::Ready => {}
    }
    if local.client == me || !local.may_claim {
        return Action::Wait("we cannot verify this agreement");
    }
    if matches!(local.verification, Verification::Impossible(_)) {
        // It was tried in an earlier window, or as worker of an earlier attempt.
        return Action::Wait("this machine cannot verify it");
    }
    if head.timestamp > view.deadline {
        return Action::Wait("too few verifiers claimed in time");
    }
    let Some((index, ticket)) = local.ticket else { return Action::Wait("we hold no ticket in this draw") };
    if view.present().len() < view.wanted {
        if ticket < threshold(view, local, head.timestamp) {
            return claim(view, local, head.timestamp, index, ticket);
        }
        return Action::Wait("our ticket is above the threshold of this step");
    }
    // A full draw has no threshold: the lowest tickets hold the slots, sealed or not.
    let worst = view.present().iter().map(|slot| slot.rank).max();
    if worst.is_some_and(|worst| draw::rank(ticket) < worst) {
        claim(view, local, head.timestamp, index, ticket)
    } else {
        Action::Wait("lower tickets hold the slots")
    }
}

/// Claims now, or computes first so that claim and seal are one transaction.
fn claim(view: &View, local: &Local, now: u64, index: u64, ticket: U256) -> Action {
    match local.verification {
        _ if !local.merge_claims || local.terms.is_confidential() => Action::Claim(index),
        Verification::Checked => Action::ClaimAndSeal(index),
        Verification::Computing | Verification::Computed if !pays_ahead(view, local, now, ticket) => {
            Action::Claim(index)
        }
        Verification::Computing => Action::ComputeSamples,
        Verification::Computed if view.vote_round == 0 => Action::CheckBundle,
        Verification::Computed => Action::ProveLeaves,
        Verification::Unproven | Verification::Impossible(_) => Action::Claim(index),
    }
}

/// Whether computing before the claim pays: the claim must not come too late for it, and the slot must be ours with good odds,
/// or the work is done for nobody.
///
/// - Of this step of the window, at whose end it may close, twice the expected time is left; once begun, a quarter of it. In
///   that last quarter the claim goes first, and what was computed until then is of use after it.
/// - Fewer than a quarter as many lower tickets as slots are to be expected, so that lower ones take the slot from us in at
///   most one of five draws with one slot (1 - e^(-1/4)), one of eleven with two.
fn pays_ahead(view: &View, local: &Local, now: u64, ticket: U256) -> bool {
    let step_secs = local.params.draw_step_secs.max(1);
    let left = step_secs - now.saturating_sub(window_start(view, local, now)) % step_secs;
    let in_time = match local.sample_secs {
        _ if local.is_ahead => left > step_secs / 4,
        Some(secs) => secs.saturating_mul(2) <= left,
        None => false,
    };
    in_time && ticket < draw::threshold(view.class_units, view.wanted as u64, 0) / U256::from(4)
}

/// When the claim window began, or would begin with a claim.
fn window_start(view: &View, local: &Local, now: u64) -> u64 {
    match view.status {
        // The window begins with the claim that opens it.
        Status::Sealed => now,
        _ => view.deadline.saturating_sub(local.params.draw_steps * local.params.draw_step_secs),
    }
}

/// Tickets below this may claim a free slot at `now`; widens with time, so a value that is a block old is only too strict.
pub fn threshold(view: &View, local: &Local, now: u64) -> U256 {
    let Params { draw_step_secs, draw_steps, draw_factor, .. } = local.params;
    let step = now.saturating_sub(window_start(view, local, now)) / draw_step_secs.max(1);
    // A second window goes on widening where the first one ended.
    let step = if view.strikes == 0 { step } else { step + draw_steps };
    draw::threshold(view.class_units, view.wanted as u64 * draw_factor, step)
}
