//! The keeper in words and figures.
use super::{
    Keeper, Mode, Outcome, State, ahead,
    memory::{offset_seconds, sun_day},
    mode::{Promise, commitments},
    state::{BatteryState, Consumption, ForecastView, Harvest, SCHEMA, Slot, TroubleRow},
};
use crate::{
    forecast::SLOT_SECONDS,
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

/// Half hours ahead that are shown: a day and a half.
const SLOTS_SHOWN: i64 = 72;

impl Keeper {
    /// Everything that the owner is told, after a look.
    #[must_use]
    pub fn state(&self, outcome: &Outcome, promises: &[Promise], simulated: bool) -> State {
        let now = self.last.and_then(|last| last.unix);
        let estimate = self.memory.charge.estimate();
        let plan = match (now, outcome.mode) {
            (Some(now), _) => {
                ahead::plan(&self.planner, &self.forecaster, now, estimate.usable, &commitments(promises))
            }
            (None, _) => Vec::new(),
        };
        let battery = self.last_taken.battery.map(|sample| {
            MilliWatts(
                i64::try_from(i128::from(sample.volts.0) * i128::from(sample.current.0) / 1_000_000).unwrap_or(0),
            )
        });
        let of_day = |day: i64, of: (i64, MilliWattHours, MilliWattHours)| {
            if of.0 == day { (of.1, of.2) } else { (MilliWattHours(0), MilliWattHours(0)) }
        };
        let day = now.map_or(self.memory.today.0, |now| sun_day(self.plant.site, now));
        let mut today = of_day(day, self.memory.today);
        // The quarter hour that is open belongs to it.
        if let Some(open) = &self.open {
            today = (today.0 + self.made.total() - open.made, today.1 + self.used.total() - open.used);
        }
        let before = if self.memory.today.0 == day { self.memory.yesterday } else { self.memory.today };
        let yesterday = of_day(day - 1, before);
        let gate = self.gate.as_ref();
        let promised = promises.iter().map(|promise| promise.energy).sum();
        State {
            schema: SCHEMA.into(),
            now,
            simulated,
            mode: outcome.mode,
            why: outcome.why.clone(),
            reason: outcome.why.to_string(),
            battery: BatteryState {
                estimate,
                capacity: MilliWattHours((self.plant.capacity_wh() * 1000.0).round() as i64),
                power: battery,
                days_since_anchor: self.memory.charge.days_since_anchor().map(|days| days as i64),
            },
            harvest: Harvest {
                power: self.last_taken.made.map(|power| MilliWatts(power.0 / 1000)),
                today: today.0,
                yesterday: yesterday.0,
            },
            consumption: Consumption { power: self.power, source: self.source, today: today.1, yesterday: yesterday.1 },
            forecast: self.forecast(now),
            plan,
            promised,
            reserve: gate.map_or(MilliWattHours(0), super::Gate::reserve),
            spare: match (gate, now) {
                (Some(gate), Some(now)) if gate.open().is_ok() => gate.spare(UnixSeconds(now.0 + 86_400)),
                _ => MilliWattHours(0),
            },
            troubles: outcome
                .troubles
                .iter()
                .map(|trouble| TroubleRow {
                    name: trouble.name().into(),
                    reason: trouble.to_string(),
                    behaviour: trouble.behaviour().into(),
                })
                .collect(),
            sensors: self.readings.rows(),
        }
    }

    fn forecast(&self, now: Option<UnixSeconds>) -> ForecastView {
        let at = now.unwrap_or_default();
        let state = self.forecaster.state(at);
        let first = at.0.div_euclid(SLOT_SECONDS) * SLOT_SECONDS;
        let slot = |index: i64| {
            let begin = UnixSeconds(first + index * SLOT_SECONDS);
            let band = self.forecaster.at(at, begin).unwrap_or_default();
            Slot { at: begin, expected: band.expected, low: band.low }
        };
        let slots: Vec<Slot> = if now.is_some() { (0..SLOTS_SHOWN).map(slot).collect() } else { Vec::new() };
        let midnight = (sun_day(self.plant.site, at) + 1) * 86_400 - offset_seconds(self.plant.site);
        let sum = |of: &dyn Fn(&Slot) -> MilliWatts, from: i64, until: i64| {
            let part = |slot: &Slot| {
                let seconds = (slot.at.0 + SLOT_SECONDS).min(until) - slot.at.0.max(from);
                of(slot).over(seconds.max(0))
            };
            slots.iter().map(part).sum::<MilliWattHours>()
        };
        ForecastView {
            state,
            reason: state.to_string(),
            rest_of_day: sum(&|slot| slot.expected, at.0, midnight),
            rest_of_day_low: sum(&|slot| slot.low, at.0, midnight),
            next_day: self.forecaster.next_day().expected,
            next_day_low: self.forecaster.next_day().low,
            slots,
        }
    }
}

impl Mode {
    /// In words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Run => "runs".into(),
            Self::Lower { permille } => format!("runs with {} % of its cores", permille / 10),
            Self::Pause => "waits: takes nothing new, finishes what is promised".into(),
            Self::Sleep { wake } => {
                format!("sleeps until {}", jiff::Timestamp::from_second(wake.0).unwrap_or_default())
            }
        }
    }
}
