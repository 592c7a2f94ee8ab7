//! What is to be done, as flags; the same for `run` and `plan`. Each flag has a key in the job file, and wins over it.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::duration::{mebibytes, milli_cpus, seconds};
use crate::jobfile::{
    Account, Amount, CallbackEntry, Cores, InputEntry, JobFile, JobFileError, ResourcesEntry, Reward, Seconds, Size,
    VERSION, WindowsEntry, Word,
};

/// The exit codes of `plan`.
pub const PLAN_EXIT_CODES: &str = "\
Exit codes:
    0  it can be bought now, and there are workers that could take it
    2  the job, its image, platform or terms are wrong, or no oracle has the image
    3  settings, deployment file or keystore are wrong
    4  the image is named by a digest, and no oracle answers
    5  the chain cannot be reached, or is another one than the deployment's
    6  money is missing: tokens, allowance or ether for gas
    7  no worker could take it, or too few could verify it
If several hold, the first of 2, 7, 6. (Nomad's plan ends with 0 for no change, 1 for changes, 255 for an error: a purchase is
always a change, so 0 here is its 1, and every other code its 255.)";

/// What is to be done.
#[derive(Debug, Default, ClapArgs)]
pub struct JobArgs {
    /// Archive made with `docker save`, sha256:… of one that an oracle has, or NAME@sha256:…; never a tag
    #[arg(required_unless_present_any = ["file", "schema"])]
    pub image: Option<String>,
    /// Arguments of the app
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
    /// Job file, YAML or JSON; "-" is standard input. Flags win over it
    #[arg(long, short, value_name = "FILE", help_heading = "Work")]
    pub file: Option<PathBuf>,
    /// Print the JSON Schema of job files
    #[arg(long, help_heading = "Work")]
    pub schema: bool,
    /// Leaves (tasks) of the bag; each sees its number in IEXEC_BOT_TASK_INDEX [default: 1]
    #[arg(long, short = 'n', help_heading = "Work")]
    pub leaves: Option<u32>,
    /// Number of the first leaf, when this is a part of a larger bag [default: 0]
    #[arg(long, help_heading = "Work")]
    pub first_index: Option<u32>,
    /// File, folder (becomes NAME.tar) or https://…#sha256=HEX, seen by the app in IEXEC_IN; repeat for more
    #[arg(long, short, value_name = "PATH|URL", help_heading = "Work")]
    pub input: Vec<String>,
    /// Host that the app may speak to, as NAME:PORT; repeat for more, at most 8 [default: none, no network]
    #[arg(long, value_name = "NAME:PORT", help_heading = "Work")]
    pub host: Vec<String>,
    /// OCI platform; needed where the image is not an archive file
    #[arg(long, value_name = "OS/ARCH", help_heading = "Work")]
    pub platform: Option<String>,
    /// Encrypt nothing: everybody can read inputs and results
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Work")]
    pub public: Option<bool>,
    /// Verifiers drawn [default: 2]
    #[arg(long, short = 'V', help_heading = "Verification")]
    pub verifiers: Option<u8>,
    /// Leaves that each verifier computes again [default: 5, or all of a smaller bag]
    #[arg(long, short = 'k', help_heading = "Verification")]
    pub samples: Option<u8>,
    /// T: a digest wins a dissent with a share of the odds above 1 - 1/T [default: 2]
    #[arg(long, help_heading = "Verification")]
    pub trust: Option<u16>,
    /// 1: drawn verifiers check the result before it is paid. 0: you get it at once; accepting it or staying silent pays,
    /// rejecting it has it verified at your bond and never refunds by itself [default: 1]
    #[arg(long, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1), help_heading = "Verification")]
    pub trust_level: Option<u8>,
    /// Only this worker may accept
    #[arg(long, value_parser = Account::read, value_name = "ADDRESS", conflicts_with = "pool", help_heading = "Work")]
    pub worker: Option<Account>,
    /// Only whom this pool places may accept
    #[arg(long, value_parser = Account::read, value_name = "ADDRESS", help_heading = "Work")]
    pub pool: Option<Account>,
    /// Contract that each leaf's result can be delivered to once it is verified (`sunwork deliver`)
    #[arg(long, value_parser = Account::read, value_name = "ADDRESS", help_heading = "Afterwards")]
    pub callback: Option<Account>,
    /// Gas that each delivery grants it [default: 200000]
    #[arg(long, value_name = "GAS", help_heading = "Afterwards")]
    pub callback_gas: Option<u32>,
    /// Only workers that are positive in the energy ledger (meters attest that they make at least what they use) may accept and verify
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL", help_heading = "Work")]
    pub green_only: Option<bool>,
    /// The worker's reward, or MIN..MAX: rises from MIN to MAX until a worker accepts [default: 0.5..1]
    #[arg(long, value_parser = Reward::read, value_name = "AMOUNT", help_heading = "Money")]
    pub reward: Option<Reward>,
    /// Fee of each verifier [default: 0.1]
    #[arg(long, value_parser = Amount::read, value_name = "AMOUNT", help_heading = "Money")]
    pub fee: Option<Amount>,
    /// CPU limit of a leaf, cores [default: 1]
    #[arg(long, value_parser = milli_cpus, value_name = "CORES", help_heading = "Limits of a leaf")]
    pub cpus: Option<u32>,
    /// Memory limit [default: 256M]
    #[arg(long, value_parser = mebibytes, value_name = "SIZE", help_heading = "Limits of a leaf")]
    pub memory: Option<u32>,
    /// Room for what the app writes [default: 64M]
    #[arg(long, value_parser = mebibytes, value_name = "SIZE", help_heading = "Limits of a leaf")]
    pub disk: Option<u32>,
    /// Process limit [default: 64]
    #[arg(long, help_heading = "Limits of a leaf")]
    pub pids: Option<u32>,
    /// Wall-clock limit [default: 5m]
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Limits of a leaf")]
    pub leaf_time: Option<u32>,
    /// Largest output [default: 32M]
    #[arg(long, value_parser = mebibytes, value_name = "SIZE", help_heading = "Limits of a leaf")]
    pub output_size: Option<u32>,
    /// Most that it sends and receives over the network, where hosts are named [default: 64M]
    #[arg(long, value_parser = mebibytes, value_name = "SIZE", help_heading = "Limits of a leaf")]
    pub network: Option<u32>,
    /// For a worker to accept [default: 10m]
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Windows")]
    pub accept_window: Option<u32>,
    /// For the worker to compute [default: leaf time times leaves, plus 2m]
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Windows")]
    pub work_window: Option<u32>,
    /// For the verifiers to compute [default: leaf time times samples, plus 2m]
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Windows")]
    pub verify_window: Option<u32>,
    /// For anybody to dispute a leaf, before payment [default: none; 1h at trust level 0, where it is your time to reject]
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Windows")]
    pub dispute_window: Option<u32>,
    /// Folder for the results [default: sunwork- and the beginning of the agreement's id]
    #[arg(long, value_name = "DIR", help_heading = "Afterwards")]
    pub out: Option<PathBuf>,
}

impl JobArgs {
    /// The complete job: these flags over the file (if one is named) over the defaults, with absolute paths.
    ///
    /// # Errors
    /// See [`JobFileError`].
    pub fn job_file(&self) -> Result<JobFile, JobFileError> {
        Ok(self.stated()?.complete())
    }

    /// What flags and file say, without the defaults.
    ///
    /// # Errors
    /// See [`JobFileError`].
    pub fn stated(&self) -> Result<JobFile, JobFileError> {
        let mut flags = self.as_file();
        let here = std::env::current_dir().unwrap_or_else(|_| Path::new(".").to_owned());
        flags.resolve(&here);
        let below = match &self.file {
            Some(path) => JobFile::load(path)?,
            None => JobFile::default(),
        };
        Ok(flags.over(below))
    }

    fn as_file(&self) -> JobFile {
        let list = |values: &[String]| (!values.is_empty()).then(|| values.to_vec());
        JobFile {
            version: VERSION,
            image: self.image.clone(),
            platform: self.platform.clone(),
            args: list(&self.args).map(|args| args.into_iter().map(Word).collect()),
            leaves: self.leaves,
            first_index: self.first_index,
            inputs: list(&self.input).map(|inputs| inputs.into_iter().map(InputEntry::Text).collect()),
            hosts: list(&self.host),
            verifiers: self.verifiers,
            samples: self.samples,
            trust: self.trust,
            trust_level: self.trust_level,
            worker: self.worker,
            pool: self.pool,
            callback: (self.callback.is_some() || self.callback_gas.is_some())
                .then_some(CallbackEntry { to: self.callback, gas: self.callback_gas }),
            green_only: self.green_only,
            reward: self.reward.clone(),
            fee: self.fee.clone(),
            resources: ResourcesEntry {
                cpus: self.cpus.map(Cores),
                memory: self.memory.map(Size),
                disk: self.disk.map(Size),
                pids: self.pids,
                leaf_time: self.leaf_time.map(Seconds),
                output_size: self.output_size.map(Size),
                network: self.network.map(Size),
            },
            windows: WindowsEntry {
                accept: self.accept_window.map(Seconds),
                work: self.work_window.map(Seconds),
                verify: self.verify_window.map(Seconds),
                dispute: self.dispute_window.map(Seconds),
            },
            public: self.public,
            out: self.out.as_ref().map(|out| out.display().to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Unit;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        job: JobArgs,
    }

    fn parse(line: &[&str]) -> JobArgs {
        Line::try_parse_from(std::iter::once(&"run").chain(line)).unwrap().job
    }

    #[test]
    fn the_printed_job_file_buys_the_same_as_the_flags() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("scene.txt");
        std::fs::write(&input, "sun").unwrap();
        let digest = format!("sha256:{}", "ab".repeat(32));
        let url = format!("https://example.com/set.csv#sha256={}", "cd".repeat(32));
        let line = [
            &digest,
            "--platform",
            "linux/arm64",
            "-n",
            "16",
            "--first-index",
            "4",
            "-i",
            input.to_str().unwrap(),
            "-i",
            &url,
            "-V",
            "3",
            "-k",
            "2",
            "--trust",
            "8",
            "--reward",
            "1.5..2 SUN",
            "--fee",
            "0.25",
            "--cpus",
            "0.5",
            "--memory",
            "2G",
            "--disk",
            "100",
            "--pids",
            "9",
            "--leaf-time",
            "90",
            "--output-size",
            "8M",
            "--host",
            "b.example.org:443",
            "--host",
            "a.example.org:80",
            "--network",
            "16M",
            "--accept-window",
            "2h",
            "--work-window",
            "61",
            "--verify-window",
            "10m",
            "--dispute-window",
            "1h",
            "--trust-level",
            "0",
            "--pool",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "--callback",
            "0x0808080808080808080808080808080808080808",
            "--callback-gas",
            "90000",
            "--green-only",
            "--public",
            "--out",
            "here",
            "--",
            "--width",
            "640",
            "yes",
            "1e3",
            "",
        ];
        let args = parse(&line);
        let file = args.job_file().unwrap();
        let job = file.builder(&Unit::sun()).unwrap().build().unwrap();
        assert_eq!((job.leaves, job.samples, job.reward_max, job.verifier_fee), (16, 2, 2_000_000_000, 250_000_000));
        assert_eq!(job.args, ["--width", "640", "yes", "1e3", ""]);
        assert!(!job.confidential);
        assert_eq!((job.trust_level, job.windows.dispute_secs), (0, Some(3600)));
        assert!(matches!(job.taker, crate::job::Taker::Pool(_)));
        assert_eq!(job.callback.unwrap().gas, 90_000);
        assert!(job.green_only && job.terms(0).is_green_only());
        let hosts: Vec<String> = job.hosts.iter().map(ToString::to_string).collect();
        assert_eq!((hosts.join(" "), job.resources.network_mib), ("a.example.org:80 b.example.org:443".into(), 16));
        let path = dir.path().join("job.yaml");
        std::fs::write(&path, file.to_yaml()).unwrap();
        let again = parse(&["-f", path.to_str().unwrap()]).job_file().unwrap();
        assert_eq!(again, file, "{}", file.to_yaml());
        assert_eq!(again.builder(&Unit::sun()).unwrap().build().unwrap(), job);
        // A flag beside the file wins, the rest stays.
        let other =
            ["-f", path.to_str().unwrap(), "-n", "3", "--public=false", "--green-only=false", "--", "--height", "1"];
        let other = parse(&other);
        let other = other.job_file().unwrap().builder(&Unit::sun()).unwrap().build().unwrap();
        assert_eq!((other.leaves, other.samples, other.confidential, other.green_only), (3, 2, true, false));
        assert_eq!((other.args, other.inputs), (vec!["--height".to_owned(), "1".to_owned()], job.inputs));
    }

    #[test]
    fn an_image_or_a_file_is_needed() {
        assert!(Line::try_parse_from(["run"]).is_err());
        assert!(Line::try_parse_from(["run", "--schema"]).is_ok());
        assert!(parse(&["-f", "-", "app.tar"]).image.is_some());
        assert!(Line::try_parse_from(["run", "app.tar", "--reward", "cheap"]).is_err());
        assert!(Line::try_parse_from(["run", "app.tar", "--memory", "lots"]).is_err());
        assert!(Line::try_parse_from(["run", "app.tar", "--trust-level", "2"]).is_err());
        let one = "0x0808080808080808080808080808080808080808";
        assert!(Line::try_parse_from(["run", "app.tar", "--worker", one, "--pool", one]).is_err());
        assert!(Line::try_parse_from(["run", "app.tar", "--worker", "me"]).is_err());
    }
}
