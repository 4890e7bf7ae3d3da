//! The base system that hosts start from, and the package repository that goes with it: made once, then kept.

pub mod bmc;
mod build;
mod debs;
mod recipe;
pub mod repository;
mod sources;
pub mod tpi;

pub use build::{BOUND, extract, provide, suite};
