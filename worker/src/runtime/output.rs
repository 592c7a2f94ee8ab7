//! Reading an app's output out of its cage.
//!
//! The engine sends the declared path as a tar archive. Its headers carry what a stranger chose: names, sizes and types.
//! Only regular files below a fresh folder are made from it, each size is held against the limit before a byte is read, and
//! a hard link becomes a copy of what it names. Folders are made for the files in them; empty ones do not count.
//!
//! Engines leave sockets out of archives, so a socket counts as nothing, like an empty folder.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use sunwork_protocol::bundle;
use sunwork_protocol::leaf::{FileEntry, LeafRecord, MAX_FILES, Outcome, check_path, tree_hash};
use sunwork_protocol::tar::{Entry, Event, Kind, Reader, TarError};
use thiserror::Error;

use super::classify::DiskUse;
use super::{LeafRun, Limits};

/// Why an archive of an output was not taken.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The app's output breaks a rule: a result like any other.
    #[error("{message}")]
    Rule {
        /// What it is.
        outcome: Outcome,
        /// One sentence.
        message: String,
    },
    /// The engine sent something that is no archive, or half of one.
    #[error("the engine's archive cannot be read: {0}")]
    Archive(#[from] TarError),
    /// This machine failed.
    #[error("writing the output: {0}")]
    Io(#[from] io::Error),
}

fn rule(outcome: Outcome, message: String) -> OutputError {
    OutputError::Rule { outcome, message }
}

/// A declared output that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its record.
    pub record: LeafRecord,
    /// The file or folder.
    pub path: PathBuf,
    /// How many files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Takes the archive of a declared path chunk by chunk.
pub struct TreeReader {
    reader: Reader,
    sink: Sink,
}

struct Sink {
    root: PathBuf,
    limit_bytes: u64,
    used_bytes: u64,
    is_file: bool,
    seen_root: bool,
    entries: Vec<FileEntry>,
    by_path: HashMap<Vec<u8>, usize>,
    open: Option<(File, Sha256)>,
}

impl TreeReader {
    /// Will make the output as `out_dir/name`; `out_dir` must exist and be empty.
    pub fn new(out_dir: &Path, name: &str, limits: &Limits) -> Self {
        Self {
            reader: Reader::new(),
            sink: Sink {
                root: out_dir.join(name),
                limit_bytes: u64::from(limits.output_mib) << 20,
                used_bytes: 0,
                is_file: false,
                seen_root: false,
                entries: Vec::new(),
                by_path: HashMap::new(),
                open: None,
            },
        }
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// The first rule that the output breaks.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), OutputError> {
        let sink = &mut self.sink;
        self.reader.feed(chunk, &mut |event| sink.take(event))
    }

    /// Says what was read.
    ///
    /// # Errors
    /// When the archive ended early.
    pub fn finish(self) -> Result<Tree, OutputError> {
        // An engine that fails in the middle ends its answer as if it were whole: only the closing blocks tell.
        self.reader.finish_closed()?;
        let sink = self.sink;
        if !sink.seen_root {
            return Err(TarError::Truncated { at: 0 }.into());
        }
        let hash = tree_hash(&sink.entries).map_err(|e| rule(Outcome::OutputInvalid, e.to_string()))?;
        Ok(Tree {
            record: LeafRecord::completed(hash),
            path: sink.root,
            files: sink.entries.len(),
            bytes: sink.used_bytes,
        })
    }
}

impl Sink {
    fn take(&mut self, event: Event<'_>) -> Result<(), OutputError> {
        match event {
            Event::Entry(entry) => self.start(entry),
            Event::Data(bytes) => {
                if let Some((file, hasher)) = &mut self.open {
                    hasher.update(bytes);
                    file.write_all(bytes)?;
                }
                Ok(())
            }
            Event::EntryEnd => {
                if let (Some((_, hasher)), Some(last)) = (self.open.take(), self.entries.last_mut()) {
                    last.sha256 = hasher.finalize().into();
                }
                Ok(())
            }
        }
    }

    fn start(&mut self, entry: &Entry) -> Result<(), OutputError> {
        // The engine puts the base name of what was asked for before every path.
        let below = |path: &[u8]| path.iter().position(|b| *b == b'/').map(|at| path[at + 1..].to_vec());
        let shown = || format!("{:?}", String::from_utf8_lossy(&entry.path).chars().take(100).collect::<String>());
        if !self.seen_root {
            self.seen_root = true;
            return match entry.kind {
                Kind::Directory => Ok(fs::create_dir(&self.root)?),
                Kind::File => {
                    self.is_file = true;
                    let name = self.root.file_name().map(|n| n.as_bytes().to_vec()).unwrap_or_default();
                    let path = self.root.clone();
                    self.file(name, path, entry.size)
                }
                kind => Err(rule(
                    Outcome::OutputInvalid,
                    format!("the declared path is {}, expected a file or a folder", kind_name(kind)),
                )),
            };
        }
        let path = match entry.kind {
            Kind::Directory => {
                let path = below(entry.path.strip_suffix(b"/").unwrap_or(&entry.path)).unwrap_or_default();
                return check_path(&path).map_err(|e| rule(Outcome::OutputInvalid, e.to_string()));
            }
            Kind::File | Kind::HardLink => below(&entry.path).unwrap_or_default(),
            kind => {
                let message =
                    format!("the output holds {} at {}, expected files and folders only", kind_name(kind), shown());
                return Err(rule(Outcome::OutputInvalid, message));
            }
        };
        check_path(&path).map_err(|e| rule(Outcome::OutputInvalid, e.to_string()))?;
        let on_disk = self.root.join(OsStr::from_bytes(&path));
        if let Some(parent) = on_disk.parent() {
            fs::create_dir_all(parent)?;
        }
        if entry.kind == Kind::File {
            return self.file(path, on_disk, entry.size);
        }
        let target = below(&entry.link).and_then(|link| self.by_path.get(&link).copied());
        let Some(target) = target else {
            let message = format!("the output holds a hard link at {} to a file outside of it", shown());
            return Err(rule(Outcome::OutputInvalid, message));
        };
        let original = self.entries[target].clone();
        self.admit(original.size)?;
        fs::copy(self.root.join(OsStr::from_bytes(&original.path)), &on_disk)?;
        self.push(FileEntry { path, ..original });
        Ok(())
    }

    fn file(&mut self, path: Vec<u8>, on_disk: PathBuf, size: u64) -> Result<(), OutputError> {
        self.admit(size)?;
        // A path that is there already would be somebody else's: never opened, never followed.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(on_disk)?;
        self.open = Some((file, Sha256::new()));
        self.push(FileEntry { path, size, sha256: [0; 32] });
        Ok(())
    }

    fn admit(&mut self, size: u64) -> Result<(), OutputError> {
        if self.entries.len() == MAX_FILES {
            let message = format!("the output holds more than {MAX_FILES} files");
            return Err(rule(Outcome::OutputLimit, message));
        }
        self.used_bytes = self.used_bytes.saturating_add(size);
        if self.used_bytes > self.limit_bytes {
            let message =
                format!("the output is at least {} bytes long, {} are allowed", self.used_bytes, self.limit_bytes);
            return Err(rule(Outcome::OutputLimit, message));
        }
        Ok(())
    }

    fn push(&mut self, entry: FileEntry) {
        self.by_path.insert(entry.path.clone(), self.entries.len());
        self.entries.push(entry);
    }
}

/// Words for an entry that is not welcome.
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::HardLink => "a hard link",
        Kind::SymLink => "a symbolic link",
        Kind::Directory => "a folder",
        Kind::Other(b'6') => "a FIFO",
        Kind::Other(b'3' | b'4') => "a device",
        Kind::Other(_) => "a special file",
    }
}

/// Counts what lies in an output folder, from its archive, until it is known to be full.
pub struct UseReader {
    reader: Reader,
    limits: Limits,
    used: DiskUse,
}

impl UseReader {
    /// With nothing seen.
    pub fn new(limits: Limits) -> Self {
        Self { reader: Reader::new(), limits, used: DiskUse::default() }
    }

    /// Takes the next chunk; true when the rest need not be read.
    ///
    /// # Errors
    /// When it is no archive.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<bool, TarError> {
        let used = &mut self.used;
        self.reader.feed(chunk, &mut |event| -> Result<(), TarError> {
            if let Event::Entry(entry) = event {
                used.add(entry.size);
            }
            Ok(())
        })?;
        Ok(self.is_full())
    }

    /// True when the folder was full.
    ///
    /// # Errors
    /// When the archive ended before that could be said.
    pub fn finish(&self) -> Result<bool, TarError> {
        if self.is_full() { Ok(true) } else { self.reader.finish_closed().map(|()| false) }
    }

    fn is_full(&self) -> bool {
        self.used.is_full(&self.limits)
    }
}

/// The plaintext of a leaf for the result blob: its record and its files. Reads all of it into memory, once; the output
/// limit bounds it.
///
/// # Errors
/// When the output cannot be read, or is not what was recorded.
pub fn leaf_plaintext(run: &LeafRun) -> io::Result<Vec<u8>> {
    let Some(output) = &run.output else {
        return Ok(bundle::plaintext(&run.record, &[]));
    };
    let mut files = Vec::new();
    if fs::symlink_metadata(output)?.is_file() {
        let name = output.file_name().map(|n| n.as_bytes().to_vec()).unwrap_or_default();
        files.push((name, fs::read(output)?));
    } else {
        collect(output, &mut Vec::new(), &mut files)?;
    }
    let archive = bundle::files_tar(&mut files).map_err(io::Error::other)?;
    drop(files);
    let plaintext = bundle::plaintext(&run.record, &archive);
    // What is sealed must be what is handed out: a disk that returned other bytes shows here, before the stake hangs on it.
    let opened = bundle::open_plaintext(&plaintext).map_err(io::Error::other)?;
    if opened.record != run.record {
        let message = format!(
            "the files in {} hash to {}, expected {}: the disk or somebody changed them",
            output.display(),
            opened.record.tree_hash,
            run.record.tree_hash
        );
        return Err(io::Error::other(message));
    }
    Ok(plaintext)
}

fn collect(dir: &Path, prefix: &mut Vec<u8>, files: &mut Vec<(Vec<u8>, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let length = prefix.len();
        if length > 0 {
            prefix.push(b'/');
        }
        prefix.extend_from_slice(entry.file_name().as_bytes());
        // `file_type` does not follow links; the reader above makes none.
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), prefix, files)?;
        } else if entry.file_type()?.is_file() {
            files.push((prefix.clone(), fs::read(entry.path())?));
        }
        prefix.truncate(length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_protocol::tar;

    const LIMITS: Limits =
        Limits { milli_cpu: 1, memory_mib: 1, disk_mib: 1, max_pids: 1, leaf_secs: 1, output_mib: 1 };

    /// A header of any type, made from a file's.
    fn header(path: &[u8], flag: u8, link: &[u8], size: u64) -> Vec<u8> {
        let mut block = tar::file_header(path, size);
        let start = block.len() - tar::BLOCK;
        let block_slice = &mut block[start..];
        block_slice[156] = flag;
        block_slice[157..157 + link.len()].copy_from_slice(link);
        block_slice[148..156].fill(b' ');
        let sum: u32 = block_slice.iter().map(|b| u32::from(*b)).sum();
        block_slice[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    fn data(bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        out.resize(out.len() + tar::padding(bytes.len() as u64) as usize, 0);
        out
    }

    fn read(parts: &[Vec<u8>]) -> (tempfile::TempDir, Result<Tree, OutputError>) {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut reader = TreeReader::new(dir.path(), "d", &LIMITS);
        let bytes = [parts.concat(), tar::END.to_vec()].concat();
        let result = reader.feed(&bytes).and_then(|()| reader.finish());
        (dir, result)
    }

    fn outcome(parts: &[Vec<u8>]) -> Outcome {
        match read(parts).1 {
            Err(OutputError::Rule { outcome, .. }) => outcome,
            other => panic!("expected a broken rule, found {other:?}"),
        }
    }

    #[test]
    fn a_folder_becomes_a_tree_and_its_plaintext_opens_to_the_same_record() {
        let (_dir, tree) = read(&[
            header(b"d/", b'5', b"", 0),
            header(b"d/a\nb", b'0', b"", 5),
            data(b"hello"),
            header(b"d/empty/", b'5', b"", 0),
            header(b"d/sub/link", b'1', b"d/a\nb", 0),
            header(b"d/sub/\xff", b'0', b"", 0),
        ]);
        let tree = tree.expect("a good tree");
        assert_eq!((tree.files, tree.bytes), (3, 10));
        let output = Some(tree.path.clone());
        let run =
            LeafRun { record: tree.record, message: String::new(), output, log: Default::default(), cpu_micros: None };
        let plaintext = leaf_plaintext(&run).expect("reads");
        let opened = bundle::open_plaintext(&plaintext).expect("opens");
        let names: Vec<_> = opened.files.iter().map(|f| f.entry.path.as_slice()).collect();
        assert_eq!(names, [b"a\nb".as_slice(), b"sub/link", b"sub/\xff"]);
        assert_eq!(&plaintext[opened.files[1].content.clone()], b"hello");
        fs::write(tree.path.join("sub/link"), "other").expect("writes");
        assert!(leaf_plaintext(&run).is_err());
    }

    #[test]
    fn a_single_file_is_a_tree_of_its_name() {
        let (_dir, tree) = read(&[header(b"d", b'0', b"", 2), data(b"hi")]);
        let entry = FileEntry { path: b"d".to_vec(), size: 2, sha256: Sha256::digest(b"hi").into() };
        assert_eq!(tree.expect("a good file").record, LeafRecord::completed(tree_hash(&[entry]).expect("plain")));
    }

    #[test]
    fn links_special_files_and_escapes_are_the_apps_fault() {
        let root = header(b"d/", b'5', b"", 0);
        for (flag, path) in [(b'2', "d/l"), (b'6', "d/f"), (b'3', "d/c"), (b'4', "d/b")] {
            assert_eq!(
                outcome(&[root.clone(), header(path.as_bytes(), flag, b"/etc/passwd", 0)]),
                Outcome::OutputInvalid
            );
        }
        assert_eq!(outcome(&[header(b"d", b'2', b"/etc/passwd", 0)]), Outcome::OutputInvalid);
        assert_eq!(outcome(&[root.clone(), header(b"d/../../x", b'0', b"", 0)]), Outcome::OutputInvalid);
        assert_eq!(outcome(&[root.clone(), header(b"d/h", b'1', b"d/none", 0)]), Outcome::OutputInvalid);
        let deep = [b"d/".as_slice(), &b"x/".repeat(64), b"f"].concat();
        assert_eq!(outcome(&[root, header(&deep, b'0', b"", 0)]), Outcome::OutputInvalid);
    }

    #[test]
    fn sizes_are_refused_by_their_header() {
        let root = header(b"d/", b'5', b"", 0);
        assert_eq!(outcome(&[root.clone(), header(b"d/big", b'0', b"", 100 << 20)]), Outcome::OutputLimit);
        // A hard link counts each time: it is copied.
        let file = [header(b"d/a", b'0', b"", 600 << 10), data(&vec![1; 600 << 10])].concat();
        assert_eq!(outcome(&[root.clone(), file, header(b"d/b", b'1', b"d/a", 0)]), Outcome::OutputLimit);
        let (_dir, cut) = read(&[]);
        assert!(matches!(cut, Err(OutputError::Archive(_))));
    }
}
