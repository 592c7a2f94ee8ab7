//! A serial port, read without waiting. By `rustix`, which is here already: a serial crate would bring much more than two calls.
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

/// Most that is read at once; a block of VE.Direct has some 250 bytes.
const MAX_BYTES: usize = 16 << 10;
/// Victron's speed.
const BAUD: u32 = 19_200;

/// An open port.
#[derive(Debug)]
pub struct Port(File);

impl Port {
    /// Opens a port at 19,200 baud, 8N1.
    ///
    /// # Errors
    /// When it is not there, not ours, or no serial port.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
        let flags = i32::try_from(flags).map_err(std::io::Error::other)?;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let mut termios = tcgetattr(&file)?;
        termios.make_raw();
        termios.set_speed(BAUD)?;
        termios.special_codes[SpecialCodeIndex::VMIN] = 0;
        termios.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&file, OptionalActions::Now, &termios)?;
        Ok(Self(file))
    }

    /// What has come since the last call.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn read(&mut self) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; MAX_BYTES];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.0.read(&mut bytes[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_port() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Port::open(file.path()).is_err());
    }
}
