//! An agreement in words: what happened, what it waits for, until when, and what happens then. Pure: what the chain says
//! goes in, sentences come out. No oracle is asked.

mod cost;
mod ended;
mod history;
mod outlook;
mod steps;
mod view;
mod words;

pub use cost::{CostSoFar, cost_so_far};
pub use history::{Entry, Mood, describe, history};
pub use outlook::{Outlook, outlook};
pub use steps::Step;
pub use view::{Role, Rules, View};

#[cfg(test)]
mod tests;
