//! One piece of a script: files of `scripts/`, and before them the values that they need.
//!
//! A value gets into it as an assignment or as an argument, and is quoted here: nobody who has a value has to think of that.
//! Whatever else goes in is `'static`, so no text that was put together at run time is taken for shell.

use bringup_core::text::secret::Secret;

use super::quote::word;

/// Is put together in the order in which it runs.
#[must_use]
#[derive(Clone, Default, Debug)]
pub(super) struct Piece(String);

impl Piece {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Assigns a value to a variable.
    pub(super) fn set(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        debug_assert!(is_name(name), "{name:?} is no name of a variable");
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&word(value.as_ref()));
        self.0.push('\n');
        self
    }

    /// Assigns a secret to a variable. Where root's environment has one of that name, every program would be given it.
    pub(super) fn set_secret(mut self, name: &'static str, value: &Secret) -> Self {
        debug_assert!(is_name(name), "{name:?} is no name of a variable");
        self.0.push_str("unset ");
        self.0.push_str(name);
        self.0.push('\n');
        self.set(name, value.expose())
    }

    /// Assigns `yes` or `no` to a variable.
    pub(super) fn set_flag(self, name: &'static str, is: bool) -> Self {
        self.set(name, if is { "yes" } else { "no" })
    }

    /// Makes these values the arguments, `"$@"`, of what follows.
    pub(super) fn arguments(mut self, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.0.push_str("set --");
        self.end_command(values)
    }

    /// Calls a function that a file before has defined. Of a program the arguments would show in a process list.
    pub(super) fn call(mut self, function: &'static str, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        debug_assert!(is_name(function), "{function:?} is no name of a function");
        self.0.push_str(function);
        self.end_command(values)
    }

    fn end_command(mut self, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        for value in values {
            self.0.push(' ');
            self.0.push_str(&word(value.as_ref()));
        }
        self.0.push('\n');
        self
    }

    /// Adds a file, by `script!`.
    pub(super) fn run(mut self, file: &'static str) -> Self {
        self.0.push_str(file);
        self.0.push('\n');
        self
    }

    /// Its text, without the newline at its end.
    pub(super) fn text(mut self) -> String {
        self.0.pop();
        self.0
    }
}

/// POSIX' "Name" (XBD 3.216).
fn is_name(text: &str) -> bool {
    let begins = |first: char| first.is_ascii_alphabetic() || first == '_';
    text.starts_with(begins) && text.chars().all(|one| one.is_ascii_alphanumeric() || one == '_')
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const PRINT: &str = "print() { printf '<%s>' \"$@\"; }";

    #[test]
    fn a_name_is_one_of_the_shell() {
        assert!(is_name("token_file") && is_name("_2"));
        for other in ["", "2a", "a-b", "a b", "a;b", "ä", "a\n"] {
            assert!(!is_name(other), "{other:?}");
        }
    }

    #[test]
    #[should_panic(expected = "no name of a variable")]
    fn what_is_no_name_is_not_assigned_to() {
        let _ = Piece::new().set("a b", "");
    }

    #[test]
    fn it_ends_without_a_newline() {
        let piece = Piece::new().set("path", "/a b").set_flag("anew", true).arguments(["a", ""]).call("f", ["it's"]);
        assert_eq!(piece.run("f two").text(), "path='/a b'\nanew=yes\nset -- a ''\nf 'it'\\''s'\nf two");
        assert_eq!(Piece::new().text(), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn values_come_as_they_are(value in "[^\\x00]{0,40}", other in "[^\\x00]{0,40}") {
            let piece = Piece::new().run(PRINT).set("value", &value).arguments([&value, &other]);
            let piece = piece.call("print", [&other, &value]).run("print \"$value\" \"$@\"").text();
            let output = Command::new("sh").args(["-c", &piece]).output().unwrap();
            let expected = format!("<{other}><{value}><{value}><{value}><{other}>");
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        }
    }
}
