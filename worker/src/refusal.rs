//! Why this worker takes no part in an agreement: one enumerated reason with the measured value and the limit.
use std::fmt;

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sunwork_protocol::{
    energy::NotPositive,
    private_job::{JOB_INPUT_NAME, MAX_JOB_BYTES, PrivateJobError},
    segments,
    terms::{ComputeSpec, ComputeTerms},
};

use crate::{amount::Unit, config::Limits, duration, runtime::Kind};

mod reason;

pub use reason::{Bound, Measure, Reason};

/// Highest trust level that is carried out here.
const MAX_TRUST_LEVEL: u8 = 1;

/// The reason. Those that last ([`Refusal::is_lasting`]) end our part in an agreement and stand in the journal; the others can change
/// (price, free stake, the owner's schedule) or bar from one role only: the worker waits, and `why` counts them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are named for what they hold, and the sentences below say the rest")]
pub enum Refusal {
    /// The specification cannot be read, or is not the one that the terms commit to.
    Specification { message: String },
    /// Written by versions that did public work only.
    Confidential,
    /// Confidential work, and no key to read it with.
    NoEncryptionKey,
    /// Confidential work, and the key that clients would seal to is not ours.
    EncryptionKey { own: B256, published: B256 },
    /// A level that this version does not know: the client's word (0) and proof of contribution (1) are.
    TrustLevel { asked: u8, known: u8 },
    /// Another platform than the class promises.
    Platform { asked: String, class: String },
    /// Too many leaves.
    Leaves { asked: u32, limit: u32 },
    /// Too much CPU.
    Cpu { asked_milli: u32, limit_milli: u32 },
    /// Too much memory.
    Memory { asked_mib: u32, limit_mib: u32 },
    /// Too much room.
    Disk { asked_mib: u32, limit_mib: u32 },
    /// Too large outputs.
    Output { asked_mib: u32, limit_mib: u32 },
    /// Too many processes.
    Processes { asked: u32, limit: u32 },
    /// Too long leaves.
    LeafTime { asked_secs: u32, limit_secs: u32 },
    /// Too large inputs.
    Inputs { asked_bytes: u64, limit_bytes: u64 },
    /// Not even one leaf fits the work window.
    WorkWindow { leaf_secs: u32, window_secs: u32 },
    /// Even the highest reward is below the least one; others may add to it.
    Reward { most: u128, least: u128 },
    /// The image cannot be used.
    Image { message: String },
    /// An image that the owner keeps out; without a rule, because none lets it in.
    ImageRule { image: String, rule: Option<String> },
    /// A host that the owner does not let apps speak to; `rules` is how long the list is.
    NetworkHost { host: String, rules: usize },
    /// A runtime in which apps have no network.
    NetworkRuntime { runtime: String },
    /// It is our own purchase.
    OwnPurchase { client: Address },
    /// A kind of work that is not done here.
    Kind { asked: u8 },
    /// A class that this worker has not joined.
    Class { asked: String },
    /// A runtime that the owner switched off.
    Runtime { asked: String, allowed: String },
    /// Too much to transfer today.
    Transfer { would_be_mib: u64, limit_mib: u64 },
    /// Less than the cores are worth to the owner.
    CorePrice { offered: u128, least: u128 },
    /// Less than the memory is worth to the owner.
    MemoryPrice { offered: u128, least: u128 },
    /// Gas, in tokens, costs more than the work pays.
    GasCost { pay: u128, cost: u128 },
    /// Gas is dearer than the owner allows.
    GasPrice { found_wei: u64, limit_wei: u64 },
    /// The device's key could not pay for the transactions, the seal among them, beside those of agreements under way.
    GasMoney { held_gwei: u64, needed_gwei: u64, under_way_gwei: u64 },
    /// Image or inputs cannot be had now.
    Unavailable { message: String },
    /// The terms name another worker.
    NamedWorker { named: Address },
    /// Placed by a pool.
    Pool,
    /// The contract does not let us in, or not again.
    Barred,
    /// Not enough free stake for either role.
    Stake { free: u128, needed: u128 },
    /// The device may not lock that much more.
    DeviceLimit { free: u128, needed: u128 },
    /// The owner paused the worker; without a time until it is resumed.
    Paused { left_secs: Option<u64> },
    /// The owner lets the worker finish what it has.
    Draining { left_secs: Option<u64> },
    /// Outside the weekly schedule; without a time when no range comes.
    Schedule { opens_in_secs: Option<u64> },
    /// The work may take longer than the schedule's range lasts.
    ScheduleEnd { needs_secs: u64, left_secs: u64 },
    /// The machine is used for something else.
    Busy { signal: BusySignal, found_percent: u32, limit_percent: u32 },
    /// The owner lends an idle machine only, and nothing says whether it is idle.
    IdleUnknown,
    /// The disk is nearly full.
    DiskFree { free_mib: u64, keep_mib: u64 },
    /// More energy than can be spared above the reserve until then.
    EnergyReserve { needs_mwh: u64, spare_mwh: u64, until: u64, reserve_hours: u32 },
    /// With what is promised already it would not be done in time, even at full power.
    EnergyTime { needed_secs: u64, left_secs: u64 },
    /// The battery lets nothing new be taken now.
    EnergyLow { mode: String, message: String, charge_mwh: u64, reserve_mwh: u64 },
    /// Nobody can tell what may be promised.
    EnergyUnknown { state: String, message: String },
    /// Green work, and the energy ledger does not call this worker positive.
    NotPositive { standing: NotPositive },
    /// There is too little room to write down what is promised.
    JournalRoom,
}

/// What says that the machine is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BusySignal {
    /// Share of the last ten seconds in which something waited for a core (/proc/pressure/cpu).
    CpuPressure,
    /// The same for memory.
    MemoryPressure,
    /// The same for disks.
    IoPressure,
    /// Load average of a minute over the number of cores, where the kernel has no pressure files.
    Load,
}

impl Refusal {
    /// The reason without its numbers.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Specification { .. } => Reason::Specification,
            Self::Confidential => Reason::Confidential,
            Self::NoEncryptionKey => Reason::NoEncryptionKey,
            Self::EncryptionKey { .. } => Reason::EncryptionKey,
            Self::TrustLevel { .. } => Reason::TrustLevel,
            Self::Platform { .. } => Reason::Platform,
            Self::Leaves { .. } => Reason::Leaves,
            Self::Cpu { .. } => Reason::Cpu,
            Self::Memory { .. } => Reason::Memory,
            Self::Disk { .. } => Reason::Disk,
            Self::Output { .. } => Reason::Output,
            Self::Processes { .. } => Reason::Processes,
            Self::LeafTime { .. } => Reason::LeafTime,
            Self::Inputs { .. } => Reason::Inputs,
            Self::WorkWindow { .. } => Reason::WorkWindow,
            Self::Reward { .. } => Reason::Reward,
            Self::Image { .. } => Reason::Image,
            Self::ImageRule { .. } => Reason::ImageRule,
            Self::NetworkHost { .. } => Reason::NetworkHost,
            Self::NetworkRuntime { .. } => Reason::NetworkRuntime,
            Self::OwnPurchase { .. } => Reason::OwnPurchase,
            Self::Kind { .. } => Reason::Kind,
            Self::Class { .. } => Reason::Class,
            Self::Runtime { .. } => Reason::Runtime,
            Self::Transfer { .. } => Reason::Transfer,
            Self::CorePrice { .. } => Reason::CorePrice,
            Self::MemoryPrice { .. } => Reason::MemoryPrice,
            Self::GasCost { .. } => Reason::GasCost,
            Self::GasPrice { .. } => Reason::GasPrice,
            Self::GasMoney { .. } => Reason::GasMoney,
            Self::Unavailable { .. } => Reason::Unavailable,
            Self::NamedWorker { .. } => Reason::NamedWorker,
            Self::Pool => Reason::Pool,
            Self::Barred => Reason::Barred,
            Self::Stake { .. } => Reason::Stake,
            Self::DeviceLimit { .. } => Reason::DeviceLimit,
            Self::Paused { .. } => Reason::Paused,
            Self::Draining { .. } => Reason::Draining,
            Self::Schedule { .. } => Reason::Schedule,
            Self::ScheduleEnd { .. } => Reason::ScheduleEnd,
            Self::Busy { .. } => Reason::Busy,
            Self::IdleUnknown => Reason::IdleUnknown,
            Self::DiskFree { .. } => Reason::DiskFree,
            Self::EnergyReserve { .. } => Reason::EnergyReserve,
            Self::EnergyTime { .. } => Reason::EnergyTime,
            Self::EnergyLow { .. } => Reason::EnergyLow,
            Self::EnergyUnknown { .. } => Reason::EnergyUnknown,
            Self::NotPositive { standing } => match standing {
                NotPositive::NoMeter | NotPositive::Leaving | NotPositive::Struck => Reason::GreenMeter,
                NotPositive::Old { .. } => Reason::GreenRecordsOld,
                NotPositive::FewDays { .. } => Reason::GreenDays,
                NotPositive::Deficit { .. } => Reason::GreenDeficit,
            },
            Self::JournalRoom => Reason::JournalRoom,
        }
    }

    /// The measured value and its limit, where the reason has two numbers.
    pub fn measure(&self) -> Option<Measure> {
        const TOKENS: &str = "smallest token units";
        Some(match *self {
            Self::TrustLevel { asked, known } => Measure::at_most(asked, known, "level"),
            Self::Leaves { asked, limit } => Measure::at_most(asked, limit, "leaves"),
            Self::Cpu { asked_milli, limit_milli } => {
                Measure::at_most(asked_milli, limit_milli, "thousandths of a core")
            }
            Self::Memory { asked_mib, limit_mib }
            | Self::Disk { asked_mib, limit_mib }
            | Self::Output { asked_mib, limit_mib } => Measure::at_most(asked_mib, limit_mib, "MiB"),
            Self::Processes { asked, limit } => Measure::at_most(asked, limit, "processes"),
            Self::LeafTime { asked_secs, limit_secs } => Measure::at_most(asked_secs, limit_secs, "s"),
            Self::Inputs { asked_bytes, limit_bytes } => Measure::at_most(asked_bytes, limit_bytes, "B"),
            Self::Transfer { would_be_mib, limit_mib } => Measure::at_most(would_be_mib, limit_mib, "MiB a day"),
            Self::WorkWindow { leaf_secs, window_secs } => Measure::at_most(leaf_secs, window_secs, "s"),
            Self::Reward { most, least } => Measure::at_least(most, least, TOKENS),
            Self::CorePrice { offered, least } | Self::MemoryPrice { offered, least } => {
                Measure::at_least(offered, least, TOKENS)
            }
            Self::GasCost { pay, cost } => Measure::at_least(pay, cost, TOKENS),
            Self::GasPrice { found_wei, limit_wei } => Measure::at_most(found_wei, limit_wei, "wei per gas"),
            Self::GasMoney { held_gwei, needed_gwei, .. } => Measure::at_least(held_gwei, needed_gwei, "gwei"),
            Self::Stake { free, needed } | Self::DeviceLimit { free, needed } => {
                Measure::at_least(free, needed, TOKENS)
            }
            Self::ScheduleEnd { needs_secs, left_secs } => Measure::at_most(needs_secs, left_secs, "s"),
            Self::Busy { found_percent, limit_percent, .. } => Measure::at_most(found_percent, limit_percent, "%"),
            Self::DiskFree { free_mib, keep_mib } => Measure::at_least(free_mib, keep_mib, "MiB"),
            Self::EnergyReserve { needs_mwh, spare_mwh, .. } => Measure::at_most(needs_mwh, spare_mwh, "mWh"),
            Self::EnergyTime { needed_secs, left_secs } => Measure::at_most(needed_secs, left_secs, "s"),
            Self::EnergyLow { charge_mwh, reserve_mwh, .. } => Measure::at_least(charge_mwh, reserve_mwh, "mWh"),
            Self::NotPositive { standing } => match standing {
                NotPositive::Old { age_days, fresh_days } => Measure::at_most(age_days, fresh_days, "days"),
                NotPositive::FewDays { days, min_days } => Measure::at_least(days, min_days, "days"),
                NotPositive::Deficit { net_wh } => Measure::at_least(net_wh, 0, "Wh"),
                NotPositive::NoMeter | NotPositive::Leaving | NotPositive::Struck => return None,
            },
            _ => return None,
        })
    }

    /// True when no wait helps: our part in the agreement is over.
    pub const fn is_lasting(&self) -> bool {
        !matches!(
            self.reason(),
            Reason::Reward
                | Reason::CorePrice
                | Reason::MemoryPrice
                | Reason::GasCost
                | Reason::GasPrice
                | Reason::GasMoney
                | Reason::Transfer
                | Reason::Unavailable
                | Reason::NamedWorker
                | Reason::Pool
                | Reason::Barred
                | Reason::Stake
                | Reason::DeviceLimit
                | Reason::Paused
                | Reason::Draining
                | Reason::Schedule
                | Reason::ScheduleEnd
                | Reason::Busy
                | Reason::IdleUnknown
                | Reason::DiskFree
                | Reason::EnergyReserve
                | Reason::EnergyTime
                | Reason::EnergyLow
                | Reason::EnergyUnknown
                | Reason::GreenMeter
                | Reason::GreenRecordsOld
                | Reason::GreenDays
                | Reason::GreenDeficit
                | Reason::JournalRoom
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Specification { message } => write!(f, "the specification cannot be used: {message}"),
            Self::Confidential => f.write_str("the work is confidential, this version does public work only"),
            Self::NoEncryptionKey => f.write_str(
                "the work is confidential, and this worker has no encryption key; run `sunwork-worker init` and \
                 `sunwork-worker register`, then restart it (other devices of the worker need the same key file)",
            ),
            Self::EncryptionKey { own, published } if published.is_zero() => write!(
                f,
                "the work is confidential, and the encryption key {own} is not published; run `sunwork-worker register`"
            ),
            Self::EncryptionKey { own, published } => write!(
                f,
                "the work is confidential, and the published encryption key is {published}, this device holds {own}; copy \
                 keys/encryption of the device that has it here and restart, or publish this one: `sunwork-worker register`"
            ),
            Self::TrustLevel { asked, known } => {
                write!(f, "trust level {asked} is asked, this version knows levels up to {known}")
            }
            Self::Platform { asked, class } => write!(f, "the platform is {asked}, expected that of the class {class}"),
            Self::Leaves { asked, limit } => write!(f, "{asked} leaves > limit {limit}"),
            Self::Cpu { asked_milli, limit_milli } => write!(f, "CPU {asked_milli} m > limit {limit_milli} m"),
            Self::Memory { asked_mib, limit_mib } => write!(f, "memory {asked_mib} MiB > limit {limit_mib} MiB"),
            Self::Disk { asked_mib, limit_mib } => write!(f, "disk {asked_mib} MiB > limit {limit_mib} MiB"),
            Self::Output { asked_mib, limit_mib } => write!(f, "output {asked_mib} MiB > limit {limit_mib} MiB"),
            Self::Processes { asked, limit } => write!(f, "{asked} processes > limit {limit}"),
            Self::LeafTime { asked_secs, limit_secs } => write!(f, "leaf time {asked_secs} s > limit {limit_secs} s"),
            Self::Inputs { asked_bytes, limit_bytes } => write!(f, "inputs {asked_bytes} B > limit {limit_bytes} B"),
            Self::WorkWindow { leaf_secs, window_secs } => {
                write!(f, "one leaf may take {leaf_secs} s, the whole work only {window_secs} s")
            }
            Self::Reward { most, least } => {
                write!(f, "the reward is at most {most} < least reward {least} (smallest units)")
            }
            Self::Image { message } => write!(f, "the image cannot be used: {message}"),
            Self::ImageRule { image, rule: Some(rule) } => {
                write!(f, "the image {image} is kept out by the rule {rule} of `image_deny`")
            }
            Self::ImageRule { image, rule: None } => {
                write!(f, "the image {image} is let in by no rule of `image_allow`")
            }
            Self::NetworkHost { host, rules: 0 } => {
                write!(f, "the app asks for the host {host}, and `network_hosts` names none")
            }
            Self::NetworkHost { host, .. } => {
                write!(f, "the app asks for the host {host}, which no rule of `network_hosts` lets through")
            }
            Self::NetworkRuntime { runtime } => {
                write!(f, "the app asks for a network, and the runtime {runtime} has none")
            }
            Self::OwnPurchase { client } => write!(f, "the client {client} is this worker"),
            Self::Kind { asked } => write!(f, "kind {asked} is not done here"),
            Self::Class { asked } => write!(f, "the class {asked} is not one of this worker"),
            Self::Runtime { asked, allowed } => write!(f, "the runtime is {asked}, the settings allow {allowed}"),
            Self::Transfer { would_be_mib, limit_mib } => {
                write!(f, "today's transfers would be {would_be_mib} MiB > limit {limit_mib} MiB")
            }
            Self::CorePrice { offered, least } => {
                write!(f, "the reward {offered} < {least}, the price of its cores (smallest units)")
            }
            Self::MemoryPrice { offered, least } => {
                write!(f, "the reward {offered} < {least}, the price of its memory (smallest units)")
            }
            Self::GasCost { pay, cost } => write!(f, "the pay {pay} < gas cost {cost} (smallest units)"),
            Self::GasPrice { found_wei, limit_wei } => {
                write!(f, "gas costs {found_wei} wei > limit {limit_wei} wei")
            }
            Self::GasMoney { held_gwei, needed_gwei, under_way_gwei } => {
                let ether = |gwei: u64| Unit::ether().format(u128::from(gwei) * 1_000_000_000);
                let (held, needed) = (ether(*held_gwei), ether(*needed_gwei));
                write!(f, "the device's key holds {held} < {needed} for the gas of new work")?;
                let under_way = ether(*under_way_gwei);
                match (*under_way_gwei, under_way_gwei > held_gwei) {
                    (0, _) => Ok(()),
                    (_, false) => write!(f, " and of agreements under way ({under_way})"),
                    (_, true) => write!(
                        f,
                        " and of agreements under way; their {under_way} are not there: the stake in them is in danger"
                    ),
                }
            }
            Self::Unavailable { message } => write!(f, "image or inputs cannot be had now: {message}"),
            Self::NamedWorker { named } => write!(f, "the terms name the worker {named}"),
            Self::Pool => f.write_str("placed by a pool, and not with this worker"),
            Self::Barred => f.write_str("the contract does not let this worker in (again)"),
            Self::Stake { free, needed } => write!(f, "free stake {free} < {needed} needed (smallest units)"),
            Self::DeviceLimit { free, needed } => {
                write!(f, "the device may lock {free} more < {needed} needed (smallest units)")
            }
            Self::Paused { left_secs } => write!(f, "paused by the owner{}", for_secs(*left_secs)),
            Self::Draining { left_secs } => write!(f, "the owner lets it run dry{}", for_secs(*left_secs)),
            Self::Schedule { opens_in_secs: Some(secs) } => {
                write!(f, "outside the schedule, which opens in {}", duration::show(*secs))
            }
            Self::Schedule { opens_in_secs: None } => f.write_str("outside the schedule"),
            Self::ScheduleEnd { needs_secs, left_secs } => write!(
                f,
                "it may take {}, the schedule closes in {}",
                duration::show(*needs_secs),
                duration::show(*left_secs)
            ),
            Self::Busy { signal, found_percent, limit_percent } => {
                let signal = match signal {
                    BusySignal::CpuPressure => "CPU pressure",
                    BusySignal::MemoryPressure => "memory pressure",
                    BusySignal::IoPressure => "disk pressure",
                    BusySignal::Load => "load of the cores",
                };
                write!(f, "the machine is used: {signal} {found_percent} % > limit {limit_percent} %")
            }
            Self::IdleUnknown => {
                f.write_str("nothing says whether the machine is idle: /proc/pressure and /proc/loadavg cannot be read")
            }
            Self::DiskFree { free_mib, keep_mib } => {
                write!(f, "{free_mib} MiB of disk are free < {keep_mib} MiB to keep free")
            }
            Self::EnergyReserve { needs_mwh, spare_mwh, until, reserve_hours } => write!(
                f,
                "it needs {} Wh until {}, {} Wh can be spared above the reserve of {reserve_hours} h in the dark",
                watt_hours(*needs_mwh),
                i64::try_from(*until).ok().and_then(|at| jiff::Timestamp::from_second(at).ok()).unwrap_or_default(),
                watt_hours(*spare_mwh)
            ),
            Self::EnergyTime { needed_secs, left_secs } => write!(
                f,
                "with what is promised already it needs {needed_secs} s at full power, {left_secs} s are left"
            ),
            Self::EnergyLow { mode, message, charge_mwh, reserve_mwh } => write!(
                f,
                "the battery lets nothing new be taken ({mode}): {message}; {} Wh can be counted on, the reserve is {} Wh",
                watt_hours(*charge_mwh),
                watt_hours(*reserve_mwh)
            ),
            Self::EnergyUnknown { state, message } => write!(f, "no energy can be promised ({state}): {message}"),
            Self::NotPositive { standing } => {
                write!(f, "the work is for positive workers (greenOnly), and this one is not: {standing}")
            }
            Self::JournalRoom => {
                f.write_str("the disk of the data folder is full: what is promised could not be written down")
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// "12.3" of thousandths.
fn watt_hours(mwh: u64) -> String {
    format!("{}.{}", mwh / 1000, mwh % 1000 / 100)
}

fn for_secs(left: Option<u64>) -> String {
    left.map_or_else(String::new, |secs| format!(" for another {}", duration::show(secs)))
}

/// Checks terms and specification against the own limits. Pure; `class_name` is "platform+runtime".
///
/// # Errors
/// The first reason against it.
pub fn check(terms: &ComputeTerms, spec: &ComputeSpec, class_name: &str, limits: &Limits) -> Result<(), Refusal> {
    shape(terms, spec)?;
    if terms.trust_level > MAX_TRUST_LEVEL {
        return Err(Refusal::TrustLevel { asked: terms.trust_level, known: MAX_TRUST_LEVEL });
    }
    let platform = class_name.split('+').next().unwrap_or_default();
    if spec.platform != platform {
        return Err(Refusal::Platform { asked: spec.platform.clone(), class: class_name.to_owned() });
    }
    if let (false, Some(runtime @ Kind::Wasm)) = (spec.hosts.is_empty(), Kind::of_class(class_name)) {
        return Err(Refusal::NetworkRuntime { runtime: runtime.to_string() });
    }
    over(terms.leaf_count, limits.max_leaves, |asked, limit| Refusal::Leaves { asked, limit })?;
    over(spec.milli_cpu, limits.max_milli_cpu, |asked_milli, limit_milli| Refusal::Cpu { asked_milli, limit_milli })?;
    over(spec.memory_mib, limits.max_memory_mib, |asked_mib, limit_mib| Refusal::Memory { asked_mib, limit_mib })?;
    over(spec.disk_mib, limits.max_disk_mib, |asked_mib, limit_mib| Refusal::Disk { asked_mib, limit_mib })?;
    over(spec.output_mib, limits.max_output_mib, |asked_mib, limit_mib| Refusal::Output { asked_mib, limit_mib })?;
    over(spec.max_pids, limits.max_processes, |asked, limit| Refusal::Processes { asked, limit })?;
    over(spec.leaf_secs, limits.max_leaf_secs, |asked_secs, limit_secs| Refusal::LeafTime { asked_secs, limit_secs })?;
    over(spec.leaf_secs, terms.work_secs, |leaf_secs, window_secs| Refusal::WorkWindow { leaf_secs, window_secs })?;
    let asked_bytes = spec.inputs.iter().fold(0_u64, |sum, input| sum.saturating_add(input.size_bytes));
    let limit_bytes = u64::from(limits.max_input_mib) << 20;
    over(asked_bytes, limit_bytes, |asked_bytes, limit_bytes| Refusal::Inputs { asked_bytes, limit_bytes })
}

/// What confidential work must look like before it is decrypted, so that nobody locks stake for what can only be aborted.
fn shape(terms: &ComputeTerms, spec: &ComputeSpec) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::Specification { message });
    let committed = !spec.key_commitment.is_zero();
    if terms.is_confidential() != committed {
        let is = |yes: bool| if yes { "confidential" } else { "public" };
        return refuse(format!("by the terms it is {}, by its key commitment {}", is(!committed), is(committed)));
    }
    if !committed {
        return Ok(());
    }
    let job = spec.inputs.first().filter(|job| job.name == JOB_INPUT_NAME && spec.args.is_empty());
    let Some(job) = job else { return refuse(PrivateJobError::NoJob.to_string()) };
    let longest = segments::sealed_len(MAX_JOB_BYTES as u64);
    if job.size_bytes > longest {
        return refuse(format!("the encrypted job has {} bytes, expected at most {longest}", job.size_bytes));
    }
    for input in &spec.inputs {
        if let Err(error) = segments::plain_len(input.size_bytes) {
            return refuse(format!("input {:?}: {error}", input.name));
        }
    }
    Ok(())
}

fn over<T: PartialOrd>(asked: T, limit: T, refusal: impl FnOnce(T, T) -> Refusal) -> Result<(), Refusal> {
    if asked > limit { Err(refusal(asked, limit)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_protocol::terms::{FLAG_CONFIDENTIAL, Input};
    use sunwork_protocol::testing;

    fn spec() -> ComputeSpec {
        let inputs = vec![Input { name: "a".into(), sha256: B256::ZERO, size_bytes: 5 }];
        ComputeSpec { inputs, ..testing::spec() }
    }

    fn terms() -> ComputeTerms {
        ComputeTerms { leaf_count: 4, ..testing::terms() }
    }

    #[test]
    fn each_limit_has_its_reason_with_both_numbers() {
        let limits = Limits::default();
        let class = "linux/amd64+docker";
        assert_eq!(check(&terms(), &spec(), class, &limits), Ok(()));
        let with = |change: &dyn Fn(&mut ComputeTerms, &mut ComputeSpec, &mut Limits)| {
            let (mut terms, mut spec, mut limits) = (terms(), spec(), Limits::default());
            change(&mut terms, &mut spec, &mut limits);
            check(&terms, &spec, class, &limits).unwrap_err()
        };
        assert_eq!(with(&|t, _, _| t.trust_level = 2), Refusal::TrustLevel { asked: 2, known: 1 });
        assert_eq!(with(&|_, _, l| l.max_memory_mib = 63), Refusal::Memory { asked_mib: 64, limit_mib: 63 });
        assert_eq!(with(&|t, _, _| t.work_secs = 59), Refusal::WorkWindow { leaf_secs: 60, window_secs: 59 });
        assert!(matches!(with(&|_, s, _| s.platform = "linux/arm64".into()), Refusal::Platform { .. }));
        assert!(matches!(with(&|_, s, _| s.inputs[0].size_bytes = u64::MAX), Refusal::Inputs { .. }));
        assert!(matches!(with(&|_, _, l| l.max_milli_cpu = 999), Refusal::Cpu { .. }));
        assert!(matches!(with(&|_, _, l| l.max_disk_mib = 15), Refusal::Disk { .. }));
        assert!(matches!(with(&|_, _, l| l.max_output_mib = 7), Refusal::Output { .. }));
        assert!(matches!(with(&|_, _, l| l.max_processes = 31), Refusal::Processes { .. }));
        assert!(matches!(with(&|_, _, l| l.max_leaf_secs = 59), Refusal::LeafTime { .. }));
        assert!(matches!(with(&|_, _, l| l.max_leaves = 3), Refusal::Leaves { .. }));
        let mut outward = spec();
        (outward.hosts, outward.network_mib) = (vec!["a.example:443".parse().unwrap()], 1);
        assert_eq!(check(&terms(), &outward, class, &limits), Ok(()), "the owner's list is asked apart");
        outward.platform = "wasi/wasm".into();
        let refusal = check(&terms(), &outward, "wasi/wasm+wasmtime", &limits).unwrap_err();
        assert_eq!(refusal, Refusal::NetworkRuntime { runtime: "wasm".into() });
        let text = with(&|_, _, l| l.max_memory_mib = 63).to_string();
        assert_eq!(text, "memory 64 MiB > limit 63 MiB");
    }

    #[test]
    fn what_keeps_a_worker_from_green_work_has_a_reason_each_and_can_change() {
        let reason = |standing| Refusal::NotPositive { standing };
        let deficit = reason(NotPositive::Deficit { net_wh: -42 });
        assert_eq!(deficit.measure(), Some(Measure { found: -42, limit: 0, unit: "Wh", bound: Bound::AtLeast }));
        assert_eq!(
            deficit.to_string(),
            "the work is for positive workers (greenOnly), and this one is not: its attested net energy is -42 Wh < 0 Wh"
        );
        let old = reason(NotPositive::Old { age_days: 9, fresh_days: 3 });
        assert_eq!(old.measure(), Some(Measure { found: 9, limit: 3, unit: "days", bound: Bound::AtMost }));
        let few = reason(NotPositive::FewDays { days: 3, min_days: 20 });
        let reasons =
            [&deficit, &old, &few, &reason(NotPositive::NoMeter), &reason(NotPositive::Struck)].map(Refusal::reason);
        let expected =
            [Reason::GreenDeficit, Reason::GreenRecordsOld, Reason::GreenDays, Reason::GreenMeter, Reason::GreenMeter];
        assert_eq!(reasons, expected);
        assert!(!deficit.is_lasting() && !reason(NotPositive::NoMeter).is_lasting(), "tomorrow's record may change it");
        let json = serde_json::to_string(&deficit).unwrap();
        assert_eq!(serde_json::from_str::<Refusal>(&json).unwrap(), deficit);
    }

    #[test]
    fn confidential_work_that_cannot_be_decrypted_is_refused_before_stake_is_locked() {
        let sealed = |name: &str, size_bytes| Input { name: name.into(), sha256: B256::ZERO, size_bytes };
        let good = ComputeSpec {
            key_commitment: B256::repeat_byte(1),
            inputs: vec![sealed("job", 1040), sealed("1", 16)],
            ..spec()
        };
        let hidden = ComputeTerms { flags: FLAG_CONFIDENTIAL, ..terms() };
        let refused = |terms: &ComputeTerms, spec: &ComputeSpec| {
            let refusal = check(terms, spec, "linux/amd64+docker", &Limits::default()).unwrap_err();
            assert!(matches!(refusal, Refusal::Specification { .. }));
            refusal.to_string()
        };
        assert_eq!(check(&hidden, &good, "linux/amd64+docker", &Limits::default()), Ok(()));
        assert!(refused(&hidden, &spec()).contains("by the terms it is confidential, by its key commitment public"));
        assert!(refused(&terms(), &good).contains("by the terms it is public, by its key commitment confidential"));
        let with = |inputs| ComputeSpec { inputs, ..good.clone() };
        assert!(refused(&hidden, &with(vec![sealed("1", 16)])).contains("an input named \"job\" first"));
        assert!(refused(&hidden, &with(vec![])).contains("an input named \"job\" first"));
        assert!(refused(&hidden, &ComputeSpec { args: vec!["-x".into()], ..good.clone() }).contains("no arguments"));
        assert!(refused(&hidden, &with(vec![sealed("job", 1 << 20)])).contains("at most 262208"));
        assert!(refused(&hidden, &with(vec![sealed("job", 1040), sealed("1", 15)])).contains("input \"1\""));
    }
}
