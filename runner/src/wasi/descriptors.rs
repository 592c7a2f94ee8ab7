//! Calls on what is open: reading, writing, listing, and what is told of it.

use sunwork_runner_wire::Kind;
use wasmtime::{Linker, Result};

use super::{
    guest::{Call, Guest, machine, wasi},
    paths::{FLAG_APPEND, RIGHT_READ, RIGHT_WRITE},
    stat::{TYPE_FILE, TYPE_FOLDER, TYPE_UNKNOWN, filestat, filetype},
};
use crate::{
    errno::Errno,
    state::{Open, State},
    vfs::Node,
};

const RIGHTS_SEEK_TELL: u64 = 1 << 2 | 1 << 5;
const ALL_RIGHTS: u64 = (1 << 30) - 1;

pub(super) fn add(linker: &mut Linker<State>) -> Result<()> {
    wasi!(linker, "fd_advise", |_g, s, fd: i32, _at: i64, _length: i64, _advice: i32| Ok(s.file(fd).map(drop)?));
    wasi!(linker, "fd_allocate", |_g, s, fd: i32, at: i64, length: i64| {
        let Open::File { node: Node::File(content), write: true, .. } = s.file(fd)? else {
            return Err(Errno::BADF.into());
        };
        let end = (at as u64).checked_add(length as u64).ok_or(Errno::FBIG)?;
        if end > content.size() {
            content.resize(end)?;
        }
        Ok(())
    });
    wasi!(linker, "fd_close", |_g, s, fd: i32| Ok(s.close(fd).map(drop)?));
    wasi!(linker, "fd_datasync", |_g, s, fd: i32| Ok(s.get(fd).map(drop)?));
    wasi!(linker, "fd_sync", |_g, s, fd: i32| Ok(s.get(fd).map(drop)?));
    wasi!(linker, "fd_fdstat_get", |g, s, fd: i32, out: i32| {
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
    wasi!(linker, "fd_fdstat_set_flags", |_g, s, fd: i32, flags: i32| {
        if let Open::File { append, .. } = s.get_mut(fd)? {
            *append = flags & FLAG_APPEND != 0;
        }
        Ok(())
    });
    wasi!(linker, "fd_fdstat_set_rights", |_g, _s, _fd: i32, _base: i64, _inheriting: i64| Err(Errno::NOTSUP.into()));
    wasi!(linker, "fd_filestat_get", |g, s, fd: i32, out: i32| {
        let stat = match s.get(fd)? {
            Open::Stdin | Open::Print(_) => [0; 64],
            Open::Folder { folder, .. } => filestat(&Node::Folder(folder.clone())),
            Open::File { node, .. } => filestat(node),
        };
        g.put(out, &stat)
    });
    wasi!(linker, "fd_filestat_set_size", |_g, s, fd: i32, size: i64| {
        let Open::File { node: Node::File(content), write: true, .. } = s.file(fd)? else {
            return Err(Errno::BADF.into());
        };
        Ok(content.resize(size as u64)?)
    });
    // Times are zero, whatever is set.
    wasi!(linker, "fd_filestat_set_times", |_g, s, fd: i32, _at: i64, _mt: i64, _flags: i32| Ok(s
        .get(fd)
        .map(drop)?));
    wasi!(linker, "fd_prestat_get", |g, s, fd: i32, out: i32| {
        let Open::Folder { preopen: Some(path), .. } = s.get(fd)? else { return Err(Errno::BADF.into()) };
        let length = path.len() as u32;
        g.put_u32(out, 0)?;
        g.put_u32(out.wrapping_add(4), length)
    });
    wasi!(linker, "fd_prestat_dir_name", |g, s, fd: i32, out: i32, length: i32| {
        let Open::Folder { preopen: Some(path), .. } = s.get(fd)? else { return Err(Errno::BADF.into()) };
        let path = path.as_bytes();
        if (length as u32 as usize) < path.len() {
            return Err(Errno::NAMETOOLONG.into());
        }
        g.put(out, path)
    });
    wasi!(linker, "fd_read", |g, s, fd: i32, buffers: i32, count: i32, out: i32| {
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
    wasi!(linker, "fd_pread", |g, s, fd: i32, buffers: i32, count: i32, from: i64, out: i32| {
        let buffers = g.buffers(buffers, count)?;
        let Open::File { node, read: true, .. } = s.file(fd)? else { return Err(Errno::BADF.into()) };
        let got = read(g, node, from as u64, &buffers)?;
        g.put_u32(out, got)
    });
    wasi!(linker, "fd_write", |g, s, fd: i32, buffers: i32, count: i32, out: i32| {
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
    wasi!(linker, "fd_pwrite", |g, s, fd: i32, buffers: i32, count: i32, from: i64, out: i32| {
        let buffers = g.buffers(buffers, count)?;
        let Open::File { node, write: true, .. } = s.file(fd)? else { return Err(Errno::BADF.into()) };
        let wrote = write(g, node, from as u64, &buffers)?;
        g.put_u32(out, wrote)
    });
    wasi!(linker, "fd_readdir", |g, s, fd: i32, buffer: i32, length: i32, cookie: i64, out: i32| {
        let used = list(g, s, fd, buffer, length as u32, cookie as u64)?;
        g.put_u32(out, used)
    });
    wasi!(linker, "fd_renumber", |_g, s, from: i32, to: i32| Ok(s.renumber(from, to)?));
    wasi!(linker, "fd_seek", |g, s, fd: i32, offset: i64, whence: i32, out: i32| {
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
    wasi!(linker, "fd_tell", |g, s, fd: i32, out: i32| {
        let Open::File { at, .. } = s.file(fd)? else { return Err(Errno::SPIPE.into()) };
        let place = *at;
        g.put_u64(out, place)
    });
    Ok(())
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
