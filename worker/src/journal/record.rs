//! The records of the journal. Adding a kind or an optional field is compatible; anything else needs a new [`VERSION`].
use std::fmt;

use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use sunwork_edge::tx::{TxEntry, TxOutcome};
use sunwork_protocol::status::Ending;

use crate::{machine::DeclineReason, refusal::Refusal};

/// Version of the format. 1 was of the contracts with one round of voting, whose terms are packed in another way.
pub const VERSION: u32 = 2;

/// Whose journal it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Format.
    pub version: u32,
    /// Chain.
    pub chain_id: u64,
    /// Dispatcher: tells two deployments on one chain apart.
    pub dispatcher: Address,
    /// The worker's identity.
    pub worker: Address,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {} at dispatcher {} on chain {}", self.worker, self.dispatcher, self.chain_id)
    }
}

/// One thing that happened or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// The first record.
    Header(Header),
    /// All purchases up to this block are written down.
    Seen {
        /// The block.
        block: u64,
    },
    /// A purchase in one of our classes.
    Bought {
        /// The agreement.
        agreement: Address,
        /// Who bought.
        client: Address,
        /// Packed terms.
        terms: Bytes,
        /// Encoded specification.
        spec: Bytes,
        /// Block of the purchase.
        block: u64,
    },
    /// Image and inputs are here and proven.
    Prepared {
        /// The agreement.
        agreement: Address,
    },
    /// We do not take part, and why.
    Refused {
        /// The agreement.
        agreement: Address,
        /// The reason with measured value and limit.
        refusal: Refusal,
    },
    /// We are about to accept; with this salt the results will be sealed. Another salt later on: the leaves that were done must
    /// be computed again.
    Working {
        /// The agreement.
        agreement: Address,
        /// The salt.
        salt: B256,
    },
    /// The work is ours, as worker of this attempt.
    Holding {
        /// The agreement.
        agreement: Address,
        /// The attempt.
        attempt: u8,
    },
    /// The session key is here and is the one that the terms commit to. It stands here as it came: sealed to us.
    Key {
        /// The agreement.
        agreement: Address,
        /// The attempt that it is sealed for.
        attempt: u8,
        /// Who sealed it.
        from: KeyFrom,
        /// The envelope.
        envelope: Bytes,
    },
    /// A leaf was computed; its files are in place.
    Leaf {
        /// The agreement.
        agreement: Address,
        /// Which leaf.
        leaf: u32,
        /// Its digest.
        digest: B256,
        /// SHA-256 of its encrypted body, as worker.
        body: Option<B256>,
    },
    /// The bundle is made and stored at an oracle.
    Bundle {
        /// The agreement.
        agreement: Address,
        /// The attempt that it is encrypted for.
        attempt: u8,
        /// Root of the result tree.
        root: B256,
        /// Root of the ciphertext tree.
        ciphertext_root: B256,
        /// SHA-256 of the bundle.
        blob: B256,
    },
    /// The session key lies in the mailbox of a verifier.
    KeySent {
        /// The agreement.
        agreement: Address,
        /// The attempt.
        attempt: u8,
        /// The verifier.
        verifier: Address,
    },
    /// The client has got the logs, or will not get them any more.
    LogsSent {
        /// The agreement.
        agreement: Address,
        /// The attempt.
        attempt: u8,
        /// SHA-256 of the blob; `None` when they were given up.
        blob: Option<B256>,
    },
    /// We are about to claim a slot; with this salt the verdict will be sealed.
    Claiming {
        /// The agreement.
        agreement: Address,
        /// The salt.
        salt: B256,
    },
    /// As verifier we compute these leaves: without network they can be gone on with.
    Sampling {
        /// The agreement.
        agreement: Address,
        /// The draw that sampled them.
        draw_seed: B256,
        /// The leaves, ascending.
        leaves: Vec<u32>,
    },
    /// The digests that our seal commits to, in ascending order of the leaf.
    Verdict {
        /// The agreement.
        agreement: Address,
        /// The draw that sampled them.
        draw_seed: B256,
        /// The digests.
        digests: Vec<B256>,
    },
    /// The worker's bundle is what it announced.
    Checked {
        /// The agreement.
        agreement: Address,
        /// SHA-256 of the bundle.
        blob: B256,
    },
    /// In a later round of voting: the worker's digests of our leaves with their multiproof against its root. Our own were
    /// written down before.
    Proven {
        /// The agreement.
        agreement: Address,
        /// The draw that named the leaves.
        draw_seed: B256,
        /// The worker's digests, in ascending order of the leaf.
        digests: Vec<B256>,
        /// Their multiproof.
        proof: Vec<B256>,
    },
    /// In a later round of voting: nothing proves the worker's digests of our leaves; our verdict stands all the same.
    Unproven {
        /// The agreement.
        agreement: Address,
        /// The draw that named the leaves.
        draw_seed: B256,
    },
    /// It cannot be done here.
    Impossible {
        /// The agreement.
        agreement: Address,
        /// For the record.
        reason: DeclineReason,
    },
    /// The chain does not let us in.
    Barred {
        /// The agreement.
        agreement: Address,
        /// From what.
        from: BarredFrom,
    },
    /// Nothing is left to do.
    Finished {
        /// The agreement.
        agreement: Address,
        /// How it ended.
        ending: Ending,
    },
    /// A transaction is about to be sent.
    TxSigned(TxEntry),
    /// A nonce is decided.
    TxResolved {
        /// The nonce.
        nonce: u64,
        /// The transaction that decided it.
        hash: B256,
        /// How.
        outcome: TxOutcome,
    },
}

/// Who sealed a session key to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFrom {
    /// The client or its key agent, on chain.
    Client,
    /// The worker, by mail.
    Worker,
}

/// What the chain keeps us from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BarredFrom {
    /// Being its worker.
    Accepting,
    /// Being its verifier.
    Claiming,
}

impl Record {
    /// Names of the crash points before and after it is durable.
    pub(crate) const fn crash_points(&self) -> [&'static str; 2] {
        match self {
            Self::Header(_) | Self::Seen { .. } => ["journal.seen.before", "journal.seen.after"],
            Self::Bought { .. } => ["journal.bought.before", "journal.bought.after"],
            Self::Prepared { .. } => ["journal.prepared.before", "journal.prepared.after"],
            Self::Refused { .. } => ["journal.refused.before", "journal.refused.after"],
            Self::Working { .. } => ["journal.working.before", "journal.working.after"],
            Self::Holding { .. } => ["journal.holding.before", "journal.holding.after"],
            Self::Key { .. } => ["journal.key.before", "journal.key.after"],
            Self::Leaf { .. } => ["journal.leaf.before", "journal.leaf.after"],
            Self::Bundle { .. } => ["journal.bundle.before", "journal.bundle.after"],
            Self::KeySent { .. } => ["journal.key_sent.before", "journal.key_sent.after"],
            Self::LogsSent { .. } => ["journal.logs_sent.before", "journal.logs_sent.after"],
            Self::Claiming { .. } => ["journal.claiming.before", "journal.claiming.after"],
            Self::Sampling { .. } => ["journal.sampling.before", "journal.sampling.after"],
            Self::Verdict { .. } => ["journal.verdict.before", "journal.verdict.after"],
            Self::Checked { .. } => ["journal.checked.before", "journal.checked.after"],
            Self::Proven { .. } => ["journal.proven.before", "journal.proven.after"],
            Self::Unproven { .. } => ["journal.unproven.before", "journal.unproven.after"],
            Self::Impossible { .. } => ["journal.impossible.before", "journal.impossible.after"],
            Self::Barred { .. } => ["journal.barred.before", "journal.barred.after"],
            Self::Finished { .. } => ["journal.finished.before", "journal.finished.after"],
            Self::TxSigned(_) => ["journal.tx_signed.before", "journal.tx_signed.after"],
            Self::TxResolved { .. } => ["journal.tx_resolved.before", "journal.tx_resolved.after"],
        }
    }
}
