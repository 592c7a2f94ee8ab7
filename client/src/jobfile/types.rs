//! The keys of a job file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::callback::CallbackEntry;
use super::input::InputEntry;
use super::values::{Account, Amount, Cores, Reward, Seconds, Size, Word};

/// The version that this build reads and writes.
pub const VERSION: u32 = 1;

/// A job for `sunwork run -f`. Every key but `version` has a flag of the same meaning, and may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Sunwork job file, version 1")]
pub struct JobFile {
    /// Version of this format: 1.
    #[schemars(extend("const" = 1))]
    pub version: u32,
    /// Archive file made with `docker save`, sha256:… of one that an oracle has, or NAME@sha256:… of a registry; never a
    /// tag. A path is relative to the folder of this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// OCI platform, such as linux/amd64; needed where the image is not an archive file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Arguments of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Word>>,
    /// Leaves (tasks) of the bag; each sees its number in IEXEC_BOT_TASK_INDEX. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub leaves: Option<u32>,
    /// Number of the first leaf, when this is a part of a larger bag. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_index: Option<u32>,
    /// Input files, folders and URLs, seen by the app in IEXEC_IN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Vec<InputEntry>>,
    /// Hosts that the app may speak to, each NAME:PORT, at most 8. Default none: the app has no network. Only workers whose owners let them
    /// through take the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub hosts: Option<Vec<String>>,
    /// Verifiers drawn. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8))]
    pub verifiers: Option<u8>,
    /// Leaves that each verifier computes again. Default 5, or all of a smaller bag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub samples: Option<u8>,
    /// T: a digest wins a dissent with a share of the odds above 1 - 1/T. Default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2))]
    pub trust: Option<u16>,
    /// 1: drawn verifiers check the result before it is paid. 0: you get it at once; accepting it or staying silent pays,
    /// rejecting it has it verified at your bond and refunds nothing by itself. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1))]
    pub trust_level: Option<u8>,
    /// Only this worker may accept. Not together with pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<Account>,
    /// Only whom this pool places may accept. Not together with worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Account>,
    /// Contract that each leaf's result can be delivered to once it is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackEntry>,
    /// True: only workers that are positive in the energy ledger may accept and verify. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green_only: Option<bool>,
    /// The worker's reward; rises from min to max until a worker accepts. Default 0.5..1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<Reward>,
    /// Fee of each verifier. Default 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Amount>,
    /// Limits of one leaf.
    #[serde(default, skip_serializing_if = "ResourcesEntry::is_empty")]
    pub resources: ResourcesEntry,
    /// Longest times of the phases.
    #[serde(default, skip_serializing_if = "WindowsEntry::is_empty")]
    pub windows: WindowsEntry,
    /// True: inputs and arguments are in the clear, and results readable by everybody. Default false: encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// Folder for the results, relative to the folder of this file. Default: sunwork- and the beginning of the
    /// agreement's id, in the current folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
}

/// Limits of one leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourcesEntry {
    /// CPU limit, cores. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<Cores>,
    /// Memory limit. Default 256M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Room for what the app writes. Default 64M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Size>,
    /// Process limit. Default 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// Wall-clock limit. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf_time: Option<Seconds>,
    /// Largest output. Default 32M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_size: Option<Size>,
    /// Most that it sends and receives over the network, where hosts are named. Default 64M.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Size>,
}

/// Longest times of the phases; each ends as soon as all have acted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowsEntry {
    /// For a worker to accept. Default 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<Seconds>,
    /// For the worker to compute. Default: leaf time times leaves, plus 2m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Seconds>,
    /// For the verifiers to compute. Default: leaf time times samples, plus 2m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<Seconds>,
    /// For anybody to dispute a leaf, before payment. Default none; at trust level 0, where it is your time to reject, 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispute: Option<Seconds>,
}

impl ResourcesEntry {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl WindowsEntry {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
