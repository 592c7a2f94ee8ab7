//! The reasons without their numbers: what `why`, the control API, the metrics and the log all count by.
use serde::{Deserialize, Serialize};

/// How a reason's two numbers relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// What was found may not exceed the limit.
    AtMost,
    /// What was found must reach the limit.
    AtLeast,
}

/// The measured value and the limit that it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    /// What was found.
    pub found: i64,
    /// The limit.
    pub limit: i64,
    /// Unit of both, such as "MiB".
    pub unit: &'static str,
    /// Which side of the limit is good.
    pub bound: Bound,
}

impl Measure {
    /// `found` may not exceed `limit`.
    pub fn at_most(found: impl TryInto<i64>, limit: impl TryInto<i64>, unit: &'static str) -> Self {
        Self { found: saturated(found), limit: saturated(limit), unit, bound: Bound::AtMost }
    }

    /// `found` must reach `limit`.
    pub fn at_least(found: impl TryInto<i64>, limit: impl TryInto<i64>, unit: &'static str) -> Self {
        Self { found: saturated(found), limit: saturated(limit), unit, bound: Bound::AtLeast }
    }
}

/// Only net energy can be negative, and it fits: what does not fit is too large.
fn saturated(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $remedy:literal;)+) => {
        /// Why a worker takes no part. The name is the same in the journal, in JSON, in metrics and for people.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What the owner can do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),+ }
            }
        }
    };
}

reasons! {
    /// The specification cannot be read or used.
    Specification = "specification", "nothing: the purchase itself is faulty";
    /// Confidential work, which old versions did not do.
    Confidential = "confidential", "nothing: an older version decided this";
    /// Confidential work and no key.
    NoEncryptionKey = "no_encryption_key", "run `sunwork-worker init` and `register`, then restart";
    /// Confidential work and another key on chain than here.
    EncryptionKey = "encryption_key", "copy keys/encryption from the other device, or `sunwork-worker register`";
    /// A kind of work that is not done here.
    Kind = "kind", "add the kind to `kinds`, if this version knows it";
    /// A class that this worker has not joined.
    Class = "class", "join it, if this machine is of that class: `classes`, then `sunwork-worker register`";
    /// A runtime that is switched off here.
    Runtime = "runtime", "add the runtime to `runtimes`";
    /// An unknown trust level.
    TrustLevel = "trust_level", "update the worker";
    /// Another platform than the class promises.
    Platform = "platform", "nothing: the purchase contradicts its class";
    /// Too many leaves.
    Leaves = "leaves", "raise `max_leaves`";
    /// Too much CPU.
    Cpu = "cpu", "raise `max_milli_cpu` or `cores`";
    /// Too much memory.
    Memory = "memory", "raise `max_memory_mib` or `memory_mib`";
    /// Too much room.
    Disk = "disk", "raise `max_disk_mib` or `disk_mib`";
    /// Too large outputs.
    Output = "output", "raise `max_output_mib`";
    /// Too many processes.
    Processes = "processes", "raise `max_processes`";
    /// Too long leaves.
    LeafTime = "leaf_time", "raise `max_leaf_secs`";
    /// Too large inputs.
    Inputs = "inputs", "raise `max_input_mib`";
    /// Too much to transfer in one day.
    Transfer = "transfer", "raise `daily_transfer_mib`, or wait until the day is over";
    /// One leaf does not fit the work window.
    WorkWindow = "work_window", "nothing: the purchase contradicts itself";
    /// The reward is below the least one.
    Reward = "reward", "lower `min_reward`";
    /// The reward is below the price of the cores.
    CorePrice = "core_price", "lower `price_per_core_hour`";
    /// The reward is below the price of the memory.
    MemoryPrice = "memory_price", "lower `price_per_gib_hour`";
    /// The gas would cost more than the work pays.
    GasCost = "gas_cost", "wait for cheaper gas, or correct `tokens_per_ether`";
    /// Gas is dearer than the owner allows.
    GasPrice = "gas_price", "wait for cheaper gas, or raise `gas_price_limit_gwei`";
    /// The device's key could not pay for its transactions.
    GasMoney = "gas_money", "send ether to the device's key, `sunwork-worker status` shows its address; the worker goes on by itself";
    /// The image cannot be used.
    Image = "image", "nothing, if the image is broken; else see `sunwork-worker doctor`";
    /// Image or inputs cannot be had now.
    Unavailable = "unavailable", "see `sunwork-worker doctor`: oracle or engine does not deliver";
    /// An image that the owner's lists keep out.
    ImageRule = "image_rule", "change `image_allow` or `image_deny`";
    /// A host that the owner's list does not name.
    NetworkHost = "network_host", "add the host to `network_hosts`";
    /// A network in a runtime that has none.
    NetworkRuntime = "network_runtime", "nothing: such apps have no network; Docker's can";
    /// Our own purchase.
    OwnPurchase = "own_purchase", "nothing: nobody works for itself";
    /// The terms name another worker.
    NamedWorker = "named_worker", "nothing: the client wants another worker";
    /// Placed by a pool.
    Pool = "pool", "join the pool";
    /// The contract does not let us in.
    Barred = "barred", "nothing: the contract lets this worker in only once";
    /// Not enough free stake.
    Stake = "stake", "stake more: `sunwork-worker register --stake AMOUNT`; or wait until agreements end";
    /// The device's limit is used up.
    DeviceLimit = "device_limit", "raise it: `sunwork-worker register --device-limit AMOUNT`";
    /// The owner paused the worker.
    Paused = "paused", "`sunwork-worker resume`";
    /// The owner drains the worker.
    Draining = "draining", "`sunwork-worker resume`";
    /// Outside the weekly schedule.
    Schedule = "schedule", "change `schedule`, or wait";
    /// The work would not end within the schedule.
    ScheduleEnd = "schedule_end", "lengthen `schedule`, or set `finish_in_schedule = false`";
    /// The machine is used for something else.
    Busy = "busy", "wait, raise `idle_max_pressure_percent`, or set `run_when_idle = false`";
    /// Nothing says whether the machine is used.
    IdleUnknown = "idle_unknown", "set `run_when_idle = false`, or let the worker read /proc/pressure or /proc/loadavg";
    /// The disk is nearly full.
    DiskFree = "disk_free", "make room, or lower `keep_free_disk_mib`";
    /// More energy than can be spared.
    EnergyReserve = "energy_reserve", "wait for the sun, or give the worker a larger battery or panel; see `sunwork-worker energy`";
    /// Not in time beside what is promised.
    EnergyTime = "energy_time", "nothing: it promised enough for now; fewer promises at a time need lower limits, see `max_leaf_secs`";
    /// The battery is too low, or its energy is worth more later.
    EnergyLow = "energy_low", "wait for the sun; see `sunwork-worker energy`";
    /// Charge, clock or a sensor is not known.
    EnergyUnknown = "energy_unknown", "see `sunwork-worker energy`: it names what is wrong and what to do";
    /// Green work, and no meter attests for this worker.
    GreenMeter = "green_meter", "register a meter with the energy ledger and send its days, or leave green work to others";
    /// Green work, and the last record is too old.
    GreenRecordsOld = "green_records_old", "send the days that are missing to the energy ledger";
    /// Green work, and too few days are attested.
    GreenDays = "green_days", "go on sending a record a day to the energy ledger";
    /// Green work, and more was used than was made.
    GreenDeficit = "green_deficit", "make more or use less: wait for sunny days, add panel, lower the power";
    /// There is no room for the journal.
    JournalRoom = "journal_room", "make room on the disk of the data folder; the worker goes on by itself";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_and_are_those_of_the_json() {
        let names: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
            assert!(reason.remedy().len() > 5, "{reason:?}");
        }
    }
}
