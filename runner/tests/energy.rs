//! The energy of modules: who used the board's cores is told by the kernel, and nothing is lost between the accounts.
#![allow(clippy::unwrap_used)]
mod support;

use std::time::{Duration, Instant};

use sunwork_energy::{
    units::{MicroWattHours, MilliWatts},
    work::{Interval, Ledger, Source},
};
use sunwork_worker::{
    energy::cpu::{Leaves, Machine, Told},
    runtime::{Limits, Runtime},
};
use support::{Bench, LIMITS, app};

/// Counts to so much and ends.
fn counting_to(most: u64) -> Vec<u8> {
    app(&format!(
        "(local $i i64) (loop $on (local.set $i (i64.add (local.get $i) (i64.const 1))) \
         (br_if $on (i64.lt_u (local.get $i) (i64.const {most}))))"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn energy_of_modules_goes_by_their_cpu_time_and_sums_to_what_was_measured() {
    let bench = Bench::new();
    let (much, little) = (counting_to(700_000_000), counting_to(1_000));
    let leaves = Leaves::default();
    let mut jobs = Vec::new();
    for (name, agreement, module) in [("a-0", "0xa", &much), ("b-0", "0xb", &little)] {
        bench.prepare(module).await.unwrap();
        let mut job = bench.job(module);
        job.name = name.into();
        job.out_dir = bench.folder.path().join(format!("out-{name}"));
        job.limits = Limits { leaf_secs: 60, ..LIMITS };
        jobs.push((leaves.begin(agreement, name, 1000, true), job));
    }
    let (mut machine, mut ledger, mut used, mut looks, mut last) =
        (Machine::default(), Ledger::default(), 0, 0, Instant::now());
    machine.look();
    let mut look = |told: &Told| {
        // A board of 6 W that idles at 2.7 W, measured.
        let milliseconds = last.elapsed().as_millis() as i64;
        last = Instant::now();
        let measured = milliseconds * 6_000 / 3_600;
        used += measured;
        looks += u32::from(told.values().any(|(_, micros)| *micros > 0));
        ledger.add(&Interval {
            used: MicroWattHours(measured),
            direct: MicroWattHours(0),
            milliseconds,
            idle: MilliWatts(2_700),
            cpu_microseconds: machine.look().1,
            source: Source::Measured,
            shares: leaves.shares(told, 2),
        });
    };
    let runs = futures::future::join_all(jobs.iter().map(|(id, job)| {
        let (leaves, wasm) = (&leaves, &bench.wasm);
        async move {
            let (run, report) = wasm.run_measured(job).await.unwrap();
            leaves.ran(&job.name, run.cpu_micros);
            leaves.end(*id);
            (run.cpu_micros.unwrap(), report.cpu_ms)
        }
    }));
    tokio::pin!(runs);
    let ended = loop {
        tokio::select! {
            ended = &mut runs => break ended,
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                let mut told = Told::new();
                for (name, run) in leaves.names() {
                    if let Some(micros) = bench.wasm.cpu_time(&name).await {
                        told.insert(name, (run, micros));
                    }
                }
                look(&told);
            }
        }
    };
    look(&Told::new());
    println!("{ended:?}, {looks} looks while it ran, {ledger:?}");
    assert_eq!(ledger.total(), MicroWattHours(used), "nothing lost, nothing invented");
    assert!(looks > 2, "it is told while it runs");
    let [(much, said), (little, _)] = ended[..] else { panic!("two leaves") };
    // The kernel's ticks against the runner's own clock, which does not see its start.
    assert!(much >= said * 800 && much <= said * 1_300 + 500_000, "{much} µs by the kernel, {said} ms by the runner");
    assert!(much > 4 * little, "{much} {little}");
    let (a, b) = (ledger.account("0xa").unwrap(), ledger.account("0xb").unwrap());
    assert!(a.active.0 > 3 * b.active.0, "{a:?} {b:?}");
    assert_eq!(bench.wasm.cpu_time("a-0").await, None, "it has ended");
}
