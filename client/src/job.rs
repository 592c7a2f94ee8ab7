//! What a client wants done, before anything is hashed, uploaded or paid.

use std::path::PathBuf;

use alloy::primitives::Address;
use sunwork_protocol::terms::{
    ComputeTerms, FLAG_CALLBACK, FLAG_GREEN, FLAG_NAMED, FLAG_POOL, Host, HostError, MAX_CALLBACK_GAS, MAX_HOSTS,
    MAX_SPEC_BYTES, MIN_CALLBACK_GAS,
};
use thiserror::Error;

use crate::image_ref::{ImageRefError, ImageSource};
use crate::inputs::{self, InputError, InputSource, JobInput};

/// What one leaf may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
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
    /// Most that one leaf sends and receives over the network, where the job names hosts.
    pub network_mib: u32,
}

impl Default for Resources {
    /// Small enough for a Raspberry Pi.
    fn default() -> Self {
        Self {
            milli_cpu: 1000,
            memory_mib: 256,
            disk_mib: 64,
            max_pids: 64,
            leaf_secs: 300,
            output_mib: 32,
            network_mib: 64,
        }
    }
}

/// Time windows, seconds of chain time. They serve the absent only: each phase ends as soon as all have acted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// For a worker to accept; the reward rises over it.
    pub accept_secs: u32,
    /// From acceptance to the seal; `None`: the leaf limit times the leaves, plus slack.
    pub work_secs: Option<u32>,
    /// For the verifiers; `None`: the leaf limit times the samples, plus slack.
    pub verify_secs: Option<u32>,
    /// Between the last opening and payment, in which anybody may dispute a leaf; `None`: none, and at level 0, where it is the
    /// client's time to reject, [`SILENCE_SECS`].
    pub dispute_secs: Option<u32>,
}

/// How long the client of a level 0 job may be silent, where nobody says otherwise, seconds.
pub const SILENCE_SECS: u32 = 3600;

impl Default for Windows {
    fn default() -> Self {
        Self { accept_secs: 600, work_secs: None, verify_secs: None, dispute_secs: None }
    }
}

/// Who may accept a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taker {
    /// Any worker of the class.
    #[default]
    Anybody,
    /// This worker only.
    Worker(Address),
    /// Whom this pool places, by its signature.
    Pool(Address),
}

/// A contract that results can be delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback {
    /// The contract.
    pub to: Address,
    /// Gas that a delivery grants it.
    pub gas: u32,
}

/// A job that cannot be.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum JobError {
    /// The image's name.
    #[error(transparent)]
    Image(#[from] ImageRefError),
    /// An input is not there, or cannot be one.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A host that is none.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A number out of its range.
    #[error("{field} is {found}, expected {expected}")]
    OutOfRange {
        /// Which option.
        field: &'static str,
        /// What was given.
        found: String,
        /// What is possible.
        expected: String,
    },
    /// The platform must be said.
    #[error(
        "the platform of {image} cannot be read from its name; say it, such as --platform linux/amd64 (\"platform\" in a job file)"
    )]
    PlatformUnknown {
        /// The image.
        image: String,
    },
}

/// A job, checked as far as it can be without reading files or asking the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What runs.
    pub image: ImageSource,
    /// OCI platform; `None`: as the archive says.
    pub platform: Option<String>,
    /// The app's arguments.
    pub args: Vec<String>,
    /// Inputs; their names are distinct.
    pub inputs: Vec<JobInput>,
    /// n: leaves of the bag.
    pub leaves: u32,
    /// Index of the first leaf within the client's own bag.
    pub first_index: u32,
    /// V: verifiers.
    pub verifiers: u8,
    /// k: leaves that each verifier computes again.
    pub samples: u8,
    /// Reward at the start of the accept window, smallest token unit.
    pub reward_min: u128,
    /// Reward at its end.
    pub reward_max: u128,
    /// Fee of each verifier.
    pub verifier_fee: u128,
    /// T: a digest wins a dissent with a share of the odds above 1 - 1/T.
    pub trust: u16,
    /// 1: drawn verifiers check the result before it is paid. 0: the result comes at once; accepting it or staying silent pays.
    pub trust_level: u8,
    /// Who may accept it.
    pub taker: Taker,
    /// Where results can be delivered to.
    pub callback: Option<Callback>,
    /// Only workers whose attested energy is not negative may accept and verify.
    pub green_only: bool,
    /// Hosts that the app may speak to, ascending.
    pub hosts: Vec<Host>,
    /// Limits of one leaf.
    pub resources: Resources,
    /// Time windows.
    pub windows: Windows,
    /// Whether inputs, arguments, results and logs are encrypted.
    pub confidential: bool,
}

/// Makes a [`Job`]; every setter has a sensible default but the image and the money.
#[derive(Clone, Debug)]
pub struct JobBuilder {
    image: String,
    platform: Option<String>,
    args: Vec<String>,
    inputs: Vec<JobInput>,
    leaves: u32,
    first_index: u32,
    verifiers: u8,
    samples: Option<u8>,
    reward: (u128, u128),
    verifier_fee: u128,
    trust: u16,
    trust_level: u8,
    taker: Taker,
    callback: Option<Callback>,
    green_only: bool,
    hosts: Vec<String>,
    resources: Resources,
    windows: Windows,
    public: bool,
}

impl JobBuilder {
    /// A job of one leaf and two verifiers. `image`: an archive file, `sha256:…` of a blob, or `name@sha256:…`.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            platform: None,
            args: Vec::new(),
            inputs: Vec::new(),
            leaves: 1,
            first_index: 0,
            verifiers: 2,
            samples: None,
            reward: (0, 0),
            verifier_fee: 0,
            trust: 2,
            trust_level: 1,
            taker: Taker::Anybody,
            callback: None,
            green_only: false,
            hosts: Vec::new(),
            resources: Resources::default(),
            windows: Windows::default(),
            public: false,
        }
    }

    /// The app's arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an input file, which the app sees under its file name, or a folder, which it sees as the archive NAME.tar.
    #[must_use]
    pub fn input(self, path: impl Into<PathBuf>) -> Self {
        self.add_input(InputSource::Path(path.into()).into())
    }

    /// Adds an input that has a name of its own, or comes from a URL.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use sunwork_client::{JobBuilder, JobInput};
    ///
    /// let hash = "ab".repeat(32);
    /// let job = JobBuilder::new(format!("sha256:{hash}"))
    ///     .platform("linux/arm64")
    ///     .add_input(JobInput::parse("Cargo.toml")?.named("settings.toml"))
    ///     .add_input(JobInput::url("https://example.com/data.csv", Some(&hash))?)
    ///     .build()?;
    /// assert_eq!(job.inputs[0].app_name()?, "settings.toml");
    /// assert!(job.confidential);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn add_input(mut self, input: JobInput) -> Self {
        self.inputs.push(input);
        self
    }

    /// Public work: nothing is encrypted, and everybody can read inputs and results. Not so by default.
    #[must_use]
    pub fn public(mut self, public: bool) -> Self {
        self.public = public;
        self
    }

    /// OCI platform, where the image does not say it.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// Leaves (tasks) of the bag.
    #[must_use]
    pub fn leaves(mut self, leaves: u32) -> Self {
        self.leaves = leaves;
        self
    }

    /// Index of the first leaf, where this purchase is a part of a larger bag.
    #[must_use]
    pub fn first_index(mut self, first_index: u32) -> Self {
        self.first_index = first_index;
        self
    }

    /// Verifiers drawn.
    #[must_use]
    pub fn verifiers(mut self, verifiers: u8) -> Self {
        self.verifiers = verifiers;
        self
    }

    /// Leaves that each verifier computes again; by default 5, or all of a smaller bag.
    #[must_use]
    pub fn samples(mut self, samples: u8) -> Self {
        self.samples = Some(samples);
        self
    }

    /// The worker's reward, at the start and at the end of the accept window, smallest token unit.
    #[must_use]
    pub fn reward(mut self, min: u128, max: u128) -> Self {
        self.reward = (min, max);
        self
    }

    /// Fee of each verifier, smallest token unit.
    #[must_use]
    pub fn verifier_fee(mut self, fee: u128) -> Self {
        self.verifier_fee = fee;
        self
    }

    /// T: a digest wins a dissent with a share of the odds above 1 - 1/T.
    #[must_use]
    pub fn trust(mut self, trust: u16) -> Self {
        self.trust = trust;
        self
    }

    /// 1 (the default): drawn verifiers check the result before it is paid. 0: the client gets it at once; accepting it or staying
    /// silent for the dispute window pays the worker, rejecting it has it verified at the client's bond and refunds nothing by
    /// itself.
    #[must_use]
    pub fn trust_level(mut self, level: u8) -> Self {
        self.trust_level = level;
        self
    }

    /// Who may accept it; anybody unless told otherwise.
    #[must_use]
    pub fn taker(mut self, taker: Taker) -> Self {
        self.taker = taker;
        self
    }

    /// A contract that each leaf's result can be delivered to once it is verified.
    #[must_use]
    pub fn callback(mut self, callback: Callback) -> Self {
        self.callback = Some(callback);
        self
    }

    /// Only workers that are positive in the deployment's energy ledger (their meters attest that they make at least what they use) may
    /// accept and verify. Not so by default.
    #[must_use]
    pub fn green_only(mut self, green_only: bool) -> Self {
        self.green_only = green_only;
        self
    }

    /// Hosts that the app may speak to, each "name:port"; none unless told otherwise. Only workers whose owners let them through take
    /// the job, and verifiers must find the same answers there.
    #[must_use]
    pub fn hosts<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Limits of one leaf.
    #[must_use]
    pub fn resources(mut self, resources: Resources) -> Self {
        self.resources = resources;
        self
    }

    /// Time windows.
    #[must_use]
    pub fn windows(mut self, windows: Windows) -> Self {
        self.windows = windows;
        self
    }

    /// Checks what can be checked here.
    ///
    /// # Errors
    /// The first thing that is wrong, with what was found and expected.
    pub fn build(self) -> Result<Job, JobError> {
        let image = ImageSource::parse(&self.image)?;
        if self.platform.is_none() && !matches!(image, ImageSource::Archive(_)) {
            return Err(JobError::PlatformUnknown { image: self.image });
        }
        inputs::check(&self.inputs)?;
        let outside = |field, found: String, expected: String| Err(JobError::OutOfRange { field, found, expected });
        if self.leaves == 0 {
            return outside("leaves", "0".into(), "at least 1".into());
        }
        if self.verifiers == 0 {
            return outside("verifiers", "0".into(), "at least 1".into());
        }
        let most = u8::try_from(self.leaves).unwrap_or(u8::MAX);
        let samples = self.samples.unwrap_or_else(|| most.min(5));
        if samples == 0 || samples > most {
            return outside("samples", samples.to_string(), format!("1 to {most}, the leaves of the bag"));
        }
        let (reward_min, reward_max) = self.reward;
        if reward_min > reward_max {
            return outside("reward", format!("{reward_min} to {reward_max}"), "the lower bound first".into());
        }
        if self.first_index.checked_add(self.leaves).is_none() {
            return outside(
                "first index",
                self.first_index.to_string(),
                "an index whose last leaf fits 32 bits".into(),
            );
        }
        if self.trust_level > 1 {
            return outside("trust level", self.trust_level.to_string(), "0 or 1".into());
        }
        if self.trust_level == 0 && self.windows.dispute_secs == Some(0) {
            let expected = "at least one second at trust level 0: it is your time to reject the result";
            return outside("dispute window", "0 s".into(), expected.into());
        }
        if matches!(self.taker, Taker::Worker(Address::ZERO) | Taker::Pool(Address::ZERO)) {
            return outside("worker or pool", Address::ZERO.to_string(), "an address that is not zero".into());
        }
        if let Some(callback) = self.callback {
            if !(MIN_CALLBACK_GAS..=MAX_CALLBACK_GAS).contains(&callback.gas) {
                let expected = format!("{MIN_CALLBACK_GAS} to {MAX_CALLBACK_GAS}");
                return outside("gas of the callback", callback.gas.to_string(), expected);
            }
            if callback.to.is_zero() {
                return outside("callback", callback.to.to_string(), "the address of a contract".into());
            }
        }
        let mut hosts = self.hosts.iter().map(|host| host.parse()).collect::<Result<Vec<Host>, _>>()?;
        hosts.sort();
        hosts.dedup();
        if hosts.len() > MAX_HOSTS {
            return outside("hosts", hosts.len().to_string(), format!("at most {MAX_HOSTS}"));
        }
        if !hosts.is_empty() && self.resources.network_mib == 0 {
            return outside("network", "0 MiB".into(), "at least 1 MiB where hosts are named".into());
        }
        let arg_bytes: usize = self.args.iter().map(String::len).sum();
        if arg_bytes > MAX_SPEC_BYTES {
            let expected =
                format!("at most {MAX_SPEC_BYTES} bytes with everything else; put larger data into an input file");
            return outside("length of the arguments", format!("{arg_bytes} bytes"), expected);
        }
        Ok(Job {
            image,
            platform: self.platform,
            args: self.args,
            inputs: self.inputs,
            leaves: self.leaves,
            first_index: self.first_index,
            verifiers: self.verifiers,
            samples,
            reward_min,
            reward_max,
            verifier_fee: self.verifier_fee,
            trust: self.trust,
            trust_level: self.trust_level,
            taker: self.taker,
            callback: self.callback,
            green_only: self.green_only,
            hosts,
            resources: self.resources,
            windows: self.windows,
            confidential: !self.public,
        })
    }
}

impl Job {
    /// The hot terms of this job in a class.
    pub fn terms(&self, class_id: u16) -> ComputeTerms {
        // Slack: fetching inputs, starting containers, uploading. The field is 24 bits wide.
        const SLACK_SECS: u32 = 120;
        const MAX_SECS: u32 = (1 << 24) - 1;
        let window = |given: Option<u32>, leaves: u32| {
            given.unwrap_or_else(|| {
                self.resources.leaf_secs.saturating_mul(leaves).saturating_add(SLACK_SECS).min(MAX_SECS)
            })
        };
        let (mut flags, named) = match self.taker {
            Taker::Anybody => (0, Address::ZERO),
            Taker::Worker(worker) => (FLAG_NAMED, worker),
            Taker::Pool(pool) => (FLAG_POOL, pool),
        };
        if self.callback.is_some() {
            flags |= FLAG_CALLBACK;
        }
        if self.green_only {
            flags |= FLAG_GREEN;
        }
        let silence = if self.trust_level == 0 { SILENCE_SECS } else { 0 };
        ComputeTerms {
            reward_min: self.reward_min,
            reward_max: self.reward_max,
            verifier_fee: self.verifier_fee,
            class_id,
            flags,
            trust_level: self.trust_level,
            trust: self.trust,
            leaf_count: self.leaves,
            samples: self.samples,
            verifiers: self.verifiers,
            accept_secs: self.windows.accept_secs,
            work_secs: window(self.windows.work_secs, self.leaves),
            verify_secs: window(self.windows.verify_secs, u32::from(self.samples)),
            dispute_secs: self.windows.dispute_secs.unwrap_or(silence),
            named,
            callback: self.callback.map_or(Address::ZERO, |callback| callback.to),
            callback_gas: self.callback.map_or(0, |callback| callback.gas),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> JobBuilder {
        JobBuilder::new("ab".repeat(32)).platform("linux/amd64").reward(5, 10).verifier_fee(1)
    }

    #[test]
    fn terms_follow_the_job() {
        let job = builder().leaves(16).build().unwrap();
        assert_eq!(job.samples, 5);
        let terms = job.terms(1);
        assert_eq!((terms.reward_min, terms.reward_max, terms.verifier_fee), (5, 10, 1));
        assert_eq!((terms.class_id, terms.leaf_count, terms.samples, terms.verifiers), (1, 16, 5, 2));
        assert_eq!((terms.work_secs, terms.verify_secs), (300 * 16 + 120, 300 * 5 + 120));
        assert_eq!(builder().build().unwrap().samples, 1);
        let huge = builder().leaves(u32::MAX).build().unwrap().terms(0);
        assert_eq!(huge.work_secs, (1 << 24) - 1);
        assert!(huge.pack().is_ok());
    }

    #[test]
    fn who_may_take_it_and_where_it_goes_stand_in_the_terms() {
        let (worker, contract) = (Address::repeat_byte(7), Address::repeat_byte(8));
        let plain = builder().build().unwrap().terms(0);
        assert_eq!((plain.flags, plain.dispute_secs, plain.trust_level), (0, 0, 1));
        let level_0 = builder().trust_level(0).build().unwrap().terms(0);
        assert_eq!((level_0.trust_level, level_0.dispute_secs), (0, SILENCE_SECS));
        let callback = Callback { to: contract, gas: 200_000 };
        let both = builder().taker(Taker::Worker(worker)).callback(callback).build().unwrap().terms(0);
        assert_eq!((both.named_worker(), both.pool(), both.callback, both.callback_gas), {
            (Some(worker), None, contract, 200_000)
        });
        let pool = builder().taker(Taker::Pool(worker)).build().unwrap().terms(0);
        assert_eq!((pool.named_worker(), pool.pool()), (None, Some(worker)));
        for terms in [plain, level_0, both, pool] {
            assert_eq!(ComputeTerms::unpack(&terms.pack().unwrap()), Ok(terms));
        }
        let say = |b: JobBuilder| b.build().unwrap_err().to_string();
        assert_eq!(say(builder().trust_level(2)), "trust level is 2, expected 0 or 1");
        let silent = Windows { dispute_secs: Some(0), ..Windows::default() };
        assert!(say(builder().trust_level(0).windows(silent)).contains("your time to reject the result"));
        assert!(say(builder().callback(Callback { gas: 9_999, ..callback })).contains("expected 10000 to 10000000"));
        assert!(say(builder().taker(Taker::Pool(Address::ZERO))).contains("an address that is not zero"));
    }

    #[test]
    fn what_cannot_be_is_said_in_a_sentence() {
        let say = |b: JobBuilder| b.build().unwrap_err().to_string();
        assert_eq!(say(builder().leaves(0)), "leaves is 0, expected at least 1");
        assert_eq!(say(builder().leaves(3).samples(4)), "samples is 4, expected 1 to 3, the leaves of the bag");
        assert_eq!(say(builder().reward(10, 5)), "reward is 10 to 5, expected the lower bound first");
        let missing = say(builder().input("/nowhere/data.csv"));
        assert!(missing.starts_with("input \"/nowhere/data.csv\" cannot be used: No such file"), "{missing}");
        assert!(say(builder().input("/dev/null")).contains("not a regular file"));
        assert!(say(builder().input("/tmp").input("/tmp/.")).contains("both have the name \"tmp.tar\""));
        let platform = say(JobBuilder::new("ab".repeat(32)));
        assert!(platform.contains("--platform linux/amd64"), "{platform}");
    }
}
