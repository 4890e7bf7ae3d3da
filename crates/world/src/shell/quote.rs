//! The one way of a value into a script.

/// A value as one word of POSIX shell, whatever is in it. A NUL cannot be in a word of any shell and is left out.
pub(crate) fn word(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('\'');
    for character in value.chars() {
        match character {
            '\'' => quoted.push_str("'\\''"),
            '\0' => {}
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::word;

    #[test]
    fn what_needs_no_quotes_has_none() {
        assert_eq!(word("/etc/apt/sources.list.d/a_b-c.list"), "/etc/apt/sources.list.d/a_b-c.list");
        assert_eq!(word(""), "''");
        assert_eq!(word("it's"), "'it'\\''s'");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_real_shell_reads_it_back(value in "[^\\x00]{0,40}") {
            let script = format!("printf '%s' {}", word(&value));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), value);
        }
    }
}
