//! From settings to what the daemon uses: ranges, amounts, lists, and defaults from the hardware.
use sunwork_edge::tx::FeePolicy;

use super::{
    ConfigError, Layer, Limits,
    error::{in_range, value},
};
use crate::{
    amount::Unit,
    policy::{
        Policy,
        hardware::{Caps, Hardware},
        hosts::HostRules,
        idle::IdleRule,
        images::ImageRules,
        price::Prices,
        schedule::Schedule,
    },
    runtime::{docker::MAX_KEPT_IMAGES, room::Quota, wasm::MAX_MODULES},
};

/// Settings as the daemon uses them; all of it can be changed while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Limits of one leaf and one agreement.
    pub limits: Limits,
    /// The owner's rules.
    pub policy: Policy,
    /// What leaves may use together.
    pub caps: Caps,
}

/// Of the settings that say how often something is asked, milliseconds.
const POLL_RANGE_MS: std::ops::RangeInclusive<u64> = 20..=60_000;

impl Layer {
    /// How often the chain is asked, milliseconds.
    ///
    /// # Errors
    /// When it is out of its range.
    pub fn poll_ms(&self) -> Result<u64, ConfigError> {
        let poll_ms = self.poll_ms.unwrap_or(500);
        in_range("poll_ms", poll_ms, POLL_RANGE_MS, "20 to 60000")?;
        Ok(poll_ms)
    }

    /// The same while nothing is under way; never more often than otherwise.
    ///
    /// # Errors
    /// When either is out of its range.
    pub fn idle_poll_ms(&self) -> Result<u64, ConfigError> {
        let idle_poll_ms = self.idle_poll_ms.unwrap_or(5000);
        in_range("idle_poll_ms", idle_poll_ms, POLL_RANGE_MS, "20 to 60000")?;
        Ok(idle_poll_ms.max(self.poll_ms()?))
    }

    /// What is kept of images and of modules.
    ///
    /// # Errors
    /// When the mark is out of its range.
    pub fn quotas(&self) -> Result<(Quota, Quota), ConfigError> {
        let percent = self.cleanup_at_disk_percent.unwrap_or(90);
        in_range("cleanup_at_disk_percent", u64::from(percent), 1..=100, "1 to 100")?;
        let images = Quota::new(self.image_quota_mib.unwrap_or(10_240), MAX_KEPT_IMAGES, percent);
        Ok((images, Quota::new(self.cache_quota_mib.unwrap_or(1024), MAX_MODULES, percent)))
    }

    /// What the worker's transactions may cost.
    ///
    /// # Errors
    /// When the cap is no amount of gwei.
    pub fn fees(&self) -> Result<FeePolicy, ConfigError> {
        let default = FeePolicy::default();
        let Some(text) = &self.max_fee_gwei else { return Ok(default) };
        let gwei = Unit::gwei();
        let max_fee_per_gas_wei = gwei.parse(text).map_err(|error| value("max_fee_gwei", text, error))?;
        Ok(FeePolicy { max_fee_per_gas_wei, ..default })
    }

    /// Limits, rules and caps, with amounts in this token.
    ///
    /// # Errors
    /// The first value that is out of its range or cannot be read.
    pub fn settle(&self, unit: &Unit, hardware: &Hardware) -> Result<Settled, ConfigError> {
        let safe = hardware.caps();
        let caps = Caps {
            milli_cpu: self.cores.as_deref().map_or(Ok(safe.milli_cpu), milli_cpus)?,
            memory_mib: self.memory_mib.unwrap_or(safe.memory_mib),
            disk_mib: self.disk_mib.unwrap_or(safe.disk_mib),
        };
        let amount = |key: &'static str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => unit.parse(text).map(Some).map_err(|error| value(key, text, error)),
        };
        let default = Limits::of(&caps);
        let limits = Limits {
            max_milli_cpu: self.max_milli_cpu.unwrap_or(default.max_milli_cpu),
            max_memory_mib: self.max_memory_mib.unwrap_or(default.max_memory_mib),
            max_disk_mib: self.max_disk_mib.unwrap_or(default.max_disk_mib),
            max_output_mib: self.max_output_mib.unwrap_or(default.max_output_mib),
            max_processes: self.max_processes.unwrap_or(default.max_processes),
            max_leaf_secs: self.max_leaf_secs.unwrap_or(default.max_leaf_secs),
            max_leaves: self.max_leaves.unwrap_or(default.max_leaves),
            max_input_mib: self.max_input_mib.unwrap_or(default.max_input_mib),
            parallel_leaves: self.parallel_leaves.unwrap_or(default.parallel_leaves),
            merge_claims: self.merge_claims.unwrap_or(default.merge_claims),
            min_reward: amount("min_reward", &self.min_reward)?.unwrap_or(0),
        };
        in_range("parallel_leaves", u64::from(limits.parallel_leaves), 1..=1024, "1 to 1024")?;
        let max_percent = self.idle_max_pressure_percent.unwrap_or(25);
        in_range("idle_max_pressure_percent", u64::from(max_percent), 1..=100, "1 to 100")?;
        let dwell_secs = self.idle_dwell_secs.unwrap_or(60);
        in_range("idle_dwell_secs", dwell_secs, 0..=86_400, "0 to 86400")?;
        let gwei = Unit::gwei();
        let gas_price_limit_wei = match &self.gas_price_limit_gwei {
            None => None,
            Some(text) => {
                let wei = gwei.parse(text).map_err(|error| value("gas_price_limit_gwei", text, error))?;
                Some(u64::try_from(wei).unwrap_or(u64::MAX))
            }
        };
        self.quotas()?;
        let (allow, deny) = (self.image_allow.as_deref(), self.image_deny.as_deref());
        let images = ImageRules::parse(allow.unwrap_or_default(), deny.unwrap_or_default())
            .map_err(|(key, rule, problem)| value(key, &rule, problem))?;
        let hosts = HostRules::parse(self.network_hosts.as_deref().unwrap_or_default())
            .map_err(|(rule, problem)| value("network_hosts", &rule, problem))?;
        let schedule = self.schedule.clone().unwrap_or_default();
        let policy = Policy {
            schedule: Schedule::parse(&schedule).map_err(|error| value("schedule", &schedule.join("; "), error))?,
            finish_in_schedule: self.finish_in_schedule.unwrap_or(false),
            idle: self.run_when_idle.unwrap_or(false).then_some(IdleRule { max_percent, dwell_secs }),
            keep_free_disk_mib: self.keep_free_disk_mib.unwrap_or(512),
            daily_transfer_mib: self.daily_transfer_mib,
            prices: Prices {
                min_reward: limits.min_reward,
                per_core_hour: amount("price_per_core_hour", &self.price_per_core_hour)?.unwrap_or(0),
                per_gib_hour: amount("price_per_gib_hour", &self.price_per_gib_hour)?.unwrap_or(0),
                tokens_per_ether: amount("tokens_per_ether", &self.tokens_per_ether)?,
                gas_price_limit_wei,
            },
            runtimes: self.runtimes.clone().unwrap_or_default(),
            kinds: self.kinds()?,
            images,
            hosts,
            parallel_leaves: limits.parallel_leaves,
        };
        // Used by the energy's own task; here its mistakes are found like all others.
        self.energy.settle()?;
        if let Some(listen) = self.metrics_listen
            && !listen.ip().is_loopback()
        {
            let problem =
                "expected a loopback address such as 127.0.0.1:9464; let a proxy with a password face the network";
            return Err(value("metrics_listen", &listen.to_string(), problem));
        }
        Ok(Settled { limits, policy, caps })
    }

    fn kinds(&self) -> Result<Vec<u8>, ConfigError> {
        let Some(names) = &self.kinds else { return Ok(vec![0]) };
        let id = |name: &String| match name.trim() {
            "compute" => Ok(0),
            other => Err(value("kinds", other, "this version knows the kind compute")),
        };
        names.iter().map(id).collect()
    }
}

/// "1", "0.5" or "2.25" cores as thousandths.
fn milli_cpus(text: &str) -> Result<u32, ConfigError> {
    let cores = Unit { symbol: "cores".into(), decimals: 3 };
    let milli = cores.parse(text).map_err(|error| value("cores", text, error))?;
    match u32::try_from(milli) {
        Ok(milli) if (100..=1_024_000).contains(&milli) => Ok(milli),
        _ => Err(value("cores", text, "expected 0.1 to 1024")),
    }
}
