//! How a client names an image: a file (an archive, or a WebAssembly module), a blob that an oracle already has, or a registry image by digest.
//! Never by tag: a tag can mean another image tomorrow, and the worker must run what the client paid for.

use std::path::PathBuf;

use alloy::primitives::B256;
use thiserror::Error;

/// An image as named by the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageSource {
    /// A saved archive (`docker save`) or a WebAssembly module, to be uploaded.
    Archive(PathBuf),
    /// A saved archive that is a blob already.
    Blob(B256),
    /// A registry image by its manifest digest.
    Registry {
        /// Repository without tag and digest.
        name: String,
        /// SHA-256 of the manifest.
        digest: B256,
    },
}

/// A name that says no image.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImageRefError {
    /// A digest of the wrong shape.
    #[error("image {text:?}: the digest {found:?} is not \"sha256:\" and 64 hex digits")]
    BadDigest {
        /// What was given.
        text: String,
        /// The part taken for a digest.
        found: String,
    },
    /// Looks like a file, is none.
    #[error("image file {path:?} does not exist; `sunwork image push IMAGE --save {path}` makes one of a Docker image")]
    NoSuchFile {
        /// The path.
        path: String,
    },
    /// Neither file nor digest.
    #[error(
        "image {text:?} is named without a digest, and a tag may mean something else tomorrow; `sunwork image push {text}` \
         uploads the one that you have and prints its name; for one of a registry give NAME@sha256:DIGEST"
    )]
    NoDigest {
        /// What was given.
        text: String,
    },
}

impl ImageSource {
    /// Reads what a client typed. A path is looked up, nothing else.
    ///
    /// # Errors
    /// See [`ImageRefError`].
    pub fn parse(text: &str) -> Result<Self, ImageRefError> {
        if let Some((name, digest)) = text.split_once('@') {
            let wrong = || ImageRefError::BadDigest { text: text.to_owned(), found: digest.to_owned() };
            if name.is_empty() {
                return Err(wrong());
            }
            let digest = digest.strip_prefix("sha256:").and_then(sha256).ok_or_else(wrong)?;
            // "app:1.2@sha256:…" is a common spelling; the digest decides, so the tag is dropped.
            let name = match name.rsplit_once(':') {
                Some((repository, tag)) if !tag.contains('/') => repository,
                _ => name,
            };
            return Ok(Self::Registry { name: name.to_owned(), digest });
        }
        if let Some(digest) = text.strip_prefix("sha256:") {
            return sha256(digest)
                .map(Self::Blob)
                .ok_or_else(|| ImageRefError::BadDigest { text: text.to_owned(), found: text.to_owned() });
        }
        let path = PathBuf::from(text);
        if path.is_file() {
            return Ok(Self::Archive(path));
        }
        if let Some(digest) = sha256(text) {
            return Ok(Self::Blob(digest));
        }
        if text.ends_with(".tar") || text.ends_with(".wasm") || text.starts_with(['.', '/']) || text.is_empty() {
            return Err(ImageRefError::NoSuchFile { path: text.to_owned() });
        }
        Err(ImageRefError::NoDigest { text: text.to_owned() })
    }
}

/// True for what can only be a path: neither a digest nor a name of a registry.
pub fn is_path(text: &str) -> bool {
    let named = text.contains('@') || text.starts_with("sha256:") || sha256(text).is_some();
    !named && (text.ends_with(".tar") || text.ends_with(".wasm") || text.starts_with(['.', '/']))
}

fn sha256(digits: &str) -> Option<B256> {
    (digits.len() == 64).then(|| hex::decode(digits).ok()).flatten().map(|b| B256::from_slice(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_by_file_blob_or_digest() {
        let digest = "ab".repeat(32);
        assert_eq!(ImageSource::parse(&digest), Ok(ImageSource::Blob(B256::repeat_byte(0xab))));
        assert_eq!(ImageSource::parse(&format!("sha256:{digest}")), Ok(ImageSource::Blob(B256::repeat_byte(0xab))));
        for name in ["example.com:5000/team/app", "example.com:5000/team/app:1.2"] {
            assert_eq!(
                ImageSource::parse(&format!("{name}@sha256:{digest}")),
                Ok(ImageSource::Registry { name: "example.com:5000/team/app".into(), digest: B256::repeat_byte(0xab) })
            );
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(ImageSource::parse(path), Ok(ImageSource::Archive(path.into())));
        assert!(is_path("app.wasm"));
    }

    #[test]
    fn tags_short_digests_and_missing_files_are_refused_with_what_to_do() {
        let tag = ImageSource::parse("alpine:latest").unwrap_err().to_string();
        assert!(tag.contains("without a digest") && tag.contains("sunwork image push alpine:latest"), "{tag}");
        let short = ImageSource::parse("alpine@sha256:abcd").unwrap_err().to_string();
        assert!(short.contains("\"sha256:abcd\" is not \"sha256:\" and 64 hex digits"), "{short}");
        let file = ImageSource::parse("./nowhere.tar").unwrap_err().to_string();
        assert!(file.contains("\"./nowhere.tar\" does not exist"), "{file}");
    }
}
