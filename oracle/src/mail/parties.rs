//! Who may write about an agreement.
use std::fmt;

use crate::{
    fold::{AgreementRow, ClientRow, WorkerRow},
    json::Account,
    store::{Store, StoreError},
};

/// Parties that an error names.
const MAX_NAMED: usize = 12;

/// What a party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It bought the work.
    Client,
    /// It does the work, or did.
    Worker,
    /// It was drawn to verify.
    Verifier,
}

/// A party, and who else writes for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its account.
    pub account: Account,
    /// What it is.
    pub role: Role,
    /// A client's key agent, a worker's devices.
    pub helpers: Vec<Account>,
}

/// All parties of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties(Vec<Party>);

impl Parties {
    /// Reads them from the index.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(store: &Store, row: &AgreementRow) -> Result<Self, StoreError> {
        let client = store.client(row.client).await?;
        let mut workers = Vec::new();
        for (account, _) in workers_of(row) {
            workers.extend(store.worker(account).await?);
        }
        Ok(Self::new(row, client.as_ref(), &workers))
    }

    /// From the rows of the agreement, of its client, and of its workers and verifiers.
    pub fn new(row: &AgreementRow, client: Option<&ClientRow>, workers: &[WorkerRow]) -> Self {
        let helpers = client.and_then(|client| client.key_agent).into_iter().collect();
        let client = Party { account: row.client, role: Role::Client, helpers };
        let others = workers_of(row).into_iter().map(|(account, role)| {
            let row = workers.iter().find(|worker| worker.address == account);
            let devices = row.into_iter().flat_map(|worker| &worker.devices);
            // A limit of zero ends a device. From which epoch on it may lock stake does not matter for mail.
            let helpers = devices.filter(|device| device.limit.0 > 0).map(|device| device.device).collect();
            Party { account, role, helpers }
        });
        Self(std::iter::once(client).chain(others).collect())
    }

    /// The party on whose account `signer` writes. An account of its own goes before a helper's.
    pub fn whose(&self, signer: Account) -> Option<Account> {
        let own = self.0.iter().find(|party| party.account == signer);
        own.or_else(|| self.0.iter().find(|party| party.helpers.contains(&signer))).map(|party| party.account)
    }
}

impl fmt::Display for Parties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, party) in self.0.iter().take(MAX_NAMED).enumerate() {
            let role = match party.role {
                Role::Client => "client",
                Role::Worker => "worker",
                Role::Verifier => "verifier",
            };
            write!(f, "{}{role} {}", if i == 0 { "" } else { ", " }, party.account)?;
            for helper in party.helpers.iter().take(MAX_NAMED) {
                let kind = if party.role == Role::Client { "key agent" } else { "device" };
                write!(f, " ({kind} {helper})")?;
            }
        }
        match self.0.len().checked_sub(MAX_NAMED) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

/// Workers and verifiers, present and former, each once. As few as attempts and drawn slots.
fn workers_of(row: &AgreementRow) -> Vec<(Account, Role)> {
    let mut found: Vec<(Account, Role)> = Vec::new();
    let workers = row.worker.into_iter().chain(row.former_workers.iter().map(|former| former.worker));
    let verifiers = row.verifiers.iter().map(|slot| slot.verifier);
    let verifiers = verifiers.chain(row.former_verifiers.iter().map(|former| former.verifier));
    for (account, role) in workers.map(|a| (a, Role::Worker)).chain(verifiers.map(|a| (a, Role::Verifier))) {
        if !found.iter().any(|(known, _)| *known == account) {
            found.push((account, role));
        }
    }
    found
}
