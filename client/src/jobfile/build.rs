//! From a job file to a job.

use super::error::JobFileError;
use super::input::InputEntry;
use super::types::JobFile;
use super::values::Amount;
use crate::amount::Unit;
use crate::inputs::{InputSource, JobInput};
use crate::job::{JobBuilder, Resources, Taker, Windows};

impl JobFile {
    /// The job's builder. Amounts are read in `unit`; what the file does not say is the builder's default, so call
    /// [`JobFile::complete`] before for the defaults of `sunwork run` (money among them).
    ///
    /// # Errors
    /// When there is no image, or an amount or input cannot be read.
    pub fn builder(&self, unit: &Unit) -> Result<JobBuilder, JobFileError> {
        let amount =
            |key, amount: &Amount| unit.parse(&amount.0).map_err(|source| JobFileError::Amount { key, source });
        let mut builder = JobBuilder::new(self.image.clone().ok_or(JobFileError::NoImage)?);
        if let Some(args) = &self.args {
            builder = builder.args(args.iter().map(|word| word.0.clone()));
        }
        if let Some(platform) = &self.platform {
            builder = builder.platform(platform);
        }
        if let Some(leaves) = self.leaves {
            builder = builder.leaves(leaves);
        }
        if let Some(first_index) = self.first_index {
            builder = builder.first_index(first_index);
        }
        for entry in self.inputs.iter().flatten() {
            builder = builder.add_input(input(entry)?);
        }
        if let Some(verifiers) = self.verifiers {
            builder = builder.verifiers(verifiers);
        }
        if let Some(samples) = self.samples {
            builder = builder.samples(samples);
        }
        if let Some(trust) = self.trust {
            builder = builder.trust(trust);
        }
        if let Some(reward) = &self.reward {
            let (min, max) = (amount("reward", &reward.min)?, amount("reward", &reward.max)?);
            if min > max {
                return Err(JobFileError::RewardOrder { min: unit.show(min), max: unit.show(max) });
            }
            builder = builder.reward(min, max);
        }
        if let Some(fee) = &self.fee {
            builder = builder.verifier_fee(amount("fee", fee)?);
        }
        if let Some(level) = self.trust_level {
            builder = builder.trust_level(level);
        }
        builder = builder.taker(match (self.worker, self.pool) {
            (Some(worker), Some(pool)) => {
                return Err(JobFileError::WorkerAndPool { worker: worker.0, pool: pool.0 });
            }
            (Some(worker), None) => Taker::Worker(worker.0),
            (None, Some(pool)) => Taker::Pool(pool.0),
            (None, None) => Taker::Anybody,
        });
        if let Some(callback) = self.callback {
            builder = builder.callback(callback.build()?);
        }
        if let Some(green_only) = self.green_only {
            builder = builder.green_only(green_only);
        }
        if let Some(hosts) = &self.hosts {
            builder = builder.hosts(hosts);
        }
        if let Some(public) = self.public {
            builder = builder.public(public);
        }
        Ok(builder.resources(self.limits()).windows(self.times()))
    }

    fn limits(&self) -> Resources {
        let (given, default) = (&self.resources, Resources::default());
        Resources {
            milli_cpu: given.cpus.map_or(default.milli_cpu, |v| v.0),
            memory_mib: given.memory.map_or(default.memory_mib, |v| v.0),
            disk_mib: given.disk.map_or(default.disk_mib, |v| v.0),
            max_pids: given.pids.unwrap_or(default.max_pids),
            leaf_secs: given.leaf_time.map_or(default.leaf_secs, |v| v.0),
            output_mib: given.output_size.map_or(default.output_mib, |v| v.0),
            network_mib: given.network.map_or(default.network_mib, |v| v.0),
        }
    }

    fn times(&self) -> Windows {
        let given = &self.windows;
        Windows {
            accept_secs: given.accept.map_or(Windows::default().accept_secs, |v| v.0),
            work_secs: given.work.map(|v| v.0),
            verify_secs: given.verify.map(|v| v.0),
            dispute_secs: given.dispute.map(|v| v.0),
        }
    }
}

fn input(entry: &InputEntry) -> Result<JobInput, JobFileError> {
    let parts = match entry {
        InputEntry::Text(text) => return Ok(JobInput::parse(text).map_err(crate::job::JobError::from)?),
        InputEntry::Parts(parts) => parts,
    };
    let mut input = match (&parts.path, &parts.folder, &parts.url) {
        (Some(path), ..) => JobInput::from(InputSource::Path(path.into())),
        (_, Some(folder), _) => JobInput::from(InputSource::Folder(folder.into())),
        (.., Some(url)) => JobInput::url(url, parts.sha256.as_deref()).map_err(crate::job::JobError::from)?,
        // The reader refuses such entries; a value made by hand has an empty path, which is refused below as a file.
        _ => JobInput::from(InputSource::Path(Default::default())),
    };
    if let Some(name) = &parts.name {
        input = input.named(name);
    }
    if let Some(sha256) = &parts.sha256 {
        input = input.with_sha256(sha256).map_err(crate::job::JobError::from)?;
    }
    Ok(input)
}
