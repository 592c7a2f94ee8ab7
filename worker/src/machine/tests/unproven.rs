//! Later rounds in which nothing proves the worker's digests: the verifier opens without, the worker has to answer.
use super::*;

/// The openings of a further round, due at 1000 with a window of 60 s: without proof until 970. Slot 0 is of the first round.
fn opening() -> View {
    View {
        vote_round: 1,
        kind: RoundKind::Leaves,
        wanted: 3,
        first_slot: 1,
        leaves: vec![7],
        slots: vec![
            Slot { seal: B256::repeat_byte(1), opened: true, ..slot(CLIENT, 1) },
            Slot { seal: B256::repeat_byte(2), ..slot(ME, 4) },
        ],
        ..view(Status::Opening)
    }
}

fn unproven() -> Local {
    Local { verification: Verification::Unproven, ..local() }
}

fn waiting_for(verifiers: &[Address]) -> Local {
    Local { unanswered: verifiers.iter().copied().collect(), ..local() }
}

#[test]
fn what_cannot_be_proven_is_sealed_all_the_same() {
    let mut view = View { status: Status::Verifying, ..opening() };
    view.slots[1].seal = B256::ZERO;
    assert_eq!(act(&view, &Local { verification: Verification::Computed, ..local() }, 10), Action::ProveLeaves);
    assert_eq!(act(&view, &unproven(), 10), Action::SealVerdict);
}

#[test]
fn it_is_opened_without_proof_in_the_first_half_and_later_only_with_one() {
    assert_eq!(act(&opening(), &unproven(), 969), Action::OpenUnproven);
    assert_eq!(act(&opening(), &unproven(), 970), Action::ProveLeaves, "too late without");
    let proven = Local { verification: Verification::Checked, ..local() };
    assert_eq!(act(&opening(), &proven, 941), Action::OpenLate);
    assert_eq!(act(&opening(), &proven, 999), Action::OpenLate);
    assert_eq!(act(&opening(), &unproven(), 1_001), Action::Expire);
}

#[test]
fn who_opened_without_proof_waits_for_the_worker_however_the_slot_shows_it() {
    for opened in [false, true] {
        let mut view = opening();
        view.slots[1].opened = opened;
        let local = Local { verification: Verification::Unproven, ..waiting_for(&[ME]) };
        assert!(waits(&act(&view, &local, 950)), "not again, and not decided");
        assert!(waits(&act(&view, &local, 999)));
        assert_eq!(act(&view, &local, 1_001), Action::Expire, "the votes are counted: without an answer it is refuted");
    }
}

#[test]
fn the_worker_answers_every_opening_without_proof_before_anything_else() {
    let mut view = View { worker: ME, ..opening() };
    view.slots[1].verifier = OTHER;
    view.slots[1].opened = true;
    let owing = Local { logs_of: Some(0), ..waiting_for(&[OTHER]) };
    assert_eq!(act(&view, &owing, 941), Action::Answer(OTHER));
    assert_eq!(act(&view, &owing, 1_000), Action::Answer(OTHER), "until the deadline itself");
    assert_eq!(act(&view, &waiting_for(&[]), 941), Action::Decide, "all are answered");
    assert_eq!(act(&view, &owing, 1_001), Action::Expire);
    // Nobody counts the votes while an answer is due.
    let theirs = View { worker: CLIENT, ..view };
    let mut mine = theirs.clone();
    mine.slots.push(Slot { seal: B256::repeat_byte(3), opened: true, ..slot(ME, 5) });
    assert!(waits(&act(&mine, &waiting_for(&[OTHER]), 999)));
    assert_eq!(act(&mine, &waiting_for(&[]), 999), Action::Decide);
    assert!(waits(&act(&theirs, &waiting_for(&[OTHER]), 950)), "strangers leave it to the worker");
}
