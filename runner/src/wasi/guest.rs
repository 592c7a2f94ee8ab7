//! The app's side of a call: its memory, its instructions, and how a call ends.

use wasmtime::{Caller, Error, Extern, Result, Trap};

use crate::{errno::Errno, limiter::HostFailed, state::State};

/// Instructions that a call is worth.
pub(super) const CALL_FUEL: u64 = 100;
/// Most buffers of one read or write, as on Linux.
const MAX_BUFFERS: u32 = 1024;
/// Longest path, as on Linux.
const MAX_PATH_BYTES: u32 = 4096;

/// Adds one call to a linker: `wasi!(linker, "name", |guest, state, argument: i32| what it does)`.
macro_rules! wasi {
    ($linker:ident, $name:literal, |$guest:ident, $state:ident $(, $arg:ident: $ty:ty)*| $body:expr) => {
        $linker.func_wrap(
            $crate::wasi::MODULE,
            $name,
            |caller: wasmtime::Caller<'_, $crate::state::State> $(, $arg: $ty)*| -> wasmtime::Result<i32> {
                $crate::wasi::guest::call(caller, |$guest, $state| { $body })
            },
        )?;
    };
}
pub(super) use wasi;

pub(super) enum Fail {
    Errno(Errno),
    End(Error),
}

impl From<Errno> for Fail {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

pub(super) type Call<T = ()> = std::result::Result<T, Fail>;

/// The app's memory, and what is left of its instructions.
pub(super) struct Guest<'a> {
    bytes: &'a mut [u8],
    fuel: u64,
}

impl Guest<'_> {
    pub(super) fn charge(&mut self, amount: u64) -> Call {
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

    pub(super) fn slice(&mut self, at: i32, length: u32) -> Call<&mut [u8]> {
        self.charge(length.into())?;
        let at = at as u32 as usize;
        let end = at.checked_add(length as usize).ok_or(Errno::FAULT)?;
        Ok(self.bytes.get_mut(at..end).ok_or(Errno::FAULT)?)
    }

    pub(super) fn put(&mut self, at: i32, bytes: &[u8]) -> Call {
        self.slice(at, u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn put_u32(&mut self, at: i32, value: u32) -> Call {
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn put_u64(&mut self, at: i32, value: u64) -> Call {
        self.put(at, &value.to_le_bytes())
    }

    pub(super) fn get_u32(&mut self, at: i32) -> Call<u32> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.slice(at, 4)?);
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn get_u64(&mut self, at: i32) -> Call<u64> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.slice(at, 8)?);
        Ok(u64::from_le_bytes(bytes))
    }

    pub(super) fn path(&mut self, at: i32, length: i32) -> Call<String> {
        if length as u32 > MAX_PATH_BYTES {
            return Err(Errno::NAMETOOLONG.into());
        }
        let bytes = self.slice(at, length as u32)?;
        Ok(std::str::from_utf8(bytes).map_err(|_| Errno::ILSEQ)?.to_owned())
    }

    /// Buffers of a read or write.
    pub(super) fn buffers(&mut self, at: i32, count: i32) -> Call<Vec<(i32, u32)>> {
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

pub(super) fn call(
    mut caller: Caller<'_, State>,
    action: impl FnOnce(&mut Guest<'_>, &mut State) -> Call,
) -> Result<i32> {
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

pub(super) fn machine(doing: &'static str) -> impl Fn(std::io::Error) -> Fail {
    move |error| Fail::End(Error::new(HostFailed(format!("{doing}: {error}"))))
}
