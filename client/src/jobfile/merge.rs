//! Flags over file over defaults.

use super::callback::CallbackEntry;
use super::types::{JobFile, ResourcesEntry, VERSION, WindowsEntry};
#[cfg(test)]
use super::values::Account;
use super::values::{Amount, Cores, Reward, Seconds, Size};
use crate::job::{Resources, Windows};

impl JobFile {
    /// What `self` says, and what `below` says where `self` is silent. Lists are replaced, not joined.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let (r, s) = (self.resources, below.resources);
        let (w, x) = (self.windows, below.windows);
        // They exclude each other, so one that is given takes the place of either.
        let (worker, pool) = match (self.worker, self.pool) {
            (None, None) => (below.worker, below.pool),
            given => given,
        };
        Self {
            version: VERSION,
            image: self.image.or(below.image),
            platform: self.platform.or(below.platform),
            args: self.args.or(below.args),
            leaves: self.leaves.or(below.leaves),
            first_index: self.first_index.or(below.first_index),
            inputs: self.inputs.or(below.inputs),
            hosts: self.hosts.or(below.hosts),
            verifiers: self.verifiers.or(below.verifiers),
            samples: self.samples.or(below.samples),
            trust: self.trust.or(below.trust),
            trust_level: self.trust_level.or(below.trust_level),
            worker,
            pool,
            callback: CallbackEntry::over(self.callback, below.callback),
            green_only: self.green_only.or(below.green_only),
            reward: self.reward.or(below.reward),
            fee: self.fee.or(below.fee),
            resources: ResourcesEntry {
                cpus: r.cpus.or(s.cpus),
                memory: r.memory.or(s.memory),
                disk: r.disk.or(s.disk),
                pids: r.pids.or(s.pids),
                leaf_time: r.leaf_time.or(s.leaf_time),
                output_size: r.output_size.or(s.output_size),
                network: r.network.or(s.network),
            },
            windows: WindowsEntry {
                accept: w.accept.or(x.accept),
                work: w.work.or(x.work),
                verify: w.verify.or(x.verify),
                dispute: w.dispute.or(x.dispute),
            },
            public: self.public.or(below.public),
            out: self.out.or(below.out),
        }
    }

    /// With the defaults written out; what depends on other keys (samples, windows of work) stays open.
    #[must_use]
    pub fn complete(self) -> Self {
        self.over(Self::defaults())
    }

    fn defaults() -> Self {
        let (resources, windows) = (Resources::default(), Windows::default());
        Self {
            version: VERSION,
            leaves: Some(1),
            first_index: Some(0),
            verifiers: Some(2),
            trust: Some(2),
            trust_level: Some(1),
            reward: Some(Reward { min: Amount("0.5".into()), max: Amount("1".into()) }),
            fee: Some(Amount("0.1".into())),
            resources: ResourcesEntry {
                cpus: Some(Cores(resources.milli_cpu)),
                memory: Some(Size(resources.memory_mib)),
                disk: Some(Size(resources.disk_mib)),
                pids: Some(resources.max_pids),
                leaf_time: Some(Seconds(resources.leaf_secs)),
                output_size: Some(Size(resources.output_mib)),
                // Of no use without hosts, and the builder's default with them.
                network: None,
            },
            windows: WindowsEntry { accept: Some(Seconds(windows.accept_secs)), ..WindowsEntry::default() },
            green_only: Some(false),
            public: Some(false),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_wins_and_the_rest_is_the_default() {
        let file =
            JobFile::parse("version: 1\nleaves: 4\nsamples: 2\nresources: {memory: 1G, pids: 8}\n", "f").unwrap();
        let flags = JobFile {
            leaves: Some(9),
            resources: ResourcesEntry { memory: Some(Size(64)), ..ResourcesEntry::default() },
            ..JobFile::default()
        };
        let job = flags.over(file).complete();
        assert_eq!((job.leaves, job.samples, job.verifiers), (Some(9), Some(2), Some(2)));
        assert_eq!((job.resources.memory, job.resources.pids), (Some(Size(64)), Some(8)));
        assert_eq!(job.resources.cpus, Some(Cores(1000)));
        assert_eq!((job.version, job.public, job.trust_level), (VERSION, Some(false), Some(1)));
    }

    #[test]
    fn who_may_take_it_is_replaced_as_a_whole() {
        let [a, b] = [1, 2].map(|byte| Account(alloy::primitives::Address::repeat_byte(byte)));
        let file = JobFile { worker: Some(a), ..JobFile::default() };
        let flags = JobFile { pool: Some(b), ..JobFile::default() };
        let job = flags.over(file.clone());
        assert_eq!((job.worker, job.pool), (None, Some(b)));
        assert_eq!(JobFile::default().over(file).worker, Some(a));
    }
}
