//! The mailbox itself: who may put what, for how long it stays.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use alloy::primitives::{Address, B256};
use sunwork_protocol::mail::{MailError, Message};
use tokio::sync::Mutex;

use super::{
    limits::{MailLimits, counted},
    parties::Parties,
};
use crate::{
    json::Account,
    store::{MailFilter, MailTotals, NewMail, PutMail, Store, StoreError, StoredMail},
};

/// Unix time in milliseconds.
#[derive(Clone)]
pub struct Clock(pub Arc<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Clock(Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}

/// Why a message is not taken.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// Out of bounds or not signed.
    #[error(transparent)]
    Message(#[from] MailError),
    /// From the future.
    #[error(
        "the message says that it was sent at {sent_at_ms} ms, which is {} s ahead of this oracle's clock; at most {} s are \
         accepted; set the clock of the sender",
        ahead.as_secs(), limit.as_secs()
    )]
    Future {
        /// Time in the message, Unix milliseconds.
        sent_at_ms: u64,
        /// By how much it is ahead.
        ahead: Duration,
        /// How much is accepted.
        limit: Duration,
    },
    /// The agreement is not in the index.
    #[error(
        "no agreement {0} is known here; it may be of another deployment, or its block is not indexed yet: try again"
    )]
    NoSuchAgreement(Account),
    /// The signer has no part in the agreement.
    #[error(
        "the message is signed by {signer}, who is no party of agreement {agreement}; its parties are: {parties}. Sign with \
         one of these keys, for this chain"
    )]
    NotAParty {
        /// Who signed.
        signer: Account,
        /// The agreement.
        agreement: Account,
        /// Who may write.
        parties: Parties,
    },
    /// The sender's share is used up.
    #[error(
        "{what} in agreement {agreement}: found {found} with this message, at most {max} are kept; wait until older mail \
         expires, or replace it (same recipient and topic)"
    )]
    Quota {
        /// What there is too much of.
        what: &'static str,
        /// The agreement.
        agreement: Account,
        /// How much it would be.
        found: u64,
        /// How much may be.
        max: u64,
    },
    /// The mailbox as a whole is full.
    #[error("the mailbox is full: {used} of {quota} bytes are used; send it to another oracle, or try again later")]
    Full {
        /// Bytes of all mail.
        used: u64,
        /// Bytes that all mail may have.
        quota: u64,
    },
    /// The index or the mail cannot be read or written.
    #[error("the mailbox cannot be used now; try again later")]
    Store(#[from] StoreError),
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept, perhaps in place of an older one.
    Stored,
    /// The same one or a newer one was there.
    Had,
}

/// The mailbox. Clones share it.
#[derive(Clone, Debug)]
pub struct Mailbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    chain_id: u64,
    limits: MailLimits,
    clock: Clock,
    /// Held while mail is written, so that the sums stay true. There is one oracle for each database.
    totals: Mutex<MailTotals>,
    /// Copies of the totals for whoever only looks.
    messages: AtomicU64,
    bytes: AtomicU64,
    stored: AtomicU64,
    refused: AtomicU64,
}

impl Mailbox {
    /// The mailbox in this store, for agreements on this chain.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(store: Arc<Store>, chain_id: u64, limits: MailLimits, clock: Clock) -> Result<Self, StoreError> {
        let totals = store.mail_totals().await?;
        let zero = AtomicU64::default;
        let (messages, bytes) = (AtomicU64::new(totals.messages), AtomicU64::new(totals.bytes));
        let totals = Mutex::new(totals);
        Ok(Self(Arc::new(Inner {
            store,
            chain_id,
            limits,
            clock,
            totals,
            messages,
            bytes,
            stored: zero(),
            refused: zero(),
        })))
    }

    /// Its limits.
    pub fn limits(&self) -> &MailLimits {
        &self.0.limits
    }

    /// Messages in it.
    pub fn messages(&self) -> u64 {
        self.0.messages.load(Ordering::Relaxed)
    }

    /// What they count.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Messages taken since the start.
    pub fn stored_total(&self) -> u64 {
        self.0.stored.load(Ordering::Relaxed)
    }

    /// Messages refused since the start.
    pub fn refused_total(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    pub(super) fn count_refusal(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a message of a party.
    ///
    /// # Errors
    /// See [`MailboxError`].
    pub async fn put(&self, message: &Message) -> Result<Taken, MailboxError> {
        let inner = &*self.0;
        let signer = Account(message.sender(inner.chain_id)?);
        let now_ms = (inner.clock.0)();
        let ahead = Duration::from_millis(message.sent_at_ms.saturating_sub(now_ms));
        if ahead > inner.limits.clock_skew {
            let (sent_at_ms, limit) = (message.sent_at_ms, inner.limits.clock_skew);
            return Err(MailboxError::Future { sent_at_ms, ahead, limit });
        }
        let agreement = Account(message.agreement);
        let row = inner.store.agreement(agreement).await?.ok_or(MailboxError::NoSuchAgreement(agreement))?;
        let parties = Parties::of(&inner.store, &row).await?;
        let Some(party) = parties.whose(signer) else {
            return Err(MailboxError::NotAParty { signer, agreement, parties });
        };
        let retention = u64::try_from(inner.limits.retention.as_millis()).unwrap_or(u64::MAX);
        let entered = row.worker.is_some() || !row.former_workers.is_empty();
        let limits = &inner.limits;
        let mail = NewMail {
            message,
            room_bytes: if entered { limits.agreement_bytes } else { limits.unentered_bytes },
            sender: signer,
            party,
            stored_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(retention),
            bytes: counted(message.body.len()),
        };
        let mut totals = inner.totals.lock().await;
        let put = inner.store.put_mail(&mail, &inner.limits, &mut totals).await?;
        self.show(&totals);
        match put {
            PutMail::Stored => {
                inner.stored.fetch_add(1, Ordering::Relaxed);
                Ok(Taken::Stored)
            }
            PutMail::Had => Ok(Taken::Had),
            PutMail::Quota { what, found, max } => Err(MailboxError::Quota { what, agreement, found, max }),
            PutMail::Full { used } => Err(MailboxError::Full { used, quota: inner.limits.quota_bytes }),
        }
    }

    /// Messages that have not expired, newest first (by arrival), at most `limit` of those before `before`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        filter: &MailFilter,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<StoredMail>, StoreError> {
        self.0.store.mail(filter, (self.0.clock.0)(), limit, before).await
    }

    /// The message of one sender, if there is one that has not expired.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn one(
        &self,
        recipient: B256,
        agreement: Address,
        topic: &str,
        sender: Address,
    ) -> Result<Option<Message>, StoreError> {
        let filter = MailFilter {
            recipient,
            agreement: Some(Account(agreement)),
            topic: Some(topic.to_owned()),
            sender: Some(Account(sender)),
        };
        Ok(self.list(&filter, 1, None).await?.pop().map(|stored| stored.message))
    }

    /// Deletes what has expired; says how many.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let mut totals = self.0.totals.lock().await;
        let swept = self.0.store.sweep_mail((self.0.clock.0)(), &mut totals).await?;
        self.show(&totals);
        Ok(swept)
    }

    fn show(&self, totals: &MailTotals) {
        self.0.messages.store(totals.messages, Ordering::Relaxed);
        self.0.bytes.store(totals.bytes, Ordering::Relaxed);
    }
}
