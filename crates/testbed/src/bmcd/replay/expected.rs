//! A recorded answer against one of the stand-in, but for what may differ.

use serde_json::Value;

use crate::bmcd::answer::Answer;

/// Headers that were recorded wherever they were sent.
const OF_INTEREST: [&str; 3] = ["content-type", "www-authenticate", "x-auth-token"];

/// What is different, if anything is.
pub fn difference(recorded: &Value, answer: &Answer) -> Option<String> {
    if recorded["status"] != u64::from(answer.status) {
        return Some(format!("status {}, recorded {}", answer.status, recorded["status"]));
    }
    let (body, expected) = (masked(&answer.body), masked(recorded["body"].as_str().unwrap()));
    if body != expected {
        return Some(format!("body     {body}\nrecorded {expected}"));
    }
    // Of progress lines no headers were recorded.
    let headers = recorded.get("headers")?;
    OF_INTEREST.iter().find_map(|name| {
        let is = answer.headers.iter().find(|(given, _)| given == name).map(|(_, value)| masked(value));
        let was = headers.get(name).map(|value| masked(value.as_str().unwrap()));
        (is != was).then(|| format!("{name}: {is:?}, recorded {was:?}"))
    })
}

/// With what differs from run to run taken out.
fn masked(text: &str) -> String {
    let mut text = text.to_owned();
    for (before, ends) in [("\"handle\":", '}'), ("\"id\":", ','), ("\"secs\":", ','), ("\"nanos\":", '}')] {
        text = mask(&text, before, |tail| tail.find(ends));
    }
    text = mask(&text, "Access blocked for ", |tail| Some(tail.find('"').unwrap_or(tail.len())));
    text.split('"').map(|word| if is_token(word) { "<64 chars>" } else { word }).collect::<Vec<_>>().join("\"")
}

fn mask(text: &str, before: &str, end: impl Fn(&str) -> Option<usize>) -> String {
    let Some((head, tail)) = text.split_once(before) else { return text.to_owned() };
    let end = end(tail).unwrap_or_else(|| panic!("{text} does not end as it should"));
    format!("{head}{before}#{}", &tail[end..])
}

fn is_token(word: &str) -> bool {
    word.len() == 64 && word.chars().all(|letter| letter.is_ascii_alphanumeric())
}

#[test]
fn only_what_may_differ_is_masked() {
    let told = r#"{"Transferring":{"id":7,"process_name":"Node 2","size":8,"cancelled":false,"bytes_written":4}}"#;
    assert_eq!(masked(told), told.replace(":7,", ":#,"));
    assert_eq!(masked(r#"{"Done":[{"secs":1,"nanos":372},8]}"#), r##"{"Done":[{"secs":#,"nanos":#},8]}"##);
    assert_eq!(masked("x. Access blocked for 59s 1ns"), "x. Access blocked for #");
}
