//! The site: what should be. Typed, checked, immutable.

mod model;
mod problem;
mod scope;
mod source;

pub use model::{
    Board, Connection, FlashTransport, Image, Kind, Node, Place, Service, Settings, Site, Stated, Toolchain,
};
pub use problem::{Problem, Problems, Severity, Spot};
pub use scope::Scope;
pub use source::Source;
