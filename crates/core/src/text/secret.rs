//! Values that must not be seen.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// A value that shows itself nowhere: not in `Debug`, not in events, not in a journal.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value out of sight.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that hands it on to where it is needed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What stands wherever a secret would.
pub const HIDDEN: &str = "(secret)";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

/// How many bytes a secret needs to be hidden inside longer words as well. A shorter one is hidden where it stands as a word
/// of its own: `pi` inside `pipe` is a coincidence, and hiding it there would give it away.
const HIDDEN_ANYWHERE: usize = 8;

/// Secrets that are hidden in what machines say.
///
/// A secret is found as it was sent. One that comes back encoded, or in parts, is not.
#[derive(Clone, Default, Debug)]
pub struct Mask {
    /// The longest first: a shorter one may be its beginning, and would leave its end. Shared, as each event is given one.
    secrets: Arc<Vec<Secret>>,
}

impl Mask {
    /// Hides this from now on. What machines say is shown in lines, so each line of a longer text is hidden by itself; its
    /// short lines are not, because a brace is no secret.
    pub fn add(&mut self, secret: &Secret) {
        let whole = secret.expose().trim();
        for line in whole.lines().map(str::trim) {
            let too_short = line.is_empty() || (line.len() < HIDDEN_ANYWHERE && line != whole);
            if !too_short && self.secrets.iter().all(|known| known.expose() != line) {
                let at = self.secrets.partition_point(|known| known.expose().len() >= line.len());
                Arc::make_mut(&mut self.secrets).insert(at, Secret::new(line));
            }
        }
    }

    /// A text with `(secret)` in place of each secret.
    pub fn hide_in(&self, text: &str) -> String {
        if !self.secrets.iter().any(|secret| text.contains(secret.expose())) {
            return text.to_owned();
        }
        let (mut shown, mut before, mut rest) = (String::with_capacity(text.len()), None, text);
        while let Some(next) = rest.chars().next() {
            let begins = |secret: &&str| rest.strip_prefix(*secret).is_some_and(|after| stands(secret, before, after));
            let hidden = self.secrets.iter().map(Secret::expose).find(begins);
            let length = hidden.map_or(next.len_utf8(), str::len);
            let (taken, after) = rest.split_at(length);
            shown.push_str(if hidden.is_some() { HIDDEN } else { taken });
            (before, rest) = (taken.chars().next_back(), after);
        }
        shown
    }
}

impl<'a> FromIterator<&'a Secret> for Mask {
    fn from_iter<T: IntoIterator<Item = &'a Secret>>(secrets: T) -> Self {
        let mut mask = Self::default();
        secrets.into_iter().for_each(|secret| mask.add(secret));
        mask
    }
}

/// Whether a secret between these two is hidden.
fn stands(secret: &str, before: Option<char>, after: &str) -> bool {
    let inner = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    secret.len() >= HIDDEN_ANYWHERE || !(inner(before) || inner(after.chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_whole_and_in_longer_words_only_if_they_are_long() {
        let secrets = ["pi", "open", "open sesame", "", "secret", "key:\n  one line of it\n}\n"].map(Secret::new);
        let mask: Mask = secrets.iter().collect();
        for (text, shown) in [
            ("pi@turingpi: pi, pipe, 'pi'", "(secret)@turingpi: (secret), pipe, '(secret)'"),
            ("open sesame, open", "(secret), (secret)"),
            ("xopen sesamex", "x(secret)x"),
            ("the secret of secrets", "the (secret) of secrets"),
            ("> one line of it\n}", "> (secret)\n}"),
            ("öpi piß ✓pi", "öpi piß ✓(secret)"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(mask.hide_in(text), shown, "{text}");
        }
    }
}
