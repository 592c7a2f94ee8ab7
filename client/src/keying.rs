//! Handing over the session key: to the worker that accepted, or before that to a key agent, so that the client may leave.
//!
//! ```text
//! a worker accepts ──▶ Keying ──▶ key agent named?  no ──▶ this client posts
//!                                                  yes ──▶ it posts; this client steps in after a grace time
//! verifiers drawn ──▶ Verifying ──▶ the worker mails them the key, and so does this client while it is there
//! ```

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use rand::RngCore;
use sunwork_edge::mail::{MailClient, MailError};
use sunwork_edge::tx::{Receipt, TxError};
use sunwork_protocol::abi::IComputeAgreement;
use sunwork_protocol::envelope::{Context, EnvelopeError, Purpose, seal_key};
use sunwork_protocol::mail::{self, Message, TOPIC_AGENT, TOPIC_KEY};
use sunwork_protocol::session::SessionKey;
use sunwork_protocol::status::Status;
use sunwork_protocol::terms::ComputeSpec;
use thiserror::Error;

use crate::agreements::FindError;
use crate::buy::tx_class;
use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::client::{Client, NoSigner};
use crate::confidential::ConfidentialError;

/// How long the client leaves the posting to its key agent at most, seconds of chain time.
const MAX_AGENT_GRACE_SECS: u64 = 30;
/// How often the chain is asked whether a key is due.
const POLL: Duration = Duration::from_millis(700);

/// A key that was not handed over.
#[derive(Debug, Error)]
pub enum KeyingError {
    /// No wallet.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// The chain.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The agreement.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The key itself.
    #[error(transparent)]
    Key(#[from] ConfidentialError),
    /// Somebody else's agreement.
    #[error(
        "agreement {agreement} was bought by {client}, this wallet is {wallet}: its session key is not ours to hand out. \
         Give the wallet that bought it with --keystore"
    )]
    NotTheClient {
        /// The agreement.
        agreement: Address,
        /// Who bought it.
        client: Address,
        /// This wallet.
        wallet: Address,
    },
    /// No key to seal to.
    #[error("{role} {account} has published no encryption key, so the session key cannot be sealed to it")]
    NoRecipient {
        /// Who.
        role: &'static str,
        /// Its account.
        account: Address,
    },
    /// Sealing.
    #[error("sealing the session key to {account}: {source}")]
    Seal {
        /// To whom.
        account: Address,
        /// Why not.
        source: EnvelopeError,
    },
    /// The message.
    #[error("writing to the key agent: {0}")]
    Message(#[from] mail::MailError),
    /// The mailbox.
    #[error("mailing the session key to the {role} {account}: {source}")]
    Mail {
        /// Who.
        role: &'static str,
        /// Its account.
        account: Address,
        /// Why not.
        source: MailError,
    },
    /// The transaction.
    #[error("posting the session key: {0}")]
    Tx(#[from] TxError),
}

impl Classified for KeyingError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(error) => error.class(),
            Self::Find(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::Mail { source, .. } if source.is_temporary() => ErrorClass::Retry,
            Self::Tx(error) => tx_class(error),
            Self::NoSigner(_)
            | Self::NotTheClient { .. }
            | Self::NoRecipient { .. }
            | Self::Seal { .. }
            | Self::Message(_)
            | Self::Mail { .. } => ErrorClass::Stop,
        }
    }
}

/// What has to be done about an agreement's key now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Nothing: the work is public, no worker has accepted yet, or the key is posted.
    None,
    /// The key agent has its turn until this time, Unix seconds.
    Agent {
        /// When the client steps in.
        until: u64,
    },
    /// The client must post the key now.
    Post,
}

/// The rule. The window for the key ends at `deadline` and is `key_secs` long; an agent gets the first half of it, and not more
/// than half a minute.
pub const fn duty(status: Status, agent: bool, deadline: u64, key_secs: u64, now: u64) -> Duty {
    let half = key_secs / 2;
    let grace = if half < MAX_AGENT_GRACE_SECS { half } else { MAX_AGENT_GRACE_SECS };
    let until = deadline.saturating_sub(key_secs).saturating_add(grace);
    match status {
        Status::Keying if !agent || now >= until => Duty::Post,
        Status::Keying => Duty::Agent { until },
        _ => Duty::None,
    }
}

/// A stranger can copy nonce and commitment of our agreement into one of its own, where it is the worker and the verifiers: the
/// key that we derive for that one would be the key of ours.
fn must_be_own(agreement: Address, client: Address, wallet: Address) -> Result<(), KeyingError> {
    if client == wallet { Ok(()) } else { Err(KeyingError::NotTheClient { agreement, client, wallet }) }
}

impl Client {
    /// The specification of an agreement whose key is ours to hand out.
    async fn spec_of_own(&self, agreement: Address) -> Result<ComputeSpec, KeyingError> {
        let purchase = self.purchase_of(agreement).await?;
        must_be_own(agreement, purchase.client, self.signer()?.address())?;
        Ok(purchase.spec)
    }

    /// Posts the session key of `agreement` if a worker waits for it and the key agent has not done it. Harmless to repeat.
    ///
    /// # Errors
    /// See [`KeyingError`].
    pub async fn post_key_if_due(&self, agreement: Address) -> Result<Option<Receipt>, KeyingError> {
        let standing = self.standing(agreement).await?;
        let Some(worker) = standing.worker.filter(|_| standing.status == Status::Keying) else { return Ok(None) };
        let (_, now) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let params = self.compute(agreement).params().call().await;
        let key_secs: u64 = params.doing(|| "reading the parameters of the agreement".into())?.keySecs.to();
        let agent = self.key_agent(self.signer()?.address()).await?;
        if duty(standing.status, agent.is_some(), standing.deadline, key_secs, now) != Duty::Post {
            return Ok(None);
        }
        let key = self.session_key(agreement, &self.spec_of_own(agreement).await?)?;
        let chain_id = self.deployment().chain_id;
        let context = Context { purpose: Purpose::WorkerKey, chain_id, agreement, attempt: standing.attempt };
        let sealed = match self.encryption_key(worker, "worker").await {
            Ok(recipient) => seal_key(recipient, &context, &key, randomness())
                .map_err(|source| KeyingError::Seal { account: worker, source }),
            Err(error) => Err(error),
        };
        let envelope = match sealed {
            Ok(envelope) => envelope,
            // A worker to which nothing can be sealed took the work to hold it up. Without any key it would get away with that;
            // with an empty one it must abort, for the fee, and the work is offered again.
            Err(error @ (KeyingError::NoRecipient { .. } | KeyingError::Seal { .. })) => {
                tracing::warn!(%agreement, %worker, %error, "posting an empty key, so that the worker must let go");
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        let call = IComputeAgreement::postKeyCall { worker, sealedKey: Bytes::from(envelope) };
        Ok(Some(self.transactions()?.send("postKey", agreement, call.abi_encode().into()).await?))
    }

    /// Gives the session key to the client's key agent, if it has named one; returns who that is. From then on the client may
    /// leave.
    ///
    /// # Errors
    /// See [`KeyingError`].
    pub async fn give_key_to_agent(
        &self,
        agreement: Address,
        spec: &ComputeSpec,
    ) -> Result<Option<Address>, KeyingError> {
        let signer = self.signer()?;
        let Some(agent) = self.key_agent(signer.address()).await? else { return Ok(None) };
        if spec.key_commitment.is_zero() {
            return Ok(None);
        }
        self.spec_of_own(agreement).await?;
        let key = self.session_key(agreement, spec)?;
        let recipient = self.encryption_key(agent, "key agent").await?;
        let chain_id = self.deployment().chain_id;
        let context = Context { purpose: Purpose::AgentKey, chain_id, agreement, attempt: 0 };
        let envelope = seal_key(recipient, &context, &key, randomness())
            .map_err(|source| KeyingError::Seal { account: agent, source })?;
        let message = Message::new(agreement, recipient, TOPIC_AGENT, unix_millis(), envelope)?;
        // The oracle learns of the purchase a block or two after us.
        let mut tries = 0;
        loop {
            match self.mail().send(signer, message.clone()).await {
                Ok(()) => return Ok(Some(agent)),
                Err(error) if error.is_temporary() && tries < 20 => {
                    tries += 1;
                    tracing::debug!(%error, "the mailbox does not take the key yet");
                    tokio::time::sleep(POLL).await;
                }
                Err(source) => return Err(KeyingError::Mail { role: "key agent", account: agent, source }),
            }
        }
    }

    /// Mails the session key to the drawn verifiers that have not sealed and are not in `told`, and adds them. The worker does the
    /// same, but a worker that only told its accomplices would choose its own verifiers: all others would have to decline.
    ///
    /// # Errors
    /// See [`KeyingError`]; all others were told, and are in `told`.
    pub async fn mail_key_to_verifiers(
        &self,
        agreement: Address,
        told: &mut HashSet<(u8, Address)>,
    ) -> Result<(), KeyingError> {
        let standing = self.standing(agreement).await?;
        if standing.status != Status::Verifying {
            return Ok(());
        }
        let attempt = standing.attempt;
        let slots = standing.verifiers.iter().filter(|slot| !slot.sealed).map(|slot| slot.verifier);
        let waiting: Vec<Address> = slots.filter(|verifier| !told.contains(&(attempt, *verifier))).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let spec = self.spec_of_own(agreement).await?;
        if spec.key_commitment.is_zero() {
            return Ok(());
        }
        let key = self.session_key(agreement, &spec)?;
        // One that has withdrawn its key must not keep the others from theirs.
        let sending = waiting.iter().map(|verifier| self.mail_key(agreement, attempt, *verifier, &key));
        let sent = futures::future::join_all(sending).await;
        let mut result = Ok(());
        for (verifier, sent) in waiting.into_iter().zip(sent) {
            match sent {
                Ok(()) => {
                    told.insert((attempt, verifier));
                }
                Err(error) => result = Err(error),
            }
        }
        result
    }

    async fn mail_key(
        &self,
        agreement: Address,
        attempt: u8,
        verifier: Address,
        key: &SessionKey,
    ) -> Result<(), KeyingError> {
        let recipient = self.encryption_key(verifier, "verifier").await?;
        let chain_id = self.deployment().chain_id;
        let context = Context { purpose: Purpose::VerifierKey, chain_id, agreement, attempt };
        let envelope = seal_key(recipient, &context, key, randomness())
            .map_err(|source| KeyingError::Seal { account: verifier, source })?;
        let message = Message::new(agreement, recipient, TOPIC_KEY, unix_millis(), envelope)?;
        let sent = self.mail().send(self.signer()?, message).await;
        sent.map_err(|source| KeyingError::Mail { role: "verifier", account: verifier, source })
    }

    /// Posts the key whenever a worker waits for it, and mails it to the drawn verifiers, until the returned guard is dropped.
    pub fn keep_keyed(&self, agreement: Address) -> KeyKeeper {
        let client = self.clone();
        KeyKeeper(tokio::spawn(async move {
            let mut told = HashSet::new();
            loop {
                if let Err(error) = client.mail_key_to_verifiers(agreement, &mut told).await {
                    tracing::debug!(%agreement, %error, "a verifier has no key from us yet");
                }
                match client.post_key_if_due(agreement).await {
                    Ok(Some(receipt)) => {
                        tracing::info!(%agreement, tx = %receipt.transaction_hash, "session key posted");
                    }
                    Ok(None) => {}
                    Err(
                        error @ (KeyingError::NoSigner(_) | KeyingError::NotTheClient { .. } | KeyingError::Key(_)),
                    ) => {
                        tracing::warn!(%agreement, %error, "the session key cannot be posted from here");
                        return;
                    }
                    Err(error) => tracing::warn!(%agreement, %error, "the session key is not posted yet"),
                }
                tokio::time::sleep(POLL).await;
            }
        }))
    }

    /// Mailboxes of the oracles.
    pub fn mail(&self) -> MailClient {
        MailClient::new(self.blobs().urls().to_vec(), self.deployment().chain_id)
    }

    /// Who may post keys for `account`.
    async fn key_agent(&self, account: Address) -> Result<Option<Address>, ReadError> {
        let agent = self.dispatcher().keyAgentOf(account).call().await;
        let agent = agent.doing(|| "reading the wallet's key agent".into())?;
        Ok(Some(agent).filter(|agent| !agent.is_zero()))
    }

    async fn encryption_key(&self, account: Address, role: &'static str) -> Result<B256, KeyingError> {
        let key = self.dispatcher().encryptionKeyOf(account).call().await;
        let key = key.doing(|| format!("reading the encryption key of the {role} {account}"))?;
        if key.is_zero() {
            return Err(KeyingError::NoRecipient { role, account });
        }
        Ok(key)
    }
}

/// Hands over keys in the background; dropping it ends that.
#[derive(Debug)]
pub struct KeyKeeper(tokio::task::JoinHandle<()>);

impl Drop for KeyKeeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn randomness() -> [u8; 32] {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_posts_at_once_without_an_agent_and_steps_in_after_one() {
        for (status, agent, now, expected) in [
            (Status::Open, false, 100, Duty::None),
            (Status::Keying, false, 100, Duty::Post),
            (Status::Keying, true, 100, Duty::Agent { until: 110 }),
            (Status::Keying, true, 109, Duty::Agent { until: 110 }),
            (Status::Keying, true, 110, Duty::Post),
            (Status::Working, false, 200, Duty::None),
            (Status::Cancelled, true, 200, Duty::None),
        ] {
            assert_eq!(duty(status, agent, 120, 20, now), expected, "{status:?} {agent} {now}");
        }
        assert_eq!(
            duty(Status::Keying, true, 1000, 1000, 0),
            Duty::Agent { until: 30 },
            "never longer than half a minute"
        );
    }

    #[test]
    fn a_key_is_not_handed_out_for_a_strangers_agreement_that_copied_our_commitment() {
        let [agreement, stranger, wallet] = [1, 2, 3].map(Address::repeat_byte);
        assert!(must_be_own(agreement, wallet, wallet).is_ok());
        let error = must_be_own(agreement, stranger, wallet).unwrap_err();
        assert!(matches!(error, KeyingError::NotTheClient { client, .. } if client == stranger), "{error}");
        assert_eq!(error.class(), ErrorClass::Stop);
    }
}
