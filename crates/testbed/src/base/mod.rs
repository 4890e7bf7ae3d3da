//! The base system that hosts start from, and the package repository that goes with it: made once, then kept.

mod build;
mod debs;
mod recipe;
mod repository;
mod sources;

pub use build::provide;
