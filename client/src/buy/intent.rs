//! What somebody wants who buys: the name by which a later run finds a purchase, and the turns that purchases of one name take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use alloy::primitives::{B256, keccak256};
use sunwork_protocol::terms::SpecError;

use crate::client::Client;
use crate::plan::Plan;

/// Domain of [`Client::intent_of`].
const INTENT_DOMAIN: &[u8] = b"sunwork.intent.v1";

/// Purchases of one intent take turns: the second may be meant as a second one, and must see that the first is done.
#[derive(Debug, Default)]
pub(crate) struct Buying(Mutex<HashMap<B256, Weak<tokio::sync::Mutex<()>>>>);

impl Buying {
    pub(super) fn turn(&self, intent: B256) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&intent).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(intent, Arc::downgrade(&turn));
        turn
    }
}

/// Which purchases of the past count as the one that is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// One that nobody was told of.
    Untold,
    /// Any.
    All,
}

impl Client {
    /// What somebody wants who buys `plan`: a name for it that a later run finds again. The random nonce of a public plan does
    /// not count, and a sealed plan remembers the intent that it had before, since no two sealed plans are alike.
    ///
    /// # Errors
    /// When the terms do not fit their format.
    pub fn intent_of(&self, plan: &Plan) -> Result<B256, SpecError> {
        if let Some(intent) = plan.sealed_intent {
            return Ok(intent);
        }
        let mut spec = plan.spec.clone();
        if spec.key_commitment.is_zero() {
            (spec.key_nonce, spec.client_key) = (B256::ZERO, B256::ZERO);
        }
        let parts = [
            INTENT_DOMAIN,
            self.deployment().dispatcher.as_slice(),
            &[u8::from(plan.confidential)],
            &plan.terms.pack()?,
            &spec.encode(),
        ];
        Ok(keccak256(parts.concat()))
    }
}
