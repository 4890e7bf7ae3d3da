//! What is told to a real API server.

pub mod drain;
pub mod lease;
pub mod nodes;
pub mod objects;
pub mod releases;
pub mod sealed_keys;
pub mod trust;
