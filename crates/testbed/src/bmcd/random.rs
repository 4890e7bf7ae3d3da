//! Numbers and tokens that nobody guesses by accident. They guard nothing real.

use std::hash::{BuildHasher, RandomState};

/// A number.
pub fn number() -> u64 {
    RandomState::new().hash_one(())
}

/// So many letters and digits.
pub fn letters(count: usize) -> String {
    const OF: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = || usize::try_from(number() % OF.len() as u64).ok().and_then(|place| OF.get(place));
    (0..count).filter_map(|_| letter()).map(|byte| char::from(*byte)).collect()
}
