//! Later rounds of voting, openings by mail, draws that a claim opens, level 0, named workers.
use sunwork_protocol::terms::{FLAG_NAMED, FLAG_POOL};

use super::*;

/// A further round: slot 0 is of the first one.
fn later(status: Status) -> View {
    View {
        vote_round: 1,
        kind: RoundKind::Leaves,
        wanted: 3,
        first_slot: 1,
        leaves: vec![7],
        slots: vec![Slot { seal: B256::repeat_byte(1), opened: true, ..slot(CLIENT, 1) }],
        ..view(status)
    }
}

fn with_me(view: View, seal: B256) -> View {
    let mut view = view;
    view.slots.push(Slot { seal, ..slot(ME, 4) });
    view
}

#[test]
fn a_later_round_is_claimed_computed_proven_sealed_and_opened() {
    let low = Local { ticket: Some((3, U256::from(4) << draw::TICKET_SHIFT)), ..local() };
    assert_eq!(act(&later(Status::Drawing), &low, 960), Action::Claim(3));
    let view = with_me(later(Status::Verifying), B256::ZERO);
    let with = |verification| Local { verification, ..local() };
    assert_eq!(act(&view, &with(Verification::Computing), 10), Action::ComputeSamples, "first its own digests");
    assert_eq!(act(&view, &with(Verification::Computed), 10), Action::ProveLeaves, "then the worker's");
    assert_eq!(act(&view, &with(Verification::Checked), 10), Action::SealVerdict);
    let missing = with(Verification::Impossible(DeclineReason::BundleMissing));
    assert_eq!(act(&view, &missing, 10), Action::Decline(DeclineReason::BundleMissing));
    let view = with_me(later(Status::Opening), B256::repeat_byte(2));
    assert_eq!(act(&view, &with(Verification::Checked), 10), Action::OpenLate);
}

#[test]
fn who_verified_before_waits_and_keeps_the_deadlines() {
    let mut past = later(Status::Drawing);
    past.slots[0].verifier = ME;
    let low = Local { ticket: Some((3, U256::from(4) << draw::TICKET_SHIFT)), ..local() };
    for status in [Status::Sealed, Status::Drawing, Status::Verifying, Status::Opening, Status::Disputable] {
        let past = View { status, ..past.clone() };
        assert!(waits(&act(&past, &low, 910)), "{status}: {:?}", act(&past, &low, 910));
        assert_eq!(act(&past, &low, 1_001), Action::Expire, "{status}");
    }
    // Its slot does not fill one of this round, nor does its seal.
    let full = View { wanted: 1, ..later(Status::Drawing) };
    assert_eq!(act(&full, &low, 960), Action::Claim(3));
    // Whoever is a party opens the draw when the worker does not.
    let sealed = View { draw_seed: B256::ZERO, ..View { status: Status::Sealed, ..past } };
    assert_eq!(act(&sealed, &low, 945), Action::OpenDraw);
}

#[test]
fn the_worker_sends_keys_to_the_verifiers_of_every_round() {
    let confidential = ComputeTerms { flags: sunwork_protocol::terms::FLAG_CONFIDENTIAL, ..local().terms };
    let here = Local { terms: confidential, ..local() };
    let mut view = View { worker: ME, ..later(Status::Verifying) };
    assert!(waits(&act(&view, &here, 10)), "who verified before needs none");
    view.slots.push(slot(OTHER, 3));
    assert_eq!(act(&view, &here, 10), Action::SendKeys);
}

#[test]
fn a_verifier_of_a_later_round_gets_the_key_of_confidential_work_like_one_of_the_first() {
    let terms = ComputeTerms { flags: sunwork_protocol::terms::FLAG_CONFIDENTIAL, ..local().terms };
    let without = |key| Local { terms: terms.clone(), key, ..local() };
    let drawn = with_me(later(Status::Verifying), B256::ZERO);
    assert_eq!(act(&drawn, &without(Key::Unknown), 700), Action::FetchKey);
    assert_eq!(act(&drawn, &without(Key::Missing), 850), Action::Decline(DeclineReason::KeyMissing));
    assert_eq!(act(&drawn, &without(Key::Here), 700), Action::ComputeSamples);
    let computed = Local { verification: Verification::Computed, ..without(Key::Here) };
    assert_eq!(act(&drawn, &computed, 700), Action::ProveLeaves);
    let holding = with_me(later(Status::Drawing), B256::ZERO);
    assert!(waits(&act(&holding, &without(Key::Unknown), 960)), "the slot may be lost, and with it the right to read");
}

#[test]
fn a_recorded_round_is_opened_by_the_first_claim() {
    let sealed = View { draw_seed: B256::repeat_byte(5), class_units: 1_000, ..view(Status::Sealed) };
    let low = Local { ticket: Some((3, U256::from(4) << draw::TICKET_SHIFT)), seed_seen: Some(900), ..local() };
    assert_eq!(act(&sealed, &low, 900), Action::Claim(3));
    let high = Local { ticket: Some((3, U256::MAX)), ..low.clone() };
    assert!(waits(&act(&sealed, &high, 909)));
    assert_eq!(act(&sealed, &high, 910), Action::OpenDraw, "twice the courtesy later");
    let mine = View { worker: ME, ..sealed.clone() };
    assert!(waits(&act(&mine, &low, 904)), "the worker never claims");
    assert_eq!(act(&mine, &low, 905), Action::OpenDraw);
    assert!(waits(&act(&mine, &Local { seed_seen: None, ..low.clone() }, 905)), "seen just now");
    assert_eq!(act(&sealed, &Local { preparation: Preparation::Open, ..low }, 900), Action::Prepare);
    // A drand round is recorded by others.
    let drand = Local { params: Params { rounds: Rounds::Drand, ..local().params }, ..local() };
    let waiting = View { round: 5_000_000, ..as_worker(Status::Sealed) };
    assert!(waits(&act(&waiting, &drand, 990)));
}

#[test]
fn openings_are_awaited_for_a_third_of_the_window() {
    // The window of 90 s ends at 1000.
    let mut view = as_worker(Status::Revealing);
    view.slots = vec![slot(OTHER, 1), slot(CLIENT, 2)];
    let with = |openings| Local { openings, ..local() };
    assert_eq!(act(&view, &with(Openings::Gathering(0)), 939), Action::GatherOpenings);
    assert_eq!(act(&view, &with(Openings::Gathering(1)), 939), Action::GatherOpenings);
    assert_eq!(act(&view, &with(Openings::Gathering(2)), 911), Action::SettleAll, "all are there");
    assert_eq!(act(&view, &with(Openings::Gathering(0)), 940), Action::Reveal);
    assert_eq!(act(&view, &with(Openings::Gathering(1)), 940), Action::SettleAll, "what is there is carried");
    assert_eq!(act(&view, &with(Openings::None), 911), Action::Reveal, "nothing can come");
    assert_eq!(act(&view, &with(Openings::Gathering(2)), 1_001), Action::Expire);
    let mine = Local { opening_sent: false, ..local() };
    assert_eq!(act(&as_verifier(Status::Revealing), &mine, 911), Action::SendOpening);
    assert!(waits(&act(&super::view(Status::Revealing), &mine, 911)), "strangers have none");
}

#[test]
fn the_lot_of_the_late_audit_is_recorded_before_the_votes_are_counted() {
    let with = |openings, lot| Local { openings, lot, ..local() };
    let mut view = as_worker(Status::Revealing);
    view.slots = vec![slot(OTHER, 1), slot(CLIENT, 2)];
    let all = Openings::Gathering(2);
    assert_eq!(act(&view, &with(all, Lot::Missing(100)), 911), Action::RecordLot(100), "its block is there");
    assert!(waits(&act(&view, &with(all, Lot::Missing(101)), 969)), "it is not");
    assert_eq!(act(&view, &with(all, Lot::Missing(101)), 970), Action::SettleAll, "the reveal must not be missed");
    assert_eq!(act(&view, &with(all, Lot::Known), 911), Action::SettleAll);
    assert_eq!(act(&view, &with(Openings::None, Lot::Missing(100)), 911), Action::Reveal, "the openings follow anyway");
    view.slots.iter_mut().for_each(|slot| slot.opened = true);
    let open = View { status: Status::Opening, ..view };
    let missing = with(Openings::None, Lot::Missing(100));
    assert_eq!(act(&open, &missing, 941), Action::RecordLot(100));
    assert_eq!(act(&open, &with(Openings::None, Lot::Known), 941), Action::Decide);
    let theirs = View { worker: OTHER, slots: vec![Slot { opened: true, ..slot(ME, 1) }], ..open };
    assert!(waits(&act(&theirs, &missing, 969)));
    assert_eq!(act(&theirs, &missing, 970), Action::RecordLot(100), "half of the window later");
    let drand = Params { rounds: Rounds::Drand, ..local().params };
    assert!(waits(&act(&theirs, &Local { params: drand, ..missing }, 970)), "oracles record those");
}

#[test]
fn at_level_0_the_result_is_handed_in_and_nobody_prepares_to_verify() {
    let terms = ComputeTerms { trust_level: 0, dispute_secs: 100, ..local().terms };
    let level_0 = Local { terms, ..local() };
    assert_eq!(
        act(&as_worker(Status::Working), &Local { work: Work::Bundled, ..level_0.clone() }, 10),
        Action::SubmitResult
    );
    assert!(waits(&act(&as_worker(Status::Disputable), &level_0, 10)));
    assert_eq!(act(&as_worker(Status::Disputable), &level_0, 1_001), Action::Expire, "who says nothing has accepted");
    let owing = Local { logs_of: Some(0), ..level_0.clone() };
    assert_eq!(act(&as_worker(Status::Disputable), &owing, 10), Action::SendLogs);
    let fresh = Local { preparation: Preparation::Open, ..level_0 };
    assert!(waits(&act(&view(Status::Working), &fresh, 10)));
    let rejected = View { vote_round: 1, kind: RoundKind::Audit, ..view(Status::Sealed) };
    assert_eq!(act(&rejected, &fresh, 910), Action::Prepare);
}

#[test]
fn who_is_not_named_or_placed_does_not_accept_but_may_verify() {
    let with = |flags, named| Local { terms: ComputeTerms { flags, named, ..local().terms }, ..local() };
    assert_eq!(act(&view(Status::Open), &with(FLAG_NAMED, ME), 10), Action::Accept);
    for (local, word) in [(with(FLAG_NAMED, OTHER), "another worker"), (with(FLAG_POOL, OTHER), "no placement for us")]
    {
        let next = act(&view(Status::Open), &local, 10);
        assert!(matches!(next, Action::Wait(why) if why.contains(word)), "{next:?}");
        let low = Local { ticket: Some((3, U256::ZERO)), ..local };
        assert_eq!(act(&view(Status::Drawing), &low, 960), Action::Claim(3));
    }
}

#[test]
fn work_that_a_pool_places_with_us_is_accepted_like_any_other() {
    let terms = ComputeTerms { flags: FLAG_POOL, named: OTHER, ..local().terms };
    let placed = Local { terms, placed: true, ..local() };
    assert_eq!(act(&view(Status::Open), &placed, 10), Action::AcceptPlaced);
    assert_eq!(
        act(&view(Status::Open), &Local { preparation: Preparation::Open, ..placed.clone() }, 10),
        Action::Prepare
    );
    for kept_back in [
        Local { min_reward: 151, ..placed.clone() },
        Local { may_accept: false, ..placed.clone() },
        Local { client: ME, ..placed.clone() },
    ] {
        assert!(waits(&act(&view(Status::Open), &kept_back, 10)));
    }
    assert!(waits(&act(&view(Status::Open), &placed, 1_001)));
    let public = Local { placed: true, ..local() };
    assert_eq!(act(&view(Status::Open), &public, 10), Action::Accept, "a placement of work that names no pool");
}

#[test]
fn logs_of_an_open_result_are_sent_while_further_rounds_go_on() {
    let owing = Local { logs_of: Some(0), ..local() };
    for status in [Status::Sealed, Status::Drawing, Status::Verifying, Status::Opening, Status::Disputable] {
        let view = View { worker: ME, round: 200, ..later(status) };
        assert_eq!(act(&view, &owing, 10), Action::SendLogs, "{status}");
    }
}
