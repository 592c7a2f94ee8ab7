//! The parts of an agreement's row.
use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use sunwork_protocol::{status::RoundKind, terms::ComputeTerms};

use crate::json::{Account, Amount};

/// Terms of a compute purchase; amounts in the token's smallest unit, windows in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "see `sunwork_protocol::terms::ComputeTerms`, whose fields these are")]
pub struct Terms {
    pub reward_min: Amount,
    pub reward_max: Amount,
    pub verifier_fee: Amount,
    pub class_id: u16,
    pub confidential: bool,
    /// Only workers that are positive in the energy ledger accept and verify. Purchases that an oracle indexed before it knew of this
    /// say false; the terms in their events hold it.
    #[serde(default)]
    pub green_only: bool,
    pub trust_level: u8,
    pub trust: u16,
    pub leaf_count: u32,
    pub samples: u8,
    pub verifiers: u8,
    pub accept_secs: u32,
    pub work_secs: u32,
    pub verify_secs: u32,
    pub dispute_secs: u32,
    /// The one worker that may accept, if the terms name it.
    pub named_worker: Option<Account>,
    /// The pool that places the worker, if the terms name one.
    pub pool: Option<Account>,
    /// Contract that results can be delivered to.
    pub callback: Option<Account>,
    pub callback_gas: u32,
}

impl From<ComputeTerms> for Terms {
    fn from(t: ComputeTerms) -> Self {
        Self {
            reward_min: Amount(t.reward_min),
            reward_max: Amount(t.reward_max),
            verifier_fee: Amount(t.verifier_fee),
            class_id: t.class_id,
            confidential: t.is_confidential(),
            green_only: t.is_green_only(),
            trust_level: t.trust_level,
            trust: t.trust,
            leaf_count: t.leaf_count,
            samples: t.samples,
            verifiers: t.verifiers,
            accept_secs: t.accept_secs,
            work_secs: t.work_secs,
            verify_secs: t.verify_secs,
            dispute_secs: t.dispute_secs,
            named_worker: t.named_worker().map(Account),
            pool: t.pool().map(Account),
            callback: t.has_callback().then_some(Account(t.callback)),
            callback_gas: t.callback_gas,
        }
    }
}

/// The signed order that an agreement was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderUse {
    /// What the order is known by.
    pub order_hash: B256,
    /// Number of this use, from 0.
    pub index: u32,
}

/// A worker's seal, with what it announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sealing {
    /// The seal.
    pub seal: B256,
    /// Root over the hashes of the encrypted leaves.
    pub ciphertext_root: B256,
    /// SHA-256 of the result blob.
    pub result_blob: B256,
    /// Beacon round that the first verifiers are drawn from.
    pub round: u64,
    /// Where the blob can be had, for people; a stranger's words. Empty for the usual place.
    pub location: String,
}

/// A round of voting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Its number: 0 for the first, before the worker's reveal. Level 0 has none of that number.
    pub vote_round: u8,
    /// What it is for.
    pub kind: RoundKind,
    /// Slots to fill.
    pub wanted: u8,
    /// The leaves that its verifiers compute, where they are the ones in dispute.
    pub leaves: Vec<u32>,
    /// Beacon round that its verifiers are drawn from.
    pub beacon_round: u64,
    /// Seed of the draw, once the claim window was opened.
    pub draw_seed: Option<B256>,
    /// Who holds a slot of it, in the order of their claims.
    pub verifiers: Vec<Account>,
}

/// A verifier's slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verifier {
    /// Its identity.
    pub verifier: Account,
    /// The round of voting that it was drawn in.
    pub vote_round: u8,
    /// Top 80 bits of its ticket.
    pub ticket: Amount,
    /// Whether it sealed.
    pub sealed: bool,
    /// Whether its seal was opened.
    pub opened: bool,
    /// Whether it was opened without the worker's digests, which nobody has proven yet.
    #[serde(default)]
    pub unproven: bool,
    /// Bit i: it disagrees on its i-th leaf.
    pub dissent: u32,
}

/// A worker that left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormerWorker {
    /// Its identity.
    pub worker: Account,
    /// Its attempt.
    pub attempt: u8,
    /// What leaving cost it.
    pub slashed: Amount,
}

/// A verifier that left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormerVerifier {
    /// Its identity.
    pub verifier: Account,
    /// The attempt that it was drawn in.
    pub attempt: u8,
}

/// A leaf that somebody disputes (level 0: with which the client rejects the result).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dispute {
    /// Who put up the bond.
    pub by: Account,
    /// Which leaf.
    pub leaf: u32,
    /// The bond.
    pub bond: Amount,
}

/// A payment out of the escrow: to an account, or to a party by its identity (what it earned goes to its payout account).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// To whom.
    pub account: Account,
    /// How much.
    pub amount: Amount,
}
