//! One host: its root file system, the process that keeps it running, and its power.

pub mod cgroup;
pub mod container;
pub mod guest;
pub mod kubernetes;
pub mod power;
pub mod prepare;
pub mod ready;
pub mod root;
pub mod supervise;
pub mod watches;
