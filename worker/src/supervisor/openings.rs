//! Openings by mail: once all have sealed, every verifier seals its opening to the worker, and the worker opens all seals in
//! one transaction, which settles if they agree. It is a saving and no duty: whoever gets no mail opens by itself.
//!
//! The worker is bound by its own seal then, so what it reads changes nothing: a dissenting opening is carried all the same,
//! since a worker that does not reveal loses its whole lock.
use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use futures::future::join_all;
use sunwork_protocol::{
    abi::IComputeAgreement::{self, VerifierOpening, WorkerOpening},
    envelope::{self, Purpose},
    mail::{Message, TOPIC_OPENING},
    opening::Opening,
};

use super::{Supervisor, keys::fresh_bytes};
use crate::{
    crash,
    journal::Agreement,
    machine::Openings,
    step::StepError,
    view::{Slot, View},
};

/// Tries to send ours; the window is short.
const MAX_TRIES: u32 = 8;

/// What came and went by mail. In memory only: after a restart it is asked for, or sent, once more.
#[derive(Debug, Default)]
pub(super) struct Mailed {
    /// As worker: good openings, by verifier.
    found: BTreeMap<Address, Opening>,
    /// As worker: none can be read, or the contract refused them.
    useless: bool,
    /// As verifier: the draw in which ours was sent or given up.
    sent: Option<B256>,
    tries: u32,
}

impl Mailed {
    pub(super) fn is_sent(&self, draw_seed: B256) -> bool {
        self.sent == Some(draw_seed)
    }
}

impl Supervisor {
    /// How many openings are here that fit the seals on chain.
    pub(super) fn openings(&self, view: &View) -> Openings {
        let mailed = self.lock_mailed();
        if mailed.useless || self.ctx.encryption.is_none() {
            return Openings::None;
        }
        Openings::Gathering(view.present().iter().filter(|slot| mailed.found.contains_key(&slot.verifier)).count())
    }

    /// As verifier: our opening, sealed to the worker's published key. Without one it opens the old way.
    pub(super) async fn send_opening(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let tries = {
            let mut mailed = self.lock_mailed();
            mailed.tries += 1;
            mailed.tries
        };
        let sent = self.try_to_send_opening(view, known).await;
        if let (Err(error), true) = (&sent, tries < MAX_TRIES) {
            return Err(StepError::retry(error));
        }
        match sent {
            Ok(true) => tracing::info!(agreement = %self.address, "our opening is in the worker's mailbox"),
            Ok(false) => tracing::debug!(agreement = %self.address, "the worker reads no mail"),
            Err(error) => tracing::info!(agreement = %self.address, %error, "our opening is not mailed"),
        }
        self.lock_mailed().sent = Some(view.draw_seed);
        Ok(())
    }

    /// False when the worker has published no key.
    async fn try_to_send_opening(&self, view: &View, known: &Agreement) -> Result<bool, StepError> {
        let (digests, salt) = self.own_verdict(view, known)?;
        let recipient = self.ctx.chain.encryption_key_of(view.worker).await?;
        if recipient.is_zero() {
            return Ok(false);
        }
        let context = self.envelope_context(Purpose::Opening, view.attempt);
        let plain = Opening { salt, digests }.encode();
        let body = envelope::seal(recipient, &context, &plain, fresh_bytes()).map_err(StepError::retry)?;
        let message = Message::new(self.address, recipient, TOPIC_OPENING, self.mail_time_ms(), body)
            .map_err(StepError::retry)?;
        self.ctx.mail.send(&self.ctx.signer, message).await.map_err(StepError::retry)?;
        crash::point("opening.sent");
        Ok(true)
    }

    /// As worker: looks into the mailbox once. What fits no seal is passed over.
    pub(super) async fn gather_openings(&self, view: &View) -> Result<(), StepError> {
        let Some(secret) = &self.ctx.encryption else { return Ok(()) };
        let missing: Vec<&Slot> = {
            let mailed = self.lock_mailed();
            view.present().iter().filter(|slot| !mailed.found.contains_key(&slot.verifier)).collect()
        };
        let devices =
            join_all(missing.iter().map(|slot| self.ctx.chain.entered_with(self.address, slot.verifier))).await;
        let mut senders: Vec<Address> = missing.iter().map(|slot| slot.verifier).collect();
        senders.extend(devices.into_iter().flatten());
        let mail = &self.ctx.mail;
        let inbox = mail.inbox_from(&senders, secret.public(), self.address, TOPIC_OPENING).await;
        let not_yet = |why: String| Err(StepError::NotYet(why));
        let inbox = match inbox {
            Ok(inbox) => inbox,
            Err(error) => return not_yet(format!("the mailbox cannot be read: {error}")),
        };
        let context = self.envelope_context(Purpose::Opening, view.attempt);
        let chain_id = self.ctx.chain.deployment.chain_id;
        let mut news = false;
        for (_, message) in inbox {
            let plain = envelope::open(secret, &context, &message.body).ok();
            let Some(opening) = plain.and_then(|plain| Opening::decode(&plain)) else { continue };
            // Whose it is, the seal says.
            let fits = |slot: &&&Slot| {
                let samples = self.sample_of(view, slot.verifier).len();
                opening.fits(slot.seal, samples, chain_id, self.address, view.attempt, slot.verifier)
            };
            let Some(slot) = missing.iter().find(fits) else { continue };
            news |= self.lock_mailed().found.insert(slot.verifier, opening).is_none();
        }
        if news { Ok(()) } else { not_yet("the verifiers' openings are on their way".to_owned()) }
    }

    /// As worker: everything that is here in one transaction. If the contract refuses it, we open alone: in time.
    pub(super) async fn settle_all(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let worker = self.worker_opening(view, known)?;
        let verifiers = self.carried(view, &worker);
        let (count, of) = (verifiers.len(), view.present().len());
        tracing::info!(agreement = %self.address, count, of, "opening the seals of the verifiers with our own");
        let call = IComputeAgreement::settleAllCall { worker, verifiers };
        let calldata = alloy::sol_types::SolCall::abi_encode(&call).into();
        let sent = async {
            self.ctx.tx.simulate("settle-all", self.address, calldata).await?;
            self.send_opening_of("settle-all", call, view).await
        };
        let sent = sent.await;
        if matches!(&sent, Err(StepError::Refused { .. })) {
            self.lock_mailed().useless = true;
        }
        sent
    }

    /// In the order of the slots, as one transaction settles them; digests that equal ours are left out.
    fn carried(&self, view: &View, ours: &WorkerOpening) -> Vec<VerifierOpening> {
        let mailed = self.lock_mailed();
        let found = view.present().iter().filter_map(|slot| Some((slot, mailed.found.get(&slot.verifier)?)));
        let opened = found.map(|(slot, opening)| {
            let own = self.sample_of(view, slot.verifier).into_iter().map(|leaf| {
                let position = ours.leaves.binary_search(&leaf).ok();
                position.map(|position| ours.digests[position])
            });
            let same = own.eq(opening.digests.iter().copied().map(Some));
            let digests = if same { Vec::new() } else { opening.digests.clone() };
            VerifierOpening { verifier: slot.verifier, salt: opening.salt, digests }
        });
        opened.collect()
    }
}
