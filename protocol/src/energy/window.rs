//! Net energy of the last days (`WindowLib.sol`).

use std::collections::VecDeque;

/// Longest window that the ledger keeps, days.
pub const MAX_WINDOW_DAYS: u16 = 64;

/// The days that count, oldest first, and their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    length_days: u16,
    /// Day and net energy.
    days: VecDeque<(u16, i64)>,
    net_wh: i64,
}

impl Window {
    /// An empty one of `length_days`, which is brought into 1 to [`MAX_WINDOW_DAYS`].
    pub fn new(length_days: u16) -> Self {
        Self { length_days: length_days.clamp(1, MAX_WINDOW_DAYS), days: VecDeque::new(), net_wh: 0 }
    }

    /// Sum of net energy, watt hours.
    pub const fn net_wh(&self) -> i64 {
        self.net_wh
    }

    /// Days with counts in it.
    pub fn attested_days(&self) -> usize {
        self.days.len()
    }

    /// Moves its end to `day`; what is older than its length leaves.
    pub fn advance(&mut self, day: u16) {
        while let Some(&(oldest, net)) = self.days.front() {
            if u32::from(oldest) + u32::from(self.length_days) > u32::from(day) {
                break;
            }
            self.net_wh -= net;
            self.days.pop_front();
        }
    }

    /// Moves its end to `day` and puts that day in.
    pub fn push(&mut self, day: u16, net_wh: i64) {
        self.advance(day);
        self.days.push_back((day, net_wh));
        self.net_wh += net_wh;
    }

    /// Takes what certificates were issued for out of a day. False, and nothing changes, if day or window has less.
    pub fn take(&mut self, day: u16, wh: u32) -> bool {
        let wh = i64::from(wh);
        let Some((_, net)) = self.days.iter_mut().find(|(known, _)| *known == day) else {
            return false;
        };
        if wh > *net || wh > self.net_wh {
            return false;
        }
        *net -= wh;
        self.net_wh -= wh;
        true
    }
}
