//! Where all the tokens are, before and after.
use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use eyre::{WrapErr, ensure};
use sunwork_client::Settlement;
use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};

use crate::{
    accounts,
    devnet::{Devnet, SUN},
};

/// What one party has, smallest token unit: an account, for a worker together with its device's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wealth {
    balance: u128,
    stake: u128,
    owed: u128,
    due: u128,
}

impl Wealth {
    pub(super) fn total(self) -> u128 {
        self.balance + self.stake + self.owed
    }
}

/// A count of everything, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Money {
    accounts: BTreeMap<Address, Wealth>,
    escrow: u128,
}

impl Money {
    /// Counts, and checks on the way that nothing is outside the count and that the dispatcher can pay all that it owes.
    pub(super) async fn count(devnet: &Devnet, agreement: Option<Address>) -> eyre::Result<Self> {
        let token = SunToken::new(devnet.deployment.token, devnet.chain.provider());
        let dispatcher = IWorkerDispatcher::new(devnet.deployment.dispatcher, devnet.chain.provider());
        let burn = dispatcher.BURN_ACCOUNT().call().await.wrap_err("reading the burn account")?;
        let holders =
            accounts::ALL.iter().map(|account| account.address).chain([burn]).map(|account| (account, account));
        let workers = devnet.workers.iter().flat_map(|w| [(w.owner, w.owner), (w.owner, w.device)]);

        let mut money = Self { accounts: BTreeMap::new(), escrow: 0 };
        for (party, account) in holders.chain(workers) {
            let reading = || format!("reading what {account} has");
            let info = dispatcher.workerInfo(account).call().await.wrap_err_with(reading)?;
            let wealth = money.accounts.entry(party).or_default();
            wealth.balance += amount(token.balanceOf(account).call().await.wrap_err_with(reading)?);
            wealth.stake += info.bonded.to::<u128>() + info.unbonding.to::<u128>();
            let owed = amount(dispatcher.payableOf(account).call().await.wrap_err_with(reading)?);
            wealth.owed += owed;
            // Tips that a device earns lie where they are until somebody withdraws them for it.
            wealth.due += if account == party { owed } else { 0 };
        }
        // The burn account is owed for good where nobody withdraws for it.
        if let Some(burned) = money.accounts.get_mut(&burn) {
            burned.due = 0;
        }
        if let Some(agreement) = agreement {
            let escrow = dispatcher.escrowOf(agreement).call().await.wrap_err("reading the escrow")?;
            money.escrow = escrow.balance.to();
        }

        let held =
            amount(token.balanceOf(devnet.deployment.dispatcher).call().await.wrap_err("reading the dispatcher")?);
        let due = money.escrow + money.accounts.values().map(|w| w.stake + w.owed).sum::<u128>();
        ensure!(held == due, "the dispatcher holds {held}, expected {due}: stakes, payables and escrow");
        let supply = amount(token.totalSupply().call().await.wrap_err("reading the supply")?);
        let everybody = devnet.chain.token_total(devnet.deployment.token).await?;
        ensure!(everybody == supply, "all balances add up to {everybody}, expected the supply {supply}");
        Ok(money)
    }

    /// All accounts and the escrow, smallest token unit.
    pub(super) fn total(&self) -> u128 {
        self.escrow + self.accounts.values().map(|wealth| wealth.total()).sum::<u128>()
    }

    /// What the dispatcher still owes to one of the accounts, devices apart.
    pub(super) fn due(&self) -> u128 {
        self.accounts.values().map(|wealth| wealth.due).sum()
    }
}

fn amount(value: U256) -> u128 {
    value.saturating_to()
}

/// Who was paid what, what everybody has, and the gas of each transaction.
pub(super) fn print(devnet: &Devnet, settlement: &Settlement, before: &Money, after: &Money) {
    println!(
        "\n{:<12} {:>16} {:>20} {:>20} {:>16} {:>12}",
        "who", "paid SUN", "before SUN", "after SUN", "change SUN", "gas"
    );
    let gas = settlement.gas_by_sender();
    // Workers in their order, then the others.
    let mut rows: Vec<_> = before.accounts.iter().collect();
    rows.sort_by_key(|(account, _)| devnet.workers.iter().position(|w| w.owner == **account).unwrap_or(usize::MAX));
    for (account, had) in rows {
        let has = after.accounts.get(account).copied().unwrap_or_default();
        let change = signed(has.total()) - signed(had.total());
        let paid = of_party(devnet, *account, &settlement.paid);
        let gas = of_party(devnet, *account, &gas);
        let name = devnet.name_of(*account);
        let row = (sun(signed(paid)), sun(signed(had.total())), sun(signed(has.total())), sun(change));
        println!("{name:<12} {:>16} {:>20} {:>20} {:>16} {gas:>12}", row.0, row.1, row.2, row.3);
    }
    let (had, has) = (before.total(), after.total());
    let change = sun(signed(has) - signed(had));
    println!(
        "{:<12} {:>16} {:>20} {:>20} {change:>16} {:>12}",
        "total",
        sun(signed(settlement.paid.values().sum())),
        sun(signed(had)),
        sun(signed(has)),
        settlement.gas_total()
    );
    println!(
        "burned: {} SUN. Gas is paid in ether by each party's key, apart from the tokens.",
        sun(signed(settlement.burned))
    );

    println!("\n{:<20} {:>6} {:>12} {:>12}", "transaction", "count", "gas", "each");
    for (name, gas) in settlement.gas_by_name() {
        let count = settlement.transactions.iter().filter(|tx| tx.name == name).count().max(1);
        println!("{name:<20} {count:>6} {gas:>12} {:>12}", gas / count as u64);
    }
}

/// What is noted for an account and, for a worker, for its device.
pub(super) fn of_party<T: Copy + std::iter::Sum>(devnet: &Devnet, account: Address, noted: &BTreeMap<Address, T>) -> T {
    let device = devnet.workers.iter().find(|worker| worker.owner == account).map(|worker| worker.device);
    [Some(account), device].into_iter().flatten().filter_map(|account| noted.get(&account).copied()).sum()
}

fn signed(amount: u128) -> i128 {
    i128::try_from(amount).unwrap_or(i128::MAX)
}

/// In SUN with all nine digits.
fn sun(amount: i128) -> String {
    let unit = signed(SUN);
    let sign = if amount < 0 { "-" } else { "" };
    format!("{sign}{}.{:09}", (amount / unit).abs(), (amount % unit).abs())
}

#[cfg(test)]
mod tests {
    #[test]
    fn amounts_keep_sign_and_digits() {
        assert_eq!(super::sun(-1), "-0.000000001");
        assert_eq!(super::sun(-1_500_000_000), "-1.500000000");
        assert_eq!(super::sun(12_000_000_034), "12.000000034");
    }
}
