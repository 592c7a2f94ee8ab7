//! Run when idle: by the kernel's pressure-stall information, which needs no screen and no keyboard, or by the load average.
//!
//! ```text
//!            reading > limit
//!   Calm ──────────────────────▶ Busy
//!    ▲                            │ reading <= half of the limit, for `dwell_secs` without a break
//!    └────────────────────────────┘
//! ```
use crate::refusal::{BusySignal, Refusal};

/// The rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleRule {
    /// Above this the machine counts as used, percent.
    pub max_percent: u32,
    /// How long it must be calm before work is taken again, seconds.
    pub dwell_secs: u64,
}

/// The highest of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it is of.
    pub signal: BusySignal,
    /// Percent, rounded up.
    pub percent: u32,
}

/// Where the rule stands. Begins calm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleGate {
    /// What made it busy, and since when it has been calm again (Unix seconds).
    busy: Option<(Reading, Option<u64>)>,
}

impl IdleGate {
    /// Takes a reading at `now` (Unix seconds) and says why no work is taken, if so.
    pub fn update(&mut self, rule: &IdleRule, reading: Option<Reading>, now: u64) -> Option<Refusal> {
        // The owner lends an idle machine only: where nobody can tell, nothing is taken, and `status` says why.
        let Some(reading) = reading else { return Some(Refusal::IdleUnknown) };
        if reading.percent > rule.max_percent {
            self.busy = Some((reading, None));
        } else if let Some((_, calm_since)) = &mut self.busy {
            if reading.percent > rule.max_percent / 2 {
                *calm_since = None;
            } else {
                let since = *calm_since.get_or_insert(now);
                // A clock that was set back begins anew.
                if now < since {
                    *calm_since = Some(now);
                } else if now - since >= rule.dwell_secs {
                    self.busy = None;
                }
            }
        }
        self.busy.map(|(cause, _)| Refusal::Busy {
            signal: cause.signal,
            found_percent: cause.percent,
            limit_percent: rule.max_percent,
        })
    }
}

/// Share of the last ten seconds from a file of /proc/pressure, percent rounded up: `some avg10=1.23 …`.
pub fn pressure_percent(text: &str) -> Option<u32> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let avg10 = line.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?;
    percent_up(avg10)
}

/// Load average of a minute from /proc/loadavg, less the cores that our own leaves use, in percent of all cores.
pub fn load_percent(text: &str, own_milli_cpu: u64, cores: u32) -> Option<u32> {
    let (whole, fraction) = text.split_whitespace().next()?.split_once('.')?;
    let fraction: u64 = fraction.get(..2)?.parse().ok()?;
    let hundredths = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(fraction)?;
    let foreign = hundredths.saturating_sub(own_milli_cpu / 10);
    u32::try_from(foreign.div_ceil(u64::from(cores.max(1)))).ok()
}

fn percent_up(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: u32 = whole.parse().ok()?;
    let more = fraction.bytes().any(|digit| digit != b'0');
    whole.checked_add(u32::from(more))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: IdleRule = IdleRule { max_percent: 20, dwell_secs: 60 };

    fn cpu(percent: u32) -> Option<Reading> {
        Some(Reading { signal: BusySignal::CpuPressure, percent })
    }

    #[test]
    fn a_wobbling_value_does_not_flap() {
        let mut gate = IdleGate::default();
        assert_eq!(gate.update(&RULE, cpu(20), 0), None, "at the limit is not above it");
        let busy = Some(Refusal::Busy { signal: BusySignal::CpuPressure, found_percent: 21, limit_percent: 20 });
        assert_eq!(gate.update(&RULE, cpu(21), 1), busy);
        // Between half and the whole limit it stays as it is, and calm must last.
        assert_eq!(gate.update(&RULE, cpu(11), 100), busy);
        assert_eq!(gate.update(&RULE, cpu(10), 200), busy);
        assert_eq!(gate.update(&RULE, cpu(10), 259), busy);
        assert_eq!(gate.update(&RULE, cpu(15), 259), busy, "a break begins the wait anew");
        assert_eq!(gate.update(&RULE, cpu(0), 300), busy);
        assert_eq!(gate.update(&RULE, cpu(0), 250), busy, "a clock that was set back begins the wait anew");
        assert_eq!(gate.update(&RULE, cpu(0), 309), busy);
        assert_eq!(gate.update(&RULE, cpu(0), 310), None);
    }

    #[test]
    fn where_nothing_can_be_read_nothing_is_taken() {
        let mut gate = IdleGate::default();
        assert_eq!(gate.update(&RULE, None, 0), Some(Refusal::IdleUnknown));
        assert_eq!(gate.update(&RULE, cpu(0), 1), None);
    }

    #[test]
    fn the_kernels_files_are_read_and_others_are_not() {
        let text =
            "some avg10=1.23 avg60=0.50 avg300=0.12 total=12345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";
        assert_eq!(pressure_percent(text), Some(2));
        assert_eq!(pressure_percent("some avg10=0.00 avg60=0.50"), Some(0));
        for bad in ["", "full avg10=1.00", "some avg60=1.00", "some avg10=x"] {
            assert_eq!(pressure_percent(bad), None, "{bad}");
        }
        assert_eq!(load_percent("3.00 2.00 1.00 1/2 3", 0, 4), Some(75));
        assert_eq!(load_percent("3.00 2.00 1.00 1/2 3", 3000, 4), Some(0), "our own leaves do not count");
        assert_eq!(load_percent("3.05 2.00", 3000, 4), Some(2));
        assert_eq!(load_percent("x", 0, 4), None);
    }
}
