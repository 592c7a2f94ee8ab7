//! Arguments, environment, clock, randomness, waiting, and the end.

use rand_chacha::rand_core::RngCore;
use wasmtime::{Caller, Error, Linker, Result};

use super::{
    MODULE,
    guest::{Call, Guest, wasi},
};
use crate::{errno::Errno, state::State};

/// Most subscriptions of one poll.
const MAX_SUBSCRIPTIONS: u32 = 4096;

/// The app ended itself; of its status eight bits count, as on Unix.
#[derive(Debug)]
pub struct Exit(pub u32);

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the app exited with {}", self.0)
    }
}

impl std::error::Error for Exit {}

pub(super) fn add(linker: &mut Linker<State>) -> Result<()> {
    wasi!(linker, "args_get", |g, s, addresses: i32, buffer: i32| put_strings(g, &s.args, addresses, buffer));
    wasi!(linker, "args_sizes_get", |g, s, count: i32, bytes: i32| put_sizes(g, &s.args, count, bytes));
    wasi!(linker, "environ_get", |g, s, addresses: i32, buffer: i32| put_strings(g, &s.env, addresses, buffer));
    wasi!(linker, "environ_sizes_get", |g, s, count: i32, bytes: i32| put_sizes(g, &s.env, count, bytes));
    wasi!(linker, "clock_res_get", |g, s, id: i32, out: i32| {
        s.clock_ns(id)?;
        g.put_u64(out, s.clock_step_ns())
    });
    wasi!(linker, "clock_time_get", |g, s, id: i32, _precision: i64, out: i32| g.put_u64(out, s.clock_ns(id)?));
    wasi!(linker, "random_get", |g, s, out: i32, length: i32| {
        s.random.fill_bytes(g.slice(out, length as u32)?);
        Ok(())
    });
    wasi!(linker, "sched_yield", |_g, _s| Ok(()));
    wasi!(linker, "poll_oneoff", |g, s, from: i32, to: i32, count: i32, out: i32| {
        let events = poll(g, s, from, to, count as u32)?;
        g.put_u32(out, events)
    });
    linker.func_wrap(MODULE, "proc_exit", |_: Caller<'_, State>, status: i32| -> Result<()> {
        Err(Error::new(Exit(status as u32 & 0xff)))
    })?;
    // A signal ends what does not catch it, and a module cannot.
    linker.func_wrap(MODULE, "proc_raise", |_: Caller<'_, State>, signal: i32| -> Result<i32> {
        Err(Error::new(Exit(128 + (signal as u32 & 0x7f))))
    })?;
    Ok(())
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
