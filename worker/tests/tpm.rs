//! The meter's key in a real TPM 2.0, in software (swtpm), through the worker's own keys: made, found, lost, brought back, and signing
//! days that the ledger's rules take.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code, reason = "shared with the tests of sunwork-tpm")]
#[path = "../../tpm/tests/support/mod.rs"]
mod support;

use std::{
    path::Path,
    process::{Command, Output},
};

use alloy::primitives::{Address, B256, keccak256};
use sunwork_protocol::energy::{Account, Body, Counts, Link, Record, SignedRecord, Window};
use sunwork_worker::{
    config::Layer,
    energy::{
        attest::keys::{Keyring, METER, NEXT, OLD},
        settings::KeyPlace,
    },
    folder::Folder,
};
use support::Swtpm;

fn ring(dir: &Path, swtpm: &Swtpm) -> Keyring {
    let folder = Folder::create(dir).unwrap();
    std::fs::write(folder.password(), "sun\n").unwrap();
    let mut settings = Layer::default();
    settings.energy.energy_meter_key = Some("tpm".into());
    settings.energy.energy_tpm = Some(swtpm.tpm().tcti().into());
    Keyring::of(&settings, &folder).unwrap()
}

#[test]
fn a_key_in_a_tpm_signs_whatever_digest_as_the_ledger_wants_it() {
    let (dir, swtpm) = (tempfile::tempdir().unwrap(), Swtpm::start());
    let keys = ring(dir.path(), &swtpm);
    let made = keys.create(METER).unwrap();
    assert_eq!(made.place, KeyPlace::Tpm);
    // High ones are refused by `verify`: that all of forty were low by themselves happens once in 10^12.
    for number in 0..40_u32 {
        let digest = keccak256(number.to_be_bytes());
        made.signer.public().verify(digest, &made.signer.sign(digest).unwrap()).unwrap();
    }
}

/// Checked by what is held to the vectors that the contract is held to (protocol/tests/energy.rs, test/energy/EnergyVectors.t.sol), and
/// taken by the ledger's own rules.
#[test]
fn whole_days_are_signed_in_a_tpm_and_taken_by_the_rules_of_the_ledger() {
    const CHAIN_ID: u64 = 31_337;
    let (dir, mut swtpm) = (tempfile::tempdir().unwrap(), Swtpm::start());
    let key = ring(dir.path(), &swtpm).create(METER).unwrap();
    let (ledger, worker) = (Address::repeat_byte(0x1e), Address::repeat_byte(0x33));
    let (sequence, day, window) = (0, 20_832, Window::new(30));
    let mut account = Account { sequence, day, counter_epoch: 0, counter_wh: 0, cap_wh: 35, assumed_watts: 8, window };
    let (mut link, mut counter_wh) = (Link::ZERO, 0);
    for (sequence, day) in [(1, 20_833_u16), (2, 20_834)] {
        let mut counts = Counts::default();
        for (slot, count) in (0_u16..).zip(counts.0.iter_mut()).skip(24).take(48) {
            *count = slot % 7 + 4;
        }
        counter_wh += u64::from(counts.sum_wh());
        let body = Body::Production(Box::new(counts));
        let record = Record { worker, sequence, day, counter_epoch: 0, counter_wh, body };
        let digest = record.digest(CHAIN_ID, ledger, link).unwrap();
        let signature = key.signer.sign(digest).unwrap();
        let sent = SignedRecord::unpack(&SignedRecord { record, signature }.pack().unwrap()).unwrap();
        assert_eq!(sent.verify(&key.signer.public(), CHAIN_ID, ledger, link).unwrap(), digest);
        assert!(sent.verify(&key.signer.public(), CHAIN_ID + 1, ledger, link).is_err());
        account.take(&sent.record, day + 1).unwrap().unwrap();
        link = Record::link_of(digest);
        // The power fails every night.
        swtpm.kill();
        let gone = key.signer.sign(digest).unwrap_err();
        assert!(gone.contains("does not answer"), "{gone}");
        swtpm.start_again();
    }
    assert_eq!((account.sequence, account.day, account.counter_wh), (2, 20_834, counter_wh));
}

#[test]
fn a_key_of_a_tpm_takes_the_place_of_another_and_its_file_says_nothing_to_another_tpm() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, swtpm) = (tempfile::tempdir().unwrap(), Swtpm::start());
    let keys = ring(dir.path(), &swtpm);
    let (old, new) = (keys.create(METER).unwrap(), keys.create(NEXT).unwrap());
    assert_eq!(std::fs::metadata(&old.path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(keys.find(new.hash()).unwrap().path, new.path);
    keys.shift(METER, OLD).unwrap();
    keys.shift(NEXT, METER).unwrap();
    let found = keys.find(new.hash()).unwrap();
    found.signer.check().unwrap();
    assert!(keys.find(old.hash()).is_err());

    // Found by its file; that it is of no use is said when it is used.
    let theirs = Swtpm::start();
    let moved = ring(dir.path(), &theirs).find(new.hash()).unwrap();
    let error = moved.signer.sign(B256::repeat_byte(1)).unwrap_err();
    assert!(error.contains("made by another TPM"), "{error}");
}

#[test]
fn doctor_says_whether_the_tpm_answers_and_can_use_the_key() {
    let (dir, mut swtpm) = (tempfile::tempdir().unwrap(), Swtpm::start());
    let tcti = swtpm.tpm().tcti().to_owned();
    let line = |place: &str, tcti: &str| {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_sunwork-worker"))
            .args(["doctor", "--output", "json", "--energy-meter-key", place, "--energy-tpm", tcti])
            .arg("--data-dir")
            .arg(dir.path())
            .env_remove("SUNWORK_WORKER_ENERGY_METER_KEY")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(8), "this machine has no chain, which is not the question");
        let text = String::from_utf8(output.stdout).unwrap();
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "meter's TPM").cloned()
    };
    assert_eq!(line("software", &tcti), None);
    let empty = line("tpm", &tcti).unwrap();
    assert!(empty["verdict"] == "pass" && empty["found"].as_str().unwrap().contains("no key is in it yet"), "{empty}");
    ring(dir.path(), &swtpm).create(METER).unwrap();
    // A key that is there counts, whatever the settings want for the next.
    let usable = line("software", &tcti).unwrap();
    assert!(usable["found"].as_str().unwrap().contains("can use the meter's 1 key"), "{usable}");
    let theirs = Swtpm::start();
    let foreign = line("tpm", theirs.tpm().tcti()).unwrap();
    assert!(foreign["verdict"] == "fail" && foreign["fix"].as_str().unwrap().contains("replace-key"), "{foreign}");
    swtpm.kill();
    let gone = line("tpm", &tcti).unwrap();
    assert!(gone["verdict"] == "fail" && gone["found"].as_str().unwrap().contains("does not answer"), "{gone}");
    let missing = line("tpm", "device:/dev/no-such-tpm").unwrap();
    assert!(missing["found"].as_str().unwrap().contains("there is no /dev/no-such-tpm"), "{missing}");
}
