//! The Sunwork worker: watches the chain, decides, fetches, runs, proves, gets paid.
//!
//! - [`machine`] decides what is next about one agreement (pure), [`refusal`] what is never taken part in (pure)
//! - [`supervisor`] carries it out, one task per agreement; [`daemon`] starts them and stops them
//! - [`journal`] remembers what was promised, before it has any effect
//! - [`orders`] takes signed offers that the operator names
//! - [`runtime`] runs a leaf in its cage, [`timings`] remembers how long leaves took
//! - [`governor`] holds the owner's rules ([`policy`], pure), [`why`] counts what became of every purchase, [`control`] is the
//!   owner's way in, [`board`] and [`budget`] say where everything stands and what leaves may use together
//! - [`energy`]: sensors, plan, and what they allow
//! - [`clock`] is the machine's clock, which decides no deadline
//! - [`chain`], [`view`]: what the chain says; [`folder`], [`facts`], [`config`], [`identity`], [`commands`], [`cli`]: the rim
//!
//! Invariant: after a restart at any moment, chain and journal alone lead to the right next step.
pub mod account;
pub mod amount;
pub mod board;
pub mod budget;
pub mod chain;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod context;
pub mod control;
pub mod crash;
pub mod daemon;
pub mod duration;
pub mod earnings;
pub mod energy;
pub mod exit;
pub mod facts;
pub mod folder;
pub mod governor;
pub mod identity;
pub mod journal;
pub mod machine;
pub mod notify;
pub mod orders;
pub mod policy;
pub mod refusal;
pub mod runtime;
pub mod step;
pub mod supervisor;
pub mod timings;
pub mod view;
pub mod why;
