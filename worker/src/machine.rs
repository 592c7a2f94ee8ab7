//! What a worker does next about one agreement: a pure function of the chain's view, the own records and the clock.
//!
//! Nothing is remembered between two calls, so after a crash, a reorg or a lost race the same question simply gets the
//! right answer for the new state.
//!
//! ```text
//!              as worker                                   as verifier
//! Open         Prepare -> Accept, AcceptPlaced             Prepare (image and inputs will be needed)
//! Keying       Wait for the client (Prepare, if it was
//!              taken by a signed offer)
//! Working      (Prepare) -> OpenKey -> ComputeLeaves -> UploadBundle
//!              -> SealResult (level 0: SubmitResult;
//!              Abort when it cannot be done)
//! Sealed       OpenDraw once the beacon round is there     Claim once it is recorded; OpenDraw, a little later
//! Drawing      Wait                                        Claim -> ComputeSamples; quick public work:
//!                                                          ComputeSamples -> CheckBundle -> ClaimAndSeal
//! Verifying    SendKeys                                    FetchKey -> ComputeSamples -> CheckBundle -> SealVerdict
//!                                                          (or Decline; without a key by half of the window)
//! Revealing    GatherOpenings -> RecordLot -> SettleAll,    SendOpening
//!              or Reveal
//! Opening      RecordLot -> Decide, SendLogs               OpenVerification
//! Disputable   SendLogs                                    Wait
//! Settled,     Redeem -> SendLogs -> Done                  Redeem -> Done
//! Cancelled
//! any, late    Expire                                      Expire (Working: candidates, a little later)
//! ```
//! Dissent, a late audit or a dispute leads from Opening or Disputable back to Sealed, with other verifiers: they do
//! ProveLeaves in place of CheckBundle and OpenLate in place of OpenVerification; without the proof OpenUnproven, in the first
//! half of Opening, which the worker must Answer. Who verified before waits for the end.
//!
//! OpenKey, SendKeys and FetchKey are for confidential work only: the session key comes with the start of the work, and a
//! verifier's when the claim window has closed. Logs are sent when our attempt is over, and only where nothing else is to do.
use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use sunwork_edge::deployment::BeaconKind;
use sunwork_protocol::{status::Status, terms::ComputeTerms};

use crate::view::{Head, Slot, View};

mod drawing;

pub use drawing::threshold;
use drawing::{drawing, sealed};

/// Parameters of the deployment that the machine needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Params {
    /// From the worker's seal to the proof of the round, seconds.
    pub seed_secs: u64,
    /// One widening step, seconds.
    pub draw_step_secs: u64,
    /// Widening steps.
    pub draw_steps: u64,
    /// Claims expected in step 0 per slot.
    pub draw_factor: u64,
    /// From the last verifier's seal to the worker's reveal, seconds.
    pub reveal_secs: u64,
    /// From the worker's reveal to the verifiers' openings, seconds.
    pub open_secs: u64,
    /// One in so many verified results is audited, by a lot; 0 for none.
    pub audit_one_in: u16,
    /// What its beacon rounds are.
    pub rounds: Rounds,
}

/// What the rounds of a deployment's beacon are, and so whether we can prove one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Rounds {
    /// Blocks: every node has the header that proves one.
    Blocks,
    /// Rounds of a drand chain, which oracles record.
    Drand,
}

impl Rounds {
    /// Those of this beacon.
    pub const fn of(beacon: &BeaconKind) -> Self {
        match beacon {
            BeaconKind::Block => Self::Blocks,
            BeaconKind::Drand(_) => Self::Drand,
        }
    }
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
    /// The digests are there; the worker's bundle was not checked, or its digests of our leaves are not proven (later rounds).
    Computed,
    /// The bundle is what was announced, or all is there that the opening will need: the verdict may be sealed.
    Checked,
    /// Later rounds: the verdict may be sealed, but nothing proves the worker's digests of our leaves. It has to show them.
    Unproven,
    /// It cannot be done.
    Impossible(DeclineReason),
}

/// How far the openings are that verifiers mail to the worker, so that one transaction may carry them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openings {
    /// So many are here, and more may come.
    Gathering(usize),
    /// None can be read, or the contract refused them: every verifier opens by itself.
    None,
}

/// The beacon round that draws the lot of the late audit; bound with the last seal of the first round. Votes are counted once
/// it is recorded, and if nobody records it the result counts as drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lot {
    /// There is none to wait for, or it is known.
    Known,
    /// Nobody has recorded this round yet.
    Missing(u64),
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
    /// The pool that the terms name has placed the work with us, and that still holds.
    pub placed: bool,
    /// False when the chain has said that we may not claim (any more).
    pub may_claim: bool,
    /// As worker.
    pub work: Work,
    /// As verifier.
    pub verification: Verification,
    /// The session key.
    pub key: Key,
    /// As worker: openings that came from the verifiers.
    pub openings: Openings,
    /// Whether the lot of the late audit is known.
    pub lot: Lot,
    /// As verifier: our opening is in the worker's mailbox, or cannot be sent.
    pub opening_sent: bool,
    /// Block time at which the recorded seed of this draw was first seen, Unix seconds.
    pub seed_seen: Option<u64>,
    /// Verifiers that we sent the session key to, as worker of this attempt.
    pub keys_sent: BTreeSet<Address>,
    /// The attempt of ours whose logs the client has not got yet.
    pub logs_of: Option<u8>,
    /// Verifiers of this round that opened without the worker's digests, which nobody has proven yet.
    pub unanswered: BTreeSet<Address>,
    /// Quick public work may be computed before the claim.
    pub merge_claims: bool,
    /// How long our sample is expected to take, seconds; `None` when nothing is known.
    pub sample_secs: Option<u64>,
    /// We have begun to compute before the claim.
    pub is_ahead: bool,
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
    /// Take the work that a pool placed with us.
    AcceptPlaced,
    /// Find the session key that was posted for us, and check it.
    OpenKey,
    /// Run the leaves that are missing.
    ComputeLeaves,
    /// Make the bundle and store it at an oracle.
    UploadBundle,
    /// Commit to the results.
    SealResult,
    /// Hand the results in, open (level 0).
    SubmitResult,
    /// Give up before the seal.
    Abort,
    /// Open the claim window, and prove the beacon round if nobody has.
    OpenDraw,
    /// Claim a slot with this ticket.
    Claim(u64),
    /// Claim a slot with this ticket, and commit to the digests at once.
    ClaimAndSeal(u64),
    /// Seal the session key to the drawn verifiers that have not got it.
    SendKeys,
    /// Look into the mailbox for the session key.
    FetchKey,
    /// Run the sampled leaves that are missing.
    ComputeSamples,
    /// Fetch the worker's bundle and check it against its announcement.
    CheckBundle,
    /// Find the worker's digests of our leaves with their proof, after the reveal.
    ProveLeaves,
    /// Commit to the digests.
    SealVerdict,
    /// Step back before the seal.
    Decline(DeclineReason),
    /// Seal our opening to the worker.
    SendOpening,
    /// Look into the mailbox for the verifiers' openings.
    GatherOpenings,
    /// Record the beacon round that draws the lot of the late audit.
    RecordLot(u64),
    /// Open the worker's seal together with those that came.
    SettleAll,
    /// Open the worker's seal.
    Reveal,
    /// Open the own verifier's seal.
    OpenVerification,
    /// The same in a later round.
    OpenLate,
    /// The same without the worker's digests: it has to prove them.
    OpenUnproven,
    /// As worker: prove our digests of the leaves of a verifier that opened without them.
    Answer(Address),
    /// Have the votes counted.
    Decide,
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
/// A worker that is not ours is no proof: a node that lags shows the time before our accept. At the end it is: a reorganisation took
/// our accept back, another's came in its place, and the client has no use for what our leaves printed.
fn owes_logs(view: &View, local: &Local, me: Address) -> bool {
    let ended = |attempt| {
        let anothers = view.attempt == attempt && view.worker != me && view.worker != Address::ZERO;
        view.status.is_final() && !anothers
    };
    let over = |attempt| view.attempt > attempt || ended(attempt) || is_revealed(view, attempt, me);
    local.logs_of.is_some_and(over)
}

/// True when the results of our attempt are open to the client.
pub fn is_revealed(view: &View, attempt: u8, me: Address) -> bool {
    view.attempt == attempt && view.worker == me && view.is_revealed()
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
            // A candidate verifier gets ready while the worker works; at level 0 there is none before a rejection.
            match local.preparation {
                Preparation::Refused => Action::Done,
                _ if too_cheap(view, local) => Action::Wait(TOO_CHEAP),
                _ if local.terms.trust_level == 0 && view.status != Status::Sealed => {
                    Action::Wait("nobody verifies what the client does not reject")
                }
                _ => Action::Prepare,
            }
        }
        // Taken by a signed offer: nothing was fetched for it yet.
        Status::Keying | Status::Working if role == Role::Worker && local.preparation == Preparation::Open => {
            Action::Prepare
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
            Role::Worker => revealing(view, local, head),
            Role::Verifier if !local.opening_sent => Action::SendOpening,
            _ => Action::Wait("the worker opens its seal"),
        },
        Status::Opening => opening(view, local, me, role, head),
        Status::Disputable => Action::Wait("the result is open and can be disputed"),
        Status::Settled | Status::Cancelled => ended(local, head),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Worker,
    /// Of this round.
    Verifier,
    /// It verified in an earlier round: its stake is in it, and it has nothing left to do.
    Past,
    None,
}

impl Role {
    fn of(view: &View, me: Address) -> Self {
        if view.worker == me {
            Self::Worker
        } else if view.slot_of(me).is_some() {
            Self::Verifier
        } else if view.verified_before(me) {
            Self::Past
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

const TOO_CHEAP: &str = "the reward stays below the least one, unless others add to it";

/// Neither the terms nor what others added so far reach the least reward: nothing is fetched for it.
fn too_cheap(view: &View, local: &Local) -> bool {
    local.terms.reward_max.max(view.reward) < local.min_reward
}

fn open(view: &View, local: &Local, me: Address, head: Head) -> Action {
    if local.client == me {
        return Action::Wait("it is our own purchase");
    }
    match local.preparation {
        Preparation::Refused => Action::Done,
        _ if too_cheap(view, local) => Action::Wait(TOO_CHEAP),
        Preparation::Open => Action::Prepare,
        Preparation::Ready if local.terms.named_worker().is_some_and(|named| named != me) => {
            Action::Wait("the terms name another worker; we may verify")
        }
        Preparation::Ready if local.terms.pool().is_some() && !local.placed => {
            Action::Wait("placed by a pool: no placement for us; we may verify")
        }
        Preparation::Ready if !local.may_accept => Action::Wait("another worker must take it"),
        Preparation::Ready if head.timestamp > view.deadline => Action::Wait("nobody accepted in time"),
        Preparation::Ready if view.reward < local.min_reward => Action::Wait("the reward is still below the least one"),
        Preparation::Ready if local.terms.pool().is_some() => Action::AcceptPlaced,
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
        Work::Bundled if local.terms.trust_level == 0 => Action::SubmitResult,
        Work::Bundled => Action::SealResult,
        Work::Impossible => Action::Abort,
    }
}

/// The verifiers' openings are awaited for a third of the window, and the lot of the late audit for two: with both one
/// transaction settles. The rest of the window is for the reveal, which must not be missed.
fn revealing(view: &View, local: &Local, head: Head) -> Action {
    let third = local.params.reveal_secs / 3;
    let begun = view.deadline.saturating_sub(local.params.reveal_secs);
    let count = match local.openings {
        Openings::Gathering(count) => count,
        Openings::None => 0,
    };
    let all = count == view.present().len();
    if !all && local.openings != Openings::None && head.timestamp < begun + third {
        return Action::GatherOpenings;
    }
    if all && head.timestamp < begun + 2 * third {
        match local.lot {
            Lot::Known => {}
            Lot::Missing(round) if provable(local, round, head) => return Action::RecordLot(round),
            Lot::Missing(_) => return Action::Wait("the lot of the late audit is not drawn yet"),
        }
    }
    if count > 0 { Action::SettleAll } else { Action::Reveal }
}

/// True when we can prove a beacon round now.
fn provable(local: &Local, round: u64, head: Head) -> bool {
    local.params.rounds == Rounds::Blocks && head.number >= round
}

fn opening(view: &View, local: &Local, me: Address, role: Role, head: Head) -> Action {
    let half = view.deadline.saturating_sub(local.params.open_secs / 2);
    match local.unanswered.first() {
        // Whose opening has no answer when the votes are counted has refuted the result.
        Some(verifier) if role == Role::Worker => return Action::Answer(*verifier),
        _ if local.unanswered.contains(&me) => {
            return Action::Wait("the worker has to prove its digests of our leaves");
        }
        _ => {}
    }
    let all = view.present().iter().all(|slot| slot.opened) && local.unanswered.is_empty();
    if role != Role::None && !view.present().is_empty() && all {
        // The worker records it first; others see to it that nobody is audited for want of that.
        return match local.lot {
            Lot::Known => Action::Decide,
            Lot::Missing(round) if provable(local, round, head) && (role == Role::Worker || head.timestamp >= half) => {
                Action::RecordLot(round)
            }
            Lot::Missing(_) => Action::Wait("the lot of the late audit is not drawn yet"),
        };
    }
    match (role, view.slot_of(me)) {
        (Role::Verifier, Some(slot)) if !slot.opened && view.vote_round == 0 => Action::OpenVerification,
        (Role::Verifier, Some(slot)) if !slot.opened => match local.verification {
            Verification::Unproven if head.timestamp < half => Action::OpenUnproven,
            // Too late for that: only the proof helps, should it be found after all.
            Verification::Unproven => Action::ProveLeaves,
            _ => Action::OpenLate,
        },
        _ => Action::Wait("the verifiers open their seals"),
    }
}

/// A drawn verifier must get the session key from us; who has sealed needs it no more.
fn lacks_key(view: &View, local: &Local) -> bool {
    let waits = |slot: &Slot| slot.seal.is_zero() && !local.keys_sent.contains(&slot.verifier);
    local.terms.is_confidential() && local.key == Key::Here && view.present().iter().any(waits)
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
        Verification::Computed if view.vote_round == 0 => Action::CheckBundle,
        Verification::Computed => Action::ProveLeaves,
        Verification::Checked | Verification::Unproven => Action::SealVerdict,
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
