//! Names of blobs.
use std::{fmt, str::FromStr};

/// A blob's name: its SHA-256. Written as 64 lower-case hex digits and in no other way, so that it is safe in a path and
/// one blob has one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlobName(pub [u8; 32]);

/// Not the name of a blob.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a blob's name is its SHA-256 in 64 lower-case hex digits, found {0:?}")]
pub struct BlobNameError(String);

/// Longest part of a wrong name that is repeated in the error.
const SHOWN_CHARS: usize = 80;

impl FromStr for BlobName {
    type Err = BlobNameError;

    fn from_str(text: &str) -> Result<Self, BlobNameError> {
        let mut bytes = [0; 32];
        let is_lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_lower && hex::decode_to_slice(text, &mut bytes).is_ok() {
            Ok(Self(bytes))
        } else {
            Err(BlobNameError(text.chars().take(SHOWN_CHARS).collect()))
        }
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        let good = "0123456789abcdef".repeat(4);
        assert_eq!(good.parse::<BlobName>().unwrap().to_string(), good);
        for bad in ["", "..", &good[1..], &good.to_uppercase(), &format!("{good}0"), &good.replace('0', "/")] {
            assert!(bad.parse::<BlobName>().is_err(), "{bad:?}");
        }
    }
}
