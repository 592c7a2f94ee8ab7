//! Where every entry of an archive lies.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::error::ArchiveError;

/// Most entries looked at: images have one per layer, config and platform.
const MAX_ENTRIES: usize = 10_000;
/// Largest JSON read. Image configs have a few KiB, those of images with a long history some hundred.
const MAX_JSON_BYTES: u64 = 4 << 20;
/// Longest chain of links followed.
const MAX_LINKS: usize = 8;

/// Bytes of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub size: u64,
}

pub(super) struct Entries {
    file: File,
    files: HashMap<String, Part>,
    links: HashMap<String, String>,
}

impl Entries {
    pub(super) fn read(mut file: File) -> Result<Self, ArchiveError> {
        let (mut files, mut links) = (HashMap::new(), HashMap::new());
        file.rewind().map_err(ArchiveError::NotATar)?;
        let mut archive = tar::Archive::new(file);
        for entry in archive.entries_with_seek().map_err(ArchiveError::NotATar)?.take(MAX_ENTRIES) {
            let entry = entry.map_err(ArchiveError::NotATar)?;
            let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else { continue };
            let name = name.trim_start_matches("./").to_owned();
            let kind = entry.header().entry_type();
            if kind.is_file() {
                files.insert(name, Part { offset: entry.raw_file_position(), size: entry.size() });
            } else if let Some(target) = entry.link_name_bytes().filter(|_| kind.is_symlink() || kind.is_hard_link()) {
                let target = String::from_utf8_lossy(&target).into_owned();
                // `docker save` links a layer that is there twice to the first, relative to its own folder.
                let target = if kind.is_symlink() { beside(&name, &target) } else { target };
                links.insert(name, target);
            }
        }
        Ok(Self { file: archive.into_inner(), files, links })
    }

    /// The bytes of an entry, or of the one that it links to.
    pub(super) fn part(&self, name: &str) -> Option<Part> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            if let Some(part) = self.files.get(name) {
                return Some(*part);
            }
            name = self.links.get(name)?;
        }
        None
    }

    /// An entry's JSON.
    pub(super) fn json(&mut self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(part) = self.part(name) else { return Ok(None) };
        if part.size > MAX_JSON_BYTES {
            return Err(ArchiveError::bad(
                name,
                format!("it has {} bytes, at most {MAX_JSON_BYTES} are read", part.size),
            ));
        }
        self.start(part, part.size).map(Some)
    }

    /// The first bytes of a part.
    pub(super) fn start(&mut self, part: Part, most: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(part.offset));
        let read = read.and_then(|_| (&mut self.file).take(part.size.min(most)).read_to_end(&mut bytes));
        read.map_err(ArchiveError::NotATar)?;
        Ok(bytes)
    }
}

/// The path that `target`, written in the folder of `name`, means.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_to_their_folder() {
        assert_eq!(beside("b/layer.tar", "../a/layer.tar"), "a/layer.tar");
        assert_eq!(beside("layer.tar", "./x"), "x");
        assert_eq!(beside("a/b", "../../../../etc/x"), "etc/x");
    }
}
