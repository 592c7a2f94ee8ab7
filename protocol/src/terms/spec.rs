//! What is to be run: the specification in the purchase event (`ComputeSpec` in `contracts/types/ComputeTerms.sol`).

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::SolValue;

use super::{Host, MAX_HOSTS, SpecError};

/// Largest specification that the dispatcher takes.
pub const MAX_SPEC_BYTES: usize = 16 * 1024;
/// Version of [`ComputeSpec`]'s encoding where the app speaks to nobody.
pub const SPEC_VERSION: u16 = 2;
/// Version of the encoding with hosts; there is none with an empty list, so that each specification has one encoding.
pub const SPEC_VERSION_HOSTS: u16 = 3;

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
    /// Hosts that the app may speak to, ascending, each once; usually none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// Most that one leaf sends and receives over the network, both together; zero without hosts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub network_mib: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(value: &u32) -> bool {
    *value == 0
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
        self.check_hosts()
    }

    fn check_hosts(&self) -> Result<(), SpecError> {
        let fail = |field, found: String, expected| Err(SpecError::Field { field, found, expected });
        if self.hosts.len() > MAX_HOSTS {
            return fail("hosts", format!("{} hosts", self.hosts.len()), "at most 8");
        }
        if let Some(pair) = self.hosts.windows(2).find(|pair| pair[0] >= pair[1]) {
            return fail("hosts", format!("{} before {}", pair[0], pair[1]), "ascending, each once");
        }
        match (self.hosts.is_empty(), self.network_mib) {
            (true, 1..) => fail("network_mib", self.network_mib.to_string(), "0 without hosts"),
            (false, 0) => fail("network_mib", "0".into(), "at least 1 with hosts"),
            _ => Ok(()),
        }
    }

    /// ABI encoding, as the purchase event carries it: version 2, or 3 where there are hosts.
    pub fn encode(&self) -> Vec<u8> {
        let plain = self.to_abi();
        if self.hosts.is_empty() { plain.abi_encode() } else { self.with_hosts(plain).abi_encode() }
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
        let not_abi = |error: alloy::sol_types::Error| SpecError::NotAbi(error.to_string());
        let (abi, hosts, network_mib) = match version_of(bytes) {
            Some(SPEC_VERSION_HOSTS) => {
                let abi = abi::ComputeSpecV3Abi::abi_decode(bytes).map_err(not_abi)?;
                if abi.hosts.len() > MAX_HOSTS {
                    let found = format!("{} hosts", abi.hosts.len());
                    return Err(SpecError::Field { field: "hosts", found, expected: "at most 8" });
                }
                let hosts = abi.hosts.iter().map(|host| host.parse());
                let hosts = hosts.collect::<Result<Vec<Host>, _>>().map_err(|error| SpecError::Field {
                    field: "hosts",
                    found: format!("{:?} ({})", error.found, error.problem),
                    expected: "names with ports, such as api.example.org:443",
                })?;
                let network_mib = abi.networkMib;
                (without_hosts(abi), hosts, network_mib)
            }
            _ => (abi::ComputeSpecAbi::abi_decode(bytes).map_err(not_abi)?, Vec::new(), 0),
        };
        if ![SPEC_VERSION, SPEC_VERSION_HOSTS].contains(&abi.version) {
            return Err(SpecError::Version { found: abi.version });
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
            hosts,
            network_mib,
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

    fn with_hosts(&self, plain: abi::ComputeSpecAbi) -> abi::ComputeSpecV3Abi {
        abi::ComputeSpecV3Abi {
            version: SPEC_VERSION_HOSTS,
            imageDigest: plain.imageDigest,
            imageName: plain.imageName,
            platform: plain.platform,
            args: plain.args,
            inputs: plain.inputs,
            firstIndex: plain.firstIndex,
            milliCpu: plain.milliCpu,
            memoryMib: plain.memoryMib,
            diskMib: plain.diskMib,
            maxPids: plain.maxPids,
            leafSecs: plain.leafSecs,
            outputMib: plain.outputMib,
            keyCommitment: plain.keyCommitment,
            keyNonce: plain.keyNonce,
            clientKey: plain.clientKey,
            hosts: self.hosts.iter().map(Host::to_string).collect(),
            networkMib: self.network_mib,
        }
    }
}

/// The version of an encoding: the first word of the tuple, which its own offset comes before.
fn version_of(bytes: &[u8]) -> Option<u16> {
    let word = bytes.get(32..64)?;
    Some(u16::from_be_bytes([*word.get(30)?, *word.get(31)?]))
}

fn without_hosts(abi: abi::ComputeSpecV3Abi) -> abi::ComputeSpecAbi {
    abi::ComputeSpecAbi {
        version: abi.version,
        imageDigest: abi.imageDigest,
        imageName: abi.imageName,
        platform: abi.platform,
        args: abi.args,
        inputs: abi.inputs,
        firstIndex: abi.firstIndex,
        milliCpu: abi.milliCpu,
        memoryMib: abi.memoryMib,
        diskMib: abi.diskMib,
        maxPids: abi.maxPids,
        leafSecs: abi.leafSecs,
        outputMib: abi.outputMib,
        keyCommitment: abi.keyCommitment,
        keyNonce: abi.keyNonce,
        clientKey: abi.clientKey,
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

        struct ComputeSpecV3Abi {
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
            string[] hosts;
            uint32 networkMib;
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

    fn with_hosts() -> ComputeSpec {
        let hosts = ["api.example.org:443", "data.example.org:80"].map(|host| host.parse().unwrap());
        ComputeSpec { hosts: hosts.into(), network_mib: 64, ..spec() }
    }

    #[test]
    fn hosts_make_version_3_and_without_hosts_nothing_changes() {
        let spec = with_hosts();
        assert_eq!(ComputeSpec::decode(&spec.encode()), Ok(spec.clone()));
        assert_eq!((version_of(&spec.encode()), version_of(&super::tests::spec().encode())), (Some(3), Some(2)));
        let bytes = spec.encode();
        for end in 0..bytes.len() {
            assert!(ComputeSpec::decode(&bytes[..end]).is_err());
        }
        // A version 3 without hosts would be a second encoding of the same.
        let mut none = spec.with_hosts(spec.to_abi());
        (none.hosts, none.networkMib) = (Vec::new(), 0);
        assert!(matches!(ComputeSpec::decode(&none.abi_encode()), Err(SpecError::NotAbi(_))));
        // A version that nobody knows is named, in either form.
        for version in [0, 1, 4, u16::MAX] {
            let mut other = spec.to_abi();
            other.version = version;
            assert_eq!(ComputeSpec::decode(&other.abi_encode()), Err(SpecError::Version { found: version }));
        }
    }

    #[test]
    fn hosts_that_cannot_be_are_refused() {
        let read = |change: fn(&mut abi::ComputeSpecV3Abi)| {
            let spec = with_hosts();
            let mut abi = spec.with_hosts(spec.to_abi());
            change(&mut abi);
            ComputeSpec::decode(&abi.abi_encode()).unwrap_err().to_string()
        };
        assert!(read(|abi| abi.hosts.reverse()).contains("ascending, each once"));
        assert!(read(|abi| abi.hosts[1] = abi.hosts[0].clone()).contains("ascending, each once"));
        assert!(read(|abi| abi.hosts = vec!["a:1".into(); 9]).contains("9 hosts"));
        assert!(read(|abi| abi.hosts[0] = "127.0.0.1:80".into()).contains("it is an address, not a name"));
        let odd = read(|abi| abi.hosts[0] = "a\x1b[2J:80".into());
        assert!(odd.contains("lower-case") && !odd.contains(char::is_control), "{odd}");
        assert!(read(|abi| abi.networkMib = 0).contains("at least 1 with hosts"));
        let lost = ComputeSpec { network_mib: 1, ..spec() };
        assert!(lost.check().unwrap_err().to_string().contains("0 without hosts"));
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
