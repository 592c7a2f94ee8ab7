//! Which bytes a `Range` header asks for (RFC 9110, section 14).

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, one of another unit, several, or a malformed one, which a server shall ignore.
    All,
    /// From `first` to `last`, both included.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// Nothing of it exists.
    Unsatisfiable,
}

/// Decides for a blob of `size` bytes.
pub fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header.and_then(parse) else { return Wanted::All };
    let end = size.checked_sub(1);
    match (first, last, end) {
        (None, Some(0), _) | (_, _, None) => Wanted::Unsatisfiable,
        (Some(first), _, Some(end)) if first > end => Wanted::Unsatisfiable,
        (Some(first), last, Some(end)) => Wanted::Part { first, last: last.unwrap_or(end).min(end) },
        (None, Some(suffix), Some(end)) => Wanted::Part { first: size.saturating_sub(suffix), last: end },
        (None, None, _) => Wanted::All,
    }
}

/// First and last byte of a single range; `None` for what is to be ignored.
fn parse(header: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, spec) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    let range = (digits(first)?, digits(last)?);
    match range {
        (None, None) => None,
        (Some(first), Some(last)) if first > last => None,
        range => Some(range),
    }
}

/// `Some(None)` for empty text. A number beyond 64 bits is beyond every blob.
#[allow(clippy::option_option, reason = "absent, empty and a number are three different things here")]
fn digits(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        let part = |first, last| Wanted::Part { first, last };
        let cases = [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-5", part(2, 5)),
            ("bytes=2-", part(2, 9)),
            ("bytes=9-99999999999999999999999", part(9, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-99", part(0, 9)),
            ("Bytes = 1-2", part(1, 2)),
            ("bytes=10-", Wanted::Unsatisfiable),
            ("bytes=10-12", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=5-2", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes", Wanted::All),
        ];
        for (header, expected) in cases {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Unsatisfiable);
    }
}
