use alloy::primitives::{Address, Bytes};

use super::*;

fn who(n: u8) -> Account {
    Account(Address::repeat_byte(n))
}

fn placed(events: Vec<Event>) -> Vec<PlacedEvent> {
    let place = |(i, event): (usize, Event)| PlacedEvent {
        block: 10 + i as u64 / 3,
        block_hash: B256::ZERO,
        time: 1000 + i as u64 / 3,
        log_index: i as u64 % 3,
        tx: B256::repeat_byte(i as u8),
        address: who(1),
        agreement: Some(who(1)),
        worker: None,
        client: None,
        meter: None,
        event,
    };
    events.into_iter().enumerate().map(place).collect()
}

fn bought() -> Event {
    let terms = ComputeTerms {
        reward_min: 5,
        reward_max: 9,
        verifier_fee: 2,
        samples: 3,
        accept_secs: 60,
        work_secs: 100,
        verify_secs: 50,
        dispute_secs: 40,
        ..sunwork_protocol::testing::terms()
    };
    Event::AgreementBought {
        agreement: who(1),
        client: who(2),
        class_id: 0,
        kind_id: 0,
        budget: Amount(13),
        terms: Bytes::from(terms.pack().unwrap()),
        spec: Bytes::from_static(b"spec"),
    }
}

fn status(status: Status, attempt: u8, deadline: u64) -> Event {
    Event::StatusChanged { status: status as u8, attempt, deadline }
}

fn accepted(worker: u8, attempt: u8) -> Event {
    Event::Accepted { worker: who(worker), attempt, reward: Amount(7), locked: Amount(70) }
}

fn claimed(verifier: u8, displaced: Account) -> Event {
    Event::Claimed { verifier: who(verifier), ticket: Amount(u128::from(verifier)), displaced }
}

/// A second attempt after the first worker aborted, a displaced and a vanished verifier, and a settlement.
fn story() -> Vec<PlacedEvent> {
    placed(vec![
        bought(),
        accepted(3, 0),
        status(Status::Working, 0, 1200),
        Event::WorkerLeft { worker: who(3), attempt: 0, slashed: Amount(1) },
        status(Status::Open, 1, 1300),
        accepted(4, 1),
        status(Status::Working, 1, 1400),
        Event::Sealed {
            worker: who(4),
            attempt: 1,
            seal: B256::repeat_byte(1),
            ciphertext_root: B256::repeat_byte(2),
            result_blob: B256::repeat_byte(3),
            round: 17,
            location: Bytes::from_static(b"https://a.example\x1b[2J"),
        },
        status(Status::Sealed, 1, 1500),
        claimed(5, Account::default()),
        claimed(6, Account::default()),
        claimed(7, who(5)),
        Event::VerifierLeft { verifier: who(7), reason: 1, slashed: Amount(0) },
        claimed(8, Account::default()),
        Event::VerifierSealed { verifier: who(6), seal: B256::repeat_byte(9) },
        Event::VerifierSealed { verifier: who(8), seal: B256::repeat_byte(9) },
        Event::Revealed {
            worker: who(4),
            root: B256::repeat_byte(4),
            salt: B256::repeat_byte(5),
            ciphertext_root: B256::repeat_byte(2),
            result_blob: B256::repeat_byte(3),
            leaves: vec![1, 2],
            digests: vec![],
        },
        Event::Opened { verifier: who(6), dissent: 0, digests: vec![] },
        Event::Opened { verifier: who(8), dissent: 0b10, digests: vec![] },
        Event::Paid { agreement: who(1), account: who(4), amount: Amount(7) },
        Event::Burned { agreement: who(1), amount: Amount(3) },
        Event::Burned { agreement: who(1), amount: Amount(4) },
        Event::Ended { ending: Ending::Verified as u8 },
        status(Status::Settled, 1, 0),
    ])
}

#[test]
fn terms_say_whether_only_positive_workers_may_take_part_and_older_folds_are_read() {
    let of = |flags: u8| {
        let terms = ComputeTerms { flags, ..sunwork_protocol::testing::terms() };
        let mut event = bought();
        if let Event::AgreementBought { terms: packed, .. } = &mut event {
            *packed = Bytes::from(terms.pack().unwrap());
        }
        let row = AgreementRow::fold(None, &placed(vec![event])).unwrap();
        serde_json::to_value(row).unwrap()
    };
    let green = of(sunwork_protocol::terms::FLAG_GREEN);
    assert_eq!((&green["terms"]["greenOnly"], &of(0)["terms"]["greenOnly"]), (&true.into(), &false.into()));
    let mut older = green;
    older["terms"].as_object_mut().unwrap().remove("greenOnly");
    let read: AgreementRow = serde_json::from_value(older).unwrap();
    assert!(!read.terms.unwrap().green_only);
}

#[test]
fn a_whole_life_is_told_by_its_events() {
    let row = AgreementRow::fold(None, &story()).unwrap();
    assert_eq!((row.status, row.ending, row.attempt, row.deadline), (Status::Settled, Ending::Verified, 1, 0));
    assert_eq!((row.worker, row.reward), (Some(who(4)), Some(Amount(7))));
    assert_eq!(row.former_workers, [FormerWorker { worker: who(3), attempt: 0, slashed: Amount(1) }]);
    assert_eq!(row.former_verifiers, [FormerVerifier { verifier: who(7), attempt: 1 }]);
    let slots: Vec<_> = row.verifiers.iter().map(|s| (s.verifier, s.sealed, s.opened, s.dissent)).collect();
    assert_eq!(slots, [(who(6), true, true, 0), (who(8), true, true, 2)]);
    let sealing = row.sealing.unwrap();
    assert_eq!((sealing.round, sealing.location.as_str()), (17, "https://a.example\u{fffd}[2J"));
    assert_eq!((row.rounds.len(), &row.rounds[0].verifiers), (1, &vec![who(6), who(8)]));
    assert_eq!(row.salt, Some(B256::repeat_byte(5)));
    assert_eq!((row.paid.len(), row.burned), (1, Amount(7)));
    assert_eq!(row.terms.unwrap().leaf_count, 16);
}

#[test]
fn folding_in_any_parts_gives_the_same() {
    let events = story();
    let whole = AgreementRow::fold(None, &events).unwrap();
    for cut in 1..events.len() {
        let half = AgreementRow::fold(None, &events[..cut]);
        // Through JSON, as the database does it.
        let stored = half.map(|row| serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap());
        assert_eq!(AgreementRow::fold(stored, &events[cut..]).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn an_agreement_is_open_from_the_purchase_on_whoever_speaks_first() {
    let silent = AgreementRow::fold(None, &placed(vec![bought()])).unwrap();
    assert_eq!((silent.status, silent.deadline), (Status::Open, 1060));
    let spoke = AgreementRow::fold(None, &placed(vec![status(Status::Open, 0, 1059), bought()])).unwrap();
    assert_eq!((spoke.status, spoke.deadline), (Status::Open, 1059));
    assert_eq!(AgreementRow::fold(None, &placed(vec![status(Status::Open, 0, 1)])), None);
}

#[test]
fn unknown_numbers_do_not_stop_the_fold() {
    let events = placed(vec![bought(), Event::StatusChanged { status: 200, attempt: 0, deadline: 5 }]);
    let row = AgreementRow::fold(None, &events).unwrap();
    assert_eq!((row.status, row.deadline), (Status::Open, 5));
}

/// The first round agrees but for one; V + 1 look at its leaf, somebody disputes another, and it settles.
fn long_story() -> Vec<PlacedEvent> {
    let opened = |verifier, dissent| Event::Opened { verifier: who(verifier), dissent, digests: vec![] };
    let round = |vote_round, kind: RoundKind, wanted, leaves: &[u32], beacon_round| Event::RoundOpened {
        vote_round,
        kind: kind as u8,
        wanted,
        leaves: leaves.to_vec(),
        beacon_round,
    };
    placed(vec![
        bought(),
        Event::OrderUsed { order_hash: B256::repeat_byte(8), client: who(2), agreement: who(1), index: 3 },
        Event::Contributed { payer: who(9), amount: Amount(4), total: Amount(4) },
        accepted(4, 0),
        status(Status::Working, 0, 1400),
        Event::Sealed {
            worker: who(4),
            attempt: 0,
            seal: B256::repeat_byte(1),
            ciphertext_root: B256::repeat_byte(2),
            result_blob: B256::repeat_byte(3),
            round: 17,
            location: Bytes::new(),
        },
        status(Status::Sealed, 0, 1500),
        Event::DrawOpened {
            attempt: 0,
            vote_round: 0,
            draw_seed: B256::repeat_byte(6),
            snapshot_epoch: 1,
            class_units: 9,
        },
        status(Status::Drawing, 0, 1550),
        claimed(5, Account::default()),
        claimed(6, Account::default()),
        opened(5, 0b1),
        opened(6, 0),
        round(1, RoundKind::Leaves, 3, &[4, 7], 20),
        status(Status::Sealed, 0, 1600),
        claimed(7, Account::default()),
        claimed(8, Account::default()),
        claimed(10, who(8)),
        opened(7, 0),
        opened(10, 0),
        status(Status::Disputable, 0, 1700),
        Event::Disputed { by: who(11), leaf: 2, bond: Amount(50) },
        round(2, RoundKind::Leaves, 3, &[2], 30),
        status(Status::Sealed, 0, 1800),
        Event::StakeReleased {
            worker: who(4),
            agreement: who(1),
            released: Amount(70),
            slashed: Amount(0),
            paid: Amount(7),
        },
        status(Status::Settled, 0, 0),
        Event::Ended { ending: Ending::Verified as u8 },
        Event::Delivered { leaf: 1, ok: false },
        Event::Delivered { leaf: 1, ok: true },
    ])
}

#[test]
fn rounds_disputes_and_deliveries_are_told() {
    let events = long_story();
    let row = AgreementRow::fold(None, &events).unwrap();
    let rounds: Vec<_> =
        row.rounds.iter().map(|r| (r.vote_round, r.kind, r.wanted, r.beacon_round, r.verifiers.clone())).collect();
    let leaves = RoundKind::Leaves;
    assert_eq!(
        rounds,
        [
            (0, RoundKind::First, 2, 17, vec![who(5), who(6)]),
            (1, leaves, 3, 20, vec![who(7), who(10)]),
            (2, leaves, 3, 30, vec![]),
        ]
    );
    assert_eq!((row.rounds[0].draw_seed, row.rounds[1].draw_seed), (Some(B256::repeat_byte(6)), None));
    assert_eq!((&row.rounds[1].leaves, &row.rounds[2].leaves), (&vec![4, 7], &vec![2]));
    assert_eq!(row.verifiers.iter().map(|slot| slot.vote_round).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(row.order.as_ref().map(|order| order.index), Some(3));
    assert_eq!((row.contributed, row.delivered.as_slice()), (Amount(4), &[1][..]));
    assert_eq!(row.disputes, [Dispute { by: who(11), leaf: 2, bond: Amount(50) }]);
    assert_eq!(row.paid, [Payment { account: who(4), amount: Amount(7) }]);
    // The round that is waited for is the present one's.
    let waited = |cut: usize| AgreementRow::fold(None, &events[..cut]).unwrap().beacon_round();
    assert_eq!([7, 9, 15, 20, 24].map(waited), [Some(17), None, Some(20), Some(20), Some(30)]);
    for cut in 1..events.len() {
        let half = AgreementRow::fold(None, &events[..cut]);
        let stored = half.map(|row| serde_json::from_str(&serde_json::to_string(&row).unwrap()).unwrap());
        assert_eq!(AgreementRow::fold(stored, &events[cut..]).unwrap(), row, "cut at {cut}");
    }
}

#[test]
fn a_settlement_in_one_transaction_opens_all_slots() {
    let before = |last| {
        let events = vec![
            bought(),
            accepted(4, 0),
            Event::Sealed {
                worker: who(4),
                attempt: 0,
                seal: B256::ZERO,
                ciphertext_root: B256::ZERO,
                result_blob: B256::ZERO,
                round: 17,
                location: Bytes::new(),
            },
            claimed(5, Account::default()),
            status(last, 0, 5),
            status(Status::Settled, 0, 0),
        ];
        AgreementRow::fold(None, &placed(events)).unwrap().verifiers[0].opened
    };
    assert!(before(Status::Revealing) && before(Status::Drawing));
    assert!(!before(Status::Opening), "who did not open in time did not open");
}

#[test]
fn an_opening_without_proof_is_marked_until_it_is_answered() {
    let unproven = Event::OpenedUnproven { verifier: who(5), digests: vec![B256::repeat_byte(1)] };
    let answered = Event::Opened { verifier: who(5), dissent: 1, digests: vec![] };
    let events = placed(vec![bought(), accepted(4, 0), claimed(5, Account::default()), unproven, answered]);
    let slot = |cut: usize| AgreementRow::fold(None, &events[..cut]).unwrap().verifiers[0].clone();
    let marks = |cut| (slot(cut).opened, slot(cut).unproven, slot(cut).dissent);
    assert_eq!((3..=5).map(marks).collect::<Vec<_>>(), [(false, false, 0), (true, true, 0), (true, false, 1)]);
}

#[test]
fn the_lot_of_the_audit_waits_from_the_last_seal_to_the_count() {
    let events = placed(vec![
        bought(),
        accepted(4, 0),
        Event::Sealed {
            worker: who(4),
            attempt: 0,
            seal: B256::ZERO,
            ciphertext_root: B256::ZERO,
            result_blob: B256::ZERO,
            round: 17,
            location: Bytes::new(),
        },
        status(Status::Drawing, 0, 5),
        claimed(5, Account::default()),
        Event::VerifierSealed { verifier: who(5), seal: B256::repeat_byte(1) },
        claimed(6, Account::default()),
        Event::VerifierSealed { verifier: who(6), seal: B256::repeat_byte(1) },
        status(Status::Opening, 0, 9),
        status(Status::Settled, 0, 0),
    ]);
    let lot = |cut: usize| AgreementRow::fold(None, &events[..cut]).unwrap().lot_since();
    assert_eq!((6..=10).map(lot).collect::<Vec<_>>(), [None, None, Some(1002), Some(1002), None]);
    // The relay records the round that the contract took then, where there are audits and while the openings last.
    let schedule = sunwork_protocol::drand::Schedule { genesis: 2, period_secs: 10, margin_secs: 5, stride_rounds: 1 };
    let opening = AgreementRow::fold(None, &events[..9]).unwrap();
    let waited = |audits, now| crate::beacon_relay::waited_round(&opening, &schedule, audits, now);
    assert_eq!((waited(true, 9), waited(true, 10), waited(false, 9)), (Some(schedule.next_round(1002)), None, None));
}

#[test]
fn a_result_handed_in_is_known_without_a_seal() {
    let revealed = Event::Revealed {
        worker: who(4),
        root: B256::repeat_byte(4),
        salt: B256::repeat_byte(5),
        ciphertext_root: B256::repeat_byte(2),
        result_blob: B256::repeat_byte(3),
        leaves: vec![],
        digests: vec![],
    };
    let row = AgreementRow::fold(None, &placed(vec![bought(), accepted(4, 0), revealed])).unwrap();
    assert_eq!((row.result_blob, row.sealing), (Some(B256::repeat_byte(3)), None));
}
