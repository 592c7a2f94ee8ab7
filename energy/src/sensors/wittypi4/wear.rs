//! Limit on reads that wear the board out.
use crate::sensors::Fault;
use crate::units::MonoMillis;

/// At most one read of registers 1, 3 and 5 together in five minutes: 100,000 EEPROM cycles then last a year even when every
/// reading differs, and some ten with the board's real noise.
#[derive(Clone, Copy, Debug)]
pub struct WearGuard {
    last: MonoMillis,
}

impl WearGuard {
    /// Five minutes.
    pub const REST: MonoMillis = MonoMillis(300_000);

    /// Begins with a rest: what a former process read is not known.
    #[must_use]
    pub const fn new(now: MonoMillis) -> Self {
        Self { last: now }
    }

    /// Allows one read, and counts it whether or not it then succeeds.
    ///
    /// # Errors
    /// [`Fault::Resting`] until five minutes are over.
    pub fn allow(&mut self, now: MonoMillis) -> Result<(), Fault> {
        let rested = now - self.last;
        if rested < Self::REST {
            return Err(Fault::Resting { seconds: ((Self::REST - rested).0 + 999) / 1000 });
        }
        self.last = now;
        Ok(())
    }
}
