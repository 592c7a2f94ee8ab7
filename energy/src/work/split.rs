//! Splitting energy over containers without losing or inventing any.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Source;
use crate::units::{MicroWattHours, MilliWattHours, MilliWatts};

/// Splits `whole` by weights so that the parts sum to `whole` exactly: largest remainder first, ties to the earlier one. All
/// weights zero: everything goes to the last part (by convention "the rest").
#[must_use]
pub fn split_exact(whole: i64, weights: &[u64]) -> Vec<i64> {
    let sum: i128 = weights.iter().map(|w| i128::from(*w)).sum();
    if sum == 0 {
        let mut parts = vec![0; weights.len()];
        if let Some(last) = parts.last_mut() {
            *last = whole;
        }
        return parts;
    }
    let exact = |w: &u64| i128::from(whole) * i128::from(*w);
    let mut parts: Vec<i64> = weights.iter().map(|w| exact(w).div_euclid(sum) as i64).collect();
    let left = whole - parts.iter().sum::<i64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|i| (-exact(&weights[*i]).rem_euclid(sum), *i));
    for index in order.into_iter().take(usize::try_from(left).unwrap_or(0)) {
        parts[index] += 1;
    }
    parts
}

/// One container in an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Whose work: the agreement's identity.
    pub agreement: String,
    /// CPU time used in the interval, from its control group.
    pub cpu_microseconds: u64,
    /// Part of the machine reserved for it, per mille.
    pub reserved_permille: u32,
}

/// What was measured in an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Energy the board used.
    pub used: MicroWattHours,
    /// What of it the panel gave while it was used; the rest came from the battery. At most `used`.
    pub direct: MicroWattHours,
    /// Length.
    pub milliseconds: i64,
    /// Power of this board when idle.
    pub idle: MilliWatts,
    /// CPU time of the whole machine in the interval, containers included.
    pub cpu_microseconds: u64,
    /// Where `used` comes from.
    pub source: Source,
    /// The containers.
    pub shares: Vec<Share>,
}

/// What an agreement used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Above idle, by CPU time.
    pub active: MicroWattHours,
    /// Its part of idle, by reservation.
    pub idle: MicroWattHours,
    /// What of both came straight from the sun.
    #[serde(default)]
    pub direct: MicroWattHours,
    /// Whether all of it was measured.
    pub all_measured: bool,
}

impl Account {
    /// Both parts, rounded to nearest milliwatt hour.
    #[must_use]
    pub const fn total(&self) -> MilliWattHours {
        MilliWattHours((self.active.0 + self.idle.0 + 500) / 1000)
    }

    /// Both parts.
    #[must_use]
    pub fn used(&self) -> MicroWattHours {
        self.active + self.idle
    }
}

/// Accounts of all agreements, and of the machine itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    accounts: BTreeMap<String, Account>,
    /// What no agreement used: the system, and idle that nobody reserved.
    pub own: MicroWattHours,
}

impl Ledger {
    /// Splits an interval. The parts added to all accounts and to [`Ledger::own`] sum to the energy of the interval exactly.
    pub fn add(&mut self, interval: &Interval) {
        let used = interval.used.0.max(0);
        let direct = interval.direct.0.clamp(0, used);
        // mW · ms / 3600 = µWh
        let idle = (i128::from(interval.idle.0) * i128::from(interval.milliseconds.max(0)) / 3_600) as i64;
        let idle = idle.clamp(0, used);
        let in_containers: u64 = interval.shares.iter().map(|s| s.cpu_microseconds).sum();
        let by_cpu = interval.shares.iter().map(|s| s.cpu_microseconds);
        let rest = interval.cpu_microseconds.saturating_sub(in_containers);
        let active = split_exact(used - idle, &by_cpu.chain([rest]).collect::<Vec<_>>());
        let reserved: u64 = interval.shares.iter().map(|s| u64::from(s.reserved_permille)).sum();
        let by_reservation = interval.shares.iter().map(|s| u64::from(s.reserved_permille));
        let idle = split_exact(idle, &by_reservation.chain([1000_u64.saturating_sub(reserved)]).collect::<Vec<_>>());
        for ((share, active), idle) in interval.shares.iter().zip(&active).zip(&idle) {
            let account = self.accounts.entry(share.agreement.clone()).or_insert(Account {
                active: MicroWattHours(0),
                idle: MicroWattHours(0),
                direct: MicroWattHours(0),
                all_measured: true,
            });
            // Whose watts come from the panel nobody can tell: everybody's in the same part.
            let from_sun = i128::from(active + idle) * i128::from(direct) / i128::from(used.max(1));
            account.direct = account.direct + MicroWattHours(from_sun as i64);
            account.active = account.active + MicroWattHours(*active);
            account.idle = account.idle + MicroWattHours(*idle);
            account.all_measured &= interval.source == Source::Measured;
        }
        let own = active.last().copied().unwrap_or(0) + idle.last().copied().unwrap_or(0);
        self.own = self.own + MicroWattHours(own);
    }

    /// Account of an agreement.
    #[must_use]
    pub fn account(&self, agreement: &str) -> Option<&Account> {
        self.accounts.get(agreement)
    }

    /// All accounts.
    #[must_use]
    pub const fn accounts(&self) -> &BTreeMap<String, Account> {
        &self.accounts
    }

    /// Takes the account out when the agreement's report is written.
    pub fn close(&mut self, agreement: &str) -> Option<Account> {
        self.accounts.remove(agreement)
    }

    /// Sum over everything.
    #[must_use]
    pub fn total(&self) -> MicroWattHours {
        self.accounts.values().map(|a| a.active + a.idle).sum::<MicroWattHours>() + self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::Board;
    use proptest::prelude::*;

    fn share(agreement: &str, cpu_microseconds: u64, reserved_permille: u32) -> Share {
        Share { agreement: agreement.into(), cpu_microseconds, reserved_permille }
    }

    #[test]
    fn energy_above_idle_goes_by_cpu_time_and_idle_by_reservation() {
        let mut ledger = Ledger::default();
        // An hour at 6 W, idle 2 W; a uses three times the CPU of b; the system a tenth of all.
        ledger.add(&Interval {
            used: MicroWattHours(6_000_000),
            milliseconds: 3_600_000,
            direct: MicroWattHours(1_500_000),
            idle: MilliWatts(2_000),
            cpu_microseconds: 1_000_000,
            source: Source::Measured,
            shares: vec![share("a", 675_000, 500), share("b", 225_000, 250)],
        });
        let (a, b) = (ledger.account("a").expect("a"), ledger.account("b").expect("b"));
        assert_eq!((a.active, a.idle), (MicroWattHours(2_700_000), MicroWattHours(1_000_000)));
        assert_eq!((b.active, b.idle), (MicroWattHours(900_000), MicroWattHours(500_000)));
        assert_eq!(ledger.own, MicroWattHours(400_000 + 500_000));
        assert_eq!((a.total(), a.all_measured), (MilliWattHours(3_700), true));
        // A quarter of everything came straight from the panel.
        assert_eq!((a.direct, b.direct), (MicroWattHours(925_000), MicroWattHours(350_000)));
        assert_eq!(a.used(), MicroWattHours(3_700_000));
    }

    #[test]
    fn a_modelled_interval_marks_the_account_as_modelled() {
        let mut ledger = Ledger::default();
        let source = Source::Modelled { board: Board::Pi4B };
        let (used, idle) = (MicroWattHours(100), MilliWatts(0));
        let shares = vec![share("a", 1, 0)];
        ledger.add(&Interval { used, direct: used, milliseconds: 1000, idle, cpu_microseconds: 1, source, shares });
        assert!(!ledger.close("a").expect("a").all_measured);
        assert_eq!(ledger.account("a"), None);
    }

    proptest! {
        #[test]
        fn parts_always_sum_to_the_whole(whole in 0i64..1 << 50, weights in prop::collection::vec(any::<u64>(), 1..40)) {
            let parts = split_exact(whole, &weights);
            prop_assert_eq!(parts.iter().sum::<i64>(), whole);
            prop_assert!(parts.iter().all(|p| *p >= 0));
        }

        /// Over any sequence of intervals, hostile figures included, the ledger holds exactly what was used.
        #[test]
        fn the_ledger_holds_what_the_board_used(
            intervals in prop::collection::vec(
                (0i64..1 << 40, any::<i64>(), 0i64..1 << 40, 0i64..100_000, any::<u32>(), prop::collection::vec((0u8..4, any::<u32>(), 0u32..2000), 0..5)),
                0..20,
            )
        ) {
            let mut ledger = Ledger::default();
            let mut used = 0;
            for (energy, direct, milliseconds, idle, cpu, shares) in intervals {
                used += energy;
                ledger.add(&Interval {
                    used: MicroWattHours(energy),
                    direct: MicroWattHours(direct),
                    milliseconds,
                    idle: MilliWatts(idle),
                    cpu_microseconds: u64::from(cpu),
                    source: Source::Measured,
                    shares: shares.iter().map(|(who, cpu, reserved)| share(&who.to_string(), u64::from(*cpu), *reserved)).collect(),
                });
            }
            prop_assert_eq!(ledger.total(), MicroWattHours(used));
            prop_assert!(ledger.accounts().values().all(|a| a.direct.0 >= 0 && a.direct <= a.used()));
        }
    }
}
