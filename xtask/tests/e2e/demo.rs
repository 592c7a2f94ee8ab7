//! `cargo xtask demo` as people run it, and what it leaves behind.

use serde_json::Value;
use xtask::devnet::Runtime;

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_leaves_a_picture_and_a_report_that_adds_up() -> eyre::Result<()> {
    the_demo(Runtime::Docker).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_on_webassembly_leaves_the_same() -> eyre::Result<()> {
    the_demo(Runtime::Wasm).await
}

async fn the_demo(runtime: Runtime) -> eyre::Result<()> {
    let _turn = crate::support::turn().await;
    let out = tempfile::tempdir()?;
    xtask::demo::run(out.path(), runtime).await?;

    let report: Value = serde_json::from_slice(&std::fs::read(out.path().join("report.json"))?)?;
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!((report["leaves"].as_u64(), report["verifiers"].as_u64()), (Some(16), Some(2)));
    assert_eq!(report["total_before"], report["total_after"]);
    assert_eq!(report["total_before"].as_u64(), Some(87_000_000_000_000_000), "{report:#}");
    let gas = report["gas"].as_object().unwrap();
    let parts: u64 = gas.iter().filter(|(name, _)| *name != "total").filter_map(|(_, gas)| gas.as_u64()).sum();
    assert_eq!(gas["total"].as_u64(), Some(parts));
    for name in ["accept", "sealResult", "openDraw", "claim", "provideVerification", "settleAll"] {
        assert!(gas[name].as_u64().is_some_and(|gas| gas > 21_000), "{name}: {report:#}");
    }
    assert!(report["seconds"]["total"].as_f64().is_some_and(|seconds| seconds > 0.0));
    // The worker and two verifiers; the client, too, where something was left of its budget.
    assert!(report["paid"].as_object().is_some_and(|paid| paid.len() >= 3), "{report:#}");

    // What the job ran on: the worker and two verifiers, on simulated sun.
    let energy = &report["energy"];
    let of = |part: &Value, key: &str| part[key].as_i64().unwrap_or_else(|| panic!("no {key}: {report:#}"));
    let parts = energy["workers"].as_array().expect("a list of workers");
    assert!(energy["simulated"] == true && parts.len() == 3, "{report:#}");
    for key in ["used_milliwatt_hours", "direct_milliwatt_hours", "battery_milliwatt_hours"] {
        assert_eq!(parts.iter().map(|part| of(part, key)).sum::<i64>(), of(energy, key), "{key}: {report:#}");
    }
    assert!(of(energy, "used_milliwatt_hours") > 0, "{report:#}");
    assert_eq!(of(energy, "direct_percent") + of(energy, "battery_percent"), 100, "{report:#}");

    let mut picture =
        png::Decoder::new(std::io::BufReader::new(std::fs::File::open(out.path().join("picture.png"))?)).read_info()?;
    let (width, height) = (picture.info().width, picture.info().height);
    assert_eq!((width, height), (1280, 720));
    let mut pixels = vec![0; picture.output_buffer_size().unwrap()];
    picture.next_frame(&mut pixels)?;
    // Sky above, meadow below: not a black or half-filled canvas.
    let mean = |rows: std::ops::Range<usize>, channel: usize| {
        let row = width as usize * 3;
        let part = &pixels[rows.start * row..rows.end * row];
        part.iter().skip(channel).step_by(3).map(|p| u64::from(*p)).sum::<u64>() / (part.len() as u64 / 3)
    };
    assert!(mean(0..100, 2) > 100, "the sky has some blue");
    assert!(mean(660..720, 1) > mean(660..720, 2), "the meadow is greener than blue");
    Ok(())
}
