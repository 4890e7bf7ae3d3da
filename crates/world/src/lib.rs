//! The real world: what the core asks and does, on real machines.
