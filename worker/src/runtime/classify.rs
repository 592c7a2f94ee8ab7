//! How a leaf ended: pure rules over facts.
//!
//! Two honest workers must come to the same record, or one of them loses its stake. So a rule may use only what does not
//! depend on timing: the exit status, our own kill, what lies in the output folder when no process is left. The engine's
//! "OOM killed" flag is not such a fact (it comes late or for a child that the app survives): it only adds to the message.

use sunwork_protocol::leaf::{LeafRecord, Outcome};

use super::{Limits, OUTPUT_DIR};

/// File in which an app declares its output.
pub const COMPUTED_JSON: &str = "computed.json";
/// Largest `computed.json` that is read.
pub const MAX_COMPUTED_JSON_BYTES: u64 = 64 * 1024;
/// Room that counts as none: pages of the output file system are up to 64 KiB large, depending on the kernel.
const FULL_MARGIN_BYTES: u64 = 64 * 1024;
/// Inodes that count as none.
const FULL_MARGIN_INODES: u64 = 16;

/// How the container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// We killed it at the wall-clock limit.
    pub timed_out: bool,
    /// Status of its first process; 128 + signal when a signal ended it.
    pub exit_status: i32,
}

/// What follows from how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing else can change it.
    Final(Outcome),
    /// The app failed; a full disk is the reason if there is one.
    Failed(i32),
    /// It ended well: its output decides.
    ReadOutput,
}

impl Ended {
    /// The rule.
    pub const fn next(self) -> Next {
        match self {
            Self { timed_out: true, .. } => Next::Final(Outcome::TimeLimit),
            // SIGKILL comes from the memory limit: nobody else in the cage may send it to the first process.
            Self { exit_status: 137, .. } => Next::Final(Outcome::MemoryLimit),
            Self { exit_status: 0, .. } => Next::ReadOutput,
            Self { exit_status, .. } => Next::Failed(exit_status),
        }
    }

    /// True when the end looks like somebody else's doing (an operator's `docker kill`, the host's own lack of memory,
    /// an engine that shuts down): such a leaf is run once more, and what ends alike twice is the app's result.
    pub const fn is_suspicious(self, oom_killed: bool) -> bool {
        !self.timed_out && (self.exit_status == 143 || (self.exit_status == 137 && !oom_killed))
    }
}

/// The record of a failed app.
pub const fn failed(exit_status: i32, disk_full: bool) -> LeafRecord {
    if disk_full { LeafRecord::bare(Outcome::OutputLimit) } else { LeafRecord::app_failed(exit_status) }
}

/// What lies in the output folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Bytes of files, each rounded up to 4 KiB.
    pub bytes: u64,
    /// Files and folders.
    pub entries: u64,
}

impl DiskUse {
    /// Adds a file or folder.
    pub const fn add(&mut self, size: u64) {
        self.bytes = self.bytes.saturating_add(size.saturating_add(4095) / 4096 * 4096);
        self.entries += 1;
    }

    /// True when nothing more could be written. Reading on is needless then.
    pub const fn is_full(&self, limits: &Limits) -> bool {
        self.bytes.saturating_add(FULL_MARGIN_BYTES) > (limits.disk_mib as u64) << 20
            || self.entries + FULL_MARGIN_INODES > super::cage::OUTPUT_INODES
    }
}

/// What an app declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// Parts of the path below the output folder; none for the folder itself.
    pub parts: Vec<String>,
}

impl Declared {
    /// Absolute path inside the cage.
    pub fn path(&self) -> String {
        std::iter::once(OUTPUT_DIR).chain(self.parts.iter().map(String::as_str)).collect::<Vec<_>>().join("/")
    }

    /// Paths of the folders that lead to it, the output folder not counted.
    pub fn parents(&self) -> Vec<String> {
        (1..self.parts.len()).map(|n| Self { parts: self.parts[..n].to_vec() }.path()).collect()
    }
}

/// Reads `computed.json`, which a stranger wrote.
///
/// # Errors
/// The outcome and a sentence with what was found.
pub fn declared(json: &[u8]) -> Result<Declared, (Outcome, String)> {
    const KEY: &str = "deterministic-output-path";
    let none = |found: &str| {
        (Outcome::NoComputedJson, format!("{COMPUTED_JSON} {found}, expected {{\"{KEY}\": \"{OUTPUT_DIR}/…\"}}"))
    };
    let value: serde_json::Value = serde_json::from_slice(json).map_err(|_| none("is not JSON"))?;
    let path = value.get(KEY).and_then(|v| v.as_str()).ok_or_else(|| none("names no output path"))?;
    let outside = || {
        let shown: String = path.chars().take(100).collect();
        (Outcome::OutputInvalid, format!("the declared path {shown:?} is not below {OUTPUT_DIR}"))
    };
    let rest = path.strip_prefix(OUTPUT_DIR).ok_or_else(outside)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(outside());
    }
    let parts: Vec<String> =
        rest.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect();
    if parts.iter().any(|part| part == ".." || part.contains('\0')) {
        return Err(outside());
    }
    Ok(Declared { parts })
}

/// One line of an app's own words that is safe to show: printable, short.
pub fn last_words(log: &[u8]) -> Option<String> {
    const MAX_CHARS: usize = 160;
    let text = String::from_utf8_lossy(log);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let clean: String = line.chars().filter(|c| !c.is_control()).take(MAX_CHARS).collect();
    Some(clean.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { milli_cpu: 1, memory_mib: 1, disk_mib: 1, max_pids: 1, leaf_secs: 1, output_mib: 1 };

    #[test]
    fn every_end_has_its_outcome() {
        let next = |timed_out, exit_status| Ended { timed_out, exit_status }.next();
        assert_eq!(next(true, 0), Next::Final(Outcome::TimeLimit));
        assert_eq!(next(true, 137), Next::Final(Outcome::TimeLimit));
        assert_eq!(next(false, 137), Next::Final(Outcome::MemoryLimit));
        assert_eq!(next(false, 0), Next::ReadOutput);
        assert_eq!(next(false, 3), Next::Failed(3));
        assert_eq!(failed(3, false), LeafRecord::app_failed(3));
        assert_eq!(failed(3, true), LeafRecord::bare(Outcome::OutputLimit));
        assert!(Ended { timed_out: false, exit_status: 137 }.is_suspicious(false));
        assert!(!Ended { timed_out: false, exit_status: 137 }.is_suspicious(true));
        assert!(!Ended { timed_out: true, exit_status: 137 }.is_suspicious(false));
    }

    #[test]
    fn declared_paths_stay_inside() {
        let parse =
            |path: &str| declared(serde_json::json!({ "deterministic-output-path": path }).to_string().as_bytes());
        assert_eq!(parse("/iexec_out/a//b/./c/").expect("inside").path(), "/iexec_out/a/b/c");
        assert_eq!(parse("/iexec_out/a/b/c").expect("inside").parents(), ["/iexec_out/a", "/iexec_out/a/b"]);
        assert_eq!(parse("/iexec_out").expect("inside").path(), "/iexec_out");
        for path in ["", "out", "/etc/passwd", "/iexec_out2/x", "/iexec_out/../etc", "/iexec_out/a/..", "/iexec_out/\0"]
        {
            assert_eq!(parse(path).expect_err("outside").0, Outcome::OutputInvalid, "{path:?}");
        }
        for json in ["", "{", "[]", "{}", "null", "{\"deterministic-output-path\": 3}"] {
            assert_eq!(declared(json.as_bytes()).expect_err("no path").0, Outcome::NoComputedJson, "{json:?}");
        }
    }

    #[test]
    fn a_disk_is_full_by_bytes_or_by_inodes() {
        let mut used = DiskUse::default();
        used.add(900_000);
        assert!(!used.is_full(&LIMITS));
        used.add(100_000);
        assert!(used.is_full(&LIMITS));
        let many = DiskUse { bytes: 0, entries: super::super::cage::OUTPUT_INODES };
        assert!(many.is_full(&LIMITS));
        let mut sparse = DiskUse::default();
        sparse.add(u64::MAX);
        assert!(sparse.is_full(&LIMITS));
    }

    #[test]
    fn last_words_are_one_safe_line() {
        assert_eq!(last_words(b"one\ntwo \x1b[31mred\r\n\n"), Some("two [31mred".into()));
        assert_eq!(last_words(b" \n"), None);
        assert_eq!(last_words(&[b'x'; 4000]).map(|w| w.len()), Some(160));
    }
}
