//! Text for people: lines in which nothing acts on a terminal.

use std::fmt::{self, Display};

/// A line longer than this many characters loses its middle: its end may be ours, and say that a node is alive.
const LINE: usize = 4096;
/// How wide a tab is shown.
const TAB: &str = "    ";

/// One line. What would move the cursor, colour, reorder or hide what stands beside it is escaped, as is a newline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line(String);

impl Line {
    /// Of this text.
    pub fn new(text: impl Display) -> Self {
        Self(cut(visible(&text.to_string()), LINE))
    }

    /// The line, without its newline.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lines. Only this type ends them, so no value can begin one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// One line.
    pub fn one(text: impl Display) -> Self {
        Self(vec![Line::new(text)])
    }

    /// Adds a line.
    pub fn push(&mut self, text: impl Display) {
        self.0.push(Line::new(text));
    }

    /// Adds lines.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Display> FromIterator<T> for Lines {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self(texts.into_iter().map(Line::new).collect())
    }
}

impl Display for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// A value that somebody else chose, for the middle of a sentence of ours: of at most so many characters, and without the
/// runs of blanks that would push what follows into a row of its own.
pub fn value(text: &str, most: usize) -> String {
    let visible = visible(text);
    cut(visible.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// A serial console's text for a terminal. Its lines are its own; colours are left out, and all else that would act on the
/// terminal is escaped.
pub fn console_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        if let Some(colour) = colour(rest) {
            rest = &rest[colour..];
            continue;
        }
        match character {
            '\n' | '\r' | '\t' => shown.push(character),
            _ if acts(character) => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
        rest = &rest[character.len_utf8()..];
    }
    shown
}

/// How long the colour sequence (`ESC [ … m`) is that this begins with.
fn colour(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|one: char| !one.is_ascii_digit() && one != ';')?;
    parameters[end..].starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

/// With everything in it to be seen. What was made visible once stays as it is.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push_str(TAB),
            _ if acts(character) => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

/// Without its middle, if it is too long.
fn cut(text: String, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text;
    }
    let tail = most / 3;
    let head = most - tail - 1;
    text.chars().take(head).chain(['…']).chain(text.chars().skip(count - tail)).collect()
}

/// Whether a character acts on the text around it, or cannot be seen: controls, what changes the direction of writing, what
/// has no width, what ends a line in Unicode's eyes, and tags.
pub(super) fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_seen() {
        for (text, shown) in [
            ("plain — grün 磁盘", "plain — grün 磁盘"),
            ("\u{1b}[31mred\tbell\u{7}\r\u{9b}2J", "\\u{1b}[31mred    bell\\u{7}\\r\\u{9b}2J"),
            ("\u{1b}]52;c;cm0=\u{7}", "\\u{1b}]52;c;cm0=\\u{7}"),
            ("a\n  ! erase b", "a\\n  ! erase b"),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", "a\\u{202e}b\\u{2066}c\\u{200b}d\\u{feff}"),
        ] {
            assert_eq!(Line::new(text).as_str(), shown);
            assert_eq!(Line::new(shown).as_str(), shown, "once is enough");
        }
    }

    #[test]
    fn a_flood_is_cut_and_its_end_is_kept() {
        let flood = format!("erase {} of node01, WHICH IS ALIVE", "x".repeat(1 << 20));
        let line = Line::new(flood);
        assert_eq!(line.as_str().chars().count(), LINE);
        assert!(line.as_str().starts_with("erase xxx") && line.as_str().contains('…'));
        assert!(line.as_str().ends_with("of node01, WHICH IS ALIVE"));
        assert_eq!(value("a  \n\t b", 9), "a \\n b");
        assert_eq!(value(&"y".repeat(99), 9), "yyyyy…yyy");
    }

    #[test]
    fn a_console_keeps_its_lines_and_loses_its_colours() {
        for (text, shown) in [
            ("[\u{1b}[0;32m  OK  \u{1b}[0m] up\r\n10%\r20%\tx", "[  OK  ] up\r\n10%\r20%\tx"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"),
            ("cut off \u{1b}[3", "cut off \\u{1b}[3"),
            ("\u{202e}\u{8}", "\\u{202e}\\u{8}"),
        ] {
            assert_eq!(console_text(text), shown);
        }
    }
}
