//! k3s on a node: what it is installed from, the installation in either role, and how its start is watched.

pub(in crate::resources) mod agent;
pub(in crate::resources) mod artifacts;
pub(in crate::resources) mod install;
pub(in crate::resources) mod server;
pub(in crate::resources) mod watch;

#[cfg(test)]
mod samples;
