//! Everything that tells where an agreement stands, read from the chain alone.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256};
use sunwork_protocol::status::Status;

use crate::agreements::{Details, FindError};
use crate::amount::Unit;
use crate::chain::{Doing, amount};
use crate::client::Client;
use crate::events::Progress;
use crate::settlement::TxCost;
use crate::timeline::{CostSoFar, Entry, Outlook, Role, Rules, View, cost_so_far, history, outlook};

/// Transactions whose senders and gas are looked up; an agreement has far fewer unless somebody plays with it.
const MAX_TRANSACTIONS: usize = 512;

/// An agreement, the rules of its deployment, and who looks at it.
#[derive(Clone, Debug)]
pub struct Situation {
    /// What the chain knows of it.
    pub details: Details,
    /// Deployment parameters.
    pub rules: Rules,
    /// Who may post session keys for the client besides itself.
    pub key_agent: Option<Address>,
    /// The reader's account.
    pub viewer: Option<Address>,
    /// What the contract still holds, smallest token unit.
    pub escrow: u128,
    /// What others than the client got so far, smallest token unit.
    pub paid: u128,
    /// What the dispatcher owes the reader, from this agreement and others, smallest token unit.
    pub owed: u128,
    /// Leaves that were disputed with a bond.
    pub disputed: Vec<u32>,
    /// Bond of a dispute (level 0: of a rejection), smallest token unit; `None` when it is not the time for one.
    pub bond: Option<u128>,
    /// That bond with its unit.
    pub bond_text: Option<String>,
    /// The transactions that left events, oldest first.
    pub transactions: Vec<TxCost>,
    /// Time of the newest block, Unix seconds.
    pub now: u64,
}

impl Situation {
    /// As the pure functions of [`crate::timeline`] want it.
    pub fn view(&self) -> View<'_> {
        View {
            purchase: &self.details.purchase,
            standing: &self.details.standing,
            rules: &self.rules,
            key_agent: self.key_agent,
            viewer: self.viewer,
            owed: self.owed,
            disputed: &self.disputed,
            bond: self.bond_text.as_deref(),
            now: self.now,
        }
    }

    /// What the reader is to the agreement.
    pub fn role(&self) -> Role {
        self.view().role()
    }

    /// What it waits for, until when, and what happens then.
    pub fn outlook(&self) -> Outlook {
        outlook(&self.view())
    }

    /// What happened, with addresses in full.
    pub fn history(&self, unit: &Unit) -> Vec<Entry> {
        let name = |address: Address| {
            if Some(address) == self.viewer { "you".to_owned() } else { address.to_string() }
        };
        history(&self.details.purchase, &self.details.events, &self.transactions, unit, &name)
    }

    /// What it costs so far.
    pub fn cost(&self) -> CostSoFar {
        cost_so_far(&self.view(), self.escrow, self.paid, &self.transactions)
    }
}

impl Client {
    /// Reads where `agreement` stands, for `viewer` (the signer where it is `None`). Only the chain is asked.
    ///
    /// # Errors
    /// See [`FindError`].
    pub async fn situation(&self, agreement: Address, viewer: Option<Address>) -> Result<Situation, FindError> {
        let details = self.details(agreement).await?;
        let (client, from) = (details.purchase.client, details.purchase.block);
        let params = self.compute(agreement).params().call().await;
        let params = params.doing(|| format!("reading the parameters of agreement {agreement}"))?;
        let rules = Rules {
            max_attempts: params.maxAttempts,
            max_strikes: params.maxStrikes,
            vanish_bps: params.vanishBps,
            seed_tip: params.seedTip.to(),
        };
        let key_agent = self.dispatcher().keyAgentOf(client).call().await;
        let key_agent = key_agent.doing(|| format!("reading the key agent of {client}"))?;
        let escrow = self.dispatcher().escrowOf(agreement).call().await;
        let escrow = escrow.doing(|| format!("reading the escrow of agreement {agreement}"))?.balance.to();
        let paid = self.paid_to_others(agreement, client, from).await?;
        let viewer = viewer.or(self.address());
        let owed = match viewer {
            Some(account) => {
                let owed = self.dispatcher().payableOf(account).call().await;
                amount(owed.doing(|| format!("reading what is owed to {account}"))?)
            }
            None => 0,
        };
        let disputed = details.events.iter().filter_map(|seen| match seen.progress {
            Progress::Disputed { leaf, .. } => Some(leaf),
            _ => None,
        });
        let disputed = disputed.collect();
        let bond = match details.standing.status {
            Status::Disputable => Some(self.dispute_bond(agreement).await?),
            _ => None,
        };
        let hashes: BTreeSet<B256> = std::iter::once(details.purchase.tx)
            .chain(details.events.iter().map(|seen| seen.tx))
            .take(MAX_TRANSACTIONS)
            .collect();
        let transactions = self.costs_of(hashes).await?;
        let (_, now) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        Ok(Situation {
            details,
            rules,
            key_agent: Some(key_agent).filter(|agent| !agent.is_zero()),
            viewer,
            escrow,
            paid,
            owed,
            disputed,
            bond,
            bond_text: bond.map(|bond| self.unit().show(bond)),
            transactions,
            now,
        })
    }
}

impl Situation {
    /// True while something can still happen.
    pub fn is_under_way(&self) -> bool {
        !matches!(self.details.standing.status, Status::Settled | Status::Cancelled)
    }
}
