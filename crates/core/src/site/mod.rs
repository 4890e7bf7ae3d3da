//! The site: what should be. Typed, checked, immutable.

mod ansible_cfg;
mod downloads;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod hosts_file;
mod inventory;
mod load;
mod machines;
mod model;
mod nearest;
mod problem;
mod range;
mod scope;
mod select;
mod settings;
mod source;
mod template;
mod template_work;
mod vault;
pub(crate) mod yaml;

pub use ansible_cfg::{AnsibleCfg, ansible_cfg};
pub use inventory::Inventory;
pub use load::{LoadOptions, Loaded, load, load_inventory};
pub use model::{
    BmcInterface, Board, Connection, DownloadSource, FlashTransport, Image, Kind, Node, Place, Service, Settings, Site,
    Stated, Toolchain,
};
pub use problem::{Problem, Problems, Severity, Spot};
pub use scope::Scope;
pub use select::is_empty as is_empty_selection;
pub use source::Source;
