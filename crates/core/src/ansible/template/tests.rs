//! What inventories use of Jinja, what is refused, and what is too much.

use serde_json::json;

use super::*;
use crate::text::yaml::{FileText, parse};

fn resolved(text: &str, name: &str) -> Result<Value, String> {
    let file = FileText::new("all.yml", text);
    let mut problems = Vec::new();
    let root = parse(&file, text, &mut problems).unwrap();
    let entries = root.entries().unwrap().iter();
    let variables: Variables = entries.map(|(key, raw)| Variables::entry(key, raw.clone())).collect();
    let templates = Templates::new(crate::ansible::vault::Vault::new(None));
    templates.answer((Lookup::Env, "DOMAIN".to_owned()), "env.example".to_owned());
    templates
        .resolve(&variables.0[name].raw, &variables, &BTreeMap::new())
        .map(|resolved| resolved.value)
        .map_err(|problem| problem.message)
}

#[test]
fn what_inventories_use() {
    let base = "name: Node\nyes_: yes\nport: 22\nlist: [a, b]\nmap: {key: value}\n";
    for (template, value) in [
        ("{{ name }}", json!("Node")),
        ("{{ name | lower }}.{{ 'LAN' | lower }}", json!("node.lan")),
        ("{{ port }}", json!(22)),
        ("x{{ yes_ }}", json!("xTrue")),
        ("{{ yes_ }}", json!(true)),
        ("{{ 'false' | bool }}", json!(false)),
        ("{{ missing | default('other') }}", json!("other")),
        ("{{ '' | default('other', true) }}", json!("other")),
        ("{{ list | join('-') }}", json!("a-b")),
        ("{{ list }}", json!(["a", "b"])),
        ("{{ map.key ~ port }}", json!("value22")),
        ("{{ '17' | int }}", json!(17)),
        ("{{ lookup('env', 'DOMAIN') }}", json!("env.example")),
        ("{{ lookup('ansible.builtin.env', 'NONE', default='else') }}", json!("else")),
        ("{{ name | replace('N', 'n') | upper }}", json!("NODE")),
    ] {
        assert_eq!(resolved(&format!("{base}v: \"{template}\"\n"), "v"), Ok(value), "{template}");
    }
}

#[test]
fn what_they_do_not_is_refused() {
    for (template, message) in [
        ("{{ missing }}", "variable `missing` is not defined"),
        ("{{ 1 + 2 }}", "`+` is not understood in a template"),
        ("{{ 'a' if yes_ else 'b' }}", "`if` is not understood in a template"),
        ("{% if x %}", "only `{{ … }}` is understood here, neither statements nor comments"),
        ("{{ name", "`{{` without its `}}`"),
        ("{{ v }}", "variables go round in a circle: v → v"),
    ] {
        let error = resolved(&format!("name: n\nv: \"{template}\"\n"), "v").unwrap_err();
        assert_eq!(error, message, "{template}");
    }
    assert!(resolved("v: \"{{ 'a' | nofilter }}\"\n", "v").unwrap_err().contains("nofilter"));
}

/// The message of a chain of variables, each of which says the one before it twice.
fn chain(length: usize, link: impl Fn(usize) -> String) -> String {
    let mut text = "v0: 'xxxxxxxxxxxxxxxx'\n".to_owned();
    for level in 1..=length {
        text.push_str(&format!("v{level}: \"{}\"\n", link(level - 1)));
    }
    resolved(&text, &format!("v{length}")).unwrap_err()
}

#[test]
fn what_doubles_is_stopped_by_a_bound() {
    let expressions = chain(39, |below| format!("{{{{ v{below} }}}}{{{{ v{below} }}}}"));
    assert_eq!(expressions, "too many templates in one value, at most 20000 are resolved");
    let text = chain(39, |below| format!("{{{{ v{below} ~ v{below} }}}}"));
    assert_eq!(text, "templates expand to too much text, at most 16 MiB are made");
    let replaced = chain(39, |below| format!("{{{{ v{below} | replace('x', 'xxxxxxxxxxxxxxxx') }}}}"));
    assert!(replaced.contains("a filter or lookup gives more than 1 MiB"), "{replaced}");
    let joined = chain(39, |below| format!("{{{{ [v{below}, v{below}, v{below}] | join(v{below}) }}}}"));
    assert!(joined.contains("a filter or lookup gives more than 1 MiB"), "{joined}");
    let long = format!("v: \"{{{{ {} }}}}\"\n", "'x' ~ ".repeat(1_000) + "'x'");
    assert_eq!(resolved(&long, "v").unwrap_err(), "template too long, at most 4 KiB are read");
    let brackets = format!("v: \"{{{{ {}1{} }}}}\"\n", "[".repeat(1_500), "]".repeat(1_500));
    assert!(resolved(&brackets, "v").unwrap_err().starts_with("this template is not understood"));
}

#[test]
fn variables_within_variables_are_bounded_together() {
    let nested = |inner: &str| format!("{}\"{{{{ {inner} }}}}\"{}", "[".repeat(100), "]".repeat(100));
    let text = format!("a: {}\nb: {}\nc: 1\n", nested("b"), nested("c"));
    assert_eq!(resolved(&text, "a").unwrap_err(), "variables are nested too deeply, at most 200 levels are resolved");
    assert!(resolved(&text, "b").is_ok());
}
