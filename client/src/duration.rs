//! Durations and sizes as people write them.

/// Reads "90", "90s", "10m", "2h" or "1d" as seconds.
///
/// # Errors
/// A sentence for the command line.
pub fn seconds(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is not a duration; expected seconds or a number with s, m, h or d, such as 10m");
    let (digits, factor) = match text.char_indices().last() {
        Some((at, unit)) if !unit.is_ascii_digit() => {
            let factor = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 86_400,
                _ => return Err(wrong()),
            };
            (&text[..at], factor)
        }
        _ => (text, 1),
    };
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Reads "256", "256M" or "2G" as MiB.
///
/// # Errors
/// A sentence for the command line.
pub fn mebibytes(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is not a size; expected MiB or a number with M or G, such as 512M");
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'M' | 'm')) => (&text[..at], 1),
        Some((at, 'G' | 'g')) => (&text[..at], 1024),
        _ => (text, 1),
    };
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).ok_or_else(wrong)
}

/// Reads "1", "0.5" or "2.25" cores as thousandths.
///
/// # Errors
/// A sentence for the command line.
pub fn milli_cpus(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is not a number of cores; expected for example 1 or 0.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.len() > 3 {
        return Err(wrong());
    }
    let whole: u32 = whole.parse().map_err(|_| wrong())?;
    let fraction: u32 = format!("{fraction:0<3}").parse().map_err(|_| wrong())?;
    whole.checked_mul(1000).and_then(|cpus| cpus.checked_add(fraction)).ok_or_else(wrong)
}

/// Seconds for people: "45 s", "12 min", "3 h", "5 d".
pub fn show(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Bytes for people: "700 B", "1.2 MiB".
pub fn show_bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10);
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_nonsense_is_not() {
        assert_eq!(seconds("90"), Ok(90));
        assert_eq!(seconds("10m"), Ok(600));
        assert_eq!(seconds("2h"), Ok(7200));
        assert_eq!(mebibytes("2G"), Ok(2048));
        assert_eq!(mebibytes("256"), Ok(256));
        assert_eq!(milli_cpus("1"), Ok(1000));
        assert_eq!(milli_cpus("0.5"), Ok(500));
        assert_eq!(milli_cpus("2.25"), Ok(2250));
        for bad in ["", "m", "-1", "1x", "99999999999h", "1.5h", "µ"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        for bad in ["", "G", "x", "1.0001", "-1"] {
            assert!(mebibytes(bad).is_err() && milli_cpus(bad).is_err(), "{bad}");
        }
        assert_eq!(show_bytes(1_258_292), "1.2 MiB");
        assert_eq!(show(119), "119 s");
    }
}
