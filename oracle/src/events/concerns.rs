//! Whose row an event changes.
use super::Event;
use crate::json::Account;

impl Event {
    /// The worker whose meter an event of the ledger concerns.
    pub const fn meter(&self) -> Option<Account> {
        match self {
            Self::MeterRegistered { worker, .. }
            | Self::KeyReplaced { worker, .. }
            | Self::DayRecorded { worker, .. }
            | Self::GapRecorded { worker, .. }
            | Self::SurplusTaken { worker, .. }
            | Self::Equivocated { worker, .. }
            | Self::MeterLeaving { worker, .. }
            | Self::BondWithdrawn { worker, .. } => Some(*worker),
            _ => None,
        }
    }

    /// The agreement that a dispatcher's event concerns.
    pub const fn agreement(&self) -> Option<Account> {
        match self {
            Self::AgreementBought { agreement, .. }
            | Self::StakeLocked { agreement, .. }
            | Self::StakeReleased { agreement, .. }
            | Self::Funded { agreement, .. }
            | Self::OrderUsed { agreement, .. }
            | Self::Paid { agreement, .. }
            | Self::Burned { agreement, .. } => Some(*agreement),
            _ => None,
        }
    }

    /// The worker whose registration or stake a dispatcher's event changes.
    pub const fn worker(&self) -> Option<Account> {
        match self {
            Self::WorkerRegistered { worker, .. }
            | Self::WorkerUpdated { worker, .. }
            | Self::DeviceSet { worker, .. }
            | Self::Staked { worker, .. }
            | Self::Unstaked { worker, .. }
            | Self::UnbondingWithdrawn { worker, .. }
            | Self::StakeLocked { worker, .. }
            | Self::StakeReleased { worker, .. } => Some(*worker),
            // Of any account: where it is no worker, there is no row to change.
            Self::EncryptionKeySet { account, .. } => Some(*account),
            _ => None,
        }
    }

    /// The client whose row a dispatcher's event changes.
    pub const fn client(&self) -> Option<Account> {
        match self {
            Self::KeyAgentSet { client, .. } | Self::OrdersCancelled { client, .. } => Some(*client),
            _ => None,
        }
    }
}
