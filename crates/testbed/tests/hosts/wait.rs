//! Waits of stories: each has a bound, and says what it waited for and what it saw last when it gives up.

use std::time::{Duration, Instant};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);

/// Looks again and again, for at most `bound`. A look finds what is waited for, or says what is there instead.
pub fn until<T>(bound: Duration, what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    comes(bound, look).unwrap_or_else(|seen| panic!("waited {bound:?} for {what}; seen last: {seen}"))
}

/// The same, for a story that goes on without it: what was found, or what was seen last.
pub fn comes<T>(bound: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(seen) if begun.elapsed() >= bound => return Err(seen),
            Err(_) => std::thread::sleep(EVERY),
        }
    }
}

/// Whether it is so; if not, what is seen instead.
pub fn so(is: bool, seen: impl FnOnce() -> String) -> Result<(), String> {
    if is { Ok(()) } else { Err(seen()) }
}

#[test]
fn what_was_seen_last_is_what_a_wait_gives_up_with() {
    let mut looks = 0;
    let seen = comes(Duration::ZERO, || -> Result<(), String> {
        looks += 1;
        Err(format!("look {looks}"))
    });
    assert_eq!(seen, Err("look 1".to_owned()));
    assert_eq!(comes(Duration::ZERO, || Ok(7)), Ok(7));
    assert_eq!(so(false, || "that".to_owned()), Err("that".to_owned()));
}
