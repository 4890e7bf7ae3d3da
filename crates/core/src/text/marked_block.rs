//! Lines of ours between two marker lines, in a text that is somebody else's.

use std::fmt;
use std::ops::Range;

/// Why a text's marker lines cannot be relied on. Nothing is changed in such a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// A block begins in this line and does not end.
    NoEnd(usize),
    /// One ends in this line and did not begin.
    NoBegin(usize),
    /// A second one begins in this line.
    Twice(usize),
    /// What is to be put has a marker of some block in this line of its own.
    Inside(usize),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEnd(line) => write!(
                f,
                "bringup's block begins in line {line} and has no end: remove line {line} and what bringup wrote below it"
            ),
            Self::NoBegin(line) => write!(
                f,
                "bringup's block ends in line {line} and has no beginning: remove line {line} and what bringup wrote above it"
            ),
            Self::Twice(line) => write!(
                f,
                "bringup's block begins a second time in line {line}: remove one of the two, with its marker lines"
            ),
            Self::Inside(line) => write!(f, "line {line} of what would be written is a marker line itself"),
        }
    }
}

impl std::error::Error for Broken {}

fn begin(name: &str) -> String {
    format!("# >>> {name} >>>")
}

fn end(name: &str) -> String {
    format!("# <<< {name} <<<")
}

/// Whether a line could be taken for a marker, of whatever block.
fn is_marker(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("# >>> ") && line.ends_with(" >>>") || line.starts_with("# <<< ") && line.ends_with(" <<<")
}

/// The lines between the markers; `None`: there is no such block.
///
/// # Errors
/// When its marker lines are not one pair.
pub fn read<'a>(text: &'a str, name: &str) -> Result<Option<&'a str>, Broken> {
    Ok(find(text, name)?.map(|found| &text[found.inside]))
}

/// The text with the block as given: in its place if there is one, else at the end.
///
/// # Errors
/// When its marker lines are not one pair, or the block holds a marker line: the next edit would cut it there.
pub fn put(text: &str, name: &str, block: &str) -> Result<String, Broken> {
    if let Some(line) = block.lines().position(is_marker) {
        return Err(Broken::Inside(line + 1));
    }
    let newline = if block.is_empty() || block.ends_with('\n') { "" } else { "\n" };
    let ours = format!("{}\n{block}{newline}{}\n", begin(name), end(name));
    Ok(match find(text, name)? {
        Some(found) => format!("{}{ours}{}", &text[..found.whole.start], &text[found.whole.end..]),
        None if text.is_empty() || text.ends_with('\n') => format!("{text}{ours}"),
        None => format!("{text}\n{ours}"),
    })
}

/// The text without the block.
///
/// # Errors
/// When its marker lines are not one pair.
pub fn take_out(text: &str, name: &str) -> Result<String, Broken> {
    Ok(match find(text, name)? {
        Some(found) => format!("{}{}", &text[..found.whole.start], &text[found.whole.end..]),
        None => text.to_owned(),
    })
}

/// Where a block is: with its markers, and without.
struct Found {
    whole: Range<usize>,
    inside: Range<usize>,
}

fn find(text: &str, name: &str) -> Result<Option<Found>, Broken> {
    let (begin, end) = (begin(name), end(name));
    let mut at = 0;
    let mut open: Option<(usize, usize, usize)> = None;
    let mut found: Option<Found> = None;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let number = index + 1;
        let next = at + line.len();
        // An editor of another system may have left a carriage return.
        let bare = line.trim_end();
        if bare == begin {
            if open.is_some() || found.is_some() {
                return Err(Broken::Twice(number));
            }
            open = Some((number, at, next));
        } else if bare == end {
            let (_, whole, inside) = open.take().ok_or(Broken::NoBegin(number))?;
            found = Some(Found { whole: whole..next, inside: inside..at });
        }
        at = next;
    }
    match open {
        Some((number, ..)) => Err(Broken::NoEnd(number)),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "# >>> ours >>>\none\n# <<< ours <<<\n";

    #[test]
    fn a_block_is_put_replaced_and_taken_out() {
        let put = |text: &str, block: &str| put(text, "ours", block).unwrap();
        for (before, block, after) in [
            ("", "one\n", BLOCK.to_owned()),
            ("mine\n", "one", format!("mine\n{BLOCK}")),
            ("no newline", "one\n", format!("no newline\n{BLOCK}")),
            ("mine\n# >>> ours >>>\r\nold\r\n# <<< ours <<<\r\nlast", "one\n", format!("mine\n{BLOCK}last")),
            ("# >>> other >>>\nx\n# <<< other <<<\n", "one\n", format!("# >>> other >>>\nx\n# <<< other <<<\n{BLOCK}")),
        ] {
            let text = put(before, block);
            assert_eq!(text, after, "{before:?}");
            assert_eq!(read(&text, "ours").unwrap(), Some("one\n"));
            assert_eq!(put(&text, block), text, "a second time changes nothing");
        }
        let text = format!("mine\n{BLOCK}last\n");
        assert_eq!(take_out(&text, "ours").unwrap(), "mine\nlast\n");
        assert_eq!(take_out("mine\n", "ours").unwrap(), "mine\n");
        assert_eq!(read("mine\n", "ours").unwrap(), None);
        assert_eq!(put("", ""), "# >>> ours >>>\n# <<< ours <<<\n");
    }

    #[test]
    fn no_marker_line_gets_into_a_block() {
        for line in ["# <<< ours <<<", "# >>> ours >>>", "  # <<< other <<< \r"] {
            let block = format!("one\n{line}\ntwo\n");
            assert_eq!(put("mine\n", "ours", &block), Err(Broken::Inside(2)), "{line:?}");
        }
    }

    #[test]
    fn markers_that_are_no_pair_are_refused() {
        for (text, broken) in [
            ("a\n# >>> ours >>>\nb\n", Broken::NoEnd(2)),
            ("# <<< ours <<<\n", Broken::NoBegin(1)),
            ("# >>> ours >>>\n# >>> ours >>>\n# <<< ours <<<\n", Broken::Twice(2)),
            ("# >>> ours >>>\n# <<< ours <<<\n# >>> ours >>>\n# <<< ours <<<\n", Broken::Twice(3)),
        ] {
            assert_eq!(read(text, "ours"), Err(broken), "{text:?}");
            assert_eq!(put(text, "ours", "x"), Err(broken), "{text:?}");
            assert_eq!(take_out(text, "ours"), Err(broken), "{text:?}");
        }
    }
}
