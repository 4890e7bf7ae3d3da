//! The machine's own apt sources, as far as they are Debian's: no mirror is named here.

use std::fs;
use std::path::Path;

/// Sources for a release: one-line entries and deb822 stanzas.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Lines of a `sources.list`.
    pub lines: String,
    /// Stanzas of a `.sources` file.
    pub stanzas: String,
}

impl Sources {
    /// What this machine's apt uses for a release.
    pub fn of_machine(suite: &str) -> Self {
        let mut sources = Self::default();
        let directory = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten();
        let mut paths: Vec<_> = directory.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        paths.insert(0, Path::new("/etc/apt/sources.list").to_owned());
        for path in paths {
            let text = fs::read_to_string(&path).unwrap_or_default();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("list") => sources.lines.push_str(&lines(&text, suite)),
                Some("sources") => sources.stanzas.push_str(&stanzas(&text, suite)),
                _ => {}
            }
        }
        sources
    }
}

/// The release itself, its updates and its security fixes.
fn is_of(word: &str, suite: &str) -> bool {
    word.strip_prefix(suite).is_some_and(|rest| ["", "-updates", "-security"].contains(&rest))
}

fn lines(text: &str, suite: &str) -> String {
    let of_release = |line: &&str| line.starts_with("deb ") && line.split_whitespace().any(|word| is_of(word, suite));
    text.lines().map(str::trim).filter(of_release).map(|line| format!("{line}\n")).collect()
}

fn stanzas(text: &str, suite: &str) -> String {
    let of_release = |stanza: &&str| {
        let suites = stanza.lines().find_map(|line| line.strip_prefix("Suites:")).unwrap_or_default();
        suites.split_whitespace().any(|word| is_of(word, suite))
    };
    text.split("\n\n").filter(of_release).map(|stanza| format!("{}\n\n", stanza.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_the_release_is_taken() {
        let text =
            "# deb http://m/ bookworm main\ndeb [signed-by=/k] http://m/ bookworm main\ndeb http://x/ tools main\n";
        assert_eq!(lines(text, "bookworm"), "deb [signed-by=/k] http://m/ bookworm main\n");
        let text = "Types: deb\nURIs: http://m/\nSuites: bookworm bookworm-updates\n\nTypes: deb\nSuites: nodistro\n\n\
                    Types: deb\nSuites: bookworm-security\n";
        let taken = stanzas(text, "bookworm");
        assert!(
            taken.contains("bookworm-updates") && taken.contains("bookworm-security") && !taken.contains("nodistro")
        );
    }
}
