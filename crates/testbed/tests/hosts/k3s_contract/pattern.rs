//! Recorded text, in which a word in angle brackets or an ellipsis stands for what differs from run to run.

/// Whether a text is as recorded.
pub fn matches(recorded: &str, text: &str) -> bool {
    let pieces = pieces(recorded);
    let (first, rest) = pieces.split_first().unwrap();
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    let Some((last, between)) = rest.split_last() else { return text.is_empty() };
    for piece in between {
        let Some(at) = text.find(piece.as_str()) else { return false };
        text = &text[at + piece.len()..];
    }
    text.ends_with(last.as_str())
}

/// What stands between the placeholders.
fn pieces(recorded: &str) -> Vec<String> {
    let (mut pieces, mut rest) = (vec![String::new()], recorded);
    while let Some(letter) = rest.chars().next() {
        let placeholder = match letter {
            '…' => Some(letter.len_utf8()),
            '<' => rest.find('>').map(|end| end + 1),
            _ => None,
        };
        match placeholder {
            Some(length) => {
                pieces.push(String::new());
                rest = &rest[length..];
            }
            None => {
                pieces.last_mut().unwrap().push(letter);
                rest = &rest[letter.len_utf8()..];
            }
        }
    }
    pieces
}

/// Whether a text is so many hexadecimal digits.
pub fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.chars().all(|letter| letter.is_ascii_digit() || ('a'..='f').contains(&letter))
}

#[test]
fn placeholders_stand_for_anything_and_the_rest_for_itself() {
    assert!(matches("time=\"<t>\" p=<p>->x", "time=\"12\" p=9->x") && matches("a…", "abc") && matches("a", "a"));
    assert!(!matches("a<x>b", "a1c") && !matches("a", "ab") && !matches("a…", "b"));
}
