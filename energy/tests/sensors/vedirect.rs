//! VE.Direct on recorded and made-up blocks.
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sunwork_energy::sensors::vedirect::{
    BatteryMonitor, ChargeState, ErrorCode, Event, Familiar, Frame, Mppt, Parser, SolarCharger, VeDirect, VeDirectKind,
};
use sunwork_energy::sensors::{ChargerPhase, Flow, Measured, Sensor, Stamp};
use sunwork_energy::sim::vedirect::{LineFaults, SimCharger, block, hex_message, over_line};
use sunwork_energy::units::{
    MicroWatts, MilliAmpHours, MilliAmps, MilliVolts, MilliWattHours, MilliWatts, MonoMillis, UnixSeconds,
};

use crate::recorded::{BLUESOLAR, BMV702, SMARTSOLAR};

fn parse(bytes: &[u8]) -> (Vec<Frame>, usize, usize) {
    let (mut frames, mut hex, mut bad) = (Vec::new(), 0, 0);
    for event in Parser::new().extend(bytes) {
        match event {
            Event::Block(frame) => frames.push(frame),
            Event::Hex(_) => hex += 1,
            Event::Rejected(_) => bad += 1,
        }
    }
    (frames, hex, bad)
}

/// Three blocks by the fields of the protocol, with values that a recording does not happen to have.
fn made_up() -> Vec<Vec<u8>> {
    let s = |v: &str| v.to_string();
    vec![
        SimCharger {
            battery_mv: 13_310,
            battery_ma: 4_200,
            panel_mv: 18_550,
            panel_w: 61,
            state: 3,
            ..Default::default()
        }
        .block(),
        block(&[
            ("PID", s("0xA389")),
            ("V", s("26201")),
            ("T", s("---")),
            ("I", s("-15")),
            ("SOC", s("1000")),
            ("TTG", s("-1")),
        ]),
        block(&[
            ("PID", s("0xA060")),
            ("V", s("12000")),
            ("CS", s("199")),
            ("ERR", s("77")),
            ("OR", s("0x00000001")),
            ("MPPT", s("9")),
        ]),
    ]
}

#[test]
fn recorded_streams_give_every_block_and_hex_message() {
    assert_eq!(parse(&BLUESOLAR.concat()), (parse(&BLUESOLAR.concat()).0, 1, 0));
    assert_eq!(parse(&BLUESOLAR.concat()).0.len(), 3);
    assert_eq!((parse(&SMARTSOLAR.concat()).0.len(), parse(&BMV702.concat()).0.len()), (2, 4));
    let (frames, ..) = parse(&BLUESOLAR.concat());
    let told = SolarCharger::from(&frames[0]);
    assert_eq!(told.product, Some(0xA042));
    assert_eq!((told.battery_volts, told.battery_amps), (Some(MilliVolts(12_540)), Some(MilliAmps(650))));
    assert_eq!((told.panel_watts, told.total), (Some(MilliWatts(8_000)), Some(MilliWattHours(82_720_000))));
    assert_eq!((told.state, told.tracker, told.error), (Some(ChargeState::Bulk), None, Some(ErrorCode(0))));
    let (frames, ..) = parse(&BMV702.concat());
    let told = BatteryMonitor::from(&frames[0]);
    assert_eq!((told.volts, told.amps, told.permille), (Some(MilliVolts(12_169)), Some(MilliAmps(-2661)), Some(837)));
    assert_eq!(told.consumed, Some(MilliAmpHours(-66_032)));
}

/// Exhaustive: each byte of each stream replaced by each of the 255 others. What is accepted must be one of the blocks sent.
#[test]
fn no_single_byte_change_is_accepted_as_another_block_nor_loses_more_than_the_block_it_hits() {
    let streams = [BLUESOLAR.concat(), SMARTSOLAR.concat(), BMV702.concat(), made_up().concat()];
    let (mut mutants, mut wrong, mut lost) = (0_u64, 0_u64, [0_u64; 2]);
    for stream in streams {
        let original = parse(&stream).0;
        // The device has been sending for a while. States of the parser before each byte, and blocks until there.
        let mut parser = Parser::new();
        let _ = parser.extend(&stream).count();
        let mut states = vec![(parser.clone(), 0)];
        for byte in &stream {
            let blocks = states[states.len() - 1].1 + usize::from(matches!(parser.push(*byte), Some(Event::Block(_))));
            states.push((parser.clone(), blocks));
        }
        for at in 0..stream.len() {
            for byte in (0..=255).filter(|byte| *byte != stream[at]) {
                let (mut parser, mut accepted) = states[at].clone();
                for (index, byte) in [byte].iter().chain(&stream[at + 1..]).enumerate() {
                    let event = parser.push(*byte);
                    if let Some(Event::Block(frame)) = &event {
                        accepted += 1;
                        wrong += u64::from(!original.contains(frame));
                    }
                    let (same, blocks) = &states[at + index + 1];
                    if event.is_some() && parser == *same {
                        // In step again: the rest is as without the change.
                        accepted += original.len() - blocks;
                        break;
                    }
                }
                mutants += 1;
                assert!(accepted + 1 >= original.len(), "byte {at} -> {byte}: {accepted} of {}", original.len());
                lost[original.len() - accepted.min(original.len())] += 1;
            }
        }
    }
    println!("blocks lost by a changed byte, none or one: {lost:?}");
    println!("{mutants} mutants, {wrong} accepted as another block");
    assert!(mutants > 300_000);
    assert_eq!(wrong, 0);
}

#[test]
fn a_stream_begun_in_the_middle_of_a_block_is_read_from_the_next_block_on() {
    let stream = BLUESOLAR.concat();
    for cut in 1..BLUESOLAR[0].len() {
        assert_eq!(parse(&stream[cut..]).0.len(), 2, "cut at {cut}");
    }
}

#[test]
fn after_garbage_of_any_kind_the_next_whole_block_is_read() {
    let mut rng = StdRng::seed_from_u64(7);
    let good = BLUESOLAR[2];
    let mut missed = 0;
    for _ in 0..2_000 {
        let mut stream = BLUESOLAR[0].to_vec();
        let cut = rng.random_range(0..good.len());
        stream.extend(&good[..cut]);
        stream.extend((0..rng.random_range(0..60)).map(|_| rng.random::<u8>()));
        stream.extend(good);
        stream.extend(good);
        let (frames, ..) = parse(&stream);
        assert!(frames.len() >= 2, "one block at most is lost after the garbage");
        missed += usize::from(frames.len() < 3);
    }
    // Only garbage that ends like a border (or a cut in the tab of the checksum) can swallow the next block.
    assert!(missed < 40, "{missed}");
}

#[test]
fn a_checksum_byte_may_look_like_any_border() {
    for wanted in [b':', b'\r', b'\n', b'\t', 0, 255] {
        let mut found = 0;
        for filler in 0..3 * 95_usize {
            let text = (0..3).map(|i| char::from(b' ' + filler.saturating_sub(i * 94).min(94) as u8)).collect();
            let bytes = block(&[("PID", "0xA042".into()), ("V", text)]);
            if bytes.last() == Some(&wanted) {
                let stream = [bytes.clone(), bytes.clone(), bytes].concat();
                assert_eq!(parse(&stream), (parse(&stream).0, 0, 0));
                assert_eq!(parse(&stream).0.len(), 3);
                found += 1;
            }
        }
        assert!(found > 0, "no block with checksum {wanted}");
    }
}

#[test]
fn hex_messages_are_cut_out_wherever_they_come() {
    let hex = hex_message(0xA, &[0x50, 0x10, 0x00, 0xED]);
    let good = BLUESOLAR[0];
    let stream_of = |at: usize| [good, &good[..at], &hex, &good[at..]].concat();
    for at in 2..=good.len() - 1 {
        let (frames, count, _) = parse(&stream_of(at));
        // Behind the tab of the checksum any byte is the checksum, so there a message cannot come.
        if at != good.len() - 1 && good[at] != b'\n' {
            assert_eq!((frames.len(), count), (2, 1), "message at {at}");
        }
        assert!(frames.iter().all(|f| *f == frames[0]));
    }
}

#[test]
fn unknown_codes_are_kept_as_unknown_and_never_as_no_error() {
    let (frames, ..) = parse(&made_up().concat());
    let told = SolarCharger::from(&frames[2]);
    assert_eq!((told.state, told.tracker), (Some(ChargeState::Unknown(199)), Some(Mppt::Unknown(9))));
    assert!(told.error.unwrap().reason().unwrap().contains("77"));
    assert_eq!(frames[1].text("T"), None, "--- is not available");
    assert_eq!(BatteryMonitor::from(&frames[1]).minutes_to_go, None, "-1 is infinite");
}

const fn at(second: i64) -> Stamp {
    Stamp::dated(UnixSeconds(second))
}

#[test]
fn the_driver_tells_production_battery_and_load_apart() {
    let mut device = VeDirect::new(VeDirectKind::SolarCharger, 100, Default::default());
    let charger = SimCharger {
        battery_mv: 13_300,
        battery_ma: 4_000,
        panel_mv: 18_000,
        panel_w: 62,
        load_ma: 300,
        state: 5,
        total_10wh: 500,
        ..Default::default()
    };
    device.receive(&charger.block(), MonoMillis(1_000));
    let report = device.poll(at(1));
    assert_eq!(report.power(Flow::Production), Some(MicroWatts(62_000_000)));
    assert_eq!(report.power(Flow::Battery), Some(MicroWatts(53_200_000)));
    assert_eq!(report.power(Flow::Consumption), Some(MicroWatts(3_990_000)));
    assert!(report.measured.contains(&Measured::Charger(ChargerPhase::Float)));
    let later = SimCharger { total_10wh: 503, ..charger };
    device.receive(&later.block(), MonoMillis(4_000));
    let total = MilliWattHours(30_000);
    assert!(device.poll(at(4)).measured.contains(&Measured::Energy { flow: Flow::Production, epoch: 0, total }));
    // The owner resets the charger's history: a new epoch, nothing lost, nothing invented.
    let reset = SimCharger { total_10wh: 0, ..charger };
    device.receive(&reset.block(), MonoMillis(5_000));
    let report = device.poll(at(5));
    assert_eq!(report.state.name(), "reset");
    assert!(report.measured.contains(&Measured::Energy { flow: Flow::Production, epoch: 1, total }));
}

#[test]
fn silence_and_damage_are_told_apart() {
    let mut device = VeDirect::new(VeDirectKind::SolarCharger, 100, Default::default());
    device.receive(&[], MonoMillis(0));
    assert_eq!(device.poll(at(6)).state.name(), "missing");
    device.receive(b"\x00\xff wrong baud rate", MonoMillis(9_000));
    assert_eq!(device.poll(at(10)).state.name(), "corrupt");
    device.receive(&SimCharger::default().block(), MonoMillis(11_000));
    assert_eq!(device.poll(at(11)).state.name(), "ok");
    assert_eq!(device.poll(at(12)).state.name(), "stale", "the same block is not two readings");
}

/// 40 × 5,000 blocks, a third of them hit. What gets through an 8-bit sum must then look like this device's blocks.
#[test]
fn over_a_bad_line_nothing_untrue_arrives() {
    let (mut got, mut by_the_sum, mut wrong, mut digits) = (0, 0, 0, 0);
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut parser = Parser::new();
        let mut familiar = Familiar::default();
        let mut before: Option<Frame> = None;
        for second in 0..5_000 {
            let charger = SimCharger {
                battery_mv: 12_000 + second % 900,
                panel_w: second % 99,
                panel_mv: 17_000,
                ..Default::default()
            };
            let sent = parse(&charger.block()).0.remove(0);
            let line = over_line(&charger.block(), LineFaults { flip_ppm: 2_000, drop_ppm: 500 }, &mut rng);
            for event in parser.extend(&line) {
                let Event::Block(frame) = event else { continue };
                // A block whose last byte was lost ends with the first one of the next.
                let untrue = frame != sent && before.as_ref() != Some(&frame);
                by_the_sum += u64::from(untrue);
                match familiar.check(&frame) {
                    Ok(()) if untrue && same_but_digits(&frame, &sent) => digits += 1,
                    Ok(()) if untrue => wrong += 1,
                    Ok(()) => got += 1,
                    Err(why) => assert!(untrue, "seed {seed}: an honest block is refused: {why:?}"),
                }
            }
            before = Some(sent);
        }
    }
    println!(
        "bad line: {got} of 200000 blocks got; {by_the_sum} wrong by the sum, {wrong} of them believed, {digits} in digits"
    );
    assert!(got > 130_000 && by_the_sum > 20, "{got} {by_the_sum}");
    assert_eq!(wrong, 0);
    // Two errors that made other digits of digits: nothing but the size of a jump can tell.
    assert!(digits <= 4, "{digits}");
}

fn same_but_digits(a: &Frame, b: &Frame) -> bool {
    a.fields.len() == b.fields.len() && a.fields.iter().zip(&b.fields).all(|(a, b)| a.label == b.label)
}

/// Of recorded devices nothing is refused.
#[test]
fn every_recorded_block_is_familiar() {
    for (kind, stream) in [
        (VeDirectKind::SolarCharger, BLUESOLAR.concat()),
        (VeDirectKind::SolarCharger, SMARTSOLAR.concat()),
        (VeDirectKind::BatteryMonitor, BMV702.concat()),
    ] {
        let mut device = VeDirect::new(kind, 100, Default::default());
        device.receive(&stream, MonoMillis(0));
        assert_eq!((device.implausible(), device.newest().is_some()), (0, true), "{kind:?}");
    }
}

proptest! {
    /// Strangers' bytes never break the parser nor make it grow.
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let (frames, ..) = parse(&bytes);
        prop_assert!(frames.iter().all(|f| f.fields.len() <= 32));
    }
}
