//! The file of a key: where it stands on the curve, and its secret half as the TPM wrapped it.
use serde::{Deserialize, Serialize};

use crate::TpmError;

/// Most that the file of a key has; one of ours has some 500.
pub const MAX_BLOB_BYTES: u64 = 16 << 10;
/// Most that a TPM wraps a P-256 key into, with room for seeds of other sizes.
const MAX_PRIVATE_BYTES: usize = 1024;
const KIND: &str = "sunwork-tpm-key";
/// Names the template too: attributes and algorithms of the key are those of this version, and the TPM loads no other under this blob.
const VERSION: u32 = 1;

/// A key that one TPM alone can use.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// First coordinate of the public key, big-endian.
    pub x: [u8; 32],
    /// Second coordinate.
    pub y: [u8; 32],
    /// The secret half, encrypted and authenticated by the TPM (TPM2B_PRIVATE).
    pub private: Vec<u8>,
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Blob of {}", hex::encode(self.x))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    kind: String,
    version: u32,
    x: String,
    y: String,
    private: String,
}

impl Blob {
    /// What is kept in a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        let file = File {
            kind: KIND.into(),
            version: VERSION,
            x: hex::encode(self.x),
            y: hex::encode(self.y),
            private: hex::encode(&self.private),
        };
        // Texts and a number.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// The key of a file. No TPM is asked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(text: &str) -> Result<Self, TpmError> {
        let bad = |reason: String| TpmError::Blob { reason };
        let file: File = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
        if (file.kind.as_str(), file.version) != (KIND, VERSION) {
            return Err(bad(format!(
                "it is {:?} of version {}, expected {KIND:?} of version {VERSION}",
                file.kind, file.version
            )));
        }
        let coordinate = |name: &str, text: &str| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text, &mut bytes).map_err(|error| bad(format!("{name}: {error}")))?;
            Ok(bytes)
        };
        let private = hex::decode(&file.private).map_err(|error| bad(format!("private: {error}")))?;
        if private.is_empty() || private.len() > MAX_PRIVATE_BYTES {
            return Err(bad(format!("private has {} bytes, expected 1 to {MAX_PRIVATE_BYTES}", private.len())));
        }
        Ok(Self { x: coordinate("x", &file.x)?, y: coordinate("y", &file.y)?, private })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_comes_back_from_its_file_and_a_damaged_file_says_what_is_wrong() {
        let blob = Blob { x: [1; 32], y: [2; 32], private: vec![3; 126] };
        let text = blob.to_json();
        assert_eq!(Blob::from_json(&text).unwrap(), blob);
        let long = "03".repeat(MAX_PRIVATE_BYTES + 1);
        for (from, to, says) in [
            ("\"version\": 1", "\"version\": 2", "expected \"sunwork-tpm-key\" of version 1"),
            ("sunwork-tpm-key", "another", "another"),
            ("0101", "01", "x: "),
            ("0202", "zz02", "y: "),
            (&*"03".repeat(126), "", "private has 0 bytes"),
            (&*"03".repeat(126), &*long, "expected 1 to 1024"),
            ("\"kind\"", "\"other\"", "unknown field"),
            ("}", "", "EOF"),
        ] {
            let error = Blob::from_json(&text.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.starts_with("this is no key of a TPM: ") && error.contains(says), "{says}: {error}");
        }
    }
}
