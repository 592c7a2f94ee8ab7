//! The app's file system: a folder of inputs that cannot be written, a folder of outputs that lies in memory, and nothing else.
//!
//! It is a model, not a view of the host's: no path leads out of it, there are no links and no special files, names come in
//! one order, times are zero, and room is counted to the byte. So an app sees the same on every machine, and a full folder is
//! a fact, not a race.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use crate::errno::Errno;

/// Room is taken in pieces of this size, as on a file system in memory.
const PAGE_BYTES: u64 = 4096;
/// Content is kept in pieces of this size; those that were never written take none.
const PIECE_BYTES: usize = 64 * 1024;
/// Longest name, as on Linux.
const MAX_NAME_BYTES: usize = 255;

/// Room of the output folder.
#[derive(Debug)]
pub struct Room {
    bytes_left: Cell<u64>,
    entries_left: Cell<u64>,
    entries: u64,
    refused: Cell<bool>,
}

impl Room {
    /// All of it free.
    pub fn new(bytes: u64, entries: u64) -> Rc<Self> {
        Rc::new(Self { bytes_left: bytes.into(), entries_left: entries.into(), entries, refused: false.into() })
    }

    /// Files and folders that are there.
    pub fn entries_used(&self) -> u64 {
        self.entries - self.entries_left.get()
    }

    /// True once something did not fit.
    pub fn was_refused(&self) -> bool {
        self.refused.get()
    }

    fn take(&self, left: &Cell<u64>, amount: u64) -> Result<(), Errno> {
        match left.get().checked_sub(amount) {
            Some(rest) => {
                left.set(rest);
                Ok(())
            }
            None => {
                self.refused.set(true);
                Err(Errno::NOSPC)
            }
        }
    }
}

/// A file or folder.
#[derive(Clone, Debug)]
pub enum Node {
    /// A folder.
    Folder(Rc<Folder>),
    /// A file of the output folder.
    File(Rc<Content>),
    /// A file of the input folder.
    Input(Rc<Input>),
}

/// A folder.
#[derive(Debug)]
pub struct Folder {
    /// Names sorted by their bytes.
    children: RefCell<BTreeMap<String, Node>>,
    /// None: the folder cannot be written.
    room: Option<Rc<Room>>,
    id: u64,
}

/// A file of the input folder.
#[derive(Debug)]
pub struct Input {
    file: File,
    size: u64,
    id: u64,
}

/// A file that is kept in memory.
#[derive(Debug)]
pub struct Content {
    pieces: RefCell<Vec<Option<Box<[u8]>>>>,
    size: Cell<u64>,
    room: Rc<Room>,
    id: u64,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.room.bytes_left.set(self.room.bytes_left.get() + pages(self.size.get()));
    }
}

const fn pages(size: u64) -> u64 {
    size.saturating_add(PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES
}

impl Content {
    /// Its length.
    pub fn size(&self) -> u64 {
        self.size.get()
    }

    /// Cuts or lengthens it.
    pub fn resize(&self, size: u64) -> Result<(), Errno> {
        let (old, new) = (pages(self.size.get()), pages(size));
        // A length near the end of u64 rounds down; it never fits anyway.
        if new < size || size > i64::MAX as u64 {
            self.room.refused.set(true);
            return Err(Errno::FBIG);
        }
        if new > old {
            self.room.take(&self.room.bytes_left, new - old)?;
        } else {
            self.room.bytes_left.set(self.room.bytes_left.get() + (old - new));
        }
        let mut pieces = self.pieces.borrow_mut();
        pieces.resize(size.div_ceil(PIECE_BYTES as u64) as usize, None);
        // What is cut off reads as zeros if the file grows again.
        let used = (size % PIECE_BYTES as u64) as usize;
        if size < self.size.get()
            && used > 0
            && let Some(Some(last)) = pieces.last_mut()
        {
            last[used..].fill(0);
        }
        self.size.set(size);
        Ok(())
    }

    /// Reads at a place; 0 at the end.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        let wanted = (self.size.get().saturating_sub(at)).min(buffer.len() as u64) as usize;
        let pieces = self.pieces.borrow();
        let mut done = 0;
        while done < wanted {
            let (piece, from) = place(at + done as u64);
            let count = (PIECE_BYTES - from).min(wanted - done);
            let target = &mut buffer[done..done + count];
            match pieces.get(piece).and_then(Option::as_ref) {
                Some(bytes) => target.copy_from_slice(&bytes[from..from + count]),
                None => target.fill(0),
            }
            done += count;
        }
        wanted
    }

    /// Writes at a place, all of it or nothing.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        let end = at.checked_add(bytes.len() as u64).ok_or(Errno::FBIG)?;
        if end > self.size.get() {
            self.resize(end)?;
        }
        let mut pieces = self.pieces.borrow_mut();
        let mut done = 0;
        while done < bytes.len() {
            let (piece, from) = place(at + done as u64);
            let count = (PIECE_BYTES - from).min(bytes.len() - done);
            let target = pieces[piece].get_or_insert_with(|| vec![0; PIECE_BYTES].into_boxed_slice());
            target[from..from + count].copy_from_slice(&bytes[done..done + count]);
            done += count;
        }
        Ok(())
    }
}

fn place(at: u64) -> (usize, usize) {
    ((at / PIECE_BYTES as u64) as usize, (at % PIECE_BYTES as u64) as usize)
}

impl Input {
    /// Reads at a place; 0 at the end.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = (self.size.saturating_sub(at)).min(buffer.len() as u64) as usize;
        self.file.read_exact_at(&mut buffer[..wanted], at)?;
        Ok(wanted)
    }
}

impl Node {
    /// Its length, zero for a folder.
    pub fn size(&self) -> u64 {
        match self {
            Self::Folder(_) => 0,
            Self::File(content) => content.size(),
            Self::Input(input) => input.size,
        }
    }

    /// A number that no other file or folder has; the same on every machine.
    pub fn id(&self) -> u64 {
        match self {
            Self::Folder(folder) => folder.id,
            Self::File(content) => content.id,
            Self::Input(input) => input.id,
        }
    }

    /// As a folder.
    pub fn folder(&self) -> Result<&Rc<Folder>, Errno> {
        match self {
            Self::Folder(folder) => Ok(folder),
            _ => Err(Errno::NOTDIR),
        }
    }
}

/// What leads to something: the folder that holds it, and its name; no name means the folder itself.
pub struct Found {
    /// The folder.
    pub folder: Rc<Folder>,
    /// The last part.
    pub name: Option<String>,
    /// The path ended in a slash.
    pub must_be_folder: bool,
}

/// The folders of an app.
#[derive(Debug)]
pub struct Vfs {
    /// `/iexec_in`.
    pub inputs: Rc<Folder>,
    /// `/iexec_out`.
    pub outputs: Rc<Folder>,
    /// Room of the latter.
    pub room: Rc<Room>,
    next_id: Cell<u64>,
}

impl Vfs {
    /// With these inputs, opened already.
    pub fn new(inputs: Vec<(String, File, u64)>, room: Rc<Room>) -> Self {
        let mut children = BTreeMap::new();
        let mut id = 3;
        let mut sorted = inputs;
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, file, size) in sorted {
            children.insert(name, Node::Input(Rc::new(Input { file, size, id })));
            id += 1;
        }
        Self {
            inputs: Rc::new(Folder { children: children.into(), room: None, id: 1 }),
            outputs: Rc::new(Folder { children: RefCell::default(), room: Some(room.clone()), id: 2 }),
            room,
            next_id: id.into(),
        }
    }

    fn id(&self) -> u64 {
        self.next_id.replace(self.next_id.get() + 1)
    }

    /// Makes an empty file.
    pub fn create_file(&self, folder: &Folder, name: &str) -> Result<Node, Errno> {
        let room = folder.room.clone().ok_or(Errno::ROFS)?;
        room.take(&room.entries_left, 1)?;
        let id = self.id();
        let node = Node::File(Rc::new(Content { pieces: RefCell::default(), size: Cell::new(0), room, id }));
        folder.children.borrow_mut().insert(name.to_owned(), node.clone());
        Ok(node)
    }

    /// Makes an empty folder.
    pub fn create_folder(&self, folder: &Folder, name: &str) -> Result<(), Errno> {
        let room = folder.room.clone().ok_or(Errno::ROFS)?;
        if folder.get(name).is_some() {
            return Err(Errno::EXIST);
        }
        room.take(&room.entries_left, 1)?;
        let node = Node::Folder(Rc::new(Folder { children: RefCell::default(), room: Some(room), id: self.id() }));
        folder.children.borrow_mut().insert(name.to_owned(), node);
        Ok(())
    }
}

impl Folder {
    /// What has this name.
    pub fn get(&self, name: &str) -> Option<Node> {
        self.children.borrow().get(name).cloned()
    }

    /// True where nothing can be made, changed or removed.
    pub fn is_read_only(&self) -> bool {
        self.room.is_none()
    }

    /// Names and nodes, in the order of their bytes.
    pub fn list(&self) -> Vec<(String, Node)> {
        self.children.borrow().iter().map(|(name, node)| (name.clone(), node.clone())).collect()
    }

    fn take_out(&self, name: &str) {
        if self.children.borrow_mut().remove(name).is_some()
            && let Some(room) = &self.room
        {
            room.entries_left.set(room.entries_left.get() + 1);
        }
    }

    /// Removes a file. Who has it open can go on with it; its room is free when nobody has.
    pub fn remove_file(&self, name: &str) -> Result<(), Errno> {
        if self.is_read_only() {
            return Err(Errno::ROFS);
        }
        match self.get(name).ok_or(Errno::NOENT)? {
            Node::Folder(_) => Err(Errno::ISDIR),
            _ => {
                self.take_out(name);
                Ok(())
            }
        }
    }

    /// Removes an empty folder.
    pub fn remove_folder(&self, name: &str) -> Result<(), Errno> {
        if self.is_read_only() {
            return Err(Errno::ROFS);
        }
        let node = self.get(name).ok_or(Errno::NOENT)?;
        if !node.folder()?.children.borrow().is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.take_out(name);
        Ok(())
    }

    /// Finds where a path leads to, part by part. Nothing leads above `self`.
    pub fn find(self: &Rc<Self>, path: &str) -> Result<Found, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.starts_with('/') {
            return Err(Errno::NOTCAPABLE);
        }
        if path.contains('\0') {
            return Err(Errno::ILSEQ);
        }
        let mut above: Vec<Rc<Self>> = Vec::new();
        let mut here = self.clone();
        let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
        let must_be_folder = path.ends_with('/') || path.ends_with("/.") || path == ".";
        while let Some(part) = parts.next() {
            if part == ".." {
                here = above.pop().ok_or(Errno::NOTCAPABLE)?;
                continue;
            }
            if part.len() > MAX_NAME_BYTES {
                return Err(Errno::NAMETOOLONG);
            }
            if parts.peek().is_none() {
                return Ok(Found { folder: here, name: Some(part.to_owned()), must_be_folder });
            }
            let below = here.get(part).ok_or(Errno::NOENT)?.folder()?.clone();
            above.push(std::mem::replace(&mut here, below));
        }
        Ok(Found { folder: here, name: None, must_be_folder: true })
    }

    /// True when `other` is this folder or lies below it.
    fn holds(self: &Rc<Self>, other: &Rc<Self>) -> bool {
        // Depth is bounded by the entries there may be; a list of folders to look into, not recursion.
        let mut open = vec![self.clone()];
        while let Some(folder) = open.pop() {
            if Rc::ptr_eq(&folder, other) {
                return true;
            }
            open.extend(folder.children.borrow().values().filter_map(|node| node.folder().ok().cloned()));
        }
        false
    }

    /// Renames; what has the new name is replaced as by rename(2).
    pub fn rename(from: &Rc<Self>, old: &str, to: &Rc<Self>, new: &str) -> Result<(), Errno> {
        if from.is_read_only() || to.is_read_only() {
            return Err(Errno::ROFS);
        }
        let node = from.get(old).ok_or(Errno::NOENT)?;
        if let Node::Folder(folder) = &node
            && folder.holds(to)
        {
            return Err(Errno::INVAL);
        }
        if let Some(target) = to.get(new) {
            if target.id() == node.id() {
                return Ok(());
            }
            match (&node, &target) {
                (Node::Folder(_), Node::Folder(_)) => to.remove_folder(new)?,
                (Node::Folder(_), _) => return Err(Errno::NOTDIR),
                (_, Node::Folder(_)) => return Err(Errno::ISDIR),
                _ => to.take_out(new),
            }
        }
        from.children.borrow_mut().remove(old);
        to.children.borrow_mut().insert(new.to_owned(), node);
        Ok(())
    }
}

impl Drop for Folder {
    /// One by one: a chain of a million folders must not be dropped by recursion.
    fn drop(&mut self) {
        let mut open: Vec<Node> = std::mem::take(self.children.get_mut()).into_values().collect();
        while let Some(node) = open.pop() {
            if let Node::Folder(folder) = node
                && let Ok(mut folder) = Rc::try_unwrap(folder)
            {
                open.extend(std::mem::take(folder.children.get_mut()).into_values());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn vfs(bytes: u64, entries: u64) -> Vfs {
        Vfs::new(vec![], Room::new(bytes, entries))
    }

    fn file(node: Node) -> Rc<Content> {
        match node {
            Node::File(content) => content,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn room_is_counted_in_pages_and_comes_back() {
        let vfs = vfs(3 * 4096, 2);
        let one = file(vfs.create_file(&vfs.outputs, "a").unwrap());
        one.write(0, &[1; 4097]).unwrap();
        assert_eq!(one.write(8192, &[1; 4097]), Err(Errno::NOSPC));
        assert!(vfs.room.was_refused());
        assert_eq!(one.size(), 4097, "nothing of a write that does not fit");
        one.resize(1).unwrap();
        one.write(8192, &[9]).unwrap();
        let mut bytes = [7; 8193];
        assert_eq!(one.read(0, &mut bytes), 8193);
        assert_eq!(
            (bytes[0], bytes[1], bytes[4096], bytes[8192]),
            (1, 0, 0, 9),
            "holes and what was cut off are zeros"
        );
        assert_eq!(one.resize(100 << 30), Err(Errno::NOSPC));
        assert_eq!(one.resize(u64::MAX), Err(Errno::FBIG));
        assert_eq!(one.write(u64::MAX, &[0]), Err(Errno::FBIG));
        vfs.create_folder(&vfs.outputs, "b").unwrap();
        assert!(matches!(vfs.create_file(&vfs.outputs, "c"), Err(Errno::NOSPC)));
        vfs.outputs.remove_file("a").unwrap();
        assert_eq!(vfs.room.bytes_left.get(), 0, "still open");
        drop(one);
        assert_eq!(vfs.room.bytes_left.get(), 3 * 4096);
        vfs.create_file(&vfs.outputs, "c").unwrap();
    }

    #[test]
    fn no_path_leads_out() {
        let vfs = vfs(1 << 20, 100);
        vfs.create_folder(&vfs.outputs, "a").unwrap();
        let find = |path: &str| vfs.outputs.find(path).map(|f| (f.folder.id, f.name));
        assert_eq!(find("a/../a/x"), Ok((3, Some("x".into()))));
        assert_eq!(find("."), Ok((2, None)));
        assert_eq!(find("a/.."), Ok((2, None)));
        for path in ["..", "../x", "a/../../x", "a/../..", "/etc/passwd", "/iexec_out/x"] {
            assert_eq!(find(path), Err(Errno::NOTCAPABLE), "{path}");
        }
        assert_eq!(find(""), Err(Errno::NOENT));
        assert_eq!(find("b/c"), Err(Errno::NOENT));
        assert_eq!(find("a\0b"), Err(Errno::ILSEQ));
        assert_eq!(find(&"x".repeat(256)), Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn renames_follow_the_rules_and_a_folder_cannot_be_put_into_itself() {
        let vfs = vfs(1 << 20, 100);
        let out = &vfs.outputs;
        vfs.create_folder(out, "a").unwrap();
        vfs.create_folder(out, "full").unwrap();
        vfs.create_file(out, "f").unwrap();
        let full = out.get("full").unwrap().folder().unwrap().clone();
        vfs.create_file(&full, "x").unwrap();
        let a = out.get("a").unwrap().folder().unwrap().clone();
        assert_eq!(Folder::rename(out, "a", &a, "b"), Err(Errno::INVAL));
        assert_eq!(Folder::rename(out, "a", out, "full"), Err(Errno::NOTEMPTY));
        assert_eq!(Folder::rename(out, "f", out, "a"), Err(Errno::ISDIR));
        assert_eq!(Folder::rename(out, "a", out, "f"), Err(Errno::NOTDIR));
        assert_eq!(Folder::rename(out, "nothing", out, "f"), Err(Errno::NOENT));
        assert_eq!(Folder::rename(out, "f", &vfs.inputs, "f"), Err(Errno::ROFS));
        Folder::rename(out, "full", out, "a").unwrap();
        assert_eq!(out.list().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "f"]);
        assert_eq!(out.remove_folder("a"), Err(Errno::NOTEMPTY));
        assert_eq!(out.remove_file("a"), Err(Errno::ISDIR));
    }

    #[test]
    fn a_chain_of_folders_is_dropped_without_recursion() {
        let vfs = vfs(1 << 20, 200_000);
        let mut here = vfs.outputs.clone();
        for _ in 0..200_000 {
            vfs.create_folder(&here, "d").unwrap();
            let below = here.get("d").unwrap().folder().unwrap().clone();
            here = below;
        }
        drop(here);
        drop(vfs);
    }
}
