//! What the worker and its WebAssembly runner say to each other. No I/O of its own kind: values, and one frame format.
//!
//! The worker writes a [`Request`] as one line of JSON to the runner's standard input. The runner answers with frames on its
//! standard output: what the app prints while it runs, one [`Report`], and, after an app that ended well, the output that the
//! worker then asks for with an [`OutputRequest`] (a second line). Its standard error is for the runner's own failures.

use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Name of the runner's program file.
pub const PROGRAM: &str = "sunwork-wasm-runner";
/// Exit status in the digest of an app that ended by a trap: 128 + SIGABRT, as a native app that aborts.
pub const TRAP_STATUS: i32 = 134;
/// Instructions ("fuel") that a leaf has for each CPU second of its terms. Low enough that a small board does more, so that the
/// same leaf runs out of it on every machine, at the same instruction, before it runs out of time.
pub const FUEL_PER_CPU_SEC: u64 = 250_000_000;
/// Largest module that is run.
pub const MAX_MODULE_BYTES: u64 = 128 << 20;
/// Longest CPU time for compiling a module.
pub const COMPILE_SECS: u64 = 120;
/// How much longer than its CPU time something may take on a busy machine.
pub const PATIENCE: u64 = 4;
/// Nanoseconds since 1970 at which every app's clock starts: 2026-01-01 00:00:00 UTC.
pub const CLOCK_START_NS: u64 = 1_767_225_600_000_000_000;
/// Largest frame.
pub const MAX_FRAME_BYTES: usize = 1 << 20;
/// Largest `computed.json` that is handed over.
pub const MAX_COMPUTED_JSON_BYTES: u64 = 64 * 1024;

/// Fuel of a leaf: its CPU seconds times [`FUEL_PER_CPU_SEC`]. Modules have one thread, so more than one core is one.
pub const fn fuel(leaf_secs: u32, milli_cpu: u32) -> u64 {
    let milli = if milli_cpu > 1000 { 1000 } else { milli_cpu };
    leaf_secs as u64 * milli as u64 * (FUEL_PER_CPU_SEC / 1000)
}

/// What the runner should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Validate and compile the module, and run nothing of it.
    Check,
    /// Run it.
    Run,
}

/// What a leaf may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of the module.
    pub memory_bytes: u64,
    /// Room of the output folder; it is kept in memory.
    pub disk_bytes: u64,
    /// Files and folders in the output folder.
    pub entries: u64,
    /// Instructions, see [`fuel`].
    pub fuel: u64,
    /// CPU time of the app, from the end of the compilation. An app never waits for anything, so where it has not had this within
    /// [`PATIENCE`] times as long, this machine has failed it.
    pub cpu_ms: u64,
}

/// The first line to the runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What to do.
    pub mode: Mode,
    /// File of the module.
    pub module: PathBuf,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Environment of the app.
    pub env: Vec<(String, String)>,
    /// Folder of the inputs, plain files only; the app sees it as `/iexec_in`. None: an empty one.
    pub input_dir: Option<PathBuf>,
    /// Limits.
    pub limits: Limits,
    /// Seed of the app's randomness: the same on every machine, and no secret.
    pub seed: [u8; 32],
}

/// How an app ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "end")]
pub enum Ended {
    /// [`Mode::Check`] found nothing wrong.
    Usable,
    /// It exited, or returned (status 0).
    Exited {
        /// What it gave to `proc_exit`.
        status: u32,
    },
    /// A trap, among them unreachable code, a wild access and recursion without end.
    Trapped {
        /// Which.
        reason: String,
    },
    /// It asked for more memory than it may have.
    OutOfMemory,
    /// It used up its instructions.
    OutOfFuel,
    /// It used up its CPU time.
    OutOfTime,
    /// The module can run nowhere.
    Unusable {
        /// Why not.
        reason: String,
    },
    /// This machine failed; nothing is known of the app.
    Failed {
        /// How.
        reason: String,
    },
}

/// What is in `/iexec_out/computed.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Computed {
    /// There is no such file, or the app did not end well.
    Missing,
    /// Something else is there, or it is too large.
    Odd(String),
    /// Its bytes.
    Bytes(Vec<u8>),
}

/// Which walls the cage of this run had. Not all kernels have all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walls {
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privs: bool,
    /// A network namespace of its own, with nothing in it.
    pub no_network: bool,
    /// A user namespace of its own: no capability on the host.
    pub user_namespace: bool,
    /// Landlock: no file can be opened.
    pub landlock: bool,
    /// seccomp: no process, thread, socket, or file can be made.
    pub seccomp: bool,
    /// Descriptors that came with the process and were closed.
    pub closed_fds: u32,
}

/// How a run went. Nothing of it is part of a digest but what the worker makes of `ended`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub ended: Ended,
    /// A write was refused since the output folder was full.
    pub disk_full: bool,
    /// `computed.json`.
    pub computed: Computed,
    /// Instructions used; unknown where time ran out.
    pub fuel_used: Option<u64>,
    /// CPU time of the process, compilation among it.
    pub cpu_ms: u64,
    /// Time of the compilation.
    pub compile_ms: u64,
    /// Largest resident memory of the process, KiB; 0 where the kernel does not tell.
    pub peak_kib: u64,
    /// The cage.
    pub walls: Walls,
}

/// The second line to the runner: which output to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRequest {
    /// Parts of the path below the output folder; none for the folder itself.
    pub parts: Vec<String>,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Printed by the app on standard output.
    Stdout = 1,
    /// Printed by the app on standard error.
    Stderr = 2,
    /// A [`Report`] as JSON; exactly one.
    Report = 3,
    /// A piece of the tar archive of the asked output, each path below the base name of what was asked for.
    Output = 4,
    /// The archive is whole.
    OutputEnd = 5,
    /// There is no such output; the payload says what was found.
    NoOutput = 6,
}

impl Kind {
    /// The kind of that number.
    pub const fn from_u8(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Stdout,
            2 => Self::Stderr,
            3 => Self::Report,
            4 => Self::Output,
            5 => Self::OutputEnd,
            6 => Self::NoOutput,
            _ => return None,
        })
    }
}

/// Bytes before a frame's payload: kind, then length (big-endian).
pub const HEAD_BYTES: usize = 5;

/// Writes a frame, in pieces where it is large (an empty one is one frame).
///
/// # Errors
/// When it cannot be written.
pub fn write_frame(out: &mut impl Write, kind: Kind, payload: &[u8]) -> io::Result<()> {
    let mut rest = payload;
    loop {
        let (piece, more) = rest.split_at(rest.len().min(MAX_FRAME_BYTES));
        let length = u32::try_from(piece.len()).map_err(io::Error::other)?.to_be_bytes();
        out.write_all(&[kind as u8, length[0], length[1], length[2], length[3]])?;
        out.write_all(piece)?;
        rest = more;
        if rest.is_empty() {
            return out.flush();
        }
    }
}

/// Reads the head of a frame.
///
/// # Errors
/// When its kind is unknown or it is too long.
pub fn read_head(head: [u8; HEAD_BYTES]) -> io::Result<(Kind, usize)> {
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    match Kind::from_u8(head[0]) {
        Some(kind) if length <= MAX_FRAME_BYTES => Ok((kind, length)),
        _ => Err(io::Error::other(format!(
            "a frame of kind {} and {length} bytes, expected kind 1 to 6 and at most {MAX_FRAME_BYTES} bytes",
            head[0]
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fuel_hangs_on_the_terms_alone_and_one_core_is_the_most() {
        assert_eq!(fuel(2, 500), FUEL_PER_CPU_SEC);
        assert_eq!(fuel(1, 8000), FUEL_PER_CPU_SEC);
        assert_eq!(fuel(u32::MAX, 1000), u64::from(u32::MAX) * FUEL_PER_CPU_SEC);
    }

    #[test]
    fn frames_come_back_in_pieces_and_wrong_heads_are_refused() {
        let mut out = Vec::new();
        write_frame(&mut out, Kind::Output, &vec![7; MAX_FRAME_BYTES + 1]).unwrap();
        assert_eq!(out.len(), MAX_FRAME_BYTES + 1 + 2 * HEAD_BYTES);
        assert_eq!(read_head(out[..HEAD_BYTES].try_into().unwrap()).unwrap(), (Kind::Output, MAX_FRAME_BYTES));
        assert!(read_head([0, 0, 0, 0, 1]).is_err());
        assert!(read_head([1, 0xff, 0, 0, 0]).unwrap_err().to_string().contains("at most"));
    }
}
