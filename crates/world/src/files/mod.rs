//! Files of the controller's own: read within bounds, written whole or not at all. What is reached over SSH and the web needs
//! them, so nothing here knows of either.

pub(crate) mod block_file;
pub(crate) mod cache;
pub(crate) mod file_lock;
pub(crate) mod known_hosts_file;
pub(crate) mod local_files;
pub mod site_files;
pub(crate) mod state_directory;
