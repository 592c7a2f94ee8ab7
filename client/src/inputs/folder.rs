//! A folder as one archive: the same files give the same bytes, so that an oracle has them once and a hash can be compared.
//!
//! Entries are sorted by their names' bytes, without times, owners and groups; of the mode only "executable" is kept. Links
//! and special files are refused: they mean something else on another machine.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::MAX_INPUT_BYTES;
use super::error::InputError;

/// Most entries of a folder.
const MAX_ENTRIES: usize = 100_000;
/// Deepest folder in a folder.
const MAX_DEPTH: usize = 64;

/// Writes `folder` as an archive to `out`. Names in it are relative to the folder.
pub(super) fn pack(folder: &Path, out: File) -> Result<(), InputError> {
    let fail = |problem: String| InputError::Folder { folder: folder.to_owned(), problem };
    let mut files = Vec::new();
    list(folder, Path::new(""), 0, &mut files).map_err(fail)?;
    files.sort_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    let mut builder = Builder::new(io::BufWriter::new(out));
    let mut total = 0_u64;
    for relative in &files {
        let path = folder.join(relative);
        let problem = |e: io::Error| fail(format!("{relative:?} cannot be packed: {e}"));
        let meta = fs::symlink_metadata(&path).map_err(problem)?;
        if meta.is_dir() {
            let mut header = plain_header(0, 0o755, EntryType::Directory);
            builder.append_data(&mut header, relative, io::empty()).map_err(problem)?;
            continue;
        }
        total = total.saturating_add(meta.len());
        if total > MAX_INPUT_BYTES {
            return Err(InputError::TooLarge { input: folder.display().to_string(), max: MAX_INPUT_BYTES });
        }
        let mode = if executable(&meta) { 0o755 } else { 0o644 };
        let mut header = plain_header(meta.len(), mode, EntryType::Regular);
        let file = File::open(&path).map_err(problem)?;
        // Exactly as many bytes as the header says, whatever the file does meanwhile.
        let mut exact = Exact { file: file.take(meta.len()), left: meta.len() };
        builder.append_data(&mut header, relative, &mut exact).map_err(problem)?;
    }
    let done = builder.into_inner().and_then(|mut out| out.flush());
    done.map_err(|e| fail(format!("the archive cannot be written: {e}")))
}

/// A file that must be as long as it was.
struct Exact {
    file: io::Take<File>,
    left: u64,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.left -= read as u64;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        Ok(read)
    }
}

fn plain_header(size: u64, mode: u32, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn list(root: &Path, below: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("{below:?} is more than {MAX_DEPTH} folders deep"));
    }
    let unreadable = |e: io::Error| format!("{:?} cannot be read: {e}", root.join(below));
    for entry in fs::read_dir(root.join(below)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let relative = below.join(entry.file_name());
        let kind = entry.file_type().map_err(unreadable)?;
        if files.len() >= MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} entries; pack them into one archive file yourself"));
        }
        if kind.is_dir() {
            files.push(relative.clone());
            list(root, &relative, depth + 1, files)?;
        } else if kind.is_file() {
            files.push(relative);
        } else {
            let what = if kind.is_symlink() { "a symbolic link" } else { "neither a file nor a folder" };
            return Err(format!("{relative:?} is {what}; expected files and folders only"));
        }
    }
    Ok(())
}

#[cfg(unix)]
fn executable(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(folder: &Path) -> Result<Vec<u8>, InputError> {
        let out = tempfile::NamedTempFile::new().unwrap();
        pack(folder, out.reopen().unwrap())?;
        Ok(fs::read(out.path()).unwrap())
    }

    fn fill(folder: &Path, order: &[&str]) {
        for name in order {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("content of {name}")).unwrap();
        }
    }

    #[test]
    fn the_same_files_give_the_same_archive() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = format!("deep/{}/c.txt", "x".repeat(120));
        fill(one.path(), &["b.txt", "a/z.txt", "a.txt", &long]);
        fill(two.path(), &[&long, "a.txt", "b.txt", "a/z.txt"]);
        let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(77));
        File::options().write(true).open(two.path().join("a.txt")).unwrap().set_times(times).unwrap();
        let archive = packed(one.path()).unwrap();
        assert_eq!(archive, packed(two.path()).unwrap());
        let names: Vec<String> = tar::Archive::new(archive.as_slice())
            .entries()
            .unwrap()
            .map(|e| {
                let e = e.unwrap();
                assert_eq!((e.header().mtime().unwrap(), e.header().uid().unwrap()), (0, 0));
                e.path().unwrap().display().to_string()
            })
            .collect();
        assert_eq!(names[..3], ["a", "a.txt", "a/z.txt"]);
        assert!(names.contains(&long));
        fs::write(two.path().join("a.txt"), "other").unwrap();
        assert_ne!(archive, packed(two.path()).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("users")).unwrap();
        let error = packed(dir.path()).unwrap_err().to_string();
        assert!(error.contains("\"users\" is a symbolic link"), "{error}");
    }
}
