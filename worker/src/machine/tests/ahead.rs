//! Computing before the claim, so that claim and seal are one transaction.
use super::*;

/// Of 1000 units: a quarter of the 2 slots' share is 0.5 tickets in 1000.
fn low() -> U256 {
    U256::MAX / U256::from(1_000) / U256::from(3)
}

/// Quick work, with a good ticket. The window of 4 steps of 10 s ends at 1000.
fn quick() -> Local {
    Local { merge_claims: true, sample_secs: Some(4), ticket: Some((3, low())), ..local() }
}

fn with(verification: Verification) -> Local {
    Local { verification, ..quick() }
}

#[test]
fn quick_work_is_computed_and_checked_before_the_claim() {
    let drawing = view(Status::Drawing);
    assert_eq!(act(&drawing, &quick(), 960), Action::ComputeSamples);
    assert_eq!(act(&drawing, &with(Verification::Computed), 960), Action::CheckBundle);
    assert_eq!(act(&drawing, &with(Verification::Checked), 960), Action::ClaimAndSeal(3));
    let later = View { vote_round: 1, kind: RoundKind::Audit, ..drawing };
    assert_eq!(act(&later, &with(Verification::Computed), 960), Action::ProveLeaves);
    assert_eq!(
        act(&later, &with(Verification::Unproven), 960),
        Action::Claim(3),
        "what is open is settled after the claim"
    );
    // Where nobody has opened the draw a whole step is left.
    let sealed = View { draw_seed: B256::repeat_byte(5), ..view(Status::Sealed) };
    assert_eq!(act(&sealed, &quick(), 905), Action::ComputeSamples);
    assert_eq!(act(&sealed, &with(Verification::Checked), 905), Action::ClaimAndSeal(3));
}

#[test]
fn a_step_must_have_twice_the_time_left() {
    let drawing = view(Status::Drawing);
    assert_eq!(act(&drawing, &quick(), 962), Action::ComputeSamples, "8 s are left");
    assert_eq!(act(&drawing, &quick(), 963), Action::Claim(3), "7 s are left");
    assert_eq!(act(&drawing, &quick(), 971), Action::ComputeSamples, "9 s of the next step");
    assert_eq!(act(&drawing, &Local { sample_secs: None, ..quick() }, 960), Action::Claim(3));
    assert_eq!(act(&drawing, &Local { sample_secs: Some(u64::MAX), ..quick() }, 960), Action::Claim(3));
    // Once begun it goes on until a quarter of the step is left; then the claim goes first.
    let begun = Local { is_ahead: true, ..quick() };
    assert_eq!(act(&drawing, &begun, 967), Action::ComputeSamples);
    assert_eq!(act(&drawing, &begun, 968), Action::Claim(3));
    assert_eq!(act(&drawing, &Local { verification: Verification::Checked, ..begun }, 968), Action::ClaimAndSeal(3));
}

#[test]
fn nobody_computes_for_a_slot_that_lower_tickets_will_likely_take() {
    let drawing = view(Status::Drawing);
    let middling = Local { ticket: Some((3, low() * U256::from(2))), ..quick() };
    assert_eq!(act(&drawing, &middling, 960), Action::Claim(3));
    assert_eq!(act(&drawing, &Local { verification: Verification::Checked, ..middling }, 960), Action::ClaimAndSeal(3));
    let mut full = drawing;
    full.slots = vec![slot(OTHER, 2), slot(CLIENT, 3)];
    assert!(waits(&act(&full, &quick(), 960)), "lower tickets hold the slots");
}

#[test]
fn confidential_work_and_who_does_not_want_it_claim_first() {
    let drawing = view(Status::Drawing);
    let terms = ComputeTerms { flags: sunwork_protocol::terms::FLAG_CONFIDENTIAL, ..local().terms };
    assert_eq!(act(&drawing, &Local { terms, ..quick() }, 960), Action::Claim(3), "the key comes after the claim");
    for verification in [Verification::Computing, Verification::Computed, Verification::Checked] {
        assert_eq!(act(&drawing, &Local { merge_claims: false, ..with(verification) }, 960), Action::Claim(3));
    }
}
