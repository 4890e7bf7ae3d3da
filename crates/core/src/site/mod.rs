//! The site: what should be. Typed, checked, immutable.

mod downloads;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod inventories;
mod load;
mod machines;
mod model;
mod scope;
mod select;
mod settings;

pub use crate::ansible::cfg::{AnsibleCfg, ansible_cfg};
pub use crate::ansible::inventory::Inventory;
pub use crate::ansible::source::Source;
pub use crate::text::problem::{Problem, Problems, Severity, Spot};
pub use inventories::is_site;
pub use load::{LoadOptions, Loaded, load, load_inventory};
pub use model::{
    BmcInterface, Board, Connection, DownloadSource, FlashTransport, Image, Kind, Node, Place, Service, Settings, Site,
    Stated, Toolchain,
};
pub use scope::Scope;
pub use select::is_empty as is_empty_selection;
