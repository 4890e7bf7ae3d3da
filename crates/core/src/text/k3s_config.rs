//! k3s's configuration file: lines of ours in a file that is also the user's.
//!
//! What the user wrote stays as it is. Where both set the same, the user's stands and ours is left out: k3s would take
//! a key that is there twice in ways that nobody should have to know.

use crate::text::marked_block;
use crate::text::problem::Severity;
use crate::text::secret::Secret;
use crate::text::yaml::{Budget, FileText, Raw, RawValue, parse_within};

/// Where k3s reads it.
pub const PATH: &str = "/etc/rancher/k3s/config.yaml";

/// The name of our block in it.
const BLOCK: &str = "bringup";

/// What a setting is set to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// `true`.
    Yes,
    /// A text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// A file's text, with what of ours is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merged {
    /// The whole text.
    pub text: String,
    /// What is ours and left out, because the user sets it to something else.
    pub given_way: Vec<&'static str>,
}

/// Whether our block is in a text.
pub fn has_block(text: &str) -> bool {
    matches!(marked_block::read(text, BLOCK), Ok(Some(_)) | Err(_))
}

/// The user's text with our settings as they should be.
///
/// # Errors
/// In words, when the text cannot be understood or would not be understood any more; it has to be left alone then.
pub fn merge(text: &str, wanted: &[(&'static str, Setting)]) -> Result<Merged, String> {
    let users = marked_block::take_out(text, BLOCK).map_err(|broken| broken.to_string())?;
    let present = entries(&users)?;
    let mut block = String::new();
    let mut given_way = Vec::new();
    for (key, setting) in wanted {
        match present.iter().find(|(name, _)| name.trim_end_matches('+') == *key) {
            Some((_, value)) if setting.is(value) => {}
            Some(_) => given_way.push(*key),
            None => setting.render(key, &mut block),
        }
    }
    let text = marked_block::put(text, BLOCK, &block).map_err(|broken| broken.to_string())?;
    // A file whose own lines are indented, or end in the middle of something, cannot take more at its end.
    if entries(&text)?.len() < present.len() {
        return Err("our lines would not be read as they are meant behind the user's".to_owned());
    }
    Ok(Merged { text, given_way })
}

/// What the names of settings with a secret value have in them.
const SECRET: [&str; 5] = ["token", "password", "secret", "datastore-endpoint", "vpn-auth"];

/// The values in a configuration that nobody may see. Of one that cannot be read, none are known.
pub fn secrets(text: &str) -> Vec<Secret> {
    let is_secret = |key: &str| {
        let names_a_file = key.ends_with("-file");
        let names_an_object = key == "etcd-s3-config-secret";
        let is_a_choice = key.starts_with("secrets-encryption");
        SECRET.iter().any(|word| key.contains(word)) && !(names_a_file || names_an_object || is_a_choice)
    };
    let entries = entries(text).unwrap_or_default().into_iter();
    let values = entries.filter(|(key, _)| is_secret(key)).filter_map(|(_, raw)| match raw.value {
        RawValue::Text(text) => Some(Secret::new(text)),
        RawValue::Int(value) => Some(Secret::new(value.to_string())),
        _ => None,
    });
    values.collect()
}

/// A text's settings, by name. It may hold a token: what is wrong with it is told by its place.
fn entries(text: &str) -> Result<Vec<(String, Raw)>, String> {
    let mut problems = Vec::new();
    let root = parse_within(&Budget::FILE, &FileText::sealed(PATH), text, &mut problems);
    if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
        let (line, column) = problem.spot.as_ref().map_or((0, 0), |spot| (spot.line, spot.column));
        return Err(format!("line {line}, column {column}: {}", problem.message));
    }
    let Some(root) = root else { return Ok(Vec::new()) };
    let entries = root.entries().ok_or("expected settings in the form `name: value`")?;
    Ok(entries.iter().map(|(key, value)| (key.text.clone(), value.clone())).collect())
}

impl Setting {
    /// Whether the user's value says the same; a longer list does.
    fn is(&self, value: &Raw) -> bool {
        let text = |raw: &Raw| match &raw.value {
            RawValue::Text(text) => text.clone(),
            RawValue::Bool(value) => value.to_string(),
            RawValue::Int(value) => value.to_string(),
            _ => String::new(),
        };
        match (self, &value.value) {
            (Self::Yes, _) => text(value) == "true",
            // A mode without quotes is a number to YAML, and an octal one.
            (Self::Text(wanted), RawValue::Int(number)) => {
                *wanted == number.to_string() || *wanted == format!("{number:04o}")
            }
            (Self::Text(wanted), _) => *wanted == text(value),
            (Self::List(wanted), RawValue::List(items)) => {
                wanted.iter().all(|wanted| items.iter().any(|item| text(item) == *wanted))
            }
            (Self::List(wanted), _) => {
                let said = text(value);
                wanted.iter().all(|wanted| said.split(',').any(|word| word.trim() == wanted))
            }
        }
    }

    fn render(&self, key: &str, block: &mut String) {
        // JSON's strings are YAML's.
        let quoted = |text: &String| serde_json::Value::String(text.clone()).to_string();
        let line = match self {
            Self::Yes => format!("{key}: true\n"),
            Self::Text(text) => format!("{key}: {}\n", quoted(text)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| format!("  - {}\n", quoted(item))).collect();
                format!("{key}:\n{}", items.concat())
            }
        };
        block.push_str(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Vec<(&'static str, Setting)> {
        vec![
            ("disable", Setting::List(vec!["traefik".to_owned()])),
            ("cluster-init", Setting::Yes),
            ("write-kubeconfig-mode", Setting::Text("0600".to_owned())),
            ("node-ip", Setting::Text("10.0.0.1".to_owned())),
        ]
    }

    const ALL: &str = "# >>> bringup >>>\ndisable:\n  - \"traefik\"\ncluster-init: true\n\
                       write-kubeconfig-mode: \"0600\"\nnode-ip: \"10.0.0.1\"\n# <<< bringup <<<\n";

    #[test]
    fn the_users_lines_stay_and_win() {
        for (text, merged, given_way) in [
            ("", ALL.to_owned(), vec![]),
            ("# mine\ntoken: hush\n", format!("# mine\ntoken: hush\n{ALL}"), vec![]),
            (
                "disable: [servicelb, traefik]\ncluster-init: true\nwrite-kubeconfig-mode: 0600\nnode-ip: 10.0.0.1\n",
                "disable: [servicelb, traefik]\ncluster-init: true\nwrite-kubeconfig-mode: 0600\nnode-ip: 10.0.0.1\n\
                 # >>> bringup >>>\n# <<< bringup <<<\n"
                    .to_owned(),
                vec![],
            ),
            (
                "disable: servicelb\nnode-ip: 10.0.0.9",
                "disable: servicelb\nnode-ip: 10.0.0.9\n# >>> bringup >>>\ncluster-init: true\n\
                 write-kubeconfig-mode: \"0600\"\n# <<< bringup <<<\n"
                    .to_owned(),
                vec!["disable", "node-ip"],
            ),
        ] {
            let got = merge(text, &wanted()).unwrap();
            assert_eq!(got, Merged { text: merged.clone(), given_way: given_way.clone() }, "{text:?}");
            assert_eq!(merge(&merged, &wanted()).unwrap(), Merged { text: merged, given_way }, "again");
        }
    }

    #[test]
    fn what_is_replaced_is_ours_alone() {
        let before = format!("a: 1\n{}b: 2\n", ALL.replace("10.0.0.1", "10.0.0.7"));
        assert_eq!(merge(&before, &wanted()).unwrap().text, format!("a: 1\n{ALL}b: 2\n"));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in ["- a\n- list\n", "a: [1\n", "{a: 1}\n", "# >>> bringup >>>\n", "  a: 1\n"] {
            let error = merge(text, &wanted()).unwrap_err();
            assert!(!error.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn secrets_are_the_values_that_nobody_may_see() {
        let text = "token: 'one'\nagent-token: 2\netcd-s3-secret-key: three\ntoken-file: /etc/token\n\
                    secrets-encryption: true\nsecrets-encryption-provider: aescbc\netcd-s3-config-secret: s3\nnode-ip: 10.0.0.1\n";
        assert_eq!(secrets(text), ["one", "2", "three"].map(Secret::new));
        assert_eq!(secrets("token: ["), []);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_place_and_not_by_its_text() {
        for (text, expected) in [
            ("token: s3cr3t\n s3cr3t: [\n", "line 2, column 8: invalid YAML"),
            ("- s3cr3t\n", "expected settings in the form `name: value`"),
        ] {
            assert_eq!(merge(text, &wanted()).unwrap_err(), expected);
        }
        let laughs =
            format!("a: &a [{}]\nb: &b [{}]\nc: [{}]\n", "x, ".repeat(20), "*a, ".repeat(20), "*b, ".repeat(20));
        let error = merge(&laughs, &wanted()).unwrap_err();
        assert_eq!(error, "line 3, column 5: aliases expand to too many values, at most 1000 are copied");
        let error = merge(&"- ".repeat(50_000), &wanted()).unwrap_err();
        assert_eq!(error, "line 1, column 129: nested too deeply, at most 64 levels are read");
    }
}
