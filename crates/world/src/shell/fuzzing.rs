//! The parsers of what a shell on a node prints; see [`crate::fuzzing`].

use super::every_question::{k3s_questions, questions};
use super::script::Script;
use super::{Section, answer};
use crate::fuzzing::head_and_rest;

/// Below a line with a question's number and the exit status, what it printed.
pub(crate) fn node_answer(bytes: &[u8]) -> bool {
    let (head, out) = head_and_rest(bytes);
    let (number, status) = head.split_once(' ').unwrap_or((&head, "0"));
    let all = [questions(), k3s_questions()].concat();
    let Some(question) = number.parse().ok().and_then(|number: usize| all.get(number)) else { return false };
    answer(question, &Section { out, err: String::new(), status: status.parse().unwrap_or(0) }).is_ok()
}

/// What a script of three pieces printed.
pub(crate) fn script_output(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut script = Script::marked("mark".to_owned());
    for _ in 0..3 {
        script.add("true");
    }
    let sections = script.sections(&text, &text);
    assert_eq!(sections.len(), 3);
    sections.iter().all(Option::is_some)
}
