//! Gas of our own transactions in an agreement (.gas-snapshot and docs/GAS.md, rounded up; entering by a device's key included): of a
//! whole part before it is entered, and of what is left of one.
use sunwork_protocol::status::Status;

/// Gas of a worker's acceptance.
const ACCEPT: u64 = 100_000;
/// Gas of a worker's seal.
const SEAL: u64 = 95_000;
/// Gas of opening the draw.
const DRAW: u64 = 65_000;
/// Gas of a verifier's claim.
const CLAIM: u64 = 106_000;
/// Gas of a verifier's seal.
const VERDICT: u64 = 75_000;
/// Gas of a verifier's opening.
const OPEN: u64 = 75_000;

/// Gas of a settlement that carries all openings.
const fn settlement(verifiers: u8) -> u64 {
    110_000 + 80_000 * verifiers as u64
}

/// Gas of the worker's own transactions: accept, seal, draw, settle.
pub const fn worker_gas(trust_level: u8, verifiers: u8) -> u64 {
    ACCEPT + worker_gas_left(Status::Working, trust_level, verifiers)
}

/// Gas of a verifier's own transactions: claim, seal, and its opening where the worker does not carry it.
pub const fn verifier_gas() -> u64 {
    CLAIM + verifier_gas_left(Status::Verifying, false)
}

/// Gas of what the worker of an agreement has before it in this state of the first round of voting. Of later rounds, which begin once its
/// result is open, nothing is foreseen.
pub const fn worker_gas_left(status: Status, trust_level: u8, verifiers: u8) -> u64 {
    match status {
        Status::Keying | Status::Working if trust_level == 0 => SEAL,
        Status::Keying | Status::Working => SEAL + DRAW + settlement(verifiers),
        Status::Sealed => DRAW + settlement(verifiers),
        Status::Drawing | Status::Verifying | Status::Revealing => settlement(verifiers),
        _ => 0,
    }
}

/// Gas of what a verifier with a slot has before it in this state of its round.
pub const fn verifier_gas_left(status: Status, has_sealed: bool) -> u64 {
    match status {
        Status::Drawing | Status::Verifying if !has_sealed => VERDICT + OPEN,
        Status::Drawing | Status::Verifying | Status::Revealing | Status::Opening => OPEN,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_part_becomes_less_with_every_step_and_ends_at_nothing() {
        for verifiers in [1, 8] {
            let mut before = worker_gas(1, verifiers);
            for status in Status::ALL.iter().skip_while(|status| **status < Status::Keying) {
                let left = worker_gas_left(*status, 1, verifiers);
                assert!(left <= before, "{status}");
                before = left;
            }
            assert_eq!(before, 0);
        }
        assert_eq!(worker_gas_left(Status::Working, 0, 0), worker_gas(0, 0) - ACCEPT, "nobody verifies");
        assert_eq!(worker_gas_left(Status::Open, 1, 8), 0, "not entered");
        let (sealed, open) = (verifier_gas_left(Status::Verifying, true), verifier_gas_left(Status::Drawing, false));
        assert!(sealed > 0 && sealed < open && open < verifier_gas());
        assert_eq!(verifier_gas_left(Status::Opening, true), sealed, "the worker did not carry it");
        assert!(
            Status::ALL.iter().filter(|status| status.is_final()).all(|status| verifier_gas_left(*status, true) == 0)
        );
    }
}
