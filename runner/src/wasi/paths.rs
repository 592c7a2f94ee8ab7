//! Calls on names: opening, making, removing, renaming.

use std::rc::Rc;

use wasmtime::{Linker, Result};

use super::{
    guest::{Call, Guest, wasi},
    stat::filestat,
};
use crate::{
    errno::Errno,
    state::{Open, State},
    vfs::{Folder, Node},
};

pub(super) const RIGHT_READ: i64 = 1 << 1;
pub(super) const RIGHT_WRITE: i64 = 1 << 6;
pub(super) const FLAG_APPEND: i32 = 1;
const OPEN_CREATE: i32 = 1;
const OPEN_FOLDER: i32 = 2;
const OPEN_NEW: i32 = 4;
const OPEN_CUT: i32 = 8;

pub(super) fn add(linker: &mut Linker<State>) -> Result<()> {
    wasi!(linker, "path_create_directory", |g, s, fd: i32, path: i32, length: i32| {
        let base = s.folder(fd)?;
        let path = g.path(path, length)?;
        let found = base.find(&path)?;
        Ok(s.vfs.create_folder(&found.folder, &found.name.ok_or(Errno::EXIST)?)?)
    });
    wasi!(linker, "path_filestat_get", |g, s, fd: i32, _flags: i32, path: i32, length: i32, out: i32| {
        let node = at_path(g, s, fd, path, length)?;
        g.put(out, &filestat(&node))
    });
    wasi!(linker, "path_filestat_set_times", |g,
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
    wasi!(linker, "path_open", |g,
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
    wasi!(linker, "path_remove_directory", |g, s, fd: i32, path: i32, length: i32| {
        let (folder, name, _) = entry(g, s, fd, path, length)?;
        Ok(folder.remove_folder(&name)?)
    });
    wasi!(linker, "path_unlink_file", |g, s, fd: i32, path: i32, length: i32| {
        let (folder, name, must_be_folder) = entry(g, s, fd, path, length)?;
        Ok(if must_be_folder { Err(Errno::NOTDIR) } else { folder.remove_file(&name) }?)
    });
    wasi!(linker, "path_rename", |g, s, fd: i32, old: i32, old_length: i32, to_fd: i32, new: i32, new_length: i32| {
        let (from, old, _) = entry(g, s, fd, old, old_length)?;
        let (to, new, _) = entry(g, s, to_fd, new, new_length)?;
        // A folder is searched for the place it would go to.
        g.charge(s.vfs.room.entries_used())?;
        Ok(Folder::rename(&from, &old, &to, &new)?)
    });
    // No links: nothing can point out of the folders, and a hard link is a copy that the app can make itself.
    wasi!(linker, "path_link", |_g, _s, _a: i32, _b: i32, _c: i32, _d: i32, _e: i32, _f: i32, _h: i32| Err(
        Errno::NOTSUP.into()
    ));
    wasi!(linker, "path_symlink", |_g, _s, _a: i32, _b: i32, _c: i32, _d: i32, _e: i32| Err(Errno::NOTSUP.into()));
    wasi!(linker, "path_readlink", |g, s, fd: i32, path: i32, length: i32, _buffer: i32, _size: i32, _out: i32| {
        at_path(g, s, fd, path, length)?;
        Err(Errno::INVAL.into())
    });
    Ok(())
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
fn entry(guest: &mut Guest<'_>, state: &State, fd: i32, path: i32, length: i32) -> Call<(Rc<Folder>, String, bool)> {
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

fn open(state: &mut State, base: &Rc<Folder>, path: &str, how: &Opening) -> Call<u32> {
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
