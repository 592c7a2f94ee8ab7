//! Sending what the app declared, as the tar archive that a container engine would send.

use std::io::{self, Write};

use sunwork_runner_wire::{Kind, MAX_FRAME_BYTES, OutputRequest};
use tar::{Builder, EntryType, Header};

use crate::sink::Sink;
use crate::vfs::{Content, Node, Vfs};

/// Sends the archive, or why there is none.
///
/// # Errors
/// When nobody listens.
pub fn send(vfs: &Vfs, asked: &OutputRequest, sink: &Sink) -> io::Result<()> {
    let mut here = Node::Folder(vfs.outputs.clone());
    for part in &asked.parts {
        let below = match here.folder() {
            Ok(folder) => folder.get(part),
            Err(_) => return sink.send(Kind::NoOutput, b"a part of it is not a folder"),
        };
        match below {
            Some(node) => here = node,
            None => return sink.send(Kind::NoOutput, b"it does not exist"),
        }
    }
    let name = asked.parts.last().map_or("iexec_out", String::as_str);
    let mut builder = Builder::new(Frames { sink, buffer: Vec::with_capacity(MAX_FRAME_BYTES) });
    let mut open = vec![(name.to_owned(), here)];
    // The list holds what is left to send, the next one last.
    while let Some((path, node)) = open.pop() {
        let mut header = Header::new_gnu();
        header.set_size(node.size());
        header.set_mode(0o644);
        header.set_mtime(0);
        match node {
            Node::Folder(folder) => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(0o755);
                builder.append_data(&mut header, format!("{path}/"), io::empty())?;
                open.extend(folder.list().into_iter().rev().map(|(name, node)| (format!("{path}/{name}"), node)));
            }
            Node::File(content) => {
                header.set_entry_type(EntryType::Regular);
                builder.append_data(&mut header, path, Reader { content: &content, at: 0 })?;
            }
            Node::Input(_) => return Err(io::Error::other("an input in the output folder")),
        }
    }
    let mut frames = builder.into_inner()?;
    frames.flush()?;
    sink.send(Kind::OutputEnd, b"")
}

struct Reader<'a> {
    content: &'a Content,
    at: u64,
}

impl io::Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(self.at, buffer);
        self.at += read as u64;
        Ok(read)
    }
}

/// Joins small writes to frames.
struct Frames<'a> {
    sink: &'a Sink,
    buffer: Vec<u8>,
}

impl Write for Frames<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(MAX_FRAME_BYTES - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == MAX_FRAME_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.sink.send(Kind::Output, &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}
