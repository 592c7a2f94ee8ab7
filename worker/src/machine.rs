//! What a worker does next about one agreement: a pure function of the chain's view, the own records and the clock.
//!
//! Nothing is remembered between two calls, so after a crash, a reorg or a lost race the same question simply gets the
//! right answer for the new state.
//!
//! ```text
//!              as worker                                   as verifier
//! Open         Prepare -> Accept                           Prepare (image and inputs will be needed)
//! Keying       Wait for the client
//! Working      OpenKey -> ComputeLeaves -> UploadBundle
//!              -> SealResult (Abort when it cannot be done)
//! Sealed       OpenDraw once the round's block exists      OpenDraw, a little later
//! Drawing      Wait                                        Claim -> ComputeSamples
//! Verifying    SendKeys                                    FetchKey -> ComputeSamples -> CheckBundle -> SealVerdict
//!                                                          (or Decline; without a key by half of the window)
//! Revealing    Reveal                                      Wait
//! Opening      SendLogs                                    OpenVerification
//! Settled,     Redeem -> SendLogs -> Done                  Redeem -> Done
//! Cancelled
//! any, late    Expire                                      Expire (Working: candidates, a little later)
//! ```
//! OpenKey, SendKeys and FetchKey are for confidential work only: the session key comes with the start of the work, and a
//! verifier's when the claim window has closed. Logs are sent when our attempt is over, and only where nothing else is to do.
use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use sunwork_protocol::{draw, status::Status, terms::ComputeTerms};

use crate::view::{Head, Slot, View};

/// Parameters of the deployment that the machine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// From the worker's seal to the proof of the round, seconds.
    pub seed_secs: u64,
    /// One widening step, seconds.
    pub draw_step_secs: u64,
    /// Widening steps.
    pub draw_steps: u64,
    /// Claims expected in step 0 per slot.
    pub draw_factor: u64,
}

/// Why a drawn verifier steps back, as it stands in the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u16)]
pub enum DeclineReason {
    /// No oracle has the worker's result blob.
    BundleMissing = 1,
    /// The result blob is not what the worker announced.
    BundleInvalid = 2,
    /// An input cannot be had.
    InputMissing = 3,
    /// The image cannot be had or run here.
    ImageUnusable = 4,
    /// This machine failed.
    OwnFailure = 5,
    /// The worker sent no session key in time.
    KeyMissing = 6,
    /// The session key is not the one that the terms commit to.
    KeyInvalid = 7,
    /// An input does not decrypt, or the private job does not fit the specification.
    InputInvalid = 8,
}

impl DeclineReason {
    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::BundleMissing => "no oracle has the worker's result blob",
            Self::BundleInvalid => "the result blob is not what the worker announced",
            Self::InputMissing => "an input cannot be had",
            Self::ImageUnusable => "the image cannot be had or run",
            Self::OwnFailure => "the machine failed",
            Self::KeyMissing => "no session key came in time",
            Self::KeyInvalid => "the session key is not the one that the terms commit to",
            Self::InputInvalid => "an input does not decrypt, or the private job does not fit the specification",
        }
    }
}

/// How far the session key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// It is here, or the work is public and needs none.
    Here,
    /// Not looked for yet.
    Unknown,
    /// Looked for, and not there.
    Missing,
    /// Looked for, and only something else than the key that the terms commit to was there.
    Wrong,
}

/// How far the preparation (image, inputs, own limits) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preparation {
    /// Not looked at, or in progress.
    Open,
    /// Image and inputs are here and proven.
    Ready,
    /// This machine cannot or may not run it, whatever the role.
    Refused,
}

/// How far the own computation is, as worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// Leaves are missing.
    Computing,
    /// All leaves are done; the bundle is not made or not stored.
    Computed,
    /// All that the seal needs is stored.
    Bundled,
    /// It cannot be done here.
    Impossible,
}

/// How far the own computation is, as verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Sampled leaves are missing.
    Computing,
    /// The digests are there; the worker's bundle was not checked.
    Computed,
    /// The bundle is what was announced: the verdict may be sealed.
    Checked,
    /// It cannot be done.
    Impossible(DeclineReason),
}

/// What this machine knows about one agreement besides the chain's view.
#[derive(Clone, Debug)]
pub struct Local {
    /// The terms.
    pub terms: ComputeTerms,
    /// The deployment.
    pub params: Params,
    /// The client; it can be neither worker nor verifier.
    pub client: Address,
    /// Image, inputs, limits.
    pub preparation: Preparation,
    /// Least reward that is worked for, smallest token unit.
    pub min_reward: u128,
    /// False when the chain has said that we may not accept (any more).
    pub may_accept: bool,
    /// False when the chain has said that we may not claim (any more).
    pub may_claim: bool,
    /// As worker.
    pub work: Work,
    /// As verifier.
    pub verification: Verification,
    /// The session key.
    pub key: Key,
    /// Verifiers that we sent the session key to, as worker of this attempt.
    pub keys_sent: BTreeSet<Address>,
    /// The attempt of ours whose logs the client has not got yet.
    pub logs_of: Option<u8>,
    /// Our best ticket of this draw, once computed; `None` without stake in it.
    pub ticket: Option<(u64, U256)>,
    /// We had a lock in this agreement at some time.
    pub took_part: bool,
    /// Something is owed to us.
    pub payable: bool,
    /// The block of the last final view, for how long the ending has stood.
    pub final_since: Option<u64>,
    /// Blocks after which an ending is believed.
    pub finality_blocks: u64,
    /// Seconds that others leave a party to do its own step: open the draw, expire.
    pub courtesy_secs: u64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Check limits, fetch image and inputs.
    Prepare,
    /// Take the work.
    Accept,
    /// Find the session key that was posted for us, and check it.
    OpenKey,
    /// Run the leaves that are missing.
    ComputeLeaves,
    /// Make the bundle and store it at an oracle.
    UploadBundle,
    /// Commit to the results.
    SealResult,
    /// Give up before the seal.
    Abort,
    /// Prove the beacon round.
    OpenDraw,
    /// Claim a slot with this ticket.
    Claim(u64),
    /// Seal the session key to the drawn verifiers that have not got it.
    SendKeys,
    /// Look into the mailbox for the session key.
    FetchKey,
    /// Run the sampled leaves that are missing.
    ComputeSamples,
    /// Fetch the worker's bundle and check it against its announcement.
    CheckBundle,
    /// Commit to the digests.
    SealVerdict,
    /// Step back before the seal.
    Decline(DeclineReason),
    /// Open the worker's seal.
    Reveal,
    /// Open the own verifier's seal.
    OpenVerification,
    /// Move it on after a deadline.
    Expire,
    /// Send the client what its app printed.
    SendLogs,
    /// Collect what is owed.
    Redeem,
    /// Nothing until the chain moves; the reason is for people.
    Wait(&'static str),
    /// Nothing ever again.
    Done,
}

/// The one decision.
pub fn next_action(view: &View, local: &Local, me: Address, head: Head) -> Action {
    match what_counts(view, local, me, head) {
        // Logs are a service: everything that money hangs on goes before them.
        Action::Wait(_) | Action::Done if owes_logs(view, local, me) => Action::SendLogs,
        action => action,
    }
}

/// True when our attempt is over and the client has not got its logs. Before the reveal they could hold the unpaid result.
/// A worker that is not ours is no proof: a node that lags shows the time before our accept.
fn owes_logs(view: &View, local: &Local, me: Address) -> bool {
    let over = |attempt| view.attempt > attempt || view.status.is_final() || is_revealed(view, attempt, me);
    local.logs_of.is_some_and(over)
}

/// True when the results of our attempt are open to the client.
pub fn is_revealed(view: &View, attempt: u8, me: Address) -> bool {
    let ours = view.attempt == attempt && view.worker == me;
    ours && matches!(view.status, Status::Opening | Status::Settled)
}

fn what_counts(view: &View, local: &Local, me: Address, head: Head) -> Action {
    let role = Role::of(view, me);
    if !view.status.is_final() && head.timestamp > view.deadline && (role != Role::None) {
        return late(view, role);
    }
    match view.status {
        Status::Open => open(view, local, me, head),
        Status::Keying | Status::Working | Status::Sealed
            if role == Role::None && local.preparation != Preparation::Ready =>
        {
            // A candidate verifier gets ready while the worker works.
            if local.preparation == Preparation::Refused { Action::Done } else { Action::Prepare }
        }
        Status::Keying => Action::Wait("the client's key is awaited"),
        // A worker that vanished cannot call it; whoever may take the work over has a reason to.
        Status::Working
            if role == Role::None
                && local.may_accept
                && local.client != me
                && head.timestamp > view.deadline.saturating_add(local.courtesy_secs) =>
        {
            Action::Expire
        }
        Status::Working => working(local, role),
        Status::Sealed => sealed(view, local, me, role, head),
        Status::Drawing => drawing(view, local, me, role, head),
        Status::Verifying => match role {
            Role::Verifier => verifying(view, local, me, head),
            Role::Worker if lacks_key(view, local) => Action::SendKeys,
            _ => Action::Wait("the drawn verifiers compute"),
        },
        Status::Revealing => match role {
            Role::Worker => Action::Reveal,
            _ => Action::Wait("the worker opens its seal"),
        },
        Status::Opening => match (role, view.slot_of(me)) {
            (Role::Verifier, Some(slot)) if !slot.opened => Action::OpenVerification,
            _ => Action::Wait("the verifiers open their seals"),
        },
        Status::Settled | Status::Cancelled => ended(local, head),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Worker,
    Verifier,
    None,
}

impl Role {
    fn of(view: &View, me: Address) -> Self {
        if view.worker == me {
            Self::Worker
        } else if view.slot_of(me).is_some() {
            Self::Verifier
        } else {
            Self::None
        }
    }
}

/// After the deadline nothing but `expire` works. A party's stake is locked until somebody calls it, so parties do; the
/// late one itself as well, since being late costs the same whoever says it.
fn late(view: &View, role: Role) -> Action {
    match (view.status, role) {
        (Status::Open, _) => Action::Wait("nobody accepted in time"),
        _ => Action::Expire,
    }
}

fn open(view: &View, local: &Local, me: Address, head: Head) -> Action {
    if local.client == me {
        return Action::Wait("it is our own purchase");
    }
    match local.preparation {
        Preparation::Refused => Action::Done,
        Preparation::Open => Action::Prepare,
        Preparation::Ready if !local.may_accept => Action::Wait("another worker must take it"),
        Preparation::Ready if head.timestamp > view.deadline => Action::Wait("nobody accepted in time"),
        Preparation::Ready if view.reward < local.min_reward => Action::Wait("the reward is still below the least one"),
        Preparation::Ready => Action::Accept,
    }
}

fn working(local: &Local, role: Role) -> Action {
    if role != Role::Worker {
        return Action::Wait("another worker computes");
    }
    match local.work {
        Work::Computing if local.key != Key::Here => Action::OpenKey,
        Work::Computing => Action::ComputeLeaves,
        Work::Computed => Action::UploadBundle,
        Work::Bundled => Action::SealResult,
        Work::Impossible => Action::Abort,
    }
}

fn sealed(view: &View, local: &Local, me: Address, role: Role, head: Head) -> Action {
    if head.number < view.round {
        return Action::Wait("the beacon round is not reached");
    }
    if head.timestamp > view.deadline {
        return Action::Wait("nobody proved the beacon round in time");
    }
    let sealed_at = view.deadline.saturating_sub(local.params.seed_secs);
    // The worker earns the tip first; others see to it that the draw opens though the worker be gone.
    let ours =
        role == Role::Worker || (local.client != me && head.timestamp >= sealed_at.saturating_add(local.courtesy_secs));
    if ours { Action::OpenDraw } else { Action::Wait("the draw is about to be opened") }
}

fn drawing(view: &View, local: &Local, me: Address, role: Role, head: Head) -> Action {
    match role {
        Role::Worker => Action::Wait("verifiers claim their slots"),
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
        Preparation::Open => return Action::Prepare,
        Preparation::Ready => {}
    }
    if local.client == me || !local.may_claim {
        return Action::Wait("we cannot verify this agreement");
    }
    if head.timestamp > view.deadline {
        return Action::Wait("too few verifiers claimed in time");
    }
    let Some((index, ticket)) = local.ticket else { return Action::Wait("we hold no ticket in this draw") };
    if ticket >= threshold(view, local, head.timestamp) {
        return Action::Wait("our ticket is above the threshold of this step");
    }
    let free = view.slots.len() < usize::from(local.terms.verifiers);
    // A slot whose holder has sealed is not given away any more.
    let worst = view.slots.iter().filter(|slot| slot.seal.is_zero()).map(|slot| slot.rank).max();
    if free || worst.is_some_and(|worst| draw::rank(ticket) < worst) {
        Action::Claim(index)
    } else {
        Action::Wait("lower tickets hold the slots")
    }
}

/// Tickets below this may claim at `now`; widens with time, so a value that is a block old is only too strict.
pub fn threshold(view: &View, local: &Local, now: u64) -> U256 {
    let Params { draw_step_secs, draw_steps, draw_factor, .. } = local.params;
    let start = view.deadline.saturating_sub(draw_steps * draw_step_secs);
    let step = now.saturating_sub(start) / draw_step_secs.max(1);
    // A second window goes on widening where the first one ended.
    let step = if view.strikes == 0 { step } else { step + draw_steps };
    draw::threshold(view.class_units, u64::from(local.terms.verifiers) * draw_factor, step)
}

/// A drawn verifier must get the session key from us; who has sealed needs it no more.
fn lacks_key(view: &View, local: &Local) -> bool {
    let waits = |slot: &Slot| slot.seal.is_zero() && !local.keys_sent.contains(&slot.verifier);
    local.terms.is_confidential() && local.key == Key::Here && view.slots.iter().any(waits)
}

fn verifying(view: &View, local: &Local, me: Address, head: Head) -> Action {
    if !unsealed(view, me) {
        return Action::Wait("the other verifiers compute");
    }
    // The other half of the window is for the computation, or for others to be drawn.
    let key_due = view.deadline.saturating_sub(u64::from(local.terms.verify_secs) / 2);
    match local.verification {
        Verification::Computing if local.key != Key::Here => match local.key {
            Key::Missing if head.timestamp >= key_due => Action::Decline(DeclineReason::KeyMissing),
            Key::Wrong if head.timestamp >= key_due => Action::Decline(DeclineReason::KeyInvalid),
            // A worker that was restarted late looks once all the same.
            _ => Action::FetchKey,
        },
        Verification::Computing => Action::ComputeSamples,
        Verification::Computed => Action::CheckBundle,
        Verification::Checked => Action::SealVerdict,
        Verification::Impossible(reason) => Action::Decline(reason),
    }
}

fn unsealed(view: &View, me: Address) -> bool {
    view.slot_of(me).is_some_and(|slot| slot.seal == B256::ZERO)
}

fn ended(local: &Local, head: Head) -> Action {
    if local.took_part && local.payable {
        return Action::Redeem;
    }
    let stands_for = local.final_since.map_or(0, |since| head.number.saturating_sub(since));
    if local.took_part && stands_for < local.finality_blocks {
        return Action::Wait("the ending may still be reorganised away");
    }
    Action::Done
}

#[cfg(test)]
mod tests;
