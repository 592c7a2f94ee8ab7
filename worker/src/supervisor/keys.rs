//! The session key of confidential work: from the client (on chain) to the worker, from the worker (by mail) to the drawn
//! verifiers. Whoever opens an envelope checks the key against the commitment in the specification, so a wrong key is
//! never used; it stands in the journal as it came, sealed.
use alloy::primitives::{Address, B256, Bytes};
use sunwork_protocol::{
    envelope::{self, EnvelopeError, Purpose, SecretKey},
    mail::{Message, TOPIC_KEY},
    session::SessionKey,
};

use super::Supervisor;
use crate::{
    crash,
    journal::{Agreement, Record, record::KeyFrom},
    machine::{DeclineReason, Key},
    refusal::Refusal,
    step::StepError,
    view::{Slot, View},
};

impl Supervisor {
    /// Whether what is sealed to us can be opened here: clients and workers seal to the published key.
    pub(super) async fn check_encryption(&self) -> Result<Result<(), Refusal>, StepError> {
        if !self.terms.is_confidential() {
            return Ok(Ok(()));
        }
        let Some(secret) = &self.ctx.encryption else { return Ok(Err(Refusal::NoEncryptionKey)) };
        let (own, published) = (secret.public(), self.ctx.chain.encryption_key_of(self.ctx.me).await?);
        Ok(if own == published { Ok(()) } else { Err(Refusal::EncryptionKey { own, published }) })
    }

    /// The same right before stake is locked: keys may have been changed since the preparation.
    pub(super) async fn require_encryption(&self) -> Result<(), StepError> {
        self.check_encryption().await?.map_err(|refusal| StepError::Stuck(refusal.to_string()))
    }

    fn secret(&self) -> Result<&SecretKey, StepError> {
        self.ctx.encryption.as_ref().ok_or_else(|| StepError::Stuck(Refusal::NoEncryptionKey.to_string()))
    }

    fn key_context(&self, from: KeyFrom, attempt: u8) -> envelope::Context {
        let purpose = match from {
            KeyFrom::Client => Purpose::WorkerKey,
            KeyFrom::Worker => Purpose::VerifierKey,
        };
        self.envelope_context(purpose, attempt)
    }

    pub(super) fn envelope_context(&self, purpose: Purpose, attempt: u8) -> envelope::Context {
        let chain_id = self.ctx.chain.deployment.chain_id;
        envelope::Context { purpose, chain_id, agreement: self.address, attempt }
    }

    /// How far the key is; see [`Key`].
    pub(super) fn key_state(&self, known: &Agreement) -> Key {
        if !self.terms.is_confidential() || known.key.is_some() { Key::Here } else { *self.lock_key_seen() }
    }

    /// The key, opened anew each time: in clear it is in memory only, and as short as possible.
    pub(super) fn session_key(&self, known: &Agreement) -> Result<SessionKey, StepError> {
        if !self.terms.is_confidential() {
            return Ok(SessionKey::PUBLIC);
        }
        let stuck = |error: &dyn std::fmt::Display| {
            StepError::Stuck(format!(
                "the session key in the journal does not open: {error}; was keys/encryption replaced? Put the old file back \
                 and restart"
            ))
        };
        let sealed = known.key.as_ref().ok_or_else(|| stuck(&"it is not there"))?;
        let context = self.key_context(sealed.from, sealed.attempt);
        envelope::open_key(self.secret()?, &context, &sealed.envelope, self.spec.key_commitment)
            .map_err(|error| stuck(&error))
    }

    /// As worker: the key that the client or its agent posted for this attempt.
    pub(super) async fn open_key(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        self.hold(view, known)?;
        let (agreement, attempt, from) = (self.address, view.attempt, KeyFrom::Client);
        let envelope = self.ctx.chain.posted_key(agreement, self.bought_block, attempt).await?;
        if let Err(refusal) = self.check_encryption().await? {
            // Nobody can say what the client sealed it to; giving up costs less than vanishing.
            return self.impossible(DeclineReason::OwnFailure, refusal);
        }
        let context = self.key_context(from, attempt);
        match envelope::open_key(self.secret()?, &context, &envelope, self.spec.key_commitment) {
            Ok(_) => Ok(self.ctx.journal.append(Record::Key { agreement, attempt, from, envelope })?),
            Err(error) => {
                let why =
                    format!("the session key that was posted is of no use: {error}; its fee for giving up is burned");
                self.impossible(DeclineReason::KeyInvalid, why)
            }
        }
    }

    /// As worker: the key to every drawn verifier that has not got it, side by side: one that cannot be reached holds up
    /// no other.
    pub(super) async fn send_keys(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let key = self.session_key(known)?;
        let waits = |slot: &&Slot| slot.seal.is_zero() && !known.keys_sent.contains(&(view.attempt, slot.verifier));
        let sending = view.slots.iter().filter(waits).map(|slot| self.send_key(view.attempt, &key, slot.verifier));
        futures::future::join_all(sending).await.into_iter().collect()
    }

    async fn send_key(&self, attempt: u8, key: &SessionKey, verifier: Address) -> Result<(), StepError> {
        let agreement = self.address;
        let failed = |error: &dyn std::fmt::Display| {
            StepError::retry(format!("the session key is not sent to verifier {verifier}: {error}"))
        };
        let recipient = self.ctx.chain.encryption_key_of(verifier).await?;
        let context = self.key_context(KeyFrom::Worker, attempt);
        let envelope = envelope::seal_key(recipient, &context, key, fresh_bytes()).map_err(|error| failed(&error))?;
        let message = Message::new(agreement, recipient, TOPIC_KEY, self.mail_time_ms(), envelope)
            .map_err(|error| failed(&error))?;
        self.ctx.mail.send(&self.ctx.signer, message).await.map_err(|error| failed(&error))?;
        // A crash here sends it once more; the newer message takes the place of the older one.
        crash::point("key.sent");
        tracing::info!(%agreement, %verifier, "the session key is in the verifier's mailbox");
        Ok(self.ctx.journal.append(Record::KeySent { agreement, attempt, verifier })?)
    }

    /// As verifier: the key that the worker sealed to us, or client and key agent while they are there: a worker that told only
    /// its accomplices would choose its own verifiers. The mailbox may be full of others, who do not count.
    pub(super) async fn fetch_key(&self, view: &View) -> Result<(), StepError> {
        let found = self.look_into_mailbox(view).await;
        let seen = match &found {
            Ok(Key::Wrong) => Key::Wrong,
            // Whether nothing came or nobody could be asked: there is no key.
            _ => Key::Missing,
        };
        *self.lock_key_seen() = seen;
        match found? {
            Key::Here => Ok(()),
            Key::Wrong => Err(StepError::NotYet("the worker has sent something that is not the session key".into())),
            Key::Missing | Key::Unknown => Err(StepError::NotYet("the worker has not sent the session key yet".into())),
        }
    }

    async fn look_into_mailbox(&self, view: &View) -> Result<Key, StepError> {
        let (agreement, attempt, from) = (self.address, view.attempt, KeyFrom::Worker);
        let secret = self.secret()?;
        let device = self.ctx.chain.entered_with(agreement, view.worker).await?;
        let agent = self.ctx.chain.key_agent_of(self.client).await?;
        let senders = [view.worker, device, self.client, agent];
        let inbox = self.ctx.mail.inbox_from(&senders, secret.public(), agreement, TOPIC_KEY).await;
        // It is the worker's duty alone, and only its messages can be at fault.
        let inbox = inbox.map_err(StepError::retry)?.into_iter().map(|(sender, message)| {
            let duty = sender == view.worker || sender == device;
            (duty, message)
        });
        let context = self.key_context(from, attempt);
        match pick(secret, &context, self.spec.key_commitment, inbox) {
            Picked::Key(envelope) => {
                self.ctx.journal.append(Record::Key { agreement, attempt, from, envelope })?;
                Ok(Key::Here)
            }
            Picked::Wrong(error) => {
                tracing::debug!(%agreement, %error, "the worker's message does not hold the session key");
                Ok(Key::Wrong)
            }
            Picked::Nothing => Ok(Key::Missing),
        }
    }
}

/// What the messages hold.
#[derive(Debug, PartialEq, Eq)]
enum Picked {
    /// The envelope with the session key.
    Key(Bytes),
    /// None holds it, though the worker has sent some; what was wrong with its newest.
    Wrong(EnvelopeError),
    /// The worker has sent none.
    Nothing,
}

/// The first message that holds the key that the terms commit to, whoever sent it: the commitment decides, and an older good
/// one counts as much as a newer one. With each message comes whether the worker sent it.
fn pick(
    secret: &SecretKey,
    context: &envelope::Context,
    commitment: B256,
    inbox: impl Iterator<Item = (bool, Message)>,
) -> Picked {
    let mut picked = Picked::Nothing;
    for (by_worker, message) in inbox {
        match envelope::open_key(secret, context, &message.body, commitment) {
            Ok(_) => return Picked::Key(message.body),
            Err(error) if by_worker && picked == Picked::Nothing => picked = Picked::Wrong(error),
            Err(_) => {}
        }
    }
    picked
}

/// Fresh random bytes.
pub(super) fn fresh_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::RngCore::fill_bytes(&mut rand::rng(), &mut bytes);
    bytes
}

/// Fresh random bytes for a salt or a blob's key.
pub(super) fn fresh_b256() -> B256 {
    fresh_bytes().into()
}

#[cfg(test)]
mod tests;
