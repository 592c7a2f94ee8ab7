//! Reading a saved image archive before an engine sees it.
//!
//! The archive is a stranger's. Its hash says only that it is the one that was bought. So:
//! - it is read here first, with caps, and what it is for (platform, image ID) is known before anything is loaded;
//! - layers that could unpack to more than their bytes (compressed or sparse) are refused;
//! - the engine gets a new archive with only the config and the layers: no tags (a tag in it would replace an image of the
//!   operator's of the same name) and nothing else.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use sunwork_protocol::tar::{self, Event, Kind, Reader, TarError};

use super::RuntimeError;

/// Largest archive that is fetched.
pub const MAX_ARCHIVE_BYTES: u64 = 16 << 30;
/// Entries of an archive, and files of all its layers.
const MAX_ENTRIES: usize = 4096;
const MAX_LAYER_FILES: u64 = 1_000_000;
const MAX_LAYERS: usize = 128;
/// Largest manifest.json or image config.
const MAX_JSON_BYTES: u64 = 1 << 20;
const CHUNK_BYTES: usize = 256 * 1024;

/// An archive that was read and found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageArchive {
    /// ID of the image: "sha256:" and the hash of its config.
    pub id: String,
    /// Its platform, "os/arch" or "os/arch/variant".
    pub platform: String,
    /// Hashes of its layers, by which a loaded image is recognised where the engine uses other IDs.
    pub diff_ids: Vec<String>,
    path: PathBuf,
    config: Vec<u8>,
    layers: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    offset: u64,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest {
    config: String,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

fn invalid(reason: impl Into<String>) -> RuntimeError {
    RuntimeError::ArchiveInvalid { reason: reason.into() }
}

/// What goes wrong while a piece of an archive is read.
enum ScanError {
    Tar(TarError),
    Invalid(String),
}

impl From<TarError> for ScanError {
    fn from(error: TarError) -> Self {
        Self::Tar(error)
    }
}

impl ScanError {
    fn into_runtime(self, what: &str) -> RuntimeError {
        match self {
            Self::Tar(error) => invalid(format!("{what}: {error}")),
            Self::Invalid(reason) => invalid(format!("{what}: {reason}")),
        }
    }
}

impl ImageArchive {
    /// Reads the archive at `path`, which must hash to `digest`. Blocking: reads it twice.
    ///
    /// # Errors
    /// [`RuntimeError::ArchiveInvalid`] with what was found, or [`RuntimeError::Io`].
    pub fn open(path: &Path, digest: &[u8; 32]) -> Result<Self, RuntimeError> {
        let doing = || format!("reading the image archive {}", path.display());
        let mut file = File::open(path).map_err(RuntimeError::io(doing()))?;
        let entries = index(&mut file, digest, doing())?;

        let manifest = entries.get("manifest.json").ok_or_else(|| {
            let found = if entries.contains_key("oci-layout") { "an OCI layout" } else { "no manifest.json" };
            invalid(format!("{found}, expected what `docker save` writes (with a manifest.json)"))
        })?;
        let manifest = read_json(&mut file, manifest, "manifest.json").map_err(RuntimeError::io(doing()))??;
        let mut manifests: Vec<Manifest> =
            serde_json::from_slice(&manifest).map_err(|e| invalid(format!("manifest.json: {e}")))?;
        let found = manifests.len();
        let (Some(manifest), 1) = (manifests.pop(), found) else {
            return Err(invalid(format!("{found} images in it, expected 1")));
        };
        let config_part = entries
            .get(&manifest.config)
            .ok_or_else(|| invalid(format!("the image config {:?} is missing", manifest.config)))?;
        let config_bytes =
            read_json(&mut file, config_part, "the image config").map_err(RuntimeError::io(doing()))??;
        let config: Config =
            serde_json::from_slice(&config_bytes).map_err(|e| invalid(format!("the image config: {e}")))?;
        let (layers, expected) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != expected || layers > MAX_LAYERS {
            return Err(invalid(format!("{layers} layers, expected {expected} and at most {MAX_LAYERS}")));
        }
        let mut parts = Vec::with_capacity(layers);
        let mut files = 0;
        for (i, (name, diff_id)) in manifest.layers.iter().zip(&config.rootfs.diff_ids).enumerate() {
            let part = entries.get(name).ok_or_else(|| invalid(format!("layer {:?} is missing", name)))?;
            let what = format!("layer {}", i + 1);
            check_layer(&mut file, part, diff_id, &mut files)
                .map_err(RuntimeError::io(doing()))?
                .map_err(|e| e.into_runtime(&what))?;
            parts.push(part.clone());
        }
        let mut platform = format!("{}/{}", config.os, config.architecture);
        if let Some(variant) = config.variant.filter(|v| !v.is_empty()) {
            platform = format!("{platform}/{variant}");
        }
        Ok(Self {
            id: format!("sha256:{}", hex::encode(Sha256::digest(&config_bytes))),
            platform,
            diff_ids: config.rootfs.diff_ids,
            path: path.to_owned(),
            config: config_bytes,
            layers: parts,
        })
    }

    /// The archive that the engine gets, piece by piece.
    pub fn load_stream(&self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let id = self.id.trim_start_matches("sha256:");
        let config_name = format!("{id}.json");
        let names: Vec<String> = (0..self.layers.len()).map(|i| format!("layer-{i}.tar")).collect();
        let manifest = serde_json::json!([{ "Config": config_name, "Layers": names, "RepoTags": null }]).to_string();
        let mut pieces = vec![memory(&config_name, &self.config)];
        for (name, part) in names.iter().zip(&self.layers) {
            pieces.push(Piece::Memory(tar::file_header(name.as_bytes(), part.size)));
            pieces.push(Piece::File { offset: part.offset, left: part.size });
            pieces.push(Piece::Memory(vec![0; tar::padding(part.size) as usize]));
        }
        pieces.push(memory("manifest.json", manifest.as_bytes()));
        pieces.push(Piece::Memory(tar::END.to_vec()));
        pieces.reverse();
        let path = self.path.clone();
        futures::stream::try_unfold((path, pieces), |(path, mut pieces)| async move {
            let Some(piece) = pieces.pop() else { return Ok(None) };
            match piece {
                Piece::Memory(bytes) => Ok(Some((Bytes::from(bytes), (path, pieces)))),
                Piece::File { left: 0, .. } => Ok(Some((Bytes::new(), (path, pieces)))),
                Piece::File { offset, left } => {
                    let take = left.min(CHUNK_BYTES as u64);
                    let from = path.clone();
                    let chunk = tokio::task::spawn_blocking(move || read_at(&from, offset, take as usize))
                        .await
                        .map_err(io::Error::other)??;
                    pieces.push(Piece::File { offset: offset + take, left: left - take });
                    Ok(Some((Bytes::from(chunk), (path, pieces))))
                }
            }
        })
    }
}

enum Piece {
    Memory(Vec<u8>),
    File { offset: u64, left: u64 },
}

fn memory(name: &str, data: &[u8]) -> Piece {
    let mut bytes = tar::file_header(name.as_bytes(), data.len() as u64);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len() + tar::padding(data.len() as u64) as usize, 0);
    Piece::Memory(bytes)
}

fn read_at(path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut chunk = vec![0; length];
    file.read_exact(&mut chunk)?;
    Ok(chunk)
}

/// Finds where every file lies and checks the archive's hash on the way. A link to another file of the archive (as `docker
/// save` makes for a layer that is there twice) stands for that file.
fn index(file: &mut File, digest: &[u8; 32], doing: String) -> Result<HashMap<String, Part>, RuntimeError> {
    let mut files: HashMap<String, Part> = HashMap::new();
    let mut links: Vec<(String, String)> = Vec::new();
    let mut entries = 0;
    let mut reader = Reader::new();
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut first = true;
    let mut broken = Ok(());
    loop {
        let read = file.read(&mut chunk).map_err(RuntimeError::io(doing.clone()))?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        if std::mem::take(&mut first) && compression(&chunk[..read]).is_some() {
            let kind = compression(&chunk[..read]).unwrap_or_default();
            broken = Err(ScanError::Invalid(format!("compressed by {kind}, expected a plain tar archive")));
        }
        if broken.is_ok() {
            broken = reader.feed(&chunk[..read], &mut |event| -> Result<(), ScanError> {
                let Event::Entry(entry) = event else { return Ok(()) };
                entries += 1;
                if entries > MAX_ENTRIES {
                    return Err(ScanError::Invalid(format!("more than {MAX_ENTRIES} entries")));
                }
                let Ok(name) = std::str::from_utf8(&entry.path) else { return Ok(()) };
                let name = name.trim_start_matches("./").to_owned();
                match entry.kind {
                    Kind::File => {
                        files.insert(name, Part { offset: entry.data_offset, size: entry.size });
                    }
                    Kind::SymLink => links.push((name, String::from_utf8_lossy(&entry.link).into_owned())),
                    _ => {}
                }
                Ok(())
            });
        }
    }
    // The hash first: with other bytes than were bought nothing else about them matters.
    let found: [u8; 32] = hasher.finalize().into();
    if found != *digest {
        return Err(invalid(format!("it hashes to {}, expected {}", hex::encode(found), hex::encode(digest))));
    }
    broken.and_then(|()| Ok(reader.finish()?)).map_err(|e| e.into_runtime("not a tar archive"))?;
    for (name, target) in links {
        if let Some(part) = resolve(&name, &target).and_then(|path| files.get(&path)).cloned() {
            files.entry(name).or_insert(part);
        }
    }
    Ok(files)
}

/// Path of a relative link's target, within the archive.
fn resolve(link: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The outer result is this machine's, the inner one is the archive's.
fn read_json(file: &mut File, part: &Part, what: &str) -> io::Result<Result<Vec<u8>, RuntimeError>> {
    if part.size > MAX_JSON_BYTES {
        return Ok(Err(invalid(format!("{what} has {} bytes, expected at most {MAX_JSON_BYTES}", part.size))));
    }
    file.seek(SeekFrom::Start(part.offset))?;
    let mut bytes = vec![0; part.size as usize];
    file.read_exact(&mut bytes)?;
    Ok(Ok(bytes))
}

fn compression(start: &[u8]) -> Option<&'static str> {
    [
        (&[0x1f, 0x8b][..], "gzip"),
        (b"BZh", "bzip2"),
        (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
        (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    ]
    .iter()
    .find(|(magic, _)| start.starts_with(magic))
    .map(|(_, name)| *name)
}

/// Reads a layer through: a plain tar that hashes to what the config says and unpacks to no more than its own size.
fn check_layer(file: &mut File, part: &Part, diff_id: &str, files: &mut u64) -> io::Result<Result<(), ScanError>> {
    file.seek(SeekFrom::Start(part.offset))?;
    let mut rest = file.take(part.size);
    let mut reader = Reader::new();
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut first = true;
    loop {
        let read = rest.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        if std::mem::take(&mut first)
            && let Some(kind) = compression(&chunk[..read])
        {
            let reason = format!("compressed by {kind}, expected a plain tar archive, for its size to be known");
            return Ok(Err(ScanError::Invalid(reason)));
        }
        hasher.update(&chunk[..read]);
        let fed = reader.feed(&chunk[..read], &mut |event| -> Result<(), ScanError> {
            if let Event::Entry(_) = event {
                *files += 1;
                if *files > MAX_LAYER_FILES {
                    return Err(ScanError::Invalid(format!("more than {MAX_LAYER_FILES} files in the image")));
                }
            }
            Ok(())
        });
        if let Err(error) = fed {
            return Ok(Err(error));
        }
    }
    if let Err(error) = reader.finish() {
        return Ok(Err(error.into()));
    }
    let found = format!("sha256:{}", hex::encode(hasher.finalize()));
    if found != diff_id {
        return Ok(Err(ScanError::Invalid(format!("it hashes to {found}, expected {diff_id}"))));
    }
    Ok(Ok(()))
}

/// True when an image for `found` serves terms that ask for `expected`; a variant counts only where it is asked for.
pub fn platform_serves(found: &str, expected: &str) -> bool {
    let cut = |platform: &str| platform.splitn(3, '/').map(str::to_owned).collect::<Vec<_>>();
    let (found, expected) = (cut(found), cut(expected));
    expected.len() >= 2 && found.len() >= 2 && found[..2] == expected[..2] && (expected.len() == 2 || found == expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use sunwork_protocol::image::archive_from_binary;

    fn write(bytes: &[u8]) -> (tempfile::NamedTempFile, [u8; 32]) {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), bytes).expect("writes");
        (file, Sha256::digest(bytes).into())
    }

    fn entry(name: &str, data: &[u8]) -> Vec<u8> {
        let mut out = tar::file_header(name.as_bytes(), data.len() as u64);
        out.extend_from_slice(data);
        out.resize(out.len() + tar::padding(data.len() as u64) as usize, 0);
        out
    }

    fn with_layer(layer: &[u8], diff_id: &str) -> Vec<u8> {
        let config = serde_json::json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [diff_id]}});
        [
            entry("c.json", config.to_string().as_bytes()),
            entry("l.tar", layer),
            entry("manifest.json", br#"[{"Config":"c.json","Layers":["l.tar"],"RepoTags":["nginx:latest"]}]"#),
            tar::END.to_vec(),
        ]
        .concat()
    }

    fn reason(bytes: &[u8]) -> String {
        let (file, digest) = write(bytes);
        ImageArchive::open(file.path(), &digest).expect_err("must be refused").to_string()
    }

    #[tokio::test]
    async fn what_is_loaded_is_the_image_without_its_tags() {
        let (archive, digest, id) = archive_from_binary(&[9; 3000], "linux/arm64/v8", "app");
        let (file, hash) = write(&archive);
        assert_eq!(hash, digest);
        let open = ImageArchive::open(file.path(), &digest).expect("good");
        assert_eq!((open.id.as_str(), open.platform.as_str()), (id.as_str(), "linux/arm64/v8"));
        let pieces: Vec<_> = open.load_stream().map(|piece| piece.expect("reads")).collect().await;
        let (again, hash) = write(&pieces.concat());
        let again = ImageArchive::open(again.path(), &hash).expect("good");
        assert_eq!((again.id, again.diff_ids), (open.id, open.diff_ids));

        let layer = tar::END.to_vec();
        let tagged = with_layer(&layer, &format!("sha256:{}", hex::encode(Sha256::digest(&layer))));
        let (file, hash) = write(&tagged);
        let open = ImageArchive::open(file.path(), &hash).expect("good");
        let pieces: Vec<_> = open.load_stream().map(|piece| piece.expect("reads")).collect().await;
        assert!(!String::from_utf8_lossy(&pieces.concat()).contains("nginx"));
    }

    #[test]
    fn bad_archives_are_refused_with_what_was_found() {
        let (good, ..) = archive_from_binary(b"x", "linux/amd64", "app");
        let (file, _) = write(&good);
        let wrong = ImageArchive::open(file.path(), &[0; 32]).expect_err("other hash").to_string();
        assert!(wrong.contains("hashes to"), "{wrong}");
        assert!(reason(&good[..700]).contains("ends within"));
        assert!(reason(b"hello, this is not an archive".repeat(40).as_slice()).contains("no tar header"));
        assert!(reason(&[&[0x1f, 0x8b, 8][..], &good].concat()).contains("gzip"));
        assert!(reason(&[entry("oci-layout", b"{}"), tar::END.to_vec()].concat()).contains("OCI layout"));
        assert!(reason(&tar::END).contains("no manifest.json"));
        assert!(reason(&[entry("manifest.json", b"[]"), tar::END.to_vec()].concat()).contains("0 images"));
        assert!(reason(&with_layer(&[0x1f, 0x8b, 8, 0], "sha256:0")).contains("gzip"));
        assert!(reason(&with_layer(&tar::END, "sha256:0")).contains("hashes to"));
        // A sparse file of a terabyte in a layer of one block.
        let mut sparse = tar::file_header(b"s", 0);
        sparse[156] = b'S';
        sparse[148..156].fill(b' ');
        let sum: u32 = sparse.iter().map(|b| u32::from(*b)).sum();
        sparse[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(reason(&with_layer(&sparse, "sha256:0")).contains("sparse"));
    }

    #[test]
    fn links_within_the_archive_are_followed_once() {
        assert_eq!(resolve("a/layer.tar", "../b/layer.tar").as_deref(), Some("b/layer.tar"));
        assert_eq!(resolve("layer.tar", "../../etc/passwd"), None);
    }

    #[test]
    fn a_variant_counts_only_where_it_is_asked_for() {
        assert!(platform_serves("linux/arm64/v8", "linux/arm64"));
        assert!(platform_serves("linux/arm/v7", "linux/arm/v7"));
        assert!(!platform_serves("linux/arm", "linux/arm/v7"));
        assert!(!platform_serves("linux/arm64", "linux/amd64"));
        assert!(!platform_serves("linux", "linux/amd64"));
    }
}
