//! Blocks as a Victron device sends them, and what lines do to them.
use rand::Rng;
use rand::rngs::StdRng;

/// A block from fields, with the checksum that makes its sum 0.
#[must_use]
pub fn block(fields: &[(&str, String)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (label, value) in fields {
        bytes.extend(format!("\r\n{label}\t{value}").bytes());
    }
    bytes.extend(b"\r\nChecksum\t");
    let sum = bytes.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b));
    bytes.push(sum.wrapping_neg());
    bytes
}

/// A HEX message with its checksum.
#[must_use]
pub fn hex_message(command: u8, payload: &[u8]) -> Vec<u8> {
    let sum = payload.iter().fold(command & 15, |sum, b| sum.wrapping_add(*b));
    let check = 0x55_u8.wrapping_sub(sum);
    let mut text = format!(":{:X}", command & 15);
    for byte in payload.iter().chain([&check]) {
        text.push_str(&format!("{byte:02X}"));
    }
    text.push('\n');
    text.into_bytes()
}

/// A solar charger's readings.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimCharger {
    /// Battery, mV.
    pub battery_mv: i64,
    /// Battery, mA, positive = charging.
    pub battery_ma: i64,
    /// Panel, mV.
    pub panel_mv: i64,
    /// Panel, W.
    pub panel_w: i64,
    /// Load output, mA.
    pub load_ma: i64,
    /// `CS`.
    pub state: u8,
    /// Since the counter was reset, 10 Wh.
    pub total_10wh: i64,
    /// Today, 10 Wh.
    pub today_10wh: i64,
}

impl SimCharger {
    /// Its block.
    #[must_use]
    pub fn block(&self) -> Vec<u8> {
        let tracker = if self.panel_w > 0 { 2 } else { 0 };
        block(&[
            ("PID", "0xA05F".into()),
            ("FW", "139".into()),
            ("SER#", "HQ0000SIMUL".into()),
            ("V", self.battery_mv.to_string()),
            ("I", self.battery_ma.to_string()),
            ("VPV", self.panel_mv.to_string()),
            ("PPV", self.panel_w.to_string()),
            ("CS", self.state.to_string()),
            ("MPPT", tracker.to_string()),
            ("ERR", "0".into()),
            ("LOAD", "ON".into()),
            ("IL", self.load_ma.to_string()),
            ("H19", self.total_10wh.to_string()),
            ("H20", self.today_10wh.to_string()),
            ("HSDS", "1".into()),
        ])
    }
}

/// Faults of a serial line, in parts per million of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineFaults {
    /// A bit is flipped.
    pub flip_ppm: u32,
    /// A byte is lost.
    pub drop_ppm: u32,
}

/// Sends bytes over a bad line.
#[must_use]
pub fn over_line(bytes: &[u8], faults: LineFaults, rng: &mut StdRng) -> Vec<u8> {
    if faults.flip_ppm == 0 && faults.drop_ppm == 0 {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        if rng.random_ratio(faults.drop_ppm.min(1_000_000), 1_000_000) {
            continue;
        }
        let flip = rng.random_ratio(faults.flip_ppm.min(1_000_000), 1_000_000);
        out.push(if flip { byte ^ (1 << rng.random_range(0..8)) } else { *byte });
    }
    out
}
