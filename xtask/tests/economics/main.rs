//! Each formula of `cargo xtask economics` against a simulation that shares no code with it, from a fixed, printed seed.
#![allow(clippy::unwrap_used)]

mod chances;
mod coalition;
mod others;
mod random;

#[test]
fn the_committed_tables_are_those_of_the_command() {
    xtask::economics::check().unwrap();
}
