//! Waits: each has a bound and says for what.

use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Looks again and again until there is something, for at most `bound`.
pub fn until<T>(
    bound: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if begun.elapsed() >= bound {
            return Err(Failure::new(format!("wait longer for {what}"), format!("{bound:?} are over")));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Looks again and again until it is so, for at most `bound`.
pub fn until_true(bound: Duration, what: &str, mut look: impl FnMut() -> bool) -> Result<(), Failure> {
    until(bound, what, || Ok(look().then_some(())))
}
