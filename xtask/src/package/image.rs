//! A container image of the worker without a container engine: its programs, the shared libraries that they ask for on this
//! machine, the certificates of the web. No shell, no package manager. It runs as user 65532 with its data in a volume.
use std::{fs, path::PathBuf, time::Duration};

use eyre::{WrapErr, eyre};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    deb::{self, File, Files},
    read,
};
use crate::{
    apps,
    command::{capture, program},
};

const USER: u32 = 65_532;
const DATA: &str = "/var/lib/sunwork-worker";
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
const LDD_LIMIT: Duration = Duration::from_secs(30);

/// An archive for `docker load`, and the image's ID.
pub(super) async fn make(programs: &[PathBuf]) -> eyre::Result<(Vec<u8>, String)> {
    let mut files = Files::new();
    for path in programs {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(format!("usr/bin/{name}"), File { bytes: read(path)?, mode: 0o755 });
        let mut ldd = program("ldd");
        ldd.arg(path);
        for library in libraries(&capture(ldd, LDD_LIMIT).await.wrap_err("asking for shared libraries")?) {
            let bytes = fs::read(&library).wrap_err_with(|| format!("reading the library {library}"))?;
            files.insert(library.trim_start_matches('/').to_owned(), File { bytes, mode: 0o755 });
        }
    }
    let plain = |text: String| File { bytes: text.into_bytes(), mode: 0o644 };
    files.insert("etc/passwd".into(), plain(format!("sunwork:x:{USER}:{USER}::{DATA}:/nonexistent\n")));
    files.insert("etc/group".into(), plain(format!("sunwork:x:{USER}:\n")));
    // Names are asked of DNS: without this file a C library may look elsewhere first.
    files.insert("etc/nsswitch.conf".into(), plain("hosts: files dns\n".into()));
    if let Ok(bytes) = fs::read(CERTIFICATES) {
        files.insert(CERTIFICATES.trim_start_matches('/').into(), File { bytes, mode: 0o644 });
    }
    archive(&files, apps::platform())
}

/// Paths in the words of `ldd`: after the arrow, or the loader's own at the start of its line. The kernel's page has none.
fn libraries(said: &str) -> Vec<String> {
    said.lines()
        .filter_map(|line| {
            let line = line.trim();
            let path = line.split_once("=> ").map_or(line, |(_, path)| path);
            path.starts_with('/').then(|| path.split(" (").next().unwrap_or(path).to_owned())
        })
        .collect()
}

fn archive(files: &Files, platform: &str) -> eyre::Result<(Vec<u8>, String)> {
    let layer = deb::tar_with(files, &[(DATA.trim_start_matches('/'), USER)])?;
    let hash = |bytes: &[u8]| hex::encode(Sha256::digest(bytes));
    let diff_id = hash(&layer);
    let (os, arch) = platform.split_once('/').ok_or_else(|| eyre!("{platform:?} is no platform"))?;
    let config = json!({
        "os": os,
        "architecture": arch,
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": ["/usr/bin/sunwork-worker"],
            "Cmd": ["run"],
            "User": format!("{USER}:{USER}"),
            "WorkingDir": "/",
            "Env": [format!("SUNWORK_WORKER_DATA_DIR={DATA}"), "PATH=/usr/bin".to_owned()],
            "Volumes": { DATA: {} },
            "StopSignal": "SIGTERM",
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask package" }],
    });
    let config = serde_json::to_vec(&config)?;
    let id = hash(&config);
    let manifest = json!([{ "Config": format!("{id}.json"), "Layers": [format!("{diff_id}/layer.tar")], "RepoTags": ["sunwork-worker:latest"] }]);
    let file = |bytes| File { bytes, mode: 0o644 };
    let all = Files::from([
        (format!("{id}.json"), file(config)),
        (format!("{diff_id}/layer.tar"), file(layer)),
        ("manifest.json".to_owned(), file(serde_json::to_vec(&manifest)?)),
    ]);
    Ok((deb::tar(&all)?, format!("sha256:{id}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn libraries_are_read_from_the_words_of_ldd() {
        let said = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x0000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x0000)\n\tlibnone.so => not found\n";
        assert_eq!(libraries(said), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert_eq!(libraries("\tstatically linked\n"), Vec::<String>::new());
    }

    #[test]
    fn an_image_is_the_same_each_time_and_its_config_is_its_id() {
        let files = Files::from([("usr/bin/x".to_owned(), File { bytes: b"x".to_vec(), mode: 0o755 })]);
        let (archive, id) = archive(&files, "linux/amd64").unwrap();
        assert_eq!((archive.clone(), id.clone()), super::archive(&files, "linux/amd64").unwrap());
        let mut archive = tar::Archive::new(archive.as_slice());
        let names: Vec<String> =
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        assert!(names.contains(&format!("{}.json", id.trim_start_matches("sha256:"))), "{names:?}");
    }
}
