//! The dark season: what has to be in store while the sun will not carry even sleep, known from the calendar long before it begins.
use super::model::{Battery, Board};

/// Days that are looked ahead: the longest polar night but for the last few degrees.
pub const SEASON_DAYS: i64 = 180;
/// Share of a clear sky that weeks of dull weather still give.
const DULL: f64 = 0.12;
/// Most that is kept, share of the capacity: a full battery is awake.
const MOST: f64 = 0.8;

/// Watt hours to keep above the sleep threshold today, so that sleep lasts until the sun carries it again. `clear_days` is what a
/// clear sky gives on each day from today on, watt hours; a panel of which that is not known (all zero) has no season.
#[must_use]
pub fn kept_wh(battery: &Battery, board: &Board, clear_days: impl DoubleEndedIterator<Item = f64>) -> f64 {
    let sleep = 24.0 * board.sleep_w / battery.discharge_efficiency;
    let mut known = false;
    let kept = clear_days.rev().fold(0.0_f64, |after, clear| {
        known |= clear > 0.0;
        let harvest = DULL * clear * battery.charge_efficiency;
        (after + sleep - harvest).max(0.0)
    });
    if known { kept.min(MOST * battery.capacity_wh) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(days: &[f64]) -> f64 {
        let board = Board::raspberry_pi_4();
        kept_wh(&Battery::new(384.0, &board), &board, days.iter().copied())
    }

    #[test]
    fn nothing_is_kept_where_dull_weather_carries_sleep() {
        assert!(kept(&[34.0; 180]).abs() < 1e-12);
        assert!(kept(&[0.0; 180]).abs() < 1e-12, "a panel that never gave");
    }

    #[test]
    fn a_dark_season_needs_its_sleep_and_days_before_it_fill_the_store() {
        let sleep = 24.0 * 0.15 / 0.95;
        let dark = [[0.0; 40].as_slice(), &[300.0; 20]].concat();
        assert!((kept(&dark) - 40.0 * sleep).abs() < 1e-9, "{}", kept(&dark));
        // A clear day of 75 Wh gives 8.55 Wh into the battery when it is dull: 4.76 above what sleep takes.
        let before = [[75.0; 10].as_slice(), &dark].concat();
        assert!((kept(&before) - (50.0 * sleep - 10.0 * 8.55)).abs() < 1e-9, "{}", kept(&before));
        assert!(kept(&[[75.0; 40].as_slice(), &dark].concat()).abs() < 1e-12, "not in summer");
    }

    #[test]
    fn a_full_battery_is_awake_however_long_the_night() {
        assert!((kept(&[[0.0; 179].as_slice(), &[300.0]].concat()) - 307.2).abs() < 1e-9);
    }
}
