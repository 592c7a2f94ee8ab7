//! Where the contracts of one network are: `deployments/<chainid>.json`, written by the deploy script.
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, Bytes};
use serde::{Deserialize, Serialize};
use sunwork_protocol::drand::{Schedule, ScheduleError};

/// Largest deployment file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The contracts of one network. Keys that this version does not know are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Chain id; a node that names another one is refused.
    pub chain_id: u64,
    /// Block of the deployment: nothing of ours is in earlier ones.
    pub deployed_block: u64,
    /// The ERC-20 that everything is paid in.
    pub token: Address,
    /// `WorkerDispatcher`: registry, stakes, purchase, escrow.
    pub dispatcher: Address,
    /// The beacon that draws use.
    pub beacon: Address,
    /// Implementation that compute agreements are clones of.
    pub compute_implementation: Address,
    /// `EnergyLedger`; zero where the deployment has none.
    #[serde(default)]
    pub energy_ledger: Address,
    /// `EnergyCertificates`; zero where the deployment has none.
    #[serde(default)]
    pub energy_certificates: Address,
    /// Class names by class id.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Who may add kinds and classes.
    #[serde(default)]
    pub owner: Address,
    /// What it was deployed with, as far as programs need it.
    #[serde(default)]
    pub parameters: DeploymentParameters,
}

/// The part of a deployment's parameters that programs need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentParameters {
    /// Which beacon it has.
    #[serde(default)]
    pub beacon: BeaconKind,
    /// Of compute agreements.
    #[serde(default)]
    pub compute: ComputeParameters,
    /// Of the energy ledger, where there is one.
    #[serde(default)]
    pub energy: Option<EnergyParameters>,
}

/// What makes a worker positive in the energy ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnergyParameters {
    /// Days that net energy is summed over.
    pub window_days: u16,
    /// Least days with counts in it.
    pub min_days: u16,
    /// The last record is at most so many days old.
    pub fresh_days: u16,
    /// Charged around the clock where consumption is not metered, watts.
    pub assumed_watts: u16,
}

/// The part of the compute agreements' parameters that programs need to know without asking a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ComputeParameters {
    /// One in so many verified results is audited after the reveals; 0 for none.
    #[serde(default)]
    pub audit_one_in: u16,
}

/// Which beacon a deployment has, and what its rounds are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum BeaconKind {
    /// Rounds are block numbers, proven by block headers. Also what a file says that names no beacon.
    #[default]
    Block,
    /// Rounds are those of a drand chain.
    Drand(DrandChain),
}

/// A drand chain as a deployment uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DrandChain {
    /// Its key: 192 bytes, uncompressed.
    pub public_key: Bytes,
    /// When its rounds come and which are drawn from.
    #[serde(flatten)]
    pub schedule: Schedule,
}

/// Why a deployment file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// The file cannot be read.
    #[error("cannot read the deployment file {}: {source}; `cargo xtask devnet` or the deploy script writes it", path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is far larger than any deployment.
    #[error("the deployment file {} has {found} bytes, expected at most {max}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size, bytes.
        found: u64,
        /// Largest size, bytes.
        max: u64,
    },
    /// The file is not the JSON that was expected.
    #[error("the deployment file {} is not valid: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The drand beacon's schedule is impossible.
    #[error("the deployment file {} cannot be used: {source}", path.display())]
    Schedule {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ScheduleError,
    },
    /// An address that must be set is zero.
    #[error("the deployment file {} names no {field}: found the zero address, expected a contract", path.display())]
    ZeroAddress {
        /// The file.
        path: PathBuf,
        /// The key.
        field: &'static str,
    },
}

impl Deployment {
    /// Reads and checks a deployment file.
    ///
    /// # Errors
    /// When the file is missing, too large, not valid, or names a zero address.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, DeploymentError> {
        let path = path.as_ref();
        let unreadable = |source| DeploymentError::Unreadable { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > MAX_FILE_BYTES {
            return Err(DeploymentError::TooLarge { path: path.to_owned(), found: size, max: MAX_FILE_BYTES });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let deployment: Self =
            serde_json::from_str(&text).map_err(|source| DeploymentError::Invalid { path: path.to_owned(), source })?;
        let required = [
            ("token", deployment.token),
            ("dispatcher", deployment.dispatcher),
            ("beacon", deployment.beacon),
            ("computeImplementation", deployment.compute_implementation),
        ];
        for (field, address) in required {
            if address.is_zero() {
                return Err(DeploymentError::ZeroAddress { path: path.to_owned(), field });
            }
        }
        if let BeaconKind::Drand(chain) = &deployment.parameters.beacon {
            let checked = chain.schedule.checked();
            checked.map_err(|source| DeploymentError::Schedule { path: path.to_owned(), source })?;
        }
        Ok(deployment)
    }

    /// Name of a class, or its number where the file does not name it.
    pub fn class_name(&self, class_id: u16) -> String {
        self.classes.get(usize::from(class_id)).cloned().unwrap_or_else(|| format!("class {class_id}"))
    }

    /// Id of the class with this name.
    pub fn class_id(&self, name: &str) -> Option<u16> {
        self.classes.iter().position(|class| class == name).and_then(|id| u16::try_from(id).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    const GOOD: &str = r#"{"chainId":31337,"deployedBlock":3,
        "token":"0x1000000000000000000000000000000000000001","dispatcher":"0x1000000000000000000000000000000000000002",
        "beacon":"0x1000000000000000000000000000000000000003","computeImplementation":"0x1000000000000000000000000000000000000004",
        "classes":["linux/amd64+docker","linux/arm64+docker"],"owner":"0x1000000000000000000000000000000000000005","params":{}}"#;

    #[test]
    fn reads_what_the_deploy_script_writes() {
        let deployment = Deployment::load(file(GOOD).path()).unwrap();
        assert_eq!(deployment.chain_id, 31337);
        assert_eq!(deployment.class_id("linux/arm64+docker"), Some(1));
        assert_eq!(deployment.class_name(7), "class 7");
    }

    #[test]
    fn the_beacon_is_the_one_of_the_parameters() {
        let load = |beacon: &str| {
            let parameters = format!(r#""parameters":{{"owner":"0x00","beacon":{beacon}}}"#);
            Deployment::load(file(&GOOD.replace("\"params\":{}", &parameters)).path())
        };
        assert_eq!(load(r#"{"kind":"block","marginBlocks":4}"#).unwrap().parameters.beacon, BeaconKind::Block);
        assert_eq!(Deployment::load(file(GOOD).path()).unwrap().parameters.beacon, BeaconKind::Block);
        let drand = |period: u32| {
            let rest = r#""genesis":1692803367,"marginSecs":60,"strideRounds":20"#;
            format!(r#"{{"kind":"drand","publicKey":"0x03cf","periodSecs":{period},{rest}}}"#)
        };
        let BeaconKind::Drand(chain) = load(&drand(3)).unwrap().parameters.beacon else { panic!("no drand") };
        assert_eq!(chain.public_key, Bytes::from([3, 0xcf]));
        let expected = Schedule { genesis: 1_692_803_367, period_secs: 3, margin_secs: 60, stride_rounds: 20 };
        assert_eq!(chain.schedule, expected);
        assert!(load(&drand(0)).unwrap_err().to_string().contains("a period of 0 s"));
        for bad in [r#"{"kind":"moon"}"#, r#"{"kind":"drand"}"#, r#"{"marginBlocks":1}"#] {
            assert!(matches!(load(bad).unwrap_err(), DeploymentError::Invalid { .. }), "{bad}");
        }
    }

    #[test]
    fn audits_are_those_of_the_parameters() {
        let audited = GOOD.replace("\"params\":{}", r#""parameters":{"compute":{"keySecs":20,"auditOneIn":64}}"#);
        assert_eq!(Deployment::load(file(&audited).path()).unwrap().parameters.compute.audit_one_in, 64);
        assert_eq!(Deployment::load(file(GOOD).path()).unwrap().parameters.compute.audit_one_in, 0);
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        let missing = Deployment::load("/nonexistent/1.json").unwrap_err().to_string();
        assert!(missing.contains("/nonexistent/1.json"), "{missing}");
        let zero =
            GOOD.replace("0x1000000000000000000000000000000000000002", "0x0000000000000000000000000000000000000000");
        let error = Deployment::load(file(&zero).path()).unwrap_err();
        assert!(matches!(error, DeploymentError::ZeroAddress { field: "dispatcher", .. }), "{error}");
        assert!(matches!(Deployment::load(file("{}").path()).unwrap_err(), DeploymentError::Invalid { .. }));
    }
}
