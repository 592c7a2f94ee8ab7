//! One agreement.
use alloy::primitives::{B256, keccak256};
use serde::{Deserialize, Serialize};
use sunwork_protocol::{
    status::{Ending, Status},
    terms::ComputeTerms,
};

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
    /// The price it accepted.
    pub reward: Option<Amount>,
    /// The worker's seal and announcement.
    pub sealing: Option<Sealing>,
    /// Root of the results, once revealed.
    pub root: Option<B256>,
    /// Salt, once revealed; with the session key it opens the result blob.
    pub salt: Option<B256>,
    /// Verifiers that hold slots, in the order of their claims.
    pub verifiers: Vec<Verifier>,
    /// Workers that gave up or vanished.
    pub former_workers: Vec<FormerWorker>,
    /// Verifiers that were drawn and hold no slot any more: they declined, vanished, or their attempt was a dead end. Not
    /// those that lost their slot to a better ticket.
    #[serde(default)]
    pub former_verifiers: Vec<FormerVerifier>,
    /// Who was paid what.
    pub paid: Vec<Payment>,
    /// What was burned.
    pub burned: Amount,
    /// Block of the last event.
    pub updated_block: u64,
}

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
    pub trust_level: u8,
    pub trust: u16,
    pub leaf_count: u32,
    pub samples: u8,
    pub verifiers: u8,
    pub accept_secs: u32,
    pub work_secs: u32,
    pub verify_secs: u32,
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
    /// Beacon round that the verifiers are drawn from.
    pub round: u64,
}

/// A verifier's slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verifier {
    /// Its identity.
    pub verifier: Account,
    /// Top 80 bits of its ticket.
    pub ticket: Amount,
    /// Whether it sealed.
    pub sealed: bool,
    /// Whether its seal was opened.
    pub opened: bool,
    /// Bit i: it disagrees on its i-th sampled leaf.
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

/// A payment out of the escrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// To whom.
    pub account: Account,
    /// How much.
    pub amount: Amount,
}

impl From<ComputeTerms> for Terms {
    fn from(t: ComputeTerms) -> Self {
        let confidential = t.is_confidential();
        Self {
            reward_min: Amount(t.reward_min),
            reward_max: Amount(t.reward_max),
            verifier_fee: Amount(t.verifier_fee),
            class_id: t.class_id,
            confidential,
            trust_level: t.trust_level,
            trust: t.trust,
            leaf_count: t.leaf_count,
            samples: t.samples,
            verifiers: t.verifiers,
            accept_secs: t.accept_secs,
            work_secs: t.work_secs,
            verify_secs: t.verify_secs,
        }
    }
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
            verifiers: Vec::new(),
            former_workers: Vec::new(),
            former_verifiers: Vec::new(),
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
                self.status = Status::from_u8(*status).unwrap_or(self.status);
                self.attempt = *attempt;
                self.deadline = *deadline;
            }
            Event::Ended { ending } => self.ending = Ending::from_u8(*ending).unwrap_or(self.ending),
            Event::Accepted { worker, reward, .. } => {
                self.forget_attempt();
                self.worker = Some(*worker);
                self.reward = Some(*reward);
            }
            Event::WorkerLeft { worker, attempt, slashed } => {
                self.forget_attempt();
                self.former_workers.push(FormerWorker { worker: *worker, attempt: *attempt, slashed: *slashed });
            }
            Event::Sealed { seal, ciphertext_root, result_blob, round, .. } => {
                self.sealing = Some(Sealing {
                    seal: *seal,
                    ciphertext_root: *ciphertext_root,
                    result_blob: *result_blob,
                    round: *round,
                });
            }
            Event::Claimed { verifier, ticket, displaced } => {
                // The zero address, for "nobody", never holds a slot.
                self.verifiers.retain(|slot| slot.verifier != *displaced);
                self.verifiers.push(Verifier {
                    verifier: *verifier,
                    ticket: *ticket,
                    sealed: false,
                    opened: false,
                    dissent: 0,
                });
            }
            Event::VerifierSealed { verifier, .. } => self.slot(*verifier, |slot| slot.sealed = true),
            Event::Opened { verifier, dissent, .. } => self.slot(*verifier, |slot| {
                slot.opened = true;
                slot.dissent = *dissent;
            }),
            Event::VerifierLeft { verifier, .. } => {
                self.verifiers.retain(|slot| slot.verifier != *verifier);
                self.former_verifiers.push(FormerVerifier { verifier: *verifier, attempt: self.attempt });
            }
            Event::Revealed { root, salt, .. } => {
                self.root = Some(*root);
                self.salt = Some(*salt);
            }
            Event::Paid { account, amount, .. } => self.paid.push(Payment { account: *account, amount: *amount }),
            Event::Burned { amount, .. } => self.burned = Amount(self.burned.0.saturating_add(amount.0)),
            _ => {}
        }
    }

    fn slot(&mut self, verifier: Account, change: impl FnOnce(&mut Verifier)) {
        if let Some(slot) = self.verifiers.iter_mut().find(|slot| slot.verifier == verifier) {
            change(slot);
        }
    }

    fn forget_attempt(&mut self) {
        self.worker = None;
        self.reward = None;
        self.sealing = None;
        self.root = None;
        self.salt = None;
        let attempt = self.attempt;
        let gone = self.verifiers.drain(..).map(|slot| FormerVerifier { verifier: slot.verifier, attempt });
        self.former_verifiers.extend(gone);
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes};

    use super::*;

    fn who(n: u8) -> Account {
        Account(Address::repeat_byte(n))
    }

    fn placed(events: Vec<Event>) -> Vec<PlacedEvent> {
        let place = |(i, event): (usize, Event)| PlacedEvent {
            block: 10 + i as u64 / 3,
            block_hash: B256::ZERO,
            time: 1000 + i as u64 / 3,
            log_index: i as u64 % 3,
            tx: B256::repeat_byte(i as u8),
            address: who(1),
            agreement: Some(who(1)),
            worker: None,
            client: None,
            event,
        };
        events.into_iter().enumerate().map(place).collect()
    }

    fn bought() -> Event {
        let terms = ComputeTerms {
            reward_min: 5,
            reward_max: 9,
            verifier_fee: 2,
            class_id: 0,
            flags: 0,
            trust_level: 1,
            trust: 2,
            leaf_count: 16,
            samples: 3,
            verifiers: 2,
            accept_secs: 60,
            work_secs: 100,
            verify_secs: 50,
        };
        Event::AgreementBought {
            agreement: who(1),
            client: who(2),
            class_id: 0,
            kind_id: 0,
            budget: Amount(13),
            terms: Bytes::from(terms.pack().unwrap().to_vec()),
            spec: Bytes::from_static(b"spec"),
        }
    }

    fn status(status: Status, attempt: u8, deadline: u64) -> Event {
        Event::StatusChanged { status: status as u8, attempt, deadline }
    }

    fn accepted(worker: u8, attempt: u8) -> Event {
        Event::Accepted { worker: who(worker), attempt, reward: Amount(7), locked: Amount(70) }
    }

    fn claimed(verifier: u8, displaced: Account) -> Event {
        Event::Claimed { verifier: who(verifier), ticket: Amount(u128::from(verifier)), displaced }
    }

    /// A second attempt after the first worker aborted, a displaced and a vanished verifier, and a settlement.
    fn story() -> Vec<PlacedEvent> {
        placed(vec![
            bought(),
            accepted(3, 0),
            status(Status::Working, 0, 1200),
            Event::WorkerLeft { worker: who(3), attempt: 0, slashed: Amount(1) },
            status(Status::Open, 1, 1300),
            accepted(4, 1),
            status(Status::Working, 1, 1400),
            Event::Sealed {
                worker: who(4),
                attempt: 1,
                seal: B256::repeat_byte(1),
                ciphertext_root: B256::repeat_byte(2),
                result_blob: B256::repeat_byte(3),
                round: 17,
            },
            status(Status::Sealed, 1, 1500),
            claimed(5, Account::default()),
            claimed(6, Account::default()),
            claimed(7, who(5)),
            Event::VerifierLeft { verifier: who(7), reason: 1, slashed: Amount(0) },
            claimed(8, Account::default()),
            Event::VerifierSealed { verifier: who(6), seal: B256::repeat_byte(9) },
            Event::VerifierSealed { verifier: who(8), seal: B256::repeat_byte(9) },
            Event::Revealed {
                worker: who(4),
                root: B256::repeat_byte(4),
                salt: B256::repeat_byte(5),
                ciphertext_root: B256::repeat_byte(2),
                result_blob: B256::repeat_byte(3),
                leaves: vec![1, 2],
                digests: vec![],
            },
            Event::Opened { verifier: who(6), dissent: 0, digests: vec![] },
            Event::Opened { verifier: who(8), dissent: 0b10, digests: vec![] },
            Event::Paid { agreement: who(1), account: who(4), amount: Amount(7) },
            Event::Burned { agreement: who(1), amount: Amount(3) },
            Event::Burned { agreement: who(1), amount: Amount(4) },
            Event::Ended { ending: Ending::Verified as u8 },
            status(Status::Settled, 1, 0),
        ])
    }

    #[test]
    fn a_whole_life_is_told_by_its_events() {
        let row = AgreementRow::fold(None, &story()).unwrap();
        assert_eq!((row.status, row.ending, row.attempt, row.deadline), (Status::Settled, Ending::Verified, 1, 0));
        assert_eq!((row.worker, row.reward), (Some(who(4)), Some(Amount(7))));
        assert_eq!(row.former_workers, [FormerWorker { worker: who(3), attempt: 0, slashed: Amount(1) }]);
        assert_eq!(row.former_verifiers, [FormerVerifier { verifier: who(7), attempt: 1 }]);
        let slots: Vec<_> = row.verifiers.iter().map(|s| (s.verifier, s.sealed, s.opened, s.dissent)).collect();
        assert_eq!(slots, [(who(6), true, true, 0), (who(8), true, true, 2)]);
        assert_eq!(row.sealing.unwrap().round, 17);
        assert_eq!(row.salt, Some(B256::repeat_byte(5)));
        assert_eq!((row.paid.len(), row.burned), (1, Amount(7)));
        assert_eq!(row.terms.unwrap().leaf_count, 16);
    }

    #[test]
    fn folding_in_any_parts_gives_the_same() {
        let events = story();
        let whole = AgreementRow::fold(None, &events).unwrap();
        for cut in 1..events.len() {
            let half = AgreementRow::fold(None, &events[..cut]);
            // Through JSON, as the database does it.
            let stored = half.map(|row| serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap());
            assert_eq!(AgreementRow::fold(stored, &events[cut..]).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn an_agreement_is_open_from_the_purchase_on_whoever_speaks_first() {
        let silent = AgreementRow::fold(None, &placed(vec![bought()])).unwrap();
        assert_eq!((silent.status, silent.deadline), (Status::Open, 1060));
        let spoke = AgreementRow::fold(None, &placed(vec![status(Status::Open, 0, 1059), bought()])).unwrap();
        assert_eq!((spoke.status, spoke.deadline), (Status::Open, 1059));
        assert_eq!(AgreementRow::fold(None, &placed(vec![status(Status::Open, 0, 1)])), None);
    }

    #[test]
    fn unknown_numbers_do_not_stop_the_fold() {
        let events = placed(vec![bought(), Event::StatusChanged { status: 200, attempt: 0, deadline: 5 }]);
        let row = AgreementRow::fold(None, &events).unwrap();
        assert_eq!((row.status, row.deadline), (Status::Open, 5));
    }
}
