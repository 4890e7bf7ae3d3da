//! Groups of groups, however many.

use super::*;
use crate::ansible::hosts_file;
use crate::text::yaml::{FileText, parse};

fn read(text: &str) -> (Inventory, Vec<String>) {
    let (mut groups, mut problems) = (Groups::default(), Vec::new());
    let root = parse(&FileText::new("hosts.yml", text), text, &mut problems).unwrap();
    hosts_file::read(&root, &mut groups, &mut problems);
    problems.extend(groups.settle());
    let messages = problems.into_iter().map(|problem| problem.message).collect();
    (Inventory::new(groups, Variables::default(), Templates::new(crate::ansible::vault::Vault::new(None))), messages)
}

fn chain(links: impl Iterator<Item = usize>) -> String {
    links.map(|link| format!("g{link}: {{children: {{g{}: }}}}\n", link + 1)).collect()
}

#[test]
fn a_long_chain_of_groups_is_an_error_and_no_overflow() {
    let expected = ["groups are nested too deeply, at most 64 levels are read"];
    for text in [chain(0..60_000), chain((0..60_000).rev())] {
        assert_eq!(read(&text).1, expected);
    }
    let (inventory, problems) = read(&chain(0..63));
    assert_eq!(problems, [""; 0]);
    assert!(inventory.graph().len() == 66, "all, ungrouped and 64 groups");
    assert_eq!(inventory.groups.groups["g63"].depth, 64);
}

#[test]
fn circles_are_told_with_all_that_is_in_them() {
    for (text, circle) in [
        ("a: {children: {b: }}\nb: {children: {c: }}\nc: {children: {a: }}\n", "c → a → b → c"),
        ("a: {children: {a: }}\n", "a → a"),
        ("a: {children: {all: }}\n", "all → a → all"),
    ] {
        assert_eq!(read(text).1, [format!("groups go round in a circle: {circle}")], "{text}");
    }
}

/// Each step has two ways to the next: forty of them are a billion ways.
#[test]
fn a_ladder_of_groups_is_walked_once() {
    let ladder: String = (0..40)
        .map(|step| {
            let below = format!("{{l{0}: , r{0}: }}", step + 1);
            format!("l{step}: {{children: {below}}}\nr{step}: {{children: {below}}}\n")
        })
        .collect();
    let (inventory, problems) = read(&ladder);
    assert_eq!(problems, [""; 0]);
    assert_eq!(inventory.groups.groups["r40"].depth, 41);
    let graph = inventory.graph();
    assert_eq!(graph.len(), LINES + 1);
    assert_eq!(graph.last().unwrap(), "(the first 100000 lines)");
    assert!(inventory.list(false).as_object().unwrap().contains_key("l39"));
}
