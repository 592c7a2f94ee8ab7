//! The wallet's money: what it holds, shown before and after a purchase, and permission for exactly what is needed.

use alloy::primitives::{Address, B256};
use alloy::providers::Provider;
use serde::Serialize;
use sunwork_edge::tx::{PendingState, PendingTx};

use super::exit::Failure;
use super::output::{fields, text_columns, wrap};
use crate::amount::Unit;
use crate::chain::{Doing, ReadError, amount};
use crate::client::Client;

/// What an account has. Tokens in the smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Balances {
    /// Tokens it holds.
    #[serde(serialize_with = "decimal")]
    pub balance: u128,
    /// What the dispatcher may take of them.
    #[serde(serialize_with = "decimal")]
    pub allowance: u128,
    /// What the dispatcher owes it: refunds and what was not spent.
    #[serde(serialize_with = "decimal")]
    pub owed: u128,
    /// Ether for gas, wei.
    #[serde(serialize_with = "decimal")]
    pub wei: u128,
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

impl Balances {
    /// Reads them.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn read(client: &Client, account: Address) -> Result<Self, ReadError> {
        let doing = || format!("reading the money of {account}");
        let (token, dispatcher) = (client.token(), client.dispatcher());
        let balance = token.balanceOf(account).call().await.doing(doing)?;
        let allowance = token.allowance(account, client.deployment().dispatcher).call().await.doing(doing)?;
        let owed = dispatcher.payableOf(account).call().await.doing(doing)?;
        let wei = client.rpc().provider().get_balance(account).await.doing(doing)?;
        Ok(Self { balance: amount(balance), allowance: amount(allowance), owed: amount(owed), wei: amount(wei) })
    }

    /// What changed from `self` to `after`, for people: tokens, what is owed, and ether spent on gas.
    pub fn change(&self, after: &Self, unit: &Unit) -> String {
        let tokens = |amount| unit.show(amount);
        let mut pairs = vec![
            ("balance", moved(self.balance, after.balance, tokens)),
            ("for gas", moved(self.wei, after.wei, show_ether)),
        ];
        if self.owed != after.owed {
            pairs.push(("owed to you", moved(self.owed, after.owed, tokens)));
        }
        fields(&pairs)
    }
}

/// "10 SUN before, 7.7 SUN now, 2.3 SUN less".
fn moved(before: u128, after: u128, show: impl Fn(u128) -> String) -> String {
    match after.cmp(&before) {
        std::cmp::Ordering::Equal => format!("{}, unchanged", show(after)),
        std::cmp::Ordering::Less => {
            format!("{} before, {} now, {} less", show(before), show(after), show(before - after))
        }
        std::cmp::Ordering::Greater => {
            format!("{} before, {} now, {} more", show(before), show(after), show(after - before))
        }
    }
}

/// Ether for people: exact where it is short, else six digits after the point, rounded down; JSON has every wei.
pub fn show_ether(wei: u128) -> String {
    const STEP: u128 = 1_000_000_000_000;
    let exact = ether().show(wei);
    match wei / STEP * STEP {
        rounded if rounded == wei => exact,
        0 => "less than 0.000001 ETH".to_owned(),
        rounded => format!("about {}", ether().show(rounded)),
    }
}

/// Ether as people write it.
pub fn ether() -> Unit {
    Unit { symbol: "ETH".into(), decimals: 18 }
}

/// What is under way with a wallet, sent by this command or an earlier one. A log that cannot be read is told in the log only:
/// what is asked for does not depend on it.
pub async fn open_transactions(client: &Client, account: Address) -> Vec<PendingTx> {
    client.pending(account).await.unwrap_or_else(|error| {
        tracing::warn!(%error, %account, "open transactions cannot be listed");
        Vec::new()
    })
}

/// Open transactions for people; empty where there are none.
pub fn show_open(open: &[PendingTx]) -> String {
    let line = |tx: &PendingTx| {
        let state = match tx.state {
            PendingState::Waiting => "waits for a block",
            PendingState::Underpriced => "pays less than gas costs now; the next command that sends replaces it",
            PendingState::Behind => "waits for an earlier transaction",
            PendingState::Unsent => "is not sent yet; the next command that sends brings it out",
            PendingState::Mined | PendingState::NonceUsed => "is done; the next command that sends notes it",
        };
        wrap(&format!("{} (nonce {}) {state}: {}", tx.label, tx.nonce, tx.hash), "  ", text_columns())
    };
    let lines: String = open.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("open transactions:\n{lines}") }
}

/// Lets the dispatcher take exactly `needed` (smallest unit) from here on. Nothing is sent where that is allowed already.
///
/// # Errors
/// When the chain cannot be read or refuses.
pub async fn allow_exactly(client: &Client, account: Address, needed: u128) -> Result<Option<B256>, Failure> {
    let before = Balances::read(client, account).await?;
    if before.allowance == needed {
        return Ok(None);
    }
    Ok(Some(client.approve(needed).await?.transaction_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_their_difference() {
        let before = Balances { balance: 10_000_000_000, allowance: 0, owed: 0, wei: 2_000_000_000_000_000_000 };
        let after = Balances { balance: 7_700_000_000, owed: 1, wei: 1_999_000_000_000_000_000, ..before };
        assert_eq!(
            before.change(&after, &Unit::sun()),
            "balance      10 SUN before, 7.7 SUN now, 2.3 SUN less\n\
             for gas      2 ETH before, 1.999 ETH now, 0.001 ETH less\n\
             owed to you  0 SUN before, 0.000000001 SUN now, 0.000000001 SUN more\n"
        );
        assert_eq!(moved(5, 5, show_ether), "less than 0.000001 ETH, unchanged");
        assert_eq!(show_ether(211_011_006_119_319), "about 0.000211 ETH");
    }
}
