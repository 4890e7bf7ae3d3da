//! One command a file.

pub mod apply;
mod boards;
pub mod cache;
pub mod console;
pub mod inventory;
pub mod plan;
pub mod power;
mod real;
pub mod rehearse;
mod site;
pub mod tools;
