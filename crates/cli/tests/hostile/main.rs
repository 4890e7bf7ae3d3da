//! Runs the binary against machines that give the worst answers they can: a node, a control plane, an API server and a
//! mirror. None of them gets code run here, a file written outside its place, a secret shown, a line of output forged, or
//! another machine's lane ended. `operator` checks this after every run; each test adds what is specific to its machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod api;
mod https;
mod mirror;
mod node;
mod nodes;
mod operator;
mod words;
