//! The real world: what the core asks and does, on real machines.
//!
//! Nodes are reached over SSH ([`RealWorld`]); shell is rendered from the closed sets of questions and actions, nowhere
//! else. The cluster is spoken to through its API.

mod block_file;
mod bmc;
mod cache;
mod cluster;
mod controller;
mod file_lock;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod host;
mod host_key_pair;
mod image;
mod journal;
mod k3s;
mod known_hosts_file;
mod known_nodes;
mod kubeconfig_file;
mod local;
mod local_files;
mod local_source;
#[cfg(test)]
mod mutations;
mod program;
mod real_world;
mod run_lock;
mod shell;
pub mod site_files;
pub mod ssh;
mod state_directory;
mod tools;
mod web;

pub use block_file::take_out_block;
pub use cache::{CACHE_BOUND, Cached, cached, clean_cache};
pub use journal::{Journal, run_name};
pub use known_nodes::KnownNodes;
pub use local_source::LocalSource;
pub use real_world::{Directories, RealWorld};
pub use run_lock::{Held, LockError, RunLock};
