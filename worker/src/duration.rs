//! Durations as people write and read them.

/// Longest duration that is taken: ten years, seconds.
const MAX_SECS: u64 = 10 * 366 * 86_400;

/// Reads "90", "90s", "10m", "2h" or "1d" as seconds.
///
/// # Errors
/// A sentence for the command line.
pub fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a duration; expected seconds or a number with s, m, h or d, such as 30m");
    let (digits, factor) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1),
        Some(b'm') => (&text[..text.len() - 1], 60),
        Some(b'h') => (&text[..text.len() - 1], 3600),
        Some(b'd') => (&text[..text.len() - 1], 86_400),
        _ => (text, 1),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|secs| *secs <= MAX_SECS).ok_or_else(wrong)
}

/// Seconds for people: "45 s", "12 min", "3 h 5 min", "5 d 2 h".
pub fn show(secs: u64) -> String {
    let (big, small, rest) = match secs {
        0..=119 => return format!("{secs} s"),
        120..=7199 => return format!("{} min", secs / 60),
        7200..=172_799 => ("h", "min", (secs / 3600, secs % 3600 / 60)),
        _ => ("d", "h", (secs / 86_400, secs % 86_400 / 3600)),
    };
    match rest {
        (whole, 0) => format!("{whole} {big}"),
        (whole, part) => format!("{whole} {big} {part} {small}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write_and_nothing_else() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("30m"), Ok(1800));
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(seconds("1d"), Ok(86_400));
        for bad in ["", "m", "-5m", "+5", "1.5h", "5 m", "5w", "99999999999d", "µ"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shows_two_parts_at_most() {
        let shown = [59, 119, 120, 7200, 11_100, 172_800, 183_000].map(show);
        assert_eq!(shown, ["59 s", "119 s", "2 min", "2 h", "3 h 5 min", "2 d", "2 d 2 h"]);
    }
}
