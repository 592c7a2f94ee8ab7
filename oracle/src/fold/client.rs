//! One client.
use serde::{Deserialize, Serialize};

use crate::{
    events::{Event, PlacedEvent},
    json::Account,
};

/// What the events say of a client, apart from what it bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientRow {
    /// Its account.
    pub address: Account,
    /// Who may post session keys for it; absent when it has taken that back.
    pub key_agent: Option<Account>,
    /// The nonce that its signed orders must carry: raising it cancelled those with a lower one.
    pub order_nonce: u64,
}

impl ClientRow {
    /// Folds further events, in chain order, into a row. `None` while there is none of a client.
    pub fn fold(row: Option<Self>, events: &[PlacedEvent]) -> Option<Self> {
        events.iter().fold(row, |row, placed| {
            let empty = |client| Self { address: client, key_agent: None, order_nonce: 0 };
            match &placed.event {
                Event::KeyAgentSet { client, agent } => {
                    let key_agent = Some(*agent).filter(|agent| *agent != Account::default());
                    Some(Self { key_agent, ..row.unwrap_or_else(|| empty(*client)) })
                }
                Event::OrdersCancelled { client, nonce } => {
                    Some(Self { order_nonce: *nonce, ..row.unwrap_or_else(|| empty(*client)) })
                }
                _ => row,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};

    use super::*;

    #[test]
    fn the_last_word_counts_and_zero_takes_it_back() {
        let who = |n| Account(Address::repeat_byte(n));
        let set = |agent| PlacedEvent {
            block: 1,
            block_hash: B256::ZERO,
            time: 5,
            log_index: 0,
            tx: B256::ZERO,
            address: who(7),
            agreement: None,
            worker: None,
            client: Some(who(1)),
            meter: None,
            event: Event::KeyAgentSet { client: who(1), agent },
        };
        assert_eq!(ClientRow::fold(None, &[]), None);
        let row = ClientRow::fold(None, &[set(who(2)), set(who(3))]);
        assert_eq!(row.as_ref().unwrap().key_agent, Some(who(3)));
        assert_eq!(ClientRow::fold(row, &[set(Account::default())]).unwrap().key_agent, None);
    }
}
