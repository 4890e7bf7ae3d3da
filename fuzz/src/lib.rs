//! From the name of a target to the parser that it feeds.

#![cfg(fuzzing)]

/// Feeds the parser of this name.
///
/// # Panics
/// When there is none, and when the parser panics, which is what fuzzing looks for.
pub fn feed(name: &str, bytes: &[u8]) {
    let parsers = bringup_core::fuzzing::PARSERS.iter().chain(&bringup_world::fuzzing::PARSERS);
    let Some((_, parser)) = parsers.into_iter().find(|(parser, _)| *parser == name) else {
        panic!("no parser is called {name}");
    };
    parser(bytes);
}
