//! One image of an archive as an archive of its own: config, plain layers, a manifest without tags.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use alloy::primitives::B256;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sunwork_protocol::tar;

use super::{ImagePushError, MAX_ARCHIVE_BYTES};
use crate::archive::{ArchivedImage, Compression, Layer};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest<'a> {
    config: &'a str,
    repo_tags: Option<[&'a str; 0]>,
    layers: Vec<String>,
}

/// Writes `image`, which lies in the archive `source`, to `target`. Gives hash and length.
pub(super) fn write(
    source: &Path,
    image: &ArchivedImage,
    target: &Path,
    scratch: &Path,
) -> Result<(B256, u64), ImagePushError> {
    let io = |source| ImagePushError::Io { path: target.to_owned(), source };
    let mut out = Hashing { inner: BufWriter::new(File::create(target).map_err(io)?), hasher: Sha256::new(), size: 0 };
    let config_name = format!("{}.json", image.id.trim_start_matches("sha256:"));
    out.entry(&config_name, &image.config).map_err(io)?;
    let mut layers = Vec::with_capacity(image.layers.len());
    let mut written = HashSet::new();
    for (number, layer) in (1..).zip(&image.layers) {
        let digits = layer.diff_id.trim_start_matches("sha256:");
        let name = format!("{digits}/layer.tar");
        // The same layer twice is written once, and named twice.
        if written.insert(digits) {
            let bad = |problem: String| ImagePushError::Layer { path: source.to_owned(), layer: number, problem };
            if digits.len() != 64 || hex::decode(digits).is_err() {
                return Err(bad(format!("its hash is {:?}, expected sha256 and 64 hex digits", layer.diff_id)));
            }
            let unreadable = |e: io::Error| bad(format!("it cannot be read: {e}"));
            let (mut plain, size) = plain_layer(source, layer, scratch, out.size).map_err(unreadable)?;
            if size > tar::MAX_FILE_BYTES {
                return Err(bad(format!("it has {size} bytes, at most {} fit an archive", tar::MAX_FILE_BYTES)));
            }
            out.write_all(&tar::file_header(name.as_bytes(), size)).map_err(io)?;
            let mut content = Sha256::new();
            let copied = copy(&mut plain, &mut out, &mut content, size).map_err(io)?;
            let found = hex::encode(content.finalize());
            if copied != size || found != digits {
                return Err(bad(format!("SHA-256 of its content found {found}, expected {digits}")));
            }
            out.pad(size).map_err(io)?;
        }
        layers.push(name);
    }
    let manifest = [Manifest { config: &config_name, repo_tags: None, layers }];
    let manifest = serde_json::to_vec(&manifest).map_err(|e| io(e.into()))?;
    out.entry("manifest.json", &manifest).map_err(io)?;
    out.write_all(&tar::END).and_then(|()| out.flush()).map_err(io)?;
    Ok((B256::from_slice(&out.hasher.finalize()), out.size))
}

/// The layer's plain bytes and how many they are. A compressed one goes through a file: its length must be known first.
fn plain_layer(source: &Path, layer: &Layer, scratch: &Path, used: u64) -> io::Result<(Box<dyn Read>, u64)> {
    let mut file = File::open(source)?;
    file.seek(SeekFrom::Start(layer.part.offset))?;
    let stored = BufReader::new(file).take(layer.part.size);
    // One byte more than may be: to tell "as many as allowed" from "too many".
    let room = MAX_ARCHIVE_BYTES.saturating_sub(used);
    let mut unpacked = match layer.compression {
        Compression::None if layer.part.size > room => return Err(too_large()),
        Compression::None => return Ok((Box::new(stored), layer.part.size)),
        Compression::Gzip => flate2::read::MultiGzDecoder::new(stored).take(room + 1),
        Compression::Zstd => {
            let problem =
                "it is compressed by zstd, which is not read here; save the image with gzip or without compression";
            return Err(io::Error::other(problem));
        }
    };
    let mut plain = tempfile::tempfile_in(scratch)?;
    let size = io::copy(&mut unpacked, &mut plain)?;
    if size > room {
        return Err(too_large());
    }
    plain.rewind()?;
    Ok((Box::new(BufReader::new(plain)), size))
}

fn too_large() -> io::Error {
    io::Error::other(format!("the image has more than {MAX_ARCHIVE_BYTES} bytes, the most that workers fetch"))
}

fn copy(from: &mut dyn Read, to: &mut impl Write, hasher: &mut Sha256, size: u64) -> io::Result<u64> {
    let mut from = from.take(size);
    let mut buffer = vec![0; 128 << 10];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(copied);
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        copied += read as u64;
    }
}

struct Hashing<W> {
    inner: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> Hashing<W> {
    fn entry(&mut self, name: &str, data: &[u8]) -> io::Result<()> {
        self.write_all(&tar::file_header(name.as_bytes(), data.len() as u64))?;
        self.write_all(data)?;
        self.pad(data.len() as u64)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        self.write_all(&vec![0; tar::padding(size) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::Archive;
    use crate::archive::tests::tar_of;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn normalized(layer: &[u8], diff_id: &str) -> Result<Vec<u8>, ImagePushError> {
        let config = format!(
            r#"{{"os":"linux","architecture":"amd64","rootfs":{{"diff_ids":["sha256:{diff_id}","sha256:{diff_id}"]}}}}"#
        );
        let manifest = br#"[{"Config":"c","RepoTags":["me:latest"],"Layers":["l","l"]}]"#;
        let source = tar_of(&[("c", config.as_bytes()), ("l", layer), ("manifest.json", manifest)]);
        let archive = Archive::read(source.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("out.tar");
        let (sha256, size) = write(source.path(), archive.choose(None).unwrap(), &target, dir.path())?;
        let bytes = std::fs::read(&target).unwrap();
        assert_eq!((sha256, size), (B256::from_slice(&Sha256::digest(&bytes)), bytes.len() as u64));
        Archive::read(&target).unwrap().as_workers_need_it().unwrap();
        Ok(bytes)
    }

    #[test]
    fn compressed_and_plain_layers_give_the_same_archive() {
        let layer = vec![7_u8; 3000];
        let diff_id = hex::encode(Sha256::digest(&layer));
        let plain = normalized(&layer, &diff_id).unwrap();
        assert_eq!(plain, normalized(&gzip(&layer), &diff_id).unwrap());
        assert!(!String::from_utf8_lossy(&plain).contains("latest"), "tags would make the same image another");
        // Config, one layer though it is named twice, manifest, end.
        assert!(plain.len() < 8192, "{}", plain.len());
    }

    #[test]
    fn a_layer_that_is_not_what_the_config_says_is_refused() {
        let error = normalized(b"other", &"ab".repeat(32)).unwrap_err().to_string();
        assert!(error.contains("layer 1: SHA-256 of its content found"), "{error}");
        let zstd = normalized(&[0x28, 0xb5, 0x2f, 0xfd, 0], &"ab".repeat(32)).unwrap_err().to_string();
        assert!(zstd.contains("compressed by zstd"), "{zstd}");
    }
}
