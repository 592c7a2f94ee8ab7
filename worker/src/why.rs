//! What became of every purchase that this worker saw in the last day, and why: counted by [`Reason`](crate::refusal::Reason).
//!
//! The daemon notes each decision as it makes it; the newest one about an agreement counts. The notes are kept in a small file,
//! so that a restart does not forget them; they promise nothing, so they are not synced.
//!
//! ```text
//! seen ──▶ Excluded(refusal) ◀──▶ Fits ──▶ Worked | Verified        (what we took part in stays so)
//! ```
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

mod store;
mod summary;

pub use summary::{Exclusion, Measured, Summary, summarise};

/// How far back is remembered, seconds.
pub const WINDOW_SECS: u64 = 24 * 3600;
/// Most purchases that are remembered; the oldest go first.
pub const MAX_DEMANDS: usize = 4096;

/// What became of a purchase, as far as this worker is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// We took it as its worker.
    Worked,
    /// We were drawn as a verifier.
    Verified,
    /// Nothing is against it: it is still open, or others were first.
    Fits,
    /// Something is against it.
    Excluded {
        /// What.
        refusal: Refusal,
    },
}

/// One purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The agreement.
    pub agreement: Address,
    /// When it was first seen, Unix seconds.
    pub seen_at: u64,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
}

/// The notes.
pub struct WhyBook {
    /// A std mutex: held for a line of text at most.
    inner: Mutex<Inner>,
}

struct Inner {
    demands: BTreeMap<Address, Demand>,
    /// Purchases that were forgotten for want of room.
    dropped: u64,
    store: Option<store::Store>,
}

impl WhyBook {
    /// Reads what an earlier run noted. A file that cannot be used costs the memory of a day, nothing else.
    pub fn open(path: PathBuf, now: u64) -> Self {
        let (store, demands) = store::Store::open(path);
        let mut inner = Inner { demands: BTreeMap::new(), dropped: 0, store: Some(store) };
        for demand in demands {
            inner.demands.insert(demand.agreement, demand);
        }
        inner.trim(now);
        Self { inner: Mutex::new(inner) }
    }

    /// Notes without a file, for tests.
    pub fn in_memory() -> Self {
        Self { inner: Mutex::new(Inner { demands: BTreeMap::new(), dropped: 0, store: None }) }
    }

    /// Notes what was decided about an agreement at `now` (Unix seconds).
    pub fn note(&self, agreement: Address, fate: Fate, now: u64) {
        let mut inner = self.lock();
        let known = inner.demands.get(&agreement);
        if known.is_some_and(|known| !changes(&known.fate, &fate)) {
            return;
        }
        let seen_at = known.map_or(now, |known| known.seen_at);
        let demand = Demand { agreement, seen_at, fate };
        inner.demands.insert(agreement, demand.clone());
        inner.trim(now);
        let Inner { demands, store, .. } = &mut *inner;
        if let Some(store) = store {
            store.write(&demand, demands);
        }
    }

    /// Counts the last `window_secs`.
    pub fn summary(&self, now: u64, window_secs: u64) -> Summary {
        let inner = self.lock();
        summarise(inner.demands.values(), now, window_secs, inner.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn trim(&mut self, now: u64) {
        // A clock that was set back must not make everything old.
        self.demands.retain(|_, demand| demand.seen_at.saturating_add(WINDOW_SECS) > now);
        while self.demands.len() > MAX_DEMANDS {
            let oldest = self.demands.values().min_by_key(|demand| demand.seen_at).map(|demand| demand.agreement);
            let Some(oldest) = oldest else { break };
            self.demands.remove(&oldest);
            self.dropped += 1;
        }
    }
}

/// True when the new fate is to be written down. Measured values wobble: the same reason again is no news.
fn changes(known: &Fate, new: &Fate) -> bool {
    match (known, new) {
        (Fate::Worked, _) => false,
        (Fate::Verified, new) => matches!(new, Fate::Worked),
        (Fate::Excluded { refusal: old }, Fate::Excluded { refusal: new }) => old.reason() != new.reason(),
        (known, new) => known != new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Reason;

    fn at(byte: u8) -> Address {
        Address::repeat_byte(byte)
    }

    fn memory(asked_mib: u32) -> Fate {
        Fate::Excluded { refusal: Refusal::Memory { asked_mib, limit_mib: 100 } }
    }

    #[test]
    fn the_newest_decision_counts_and_part_taken_stays() {
        let book = WhyBook::in_memory();
        book.note(at(1), Fate::Excluded { refusal: Refusal::Paused { left_secs: None } }, 10);
        book.note(at(1), Fate::Fits, 11);
        book.note(at(2), Fate::Verified, 12);
        book.note(at(2), Fate::Fits, 13);
        book.note(at(3), Fate::Fits, 13);
        book.note(at(3), Fate::Worked, 14);
        book.note(at(3), memory(200), 15);
        let summary = book.summary(20, WINDOW_SECS);
        let found = (summary.seen, summary.fitted, summary.verified, summary.worked, summary.excluded.len());
        assert_eq!(found, (3, 1, 1, 1, 0));
    }

    #[test]
    fn it_is_bounded_in_time_and_number() {
        let book = WhyBook::in_memory();
        book.note(at(1), Fate::Fits, 100);
        let number = |index: usize| Address::from_word(alloy::primitives::U256::from(index + 1000).into());
        for index in 0..MAX_DEMANDS + 10 {
            book.note(number(index), Fate::Fits, 200 + index as u64);
        }
        let now = 200 + MAX_DEMANDS as u64 + 10;
        let summary = book.summary(now, WINDOW_SECS);
        assert_eq!((summary.seen, summary.dropped), (MAX_DEMANDS as u64, 11));
        assert_eq!(book.summary(now, 10).seen, 9, "a shorter window counts what was seen in it");
        book.note(at(2), Fate::Fits, now + WINDOW_SECS);
        assert_eq!(book.summary(now + WINDOW_SECS, WINDOW_SECS).seen, 1);
    }

    #[test]
    fn a_restart_does_not_forget_and_a_torn_file_does_not_stop_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("why");
        let book = WhyBook::open(path.clone(), 100);
        book.note(at(1), memory(200), 100);
        book.note(at(2), Fate::Fits, 100);
        book.note(at(2), Fate::Worked, 101);
        drop(book);
        let summary = WhyBook::open(path.clone(), 200).summary(200, WINDOW_SECS);
        assert_eq!((summary.seen, summary.worked, summary.excluded[0].reason), (2, 1, Reason::Memory));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 5);
        bytes.extend_from_slice(b"\nnonsense\n\xff\xfe\n");
        std::fs::write(&path, bytes).unwrap();
        let again = WhyBook::open(path.clone(), 300);
        assert_eq!(again.summary(300, WINDOW_SECS).seen, 2, "the torn line was the newer one of two");
        again.note(at(3), Fate::Fits, 300);
        assert_eq!(WhyBook::open(path.clone(), 300).summary(300, WINDOW_SECS).seen, 3);
        assert_eq!(WhyBook::open(path, 300 + WINDOW_SECS).summary(300 + WINDOW_SECS, WINDOW_SECS).seen, 0);
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("why");
        let book = WhyBook::open(path.clone(), 100);
        for round in 0..20_000 {
            let fate = if round % 2 == 0 { Fate::Fits } else { memory(200) };
            book.note(at(1), fate, 100);
        }
        assert!(std::fs::metadata(path).unwrap().len() < 2 << 20);
    }
}
