//! The session key for drawn verifiers: the worker mails it to them, and so does the agent. A worker that told only its
//! accomplices would make all others decline, and so choose its own verifiers.
use std::collections::HashSet;

use alloy::{
    eips::BlockId,
    primitives::{Address, B256},
    signers::SignerSync as _,
};
use sunwork_protocol::{
    abi::{IComputeAgreement::IComputeAgreementInstance, IWorkerDispatcher::IWorkerDispatcherInstance},
    envelope::{Context, Purpose, seal_key},
    mail::{Message, TOPIC_KEY},
    session::SessionKey,
    status::Status,
};

use super::{
    decide::is_usable,
    run::{KeyAgent, randomness},
};
use crate::{chain::Header, fold::AgreementRow, json::Account, store::StoreError};

/// What the chain says of a draw, all at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawView {
    /// Status of the agreement.
    pub status: Status,
    /// Its attempt.
    pub attempt: u8,
    /// Whom the client has named as its key agent.
    pub key_agent: Address,
    /// Who was drawn in the present round of voting.
    pub slots: Vec<Drawn>,
}

/// A drawn verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// Its identity.
    pub verifier: Address,
    /// Whether it has sealed; it has the key then.
    pub sealed: bool,
    /// Its published key.
    pub key: B256,
}

/// Verifiers that must still be told the key: only of an agreement whose claim window has closed and whose client named
/// this agent; not those that have sealed, and not those in `told`.
pub fn untold(me: Address, view: &DrawView, told: &HashSet<(u8, Address, B256)>) -> Vec<Drawn> {
    if view.status != Status::Verifying || view.key_agent != me {
        return Vec::new();
    }
    let waits =
        |slot: &&Drawn| !slot.sealed && is_usable(slot.key) && !told.contains(&(view.attempt, slot.verifier, slot.key));
    view.slots.iter().filter(waits).copied().collect()
}

impl KeyAgent {
    /// Mails the key to the verifiers of one agreement that are drawn and have not got it from here. What fails is tried
    /// again in a later round.
    pub(super) async fn share(&mut self, row: &AgreementRow, head: Header) -> Result<(), StoreError> {
        let agreement = row.address;
        if !self.is_ours(row).await? {
            return Ok(());
        }
        let Ok(Some(key)) = self.session_key(row).await? else { return Ok(()) };
        let view = match self.draw_view(row, BlockId::hash(head.hash)).await {
            Ok(view) => view,
            Err(reason) => {
                tracing::warn!(%agreement, reason, "the key agent cannot read a draw");
                return Ok(());
            }
        };
        let told = self.shared.get(&agreement).cloned().unwrap_or_default();
        for drawn in untold(self.address(), &view, &told) {
            let verifier = drawn.verifier;
            match self.mail_key(agreement, view.attempt, &drawn, &key).await {
                Ok(()) => {
                    tracing::info!(%agreement, %verifier, "the session key is in the verifier's mailbox");
                    self.shared.entry(agreement).or_default().insert((view.attempt, verifier, drawn.key));
                }
                Err(reason) => {
                    tracing::warn!(%agreement, %verifier, reason, "the session key is not mailed to a verifier yet");
                }
            }
        }
        Ok(())
    }

    async fn draw_view(&self, row: &AgreementRow, block: BlockId) -> Result<DrawView, String> {
        let contract = IComputeAgreementInstance::new(row.address.0, self.rpc.provider());
        let dispatcher = IWorkerDispatcherInstance::new(self.options.dispatcher, self.rpc.provider());
        let shown = contract.agreement().block(block).call().await;
        let shown = shown.map_err(|error| format!("calling agreement(): {error}"))?;
        let key_agent = dispatcher.keyAgentOf(row.client.0).block(block).call().await;
        let key_agent = key_agent.map_err(|error| format!("calling keyAgentOf({}): {error}", row.client))?;
        let status = Status::from_u8(shown.status)
            .ok_or_else(|| format!("it has status {}, which this version does not know", shown.status))?;
        let mut slots = Vec::new();
        // Of the present round of voting; those of earlier ones have had the key and sealed.
        let present = shown.slots.iter().skip(shown.firstSlot.into());
        for slot in present.filter(|_| status == Status::Verifying) {
            let (verifier, sealed) = (slot.verifier, !slot.seal.is_zero());
            let key = dispatcher.encryptionKeyOf(verifier).block(block).call().await;
            let key = key.map_err(|error| format!("calling encryptionKeyOf({verifier}): {error}"))?;
            slots.push(Drawn { verifier, sealed, key });
        }
        Ok(DrawView { status, attempt: shown.attempt, key_agent, slots })
    }

    async fn mail_key(&self, agreement: Account, attempt: u8, to: &Drawn, key: &SessionKey) -> Result<(), String> {
        let chain_id = self.rpc.chain_id();
        let context = Context { purpose: Purpose::VerifierKey, chain_id, agreement: agreement.0, attempt };
        let envelope = seal_key(to.key, &context, key, randomness()).map_err(|error| error.to_string())?;
        let message = Message::new(agreement.0, to.key, TOPIC_KEY, (self.clock.0)(), envelope);
        let message = message.map_err(|error| error.to_string())?;
        let signature =
            self.keys.signer.sign_hash_sync(&message.digest(chain_id)).map_err(|error| error.to_string())?;
        let put = self.mailbox.put(&message.signed(&signature)).await;
        put.map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use sunwork_protocol::envelope::SecretKey;

    use super::*;

    const ME: Address = Address::repeat_byte(1);

    #[test]
    fn only_drawn_verifiers_that_have_not_sealed_are_told_and_each_once() {
        let who = |n, sealed, key| Drawn { verifier: Address::repeat_byte(n), sealed, key };
        let key = |n| SecretKey::derive(&[n; 32]).public();
        let slots = vec![who(1, false, key(1)), who(2, true, key(2)), who(3, false, B256::ZERO), who(4, false, key(4))];
        let view = DrawView { status: Status::Verifying, attempt: 1, key_agent: ME, slots };
        let named = |view: &DrawView, told: &[(u8, u8, B256)]| -> Vec<Address> {
            let told = told.iter().map(|(attempt, n, key)| (*attempt, Address::repeat_byte(*n), *key)).collect();
            untold(ME, view, &told).into_iter().map(|drawn| drawn.verifier).collect()
        };
        let [one, four] = [1, 4].map(Address::repeat_byte);
        assert_eq!(named(&view, &[]), [one, four]);
        assert_eq!(named(&view, &[(1, 1, key(1))]), [four]);
        // Of another attempt, or under a key that was replaced, it was told nothing that it can use.
        assert_eq!(named(&view, &[(0, 1, key(1)), (1, 4, key(9))]), [one, four]);
        for other in [Address::ZERO, Address::repeat_byte(2)] {
            assert!(named(&DrawView { key_agent: other, ..view.clone() }, &[]).is_empty());
        }
        for status in Status::ALL.iter().copied().filter(|status| *status != Status::Verifying) {
            assert!(named(&DrawView { status, ..view.clone() }, &[]).is_empty(), "{status}");
        }
    }
}
