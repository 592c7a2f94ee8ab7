use alloy::primitives::{Address, B256};
use sunwork_protocol::terms::Input;

use super::*;
use crate::folder::Folder;

const KEY: SessionKey = SessionKey::from_bytes([7; 32]);

/// A folder with the encrypted job and inputs, as they lie there when they were fetched.
struct Fetched {
    _root: tempfile::TempDir,
    folder: AgreementFolder,
    spec: ComputeSpec,
}

impl Fetched {
    fn new(job: &PrivateJob, inputs: &[&[u8]]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::create(root.path()).unwrap().agreement(Address::repeat_byte(1));
        folder.create().unwrap();
        let mut all = vec![job.encode().unwrap()];
        all.extend(inputs.iter().map(|input| input.to_vec()));
        let mut named = Vec::new();
        for (index, plain) in all.iter().enumerate() {
            let mut sealed = Vec::new();
            KEY.seal_input(index as u32, plain.as_slice(), &mut sealed).unwrap();
            std::fs::write(folder.sealed(index), &sealed).unwrap();
            let name = if index == 0 { "job".to_owned() } else { index.to_string() };
            named.push(Input { name, sha256: B256::ZERO, size_bytes: sealed.len() as u64 });
        }
        let spec = ComputeSpec { inputs: named, key_commitment: KEY.commitment(), ..sunwork_protocol::testing::spec() };
        Self { _root: root, folder, spec }
    }

    fn open(&self) -> Result<ComputeSpec, UnlockError> {
        open_inputs(&self.folder, &KEY, &self.spec)
    }

    fn invalid(&self) -> String {
        let error = self.open().unwrap_err();
        assert!(matches!(error, UnlockError::Invalid { .. }), "{error}");
        error.to_string()
    }

    fn seen_by_the_app(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.inputs()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn job(names: &[&str]) -> PrivateJob {
    PrivateJob::new(vec!["--secret".into()], names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn the_app_sees_its_inputs_under_their_names_and_nothing_else() {
    let large = vec![9; 200_000];
    let fetched = Fetched::new(&job(&["patients.csv", "empty"]), &[&large, b""]);
    // Again and again, as after a restart.
    for _ in 0..2 {
        let clear = fetched.open().unwrap();
        assert_eq!(clear.args, ["--secret"]);
        assert_eq!(fetched.seen_by_the_app(), ["empty", "patients.csv"]);
        assert_eq!(std::fs::read(fetched.folder.inputs().join("patients.csv")).unwrap(), large);
    }
}

#[test]
fn flipped_cut_and_swapped_inputs_are_the_clients_fault() {
    let change = |index: usize, change: &dyn Fn(&mut Vec<u8>)| {
        let fetched = Fetched::new(&job(&["a", "b"]), &[&vec![1; 70_000], &vec![2; 70_000]]);
        let path = fetched.folder.sealed(index);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
        fetched
    };
    assert!(change(0, &|bytes| bytes[3] ^= 1).invalid().starts_with("input 0 of the specification: segment 0"));
    let flipped = change(1, &|bytes| bytes[70_000] ^= 1);
    assert!(flipped.invalid().starts_with("input 1 of the specification: segment 1"));
    assert_eq!(flipped.seen_by_the_app(), Vec::<String>::new(), "half an input is none");
    assert!(change(2, &|bytes| bytes.truncate(65_552)).invalid().starts_with("input 2"));
    let swapped = change(1, &|_| {});
    std::fs::copy(swapped.folder.sealed(2), swapped.folder.sealed(1)).unwrap();
    assert!(swapped.invalid().starts_with("input 1"));
}

#[test]
fn a_private_job_that_does_not_fit_is_the_clients_fault_and_a_lost_file_is_ours() {
    let sentence = Fetched::new(&job(&["a"]), &[b"", b""]).invalid();
    assert!(sentence.contains("names 1 inputs, the specification has 2"), "{sentence}");
    let sentence = Fetched::new(&job(&["../../keys"]), &[b""]).invalid();
    assert!(sentence.contains("no specification may have") && !sentence.contains("keys"), "{sentence}");
    let lost = Fetched::new(&job(&["a"]), &[b"sun"]);
    std::fs::remove_file(lost.folder.sealed(1)).unwrap();
    assert!(matches!(lost.open(), Err(UnlockError::Io { index: 1, .. })));
}
