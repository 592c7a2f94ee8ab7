//! A day record: layout, digest, signature (`RecordLib.sol`).

use alloy::primitives::{Address, B256, FixedBytes};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    COUNTS_BYTES, Counts,
    signature::{DeviceKey, PublicKey, SignatureError},
};

/// Bytes before the counts.
pub const HEAD_BYTES: usize = 35;
/// r and s.
pub const SIGNATURE_BYTES: usize = 64;
/// What the digest of a record begins with.
pub const RECORD_TAG: &[u8; 16] = b"sunwork.energy.1";

const PRODUCTION: u8 = 1;
const METERED: u8 = 2;
const GAP: u8 = 3;

/// First 24 bytes of a record's digest: what the next record is chained to.
pub type Link = FixedBytes<24>;

/// What a record claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Production alone: the ledger charges the load that its deployment assumes.
    Production(Box<Counts>),
    /// Production and consumption.
    Metered {
        /// At the panel.
        production: Box<Counts>,
        /// Of the board.
        consumption: Box<Counts>,
    },
    /// Nothing, for the days after the last record up to this one's.
    Gap,
}

impl Body {
    const fn kind(&self) -> u8 {
        match self {
            Self::Production(_) => PRODUCTION,
            Self::Metered { .. } => METERED,
            Self::Gap => GAP,
        }
    }

    /// Counts of production, if any.
    pub fn production(&self) -> Option<&Counts> {
        match self {
            Self::Production(production) | Self::Metered { production, .. } => Some(production),
            Self::Gap => None,
        }
    }
}

/// A day record without signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The worker that the meter serves.
    pub worker: Address,
    /// Grows with the days: by one for a day, by the days it covers for a gap.
    pub sequence: u32,
    /// Days since 1970-01-01 UTC; of a gap its last one.
    pub day: u16,
    /// Grows when the meter's own counter began anew.
    pub counter_epoch: u16,
    /// The meter's own running total of production at the end of the day; 48 bits.
    pub counter_wh: u64,
    /// What is claimed.
    pub body: Body,
}

/// A record that cannot be read or packed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// Another length than its kind has.
    #[error("the record has {found} bytes, expected {expected} for its kind")]
    Length {
        /// Bytes given.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// A kind that this version does not know.
    #[error("the record is of kind {found}, expected 1 (production), 2 (metered) or 3 (gap)")]
    Kind {
        /// The first byte.
        found: u8,
    },
    /// More than 48 bits.
    #[error("the counter is {found} Wh, a record holds at most {max} Wh")]
    Counter {
        /// The counter, watt hours.
        found: u64,
        /// The largest that fits.
        max: u64,
    },
}

/// Why two records are no evidence of equivocation; the contract's errors of these names.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NoEvidence {
    /// `EvidenceMismatch`.
    #[error("the records are of different days or workers")]
    Mismatch,
    /// `GapIsNoEvidence`.
    #[error("a gap claims nothing")]
    Gap,
    /// `SameClaim`.
    #[error("both records claim the same, whatever they are chained to")]
    SameClaim,
}

impl Record {
    const MAX_COUNTER_WH: u64 = (1 << 48) - 1;

    /// The bytes that are hashed and sent, without signature.
    ///
    /// # Errors
    /// When the counter needs more than 48 bits.
    pub fn pack(&self) -> Result<Vec<u8>, RecordError> {
        if self.counter_wh > Self::MAX_COUNTER_WH {
            return Err(RecordError::Counter { found: self.counter_wh, max: Self::MAX_COUNTER_WH });
        }
        let mut out = Vec::with_capacity(HEAD_BYTES + 2 * COUNTS_BYTES);
        out.push(self.body.kind());
        out.extend_from_slice(self.worker.as_slice());
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.day.to_be_bytes());
        out.extend_from_slice(&self.counter_epoch.to_be_bytes());
        out.extend_from_slice(&self.counter_wh.to_be_bytes()[2..]);
        if let Some(production) = self.body.production() {
            out.extend_from_slice(&production.to_bytes());
        }
        if let Body::Metered { consumption, .. } = &self.body {
            out.extend_from_slice(&consumption.to_bytes());
        }
        Ok(out)
    }

    /// Reads the bytes of [`Record::pack`].
    ///
    /// # Errors
    /// When kind or length is wrong.
    pub fn unpack(bytes: &[u8]) -> Result<Self, RecordError> {
        let length = |expected| RecordError::Length { found: bytes.len(), expected };
        let (head, counts) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(|| length(HEAD_BYTES))?;
        let counts_of = |from: usize| {
            let counts = counts.get(from..).and_then(<[u8]>::first_chunk::<COUNTS_BYTES>);
            counts.map(|counts| Box::new(Counts::from_bytes(counts)))
        };
        let (expected, body) = match head[0] {
            PRODUCTION => (COUNTS_BYTES, counts_of(0).map(Body::Production)),
            METERED => {
                let both = counts_of(0).zip(counts_of(COUNTS_BYTES));
                (2 * COUNTS_BYTES, both.map(|(production, consumption)| Body::Metered { production, consumption }))
            }
            GAP => (0, Some(Body::Gap)),
            found => return Err(RecordError::Kind { found }),
        };
        let body = body.filter(|_| counts.len() == expected).ok_or_else(|| length(HEAD_BYTES + expected))?;
        let uint = |from: usize, to: usize| head[from..to].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
        Ok(Self {
            worker: Address::from_slice(&head[1..21]),
            sequence: uint(21, 25) as u32,
            day: uint(25, 27) as u16,
            counter_epoch: uint(27, 29) as u16,
            counter_wh: uint(29, 35),
            body,
        })
    }

    /// What the device signs: SHA-256(tag 16 | chain id 8 | ledger 20 | link of the record before 24 | record).
    ///
    /// # Errors
    /// As [`Record::pack`].
    pub fn digest(&self, chain_id: u64, ledger: Address, previous: Link) -> Result<B256, RecordError> {
        let mut hash = Sha256::new();
        hash.update(RECORD_TAG);
        hash.update(chain_id.to_be_bytes());
        hash.update(ledger);
        hash.update(previous);
        hash.update(self.pack()?);
        Ok(B256::from_slice(&hash.finalize()))
    }

    /// Whether this record and `other` contradict each other: the ledger takes two signed ones for the whole bond.
    ///
    /// # Errors
    /// With why the ledger refuses them as evidence, by the order in which it looks.
    pub fn contradicts(&self, other: &Self) -> Result<(), NoEvidence> {
        if self.worker != other.worker || self.day != other.day {
            return Err(NoEvidence::Mismatch);
        }
        if self.body == Body::Gap || other.body == Body::Gap {
            return Err(NoEvidence::Gap);
        }
        // Neither link nor sequence: a device has them from a node.
        let claim = |record: &Self| (record.counter_epoch, record.counter_wh);
        if claim(self) == claim(other) && self.body == other.body {
            return Err(NoEvidence::SameClaim);
        }
        Ok(())
    }

    /// What the record after this one is chained to.
    pub fn link_of(digest: B256) -> Link {
        Link::from_slice(&digest[..24])
    }

    /// Signs it with a key in software.
    ///
    /// # Errors
    /// As [`Record::pack`].
    pub fn sign(
        &self,
        key: &DeviceKey,
        chain_id: u64,
        ledger: Address,
        previous: Link,
    ) -> Result<SignedRecord, RecordError> {
        let signature = key.sign(self.digest(chain_id, ledger, previous)?);
        Ok(SignedRecord { record: self.clone(), signature })
    }
}

/// A record as `EnergyLedger.submit` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRecord {
    /// What is signed.
    pub record: Record,
    /// r and s, s in its lower form.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl SignedRecord {
    /// The calldata's bytes.
    ///
    /// # Errors
    /// As [`Record::pack`].
    pub fn pack(&self) -> Result<Vec<u8>, RecordError> {
        let mut out = self.record.pack()?;
        out.extend_from_slice(&self.signature);
        Ok(out)
    }

    /// Reads the calldata's bytes.
    ///
    /// # Errors
    /// As [`Record::unpack`].
    pub fn unpack(bytes: &[u8]) -> Result<Self, RecordError> {
        let short = || RecordError::Length { found: bytes.len(), expected: HEAD_BYTES + SIGNATURE_BYTES };
        let (body, signature) = bytes.split_last_chunk::<SIGNATURE_BYTES>().ok_or_else(short)?;
        Ok(Self { record: Record::unpack(body)?, signature: *signature })
    }

    /// Checks the signature as the ledger does.
    ///
    /// # Errors
    /// When it is not `key`'s, or not in its lower form.
    pub fn verify(
        &self,
        key: &PublicKey,
        chain_id: u64,
        ledger: Address,
        previous: Link,
    ) -> Result<B256, SignatureError> {
        let digest = self.record.digest(chain_id, ledger, previous)?;
        key.verify(digest, &self.signature)?;
        Ok(digest)
    }
}
