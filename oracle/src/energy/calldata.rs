//! Signed records in what was sent to the ledger. Strangers write calldata: nothing here trusts a length, and no answer is as large
//! as what was asked.
use alloy::{
    primitives::{Address, Bytes},
    sol_types::SolCall,
};
use serde::Deserialize;
use sunwork_protocol::{
    abi::IEnergyLedger::submitCall,
    energy::{Body, SignedRecord},
};

use crate::events::Event;

const WORD: usize = 32;
const SELECTOR: usize = 4;

/// The bytes that `submit(bytes)` was called with, read as Solidity reads them: the offset may point anywhere, and what lies
/// around them is nobody's business. `None` for another call, or one that the ledger would have refused.
pub fn submitted(input: &[u8]) -> Option<&[u8]> {
    let arguments = input.strip_prefix(&submitCall::SELECTOR)?;
    let start = word_at(arguments, 0)?;
    let length = word_at(arguments, start)?;
    let from = start.checked_add(WORD)?;
    arguments.get(from..from.checked_add(length)?)
}

/// A word as a length or offset; `None` when it does not fit or does not exist.
fn word_at(arguments: &[u8], at: usize) -> Option<usize> {
    let word = arguments.get(at..at.checked_add(WORD)?)?;
    let (high, low) = word.split_last_chunk::<8>()?;
    if high.iter().any(|byte| *byte != 0) {
        return None;
    }
    usize::try_from(u64::from_be_bytes(*low)).ok()
}

/// The record that `event` of the ledger names, among calls of its transaction: same worker, day, kind and sums. A transaction may
/// hold several records, but the ledger takes each day once.
pub fn named_by<'a>(event: &Event, inputs: impl IntoIterator<Item = &'a Bytes>) -> Option<(SignedRecord, Bytes)> {
    inputs.into_iter().find_map(|input| {
        let bytes = submitted(input)?;
        let signed = SignedRecord::unpack(bytes).ok()?;
        is_named(event, &signed).then(|| (signed, Bytes::copy_from_slice(bytes)))
    })
}

fn is_named(event: &Event, signed: &SignedRecord) -> bool {
    let record = &signed.record;
    match (event, &record.body) {
        (Event::GapRecorded { worker, last_day, .. }, Body::Gap) => {
            (worker.0, *last_day) == (record.worker, record.day)
        }
        (Event::DayRecorded { worker, day, production_wh, consumption_wh, .. }, body) => {
            let consumed = match body {
                Body::Metered { consumption, .. } => consumption.sum_wh() == *consumption_wh,
                // What the deployment assumes.
                _ => true,
            };
            let produced = body.production().map(sunwork_protocol::energy::Counts::sum_wh);
            (worker.0, *day) == (record.worker, record.day) && produced == Some(*production_wh) && consumed
        }
        _ => false,
    }
}

/// A call as Geth's `callTracer` tells it, as far as it matters here.
#[derive(Debug, Deserialize)]
pub struct Frame {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    to: Option<Address>,
    #[serde(default)]
    input: Bytes,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    calls: Vec<Self>,
}

/// Largest trace that is read, bytes of JSON; what calls a ledger a thousand times has less.
pub const MAX_TRACE_BYTES: usize = 8 << 20;

/// Inputs of the calls of `submit` at `ledger` that took effect, in order.
///
/// # Errors
/// In words, when the trace is not what was expected: too large, nested too deep, or of another tracer.
pub fn calls_of(trace: &str, ledger: Address) -> Result<Vec<Bytes>, String> {
    if trace.len() > MAX_TRACE_BYTES {
        return Err(format!(
            "the trace of its transaction has {} bytes, at most {MAX_TRACE_BYTES} are read",
            trace.len()
        ));
    }
    // serde_json refuses what is nested deeper than 128: a call chain of some sixty.
    let root: Frame =
        serde_json::from_str(trace).map_err(|error| format!("the trace of its transaction cannot be read: {error}"))?;
    let mut inputs = Vec::new();
    let mut open = vec![&root];
    while let Some(frame) = open.pop() {
        // What a reverted call called is undone with it.
        if frame.error.is_some() {
            continue;
        }
        let called = frame.kind == "CALL" && frame.to == Some(ledger);
        if called && frame.input.get(..SELECTOR) == Some(&submitCall::SELECTOR) {
            inputs.push(frame.input.clone());
        }
        open.extend(frame.calls.iter().rev());
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{U256, hex};
    use serde_json::json;
    use sunwork_protocol::energy::{Counts, Record};

    use super::*;

    const LEDGER: Address = Address::repeat_byte(0x1e);

    fn signed(day: u16, wh: u16) -> SignedRecord {
        let record = Record {
            worker: Address::repeat_byte(7),
            sequence: 1,
            day,
            counter_epoch: 0,
            counter_wh: 96 * u64::from(wh),
            body: Body::Production(Box::new(Counts([wh; 96]))),
        };
        SignedRecord { record, signature: [1; 64] }
    }

    fn call(record: &SignedRecord) -> Bytes {
        submitCall { signedRecord: record.pack().unwrap().into() }.abi_encode().into()
    }

    fn event(day: u16, production_wh: u32) -> Event {
        let worker = Address::repeat_byte(7).into();
        Event::DayRecorded { worker, day, production_wh, consumption_wh: 192, window_net_wh: 0 }
    }

    #[test]
    fn a_record_is_found_by_worker_day_and_sum_among_several() {
        let calls = [call(&signed(9, 1)), Bytes::from_static(&[1, 2, 3]), call(&signed(10, 2)), call(&signed(10, 3))];
        let (found, bytes) = named_by(&event(10, 288), &calls).unwrap();
        assert_eq!((found.record.day, &bytes[..]), (10, &signed(10, 3).pack().unwrap()[..]));
        assert!(named_by(&event(10, 289), &calls).is_none());
        assert!(named_by(&event(11, 96), &calls).is_none());
        let gap =
            Event::GapRecorded { worker: found.record.worker.into(), last_day: 10, first_day: 9, window_net_wh: 0 };
        assert!(named_by(&gap, &calls).is_none(), "a day is no gap");
    }

    #[test]
    fn an_odd_encoding_is_read_as_solidity_reads_it() {
        let record = signed(9, 1).pack().unwrap();
        // The bytes lie behind some rubbish, and more rubbish follows.
        let mut input = submitCall::SELECTOR.to_vec();
        input.extend(U256::from(100).to_be_bytes::<32>());
        input.extend([0xee; 68]);
        input.extend(U256::from(record.len()).to_be_bytes::<32>());
        input.extend(&record);
        input.push(0xee);
        assert_eq!(submitted(&input), Some(&record[..]));
        assert_eq!(submitted(&call(&signed(9, 1))), Some(&record[..]));
    }

    #[test]
    fn hostile_calldata_is_no_record_and_no_panic() {
        let whole = call(&signed(9, 1)).to_vec();
        for length in 0..whole.len() {
            // Nothing but zeros is padded behind the last byte of the record.
            if let Some(bytes) = submitted(&whole[..length]) {
                assert_eq!(bytes.len(), 35 + 192 + 64, "cut to {length}");
            }
        }
        for at in 4..68 {
            for byte in [0xff, 0x80, 0x01] {
                let mut hostile = whole.clone();
                hostile[at] ^= byte;
                let _ = named_by(&event(9, 96), &[hostile.into()]);
            }
        }
        let huge = [&submitCall::SELECTOR[..], &[0xff; 64]].concat();
        assert_eq!(submitted(&huge), None);
        let edge = [&submitCall::SELECTOR[..], &U256::from(u64::MAX).to_be_bytes::<32>()].concat();
        assert_eq!(submitted(&edge), None);
    }

    #[test]
    fn a_trace_gives_the_calls_that_took_effect_in_order() {
        let input = |day| hex::encode_prefixed(call(&signed(day, 1)));
        let frame = |kind: &str, to: Address, day: u16| json!({"type": kind, "to": to, "input": input(day)});
        let mut undone = frame("CALL", LEDGER, 3);
        undone["error"] = json!("execution reverted");
        let around_undone = json!({"type": "CALL", "to": Address::ZERO, "input": "0x", "error": "execution reverted",
            "calls": [frame("CALL", LEDGER, 4)]});
        let other = json!({"type": "CALL", "to": LEDGER, "input": "0x12345678"});
        let trace = json!({"type": "CALL", "to": Address::ZERO, "input": "0x", "gasUsed": "0x1", "calls": [
            frame("CALL", LEDGER, 1), undone, around_undone, frame("DELEGATECALL", LEDGER, 5), other,
            {"type": "CALL", "to": Address::ZERO, "calls": [frame("CALL", LEDGER, 2)]}, frame("CALL", LEDGER, 6)]});
        let days: Vec<u16> = calls_of(&trace.to_string(), LEDGER)
            .unwrap()
            .iter()
            .map(|input| SignedRecord::unpack(submitted(input).unwrap()).unwrap().record.day)
            .collect();
        assert_eq!(days, [1, 2, 6]);
    }

    #[test]
    fn a_hostile_trace_is_refused_in_words() {
        let deep = format!("{}{}{}", r#"{"calls":["#.repeat(400), "{}", "]}".repeat(400));
        assert!(calls_of(&deep, LEDGER).unwrap_err().contains("recursion"));
        assert!(calls_of("7", LEDGER).unwrap_err().contains("cannot be read"));
        assert!(calls_of(&" ".repeat(MAX_TRACE_BYTES + 1), LEDGER).unwrap_err().contains("at most"));
        assert_eq!(calls_of("{}", LEDGER).unwrap(), Vec::<Bytes>::new());
    }
}
