//! WASI preview 1, as far as an app of a leaf can use it, on a model of a machine instead of a machine.
//!
//! The standard leaves much to the host: order of names, times, inode numbers, error numbers of the host's file system, when
//! a disk is full. Two honest workers must agree on all of it, so nothing of it comes from the host here. What a call costs
//! is a matter of its arguments alone, too: [`guest::CALL_FUEL`] and one for each byte or entry that it touches.

use wasmtime::{Linker, Result};

use crate::{errno::Errno, state::State};

mod descriptors;
mod guest;
mod paths;
mod process;
mod stat;

pub use process::Exit;

use guest::{Call, wasi};

/// Module that apps import from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// Gives an app its imports.
///
/// # Errors
/// Never, unless a name is given twice here.
pub fn add(linker: &mut Linker<State>) -> Result<()> {
    process::add(linker)?;
    descriptors::add(linker)?;
    paths::add(linker)?;
    // No network, so no socket is ever open.
    wasi!(linker, "sock_accept", |_g, s, fd: i32, _flags: i32, _out: i32| no_socket(s, fd));
    wasi!(linker, "sock_recv", |_g, s, fd: i32, _b: i32, _c: i32, _d: i32, _e: i32, _f: i32| no_socket(s, fd));
    wasi!(linker, "sock_send", |_g, s, fd: i32, _b: i32, _c: i32, _d: i32, _e: i32| no_socket(s, fd));
    wasi!(linker, "sock_shutdown", |_g, s, fd: i32, _how: i32| no_socket(s, fd));
    Ok(())
}

fn no_socket(state: &State, fd: i32) -> Call {
    state.get(fd)?;
    Err(Errno::NOTSOCK.into())
}
