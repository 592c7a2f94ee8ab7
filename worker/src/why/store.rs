//! The notes on disk: JSON lines, the last about an agreement counts.
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::PathBuf,
};

use alloy::primitives::Address;

use super::{Demand, MAX_DEMANDS};

/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 16 << 20;
/// Lines after which the file is written anew.
const MAX_LINES: usize = 2 * MAX_DEMANDS;

pub(super) struct Store {
    path: PathBuf,
    file: Option<File>,
    lines: usize,
}

impl Store {
    /// What stands in the file, oldest first; lines that cannot be read are left out.
    pub(super) fn open(path: PathBuf) -> (Self, Vec<Demand>) {
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read the notes for `why`; they begin anew")
            }
        }
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let demands = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
        // Written anew at the first note: that mends a torn end.
        (Self { path, file: None, lines: 0 }, demands)
    }

    /// Adds a line, or writes the file anew from `all`. What cannot be written is said, and tried again with the next note.
    pub(super) fn write(&mut self, demand: &Demand, all: &BTreeMap<Address, Demand>) {
        let written = match &mut self.file {
            Some(file) if self.lines < MAX_LINES => line(demand).and_then(|line| file.write_all(&line)),
            _ => self.rewrite(all),
        };
        match written {
            Ok(()) => self.lines += 1,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "cannot write the notes for `why`");
                self.file = None;
            }
        }
    }

    fn rewrite(&mut self, all: &BTreeMap<Address, Demand>) -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let draft = self.path.with_extension("draft");
        let mut bytes = Vec::new();
        for demand in all.values() {
            bytes.extend(line(demand)?);
        }
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(&bytes)?;
        std::fs::rename(&draft, &self.path)?;
        self.lines = all.len();
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        Ok(())
    }
}

fn line(demand: &Demand) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(demand)?;
    line.push(b'\n');
    Ok(line)
}
