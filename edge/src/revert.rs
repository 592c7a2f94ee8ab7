//! What a revert means: every custom error of our contracts as a sentence.
//!
//! The errors come from the committed ABI JSON; a test fails when one has no sentence here.
use std::{collections::HashMap, sync::LazyLock};

use alloy::{
    dyn_abi::{DynSolValue, JsonAbiExt},
    json_abi::{Error as AbiError, JsonAbi},
    primitives::hex,
    sol_types::{GenericContractError, SolInterface},
};
use sunwork_protocol::status::Status;

const ABIS: [&str; 4] = [
    include_str!("../../abi/IWorkerDispatcher.json"),
    include_str!("../../abi/IComputeAgreement.json"),
    include_str!("../../abi/IBeacon.json"),
    include_str!("../../abi/SunToken.json"),
];

/// Sentences by error name; `{name}` stands for the parameter of that name.
const SENTENCES: &[(&str, &str)] = &[
    // beacon
    ("BadHeader", "the block header given as proof has another shape than the beacon reads"),
    ("RoundNotReached", "beacon round {round} is not reached: the present one is {now_}"),
    ("RoundTooOld", "beacon round {round} is too old to be proven: the present one is {now_}"),
    ("WrongProof", "the proof given is not of beacon round {round}: found {found}, expected {expected}"),
    // agreement
    ("AlreadyClaimed", "{verifier} has claimed a slot in this draw already"),
    ("AlreadyOpened", "the agreement was opened before"),
    ("AlreadyOpenedSlot", "the seal of verifier {verifier} was opened before"),
    ("AlreadySealed", "verifier {verifier} has sealed already"),
    ("AlreadyTried", "worker {worker} had this agreement before; another one must take it"),
    ("ClientCannotWork", "{worker} is the client and cannot work for itself"),
    ("ExcludedVerifier", "{verifier} declined or left this attempt and cannot claim again"),
    ("KeyTooLong", "the envelope of the session key has {found} bytes, at most {max} are allowed"),
    ("LeafMissing", "leaf {leaf} was sampled and is missing in the reveal"),
    ("LengthMismatch", "a list has {found} entries, expected {expected}"),
    (
        "NoEncryptionKey",
        "worker {worker} has published no encryption key, which confidential work needs; the worker sets one with setEncryptionKey",
    ),
    ("NoSuchTicket", "there is no ticket {index}: the worker holds {tickets}"),
    ("NotAParty", "{caller} is no party of this agreement"),
    ("NotAVerifier", "{caller} holds no slot in this draw"),
    ("NotTheClient", "{caller} is not the client {client}"),
    ("NotTheWorker", "{caller} does not act for the worker {worker}"),
    ("NotYetExpired", "the deadline is not over: it is {now_}, the deadline is {deadline}"),
    ("OnlyDispatcher", "{caller} is not the dispatcher"),
    ("ProofInvalid", "the Merkle proof leads to {found}, expected {expected}"),
    ("SealMismatch", "the opening does not fit the seal: found {found}, expected {expected}"),
    ("TermsInvalid", "the terms are not acceptable: {field} is {found}, expected {min} to {max}"),
    ("TicketTooHigh", "the ticket {ticket} is not below the threshold {threshold} of this step or of the slots held"),
    ("TooLate", "the deadline is over: it is {now_}, the deadline was {deadline}"),
    ("TrustUnreachable", "the trust {trust} cannot be reached with these verifiers: at most {reachable}"),
    ("WindowClosed", "the claim window is closed: it is {now_}, it closed at {closedAt}"),
    ("WindowStillOpen", "the claim window is still open: it is {now_}, it closes at {closesAt}"),
    ("WorkerCannotVerify", "worker {worker} cannot verify its own work"),
    ("WrongStatus", "the agreement is {found}, expected {expected}"),
    (
        "WrongWorker",
        "the session key is meant for worker {found}, but {expected} has the work now; read the agreement again and seal the key to that worker",
    ),
    ("ZeroDigest", "the digest of leaf {leaf} is zero, which no digest is"),
    ("ZeroSeal", "a seal of zero is no seal"),
    // dispatcher
    ("AlreadyLocked", "worker {worker} has stake locked by agreement {agreement} already"),
    ("AlreadyRegistered", "worker {worker} is registered already"),
    ("AmountTooLarge", "the amount {amount} is too large: at most {max}"),
    ("ClassStakeTooSmall", "class {classId} holds too little active stake: {stake}, needed {stakeNeeded}"),
    ("ClassTooSmall", "class {classId} holds too few active workers: {workers}, needed {workersNeeded}"),
    ("CodeHashMismatch", "the code hash of kind {kindId} differs: found {found}, expected {expected}"),
    ("DeviceLimit", "the limit of device {device} is too small: {left} left, needed {need}"),
    ("DeviceNotActive", "device {device} does not act yet: it is epoch {epoch}, it acts from epoch {since} on"),
    ("EscrowTooSmall", "the escrow holds {have}, needed {need}"),
    ("FreeStakeTooSmall", "worker {worker} has too little free stake: {free}, needed {need}"),
    ("InsufficientAllowance", "{account} allowed the dispatcher too little: {have}, needed {need}"),
    ("InsufficientBalance", "{account} holds too little: {have}, needed {need}"),
    ("KeyTaken", "{device} acts for {worker} already"),
    ("NotInClass", "worker {worker} is not an active member of class {classId}"),
    ("NotOptedIn", "worker {worker} did not opt in to kind {kindId}"),
    ("NotOwner", "{caller} is not the owner"),
    ("NotTheToken", "{caller} is not the token {token}"),
    ("NothingLocked", "worker {worker} has no stake locked by agreement {agreement}"),
    ("SlashAboveLock", "a slash of {slash} is above the lock {lock}"),
    ("SpecTooLong", "the specification has {length} bytes, at most {max} are allowed"),
    ("StakeLockedElsewhere", "worker {worker} has {locked} of its stake locked by agreements; wait until they end"),
    ("StillUnbonding", "the stake is still unbonding: it is {now_}, withdrawable from {until}"),
    ("TooMany", "there are {count}, at most {max} are allowed"),
    ("TransferShort", "the token moved {received}, expected {expected}; tokens with transfer fees are not supported"),
    ("UnknownAgreement", "{caller} is not an agreement of this dispatcher"),
    ("UnknownCall", "the dispatcher knows no call {selector}"),
    ("UnknownClass", "there is no class {classId}"),
    ("UnknownKind", "there is no kind {kindId}"),
    ("UnknownWorker", "{account} is neither a registered worker nor a device of one"),
    ("ZeroAddress", "an address is zero where a real one is needed"),
    ("ZeroAmount", "the amount is zero"),
    // token
    ("AllowanceOverflow", "the token allowance would overflow"),
    ("AllowanceUnderflow", "the token allowance would fall below zero"),
    ("InvalidPermit", "the permit's signature does not fit owner, amount, nonce and deadline"),
    ("Permit2AllowanceIsFixedAtInfinity", "the Permit2 allowance of this token cannot be changed"),
    ("PermitExpired", "the permit's deadline is over"),
    ("ReceiverRefused", "the contract {receiver} refused the call after the approval"),
    ("TotalSupplyOverflow", "the token supply would overflow"),
];

/// The token's errors of the same name carry no numbers.
const PLAIN: &[(&str, &str)] = &[
    ("InsufficientAllowance", "the token allowance is too small"),
    ("InsufficientBalance", "the token balance is too small"),
];

static ERRORS: LazyLock<HashMap<[u8; 4], AbiError>> = LazyLock::new(|| {
    let mut errors = HashMap::new();
    for text in ABIS {
        let abi: JsonAbi = serde_json::from_str(text).expect("the committed ABI JSON is valid; a test reads it");
        for error in abi.errors.into_values().flatten() {
            errors.insert(error.selector().0, error);
        }
    }
    errors
});

/// Name of the custom error in revert data, if it is one of ours.
pub fn name(data: &[u8]) -> Option<&'static str> {
    let selector: [u8; 4] = data.get(..4)?.try_into().ok()?;
    ERRORS.get(&selector).map(|error| error.name.as_str())
}

/// What revert data means, as one sentence without a full stop.
pub fn explain(data: &[u8]) -> String {
    if data.is_empty() {
        return "the call reverted without a reason (no such contract, or an assertion of another contract)".to_owned();
    }
    if let Some(sentence) = known(data) {
        return sentence;
    }
    // Error(string) and Panic(uint256) of Solidity itself.
    GenericContractError::abi_decode(data).map(|error| error.to_string()).unwrap_or_else(|_| {
        format!("the call reverted with an unknown error 0x{}", hex::encode(&data[..data.len().min(68)]))
    })
}

fn known(data: &[u8]) -> Option<String> {
    let selector: [u8; 4] = data.get(..4)?.try_into().ok()?;
    let error = ERRORS.get(&selector)?;
    let values = error.abi_decode_input(&data[4..]).ok()?;
    let template = if error.inputs.is_empty() { find(PLAIN, &error.name) } else { None };
    let Some(template) = template.or_else(|| find(SENTENCES, &error.name)) else {
        // An error that is newer than the table: its name and values say most of it.
        let values = error
            .inputs
            .iter()
            .zip(&values)
            .map(|(input, value)| format!("{} {}", input.name, show(&error.name, value)));
        return Some(format!("{}: {}", error.name, values.collect::<Vec<_>>().join(", ")));
    };
    let mut sentence = template.to_owned();
    for (input, value) in error.inputs.iter().zip(&values) {
        sentence = sentence.replace(&format!("{{{}}}", input.name), &show(&error.name, value));
    }
    Some(sentence)
}

fn find(table: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == name).map(|(_, sentence)| *sentence)
}

fn show(error: &str, value: &DynSolValue) -> String {
    match value {
        DynSolValue::Uint(number, _) if error == "WrongStatus" => u8::try_from(*number)
            .ok()
            .and_then(Status::from_u8)
            .map_or_else(|| number.to_string(), |status| status.to_string()),
        DynSolValue::Uint(number, _) => number.to_string(),
        DynSolValue::Address(address) => address.to_string(),
        DynSolValue::FixedBytes(word, size) => format!("0x{}", hex::encode(&word[..*size])),
        // Terms' field names; anything longer is cut, since a contract that we do not know may have made it.
        DynSolValue::String(text) => text.chars().take(80).collect(),
        other => format!("{other:?}").chars().take(80).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::{
        primitives::{Address, U256},
        sol_types::SolError,
    };
    use sunwork_protocol::abi::{IComputeAgreement, IWorkerDispatcher};

    #[test]
    fn every_error_has_a_sentence_with_all_its_values() {
        for error in ERRORS.values() {
            let plain = error.inputs.is_empty();
            let sentence = plain
                .then(|| find(PLAIN, &error.name))
                .flatten()
                .or_else(|| find(SENTENCES, &error.name))
                .unwrap_or_else(|| panic!("no sentence for {}", error.name));
            for input in &error.inputs {
                assert!(sentence.contains(&format!("{{{}}}", input.name)), "{} leaves out {}", error.name, input.name);
            }
            assert_eq!(sentence.matches('{').count(), error.inputs.len(), "{}", error.name);
        }
    }

    #[test]
    fn values_are_put_in() {
        let data = IWorkerDispatcher::InsufficientAllowance {
            account: Address::repeat_byte(1),
            have: U256::from(5),
            need: U256::from(7),
        }
        .abi_encode();
        let sentence = explain(&data);
        assert!(sentence.contains("5, needed 7"), "{sentence}");
        assert_eq!(name(&data), Some("InsufficientAllowance"));
        let status =
            IComputeAgreement::WrongStatus { found: Status::Working as u8, expected: Status::Open as u8 }.abi_encode();
        assert_eq!(explain(&status), "the agreement is Working, expected Open");
    }

    #[test]
    fn foreign_reverts_are_told_too() {
        assert!(explain(&[]).contains("without a reason"));
        assert!(explain(&[1, 2, 3, 4, 5]).contains("0x0102030405"));
        let text = alloy::sol_types::Revert::from("no sun today").abi_encode();
        assert!(explain(&text).contains("no sun today"));
        // Truncated parameters of a known error must not panic.
        let mut cut = IComputeAgreement::WrongStatus { found: 3, expected: 1 }.abi_encode();
        cut.truncate(20);
        assert!(!explain(&cut).is_empty());
    }
}
