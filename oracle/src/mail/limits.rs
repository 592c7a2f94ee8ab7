//! How much mail there may be, and for how long.
use std::time::Duration;

/// What a message counts besides its body: addresses, key, signature and the database's own.
const OVERHEAD_BYTES: u64 = 512;

/// How much mail there may be, for how long, and how slowly it may come.
#[derive(Clone, Copy, Debug)]
pub struct MailLimits {
    /// How long a message is kept.
    pub retention: Duration,
    /// How far a sender's clock may be ahead.
    pub clock_skew: Duration,
    /// Messages of one signer in one agreement.
    pub signer_messages: u64,
    /// Bytes of one signer in one agreement.
    pub signer_bytes: u64,
    /// Bytes of one party, with its devices or its key agent, in one agreement: however often it changes those.
    pub party_bytes: u64,
    /// Bytes of one agreement: enough for the shares of more parties than one can have.
    pub agreement_bytes: u64,
    /// Bytes of an agreement that no worker has entered yet: a key for the key agent needs a tenth of it. Buying and cancelling
    /// costs little, and should not buy much room.
    pub unentered_bytes: u64,
    /// Bytes of all mail.
    pub quota_bytes: u64,
    /// Letters taken in at a time, and as many questions answered.
    pub parallel: usize,
    /// How long a request waits for its turn.
    pub wait: Duration,
    /// How long the body of a letter may take.
    pub body_time: Duration,
}

impl Default for MailLimits {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(7 * 24 * 3600),
            clock_skew: Duration::from_secs(5 * 60),
            signer_messages: 64,
            signer_bytes: 128 << 10,
            party_bytes: 256 << 10,
            agreement_bytes: 16 << 20,
            unentered_bytes: 8 << 10,
            quota_bytes: 1 << 30,
            parallel: 32,
            wait: Duration::from_secs(10),
            body_time: Duration::from_secs(10),
        }
    }
}

/// What a message with a body of this length counts: bodies are kept in hex.
pub const fn counted(body_bytes: usize) -> u64 {
    2 * body_bytes as u64 + OVERHEAD_BYTES
}
