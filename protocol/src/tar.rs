//! Tar archives, as far as Sunwork needs them: canonical headers to write, and a reader that is fed chunk by chunk.
//!
//! File names are raw bytes here (an app may choose any, and they go into a digest), also with newlines, which the usual
//! crate cuts at in PAX records. Sizes are taken from headers that strangers wrote: nothing is allocated by them, and what
//! could make more bytes than were sent (sparse entries) is refused.

use thiserror::Error;

/// Size of a tar block.
pub const BLOCK: usize = 512;
/// What ends an archive: two empty blocks.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// Largest name record (PAX header or GNU long name) that is read.
const MAX_NAME_RECORD: u64 = 64 * 1024;
/// Largest size that fits the 11 octal digits of a header.
pub const MAX_FILE_BYTES: u64 = (1 << 33) - 1;

/// An archive that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum TarError {
    /// The checksum of a header is wrong: these are not the bytes of a tar archive.
    #[error("no tar header at byte {at} (its checksum is wrong)")]
    Checksum {
        /// Where the header should be.
        at: u64,
    },
    /// A number is not octal or too large.
    #[error("the {field} in the tar header at byte {at} is not a number that fits 63 bits")]
    Number {
        /// Which number.
        field: &'static str,
        /// Where the header is.
        at: u64,
    },
    /// A PAX record is malformed.
    #[error("malformed PAX record before byte {at}")]
    Pax {
        /// Where it ends.
        at: u64,
    },
    /// A name record is larger than any name.
    #[error("a name record of {found} bytes at byte {at}, at most {max} are read")]
    NameTooLong {
        /// Its size.
        found: u64,
        /// The cap.
        max: u64,
        /// Where it is.
        at: u64,
    },
    /// A sparse entry, which can unpack to more than its bytes.
    #[error("a sparse entry at byte {at}: sparse archives are not read")]
    Sparse {
        /// Where it is.
        at: u64,
    },
    /// The archive ends in the middle.
    #[error("the archive ends within an entry at byte {at}")]
    Truncated {
        /// Where it ends.
        at: u64,
    },
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of an earlier file.
    HardLink,
    /// A symbolic link.
    SymLink,
    /// A folder.
    Directory,
    /// A device, a FIFO or something unknown, with its type flag.
    Other(u8),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name as written, raw bytes.
    pub path: Vec<u8>,
    /// Target of a link.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Bytes of data that follow.
    pub size: u64,
    /// Where its data starts within the archive.
    pub data_offset: u64,
}

/// What the reader found.
#[derive(Debug)]
pub enum Event<'a> {
    /// A new entry.
    Entry(&'a Entry),
    /// A piece of the present entry's data.
    Data(&'a [u8]),
    /// The present entry is complete.
    EntryEnd,
}

enum State {
    Header,
    Data { left: u64 },
    Record { left: u64, flag: u8, bytes: Vec<u8> },
    Padding { left: u64 },
    End,
}

/// Reads an archive from chunks of any size.
pub struct Reader {
    state: State,
    block: Vec<u8>,
    offset: u64,
    padding: u64,
    empty_blocks: u8,
    next: NextNames,
}

#[derive(Default)]
struct NextNames {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// At the start of an archive.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            offset: 0,
            padding: 0,
            empty_blocks: 0,
            next: NextNames::default(),
        }
    }

    /// Takes the next chunk and hands what it holds to `sink`; the first error of either ends the reading.
    ///
    /// # Errors
    /// [`TarError`] for a malformed archive, and whatever `sink` returns.
    pub fn feed<E: From<TarError>>(
        &mut self,
        mut chunk: &[u8],
        sink: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !chunk.is_empty() {
            let left = match &self.state {
                State::Header => (BLOCK - self.block.len()) as u64,
                State::Data { left } | State::Record { left, .. } | State::Padding { left } => *left,
                State::End => return Ok(()),
            };
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            let (head, rest) = chunk.split_at(take);
            chunk = rest;
            self.offset += take as u64;
            let done = take as u64 == left;
            match &mut self.state {
                State::Header => {
                    self.block.extend_from_slice(head);
                    if done {
                        self.header(sink)?;
                    }
                }
                State::Data { left } => {
                    *left -= take as u64;
                    sink(Event::Data(head))?;
                    if done {
                        sink(Event::EntryEnd)?;
                        self.pad();
                    }
                }
                State::Record { left, flag, bytes } => {
                    *left -= take as u64;
                    bytes.extend_from_slice(head);
                    if done {
                        let (flag, bytes) = (*flag, std::mem::take(bytes));
                        self.record(flag, &bytes)?;
                        self.pad();
                    }
                }
                State::Padding { left } => {
                    *left -= take as u64;
                    if done {
                        self.state = State::Header;
                    }
                }
                State::End => {}
            }
        }
        Ok(())
    }

    /// Says whether the archive came to its end. An archive without the two closing blocks but with whole entries is
    /// taken, as every tar does.
    ///
    /// # Errors
    /// [`TarError::Truncated`] in the middle of an entry.
    pub fn finish(&self) -> Result<(), TarError> {
        match &self.state {
            State::End => Ok(()),
            State::Header if self.block.is_empty() && self.next.path.is_none() => Ok(()),
            _ => Err(TarError::Truncated { at: self.offset }),
        }
    }

    /// As [`Reader::finish`], but with the closing blocks: for archives that come through a pipe, where an end between two
    /// entries may be a cut.
    ///
    /// # Errors
    /// [`TarError::Truncated`] when they have not been seen.
    pub fn finish_closed(&self) -> Result<(), TarError> {
        if matches!(self.state, State::End) { Ok(()) } else { Err(TarError::Truncated { at: self.offset }) }
    }

    fn pad(&mut self) {
        self.state = if self.padding == 0 { State::Header } else { State::Padding { left: self.padding } };
    }

    fn header<E: From<TarError>>(&mut self, sink: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
        let at = self.offset - BLOCK as u64;
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        if block.iter().all(|b| *b == 0) {
            self.empty_blocks += 1;
            if self.empty_blocks == 2 {
                self.state = State::End;
            }
            return Ok(());
        }
        self.empty_blocks = 0;
        let stated = octal(&block[148..156]).ok_or(TarError::Checksum { at })?;
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(i, b)| if (148..156).contains(&i) { u64::from(b' ') } else { u64::from(*b) })
            .sum();
        if sum != stated {
            return Err(TarError::Checksum { at }.into());
        }
        let flag = block[156];
        let size = number(&block[124..136]).ok_or(TarError::Number { field: "size", at })?;
        if matches!(flag, b'x' | b'g' | b'L' | b'K') {
            if size > MAX_NAME_RECORD {
                return Err(TarError::NameTooLong { found: size, max: MAX_NAME_RECORD, at }.into());
            }
            self.padding = padding(size);
            self.state = State::Record { left: size, flag, bytes: Vec::new() };
            if size == 0 {
                self.record(flag, &[])?;
                self.pad();
            }
            return Ok(());
        }
        if flag == b'S' {
            return Err(TarError::Sparse { at }.into());
        }
        let names = std::mem::take(&mut self.next);
        let path = names.path.unwrap_or_else(|| header_name(&block));
        let kind = match flag {
            b'0' | 0 | b'7' if path.ends_with(b"/") => Kind::Directory,
            b'0' | 0 | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::SymLink,
            b'5' => Kind::Directory,
            other => Kind::Other(other),
        };
        let size = names.size.unwrap_or(size);
        // Links, folders and devices carry no data, whatever their size field says.
        let size = if matches!(kind, Kind::File) { size } else { 0 };
        let link = names.link.unwrap_or_else(|| c_string(&block[157..257]));
        let entry = Entry { path, link, kind, size, data_offset: self.offset };
        sink(Event::Entry(&entry))?;
        self.padding = padding(size);
        if size == 0 {
            sink(Event::EntryEnd)?;
        } else {
            self.state = State::Data { left: size };
        }
        Ok(())
    }

    fn record(&mut self, flag: u8, bytes: &[u8]) -> Result<(), TarError> {
        match flag {
            b'L' => self.next.path = Some(c_string(bytes)),
            b'K' => self.next.link = Some(c_string(bytes)),
            b'x' => self.pax(bytes)?,
            // A global header holds comments; a size or a name for all entries would make no sense.
            _ => {}
        }
        Ok(())
    }

    /// Records are "LEN KEY=VALUE\n"; LEN counts all of it, so a value may hold any byte.
    fn pax(&mut self, mut bytes: &[u8]) -> Result<(), TarError> {
        let at = self.offset;
        let malformed = || TarError::Pax { at };
        while !bytes.is_empty() {
            let space = bytes.iter().position(|b| *b == b' ').ok_or_else(malformed)?;
            let length: usize = std::str::from_utf8(&bytes[..space])
                .ok()
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(malformed)?;
            if length <= space + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
                return Err(malformed());
            }
            let record = &bytes[space + 1..length - 1];
            bytes = &bytes[length..];
            let equals = record.iter().position(|b| *b == b'=').ok_or_else(malformed)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.next.path = Some(value.to_vec()),
                b"linkpath" => self.next.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                    let size = size.filter(|s: &u64| *s <= i64::MAX as u64);
                    self.next.size = Some(size.ok_or(TarError::Number { field: "size", at })?);
                }
                _ if key.starts_with(b"GNU.sparse.") => return Err(TarError::Sparse { at }),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Bytes that fill the last block of `size` bytes.
pub const fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// Canonical header of a regular file: mode 0644, owner and time zero; a PAX record goes before it when the name does not
/// fit. `size` is at most [`MAX_FILE_BYTES`], larger ones are cut to it.
pub fn file_header(path: &[u8], size: u64) -> Vec<u8> {
    entry_header(path, size, b'0', 0o644)
}

/// As [`file_header`], with a mode.
pub fn file_header_with_mode(path: &[u8], size: u64, mode: u32) -> Vec<u8> {
    entry_header(path, size, b'0', mode)
}

fn entry_header(path: &[u8], size: u64, flag: u8, mode: u32) -> Vec<u8> {
    let mut out = Vec::new();
    if path.len() > 100 {
        let record = pax_record(b"path", path);
        out.extend_from_slice(&block(b"@PaxHeader", record.len() as u64, b'x', 0o644));
        out.extend_from_slice(&record);
        out.resize(out.len() + padding(record.len() as u64) as usize, 0);
    }
    out.extend_from_slice(&block(&path[..path.len().min(100)], size.min(MAX_FILE_BYTES), flag, mode));
    out
}

fn block(name: &[u8], size: u64, flag: u8, mode: u32) -> [u8; BLOCK] {
    let mut block = [0_u8; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(format!("{mode:07o}\0").as_bytes());
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[148..156].fill(b' ');
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn pax_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3; // space, equals sign, newline
    let mut length = body + 1;
    // The length counts its own digits: grow until it holds.
    while length != body + length.to_string().len() {
        length = body + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn header_name(block: &[u8]) -> Vec<u8> {
    let name = c_string(&block[..100]);
    let prefix = c_string(&block[345..500]);
    // GNU's own format ("ustar  ") uses those bytes for times.
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
        return [prefix.as_slice(), b"/", name.as_slice()].concat();
    }
    name
}

fn c_string(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes[..end].to_vec()
}

/// Octal digits, or GNU's base 256 when the top bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let rest = std::iter::once(field[0] & 0x7f).chain(field[1..].iter().copied());
        return rest
            .into_iter()
            .try_fold(0_u64, |n, b| n.checked_mul(256)?.checked_add(u64::from(b)))
            .filter(|n| *n <= i64::MAX as u64);
    }
    octal(field)
}

fn octal(field: &[u8]) -> Option<u64> {
    let text: Vec<u8> = field.iter().copied().take_while(|b| *b != 0).collect();
    let digits = std::str::from_utf8(&text).ok()?.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Files = Vec<(Vec<u8>, Kind, Vec<u8>)>;

    fn read(bytes: &[u8], step: usize) -> Result<Files, TarError> {
        let mut files: Files = Vec::new();
        let mut reader = Reader::new();
        for chunk in bytes.chunks(step) {
            reader.feed(chunk, &mut |event| -> Result<(), TarError> {
                match event {
                    Event::Entry(e) => files.push((e.path.clone(), e.kind, Vec::new())),
                    Event::Data(d) => files.last_mut().expect("data follows an entry").2.extend_from_slice(d),
                    Event::EntryEnd => {}
                }
                Ok(())
            })?;
        }
        reader.finish()?;
        Ok(files)
    }

    fn archive(files: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, data) in files {
            out.extend_from_slice(&file_header(path, data.len() as u64));
            out.extend_from_slice(data);
            out.resize(out.len() + padding(data.len() as u64) as usize, 0);
        }
        out.extend_from_slice(&END);
        out
    }

    #[test]
    fn names_of_any_bytes_and_lengths_survive() {
        let long = [b"d\nir/".repeat(60).as_slice(), b"=\xff\xfe name"].concat();
        for length in [99_usize, 100, 101, 990, 991, 992, 9989, 9990] {
            let name = vec![b'n'; length];
            let bytes = archive(&[(&name, b"x"), (&long, &[7; 1000]), (b"a\nb", b"")]);
            for step in [1, 511, 512, 700, 100_000] {
                let files = read(&bytes, step).expect("reads");
                assert_eq!(files[0].0, name);
                assert_eq!(files[1], (long.clone(), Kind::File, vec![7; 1000]));
                assert_eq!(files[2], (b"a\nb".to_vec(), Kind::File, vec![]));
            }
        }
    }

    #[test]
    fn an_end_between_entries_is_a_cut_for_those_who_ask() {
        let bytes = archive(&[(b"a", b"x"), (b"b", b"y")]);
        let cut = bytes.len() - END.len();
        for (end, closed) in [(cut - 1024, false), (cut, false), (cut + 512, false), (bytes.len(), true)] {
            let mut reader = Reader::new();
            reader.feed(&bytes[..end], &mut |_| Ok::<(), TarError>(())).expect("feeds");
            assert_eq!(reader.finish(), Ok(()), "{end}");
            assert_eq!(reader.finish_closed().is_ok(), closed, "{end}");
        }
    }

    #[test]
    fn broken_archives_are_refused() {
        let bytes = archive(&[(b"a", &[1; 700])]);
        for end in 1..bytes.len() - END.len() {
            assert!(matches!(read(&bytes[..end], 4096), Err(TarError::Truncated { .. })), "{end}");
        }
        let mut flipped = bytes.clone();
        flipped[3] ^= 1;
        assert_eq!(read(&flipped, 4096), Err(TarError::Checksum { at: 0 }));
        let sparse = block(b"s", 1, b'S', 0o644);
        assert_eq!(read(&sparse, 4096), Err(TarError::Sparse { at: 0 }));
        let record = pax_record(b"GNU.sparse.realsize", b"99999999999");
        let mut pax = block(b"p", record.len() as u64, b'x', 0o644).to_vec();
        pax.extend_from_slice(&record);
        assert!(matches!(read(&pax, 4096), Err(TarError::Sparse { .. })));
        let huge = block(b"p", 1 << 30, b'x', 0o644);
        assert!(matches!(read(&huge, 4096), Err(TarError::NameTooLong { .. })));
        for record in ["12 path=x\n", "0 =\n", "x path=y\n", "9 pathxy\n", "8 path=x"] {
            let mut bytes = block(b"p", record.len() as u64, b'x', 0o644).to_vec();
            bytes.extend_from_slice(record.as_bytes());
            assert!(matches!(read(&bytes, 4096), Err(TarError::Pax { .. })), "{record:?}");
        }
    }
}
