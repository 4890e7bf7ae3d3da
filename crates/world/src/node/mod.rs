//! Nodes: what is handed over to them, and the one that is this machine.

pub(crate) mod k3s;
pub(crate) mod local;
