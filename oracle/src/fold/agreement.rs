//! One agreement.
use alloy::primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};
use sunwork_protocol::{
    status::{Ending, RoundKind, Status},
    terms::ComputeTerms,
};

use super::parts::{Dispute, FormerVerifier, FormerWorker, OrderUse, Payment, Round, Sealing, Terms, Verifier};
use crate::{
    events::{Event, PlacedEvent},
    json::{Account, Amount},
};

/// What the events say of an agreement.
///
/// Not all of the truth: a claim window that closed by time alone still reads `drawing` here until the next transaction.
/// Whoever acts on it asks the contract's `agreement()`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgreementRow {
    /// Its contract.
    pub address: Account,
    /// Who bought it.
    pub client: Account,
    /// Pool of workers.
    pub class_id: u16,
    /// Kind, 0 for compute.
    pub kind_id: u8,
    /// Most that it can spend.
    pub budget: Amount,
    /// Terms of a compute purchase; absent where they are of another kind.
    pub terms: Option<Terms>,
    /// keccak256 of the specification, which is in the purchase event.
    pub spec_hash: B256,
    /// Block of the purchase.
    pub bought_block: u64,
    /// Its time, Unix seconds.
    pub bought_at: u64,
    /// Its position in the block.
    pub bought_log: u64,
    /// Its transaction.
    pub bought_tx: B256,
    /// Status after the last event.
    pub status: Status,
    /// How it ended.
    pub ending: Ending,
    /// Attempt number as in the events.
    pub attempt: u8,
    /// When anybody's `expire` may move it on, Unix seconds; 0 for never.
    pub deadline: u64,
    /// The worker of this attempt.
    pub worker: Option<Account>,
    /// The price it accepted, with what others had added.
    pub reward: Option<Amount>,
    /// The worker's seal and announcement.
    pub sealing: Option<Sealing>,
    /// Root of the results, once revealed.
    pub root: Option<B256>,
    /// Salt, once revealed; with the session key it opens the result blob.
    pub salt: Option<B256>,
    /// SHA-256 of the result blob, once announced (level 0: handed in).
    pub result_blob: Option<B256>,
    /// Rounds of voting of this attempt, the present one last.
    pub rounds: Vec<Round>,
    /// Time of the block with the last seal of the first round, Unix seconds: the lot of the late audit is drawn from the
    /// beacon's next round from there.
    pub voted_at: Option<u64>,
    /// Verifiers that hold slots, of all rounds, in the order of their claims.
    pub verifiers: Vec<Verifier>,
    /// Workers that gave up or vanished.
    pub former_workers: Vec<FormerWorker>,
    /// Verifiers that were drawn and hold no slot any more: they declined, vanished, or their attempt was a dead end. Not
    /// those that lost their slot to a better ticket.
    pub former_verifiers: Vec<FormerVerifier>,
    /// The signed order that it was made of, if it was.
    pub order: Option<OrderUse>,
    /// What others added to the reward.
    pub contributed: Amount,
    /// Leaves that were disputed.
    pub disputes: Vec<Dispute>,
    /// Leaves whose result was delivered to the contract that the terms name.
    pub delivered: Vec<u32>,
    /// Who was paid what.
    pub paid: Vec<Payment>,
    /// What was burned.
    pub burned: Amount,
    /// Block of the last event.
    pub updated_block: u64,
}

impl AgreementRow {
    /// Folds further events, in chain order, into a row. `None` while there is no purchase: no row without one.
    ///
    /// A clone may speak before the dispatcher announces the purchase in the same transaction, so the purchase is looked for
    /// first; all events of one transaction always come in one call.
    pub fn fold(row: Option<Self>, events: &[PlacedEvent]) -> Option<Self> {
        let mut row = row.or_else(|| events.iter().find_map(Self::bought))?;
        for placed in events {
            row.apply(placed);
        }
        Some(row)
    }

    fn bought(placed: &PlacedEvent) -> Option<Self> {
        let Event::AgreementBought { agreement, client, class_id, kind_id, budget, terms, spec } = &placed.event else {
            return None;
        };
        let terms = ComputeTerms::unpack(terms).ok().filter(|_| *kind_id == 0);
        Some(Self {
            address: *agreement,
            client: *client,
            class_id: *class_id,
            kind_id: *kind_id,
            budget: *budget,
            // A new agreement is open without a word of its own (contracts/types/Status.sol).
            status: Status::Open,
            deadline: terms.as_ref().map_or(0, |t| placed.time + u64::from(t.accept_secs)),
            terms: terms.map(Terms::from),
            spec_hash: keccak256(spec),
            bought_block: placed.block,
            bought_at: placed.time,
            bought_log: placed.log_index,
            bought_tx: placed.tx,
            ending: Ending::None,
            attempt: 0,
            worker: None,
            reward: None,
            sealing: None,
            root: None,
            salt: None,
            result_blob: None,
            rounds: Vec::new(),
            voted_at: None,
            verifiers: Vec::new(),
            former_workers: Vec::new(),
            former_verifiers: Vec::new(),
            order: None,
            contributed: Amount::default(),
            disputes: Vec::new(),
            delivered: Vec::new(),
            paid: Vec::new(),
            burned: Amount::default(),
            updated_block: placed.block,
        })
    }

    fn apply(&mut self, placed: &PlacedEvent) {
        self.updated_block = placed.block;
        match &placed.event {
            Event::StatusChanged { status, attempt, deadline } => {
                // A number that this version does not know leaves the last known status.
                let status = Status::from_u8(*status).unwrap_or(self.status);
                self.settled_at_once(status);
                self.status = status;
                self.attempt = *attempt;
                self.deadline = *deadline;
            }
            Event::Ended { ending } => self.ending = Ending::from_u8(*ending).unwrap_or(self.ending),
            Event::OrderUsed { order_hash, index, .. } => {
                self.order = Some(OrderUse { order_hash: *order_hash, index: *index });
            }
            Event::Accepted { worker, reward, .. } => {
                self.forget_attempt();
                self.worker = Some(*worker);
                self.reward = Some(*reward);
            }
            Event::WorkerLeft { worker, attempt, slashed } => {
                self.forget_attempt();
                self.former_workers.push(FormerWorker { worker: *worker, attempt: *attempt, slashed: *slashed });
            }
            Event::Sealed { seal, ciphertext_root, result_blob, round, location, .. } => {
                self.result_blob = Some(*result_blob);
                self.sealing = Some(Sealing {
                    seal: *seal,
                    ciphertext_root: *ciphertext_root,
                    result_blob: *result_blob,
                    round: *round,
                    location: shown(location),
                });
                let wanted = self.terms.as_ref().map_or(0, |terms| terms.verifiers);
                self.open_round(0, RoundKind::First, wanted, &[], *round);
            }
            Event::RoundOpened { vote_round, kind, wanted, leaves, beacon_round } => {
                // A kind that this version does not know has leaves or none, which is all that the row tells them apart by.
                let other = if leaves.is_empty() { RoundKind::Audit } else { RoundKind::Leaves };
                let kind = RoundKind::from_u8(*kind).unwrap_or(other);
                self.open_round(*vote_round, kind, *wanted, leaves, *beacon_round);
            }
            Event::DrawOpened { draw_seed, .. } => {
                if let Some(round) = self.rounds.last_mut() {
                    round.draw_seed = Some(*draw_seed);
                }
            }
            Event::Claimed { verifier, ticket, displaced } => {
                // The zero address, for "nobody", never holds a slot.
                self.drop_slot(*displaced);
                let vote_round = self.rounds.last_mut().map_or(0, |round| {
                    round.verifiers.push(*verifier);
                    round.vote_round
                });
                self.verifiers.push(Verifier {
                    verifier: *verifier,
                    vote_round,
                    ticket: *ticket,
                    sealed: false,
                    opened: false,
                    unproven: false,
                    dissent: 0,
                });
            }
            Event::VerifierSealed { verifier, .. } => {
                self.slot(*verifier, |slot| slot.sealed = true);
                // Again where a better ticket took a slot and sealed at once.
                let first = |round: &Round| round.vote_round == 0 && self.verifiers.len() >= usize::from(round.wanted);
                if self.rounds.last().is_some_and(first) && self.verifiers.iter().all(|slot| slot.sealed) {
                    self.voted_at = Some(placed.time);
                }
            }
            Event::Opened { verifier, dissent, .. } => self.slot(*verifier, |slot| {
                slot.opened = true;
                slot.unproven = false;
                slot.dissent = *dissent;
            }),
            Event::OpenedUnproven { verifier, .. } => self.slot(*verifier, |slot| {
                slot.opened = true;
                slot.unproven = true;
            }),
            Event::VerifierLeft { verifier, .. } => {
                self.drop_slot(*verifier);
                self.former_verifiers.push(FormerVerifier { verifier: *verifier, attempt: self.attempt });
            }
            Event::Revealed { root, salt, result_blob, .. } => {
                self.root = Some(*root);
                self.salt = Some(*salt);
                self.result_blob = Some(*result_blob);
            }
            Event::Contributed { total, .. } => self.contributed = *total,
            Event::Disputed { by, leaf, bond } => {
                self.disputes.push(Dispute { by: *by, leaf: *leaf, bond: *bond });
            }
            Event::Delivered { leaf, ok: true } => self.delivered.push(*leaf),
            Event::Paid { account, amount, .. } => self.pay(*account, *amount),
            Event::StakeReleased { worker, paid, .. } => self.pay(*worker, *paid),
            Event::Burned { amount, .. } => self.burned = Amount(self.burned.0.saturating_add(amount.0)),
            _ => {}
        }
    }

    /// The beacon round that the next draw waits for, if any: of the present round of voting.
    pub fn beacon_round(&self) -> Option<u64> {
        self.rounds.last().filter(|_| self.status == Status::Sealed).map(|round| round.beacon_round)
    }

    /// When the lot of the late audit was bound to a beacon round that its votes wait for: from the last seal of the first
    /// round until they are counted.
    pub fn lot_since(&self) -> Option<u64> {
        let first = self.rounds.last().is_some_and(|round| round.vote_round == 0);
        let counts = matches!(self.status, Status::Drawing | Status::Verifying | Status::Revealing | Status::Opening);
        self.voted_at.filter(|_| first && counts)
    }

    /// Where all opened the same in one transaction there is no word of each opening: that it settles right out of the
    /// first round says it.
    fn settled_at_once(&mut self, next: Status) {
        let before = matches!(self.status, Status::Drawing | Status::Verifying | Status::Revealing);
        let first = self.rounds.last().is_some_and(|round| round.vote_round == 0);
        if next == Status::Settled && before && first {
            self.verifiers.iter_mut().for_each(|slot| slot.opened = true);
        }
    }

    fn open_round(&mut self, vote_round: u8, kind: RoundKind, wanted: u8, leaves: &[u32], beacon_round: u64) {
        let (draw_seed, verifiers) = (None, Vec::new());
        self.rounds.push(Round {
            vote_round,
            kind,
            wanted,
            leaves: leaves.to_vec(),
            beacon_round,
            draw_seed,
            verifiers,
        });
    }

    fn pay(&mut self, account: Account, amount: Amount) {
        if amount.0 != 0 {
            self.paid.push(Payment { account, amount });
        }
    }

    fn slot(&mut self, verifier: Account, change: impl FnOnce(&mut Verifier)) {
        if let Some(slot) = self.verifiers.iter_mut().find(|slot| slot.verifier == verifier) {
            change(slot);
        }
    }

    fn drop_slot(&mut self, verifier: Account) {
        self.verifiers.retain(|slot| slot.verifier != verifier);
        for round in &mut self.rounds {
            round.verifiers.retain(|slot| *slot != verifier);
        }
    }

    fn forget_attempt(&mut self) {
        self.worker = None;
        self.reward = None;
        self.sealing = None;
        self.root = None;
        self.salt = None;
        self.result_blob = None;
        self.rounds.clear();
        self.voted_at = None;
        let attempt = self.attempt;
        let gone = self.verifiers.drain(..).map(|slot| FormerVerifier { verifier: slot.verifier, attempt });
        self.former_verifiers.extend(gone);
    }
}

/// A worker's words, as they can be shown: what is not text or would steer a terminal becomes U+FFFD.
fn shown(location: &[u8]) -> String {
    let text = String::from_utf8_lossy(location);
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests;
