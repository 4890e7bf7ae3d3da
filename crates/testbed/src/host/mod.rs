//! One host: its root file system, the process that keeps it running, and its power.

pub mod cgroup;
pub mod guest;
pub mod power;
mod prepare;
pub mod ready;
pub mod root;
pub mod supervise;
