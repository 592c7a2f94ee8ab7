//! Keys in a real TPM 2.0, in software: swtpm.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use p256::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use sunwork_tpm::{Blob, TpmError};
use support::Swtpm;

const OWNER: u32 = 0x4000_0001;
const LOCKOUT: u32 = 0x4000_000a;
const PLATFORM: u32 = 0x4000_000c;
const HIERARCHY_CONTROL: u32 = 0x121;
const HIERARCHY_CHANGE_AUTH: u32 = 0x129;
const DICTIONARY_ATTACK_PARAMETERS: u32 = 0x13a;

/// Any 32 bytes are a digest to the TPM.
fn digest(number: u8) -> [u8; 32] {
    std::array::from_fn(|at| number ^ (at as u8).wrapping_mul(37))
}

/// By another implementation than the TPM's; the ledger's takes low s only.
fn fits(blob: &Blob, digest: [u8; 32], signature: [u8; 64]) -> bool {
    let key = VerifyingKey::from_sec1_bytes(&[&[4][..], &blob.x, &blob.y].concat()).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    signature.normalize_s() == signature && key.verify_prehash(&digest, &signature).is_ok()
}

#[test]
fn signatures_fit_the_key_and_are_low_whatever_the_tpm_made() {
    let swtpm = Swtpm::start();
    let tpm = swtpm.tpm();
    let blob = tpm.create().unwrap();
    assert!(!tpm.describe().unwrap().is_empty());
    // A TPM makes high and low ones alike: that all of forty were low by themselves happens once in 10^12.
    for number in 0..40 {
        let signature = tpm.sign(&blob, digest(number)).unwrap();
        assert!(fits(&blob, digest(number), signature) && !fits(&blob, digest(number + 1), signature));
    }
    let other = tpm.create().unwrap();
    assert_ne!(other.x, blob.x);
    assert!(!fits(&blob, digest(0), tpm.sign(&other, digest(0)).unwrap()));
}

#[test]
fn a_key_lives_through_a_power_cut_and_is_of_no_use_to_another_tpm() {
    let mut mine = Swtpm::start();
    let blob = Blob::from_json(&mine.tpm().create().unwrap().to_json()).unwrap();
    mine.kill();
    let gone = mine.tpm().sign(&blob, digest(1)).unwrap_err();
    assert!(matches!(gone, TpmError::NoAnswer { .. }), "{gone}");
    mine.start_again();
    let signature = mine.tpm().sign(&blob, digest(1)).unwrap();
    assert!(fits(&blob, digest(1), signature));

    let theirs = Swtpm::start();
    let foreign = theirs.tpm().sign(&blob, digest(1)).unwrap_err();
    assert_eq!(foreign, TpmError::OtherTpm);
    assert!(foreign.to_string().contains("made by another TPM"), "{foreign}");
    assert_eq!(theirs.tpm().check(&blob), Err(TpmError::OtherTpm));
    // Nor is one that was damaged, or whose public half is another's.
    let mut damaged = blob.clone();
    damaged.private[20] ^= 1;
    assert_eq!(mine.tpm().check(&damaged), Err(TpmError::OtherTpm));
    let other = mine.tpm().create().unwrap();
    let swapped = Blob { x: other.x, y: other.y, private: blob.private.clone() };
    assert_eq!(mine.tpm().check(&swapped), Err(TpmError::OtherTpm));
    let cut = Blob { private: blob.private[..9].to_vec(), ..blob.clone() };
    assert_eq!(mine.tpm().check(&cut), Err(TpmError::OtherTpm));
    mine.tpm().check(&blob).unwrap();
}

#[test]
fn a_tpm_that_dies_while_it_signs_is_an_error_in_words_and_signs_later() {
    let mut swtpm = Swtpm::start();
    let (tpm, blob) = (swtpm.tpm(), swtpm.tpm().create().unwrap());
    // Some die while somebody connects, some with a key half loaded, some in the signature.
    for round in 0..8 {
        let signed = Arc::new(AtomicU64::new(0));
        let signing = std::thread::spawn({
            let (tpm, blob, signed) = (tpm.clone(), blob.clone(), signed.clone());
            move || {
                loop {
                    match tpm.sign(&blob, digest(3)) {
                        Ok(_) => signed.fetch_add(1, Ordering::Relaxed),
                        Err(error) => break error,
                    };
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(20);
        while signed.load(Ordering::Relaxed) == 0 {
            assert!(Instant::now() < until && !signing.is_finished(), "nothing is signed");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(3 * round));
        swtpm.kill();
        let error = signing.join().unwrap();
        assert!(matches!(error, TpmError::NoAnswer { .. }) && error.to_string().contains("does not answer"), "{error}");
        println!("killed after {} signatures: {error}", signed.load(Ordering::Relaxed));
        swtpm.start_again();
        assert!(fits(&blob, digest(3), tpm.sign(&blob, digest(3)).unwrap()));
    }
}

#[test]
fn a_tpm_that_hangs_is_given_up_and_used_again_when_it_answers() {
    let swtpm = Swtpm::start();
    let blob = swtpm.tpm().create().unwrap();
    let tpm = swtpm.tpm().patience(Duration::from_millis(400));
    swtpm.hang(true);
    let started = Instant::now();
    let hung = tpm.sign(&blob, digest(4)).unwrap_err();
    assert!(matches!(hung, TpmError::TimedOut { .. }) && started.elapsed() < Duration::from_secs(5), "{hung}");
    swtpm.hang(false);
    let until = Instant::now() + Duration::from_secs(20);
    let signature = loop {
        match tpm.sign(&blob, digest(4)) {
            Ok(signature) => break signature,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(fits(&blob, digest(4), signature));
}

#[test]
fn a_locked_tpm_signs_and_one_with_an_owner_of_its_own_says_what_it_needs() {
    let swtpm = Swtpm::start();
    let blob = swtpm.tpm().create().unwrap();
    // No tries at all: TPM2_DictionaryAttackParameters with newMaxTries 0 locks at once. The key has no password to guess.
    swtpm.command(DICTIONARY_ATTACK_PARAMETERS, LOCKOUT, &[0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 3, 0xe8]);
    swtpm.tpm().sign(&blob, digest(5)).unwrap();
    swtpm.command(HIERARCHY_CHANGE_AUTH, OWNER, &[&[0, 4][..], b"sun!"].concat());
    let owned = swtpm.tpm().sign(&blob, digest(5)).unwrap_err();
    assert_eq!(owned, TpmError::OwnerPassword, "{owned}");

    let off = Swtpm::start();
    off.command(HIERARCHY_CONTROL, PLATFORM, &[&OWNER.to_be_bytes()[..], &[0]].concat());
    let error = off.tpm().create().unwrap_err();
    assert_eq!(error, TpmError::OwnerOff, "{error}");
}
