//! Lines on standard output.

use std::io::Write;

/// Prints a line. Whoever reads may have heard enough and gone.
pub fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
