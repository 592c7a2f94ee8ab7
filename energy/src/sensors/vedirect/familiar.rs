//! Whether a block whose sum is right looks like this device's blocks: on a bad line two errors can cancel in an 8-bit sum.
use super::Frame;

/// What a device is; it does not change from one block to the next.
const CONSTANT: [&str; 5] = ["PID", "FW", "FWE", "SER#", "BMV"];
/// Decimal numbers.
const NUMBERS: [&str; 41] = [
    "V", "V2", "V3", "VS", "VM", "DM", "VPV", "PPV", "I", "I2", "I3", "IL", "T", "P", "CE", "SOC", "TTG", "CS", "ERR",
    "MPPT", "AR", "H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9", "H10", "H11", "H12", "H15", "H16", "H17",
    "H18", "H19", "H20", "H21", "HSDS",
];
const SWITCHES: [&str; 3] = ["LOAD", "Alarm", "Relay"];

/// Why a block is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Implausible {
    /// Its labels or what the device says it is differ from before, and no second block agrees yet.
    Unfamiliar,
    /// A field holds what such a field never holds.
    Malformed,
}

/// Knows a device by its blocks: the labels in their order, product, firmware and serial number.
///
/// ```text
///   first block ──► Known ──block like it──► passed
///                     │ ▲
///     block unlike it │ │ the next one unlike it is the same: passed, and known from now on
///                     ▼ │
///                   Doubted ──block like the known──► passed (the doubt is forgotten)
/// ```
/// Of an honest device nothing is refused but the first block after it itself has changed. Digits are not judged here: what two
/// errors within numbers made of each other is held back by the counter and by [`Guard`](crate::sensors::guard::Guard) where it jumps.
#[derive(Clone, Debug, Default)]
pub struct Familiar {
    known: Option<Vec<String>>,
    doubted: Option<Vec<String>>,
}

impl Familiar {
    /// Looks at a block.
    ///
    /// # Errors
    /// [`Implausible`]; the block is not a reading.
    pub fn check(&mut self, frame: &Frame) -> Result<(), Implausible> {
        if !frame.fields.iter().all(|field| well_formed(&field.label, &field.value)) {
            return Err(Implausible::Malformed);
        }
        let told = signature(frame);
        if self.known.is_none() || self.known.as_ref() == Some(&told) || self.doubted.as_ref() == Some(&told) {
            (self.known, self.doubted) = (Some(told), None);
            return Ok(());
        }
        self.doubted = Some(told);
        Err(Implausible::Unfamiliar)
    }
}

fn signature(frame: &Frame) -> Vec<String> {
    let part = |field: &super::Field| match CONSTANT.contains(&field.label.as_str()) {
        true => format!("{}={}", field.label, field.value),
        false => field.label.clone(),
    };
    frame.fields.iter().map(part).collect()
}

/// Labels that are not known here may hold anything.
fn well_formed(label: &str, value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    value == "---"
        || if NUMBERS.contains(&label) {
            number
        } else if SWITCHES.contains(&label) {
            matches!(value.to_ascii_uppercase().as_str(), "ON" | "OFF")
        } else {
            true
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::vedirect::Field;

    fn frame(fields: &[(&str, &str)]) -> Frame {
        let field = |(label, value): &(&str, &str)| Field { label: (*label).into(), value: (*value).into() };
        Frame { fields: fields.iter().map(field).collect() }
    }

    #[test]
    fn a_device_that_changed_is_known_again_at_its_second_block() {
        let mut familiar = Familiar::default();
        let [old, new] = ["150", "159"].map(|firmware| frame(&[("PID", "0xA042"), ("FW", firmware), ("V", "12800")]));
        assert_eq!(familiar.check(&old), Ok(()));
        assert_eq!(familiar.check(&new), Err(Implausible::Unfamiliar));
        assert_eq!(familiar.check(&new), Ok(()));
        assert_eq!(familiar.check(&old), Err(Implausible::Unfamiliar));
        assert_eq!(familiar.check(&new), Ok(()), "once different is an error of the line");
        assert_eq!(familiar.check(&old), Err(Implausible::Unfamiliar), "and the doubt is forgotten");
    }

    #[test]
    fn what_a_field_never_holds_is_malformed_and_what_is_not_known_may_hold_anything() {
        let check = |label, value| Familiar::default().check(&frame(&[(label, value)]));
        for (label, value) in [("V", ""), ("V", "12 00"), ("H19", " "), ("I", "--5"), ("LOAD", "GN"), ("Relay", "0N")] {
            assert_eq!(check(label, value), Err(Implausible::Malformed), "{label}={value}");
        }
        let honest = [("V", "12800"), ("I", "-15"), ("T", "---"), ("LOAD", "OFF"), ("NEW", "?!"), ("OR", "0x00000001")];
        assert!(honest.iter().all(|(label, value)| check(label, value).is_ok()));
    }
}
