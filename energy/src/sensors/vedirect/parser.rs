//! Incremental parser: bytes in, blocks with a right checksum out.
//!
//! ```text
//!              \r\n at a known first label
//!   Hunt ───────────────────────────────────────► Label ◄─────────────┐
//!    ▲  └─ \r\nChecksum\t + 1 byte ─► Start ─\r\n─►  │ \t              │ \r\n
//!    │                                 ▲            ▼                 │
//!    │                                 │          Value ──────────────┘
//!    │                                 └─ any byte ─ Sum ◄─ label "Checksum"
//!    └── anything that the protocol does not allow, from any state
//!   ':' in Start, Label or Value begins a HEX message; it is cut out, and must be right itself.
//! ```
//! The sum over a block from its first `\r` to the checksum byte is 0 modulo 256. A change of one byte changes the sum, so a changed
//! block could only pass if the change moved its borders; therefore every border is checked to the letter.
use super::frame::{Field, Frame, HexMessage};

const MAX_LABEL: usize = 8;
const MAX_VALUE: usize = 32;
/// The protocol allows 22; newer devices may send a few more.
const MAX_FIELDS: usize = 32;
/// `:` to line feed; the longest that devices send by themselves is below 80.
const MAX_HEX: usize = 160;
const MAX_FIRSTS: usize = 4;

/// Why bytes were thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// The block's sum is not 0.
    Checksum,
    /// A byte stood where the protocol does not allow it.
    Framing,
    /// A label or value is too long, or there are too many fields.
    TooLong,
    /// A field came twice, or the first field of a block in the middle of another: the end of a block was lost.
    Repeated,
    /// A HEX message was damaged.
    Hex,
}

/// What a byte completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A block.
    Block(Frame),
    /// A HEX message.
    Hex(HexMessage),
    /// Something was thrown away.
    Rejected(Rejected),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hunt,
    Start,
    LineFeed,
    Label,
    Value,
    Sum,
}

/// The parser. Memory is bounded by the lengths of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parser {
    state: State,
    sum: u8,
    label: Vec<u8>,
    value: Vec<u8>,
    fields: Vec<Field>,
    hex: Option<Vec<u8>>,
    /// While hunting: the line so far, from its `\r`.
    line: Vec<u8>,
    /// First labels of blocks of this device, to find the next block at once after garbage.
    firsts: Vec<Vec<u8>>,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser that knows nothing yet; it may be started in the middle of a block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Hunt,
            sum: 0,
            label: Vec::new(),
            value: Vec::new(),
            fields: Vec::new(),
            hex: None,
            line: Vec::new(),
            firsts: vec![b"PID".to_vec()],
        }
    }

    /// Takes one byte.
    pub fn push(&mut self, byte: u8) -> Option<Event> {
        if let Some(digits) = &mut self.hex {
            if byte == b'\n' {
                let message = HexMessage::parse(digits);
                self.hex = None;
                return Some(message.map_or_else(|| self.reject(Rejected::Hex, byte), Event::Hex));
            }
            if !byte.is_ascii_hexdigit() || digits.len() >= MAX_HEX {
                self.hex = None;
                return Some(self.reject(Rejected::Hex, byte));
            }
            digits.push(byte);
            return None;
        }
        if byte == b':' && matches!(self.state, State::Start | State::Label | State::Value) {
            self.hex = Some(Vec::new());
            return None;
        }
        match self.state {
            State::Hunt => {
                self.hunt(byte);
                None
            }
            State::Start => match byte {
                b'\r' => {
                    self.begin();
                    None
                }
                _ => Some(self.reject(Rejected::Framing, byte)),
            },
            State::LineFeed => match byte {
                b'\n' => {
                    self.add(byte, State::Label);
                    None
                }
                _ => Some(self.reject(Rejected::Framing, byte)),
            },
            State::Label => self.label(byte),
            State::Value => self.value(byte),
            State::Sum => Some(self.finish(byte)),
        }
    }

    /// Takes many bytes.
    pub fn extend<'a>(&'a mut self, bytes: &'a [u8]) -> impl Iterator<Item = Event> + 'a {
        bytes.iter().filter_map(|byte| self.push(*byte))
    }

    const fn add(&mut self, byte: u8, next: State) {
        self.sum = self.sum.wrapping_add(byte);
        self.state = next;
    }

    fn begin(&mut self) {
        self.sum = 0;
        self.label.clear();
        self.value.clear();
        self.fields.clear();
        self.add(b'\r', State::LineFeed);
    }

    fn label(&mut self, byte: u8) -> Option<Event> {
        match byte {
            b'\t' if self.label == b"Checksum" => self.add(byte, State::Sum),
            b'\t' if !self.label.is_empty() => {
                let first_again = !self.fields.is_empty() && self.firsts.contains(&self.label);
                if first_again || self.fields.iter().any(|f| f.label.as_bytes() == self.label) {
                    return Some(self.repeated());
                }
                self.add(byte, State::Value);
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'#' => {
                if self.label.len() == MAX_LABEL {
                    return Some(self.reject(Rejected::TooLong, byte));
                }
                self.label.push(byte);
                self.add(byte, State::Label);
            }
            _ => return Some(self.reject(Rejected::Framing, byte)),
        }
        None
    }

    fn value(&mut self, byte: u8) -> Option<Event> {
        match byte {
            b'\r' => {
                if self.fields.len() == MAX_FIELDS {
                    return Some(self.reject(Rejected::TooLong, byte));
                }
                let text = |bytes: &mut Vec<u8>| std::mem::take(bytes).into_iter().map(char::from).collect();
                self.fields.push(Field { label: text(&mut self.label), value: text(&mut self.value) });
                self.add(byte, State::LineFeed);
            }
            b' '..=b'~' => {
                if self.value.len() == MAX_VALUE {
                    return Some(self.reject(Rejected::TooLong, byte));
                }
                self.value.push(byte);
                self.add(byte, State::Value);
            }
            _ => return Some(self.reject(Rejected::Framing, byte)),
        }
        None
    }

    fn finish(&mut self, byte: u8) -> Event {
        self.add(byte, State::Start);
        let fields = std::mem::take(&mut self.fields);
        self.label.clear();
        if self.sum != 0 {
            return Event::Rejected(Rejected::Checksum);
        }
        if let Some(first) = fields.first()
            && self.firsts.len() < MAX_FIRSTS
            && !self.firsts.iter().any(|known| known == first.label.as_bytes())
        {
            self.firsts.push(first.label.clone().into_bytes());
        }
        Event::Block(Frame { fields })
    }

    /// The last block's end was lost. If this line can be the first of a block, begin there.
    fn repeated(&mut self) -> Event {
        let label = std::mem::take(&mut self.label);
        self.begin();
        self.add(b'\n', State::Label);
        if self.firsts.contains(&label) {
            self.sum = label.iter().fold(self.sum, |sum, b| sum.wrapping_add(*b));
            self.label = label;
            self.add(b'\t', State::Value);
        } else {
            self.state = State::Hunt;
            self.line.clear();
        }
        Event::Rejected(Rejected::Repeated)
    }

    fn reject(&mut self, why: Rejected, byte: u8) -> Event {
        self.state = State::Hunt;
        self.line.clear();
        self.hunt(byte);
        Event::Rejected(why)
    }

    /// Looks for a line that ends a block, or begins one of a known kind.
    fn hunt(&mut self, byte: u8) {
        const END: &[u8] = b"\r\nChecksum\t";
        if self.line == END {
            // This is the checksum byte, whatever it is.
            self.line.clear();
            self.state = State::Start;
            return;
        }
        if byte == b'\r' {
            self.line.clear();
        }
        if byte == b'\r' || !self.line.is_empty() {
            self.line.push(byte);
        }
        if self.line.len() > END.len() || (self.line.len() == 2 && byte != b'\n') {
            self.line.clear();
        }
        if byte == b'\t'
            && let Some(label) = self.line.strip_prefix(b"\r\n").and_then(|rest| rest.strip_suffix(b"\t"))
            && self.firsts.iter().any(|known| known == label)
        {
            let label = label.to_vec();
            self.begin();
            self.sum = self.line.iter().fold(0_u8, |sum, b| sum.wrapping_add(*b));
            self.label = label;
            self.state = State::Value;
        }
    }
}
