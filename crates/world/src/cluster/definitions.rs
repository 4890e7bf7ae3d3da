//! The custom resource definitions of a release: with one of them goes every object of its kind.

use bringup_core::text::document::{Document, Malformed};

const KIND: &str = "CustomResourceDefinition";

/// The names of those that uninstalling a release with this manifest would delete. Helm leaves what is annotated with
/// `helm.sh/resource-policy: keep` (helm.sh/docs/howto/charts_tips_and_tricks).
///
/// # Errors
/// When the manifest cannot be read: then nobody knows what would go.
pub(super) fn lost(manifest: &str) -> Result<Vec<String>, Malformed> {
    let mut lost = Vec::new();
    for text in documents(manifest) {
        if let Some(object) = Document::of_user(&text)? {
            find(&object, &mut lost);
        }
    }
    Ok(lost)
}

/// The documents of a stream. Lines stay at their numbers, for whoever is shown one.
fn documents(manifest: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for (before, line) in manifest.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") || line.starts_with("---\t") {
            documents.push("\n".repeat(before));
        }
        if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents
}

fn find(object: &Document, lost: &mut Vec<String>) {
    let text = |document: Option<&Document>| document.and_then(Document::as_text).map(str::to_owned);
    if let Some(Document::List(items)) = object.get("items") {
        items.iter().for_each(|item| find(item, lost));
    }
    let metadata = object.get("metadata");
    let policy = metadata.and_then(|metadata| metadata.get("annotations")?.get("helm.sh/resource-policy"));
    if text(object.get("kind")).as_deref() == Some(KIND) && text(policy).as_deref() != Some("keep") {
        let name = text(metadata.and_then(|metadata| metadata.get("name")));
        lost.push(name.unwrap_or_else(|| "(unnamed)".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[test]
    fn however_it_is_written() {
        let keep = "annotations: {helm.sh/resource-policy: keep}";
        for (manifest, names) in [
            ("kind: Service\nmetadata: {name: a}\n".to_owned(), &[][..]),
            (
                "# Source: a\nkind: CustomResourceDefinition\nmetadata:\n  name: apps.argoproj.io\n".to_owned(),
                &["apps.argoproj.io"],
            ),
            ("kind: \"CustomResourceDefinition\"\nmetadata:\n    name: 'a.b'\n".to_owned(), &["a.b"]),
            ("{\"kind\": \"CustomResourceDefinition\", \"metadata\": {\"name\": \"a.b\"}}\n".to_owned(), &["a.b"]),
            ("kind: CustomResourceDefinition  # a comment\nmetadata: {}\n".to_owned(), &["(unnamed)"]),
            (format!("kind: CustomResourceDefinition\nmetadata: {{name: a.b, {keep}}}\n"), &[]),
            // Of another object than itself.
            (format!("kind: CustomResourceDefinition\nmetadata: {{name: a.b}}\nspec: {{{keep}}}\n"), &["a.b"]),
            ("kind: List\nitems:\n- kind: CustomResourceDefinition\n  metadata: {name: a.b}\n".to_owned(), &["a.b"]),
            (
                format!(
                    "---\nkind: CustomResourceDefinition\nmetadata: {{name: a.b, {keep}}}\n---\n# nothing\n--- # c\n\
                     kind: CustomResourceDefinition\nmetadata: {{name: c.d}}\n"
                ),
                &["c.d"],
            ),
            // A line in a text is no end of it.
            ("kind: ConfigMap\ndata:\n  a: |\n    ---\n    kind: CustomResourceDefinition\n".to_owned(), &[]),
        ] {
            assert_eq!(lost(&manifest).unwrap(), names, "{manifest}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        let malformed = lost("kind: Service\n---\nkind: [\n").unwrap_err();
        assert!(malformed.to_string().starts_with("line "), "{malformed}");
    }
}
