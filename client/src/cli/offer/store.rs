//! Offers signed here, one file each: without it nobody could accept them, and nobody else knows of them.

use std::fs;
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use sunwork_protocol::order::SignedOrder;

use crate::cli::exit::{Exit, Failure};
use crate::config::TxLogPlace;

/// The folder of signed offers, beside the log of transactions.
pub fn folder() -> Result<PathBuf, Failure> {
    match TxLogPlace::usual() {
        TxLogPlace::Folder(dir) => Ok(dir.parent().unwrap_or(&dir).join("offers")),
        TxLogPlace::Memory => Err(Failure::say(
            Exit::Config,
            "there is no home folder to keep signed offers in; set XDG_DATA_HOME or HOME, expected an absolute path",
        )),
    }
}

/// Writes a signed offer to a file of its own in `dir`, whole or not at all.
///
/// # Errors
/// When the folder cannot be written.
pub fn keep(dir: &Path, hash: B256, signed: &SignedOrder) -> Result<PathBuf, Failure> {
    let path = dir.join(format!("{hash}.json"));
    fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
    write(&path, signed)?;
    Ok(path)
}

/// Writes a signed offer to `path`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, signed: &SignedOrder) -> Result<(), Failure> {
    let mut json = serde_json::to_vec_pretty(signed).map_err(|error| Failure::new(Exit::Failed, error))?;
    json.push(b'\n');
    let draft = path.with_extension("draft");
    fs::write(&draft, json).and_then(|()| fs::rename(&draft, path)).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::say(Exit::Config, format!("cannot keep the signed offer in {}: {error}", path.display()))
}

/// All offers in `dir`, in the order of their names; what is none is left out.
pub fn all(dir: &Path) -> Vec<SignedOrder> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Address, Bytes, keccak256};
    use sunwork_protocol::order::Order;

    #[test]
    fn offers_are_kept_and_strange_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("offers");
        assert!(all(&folder).is_empty());
        let order = Order {
            client: Address::repeat_byte(1),
            kind_id: 0,
            terms: Bytes::new(),
            spec_hash: keccak256(""),
            start_at: 1,
            expiry: 2,
            volume: 3,
            salt: B256::ZERO,
            worker: Address::ZERO,
            nonce: 0,
        };
        let signed = SignedOrder { order, spec: Bytes::new(), signature: Bytes::from_static(&[1; 65]) };
        let path = keep(&folder, B256::repeat_byte(7), &signed).unwrap();
        assert!(path.ends_with(format!("{}.json", B256::repeat_byte(7))));
        fs::write(folder.join("other.json"), "{}").unwrap();
        fs::write(folder.join("notes.txt"), "x").unwrap();
        assert_eq!(all(&folder), std::slice::from_ref(&signed));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3, "no draft stays");
        let error = write(Path::new("/nowhere/offer.json"), &signed).unwrap_err();
        assert!(error.report.to_string().contains("/nowhere/offer.json"));
    }
}
