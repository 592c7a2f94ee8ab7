//! Power of boards that have no sensor, modelled from the use of the CPU.
use serde::{Deserialize, Serialize};

use crate::units::MilliWatts;

/// A board with a known model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Board {
    /// Raspberry Pi 3B+.
    #[serde(rename = "pi3b+")]
    Pi3BPlus,
    /// Raspberry Pi 4B, 64-bit.
    #[serde(rename = "pi4b")]
    Pi4B,
    /// Raspberry Pi 5B.
    #[serde(rename = "pi5b")]
    Pi5B,
    /// Raspberry Pi Zero 2 W.
    #[serde(rename = "pi-zero-2w")]
    PiZero2W,
}

/// Where a figure of power comes from; stated beside every figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "source")]
pub enum Source {
    /// By a sensor on the board's supply.
    Measured,
    /// From CPU use by the model of a board; typically within 8 % (arXiv 2407.02764), without camera, radio and disks.
    Modelled {
        /// The board.
        board: Board,
    },
}

impl Board {
    /// Power when idle.
    #[must_use]
    pub const fn idle(self) -> MilliWatts {
        MilliWatts(self.line().0)
    }

    /// Power at full use of all cores.
    #[must_use]
    pub const fn full(self) -> MilliWatts {
        MilliWatts(self.line().0 + self.line().1)
    }

    /// Power at a use of the CPU in per mille of all cores; more than 1000 counts as 1000.
    #[must_use]
    pub const fn at(self, use_permille: u32) -> MilliWatts {
        let (idle, slope) = self.line();
        let permille = if use_permille > 1000 { 1000 } else { use_permille as i64 };
        MilliWatts(idle + slope * permille / 1000)
    }

    /// Idle and slope in mW. PowerJoular's regressions for Pi 3B+, 4B, 5B; Pi Zero 2 W from 0.6 W idle and 2 W at full load
    /// (cnx-software.com, 2021-12-09).
    const fn line(self) -> (i64, i64) {
        match self {
            Self::Pi3BPlus => (2_000, 3_300),
            Self::Pi4B => (2_290, 4_530),
            Self::Pi5B => (4_400, 3_460),
            Self::PiZero2W => (600, 1_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_those_of_the_published_regressions() {
        assert_eq!((Board::Pi4B.at(0), Board::Pi4B.at(1000)), (MilliWatts(2_290), MilliWatts(6_820)));
        assert_eq!((Board::Pi5B.at(500), Board::Pi3BPlus.at(500)), (MilliWatts(6_130), MilliWatts(3_650)));
        assert_eq!(Board::PiZero2W.at(5_000), Board::PiZero2W.full());
        let json = serde_json::to_string(&Source::Modelled { board: Board::Pi4B }).expect("serialises");
        assert_eq!(json, r#"{"source":"modelled","board":"pi4b"}"#);
    }
}
