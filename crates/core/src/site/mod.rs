//! The site: what should be. Typed, checked, immutable.

mod model;

pub use model::{
    Board, Connection, FlashTransport, Image, Kind, Node, Place, Service, Settings, Site, Stated, Toolchain,
};
