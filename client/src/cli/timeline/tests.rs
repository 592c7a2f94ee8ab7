#![allow(clippy::unwrap_used)]
use super::*;
use crate::agreements::{Details, SlotStanding};
use crate::events::{Progress, Seen};
use crate::fixture::{self, CLIENT};
use crate::settlement::TxCost;
use crate::timeline::Rules;
use alloy::primitives::B256;
use jiff::tz::TimeZone;
use sunwork_protocol::status::{Ending, RoundKind, Status};
use sunwork_protocol::terms::ComputeTerms;

const WORKER: Address = Address::repeat_byte(0x77);
const NOW: u64 = 1_772_374_000;

fn situation(status: Status) -> Situation {
    let sample = fixture::purchase();
    let terms = ComputeTerms { reward_min: 1, reward_max: 2_000_000_000, flags: 1, ..sample.terms.clone() };
    let address = Address::repeat_byte(0xab);
    let purchase = Purchase { address, budget: 2_310_000_000, terms, time: NOW - 300, ..sample };
    let standing = Standing {
        status,
        ending: Ending::None,
        attempt: 0,
        worker: (status != Status::Open).then_some(WORKER),
        reward: 1_500_000_000,
        deadline: NOW + 180,
        closes_at: 0,
        strikes: 0,
        vote_round: 0,
        round_kind: RoundKind::First,
        wanted: 3,
        disputed_leaves: Vec::new(),
        verifiers: Vec::new(),
    };
    let accepted = Progress::Accepted { worker: WORKER, attempt: 0, reward: 1_500_000_000, locked: 3_000_000_000 };
    let events = vec![Seen { progress: accepted, block: 6, time: NOW - 240, tx: B256::repeat_byte(2) }];
    Situation {
        details: Details { purchase, standing, events: if status == Status::Open { Vec::new() } else { events } },
        rules: Rules { max_attempts: 3, max_strikes: 4, vanish_bps: 1000, seed_tip: 10_000_000 },
        key_agent: Some(Address::repeat_byte(0xa9)),
        viewer: Some(CLIENT),
        escrow: 2_310_000_000,
        paid: 0,
        owed: 0,
        disputed: Vec::new(),
        bond: None,
        bond_text: None,
        transactions: vec![TxCost {
            name: "buyContract".into(),
            tx: B256::repeat_byte(1),
            block: 5,
            time: NOW - 300,
            sender: CLIENT,
            gas: 200_000,
            gas_price_wei: 1_000_000_000,
            ok: true,
        }],
        now: NOW,
    }
}

fn page(situation: &Situation, width: usize) -> String {
    let clock = Clock::new(TimeZone::UTC, situation.now);
    let class = "linux/amd64+docker".to_owned();
    Page { situation, settlement: None, class, unit: &Unit::sun(), clock: &clock, width }.render()
}

#[test]
fn an_open_agreement_at_80_columns() {
    let text = page(&situation(Status::Open), 80);
    assert_eq!(
        text,
        "\
agreement  0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB
status     Open
work       16 leaves on linux/amd64+docker, confidential; 3 verifiers check 5
           each
image
  archive for linux/amd64,
  sha256:0707070707070707070707070707070707070707070707070707070707070707
client     you, 0xc1c1C1C1c1c1C1C1C1c1c1C1c1C1C1c1C1c1c1c1
key agent  0xa9A9a9A9a9A9A9A9A9a9a9a9A9A9a9A9A9a9A9a9

Timeline
  2026-03-01 14:01:40, 5 min ago
    bought by you for at most 2.31 SUN
    tx 0x0101010101010101010101010101010101010101010101010101010101010101

Now
  waits for a worker to accept, until 14:09 (in 3 min); if nobody does,
  everything is refunded.

Money
costs at most  2.31 SUN (fixed on chain)
paid so far    0 SUN
still held     2.31 SUN
comes back     0 SUN if verified, 2.31 SUN if it fails
your gas       0.0002 ETH in 1 transaction

Next
  add to the reward (anybody may):
    sunwork add 0xABaBaBaB AMOUNT
  withdraw it while nobody has accepted, for the full refund:
    sunwork cancel 0xABaBaBaB
  follow it:
    sunwork status 0xABaBaBaB --follow
"
        .replace("0xc1c1C1C1c1c1C1C1C1c1c1C1c1C1C1c1C1c1c1c1", &CLIENT.to_string())
        .replace("0xa9A9a9A9a9A9A9A9A9a9a9a9A9A9a9A9A9a9A9a9", &Address::repeat_byte(0xa9).to_string())
        .replace("0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB", &Address::repeat_byte(0xab).to_string())
        .replace("0xABaBaBaB", &Address::repeat_byte(0xab).to_string()[..10])
    );
}

#[test]
fn at_40_columns_only_ids_are_longer_and_they_stay_whole() {
    for status in Status::ALL.iter().copied() {
        let situation = situation(status);
        let text = page(&situation, 40);
        for line in text.lines().filter(|line| line.chars().count() > 40) {
            let word = line.trim();
            assert!(
                !word.contains(' ') && (word.starts_with("0x") || word.starts_with("sha256:")),
                "{status}: {line:?}"
            );
        }
        for id in [situation.details.purchase.address.to_string(), situation.details.purchase.tx.to_string()] {
            assert!(text.contains(&id), "{status}: {id} is cut");
        }
    }
}

#[test]
fn the_sentence_about_now_has_time_condition_and_consequence() {
    let mut situation = situation(Status::Open);
    let say = |situation: &Situation| now(&situation.outlook(), &Clock::new(TimeZone::UTC, situation.now));
    assert_eq!(
        say(&situation),
        "waits for a worker to accept, until 14:09 (in 3 min); if nobody does, everything is refunded."
    );
    situation.now = NOW + 240;
    assert_eq!(
        say(&situation),
        "waits for a worker to accept, but the time for that ended at 14:09 (60 s ago). As soon as somebody moves it on, \
         everything is refunded."
    );
    situation.details.standing.status = Status::Cancelled;
    situation.details.standing.ending = Ending::NoWorker;
    assert_eq!(say(&situation), "no worker accepted in time; everything was refunded to you.");
}

/// Two verifiers that sealed and did not open, and the status changes before this ending.
fn ended(ending: Ending, statuses: &[Status]) -> Situation {
    let mut situation = situation(if ending == Ending::Verified { Status::Settled } else { Status::Cancelled });
    let slot = |byte| SlotStanding {
        verifier: Address::repeat_byte(byte),
        sealed: true,
        opened: false,
        dissent: 0,
        vote_round: 0,
    };
    situation.details.standing.ending = ending;
    situation.details.standing.verifiers = vec![slot(0x11), slot(0x22)];
    situation.details.events.extend(statuses.iter().map(|status| Seen {
        progress: Progress::StatusChanged { status: *status, attempt: 0, deadline: 0 },
        block: 7,
        time: NOW - 10,
        tx: B256::repeat_byte(3),
    }));
    situation
}

#[test]
fn verifiers_whose_seals_the_worker_opened_for_all_agree() {
    let text = page(&ended(Ending::Verified, &[Status::Verifying, Status::Revealing, Status::Settled]), 80);
    let (a, b) = (Address::repeat_byte(0x11), Address::repeat_byte(0x22));
    assert!(text.contains(&format!("{a} agrees\n")) && text.contains(&format!("{b} agrees\n")), "{text}");
}

#[test]
fn who_stayed_silent_or_had_no_result_to_open_for_does_not_agree() {
    let mut silent = ended(Ending::Verified, &[Status::Revealing, Status::Opening, Status::Settled]);
    silent.details.standing.verifiers[0].opened = true;
    let text = page(&silent, 80);
    let (a, b) = (Address::repeat_byte(0x11), Address::repeat_byte(0x22));
    assert!(text.contains(&format!("{a} agrees\n")), "{text}");
    assert!(text.contains(&format!("{b} did not open its seal\n")), "{text}");
    let mut cancelled = ended(Ending::WorkerSilent, &[Status::Revealing, Status::Cancelled]);
    cancelled.details.standing.verifiers[1].sealed = false;
    let text = page(&cancelled, 80);
    assert!(text.contains(&format!("{a} has sealed\n")) && text.contains(&format!("{b} had not sealed\n")), "{text}");
}

#[test]
fn transactions_that_come_after_the_end_are_told_apart() {
    let situation = ended(Ending::Verified, &[Status::Settled]);
    let sent = |name: &str, gas| TxCost { name: name.into(), gas, ..situation.transactions[0].clone() };
    let mut settlement = Settlement {
        agreement: situation.details.purchase.address,
        client: CLIENT,
        status: Status::Settled,
        ending: Ending::Verified,
        budget: 5,
        funded: Default::default(),
        paid: Default::default(),
        held: 0,
        burned: 0,
        stakes: Vec::new(),
        transactions: vec![sent("buyContract", 200_000), sent("settleAll", 100_000)],
        includes_reverted: true,
    };
    assert_eq!(gas_of_all(&settlement), "300000 in 2 transactions of all parties so far");
    settlement.transactions.push(sent("redeemPayment", 50_000));
    let one = "350000 in 3 transactions of all parties so far; 1 of them only fetches what was paid";
    assert_eq!(gas_of_all(&settlement), one);
    settlement.transactions.push(sent("redeemPayment", 50_000));
    let two = "400000 in 4 transactions of all parties so far; 2 of them only fetch what was paid";
    assert_eq!(gas_of_all(&settlement), two);
}
