//! The real world: what the core asks and does, on real machines.
//!
//! This build holds what a run needs on the controller's own disk: the site's text, the run lock and the journal. The
//! doors to boards, nodes and the cluster are not built yet, and [`NotBuilt`] says so wherever one is tried.

mod journal;
mod local_source;
mod not_built;
mod run_lock;

pub use journal::{Journal, run_name};
pub use local_source::LocalSource;
pub use not_built::NotBuilt;
pub use run_lock::{Held, LockError, RunLock};
