//! A picture of a period: power above, charge below, what the worker did along the foot. One list of shapes, written as SVG or painted
//! as PNG.
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use sunwork_energy::{
    keeper::{Mode, Row, row::ROW_SECONDS},
    units::UnixSeconds,
};

mod png;
mod svg;

/// Size of a picture, pixels.
pub const WIDTH: f32 = 1200.0;
/// Height.
pub const HEIGHT: f32 = 680.0;
const LEFT: f32 = 64.0;
const RIGHT: f32 = 1180.0;
/// Power, charge, modes: top and bottom of each.
const POWER: (f32, f32) = (72.0, 370.0);
const CHARGE: (f32, f32) = (420.0, 600.0);
const MODES: (f32, f32) = (616.0, 630.0);
/// Most columns: more quarter hours are put together.
const COLUMNS: usize = 1116;

/// Red, green, blue.
pub type Colour = [u8; 3];
const INK: Colour = [40, 44, 52];
const GREY: Colour = [120, 126, 138];
const GRID: Colour = [226, 229, 235];
const SUN: Colour = [240, 165, 0];
const FORECAST: Colour = [150, 90, 0];
const USE: Colour = [31, 99, 184];
const BATTERY: Colour = [30, 132, 73];
const RUN: Colour = [126, 196, 148];
const LOWER: Colour = [196, 214, 94];
const PAUSE: Colour = [233, 146, 97];
const SLEEP: Colour = [121, 134, 203];

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Filled; opacity in percent.
    Area { points: Vec<(f32, f32)>, colour: Colour, percent: u8 },
    /// Drawn; dashed if wanted.
    Line { points: Vec<(f32, f32)>, colour: Colour, width: f32, dashed: bool },
    /// Text: where its baseline begins, has its middle, or ends.
    Text { at: (f32, f32), anchor: Anchor, text: String, colour: Colour, large: bool },
}

/// Which part of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Picture {
    shapes: Vec<Shape>,
}

/// Mean of some quarter hours.
#[derive(Clone, Copy, Debug)]
struct Column {
    at: i64,
    until: i64,
    made: f32,
    used: f32,
    expected: f32,
    low: f32,
    charge: Option<(f32, f32)>,
    mode: Mode,
}

impl Picture {
    /// Of rows, oldest first, from `from` to `to`.
    #[must_use]
    pub fn of(rows: &[Row], from: UnixSeconds, to: UnixSeconds, zone: &TimeZone) -> Self {
        let columns = columns(rows, from, to);
        let mut picture = Self { shapes: Vec::new() };
        let span = (to.0 - from.0).max(1) as f32;
        let x = |at: i64| LEFT + (at - from.0) as f32 / span * (RIGHT - LEFT);
        let most = columns.iter().flat_map(|c| [c.made, c.used, c.expected]).fold(1.0, f32::max);
        let (top, step) = scale(most);
        let watts = |value: f32| POWER.1 - value / top * (POWER.1 - POWER.0);
        let part = |permille: f32| CHARGE.1 - permille.clamp(0.0, 1000.0) / 1000.0 * (CHARGE.1 - CHARGE.0);
        picture.title(rows, from, to, zone);
        picture.times(from, to, zone, &x);
        let lines = (top / step).round() as u32;
        for line in 0..=lines {
            let value = step * line as f32;
            picture.grid(watts(value), &trimmed(value));
        }
        for percent in [0_u16, 25, 50, 75, 100] {
            picture.grid(part(f32::from(percent) * 10.0), &percent.to_string());
        }
        picture.label((14.0, POWER.0 - 12.0), "W");
        picture.label((14.0, CHARGE.0 - 12.0), "% charge");
        for run in runs(&columns) {
            picture.power(run, &x, &watts);
            picture.charge(run, &x, &part);
        }
        picture.modes(&columns, &x);
        picture.legend();
        picture
    }

    /// As SVG text.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::write(&self.shapes)
    }

    /// As the bytes of a PNG file.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn png(&self) -> eyre::Result<Vec<u8>> {
        png::paint(&self.shapes)
    }

    fn title(&mut self, rows: &[Row], from: UnixSeconds, to: UnixSeconds, zone: &TimeZone) {
        let day = |at: UnixSeconds| {
            let time = Timestamp::from_second(at.0).unwrap_or_default().to_zoned(zone.clone());
            time.strftime("%Y-%m-%d %H:%M").to_string()
        };
        let sum = |of: fn(&Row) -> i64| rows.iter().map(of).sum::<i64>();
        let (made, used) = (sum(|row| row.made.0), sum(|row| row.used.0));
        self.text((LEFT, 28.0), Anchor::Start, format!("{} to {}", day(from), day(to)), INK, true);
        let wh = |mwh: i64| format!("{}.{} Wh", mwh / 1000, (mwh % 1000).abs() / 100);
        let net = format!(
            "made {}, used {}, net {}{}",
            wh(made),
            wh(used),
            if made < used { "-" } else { "+" },
            wh((made - used).abs())
        );
        self.text((RIGHT, 28.0), Anchor::End, net, INK, true);
    }

    /// Days, or hours of a short period.
    fn times(&mut self, from: UnixSeconds, to: UnixSeconds, zone: &TimeZone, x: &dyn Fn(i64) -> f32) {
        let days = (to.0 - from.0) / 86_400;
        let (span, format) = match days {
            0..=2 => (3.hours(), "%H:%M"),
            3..=16 => (1.day(), "%a %d"),
            17..=60 => (4.days(), "%d %b"),
            61..=400 => (1.month(), "%d %b"),
            _ => (6.months(), "%b %Y"),
        };
        let begin = Timestamp::from_second(from.0).unwrap_or_default().to_zoned(zone.clone());
        let first =
            if days > 60 { begin.first_of_month().and_then(|day| day.start_of_day()) } else { begin.start_of_day() };
        let Ok(mut at) = first else { return };
        for _ in 0..64 {
            let second = at.timestamp().as_second();
            if second > to.0 {
                break;
            }
            if second >= from.0 {
                let points = |band: (f32, f32)| vec![(x(second), band.0), (x(second), band.1)];
                for band in [POWER, CHARGE] {
                    self.shapes.push(Shape::Line { points: points(band), colour: GRID, width: 1.0, dashed: false });
                }
                if x(second) < RIGHT - 10.0 {
                    self.text(
                        (x(second), MODES.1 + 18.0),
                        Anchor::Middle,
                        at.strftime(format).to_string(),
                        GREY,
                        false,
                    );
                }
            }
            match at.checked_add(span) {
                Ok(next) => at = next,
                Err(_) => break,
            }
        }
    }

    fn grid(&mut self, y: f32, label: &str) {
        self.shapes.push(Shape::Line { points: vec![(LEFT, y), (RIGHT, y)], colour: GRID, width: 1.0, dashed: false });
        self.text((LEFT - 8.0, y + 4.0), Anchor::End, label.to_owned(), GREY, false);
    }

    fn label(&mut self, at: (f32, f32), text: &str) {
        self.text(at, Anchor::Start, text.to_owned(), GREY, false);
    }

    fn text(&mut self, at: (f32, f32), anchor: Anchor, text: String, colour: Colour, large: bool) {
        self.shapes.push(Shape::Text { at, anchor, text, colour, large });
    }

    fn power(&mut self, run: &[Column], x: &dyn Fn(i64) -> f32, y: &dyn Fn(f32) -> f32) {
        let middle = |column: &Column| x((column.at + column.until) / 2);
        let line = |of: fn(&Column) -> f32| run.iter().map(|c| (middle(c), y(of(c)))).collect::<Vec<_>>();
        let mut made = line(|c| c.made);
        if let (Some(first), Some(last)) = (made.first().copied(), made.last().copied()) {
            made.extend([(last.0, y(0.0)), (first.0, y(0.0))]);
        }
        self.shapes.push(Shape::Area { points: made, colour: SUN, percent: 55 });
        let mut band = line(|c| c.expected.max(c.low));
        band.extend(line(|c| c.low).into_iter().rev());
        self.shapes.push(Shape::Area { points: band, colour: FORECAST, percent: 14 });
        let expected = line(|c| c.expected);
        self.shapes.push(Shape::Line { points: expected, colour: FORECAST, width: 1.4, dashed: true });
        self.shapes.push(Shape::Line { points: line(|c| c.used), colour: USE, width: 1.8, dashed: false });
    }

    fn charge(&mut self, run: &[Column], x: &dyn Fn(i64) -> f32, y: &dyn Fn(f32) -> f32) {
        for part in run.chunk_by(|a, b| a.charge.is_some() == b.charge.is_some()) {
            let points: Vec<(f32, f32, f32)> =
                part.iter().filter_map(|c| c.charge.map(|(charge, bound)| (x(c.until), charge, bound))).collect();
            if points.is_empty() {
                continue;
            }
            let mut band: Vec<(f32, f32)> = points.iter().map(|(x, charge, bound)| (*x, y(charge + bound))).collect();
            band.extend(points.iter().rev().map(|(x, charge, bound)| (*x, y(charge - bound))));
            self.shapes.push(Shape::Area { points: band, colour: BATTERY, percent: 22 });
            let line = points.iter().map(|(x, charge, _)| (*x, y(*charge))).collect();
            self.shapes.push(Shape::Line { points: line, colour: BATTERY, width: 1.8, dashed: false });
        }
    }

    fn modes(&mut self, columns: &[Column], x: &dyn Fn(i64) -> f32) {
        for part in columns.chunk_by(|a, b| a.mode.name() == b.mode.name() && a.until == b.at) {
            let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
            let (left, right) = (x(first.at), x(last.until));
            let points = vec![(left, MODES.0), (right, MODES.0), (right, MODES.1), (left, MODES.1)];
            self.shapes.push(Shape::Area { points, colour: colour_of(first.mode), percent: 100 });
        }
    }

    fn legend(&mut self) {
        let mut x = LEFT;
        let mut entry = |picture: &mut Self, colour: Colour, percent: u8, text: &str, y: f32| {
            let points = vec![(x, y - 9.0), (x + 14.0, y - 9.0), (x + 14.0, y), (x, y)];
            picture.shapes.push(Shape::Area { points, colour, percent });
            picture.text((x + 20.0, y), Anchor::Start, text.to_owned(), INK, false);
            x += 20.0 + text.len() as f32 * 7.0 + 22.0;
        };
        for (colour, percent, text) in [
            (SUN, 55, "made"),
            (FORECAST, 60, "forecast, down to its pessimistic tenth"),
            (USE, 100, "used"),
            (BATTERY, 60, "charge with its bound"),
            (RUN, 100, "run"),
            (LOWER, 100, "lower"),
            (PAUSE, 100, "pause"),
            (SLEEP, 100, "sleep"),
        ] {
            entry(self, colour, percent, text, 50.0);
        }
    }
}

const fn colour_of(mode: Mode) -> Colour {
    match mode {
        Mode::Run => RUN,
        Mode::Lower { .. } => LOWER,
        Mode::Pause => PAUSE,
        Mode::Sleep { .. } => SLEEP,
    }
}

/// As many quarter hours together as the picture's width asks for.
fn columns(rows: &[Row], from: UnixSeconds, to: UnixSeconds) -> Vec<Column> {
    let quarters = usize::try_from((to.0 - from.0) / ROW_SECONDS).unwrap_or(0);
    let together = i64::try_from(quarters.div_ceil(COLUMNS).max(1)).unwrap_or(1) * ROW_SECONDS;
    let bucket = |row: &Row| (row.start.0 - from.0).div_euclid(together);
    let column = |part: &[Row]| -> Option<Column> {
        let (first, last) = (part.first()?, part.last()?);
        let count = part.len() as f32;
        // Milliwatt hours of a quarter hour as watts.
        let watts = |of: fn(&Row) -> i64| part.iter().map(|row| of(row) as f32).sum::<f32>() / count * 4.0 / 1000.0;
        Some(Column {
            at: first.start.0,
            until: last.start.0 + ROW_SECONDS,
            made: watts(|row| row.made.0),
            used: watts(|row| row.used.0),
            expected: watts(|row| row.expected.0),
            low: watts(|row| row.low.0),
            charge: last.charge_permille.map(|charge| (charge as f32, last.bound_permille as f32)),
            mode: last.mode,
        })
    };
    rows.chunk_by(|a, b| bucket(a) == bucket(b)).filter_map(column).collect()
}

/// Columns without a gap between them.
fn runs(columns: &[Column]) -> impl Iterator<Item = &[Column]> {
    columns.chunk_by(|a, b| b.at - a.until < ROW_SECONDS)
}

/// A round upper end, and the step of its grid.
fn scale(most: f32) -> (f32, f32) {
    let steps = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 5000.0, 10_000.0];
    let step = steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(most / 5.0);
    ((most / step).ceil() * step, step)
}

fn trimmed(value: f32) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_energy::{
        sim::{rig::Rig, scenario::Scenario},
        units::MilliWattHours,
    };

    fn week() -> Vec<Row> {
        let scenario: Scenario = serde_json::from_str(
            r#"{"start":1780272000,"panel_wp":100,"battery_wh":384,"board":"pi4b","extra":1300,"seed":4}"#,
        )
        .unwrap();
        let rows = Rig::history(&scenario, None).unwrap();
        let mut charge = 600_i64;
        let dress = |(index, row): (usize, &Row)| {
            let index = index as i64;
            charge = (charge + (row.made.0 - 900) / 500).clamp(50, 1000);
            let mode = match charge {
                0..200 => Mode::Sleep { wake: UnixSeconds(0) },
                200..400 => Mode::Pause,
                400..700 => Mode::Lower { permille: 500 },
                _ => Mode::Run,
            };
            Row {
                used: MilliWattHours(if mode == Mode::Run { 1900 } else { 900 }),
                expected: MilliWattHours(row.made.0 * (90 + index % 25) / 100),
                low: MilliWattHours(row.made.0 * 6 / 10),
                charge_permille: Some(charge),
                bound_permille: 10 + index / 8,
                mode,
                ..*row
            }
        };
        rows.iter().take(7 * 96).enumerate().map(dress).collect()
    }

    fn period(rows: &[Row]) -> (UnixSeconds, UnixSeconds) {
        (rows[0].start, UnixSeconds(rows[rows.len() - 1].start.0 + 900))
    }

    #[test]
    fn a_week_is_drawn_both_ways() {
        let rows = week();
        let (from, to) = period(&rows);
        let picture = Picture::of(&rows, from, to, &TimeZone::UTC);
        let svg = picture.svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("made ") && svg.contains("<polygon") && svg.contains("stroke-dasharray"));
        let png = picture.png().unwrap();
        assert_eq!(&png[1..4], b"PNG");
        assert!(png.len() > 10_000, "{}", png.len());
        if let Ok(path) = std::env::var("SUNWORK_PLOT_OUT") {
            std::fs::write(path, png).unwrap();
        }
    }

    #[test]
    fn years_are_put_together_and_gaps_stay_gaps() {
        let rows = week();
        let (from, to) = period(&rows);
        let year = UnixSeconds(to.0 + 365 * 86_400);
        assert!(columns(&rows, from, year).len() < 100);
        let mut holed = rows.clone();
        holed.drain(100..200);
        let columns = columns(&holed, from, to);
        assert_eq!(runs(&columns).count(), 2);
        let picture = Picture::of(&[], from, to, &TimeZone::UTC);
        assert!(picture.svg().contains("made 0.0 Wh"));
    }

    #[test]
    fn the_scale_is_round_and_holds_the_most() {
        for most in [0.3, 1.0, 7.0, 83.0, 3_368.0] {
            let (top, step) = scale(most);
            assert!(top >= most && (top / step).fract() < 1e-3 && top / step <= 6.01, "{most} {top} {step}");
        }
    }
}
