//! Why a transaction did not do what it should.
use std::{fmt, path::PathBuf, time::Duration};

use alloy::primitives::{Address, B256, U256, utils::format_units};

use super::TxLogError;
use crate::class::{Classified, ErrorClass};

/// Why a transaction did not do what it should. What to do about each is in its [`ErrorClass`].
#[derive(Debug, thiserror::Error)]
pub enum TxError {
    /// The contract refuses; the reason is in the text and, for our errors, in `name`.
    #[error("{label} was refused: {reason}")]
    Reverted {
        /// What it was for.
        label: String,
        /// What the revert means.
        reason: String,
        /// Name of the custom error, if it is one of ours.
        name: Option<&'static str>,
        /// The transaction, when it was mined; `None` when the estimate found it and nothing was paid.
        hash: Option<B256>,
    },
    /// Node or network failed: try again later.
    #[error("{label} is not done yet: {reason}")]
    Temporary {
        /// What it was for.
        label: String,
        /// What is missing.
        reason: String,
    },
    /// It was sent, and no block took it in the time given. It stays in the log: the next use of this key goes on with it.
    #[error("{0}")]
    Stuck(Box<Stuck>),
    /// Gas is dearer than allowed; nothing was sent.
    #[error(
        "{label} was not sent, gas is too dear: the base fee is {} gwei, {gas_limit} gas would cost at least {} ETH; allowed \
         are {} gwei per gas (max_fee_gwei) and {} ETH per transaction (max_tx_cost_eth); wait for cheaper gas or raise them",
        gwei(*base_fee_wei), ether(U256::from(*base_fee_wei) * U256::from(*gas_limit)), gwei(*max_fee_per_gas_wei),
        max_tx_cost_wei.map_or_else(|| "any".to_owned(), |wei| ether(U256::from(wei)))
    )]
    FeeAboveCap {
        /// What it was for.
        label: String,
        /// Base fee of the newest block, wei per gas.
        base_fee_wei: u128,
        /// Gas that it may use.
        gas_limit: u64,
        /// Cap per gas, wei.
        max_fee_per_gas_wei: u128,
        /// Cap per transaction, wei.
        max_tx_cost_wei: Option<u128>,
    },
    /// The account cannot pay for it; nothing was sent.
    #[error(
        "{label} cannot be sent: the account {account} has too little ether for gas: {} ETH, needed {} ETH at most; send \
         {} ETH to it",
        ether(*have_wei), ether(*need_wei), ether(need_wei.saturating_sub(*have_wei))
    )]
    InsufficientFunds {
        /// What it was for.
        label: String,
        /// Who would pay.
        account: Address,
        /// What it holds, wei.
        have_wei: U256,
        /// What gas and value may cost, wei.
        need_wei: U256,
    },
    /// Other transactions of the account used its nonce, time and again. None of the attempts can be mined any more.
    #[error(
        "{label} was not sent: {tries} times another transaction of this account used its nonce{}; which other program \
         uses this key? Stop it, then try again",
        last.map_or_else(String::new, |hash| format!(" (last {hash})"))
    )]
    NonceTaken {
        /// What it was for.
        label: String,
        /// How often.
        tries: u32,
        /// The last of the others, where it could be found.
        last: Option<B256>,
    },
    /// Another process sends with the same key.
    #[error(
        "{label} was not sent: another sunwork command{} has been sending with this wallet for {} s ({}); wait until it \
         is done, or stop it, then try again",
        pid.map_or_else(String::new, |pid| format!(" (pid {pid})")), waited.as_secs(), lock.display()
    )]
    Busy {
        /// What it was for.
        label: String,
        /// The other process, if it said which one it is.
        pid: Option<u32>,
        /// The file that it holds.
        lock: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The transaction log cannot be used, and nothing is sent that is not written down.
    #[error("{label} was not sent: {source}")]
    Log {
        /// What it was for.
        label: String,
        /// What is wrong with the log.
        source: TxLogError,
    },
    /// Somebody must act first: it needs too much gas, or a node refuses the call.
    #[error("{label} cannot be sent: {reason}")]
    Stop {
        /// What it was for.
        label: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// A transaction that no block took in the time given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// What it was for.
    pub label: String,
    /// The last attempt.
    pub hash: B256,
    /// Its nonce.
    pub nonce: u64,
    /// Most that it pays per gas, wei.
    pub max_fee_wei: u128,
    /// Base fee of the newest block, wei per gas.
    pub base_fee_wei: u128,
    /// Most that it may pay per gas, wei: the lower of both caps.
    pub cap_wei: u128,
    /// How long it was waited for.
    pub waited: Duration,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is not mined after {} s: transaction {} (nonce {}) offers {} gwei per gas, the base fee is {} gwei, the cap \
             for it is {} gwei; it stays written down and the next command goes on with it",
            self.label,
            self.waited.as_secs(),
            self.hash,
            self.nonce,
            gwei(self.max_fee_wei),
            gwei(self.base_fee_wei),
            gwei(self.cap_wei)
        )?;
        if self.base_fee_wei > self.max_fee_wei {
            f.write_str("; raise max_fee_gwei or max_tx_cost_eth, or wait for cheaper gas")?;
        }
        Ok(())
    }
}

impl TxError {
    /// Name of our custom error that made it revert.
    pub const fn revert_name(&self) -> Option<&'static str> {
        match self {
            Self::Reverted { name, .. } => *name,
            _ => None,
        }
    }

    /// True when the same call may work later.
    pub fn is_temporary(&self) -> bool {
        self.class() == ErrorClass::Retry
    }

    pub(super) fn temporary(label: &str, reason: impl Into<String>) -> Self {
        Self::Temporary { label: label.to_owned(), reason: reason.into() }
    }

    pub(super) fn stop(label: &str, reason: impl Into<String>) -> Self {
        Self::Stop { label: label.to_owned(), reason: reason.into() }
    }

    pub(super) fn log(label: &str, source: TxLogError) -> Self {
        Self::Log { label: label.to_owned(), source }
    }
}

/// Wei per gas as gwei, without zeros at the end.
pub(super) fn gwei(wei: u128) -> String {
    trim(format_units(wei, "gwei").unwrap_or_else(|_| format!("{wei} wei")))
}

/// Wei as ether, without zeros at the end.
pub(super) fn ether(wei: U256) -> String {
    trim(format_units(wei, "ether").unwrap_or_else(|_| format!("{wei} wei")))
}

fn trim(number: String) -> String {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_exact() {
        assert_eq!(gwei(1_500_000_000), "1.5");
        assert_eq!(gwei(1_000_000_000), "1");
        assert_eq!(gwei(7), "0.000000007");
        assert_eq!(ether(U256::from(10).pow(U256::from(19))), "10");
        assert_eq!(ether(U256::ZERO), "0");
    }

    #[test]
    fn errors_say_found_expected_and_what_to_do() {
        let error = TxError::FeeAboveCap {
            label: "buyContract".into(),
            base_fee_wei: 300_000_000_000,
            gas_limit: 1_000_000,
            max_fee_per_gas_wei: 200_000_000_000,
            max_tx_cost_wei: Some(100_000_000_000_000_000),
        };
        assert_eq!(
            error.to_string(),
            "buyContract was not sent, gas is too dear: the base fee is 300 gwei, 1000000 gas would cost at least 0.3 ETH; \
             allowed are 200 gwei per gas (max_fee_gwei) and 0.1 ETH per transaction (max_tx_cost_eth); wait for cheaper \
             gas or raise them"
        );
        assert!(error.is_temporary());
        let error = TxError::InsufficientFunds {
            label: "approve".into(),
            account: Address::ZERO,
            have_wei: U256::from(1_000_000_000_000_000_u64),
            need_wei: U256::from(3_000_000_000_000_000_u64),
        };
        assert!(error.to_string().contains("0.001 ETH, needed 0.003 ETH at most; send 0.002 ETH"), "{error}");
        assert_eq!(error.class(), ErrorClass::Stop);
    }
}
