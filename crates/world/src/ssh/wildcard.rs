//! OpenSSH's patterns: `*` and `?`, lists with `!`.

/// Whether a whole text is like a pattern.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < text.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, place));
            at += 1;
        } else if pattern.get(at).is_some_and(|one| *one == '?' || *one == text[place]) {
            (at, place) = (at + 1, place + 1);
        } else if let Some((star_at, star_place)) = star {
            // The star takes one more.
            star = Some((star_at, star_place + 1));
            (at, place) = (star_at + 1, star_place + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|one| *one == '*')
}

/// Whether a list of patterns takes a text: one has to, and none with `!` may.
pub(super) fn list_matches<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let mut taken = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(&pattern.to_ascii_lowercase(), &text) => return false,
            Some(_) => {}
            None => taken |= matches(&pattern.to_ascii_lowercase(), &text),
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_openssh_has_them() {
        for (pattern, text, taken) in [
            ("node*.lan", "node01.lan", true),
            ("node*.lan", "node01.lan.de", false),
            ("node?", "node1", true),
            ("node?", "node10", false),
            ("*a*b*", "xaybz", true),
            ("*", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), taken, "{pattern} {text}");
        }
        for (list, text, taken) in
            [("a b*", "Bee", true), ("* !b*", "bee", false), ("!b*", "c", false), ("!b* *", "c", true)]
        {
            assert_eq!(list_matches(list.split(' '), text), taken, "{list} {text}");
        }
    }
}
