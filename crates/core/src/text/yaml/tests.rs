//! Where things stand, and that no text takes more than its budget.

use super::budget::Spent;
use super::*;

#[test]
fn everything_has_its_place() {
    let text = "a:\n  b: [1, two]\n  c: &x\n    d: yes\ne:\n  <<: *x\n  f: !vault |\n    $ANSIBLE\n";
    let file = FileText::new("hosts.yml", text);
    let mut problems = Vec::new();
    let root = parse(&file, text, &mut problems).unwrap();
    let entries = root.entries().unwrap();
    assert_eq!(problems, []);
    let b = &entries[0].1.entries().unwrap()[0].1;
    let RawValue::List(items) = &b.value else { panic!("{b:?}") };
    let spot = items[1].origin.spot();
    assert_eq!((spot.line, spot.column, spot.length, spot.text.as_str()), (2, 10, 3, "  b: [1, two]"));
    let e = entries[1].1.entries().unwrap();
    assert_eq!((e[0].0.text.as_str(), &e[0].1.value), ("d", &RawValue::Bool(true)));
    assert_eq!(e[1].1.value, RawValue::Vault("$ANSIBLE\n".to_owned()));
}

fn read(text: &str) -> Result<Read<Raw>, Malformed> {
    build(&FileText::new("hosts.yml", text), text, &Budget::SITE)
}

fn limit(text: &str) -> (Limit, usize) {
    match read(text).map(|read| read.spent) {
        Err(Malformed { what: What::Over(limit), line, .. }) => (limit, line),
        other => panic!("{other:?}"),
    }
}

/// Each line says the one before it nine times.
fn billion_laughs() -> String {
    let mut text = "a0: &a0 lol\n".to_owned();
    for level in 1..=9 {
        let below = format!("*a{}, ", level - 1).repeat(9);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", ")));
    }
    text
}

#[test]
fn what_takes_too_much_is_refused_by_the_bound_it_goes_beyond() {
    let laughs = billion_laughs();
    assert!(laughs.len() < 500);
    assert_eq!(limit(&laughs), (Limit::CopiedNodes(100_000), 6));
    assert_eq!(limit(&"- ".repeat(50_000)), (Limit::Depth(128), 1));
    assert_eq!(limit(&"[".repeat(500_000)), (Limit::Depth(128), 1));
    assert_eq!(limit(&"{a: ".repeat(200_000)), (Limit::Depth(128), 1));
    assert_eq!(limit(&format!("a: 1\nb: {}\n", "x".repeat(5_000_000))), (Limit::Line(1 << 20), 2));
    assert_eq!(limit(&"#\n".repeat(9 << 20)), (Limit::Bytes(16 << 20), 1));
    assert_eq!(limit(&"- a\n".repeat(1_000_001)).0, Limit::Nodes(1_000_000));
    let long = format!("- &a {}\n{}", "x".repeat(1_000_000), "- *a\n".repeat(20));
    assert_eq!(limit(&long), (Limit::CopiedBytes(8 << 20), 9));
    let levels = |inner: &str| format!("{}{inner}{}", "[".repeat(70), "]".repeat(70));
    assert_eq!(limit(&format!("- &a {}\n- {}\n", levels("x"), levels("*a"))), (Limit::Depth(128), 2));
    // Each anchor is a copy, too: a hundred around a thousand values are a hundred thousand.
    let around: String = (0..100).map(|level| format!("&a{level} [")).collect();
    assert_eq!(limit(&format!("{around}{}", "x, ".repeat(1_000) + &"]".repeat(100))).0, Limit::CopiedNodes(100_000));
}

#[test]
fn what_is_large_and_honest_is_read() {
    let keys: String = (0..200_000).map(|number| format!("k{number}: {number}\n")).collect();
    let spent = Spent { nodes: 400_001, depth: 1, ..Spent::default() };
    assert_eq!(read(&keys).unwrap().spent, spent);
    // Both maps say 20,000 keys: those of the second are there before it is merged into.
    let entries: String = (0..20_000).map(|number| format!("  k{number}: {number}\n")).collect();
    let merged = read(&format!("a: &a\n{entries}b:\n{entries}  <<: *a\n")).unwrap();
    assert_eq!((merged.spent.copied_nodes, merged.repeated.len()), (2 * 40_001, 0));
}

#[test]
fn aliases_are_counted() {
    let spent = read("a: &a {b: c}\nd: *a\ne: {<<: *a}\n").unwrap().spent;
    // Three nodes are copied for the anchor, and for each alias.
    assert_eq!(spent, Spent { nodes: 9 + 9, copied_nodes: 9, copied_bytes: 6, depth: 3 });
}

#[test]
fn each_bound_is_told_in_words() {
    for (limit, words) in [
        (Limit::Bytes(16 << 20), "file too large, at most 16 MiB are read"),
        (Limit::Line(256 << 10), "line too long, at most 256 KiB are read"),
        (Limit::Depth(128), "nested too deeply, at most 128 levels are read"),
        (Limit::Nodes(50_000), "too many values, at most 50000 are read"),
        (Limit::CopiedNodes(1_000), "aliases expand to too many values, at most 1000 are copied"),
        (Limit::CopiedBytes(100), "aliases expand to too much text, at most 100 bytes are copied"),
    ] {
        assert_eq!(limit.to_string(), words);
    }
}

fn problems(file: &Arc<FileText>, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    parse(file, text, &mut problems);
    let place = |problem: &Problem| problem.spot.as_ref().map_or((0, 0), |spot| (spot.line, spot.column));
    problems.iter().map(|problem| format!("{:?} {}", place(problem), problem.message)).collect()
}

#[test]
fn what_is_wrong_is_told_at_its_place() {
    for (text, expected) in [
        ("a: &a [*a]\n", "(1, 8) invalid YAML: an alias inside the value that it stands for"),
        ("[a]: b\n", "(1, 6) invalid YAML: a key must not be a list or a map"),
        ("a: b\n---\nc: d\n", "(2, 1) a second YAML document, expected one"),
        ("a: b\nc: d\na: e\n", "(3, 1) duplicate key `a`, the last one wins"),
    ] {
        assert_eq!(problems(&FileText::new("hosts.yml", text), text), [expected], "{text:?}");
    }
    let overridden = "a: &a {b: c}\nd: {<<: *a, b: e}\n";
    assert_eq!(problems(&FileText::new("hosts.yml", overridden), overridden), [""; 0]);
    let secret = "a: s3cr3t\n s3cr3t: [\n";
    assert_eq!(problems(&FileText::sealed("all.yml"), secret), ["(2, 8) invalid YAML"]);
}

#[test]
fn a_hundred_problems_of_one_line_show_a_hundred_parts_of_it() {
    let text = format!("{{{}}}", "a: 1, ".repeat(100_000));
    let file = FileText::new("hosts.json", &text);
    let mut problems = Vec::new();
    parse(&file, &text, &mut problems);
    assert_eq!(problems.len(), build::REPEATED);
    let spot = problems.last().unwrap().spot.clone().unwrap();
    assert_eq!((spot.column, spot.skipped, spot.text.len()), (602, 481, LONG_LINE));
    assert_eq!(spot.text.chars().nth(spot.column - 1 - spot.skipped), Some('a'));
}
