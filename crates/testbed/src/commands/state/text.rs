//! The ends of long texts.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::failure::{Failure, Tried};

/// What is read of a file at most, from its end.
const BYTES: u64 = 32 * 1024;

/// How long a line may be.
const CHARACTERS: usize = 400;

/// The last lines of a text, each cut where it is too long.
pub fn last(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    let left_out = all.len().saturating_sub(lines);
    let mut kept: Vec<String> = all[left_out..].iter().map(|line| cut(line)).collect();
    if left_out > 0 {
        kept.insert(0, format!("(the last {lines} of {} lines)", all.len()));
    }
    kept.join("\n")
}

/// Without what a terminal would obey: consoles write colours.
fn cut(line: &str) -> String {
    let mut characters = line.chars().filter(|one| !one.is_control() || *one == '\t');
    let mut kept: String = characters.by_ref().take(CHARACTERS).collect();
    if characters.next().is_some() {
        kept.push_str(" …");
    }
    kept
}

/// The end of a file.
pub fn end_of(path: &Path) -> Result<String, Failure> {
    let tried = || format!("read {}", path.display());
    let mut file = File::open(path).tried(tried)?;
    let length = file.metadata().tried(tried)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES))).tried(tried)?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes).tried(tried)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_stay_and_long_ones_are_cut() {
        assert_eq!(last("a\nb\n", 2), "a\nb");
        assert_eq!(last("a\nb\nc\n\n", 2), "(the last 2 of 3 lines)\nb\nc");
        assert_eq!(last("\u{1b}[0;32mOK\u{1b}[0m\r\n", 2), "[0;32mOK[0m");
        assert_eq!(last(&"ä".repeat(401), 1), format!("{} …", "ä".repeat(400)));
    }

    #[test]
    fn no_more_than_the_end_of_a_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        std::fs::write(&path, format!("{}end", "x".repeat(100_000))).unwrap();
        let end = end_of(&path).unwrap();
        assert!(end.len() == 32 * 1024 && end.ends_with("xend"));
        assert!(end_of(&directory.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
