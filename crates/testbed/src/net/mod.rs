//! The network of a testbed: a bridge, a way out, addresses and names, and a package repository.

pub mod bridge;
pub mod dns;
pub mod dnsmasq;
pub mod http;
pub mod serve;
