//! What the records say together. Pure: the state is a fold over them, and it can be written as records again.
use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes};
use sunwork_edge::tx::TxEntry;
use sunwork_protocol::status::Ending;

use super::record::{BarredFrom, Header, KeyFrom, Record};
use crate::{machine::DeclineReason, refusal::Refusal};

/// Everything that the journal knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whose it is.
    pub header: Option<Header>,
    /// Purchases up to this block are known.
    pub last_block: Option<u64>,
    /// By agreement.
    pub agreements: BTreeMap<Address, Agreement>,
    /// Transactions without an outcome, in the order in which they were signed.
    pub txs: Vec<TxEntry>,
}

/// What was promised and done about one agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Who bought.
    pub client: Address,
    /// Packed terms.
    pub terms: Bytes,
    /// Encoded specification.
    pub spec: Bytes,
    /// Block of the purchase.
    pub block: u64,
    /// Image and inputs are here.
    pub prepared: bool,
    /// Why we do not take part.
    pub refusal: Option<Refusal>,
    /// Salt of the worker's seal.
    pub work_salt: Option<B256>,
    /// The attempt in which the work was ours.
    pub holding: Option<u8>,
    /// The session key, sealed to us.
    pub key: Option<SealedKey>,
    /// Verifiers that we sent the session key to, with the attempt.
    pub keys_sent: BTreeSet<(u8, Address)>,
    /// The attempt whose logs were sent (with their blob) or given up.
    pub logs_sent: Option<(u8, Option<B256>)>,
    /// Leaves that are done, with digest and hash of the encrypted body.
    pub leaves: BTreeMap<u32, (B256, Option<B256>)>,
    /// What the worker's seal commits to.
    pub bundle: Option<Bundle>,
    /// Salt of the verifier's seal.
    pub verdict_salt: Option<B256>,
    /// What we compute as verifier: draw seed and leaves.
    pub sampling: Option<(B256, Vec<u32>)>,
    /// What the verifier's seal commits to: draw seed and digests.
    pub verdict: Option<(B256, Vec<B256>)>,
    /// Bundle of the worker that was found good.
    pub checked: Option<B256>,
    /// What the opening of a later round brings along.
    pub proven: Option<Proven>,
    /// The draw in which the opening has to do without it.
    pub unproven: Option<B256>,
    /// It cannot be done here.
    pub impossible: Option<DeclineReason>,
    /// The chain does not let us accept.
    pub barred_from_accepting: bool,
    /// The chain does not let us claim.
    pub barred_from_claiming: bool,
    /// How it ended, once nothing is left to do.
    pub finished: Option<Ending>,
}

/// A stored bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The attempt that it is encrypted for.
    pub attempt: u8,
    /// Root of the result tree.
    pub root: B256,
    /// Root of the ciphertext tree.
    pub ciphertext_root: B256,
    /// SHA-256 of the bundle.
    pub blob: B256,
}

/// The worker's digests of our leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The draw that named the leaves.
    pub draw_seed: B256,
    /// The worker's digests of them.
    pub digests: Vec<B256>,
    /// Their multiproof against the worker's root.
    pub proof: Vec<B256>,
}

/// A session key as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// The attempt that it is sealed for.
    pub attempt: u8,
    /// Who sealed it.
    pub from: KeyFrom,
    /// The envelope.
    pub envelope: Bytes,
}

impl Agreement {
    /// True when stake of ours may be locked in it.
    pub const fn took_part(&self) -> bool {
        self.work_salt.is_some() || self.verdict_salt.is_some()
    }

    /// True when nothing is to be done about it any more.
    pub const fn is_closed(&self) -> bool {
        self.finished.is_some() || (self.refusal.is_some() && !self.took_part())
    }
}

impl State {
    /// Adds one record.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Header(header) => self.header = Some(header),
            Record::Seen { block } => self.last_block = self.last_block.max(Some(block)),
            Record::Bought { agreement, client, terms, spec, block } => {
                let known = self.agreements.entry(agreement).or_default();
                let same = known.client == client && known.terms == terms && known.spec == spec;
                if !same && !known.is_closed() {
                    // A reorg put another purchase at this address: what was done was done for the old one.
                    *known = Agreement::default();
                }
                (known.client, known.terms, known.spec, known.block) = (client, terms, spec, block);
            }
            Record::Prepared { agreement } => self.at(agreement).prepared = true,
            Record::Refused { agreement, refusal } => self.at(agreement).refusal = Some(refusal),
            Record::Working { agreement, salt } => {
                let known = self.at(agreement);
                if known.work_salt.is_some_and(|before| before != salt) {
                    // What was encrypted under the old one is of no use any more.
                    known.leaves.clear();
                    known.bundle = None;
                }
                known.work_salt = Some(salt);
            }
            Record::Holding { agreement, attempt } => {
                let known = self.at(agreement);
                if known.holding.is_some_and(|held| held != attempt) {
                    // A reorganisation moved our acceptance: bodies are encrypted for an attempt, and nobody could open these.
                    known.leaves.clear();
                    known.bundle = None;
                }
                known.holding = Some(attempt);
            }
            Record::Key { agreement, attempt, from, envelope } => {
                self.at(agreement).key = Some(SealedKey { attempt, from, envelope });
            }
            Record::KeySent { agreement, attempt, verifier } => {
                self.at(agreement).keys_sent.insert((attempt, verifier));
            }
            Record::LogsSent { agreement, attempt, blob } => self.at(agreement).logs_sent = Some((attempt, blob)),
            Record::Leaf { agreement, leaf, digest, body } => {
                self.at(agreement).leaves.insert(leaf, (digest, body));
            }
            Record::Bundle { agreement, attempt, root, ciphertext_root, blob } => {
                self.at(agreement).bundle = Some(Bundle { attempt, root, ciphertext_root, blob });
            }
            Record::Claiming { agreement, salt } => self.at(agreement).verdict_salt = Some(salt),
            Record::Sampling { agreement, draw_seed, leaves } => {
                self.at(agreement).sampling = Some((draw_seed, leaves));
            }
            Record::Verdict { agreement, draw_seed, digests } => {
                let known = self.at(agreement);
                if known.verdict.as_ref().is_some_and(|(before, _)| *before != draw_seed) {
                    // Of another attempt or round: its bundle was checked, not this one.
                    known.checked = None;
                }
                known.verdict = Some((draw_seed, digests));
            }
            Record::Checked { agreement, blob } => self.at(agreement).checked = Some(blob),
            Record::Proven { agreement, draw_seed, digests, proof } => {
                self.at(agreement).proven = Some(Proven { draw_seed, digests, proof });
            }
            Record::Unproven { agreement, draw_seed } => self.at(agreement).unproven = Some(draw_seed),
            Record::Impossible { agreement, reason } => self.at(agreement).impossible = Some(reason),
            Record::Barred { agreement, from } => match from {
                BarredFrom::Accepting => self.at(agreement).barred_from_accepting = true,
                BarredFrom::Claiming => self.at(agreement).barred_from_claiming = true,
            },
            Record::Finished { agreement, ending } => self.at(agreement).finished = Some(ending),
            Record::TxSigned(entry) => self.txs.push(entry),
            Record::TxResolved { nonce, .. } => self.txs.retain(|entry| entry.nonce != nonce),
        }
    }

    fn at(&mut self, agreement: Address) -> &mut Agreement {
        self.agreements.entry(agreement).or_default()
    }

    /// The shortest list of records that says the same about everything that still matters: closed agreements keep only
    /// their end, so that a purchase that is read again is not taken for a new one.
    pub fn to_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        records.extend(self.header.clone().map(Record::Header));
        records.extend(self.last_block.map(|block| Record::Seen { block }));
        for (&agreement, known) in &self.agreements {
            known.push_records(agreement, &mut records);
        }
        records.extend(self.txs.iter().cloned().map(Record::TxSigned));
        records
    }
}

impl Agreement {
    fn push_records(&self, agreement: Address, records: &mut Vec<Record>) {
        let closed = self.is_closed();
        let (terms, spec) = if closed { Default::default() } else { (self.terms.clone(), self.spec.clone()) };
        records.push(Record::Bought { agreement, client: self.client, terms, spec, block: self.block });
        if let Some(refusal) = self.refusal.clone() {
            records.push(Record::Refused { agreement, refusal });
        }
        if let Some(ending) = self.finished {
            records.push(Record::Finished { agreement, ending });
        }
        if closed {
            return;
        }
        if self.prepared {
            records.push(Record::Prepared { agreement });
        }
        records.extend(self.work_salt.map(|salt| Record::Working { agreement, salt }));
        records.extend(self.holding.map(|attempt| Record::Holding { agreement, attempt }));
        if let Some(SealedKey { attempt, from, envelope }) = self.key.clone() {
            records.push(Record::Key { agreement, attempt, from, envelope });
        }
        let sent = self.keys_sent.iter();
        records.extend(sent.map(|&(attempt, verifier)| Record::KeySent { agreement, attempt, verifier }));
        records.extend(self.logs_sent.map(|(attempt, blob)| Record::LogsSent { agreement, attempt, blob }));
        records.extend(self.leaves.iter().map(|(&leaf, &(digest, body))| Record::Leaf {
            agreement,
            leaf,
            digest,
            body,
        }));
        if let Some(Bundle { attempt, root, ciphertext_root, blob }) = self.bundle {
            records.push(Record::Bundle { agreement, attempt, root, ciphertext_root, blob });
        }
        records.extend(self.verdict_salt.map(|salt| Record::Claiming { agreement, salt }));
        if let Some((draw_seed, leaves)) = self.sampling.clone() {
            records.push(Record::Sampling { agreement, draw_seed, leaves });
        }
        if let Some((draw_seed, digests)) = self.verdict.clone() {
            records.push(Record::Verdict { agreement, draw_seed, digests });
        }
        records.extend(self.checked.map(|blob| Record::Checked { agreement, blob }));
        if let Some(Proven { draw_seed, digests, proof }) = self.proven.clone() {
            records.push(Record::Proven { agreement, draw_seed, digests, proof });
        }
        records.extend(self.unproven.map(|draw_seed| Record::Unproven { agreement, draw_seed }));
        records.extend(self.impossible.map(|reason| Record::Impossible { agreement, reason }));
        if self.barred_from_accepting {
            records.push(Record::Barred { agreement, from: BarredFrom::Accepting });
        }
        if self.barred_from_claiming {
            records.push(Record::Barred { agreement, from: BarredFrom::Claiming });
        }
    }
}
