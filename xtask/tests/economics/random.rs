//! Random numbers that are the same everywhere: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).

pub struct Random(u64);

impl Random {
    /// Names the seed, so that a failure can be repeated.
    pub fn new(what: &str, seed: u64) -> Random {
        println!("{what}: seed {seed}");
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn hits(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    /// `count` different numbers below `bound`, by drawing again.
    pub fn distinct(&mut self, count: u32, bound: u32) -> Vec<u32> {
        let mut drawn = Vec::new();
        while drawn.len() < count as usize {
            let next = self.below(bound);
            if !drawn.contains(&next) {
                drawn.push(next);
            }
        }
        drawn
    }
}

/// A frequency lies within five standard deviations of the chance.
pub fn agrees(found: f64, expected: f64, trials: u32) {
    let deviation = (expected * (1.0 - expected) / f64::from(trials)).sqrt();
    assert!(
        (found - expected).abs() <= 5.0 * deviation + 1e-9,
        "found {found}, expected {expected} in {trials} trials"
    );
}

/// A mean lies within five standard deviations, as the sample has them, of the expectation.
pub fn mean_agrees(values: &[f64], expected: f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    let allowed = 5.0 * (variance / count).sqrt() + 1e-9;
    assert!((mean - expected).abs() <= allowed, "mean {mean}, expected {expected} ± {allowed}");
}
