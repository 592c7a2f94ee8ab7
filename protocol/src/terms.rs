//! What a client offers: the packed terms in an agreement's code and the specification in the purchase event
//! (`contracts/types/ComputeTerms.sol`).

use alloy::primitives::{Address, B256, keccak256};
use alloy::sol_types::SolValue;
use thiserror::Error;

pub use crate::abi::IComputeAgreement::BoundTerms as BoundTermsAbi;

/// Bytes of packed terms.
pub const PACKED_BYTES: usize = 57;
/// Bytes of what stands in an agreement's code.
pub const BOUND_BYTES: usize = 57 + PACKED_BYTES;
/// Largest specification that the dispatcher takes.
pub const MAX_SPEC_BYTES: usize = 16 * 1024;
/// Bit 0 of the flags: the work starts with a sealed session key.
pub const FLAG_CONFIDENTIAL: u8 = 1;
/// Version of [`ComputeSpec`]'s encoding.
pub const SPEC_VERSION: u16 = 2;

/// Terms or specification that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// Wrong length of packed terms.
    #[error("packed terms have {found} bytes, expected {expected}")]
    TermsLength {
        /// Bytes given.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// An amount above 96 bits.
    #[error("{field} is {found}, the largest amount that fits the terms is {max}")]
    AmountTooLarge {
        /// Which field.
        field: &'static str,
        /// The amount.
        found: u128,
        /// The largest that fits.
        max: u128,
    },
    /// The ABI decoder refused.
    #[error("the specification is not an ABI-encoded ComputeSpec: {0}")]
    NotAbi(String),
    /// Another version.
    #[error("the specification has version {found}, this build reads {expected}")]
    Version {
        /// Version found.
        found: u16,
        /// Version expected.
        expected: u16,
    },
    /// A field breaks its rule.
    #[error("{field} is {found}, expected {expected}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Hot terms of a compute purchase. Amounts in the token's smallest unit, windows in seconds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ComputeTerms {
    /// Reward at the start of the accept window.
    pub reward_min: u128,
    /// Reward at its end; rises linearly in between.
    pub reward_max: u128,
    /// Fee of each verifier.
    pub verifier_fee: u128,
    /// Pool of workers.
    pub class_id: u16,
    /// See [`FLAG_CONFIDENTIAL`].
    pub flags: u8,
    /// 1: proof of contribution.
    pub trust_level: u8,
    /// T: accepted with credibility above 1 - 1/T.
    pub trust: u16,
    /// n: leaves of the bag.
    pub leaf_count: u32,
    /// k: leaves per verifier.
    pub samples: u8,
    /// V: verifiers.
    pub verifiers: u8,
    /// Window to accept.
    pub accept_secs: u32,
    /// From the start of the work to the seal.
    pub work_secs: u32,
    /// From the end of the draw to the verifiers' seals.
    pub verify_secs: u32,
}

impl ComputeTerms {
    /// The 57 bytes that the contracts read.
    ///
    /// # Errors
    /// When an amount needs more than 96 bits or a window more than 24.
    pub fn pack(&self) -> Result<[u8; PACKED_BYTES], SpecError> {
        const MAX: u128 = (1 << 96) - 1;
        let mut out = Vec::with_capacity(PACKED_BYTES);
        for (field, amount) in
            [("reward_min", self.reward_min), ("reward_max", self.reward_max), ("verifier_fee", self.verifier_fee)]
        {
            if amount > MAX {
                return Err(SpecError::AmountTooLarge { field, found: amount, max: MAX });
            }
            out.extend_from_slice(&amount.to_be_bytes()[4..]);
        }
        out.extend_from_slice(&self.class_id.to_be_bytes());
        out.extend_from_slice(&[self.flags, self.trust_level]);
        out.extend_from_slice(&self.trust.to_be_bytes());
        out.extend_from_slice(&self.leaf_count.to_be_bytes());
        out.extend_from_slice(&[self.samples, self.verifiers]);
        for (field, secs) in
            [("accept_secs", self.accept_secs), ("work_secs", self.work_secs), ("verify_secs", self.verify_secs)]
        {
            if secs >= 1 << 24 {
                return Err(SpecError::Field { field, found: secs.to_string(), expected: "below 2^24 seconds" });
            }
            out.extend_from_slice(&secs.to_be_bytes()[1..]);
        }
        out.try_into().map_err(|v: Vec<u8>| SpecError::TermsLength { found: v.len(), expected: PACKED_BYTES })
    }

    /// Reads packed terms.
    ///
    /// # Errors
    /// When the length is not 57.
    pub fn unpack(packed: &[u8]) -> Result<Self, SpecError> {
        if packed.len() != PACKED_BYTES {
            return Err(SpecError::TermsLength { found: packed.len(), expected: PACKED_BYTES });
        }
        let uint = |from: usize, to: usize| packed[from..to].iter().fold(0_u128, |n, b| n << 8 | u128::from(*b));
        Ok(Self {
            reward_min: uint(0, 12),
            reward_max: uint(12, 24),
            verifier_fee: uint(24, 36),
            class_id: uint(36, 38) as u16,
            flags: packed[38],
            trust_level: packed[39],
            trust: uint(40, 42) as u16,
            leaf_count: uint(42, 46) as u32,
            samples: packed[46],
            verifiers: packed[47],
            accept_secs: uint(48, 51) as u32,
            work_secs: uint(51, 54) as u32,
            verify_secs: uint(54, 57) as u32,
        })
    }

    /// True when the work needs a session key.
    pub const fn is_confidential(&self) -> bool {
        self.flags & FLAG_CONFIDENTIAL != 0
    }
}

/// The terms with what the dispatcher added: client, time of purchase, hash of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundTerms {
    /// Who bought.
    pub client: Address,
    /// Unix seconds.
    pub bought_at: u64,
    /// keccak256 of the specification.
    pub spec_hash: B256,
    /// The terms.
    pub terms: ComputeTerms,
}

impl BoundTerms {
    /// The bytes that stand in the agreement's code.
    ///
    /// # Errors
    /// As [`ComputeTerms::pack`].
    pub fn pack(&self) -> Result<Vec<u8>, SpecError> {
        let mut out = self.client.to_vec();
        out.extend_from_slice(&self.bought_at.to_be_bytes()[3..]);
        out.extend_from_slice(self.spec_hash.as_slice());
        out.extend_from_slice(&self.terms.pack()?);
        Ok(out)
    }
}

/// An input file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Input {
    /// Plain file name, as the app sees it.
    pub name: String,
    /// SHA-256 of the bytes, the blob's name.
    pub sha256: B256,
    /// Length.
    pub size_bytes: u64,
}

/// Checks that a name can be that of an input file.
///
/// # Errors
/// When it is not a plain file name.
pub fn check_input_name(name: &str) -> Result<(), SpecError> {
    let plain = !name.is_empty() && name.len() <= 255 && name != "." && name != "..";
    // Control characters could move the cursor of whoever's terminal it is printed on.
    if plain && !name.contains(['/', '\\']) && !name.contains(char::is_control) {
        return Ok(());
    }
    let expected = "a plain file name of at most 255 bytes, without control characters";
    Err(SpecError::Field { field: "input name", found: format!("{name:?}"), expected })
}

/// What is to be run.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ComputeSpec {
    /// SHA-256 of the image manifest (with `image_name`) or of the saved archive (without).
    pub image_digest: B256,
    /// Repository without tag, or empty.
    pub image_name: String,
    /// OCI platform.
    pub platform: String,
    /// The app's arguments.
    pub args: Vec<String>,
    /// Input files.
    pub inputs: Vec<Input>,
    /// Index of the first leaf within the client's bag.
    pub first_index: u32,
    /// CPU limit, thousandths of a core.
    pub milli_cpu: u32,
    /// Memory limit.
    pub memory_mib: u32,
    /// Room for what the app writes.
    pub disk_mib: u32,
    /// Process limit.
    pub max_pids: u32,
    /// Wall-clock limit of one leaf.
    pub leaf_secs: u32,
    /// Largest output of one leaf.
    pub output_mib: u32,
    /// Commitment to the session key; zero for public work.
    pub key_commitment: B256,
    /// From which the client derives the session key and its message key anew; zero where it keeps them otherwise.
    pub key_nonce: B256,
    /// X25519 key of the client for this agreement: logs are sealed to it. Zero: no logs.
    pub client_key: B256,
}

impl ComputeSpec {
    /// Checks names and limits.
    ///
    /// # Errors
    /// The first field that breaks its rule.
    pub fn check(&self) -> Result<(), SpecError> {
        let fail = |field, found: String, expected| Err(SpecError::Field { field, found, expected });
        let parts: Vec<_> = self.platform.split('/').collect();
        if !(2..=3).contains(&parts.len()) || parts.iter().any(|p| p.is_empty()) {
            return fail("platform", format!("{:?}", self.platform), "os/arch, such as linux/amd64");
        }
        // Strangers' specifications are printed on terminals.
        for (field, text) in [("platform", &self.platform), ("image_name", &self.image_name)] {
            if !text.chars().all(|c| c.is_ascii_graphic()) {
                return fail(field, format!("{text:?}"), "printable ASCII without spaces");
            }
        }
        if self.image_name.contains('@') {
            return fail("image_name", self.image_name.clone(), "a repository without digest");
        }
        if self.image_name.rsplit('/').next().is_some_and(|last| last.contains(':')) {
            return fail("image_name", self.image_name.clone(), "a repository without tag: images are named by digest");
        }
        if self.args.iter().any(|a| a.contains('\0')) {
            return fail("args", "an argument with a NUL byte".into(), "arguments without NUL");
        }
        let mut seen = std::collections::HashSet::new();
        for input in &self.inputs {
            let name = &input.name;
            check_input_name(name)?;
            if !seen.insert(name) {
                return fail("input name", format!("{name:?} twice"), "distinct names");
            }
        }
        for (field, value) in [
            ("milli_cpu", self.milli_cpu),
            ("memory_mib", self.memory_mib),
            ("disk_mib", self.disk_mib),
            ("max_pids", self.max_pids),
            ("leaf_secs", self.leaf_secs),
            ("output_mib", self.output_mib),
        ] {
            if value == 0 {
                return fail(field, "0".into(), "at least 1");
            }
        }
        Ok(())
    }

    /// ABI encoding, as the purchase event carries it.
    pub fn encode(&self) -> Vec<u8> {
        self.to_abi().abi_encode()
    }

    /// keccak256 of the encoding, as the terms hold it.
    pub fn hash(&self) -> B256 {
        keccak256(self.encode())
    }

    /// Reads and checks a specification. It comes from a stranger: nothing of it is trusted.
    ///
    /// # Errors
    /// When it is too long, not ABI, of another version, or breaks a rule of [`ComputeSpec::check`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SpecError> {
        if bytes.len() > MAX_SPEC_BYTES {
            return Err(SpecError::Field {
                field: "specification",
                found: format!("{} bytes", bytes.len()),
                expected: "at most 16384 bytes",
            });
        }
        let abi = abi::ComputeSpecAbi::abi_decode(bytes).map_err(|e| SpecError::NotAbi(e.to_string()))?;
        if abi.version != SPEC_VERSION {
            return Err(SpecError::Version { found: abi.version, expected: SPEC_VERSION });
        }
        let spec = Self {
            image_digest: abi.imageDigest,
            image_name: abi.imageName,
            platform: abi.platform,
            args: abi.args,
            inputs: abi
                .inputs
                .into_iter()
                .map(|i| Input { name: i.name, sha256: i.sha256Hash, size_bytes: i.sizeBytes })
                .collect(),
            first_index: abi.firstIndex,
            milli_cpu: abi.milliCpu,
            memory_mib: abi.memoryMib,
            disk_mib: abi.diskMib,
            max_pids: abi.maxPids,
            leaf_secs: abi.leafSecs,
            output_mib: abi.outputMib,
            key_commitment: abi.keyCommitment,
            key_nonce: abi.keyNonce,
            client_key: abi.clientKey,
        };
        // Other bytes for the same content (gaps, missing padding) are refused: one specification, one encoding.
        if spec.encode() != bytes {
            return Err(SpecError::NotAbi("it is not the canonical encoding of its content".into()));
        }
        spec.check()?;
        Ok(spec)
    }

    fn to_abi(&self) -> abi::ComputeSpecAbi {
        abi::ComputeSpecAbi {
            version: SPEC_VERSION,
            imageDigest: self.image_digest,
            imageName: self.image_name.clone(),
            platform: self.platform.clone(),
            args: self.args.clone(),
            inputs: self
                .inputs
                .iter()
                .map(|i| abi::InputAbi { name: i.name.clone(), sha256Hash: i.sha256, sizeBytes: i.size_bytes })
                .collect(),
            firstIndex: self.first_index,
            milliCpu: self.milli_cpu,
            memoryMib: self.memory_mib,
            diskMib: self.disk_mib,
            maxPids: self.max_pids,
            leafSecs: self.leaf_secs,
            outputMib: self.output_mib,
            keyCommitment: self.key_commitment,
            keyNonce: self.key_nonce,
            clientKey: self.client_key,
        }
    }
}

/// The Solidity struct is in no interface's ABI (no function takes it), so it stands here once more; the vector file
/// checks that both encode alike.
#[allow(missing_docs)]
mod abi {
    alloy::sol! {
        struct InputAbi { string name; bytes32 sha256Hash; uint64 sizeBytes; }

        struct ComputeSpecAbi {
            uint16 version;
            bytes32 imageDigest;
            string imageName;
            string platform;
            string[] args;
            InputAbi[] inputs;
            uint32 firstIndex;
            uint32 milliCpu;
            uint32 memoryMib;
            uint32 diskMib;
            uint32 maxPids;
            uint32 leafSecs;
            uint32 outputMib;
            bytes32 keyCommitment;
            bytes32 keyNonce;
            bytes32 clientKey;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ComputeSpec {
        ComputeSpec {
            image_digest: B256::repeat_byte(7),
            image_name: String::new(),
            platform: "linux/amd64".into(),
            args: vec!["--width".into(), "64".into()],
            inputs: vec![Input { name: "a.txt".into(), sha256: B256::repeat_byte(9), size_bytes: 3 }],
            first_index: 0,
            milli_cpu: 1000,
            memory_mib: 64,
            disk_mib: 16,
            max_pids: 32,
            leaf_secs: 60,
            output_mib: 8,
            key_commitment: B256::ZERO,
            key_nonce: B256::ZERO,
            client_key: B256::ZERO,
        }
    }

    #[test]
    fn a_specification_survives_its_encoding() {
        assert_eq!(ComputeSpec::decode(&spec().encode()), Ok(spec()));
    }

    #[test]
    fn bad_specifications_say_what_is_wrong() {
        let mut s = spec();
        s.inputs[0].name = "../x".into();
        assert!(matches!(ComputeSpec::decode(&s.encode()), Err(SpecError::Field { field: "input name", .. })));
        let mut s = spec();
        s.image_name = "example.com:5000/app:latest".into();
        assert!(matches!(s.check(), Err(SpecError::Field { field: "image_name", .. })));
        s.image_name = "example.com:5000/app".into();
        assert_eq!(s.check(), Ok(()));
        assert!(matches!(ComputeSpec::decode(&[1, 2, 3]), Err(SpecError::NotAbi(_))));
        let bytes = spec().encode();
        for end in 0..bytes.len() {
            assert!(ComputeSpec::decode(&bytes[..end]).is_err());
        }
    }

    #[test]
    fn a_strangers_specification_cannot_steer_the_terminal_that_shows_it() {
        for odd in ["a\x1b[2Jb", "a\u{9b}31mb", "a\rb", "a\x07"] {
            let with = |change: fn(&mut ComputeSpec, &str)| {
                let mut spec = spec();
                change(&mut spec, odd);
                ComputeSpec::decode(&spec.encode())
            };
            for read in [
                with(|spec, odd| spec.image_name = odd.into()),
                with(|spec, odd| spec.platform = format!("linux/{odd}")),
                with(|spec, odd| spec.inputs[0].name = odd.into()),
            ] {
                let error = read.unwrap_err();
                assert!(!error.to_string().contains(char::is_control), "{error:?}");
            }
        }
    }

    #[test]
    fn amounts_above_96_bits_are_refused() {
        let terms = ComputeTerms {
            reward_min: 1 << 96,
            reward_max: 0,
            verifier_fee: 0,
            class_id: 0,
            flags: 0,
            trust_level: 1,
            trust: 2,
            leaf_count: 1,
            samples: 1,
            verifiers: 1,
            accept_secs: 1,
            work_secs: 1,
            verify_secs: 1,
        };
        assert!(matches!(terms.pack(), Err(SpecError::AmountTooLarge { field: "reward_min", .. })));
        let ok = ComputeTerms { reward_min: (1 << 96) - 1, ..terms };
        assert_eq!(ComputeTerms::unpack(&ok.pack().unwrap()), Ok(ok));
    }
}
