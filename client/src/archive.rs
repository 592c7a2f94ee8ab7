//! What a saved image archive (`docker save`) says of its platform. The archive may come from anywhere: every size is
//! bounded, nothing is unpacked.

use std::io::Read;

use serde::Deserialize;
use thiserror::Error;

/// Most entries looked at: images have one per layer and config.
const MAX_ENTRIES: usize = 10_000;
/// Largest JSON read. Image configs have a few KiB, those of images with a long history some hundred.
const MAX_JSON_BYTES: u64 = 4 << 20;

/// An archive that cannot be used.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// Not a tar, or cut off.
    #[error("image archive: not a readable tar file ({0}); expected what `docker save` writes")]
    NotATar(#[source] std::io::Error),
    /// A tar without the manifest.
    #[error("image archive: holds no manifest.json; expected what `docker save` writes")]
    NoManifest,
    /// JSON of another shape.
    #[error("image archive: {entry} is not as `docker save` writes it: {problem}")]
    BadJson {
        /// The entry.
        entry: String,
        /// What is wrong.
        problem: String,
    },
    /// One agreement runs one image.
    #[error("image archive: holds {found} images, expected exactly 1; save one image by its name or ID")]
    ManyImages {
        /// Images found.
        found: usize,
    },
}

#[derive(Deserialize)]
struct ManifestEntry {
    #[serde(rename = "Config")]
    config: String,
}

#[derive(Deserialize)]
struct ImageConfig {
    os: String,
    architecture: String,
}

/// The OCI platform ("linux/amd64") of the one image in the archive.
///
/// # Errors
/// See [`ArchiveError`].
pub fn platform_of(open: impl Fn() -> std::io::Result<Box<dyn Read>>) -> Result<String, ArchiveError> {
    let manifest = json_entry(&open, "manifest.json")?.ok_or(ArchiveError::NoManifest)?;
    let bad = |entry: &str, problem: String| ArchiveError::BadJson { entry: entry.to_owned(), problem };
    let images: Vec<ManifestEntry> =
        serde_json::from_slice(&manifest).map_err(|e| bad("manifest.json", e.to_string()))?;
    let [image] = images.as_slice() else {
        return Err(ArchiveError::ManyImages { found: images.len() });
    };
    let config = json_entry(&open, &image.config)?.ok_or_else(|| {
        bad("manifest.json", format!("it names a config {:?} that is not in the archive", image.config))
    })?;
    let config: ImageConfig = serde_json::from_slice(&config).map_err(|e| bad(&image.config, e.to_string()))?;
    // Without the variant: workers' classes name os and architecture.
    Ok(format!("{}/{}", config.os, config.architecture))
}

fn json_entry(open: &impl Fn() -> std::io::Result<Box<dyn Read>>, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
    let mut archive = tar::Archive::new(open().map_err(ArchiveError::NotATar)?);
    for entry in archive.entries().map_err(ArchiveError::NotATar)?.take(MAX_ENTRIES) {
        let entry = entry.map_err(ArchiveError::NotATar)?;
        if entry.path_bytes().as_ref() != name.as_bytes() {
            continue;
        }
        let mut json = Vec::new();
        entry.take(MAX_JSON_BYTES + 1).read_to_end(&mut json).map_err(ArchiveError::NotATar)?;
        if json.len() as u64 > MAX_JSON_BYTES {
            let problem = format!("larger than {MAX_JSON_BYTES} bytes");
            return Err(ArchiveError::BadJson { entry: name.to_owned(), problem });
        }
        return Ok(Some(json));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, body) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(body.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, body.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn platform(bytes: Vec<u8>) -> Result<String, ArchiveError> {
        platform_of(move || Ok(Box::new(std::io::Cursor::new(bytes.clone()))))
    }

    #[test]
    fn platform_is_read_from_the_config() {
        let bytes = archive(&[
            ("abc.json", r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#),
            ("manifest.json", r#"[{"Config":"abc.json","Layers":[]}]"#),
        ]);
        assert_eq!(platform(bytes).unwrap(), "linux/arm64");
    }

    #[test]
    fn what_is_no_image_archive_says_so() {
        assert!(matches!(platform(b"hello".to_vec()), Err(ArchiveError::NotATar(_) | ArchiveError::NoManifest)));
        assert!(matches!(platform(archive(&[("x", "y")])), Err(ArchiveError::NoManifest)));
        let two = archive(&[("manifest.json", r#"[{"Config":"a"},{"Config":"b"}]"#)]);
        assert!(matches!(platform(two), Err(ArchiveError::ManyImages { found: 2 })));
        let gone = archive(&[("manifest.json", r#"[{"Config":"a"}]"#)]);
        assert!(platform(gone).unwrap_err().to_string().contains("not in the archive"));
    }
}
