//! The binary against machines that answer everything in the worst way they can: a node, a control plane, an API server and
//! a mirror. None of them gets code run here, a file written outside its place, a secret shown, a line of ours forged, or the
//! lane of another machine ended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod api;
mod https;
mod mirror;
mod node;
mod nodes;
mod operator;
mod words;
