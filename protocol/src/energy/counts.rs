//! 96 counts of a day.

/// Quarter hours of a day, from 00:00 UTC.
pub const SLOTS: usize = 96;
/// Bytes of a day's counts in a record.
pub const COUNTS_BYTES: usize = 2 * SLOTS;

/// Whole watt hours of each quarter hour, rounded down, the rest carried into the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts(pub [u16; SLOTS]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; SLOTS])
    }
}

impl Counts {
    /// Sum, watt hours.
    pub fn sum_wh(&self) -> u32 {
        self.0.iter().map(|count| u32::from(*count)).sum()
    }

    /// The first slot above `cap`, with its count.
    pub fn first_above(&self, cap: u16) -> Option<(usize, u16)> {
        self.0.iter().copied().enumerate().find(|(_, count)| *count > cap)
    }

    /// What an hour of the day holds, watt hours; 0 for hours that no day has.
    pub fn hour_wh(&self, hour: u8) -> u32 {
        let from = usize::from(hour) * 4;
        self.0.get(from..from + 4).unwrap_or_default().iter().map(|count| u32::from(*count)).sum()
    }

    /// The bytes of a record, big-endian.
    pub fn to_bytes(&self) -> [u8; COUNTS_BYTES] {
        let mut out = [0; COUNTS_BYTES];
        for (bytes, count) in out.chunks_exact_mut(2).zip(&self.0) {
            bytes.copy_from_slice(&count.to_be_bytes());
        }
        out
    }

    /// Reads the bytes of a record.
    pub fn from_bytes(bytes: &[u8; COUNTS_BYTES]) -> Self {
        let mut counts = Self::default();
        for (count, pair) in counts.0.iter_mut().zip(bytes.chunks_exact(2)) {
            *count = u16::from_be_bytes([pair[0], pair[1]]);
        }
        counts
    }
}
