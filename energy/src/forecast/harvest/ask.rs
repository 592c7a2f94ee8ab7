//! What can be asked of the forecaster.
use super::{
    BRIGHT_SLOTS, Band, DARK_DAYS, DAWN, DayBand, ForecastState, Forecaster, HORIZONS, LEARNING_DAYS, LEAST_RATIO,
    LOW_LEVEL, MilliWattHours, MilliWatts, NOTHING, Refused, SLOT_SECONDS, SLOTS, STALE_SECONDS, Site, UNSEEN_SLOTS,
    UnixSeconds, clamp,
};

impl Forecaster {
    /// State at a time, with its reason.
    #[must_use]
    pub fn state(&self, now: UnixSeconds) -> ForecastState {
        if self.days < LEARNING_DAYS {
            return ForecastState::Learning { days: self.days };
        }
        let today = self.day_of(now.0.div_euclid(SLOT_SECONDS));
        if (self.first_slot(today)..).take(SLOTS).all(|slot| self.global(slot) <= 0.0) {
            return ForecastState::PolarNight;
        }
        if let Some(last) = self.last.filter(|last| now.0 - last.0 > STALE_SECONDS) {
            return ForecastState::Stale { last };
        }
        if self.dark_days >= DARK_DAYS {
            return ForecastState::PanelDark { days: self.dark_days };
        }
        ForecastState::Ready
    }

    /// Power of the slot that contains `at`, seen from the newest sample.
    ///
    /// # Errors
    /// When the clock is not set.
    pub fn at(&self, now: UnixSeconds, at: UnixSeconds) -> Result<Band, Refused> {
        if now.0 < self.earliest.0 {
            return Err(Refused::ClockUnset { at: now });
        }
        let slot = at.0.div_euclid(SLOT_SECONDS);
        let newest = self.today.as_ref().map_or(slot - 1, |today| self.newest_slot(today));
        let ahead = usize::try_from((slot - newest).max(1)).unwrap_or(usize::MAX);
        let index = HORIZONS.iter().position(|horizon| *horizon >= ahead).unwrap_or(HORIZONS.len() - 1);
        let clear = self.clear_power(slot);
        if clear <= 0.0 || self.peak <= 0.0 {
            return Ok(Band::default());
        }
        let model = &self.models[index];
        let expected = clamp(model.lad.predict(&self.features(slot, clear)));
        let counted_on = !matches!(self.state(now), ForecastState::Learning { .. } | ForecastState::Stale { .. });
        let low = if counted_on { model.residuals.lower(expected, LOW_LEVEL) } else { 0.0 };
        Ok(Band { expected: milliwatts(expected * clear), low: milliwatts(low * clear) })
    }

    /// Energy of the next whole day of the sun, seen from the newest sample.
    #[must_use]
    pub fn next_day(&self) -> DayBand {
        let Some(today) = &self.today else { return DayBand::default() };
        // A day that has just ended is closed by the first sample of the next; close a copy, so that midnight is known as such.
        let mut closed;
        let (this, day) = if today.powers.len() >= SLOTS {
            closed = self.clone();
            closed.end_day();
            (&closed, today.day + 1)
        } else {
            (self, today.day + 1)
        };
        let clear = this.clear_total(day);
        let expected = clamp(this.day_model.predict(&this.day_features()));
        let low = if this.days < LEARNING_DAYS { 0.0 } else { this.day_residuals.lower(expected, LOW_LEVEL) };
        DayBand { expected: watt_slots(expected * clear), low: watt_slots(low * clear) }
    }

    /// Clear-sky power of the slot that contains `at`, as learned.
    #[must_use]
    pub fn clear_sky_power(&self, at: UnixSeconds) -> MilliWatts {
        milliwatts(self.clear_power(at.0.div_euclid(SLOT_SECONDS)))
    }

    /// Clearness of the day so far, mixed with that of the last hour and a half; yesterday's at night.
    #[must_use]
    pub fn clearness(&self) -> f64 {
        0.6 * self.sky.day + 0.4 * self.sky.fast
    }

    /// Whether the panel gave next to nothing in the last hour with sun: covered, or cut off. No cloud is that dark.
    #[must_use]
    pub fn gives_nothing(&self) -> bool {
        self.sky.now.max(self.sky.before) < NOTHING
    }

    /// Whether the panel has given nothing since the first sample, though there was sun for two hours at least, or no sun rises
    /// today: nothing is known then of when there will be any.
    #[must_use]
    pub fn never_gave(&self) -> bool {
        let Some(today) = &self.today else { return false };
        let slots = || (self.first_slot(today.day)..).take(SLOTS);
        let ratio = |(slot, power): (i64, &Option<f64>)| power.map(|power| power / self.global(slot).max(DAWN));
        let given = || slots().zip(&today.powers).filter_map(ratio).chain(self.long.iter().copied());
        if given().any(|ratio| ratio > LEAST_RATIO) {
            return false;
        }
        let bright = |of_day: usize| matches!(self.site, Site::At(_)) || BRIGHT_SLOTS.contains(&of_day);
        let now = slots().zip(&today.powers).enumerate();
        let now = now.filter(|(of_day, (slot, power))| bright(*of_day) && power.is_some() && self.global(*slot) > DAWN);
        let before =
            (0..SLOTS).filter(|of_day| bright(*of_day)).map(|of_day| self.envelope.seen(of_day)).sum::<usize>();
        now.count() + before >= UNSEEN_SLOTS || slots().all(|slot| self.global(slot) <= 0.0)
    }

    /// What a clear sky gives on each day of the sun from that of `now` on, as learned, from 7 h to 17 h by five points: for days on
    /// which it is little, and quick enough for half a year of them.
    pub fn clear_days(&self, now: UnixSeconds, days: i64) -> impl DoubleEndedIterator<Item = MilliWattHours> + '_ {
        let today = self.day_of(now.0.div_euclid(SLOT_SECONDS));
        (today..today + days).map(|day| {
            let hours = [8, 10, 12, 14, 16].map(|hour| self.clear_power(self.first_slot(day) + 2 * hour));
            // Each stands for two hours, which are four slots.
            watt_slots(4.0 * hours.iter().sum::<f64>())
        })
    }

    /// Days of history.
    #[must_use]
    pub fn days(&self) -> usize {
        self.days
    }

    /// Hour of the sun's day (0 to 23) in which `at` lies.
    #[must_use]
    pub fn sun_hour(&self, at: UnixSeconds) -> usize {
        self.slot_of_day(at.0.div_euclid(SLOT_SECONDS)) / 2
    }
}

#[allow(clippy::cast_possible_truncation, reason = "bounded by what panels give")]
fn milliwatts(watts: f64) -> MilliWatts {
    MilliWatts((watts * 1000.0).round() as i64)
}

#[allow(clippy::cast_possible_truncation, reason = "bounded by what panels give in a day")]
fn watt_slots(watts: f64) -> MilliWattHours {
    MilliWattHours((watts * 500.0).round() as i64)
}
