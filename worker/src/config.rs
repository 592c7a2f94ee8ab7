//! Settings: TOML file, over it the environment (`SUNWORK_WORKER_*`), over it the flags.
use crate::runtime::Kind;

mod error;
mod layer;
mod limits;
mod settle;
mod sources;

pub use error::ConfigError;
pub use layer::Layer;
pub use limits::Limits;
pub use settle::Settled;
pub use sources::{ConfigFile, Loaded, Origin, Setting, default_path, keys};

/// Name of the class of WebAssembly modules: one for all machines.
pub const WASM_CLASS: &str = "wasi/wasm+wasmtime";

/// The class of this machine for a runtime.
pub const fn own_class(runtime: Kind) -> &'static str {
    match runtime {
        Kind::Wasm => WASM_CLASS,
        Kind::Docker if cfg!(target_arch = "aarch64") => "linux/arm64+docker",
        Kind::Docker => "linux/amd64+docker",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        amount::Unit,
        policy::{
            hardware::{Caps, Hardware},
            idle::IdleRule,
        },
    };

    fn sun() -> Unit {
        Unit { symbol: "SUN".into(), decimals: 9 }
    }

    const MACHINE: Hardware = Hardware { threads: 4, memory_mib: 10_000, free_disk_mib: 20_000 };

    #[test]
    fn the_upper_layer_wins_and_what_is_missing_is_named() {
        let below = Layer { max_memory_mib: Some(100), poll_ms: Some(7), ..Layer::default() };
        let flags = Layer { max_memory_mib: Some(200), ..Layer::default() };
        let merged = flags.over(below);
        assert_eq!(merged.max_memory_mib, Some(200));
        assert!(merged.poll_ms().unwrap_err().to_string().contains("20 to 60000"));
        let missing = merged.deployment().unwrap_err().to_string();
        assert!(missing.contains("--deployment") && missing.contains("SUNWORK_WORKER_DEPLOYMENT"), "{missing}");
    }

    #[test]
    fn defaults_leave_something_to_the_owner() {
        let settled = Layer::default().settle(&sun(), &MACHINE).unwrap();
        assert_eq!(settled.caps, Caps { milli_cpu: 3000, memory_mib: 7000, disk_mib: 16_000 });
        assert_eq!((settled.limits.max_milli_cpu, settled.limits.parallel_leaves), (3000, 3));
        assert_eq!((settled.policy.kinds, settled.policy.idle, settled.policy.schedule), (vec![0], None, None));
    }

    #[test]
    fn amounts_schedules_and_kinds_are_read_or_named() {
        let layer = Layer {
            cores: Some("1.5".into()),
            min_reward: Some("0.5 SUN".into()),
            tokens_per_ether: Some("1000".into()),
            gas_price_limit_gwei: Some("0.1".into()),
            schedule: Some(vec!["mon 10:00-11:00".into()]),
            run_when_idle: Some(true),
            ..Layer::default()
        };
        let settled = layer.settle(&sun(), &MACHINE).unwrap();
        assert_eq!((settled.caps.milli_cpu, settled.limits.parallel_leaves), (1500, 2));
        assert_eq!(settled.limits.min_reward, 500_000_000);
        assert_eq!(settled.policy.prices.tokens_per_ether, Some(1_000_000_000_000));
        assert_eq!(settled.policy.prices.gas_price_limit_wei, Some(100_000_000));
        assert_eq!(settled.policy.idle, Some(IdleRule { max_percent: 25, dwell_secs: 60 }));
        let wrong = |change: &dyn Fn(&mut Layer)| {
            let mut layer = Layer::default();
            change(&mut layer);
            layer.settle(&sun(), &MACHINE).unwrap_err().to_string()
        };
        assert!(wrong(&|l| l.cores = Some("0".into())).contains("0.1 to 1024"));
        assert!(wrong(&|l| l.min_reward = Some("much".into())).contains("min_reward"));
        assert!(wrong(&|l| l.kinds = Some(vec!["storage".into()])).contains("knows the kind compute"));
        assert!(wrong(&|l| l.image_deny = Some(vec!["a:b/c:d".into()])).contains("image_deny"));
        assert!(wrong(&|l| l.network_hosts = Some(vec!["10.0.0.1:80".into()])).contains("network_hosts"));
        assert!(wrong(&|l| l.cleanup_at_disk_percent = Some(0)).contains("1 to 100"));
        assert!(wrong(&|l| l.schedule = Some(vec!["always".into()])).contains("mon-fri 18:00-08:00"));
        assert!(wrong(&|l| l.idle_max_pressure_percent = Some(0)).contains("1 to 100"));
        assert!(wrong(&|l| l.metrics_listen = Some(([0, 0, 0, 0], 1).into())).contains("loopback"));
        for kind in [Kind::Docker, Kind::Wasm] {
            assert_eq!(Kind::of_class(own_class(kind)), Some(kind));
        }
    }
}
