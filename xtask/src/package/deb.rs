//! The file format of Debian packages: an `ar` archive of a version, a control archive and a data archive. The same bytes each
//! time: one time, owners are root, names are sorted.
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use eyre::WrapErr;
use flate2::{Compression, GzBuilder};
use sha2::Digest;
use tar::{Builder, EntryType, Header};

/// Time of all files, Unix seconds: 2026-01-01. The same each time, and not so old that tools take it for a mistake.
const TIME_SECS: u64 = 1_767_225_600;

/// A file of a package or image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Content.
    pub bytes: Vec<u8>,
    /// Rights.
    pub mode: u32,
}

/// Files by their path without the leading slash.
pub type Files = BTreeMap<String, File>;

/// A tar archive of the root, the folders that lead to these files, and the files.
///
/// # Errors
/// When a name is too long for any header.
pub fn tar(files: &Files) -> eyre::Result<Vec<u8>> {
    tar_with(files, &[])
}

/// The same with empty folders that belong to somebody: path and the number of user and group.
///
/// # Errors
/// As [`tar()`].
pub fn tar_with(files: &Files, owned: &[(&str, u32)]) -> eyre::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let header = |kind, mode, size| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(TIME_SECS);
        header.set_uid(0);
        header.set_gid(0);
        // The numbers count; without these lintian takes the owner for an odd one.
        let _ = header.set_username("root").and_then(|()| header.set_groupname("root"));
        header
    };
    let mut folders = BTreeSet::new();
    for path in files.keys() {
        folders.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
    }
    for folder in std::iter::once(".".to_owned()).chain(folders) {
        builder.append_data(&mut header(EntryType::Directory, 0o755, 0), format!("{folder}/"), std::io::empty())?;
    }
    for (path, user) in owned {
        let mut header = header(EntryType::Directory, 0o700, 0);
        header.set_uid((*user).into());
        header.set_gid((*user).into());
        builder.append_data(&mut header, format!("{path}/"), std::io::empty())?;
    }
    for (path, file) in files {
        let mut header = header(EntryType::Regular, file.mode, file.bytes.len() as u64);
        builder.append_data(&mut header, path, file.bytes.as_slice()).wrap_err_with(|| format!("packing {path}"))?;
    }
    Ok(builder.into_inner()?)
}

/// Compressed without name and time.
///
/// # Errors
/// None but those of memory.
pub fn gzip(bytes: &[u8]) -> eyre::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// The package. `control` holds the fields and the maintainer scripts by name; sums and the list of settings files are added.
///
/// # Errors
/// When a name does not fit.
pub fn package(mut control: Files, data: &Files) -> eyre::Result<Vec<u8>> {
    let plain = |text: String| File { bytes: text.into_bytes(), mode: 0o644 };
    let settings: String =
        data.keys().filter(|path| path.starts_with("etc/")).map(|path| format!("/{path}\n")).collect();
    let sums = data.iter().filter(|(path, _)| !path.starts_with("etc/"));
    let sums: String = sums.map(|(path, file)| format!("{}  {path}\n", md5(&file.bytes))).collect();
    control.insert("conffiles".into(), plain(settings));
    control.insert("md5sums".into(), plain(sums));
    let mut out = b"!<arch>\n".to_vec();
    member(&mut out, "debian-binary", b"2.0\n");
    member(&mut out, "control.tar.gz", &gzip(&tar(&control)?)?);
    member(&mut out, "data.tar.gz", &gzip(&tar(data)?)?);
    Ok(out)
}

/// Name, time, owner, group, mode, size, each at its place, then the bytes, padded to an even number.
fn member(out: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    out.extend_from_slice(
        format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len()).as_bytes(),
    );
    out.extend_from_slice(bytes);
    if bytes.len() % 2 == 1 {
        out.push(b'\n');
    }
}

/// What dpkg checks files against later (`dpkg --verify`); no protection against anybody.
fn md5(bytes: &[u8]) -> String {
    hex::encode(md5::Md5::digest(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn files() -> Files {
        let file = |text: &str, mode| File { bytes: text.as_bytes().to_vec(), mode };
        Files::from([
            ("usr/bin/x".to_owned(), file("program", 0o755)),
            ("etc/x/x.toml".to_owned(), file("# nothing\n", 0o644)),
        ])
    }

    #[test]
    fn a_package_is_the_same_each_time_and_has_its_three_members() {
        let control = Files::from([("control".to_owned(), File { bytes: b"Package: x\n".to_vec(), mode: 0o644 })]);
        let made = package(control.clone(), &files()).unwrap();
        assert_eq!(made, package(control, &files()).unwrap());
        assert!(made.starts_with(b"!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"));
        let text = String::from_utf8_lossy(&made);
        assert!(text.contains("control.tar.gz  ") && text.contains("data.tar.gz     "));
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_modes_are_kept() {
        let bytes = tar(&files()).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries: Vec<(String, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
            })
            .collect();
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["./", "etc/", "etc/x/", "usr/", "usr/bin/", "etc/x/x.toml", "usr/bin/x"]);
        assert_eq!(entries.last().unwrap().1, 0o755);
    }

    #[test]
    fn sums_are_those_that_dpkg_makes() {
        assert_eq!(md5(b""), "d41d8cd98f00b204e9800998ecf8427e");
    }
}
