//! The parsers of a site's text that only this module can reach; see [`crate::fuzzing`].

use std::collections::BTreeMap;

use crate::ansible::range;
use crate::ansible::template::Templates;
use crate::ansible::variables::Variables;
use crate::ansible::vault::Vault;
use crate::fuzzing::text;
use crate::text::problem::Problems;
use crate::text::secret::Secret;
use crate::text::yaml::{FileText, Origin, parse};

pub(crate) fn host_range(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let (pattern, _) = range::without_port(&text);
    range::expand(pattern).is_ok()
}

pub(crate) fn yaml(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let mut problems = Vec::new();
    let root = parse(&FileText::new("all.yml", &text), &text, &mut problems);
    let _ = Problems(problems).to_string();
    root.is_some()
}

/// Resolves each of a map's values with all of them as variables.
pub(crate) fn template(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let root = parse(&FileText::new("all.yml", &text), &text, &mut Vec::new());
    let Some(entries) = root.as_ref().and_then(|root| root.entries()) else { return false };
    let variables: Variables = entries.iter().map(|(key, raw)| Variables::entry(key, raw.clone())).collect();
    let templates = Templates::new(Vault::new(None));
    let resolved = entries.iter().map(|(_, raw)| templates.resolve(raw, &variables, &BTreeMap::new()));
    resolved.filter(Result::is_ok).count() > 0
}

/// The corpus is sealed with the password `fuzz`.
pub(crate) fn vault(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let origin = Origin::file(&FileText::sealed("vault.yml"));
    Vault::new(Some(Secret::new("fuzz"))).open_at(&text, &origin).is_ok()
}
