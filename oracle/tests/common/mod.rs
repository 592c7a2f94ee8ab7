//! What the tests share: a scripted chain, databases, and their whole content as text.
#![allow(dead_code, reason = "each test binary uses a part")]
pub mod anvil;
pub mod chain;
pub mod db;
pub mod http;
pub mod meters;
