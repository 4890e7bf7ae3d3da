//! Paths with the user's home in them.

/// A path with the user's home in it.
pub(crate) fn expand(path: &str, home: &str) -> String {
    let path = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => path.to_owned(),
    };
    path.replace("${HOME}", home).replace("$HOME", home)
}
