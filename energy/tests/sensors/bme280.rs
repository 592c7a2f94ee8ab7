//! BME280 against the vectors of Bosch, pimoroni and bme280-rs, as the Linux driver reproduces them (ENERGY.md 1.7 and 2.3).
use sunwork_energy::sensors::bme280::{Bme280, Calibration};
use sunwork_energy::sensors::{Measured, Sensor, Stamp};
use sunwork_energy::sim::bme280::SimBme280;
use sunwork_energy::sim::bus::{SimBus, lock, shared};
use sunwork_energy::units::UnixSeconds;

struct Vector {
    calibration: Calibration,
    raw: (u32, u32, Option<u16>),
    /// m°C, Pa, m%.
    expected: (i64, f64, Option<i64>),
}

fn vectors() -> [Vector; 3] {
    let p = |p1, p2, p3, p4, p5, p6| [p1, p2, p3, p4, p5, p6, 15_500, -14_600, 6_000];
    [
        // Bosch, data sheet of the BMP280.
        Vector {
            calibration: Calibration {
                t: [27_504, 26_435, -1_000],
                p: p(36_477, -10_685, 3_024, 2_855, 140, -7),
                h: [0; 6],
            },
            raw: (519_888, 415_148, None),
            expected: (25_080, 100_653.253_906, None),
        },
        // github.com/pimoroni/bme280-python, tests (MIT).
        Vector {
            calibration: Calibration {
                t: [28_009, 25_654, 50],
                p: p(39_145, -10_750, 3_024, 5_667, -120, -7),
                h: [75, 376, 0, 286, 50, 30],
            },
            raw: (529_191, 326_816, Some(30_281)),
            expected: (24_790, 100_661.144_531, Some(68_668)),
        },
        // crates.io bme280-rs 0.4.1, tests.
        Vector {
            calibration: Calibration::parse(&LOW, &HIGH),
            raw: (0x84510, 0x4f570, Some(0x5eb4)),
            expected: (27_380, 101_222.246_093, Some(32_899)),
        },
    ]
}

const LOW: [u8; 26] = [
    0xb1, 0x6f, 0x2e, 0x6a, 0x32, 0x00, 0xe2, 0x8f, 0x0a, 0xd7, 0xd0, 0x0b, 0x75, 0x1f, 0xc5, 0xff, 0xf9, 0xff, 0xac,
    0x26, 0x0a, 0xd8, 0xbd, 0x10, 0x00, 0x4b,
];
const HIGH: [u8; 7] = [0x77, 0x01, 0x00, 0x12, 0x20, 0x03, 0x1e];

#[test]
fn all_vectors_are_met_within_1_mcelsius_half_a_pascal_and_2_mpercent() {
    for Vector { calibration, raw, expected } in vectors() {
        let (fine, hundredths) = calibration.temperature(raw.0);
        assert!((hundredths * 10 - expected.0).abs() <= 1, "{hundredths}");
        let pascal = calibration.pressure(fine, raw.1).unwrap() as f64 / 256.0;
        assert!((pascal - expected.1).abs() <= 0.5, "{pascal}");
        if let (Some(raw), Some(expected)) = (raw.2, expected.2) {
            let percent = calibration.humidity(fine, raw) * 1000 / 1024;
            assert!((percent - expected).abs() <= 2, "{percent}");
        }
    }
    assert_eq!(vectors()[0].calibration.temperature(519_888).0, 128_422, "fine temperature of the data sheet");
    assert_eq!(vectors()[2].calibration.humidity(vectors()[2].calibration.temperature(0x84510).0, 0x5eb4), 0x8399);
    assert_eq!(
        vectors()[2].calibration.pressure(vectors()[2].calibration.temperature(0x84510).0, 0x4f570),
        Some(0x018b_663f)
    );
}

#[test]
fn negative_h4_and_h5_keep_their_sign_in_the_byte_they_share() {
    // H4 = -5 = 0xFFB: E4 = 0xFF, low nibble of E5 = 0xB. H5 = -50 = 0xFCE: E6 = 0xFC, high nibble of E5 = 0xE.
    let calibration = Calibration::parse(&LOW, &[0x77, 0x01, 0x00, 0xFF, 0xEB, 0xFC, 0xE2]);
    assert_eq!((calibration.h[3], calibration.h[4], calibration.h[5]), (-5, -50, -30));
}

#[test]
fn the_driver_reads_sets_up_again_and_refuses() {
    let bus = SimBus::new(1);
    let sim = shared(SimBme280::new(&LOW, &HIGH));
    bus.attach(0x76, sim.clone());
    let mut driver = Bme280::new(bus.clone(), 0x76);
    let at = Stamp::dated(UnixSeconds(0));
    assert_eq!(driver.poll(at).state.name(), "stale");
    assert_eq!(driver.poll(at).state.name(), "stale", "nothing converted yet");
    lock(&sim).convert(0x84510, 0x4f570, 0x5eb4);
    let report = driver.poll(at);
    let [Measured::Temperature(t), Measured::Pressure(p), Measured::Humidity(h)] = report.measured[..] else {
        panic!("{report:?}")
    };
    assert_eq!((t.0, p.0, h.0), (27_380, 101_222_246, 32_899));
    lock(&sim).power_cycle();
    assert_eq!(driver.poll(at).state.name(), "reset");
    lock(&sim).convert(0xFFFFF, 0x00001, 0xFFFF);
    assert_eq!(driver.poll(at).state.name(), "out_of_range");
    bus.attach(0x76, SimBme280::new(&[0; 26], &[0; 7]));
    assert_eq!(Bme280::new(bus, 0x76).poll(at).state.name(), "corrupt");
}

#[test]
fn no_calibration_however_damaged_breaks_the_arithmetic() {
    for byte in [0x00, 0x7F, 0x80, 0xFF, 0xA5] {
        let calibration = Calibration::parse(&[byte; 26], &[byte; 7]);
        for raw in [0, 1, 0x7FFFF, 0xFFFFF] {
            let (fine, _) = calibration.temperature(raw);
            let _ = calibration.pressure(fine, raw);
            assert!((0..=102_400).contains(&calibration.humidity(fine, 0xFFFF)));
        }
    }
}
