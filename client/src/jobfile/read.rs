//! Reading a job file, and writing one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::error::{JobFileError, from_yaml};
use super::input::InputEntry;
use super::types::{JobFile, VERSION};
use super::values::Word;
use crate::image_ref::is_path;
use crate::inputs::is_url;

/// Largest job file: arguments take 16 KiB at most, the rest is names.
const MAX_BYTES: u64 = 1 << 20;

/// Only what says how to read the rest; so a file of a later version is not blamed for its keys.
#[derive(Deserialize)]
#[serde(expecting = "keys with values, such as \"version: 1\"")]
struct Versioned {
    version: Option<Spanned<Word>>,
}

impl JobFile {
    /// Reads the file at `path`, or standard input for "-". Paths in it are taken as relative to its folder (for standard
    /// input, to the current one) and come out absolute.
    ///
    /// # Errors
    /// See [`JobFileError`].
    pub fn load(path: &Path) -> Result<Self, JobFileError> {
        let file = path.display().to_string();
        let unreadable = |source| JobFileError::Unreadable { file: file.clone(), source };
        let stdin = path.as_os_str() == "-";
        let mut bytes = Vec::new();
        let read = if stdin {
            std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
        } else {
            File::open(path).and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        };
        read.map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(JobFileError::TooLarge { file, max: MAX_BYTES });
        }
        let text = String::from_utf8(bytes).map_err(|e| unreadable(std::io::Error::other(e)))?;
        let mut job = Self::parse(&text, if stdin { "standard input" } else { &file })?;
        let folder = match path.parent() {
            Some(folder) if !stdin => folder,
            _ => Path::new(""),
        };
        job.resolve(&std::path::absolute(folder.join(".")).map_err(unreadable)?);
        Ok(job)
    }

    /// Reads a job file's text. `file` is what errors call it. Paths stay as they are.
    ///
    /// # Errors
    /// See [`JobFileError`]; those of the content name line and column.
    pub fn parse(text: &str, file: &str) -> Result<Self, JobFileError> {
        let says_nothing = |line: &str| matches!(line.trim(), "" | "---" | "...") || line.trim().starts_with('#');
        if text.trim_start_matches('\u{feff}').lines().all(says_nothing) {
            return Err(JobFileError::Empty { file: file.to_owned() });
        }
        let fail = |error: serde_saphyr::Error| from_yaml(file, text, &error);
        let Versioned { version } = serde_saphyr::from_str(text).map_err(fail)?;
        let job = serde_saphyr::from_str::<Self>(text).map_err(fail);
        let Some(version) = version else {
            // A typo in "version" says more than that there is none.
            return Err(match job {
                Err(typo @ JobFileError::UnknownKey { nearest: Some("version"), .. }) => typo,
                _ => JobFileError::NoVersion { file: file.to_owned() },
            });
        };
        if version.value.0 != VERSION.to_string() {
            return Err(JobFileError::UnknownVersion {
                file: file.to_owned(),
                line: version.referenced.line().max(1),
                column: version.referenced.column().max(1),
                found: version.value.0,
                expected: VERSION,
            });
        }
        job
    }

    /// Makes relative paths absolute: they are relative to `folder`.
    pub fn resolve(&mut self, folder: &Path) {
        let full = |text: &str| absolute(folder, text);
        if let Some(image) = self.image.as_mut().filter(|image| is_path(image) || folder.join(image.as_str()).is_file())
        {
            *image = full(image);
        }
        if let Some(out) = &mut self.out {
            *out = full(out);
        }
        for input in self.inputs.iter_mut().flatten() {
            match input {
                InputEntry::Text(text) if !is_url(text) => *text = full(text),
                InputEntry::Text(_) => {}
                InputEntry::Parts(parts) => {
                    for path in [&mut parts.path, &mut parts.folder].into_iter().flatten() {
                        *path = full(path);
                    }
                }
            }
        }
    }

    /// The file's text, as [`JobFile::parse`] reads it.
    pub fn to_yaml(&self) -> String {
        // Only maps with string keys, strings, numbers and lists: nothing that YAML lacks.
        serde_saphyr::to_string(self).unwrap_or_else(|error| format!("# {error}\n"))
    }
}

fn absolute(folder: &Path, text: &str) -> String {
    let path: PathBuf = folder.join(text);
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        JobFile::parse(text, "job.yaml").unwrap_err().to_string()
    }

    #[test]
    fn every_key_is_read_in_yaml_and_in_json() {
        let yaml = r#"
# A comment.
version: 1
image: sha256:abab
platform: linux/arm64
args: [--width, 640, 1e3, "007", 0.10]
leaves: 16
firstIndex: 4
inputs:
  - scene.txt
  - { url: "https://example.com/a", sha256: "ab", name: a.bin }
verifiers: 3
samples: 4
trust: 8
trustLevel: 0
worker: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
callback: { to: 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed, gas: 90000 }
reward: { min: 1, max: 2.5 SUN }
fee: 0.1
resources: { cpus: 0.5, memory: 2G, disk: 64, pids: 32, leafTime: 10m, outputSize: 1M }
windows: { accept: 90, work: 2h, verify: 45s, dispute: 1d }
public: true
out: results
"#;
        let job = JobFile::parse(yaml, "job.yaml").unwrap();
        let args: Vec<&str> = job.args.as_deref().unwrap().iter().map(|a| a.0.as_str()).collect();
        assert_eq!(args, ["--width", "640", "1e3", "007", "0.10"]);
        assert_eq!(job.reward.as_ref().unwrap().to_string(), "1..2.5 SUN");
        assert_eq!(job.resources.memory.unwrap().0, 2048);
        assert_eq!((job.windows.accept.unwrap().0, job.windows.work.unwrap().0), (90, 7200));
        assert_eq!((job.windows.dispute.unwrap().0, job.trust_level), (86_400, Some(0)));
        assert_eq!(job.callback.unwrap().to, job.worker, "an address needs no quotes");
        let json = serde_json::to_string(&job).unwrap();
        assert_eq!(JobFile::parse(&json, "job.json").unwrap(), job);
        assert_eq!(JobFile::parse(&job.to_yaml(), "job.yaml").unwrap(), job, "{}", job.to_yaml());
        for (text, reads) in [("1.5", "1.5"), ("1..2", "1..2"), ("\"0.5..1\"", "0.5..1"), ("7", "7")] {
            let job = JobFile::parse(&format!("version: 1\nreward: {text}\n"), "job.yaml").unwrap();
            assert_eq!(job.reward.unwrap().to_string(), reads);
        }
    }

    #[test]
    fn a_typo_names_the_key_its_place_and_the_nearest_right_one() {
        let typo = error("version: 1\nimage: app.tar\nleavs: 16\n");
        assert!(typo.starts_with("job.yaml:3:1: there is no key \"leavs\" here (did you mean \"leaves\"?)"), "{typo}");
        let inner = error("version: 1\nresources:\n  cpus: 1\n  memroy: 2G\n");
        assert!(
            inner.starts_with("job.yaml:4:3: there is no key \"memroy\" here (did you mean \"memory\"?)"),
            "{inner}"
        );
        let input = error("version: 1\ninputs:\n  - a.txt\n  - ulr: https://example.com/\n");
        assert!(input.contains(":4:") && input.contains("did you mean \"url\"?"), "{input}");
        let reward = error("version: 1\nreward: { min: 1, maxx: 2 }\n");
        assert!(reward.contains("did you mean \"max\"?"), "{reward}");
        let version = error("verison: 1\nimage: a\n");
        assert!(version.contains("did you mean \"version\"?"), "{version}");
    }

    #[test]
    fn wrong_types_say_what_was_found_and_expected_and_where() {
        for (text, place, words) in [
            ("version: 1\nleaves: many # or few\n", "job.yaml:2:9: ", "found \"many\", expected a whole number"),
            ("version: 1\nleaves: -1\n", "job.yaml:2:9: ", "found \"-1\", expected a whole number"),
            ("version: 1\nleaves: [1]\n", "job.yaml:2:9: ", "found \"[1]\", expected"),
            ("version: 1\nargs: --width\n", "job.yaml:2:7: ", "found \"--width\", expected a list"),
            ("version: 1\npublic: perhaps\n", "job.yaml:2:9: ", "found \"perhaps\", expected true or false"),
            ("version: 1\nresources:\n  memory: lots\n", "job.yaml:3:11: ", "\"lots\" is not a size"),
            ("version: 1\nresources: big\n", "job.yaml:2:12: ", "found \"big\", expected keys with values"),
            ("version: 1\nfee: cheap\n", "job.yaml:2:6: ", "\"cheap\" is not an amount"),
            ("version: 1\nreward: [1, 2]\n", "job.yaml:2:", "a range such as"),
            ("version: 1\nreward: 1.2345678901234567\n", "job.yaml:2:", "write it in quotes"),
            ("version: 1\ninputs:\n  - { name: a }\n", "job.yaml:3:", "exactly 1"),
            ("version: 1\ninputs:\n  - { url: 'https://example.com/a' }\n", "job.yaml:3:", "needs sha256"),
            ("version: 1\ninputs: [7]\n", "job.yaml:2:", "a path or URL"),
            ("version: 1\nleaves: 1\nleaves: 2\n", "job.yaml:3:1: ", "twice"),
            ("version: 1\nargs: [a\n", "job.yaml:", ""),
            ("- version: 1\n", "job.yaml:1:", "version: 1"),
        ] {
            let said = error(text);
            assert!(said.starts_with(place) && said.contains(words), "{text:?} gave {said:?}");
        }
    }

    #[test]
    fn empty_files_and_other_versions_are_told_apart() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "\u{feff}"] {
            assert!(error(text).starts_with("job.yaml:1:1: the job file is empty"), "{text:?}: {}", error(text));
        }
        assert!(error("image: a\n").contains("has no version"));
        let other = error("# later\nversion: 2\nwarp: 9\n");
        assert_eq!(
            other,
            "job.yaml:2:10: the job file has version 2, expected 1; give \"version: 1\", or update the sunwork command"
        );
        assert!(error("version: latest\n").contains("version latest"));
        assert!(error("{}").contains("has no version"));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("app"), "").unwrap();
        let path = dir.path().join("job.yaml");
        std::fs::write(
            &path,
            "version: 1\nimage: app\ninputs: [in.txt, 'https://h/x#sha256=ab', {folder: ./data}]\nout: ../out\n",
        )
        .unwrap();
        let job = JobFile::load(&path).unwrap();
        assert_eq!(job.image.unwrap(), dir.path().join("app").display().to_string());
        let inputs = job.inputs.unwrap();
        assert_eq!(inputs[0], InputEntry::Text(dir.path().join("in.txt").display().to_string()));
        assert_eq!(inputs[1], InputEntry::Text("https://h/x#sha256=ab".into()));
        let InputEntry::Parts(parts) = &inputs[2] else { panic!("{inputs:?}") };
        assert_eq!(parts.folder.as_deref(), dir.path().join("data").to_str());
        let missing = JobFile::load(&dir.path().join("nowhere.yaml")).unwrap_err().to_string();
        assert!(missing.contains("nowhere.yaml") && missing.contains("No such file"), "{missing}");
        std::fs::write(&path, vec![b'#'; (MAX_BYTES + 1) as usize]).unwrap();
        assert!(matches!(JobFile::load(&path), Err(JobFileError::TooLarge { .. })));
    }
}
