//! What is to be run: the specification in the purchase event (`ComputeSpec` in `contracts/types/ComputeTerms.sol`).

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::SolValue;

use super::SpecError;

/// Largest specification that the dispatcher takes.
pub const MAX_SPEC_BYTES: usize = 16 * 1024;
/// Version of [`ComputeSpec`]'s encoding.
pub const SPEC_VERSION: u16 = 2;

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
            args: vec!["--width".into(), "64".into()],
            inputs: vec![Input { name: "a.txt".into(), sha256: B256::repeat_byte(9), size_bytes: 3 }],
            ..crate::testing::spec()
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
}
