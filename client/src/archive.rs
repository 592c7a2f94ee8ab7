//! Image archives: what one holds, and whether workers take it as it is. An archive may come from anywhere: every size is
//! bounded, nothing is unpacked.
//!
//! Workers take what `docker save` wrote with plain layers: a `manifest.json` with exactly one image. Engines with containerd's
//! image store write compressed layers and several platforms; [`crate::image_push`] makes one plain archive of those.
//!
//! A WebAssembly module is taken as it is, too: an image of no layers for the platform wasi/wasm, named by its own hash.

mod error;
mod index;
mod oci;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use sunwork_protocol::image::{WASM_MAGIC, WASM_PLATFORM};

pub use error::ArchiveError;
use index::{Entries, Part};

/// Most layers of an image; workers refuse more.
const MAX_LAYERS: usize = 128;

/// How a layer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// A plain tar, the only one that workers take.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// By the first bytes.
    fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A layer of an image in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its entry.
    pub name: String,
    /// SHA-256 of the plain layer, "sha256:…", as the image's config says.
    pub diff_id: String,
    /// Bytes in the archive.
    pub size_bytes: u64,
    /// How it is stored.
    pub compression: Compression,
    pub(crate) part: Part,
}

/// An image in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedImage {
    /// "sha256:" and the hash of its config.
    pub id: String,
    /// OCI platform without the variant: workers' classes name os and architecture.
    pub platform: String,
    /// Its layers, the lowest first.
    pub layers: Vec<Layer>,
    pub(crate) config: Vec<u8>,
}

/// What an archive holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Images that `manifest.json` names; workers look at these only.
    pub saved: Vec<ArchivedImage>,
    /// Images that only the OCI index names.
    pub indexed: Vec<ArchivedImage>,
}

#[derive(Deserialize)]
struct ManifestEntry {
    #[serde(rename = "Config")]
    config: String,
    #[serde(rename = "Layers", default)]
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct ImageConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

impl Archive {
    /// Reads what the archive at `path` holds. Blocking.
    ///
    /// # Errors
    /// See [`ArchiveError`].
    pub fn read(path: &Path) -> Result<Self, ArchiveError> {
        let mut file = File::open(path).map_err(ArchiveError::NotATar)?;
        let mut start = Vec::new();
        (&mut file).take(8).read_to_end(&mut start).map_err(ArchiveError::NotATar)?;
        if start.starts_with(&WASM_MAGIC[..4]) {
            let image = module(&start, file).map_err(ArchiveError::NotATar)?.ok_or(ArchiveError::NotAModule)?;
            return Ok(Self { saved: vec![image], indexed: vec![] });
        }
        let compression = Compression::of(&start);
        if compression != Compression::None {
            return Err(ArchiveError::Compressed { what: "the file".into(), by: compression.name() });
        }
        let mut entries = Entries::read(file)?;
        let saved = match entries.json("manifest.json")? {
            Some(json) => {
                let manifests: Vec<ManifestEntry> =
                    serde_json::from_slice(&json).map_err(|e| ArchiveError::bad("manifest.json", e))?;
                let images = manifests.into_iter().map(|m| image(&mut entries, "manifest.json", &m.config, m.layers));
                images.collect::<Result<Vec<_>, _>>()?
            }
            None => Vec::new(),
        };
        let mut indexed = Vec::new();
        for (config, layers) in oci::images(&mut entries)? {
            let image = image(&mut entries, "index.json", &config, layers)?;
            // Attestations are stored like images, without a platform.
            let attestation = image.platform.starts_with("unknown/") || image.platform == "/";
            if !attestation && ![&saved, &indexed].iter().any(|list| list.iter().any(|i| i.id == image.id)) {
                indexed.push(image);
            }
        }
        if saved.is_empty() && indexed.is_empty() {
            return Err(ArchiveError::NoManifest);
        }
        Ok(Self { saved, indexed })
    }

    /// The one image that workers will run, if they take the archive as it is.
    ///
    /// # Errors
    /// Why they will not, and what to do.
    pub fn as_workers_need_it(&self) -> Result<&ArchivedImage, ArchiveError> {
        let image = match self.saved.as_slice() {
            [image] => image,
            [] => return Err(ArchiveError::OnlyOci),
            many => return Err(ArchiveError::ManyImages { found: many.len(), platforms: platforms(many.iter()) }),
        };
        let compressed = image.layers.iter().find(|layer| layer.compression != Compression::None);
        match compressed {
            Some(layer) => {
                let what = format!("layer {:?}", layer.name);
                Err(ArchiveError::Compressed { what, by: layer.compression.name() })
            }
            None => Ok(image),
        }
    }

    /// The image for `platform` (os/arch), or the only one.
    ///
    /// # Errors
    /// When there is none, or several and nobody said which.
    pub fn choose(&self, platform: Option<&str>) -> Result<&ArchivedImage, ArchiveError> {
        let all = || self.saved.iter().chain(&self.indexed);
        let fits = |image: &&ArchivedImage| platform.is_none_or(|wanted| base_platform(wanted) == image.platform);
        let found: Vec<&ArchivedImage> = all().filter(fits).collect();
        match (found.as_slice(), platform) {
            ([image], _) => Ok(image),
            ([], Some(wanted)) => {
                Err(ArchiveError::OtherPlatform { wanted: wanted.to_owned(), found: platforms(all()) })
            }
            _ => Err(ArchiveError::ManyImages { found: found.len(), platforms: platforms(found.into_iter()) }),
        }
    }
}

/// A WebAssembly module: the file is the image. None for what is a component, or of a version to come.
fn module(start: &[u8], mut rest: File) -> std::io::Result<Option<ArchivedImage>> {
    if start != WASM_MAGIC {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    hasher.update(start);
    let mut piece = vec![0; 64 * 1024];
    loop {
        match rest.read(&mut piece)? {
            0 => break,
            read => hasher.update(&piece[..read]),
        }
    }
    let id = format!("sha256:{}", hex::encode(hasher.finalize()));
    Ok(Some(ArchivedImage { id, platform: WASM_PLATFORM.to_owned(), layers: vec![], config: vec![] }))
}

/// "linux/arm64/v8" as "linux/arm64".
pub(crate) fn base_platform(platform: &str) -> String {
    platform.splitn(3, '/').take(2).collect::<Vec<_>>().join("/")
}

fn platforms<'a>(images: impl Iterator<Item = &'a ArchivedImage>) -> String {
    images.map(|image| image.platform.as_str()).collect::<Vec<_>>().join(", ")
}

/// The image of one manifest (called `by`), whose parts are entries of the archive.
fn image(entries: &mut Entries, by: &str, config: &str, layers: Vec<String>) -> Result<ArchivedImage, ArchiveError> {
    let missing = |what: &str, name: &str| {
        ArchiveError::bad(by, format!("it names a {what} {name:?} that is not in the archive"))
    };
    let bytes = entries.json(config)?.ok_or_else(|| missing("config", config))?;
    let parsed: ImageConfig = serde_json::from_slice(&bytes).map_err(|e| ArchiveError::bad(config, e))?;
    let (found, expected) = (layers.len(), parsed.rootfs.diff_ids.len());
    if found != expected || found > MAX_LAYERS {
        let problem = format!("it has {found} layers, expected {expected} and at most {MAX_LAYERS}");
        return Err(ArchiveError::bad(by, problem));
    }
    let mut parts = Vec::with_capacity(found);
    for (name, diff_id) in layers.into_iter().zip(parsed.rootfs.diff_ids) {
        let part = entries.part(&name).ok_or_else(|| missing("layer", &name))?;
        let compression = Compression::of(&entries.start(part, 4)?);
        parts.push(Layer { name, diff_id, size_bytes: part.size, compression, part });
    }
    Ok(ArchivedImage {
        id: format!("sha256:{}", hex::encode(Sha256::digest(&bytes))),
        platform: format!("{}/{}", parsed.os, parsed.architecture),
        layers: parts,
        config: bytes,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tar_of(entries: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut builder = tar::Builder::new(file.reopen().unwrap());
        for (name, body) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(body.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *body).unwrap();
        }
        builder.finish().unwrap();
        file
    }

    fn read(entries: &[(&str, &[u8])]) -> Result<Archive, ArchiveError> {
        Archive::read(tar_of(entries).path())
    }

    fn refusal(entries: &[(&str, &[u8])]) -> String {
        match read(entries) {
            Ok(archive) => archive.as_workers_need_it().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        }
    }

    const ARM: &[u8] = br#"{"os":"linux","architecture":"arm64","variant":"v8"}"#;
    const AMD: &[u8] = br#"{"os":"linux","architecture":"amd64"}"#;

    #[test]
    fn a_module_is_an_image_and_a_component_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"\0asm\x01\0\0\0").unwrap();
        let archive = Archive::read(file.path()).unwrap();
        let image = archive.as_workers_need_it().unwrap();
        assert_eq!(image.platform, "wasi/wasm");
        assert_eq!(image.id, format!("sha256:{}", hex::encode(Sha256::digest(b"\0asm\x01\0\0\0"))));
        std::fs::write(file.path(), b"\0asm\x0d\0\x01\0").unwrap();
        assert!(Archive::read(file.path()).unwrap_err().to_string().contains("component"));
    }

    #[test]
    fn platform_is_read_from_the_config() {
        let archive = read(&[("abc.json", ARM), ("manifest.json", br#"[{"Config":"abc.json","Layers":[]}]"#)]).unwrap();
        assert_eq!(archive.as_workers_need_it().unwrap().platform, "linux/arm64");
        assert_eq!(archive.choose(Some("linux/arm64/v8")).unwrap().platform, "linux/arm64");
        let other = archive.choose(Some("linux/amd64")).unwrap_err().to_string();
        assert!(other.contains("no image for linux/amd64") && other.contains("linux/arm64"), "{other}");
    }

    #[test]
    fn what_is_no_image_archive_says_so() {
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), "hello").unwrap();
        assert!(matches!(Archive::read(text.path()), Err(ArchiveError::NotATar(_) | ArchiveError::NoManifest)));
        assert!(matches!(read(&[("x", b"y")]), Err(ArchiveError::NoManifest)));
        let gone = refusal(&[("manifest.json", br#"[{"Config":"a","Layers":[]}]"#)]);
        assert!(gone.contains("not in the archive"), "{gone}");
        std::fs::write(text.path(), [0x1f, 0x8b, 8, 0]).unwrap();
        let gzip = Archive::read(text.path()).unwrap_err().to_string();
        assert!(gzip.contains("the file is compressed by gzip") && gzip.contains("gunzip"), "{gzip}");
    }

    #[test]
    fn several_platforms_are_named_and_one_can_be_chosen() {
        let manifest = br#"[{"Config":"a","Layers":[]},{"Config":"b","Layers":[]}]"#;
        let entries: [(&str, &[u8]); 3] = [("a", ARM), ("b", AMD), ("manifest.json", manifest)];
        let said = refusal(&entries);
        assert!(said.contains("2 images (linux/arm64, linux/amd64)") && said.contains("--platform"), "{said}");
        assert_eq!(read(&entries).unwrap().choose(Some("linux/amd64")).unwrap().platform, "linux/amd64");
        assert!(matches!(read(&entries).unwrap().choose(None), Err(ArchiveError::ManyImages { found: 2, .. })));
    }

    #[test]
    fn compressed_layers_are_found_before_anything_is_bought() {
        let config = br#"{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["sha256:00"]}}"#;
        let manifest = br#"[{"Config":"c","Layers":["l"]}]"#;
        let said = refusal(&[("c", config), ("l", &[0x1f, 0x8b, 8, 0, 0]), ("manifest.json", manifest)]);
        assert!(said.contains("layer \"l\" is compressed by gzip") && said.contains("sunwork image push"), "{said}");
    }

    #[test]
    fn an_oci_layout_is_understood_and_its_attestations_are_skipped() {
        let blob = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
        let path = |bytes: &[u8]| format!("blobs/sha256/{}", blob(bytes));
        let manifest = |config: &[u8]| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"digest":"sha256:{}"}},"layers":[]}}"#,
                blob(config)
            )
        };
        let unknown = br#"{"os":"unknown","architecture":"unknown"}"#;
        let manifests = [manifest(ARM), manifest(AMD), manifest(unknown)];
        let list: Vec<String> =
            manifests.iter().map(|m| format!(r#"{{"digest":"sha256:{}"}}"#, blob(m.as_bytes()))).collect();
        let inner = format!(r#"{{"manifests":[{}]}}"#, list.join(","));
        let index = format!(
            r#"{{"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"sha256:{}"}}]}}"#,
            blob(inner.as_bytes())
        );
        let mut entries: Vec<(String, Vec<u8>)> = vec![("index.json".into(), index.into_bytes())];
        for bytes in [ARM, AMD, unknown, inner.as_bytes()].into_iter().chain(manifests.iter().map(|m| m.as_bytes())) {
            entries.push((path(bytes), bytes.to_vec()));
        }
        let entries: Vec<(&str, &[u8])> = entries.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
        let archive = read(&entries).unwrap();
        assert_eq!((archive.saved.len(), archive.indexed.len()), (0, 2));
        assert_eq!(archive.choose(Some("linux/amd64")).unwrap().platform, "linux/amd64");
        assert!(archive.as_workers_need_it().unwrap_err().to_string().contains("OCI layout"));
    }
}
