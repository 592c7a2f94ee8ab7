//! The format of the file, pure: `crc32-hex json`, a record per line.
//!
//! ```text
//! line             checksum   JSON       it is
//! without newline  any        any        torn: cut off
//! last             wrong      any        torn: blocks of a write may reach the disk out of order
//! last             wrong      begins with a whole record that something follows: damage, its newline was there once
//! before the last  wrong      any        damage: refused, a hole in the middle is no torn write
//! any              right      unknown    of a newer version: refused, never cut off
//! ```
use super::{JournalError, Record, State, VERSION};

/// What the bytes of a journal say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// All whole records, folded.
    pub(super) state: State,
    /// Bytes that they take.
    pub(super) good: usize,
    /// What comes after them.
    pub(super) torn: Option<Torn>,
}

/// The end of a journal that a power cut tore. It had no effect: what is not whole was never acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub offset: usize,
    /// How many bytes it has.
    pub bytes: usize,
    /// What kind of record it was to be, as far as that can be read.
    pub kind: Option<String>,
}

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.kind.as_deref().unwrap_or("unreadable");
        write!(f, "{} bytes from byte {} on (record: {kind})", self.bytes, self.offset)
    }
}

/// What is wrong with a line.
#[derive(Debug)]
enum Bad {
    /// Its bytes are not those that were written.
    Damaged(String),
    /// They are, and they are not for this version.
    Unknown(String),
    /// It is a header of another version.
    Version(u32),
}

/// One line: checksum of the JSON, the JSON, a newline. JSON holds no bare newline.
pub(super) fn encode(record: &Record) -> Result<Vec<u8>, JournalError> {
    let json = serde_json::to_string(record).map_err(JournalError::Encode)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes())
}

fn decode(line: &[u8]) -> Result<Record, Bad> {
    let (checksum, json) = line.split_at_checked(9).ok_or_else(|| Bad::Damaged("the line is too short".to_owned()))?;
    let found = format!("{:08x} ", crc32fast::hash(json));
    if checksum != found.as_bytes() {
        let expected = String::from_utf8_lossy(&checksum[..8]);
        return Err(Bad::Damaged(format!("the checksum is {}, expected {expected}", found.trim_end())));
    }
    // A header of another version may look otherwise in all but its version.
    match serde_json::from_slice::<Version>(json) {
        Ok(Version { kind, version: Some(version) }) if kind == "header" && version != VERSION => {
            Err(Bad::Version(version))
        }
        _ => serde_json::from_slice(json).map_err(|error| Bad::Unknown(error.to_string())),
    }
}

#[derive(serde::Deserialize)]
struct Version {
    kind: String,
    version: Option<u32>,
}

/// All good records folded, and what was torn.
pub(super) fn read(bytes: &[u8], path: &std::path::Path) -> Result<Content, JournalError> {
    let mut content = Content::default();
    while content.good < bytes.len() {
        let offset = content.good;
        let rest = &bytes[offset..];
        let torn = || Torn { offset, bytes: rest.len(), kind: kind_of(rest) };
        // Without its newline the last line is torn, even if it happens to be whole otherwise.
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
            if hides_a_record(rest) {
                let reason = "a whole record is not followed by a new line".to_owned();
                return Err(JournalError::Broken { path: path.to_owned(), offset, reason });
            }
            content.torn = Some(torn());
            break;
        };
        let path = || path.to_owned();
        match decode(&rest[..length]) {
            Ok(record) => content.state.apply(record),
            Err(Bad::Version(found)) => return Err(JournalError::Version { path: path(), found, expected: VERSION }),
            Err(Bad::Unknown(reason)) => return Err(JournalError::Unknown { path: path(), offset, reason }),
            Err(Bad::Damaged(_)) if length + 1 == rest.len() && !hides_a_record(&rest[..length]) => {
                content.torn = Some(torn());
                break;
            }
            Err(Bad::Damaged(reason)) => return Err(JournalError::Broken { path: path(), offset, reason }),
        }
        content.good += length + 1;
    }
    Ok(content)
}

/// True when a whole record is followed by more than a torn write leaves, which is zeros: its newline was on the disk once.
fn hides_a_record(line: &[u8]) -> bool {
    let ends = line.iter().enumerate().filter(|(_, byte)| **byte == b'}').map(|(at, _)| at + 1);
    ends.into_iter().any(|end| {
        let after = line.get(end + 1..).unwrap_or_default();
        after.iter().any(|byte| *byte != 0) && decode(&line[..end]).is_ok()
    })
}

/// The word after `"kind":"`, if it is still there.
fn kind_of(torn: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"\"kind\":\"";
    let begin = torn.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let word: Vec<u8> =
        torn[begin..].iter().copied().take_while(|byte| byte.is_ascii_lowercase() || *byte == b'_').take(32).collect();
    String::from_utf8(word).ok().filter(|word| !word.is_empty())
}
