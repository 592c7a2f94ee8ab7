//! What begins and ends with a day: the forecast of its total, the envelope, the long memories, the models' refit.
use super::{
    CLIMATE_DAYS, DARK, DAWN, FORGET_PER_DAY, Forecaster, LEARNING_DAYS, LONG_DECAY, MAX_CLEARNESS, SKY_DAYS, SLOTS,
    TELLING, Today, clamp,
};

impl Forecaster {
    pub(super) fn begin_day(&mut self, day: i64) {
        self.look_up(day);
        let clear = self.clear_total(day);
        let opening = (clear > 0.0 && self.days > 0).then(|| {
            let features = self.day_features();
            let predicted = clamp(self.day_model.predict(&features));
            (features, clear, predicted)
        });
        self.today = Some(Today { day, powers: Vec::with_capacity(SLOTS), energy: 0.0, clear: 0.0, opening });
    }

    pub(super) fn look_up(&mut self, day: i64) {
        let first = self.first_slot(day - 1);
        let (start, known) = core::mem::take(&mut self.skies);
        #[allow(clippy::cast_possible_wrap, reason = "nine days of slots")]
        let end = start + known.len() as i64;
        let sky = |slot: i64| match usize::try_from(slot - start) {
            Ok(index) if slot < end => known[index],
            _ => self.compute_global(slot),
        };
        let skies = (first..first + SKY_DAYS * SLOTS as i64).map(sky).collect();
        self.skies = (first, skies);
    }

    pub(super) fn end_day(&mut self) {
        let Some(mut today) = self.today.take() else { return };
        today.powers.resize(SLOTS, None);
        let first = self.first_slot(today.day);
        let global: Vec<f64> = (first..).take(SLOTS).map(|slot| self.global(slot)).collect();
        let clear: Vec<f64> = (first..).take(SLOTS).map(|slot| self.clear_power(slot)).collect();
        let missing = today.powers.iter().zip(&clear).filter(|(p, c)| p.is_none() && **c > TELLING * self.peak).count();
        let seen: f64 = today.powers.iter().zip(&clear).filter(|(p, _)| p.is_some()).map(|(_, c)| c).sum();
        if seen > 0.0 && missing <= SLOTS / 8 {
            let clearness = (today.energy / seen).min(MAX_CLEARNESS);
            let late = |from: usize| -> f64 {
                let rows = || today.powers.iter().zip(&clear).skip(from).filter_map(|(p, c)| Some(((*p)?, *c)));
                let sum: f64 = rows().map(|(_, c)| c).sum();
                if sum > 0.0 { rows().map(|(p, _)| p).sum::<f64>() / sum } else { clearness }
            };
            if let Some((features, clear_total, predicted)) = &today.opening
                && missing == 0
                && self.peak > 0.0
            {
                let actual = (today.energy / clear_total).min(MAX_CLEARNESS);
                #[allow(clippy::cast_precision_loss, reason = "48")]
                self.day_model.learn(features, actual, 20.0 * clear_total / (self.peak * SLOTS as f64));
                if self.days >= LEARNING_DAYS {
                    self.day_residuals.push(*predicted, actual);
                }
            }
            let [yesterday, ten, month, afternoon] = &mut self.day_means;
            *afternoon = late(30).min(MAX_CLEARNESS);
            *yesterday = clearness;
            *ten += 0.1 * (clearness - *ten);
            *month += 0.04 * (clearness - *month);
            self.dark_days = if clearness < DARK { self.dark_days + 1 } else { 0 };
        }
        let ratios = today.powers.iter().zip(&global).map(|(power, global)| {
            #[allow(clippy::cast_possible_truncation, reason = "a ratio; seven digits will do")]
            power.filter(|_| *global > DAWN).map(|power| (power / global) as f32)
        });
        let ratios: Vec<Option<f32>> = ratios.collect();
        for (slot, power) in today.powers.iter().enumerate() {
            self.long[slot] *= LONG_DECAY;
            if let Some(ratio) = ratios[slot] {
                self.long[slot] = self.long[slot].max(f64::from(ratio));
            }
            if let Some(power) = power {
                self.climate_power[slot] += (power - self.climate_power[slot]) / CLIMATE_DAYS;
                self.climate_clear[slot] += (clear[slot] - self.climate_clear[slot]) / CLIMATE_DAYS;
            }
        }
        if today.powers.iter().any(Option::is_some) {
            self.envelope.push(ratios);
            self.days += 1;
        }
        let day = today.day + 1;
        self.peak = (self.first_slot(day)..).take(SLOTS).map(|slot| self.clear_power(slot)).fold(0.0, f64::max);
        for model in &mut self.models {
            model.lad.refit();
            model.lad.forget(FORGET_PER_DAY);
        }
        self.day_model.refit();
    }
}
