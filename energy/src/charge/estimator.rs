//! The estimator itself.
use serde::{Deserialize, Serialize};

use super::{Anchor, AnchorDetector, Battery, Chemistry, Learned};
use crate::sensors::ChargerPhase;
use crate::units::{MicroAmps, MilliVolts, MilliWattHours, MilliWatts, MonoMillis};

/// The bound is this many standard deviations: 99.7 % of a normal distribution, and more than asked for (99 %).
const SIGMAS: f64 = 3.0;
/// Longer than this without a sample is a gap.
const MAX_GAP: MonoMillis = MonoMillis(900_000);
/// In a gap the battery may have been charged or discharged with up to this part of its capacity an hour.
const GAP_RATE_PER_HOUR: f64 = 0.1;

/// Parts of an uncounted sleep's use, and of an uncounted harvest, that are doubted.
const SLEEP_DOUBT: f64 = 0.2;
const CREDIT_DOUBT: f64 = 0.2;
/// Voltage of a 12.8 V battery of lithium iron phosphate at a light load, and the charge that is there at the least: its plateau is flat,
/// but it is not there when the battery is nearly empty. Low by a tenth of the charge against published discharge curves.
const PLATEAU: [(f64, f64); 3] = [(13.10, 0.25), (12.90, 0.12), (12.80, 0.08)];
/// Light load: parts of the capacity an hour.
const LIGHT: f64 = 0.05;

/// One reading at the battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: MonoMillis,
    /// Voltage.
    pub volts: MilliVolts,
    /// Current; positive = charging.
    pub current: MicroAmps,
    /// What the charger says, where there is one that talks.
    pub charger: Option<ChargerPhase>,
}

/// How far the figure may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargeState {
    /// Never full since the history began, or the history was lost: nothing is promised.
    Unknown,
    /// Counted from an anchor.
    Counted,
    /// The bound has grown beyond a tenth: the battery should be charged to full.
    NeedsFull,
}

impl ChargeState {
    /// What the owner is told.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unknown => {
                "charge is unknown until the battery was full or nearly empty once; no work is planned on it"
            }
            Self::Counted => "charge is counted from the last time the battery was full",
            Self::NeedsFull => "charge is uncertain: the battery was not full for long; it will be when the sun allows",
        }
    }
}

/// State of charge with its bound, per mille of the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Best figure.
    pub permille: i64,
    /// The true one is not further off than this, 99 times of 100.
    pub bound_permille: i64,
    /// What the plan may count on: figure less bound, or what the plateau's voltage says is there at the least; in energy.
    pub usable: MilliWattHours,
    /// How far to trust it.
    pub state: ChargeState,
}

/// Counts charge. To be saved with `serde` and restored after a restart; a restart counts as a gap.
///
/// ```text
///            anchor                     anchor (learns if full to full)
///   Unknown ───────► Counted ◄──────────────────────────────┐
///                      │  bound > 10 % ──► NeedsFull ────────┘
///                      └─ no sample for 15 min: the bound grows by what may have flowed
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    battery: Battery,
    learned: Learned,
    detector: AnchorDetector,
    last: Option<MonoMillis>,
    /// Deficit at the last anchor, Ah, and its variance; `None` = unknown.
    base: Option<(f64, f64)>,
    from_full: bool,
    charged: f64,
    discharged: f64,
    days: f64,
    /// Ah that may have flowed unseen.
    unseen: f64,
    /// Whether the last sample was at a full anchor.
    full: bool,
    /// Ah that are there at the least, as the plateau's voltage says; see [`Charge::plateau`].
    floor: Option<f64>,
    /// From the beginning of the last full spell on: what efficiency is learned over. `None` after a gap.
    window: Option<Window>,
}

/// Counts between the beginnings of two full spells. The same moment of both is compared (tail current just small enough), because
/// a battery that floated for hours is fuller than one that just got there, and that difference would be learned as a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    charged: f64,
    discharged: f64,
    days: f64,
    deficit: f64,
}

impl Charge {
    /// A battery of which nothing is known yet.
    #[must_use]
    pub fn new(battery: Battery) -> Self {
        Self {
            battery,
            learned: Learned::prior(&battery),
            detector: AnchorDetector::default(),
            last: None,
            base: None,
            from_full: false,
            charged: 0.0,
            discharged: 0.0,
            days: 0.0,
            unseen: 0.0,
            full: false,
            floor: None,
            window: None,
        }
    }

    /// The battery as it was described.
    #[must_use]
    pub const fn battery(&self) -> &Battery {
        &self.battery
    }

    /// What was learned so far.
    #[must_use]
    pub const fn learned(&self) -> &Learned {
        &self.learned
    }

    /// Days since the last anchor; `None` while unknown.
    #[must_use]
    pub fn days_since_anchor(&self) -> Option<f64> {
        self.base.map(|_| self.days)
    }

    /// After a restart: the monotonic clock began anew; `down` is how long nothing was counted, as far as known.
    pub fn restarted(&mut self, down: Option<MonoMillis>) {
        self.last = None;
        match down {
            Some(down) => self.gap(down.0 as f64 / 3.6e6),
            None => self.base = None,
        }
    }

    /// What somebody else knows of the charge (a battery's own monitor): held until the next anchor or the next word.
    pub fn told(&mut self, permille: i64, sigma_permille: i64) {
        let capacity = self.learned.capacity;
        let of_one = |permille: i64| permille.clamp(0, 1000) as f64 / 1000.0;
        self.base = Some(((1.0 - of_one(permille)) * capacity, (of_one(sigma_permille) * capacity).powi(2)));
        (self.from_full, self.window) = (false, None);
        (self.charged, self.discharged, self.days, self.unseen) = (0.0, 0.0, 0.0, 0.0);
    }

    /// A planned sleep has passed uncounted. What the board drew is known; what the sun gave is not, and not counted: until the next
    /// anchor the figure is a lower one.
    pub fn slept(&mut self, seconds: i64, load: MilliWatts) {
        let hours = seconds.max(0) as f64 / 3600.0;
        let drawn = load.0.max(0) as f64 / self.battery.nominal.0.max(1) as f64 * hours;
        self.discharged += drawn;
        self.unseen += SLEEP_DOUBT * drawn;
        self.floor = self.floor.map(|floor| floor - (1.0 + SLEEP_DOUBT) * drawn);
        self.days += hours / 24.0;
        self.learned.age(hours / 24.0);
        (self.last, self.window, self.detector) = (None, None, AnchorDetector::default());
        self.not_below_empty();
    }

    /// Energy that went into the battery uncounted, as far as can be told; a part of it is doubted.
    pub fn credit(&mut self, into: MilliWattHours) {
        let amp_hours = into.0.max(0) as f64 / self.battery.nominal.0.max(1) as f64;
        self.charged += amp_hours;
        self.unseen += CREDIT_DOUBT * amp_hours;
    }

    /// Takes a reading.
    pub fn take(&mut self, sample: &Sample) {
        let Some(last) = self.last.replace(sample.at) else { return };
        let elapsed = sample.at - last;
        if elapsed.0 <= 0 {
            return;
        }
        let hours = elapsed.0 as f64 / 3.6e6;
        if elapsed > MAX_GAP {
            self.gap(hours);
            return;
        }
        let amp_hours = sample.current.0 as f64 / 1e6 * hours;
        if amp_hours > 0.0 {
            self.charged += amp_hours;
        } else {
            self.discharged -= amp_hours;
        }
        self.plateau(sample, amp_hours);
        self.days += hours / 24.0;
        if let Some(window) = &mut self.window {
            window.charged += amp_hours.max(0.0);
            window.discharged -= amp_hours.min(0.0);
            window.days += hours / 24.0;
        }
        self.learned.age(hours / 24.0);
        self.not_below_empty();
        let anchor = self.detector.take(&self.battery, sample, hours * 3600.0);
        if let Some(anchor) = anchor {
            self.anchor(anchor);
        }
        self.full = matches!(anchor, Some(Anchor::Full { .. }));
    }

    /// A lower end of the charge that needs no counting: without it a long time without an anchor would end in a bound that lets nothing
    /// be done, not even wait for the sun.
    fn plateau(&mut self, sample: &Sample, amp_hours: f64) {
        let kept =
            self.floor.map_or(0.0, |floor| (floor + amp_hours * if amp_hours > 0.0 { 0.95 } else { 1.02 }).max(0.0));
        let rate = sample.current.0 as f64 / 1e6 / self.learned.capacity.max(1e-6);
        let seen = if self.battery.chemistry == Chemistry::LiFePo4 && (-LIGHT..=0.0).contains(&rate) {
            let cell = sample.volts.0 as f64 / 1000.0 * 12.8 / (self.battery.nominal.0.max(1) as f64 / 1000.0);
            PLATEAU.iter().find(|(volts, _)| cell >= *volts).map_or(0.0, |(_, part)| part * self.learned.capacity)
        } else {
            0.0
        };
        self.floor = Some(kept.max(seen));
    }

    /// Nothing is taken out of an empty battery: what is counted beyond is error, and would be carried on to the next full anchor.
    fn not_below_empty(&mut self) {
        if let Some((deficit, _)) = self.deficit()
            && deficit > self.learned.capacity
        {
            self.discharged -= deficit - self.learned.capacity;
            self.from_full = false;
        }
    }

    fn gap(&mut self, hours: f64) {
        self.days += hours / 24.0;
        self.learned.age(hours / 24.0);
        self.unseen += hours * GAP_RATE_PER_HOUR * self.learned.capacity;
        self.detector = AnchorDetector::default();
        (self.window, self.floor) = (None, None);
    }

    /// Deficit from full in Ah, and its variance without what went unseen.
    fn deficit(&self) -> Option<(f64, f64)> {
        let (base, variance) = self.base?;
        let deficit = base + self.discharged - self.learned.efficiency * self.charged + self.learned.leak * self.days;
        let scale = deficit * self.learned.capacity_sigma();
        Some((deficit, variance + self.learned.drift_variance(self.charged, self.days) + scale * scale))
    }

    fn anchor(&mut self, anchor: Anchor) {
        let (soc, sigma) = anchor.charge();
        let counted = self.deficit();
        match (anchor, counted, self.base) {
            (Anchor::Full { .. }, ..) if !self.full => self.learn_window((1.0 - soc) * self.learned.capacity, sigma),
            (Anchor::Low, Some((counted, _)), Some((_, base_variance))) if self.from_full && self.unseen == 0.0 => {
                let fitting = counted / (1.0 - soc);
                let drift = base_variance + self.learned.drift_variance(self.charged, self.days);
                let variance = drift / (1.0 - soc).powi(2) + (fitting * sigma / (1.0 - soc)).powi(2);
                self.learned.low_anchor(fitting, variance);
            }
            _ => {}
        }
        let capacity = self.learned.capacity;
        self.base = Some(((1.0 - soc) * capacity, (sigma * capacity).powi(2)));
        self.from_full = anchor != Anchor::Low;
        (self.charged, self.discharged, self.days, self.unseen) = (0.0, 0.0, 0.0, 0.0);
    }

    /// At the beginning of a full spell: learns from the last such moment to this one. A window of little throughput goes on.
    fn learn_window(&mut self, deficit: f64, sigma: f64) {
        if let Some(window) = self.window {
            if window.charged < 0.1 * self.learned.capacity {
                return;
            }
            let lost = self.learned.efficiency * window.charged - self.learned.leak * window.days;
            let counted = window.deficit + window.discharged - lost;
            let noise = 2.0 * (sigma * self.learned.capacity).powi(2);
            self.learned.full_to_full(window.charged, window.days, deficit - counted, noise);
        }
        self.window = Some(Window { deficit, ..Window::default() });
    }

    /// The figure now.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        let unknown =
            Estimate { permille: 500, bound_permille: 1000, usable: MilliWattHours(0), state: ChargeState::Unknown };
        let Some((deficit, variance)) = self.deficit() else { return unknown };
        let capacity = self.learned.capacity;
        let charge = (1.0 - deficit / capacity).clamp(0.0, 1.0);
        let bound = ((SIGMAS * variance.sqrt() + self.unseen) / capacity).min(1.0);
        let floor = self.floor.unwrap_or(0.0).min(charge * capacity);
        let usable = ((charge - bound).max(0.0) * capacity).max(floor) * self.battery.nominal.0 as f64;
        let state = if bound > 0.1 { ChargeState::NeedsFull } else { ChargeState::Counted };
        Estimate {
            permille: (charge * 1000.0).round() as i64,
            bound_permille: (bound * 1000.0).ceil() as i64,
            usable: MilliWattHours(usable as i64),
            state,
        }
    }
}
