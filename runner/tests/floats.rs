//! The same module gives the same digest, twice here and once on every other machine: the vector says which. Run the same test
//! on aarch64 (under qemu, say) to see that it does not hang on the processor.
#![allow(clippy::unwrap_used)]

mod support;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use support::{Bench, text};

/// What must come out of `apps/floats.wat`, on every machine.
#[derive(Deserialize)]
struct Vector {
    module: String,
    output: String,
    digest: String,
    fuel: u64,
}

#[tokio::test]
async fn nans_sums_and_memory_are_the_same_on_every_machine() {
    let vector: Vector = serde_json::from_str(include_str!("apps/floats.json")).unwrap();
    let module = text(&format!("(module {} {})", include_str!("support/prelude.wat"), include_str!("apps/floats.wat")));
    let bench = Bench::new();
    let (first, report) = bench.run_with(&module, |_| {}).await;
    let output = std::fs::read(first.output.as_ref().unwrap()).unwrap();
    let found = Vector {
        module: hex(&Sha256::digest(&module)),
        output: output.iter().map(|byte| format!("{byte:02x}")).collect(),
        digest: first.record.digest().to_string(),
        fuel: report.fuel_used.unwrap(),
    };
    let (second, again) = bench.run_with(&module, |_| {}).await;
    assert_eq!((second.record, again.fuel_used), (first.record, report.fuel_used));
    assert_eq!(found.module, vector.module, "the text is assembled to other bytes: the vector must be made anew");
    assert_eq!(found.output, vector.output);
    assert_eq!(found.digest, vector.digest);
    // Another number with an update of the engine means another class: a leaf near its limit would end differently.
    assert_eq!(found.fuel, vector.fuel);
    // New NaNs are the one canonical NaN.
    assert_eq!(&output[..8], f64::NAN.to_bits().to_le_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
