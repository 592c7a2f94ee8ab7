//! How long leaves of an image took here: what says whether a sample can be computed before the claim of a slot.
//!
//! In memory only. After a restart nothing is known, and the time limit of a leaf is all there is to go by.
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy::primitives::B256;

/// Most images that are remembered; strangers choose them.
const MAX_IMAGES: usize = 1_024;

/// Times of whole leaves, with container and all, by image.
#[derive(Debug, Default)]
pub struct Timings {
    by_image_ms: Mutex<HashMap<B256, u64>>,
}

impl Timings {
    /// Notes a leaf. The longest counts, and fades by an eighth with each shorter one, so that one slow leaf is not held
    /// against an image for ever.
    pub fn measured(&self, image: B256, took_ms: u64) {
        let mut times = self.lock();
        if times.len() >= MAX_IMAGES && !times.contains_key(&image) {
            times.clear();
        }
        let expected = times.entry(image).or_default();
        *expected = took_ms.max(*expected - *expected / 8);
    }

    /// What the next leaf of this image is expected to take at most, milliseconds; `None` when none was run.
    pub fn expected_ms(&self, image: B256) -> Option<u64> {
        self.lock().get(&image).copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<B256, u64>> {
        self.by_image_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_leaf_counts_and_fades() {
        let (times, image) = (Timings::default(), B256::repeat_byte(1));
        assert_eq!(times.expected_ms(image), None);
        times.measured(image, 800);
        times.measured(image, 100);
        assert_eq!(times.expected_ms(image), Some(700));
        times.measured(image, 900);
        assert_eq!(times.expected_ms(image), Some(900));
        assert_eq!(times.expected_ms(B256::ZERO), None);
    }

    #[test]
    fn no_more_images_are_remembered_than_fit() {
        let times = Timings::default();
        for image in 0..=MAX_IMAGES as u64 {
            times.measured(B256::left_padding_from(&image.to_be_bytes()), 1);
        }
        assert!(times.lock().len() <= MAX_IMAGES);
    }
}
