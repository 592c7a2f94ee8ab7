//! What a revert means: every custom error of our contracts as a sentence.
//!
//! The errors come from the committed ABI JSON, those of linked libraries from a list; a test fails when one has no
//! sentence here.
use std::{collections::HashMap, sync::LazyLock};

use alloy::{
    dyn_abi::{DynSolValue, JsonAbiExt},
    json_abi::{Error as AbiError, JsonAbi},
    primitives::hex,
    sol_types::{GenericContractError, SolInterface},
};
use sunwork_protocol::status::{Ending, Status};

const ABIS: [&str; 8] = [
    include_str!("../../abi/IWorkerDispatcher.json"),
    include_str!("../../abi/IComputeAgreement.json"),
    include_str!("../../abi/IEnergyLedger.json"),
    include_str!("../../abi/IEnergyCertificates.json"),
    include_str!("../../abi/ISignedOrders.json"),
    include_str!("../../abi/IPlacements.json"),
    include_str!("../../abi/IBeacon.json"),
    include_str!("../../abi/SunToken.json"),
];

/// Errors of libraries that our contracts are linked with: no interface lists them. A test compares them with the sources.
const LIBRARIES: [&str; 11] = [
    "error AlreadyDelivered(uint256 leaf)",
    "error CallbackGasOutOfRange(uint256 found, uint256 min, uint256 max)",
    "error GasTooLow(uint256 found, uint256 needed)",
    "error HashToCurveFailed()",
    "error LeafOrder(uint256 position, uint256 leaf, uint256 leafCount)",
    "error NoLeaves()",
    // The parameter is an enum, which is a byte to callers.
    "error NotASettlement(uint8 ending)",
    "error ProofLength(uint256 found, uint256 used)",
    "error TargetForbidden(address target)",
    "error TargetHasNoCode(address target)",
    "error TermsLength(uint256 found, uint256 expected)",
];

/// Sentences by error name; `{name}` stands for the parameter of that name.
const SENTENCES: &[(&str, &str)] = &[
    // beacon
    ("BadHeader", "the block header given as proof has another shape than the beacon reads"),
    ("RoundNotReached", "beacon round {round} is not reached: the present one is {now_}"),
    ("RoundTooOld", "beacon round {round} is too old to be proven: the present one is {now_}"),
    (
        "HashToCurveFailed",
        "the beacon could not hash to its curve: the chain lacks the precompiles of EIP-2537, or the gas ran out",
    ),
    ("WrongProof", "the proof given is not of beacon round {round}: found {found}, expected {expected}"),
    // agreement
    ("AlreadyClaimed", "{verifier} has claimed a slot of this agreement already"),
    ("AlreadyDisputed", "leaf {leaf} is disputed already; its verifiers come when the window for disputes is over"),
    ("AlreadyOpenedSlot", "the seal of verifier {verifier} was opened before"),
    ("AlreadySealed", "verifier {verifier} has sealed already"),
    ("AlreadyTried", "worker {worker} had this agreement before; another one must take it"),
    ("BondMismatch", "the bond is {found}, expected exactly {expected}: ask the agreement for disputeBond"),
    ("ClientCannotWork", "{worker} is the client and cannot work for itself"),
    ("ExcludedVerifier", "{verifier} declined, left an attempt or disputed the result, and cannot verify it"),
    ("KeyTooLong", "the envelope of the session key has {found} bytes, at most {max} are allowed"),
    (
        "LeafMissing",
        "leaf {leaf} is to be verified and is missing in the opening; open all leaves of the draw, ascending",
    ),
    ("LeafOutOfRange", "there is no leaf {leaf}: the bag has {leafCount}, counted from 0"),
    ("LengthMismatch", "a list has {found} entries, expected {expected}"),
    (
        "LocationTooLong",
        "the location of the result has {found} bytes, at most {max} are allowed; an empty one is fine",
    ),
    ("NoCallback", "the terms name no contract that results could be delivered to"),
    (
        "NoEncryptionKey",
        "worker {worker} has published no encryption key, which confidential work needs; the worker sets one with setEncryptionKey",
    ),
    ("NoEnergyLedger", "the terms ask for positive workers (greenOnly), and this deployment has no energy ledger"),
    ("NoSuchTicket", "there is no ticket {index}: the worker holds {tickets}"),
    ("NotAVerifier", "{caller} holds no slot in this round of voting"),
    (
        "NotAllOpened",
        "{opened} of {drawn} seals of this round are opened; open the others or wait for the deadline and expire",
    ),
    (
        "NotPlaced",
        "the terms leave the work to {named}: worker {worker} is not that worker, or brings no placement signed by that pool (acceptPlaced)",
    ),
    (
        "NotPositive",
        "the terms are for positive workers (greenOnly), and worker {worker} is not: its attested energy is negative, old or too short",
    ),
    ("NotTheClient", "{caller} is not the client {client}"),
    ("NotTheDispatcher", "{caller} is not the dispatcher, which alone may call this"),
    ("NotTheWorker", "{caller} does not act for the worker {worker}"),
    ("NotVerified", "only a verified result is delivered, and the ending is {found}"),
    ("NotYetExpired", "the deadline is not over: it is {now_}, the deadline is {deadline}"),
    ("NothingToAnswer", "{verifier} has no opening that waits for the worker's digests"),
    ("NothingToRefund", "{payer} added nothing to the reward, or has its part back already"),
    ("ProofInvalid", "the Merkle proof leads to {found}, expected {expected}"),
    ("SealMismatch", "the opening does not fit the seal: found {found}, expected {expected}"),
    ("SeedNotRecorded", "beacon round {round} is not recorded yet; openDraw with its proof records it"),
    ("TermsInvalid", "the terms are not acceptable: {field} is {found}, expected {min} to {max}"),
    ("TicketTooHigh", "the ticket {ticket} is not below the threshold {threshold} of this step or of the slots held"),
    ("TooLate", "the deadline is over: it is {now_}, the deadline was {deadline}"),
    ("TooManyDisputes", "{max} leaves are disputed already, which is as many as a round looks at"),
    ("TrustUnreachable", "the trust {trust} cannot be reached with these verifiers: at most {reachable}"),
    (
        "UnknownPurpose",
        "money for an agreement comes with nothing (more reward) or the 4 bytes of a leaf (a dispute), not with {length} bytes",
    ),
    ("WorkerCannotVerify", "{worker} is the worker or the client and cannot verify this work"),
    (
        "WrongLevel",
        "this call is for trust level {expected}, the terms have {found}: submitResult is for 0, sealResult for 1",
    ),
    (
        "WrongRound",
        "the round of voting is {found}, this call is for {expected} (1: any later one): openVerification is for the first, openLate for later ones",
    ),
    ("WrongStatus", "the agreement is {found}, expected {expected}"),
    (
        "WrongWorker",
        "the session key is meant for worker {found}, but {expected} has the work now; read the agreement again and seal the key to that worker",
    ),
    ("ZeroDigest", "the digest of leaf {leaf} is zero, which no digest is"),
    ("ZeroSeal", "a seal of zero is no seal"),
    // libraries
    ("AlreadyDelivered", "the result of leaf {leaf} was delivered before"),
    ("CallbackGasOutOfRange", "the terms grant a delivery {found} gas, expected {min} to {max}"),
    ("GasTooLow", "the delivery was called with {found} gas left, it needs {needed}; send it with a higher gas limit"),
    (
        "LeafOrder",
        "leaf {leaf} at place {position} of the list: leaves must ascend strictly and be below their count {leafCount}",
    ),
    ("NoLeaves", "a Merkle proof needs at least one leaf and one digest for each"),
    ("NotASettlement", "an opened agreement cannot end as {ending}"),
    ("ProofLength", "the Merkle proof has {found} hashes, {used} were used; make the proof for exactly these leaves"),
    (
        "TargetForbidden",
        "results cannot be delivered to {target}: it is zero, the token, the dispatcher or an agreement; name a contract of your own",
    ),
    ("TargetHasNoCode", "{target} has no code: deploy the contract there first, then deliver"),
    ("TermsLength", "the packed terms have {found} bytes, their flags ask for {expected}"),
    // orders, placements and their signatures
    (
        "OrderExpired",
        "the order could be used until {expiry}, it is {nowAt} (Unix seconds); ask the client for a new one",
    ),
    ("OrderForAnotherWorker", "the order is for worker {expected}, {found} cannot use it"),
    ("OrderIsCancelled", "the client cancelled the order {orderHash}"),
    (
        "OrderNonceMismatch",
        "the order carries nonce {found}, the nonce of client {client} is {expected}: all orders with another one are cancelled",
    ),
    ("OrderNotStarted", "the order starts at {startAt}, it is {nowAt} (Unix seconds); use it then"),
    (
        "OrderSpecMismatch",
        "the specification has hash {found}, the order names {expected}; bring the one that was signed",
    ),
    ("OrderUsedUp", "the order {orderHash} was used {used} times, its volume is {volume}"),
    ("PlacementExpired", "the placement held until {expiry}, it is {nowAt} (Unix seconds); ask the pool for a new one"),
    ("SignatureHighS", "s of the signature is {found}, expected at most {max}; sign with a library that makes low s"),
    ("SignatureLength", "the signature has {found} bytes, expected 65 (r, s, v) or 64 (EIP-2098)"),
    ("SignatureRefused", "the contract {signer} did not confirm the signature of {digest}"),
    (
        "WrongSigner",
        "the signature is of {found}, expected {expected}; was something else signed, or on another chain?",
    ),
    // dispatcher
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
    // energy
    (
        "BondShort",
        "the token moved {received} of the bond, expected {expected}; tokens with transfer fees are not supported",
    ),
    ("BondStillLiable", "the bond of the meter is still liable: it is {now_}, it is free after {until} (Unix seconds)"),
    (
        "CoordinatesOutOfRange",
        "there is no place at latitude {latitudeDecidegrees}, longitude {longitudeDecidegrees} (tenths of a degree), expected at most 900 and 1800 either way; is the place right?",
    ),
    (
        "CounterDecreased",
        "the meter's counter fell to {counterWh} Wh from {last} Wh; a counter that began anew opens a new epoch",
    ),
    (
        "CounterEpochDecreased",
        "the counter's epoch fell to {counterEpoch} from {last}; read the account from the ledger and use a higher one",
    ),
    (
        "CountsAboveCounter",
        "the counts of the day add up to {sumWh} Wh, the meter's own counter grew by {grownWh} Wh only",
    ),
    ("DayNotOver", "day {day} is not over: today is day {today}; is the clock of the device right?"),
    (
        "DayOutOfOrder",
        "the record is of day {day}, the ledger expects {expected}; cover missing days by a gap record first",
    ),
    ("EnergyParamOutOfRange", "the ledger cannot be deployed so: {field} is {found}, expected {min} to {max}"),
    (
        "EvidenceMismatch",
        "the two records are of different days, or of different workers: {workerA} on day {dayA}, {workerB} on day {dayB}",
    ),
    ("GapIsNoEvidence", "a gap record claims nothing, so it is no evidence of equivocation"),
    (
        "GapSequence",
        "the gap record has sequence {sequence}, expected {expected}: it grows by the days that are covered",
    ),
    ("HashFailed", "the hash of the record could not be computed: send it with a higher gas limit"),
    (
        "HighS",
        "s of the device's signature is {s}, expected at most {max}; sign with a library that makes low s, or subtract it from the order of the curve",
    ),
    ("HourExhausted", "hour {hour} has {left} Wh left for certificates, {wattHours} Wh were asked for"),
    ("HourInvalid", "entry {position} names hour {hour}: hours are 0 to 23, ascending, each with at least 1 Wh"),
    ("HoursMismatch", "there are {hoursCount} hours and {amountsCount} amounts, expected as many"),
    (
        "KeyNotLiable",
        "the key {keyHash} is not liable for worker {worker}: it is another's, was replaced long ago, or its bond is gone",
    ),
    (
        "MeterBusy",
        "the meter of worker {worker} has status {status} (0 none, 1 active, 2 leaving, 3 struck), which this call is not for",
    ),
    (
        "MeterKeyUsed",
        "the key {keyHash} was registered for worker {worker}; a key serves one worker, once: make a new one",
    ),
    ("NameplateOutOfRange", "the nameplate is {watts} W, expected {min} to {max} W"),
    (
        "NoActiveMeter",
        "worker {worker} has no meter that takes records: its status is {status} (0 none, 1 active, 2 leaving, 3 struck)",
    ),
    ("NoCertificate", "no certificate {id} was issued"),
    ("NotAWorker", "{caller} is not the owner account of a registered worker; register it with the dispatcher first"),
    ("NotAnAgreement", "{agreement} is not an agreement of the dispatcher, and energy is retired for agreements only"),
    ("NotTheCertificates", "{caller} is not the certificates contract, which alone may call this"),
    ("NotTheProducer", "{caller} did not produce this energy, worker {worker} did"),
    (
        "NotTheRecord",
        "the record with link {link} is not what the ledger keeps for day {day} of worker {worker}, or that day has left the window",
    ),
    ("NothingToRetire", "0 Wh cannot be retired"),
    ("RecordLength", "the record or signature has {found} bytes, expected {expected}"),
    (
        "RecordOutOfOrder",
        "the record has sequence {sequence}, the ledger expects {expected}; send the records before it first",
    ),
    ("RecordReplayed", "a record with sequence {sequence} was taken already, the next is {expected}"),
    (
        "SameClaim",
        "both records claim the same for day {day} of worker {worker}, whatever they are chained to: no contradiction",
    ),
    ("SlotAboveCap", "slot {slot} claims {wattHours} Wh, the nameplate allows {cap} Wh in a quarter hour"),
    (
        "SurplusTooSmall",
        "{wattHours} Wh are more than is left of the day ({dayWh} Wh) or of the whole window ({windowWh} Wh)",
    ),
    ("UnknownRecordKind", "the record is of kind {kind}, expected 1 (production), 2 (metered) or 3 (gap)"),
    (
        "VerifierMissing",
        "signatures cannot be verified at {verifier}: the chain lacks the P-256 precompile (EIP-7951), or the gas ran out",
    ),
    (
        "WrongDeviceSignature",
        "the device of worker {worker} did not sign {digest}; is it another key, chain, ledger, or another record before it?",
    ),
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
    let committed = ABIS
        .map(|text| serde_json::from_str::<JsonAbi>(text).expect("the committed ABI JSON is valid; a test reads it"));
    let libraries = JsonAbi::parse(LIBRARIES).expect("the errors above are valid; a test reads them");
    for abi in committed.into_iter().chain([libraries]) {
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
        DynSolValue::Uint(number, _) => {
            let number_of = u8::try_from(*number).ok();
            let name = match error {
                "WrongStatus" => number_of.and_then(Status::from_u8).map(Status::name),
                "NotVerified" | "NotASettlement" => number_of.and_then(Ending::from_u8).map(Ending::name),
                _ => None,
            };
            name.map_or_else(|| number.to_string(), str::to_owned)
        }
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
    fn no_sentence_is_left_over() {
        for (name, _) in SENTENCES.iter().chain(PLAIN) {
            assert!(ERRORS.values().any(|error| error.name == *name), "no contract has the error {name}");
        }
    }

    /// The libraries' sources are where the list above comes from.
    #[test]
    fn the_libraries_errors_are_those_of_their_sources() {
        let contracts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts");
        let mut found = Vec::new();
        let libraries = std::fs::read_dir(contracts.join("libraries")).unwrap().map(|file| file.unwrap().path());
        for path in libraries.chain([contracts.join("types/ComputeTerms.sol")]) {
            let source = std::fs::read_to_string(path).unwrap();
            let errors = source.lines().map(str::trim).filter(|line| line.starts_with("error ") && line.ends_with(';'));
            found.extend(errors.map(|line| line.trim_end_matches(';').replace("Ending ending", "uint8 ending")));
        }
        found.sort();
        assert_eq!(found, LIBRARIES);
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
