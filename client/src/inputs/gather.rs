//! From named inputs to files with names.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::error::InputError;
use super::folder::pack;
use super::source::{InputFile, InputSource, JobInput};
use super::url::fetch;

/// A temporary folder for what was packed or fetched; it goes when the last plan that uses it does.
#[derive(Clone, Debug, Default)]
pub struct Scratch(Option<Arc<TempDir>>);

impl PartialEq for Scratch {
    fn eq(&self, other: &Self) -> bool {
        self.path() == other.path()
    }
}

impl Eq for Scratch {}

impl Scratch {
    /// The folder, if one was needed.
    pub fn path(&self) -> Option<&Path> {
        self.0.as_deref().map(TempDir::path)
    }

    /// Takes over a temporary folder.
    pub fn holding(dir: TempDir) -> Self {
        Self(Some(Arc::new(dir)))
    }

    fn dir(&mut self) -> Result<PathBuf, InputError> {
        if self.0.is_none() {
            let made = tempfile::Builder::new().prefix("sunwork-").tempdir();
            let made = made.map_err(|e| InputError::Scratch { dir: std::env::temp_dir(), problem: e.to_string() })?;
            self.0 = Some(Arc::new(made));
        }
        Ok(self.path().unwrap_or(Path::new("")).to_owned())
    }
}

/// Inputs that are all files of this machine now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gathered {
    /// In the order of the job.
    pub files: Vec<InputFile>,
    /// Holds those that are no files of the client's own. Keep it as long as the files are needed.
    pub scratch: Scratch,
}

/// Checks what can be checked without reading: every local input is there and readable, every name is plain and there once.
pub(crate) fn check(inputs: &[JobInput]) -> Result<(), InputError> {
    let mut names: HashMap<String, String> = HashMap::new();
    for input in inputs {
        if let InputSource::Path(path) | InputSource::Folder(path) = &input.source {
            let fail = |problem: String| InputError::Unusable { path: path.clone(), problem };
            let meta = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?;
            let folder = matches!(input.source, InputSource::Folder(_));
            if folder && !meta.is_dir() {
                return Err(fail("it is not a folder".into()));
            }
            if !meta.is_dir() && !meta.is_file() {
                return Err(fail("it is not a regular file".into()));
            }
        }
        let name = input.app_name()?;
        if let Some(first) = names.insert(name.clone(), input.source.to_string()) {
            return Err(InputError::NameTwice { name, first, second: input.source.to_string() });
        }
    }
    Ok(())
}

/// Packs folders and fetches URLs, so that all inputs are files. Nothing is fetched before all local inputs are there.
///
/// # Errors
/// See [`InputError`]; each names the input.
pub async fn gather(inputs: &[JobInput]) -> Result<Gathered, InputError> {
    let inputs = inputs.to_vec();
    let (inputs, mut gathered) = tokio::task::spawn_blocking(move || {
        let gathered = local(&inputs, true)?;
        Ok::<_, InputError>((inputs, gathered))
    })
    .await
    .expect("packing folders does not panic")?;
    for (index, input) in inputs.iter().enumerate() {
        let InputSource::Url(url) = &input.source else { continue };
        let path = gathered.scratch.dir()?.join(index.to_string());
        let sha256 = input.sha256.ok_or_else(|| InputError::NoHash { url: url.to_string() })?;
        fetch(url, sha256, &path).await?;
        gathered.files[index].path = path;
    }
    Ok(gathered)
}

/// The same for inputs of this machine only. Blocking.
///
/// # Errors
/// See [`InputError`]; a URL is one.
pub fn gather_local(inputs: &[JobInput]) -> Result<Gathered, InputError> {
    local(inputs, false)
}

/// Files and packed folders; the places of URLs stay empty.
fn local(inputs: &[JobInput], urls_follow: bool) -> Result<Gathered, InputError> {
    let mut gathered = Gathered::default();
    for (index, input) in inputs.iter().enumerate() {
        let path = match &input.source {
            InputSource::Url(url) if !urls_follow => {
                let (url, problem) = (url.to_string(), "it must be fetched first (Client::plan does)".to_owned());
                return Err(InputError::Fetch { url, problem, temporary: false });
            }
            InputSource::Url(_) => PathBuf::new(),
            InputSource::Path(path) | InputSource::Folder(path) => {
                let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
                    std::io::ErrorKind::NotFound => InputError::Vanished { path: path.clone() },
                    _ => InputError::Unusable { path: path.clone(), problem: e.to_string() },
                })?;
                if meta.is_dir() {
                    let dir = gathered.scratch.dir()?;
                    // Names in the scratch folder are numbers: those of the inputs are strangers' there.
                    let out = dir.join(index.to_string());
                    let file = File::create(&out).map_err(|e| InputError::Scratch { dir, problem: e.to_string() })?;
                    pack(path, file)?;
                    out
                } else {
                    path.clone()
                }
            }
        };
        gathered.files.push(InputFile { path, name: input.app_name()? });
    }
    Ok(gathered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: impl Into<PathBuf>) -> JobInput {
        InputSource::Path(path.into()).into()
    }

    #[test]
    fn names_that_clash_are_told_with_both_places() {
        let dir = tempfile::tempdir().unwrap();
        for sub in ["a", "b"] {
            std::fs::create_dir(dir.path().join(sub)).unwrap();
            std::fs::write(dir.path().join(sub).join("data.csv"), sub).unwrap();
        }
        let (a, b) = (dir.path().join("a/data.csv"), dir.path().join("b/data.csv"));
        let clash = check(&[path(&a), path(&b)]).unwrap_err().to_string();
        assert!(clash.contains("a/data.csv") && clash.contains("b/data.csv") && clash.contains("\"name\""), "{clash}");
        check(&[path(&a), path(&b).named("other.csv")]).unwrap();
        let missing = check(&[path("/nowhere/x")]).unwrap_err().to_string();
        assert!(missing.starts_with("input \"/nowhere/x\" cannot be used: No such file"), "{missing}");
        let file = check(&[InputSource::Folder(a).into()]).unwrap_err().to_string();
        assert!(file.contains("not a folder"), "{file}");
    }

    #[tokio::test]
    async fn folders_become_files_and_the_vanished_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/x"), "x").unwrap();
        std::fs::write(dir.path().join("file"), "y").unwrap();
        let inputs = [path(dir.path().join("data")), path(dir.path().join("file"))];
        let gathered = gather(&inputs).await.unwrap();
        assert_eq!(gathered.files[0].name, "data.tar");
        assert_eq!(gathered.files[1].path, dir.path().join("file"));
        let (scratch, archive) = (gathered.scratch.path().unwrap().to_owned(), gathered.files[0].path.clone());
        assert!(archive.starts_with(&scratch) && archive.is_file());
        drop(gathered);
        assert!(!scratch.exists(), "the scratch folder goes with the last plan");
        std::fs::remove_file(dir.path().join("file")).unwrap();
        let gone = gather(&inputs).await.unwrap_err().to_string();
        assert!(gone.contains("file") && gone.contains("has vanished"), "{gone}");
    }
}
