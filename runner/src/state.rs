//! What an app's calls act on: open files, a clock that stands in for time, randomness that is none.

use std::rc::Rc;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sunwork_runner_wire::{CLOCK_START_NS, Kind};

use crate::errno::Errno;
use crate::limiter::Limiter;
use crate::sink::Sink;
use crate::vfs::{Folder, Node, Vfs};

/// Files that an app can have open at a time.
const MAX_OPEN: usize = 4096;
/// The clock moves by this each time it is read, so that a loop that waits for it ends.
const CLOCK_STEP_NS: u64 = 1000;

/// An open file.
#[derive(Clone, Debug)]
pub enum Open {
    /// Empty.
    Stdin,
    /// Goes to the worker.
    Print(Kind),
    /// A folder.
    Folder {
        /// Which.
        folder: Rc<Folder>,
        /// Its path, for those that are open from the start.
        preopen: Option<&'static str>,
        /// What a listing under way shows.
        listing: Vec<(String, Node)>,
    },
    /// A file.
    File {
        /// Which.
        node: Node,
        /// Where the next read or write goes.
        at: u64,
        /// Writes go to the end.
        append: bool,
        /// May be read.
        read: bool,
        /// May be written.
        write: bool,
    },
}

/// One run of one app.
pub struct State {
    /// Files.
    pub vfs: Vfs,
    /// Arguments, the program's name first.
    pub args: Vec<String>,
    /// "NAME=value".
    pub env: Vec<String>,
    /// Where its output goes.
    pub sink: Sink,
    /// Where its randomness comes from.
    pub random: ChaCha20Rng,
    /// Memory and tables.
    pub limiter: Limiter,
    open: Vec<Option<Open>>,
    elapsed_ns: u64,
}

impl State {
    /// At the start.
    pub fn new(vfs: Vfs, args: Vec<String>, env: Vec<String>, seed: [u8; 32], limiter: Limiter, sink: Sink) -> Self {
        let folder =
            |folder: &Rc<Folder>, path| Open::Folder { folder: folder.clone(), preopen: Some(path), listing: vec![] };
        let open = vec![
            Some(Open::Stdin),
            Some(Open::Print(Kind::Stdout)),
            Some(Open::Print(Kind::Stderr)),
            Some(folder(&vfs.inputs, "/iexec_in")),
            Some(folder(&vfs.outputs, "/iexec_out")),
        ];
        Self { vfs, args, env, sink, random: ChaCha20Rng::from_seed(seed), limiter, open, elapsed_ns: 0 }
    }

    /// An open file.
    pub fn get(&self, fd: i32) -> Result<&Open, Errno> {
        usize::try_from(fd).ok().and_then(|i| self.open.get(i)).and_then(Option::as_ref).ok_or(Errno::BADF)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, fd: i32) -> Result<&mut Open, Errno> {
        usize::try_from(fd).ok().and_then(|i| self.open.get_mut(i)).and_then(Option::as_mut).ok_or(Errno::BADF)
    }

    /// An open folder.
    pub fn folder(&self, fd: i32) -> Result<Rc<Folder>, Errno> {
        match self.get(fd)? {
            Open::Folder { folder, .. } => Ok(folder.clone()),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// An open file (no folder, no stream).
    pub fn file(&mut self, fd: i32) -> Result<&mut Open, Errno> {
        match self.get_mut(fd)? {
            Open::Folder { .. } => Err(Errno::ISDIR),
            file @ Open::File { .. } => Ok(file),
            _ => Err(Errno::SPIPE),
        }
    }

    /// Opens at the lowest free number.
    pub fn insert(&mut self, open: Open) -> Result<u32, Errno> {
        let free = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if free >= MAX_OPEN {
            return Err(Errno::MFILE);
        }
        if free == self.open.len() {
            self.open.push(None);
        }
        self.open[free] = Some(open);
        Ok(free as u32)
    }

    /// Closes.
    pub fn close(&mut self, fd: i32) -> Result<Open, Errno> {
        self.get(fd)?;
        self.open[fd as usize].take().ok_or(Errno::BADF)
    }

    /// Moves an open file to the number of another, which is closed.
    pub fn renumber(&mut self, from: i32, to: i32) -> Result<(), Errno> {
        self.get(to)?;
        let open = self.close(from)?;
        self.open[to as usize] = Some(open);
        Ok(())
    }

    /// Reads a clock, which moves it: 0 tells the time of day, others the time since the start.
    pub fn clock_ns(&mut self, id: i32) -> Result<u64, Errno> {
        self.elapsed_ns = self.elapsed_ns.saturating_add(CLOCK_STEP_NS);
        match id {
            0 => Ok(CLOCK_START_NS.saturating_add(self.elapsed_ns)),
            1..=3 => Ok(self.elapsed_ns),
            _ => Err(Errno::INVAL),
        }
    }

    /// Smallest step of a clock.
    pub const fn clock_step_ns(&self) -> u64 {
        CLOCK_STEP_NS
    }

    /// Sleeps: the clock moves, nobody waits.
    pub fn sleep(&mut self, ns: u64) {
        self.elapsed_ns = self.elapsed_ns.saturating_add(ns);
    }
}
