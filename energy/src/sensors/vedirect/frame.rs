//! A block of the text protocol and a HEX message, as received.

/// One field. Both parts are printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Label, 1 to 8 characters.
    pub label: String,
    /// Value, up to 32 characters, as sent.
    pub value: String,
}

/// A block whose checksum was right: the fields in the order sent, unknown ones too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Fields.
    pub fields: Vec<Field>,
}

impl Frame {
    /// Value of a field as sent; `None` when the field is not there or the device says `---` (not available).
    #[must_use]
    pub fn text(&self, label: &str) -> Option<&str> {
        self.fields.iter().find(|f| f.label == label).map(|f| f.value.as_str()).filter(|v| *v != "---")
    }

    /// Value of a decimal field; `None` when absent, not available or no decimal number.
    #[must_use]
    pub fn number(&self, label: &str) -> Option<i64> {
        self.text(label)?.parse().ok()
    }

    /// Value of a field written like `0xA042`.
    #[must_use]
    pub fn hex(&self, label: &str) -> Option<u32> {
        u32::from_str_radix(self.text(label)?.strip_prefix("0x")?, 16).ok()
    }
}

/// A HEX message whose checksum was right, cut out of the stream. The drivers do not ask for any; they are kept for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HexMessage {
    /// Command or response, 0 to 15.
    pub command: u8,
    /// Payload without the checksum; numbers in it are little-endian.
    pub payload: Vec<u8>,
}

impl HexMessage {
    /// From the characters between `:` and the line feed. The bytes with the command and the checksum sum up to 0x55.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        let nibble = |b: &u8| char::from(*b).to_digit(16).filter(|_| !b.is_ascii_lowercase()).map(|d| d as u8);
        let [command, rest @ ..] = digits else { return None };
        if rest.len() < 2 || rest.len() % 2 != 0 {
            return None;
        }
        let command = nibble(command)?;
        let mut payload: Vec<u8> =
            rest.chunks(2).map(|pair| Some(nibble(&pair[0])? << 4 | nibble(&pair[1])?)).collect::<Option<_>>()?;
        let sum = payload.iter().fold(command, |sum, byte| sum.wrapping_add(*byte));
        payload.pop();
        (sum == 0x55).then_some(Self { command, payload })
    }
}
