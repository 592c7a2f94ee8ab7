//! What an image is beside an archive of an engine: a WebAssembly module; and a container image made from one static binary,
//! without any engine: what `docker load` takes, the same bytes each time.

use sha2::{Digest, Sha256};

use crate::tar;

/// Platform of a WebAssembly module, in OCI's words. A module is an image of one file, named by its SHA-256.
pub const WASM_PLATFORM: &str = "wasi/wasm";
/// First bytes of a module: magic and version. A component has another version.
pub const WASM_MAGIC: [u8; 8] = *b"\0asm\x01\0\0\0";

/// Image with nothing in it but `binary` as `/NAME`, as a plain archive for `docker load`.
///
/// Gives the archive, its SHA-256 (the name of the blob), and the image ID ("sha256:…") that an engine finds in it.
/// The archive holds no tag. `platform` is an OCI platform, "linux/amd64" or "linux/arm/v7"; `entrypoint_name` is cut to
/// its letters, digits, `.`, `_` and `-`.
pub fn archive_from_binary(binary: &[u8], platform: &str, entrypoint_name: &str) -> (Vec<u8>, [u8; 32], String) {
    let name: String = entrypoint_name
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        .take(64)
        .collect();
    let name = if name.trim_matches('.').is_empty() { "app".to_owned() } else { name };
    let mut layer = tar::file_header_with_mode(name.as_bytes(), binary.len() as u64, 0o755);
    push_data(&mut layer, binary);
    layer.extend_from_slice(&tar::END);
    let diff_id = hex::encode(Sha256::digest(&layer));

    let mut parts = platform.splitn(3, '/');
    let entrypoint = format!("/{name}");
    let config = Config {
        os: parts.next().unwrap_or_default(),
        architecture: parts.next().unwrap_or_default(),
        variant: parts.next(),
        created: EPOCH,
        config: RunConfig { entrypoint: [&entrypoint], working_dir: "/" },
        rootfs: RootFs { kind: "layers", diff_ids: [format!("sha256:{diff_id}")] },
        history: [History { created: EPOCH, created_by: "sunwork" }],
    };
    let config = serde_json::to_vec(&config).expect("strings only: nothing that JSON lacks");
    let id = hex::encode(Sha256::digest(&config));
    let config_name = format!("{id}.json");
    let layer_name = format!("{diff_id}/layer.tar");
    let manifest = [Manifest { config: &config_name, repo_tags: None, layers: [&layer_name] }];
    let manifest = serde_json::to_vec(&manifest).expect("strings only: nothing that JSON lacks");

    let mut archive = Vec::new();
    for (name, data) in [(config_name.as_str(), config.as_slice()), (&layer_name, &layer), ("manifest.json", &manifest)]
    {
        archive.extend_from_slice(&tar::file_header(name.as_bytes(), data.len() as u64));
        push_data(&mut archive, data);
    }
    archive.extend_from_slice(&tar::END);
    let digest = Sha256::digest(&archive).into();
    (archive, digest, format!("sha256:{id}"))
}

const EPOCH: &str = "1970-01-01T00:00:00Z";

// Structs and not `serde_json::json!`: the order of a JSON object's keys must not hang on a feature that some crate of the
// workspace turns on, for the ID is taken over these bytes.

#[derive(serde::Serialize)]
struct Config<'a> {
    architecture: &'a str,
    config: RunConfig<'a>,
    created: &'a str,
    history: [History<'a>; 1],
    os: &'a str,
    rootfs: RootFs<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct RunConfig<'a> {
    entrypoint: [&'a str; 1],
    working_dir: &'a str,
}

#[derive(serde::Serialize)]
struct History<'a> {
    created: &'a str,
    created_by: &'a str,
}

#[derive(serde::Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    diff_ids: [String; 1],
}

#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Manifest<'a> {
    config: &'a str,
    repo_tags: Option<[&'a str; 1]>,
    layers: [&'a str; 1],
}

fn push_data(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(data);
    out.resize(out.len() + tar::padding(data.len() as u64) as usize, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_binary_gives_the_same_image() {
        let one = archive_from_binary(b"binary", "linux/amd64", "app");
        assert_eq!(one, archive_from_binary(b"binary", "linux/amd64", "app"));
        assert_ne!(one.2, archive_from_binary(b"binary", "linux/arm64", "app").2);
        assert_ne!(one.2, archive_from_binary(b"other", "linux/amd64", "app").2);
        let digest: [u8; 32] = Sha256::digest(&one.0).into();
        assert_eq!(digest, one.1);
    }

    #[test]
    fn odd_names_do_no_harm() {
        let (archive, ..) = archive_from_binary(b"b", "linux/amd64", "../../etc/\"passwd");
        assert!(String::from_utf8_lossy(&archive).contains("/....etcpasswd"));
        let (archive, ..) = archive_from_binary(b"b", "linux/amd64", "..");
        assert!(String::from_utf8_lossy(&archive).contains("\"/app\""));
    }
}
