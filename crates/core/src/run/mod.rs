//! What a run says: what it found and changed, what it may hurt, what went wrong, and how long it took.

pub mod change;
pub mod event;
pub mod fault;
pub mod hazard;
pub mod report;
