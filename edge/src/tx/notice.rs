//! What a sender does besides sending, told while it happens.
use std::{fmt, sync::Arc};

use alloy::primitives::B256;

use super::{TxOutcome, error::gwei};

/// Something that a person at the command would want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Another process sends with this key; told once per wait.
    WaitingForOther {
        /// The process, if it said which one it is.
        pid: Option<u32>,
    },
    /// A transaction from before is not settled; it is waited for and sent again.
    Recovering {
        /// What it was for.
        label: String,
        /// The transaction.
        hash: B256,
        /// Its nonce.
        nonce: u64,
    },
    /// A transaction from before is settled now.
    Recovered {
        /// What it was for.
        label: String,
        /// The transaction.
        hash: B256,
        /// What became of it.
        outcome: TxOutcome,
    },
    /// A transaction waited too long and was replaced with a higher fee.
    Replaced {
        /// What it is for.
        label: String,
        /// The new one.
        hash: B256,
        /// Its nonce.
        nonce: u64,
        /// Most that it pays per gas, wei.
        max_fee_wei: u128,
    },
    /// An earlier nonce than those that wait was in no transaction any more, after a reorganisation; one that does nothing uses it.
    Filled {
        /// The one that does nothing.
        hash: B256,
        /// The nonce.
        nonce: u64,
    },
    /// A waiting transaction would need a higher fee than the caps allow; told once per wait.
    AtCap {
        /// What it is for.
        label: String,
        /// The last attempt.
        hash: B256,
        /// Most that it pays per gas, wei.
        max_fee_wei: u128,
        /// Base fee of the newest block, wei per gas.
        base_fee_wei: u128,
        /// Most that it may pay per gas, wei.
        cap_wei: u128,
    },
    /// Another transaction of the account used the nonce; ours can never be mined and is sent anew.
    NonceTaken {
        /// What ours is for.
        label: String,
        /// The nonce.
        nonce: u64,
        /// The other transaction, where it could be found.
        by: Option<B256>,
    },
    /// Another program sent the very same call with the same nonce (a wallet's "speed up", say); it counts as ours.
    SentElsewhere {
        /// What it is for.
        label: String,
        /// The other program's transaction.
        hash: B256,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WaitingForOther { pid: Some(pid) } => {
                write!(f, "another sunwork command (pid {pid}) is sending with this wallet; waiting")
            }
            Self::WaitingForOther { pid: None } => {
                write!(f, "another sunwork command is sending with this wallet; waiting")
            }
            Self::Recovering { label, hash, nonce } => {
                write!(f, "{label} from before is not settled (transaction {hash}, nonce {nonce}); waiting for it")
            }
            Self::Recovered { label, hash, outcome } => match outcome {
                TxOutcome::Mined => write!(f, "{label} from before went through (transaction {hash})"),
                TxOutcome::Reverted => write!(f, "{label} from before was refused on chain (transaction {hash})"),
                TxOutcome::Dropped => {
                    write!(f, "{label} from before never took place (transaction {hash} can no longer be mined)")
                }
            },
            Self::Replaced { label, hash, nonce, max_fee_wei } => write!(
                f,
                "{label} waits too long: replaced by transaction {hash} (nonce {nonce}) for up to {} gwei per gas",
                gwei(*max_fee_wei)
            ),
            Self::Filled { hash, nonce } => write!(
                f,
                "nonce {nonce} is missing on the chain (a reorganisation took it back); transaction {hash}, which does nothing, \
                 uses it, so that later ones can be mined"
            ),
            Self::AtCap { label, hash, max_fee_wei, base_fee_wei, cap_wei } => write!(
                f,
                "{label} waits (transaction {hash}): it offers {} gwei per gas, the base fee is {} gwei, and the cap of {} \
                 gwei allows no higher replacement",
                gwei(*max_fee_wei),
                gwei(*base_fee_wei),
                gwei(*cap_wei)
            ),
            Self::NonceTaken { label, nonce, by } => {
                write!(f, "{label} lost its nonce {nonce} to another transaction of this account")?;
                if let Some(by) = by {
                    write!(f, " ({by})")?;
                }
                write!(f, "; it is sent again with a fresh one")
            }
            Self::SentElsewhere { label, hash } => {
                write!(
                    f,
                    "{label} was sent by another program with the same nonce (transaction {hash}); it counts as ours"
                )
            }
        }
    }
}

/// Who is told. Clones tell the same listener; without one, notices go to the log.
#[derive(Clone, Default)]
pub struct Notify(Option<Arc<Listener>>);

type Listener = dyn Fn(&Notice) + Send + Sync;

impl Notify {
    /// Tells `listener`. It is called from within the sender: it must return soon.
    pub fn to(listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(super) fn tell(&self, notice: Notice) {
        match &self.0 {
            Some(listener) => listener(&notice),
            None => tracing::warn!("{notice}"),
        }
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Notify(listener)" } else { "Notify(log)" })
    }
}
