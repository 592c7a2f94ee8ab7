//! What is bought of a bag, in its results folder: the same command goes on where an earlier one was ended.

use std::fs;
use std::path::Path;

use alloy::primitives::B256;
use rand::RngCore;
use serde::{Deserialize, Serialize};

use crate::bag::Part;
use crate::cli::exit::{Exit, Failure};

const FILE: &str = "bag.json";

/// The file `bag.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    /// Which job, how cut, at which deployment.
    pub name: B256,
    /// Names this purchase of it.
    pub key: B256,
    /// Agreements that it takes.
    pub split: u32,
    /// What is bought.
    pub bought: Vec<Part>,
}

impl Manifest {
    /// Of the bag that `dir` holds, or of a new one. Nothing is written.
    ///
    /// # Errors
    /// When the folder holds another bag, or its file cannot be read.
    pub fn load_or_new(dir: &Path, name: B256, split: u32) -> Result<Self, Failure> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = B256::ZERO;
                rand::rng().fill_bytes(key.as_mut_slice());
                return Ok(Self { name, key, split, bought: Vec::new() });
            }
            Err(error) => return Err(Failure::say(Exit::Failed, format!("cannot read {}: {error}", path.display()))),
        };
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::say(Exit::Failed, format!("{} is no bag of this command: {error}", path.display()))
        })?;
        if manifest.name != name {
            let sentence = format!(
                "{} is of another bag (another job, another --split or another deployment); give another folder with --out",
                path.display()
            );
            return Err(Failure::say(Exit::Usage, sentence));
        }
        Ok(manifest)
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(FILE);
        let draft = dir.join(format!(".{FILE}.draft"));
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(dir)?;
            fs::write(&draft, serde_json::to_vec_pretty(self)?)?;
            fs::rename(&draft, &path)
        };
        write().map_err(|error| Failure::say(Exit::Failed, format!("cannot write {}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::Address;

    #[test]
    fn a_bag_is_found_again_and_another_one_refused() {
        let dir = tempfile::tempdir().unwrap();
        let bag = dir.path().join("bag");
        let (name, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let mut manifest = Manifest::load_or_new(&bag, name, 3).unwrap();
        assert!(!bag.exists(), "looking writes nothing");
        assert!(!manifest.key.is_zero());
        manifest.bought.push(Part { agreement: Address::repeat_byte(4), block: 5, first_index: 6, leaves: 7 });
        manifest.save(&bag).unwrap();
        assert_eq!(Manifest::load_or_new(&bag, name, 3).unwrap(), manifest);
        let refused = Manifest::load_or_new(&bag, other, 3).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.report.to_string().contains("of another bag"));
        fs::write(bag.join(FILE), "{").unwrap();
        assert!(
            Manifest::load_or_new(&bag, name, 3).unwrap_err().report.to_string().contains("no bag of this command")
        );
    }
}
