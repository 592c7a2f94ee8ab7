use super::*;
use sunwork_protocol::bundle::{
    BundleWriter, body_hash, ciphertext_root, encrypt_leaf, files_tar, leaf_key, open_plaintext, plaintext,
};
use sunwork_protocol::leaf::LeafRecord;
use sunwork_protocol::merkle::Tree;

const AGREEMENT: Address = Address::repeat_byte(0xaa);
const SALT: B256 = B256::repeat_byte(0x22);

fn completed(i: u32) -> Vec<u8> {
    let mut files = [(b"out/tile.ppm".to_vec(), vec![i as u8; 700]), (b"note \xff".to_vec(), b"hi".to_vec())];
    let archive = files_tar(&mut files).unwrap();
    let mut plain = vec![0_u8; 5];
    plain.extend_from_slice(&archive);
    plain
}

fn pack(bodies: &[Vec<u8>]) -> Vec<u8> {
    let lengths: Vec<u64> = bodies.iter().map(|b| b.len() as u64).collect();
    let mut writer = BundleWriter::new(Vec::new(), &lengths).unwrap();
    for body in bodies {
        writer.append(&mut body.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

fn encrypt(plains: &[Vec<u8>]) -> Vec<Vec<u8>> {
    (0..)
        .zip(plains)
        .map(|(i, plain)| {
            encrypt_leaf(&leaf_key(SessionKey::PUBLIC.as_bytes(), &SALT, AGREEMENT, 1, i), AGREEMENT, i, plain)
        })
        .collect()
}

fn roots(bodies: &[Vec<u8>]) -> B256 {
    ciphertext_root(&bodies.iter().map(|b| body_hash(b)).collect::<Vec<_>>())
}

/// Three leaves, the middle one failed, with what the chain would say of them.
fn honest() -> (Vec<Vec<u8>>, ChainFacts) {
    let plains = vec![completed(0), plaintext(&LeafRecord::app_failed(3), &[]), completed(2)];
    let digests: Vec<B256> = plains.iter().map(|p| open_plaintext(p).unwrap().record.digest()).collect();
    let facts = ChainFacts {
        agreement: AGREEMENT,
        attempt: 1,
        leaf_count: 3,
        output_mib: 1,
        root: Tree::new(&digests).root(),
        salt: SALT,
        ciphertext_root: roots(&encrypt(&plains)),
        sampled: vec![(0, digests[0])],
    };
    (plains, facts)
}

fn unpack(dir: &Path, blob: &[u8], facts: &ChainFacts) -> Result<Results, ResultsError> {
    unpack_part(dir, blob, facts, &Selection::default())
}

fn unpack_part(dir: &Path, blob: &[u8], facts: &ChainFacts, selection: &Selection) -> Result<Results, ResultsError> {
    let folder = Folder::open(dir, AGREEMENT, &SessionKey::PUBLIC)?;
    folder.refuse_others(facts.leaf_count)?;
    fs::write(folder.blob(), blob).unwrap();
    folder.unpack(facts, &SessionKey::PUBLIC, Ending::Verified, B256::ZERO, selection)
}

fn extract(dir: &Path, blob: &[u8], facts: &ChainFacts, leaf: u32, file: &str) -> Result<ProvenFile, ResultsError> {
    let folder = Folder::open(dir, AGREEMENT, &SessionKey::PUBLIC)?;
    fs::write(folder.blob(), blob).unwrap();
    let selection = Selection { leaf: Some(leaf), file: (!file.is_empty()).then(|| file.into()) };
    folder.extract(facts, &SessionKey::PUBLIC, Ending::Verified, leaf, &selection)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn refused(blob: &[u8], facts: &ChainFacts) -> VerifyError {
    let dir = tempfile::tempdir().unwrap();
    let error = unpack(dir.path(), blob, facts).unwrap_err();
    assert_eq!(names(dir.path()), Vec::<String>::new(), "nothing unproven stays behind after: {error}");
    match error {
        ResultsError::Verify(error) => error,
        other => panic!("expected a verification error, found {other}"),
    }
}

#[test]
fn an_honest_result_is_unpacked_and_failed_leaves_are_told() {
    let (plains, facts) = honest();
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let results = unpack(dir.path(), &pack(&encrypt(&plains)), &facts).unwrap();
        assert_eq!(names(dir.path()), ["leaf-0000", "leaf-0002", "results.json"]);
        assert_eq!(fs::read(dir.path().join("leaf-0002/out/tile.ppm")).unwrap(), vec![2; 700]);
        let failed: Vec<_> = results.failed().map(|l| (l.leaf, l.outcome, l.exit_status)).collect();
        assert_eq!(failed, [(1, Outcome::AppFailed, 3)]);
        assert_eq!((results.leaves[0].files, results.leaves[0].bytes), (2, 702));
    }
}

#[test]
fn a_part_is_written_and_the_rest_stays() {
    let (plains, facts) = honest();
    let blob = pack(&encrypt(&plains));
    let dir = tempfile::tempdir().unwrap();
    let only = |leaf, file: Option<&str>| Selection { leaf: Some(leaf), file: file.map(PathBuf::from) };
    let results = unpack_part(dir.path(), &blob, &facts, &only(2, None)).unwrap();
    assert_eq!(names(dir.path()), ["leaf-0002", "results.json"]);
    assert_eq!((results.leaves.len(), results.leaves[0].path.as_ref()), (3, None));
    let one = unpack_part(dir.path(), &blob, &facts, &only(0, Some("out/tile.ppm"))).unwrap();
    assert_eq!(names(&dir.path().join("leaf-0000")), ["out"]);
    assert_eq!(fs::read(dir.path().join("leaf-0000/out/tile.ppm")).unwrap(), vec![0; 700]);
    assert!(one.leaves[2].path.is_some(), "what was unpacked before is still told");
    let error = unpack_part(dir.path(), &blob, &facts, &only(0, Some("../results.json"))).unwrap_err().to_string();
    assert!(
        error.starts_with("leaf 0 has no file \"../results.json\"; it has ") && error.contains("out/tile.ppm"),
        "{error}"
    );
    let failed = unpack_part(dir.path(), &blob, &facts, &only(1, None)).unwrap_err();
    assert!(matches!(failed, ResultsError::LeafFailed { leaf: 1, exit_status: 3, .. }), "{failed}");
}

#[test]
fn only_proven_bytes_leave_through_a_pipe_and_nothing_stays() {
    let (plains, facts) = honest();
    let blob = pack(&encrypt(&plains));
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("work");
    let found = extract(&dir, &blob, &facts, 2, "out/tile.ppm").unwrap();
    assert_eq!(fs::read(&found.path).unwrap(), vec![2; 700]);
    drop(found);
    assert!(!dir.exists(), "the folder was made for the download only");
    let several = extract(&dir, &blob, &facts, 0, "").unwrap_err();
    assert!(matches!(&several, ResultsError::WhichFile { files, .. } if files.len() == 2), "{several}");
    let wrong = ChainFacts { root: B256::repeat_byte(1), ..facts };
    assert!(matches!(extract(&dir, &blob, &wrong, 2, "out/tile.ppm"), Err(ResultsError::Verify(_))));
    assert!(names(&dir).is_empty(), "{:?}", names(&dir));
}

#[test]
fn swapped_leaves_are_found() {
    let (plains, facts) = honest();
    let mut bodies = encrypt(&plains);
    bodies.swap(0, 2);
    assert!(matches!(refused(&pack(&bodies), &facts), VerifyError::CiphertextRoot { .. }));
    // Even where the worker sealed them swapped: the key of leaf 0 does not open leaf 2.
    let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts };
    assert!(matches!(refused(&pack(&bodies), &sealed), VerifyError::Malformed { .. }));
}

#[test]
fn another_result_than_the_agreed_one_is_found() {
    let (mut plains, facts) = honest();
    plains[2] = completed(7);
    let bodies = encrypt(&plains);
    let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts.clone() };
    assert!(matches!(refused(&pack(&bodies), &sealed), VerifyError::Root { .. }));
    let (mut plains, _) = honest();
    plains[0] = completed(7);
    let bodies = encrypt(&plains);
    let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts };
    let error = refused(&pack(&bodies), &sealed);
    assert!(matches!(error, VerifyError::LeafDigest { leaf: 0, .. }), "{error}");
    assert!(error.to_string().starts_with("leaf 0 has the digest 0x"), "{error}");
}

#[test]
fn wrong_root_salt_and_attempt_are_found() {
    let (plains, facts) = honest();
    let blob = pack(&encrypt(&plains));
    let wrong_root = ChainFacts { root: B256::repeat_byte(1), ..facts.clone() };
    assert!(matches!(refused(&blob, &wrong_root), VerifyError::Root { .. }));
    let wrong_salt = ChainFacts { salt: B256::repeat_byte(1), ..facts.clone() };
    assert!(matches!(refused(&blob, &wrong_salt), VerifyError::Malformed { .. }));
    let wrong_attempt = ChainFacts { attempt: 2, ..facts.clone() };
    assert!(matches!(refused(&blob, &wrong_attempt), VerifyError::Malformed { .. }));
    let wrong_count = ChainFacts { leaf_count: 4, ..facts };
    assert!(matches!(refused(&blob, &wrong_count), VerifyError::Malformed { .. }));
}

#[test]
fn truncated_and_flipped_blobs_are_found() {
    let (plains, facts) = honest();
    let blob = pack(&encrypt(&plains));
    for end in [0, 3, 8, 40, blob.len() / 2, blob.len() - 1] {
        refused(&blob[..end], &facts);
    }
    let mut longer = blob.clone();
    longer.push(0);
    refused(&longer, &facts);
    for at in (0..blob.len()).step_by(97).chain([blob.len() - 1]) {
        let mut flipped = blob.clone();
        flipped[at] ^= 1;
        refused(&flipped, &facts);
    }
}

#[test]
fn leaves_that_reach_outside_are_found() {
    let (mut plains, facts) = honest();
    let header = sunwork_protocol::tar::file_header(b"../escape", 0);
    plains[2] = [&[0; 5], header.as_slice(), &sunwork_protocol::tar::END].concat();
    let bodies = encrypt(&plains);
    let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts };
    let error = refused(&pack(&bodies), &sealed);
    assert!(matches!(error, VerifyError::LeafMalformed { leaf: 2, .. }), "{error}");
}

#[test]
fn leaves_of_others_are_not_touched() {
    let (plains, facts) = honest();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("leaf-0001")).unwrap();
    fs::write(dir.path().join("leaf-0001/mine"), "precious").unwrap();
    let error = unpack(dir.path(), &pack(&encrypt(&plains)), &facts).unwrap_err();
    assert!(matches!(error, ResultsError::Occupied { .. }), "{error}");
    assert_eq!(fs::read_to_string(dir.path().join("leaf-0001/mine")).unwrap(), "precious");
}
