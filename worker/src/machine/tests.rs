use sunwork_protocol::{
    draw,
    status::{Ending, RoundKind},
};

use super::*;

const ME: Address = Address::repeat_byte(1);
const OTHER: Address = Address::repeat_byte(2);
const CLIENT: Address = Address::repeat_byte(9);

fn local() -> Local {
    Local {
        terms: ComputeTerms {
            reward_min: 100,
            reward_max: 200,
            verifier_fee: 10,
            accept_secs: 60,
            verify_secs: 300,
            ..sunwork_protocol::testing::terms()
        },
        params: Params {
            seed_secs: 60,
            draw_step_secs: 10,
            draw_steps: 4,
            draw_factor: 4,
            reveal_secs: 90,
            open_secs: 60,
            audit_one_in: 0,
            rounds: Rounds::Blocks,
        },
        client: CLIENT,
        preparation: Preparation::Ready,
        min_reward: 0,
        may_accept: true,
        may_claim: true,
        placed: false,
        unanswered: BTreeSet::new(),
        merge_claims: false,
        sample_secs: None,
        is_ahead: false,
        work: Work::Computing,
        verification: Verification::Computing,
        key: Key::Here,
        openings: Openings::None,
        lot: Lot::Known,
        opening_sent: true,
        seed_seen: None,
        keys_sent: BTreeSet::new(),
        logs_of: None,
        ticket: Some((3, U256::from(7))),
        took_part: true,
        payable: false,
        final_since: None,
        finality_blocks: 5,
        courtesy_secs: 5,
    }
}

fn view(status: Status) -> View {
    View {
        status,
        ending: Ending::None,
        attempt: 0,
        strikes: 0,
        worker: if status == Status::Open { Address::ZERO } else { OTHER },
        deadline: 1_000,
        reward: 150,
        round: 50,
        snapshot_epoch: 3,
        closes_at: 0,
        class_units: 1_000,
        // A seed stands for a recorded round.
        draw_seed: if status == Status::Sealed { B256::ZERO } else { B256::repeat_byte(5) },
        commitment: B256::repeat_byte(6),
        vote_round: 0,
        kind: RoundKind::First,
        wanted: 2,
        first_slot: 0,
        leaves: vec![],
        slots: vec![],
    }
}

fn slot(verifier: Address, rank: u64) -> Slot {
    Slot { verifier, rank: U256::from(rank), seal: B256::ZERO, opened: false, dissents: false }
}

fn at(timestamp: u64) -> Head {
    Head { number: 100, timestamp }
}

fn act(view: &View, local: &Local, timestamp: u64) -> Action {
    next_action(view, local, ME, at(timestamp))
}

fn as_worker(status: Status) -> View {
    View { worker: ME, ..view(status) }
}

fn as_verifier(status: Status) -> View {
    View { slots: vec![slot(ME, 4)], ..view(status) }
}

fn waits(action: &Action) -> bool {
    matches!(action, Action::Wait(_))
}

#[test]
fn open_is_prepared_then_accepted_at_the_own_price() {
    let view = view(Status::Open);
    assert_eq!(act(&view, &Local { preparation: Preparation::Open, ..local() }, 10), Action::Prepare);
    assert_eq!(act(&view, &local(), 10), Action::Accept);
    assert!(waits(&act(&view, &Local { min_reward: 151, ..local() }, 10)));
    // 200 is the most that the terms give; others may add to it.
    let dear = Local { min_reward: 201, preparation: Preparation::Open, ..local() };
    assert!(waits(&act(&view, &dear, 10)));
    assert_eq!(act(&View { reward: 201, ..view.clone() }, &dear, 10), Action::Prepare);
    assert!(waits(&act(&view, &Local { may_accept: false, ..local() }, 10)));
    assert!(waits(&act(&view, &Local { client: ME, ..local() }, 10)));
    assert!(waits(&act(&view, &local(), 1_001)));
    assert_eq!(act(&view, &Local { preparation: Preparation::Refused, ..local() }, 10), Action::Done);
}

#[test]
fn the_worker_computes_stores_seals_or_gives_up() {
    let view = as_worker(Status::Working);
    for (work, action) in [
        (Work::Computing, Action::ComputeLeaves),
        (Work::Computed, Action::UploadBundle),
        (Work::Bundled, Action::SealResult),
        (Work::Impossible, Action::Abort),
    ] {
        assert_eq!(act(&view, &Local { work, ..local() }, 10), action);
    }
    assert_eq!(act(&view, &local(), 1_001), Action::Expire);
    assert!(waits(&act(&as_worker(Status::Keying), &local(), 10)));
}

#[test]
fn the_draw_is_opened_by_the_worker_first_and_by_anybody_later() {
    let mine = as_worker(Status::Sealed);
    assert_eq!(act(&mine, &local(), 945), Action::OpenDraw);
    let early = Head { number: 49, timestamp: 945 };
    assert!(waits(&next_action(&mine, &local(), ME, early)));
    let theirs = view(Status::Sealed);
    assert!(waits(&act(&theirs, &local(), 944)));
    assert_eq!(act(&theirs, &local(), 945), Action::OpenDraw);
    assert_eq!(act(&theirs, &Local { preparation: Preparation::Open, ..local() }, 950), Action::Prepare);
    assert!(waits(&act(&theirs, &local(), 1_001)), "only parties expire");
}

#[test]
fn a_ticket_below_the_threshold_claims_a_free_or_worse_slot() {
    let mut drawing = view(Status::Drawing);
    let low = U256::from(4) << draw::TICKET_SHIFT;
    let local = Local { ticket: Some((3, low)), ..local() };
    assert_eq!(act(&drawing, &local, 960), Action::Claim(3));
    drawing.slots = vec![slot(OTHER, 2), slot(CLIENT, 9)];
    assert_eq!(act(&drawing, &local, 960), Action::Claim(3), "9 is worse than 4");
    drawing.slots = vec![slot(OTHER, 2), slot(CLIENT, 4)];
    assert!(waits(&act(&drawing, &local, 960)), "4 is not below 4");
    drawing.slots[1] = Slot { seal: B256::repeat_byte(1), ..slot(CLIENT, 9) };
    assert_eq!(act(&drawing, &local, 960), Action::Claim(3), "a slot that was claimed and sealed at once, too");
    let failed = Local { verification: Verification::Impossible(DeclineReason::OwnFailure), ..local.clone() };
    assert!(waits(&act(&drawing, &failed, 960)), "what failed here once is not claimed again");
    drawing.slots.clear();
    assert!(waits(&act(&drawing, &Local { may_claim: false, ..local.clone() }, 960)));
    assert!(waits(&act(&drawing, &Local { ticket: None, ..local.clone() }, 960)));
    assert!(waits(&act(&drawing, &Local { client: ME, ..local.clone() }, 960)));
    assert_eq!(act(&drawing, &Local { preparation: Preparation::Open, ..local }, 960), Action::Prepare);
}

#[test]
fn the_threshold_widens_step_by_step_and_stays_wide_in_a_second_window() {
    let mut drawing = view(Status::Drawing);
    let local = Local { ticket: Some((0, U256::MAX / U256::from(1_000) * U256::from(12))), ..local() };
    assert!(waits(&act(&drawing, &local, 960)), "step 0 lets 8 of 1000 in");
    assert_eq!(act(&drawing, &local, 970), Action::Claim(0), "step 1 lets 16 in");
    drawing.strikes = 1;
    assert_eq!(act(&drawing, &local, 960), Action::Claim(0), "step 4 in the second window");
}

#[test]
fn a_drawn_verifier_computes_checks_and_seals() {
    for status in [Status::Drawing, Status::Verifying] {
        let view = as_verifier(status);
        assert_eq!(act(&view, &local(), 970), Action::ComputeSamples);
        let reason = DeclineReason::BundleMissing;
        let impossible = Local { verification: Verification::Impossible(reason), ..local() };
        let next = act(&view, &impossible, 970);
        assert!(if status == Status::Drawing { waits(&next) } else { next == Action::Decline(reason) }, "{next:?}");
    }
    let view = as_verifier(Status::Verifying);
    let with = |verification| Local { verification, ..local() };
    assert_eq!(act(&view, &with(Verification::Computed), 970), Action::CheckBundle);
    assert_eq!(act(&view, &with(Verification::Checked), 970), Action::SealVerdict);
    assert!(waits(&act(&as_verifier(Status::Drawing), &with(Verification::Checked), 970)));
    let mut sealed = view.clone();
    sealed.slots[0].seal = B256::repeat_byte(1);
    assert!(waits(&act(&sealed, &with(Verification::Checked), 970)));
    let impossible = with(Verification::Impossible(DeclineReason::OwnFailure));
    assert!(waits(&act(&sealed, &impossible, 970)), "a seal cannot be taken back");
    assert_eq!(act(&sealed, &local(), 1_001), Action::Expire);
}

fn confidential() -> Local {
    let terms = ComputeTerms { flags: sunwork_protocol::terms::FLAG_CONFIDENTIAL, ..local().terms };
    Local { terms, key: Key::Unknown, ..local() }
}

#[test]
fn the_worker_opens_the_key_before_it_computes() {
    for key in [Key::Unknown, Key::Missing, Key::Wrong] {
        let local = Local { key, ..confidential() };
        assert!(waits(&act(&as_worker(Status::Keying), &local, 10)), "the client has until the deadline");
        assert_eq!(act(&as_worker(Status::Keying), &local, 1_001), Action::Expire);
        assert_eq!(act(&as_worker(Status::Working), &local, 10), Action::OpenKey);
        let impossible = Local { work: Work::Impossible, ..local };
        assert_eq!(act(&as_worker(Status::Working), &impossible, 10), Action::Abort, "a key that is none");
    }
    let local = Local { key: Key::Here, ..confidential() };
    assert_eq!(act(&as_worker(Status::Working), &local, 10), Action::ComputeLeaves);
    let bundled = Local { work: Work::Bundled, ..confidential() };
    assert_eq!(act(&as_worker(Status::Working), &bundled, 10), Action::SealResult, "what is done needs no key");
}

#[test]
fn the_worker_sends_the_key_to_whoever_was_drawn_and_has_not_sealed() {
    let here = Local { key: Key::Here, ..confidential() };
    let mut view = View { slots: vec![slot(OTHER, 1), slot(CLIENT, 2)], ..as_worker(Status::Verifying) };
    assert_eq!(act(&view, &here, 10), Action::SendKeys);
    assert!(waits(&act(&view, &confidential(), 10)), "without a key there is none to send");
    assert!(waits(&act(&view, &local(), 10)), "public work needs none");
    let sent = |to: &[Address]| Local { keys_sent: to.iter().copied().collect(), ..here.clone() };
    assert_eq!(act(&view, &sent(&[OTHER]), 10), Action::SendKeys);
    assert!(waits(&act(&view, &sent(&[OTHER, CLIENT]), 10)));
    view.slots[1].seal = B256::repeat_byte(1);
    assert!(waits(&act(&view, &sent(&[OTHER]), 10)), "who has sealed needs it no more");
    assert_eq!(act(&view, &here, 1_001), Action::Expire);
    // Who holds a slot while the window is open may lose it again, and would have read the inputs.
    assert!(waits(&act(&View { status: Status::Drawing, ..view }, &here, 10)));
}

#[test]
fn a_drawn_verifier_waits_for_the_key_for_half_of_the_window() {
    let view = as_verifier(Status::Verifying);
    let with = |key| Local { key, ..confidential() };
    // The window is 300 s and ends at 1000.
    for (key, late) in [
        (Key::Unknown, Action::FetchKey),
        (Key::Missing, Action::Decline(DeclineReason::KeyMissing)),
        (Key::Wrong, Action::Decline(DeclineReason::KeyInvalid)),
        (Key::Here, Action::ComputeSamples),
    ] {
        let early = if key == Key::Here { Action::ComputeSamples } else { Action::FetchKey };
        assert_eq!(act(&view, &with(key), 849), early, "{key:?}");
        assert_eq!(act(&view, &with(key), 850), late, "{key:?}");
        assert_eq!(act(&view, &with(key), 1_001), Action::Expire, "{key:?}");
    }
    let sealed = View { slots: vec![Slot { seal: B256::repeat_byte(1), ..slot(ME, 4) }], ..view.clone() };
    assert!(waits(&act(&sealed, &with(Key::Missing), 900)));
    let bad_input = Local { verification: Verification::Impossible(DeclineReason::InputInvalid), ..with(Key::Here) };
    assert_eq!(act(&view, &bad_input, 710), Action::Decline(DeclineReason::InputInvalid));
    let computed = Local { verification: Verification::Computed, ..with(Key::Missing) };
    assert_eq!(act(&view, &computed, 900), Action::CheckBundle, "what is done needs no key");
    // In the claim window nobody has got one yet, but for the second window of a draw.
    assert!(waits(&act(&as_verifier(Status::Drawing), &with(Key::Unknown), 970)));
    assert_eq!(act(&as_verifier(Status::Drawing), &with(Key::Here), 970), Action::ComputeSamples);
}

#[test]
fn logs_are_sent_when_our_attempt_is_over_and_nothing_else_is_to_do() {
    let owing = Local { logs_of: Some(0), ..local() };
    for status in [Status::Keying, Status::Sealed, Status::Drawing, Status::Verifying, Status::Revealing] {
        let view = View { round: 200, ..as_worker(status) };
        assert_ne!(act(&view, &owing, 10), Action::SendLogs, "{status}: the result is not open yet");
    }
    assert_eq!(act(&as_worker(Status::Opening), &owing, 10), Action::SendLogs);
    assert!(waits(&act(&as_worker(Status::Opening), &local(), 10)), "they were sent");
    assert_eq!(act(&as_worker(Status::Opening), &owing, 1_001), Action::Expire);
    for status in [Status::Settled, Status::Cancelled] {
        let view = as_worker(status);
        assert_eq!(act(&view, &Local { payable: true, ..owing.clone() }, 10), Action::Redeem);
        assert_eq!(act(&view, &owing, 10), Action::SendLogs);
        assert_eq!(act(&view, &Local { final_since: Some(1), ..owing.clone() }, 10), Action::SendLogs);
    }
    // After our abort others go on.
    let open = View { attempt: 1, ..view(Status::Open) };
    assert_eq!(act(&open, &Local { may_accept: false, ..owing.clone() }, 10), Action::SendLogs);
    assert_eq!(act(&open, &owing, 10), Action::Accept, "the chain says no to that, and then logs are sent");
    assert_eq!(act(&View { attempt: 1, ..view(Status::Working) }, &owing, 10), Action::SendLogs);
    assert!(waits(&act(&view(Status::Working), &owing, 10)), "a node that lags shows another worker, or none");
    // A reorganisation gave the attempt to another.
    let others = View { worker: OTHER, ..view(Status::Settled) };
    let stands = Local { final_since: Some(1), finality_blocks: 1, ..owing.clone() };
    assert_eq!(act(&others, &stands, 10), Action::Done, "nobody waits for our logs");
    let nobodys = View { worker: Address::ZERO, ..view(Status::Cancelled) };
    assert_eq!(act(&nobodys, &stands, 10), Action::SendLogs, "an ended attempt may have lost its worker on the way");
}

#[test]
fn seals_are_opened_by_their_owners() {
    assert_eq!(act(&as_worker(Status::Revealing), &local(), 10), Action::Reveal);
    let late = View { vote_round: 1, ..as_verifier(Status::Opening) };
    assert_eq!(act(&late, &local(), 10), Action::OpenLate);
    assert!(waits(&act(&as_verifier(Status::Revealing), &local(), 10)));
    assert_eq!(act(&as_verifier(Status::Opening), &local(), 10), Action::OpenVerification);
    let mut opened = as_verifier(Status::Opening);
    opened.slots[0].opened = true;
    assert_eq!(act(&opened, &local(), 10), Action::Decide, "all are open, and nobody has counted");
    assert_eq!(act(&View { worker: ME, ..opened.clone() }, &local(), 10), Action::Decide);
    opened.slots.push(slot(OTHER, 5));
    assert!(waits(&act(&opened, &local(), 10)));
    assert!(waits(&act(&as_worker(Status::Opening), &local(), 10)));
}

#[test]
fn after_the_end_the_own_share_is_collected_and_the_ending_must_stand() {
    for status in [Status::Settled, Status::Cancelled] {
        let view = as_worker(status);
        assert_eq!(act(&view, &Local { payable: true, ..local() }, 10), Action::Redeem);
        assert!(waits(&act(&view, &Local { final_since: Some(96), ..local() }, 10)));
        assert_eq!(act(&view, &Local { final_since: Some(95), ..local() }, 10), Action::Done);
        assert_eq!(act(&view, &Local { took_part: false, payable: true, ..local() }, 10), Action::Done);
    }
}

#[test]
fn every_party_expires_every_late_state_and_strangers_none() {
    for status in Status::ALL.iter().copied().filter(|status| !status.is_final()) {
        let worker = act(&as_worker(status), &local(), 1_001);
        let verifier = act(&as_verifier(status), &local(), 1_001);
        if status == Status::Open {
            assert!(waits(&worker) && waits(&verifier));
        } else {
            assert_eq!(worker, Action::Expire, "{status}");
            assert_eq!(verifier, Action::Expire, "{status}");
        }
        assert_ne!(act(&view(status), &local(), 1_001), Action::Expire, "{status}");
        let candidate = act(&view(status), &local(), 1_006);
        assert_eq!(candidate == Action::Expire, status == Status::Working, "{status}: {candidate:?}");
        assert_ne!(
            act(&as_worker(status), &local(), 1_000),
            Action::Expire,
            "{status}: the deadline itself is in time"
        );
    }
}

mod ahead;
mod rounds;
mod unproven;

#[test]
fn work_that_was_taken_by_an_offer_is_prepared_before_anything_else() {
    let taken = |status| View { worker: ME, ..view(status) };
    let local = Local { preparation: Preparation::Open, ..local() };
    for status in [Status::Keying, Status::Working] {
        assert_eq!(next_action(&taken(status), &local, ME, at(10)), Action::Prepare);
    }
    let refused = Local { preparation: Preparation::Refused, work: Work::Impossible, ..local };
    assert_eq!(next_action(&taken(Status::Working), &refused, ME, at(10)), Action::Abort, "its stake is in it");
}
