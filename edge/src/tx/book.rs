//! What a transaction log says, folded from its lines. Pure.
use std::collections::VecDeque;

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::{Settled, TxEntry, TxOutcome};

/// Mined transactions with an intent that are remembered.
pub(crate) const MAX_SETTLED: usize = 256;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    Signed(TxEntry),
    Resolved {
        nonce: u64,
        hash: B256,
        outcome: TxOutcome,
    },
    /// The outcome was handed to whoever wanted it.
    Told {
        hash: B256,
    },
    /// What is left of lines that were compacted away.
    Settled(Settled),
}

/// The state of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    /// Without an outcome, in the order of signing.
    pub pending: Vec<TxEntry>,
    settled: VecDeque<Settled>,
}

impl Book {
    pub fn apply(&mut self, line: Line) {
        match line {
            Line::Signed(entry) => self.pending.push(entry),
            Line::Resolved { nonce, hash, outcome } => {
                // A nonce may be used again after its outcome; all attempts with it have the same intent.
                let intent = self.pending.iter().find(|entry| entry.nonce == nonce).and_then(|entry| entry.intent);
                self.pending.retain(|entry| entry.nonce != nonce);
                if let (Some(intent), TxOutcome::Mined) = (intent, outcome) {
                    self.remember(Settled { intent, hash, told: false });
                }
            }
            Line::Told { hash } => {
                for settled in self.settled.iter_mut().filter(|settled| settled.hash == hash) {
                    settled.told = true;
                }
            }
            Line::Settled(settled) => self.remember(settled),
        }
    }

    pub fn settled(&self, intent: B256) -> Option<Settled> {
        self.settled.iter().rev().find(|settled| settled.intent == intent).copied()
    }

    /// The shortest list of lines that gives the same book.
    pub fn lines(&self) -> Vec<Line> {
        let settled = self.settled.iter().copied().map(Line::Settled);
        settled.chain(self.pending.iter().cloned().map(Line::Signed)).collect()
    }

    fn remember(&mut self, settled: Settled) {
        self.settled.push_back(settled);
        while self.settled.len() > MAX_SETTLED {
            // What nobody was told yet is the last to go.
            let index = self.settled.iter().position(|settled| settled.told).unwrap_or(0);
            self.settled.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes, U256};

    use super::*;

    fn entry(nonce: u64, n: u8, intent: Option<u8>) -> TxEntry {
        TxEntry {
            label: "buy".into(),
            to: Address::ZERO,
            value: U256::ZERO,
            input_hash: B256::repeat_byte(n),
            nonce,
            hash: B256::repeat_byte(n),
            raw: Bytes::new(),
            intent: intent.map(B256::repeat_byte),
            signed_at: None,
        }
    }

    #[test]
    fn a_mined_intent_is_found_until_it_is_told_and_after() {
        let mut book = Book::default();
        book.apply(Line::Signed(entry(1, 1, Some(9))));
        book.apply(Line::Signed(entry(1, 2, Some(9))));
        book.apply(Line::Signed(entry(2, 3, None)));
        assert_eq!(book.settled(B256::repeat_byte(9)), None);
        book.apply(Line::Resolved { nonce: 1, hash: B256::repeat_byte(2), outcome: TxOutcome::Mined });
        let found = book.settled(B256::repeat_byte(9)).unwrap();
        assert_eq!((found.hash, found.told), (B256::repeat_byte(2), false));
        assert_eq!(book.pending, vec![entry(2, 3, None)]);
        book.apply(Line::Told { hash: found.hash });
        assert!(book.settled(B256::repeat_byte(9)).unwrap().told);
        let mut again = Book::default();
        book.lines().into_iter().for_each(|line| again.apply(line));
        assert_eq!(again, book);
    }

    #[test]
    fn what_reverted_or_was_dropped_did_not_happen() {
        for outcome in [TxOutcome::Reverted, TxOutcome::Dropped] {
            let mut book = Book::default();
            book.apply(Line::Signed(entry(1, 1, Some(9))));
            book.apply(Line::Resolved { nonce: 1, hash: B256::repeat_byte(1), outcome });
            assert_eq!(book, Book::default());
        }
    }

    #[test]
    fn memory_is_bounded_and_the_untold_goes_last() {
        let mut book = Book::default();
        let word = |n: usize| B256::from(U256::from(n));
        for n in 0..MAX_SETTLED + 10 {
            book.apply(Line::Settled(Settled { intent: word(n), hash: word(n), told: n != 0 }));
        }
        assert_eq!(book.settled.len(), MAX_SETTLED);
        assert!(book.settled(word(0)).is_some() && book.settled(word(1)).is_none());
    }
}
