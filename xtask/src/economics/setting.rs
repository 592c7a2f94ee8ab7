//! What the tables are made for: the case named on the command line, or the note's example.

use clap::Args;
use eyre::ensure;
use sunwork_protocol::credibility;

use super::case::{Case, MAX_VERIFIERS};

/// Flags of `cargo xtask economics`. The defaults are those of docs/ECONOMICS.md.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct Setting {
    /// R, reward of the worker, smallest token unit
    #[arg(long, default_value_t = 1_000_000_000)]
    pub reward: u128,
    /// f, fee of each verifier, smallest token unit [default: k leaves at the worker's price, R k/n rounded up]
    #[arg(long)]
    pub fee: Option<u128>,
    /// Stake of the class, smallest token unit
    #[arg(long, default_value_t = 1_000_000_000_000)]
    pub stake: u128,
    /// Leaves that each verifier computes
    #[arg(long = "k", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub samples: u8,
    /// Verifiers
    #[arg(long = "V", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub verifiers: u8,
    /// Trust: a digest wins with more than 1 - 1/T of the odds
    #[arg(long = "T", default_value_t = 8, value_parser = clap::value_parser!(u16).range(2..=512))]
    pub trust: u16,
    /// Leaves of the bag
    #[arg(long = "n", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    pub leaves: u32,
    /// A late audit in one of so many agreements, 0 for never
    #[arg(long = "audit", default_value_t = 10)]
    pub audit_one_in: u32,
    /// Share of the stake that takes part in draws and colludes, percent
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=99))]
    pub share: u8,
}

impl Default for Setting {
    fn default() -> Self {
        Setting {
            reward: 1_000_000_000,
            fee: None,
            stake: 1_000_000_000_000,
            samples: 5,
            verifiers: 2,
            trust: 8,
            leaves: 100,
            audit_one_in: 10,
            share: 20,
        }
    }
}

impl Setting {
    /// # Errors
    /// When the contracts would not take such terms.
    pub fn validate(&self) -> eyre::Result<()> {
        let reachable = credibility::reachable_trust(self.verifiers).unwrap_or(u128::MAX);
        ensure!(
            u128::from(self.trust) <= reachable,
            "T is {}, but {} verifiers reach at most {reachable} (2^(V+1))",
            self.trust,
            self.verifiers
        );
        ensure!(self.reward >= 1, "the reward is 0, expected at least 1");
        let samples = u16::from(self.samples) * u16::from(self.verifiers);
        ensure!(samples <= 128, "V k is {samples}, expected at most 128");
        ensure!(self.reward <= 1 << 80, "the reward is {}, expected at most 2^80", self.reward);
        let fee = self.fee.unwrap_or(0);
        ensure!(fee <= 1 << 80, "the fee is {fee}, expected at most 2^80");
        Ok(())
    }

    /// The case itself, without audit.
    pub fn case(&self) -> Case {
        self.with(self.leaves, self.samples, self.verifiers, self.trust)
    }

    /// The same money with other terms.
    pub fn with(&self, leaves: u32, samples: u8, verifiers: u8, trust: u16) -> Case {
        let computed = u128::from(leaves.min(samples.into()));
        let fee = self.fee.unwrap_or_else(|| (self.reward * computed).div_ceil(leaves.into()));
        Case { reward: self.reward, fee, ..Case::new(leaves, samples, verifiers, trust) }
    }

    /// V and T to compare, around the case.
    pub fn grid(&self) -> Vec<(u8, u16)> {
        let mut grid = vec![(1, 2), (1, 4), (2, 2), (2, 4), (2, 8), (3, 8), (3, 16), (4, 8), (4, 16), (4, 32)];
        if !grid.contains(&(self.verifiers, self.trust)) && self.verifiers <= MAX_VERIFIERS {
            grid.push((self.verifiers, self.trust));
        }
        grid
    }

    /// The colluding share as a fraction.
    pub fn fraction(&self) -> f64 {
        f64::from(self.share) / 100.0
    }
}
