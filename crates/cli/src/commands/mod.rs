//! One command a file.

pub mod apply;
pub mod cache;
pub mod inventory;
pub mod plan;
mod real;
pub mod rehearse;
mod site;
