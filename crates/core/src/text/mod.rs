//! Texts that programs and people write, read into types and written back.

pub mod document;
pub(crate) mod home;
pub mod k3s_config;
pub mod k3s_journal;
pub mod known_hosts;
pub mod kubeconfig;
pub mod marked_block;
pub(crate) mod nearest;
pub(crate) mod problem;
pub mod secret;
pub mod shell;
pub mod value_sums;
pub(crate) mod yaml;
