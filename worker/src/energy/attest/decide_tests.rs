//! Every state of the decision, and what a meter does that was killed, lost its key or its memory, or met a reorganisation.
use sunwork_protocol::energy::{DeviceKey, SignedRecord};

use super::*;
use crate::energy::attest::{
    book::{Beginning, BookFile, Owner},
    counts::tests::{DAY, MISSING, row, whole},
};

const WORKER: Address = Address::repeat_byte(7);
const OWNER: Owner = Owner { chain_id: 31_337, ledger: Address::repeat_byte(9), key: B256::repeat_byte(5) };

/// A meter that was registered on the day before `DAY`'s end, a book, a history, a clock.
struct Bench {
    ledger: Ledger,
    dir: tempfile::TempDir,
    file: BookFile,
    key: DeviceKey,
    rows: Vec<Row>,
    now: Option<UnixSeconds>,
    give_up: Option<u16>,
    sent: Vec<Record>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = BookFile::create(dir.path(), OWNER, Beginning::default()).unwrap();
        let ledger = Ledger {
            status: Status::Active,
            key: OWNER.key,
            sequence: 0,
            day: DAY - 1,
            link: Link::ZERO,
            counter_epoch: 0,
            counter_wh: 0,
            cap_wh: 35,
            net_wh: 0,
            attested_days: 0,
            last_day_net_wh: None,
            positive: false,
            bond_free_at: 0,
            window_days: 30,
            min_days: 1,
            fresh_days: 3,
            assumed_watts: 8,
            time: 0,
        };
        let key = DeviceKey::from_bytes(&[3; 32]).unwrap();
        let mut bench =
            Self { ledger, dir, file, key, rows: whole(DAY, 2_000, 1_000), now: None, give_up: None, sent: Vec::new() };
        bench.at(DAY + 1, SETTLE_SECS);
        bench
    }

    fn at(&mut self, day: u16, secs: i64) {
        let now = midnight(day) + secs;
        (self.now, self.ledger.time) = (Some(UnixSeconds(now)), now.unsigned_abs());
    }

    fn decide(&self) -> Step {
        self.decide_with(Ok(&self.file.book))
    }

    fn decide_with(&self, book: Result<&Book, String>) -> Step {
        decide(&Situation {
            worker: WORKER,
            ledger: &self.ledger,
            book,
            rows: &self.rows,
            now: self.now,
            clocks_apart_secs: CLOCKS_APART_SECS,
            metered: true,
            missing: MISSING,
            give_up: self.give_up,
        })
    }

    /// Signs and writes down, as the task does.
    fn sign(&mut self, draft: &Draft) -> usize {
        let digest = draft.record.digest(OWNER.chain_id, OWNER.ledger, draft.previous).unwrap();
        let signed = SignedRecord { record: draft.record.clone(), signature: self.key.sign(digest) };
        self.file.sign(draft.previous, Record::link_of(digest), &signed, draft.after).unwrap()
    }

    /// The chain takes an entry, by the ledger's own rules.
    fn mine(&mut self, index: usize) {
        let entry = self.file.book.entries[index].clone();
        let today = day_of(self.ledger.time).unwrap();
        let mut account = Account {
            sequence: self.ledger.sequence,
            day: self.ledger.day,
            counter_epoch: self.ledger.counter_epoch,
            counter_wh: self.ledger.counter_wh,
            cap_wh: self.ledger.cap_wh,
            assumed_watts: 8,
            window: Window::new(30),
        };
        assert_eq!(entry.previous, self.ledger.link);
        account.take(&entry.record, today).unwrap();
        (self.ledger.sequence, self.ledger.day) = (account.sequence, account.day);
        (self.ledger.counter_epoch, self.ledger.counter_wh) = (account.counter_epoch, account.counter_wh);
        self.ledger.link = entry.link;
        self.sent.push(entry.record);
    }

    /// One whole round; the record that went out.
    fn round(&mut self) -> Record {
        let index = match self.decide() {
            Step::Sign(draft) => self.sign(&draft),
            Step::Send(index) => index,
            other => panic!("{other:?}"),
        };
        self.mine(index);
        self.sent.last().unwrap().clone()
    }

    /// As after `kill -9`: only the file is left.
    fn restart(&mut self) {
        let lost = Beginning {
            base_sequence: self.ledger.sequence,
            first_day: day_of(self.ledger.time).unwrap(),
            carry: Carry::default(),
        };
        self.file = BookFile::open(self.dir.path(), OWNER, lost).unwrap();
    }

    fn hold(&self) -> Hold {
        match self.decide() {
            Step::Hold(hold) => hold,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_day_is_signed_when_it_is_over_and_its_last_quarter_hour_can_be_there() {
    let mut bench = Bench::new();
    bench.at(DAY, 80_000);
    assert!(matches!(bench.decide(), Step::Wait { day: DAY, .. }));
    bench.at(DAY + 1, SETTLE_SECS - 1);
    let Step::Wait { from, .. } = bench.decide() else { panic!("not yet") };
    bench.at(DAY + 1, SETTLE_SECS);
    assert_eq!(bench.now, Some(from));
    let record = bench.round();
    assert_eq!((record.sequence, record.day, record.counter_wh), (1, DAY, 192));
    let Body::Metered { production, consumption } = &record.body else { panic!("metered") };
    assert_eq!((production.sum_wh(), consumption.sum_wh()), (192, 96));
    assert!(matches!(bench.decide(), Step::Wait { day, .. } if day == DAY + 1));
}

#[test]
fn what_is_in_the_book_is_sent_as_it_stands_whatever_the_history_says_later() {
    let mut bench = Bench::new();
    let Step::Sign(draft) = bench.decide() else { panic!("a day is over") };
    bench.sign(&draft);
    bench.restart();
    bench.rows = whole(DAY, 9_000, 0);
    let Step::Send(index) = bench.decide() else { panic!("it is signed") };
    assert_eq!(bench.file.book.entries[index].record, draft.record);
    bench.mine(index);
    // And on the chain it is done.
    bench.restart();
    assert!(matches!(bench.decide(), Step::Wait { .. }));
}

#[test]
fn a_torn_line_was_never_sent_and_is_signed_anew() {
    let mut bench = Bench::new();
    let Step::Sign(draft) = bench.decide() else { panic!("a day is over") };
    bench.sign(&draft);
    let path = crate::energy::attest::book::path(bench.dir.path(), OWNER.key);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    bench.restart();
    assert!(bench.file.book.entries.is_empty());
    assert_eq!(bench.round(), draft.record);
    bench.restart();
    assert_eq!(bench.file.book.entries.len(), 1);
}

#[test]
fn days_after_an_outage_are_caught_up_and_dark_ones_are_one_gap() {
    let mut bench = Bench::new();
    // Three days without network, then two without power, then one with sun.
    bench.rows = [0, 1, 2, 5].iter().flat_map(|day| whole(DAY + day, 2_000, 1_000)).collect();
    bench.at(DAY + 6, 40_000);
    let records: Vec<Record> = (0..5).map(|_| bench.round()).collect();
    let days: Vec<(u16, u32)> = records.iter().map(|record| (record.day - DAY, record.sequence)).collect();
    assert_eq!(days, [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6)]);
    assert_eq!(records[3].body, Body::Gap);
    assert_eq!(records[4].counter_wh, 4 * 192);
    assert!(matches!(bench.decide(), Step::Wait { .. }));
}

#[test]
fn days_before_the_window_cost_one_gap_and_not_a_record_each() {
    let mut bench = Bench::new();
    bench.rows = (0..50).flat_map(|day| whole(DAY + day, 1_000, 0)).collect();
    bench.at(DAY + 50, 40_000);
    let first = bench.round();
    assert_eq!((first.day, &first.body), (DAY + 19, &Body::Gap));
    assert_eq!(bench.round().day, DAY + 20);
}

#[test]
fn a_count_above_the_cap_is_told_to_the_owner_and_never_sent() {
    let mut bench = Bench::new();
    bench.rows[40] = row(DAY, 40, 36_500, 1_000);
    let hold = bench.hold();
    assert_eq!(hold, Hold::AboveCap { day: DAY, slot: 40, found: 36, cap: 35 });
    assert!(hold.to_string().contains("10:00 UTC holds 36 Wh") && hold.behaviour().contains("--nameplate-watts"));
    // The owner may forfeit the day; the counter goes on over it.
    bench.give_up = Some(DAY);
    let gap = bench.round();
    assert_eq!((gap.body, gap.counter_wh), (Body::Gap, 95 * 2 + 36));
}

#[test]
fn without_a_clock_or_with_a_wrong_one_nothing_is_signed() {
    let mut bench = Bench::new();
    bench.now = None;
    assert_eq!(bench.hold(), Hold::ClockUnset);
    bench.now = Some(UnixSeconds(midnight(DAY + 2)));
    assert!(matches!(bench.hold(), Hold::ClockDiffers { .. }));
}

#[test]
fn a_lost_key_is_a_named_state_and_a_new_one_goes_on_with_a_counter_of_its_own() {
    let mut bench = Bench::new();
    bench.round();
    let Step::Hold(hold) = bench.decide_with(Err("there is none".into())) else { panic!("a key is needed") };
    assert_eq!(hold.name(), "device_key_lost");
    assert!(hold.to_string().contains("there is none") && hold.behaviour().contains("replace-key"));
    // Replaced two days later: window, sequence and link stay, the counter is the new key's, and the days in between are attested.
    bench.rows.extend([whole(DAY + 1, 2_000, 1_000), whole(DAY + 2, 2_000, 1_000)].concat());
    bench.at(DAY + 3, 40_000);
    (bench.ledger.key, bench.ledger.counter_epoch, bench.ledger.counter_wh) = (B256::repeat_byte(6), 0, 0);
    let begin = Beginning { base_sequence: bench.ledger.sequence, ..Beginning::default() };
    bench.file = BookFile::create(bench.dir.path(), Owner { key: bench.ledger.key, ..OWNER }, begin).unwrap();
    let (second, third) = (bench.round(), bench.round());
    assert_eq!((second.sequence, second.day, second.counter_epoch, second.counter_wh), (2, DAY + 1, 0, 192));
    assert_eq!((third.sequence, third.counter_epoch, third.counter_wh), (3, 0, 2 * 192));
}

#[test]
fn a_lost_book_claims_no_day_that_it_may_have_signed_and_opens_a_new_epoch() {
    let mut bench = Bench::new();
    bench.round();
    bench.rows.extend([whole(DAY + 1, 2_000, 1_000), whole(DAY + 2, 2_000, 1_000), whole(DAY + 3, 2_000, 0)].concat());
    bench.at(DAY + 3, 40_000);
    std::fs::remove_file(crate::energy::attest::book::path(bench.dir.path(), OWNER.key)).unwrap();
    bench.restart();
    let gap = bench.round();
    assert_eq!((gap.day, gap.sequence, gap.counter_epoch, gap.body), (DAY + 2, 3, 1, Body::Gap));
    bench.at(DAY + 4, 40_000);
    let next = bench.round();
    assert_eq!((next.day, next.counter_epoch), (DAY + 3, 1));
}

#[test]
fn a_damaged_book_is_kept_aside_and_is_a_lost_one() {
    let mut bench = Bench::new();
    bench.round();
    let path = crate::energy::attest::book::path(bench.dir.path(), OWNER.key);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("signed", "sighed")).unwrap();
    bench.at(DAY + 2, 40_000);
    bench.restart();
    assert_eq!((bench.file.book.first_day, bench.file.book.entries.len()), (DAY + 2, 0));
    let aside = std::fs::read_dir(path.parent().unwrap()).unwrap().flatten();
    assert!(aside.into_iter().any(|entry| entry.file_name().to_string_lossy().contains("corrupt")));
}

#[test]
fn a_copy_of_an_older_folder_finds_out_and_signs_nothing_twice() {
    let mut bench = Bench::new();
    let path = crate::energy::attest::book::path(bench.dir.path(), OWNER.key);
    let old = std::fs::read(&path).unwrap();
    bench.round();
    bench.rows.extend([whole(DAY + 1, 2_000, 1_000), whole(DAY + 2, 2_000, 1_000)].concat());
    bench.at(DAY + 2, 40_000);
    // The day before is signed, not sent; then yesterday's copy of the folder comes back.
    let Step::Sign(draft) = bench.decide() else { panic!("a day is over") };
    bench.sign(&draft);
    std::fs::write(&path, old).unwrap();
    bench.restart();
    let Step::Rebase { first_day } = bench.decide() else { panic!("the chain knows more") };
    assert_eq!(first_day, DAY + 2);
    bench.file.rebase(first_day).unwrap();
    bench.restart();
    let gap = bench.round();
    assert_eq!((gap.day, gap.body, gap.counter_epoch), (DAY + 1, Body::Gap, 1));
    bench.at(DAY + 3, 40_000);
    assert_eq!(bench.round().day, DAY + 2);
}

#[test]
fn after_a_reorganisation_the_same_bytes_are_sent_again_in_order() {
    let mut bench = Bench::new();
    bench.rows.extend([whole(DAY + 1, 2_000, 1_000)].concat());
    bench.at(DAY + 2, 40_000);
    let before = bench.ledger.clone();
    let sent = [bench.round(), bench.round()];
    bench.ledger = Ledger { time: bench.ledger.time, ..before };
    assert_eq!([bench.round(), bench.round()], sent);
    assert_eq!(bench.file.book.entries.len(), 2);
}

#[test]
fn what_was_signed_on_another_link_is_claimed_again_word_for_word_whatever_the_history_says_now() {
    let mut bench = Bench::new();
    bench.rows.extend([whole(DAY + 1, 2_000, 1_000), whole(DAY + 2, 2_000, 1_000)].concat());
    bench.at(DAY + 3, 40_000);
    let before = bench.ledger.clone();
    let first: Vec<Record> = (0..3).map(|_| bench.round()).collect();
    // The worker was registered a day later than before: another link, other sequences; and the history tells other figures.
    bench.ledger = Ledger { link: Link::repeat_byte(1), day: DAY, time: bench.ledger.time, ..before };
    bench.rows = whole(DAY, 9_000, 0);
    bench.restart();
    let Step::Sign(draft) = bench.decide() else { panic!("a claim of the book") };
    assert_eq!((draft.previous, draft.record.sequence, draft.gap), (Link::repeat_byte(1), 1, None));
    // Killed between signature and transaction: what is in the book now is sent as it stands.
    bench.sign(&draft);
    bench.restart();
    assert!(matches!(bench.decide(), Step::Send(3)));
    let again = [bench.round(), bench.round()];
    for (one, other) in first[1..].iter().zip(&again) {
        assert_eq!(one.contradicts(other), Err(sunwork_protocol::energy::NoEvidence::SameClaim));
        assert_eq!((other.sequence + 1, other.day), (one.sequence, one.day));
    }
    // What follows goes on from there.
    bench.restart();
    bench.rows = whole(DAY + 3, 2_000, 1_000);
    bench.at(DAY + 4, 40_000);
    let next = bench.round();
    assert_eq!((next.day, next.sequence, next.counter_epoch, next.counter_wh), (DAY + 3, 3, 0, 4 * 192));
}

#[test]
fn a_claim_that_does_not_go_on_from_the_chains_counter_is_covered_and_never_changed() {
    let mut bench = Bench::new();
    bench.rows.extend(whole(DAY + 1, 2_000, 1_000));
    bench.at(DAY + 2, 40_000);
    let before = bench.ledger.clone();
    bench.round();
    bench.round();
    // A later epoch stands on the chain than the claims have.
    bench.ledger =
        Ledger { link: Link::repeat_byte(1), counter_epoch: 4, counter_wh: 50, time: bench.ledger.time, ..before };
    bench.rows.extend(whole(DAY + 2, 2_000, 1_000));
    bench.at(DAY + 3, 40_000);
    let gap = bench.round();
    assert_eq!((gap.day, gap.sequence, gap.counter_epoch, gap.body), (DAY + 1, 2, 5, Body::Gap));
    let next = bench.round();
    // The counter of the new epoch went over the days that are forfeited.
    assert_eq!((next.day, next.counter_epoch, next.counter_wh), (DAY + 2, 5, 3 * 192));
}

#[test]
fn a_claim_above_a_lowered_cap_is_told_to_the_owner_and_kept_until_it_is_given_up() {
    let mut bench = Bench::new();
    bench.round();
    bench.ledger = Ledger { link: Link::repeat_byte(1), sequence: 0, day: DAY - 1, counter_wh: 0, ..bench.ledger };
    bench.ledger.cap_wh = 1;
    assert!(matches!(bench.hold(), Hold::AboveCap { day: DAY, found: 2, cap: 1, .. }));
    bench.give_up = Some(DAY);
    assert_eq!(bench.round().body, Body::Gap);
}

#[test]
fn days_whose_history_is_lost_are_a_gap_up_to_the_first_that_the_book_claims() {
    let mut bench = Bench::new();
    bench.rows = whole(DAY + 1, 2_000, 1_000);
    bench.at(DAY + 2, 40_000);
    let before = bench.ledger.clone();
    let (_, claim) = (bench.round(), bench.round());
    bench.ledger = Ledger { link: Link::repeat_byte(1), time: bench.ledger.time, ..before };
    bench.rows.clear();
    let gap = bench.round();
    assert_eq!((gap.day, gap.body), (DAY, Body::Gap));
    assert_eq!(bench.round(), claim);
}

#[test]
fn when_the_epochs_are_used_up_only_a_new_key_helps_and_the_owner_is_told_so() {
    let mut bench = Bench::new();
    (bench.ledger.counter_epoch, bench.ledger.counter_wh) = (u16::MAX, 7);
    let hold = bench.hold();
    assert_eq!((hold.name(), &hold), ("counter_spent", &Hold::CounterSpent { epoch: u16::MAX }));
    assert!(hold.to_string().contains("epoch 65535") && hold.behaviour().contains("replace-key"));
    // To forfeit days does not help: a gap has the counter, too.
    bench.give_up = Some(DAY);
    assert_eq!(bench.hold(), hold);
    bench.ledger.counter_epoch = u16::MAX - 1;
    assert_eq!(bench.round().counter_epoch, u16::MAX);
}

#[test]
fn days_between_a_new_key_and_its_registration_are_the_old_keys_and_not_missed_in_the_new_book() {
    let mut bench = Bench::new();
    bench.round();
    let new = Owner { key: B256::repeat_byte(6), ..OWNER };
    let begin = |sequence| Beginning { base_sequence: sequence, ..Beginning::default() };
    BookFile::create(bench.dir.path(), new, begin(1)).unwrap();
    // The command was killed here; the old key went on for a day.
    bench.rows.extend([whole(DAY + 1, 2_000, 1_000), whole(DAY + 2, 2_000, 1_000)].concat());
    bench.at(DAY + 2, 40_000);
    bench.round();
    bench.file = BookFile::create(bench.dir.path(), new, begin(2)).unwrap();
    (bench.ledger.key, bench.ledger.counter_epoch, bench.ledger.counter_wh) = (new.key, 0, 0);
    bench.at(DAY + 3, 40_000);
    bench.file = BookFile::open(bench.dir.path(), new, begin(9)).unwrap();
    let record = bench.round();
    assert_eq!((record.day, record.sequence, record.counter_wh), (DAY + 2, 3, 192));
}

#[test]
fn a_meter_that_takes_no_records_is_said_and_simulated_months_add_up() {
    let mut bench = Bench::new();
    for (status, name) in
        [(Status::None, "meter_unregistered"), (Status::Leaving, "meter_leaving"), (Status::Struck, "meter_struck")]
    {
        bench.ledger.status = status;
        assert_eq!(bench.hold().name(), name);
    }
    bench.ledger.status = Status::Active;
    bench.rows = (0..30).flat_map(|day| whole(DAY + day, 1_337, 451)).collect();
    bench.at(DAY + 30, 40_000);
    for _ in 0..30 {
        bench.round();
        bench.restart();
    }
    let made: u32 = bench
        .sent
        .iter()
        .filter_map(|record| record.body.production())
        .map(sunwork_protocol::energy::Counts::sum_wh)
        .sum();
    assert_eq!((made, bench.ledger.counter_wh), (30 * 96 * 1_337 / 1000, u64::from(made)));
}
