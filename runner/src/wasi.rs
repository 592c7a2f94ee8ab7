//! WASI preview 1, as far as an app of a leaf can use it, on a model of a machine instead of a machine.
//!
//! The standard leaves much to the host: order of names, times, inode numbers, error numbers of the host's file system, when
//! a disk is full. Two honest workers must agree on all of it, so nothing of it comes from the host here. What a call costs
//! is a matter of its arguments alone, too: [`CALL_FUEL`] and one for each byte or entry that it touches.

use rand_chacha::rand_core::RngCore;
use sunwork_runner_wire::Kind;
use wasmtime::{Caller, Error, Extern, Linker, Result, Trap};

use crate::errno::Errno;
use crate::limiter::HostFailed;
use crate::state::{Open, State};
use crate::vfs::{Folder, Node};

/// Module that apps import from.
pub const MODULE: &str = "wasi_snapshot_preview1";
/// Instructions that a call is worth.
const CALL_FUEL: u64 = 100;
/// Most buffers of one read or write, as on Linux.
const MAX_BUFFERS: u32 = 1024;

/// Longest path, as on Linux.
const MAX_PATH_BYTES: u32 = 4096;
/// Most subscriptions of one poll.
const MAX_SUBSCRIPTIONS: u32 = 4096;

const RIGHT_READ: i64 = 1 << 1;
const RIGHT_WRITE: i64 = 1 << 6;
const RIGHTS_SEEK_TELL: u64 = 1 << 2 | 1 << 5;
const ALL_RIGHTS: u64 = (1 << 30) - 1;
const OPEN_CREATE: i32 = 1;
const OPEN_FOLDER: i32 = 2;
const OPEN_NEW: i32 = 4;
const OPEN_CUT: i32 = 8;
const FLAG_APPEND: i32 = 1;
const TYPE_UNKNOWN: u8 = 0;
const TYPE_FOLDER: u8 = 3;
const TYPE_FILE: u8 = 4;

/// The app ended itself; of its status eight bits count, as on Unix.
#[derive(Debug)]
pub struct Exit(pub u32);

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the app exited with {}", self.0)
    }
}

impl std::error::Error for Exit {}

enum Fail {
    Errno(Errno),
    End(Error),
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

type Call<T = ()> = std::result::Result<T, Fail>;

/// The app's memory, and what is left of its instructions.
struct Guest<'a> {
    bytes: &'a mut [u8],
    fuel: u64,
}

impl Guest<'_> {
    fn charge(&mut self, amount: u64) -> Call {
        match self.fuel.checked_sub(amount) {
            Some(rest) => {
                self.fuel = rest;
                Ok(())
            }
            None => {
                self.fuel = 0;
                Err(Fail::End(Trap::OutOfFuel.into()))
            }
        }
    }

    fn slice(&mut self, at: i32, length: u32) -> Call<&mut [u8]> {
        self.charge(length.into())?;
        let at = at as u32 as usize;
        let end = at.checked_add(length as usize).ok_or(Errno::FAULT)?;
        Ok(self.bytes.get_mut(at..end).ok_or(Errno::FAULT)?)
    }

    fn put(&mut self, at: i32, bytes: &[u8]) -> Call {
        self.slice(at, u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?)?.copy_from_slice(bytes);
        Ok(())
    }

    fn put_u32(&mut self, at: i32, value: u32) -> Call {
        self.put(at, &value.to_le_bytes())
    }

    fn put_u64(&mut self, at: i32, value: u64) -> Call {
        self.put(at, &value.to_le_bytes())
    }

    fn get_u32(&mut self, at: i32) -> Call<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.slice(at, 4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    fn get_u64(&mut self, at: i32) -> Call<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.slice(at, 8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn path(&mut self, at: i32, length: i32) -> Call<String> {
        if length as u32 > MAX_PATH_BYTES {
            return Err(Errno::NAMETOOLONG.into());
        }
        let bytes = self.slice(at, length as u32)?;
        Ok(std::str::from_utf8(bytes).map_err(|_| Errno::ILSEQ)?.to_owned())
    }

    /// Buffers of a read or write.
    fn buffers(&mut self, at: i32, count: i32) -> Call<Vec<(i32, u32)>> {
        let count = count as u32;
        if count > MAX_BUFFERS {
            return Err(Errno::INVAL.into());
        }
        let mut total = 0_u32;
        (0..count)
            .map(|i| {
                let place = at.wrapping_add((i * 8) as i32);
                let (start, length) = (self.get_u32(place)?, self.get_u32(place.wrapping_add(4))?);
                // A number of bytes must fit the answer.
                total = total.checked_add(length).ok_or(Errno::INVAL)?;
                Ok((start as i32, length))
            })
            .collect()
    }
}

fn call(mut caller: Caller<'_, State>, action: impl FnOnce(&mut Guest<'_>, &mut State) -> Call) -> Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(Error::msg("the module exports no memory"));
    };
    let fuel = caller.get_fuel()?;
    let (bytes, state) = memory.data_and_store_mut(&mut caller);
    let mut guest = Guest { bytes, fuel };
    let ended = guest.charge(CALL_FUEL).and_then(|()| action(&mut guest, state));
    let left = guest.fuel;
    caller.set_fuel(left)?;
    match ended {
        Ok(()) => Ok(0),
        Err(Fail::Errno(errno)) => Ok(errno.0.into()),
        Err(Fail::End(error)) => Err(error),
    }
}

fn machine(doing: &'static str) -> impl Fn(std::io::Error) -> Fail {
    move |error| Fail::End(Error::new(HostFailed(format!("{doing}: {error}"))))
}

/// Reads into the buffers from a place on; the number of bytes.
fn read(guest: &mut Guest<'_>, node: &Node, mut at: u64, buffers: &[(i32, u32)]) -> Call<u32> {
    let mut total = 0;
    for (start, length) in buffers {
        let target = guest.slice(*start, *length)?;
        let got = match node {
            Node::Folder(_) => return Err(Errno::ISDIR.into()),
            Node::File(content) => content.read(at, target),
            Node::Input(input) => input.read(at, target).map_err(machine("reading an input"))?,
        };
        at += got as u64;
        total += got as u32;
        if got < *length as usize {
            break;
        }
    }
    Ok(total)
}

/// Writes the buffers from a place on; the number of bytes. What does not fit is not written.
fn write(guest: &mut Guest<'_>, node: &Node, mut at: u64, buffers: &[(i32, u32)]) -> Call<u32> {
    let Node::File(content) = node else { return Err(Errno::ROFS.into()) };
    let mut total = 0;
    for (start, length) in buffers {
        let bytes = guest.slice(*start, *length)?;
        match content.write(at, bytes) {
            Ok(()) => {}
            // As on Linux: what was written before counts.
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno.into()),
        }
        at += u64::from(*length);
        total += length;
    }
    Ok(total)
}

fn filestat(node: &Node) -> [u8; 64] {
    let mut out = [0; 64];
    out[8..16].copy_from_slice(&node.id().to_le_bytes());
    out[16] = filetype(node);
    out[24..32].copy_from_slice(&1_u64.to_le_bytes());
    out[32..40].copy_from_slice(&node.size().to_le_bytes());
    out
}

const fn filetype(node: &Node) -> u8 {
    if matches!(node, Node::Folder(_)) { TYPE_FOLDER } else { TYPE_FILE }
}

/// What is at a path; links there are none, so there is nothing to follow.
fn at_path(guest: &mut Guest<'_>, state: &State, fd: i32, path: i32, length: i32) -> Call<Node> {
    let base = state.folder(fd)?;
    let path = guest.path(path, length)?;
    let found = base.find(&path)?;
    let node = match found.name {
        None => Node::Folder(found.folder),
        Some(name) => found.folder.get(&name).ok_or(Errno::NOENT)?,
    };
    if found.must_be_folder {
        node.folder()?;
    }
    Ok(node)
}

/// The folder and name that a path leads to, for what makes or removes something there.
fn entry(
    guest: &mut Guest<'_>,
    state: &State,
    fd: i32,
    path: i32,
    length: i32,
) -> Call<(std::rc::Rc<Folder>, String, bool)> {
    let base = state.folder(fd)?;
    let path = guest.path(path, length)?;
    let found = base.find(&path)?;
    Ok((found.folder, found.name.ok_or(Errno::INVAL)?, found.must_be_folder))
}

struct Opening {
    flags: i32,
    rights: i64,
    fd_flags: i32,
}

fn open(state: &mut State, base: &std::rc::Rc<Folder>, path: &str, how: &Opening) -> Call<u32> {
    let found = base.find(path)?;
    let wants = |flag| how.flags & flag != 0;
    let (read, write) = (how.rights & RIGHT_READ != 0, how.rights & RIGHT_WRITE != 0);
    let there = match &found.name {
        None => Some(Node::Folder(found.folder.clone())),
        Some(name) => found.folder.get(name),
    };
    let node = match (there, &found.name) {
        (Some(_), _) if wants(OPEN_CREATE) && wants(OPEN_NEW) => return Err(Errno::EXIST.into()),
        (Some(node), _) => node,
        (None, Some(name)) if wants(OPEN_CREATE) => {
            if wants(OPEN_FOLDER) || found.must_be_folder {
                return Err(Errno::INVAL.into());
            }
            state.vfs.create_file(&found.folder, name)?
        }
        (None, _) => return Err(Errno::NOENT.into()),
    };
    if let Node::Folder(folder) = node {
        if write || wants(OPEN_CUT) || wants(OPEN_CREATE) {
            return Err(Errno::ISDIR.into());
        }
        return Ok(state.insert(Open::Folder { folder, preopen: None, listing: vec![] })?);
    }
    if wants(OPEN_FOLDER) || found.must_be_folder {
        return Err(Errno::NOTDIR.into());
    }
    if (write || wants(OPEN_CUT)) && found.folder.is_read_only() {
        return Err(Errno::ROFS.into());
    }
    let append = how.fd_flags & FLAG_APPEND != 0;
    let cut = match &node {
        Node::File(content) if wants(OPEN_CUT) => Some(content.clone()),
        _ => None,
    };
    let fd = state.insert(Open::File { node, at: 0, append, read, write })?;
    if let Some(content) = cut {
        content.resize(0)?;
    }
    Ok(fd)
}

fn list(guest: &mut Guest<'_>, state: &mut State, fd: i32, buffer: i32, length: u32, cookie: u64) -> Call<u32> {
    let Open::Folder { folder, listing, .. } = state.get_mut(fd)? else { return Err(Errno::NOTDIR.into()) };
    if cookie == 0 {
        // One picture for the whole listing, whatever is made or removed meanwhile.
        let here = Node::Folder(folder.clone());
        *listing = vec![(".".to_owned(), here.clone()), ("..".to_owned(), here)];
        listing.extend(folder.list());
        guest.charge(listing.len() as u64)?;
    }
    let mut used = 0;
    for (place, (name, node)) in listing.iter().enumerate().skip(usize::try_from(cookie).unwrap_or(usize::MAX)) {
        let mut record = Vec::with_capacity(24 + name.len());
        record.extend_from_slice(&(place as u64 + 1).to_le_bytes());
        record.extend_from_slice(&node.id().to_le_bytes());
        record.extend_from_slice(&(name.len() as u32).to_le_bytes());
        record.extend_from_slice(&[filetype(node), 0, 0, 0]);
        record.extend_from_slice(name.as_bytes());
        // The last may be cut: a full buffer says that there is more.
        record.truncate((length - used) as usize);
        guest.put(buffer.wrapping_add(used as i32), &record)?;
        used += record.len() as u32;
        if used == length {
            break;
        }
    }
    Ok(used)
}

/// Reads the subscriptions and gives the events. Files are ready, always; a sleep moves the clock and takes no time.
fn poll(guest: &mut Guest<'_>, state: &mut State, from: i32, to: i32, count: u32) -> Call<u32> {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::INVAL.into());
    }
    let now = [state.clock_ns(0)?, state.clock_ns(1)?];
    let (mut ready, mut sleeping) = (Vec::new(), Vec::new());
    for i in 0..count {
        let place = from.wrapping_add((i.wrapping_mul(48)) as i32);
        let userdata = guest.get_u64(place)?;
        let tag = guest.slice(place.wrapping_add(8), 1)?[0];
        match tag {
            0 => {
                let id = guest.get_u32(place.wrapping_add(16))?;
                let timeout = guest.get_u64(place.wrapping_add(24))?;
                let absolute = guest.slice(place.wrapping_add(40), 1)?[0] & 1 == 1;
                let start = *now.get(id as usize).ok_or(Errno::INVAL)?;
                sleeping.push((userdata, if absolute { timeout.saturating_sub(start) } else { timeout }));
            }
            1 | 2 => {
                let fd = guest.get_u32(place.wrapping_add(16))? as i32;
                let errno = state.get(fd).err().map_or(0, |errno| errno.0);
                ready.push((userdata, errno, tag));
            }
            _ => return Err(Errno::INVAL.into()),
        }
    }
    let shortest = sleeping.iter().map(|(_, left)| *left).min().unwrap_or(0);
    let passed = if ready.is_empty() { shortest } else { 0 };
    state.sleep(passed);
    ready.extend(sleeping.iter().filter(|(_, left)| *left <= passed).map(|(userdata, _)| (*userdata, 0, 0)));
    for (i, (userdata, errno, tag)) in ready.iter().enumerate() {
        let mut event = [0; 32];
        event[..8].copy_from_slice(&userdata.to_le_bytes());
        event[8..10].copy_from_slice(&errno.to_le_bytes());
        event[10] = *tag;
        guest.put(to.wrapping_add((i * 32) as i32), &event)?;
    }
    Ok(ready.len() as u32)
}

/// Strings one after the other, each with a NUL, and their addresses.
fn put_strings(guest: &mut Guest<'_>, strings: &[String], addresses: i32, buffer: i32) -> Call {
    let mut at = buffer;
    for (i, text) in strings.iter().enumerate() {
        guest.put_u32(addresses.wrapping_add((i * 4) as i32), at as u32)?;
        guest.put(at, text.as_bytes())?;
        guest.put(at.wrapping_add(text.len() as i32), &[0])?;
        at = at.wrapping_add(text.len() as i32 + 1);
    }
    Ok(())
}

fn put_sizes(guest: &mut Guest<'_>, strings: &[String], count: i32, bytes: i32) -> Call {
    guest.put_u32(count, strings.len() as u32)?;
    guest.put_u32(bytes, strings.iter().map(|s| s.len() as u32 + 1).sum())
}

/// Gives an app its imports.
///
/// # Errors
/// Never, unless a name is given twice here.
pub fn add(linker: &mut Linker<State>) -> Result<()> {
    type C<'a> = Caller<'a, State>;
    macro_rules! wasi {
        ($name:literal, |$guest:ident, $state:ident $(, $arg:ident: $ty:ty)*| $body:expr) => {
            linker.func_wrap(MODULE, $name, |caller: C<'_> $(, $arg: $ty)*| -> Result<i32> {
                call(caller, |$guest, $state| { $body })
            })?;
        };
    }
    wasi!("args_get", |g, s, addresses: i32, buffer: i32| put_strings(g, &s.args, addresses, buffer));
    wasi!("args_sizes_get", |g, s, count: i32, bytes: i32| put_sizes(g, &s.args, count, bytes));
    wasi!("environ_get", |g, s, addresses: i32, buffer: i32| put_strings(g, &s.env, addresses, buffer));
    wasi!("environ_sizes_get", |g, s, count: i32, bytes: i32| put_sizes(g, &s.env, count, bytes));
    wasi!("clock_res_get", |g, s, id: i32, out: i32| {
        s.clock_ns(id)?;
        g.put_u64(out, s.clock_step_ns())
    });
    wasi!("clock_time_get", |g, s, id: i32, _precision: i64, out: i32| g.put_u64(out, s.clock_ns(id)?));
    wasi!("random_get", |g, s, out: i32, length: i32| {
        s.random.fill_bytes(g.slice(out, length as u32)?);
        Ok(())
    });
    wasi!("sched_yield", |_g, _s| Ok(()));
    wasi!("poll_oneoff", |g, s, from: i32, to: i32, count: i32, out: i32| {
        let events = poll(g, s, from, to, count as u32)?;
        g.put_u32(out, events)
    });
    linker.func_wrap(MODULE, "proc_exit", |_: C<'_>, status: i32| -> Result<()> {
        Err(Error::new(Exit(status as u32 & 0xff)))
    })?;
    // A signal ends what does not catch it, and a module cannot.
    linker.func_wrap(MODULE, "proc_raise", |_: C<'_>, signal: i32| -> Result<i32> {
        Err(Error::new(Exit(128 + (signal as u32 & 0x7f))))
    })?;

    wasi!("fd_advise", |_g, s, fd: i32, _at: i64, _length: i64, _advice: i32| Ok(s.file(fd).map(drop)?));
    wasi!("fd_allocate", |_g, s, fd: i32, at: i64, length: i64| {
        let Open::File { node: Node::File(content), write: true, .. } = s.file(fd)? else {
            return Err(Errno::BADF.into());
        };
        let end = (at as u64).checked_add(length as u64).ok_or(Errno::FBIG)?;
        if end > content.size() {
            content.resize(end)?;
        }
        Ok(())
    });
    wasi!("fd_close", |_g, s, fd: i32| Ok(s.close(fd).map(drop)?));
    wasi!("fd_datasync", |_g, s, fd: i32| Ok(s.get(fd).map(drop)?));
    wasi!("fd_sync", |_g, s, fd: i32| Ok(s.get(fd).map(drop)?));
    wasi!("fd_fdstat_get", |g, s, fd: i32, out: i32| {
        let (kind, flags, base) = match s.get(fd)? {
            // Neither a terminal nor a file.
            Open::Stdin => (TYPE_UNKNOWN, 0, RIGHT_READ as u64),
            Open::Print(_) => (TYPE_UNKNOWN, 0, RIGHT_WRITE as u64),
            Open::Folder { .. } => (TYPE_FOLDER, 0, ALL_RIGHTS & !RIGHTS_SEEK_TELL),
            Open::File { append, read, write, .. } => {
                let not = (u64::from(!read) * RIGHT_READ as u64) | (u64::from(!write) * RIGHT_WRITE as u64);
                (TYPE_FILE, u8::from(*append), ALL_RIGHTS & !not)
            }
        };
        let mut stat = [0; 24];
        (stat[0], stat[2]) = (kind, flags);
        stat[8..16].copy_from_slice(&base.to_le_bytes());
        stat[16..24].copy_from_slice(&ALL_RIGHTS.to_le_bytes());
        g.put(out, &stat)
    });
    wasi!("fd_fdstat_set_flags", |_g, s, fd: i32, flags: i32| {
        if let Open::File { append, .. } = s.get_mut(fd)? {
            *append = flags & FLAG_APPEND != 0;
        }
        Ok(())
    });
    wasi!("fd_fdstat_set_rights", |_g, _s, _fd: i32, _base: i64, _inheriting: i64| Err(Errno::NOTSUP.into()));
    wasi!("fd_filestat_get", |g, s, fd: i32, out: i32| {
        let stat = match s.get(fd)? {
            Open::Stdin | Open::Print(_) => [0; 64],
            Open::Folder { folder, .. } => filestat(&Node::Folder(folder.clone())),
            Open::File { node, .. } => filestat(node),
        };
        g.put(out, &stat)
    });
    wasi!("fd_filestat_set_size", |_g, s, fd: i32, size: i64| {
        let Open::File { node: Node::File(content), write: true, .. } = s.file(fd)? else {
            return Err(Errno::BADF.into());
        };
        Ok(content.resize(size as u64)?)
    });
    // Times are zero, whatever is set.
    wasi!("fd_filestat_set_times", |_g, s, fd: i32, _at: i64, _mt: i64, _flags: i32| Ok(s.get(fd).map(drop)?));
    wasi!("fd_prestat_get", |g, s, fd: i32, out: i32| {
        let Open::Folder { preopen: Some(path), .. } = s.get(fd)? else { return Err(Errno::BADF.into()) };
        let length = path.len() as u32;
        g.put_u32(out, 0)?;
        g.put_u32(out.wrapping_add(4), length)
    });
    wasi!("fd_prestat_dir_name", |g, s, fd: i32, out: i32, length: i32| {
        let Open::Folder { preopen: Some(path), .. } = s.get(fd)? else { return Err(Errno::BADF.into()) };
        let path = path.as_bytes();
        if (length as u32 as usize) < path.len() {
            return Err(Errno::NAMETOOLONG.into());
        }
        g.put(out, path)
    });
    wasi!("fd_read", |g, s, fd: i32, buffers: i32, count: i32, out: i32| {
        let buffers = g.buffers(buffers, count)?;
        let got = match s.get_mut(fd)? {
            Open::Stdin => 0,
            Open::File { node, at, read: true, .. } => {
                let got = read(g, node, *at, &buffers)?;
                *at += u64::from(got);
                got
            }
            Open::Folder { .. } => return Err(Errno::ISDIR.into()),
            _ => return Err(Errno::BADF.into()),
        };
        g.put_u32(out, got)
    });
    wasi!("fd_pread", |g, s, fd: i32, buffers: i32, count: i32, from: i64, out: i32| {
        let buffers = g.buffers(buffers, count)?;
        let Open::File { node, read: true, .. } = s.file(fd)? else { return Err(Errno::BADF.into()) };
        let got = read(g, node, from as u64, &buffers)?;
        g.put_u32(out, got)
    });
    wasi!("fd_write", |g, s, fd: i32, buffers: i32, count: i32, out: i32| {
        let buffers = g.buffers(buffers, count)?;
        let sink = s.sink.clone();
        let wrote = match s.get_mut(fd)? {
            Open::Print(kind) => {
                let kind: Kind = *kind;
                let mut wrote = 0;
                for (start, length) in buffers {
                    let bytes = g.slice(start, length)?;
                    if !bytes.is_empty() {
                        sink.print(kind, bytes).map_err(machine("handing over what the app prints"))?;
                    }
                    wrote += length;
                }
                wrote
            }
            Open::File { node, at, append, write: true, .. } => {
                let from = if *append { node.size() } else { *at };
                let wrote = write(g, node, from, &buffers)?;
                *at = from + u64::from(wrote);
                wrote
            }
            _ => return Err(Errno::BADF.into()),
        };
        g.put_u32(out, wrote)
    });
    wasi!("fd_pwrite", |g, s, fd: i32, buffers: i32, count: i32, from: i64, out: i32| {
        let buffers = g.buffers(buffers, count)?;
        let Open::File { node, write: true, .. } = s.file(fd)? else { return Err(Errno::BADF.into()) };
        let wrote = write(g, node, from as u64, &buffers)?;
        g.put_u32(out, wrote)
    });
    wasi!("fd_readdir", |g, s, fd: i32, buffer: i32, length: i32, cookie: i64, out: i32| {
        let used = list(g, s, fd, buffer, length as u32, cookie as u64)?;
        g.put_u32(out, used)
    });
    wasi!("fd_renumber", |_g, s, from: i32, to: i32| Ok(s.renumber(from, to)?));
    wasi!("fd_seek", |g, s, fd: i32, offset: i64, whence: i32, out: i32| {
        let Open::File { node, at, .. } = s.file(fd)? else { return Err(Errno::SPIPE.into()) };
        let base = match whence {
            0 => 0,
            1 => *at,
            2 => node.size(),
            _ => return Err(Errno::INVAL.into()),
        };
        let place = base.checked_add_signed(offset).filter(|p| *p <= i64::MAX as u64).ok_or(Errno::INVAL)?;
        *at = place;
        g.put_u64(out, place)
    });
    wasi!("fd_tell", |g, s, fd: i32, out: i32| {
        let Open::File { at, .. } = s.file(fd)? else { return Err(Errno::SPIPE.into()) };
        let place = *at;
        g.put_u64(out, place)
    });

    wasi!("path_create_directory", |g, s, fd: i32, path: i32, length: i32| {
        let base = s.folder(fd)?;
        let path = g.path(path, length)?;
        let found = base.find(&path)?;
        Ok(s.vfs.create_folder(&found.folder, &found.name.ok_or(Errno::EXIST)?)?)
    });
    wasi!("path_filestat_get", |g, s, fd: i32, _flags: i32, path: i32, length: i32, out: i32| {
        let node = at_path(g, s, fd, path, length)?;
        g.put(out, &filestat(&node))
    });
    wasi!("path_filestat_set_times", |g,
                                      s,
                                      fd: i32,
                                      _flags: i32,
                                      path: i32,
                                      length: i32,
                                      _at: i64,
                                      _mt: i64,
                                      _which: i32| {
        at_path(g, s, fd, path, length).map(drop)
    });
    wasi!("path_open", |g,
                        s,
                        fd: i32,
                        _lookup: i32,
                        path: i32,
                        length: i32,
                        flags: i32,
                        rights: i64,
                        _inherit: i64,
                        fd_flags: i32,
                        out: i32| {
        let base = s.folder(fd)?;
        let path = g.path(path, length)?;
        let opened = open(s, &base, &path, &Opening { flags, rights, fd_flags })?;
        g.put_u32(out, opened)
    });
    wasi!("path_remove_directory", |g, s, fd: i32, path: i32, length: i32| {
        let (folder, name, _) = entry(g, s, fd, path, length)?;
        Ok(folder.remove_folder(&name)?)
    });
    wasi!("path_unlink_file", |g, s, fd: i32, path: i32, length: i32| {
        let (folder, name, must_be_folder) = entry(g, s, fd, path, length)?;
        Ok(if must_be_folder { Err(Errno::NOTDIR) } else { folder.remove_file(&name) }?)
    });
    wasi!("path_rename", |g, s, fd: i32, old: i32, old_length: i32, to_fd: i32, new: i32, new_length: i32| {
        let (from, old, _) = entry(g, s, fd, old, old_length)?;
        let (to, new, _) = entry(g, s, to_fd, new, new_length)?;
        // A folder is searched for the place it would go to.
        g.charge(s.vfs.room.entries_used())?;
        Ok(Folder::rename(&from, &old, &to, &new)?)
    });
    // No links: nothing can point out of the folders, and a hard link is a copy that the app can make itself.
    wasi!("path_link", |_g, _s, _a: i32, _b: i32, _c: i32, _d: i32, _e: i32, _f: i32, _h: i32| Err(
        Errno::NOTSUP.into()
    ));
    wasi!("path_symlink", |_g, _s, _a: i32, _b: i32, _c: i32, _d: i32, _e: i32| Err(Errno::NOTSUP.into()));
    wasi!("path_readlink", |g, s, fd: i32, path: i32, length: i32, _buffer: i32, _size: i32, _out: i32| {
        at_path(g, s, fd, path, length)?;
        Err(Errno::INVAL.into())
    });
    // No network, so no socket is ever open.
    wasi!("sock_accept", |_g, s, fd: i32, _flags: i32, _out: i32| no_socket(s, fd));
    wasi!("sock_recv", |_g, s, fd: i32, _b: i32, _c: i32, _d: i32, _e: i32, _f: i32| no_socket(s, fd));
    wasi!("sock_send", |_g, s, fd: i32, _b: i32, _c: i32, _d: i32, _e: i32| no_socket(s, fd));
    wasi!("sock_shutdown", |_g, s, fd: i32, _how: i32| no_socket(s, fd));
    Ok(())
}

fn no_socket(state: &State, fd: i32) -> Call {
    state.get(fd)?;
    Err(Errno::NOTSOCK.into())
}
