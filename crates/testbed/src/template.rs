//! Texts that are files beside the code, with values in place of their `@NAMES@`.

/// The text with each value in the place of its name. A value may hold no other's name.
pub fn filled(text: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| {
        let name = format!("@{name}@");
        debug_assert!(text.contains(&name), "there is no {name} in {text}");
        text.replace(&name, value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_where_their_names_stood() {
        assert_eq!(filled("@A@: me@b\n@A@ @KEY@\n", &[("A", "x"), ("KEY", "ssh a@b")]), "x: me@b\nx ssh a@b\n");
    }
}
