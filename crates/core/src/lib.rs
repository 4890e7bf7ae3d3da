//! The domain of `bringup`: what a site is, which resources its stages want, and the engine that brings them about.
//!
//! Nothing here touches a socket, a file, a process, a terminal or the wall clock. All effects go through
//! a door, the World, as data, so the real world and the simulated one are told the same story.

mod ansible;
pub mod contract;
pub mod engine;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod ids;
pub mod resources;
pub mod run;
pub mod sabotage;
pub mod site;
pub mod stages;
pub mod text;
pub mod version;
