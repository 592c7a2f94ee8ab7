//! Odds that the votes of both sides carry.

use sunwork_protocol::credibility::{MAX_ODDS, NEWCOMER_ODDS};

/// Odds of a vote by side. All of a side are taken to have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odds {
    /// Of each honest verifier.
    pub honest: u8,
    /// Of the cheating worker and each colluder.
    pub colluder: u8,
}

impl Odds {
    /// Everybody is new.
    pub const NEWCOMERS: Odds = Odds { honest: NEWCOMER_ODDS, colluder: NEWCOMER_ODDS };
    /// The colluders have the highest score, everybody else is new: the worst case.
    pub const VETERAN_COLLUDERS: Odds = Odds { honest: NEWCOMER_ODDS, colluder: MAX_ODDS };
    /// Everybody has the highest score: an old network.
    pub const VETERANS: Odds = Odds { honest: MAX_ODDS, colluder: MAX_ODDS };

    /// "2 : 6".
    pub fn label(self) -> String {
        format!("{} : {}", self.honest, self.colluder)
    }
}
