//! The domain of `bringup`: what a site is, which resources its stages want, and the engine that brings them about.
//!
//! Nothing here touches a socket, a file, a process, a terminal or the wall clock. All effects go through
//! a door, the World, as data, so the real world and the simulated one are told the same story.

pub mod change;
pub mod contract;
pub mod document;
pub mod engine;
pub mod event;
pub mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hazard;
pub mod ids;
pub mod k3s_config;
pub mod k3s_journal;
pub mod known_hosts;
pub mod kubeconfig;
pub mod marked_block;
pub mod report;
pub mod resource;
pub mod resources;
pub mod sabotage;
pub mod secret;
pub mod shell_text;
pub mod site;
pub mod stages;
pub mod version;
pub mod world;
