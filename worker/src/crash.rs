//! Points at which a test lets the process die as by `kill -9`. Release builds do nothing here.
//!
//! `SUNWORK_CRASH_AT=name` kills at the first pass of the point, `name#3` at the third.
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

/// All points. Journal: before and after a record is durable. Transactions: `signed` is after the log and before the
/// broadcast, `sent` after it, `mined` after its outcome is logged. The session key (`key`, `key_sent`) is only met in
/// confidential work, logs (`logs_sent`) only where the client named a key for them. Where openings come by mail, `settle-all`
/// takes the place of `reveal` and `open-verification`; `proven`, `unproven`, `open-late`, `open-unproven` and `answer` belong to
/// later rounds of voting, `record-round` to deployments with a late audit, `submit` to level 0, `accept-offer` to signed offers,
/// `accept-placed` to pools, `claim-and-seal` to public work whose sample is quick, `fill-nonce` to reorganisations, `attest` to
/// workers with a meter, `meter` to the owner's commands for one: `made` is after the key and its book are on disk, `mined` after the
/// transaction and before the key takes its place.
pub const POINTS: &[&str] = &[
    "journal.seen.before",
    "journal.seen.after",
    "journal.bought.before",
    "journal.bought.after",
    "journal.prepared.before",
    "journal.prepared.after",
    "journal.refused.before",
    "journal.refused.after",
    "journal.working.before",
    "journal.working.after",
    "journal.holding.before",
    "journal.holding.after",
    "journal.key.before",
    "journal.key.after",
    "journal.leaf.before",
    "journal.leaf.after",
    "journal.bundle.before",
    "journal.bundle.after",
    "journal.key_sent.before",
    "journal.key_sent.after",
    "journal.logs_sent.before",
    "journal.logs_sent.after",
    "journal.claiming.before",
    "journal.claiming.after",
    "journal.sampling.before",
    "journal.sampling.after",
    "journal.verdict.before",
    "journal.verdict.after",
    "journal.checked.before",
    "journal.checked.after",
    "journal.proven.before",
    "journal.proven.after",
    "journal.unproven.before",
    "journal.unproven.after",
    "journal.impossible.before",
    "journal.impossible.after",
    "journal.barred.before",
    "journal.barred.after",
    "journal.finished.before",
    "journal.finished.after",
    "journal.tx_signed.before",
    "journal.tx_signed.after",
    "journal.tx_resolved.before",
    "journal.tx_resolved.after",
    "bundle.uploaded",
    "key.sent",
    "logs.sent",
    "opening.sent",
    "tx.accept.signed",
    "tx.accept.sent",
    "tx.accept.mined",
    "tx.accept-offer.signed",
    "tx.accept-offer.sent",
    "tx.accept-offer.mined",
    "tx.accept-placed.signed",
    "tx.accept-placed.sent",
    "tx.accept-placed.mined",
    "tx.seal.signed",
    "tx.seal.sent",
    "tx.seal.mined",
    "tx.submit.signed",
    "tx.submit.sent",
    "tx.submit.mined",
    "tx.abort.signed",
    "tx.abort.sent",
    "tx.abort.mined",
    "tx.open-draw.signed",
    "tx.open-draw.sent",
    "tx.open-draw.mined",
    "tx.claim.signed",
    "tx.claim.sent",
    "tx.claim.mined",
    "tx.claim-and-seal.signed",
    "tx.claim-and-seal.sent",
    "tx.claim-and-seal.mined",
    "tx.verdict.signed",
    "tx.verdict.sent",
    "tx.verdict.mined",
    "tx.decline.signed",
    "tx.decline.sent",
    "tx.decline.mined",
    "tx.record-round.signed",
    "tx.record-round.sent",
    "tx.record-round.mined",
    "tx.settle-all.signed",
    "tx.settle-all.sent",
    "tx.settle-all.mined",
    "tx.reveal.signed",
    "tx.reveal.sent",
    "tx.reveal.mined",
    "tx.open-verification.signed",
    "tx.open-verification.sent",
    "tx.open-verification.mined",
    "tx.open-late.signed",
    "tx.open-late.sent",
    "tx.open-late.mined",
    "tx.open-unproven.signed",
    "tx.open-unproven.sent",
    "tx.open-unproven.mined",
    "tx.answer.signed",
    "tx.answer.sent",
    "tx.answer.mined",
    "tx.decide.signed",
    "tx.decide.sent",
    "tx.decide.mined",
    "tx.expire.signed",
    "tx.expire.sent",
    "tx.expire.mined",
    "tx.fill-nonce.signed",
    "tx.fill-nonce.sent",
    "tx.fill-nonce.mined",
    "tx.redeem.signed",
    "tx.redeem.sent",
    "tx.redeem.mined",
    "attest.book.before",
    "attest.book.after",
    "tx.attest.signed",
    "tx.attest.sent",
    "tx.attest.mined",
    "meter.register.made",
    "meter.register.mined",
    "meter.replace.made",
    "meter.replace.mined",
    "meter.replace.shifted",
    "meter.remove.mined",
    "meter.withdraw.mined",
];

static TARGET: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
    let text = std::env::var("SUNWORK_CRASH_AT").ok()?;
    let (name, hit) = text.split_once('#').unwrap_or((&text, "1"));
    Some((name.to_owned(), hit.parse().ok()?))
});

static HITS: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

/// Dies here when the environment says so, in builds with debug assertions only.
pub fn point(name: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    debug_assert!(POINTS.contains(&name), "the crash point {name} is not listed");
    let Some((target, at)) = TARGET.as_ref().filter(|(target, _)| target == name) else { return };
    let mut hits = HITS.lock().unwrap_or_else(PoisonError::into_inner);
    let hit = hits.entry(target.clone()).or_insert(0);
    *hit += 1;
    if hit == at {
        eprintln!("crash point {name}: dying as told by SUNWORK_CRASH_AT");
        die();
    }
}

fn die() -> ! {
    // SIGKILL leaves no time for anything, as a power cut would.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}
