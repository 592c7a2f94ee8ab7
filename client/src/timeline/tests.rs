#![allow(clippy::unwrap_used)]
use super::*;
use crate::agreements::SlotStanding;
use crate::agreements::Standing;
use crate::amount::Unit;
use crate::events::{Progress, Seen};
use crate::fixture::{CLIENT, purchase};
use crate::settlement::TxCost;
use alloy::primitives::{Address, B256};
use sunwork_protocol::status::{Ending, RoundKind, Status};

const WORKER: Address = Address::repeat_byte(0x77);
const AGENT: Address = Address::repeat_byte(0xa9);
const RULES: Rules = Rules { max_attempts: 3, max_strikes: 4, vanish_bps: 1000, seed_tip: 10_000_000 };

fn standing(status: Status, ending: Ending) -> Standing {
    Standing {
        status,
        ending,
        attempt: 0,
        worker: (status != Status::Open).then_some(WORKER),
        reward: 700_000_000,
        deadline: if status.is_final() { 0 } else { 2000 },
        closes_at: 0,
        strikes: 0,
        vote_round: 0,
        round_kind: RoundKind::First,
        wanted: 3,
        disputed_leaves: Vec::new(),
        verifiers: Vec::new(),
    }
}

fn slots(sealed: usize, opened: usize, all: usize) -> Vec<SlotStanding> {
    let slot = |i: usize| SlotStanding {
        verifier: Address::repeat_byte(0x30 + i as u8),
        sealed: i < sealed,
        opened: i < opened,
        dissent: 0,
        vote_round: 0,
    };
    (0..all).map(slot).collect()
}

fn look(standing: &Standing, viewer: Option<Address>, key_agent: Option<Address>, now: u64) -> Outlook {
    let purchase = purchase();
    let bond = (standing.status == Status::Disputable).then_some("7 SUN");
    outlook(&View {
        purchase: &purchase,
        standing,
        rules: &RULES,
        key_agent,
        viewer,
        owed: 5,
        disputed: &[],
        bond,
        now,
    })
}

/// "waits for …|if nobody does|everything is refunded"
fn said(standing: &Standing, viewer: Option<Address>) -> String {
    let seen = look(standing, viewer, None, 1500);
    format!("{}|{}|{}", seen.waits_for, seen.condition, seen.consequence)
}

#[test]
fn every_status_says_what_it_waits_for_and_what_happens_then() {
    let of = |status| standing(status, Ending::None);
    let with = |status, verifiers| Standing { verifiers, ..of(status) };
    let table = [
        (of(Status::Open), "waits for a worker to accept|if nobody does|everything is refunded".to_owned()),
        (
            Standing { attempt: 1, worker: None, ..of(Status::Open) },
            "waits for another worker to accept (attempt 2 of at most 3)|if nobody does|everything is refunded".to_owned(),
        ),
        (
            of(Status::Keying),
            "waits for the session key from this wallet (you have set no key agent)|if no key comes|everything is refunded \
             and the worker is free again"
                .to_owned(),
        ),
        (
            of(Status::Working),
            format!(
                "waits for the worker {WORKER} to compute 16 leaves and seal the result|if it does not|it loses 10 % of the \
                 locked stake and the work is offered again (attempt 2 of at most 3)"
            ),
        ),
        (
            Standing { attempt: 2, ..of(Status::Working) },
            format!(
                "waits for the worker {WORKER} to compute 16 leaves and seal the result|if it does not|it loses 10 % of the \
                 locked stake and everything is refunded, since no attempt is left"
            ),
        ),
        (
            of(Status::Sealed),
            "waits for the chain to draw the verifiers|if nobody opens the draw|everything is refunded".to_owned(),
        ),
        (
            with(Status::Drawing, slots(0, 0, 1)),
            "waits for verifiers to claim their slots (1 of 3 so far)|if too few do|everything but the draw's tip is refunded"
                .to_owned(),
        ),
        (
            Standing { closes_at: 1600, ..with(Status::Drawing, slots(0, 0, 3)) },
            "waits for the claim window to close: all 3 slots are claimed, a lower ticket may still take one||the drawn \
             verifiers compute"
                .to_owned(),
        ),
        (
            with(Status::Verifying, slots(1, 0, 3)),
            "waits for the drawn verifiers to compute and seal (1 of 3 have)|if some do not|they lose 10 % of their locked \
             stake and their slots are drawn again"
                .to_owned(),
        ),
        (
            Standing { strikes: 2, ..with(Status::Verifying, slots(1, 0, 3)) },
            "waits for the drawn verifiers to compute and seal (1 of 3 have)|if some do not|they lose 10 % of their locked \
             stake and everything but the draw's tip is refunded"
                .to_owned(),
        ),
        (
            with(Status::Revealing, slots(3, 0, 3)),
            format!(
                "waits for the worker {WORKER} to open its seal|if it does not|it loses the whole locked stake and \
                 everything but the draw's tip is refunded"
            ),
        ),
        (
            with(Status::Opening, slots(3, 2, 3)),
            "waits for the verifiers to open their seals (2 of 3 have)|if some do not|they lose their locked stake and the \
             opened votes decide"
                .to_owned(),
        ),
        (
            with(Status::Disputable, slots(3, 3, 3)),
            "the verifiers agree, and the result is open for disputes: anybody may dispute a leaf, at a bond of 7 SUN|if nobody \
             does|the worker is paid"
                .to_owned(),
        ),
    ];
    for (standing, expected) in &table {
        assert_eq!(&said(standing, Some(CLIENT)), expected);
        let seen = look(standing, Some(CLIENT), None, 1500);
        let until = if standing.closes_at == 0 { standing.deadline } else { standing.closes_at };
        assert_eq!((seen.until, seen.overdue), (Some(until), false), "{expected}");
        assert!(seen.next.iter().any(|step| step.command.contains("--follow")), "{expected}");
    }
    for status in Status::ALL.iter().filter(|status| !status.is_final()) {
        assert!(table.iter().any(|(standing, _)| standing.status == *status), "{status} has no line in the table");
    }
}

/// A later round: three verifiers of the first one have opened, the second of them dissents; more are drawn.
fn later(status: Status, kind: RoundKind, leaves: &[u32], fresh: usize) -> Standing {
    let mut verifiers = slots(3, 3, 3);
    if kind == RoundKind::Leaves {
        verifiers[1].dissent = 0b10;
    }
    let new = |i: usize| SlotStanding {
        verifier: Address::repeat_byte(0x50 + i as u8),
        sealed: false,
        opened: false,
        dissent: 0,
        vote_round: 1,
    };
    verifiers.extend((0..fresh).map(new));
    let wanted = if kind == RoundKind::Leaves { 4 } else { 1 };
    Standing {
        vote_round: 1,
        round_kind: kind,
        wanted,
        disputed_leaves: leaves.to_vec(),
        verifiers,
        ..standing(status, Ending::None)
    }
}

#[test]
fn later_rounds_say_why_there_are_more_verifiers() {
    use RoundKind::{Audit, Leaves};
    for (standing, expected) in [
        (
            later(Status::Sealed, Leaves, &[5], 0),
            "verifiers disagree on leaf 5: 4 more verifiers compute it: waits for the chain to draw 4 more verifiers|if nobody \
             opens the draw|the votes so far decide",
        ),
        (
            later(Status::Drawing, Leaves, &[1, 5, 7], 0),
            "verifiers disagree on leaves 1, 5 and 7: 4 more verifiers compute them: waits for verifiers to claim their slots (0 of \
             4 so far)|if too few do|the votes so far decide",
        ),
        (
            later(Status::Drawing, Leaves, &[5], 2),
            "verifiers disagree on leaf 5: 4 more verifiers compute it: waits for verifiers to claim their slots (2 of 4 so \
             far)|if too few do|those that have claimed go on without the others",
        ),
        (
            later(Status::Verifying, Audit, &[], 1),
            "late audit, drawn by lot after all agreed: waits for the drawn verifiers to compute and seal (0 of 1 have)|if some do \
             not|they lose 10 % of their locked stake and their slots are drawn again",
        ),
        (
            Standing { strikes: 3, ..later(Status::Verifying, Audit, &[], 1) },
            "late audit, drawn by lot after all agreed: waits for the drawn verifiers to compute and seal (0 of 1 have)|if some do \
             not|they lose 10 % of their locked stake and the vote goes on without them",
        ),
        (
            later(Status::Opening, Leaves, &[5], 4),
            "verifiers disagree on leaf 5: 4 more verifiers compute it: waits for the verifiers to open their seals (0 of 4 \
             have)|if some do not|they lose their locked stake and the opened votes decide",
        ),
    ] {
        assert_eq!(said(&standing, Some(CLIENT)), expected);
        let seen = look(&standing, Some(CLIENT), None, 1500);
        assert!(seen.next.iter().any(|step| step.command.starts_with("sunwork results")), "the result is open");
    }
    let mut disputed = later(Status::Sealed, Leaves, &[2], 0);
    disputed.verifiers[1].dissent = 0;
    assert!(said(&disputed, None).starts_with("leaf 2 is disputed: 4 more verifiers compute it"));
}

#[test]
fn an_open_result_says_who_may_do_what() {
    let open = Standing { verifiers: slots(3, 3, 3), ..standing(Status::Disputable, Ending::None) };
    let commands = |level: u8, standing: &Standing, viewer, disputed: &[u32]| {
        let mut purchase = purchase();
        purchase.terms.trust_level = level;
        let bond = Some("0.3 SUN");
        let view = View {
            purchase: &purchase,
            standing,
            rules: &RULES,
            key_agent: None,
            viewer,
            owed: 0,
            disputed,
            bond,
            now: 1500,
        };
        let seen = outlook(&view);
        let verbs: Vec<String> = seen
            .next
            .iter()
            .map(|step| step.command.split_whitespace().nth(1).unwrap_or_default().to_owned())
            .collect();
        (format!("{}|{}|{}", seen.waits_for, seen.condition, seen.consequence), verbs.join(" "))
    };
    let (words, verbs) = commands(1, &open, Some(CLIENT), &[]);
    assert!(words.contains("at a bond of 0.3 SUN|if nobody does|the worker is paid"), "{words}");
    assert_eq!(verbs, "results accept dispute status");
    assert_eq!(commands(1, &open, None, &[]).1, "results dispute status");
    let (words, verbs) = commands(1, &open, Some(CLIENT), &[5]);
    assert_eq!(words, "leaf 5 is disputed: waits for the time for disputes to end||4 more verifiers compute leaf 5");
    assert_eq!(verbs, "results dispute status");
    let level_0 = standing(Status::Disputable, Ending::None);
    let (words, verbs) = commands(0, &level_0, Some(CLIENT), &[]);
    assert_eq!(
        words,
        "the result is here, and nobody has checked it: waits for you to accept or reject it, at a bond of 0.3 SUN|if you do \
         neither|the worker is paid"
    );
    assert_eq!(verbs, "results accept reject status");
    assert_eq!(commands(0, &level_0, None, &[]).1, "results status");
    let paid = standing(Status::Settled, Ending::Verified);
    assert!(
        commands(0, &paid, Some(CLIENT), &[]).0.starts_with("you accepted the result or stayed silent: it is paid")
    );
}

#[test]
fn rounds_disputes_and_additions_are_told() {
    let name = |_: Address| "X".to_owned();
    let say = |progress| {
        let seen = Seen { progress, block: 1, time: 1000, tx: B256::ZERO };
        describe(&seen, &Unit::sun(), None, &name)
    };
    let round = |kind, wanted, leaves| Progress::RoundOpened { vote_round: 1, kind, wanted, leaves, round: 9 };
    for (progress, words) in [
        (round(RoundKind::Leaves, 3, vec![5]), "no agreement on leaf 5: 3 more verifiers compute it"),
        (round(RoundKind::Leaves, 3, vec![5, 6]), "no agreement on leaves 5 and 6: 3 more verifiers compute them"),
        (round(RoundKind::Audit, 1, vec![]), "late audit: 1 more verifier computes sampled leaves of the open result"),
        (
            Progress::Disputed { by: CLIENT, leaf: 5, bond: 2_500_000_000 },
            "leaf 5 disputed by X, with a bond of 2.5 SUN",
        ),
        (
            Progress::Contributed { payer: CLIENT, amount: 1_000_000_000, total: 3_000_000_000 },
            "X added 1 SUN to the reward, 3 SUN in all",
        ),
        (
            Progress::ContributionRefunded { payer: CLIENT, amount: 1 },
            "X got 0.000000001 SUN back of what it had added",
        ),
        (Progress::Delivered { leaf: 2, ok: true }, "leaf 2 delivered to the contract"),
        (Progress::Delivered { leaf: 2, ok: false }, "the contract did not take leaf 2; it can be delivered again"),
        (
            Progress::StatusChanged { status: Status::Disputable, attempt: 0, deadline: 4600 },
            "open for disputes for 60 min",
        ),
    ] {
        assert_eq!(say(progress).1, words);
    }
}

#[test]
fn what_comes_back_is_the_settlement_foretold() {
    let purchase = purchase();
    let back = |standing: &Standing, level: u8, escrow: u128| {
        let mut purchase = purchase.clone();
        purchase.terms.trust_level = level;
        let view = View {
            purchase: &purchase,
            standing,
            rules: &RULES,
            key_agent: None,
            viewer: None,
            owed: 0,
            disputed: &[],
            bond: None,
            now: 0,
        };
        cost_so_far(&view, escrow, 0, &[]).back_if_verified
    };
    // Reward 0.7, three fees of 0.1; the fee reserved for an audit comes back.
    let verifying = standing(Status::Verifying, Ending::None);
    assert_eq!(back(&verifying, 1, 1_400_000_000), 400_000_000);
    // In an audit it is spent on a fourth voter.
    assert_eq!(back(&later(Status::Verifying, RoundKind::Audit, &[], 1), 1, 1_400_000_000), 300_000_000);
    // Level 0 pays no verifiers and no tip.
    assert_eq!(back(&standing(Status::Disputable, Ending::None), 0, 710_000_000), 10_000_000);
}

#[test]
fn every_ending_says_why_and_what_came_back() {
    for ending in Ending::ALL.iter().copied().filter(|ending| *ending != Ending::None) {
        let settled = matches!(ending, Ending::Verified | Ending::Refuted | Ending::Undecided);
        let status = if settled { Status::Settled } else { Status::Cancelled };
        let standing = standing(status, ending);
        let mine = look(&standing, Some(CLIENT), None, 9000);
        assert_eq!((mine.until, mine.overdue, mine.condition.as_str()), (None, false, ""), "{ending}");
        assert_eq!(mine.waits_for.contains("refunded to you"), !settled, "{ending}: {}", mine.waits_for);
        assert_eq!(mine.next.iter().any(|step| step.command.starts_with("sunwork results")), settled, "{ending}");
        assert!(mine.next.iter().any(|step| step.command == "sunwork wallet withdraw"), "{ending}");
        let theirs = look(&standing, None, None, 9000);
        assert!(!theirs.waits_for.contains("you"), "{ending}: {}", theirs.waits_for);
        assert!(!theirs.next.iter().any(|step| step.command.contains("withdraw")), "{ending}");
    }
    let paid_out = standing(Status::Cancelled, Ending::NoWorker);
    let purchase = purchase();
    let view = View {
        purchase: &purchase,
        standing: &paid_out,
        rules: &RULES,
        key_agent: None,
        viewer: Some(CLIENT),
        owed: 0,
        disputed: &[],
        bond: None,
        now: 1,
    };
    assert!(!outlook(&view).next.iter().any(|step| step.command.contains("withdraw")), "nothing is owed any more");
    let said = |ending| look(&standing(Status::Cancelled, ending), Some(CLIENT), None, 9000).waits_for;
    assert_eq!(said(Ending::NoWorker), "no worker accepted in time; everything was refunded to you");
    assert_eq!(
        said(Ending::TooFewVerifiers),
        "too few verifiers claimed a slot; everything but the draw's tip was refunded to you"
    );
}

#[test]
fn the_key_agent_is_named_and_readers_are_called_you() {
    let keying = standing(Status::Keying, Ending::None);
    let waits = |viewer, agent| look(&keying, viewer, agent, 1500).waits_for;
    assert_eq!(
        waits(Some(CLIENT), Some(AGENT)),
        format!("waits for the session key, from this wallet or from your key agent {AGENT}")
    );
    assert_eq!(
        waits(Some(AGENT), Some(AGENT)),
        "waits for the session key, from the client or from you, its key agent"
    );
    assert_eq!(
        waits(None, Some(AGENT)),
        format!("waits for the session key, from the client or its key agent {AGENT}")
    );
    assert_eq!(waits(None, None), "waits for the session key from the client (it has set no key agent)");
    let working = said(&standing(Status::Working, Ending::None), Some(WORKER));
    assert!(
        working.starts_with("waits for you, the worker, to compute 16 leaves")
            && working.contains("|if you do not|you lose")
    );
    let verifying = Standing { verifiers: slots(1, 0, 3), ..standing(Status::Verifying, Ending::None) };
    assert!(said(&verifying, Some(Address::repeat_byte(0x31))).starts_with("waits for your seal and those"));
}

#[test]
fn after_its_deadline_anybody_may_move_it_on() {
    for status in Status::ALL.iter().copied().filter(|status| !status.is_final()) {
        let late = Standing { verifiers: slots(1, 1, 3), ..standing(status, Ending::None) };
        assert!(!look(&late, None, None, 2000).overdue, "{status}: the last second still counts");
        let seen = look(&late, None, None, 2001);
        assert!(seen.overdue && seen.next[0].command.starts_with("sunwork expire 0x"), "{status}");
    }
    let closing = Standing { closes_at: 1600, ..standing(Status::Drawing, Ending::None) };
    assert!(!look(&closing, None, None, 1700).overdue, "a claim window closes by itself");
}

#[test]
fn costs_say_what_can_still_come_back() {
    let purchase = purchase();
    let cost = |gas, sender, tx| TxCost {
        name: "buyContract".into(),
        tx,
        block: 1,
        time: 1,
        sender,
        gas,
        gas_price_wei: 10,
        ok: true,
    };
    let costs = [cost(5, CLIENT, B256::repeat_byte(1)), cost(100, WORKER, B256::repeat_byte(2))];
    let so_far = |standing: &Standing, escrow, paid| {
        let view = View {
            purchase: &purchase,
            standing,
            rules: &RULES,
            key_agent: None,
            viewer: Some(CLIENT),
            owed: 0,
            disputed: &[],
            bond: None,
            now: 0,
        };
        cost_so_far(&view, escrow, paid, &costs)
    };
    let open = so_far(&standing(Status::Open, Ending::None), 1_310_000_000, 0);
    assert_eq!((open.cap, open.back_if_verified, open.back_if_cancelled), (1_310_000_000, 0, 1_310_000_000));
    assert_eq!((open.own_gas_wei, open.own_transactions), (50, 1));
    let verifying = so_far(&standing(Status::Verifying, Ending::None), 1_300_000_000, 10_000_000);
    assert_eq!((verifying.paid, verifying.back_if_verified), (10_000_000, 300_000_000));
}

#[test]
fn history_names_who_did_what() {
    let purchase = purchase();
    let tx = |i: u8| B256::repeat_byte(i);
    let seen = |progress, i: u8| Seen { progress, block: u64::from(i), time: 1000 + u64::from(i), tx: tx(i) };
    let cost = |name: &str, i, sender| TxCost {
        name: name.into(),
        tx: tx(i),
        block: 1,
        time: 1,
        sender,
        gas: 1,
        gas_price_wei: 1,
        ok: true,
    };
    let events = [
        seen(Progress::StatusChanged { status: Status::Working, attempt: 0, deadline: 9 }, 2),
        seen(Progress::KeyPosted { attempt: 0 }, 3),
        seen(Progress::WorkerLeft { worker: WORKER, attempt: 0, slashed: 5_000_000_000 }, 4),
        seen(Progress::VerifierLeft { verifier: WORKER, reason: 6, slashed: 0 }, 5),
    ];
    let costs = [cost("postKey", 3, AGENT), cost("expire", 4, CLIENT)];
    let name = |address| match address {
        CLIENT => "you".to_owned(),
        AGENT => "the agent".to_owned(),
        _ => "W".to_owned(),
    };
    let told = history(&purchase, &events, &costs, &Unit::sun(), &name);
    let words: Vec<&str> = told.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(
        words,
        [
            "bought by you for at most 1.31 SUN",
            "session key posted by the agent",
            "worker W missed its deadline, loses 5 SUN; moved on by you",
            "verifier W left: it got no session key",
        ]
    );
    assert_eq!((told[1].by, told[1].tx, told[2].mood), (Some(AGENT), tx(3), Mood::Bad));
}
