//! The real world: what the core asks and does, on real machines.
//!
//! Nodes are reached over SSH ([`RealWorld`]); shell is rendered from the closed sets of questions and deeds, nowhere
//! else. The cluster is spoken to through its API. What cannot be done yet is a fault of cause `NotBuilt`.

mod block_file;
mod bmc;
mod cache;
mod cluster;
mod controller;
mod file_lock;
mod host;
mod image;
mod journal;
mod k3s;
mod known_hosts_file;
mod kubeconfig_file;
mod local;
mod local_files;
mod local_source;
mod not_built;
mod real_world;
mod remembered;
mod run_lock;
mod shell;
pub mod ssh;
mod tools;
mod web;

pub use block_file::take_out_block;
pub use cache::{CACHE_BOUND, Cached, cached, clean_cache};
pub use journal::{Journal, run_name};
pub use local_source::LocalSource;
pub use real_world::{Directories, RealWorld};
pub use run_lock::{Held, LockError, RunLock};
