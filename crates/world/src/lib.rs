//! The real world: what the core asks and does, on real machines.
//!
//! Nodes are reached over SSH ([`RealWorld`]); shell is rendered from the closed sets of questions and actions, nowhere
//! else. The cluster is spoken to through its API.

mod bmc;
mod cluster;
mod controller;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod host;
mod image;
mod local_shell;
#[cfg(test)]
mod mutations;
mod node;
mod program;
mod real_world;
mod shell;
pub mod ssh;
mod web;

pub use controller::journal::{Journal, run_name};
pub use controller::known_nodes::KnownNodes;
pub use controller::local_source::LocalSource;
pub use controller::run_lock::{Held, LockError, RunLock};
pub use files::block_file::take_out_block;
pub use files::cache::{CACHE_BOUND, Cached, cached, clean_cache};
pub use files::site_files;
pub use real_world::{Directories, RealWorld};
