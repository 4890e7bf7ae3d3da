//! SSH: one connection a host, everything else over its channels.
//!
//! A host is trusted by known_hosts alone, as it is on disk at that moment; nobody is asked.

mod client_config;
mod failure;
mod feed;
mod host_key;
mod hosts;
mod login;
mod resolve;
mod session;
mod sudo;
mod transfer;
mod wildcard;

pub use self::client_config::{ClientConfig, HostConfig};
pub use self::failure::Failure;
pub(crate) use self::feed::Hold;
pub(crate) use self::hosts::Hosts;
pub use self::login::{AskPassphrase, Logins};
pub(crate) use self::resolve::is_ours;
pub use self::session::{Output, Route, Session};
pub use self::transfer::{SshError, Upload};
