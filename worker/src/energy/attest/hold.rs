//! Why nothing is attested, by name, with a reason that the owner can read and what is done until it is right again.
use sunwork_energy::keeper::state::TroubleRow;

/// A named state in which nothing is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named for what they hold, and the sentences below say the rest")]
pub enum Hold {
    /// The deployment has no ledger.
    NoLedger,
    /// The energy is a simulation, and the chain is not a development chain.
    Simulated { chain_id: u64 },
    /// No meter is registered.
    Unregistered,
    /// The owner took it out.
    Leaving { bond_free_at: u64 },
    /// It signed two records for one day.
    Struck,
    /// The key of the registered meter cannot be used.
    KeyLost { reason: String },
    /// What the key signed cannot be written down.
    Book { reason: String },
    /// The clock is not set.
    ClockUnset,
    /// The clock and the chain's differ.
    ClockDiffers { energy: i64, chain: u64 },
    /// A quarter hour holds more than the panel can make.
    AboveCap { day: u16, slot: usize, found: u16, cap: u16 },
    /// The key has no epoch left in which its counter could begin anew.
    CounterSpent { epoch: u16 },
    /// The ledger's rules refuse the record.
    Refused { day: u16, reason: String },
    /// The chain refused or cannot be reached.
    Chain { reason: String },
}

impl Hold {
    /// Its name in logs, metrics and the API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoLedger => "no_ledger",
            Self::Simulated { .. } => "simulated",
            Self::Unregistered => "meter_unregistered",
            Self::Leaving { .. } => "meter_leaving",
            Self::Struck => "meter_struck",
            Self::KeyLost { .. } => "device_key_lost",
            Self::Book { .. } => "meter_book",
            Self::ClockUnset => "clock_unset",
            Self::ClockDiffers { .. } => "clock_differs",
            Self::AboveCap { .. } => "above_cap",
            Self::CounterSpent { .. } => "counter_spent",
            Self::Refused { .. } => "record_refused",
            Self::Chain { .. } => "chain",
        }
    }

    /// All names, for metrics.
    pub const NAMES: [&'static str; 13] = [
        "no_ledger",
        "simulated",
        "meter_unregistered",
        "meter_leaving",
        "meter_struck",
        "device_key_lost",
        "meter_book",
        "clock_unset",
        "clock_differs",
        "above_cap",
        "counter_spent",
        "record_refused",
        "chain",
    ];

    /// Whether it is how things are, and nothing that went wrong.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        matches!(self, Self::NoLedger | Self::Simulated { .. } | Self::Unregistered | Self::Leaving { .. })
    }

    /// What is done until it is right again, and what the owner can do.
    #[must_use]
    pub const fn behaviour(&self) -> &'static str {
        match self {
            Self::NoLedger => "nothing is attested; this deployment has no energy ledger",
            Self::Simulated { .. } => "nothing is attested; simulated energy is for development chains only",
            Self::Unregistered => "nothing is attested; `sunwork-worker energy meter register` registers the meter",
            Self::Leaving { .. } => "nothing is attested; `sunwork-worker energy meter withdraw` pays the bond out",
            Self::Struck => {
                "nothing is attested; the bond is gone, `sunwork-worker energy meter register` makes a new key and pays a new bond"
            }
            Self::KeyLost { .. } => {
                "nothing is attested; bring the key back, or `sunwork-worker energy meter replace-key` puts a new one in its place: the days attested before stay, days that wait are attested by the new key"
            }
            Self::Book { .. } => "nothing is signed that cannot be written down first; make room on the disk",
            Self::ClockUnset => "nothing is attested; let the board reach network time",
            Self::ClockDiffers { .. } => "nothing is attested until they agree; set the clock by the network",
            Self::AboveCap { .. } => {
                "nothing is attested; correct the nameplate (`sunwork-worker energy meter replace-key --nameplate-watts W`) or the shunt, or forfeit the day (`sunwork-worker energy meter give-up --until DAY`)"
            }
            Self::CounterSpent { .. } => {
                "nothing is attested; `sunwork-worker energy meter replace-key` puts a new key in its place, whose counter begins at zero: the days attested before stay, days that wait are attested by the new key"
            }
            Self::Refused { .. } => {
                "nothing is sent; the day can be forfeited with `sunwork-worker energy meter give-up --until DAY`"
            }
            Self::Chain { .. } => "the records wait; it is tried again",
        }
    }

    /// For the owner.
    #[must_use]
    pub fn row(&self) -> TroubleRow {
        TroubleRow { name: self.name().into(), reason: self.to_string(), behaviour: self.behaviour().into() }
    }
}

/// "2026-06-01".
pub(crate) fn date(day: u16) -> String {
    let time = jiff::Timestamp::from_second(super::counts::midnight(day)).unwrap_or_default();
    time.strftime("%Y-%m-%d").to_string()
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |secs: i64| jiff::Timestamp::from_second(secs).unwrap_or_default();
        match self {
            Self::NoLedger => f.write_str("the deployment names no energy ledger"),
            Self::Simulated { chain_id } => write!(f, "the energy is simulated, and chain {chain_id} is a real one"),
            Self::Unregistered => f.write_str("no meter of this worker is registered"),
            Self::Leaving { bond_free_at } => write!(
                f,
                "the meter was taken out; its bond is free from {}",
                time(i64::try_from(*bond_free_at).unwrap_or(i64::MAX))
            ),
            Self::Struck => f.write_str("the meter signed two different records for one day and lost its bond"),
            Self::KeyLost { reason } => write!(f, "the key of the registered meter cannot be used: {reason}"),
            Self::Book { reason } => write!(f, "the book of what the meter signed: {reason}"),
            Self::ClockUnset => f.write_str("the clock is not set"),
            Self::ClockDiffers { energy, chain } => write!(
                f,
                "the clock says {}, the newest block {}",
                time(*energy),
                time(i64::try_from(*chain).unwrap_or(i64::MAX))
            ),
            Self::AboveCap { day, slot, found, cap } => write!(
                f,
                "{} {:02}:{:02} UTC holds {found} Wh, the registered nameplate allows {cap} Wh in a quarter hour",
                date(*day),
                slot / 4,
                slot % 4 * 15
            ),
            Self::CounterSpent { epoch } => write!(
                f,
                "the meter's counter lost its memory, and its last record is of epoch {epoch}, the last that a key has"
            ),
            Self::Refused { day, reason } => write!(f, "the record of {} would be refused: {reason}", date(*day)),
            Self::Chain { reason } => f.write_str(reason),
        }
    }
}
