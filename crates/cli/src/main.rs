//! The binary `bringup`.
fn main() {}
